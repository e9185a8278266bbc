//! Schemes `ed25519`, `ecdsa-p256-sha256` and `rsa-sha256`: a signature made with a private key that only the sender
//! has, over the same kind of template as `hmac`.

use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256};
use ed25519_dalek::{Signature, VerifyingKey};

use super::{
    Proof, Refusal, Request,
    envelope::{Envelope, EnvelopeSpec},
    fault::Faults,
    spec::{PublicKeyAlgorithm, PublicKeySpec, TextEncoding},
    template::{SecretPart, joined},
};
use crate::clock::Timestamp;

enum Key {
    Ed25519(Box<VerifyingKey>),
    Other(ParsedPublicKey),
}

pub(super) struct PublicKey {
    pub(super) envelope: Envelope,
    key: Key,
}

impl PublicKey {
    pub(super) fn new(spec: &PublicKeySpec, faults: &mut Faults) -> Option<Self> {
        let envelope = EnvelopeSpec {
            signature: &spec.signature,
            signed: &spec.signed,
            secret_part: SecretPart::Forbidden,
            timestamp: spec.timestamp.as_ref(),
            body_digest: None,
        };
        let envelope = Envelope::new(&envelope, faults);
        let key = faults.note("public_key", parse_key(spec.algorithm, &spec.public_key));
        Some(Self { envelope: envelope?, key: key? })
    }

    pub(super) fn verify(&self, request: &Request, public_url: Option<&str>, now: Timestamp) -> Result<Proof, Refusal> {
        let claim = self.envelope.claim(request)?;
        let signatures = self.envelope.signature.any_length(&claim.signature)?;
        let text = joined(&self.envelope.pieces(request, public_url, &claim)?);
        if !signatures.iter().any(|signature| self.key.fits(&text, signature)) {
            return Err(Refusal::WrongSignature);
        }
        self.envelope.check_the_rest(request, &claim, now)?;
        Ok(Proof { secret: None, signed_at: claim.signed_at })
    }
}

impl Key {
    fn fits(&self, text: &[u8], signature: &[u8]) -> bool {
        match self {
            Self::Ed25519(key) => {
                Signature::from_slice(signature).is_ok_and(|signature| key.verify_strict(text, &signature).is_ok())
            }
            Self::Other(key) => key.verify_sig(text, signature).is_ok(),
        }
    }
}

fn parse_key(algorithm: PublicKeyAlgorithm, text: &str) -> Result<Key, String> {
    let bytes = decode_key(text)?;
    match algorithm {
        PublicKeyAlgorithm::Ed25519 => ed25519_key(&bytes).map(|key| Key::Ed25519(Box::new(key))),
        PublicKeyAlgorithm::EcdsaP256Sha256 => ParsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, bytes)
            .map(Key::Other)
            .map_err(|_| "is no public key on the curve P-256".to_owned()),
        PublicKeyAlgorithm::RsaSha256 => rsa_key(&bytes).map(Key::Other),
    }
}

/// An RSA key of 2048 to 8192 bits, as DER.
pub(super) fn rsa_key(bytes: &[u8]) -> Result<ParsedPublicKey, String> {
    ParsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, bytes)
        .map_err(|_| "is no RSA public key of 2048 to 8192 bits".to_owned())
}

/// What stands before the 32 bytes of an Ed25519 key in DER (RFC 8410, section 4).
const ED25519_DER: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

/// An Ed25519 key from its 32 bytes, or their DER. Keys of low order are refused: every signature fits them.
pub(super) fn ed25519_key(bytes: &[u8]) -> Result<VerifyingKey, String> {
    const WRONG: &str = "is no Ed25519 public key of 32 bytes";
    let bytes = bytes.strip_prefix(&ED25519_DER).unwrap_or(bytes);
    let bytes: &[u8; 32] = bytes.try_into().map_err(|_| WRONG)?;
    let key = VerifyingKey::from_bytes(bytes).map_err(|_| WRONG)?;
    if key.is_weak() { Err("is an Ed25519 key of low order, which proves nothing".to_owned()) } else { Ok(key) }
}

/// The bytes of a key in PEM, hexadecimal or base64.
pub(super) fn decode_key(text: &str) -> Result<Vec<u8>, String> {
    let text = text.trim();
    let bytes = if let Some(pem) = text.strip_prefix("-----BEGIN ") {
        decode_pem(pem)?
    } else if text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        TextEncoding::Hex.decode(text).ok_or("has an odd number of hexadecimal digits")?
    } else {
        decode_wrapped_base64(text).ok_or("is neither PEM nor hexadecimal nor base64")?
    };
    if bytes.is_empty() { Err("is empty".to_owned()) } else { Ok(bytes) }
}

fn decode_pem(after_begin: &str) -> Result<Vec<u8>, String> {
    const UNREADABLE: &str = "is no complete PEM block";
    let (label, rest) = after_begin.split_once("-----").ok_or(UNREADABLE)?;
    match label {
        "PUBLIC KEY" | "RSA PUBLIC KEY" => {}
        "CERTIFICATE" => {
            return Err("is a certificate; take its key out with `openssl x509 -pubkey -noout`".to_owned());
        }
        label if label.ends_with("PRIVATE KEY") => {
            return Err("is a private key, which belongs to the sender alone; expected the public one".to_owned());
        }
        _ => return Err("is not a PEM block of a PUBLIC KEY".to_owned()),
    }
    let (base64, _) = rest.split_once("-----END ").ok_or(UNREADABLE)?;
    decode_wrapped_base64(base64).ok_or_else(|| UNREADABLE.to_owned())
}

/// Base64 with line ends in it.
fn decode_wrapped_base64(text: &str) -> Option<Vec<u8>> {
    let unwrapped: String = text.split_ascii_whitespace().collect();
    TextEncoding::Base64.decode(&unwrapped)
}
