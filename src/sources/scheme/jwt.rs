//! Scheme `jwt`: the whole body is a JSON Web Token (RFC 7519). The algorithm is fixed to RS256, so that neither `none`
//! nor an HMAC keyed with the public key is ever accepted.

use std::time::Duration;

use aws_lc_rs::signature::ParsedPublicKey;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use bytes::Bytes;
use serde::Deserialize;
use serde_json::Value;

use super::{
    Proof, Refusal, Request,
    fault::Faults,
    public_key::{decode_key, rsa_key},
};
use crate::clock::Timestamp;

/// How far the sender's clock may be from ours. The token says itself how long it is good for, so this is small.
const LEEWAY: Duration = Duration::from_mins(1);

pub(super) struct Jwt {
    key: ParsedPublicKey,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    /// Extensions that must be understood; none is.
    crit: Option<Value>,
}

/// Times in seconds since the Unix epoch; fractions are allowed.
#[derive(Deserialize)]
struct Claims {
    exp: Option<f64>,
    nbf: Option<f64>,
    iat: Option<f64>,
}

struct Parts<'b> {
    /// Header and payload as they are signed.
    signed: &'b str,
    header: &'b str,
    payload: &'b str,
    signature: &'b str,
}

impl Jwt {
    pub(super) fn new(public_key: &str, faults: &mut Faults) -> Option<Self> {
        let key = decode_key(public_key).and_then(|bytes| rsa_key(&bytes));
        Some(Self { key: faults.note("public_key", key)? })
    }

    pub(super) fn verify(&self, request: &Request, now: Timestamp) -> Result<Proof, Refusal> {
        let parts = split(&request.body).ok_or(Refusal::MalformedJwt)?;
        let header: Header = parse(parts.header)?;
        if header.alg != "RS256" || header.crit.is_some() {
            return Err(Refusal::WrongJwtAlgorithm);
        }
        let signature = decode(parts.signature).ok_or(Refusal::MalformedJwt)?;
        self.key.verify_sig(parts.signed.as_bytes(), &signature).map_err(|_| Refusal::WrongSignature)?;
        let claims: Claims = parse(parts.payload)?;
        let time = |claim: Option<f64>| claim.map(moment);
        if time(claims.exp).is_some_and(|expires| now >= expires + LEEWAY) {
            return Err(Refusal::Stale);
        }
        if [claims.nbf, claims.iat].into_iter().filter_map(time).any(|begins| now + LEEWAY < begins) {
            return Err(Refusal::FromTheFuture);
        }
        Ok(Proof { secret: None, signed_at: time(claims.iat) })
    }
}

/// The JSON inside the token, which is what gets mapped. A body that is no token is returned as it is.
pub(super) fn payload(body: &Bytes) -> Bytes {
    split(body).and_then(|parts| decode(parts.payload)).map_or_else(|| body.clone(), Bytes::from)
}

fn split(body: &[u8]) -> Option<Parts<'_>> {
    let text = str::from_utf8(body).ok()?;
    let (signed, signature) = text.rsplit_once('.')?;
    let (header, payload) = signed.split_once('.')?;
    (!payload.contains('.')).then_some(Parts { signed, header, payload, signature })
}

fn decode(part: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(part).ok()
}

fn parse<T: for<'de> Deserialize<'de>>(part: &str) -> Result<T, Refusal> {
    let json = decode(part).ok_or(Refusal::MalformedJwt)?;
    serde_json::from_slice(&json).map_err(|_| Refusal::MalformedJwt)
}

#[expect(clippy::cast_possible_truncation, reason = "`as` saturates, and no real time is near the ends")]
fn moment(secs: f64) -> Timestamp {
    Timestamp::from_millis((secs * 1000.0) as i64)
}
