//! A signature scheme as data: what `[sources.x.verify]` says once its words are known. No secret is in here.

use std::time::Duration;

/// How a source proves that a request is its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SchemeSpec {
    /// A keyed digest over a template.
    Hmac(SignedSpec),
    /// A plain digest with the secret in the template: weaker, for compatibility only.
    Hash(SignedSpec),
    /// Standard Webhooks, and its elder brother Svix.
    StandardWebhooks(StandardWebhooksSpec),
    /// A shared secret sent as it is.
    Token(TokenSpec),
    /// HTTP Basic; the password is the secret.
    Basic {
        /// The user name; compared in constant time, like the password.
        username: String,
    },
    /// A signature made with a private key over a template.
    PublicKey(PublicKeySpec),
    /// The body is a JSON Web Token signed with RS256; what is mapped is its payload.
    Jwt {
        /// PEM, or base64 of the DER `SubjectPublicKeyInfo`.
        public_key: String,
    },
    /// Nothing is checked; needs `i_know_this_source_is_open = true`.
    Open,
}

/// The digest behind a keyed or plain digest scheme.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// SHA-1, for senders that know nothing better.
    Sha1,
    /// SHA-256.
    Sha256,
    /// SHA-512.
    Sha512,
}

/// How the text of a secret becomes the key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SecretEncoding {
    /// The text's own bytes.
    #[default]
    Utf8,
    /// Hexadecimal.
    Hex,
    /// Standard base64.
    Base64,
    /// Base64 behind an optional `whsec_`; missing padding is allowed.
    Whsec,
}

/// How a signature or digest is written as text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TextEncoding {
    /// Hexadecimal, either case.
    Hex,
    /// Standard base64.
    Base64,
    /// Base64 with the URL alphabet.
    Base64Url,
}

/// Where a text stands in a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// A header, by name.
    Header(String),
    /// A text or number in the JSON body, by JSON pointer.
    Json(String),
}

/// How signatures stand in their place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SignatureFormat {
    /// The place holds one signature.
    Plain,
    /// The place holds `key=value` pairs; each value of `key` is a signature.
    Kv {
        /// The key whose values are signatures, such as `v1`.
        key: String,
        /// What stands between pairs, such as `,`.
        separator: String,
    },
}

/// Where the signature is and how to read it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignatureSpec {
    /// Where it stands.
    pub place: Place,
    /// One, or `key=value` pairs.
    pub format: SignatureFormat,
    /// What must stand before it, such as `sha256=`; taken off.
    pub prefix: String,
    /// How its bytes are written.
    pub encoding: TextEncoding,
}

/// Where the signed time is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TimestampPlace {
    /// A header, by name.
    Header(String),
    /// A pair of the signature header, by key, such as `t`.
    SignatureKey(String),
    /// The JSON body, by pointer.
    Json(String),
}

/// How a signed time is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimeUnit {
    /// Seconds since the Unix epoch, digits only.
    Seconds,
    /// Milliseconds since the Unix epoch, digits only.
    Millis,
    /// RFC 3339.
    Rfc3339,
    /// An HTTP date (RFC 9110, section 5.6.7).
    HttpDate,
}

/// The signed time, and how far from ours it may be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimestampSpec {
    /// Where it stands.
    pub place: TimestampPlace,
    /// How it is written.
    pub unit: TimeUnit,
    /// The largest difference from our clock, either way.
    pub tolerance: Duration,
}

/// A digest of the body that stands in the query, for senders that sign only the URL (Twilio's JSON bodies).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BodyDigestSpec {
    /// The query parameter's name.
    pub query: String,
    /// The digest.
    pub algorithm: Algorithm,
    /// How it is written.
    pub encoding: TextEncoding,
}

/// A keyed or plain digest over a template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedSpec {
    /// The digest.
    pub algorithm: Algorithm,
    /// How the secret's text becomes the key.
    pub secret_encoding: SecretEncoding,
    /// Where the signature is.
    pub signature: SignatureSpec,
    /// What is signed: literal text and `{body} {timestamp} {method} {url} {path_query} {header:NAME} {json:/pointer}
    /// {form_sorted}`, and `{secret}` in scheme `hash` only.
    pub signed: String,
    /// The signed time, if there is one.
    pub timestamp: Option<TimestampSpec>,
    /// A digest of the body in the query, if the signature covers only the URL.
    pub body_digest: Option<BodyDigestSpec>,
}

/// Standard Webhooks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StandardWebhooksSpec {
    /// `webhook` or `svix`; stands before `-id`, `-timestamp` and `-signature`.
    pub header_prefix: String,
    /// `Whsec` (default), or `Utf8` where the text of the secret is the key (Polar).
    pub secret_encoding: SecretEncoding,
    /// The largest difference from our clock, either way.
    pub tolerance: Duration,
}

/// A shared secret sent as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TokenSpec {
    /// In a header, behind an optional prefix such as `Bearer `.
    Header {
        /// The header's name.
        name: String,
        /// What stands before the secret.
        prefix: String,
    },
    /// In the query, by parameter name.
    Query(String),
}

/// The kind of a public key signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PublicKeyAlgorithm {
    /// Ed25519, strictly verified.
    Ed25519,
    /// ECDSA on P-256 with SHA-256, signature in DER.
    EcdsaP256Sha256,
    /// RSA PKCS#1 v1.5 with SHA-256.
    RsaSha256,
}

/// A signature made with a private key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicKeySpec {
    /// Its kind.
    pub algorithm: PublicKeyAlgorithm,
    /// Hex, base64 or PEM; Ed25519 as 32 raw bytes, the others as DER `SubjectPublicKeyInfo`.
    pub public_key: String,
    /// Where the signature is.
    pub signature: SignatureSpec,
    /// What is signed, as in [`SignedSpec::signed`].
    pub signed: String,
    /// The signed time, if there is one.
    pub timestamp: Option<TimestampSpec>,
}
