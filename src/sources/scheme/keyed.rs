//! Schemes `hmac` and `hash`: a digest over a template, with one of several secrets.

use secrecy::{ExposeSecret as _, SecretString};

use super::{
    Draft, Proof, Refusal, Request, Secret,
    digest::Keyed,
    envelope::{Envelope, EnvelopeSpec},
    fault::Faults,
    is_past,
    sign::CannotSign,
    spec::{Algorithm, SecretEncoding, SignedSpec},
    template::SecretPart,
};
use crate::clock::Timestamp;

/// What the digest does with the secret.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Hmac,
    Hash,
}

pub(super) struct KeyedScheme {
    pub(super) envelope: Envelope,
    algorithm: Algorithm,
    /// In the order configured.
    keys: Vec<(Keyed, Option<Timestamp>)>,
}

impl KeyedScheme {
    pub(super) fn new(kind: Kind, spec: &SignedSpec, secrets: &[Secret], faults: &mut Faults) -> Option<Self> {
        let envelope = EnvelopeSpec {
            signature: &spec.signature,
            signed: &spec.signed,
            secret_part: match kind {
                Kind::Hmac => SecretPart::Forbidden,
                Kind::Hash => SecretPart::Required,
            },
            timestamp: spec.timestamp.as_ref(),
            body_digest: spec.body_digest.as_ref(),
        };
        let envelope = Envelope::new(&envelope, faults);
        let keys = secrets.iter().enumerate().filter_map(|(position, secret)| {
            let key = decode(spec.secret_encoding, &secret.value);
            let key = faults.note(format!("secret[{position}]"), key)?;
            let keyed = match kind {
                Kind::Hmac => Keyed::hmac(spec.algorithm, &key),
                Kind::Hash => Keyed::Plain(spec.algorithm, key),
            };
            Some((keyed, secret.not_after))
        });
        let keys = keys.collect();
        Some(Self { envelope: envelope?, algorithm: spec.algorithm, keys })
    }

    pub(super) fn verify(&self, request: &Request, public_url: Option<&str>, now: Timestamp) -> Result<Proof, Refusal> {
        let claim = self.envelope.claim(request)?;
        let candidates = self.envelope.signature.fixed(&claim.signature, self.algorithm.length())?;
        let pieces = self.envelope.pieces(request, public_url, &claim)?;
        let mut fits = self
            .keys
            .iter()
            .enumerate()
            .filter(|(_, (keyed, _))| candidates.contain(keyed.digest(&pieces).as_bytes()))
            .map(|(position, (_, not_after))| (position, is_past(*not_after, now)))
            .peekable();
        if fits.peek().is_none() {
            return Err(Refusal::WrongSignature);
        }
        let (secret, _) = fits.find(|(_, past)| !past).ok_or(Refusal::SecretExpired)?;
        self.envelope.check_the_rest(request, &claim, now)?;
        Ok(Proof { secret: Some(secret), signed_at: claim.signed_at })
    }

    pub(super) fn answer_challenge(&self, position: usize, text: &str) -> Option<String> {
        let (keyed, _) = self.keys.get(position)?;
        // A plain digest without the secret would prove nothing.
        let is_hmac = !matches!(keyed, Keyed::Plain(..));
        is_hmac.then(|| hex::encode(keyed.digest(&[text.into()]).as_bytes()))
    }

    /// Signs with the first secret that still holds.
    pub(super) fn sign(&self, draft: Draft, public_url: Option<&str>, now: Timestamp) -> Result<Request, CannotSign> {
        let holds = |(_, not_after): &&(Keyed, Option<Timestamp>)| !is_past(*not_after, now);
        let (keyed, _) = self.keys.iter().find(holds).ok_or(CannotSign::Incomplete(Refusal::SecretExpired))?;
        self.envelope.seal(draft, public_url, now, |pieces| keyed.digest(pieces).as_bytes().to_vec())
    }
}

fn decode(encoding: SecretEncoding, secret: &SecretString) -> Result<secrecy::SecretSlice<u8>, &'static str> {
    let text = secret.expose_secret();
    if encoding == SecretEncoding::Whsec && text.starts_with("whpk_") {
        return Err("is a public key; this scheme needs the secret, which begins with `whsec_`");
    }
    encoding.decode(text)
}
