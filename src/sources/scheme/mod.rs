//! Signature schemes: pure checks over raw bytes, with the time passed in.
//!
//! A [`Verifier`] is made once, when the configuration is loaded; whatever is wrong with a scheme is found there. It
//! then judges requests: nothing of a request is believed, decoded or kept before its limits are checked, no
//! comparison of secrets or digests depends on where they differ, and a weaker form never stands in for a better one
//! that is missing.

mod digest;
mod encoding;
mod envelope;
mod fault;
mod form;
mod json_pointer;
mod jwt;
mod keyed;
mod public_key;
mod refusal;
mod sign;
mod signature;
pub mod spec;
mod standard_webhooks;
mod template;
#[cfg(test)]
mod tests;
mod timestamp;
mod token;

use std::fmt;

use bytes::Bytes;
use secrecy::{ExposeSecret as _, SecretString};

use self::{
    fault::Faults,
    jwt::Jwt,
    keyed::{KeyedScheme, Kind},
    public_key::PublicKey,
    spec::SchemeSpec,
    standard_webhooks::StandardWebhooks,
    token::{Basic, Token},
};
pub use self::{
    fault::SchemeFault,
    refusal::Refusal,
    sign::{CannotSign, Draft},
};
use super::{Proof, Request};
use crate::clock::Timestamp;

/// The longest header that is looked at, in bytes.
const LONGEST_HEADER: usize = 8 * 1024;

/// A secret shared with a sender.
#[derive(Clone, Debug)]
pub struct Secret {
    /// Its text, as the sender shows it.
    pub value: SecretString,
    /// After this moment it no longer counts; for secrets that are being replaced.
    pub not_after: Option<Timestamp>,
}

/// Checks the requests of one source.
pub struct Verifier {
    scheme: Scheme,
    signed_headers: Vec<String>,
    warnings: Vec<String>,
    /// What it was made from, for finding out what is wrong with a refused request.
    spec: SchemeSpec,
    secrets: Vec<Secret>,
}

enum Scheme {
    Keyed(KeyedScheme),
    StandardWebhooks(StandardWebhooks),
    Token(Token),
    Basic(Basic),
    PublicKey(PublicKey),
    Jwt(Jwt),
    Open,
}

impl Verifier {
    /// Checks the scheme together with its secrets, of which any may match.
    ///
    /// # Errors
    /// All faults at once, never empty.
    pub fn new(spec: SchemeSpec, secrets: Vec<Secret>) -> Result<Self, Vec<SchemeFault>> {
        let mut faults = Faults::default();
        check_number_of_secrets(&spec, &secrets, &mut faults);
        let mut warnings = secret_warnings(&secrets);
        let (kept_spec, kept_secrets) = (spec.clone(), secrets.clone());
        let scheme = match spec {
            SchemeSpec::Hmac(spec) => KeyedScheme::new(Kind::Hmac, &spec, &secrets, &mut faults).map(Scheme::Keyed),
            SchemeSpec::Hash(spec) => KeyedScheme::new(Kind::Hash, &spec, &secrets, &mut faults).map(Scheme::Keyed),
            SchemeSpec::StandardWebhooks(spec) => {
                StandardWebhooks::new(&spec, &secrets, &mut faults).map(Scheme::StandardWebhooks)
            }
            SchemeSpec::Token(spec) => Token::new(spec, secrets, &mut faults).map(Scheme::Token),
            SchemeSpec::Basic { username } => Some(Scheme::Basic(Basic::new(username, secrets, &mut faults))),
            SchemeSpec::PublicKey(spec) => PublicKey::new(&spec, &mut faults).map(Scheme::PublicKey),
            SchemeSpec::Jwt { public_key } => Jwt::new(&public_key, &mut faults).map(Scheme::Jwt),
            SchemeSpec::Open => Some(Scheme::Open),
        };
        let faults = faults.into_vec();
        match scheme {
            Some(scheme) if faults.is_empty() => {
                warnings.extend(scheme.warning());
                let signed_headers = scheme.signed_headers();
                Ok(Self { scheme, signed_headers, warnings, spec: kept_spec, secrets: kept_secrets })
            }
            _ => Err(faults),
        }
    }

