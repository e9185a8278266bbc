//! The client of Chatwoot's contacts API, and the only module that names reqwest. It makes one call at a time and says
//! what came of it; it never retries, never follows a redirect and decides nothing about deliveries.
//!
//! | file | holds |
//! | --- | --- |
//! | `target` | where an account is and how its token travels, checked |
//! | `client` | one method per call of the API |
//! | `transport` | sending one request within its limits, reading its answer within a size |
//! | `answer` | what an answer means: a pure function of status, content type and body |
//! | `failure` | the classes of failure a caller treats differently |
//! | `wire` | Chatwoot's JSON, as much of it as is used |
//! | `filter` | finding contacts by exact keys, page by page |
//! | `echo` | which of the fields sent the server has silently left out |
//!
//! What is said here of Chatwoot was read in its source at v4.15.1 (June 2026). Installations differ in version and
//! plugins: unknown fields are accepted, and none is required but the contact's id.

mod answer;
mod client;
mod echo;
mod failure;
mod filter;
mod target;
#[cfg(test)]
mod tests;
mod transport;
mod wire;

use std::fmt;

pub use client::Client;
pub use echo::not_taken;
pub use failure::{Failure, Misread, NoAnswer, NotChatwoot, NotConnected, ServerText};
pub use filter::{Condition, MAX_FILTER_PAGES};
pub use target::{BadTarget, DEFAULT_TOKEN_HEADER, Target};
pub use transport::{MAX_ANSWER_BYTES, MAX_EXCERPT_BYTES};
pub use wire::{Contact, Membership, Page, Profile, Subscription, Version};

/// One call and what came of it: everything the table `attempts` records of it.
#[derive(Clone)]
pub struct Call<T> {
    /// In upper case, such as `PATCH`.
    pub method: &'static str,
    /// The path, without host and query: a query may hold what was searched for.
    pub path: String,
    /// The status of the answer; `None` when there was none.
    pub status: Option<u16>,
    /// The server's `X-Request-Id`, at most 128 printable characters.
    pub request_id: Option<String>,
    /// What was asked for, or why it is not there.
    pub answer: Result<T, Failure>,
    /// The beginning of an answer that is not 2xx, at most [`MAX_EXCERPT_BYTES`], without the token. `None` for the
    /// calls whose answers may carry tokens. It may hold personal data: for the audit, not for logs.
    pub excerpt: Option<String>,
}

impl<T> Call<T> {
    /// The same call with its answer read further.
    pub fn map<U>(self, read: impl FnOnce(T) -> U) -> Call<U> {
        let Self { method, path, status, request_id, answer, excerpt } = self;
        Call { method, path, status, request_id, answer: answer.map(read), excerpt }
    }
}

/// Without the answer and the excerpt, which may hold personal data.
impl<T> fmt::Debug for Call<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call")
            .field("method", &self.method)
            .field("path", &self.path)
            .field("status", &self.status)
            .field("request_id", &self.request_id)
            .field("failure", &self.answer.as_ref().err())
            .finish_non_exhaustive()
    }
}
