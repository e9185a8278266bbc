//! Where signatures stand in a request and how they are taken out of there. Limits apply before anything is computed.

use std::borrow::Cow;

use subtle::ConstantTimeEq as _;

use super::{
    Refusal, Request,
    fault::{Faults, header_name},
    json_pointer::JsonPointer,
    read_header,
    spec::{Place, SignatureFormat, SignatureSpec, TextEncoding},
};

/// How many signatures of one request are tried; senders list two during a rotation.
pub(super) const MOST_SIGNATURES: usize = 10;
/// The longest keyed digest, in bytes: SHA-512.
pub(super) const LONGEST_MAC: usize = 64;

#[derive(Clone, Debug)]
pub(super) enum SignaturePlace {
    /// Lower case.
    Header(String),
    Json(JsonPointer),
}

/// Takes signatures out of a request.
#[derive(Clone, Debug)]
pub(super) struct SignatureReader {
    pub(super) place: SignaturePlace,
    pub(super) format: SignatureFormat,
    prefix: String,
    pub(super) encoding: TextEncoding,
}

impl SignatureReader {
    pub(super) fn new(spec: &SignatureSpec, faults: &mut Faults) -> Option<Self> {
        let place = match &spec.place {
            Place::Header(name) => faults.note("signature.header", header_name(name)).map(SignaturePlace::Header),
            Place::Json(pointer) => {
                faults.note("signature.json", JsonPointer::parse(pointer)).map(SignaturePlace::Json)
            }
        };
        if let SignatureFormat::Kv { key, separator } = &spec.format {
            check_key("signature.key", key, faults);
            if separator.trim().is_empty() || separator.contains('=') {
                faults.add("signature.separator", "must be what stands between the pairs, such as `,`");
            }
        }
        Some(Self { place: place?, format: spec.format.clone(), prefix: spec.prefix.clone(), encoding: spec.encoding })
    }

    /// The whole text that stands in the signature's place.
    pub(super) fn text<'r>(&self, request: &'r Request) -> Result<Cow<'r, str>, Refusal> {
        let text = match &self.place {
            SignaturePlace::Header(name) => read_header(request, name)?.map(Cow::Borrowed),
            SignaturePlace::Json(pointer) => match pointer.find(&request.body) {
                Err(Refusal::MissingField { .. }) => None,
                other => Some(other?),
            },
        };
        text.filter(|text| !text.is_empty()).ok_or(Refusal::MissingSignature)
    }

    /// The only value of the pair `key` in the signature's text.
    pub(super) fn value_of<'t>(&self, key: &str, text: &'t str) -> Result<Option<&'t str>, Refusal> {
        let SignatureFormat::Kv { separator, .. } = &self.format else { return Ok(None) };
        let mut values = pairs(text, separator).filter(|(known, _)| *known == key).map(|(_, value)| value);
        let first = values.next();
        if values.all(|other| Some(other) == first) { Ok(first) } else { Err(Refusal::ContradictingTimestamps) }
    }

    /// Hands each listed signature, without its prefix, to `take`, which says whether it is well formed.
    /// A malformed one beside a well-formed one is passed over, as one of an unknown version is.
    fn each(&self, text: &str, mut take: impl FnMut(&str) -> bool) -> Result<(), Refusal> {
        let (mut seen, mut without_prefix, mut well_formed) = (0, 0, 0);
        let mut visit = |value: &str| {
            seen += 1;
            match value.strip_prefix(self.prefix.as_str()) {
                _ if seen > MOST_SIGNATURES => return Err(Refusal::TooManySignatures),
                Some(signature) => well_formed += usize::from(take(signature)),
                None => without_prefix += 1,
            }
            Ok(())
        };
        match &self.format {
            SignatureFormat::Plain => visit(text)?,
            SignatureFormat::Kv { key, separator } => {
                pairs(text, separator).filter(|(known, _)| known == key).try_for_each(|(_, value)| visit(value))?;
            }
        }
        match (seen, well_formed, without_prefix) {
            (0, _, _) => Err(Refusal::MissingSignature),
            (_, 0, 0) => Err(Refusal::MalformedSignature),
            (_, 0, _) => Err(Refusal::MissingPrefix),
            _ => Ok(()),
        }
    }

    /// The listed signatures of exactly `length` bytes.
    pub(super) fn fixed(&self, text: &str, length: usize) -> Result<Candidates, Refusal> {
        let mut candidates = Candidates::new(length);
        self.each(text, |signature| candidates.push(self.encoding, signature))?;
        Ok(candidates)
    }

    /// The listed signatures, of whatever length their kind has.
    pub(super) fn any_length(&self, text: &str) -> Result<Vec<Vec<u8>>, Refusal> {
        let mut signatures = Vec::new();
        self.each(text, |signature| {
            let decoded = self.encoding.decode(signature).filter(|bytes| !bytes.is_empty());
            decoded.map(|bytes| signatures.push(bytes)).is_some()
        })?;
        Ok(signatures)
    }

    /// The text for the signature's place, with the signed time beside it where the format has room for it.
    pub(super) fn write(&self, signature: &[u8], time: Option<(&str, &str)>) -> String {
        let signature = format!("{}{}", self.prefix, self.encoding.encode(signature));
        match (&self.format, time) {
            (SignatureFormat::Plain, _) => signature,
            (SignatureFormat::Kv { key, .. }, None) => format!("{key}={signature}"),
            (SignatureFormat::Kv { key, separator }, Some((time_key, time))) => {
                format!("{time_key}={time}{separator}{key}={signature}")
            }
        }
    }
}

