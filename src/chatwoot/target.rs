//! Where an account's Chatwoot is and how its token travels there. A [`Target`] is as configured; only a `Checked` one
//! can be called.

use std::{fmt, time::Duration};

use reqwest::header::{HeaderName, HeaderValue};
use secrecy::{ExposeSecret, SecretString};
use url::Url;

/// The header that Chatwoot documents for its token. Some proxies drop header names with an underscore; the server
/// takes `Api-Access-Token` for the same.
pub const DEFAULT_TOKEN_HEADER: &str = "api_access_token";

/// One account of one Chatwoot installation, as configured.
#[derive(Clone)]
pub struct Target {
    /// `http` or `https`; may have a path prefix; no credentials, query or fragment.
    pub base_url: Url,
    /// The account's number in the installation; from 1.
    pub account_id: i64,
    /// A user's access token.
    pub token: SecretString,
    /// The header that carries the token; by default [`DEFAULT_TOKEN_HEADER`].
    pub token_header: String,
    /// How long the name look-up, the connection and the TLS handshake may take together.
    pub connect_timeout: Duration,
    /// How long a whole call may take, from its start to the last byte of its answer.
    pub call_timeout: Duration,
}

/// Without the token.
impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Target")
            .field("host", &self.base_url.host_str())
            .field("account_id", &self.account_id)
            .field("token_header", &self.token_header)
            .field("connect_timeout", &self.connect_timeout)
            .field("call_timeout", &self.call_timeout)
            .finish_non_exhaustive()
    }
}

/// Why a [`Target`] cannot be called. Never shows the token, nor credentials written into the URL.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadTarget {
    /// Another scheme than `http` and `https`, or no host.
    #[error("base_url is not an http:// or https:// address")]
    NotHttp,
    /// `https://user:password@…`
    #[error("base_url contains a user name or password; only the token identifies us to Chatwoot, take them out")]
    Credentials,
    /// `https://…?…`
    #[error("base_url has a query (`?…`); write the address alone, as https://chat.example.com")]
    Query,
    /// `https://…#…`
    #[error("base_url has a fragment (`#…`); write the address alone, as https://chat.example.com")]
    Fragment,
    /// The address of the dashboard or the API itself, copied from a browser.
    #[error("base_url contains `{0}`; leave out that part and what follows, each call adds its own path")]
    TooDeep(&'static str),
    /// Zero or negative.
    #[error("account_id is {0}; it is the number in the dashboard's address, as in /app/accounts/42")]
    AccountId(i64),
    /// No token.
    #[error("the API access token is empty")]
    TokenEmpty,
    /// A token with white space, control or non-ASCII characters.
    #[error("the API access token contains a space, a line end or another character that a token never has")]
    TokenUnsendable,
    /// A name that is no header, or one that belongs to the call itself.
    #[error("token_header `{0}` cannot carry the token; use api_access_token or Api-Access-Token")]
    TokenHeader(String),
    /// A timeout of zero.
    #[error("{0} is zero: no call could ever succeed")]
    ZeroTimeout(&'static str),
    /// The HTTPS client could not be set up, above all because the system has no CA certificates.
    #[error("cannot set up HTTPS: {0} (is the package ca-certificates installed?)")]
    Tls(String),
}

/// Headers that every call sets itself or that steer the connection.
const RESERVED_HEADERS: [&str; 9] = [
    "accept",
    "connection",
    "content-length",
    "content-type",
    "cookie",
    "expect",
    "host",
    "transfer-encoding",
    "user-agent",
];

/// A target that was checked: paths can be appended to its base, its header can be sent.
pub(super) struct Checked {
    /// Without a trailing slash in its path.
    pub(super) base: Url,
    pub(super) header: HeaderName,
    /// Marked as sensitive: shown neither by Debug nor kept in HTTP/2's header compression.
    pub(super) value: HeaderValue,
}

/// Reads what can be wrong in a target.
pub(super) fn check(target: &Target) -> Result<Checked, BadTarget> {
    if target.account_id < 1 {
        return Err(BadTarget::AccountId(target.account_id));
    }
    for (name, timeout) in [("connect_timeout", target.connect_timeout), ("call_timeout", target.call_timeout)] {
        if timeout.is_zero() {
            return Err(BadTarget::ZeroTimeout(name));
        }
    }
    Ok(Checked {
        base: check_base(&target.base_url)?,
        header: check_header(&target.token_header)?,
        value: check_token(&target.token)?,
    })
}

fn check_base(url: &Url) -> Result<Url, BadTarget> {
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err(BadTarget::NotHttp);
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(BadTarget::Credentials);
    }
    if url.query().is_some() {
        return Err(BadTarget::Query);
    }
    if url.fragment().is_some() {
        return Err(BadTarget::Fragment);
    }
    let path = url.path().trim_end_matches('/');
    let api = path.ends_with("/api/v1") || path.contains("/api/v1/accounts");
    let dashboard = path.ends_with("/app") || path.contains("/app/accounts") || path.ends_with("/app/login");
    if api || dashboard {
        return Err(BadTarget::TooDeep(if api { "/api/v1" } else { "/app" }));
    }
    let mut base = url.clone();
    base.set_path(path);
    Ok(base)
}

