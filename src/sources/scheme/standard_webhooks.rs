//! Standard Webhooks (<https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md>,
//! read 2026-11) and Svix: `{id}.{timestamp}.{body}`, signed as `v1` (HMAC-SHA256) or `v1a` (Ed25519). A `whsec_` key
//! checks only `v1`, a `whpk_` key only `v1a`: a public key must never serve as a secret.

use ed25519_dalek::{Signature, VerifyingKey};
use secrecy::ExposeSecret as _;

use super::{
    Draft, Proof, Refusal, Request, Secret,
    digest::{Keyed, sha256},
    fault::{Faults, header_name},
    is_past,
    public_key::ed25519_key,
    read_header,
    sign::CannotSign,
    signature::{Candidates, MOST_SIGNATURES},
    spec::{Algorithm, SecretEncoding, StandardWebhooksSpec, TextEncoding, TimeUnit},
    template::{Piece, joined},
    timestamp::{self, check_fresh, check_tolerance},
};
use crate::clock::Timestamp;

enum Key {
    /// Checks `v1`.
    Shared(Keyed),
    /// Checks `v1a`.
    Public(VerifyingKey),
}

pub(super) struct StandardWebhooks {
    id_header: String,
    time_header: String,
    signature_header: String,
    tolerance: std::time::Duration,
    /// In the order configured.
    keys: Vec<(Key, Option<Timestamp>)>,
}

impl StandardWebhooks {
    pub(super) fn new(spec: &StandardWebhooksSpec, secrets: &[Secret], faults: &mut Faults) -> Option<Self> {
        check_tolerance("tolerance", spec.tolerance, faults);
        match spec.secret_encoding {
            SecretEncoding::Whsec | SecretEncoding::Utf8 => {}
            SecretEncoding::Hex | SecretEncoding::Base64 => {
                faults.add("secret_encoding", "must be \"whsec\" or \"utf8\" in this scheme");
            }
        }
        let prefix = faults.note("header_prefix", header_name(&spec.header_prefix));
        let keys = secrets.iter().enumerate().filter_map(|(position, secret)| {
            let key = parse_key(spec.secret_encoding, secret.value.expose_secret());
            Some((faults.note(format!("secret[{position}]"), key)?, secret.not_after))
        });
        let keys = keys.collect();
        let prefix = prefix?;
        Some(Self {
            id_header: format!("{prefix}-id"),
            time_header: format!("{prefix}-timestamp"),
            signature_header: format!("{prefix}-signature"),
            tolerance: spec.tolerance,
            keys,
        })
    }

    /// The headers that the signature covers, in lower case.
    pub(super) fn signed_headers(&self) -> Vec<String> {
        vec![self.id_header.clone(), self.time_header.clone()]
    }

    pub(super) fn verify(&self, request: &Request, now: Timestamp) -> Result<Proof, Refusal> {
        let header = |name, missing| read_header(request, name)?.filter(|value| !value.is_empty()).ok_or(missing);
        let id = header(&self.id_header, Refusal::MissingId)?;
        let time = header(&self.time_header, Refusal::MissingTimestamp)?;
        let signatures = header(&self.signature_header, Refusal::MissingSignature)?;
        if id.contains('.') {
            return Err(Refusal::MalformedId);
        }
        let signed_at = timestamp::parse(TimeUnit::Seconds, time)?;
        let listed = self.listed(signatures)?;
        let pieces = pieces(id, time, &request.body);
        let mut expired = false;
        for (position, (key, not_after)) in self.keys.iter().enumerate() {
            if !listed.fit(key, &pieces) {
                continue;
            }
            if is_past(*not_after, now) {
                expired = true;
                continue;
            }
            check_fresh(signed_at, now, self.tolerance)?;
            return Ok(Proof { secret: Some(position), signed_at: Some(signed_at) });
        }
        Err(if expired { Refusal::SecretExpired } else { Refusal::WrongSignature })
    }

