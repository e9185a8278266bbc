//! What a sandbox is started with, and what the server's version decides.

use std::{
    fmt,
    net::{Ipv4Addr, SocketAddr},
};

use serde::{Deserialize, Serialize};

use crate::clock::Clock;

/// What a sandbox is started with. The defaults are those of a fresh Chatwoot 4.15.1 with one API inbox.
#[derive(Clone)]
pub struct Options {
    /// Where to listen; port 0 (the default, on 127.0.0.1) takes a free one.
    pub listen: SocketAddr,
    /// The clock for times in answers and windows of the limiter. Faults that delay use real time.
    pub clock: Clock,
    /// The user's token; default `sandbox-token`.
    pub token: String,
    /// The token of an agent bot, which every account route refuses; none by default.
    pub bot_token: Option<String>,
    /// The account the token's user is a member of; default 1.
    pub account_id: i64,
    /// Accounts that exist but whose member the user is not: 401 instead of 404.
    pub foreign_account_ids: Vec<i64>,
    /// The user's role; default administrator.
    pub role: Role,
    /// The server's version; default `4.15.1`. Decides what merges and which keys answers have.
    pub version: String,
    /// The account's inboxes; default one API inbox with id 1.
    pub inboxes: Vec<Inbox>,
    /// Keys of custom attributes that are defined in the account, so that filters may use them.
    pub custom_attribute_keys: Vec<String>,
    /// The internal feature that makes list and filter show leads only; off by default.
    pub crm_v2: bool,
    /// Requests per clock minute before 429, `/health` excepted; `None` (the default) never limits.
    pub requests_per_minute: Option<u32>,
    /// Searches per clock minute before 429; `None` (the default) never limits.
    pub searches_per_minute: Option<u32>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            clock: Clock::System,
            token: "sandbox-token".to_owned(),
            bot_token: None,
            account_id: 1,
            foreign_account_ids: Vec::new(),
            role: Role::Administrator,
            version: "4.15.1".to_owned(),
            inboxes: vec![Inbox { id: 1, name: "API".to_owned(), channel_type: "Channel::Api".to_owned() }],
            custom_attribute_keys: Vec::new(),
            crm_v2: false,
            requests_per_minute: None,
            searches_per_minute: None,
        }
    }
}

/// Without the tokens.
impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("listen", &self.listen)
            .field("account_id", &self.account_id)
            .field("version", &self.version)
            .field("role", &self.role)
            .finish_non_exhaustive()
    }
}

impl Options {
    /// Whether the server is of this version or a later one. An unreadable part counts as 0.
    pub(super) fn since(&self, major: u32, minor: u32, patch: u32) -> bool {
        let mut parts = self.version.trim_start_matches('v').split('.').map(|part| {
            let digits = part.find(|c: char| !c.is_ascii_digit()).map_or(part, |end| &part[..end]);
            digits.parse().unwrap_or(0_u32)
        });
        let mut next = || parts.next().unwrap_or(0);
        (next(), next(), next()) >= (major, minor, patch)
    }

    /// The inbox with this id.
    pub(super) fn inbox(&self, id: i64) -> Option<&Inbox> {
        self.inboxes.iter().find(|inbox| inbox.id == id)
    }
}

/// What the token's user may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Everything.
    Administrator,
    /// Everything but deleting contacts and managing webhooks.
    Agent,
}

/// An inbox of the account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inbox {
    /// Its id.
    pub id: i64,
    /// Its name.
    pub name: String,
    /// Chatwoot's name of the channel: `Channel::Api`, `Channel::WebWidget`, `Channel::Email`, `Channel::Sms`,
    /// `Channel::Whatsapp`, `Channel::TwilioSms`, or any other.
    pub channel_type: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_compare_by_number_not_by_text() {
        let at = |version: &str| Options { version: version.to_owned(), ..Options::default() };
        assert!(at("4.15.1").since(4, 2, 0));
        assert!(!at("4.1.9").since(4, 2, 0));
        assert!(at("v4.2.0-rc1").since(4, 2, 0));
        assert!(!at("").since(0, 0, 1));
    }

    #[test]
    fn debug_output_has_no_token() {
        assert!(!format!("{:?}", Options::default()).contains("sandbox-token"));
    }
}