fn check_header(name: &str) -> Result<HeaderName, BadTarget> {
    let header = HeaderName::from_bytes(name.as_bytes()).map_err(|_| BadTarget::TokenHeader(name.to_owned()))?;
    if RESERVED_HEADERS.contains(&header.as_str()) {
        return Err(BadTarget::TokenHeader(name.to_owned()));
    }
    Ok(header)
}

fn check_token(token: &SecretString) -> Result<HeaderValue, BadTarget> {
    let token = token.expose_secret();
    if token.is_empty() {
        return Err(BadTarget::TokenEmpty);
    }
    if !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(BadTarget::TokenUnsendable);
    }
    let mut value = HeaderValue::from_str(token).map_err(|_| BadTarget::TokenUnsendable)?;
    value.set_sensitive(true);
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(base_url: &str) -> Target {
        Target {
            base_url: base_url.parse().expect("a URL"),
            account_id: 1,
            token: "secret-token".to_owned().into(),
            token_header: DEFAULT_TOKEN_HEADER.to_owned(),
            connect_timeout: Duration::from_secs(1),
            call_timeout: Duration::from_secs(2),
        }
    }

    fn problem(target: &Target) -> BadTarget {
        check(target).err().expect("a bad target")
    }

    #[test]
    fn a_base_url_is_an_address_and_nothing_more() {
        for (url, expected) in [
            ("ftp://chat.example.com", BadTarget::NotHttp),
            ("mailto:a@example.com", BadTarget::NotHttp),
            ("https://bob@chat.example.com", BadTarget::Credentials),
            ("https://:pw@chat.example.com", BadTarget::Credentials),
            ("https://chat.example.com/?a=b", BadTarget::Query),
            ("https://chat.example.com/#top", BadTarget::Fragment),
            ("https://chat.example.com/api/v1", BadTarget::TooDeep("/api/v1")),
            ("https://chat.example.com/prefix/api/v1/accounts/42", BadTarget::TooDeep("/api/v1")),
            ("https://chat.example.com/app/accounts/42/contacts", BadTarget::TooDeep("/app")),
            ("https://chat.example.com/app/login", BadTarget::TooDeep("/app")),
        ] {
            assert_eq!(problem(&target(url)), expected, "{url}");
        }
    }

    #[test]
    fn a_path_prefix_is_kept_and_its_trailing_slash_is_not() {
        for (url, expected) in [
            ("https://chat.example.com", "/"),
            ("https://chat.example.com/", "/"),
            ("https://example.com/chat", "/chat"),
            ("https://example.com/chat/", "/chat"),
            ("https://example.com/api/v1/chat", "/api/v1/chat"),
        ] {
            assert_eq!(check(&target(url)).expect("a good target").base.path(), expected, "{url}");
        }
    }

    #[test]
    fn a_token_that_no_header_can_carry_is_refused_without_being_shown() {
        for (token, expected) in [
            ("", BadTarget::TokenEmpty),
            ("abc\n", BadTarget::TokenUnsendable),
            (" abc", BadTarget::TokenUnsendable),
            ("a\u{5d0}", BadTarget::TokenUnsendable),
        ] {
            let problem = problem(&Target { token: token.to_owned().into(), ..target("https://a.example") });
            assert_eq!(problem, expected);
            assert!(!problem.to_string().contains("abc"));
        }
    }

    #[test]
    fn a_header_of_the_call_itself_cannot_carry_the_token() {
        for name in ["", "api token", "Host", "Content-Type"] {
            let target = Target { token_header: name.to_owned(), ..target("https://a.example") };
            assert_eq!(problem(&target), BadTarget::TokenHeader(name.to_owned()));
        }
        for name in ["api_access_token", "Api-Access-Token", "X-Custom"] {
            assert!(check(&Target { token_header: name.to_owned(), ..target("https://a.example") }).is_ok());
        }
    }

    #[test]
    fn numbers_that_can_never_work_are_refused() {
        assert_eq!(problem(&Target { account_id: 0, ..target("https://a.example") }), BadTarget::AccountId(0));
        assert_eq!(
            problem(&Target { call_timeout: Duration::ZERO, ..target("https://a.example") }),
            BadTarget::ZeroTimeout("call_timeout")
        );
    }

    #[test]
    fn the_token_is_not_in_debug_output() {
        let target = target("https://chat.example.com");
        assert!(!format!("{target:?}").contains("secret-token"));
        let checked = check(&target).expect("a good target");
        assert!(!format!("{:?}", checked.value).contains("secret-token"));
    }
}
