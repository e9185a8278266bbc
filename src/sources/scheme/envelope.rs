//! What all schemes with a signed template share: where the signature and its time are, what is signed, and the checks
//! that these fit together. The algorithm itself is the scheme's.

use std::borrow::Cow;

use bytes::Bytes;
use serde_json::Value;

use super::{
    Draft, Refusal, Request,
    digest::plain,
    fault::Faults,
    form,
    json_pointer::JsonPointer,
    read_header,
    sign::CannotSign,
    signature::{Candidates, SignaturePlace, SignatureReader, check_key},
    spec::{BodyDigestSpec, SignatureFormat, SignatureSpec, TimeUnit, TimestampSpec},
    template::{Part, Piece, SecretPart, Template},
    timestamp::{self, SignedTime, TimePlace},
};
use crate::clock::Timestamp;

/// The parts of a scheme that its envelope is made of.
pub(super) struct EnvelopeSpec<'s> {
    pub(super) signature: &'s SignatureSpec,
    pub(super) signed: &'s str,
    pub(super) secret_part: SecretPart,
    pub(super) timestamp: Option<&'s TimestampSpec>,
    pub(super) body_digest: Option<&'s BodyDigestSpec>,
}

pub(super) struct Envelope {
    pub(super) signature: SignatureReader,
    template: Template,
    time: Option<SignedTime>,
    body_digest: Option<BodyDigestSpec>,
}

/// What a request says about itself, not yet believed.
pub(super) struct Claim<'r> {
    /// What stands in the signature's place.
    pub(super) signature: Cow<'r, str>,
    /// The time as received, which is what is signed.
    time: Option<Cow<'r, str>>,
    pub(super) signed_at: Option<Timestamp>,
}

impl Envelope {
    pub(super) fn new(spec: &EnvelopeSpec<'_>, faults: &mut Faults) -> Option<Self> {
        let signature = SignatureReader::new(spec.signature, faults);
        let template = Template::parse(spec.signed, spec.secret_part);
        let template = template.map_err(|wrong| wrong.into_iter().for_each(|fault| faults.add("signed", fault))).ok();
        let time = spec.timestamp.map(|time| SignedTime::new(time, faults));
        if let Some(digest) = spec.body_digest
            && digest.query.is_empty()
        {
            faults.add("body_digest.query", "is empty; expected the name of a query parameter");
        }
        let time = match time {
            None => None,
            Some(time) => Some(time?),
        };
        let envelope =
            Self { signature: signature?, template: template?, time, body_digest: spec.body_digest.cloned() };
        envelope.check(faults);
        Some(envelope)
    }

    /// Notes what does not fit together.
    fn check(&self, faults: &mut Faults) {
        let covers = |part: &Part| self.template.has(part);
        let covers_query = covers(&Part::Url) || covers(&Part::PathQuery);
        let covers_body = covers(&Part::Body) || (self.body_digest.is_some() && covers_query);
        if self.body_digest.is_some() && !covers_query {
            faults.add("body_digest", "is not signed: `signed` has neither {url} nor {path_query}");
        }
        if let SignaturePlace::Json(_) = self.signature.place
            && (covers_body || covers(&Part::FormSorted))
        {
            faults.add("signature.json", "stands in the body, so the signature cannot cover the body");
        }
        match &self.time {
            None if covers(&Part::Timestamp) => {
                faults.add("timestamp", "is missing, and `signed` has {timestamp}");
            }
            None => {}
            Some(time) => {
                let is_covered = covers(&Part::Timestamp)
                    || match &time.place {
                        TimePlace::Header(name) => covers(&Part::Header(name.clone())),
                        TimePlace::Json(pointer) => covers_body || covers(&Part::Json(pointer.clone())),
                        TimePlace::SignatureKey(_) => false,
                    };
                if !is_covered {
                    faults.add("timestamp", "is not signed, so it proves nothing: put {timestamp} into `signed`");
                }
                if let TimePlace::SignatureKey(key) = &time.place {
                    self.check_time_key(key, faults);
                }
            }
        }
    }

    fn check_time_key(&self, time_key: &str, faults: &mut Faults) {
        const PATH: &str = "timestamp.signature_key";
        check_key(PATH, time_key, faults);
        match &self.signature.format {
            SignatureFormat::Plain => faults.add(PATH, "needs signature.format = \"kv\""),
            SignatureFormat::Kv { key, .. } if key == time_key => faults.add(PATH, "is the key of the signature"),
            SignatureFormat::Kv { .. } => {}
        }
    }

    /// What is well configured and still worth a word.
    pub(super) fn warning(&self) -> Option<String> {
        let covers_body = self.body_digest.is_some() || self.template.has(&Part::Body);
        (!covers_body && !self.template.has(&Part::FormSorted)).then(|| {
            "the signature does not cover the body: whoever has seen one request can send others, as with a token"
                .to_owned()
        })
    }

    /// The headers that the signature covers, in lower case.
    pub(super) fn signed_headers(&self) -> Vec<String> {
        let mut headers: Vec<String> = self.template.headers().map(str::to_owned).collect();
        if let Some(SignedTime { place: TimePlace::Header(name), .. }) = &self.time
            && !headers.contains(name)
        {
            headers.push(name.clone());
        }
        headers
    }

    pub(super) fn needs_public_url(&self) -> bool {
        self.template.has(&Part::Url)
    }

