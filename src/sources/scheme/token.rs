//! Schemes `token` and `basic`: a shared secret that is sent as it is. Both sides are digested before they are
//! compared, so that the time taken tells nothing about the secret, its length included.

use base64::Engine as _;
use secrecy::ExposeSecret as _;
use subtle::ConstantTimeEq as _;

use super::{
    Draft, Proof, Refusal, Request, Secret,
    digest::sha256,
    encoding::BASE64,
    fault::{Faults, header_name},
    form, is_past, read_header,
    sign::CannotSign,
    spec::TokenSpec,
};
use crate::clock::Timestamp;

/// Secrets to compare with, in the order configured.
struct Shared(Vec<SharedSecret>);

struct SharedSecret {
    digest: [u8; 32],
    secret: Secret,
}

impl Shared {
    fn new(secrets: Vec<Secret>, faults: &mut Faults) -> Self {
        for (position, secret) in secrets.iter().enumerate() {
            if secret.value.expose_secret().is_empty() {
                faults.add(format!("secret[{position}]"), "is empty");
            }
        }
        let digest = |secret: &Secret| sha256(secret.value.expose_secret().as_bytes());
        Self(secrets.into_iter().map(|secret| SharedSecret { digest: digest(&secret), secret }).collect())
    }

    /// The position of the secret that `offered` is.
    fn position(&self, offered: &[u8], now: Timestamp, wrong: Refusal) -> Result<usize, Refusal> {
        let offered = sha256(offered);
        let mut refusal = wrong;
        for (position, shared) in self.0.iter().enumerate() {
            if !bool::from(shared.digest.ct_eq(&offered)) {
                continue;
            }
            if !is_past(shared.secret.not_after, now) {
                return Ok(position);
            }
            refusal = Refusal::SecretExpired;
        }
        Err(refusal)
    }

    /// The first secret that still holds.
    fn holding(&self, now: Timestamp) -> Result<&str, CannotSign> {
        let shared = self.0.iter().find(|shared| !is_past(shared.secret.not_after, now));
        let shared = shared.ok_or(CannotSign::Incomplete(Refusal::SecretExpired))?;
        Ok(shared.secret.value.expose_secret())
    }
}

pub(super) struct Token {
    spec: TokenSpec,
    shared: Shared,
}

impl Token {
    pub(super) fn new(mut spec: TokenSpec, secrets: Vec<Secret>, faults: &mut Faults) -> Option<Self> {
        let shared = Shared::new(secrets, faults);
        match &mut spec {
            TokenSpec::Header { name, .. } => *name = faults.note("header", header_name(name))?,
            TokenSpec::Query(parameter) if parameter.is_empty() => {
                faults.add("query", "is empty; expected the name of a query parameter");
            }
            TokenSpec::Query(_) => {}
        }
        Some(Self { spec, shared })
    }

    pub(super) fn header(&self) -> Option<&str> {
        match &self.spec {
            TokenSpec::Header { name, .. } => Some(name),
            TokenSpec::Query(_) => None,
        }
    }

    pub(super) fn parameter(&self) -> Option<&str> {
        match &self.spec {
            TokenSpec::Header { .. } => None,
            TokenSpec::Query(parameter) => Some(parameter),
        }
    }

    pub(super) fn verify(&self, request: &Request, now: Timestamp) -> Result<Proof, Refusal> {
        let secret = match &self.spec {
            TokenSpec::Header { name, prefix } => {
                let value = read_header(request, name)?.ok_or(Refusal::MissingToken)?;
                let offered = value.strip_prefix(prefix.as_str()).filter(|offered| !offered.is_empty());
                self.shared.position(offered.ok_or(Refusal::MissingToken)?.as_bytes(), now, Refusal::WrongToken)?
            }
            TokenSpec::Query(parameter) => {
                let value = form::query_parameter(&request.path_query, parameter)?;
                let offered = value.filter(|offered| !offered.is_empty()).ok_or(Refusal::MissingToken)?;
                self.shared.position(&offered, now, Refusal::WrongToken)?
            }
        };
        Ok(Proof { secret: Some(secret), signed_at: None })
    }

    pub(super) fn sign(&self, draft: Draft, now: Timestamp) -> Result<Request, CannotSign> {
        let mut request = draft.0;
        let token = self.shared.holding(now)?;
        match &self.spec {
            TokenSpec::Header { name, prefix } => request.headers.set(name, &format!("{prefix}{token}")),
            TokenSpec::Query(parameter) => {
                request.path_query = form::with_parameter(&request.path_query, parameter, token);
            }
        }
        Ok(request)
    }
}

pub(super) struct Basic {
    username: String,
    username_digest: [u8; 32],
    passwords: Shared,
}

impl Basic {
    pub(super) fn new(username: String, secrets: Vec<Secret>, faults: &mut Faults) -> Self {
        if username.contains(':') {
            faults.add("username", "contains a colon, which Basic credentials cannot carry in a user name");
        }
        let passwords = Shared::new(secrets, faults);
        Self { username_digest: sha256(username.as_bytes()), username, passwords }
    }

    pub(super) fn verify(&self, request: &Request, now: Timestamp) -> Result<Proof, Refusal> {
        let value = read_header(request, "authorization")?.ok_or(Refusal::MissingCredentials)?;
        let (scheme, credentials) = value.split_once(' ').ok_or(Refusal::MissingCredentials)?;
        if !scheme.eq_ignore_ascii_case("basic") {
            return Err(Refusal::MissingCredentials);
        }
        let decoded = BASE64.decode(credentials.trim()).map_err(|_| Refusal::MalformedCredentials)?;
        // Only the first colon separates: a password may contain others.
        let colon = decoded.iter().position(|&byte| byte == b':').ok_or(Refusal::MalformedCredentials)?;
        let (username, password) = (&decoded[..colon], &decoded[colon + 1..]);
        // Both are always compared, so that a right user name cannot be told from a wrong one.
        let is_user = self.username_digest.ct_eq(&sha256(username));
        let position = self.passwords.position(password, now, Refusal::WrongCredentials);
        if bool::from(is_user) {
            Ok(Proof { secret: Some(position?), signed_at: None })
        } else {
            Err(Refusal::WrongCredentials)
        }
    }

    pub(super) fn sign(&self, draft: Draft, now: Timestamp) -> Result<Request, CannotSign> {
        let mut request = draft.0;
        let credentials = format!("{}:{}", self.username, self.passwords.holding(now)?);
        request.headers.set("authorization", &format!("Basic {}", BASE64.encode(credentials)));
        Ok(request)
    }
}