    /// The signatures of a version that this source's keys can check; others are passed over.
    fn listed(&self, header: &str) -> Result<Listed, Refusal> {
        let has = |is_kind: fn(&Key) -> bool| self.keys.iter().any(|(key, _)| is_kind(key));
        let has_shared = has(|key| matches!(key, Key::Shared(_)));
        let has_public = has(|key| matches!(key, Key::Public(_)));
        let mut listed = Listed { v1: Candidates::new(32), v1a: Candidates::new(64) };
        let (mut seen, mut well_formed) = (0, 0);
        for entry in header.split(' ') {
            let (known, signature) = match entry.split_once(',') {
                Some(("v1", signature)) if has_shared => (&mut listed.v1, signature),
                Some(("v1a", signature)) if has_public => (&mut listed.v1a, signature),
                _ => continue,
            };
            seen += 1;
            if seen > MOST_SIGNATURES {
                return Err(Refusal::TooManySignatures);
            }
            well_formed += usize::from(known.push(TextEncoding::Base64, signature));
        }
        match (seen, well_formed) {
            (0, _) => Err(Refusal::MissingSignature),
            (_, 0) => Err(Refusal::MalformedSignature),
            _ => Ok(listed),
        }
    }

    /// Signs with the first secret that still holds. A draft without an id gets one made of the time and its body.
    pub(super) fn sign(&self, draft: Draft, now: Timestamp) -> Result<Request, CannotSign> {
        let mut request = draft.0;
        let mut holding = self.keys.iter().filter(|(_, not_after)| !is_past(*not_after, now)).peekable();
        if holding.peek().is_none() {
            return Err(CannotSign::Incomplete(Refusal::SecretExpired));
        }
        let keyed = holding.find_map(|(key, _)| match key {
            Key::Shared(keyed) => Some(keyed),
            Key::Public(_) => None,
        });
        let keyed = keyed.ok_or(CannotSign::PrivateKeyNeeded)?;
        let time = timestamp::format(TimeUnit::Seconds, now);
        let id = match read_header(&request, &self.id_header)? {
            Some(id) if id.contains('.') => return Err(CannotSign::Incomplete(Refusal::MalformedId)),
            Some(id) if !id.is_empty() => id.to_owned(),
            _ => {
                let digest = sha256(&[now.to_string().as_bytes(), &request.body].concat());
                format!("msg_{}", hex::encode(&digest[..12]))
            }
        };
        let mac = keyed.digest(&pieces(&id, &time, &request.body));
        let signature = format!("v1,{}", TextEncoding::Base64.encode(mac.as_bytes()));
        request.headers.set(&self.id_header, &id);
        request.headers.set(&self.time_header, &time);
        request.headers.set(&self.signature_header, &signature);
        Ok(request)
    }
}

/// Decoded signatures, by version.
struct Listed {
    v1: Candidates,
    v1a: Candidates,
}

impl Listed {
    fn fit(&self, key: &Key, pieces: &[Piece<'_>]) -> bool {
        match key {
            Key::Shared(keyed) => self.v1.contain(keyed.digest(pieces).as_bytes()),
            Key::Public(key) => {
                let signatures = || self.v1a.iter().filter_map(|bytes| Signature::from_slice(bytes).ok());
                if signatures().next().is_none() {
                    return false;
                }
                let text = joined(pieces);
                signatures().any(|signature| key.verify_strict(&text, &signature).is_ok())
            }
        }
    }
}

fn pieces<'r>(id: &'r str, time: &'r str, body: &'r [u8]) -> [Piece<'r>; 5] {
    [id.into(), ".".into(), time.into(), ".".into(), Piece::Bytes(body.into())]
}

fn parse_key(encoding: SecretEncoding, secret: &str) -> Result<Key, String> {
    if let Some(public) = secret.strip_prefix("whpk_") {
        let bytes = TextEncoding::Base64.decode(public).ok_or("is not base64 behind `whpk_`")?;
        return ed25519_key(&bytes).map(Key::Public);
    }
    if secret.starts_with("whsk_") {
        return Err("is a private key, which belongs to the sender alone; expected the public one, `whpk_…`".to_owned());
    }
    Ok(Key::Shared(Keyed::hmac(Algorithm::Sha256, &encoding.decode(secret)?)))
}
