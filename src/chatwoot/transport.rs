//! Sending one request and reading its answer, within a time and a size. Nothing here retries or follows a redirect, so
//! the token goes to the configured host alone and a call is made once or not at all.

use std::{error::Error, io, time::Duration};

use reqwest::{
    Method,
    header::{self, HeaderMap, HeaderName, HeaderValue},
    redirect, retry,
};
use secrecy::{ExposeSecret, SecretString};
use url::Url;

use super::{
    answer::{Answer, Ending},
    failure::{Failure, NoAnswer, NotConnected},
    target::{BadTarget, Target, check},
};

/// The most that is read of an answer. A page of 15 contacts with long attributes stays far below it.
pub const MAX_ANSWER_BYTES: usize = 2 << 20;

/// The most that is kept of an answer that is not 2xx.
pub const MAX_EXCERPT_BYTES: usize = 4096;

/// Puma closes idle connections after 20 s and nginx after 75 s by default. Letting go first avoids writing into a
/// connection that is just being closed, which would leave a call in doubt.
const POOL_IDLE_TIMEOUT: Duration = Duration::from_secs(15);

const USER_AGENT: &str = concat!("contact-relay/", env!("CARGO_PKG_VERSION"));

/// The longest request id that is kept.
const MAX_REQUEST_ID_CHARS: usize = 128;

/// What to ask.
#[derive(Clone, Debug)]
pub(super) struct Request {
    pub(super) method: Method,
    /// From the root of the host, with the base's prefix.
    pub(super) path: String,
    pub(super) query: Vec<(&'static str, String)>,
    /// JSON.
    pub(super) body: Option<Vec<u8>>,
    pub(super) token: Token,
    pub(super) excerpt: Excerpt,
}

/// Whether the token goes along.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Token {
    Sent,
    Withheld,
}

/// Whether a refused call's answer may be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Excerpt {
    Kept,
    /// The answers of this call can carry tokens.
    Never,
}

/// An answer, and what belongs to it besides its meaning.
pub(super) struct Received {
    pub(super) answer: Answer,
    pub(super) request_id: Option<String>,
}

/// The connections to one target.
pub(super) struct Transport {
    http: reqwest::Client,
    base: Url,
    token: SecretString,
    header: HeaderName,
    value: HeaderValue,
}

impl Transport {
    pub(super) fn new(target: &Target) -> Result<Self, BadTarget> {
        let checked = check(target)?;
        let mut builder = reqwest::Client::builder()
            .user_agent(USER_AGENT)
            .redirect(redirect::Policy::none())
            .retry(retry::never())
            .referer(false)
            .no_proxy()
            .connect_timeout(target.connect_timeout)
            .timeout(target.call_timeout)
            .pool_idle_timeout(POOL_IDLE_TIMEOUT);
        if checked.base.scheme() == "http" {
            // No handshake, no certificates: a system without any can still talk to a server of its own network.
            builder = builder.tls_certs_only([]);
        }
        let http = builder.build().map_err(|error| BadTarget::Tls(root_cause(&error)))?;
        Ok(Self { http, base: checked.base, token: target.token.clone(), header: checked.header, value: checked.value })
    }

    pub(super) fn base(&self) -> &Url {
        &self.base
    }

    /// `path` below the base's own path.
    pub(super) fn path(&self, path: &str) -> String {
        format!("{}{path}", self.base.path().trim_end_matches('/'))
    }

    /// Sends the request and reads what is answered, whatever its status.
    pub(super) async fn send(&self, request: Request) -> Result<Received, Failure> {
        let mut url = self.base.clone();
        url.set_path(&request.path);
        if !request.query.is_empty() {
            url.query_pairs_mut().extend_pairs(&request.query);
        }
        let mut call = self.http.request(request.method, url).header(header::ACCEPT, "application/json");
        if request.token == Token::Sent {
            call = call.header(&self.header, &self.value);
        }
        if let Some(body) = request.body {
            call = call.header(header::CONTENT_TYPE, "application/json").body(body);
        }
        let mut response = call.send().await.map_err(|error| failure(&error))?;

        let status = response.status().as_u16();
        let headers = response.headers();
        let request_id = text(headers, &HeaderName::from_static("x-request-id")).and_then(|id| self.request_id(&id));
        let content_type = text(headers, &header::CONTENT_TYPE);
        let retry_after = text(headers, &header::RETRY_AFTER);
        let location = text(headers, &header::LOCATION);
        let (mut body, ending) = read_body(&mut response).await;
        if !(200..300).contains(&status) {
            body = without(body, self.token.expose_secret());
        }
        let answer = Answer { status, content_type, retry_after, location, body, ending };
        Ok(Received { answer, request_id })
    }

