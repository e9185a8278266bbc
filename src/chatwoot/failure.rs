//! What can come of a call instead of an answer: one variant for each thing a caller treats differently.

use std::{fmt, time::Duration};

/// Why a call did not bring what was asked for. Its Display says in plain words what to do, and never shows personal
/// data or secrets.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// 401, and Chatwoot saw no token at all: concerns every call of the account.
    #[error(
        "the token did not reach Chatwoot: a proxy in between drops header names with an underscore; \
         set token_header = \"Api-Access-Token\" or allow underscores in the proxy"
    )]
    HeaderLost,
    /// 401, 402 or 403 by Chatwoot: the token, its user, the role or the account; concerns every call of the account.
    #[error("{}", refusal(text))]
    TokenRefused {
        /// Chatwoot's reason; empty when it gave none.
        text: ServerText,
    },
    /// What answers is not Chatwoot's API: concerns every call of the account.
    #[error("{why}; check base_url")]
    WrongAddress {
        /// What answered instead.
        why: NotChatwoot,
    },
    /// Something in front of Chatwoot, such as a firewall, refused the call. Mostly that concerns every call of the
    /// account; a filter that dislikes the words of one body does exist.
    #[error(
        "something in front of Chatwoot, such as a firewall, refused the call with {status}; let it pass our calls"
    )]
    Blocked {
        /// The status it answered.
        status: u16,
    },
    /// 404 by Chatwoot: this contact, or the whole account, does not exist. The answer is the same for both.
    #[error("Chatwoot knows no such contact in this account, or no such account")]
    NotFound,
    /// 422: fields of the contact do not pass Chatwoot's validation, whether they were sent or already stored.
    #[error("Chatwoot finds the contact invalid: {}", names(attributes))]
    Invalid {
        /// The fields by name, as Chatwoot names them; may be empty. Decide on these, never on the text.
        attributes: Vec<String>,
        /// Chatwoot's words, for people.
        message: ServerText,
    },
    /// 422 without named fields: a required part of the call is missing or cannot be used.
    #[error("Chatwoot misses a part of the call, or cannot use it; the attempt's excerpt has its words")]
    MissingPart {
        /// Chatwoot's words, for people.
        text: ServerText,
    },
    /// 400 and other refusals of the request itself: repeating the same request is useless.
    #[error("the request itself was refused with {status}; repeating it will not help")]
    BadRequest {
        /// 400, 413 (too large) or another 4xx.
        status: u16,
    },
    /// 429: too many requests from this address. Chatwoot counts by the minute of the clock and names no time itself.
    #[error("Chatwoot asks for fewer requests; its window ends with the current minute")]
    RateLimited {
        /// How long to wait, if the answer said so; at most a day.
        retry_after: Option<Duration>,
    },
    /// 500 in Chatwoot's own JSON: a value it cannot store, a lost race, or trouble of its own.
    #[error("Chatwoot failed with {status} while working on the call")]
    ServerError {
        /// 500.
        status: u16,
    },
    /// The server or its proxy is down or overloaded: any 5xx that is not Chatwoot's own, and 408.
    #[error("Chatwoot is not available at present ({status})")]
    Unavailable {
        /// The status that was answered.
        status: u16,
        /// How long to wait, if the answer said so; at most a day.
        retry_after: Option<Duration>,
    },
    /// There was no connection; the request was surely not received.
    #[error("no connection to Chatwoot: {why}")]
    NotConnected {
        /// What failed.
        why: NotConnected,
    },
    /// The request was sent and its answer did not come whole.
    #[error("no whole answer from Chatwoot: {why}; the call may have taken effect")]
    NoAnswer {
        /// What failed.
        why: NoAnswer,
    },
    /// A 2xx whose body is not what the call answers; it has probably taken effect.
    #[error("Chatwoot's answer cannot be used: {why}; the call has probably taken effect")]
    Unreadable {
        /// What is wrong with it.
        why: Misread,
    },
}