    /// Judges a request that arrived `now`. `public_url` is what stands before path and query for `{url}`, without a
    /// trailing slash; the request's own `Host` is never used.
    ///
    /// # Errors
    /// The precise reason, for our logs and counters only: the sender sees the same 401 for each.
    pub fn verify(&self, request: &Request, public_url: Option<&str>, now: Timestamp) -> Result<Proof, Refusal> {
        match &self.scheme {
            Scheme::Keyed(scheme) => scheme.verify(request, public_url, now),
            Scheme::StandardWebhooks(scheme) => scheme.verify(request, now),
            Scheme::Token(scheme) => scheme.verify(request, now),
            Scheme::Basic(scheme) => scheme.verify(request, now),
            Scheme::PublicKey(scheme) => scheme.verify(request, public_url, now),
            Scheme::Jwt(scheme) => scheme.verify(request, now),
            Scheme::Open => Ok(Proof::default()),
        }
    }

    /// The HMAC in hex of a text, made with the secret at `position`: how some senders ask whether we know it. `None` for
    /// schemes without such a key.
    pub fn answer_challenge(&self, position: usize, text: &str) -> Option<String> {
        match &self.scheme {
            Scheme::Keyed(keyed) => keyed.answer_challenge(position, text),
            Scheme::StandardWebhooks(_)
            | Scheme::Token(_)
            | Scheme::Basic(_)
            | Scheme::PublicKey(_)
            | Scheme::Jwt(_)
            | Scheme::Open => None,
        }
    }

    /// The header, in lower case, that carries a secret as it is: it must not be kept.
    pub fn secret_header(&self) -> Option<&str> {
        match &self.scheme {
            Scheme::Token(token) => token.header(),
            Scheme::Basic(_) => Some("authorization"),
            Scheme::Keyed(_) | Scheme::StandardWebhooks(_) | Scheme::PublicKey(_) | Scheme::Jwt(_) | Scheme::Open => {
                None
            }
        }
    }

    /// The query parameter that carries a secret as it is: it must not be kept.
    pub fn secret_parameter(&self) -> Option<&str> {
        match &self.scheme {
            Scheme::Token(token) => token.parameter(),
            Scheme::Basic(_)
            | Scheme::Keyed(_)
            | Scheme::StandardWebhooks(_)
            | Scheme::PublicKey(_)
            | Scheme::Jwt(_)
            | Scheme::Open => None,
        }
    }

    /// Signs a draft as the sender would at the moment `now`, with the first secret that still holds.
    ///
    /// # Errors
    /// When the scheme needs a private key, or the draft lacks what the signature covers.
    pub fn sign(&self, draft: Draft, public_url: Option<&str>, now: Timestamp) -> Result<Request, CannotSign> {
        match &self.scheme {
            Scheme::Keyed(scheme) => scheme.sign(draft, public_url, now),
            Scheme::StandardWebhooks(scheme) => scheme.sign(draft, now),
            Scheme::Token(scheme) => scheme.sign(draft, now),
            Scheme::Basic(scheme) => scheme.sign(draft, now),
            Scheme::PublicKey(_) | Scheme::Jwt(_) => Err(CannotSign::PrivateKeyNeeded),
            Scheme::Open => Ok(draft.0),
        }
    }

    /// The scheme as configured.
    pub(super) fn spec(&self) -> &SchemeSpec {
        &self.spec
    }

    /// The secrets as configured, in their order.
    pub(super) fn secrets(&self) -> &[Secret] {
        &self.secrets
    }

    /// The headers that the signature covers, in lower case. Only these may be trusted, for times above all.
    pub fn signed_headers(&self) -> &[String] {
        &self.signed_headers
    }

    /// Whether the signature covers the URL, so that `server.public_url` must be set.
    pub fn needs_public_url(&self) -> bool {
        match &self.scheme {
            Scheme::Keyed(scheme) => scheme.envelope.needs_public_url(),
            Scheme::PublicKey(scheme) => scheme.envelope.needs_public_url(),
            Scheme::StandardWebhooks(_) | Scheme::Token(_) | Scheme::Basic(_) | Scheme::Jwt(_) | Scheme::Open => false,
        }
    }