    /// Reads the signature and its time, and refuses what cannot be right whatever the signature is.
    pub(super) fn claim<'r>(&self, request: &'r Request) -> Result<Claim<'r>, Refusal> {
        let signature = self.signature.text(request)?;
        let Some(time) = &self.time else { return Ok(Claim { signature, time: None, signed_at: None }) };
        let text = match &time.place {
            TimePlace::Header(name) => read_header(request, name)?.map(Cow::Borrowed),
            TimePlace::SignatureKey(key) => match &signature {
                Cow::Borrowed(text) => self.signature.value_of(key, text)?.map(Cow::Borrowed),
                Cow::Owned(text) => self.signature.value_of(key, text)?.map(|value| Cow::Owned(value.to_owned())),
            },
            TimePlace::Json(pointer) => match pointer.find(&request.body) {
                Err(Refusal::MissingField { .. }) => None,
                other => Some(other?),
            },
        };
        let text = text.filter(|text| !text.is_empty()).ok_or(Refusal::MissingTimestamp)?;
        let signed_at = timestamp::parse(time.unit, &text)?;
        Ok(Claim { signature, time: Some(text), signed_at: Some(signed_at) })
    }

    /// The pieces of the text that the signature has to cover.
    pub(super) fn pieces<'r>(
        &'r self,
        request: &'r Request,
        public_url: Option<&'r str>,
        claim: &'r Claim<'r>,
    ) -> Result<Vec<Piece<'r>>, Refusal> {
        self.template.pieces(request, public_url, claim.time.as_deref())
    }

    /// What is left to check once the signature is known to be right: the body's digest, which it covers only
    /// indirectly, and its age. Only a right signature makes "stale" worth saying.
    pub(super) fn check_the_rest(&self, request: &Request, claim: &Claim<'_>, now: Timestamp) -> Result<(), Refusal> {
        if let Some(digest) = &self.body_digest {
            check_body_digest(digest, request)?;
        }
        match (&self.time, claim.signed_at) {
            (Some(time), Some(signed_at)) => time.check(signed_at, now),
            (_, _) => Ok(()),
        }
    }

    /// Puts a signature made by `sign` into a draft, with everything that it covers.
    pub(super) fn seal(
        &self,
        draft: Draft,
        public_url: Option<&str>,
        now: Timestamp,
        sign: impl FnOnce(&[Piece<'_>]) -> Vec<u8>,
    ) -> Result<Request, CannotSign> {
        let mut request = draft.0;
        let time = self.time.as_ref().map(|time| timestamp::format(time.unit, now));
        let mut time_beside = None;
        if let (Some(SignedTime { place, unit, .. }), Some(text)) = (&self.time, &time) {
            match place {
                TimePlace::Header(name) => request.headers.set(name, text),
                TimePlace::SignatureKey(key) => time_beside = Some((key.as_str(), text.as_str())),
                TimePlace::Json(pointer) => set_in_body(&mut request, pointer, time_value(*unit, text))?,
            }
        }
        if let Some(BodyDigestSpec { query, algorithm, encoding }) = &self.body_digest {
            let digest = plain(*algorithm, &[Piece::Bytes(Cow::Borrowed(&request.body))], &[]);
            request.path_query = form::with_parameter(&request.path_query, query, &encoding.encode(digest.as_bytes()));
        }
        let signature = sign(&self.template.pieces(&request, public_url, time.as_deref())?);
        let text = self.signature.write(&signature, time_beside);
        match &self.signature.place {
            SignaturePlace::Header(name) => request.headers.set(name, &text),
            SignaturePlace::Json(pointer) => set_in_body(&mut request, pointer, Value::String(text))?,
        }
        Ok(request)
    }
}

fn check_body_digest(spec: &BodyDigestSpec, request: &Request) -> Result<(), Refusal> {
    let received = form::query_parameter(&request.path_query, &spec.query)?.ok_or(Refusal::MissingBodyDigest)?;
    let mut candidate = Candidates::new(spec.algorithm.length());
    if !str::from_utf8(&received).is_ok_and(|text| candidate.push(spec.encoding, text)) {
        return Err(Refusal::MalformedBodyDigest);
    }
    let digest = plain(spec.algorithm, &[Piece::Bytes(Cow::Borrowed(&request.body))], &[]);
    if candidate.contain(digest.as_bytes()) { Ok(()) } else { Err(Refusal::WrongBodyDigest) }
}

/// A number where senders write one: times in seconds and milliseconds.
fn time_value(unit: TimeUnit, text: &str) -> Value {
    match unit {
        TimeUnit::Seconds | TimeUnit::Millis => text.parse().map_or_else(|_| Value::from(text), |ms: i64| ms.into()),
        TimeUnit::Rfc3339 | TimeUnit::HttpDate => Value::from(text),
    }
}

/// Writes the body anew with `value` in its place.
fn set_in_body(request: &mut Request, pointer: &JsonPointer, value: Value) -> Result<(), CannotSign> {
    let mut body: Value = serde_json::from_slice(&request.body).map_err(|_| CannotSign::BodyIsNotJson)?;
    if !pointer.set(&mut body, value) {
        return Err(CannotSign::NoRoom { pointer: pointer.as_str().to_owned() });
    }
    request.body = Bytes::from(body.to_string());
    Ok(())
}
