//! Who sends webhooks and how a request proves that it comes from them. [`Source::verify`] is the only way to make a
//! [`VerifiedWebhook`]; everything behind it accepts nothing else.

pub mod diagnose;
mod handshake;
pub mod scheme;

use std::{sync::Arc, time::Duration};

use bytes::Bytes;

use crate::clock::Timestamp;
pub use handshake::{Greeting, Handshake};
pub use scheme::{CannotSign, Draft, Refusal, SchemeFault, Secret, Verifier};

/// A request as it arrived, before anything is believed.
#[derive(Clone, Debug)]
pub struct Request {
    /// Upper case, as in the request line.
    pub method: String,
    /// Path and query, byte for byte as received.
    pub path_query: String,
    /// All headers, in the order received.
    pub headers: Headers,
    /// The body's raw bytes.
    pub body: Bytes,
}

/// The headers of a request: names in lower case, repeated names kept.
#[derive(Clone, Debug, Default)]
pub struct Headers(Vec<(String, String)>);

/// A header that was sent twice with different values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Contradiction;

impl Headers {
    /// From pairs of name and value; names become lower case. Bytes that are not UTF-8 were replaced by the caller.
    pub fn new(pairs: impl IntoIterator<Item = (String, String)>) -> Self {
        Self(pairs.into_iter().map(|(name, value)| (name.to_ascii_lowercase(), value)).collect())
    }

    /// The value of `name` (any case); `None` when it is absent.
    ///
    /// # Errors
    /// [`Contradiction`] when it was sent more than once with different values.
    pub fn one(&self, name: &str) -> Result<Option<&str>, Contradiction> {
        let mut values =
            self.0.iter().filter(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str());
        let Some(first) = values.next() else { return Ok(None) };
        if values.all(|other| other == first) { Ok(Some(first)) } else { Err(Contradiction) }
    }

    /// Makes `value` the only one of `name` (any case); for requests that are made here.
    pub fn set(&mut self, name: &str, value: &str) {
        self.0.retain(|(known, _)| !known.eq_ignore_ascii_case(name));
        self.0.push((name.to_ascii_lowercase(), value.to_owned()));
    }

    /// All headers, in the order received.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

/// A configured sender.
#[derive(Debug)]
pub struct Source {
    name: Arc<str>,
    verifier: Verifier,
    /// `server.public_url` without a trailing slash, for senders that sign the URL.
    public_url: Option<String>,
}

impl Source {
    /// Puts a checked source together.
    pub fn new(name: impl Into<Arc<str>>, verifier: Verifier, public_url: Option<String>) -> Self {
        Self { name: name.into(), verifier, public_url }
    }

    /// The name in the configuration, in the URL and in every table.
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// How requests of this source prove themselves.
    pub fn verifier(&self) -> &Verifier {
        &self.verifier
    }

    /// The configured public URL, for senders that sign it.
    pub fn public_url(&self) -> Option<&str> {
        self.public_url.as_deref()
    }

    /// Checks the raw request; only what is accepted becomes a [`VerifiedWebhook`].
    ///
    /// # Errors
    /// The precise reason, for our logs and counters only: the sender sees the same 401 for each.
    pub fn verify(&self, request: Request, received_at: Timestamp) -> Result<VerifiedWebhook, Refusal> {
        self.verify_or_return(request, received_at).map_err(|refused| refused.refusal)
    }

    /// As [`verify`](Self::verify), and gives a request that is refused back, for finding out why.
    ///
    /// # Errors
    /// The precise reason, and the request.
    pub fn verify_or_return(
        &self,
        request: Request,
        received_at: Timestamp,
    ) -> Result<VerifiedWebhook, Box<RefusedRequest>> {
        match self.verifier.verify(&request, self.public_url.as_deref(), received_at) {
            Ok(proof) => Ok(self.read_back(request, received_at, proof)),
            Err(refusal) => Err(Box::new(RefusedRequest { refusal, request })),
        }
    }