    fn request_id(&self, id: &str) -> Option<String> {
        let id: String = id.chars().filter(char::is_ascii_graphic).take(MAX_REQUEST_ID_CHARS).collect();
        (!id.is_empty() && !id.contains(self.token.expose_secret())).then_some(id)
    }
}

/// Reads the body until it ends, fails or has become too large; what was read so far is kept in each case.
async fn read_body(response: &mut reqwest::Response) -> (Vec<u8>, Ending) {
    let mut body = Vec::new();
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) => {
                let room = MAX_ANSWER_BYTES - body.len();
                body.extend_from_slice(chunk.get(..room).unwrap_or(&chunk));
                if chunk.len() > room {
                    return (body, Ending::TooLarge);
                }
            }
            Ok(None) => return (body, Ending::Whole),
            Err(error) if error.is_timeout() => return (body, Ending::Broken(NoAnswer::Timeout)),
            Err(_) => return (body, Ending::Broken(NoAnswer::Truncated)),
        }
    }
}

/// The beginning of a body as text, cut where a character ends.
pub(super) fn excerpt(body: &[u8]) -> String {
    // A few bytes more than are kept, so that a character at the cut is not taken for a broken one.
    let beginning = body.get(..MAX_EXCERPT_BYTES + 4).unwrap_or(body);
    let mut text = String::from_utf8_lossy(beginning).into_owned();
    text.truncate(text.floor_char_boundary(MAX_EXCERPT_BYTES));
    text
}

/// The body without the token, should a server show what it was sent.
fn without(body: Vec<u8>, token: &str) -> Vec<u8> {
    if !body.windows(token.len()).any(|window| window == token.as_bytes()) {
        return body;
    }
    String::from_utf8_lossy(&body).replace(token, "[token]").into_bytes()
}

fn text(headers: &HeaderMap, name: &HeaderName) -> Option<String> {
    headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned)
}

/// Why there is no answer at all. Connecting covers the name look-up, the connection and the TLS handshake; a request
/// that failed there was not received. All else is in doubt.
fn failure(error: &reqwest::Error) -> Failure {
    if error.is_connect() || error.is_builder() {
        Failure::NotConnected { why: not_connected(error) }
    } else if error.is_timeout() {
        Failure::NoAnswer { why: NoAnswer::Timeout }
    } else {
        Failure::NoAnswer { why: NoAnswer::Reset }
    }
}

fn not_connected(error: &reqwest::Error) -> NotConnected {
    if error.is_dns() {
        return NotConnected::Dns;
    }
    if error.is_timeout() {
        return NotConnected::Timeout;
    }
    match innermost_io(error).map(io::Error::kind) {
        Some(io::ErrorKind::ConnectionRefused) => NotConnected::Refused,
        Some(
            io::ErrorKind::HostUnreachable
            | io::ErrorKind::NetworkUnreachable
            | io::ErrorKind::NetworkDown
            | io::ErrorKind::AddrNotAvailable,
        ) => NotConnected::Unreachable,
        // rustls reports what it refuses as invalid data; a server that is not ready for TLS hangs up.
        Some(
            io::ErrorKind::InvalidData
            | io::ErrorKind::UnexpectedEof
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::BrokenPipe,
        ) => NotConnected::Tls,
        _ => NotConnected::Other,
    }
}

/// The last I/O error in the chain of causes. An I/O error that wraps another skips it in `source`, hence `get_ref`.
fn innermost_io<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a io::Error> {
    let mut found = None;
    let mut next = Some(error);
    while let Some(error) = next {
        let io = error.downcast_ref::<io::Error>();
        found = io.or(found);
        next = match io.and_then(io::Error::get_ref) {
            Some(wrapped) => Some(wrapped),
            None => error.source(),
        };
    }
    found
}

/// The deepest cause, which says what a builder's error is about.
fn root_cause(error: &(dyn Error + 'static)) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_excerpt_is_cut_between_characters() {
        let body = format!("a{}", "\u{5d0}".repeat(4000));
        let excerpt = excerpt(body.as_bytes());
        assert_eq!(excerpt.len(), MAX_EXCERPT_BYTES - 1);
        assert!(body.starts_with(&excerpt));
        assert_eq!(super::excerpt(b"a\xffb"), "a\u{fffd}b");
        assert_eq!(super::excerpt(&[0xff; 5000]).len(), MAX_EXCERPT_BYTES - 1);
    }

    #[test]
    fn the_token_is_taken_out_of_a_body_wherever_it_stands() {
        assert_eq!(without(b"you sent tok3n, tok3n".to_vec(), "tok3n"), b"you sent [token], [token]");
        assert_eq!(without(b"\xfftok".to_vec(), "tok3n"), b"\xfftok");
        assert_eq!(without(b"a".to_vec(), "tok3n"), b"a");
    }
}
