//! Keyed and plain digests. A key is set up once and cloned for each request, which is three times as fast as keying
//! anew for every one of them.

use hmac::{Hmac, KeyInit as _, Mac};
use secrecy::{ExposeSecret as _, SecretSlice};
use sha1::Sha1;
use sha2::{Digest as _, Sha256, Sha512};

use super::{
    signature::LONGEST_MAC,
    spec::Algorithm,
    template::{Piece, feed},
};

impl Algorithm {
    /// The length of a digest, in bytes.
    pub(super) const fn length(self) -> usize {
        match self {
            Self::Sha1 => 20,
            Self::Sha256 => 32,
            Self::Sha512 => 64,
        }
    }
}

/// A digest, kept on the stack.
pub(super) struct Output {
    bytes: [u8; LONGEST_MAC],
    length: usize,
}

impl Output {
    fn new(digest: &[u8]) -> Self {
        let mut bytes = [0; LONGEST_MAC];
        let length = digest.len().min(LONGEST_MAC);
        bytes[..length].copy_from_slice(&digest[..length]);
        Self { bytes, length }
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

/// A digest with its secret: HMAC, or a plain one that takes the secret from the template.
pub(super) enum Keyed {
    Sha1(Hmac<Sha1>),
    Sha256(Hmac<Sha256>),
    Sha512(Hmac<Sha512>),
    Plain(Algorithm, SecretSlice<u8>),
}

impl Keyed {
    pub(super) fn hmac(algorithm: Algorithm, key: &SecretSlice<u8>) -> Self {
        const ANY_LENGTH: &str = "HMAC takes keys of any length";
        let key = key.expose_secret();
        match algorithm {
            Algorithm::Sha1 => Self::Sha1(Hmac::new_from_slice(key).expect(ANY_LENGTH)),
            Algorithm::Sha256 => Self::Sha256(Hmac::new_from_slice(key).expect(ANY_LENGTH)),
            Algorithm::Sha512 => Self::Sha512(Hmac::new_from_slice(key).expect(ANY_LENGTH)),
        }
    }

    /// The digest of the signed text.
    pub(super) fn digest(&self, pieces: &[Piece<'_>]) -> Output {
        match self {
            Self::Sha1(keyed) => mac(keyed.clone(), pieces),
            Self::Sha256(keyed) => mac(keyed.clone(), pieces),
            Self::Sha512(keyed) => mac(keyed.clone(), pieces),
            Self::Plain(algorithm, secret) => plain(*algorithm, pieces, secret.expose_secret()),
        }
    }
}

fn mac<M: Mac>(mut keyed: M, pieces: &[Piece<'_>]) -> Output {
    feed(pieces, &[], |bytes| keyed.update(bytes));
    Output::new(&keyed.finalize().into_bytes())
}

/// The digest of `pieces` without a key.
pub(super) fn plain(algorithm: Algorithm, pieces: &[Piece<'_>], secret: &[u8]) -> Output {
    fn digest<D: sha2::Digest>(pieces: &[Piece<'_>], secret: &[u8]) -> Output {
        let mut digest = D::new();
        feed(pieces, secret, |bytes| digest.update(bytes));
        Output::new(&digest.finalize())
    }
    match algorithm {
        Algorithm::Sha1 => digest::<Sha1>(pieces, secret),
        Algorithm::Sha256 => digest::<Sha256>(pieces, secret),
        Algorithm::Sha512 => digest::<Sha512>(pieces, secret),
    }
}

/// SHA-256 of one text.
pub(super) fn sha256(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}