    /// What to map of a verified body: the payload of a JSON Web Token, else the body itself.
    pub fn payload(&self, body: &Bytes) -> Bytes {
        match &self.scheme {
            Scheme::Jwt(_) => jwt::payload(body),
            Scheme::Keyed(_)
            | Scheme::StandardWebhooks(_)
            | Scheme::Token(_)
            | Scheme::Basic(_)
            | Scheme::PublicKey(_)
            | Scheme::Open => body.clone(),
        }
    }

    /// What works as configured, but probably not as meant; for `check` and the start.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }
}

/// Shows the kind of scheme, and nothing of its secrets.
impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = match &self.scheme {
            Scheme::Keyed(_) => "Keyed",
            Scheme::StandardWebhooks(_) => "StandardWebhooks",
            Scheme::Token(_) => "Token",
            Scheme::Basic(_) => "Basic",
            Scheme::PublicKey(_) => "PublicKey",
            Scheme::Jwt(_) => "Jwt",
            Scheme::Open => "Open",
        };
        f.debug_struct("Verifier").field("scheme", &scheme).finish_non_exhaustive()
    }
}

impl Scheme {
    fn signed_headers(&self) -> Vec<String> {
        match self {
            Self::Keyed(scheme) => scheme.envelope.signed_headers(),
            Self::PublicKey(scheme) => scheme.envelope.signed_headers(),
            Self::StandardWebhooks(scheme) => scheme.signed_headers(),
            Self::Token(_) | Self::Basic(_) | Self::Jwt(_) | Self::Open => Vec::new(),
        }
    }

    fn warning(&self) -> Option<String> {
        match self {
            Self::Keyed(scheme) => scheme.envelope.warning(),
            Self::PublicKey(scheme) => scheme.envelope.warning(),
            Self::StandardWebhooks(_) | Self::Token(_) | Self::Basic(_) | Self::Jwt(_) | Self::Open => None,
        }
    }
}

fn check_number_of_secrets(spec: &SchemeSpec, secrets: &[Secret], faults: &mut Faults) {
    let needs_secret = match spec {
        SchemeSpec::Hmac(_)
        | SchemeSpec::Hash(_)
        | SchemeSpec::StandardWebhooks(_)
        | SchemeSpec::Token(_)
        | SchemeSpec::Basic { .. } => true,
        SchemeSpec::PublicKey(_) | SchemeSpec::Jwt { .. } | SchemeSpec::Open => false,
    };
    match (needs_secret, secrets.is_empty()) {
        (true, true) => faults.add("secret", "is missing; this scheme needs at least one"),
        (false, false) => faults.add("secret", "is never used by this scheme; take it away"),
        (true, false) | (false, true) => {}
    }
}

/// A secret is used exactly as it is; that blanks at its ends belong to it is possible, but seldom meant.
fn secret_warnings(secrets: &[Secret]) -> Vec<String> {
    let has_blanks = |secret: &Secret| {
        let text = secret.value.expose_secret();
        text.trim() != text
    };
    let blank = secrets.iter().enumerate().filter(|(_, secret)| has_blanks(secret));
    blank
        .map(|(position, _)| {
            format!("secret[{position}] begins or ends with a blank or a line end, which is used as a part of it")
        })
        .collect()
}

/// Whether a secret with this `not_after` no longer counts.
fn is_past(not_after: Option<Timestamp>, now: Timestamp) -> bool {
    not_after.is_some_and(|last| now > last)
}

/// The value of a header that must not contradict itself or be overly long.
fn read_header<'r>(request: &'r Request, name: &str) -> Result<Option<&'r str>, Refusal> {
    match request.headers.one(name) {
        Err(_) => Err(Refusal::ContradictingHeaders { header: name.to_owned() }),
        Ok(Some(value)) if value.len() > LONGEST_HEADER => Err(Refusal::HeaderTooLong { header: name.to_owned() }),
        Ok(value) => Ok(value),
    }
}