impl Failure {
    /// The class as a stable word, for tables, metrics and programs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::HeaderLost => "header_lost",
            Self::TokenRefused { .. } => "token_refused",
            Self::WrongAddress { .. } => "wrong_address",
            Self::Blocked { .. } => "blocked",
            Self::NotFound => "not_found",
            Self::Invalid { .. } => "invalid",
            Self::MissingPart { .. } => "missing_part",
            Self::BadRequest { .. } => "bad_request",
            Self::RateLimited { .. } => "rate_limited",
            Self::ServerError { .. } => "server_error",
            Self::Unavailable { .. } => "unavailable",
            Self::NotConnected { .. } => "not_connected",
            Self::NoAnswer { .. } => "no_answer",
            Self::Unreadable { .. } => "unreadable",
        }
    }

    /// Whether a writing call may have been carried out all the same. True wherever that is not certain: a 500 can
    /// come after the commit, and a proxy can give up on a call that Chatwoot then finishes.
    pub fn may_have_taken_effect(&self) -> bool {
        match self {
            Self::ServerError { .. } | Self::Unavailable { .. } | Self::NoAnswer { .. } | Self::Unreadable { .. } => {
                true
            }
            Self::HeaderLost
            | Self::TokenRefused { .. }
            | Self::WrongAddress { .. }
            | Self::Blocked { .. }
            | Self::NotFound
            | Self::Invalid { .. }
            | Self::MissingPart { .. }
            | Self::BadRequest { .. }
            | Self::RateLimited { .. }
            | Self::NotConnected { .. } => false,
        }
    }
}

/// What answered in place of Chatwoot's API.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotChatwoot {
    /// A 404 that is not Chatwoot's: a web server's page, or an application without this path.
    #[error("the address answers, but has no Chatwoot API under this path")]
    NoSuchPath,
    /// A redirect. It was not followed: it would carry the token to another place.
    #[error("the address redirects {}; redirects are not followed", place(to.as_deref()))]
    Redirect {
        /// Scheme and host of its aim, such as `https://chat.example.com`, where it names one.
        to: Option<String>,
    },
    /// A 2xx that is not JSON, such as a login page.
    #[error("a web page answered where Chatwoot answers JSON")]
    Page,
    /// A status that Chatwoot's API never answers, such as 405.
    #[error("the address answers {status}, which Chatwoot never does")]
    Status {
        /// The status.
        status: u16,
    },
}

/// Why there was no connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotConnected {
    /// The host's name has no address.
    #[error("the host's name was not found")]
    Dns,
    /// The host has nothing that listens there.
    #[error("the connection was refused")]
    Refused,
    /// No way to the host.
    #[error("the host cannot be reached")]
    Unreachable,
    /// The handshake failed; most of the time the certificate is expired, foreign or not trusted.
    #[error("the TLS handshake failed; look at the server's certificate")]
    Tls,
    /// Not connected within the connect timeout.
    #[error("it took longer than connect_timeout")]
    Timeout,
    /// Something else.
    #[error("the connection could not be made")]
    Other,
}

/// Why a request that was sent has no whole answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoAnswer {
    /// The call took longer than its whole timeout.
    #[error("it took longer than call_timeout")]
    Timeout,
    /// The connection ended before the answer began.
    #[error("the connection was closed")]
    Reset,
    /// The connection ended in the middle of the answer.
    #[error("it broke off")]
    Truncated,
}

/// What is wrong with a 2xx answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Misread {
    /// It has no body.
    #[error("it is empty")]
    Empty,
    /// It says it is JSON and is not.
    #[error("it is not valid JSON")]
    NotJson,
    /// It is JSON of another shape.
    #[error("its JSON has another shape")]
    Shape,
    /// It shows another contact than the one that was asked for.
    #[error("it shows another contact")]
    OtherContact,
    /// It is larger than this service reads.
    #[error("it is too large")]
    TooLarge,
    /// It goes on for more pages than this service reads.
    #[error("it has too many pages")]
    TooManyPages,
}

