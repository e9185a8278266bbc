//! What an account is set to, as plain data: the part of the configuration that delivery works by. It is filled in and
//! checked by `config`, which stands above; nothing here reads a file.

use std::{collections::BTreeMap, time::Duration};

use secrecy::SecretString;
use url::Url;

use crate::contacts::{Field, Policy};

/// The settings of one Chatwoot account, `[accounts.NAME]`. Changed by editing the file and starting again.
#[derive(Clone, Debug)]
pub struct AccountSettings {
    /// The name in the configuration and in every table.
    pub name: String,
    /// Where the installation is, without `/api/v1`; http or https, no credentials, no query, no fragment, and no
    /// slash at the end of a path.
    pub base_url: Url,
    /// The account's number, 1 or more.
    pub account_id: i64,
    /// The access token of a user who is a member of the account; a bot's is refused.
    pub api_access_token: SecretString,
    /// The header that carries the token; default [`DEFAULT_TOKEN_HEADER`].
    pub token_header: String,
    /// What happens when no contact is found; default create.
    pub missing_contact: MissingContact,
    /// How a contact is found when there is no link, first to last; never empty, no repeats; default identifier, then
    /// e-mail.
    pub match_by: Vec<MatchKey>,
    /// How many calls the account may get; default 5/s.
    pub rate_limit: RateLimit,
    /// How many searches the account may get; default 90/min, below the 100/min per account of Chatwoot's own limiter
    /// (`config/initializers/rack_attack.rb` at v4.15.1, read 2026-10).
    pub search_rate_limit: RateLimit,
    /// True: every call but the writing ones, and the audit shows what would have been written. Default false.
    pub dry_run: bool,
    /// What happens when a linked contact is gone; default conflict.
    pub gone_contact: GoneContact,
    /// How long an update waits for its contact with [`MissingContact::Wait`]; default 30 days.
    pub wait_for: Duration,
    /// The inbox that new contacts are put into; default none.
    pub inbox_id: Option<i64>,
    /// How many calls of the account may be in flight, for different contacts; 1 to 64, default 4.
    pub concurrency: usize,
    /// The longest wait for a connection; 100 ms to 60 s and no more than `call_timeout`, default 5 s.
    pub connect_timeout: Duration,
    /// The longest a whole call may take; 1 s to 5 min, default 15 s.
    pub call_timeout: Duration,
    /// When failed calls are made again, and when no more.
    pub retry: RetrySettings,
    /// How often contacts are read from the account to find links; default never.
    pub sync_every: Option<Duration>,
    /// Policies of fields that differ from `always`. A source's own policies stand above these.
    pub policies: BTreeMap<Field, Policy>,
    /// The custom attribute that shows agents when a contact was last written; default none.
    pub show_sync_attribute: Option<String>,
}

/// The header Chatwoot documents for access tokens. Proxies that drop names with underscores (nginx by default) want
/// `Api-Access-Token`, which reaches the application as the same variable.
pub const DEFAULT_TOKEN_HEADER: &str = "api_access_token";

/// What happens to an update whose contact is not found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MissingContact {
    /// The contact is created.
    #[default]
    Create,
    /// The update waits until a contact appears, at most `wait_for`.
    Wait,
    /// The update is settled as `no_contact`.
    Reject,
}

/// What happens when a contact that was linked is gone, and the lookup finds no other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum GoneContact {
    /// A person decides.
    #[default]
    Conflict,
    /// A new contact is created.
    Create,
    /// The update is settled as `no_contact`.
    Reject,
}

/// A key that a contact is looked up by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MatchKey {
    /// Chatwoot's field `identifier`.
    Identifier,
    /// The e-mail address.
    Email,
    /// The phone number.
    Phone,
}

/// At most so many calls in a stretch of time, written `5/s`, `300/min` or `10000/h`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimit {
    /// How many calls; 1 or more.
    pub count: u32,
    /// The stretch of time: a second, a minute or an hour.
    pub per: Duration,
}

/// When failed calls are made again, and when an update is given up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RetrySettings {
    /// The delay after the first failure, the second, and so on; the last repeats. Never empty.
    pub schedule: Vec<Duration>,
    /// An update dies only when it is older than this; default 7 days.
    pub max_age: Duration,
    /// An update dies only after this many counted failures; default 12.
    pub max_failures: u32,
}

/// 5 s, 30 s, 2 min, 10 min, 30 min, 1 h, 3 h, 6 h, 12 h; 7 days; 12 failures.
impl Default for RetrySettings {
    fn default() -> Self {
        let schedule = [5, 30, 120, 600, 1_800, 3_600, 10_800, 21_600, 43_200].map(Duration::from_secs).to_vec();
        Self { schedule, max_age: Duration::from_hours(7 * 24), max_failures: 12 }
    }
}
