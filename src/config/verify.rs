//! `[sources.NAME.verify]`: the words of the file become a [`SchemeSpec`]. Which scheme has which keys is decided here;
//! whether their values make sense together is the verifier's to say.

use std::{ops::RangeInclusive, time::Duration};

use super::{field::seconds, reader::Reader};
use crate::sources::scheme::spec::{
    Algorithm, BodyDigestSpec, Place, PublicKeyAlgorithm, PublicKeySpec, SchemeSpec, SecretEncoding, SignatureFormat,
    SignatureSpec, SignedSpec, StandardWebhooksSpec, TextEncoding, TimeUnit, TimestampPlace, TimestampSpec, TokenSpec,
};

/// How far a signed time may be from ours when the file does not say; what most senders' own libraries allow.
const DEFAULT_TOLERANCE: Duration = Duration::from_mins(5);
const TOLERANCES: RangeInclusive<Duration> = seconds(1, 24 * 60 * 60);

const ALGORITHMS: [(&str, Algorithm); 3] =
    [("sha1", Algorithm::Sha1), ("sha256", Algorithm::Sha256), ("sha512", Algorithm::Sha512)];
const TEXT_ENCODINGS: [(&str, TextEncoding); 3] =
    [("hex", TextEncoding::Hex), ("base64", TextEncoding::Base64), ("base64url", TextEncoding::Base64Url)];
const SECRET_ENCODINGS: [(&str, SecretEncoding); 4] = [
    ("utf8", SecretEncoding::Utf8),
    ("hex", SecretEncoding::Hex),
    ("base64", SecretEncoding::Base64),
    ("whsec", SecretEncoding::Whsec),
];
const UNITS: [(&str, TimeUnit); 4] = [
    ("s", TimeUnit::Seconds),
    ("ms", TimeUnit::Millis),
    ("rfc3339", TimeUnit::Rfc3339),
    ("http_date", TimeUnit::HttpDate),
];

/// The word behind `scheme`.
#[derive(Clone, Copy)]
enum Scheme {
    Hmac,
    Hash,
    StandardWebhooks,
    Token,
    Basic,
    PublicKey(PublicKeyAlgorithm),
    Jwt,
    Open,
}

const SCHEMES: [(&str, Scheme); 10] = [
    ("hmac", Scheme::Hmac),
    ("hash", Scheme::Hash),
    ("standard-webhooks", Scheme::StandardWebhooks),
    ("token", Scheme::Token),
    ("basic", Scheme::Basic),
    ("ed25519", Scheme::PublicKey(PublicKeyAlgorithm::Ed25519)),
    ("ecdsa-p256-sha256", Scheme::PublicKey(PublicKeyAlgorithm::EcdsaP256Sha256)),
    ("rsa-sha256", Scheme::PublicKey(PublicKeyAlgorithm::RsaSha256)),
    ("jwt", Scheme::Jwt),
    ("none", Scheme::Open),
];

/// Reads a scheme and finishes the table; `None` after a fault that leaves something unknown.
pub(super) fn read(table: Reader<'_>) -> Option<SchemeSpec> {
    let written = table.need("scheme", "how requests are signed: hmac, standard-webhooks, token, …");
    // Without a scheme nobody knows which other keys are right.
    let scheme = written?.choice(&SCHEMES)?;
    let spec = match scheme {
        Scheme::Hmac => read_signed(&table).map(SchemeSpec::Hmac),
        Scheme::Hash => read_signed(&table).map(SchemeSpec::Hash),
        Scheme::StandardWebhooks => read_standard_webhooks(&table).map(SchemeSpec::StandardWebhooks),
        Scheme::Token => read_token(&table).map(SchemeSpec::Token),
        Scheme::Basic => text(&table, "username", "the user name that the sender logs in with")
            .map(|username| SchemeSpec::Basic { username }),
        Scheme::PublicKey(algorithm) => read_public_key(&table, algorithm).map(SchemeSpec::PublicKey),
        Scheme::Jwt => read_jwt(&table),
        Scheme::Open => Some(SchemeSpec::Open),
    };
    table.finish();
    spec
}

fn read_signed(table: &Reader<'_>) -> Option<SignedSpec> {
    let algorithm = table.need("algorithm", "sha1, sha256 or sha512").and_then(|field| field.choice(&ALGORITHMS));
    let secret_encoding = optional(table.get("secret_encoding").map(|field| field.choice(&SECRET_ENCODINGS)));
    let signature = read_signature(table);
    let signed = read_template(table);
    let timestamp = optional(table.table("timestamp").map(read_timestamp));
    let body_digest = optional(table.table("body_digest").map(read_body_digest));
    Some(SignedSpec {
        algorithm: algorithm?,
        secret_encoding: secret_encoding?.unwrap_or_default(),
        signature: signature?,
        signed: signed?,
        timestamp: timestamp?,
        body_digest: body_digest?,
    })
}

fn read_public_key(table: &Reader<'_>, algorithm: PublicKeyAlgorithm) -> Option<PublicKeySpec> {
    let public_key = text(table, "public_key", "the sender's public key: hex, base64 or PEM");
    let signature = read_signature(table);
    let signed = read_template(table);
    let timestamp = optional(table.table("timestamp").map(read_timestamp));
    Some(PublicKeySpec {
        algorithm,
        public_key: public_key?,
        signature: signature?,
        signed: signed?,
        timestamp: timestamp?,
    })
}

fn read_jwt(table: &Reader<'_>) -> Option<SchemeSpec> {
    // The algorithm is fixed by us, never by the token.
    let algorithm = table.need("algorithm", "RS256").and_then(|field| field.choice(&[("RS256", ())]));
    let public_key = text(table, "public_key", "the sender's public key: PEM, or base64 of DER");
    algorithm?;
    Some(SchemeSpec::Jwt { public_key: public_key? })
}

