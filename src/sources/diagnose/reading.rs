//! Mistakes in reading a signature: another header, another prefix, another encoding, another digest. What a signature is
//! can be told from how it looks, so that no combinations have to be tried.

use super::{
    Finding,
    change::{Case, Change, Kind},
};
use crate::sources::scheme::spec::{Algorithm, Place, SignatureFormat, SignatureSpec, TextEncoding};

/// Headers that are looked at beside the configured one.
const MOST_HEADERS: usize = 6;
/// The longest value that may be a signature.
const LONGEST: usize = 1_024;

/// A signature as it looks.
struct Looks {
    signature: SignatureSpec,
    algorithm: Algorithm,
}

pub(super) fn changes(case: &Case) -> Vec<Change> {
    let Some(configured) = case.signature() else { return Vec::new() };
    let changed = candidates(case).into_iter().filter_map(|looks| {
        let differs = differences(configured, case.signed().map(|spec| spec.algorithm), &looks);
        if differs.is_empty() {
            return None;
        }
        let (code, _) = differs[0];
        let text: Vec<String> = differs.into_iter().map(|(_, text)| text).collect();
        let text = format!(
            "it fits if the signature is read as it looks; in [sources.{}.verify]: {}",
            case.source,
            text.join("; ")
        );
        Some(Change::new(Kind::Reading, code, text, move |case| {
            if let Some(signature) = case.signature_mut() {
                signature.clone_from(&looks.signature);
            }
            if let Some(spec) = case.signed_mut() {
                spec.algorithm = looks.algorithm;
            }
        }))
    });
    changed.collect()
}

/// What differs in how the signature looks, though nothing proves that it is one.
pub(super) fn appearance(case: &Case) -> Vec<Finding> {
    let Some(configured) = case.signature() else { return Vec::new() };
    let algorithm = case.signed().map(|spec| spec.algorithm);
    let seen = candidates(case).into_iter().map(|looks| differences(configured, algorithm, &looks));
    let Some(differs) = seen.min_by_key(Vec::len).filter(|differs| !differs.is_empty()) else { return Vec::new() };
    differs
        .into_iter()
        .map(|(code, text)| {
            Finding::new(
                code,
                format!("the request looks otherwise than configured, and the secret does not fit either: {text}"),
            )
        })
        .collect()
}

/// What looks like a signature: in the configured header first, then in others whose name speaks of one.
fn candidates(case: &Case) -> Vec<Looks> {
    let Some(SignatureSpec { place: Place::Header(expected), .. }) = case.signature() else { return Vec::new() };
    let speaks = |name: &str| ["signature", "hmac", "-sig", "digest", "hash"].iter().any(|part| name.contains(part));
    let others = case
        .request
        .headers
        .iter()
        .map(|(name, _)| name)
        .filter(|name| speaks(name) && !name.eq_ignore_ascii_case(expected));
    std::iter::once(expected.as_str())
        .chain(others.take(MOST_HEADERS))
        .filter_map(|name| look(name, case.header(name)?))
        .collect()
}

/// What `text` in the header `name` looks like.
fn look(name: &str, text: &str) -> Option<Looks> {
    if text.len() > LONGEST {
        return None;
    }
    let place = Place::Header(name.to_owned());
    let plain = |prefix: &str, rest: &str| {
        let (encoding, algorithm) = encoded(rest)?;
        let signature =
            SignatureSpec { place: place.clone(), format: SignatureFormat::Plain, prefix: prefix.to_owned(), encoding };
        Some(Looks { signature, algorithm })
    };
    if let Some(looks) = plain("", text) {
        return Some(looks);
    }
    for separator in [",", ";", " "] {
        let pairs: Vec<(&str, &str)> = text
            .split(separator)
            .filter_map(|pair| pair.trim().split_once('='))
            .filter(|(key, _)| is_word(key))
            .collect();
        let found = pairs.iter().find_map(|(key, value)| Some((*key, encoded(value)?)));
        if let Some((key, (encoding, algorithm))) = found.filter(|_| pairs.len() > 1) {
            let format = SignatureFormat::Kv { key: key.to_owned(), separator: separator.to_owned() };
            return Some(Looks {
                signature: SignatureSpec { place, format, prefix: String::new(), encoding },
                algorithm,
            });
        }
    }
    // `sha256=`, `v0=`, `Bearer `: a word and what ends it.
    let end = text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != '-')? + 1;
    let (prefix, rest) = text.split_at_checked(end)?;
    plain(prefix, rest)
}

fn is_word(text: &str) -> bool {
    (1..=20).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-')
}

/// The encoding and digest of a text, told by its characters and the number of bytes.
fn encoded(text: &str) -> Option<(TextEncoding, Algorithm)> {
    let by_length = |length| {
        Some(match length {
            20 => Algorithm::Sha1,
            32 => Algorithm::Sha256,
            64 => Algorithm::Sha512,
            _ => return None,
        })
    };
    // All hexadecimal is base64 as well, but no base64 of a digest is hexadecimal but by a miracle.
    for encoding in [TextEncoding::Hex, TextEncoding::Base64, TextEncoding::Base64Url] {
        let algorithm = encoding.decode(text).and_then(|bytes| by_length(bytes.len()));
        if let Some(algorithm) = algorithm {
            return Some((encoding, algorithm));
        }
    }
    None
}

/// What to write otherwise, each with its code; the most telling first.
fn differences(configured: &SignatureSpec, algorithm: Option<Algorithm>, looks: &Looks) -> Vec<(&'static str, String)> {
    let mut differs = Vec::new();
    let found = &looks.signature;
    if let (Place::Header(wanted), Place::Header(there)) = (&configured.place, &found.place)
        && !wanted.eq_ignore_ascii_case(there)
    {
        differs.push(("signature_header", format!("signature.header = \"{there}\" instead of {wanted}")));
    }
    if configured.format != found.format {
        differs.push((
            "signature_format",
            match &found.format {
                SignatureFormat::Plain => "signature.format = \"plain\"".to_owned(),
                SignatureFormat::Kv { key, separator } => {
                    format!("signature.format = \"kv\", key = \"{key}\", separator = \"{separator}\"")
                }
            },
        ));
    }
    if configured.prefix != found.prefix {
        differs.push(("signature_prefix", format!("signature.prefix = \"{}\"", found.prefix)));
    }
    if configured.encoding != found.encoding {
        let word = match found.encoding {
            TextEncoding::Hex => "hex",
            TextEncoding::Base64 => "base64",
            TextEncoding::Base64Url => "base64url",
        };
        differs.push(("signature_encoding", format!("signature.encoding = \"{word}\"")));
    }
    if algorithm.is_some_and(|algorithm| algorithm != looks.algorithm) {
        let word = match looks.algorithm {
            Algorithm::Sha1 => "sha1",
            Algorithm::Sha256 => "sha256",
            Algorithm::Sha512 => "sha512",
        };
        differs.push(("algorithm", format!("algorithm = \"{word}\"")));
    }
    differs
}
