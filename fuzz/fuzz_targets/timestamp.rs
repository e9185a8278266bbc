//! Any text as a time: in the signatures of every unit, where only the strict form may be read, and in a mapping.

#![no_main]

use std::{sync::LazyLock, time::Duration};

use bytes::Bytes;
use contact_relay::{
    clock::Timestamp,
    mapping::{Mapping, Outcome, spec::MappingSpec, spec::Target},
    sources::{
        Headers, Refusal, Request, Secret, Verifier,
        scheme::spec::{
            Algorithm, Place, SchemeSpec, SecretEncoding, SignatureFormat, SignatureSpec, SignedSpec, TextEncoding,
            TimeUnit, TimestampPlace, TimestampSpec,
        },
    },
};
use contact_relay_fuzz::{NOW, SECRET, map, webhook};
use libfuzzer_sys::fuzz_target;

static VERIFIERS: LazyLock<Vec<(TimeUnit, Verifier)>> = LazyLock::new(|| {
    [TimeUnit::Seconds, TimeUnit::Millis, TimeUnit::Rfc3339, TimeUnit::HttpDate]
        .map(|unit| (unit, verifier(unit)))
        .into()
});

static MAPPING: LazyLock<Mapping> = LazyLock::new(|| {
    let mut spec = MappingSpec { occurred_at: Some(".".to_owned()), ..MappingSpec::default() };
    spec.map.insert(Target::Identifier, "\"1\"".to_owned());
    Mapping::compile(&spec).expect("a good mapping")
});

fn verifier(unit: TimeUnit) -> Verifier {
    let signature = SignatureSpec {
        place: Place::Header("x-sig".to_owned()),
        format: SignatureFormat::Plain,
        prefix: String::new(),
        encoding: TextEncoding::Hex,
    };
    let place = TimestampPlace::Header("x-time".to_owned());
    let spec = SchemeSpec::Hmac(SignedSpec {
        algorithm: Algorithm::Sha256,
        secret_encoding: SecretEncoding::Utf8,
        signature,
        signed: "{timestamp}.{body}".to_owned(),
        timestamp: Some(TimestampSpec { place, unit, tolerance: Duration::from_mins(5) }),
        body_digest: None,
    });
    Verifier::new(spec, vec![Secret { value: SECRET.into(), not_after: None }]).expect("a good scheme")
}

/// Whether the text can only be what the unit says, as a rule that shares nothing with the reader's.
fn is_strict(unit: TimeUnit, text: &str) -> bool {
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    match unit {
        TimeUnit::Seconds | TimeUnit::Millis => digits(text) && text.len() <= 19,
        TimeUnit::Rfc3339 => text.len() <= 64 && text.trim() == text && text.contains(['-', '\u{2212}']),
        TimeUnit::HttpDate => text.len() <= 64 && text.trim() == text && text.contains(':'),
    }
}

fuzz_target!(|input: &[u8]| {
    let text = String::from_utf8_lossy(input).into_owned();
    for (unit, verifier) in VERIFIERS.iter() {
        let headers = [("x-time".to_owned(), text.clone()), ("x-sig".to_owned(), "00".repeat(32))];
        let request = Request {
            method: "POST".to_owned(),
            path_query: "/hooks/it".to_owned(),
            headers: Headers::new(headers),
            body: Bytes::new(),
        };
        match verifier.verify(&request, None, NOW) {
            Err(Refusal::MissingTimestamp) => assert!(text.is_empty()),
            Err(Refusal::HeaderTooLong { .. }) => assert!(text.len() > 8 * 1024),
            Err(Refusal::MalformedTimestamp) => {}
            // The time was read: the signature is the next thing to be wrong.
            Err(Refusal::WrongSignature) => assert!(is_strict(*unit, &text), "{unit:?} read {text:?}"),
            other => panic!("{other:?}"),
        }
    }
    if let Some(moment) = Timestamp::parse_rfc3339(&text) {
        assert_eq!(Timestamp::parse_rfc3339(&moment.to_string()), Some(moment), "a time is read as it was written");
    }
    let json = serde_json::to_vec(&text).expect("a text is JSON");
    for body in [&json[..], input] {
        let Ok(mapped) = map(&MAPPING, &webhook("application/json", body), &[]) else { continue };
        let Outcome::Mapped(elements) = mapped.result else { continue };
        for moment in elements.iter().filter_map(|element| element.occurred_at) {
            assert!(moment.to_string().ends_with('Z'), "{moment} is a time that can be written");
        }
    }
});