/// A key of `key=value` pairs must be such that it can be found again.
pub(super) fn check_key(path: &str, key: &str, faults: &mut Faults) {
    if key.trim() != key || key.is_empty() || key.contains('=') {
        faults.add(path, "must be the key of a pair, such as `v1`");
    }
}

/// The pairs of a `key=value` list; blanks around a pair do not count (`WorkOS` writes one after the comma).
fn pairs<'t>(text: &'t str, separator: &str) -> impl Iterator<Item = (&'t str, &'t str)> {
    text.split(separator).filter_map(|pair| pair.trim_matches([' ', '\t']).split_once('='))
}

/// Decoded signatures of one length, kept on the stack.
pub(super) struct Candidates {
    bytes: [[u8; LONGEST_MAC]; MOST_SIGNATURES],
    count: usize,
    length: usize,
}

impl Candidates {
    /// Of signatures that are `length` bytes long, at most [`LONGEST_MAC`].
    pub(super) fn new(length: usize) -> Self {
        Self { bytes: [[0; LONGEST_MAC]; MOST_SIGNATURES], count: 0, length: length.min(LONGEST_MAC) }
    }

    /// Adds a signature; false when it is malformed or there is no room.
    pub(super) fn push(&mut self, encoding: TextEncoding, text: &str) -> bool {
        let Some(room) = self.bytes.get_mut(self.count) else { return false };
        let well_formed = encoding.decode_exact(text, &mut room[..self.length]);
        self.count += usize::from(well_formed);
        well_formed
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &[u8]> {
        self.bytes[..self.count].iter().map(|bytes| &bytes[..self.length])
    }

    /// Whether any is `mac`; each comparison takes the same time wherever they differ.
    pub(super) fn contain(&self, mac: &[u8]) -> bool {
        self.iter().any(|candidate| candidate.ct_eq(mac).into())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn reader(encoding: TextEncoding) -> SignatureReader {
        let format = SignatureFormat::Kv { key: "v1".to_owned(), separator: ",".to_owned() };
        let spec = SignatureSpec { place: Place::Header("x-sig".to_owned()), format, prefix: String::new(), encoding };
        SignatureReader::new(&spec, &mut Faults::default()).expect("a good place")
    }

    proptest! {
        #[test]
        fn a_list_of_many_pairs_gives_few_signatures_or_a_refusal(
            pairs in prop::collection::vec(("v0|v1|t|", "(00){0,3}|[0-9a-f]{0,8}|=|x"), 0..400),
        ) {
            let text = pairs.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(",");
            let listed = pairs.iter().filter(|(key, _)| key == "v1").count();
            let reader = reader(TextEncoding::Hex);
            let results = [
                reader.fixed(&text, 2).map(|candidates| candidates.iter().count()),
                reader.any_length(&text).map(|signatures| signatures.len()),
            ];
            for result in results {
                match result {
                    Ok(count) => prop_assert!((1..=listed.min(MOST_SIGNATURES)).contains(&count)),
                    Err(Refusal::TooManySignatures) => prop_assert!(listed > MOST_SIGNATURES),
                    Err(Refusal::MissingSignature) => prop_assert_eq!(listed, 0),
                    Err(refusal) => prop_assert_eq!(refusal, Refusal::MalformedSignature),
                }
            }
        }

        #[test]
        fn no_text_makes_reading_signatures_panic(text in "[v1=, \t0-9a-f+/_-]{0,200}|.{0,100}") {
            for encoding in [TextEncoding::Hex, TextEncoding::Base64, TextEncoding::Base64Url] {
                let reader = reader(encoding);
                let any_length: usize = reader.any_length(&text).unwrap_or_default().iter().map(Vec::len).sum();
                prop_assert!(any_length <= text.len());
                let _ = reader.fixed(&text, LONGEST_MAC);
                let _ = reader.value_of("t", &text);
            }
        }
    }
}