    /// A webhook of this source that was verified before and comes out of the store.
    pub fn read_back(&self, request: Request, received_at: Timestamp, proof: Proof) -> VerifiedWebhook {
        let payload = self.verifier.payload(&request.body);
        VerifiedWebhook { source: Arc::clone(&self.name), request, received_at, proof, payload }
    }
}

/// A request that did not prove itself.
#[derive(Clone, Debug)]
pub struct RefusedRequest {
    /// Why not.
    pub refusal: Refusal,
    /// The request; nothing of it can be believed.
    pub request: Request,
}

/// What verification found out besides "yes".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Proof {
    /// Which configured secret matched, counted from 0; `None` for a source without secrets.
    pub secret: Option<usize>,
    /// The time the sender signed, where its scheme has one.
    pub signed_at: Option<Timestamp>,
}

/// A request whose sender was authenticated. Made by [`Source::verify`] alone.
#[derive(Clone, Debug)]
pub struct VerifiedWebhook {
    source: Arc<str>,
    request: Request,
    received_at: Timestamp,
    proof: Proof,
    payload: Bytes,
}

impl VerifiedWebhook {
    /// The source's name.
    pub fn source(&self) -> &Arc<str> {
        &self.source
    }

    /// The request as it arrived.
    pub fn request(&self) -> &Request {
        &self.request
    }

    /// When it arrived.
    pub fn received_at(&self) -> Timestamp {
        self.received_at
    }

    /// What to map: the payload of a JSON Web Token, else the body as it arrived.
    pub fn payload(&self) -> &Bytes {
        &self.payload
    }

    /// What verification found out.
    pub fn proof(&self) -> Proof {
        self.proof
    }

    /// A webhook read back from the store, where only verified ones are kept. Its payload is its body; where the
    /// source is at hand, [`Source::read_back`] also knows the payload of a JSON Web Token.
    pub fn from_store(source: Arc<str>, request: Request, received_at: Timestamp, proof: Proof) -> Self {
        let payload = request.body.clone();
        Self { source, request, received_at, proof, payload }
    }
}

/// How long a repeat of a webhook without an event id counts as the same one.
pub const DEFAULT_REPEAT_WINDOW: Duration = Duration::from_hours(1);

#[cfg(test)]
mod tests {
    use super::{scheme::spec::SchemeSpec, *};

    fn headers(pairs: &[(&str, &str)]) -> Headers {
        Headers::new(pairs.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())))
    }

    #[test]
    fn a_header_is_found_in_any_case_and_a_contradiction_is_an_error() {
        let headers = headers(&[("X-Id", "1"), ("x-ID", "1"), ("X-Time", "1"), ("x-time", "2")]);
        assert_eq!(headers.one("x-iD"), Ok(Some("1")));
        assert_eq!(headers.one("X-TIME"), Err(Contradiction));
        assert_eq!(headers.one("x-sig"), Ok(None));
    }

    #[test]
    fn a_header_that_is_set_replaces_all_of_its_name() {
        let mut headers = headers(&[("X-Id", "1"), ("x-ID", "2")]);
        headers.set("X-Id", "3");
        assert_eq!(headers.one("x-id"), Ok(Some("3")));
    }

    #[test]
    fn a_verified_webhook_is_the_same_when_it_is_read_back() {
        let verifier = Verifier::new(SchemeSpec::Open, Vec::new()).expect("a good scheme");
        let source = Source::new("shop", verifier, None);
        let Draft(request) = Draft::post("/hooks/shop", "application/json", "{}");
        let now = Timestamp::from_secs(1);
        let webhook = source.verify(request, now).expect("an open source accepts all");
        assert_eq!(webhook.payload(), "{}");
        let again = source.read_back(webhook.request().clone(), webhook.received_at(), webhook.proof());
        assert_eq!((again.source(), again.payload()), (webhook.source(), webhook.payload()));
    }
}