/// Words of the server. They may hold anything, so Debug hides them; show them to whoever may see the contact.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct ServerText(String);

impl ServerText {
    /// The most characters that are kept.
    const MAX_CHARS: usize = 500;

    /// Keeps the beginning, on one line.
    pub(super) fn new(text: &str) -> Self {
        let one_line = text.chars().map(|c| if c.is_control() { ' ' } else { c });
        Self(one_line.take(Self::MAX_CHARS).collect())
    }

    /// The words, at most 500 characters.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for ServerText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ServerText({} bytes)", self.0.len())
    }
}

/// Chatwoot's reasons for a 401 are literals of its source, never translated, so that they can be told apart by text.
fn refusal(text: &ServerText) -> &'static str {
    match text.as_str() {
        "Invalid Access Token" | "Invalid access_token" => {
            "Chatwoot does not know the API access token; copy it again from the user's profile page"
        }
        "Access to this endpoint is not authorized for bots" => {
            "the token belongs to a bot or a platform app; use the access token of a user"
        }
        "You are not authorized to access this account" => {
            "the token's user is not a member of this account; check account_id, or add the user to the account"
        }
        "Account is suspended" => "the Chatwoot account is suspended; ask whoever runs the installation",
        "You are not authorized to do this action" => {
            "the token's user is not allowed to do this; use the access token of an administrator"
        }
        _ => "Chatwoot refused the API access token; check the token, its user's role and the account",
    }
}

fn names(attributes: &[String]) -> String {
    if attributes.is_empty() { "it does not say which fields".to_owned() } else { attributes.join(", ") }
}

fn place(to: Option<&str>) -> String {
    to.map_or_else(|| "elsewhere".to_owned(), |origin| format!("to {origin}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_the_server_are_in_no_debug_and_no_display_output() {
        let text = ServerText::new("dana@example.com is taken");
        for failure in [
            Failure::TokenRefused { text: text.clone() },
            Failure::Invalid { attributes: vec!["email".into()], message: text.clone() },
            Failure::MissingPart { text: text.clone() },
        ] {
            assert!(!format!("{failure:?} {failure}").contains("dana"), "{failure}");
        }
        assert_eq!(text.as_str(), "dana@example.com is taken");
    }

    #[test]
    fn words_of_the_server_are_kept_short_and_on_one_line() {
        let text = ServerText::new(&format!("a\r\nb\u{0}{}", "\u{5d0}".repeat(1000)));
        assert!(text.as_str().starts_with("a  b "));
        assert_eq!(text.as_str().chars().count(), 500);
    }

    #[test]
    fn what_was_surely_not_carried_out_is_told_from_what_may_have_been() {
        for (failure, may) in [
            (Failure::NotConnected { why: NotConnected::Timeout }, false),
            (Failure::RateLimited { retry_after: None }, false),
            (Failure::NotFound, false),
            (Failure::NoAnswer { why: NoAnswer::Timeout }, true),
            (Failure::ServerError { status: 500 }, true),
            (Failure::Unavailable { status: 504, retry_after: None }, true),
            (Failure::Unreadable { why: Misread::Empty }, true),
        ] {
            assert_eq!(failure.may_have_taken_effect(), may, "{failure}");
        }
    }

    #[test]
    fn each_reason_of_a_401_has_its_own_advice() {
        let texts = [
            "Invalid Access Token",
            "Access to this endpoint is not authorized for bots",
            "You are not authorized to access this account",
            "Account is suspended",
            "You are not authorized to do this action",
            "",
        ];
        let advice: std::collections::BTreeSet<_> =
            texts.iter().map(|text| Failure::TokenRefused { text: ServerText::new(text) }.to_string()).collect();
        assert_eq!(advice.len(), texts.len());
    }
}