fn read_standard_webhooks(table: &Reader<'_>) -> Option<StandardWebhooksSpec> {
    let prefix =
        optional(table.get("header_prefix").map(|field| field.choice(&[("webhook", "webhook"), ("svix", "svix")])));
    let encodings = [("whsec", SecretEncoding::Whsec), ("utf8", SecretEncoding::Utf8)];
    let secret_encoding = optional(table.get("secret_encoding").map(|field| field.choice(&encodings)));
    let tolerance = read_tolerance(table);
    Some(StandardWebhooksSpec {
        header_prefix: prefix?.unwrap_or("webhook").to_owned(),
        secret_encoding: secret_encoding?.unwrap_or(SecretEncoding::Whsec),
        tolerance: tolerance?,
    })
}

fn read_token(table: &Reader<'_>) -> Option<TokenSpec> {
    let prefix = optional(table.get("prefix").map(|field| field.text().map(str::to_owned)));
    let place = one_place(table, ["header", "query"])?;
    match (place, prefix?) {
        (("header", name), prefix) => Some(TokenSpec::Header { name, prefix: prefix.unwrap_or_default() }),
        ((_, name), None) => Some(TokenSpec::Query(name)),
        (_, Some(_)) => {
            table.fault_at("prefix", "a token in the query has no prefix");
            None
        }
    }
}

fn read_signature(table: &Reader<'_>) -> Option<SignatureSpec> {
    let table = table.need("signature", "{ header = \"…\", encoding = \"hex\" } or similar")?.table()?;
    let place = one_place(&table, ["header", "json"]).map(|(key, text)| match key {
        "header" => Place::Header(text),
        _ => Place::Json(text),
    });
    let format = read_format(&table);
    let prefix = optional(table.get("prefix").map(|field| field.text().map(str::to_owned)));
    let encoding = table.need("encoding", "hex, base64 or base64url").and_then(|field| field.choice(&TEXT_ENCODINGS));
    table.finish();
    Some(SignatureSpec { place: place?, format: format?, prefix: prefix?.unwrap_or_default(), encoding: encoding? })
}

fn read_format(table: &Reader<'_>) -> Option<SignatureFormat> {
    let formats = [("plain", false), ("kv", true)];
    let pairs = optional(table.get("format").map(|field| field.choice(&formats)))?.unwrap_or(false);
    let (key, separator) = (table.get("key"), table.get("separator"));
    if pairs {
        let key = text(table, "key", "the key whose values are signatures, such as \"v1\"");
        let separator = optional(separator.map(|field| field.filled_text().map(str::to_owned)));
        return Some(SignatureFormat::Kv { key: key?, separator: separator?.unwrap_or_else(|| ",".to_owned()) });
    }
    for field in [key, separator].into_iter().flatten() {
        field.fault("has a meaning only with format = \"kv\"");
    }
    Some(SignatureFormat::Plain)
}

fn read_template(table: &Reader<'_>) -> Option<String> {
    text(table, "signed", "what is signed, such as \"{body}\" or \"{timestamp}.{body}\"")
}

fn read_timestamp(table: Reader<'_>) -> Option<TimestampSpec> {
    let place = one_place(&table, ["header", "signature_key", "json"]).map(|(key, text)| match key {
        "header" => TimestampPlace::Header(text),
        "signature_key" => TimestampPlace::SignatureKey(text),
        _ => TimestampPlace::Json(text),
    });
    let unit = table.need("unit", "s, ms, rfc3339 or http_date").and_then(|field| field.choice(&UNITS));
    let tolerance = read_tolerance(&table);
    table.finish();
    Some(TimestampSpec { place: place?, unit: unit?, tolerance: tolerance? })
}

fn read_tolerance(table: &Reader<'_>) -> Option<Duration> {
    let written = optional(table.get("tolerance").map(|field| field.duration(&TOLERANCES)))?;
    Some(written.unwrap_or(DEFAULT_TOLERANCE))
}

fn read_body_digest(table: Reader<'_>) -> Option<BodyDigestSpec> {
    let query = text(&table, "query", "the name of the query parameter");
    let algorithm = table.need("algorithm", "sha1, sha256 or sha512").and_then(|field| field.choice(&ALGORITHMS));
    let encoding = table.need("encoding", "hex, base64 or base64url").and_then(|field| field.choice(&TEXT_ENCODINGS));
    table.finish();
    Some(BodyDigestSpec { query: query?, algorithm: algorithm?, encoding: encoding? })
}

/// The text of a key that must be there.
fn text(table: &Reader<'_>, key: &'static str, expected: &str) -> Option<String> {
    table.need(key, expected).and_then(|field| field.filled_text()).map(str::to_owned)
}

/// The one key of several that says where something stands, and its text.
fn one_place<const N: usize>(table: &Reader<'_>, keys: [&'static str; N]) -> Option<(&'static str, String)> {
    let written: Vec<_> = keys.iter().filter_map(|key| table.get(key).map(|field| (*key, field))).collect();
    match written.as_slice() {
        [(key, field)] => field.filled_text().map(|text| (*key, text.to_owned())),
        [] => {
            table.fault_at(keys[0], format!("is missing; expected one of {}", keys.join(", ")));
            None
        }
        [.., (_, last)] => {
            last.fault(format!("expected only one of {}", keys.join(", ")));
            None
        }
    }
}

/// Turns "left out" into success, so that `?` stops at faults alone.
#[expect(clippy::option_option, reason = "absent, faulty and there are three things")]
fn optional<T>(read: Option<Option<T>>) -> Option<Option<T>> {
    match read {
        None => Some(None),
        Some(None) => None,
        Some(Some(value)) => Some(Some(value)),
    }
}
