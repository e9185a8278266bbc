//! Each mistake is made on purpose, and found.

use std::time::Duration;

use secrecy::SecretString;

use super::*;
use crate::sources::{
    Draft, Secret, Verifier,
    scheme::spec::{
        Algorithm, Place, SchemeSpec, SecretEncoding, SignatureFormat, SignatureSpec, SignedSpec, StandardWebhooksSpec,
        TextEncoding, TimeUnit, TimestampPlace, TimestampSpec, TokenSpec,
    },
};

const NOW: Timestamp = Timestamp::from_secs(1_790_946_851);
const SECRET: &str = "c2VjcmV0LW9mLXRoZS10ZXN0cw==";
const BODY: &str = r#"{"id":7,"name":"דנה/x","tags":["a","b"]}"#;
const MINUTE: Duration = Duration::from_mins(1);

fn signed() -> SignedSpec {
    SignedSpec {
        algorithm: Algorithm::Sha256,
        secret_encoding: SecretEncoding::Utf8,
        signature: SignatureSpec {
            place: Place::Header("X-Signature".to_owned()),
            format: SignatureFormat::Plain,
            prefix: "sha256=".to_owned(),
            encoding: TextEncoding::Hex,
        },
        signed: "{body}".to_owned(),
        timestamp: None,
        body_digest: None,
    }
}

fn timed() -> SignedSpec {
    let place = TimestampPlace::Header("X-Timestamp".to_owned());
    let timestamp = Some(TimestampSpec { place, unit: TimeUnit::Seconds, tolerance: 5 * MINUTE });
    SignedSpec { signed: "{timestamp}.{body}".to_owned(), timestamp, ..signed() }
}

fn with(change: impl FnOnce(&mut SignedSpec)) -> SignedSpec {
    let mut spec = signed();
    change(&mut spec);
    spec
}

fn source_of(name: &str, spec: SchemeSpec, secret: &str, url: Option<&str>) -> Source {
    let secret = Secret { value: SecretString::from(secret.to_owned()), not_after: None };
    Source::new(name, Verifier::new(spec, vec![secret]).expect("a good scheme"), url.map(str::to_owned))
}

fn source(spec: SignedSpec, secret: &str) -> Source {
    source_of("crm", SchemeSpec::Hmac(spec), secret, None)
}

/// A request as a sender with this scheme and secret sends it.
fn sent(by: &Source, body: &str) -> Request {
    let draft = Draft::post("/hooks/crm", "application/json", body.to_owned());
    by.verifier().sign(draft, by.public_url(), NOW).expect("signed")
}

fn codes(ours: &Source, request: &Request) -> Vec<String> {
    diagnose(ours, &[], request, NOW).into_iter().map(|finding| finding.code).collect()
}

/// What our plain source finds in a request of a sender that is set up otherwise.
fn mistake(theirs: SignedSpec) -> Vec<String> {
    codes(&source(signed(), SECRET), &sent(&source(theirs, SECRET), BODY))
}

#[test]
fn a_secret_that_the_sender_decodes_is_found() {
    for (encoding, word) in [(SecretEncoding::Base64, "base64"), (SecretEncoding::Whsec, "base64")] {
        let request = sent(&source(with(|spec| spec.secret_encoding = encoding), SECRET), BODY);
        let findings = diagnose(&source(signed(), SECRET), &[], &request, NOW);
        assert_eq!(findings.len(), 1);
        assert_eq!(findings[0].code, "secret_encoding");
        assert!(findings[0].text.contains(&format!("secret_encoding = \"{word}\" in [sources.crm.verify]")));
    }
    let hex = "00ff00ff00ff";
    let request = sent(&source(with(|spec| spec.secret_encoding = SecretEncoding::Hex), hex), BODY);
    assert_eq!(codes(&source(signed(), hex), &request), ["secret_encoding"]);
}

#[test]
fn a_secret_with_something_too_much_or_too_little_is_found() {
    for (ours, theirs, code) in [
        (" secret\n", "secret", "secret_blanks"),
        ("secret", "secret\n", "secret_line_end"),
        ("\"secret\"", "secret", "secret_quotes"),
        ("whsec_a b", "a b", "secret_prefix_kept"),
        ("a b", "whsec_a b", "secret_prefix_lost"),
        ("a&amp;b", "a&b", "secret_entities"),
    ] {
        let request = sent(&source(signed(), theirs), BODY);
        assert_eq!(codes(&source(signed(), ours), &request), [code], "{ours}");
    }
}

#[test]
fn a_signature_that_is_written_otherwise_is_found() {
    assert_eq!(mistake(with(|spec| spec.signature.encoding = TextEncoding::Base64)), ["signature_encoding"]);
    assert_eq!(mistake(with(|spec| spec.signature.prefix = String::new())), ["signature_prefix"]);
    assert_eq!(mistake(with(|spec| spec.algorithm = Algorithm::Sha512)), ["algorithm"]);
    let elsewhere = with(|spec| {
        spec.signature.place = Place::Header("X-Hub-Signature".to_owned());
        spec.signature.prefix = "sha1=".to_owned();
        spec.algorithm = Algorithm::Sha1;
    });
    let findings = diagnose(&source(signed(), SECRET), &[], &sent(&source(elsewhere, SECRET), BODY), NOW);
    assert_eq!(findings[0].code, "signature_header");
    for expected in ["signature.header = \"x-hub-signature\"", "prefix = \"sha1=\"", "algorithm = \"sha1\""] {
        assert!(findings[0].text.contains(expected), "{findings:?}");
    }
}

#[test]
fn two_mistakes_at_once_are_found() {
    let both = with(|spec| {
        spec.signature.encoding = TextEncoding::Base64;
        spec.secret_encoding = SecretEncoding::Base64;
    });
    assert_eq!(mistake(both), ["secret_encoding", "signature_encoding"]);
}

#[test]
fn a_body_that_was_changed_on_its_way_is_found() {
    let ours = source(signed(), SECRET);
    let pretty = serde_json::to_string_pretty(&serde_json::json!({ "name": "דנה" })).unwrap();
    for (signed, arrived, code) in [
        (BODY.to_owned(), format!("{BODY}\n"), "body_line_end"),
        (format!("{BODY}\n"), BODY.to_owned(), "body_line_end"),
        (BODY.to_owned(), format!("\u{feff}{BODY}"), "body_mark"),
        ("{\n}".to_owned(), "{\r\n}".to_owned(), "body_line_ends"),
        (BODY.to_owned(), r#"{ "id": 7, "name": "דנה/x", "tags": ["a", "b"] }"#.to_owned(), "body_rewritten"),
        (r#"{"name":"\u05d3\/x"}"#.to_owned(), r#"{"name":"ד/x"}"#.to_owned(), "body_rewritten"),
        (r#"{"name":"a \u003c b"}"#.to_owned(), r#"{"name":"a < b"}"#.to_owned(), "body_rewritten"),
        (r#"{"name": "\u05d3\u05e0\u05d4"}"#.to_owned(), r#"{"name":"דנה"}"#.to_owned(), "body_rewritten"),
        (pretty, r#"{"name":"דנה"}"#.to_owned(), "body_rewritten"),
    ] {
        let mut request = sent(&ours, &signed);
        request.body = arrived.into();
        assert_eq!(codes(&ours, &request), [code], "{signed}");
    }
    let mut empty = sent(&ours, BODY);
    empty.body = bytes::Bytes::default();
    assert_eq!(codes(&ours, &empty), ["empty_body"]);
}

#[test]
fn a_clock_that_is_wrong_is_found_with_its_minutes() {
    let ours = source(timed(), SECRET);
    let request = sent(&ours, BODY);
    let late = diagnose(&ours, &[], &request, NOW + 7 * MINUTE);
    assert_eq!((late.len(), late[0].code.as_str()), (1, "clock_behind"));
    assert!(late[0].text.contains("7 minutes ago") && late[0].text.contains("tolerance is 5 minutes"), "{late:?}");
    let early = diagnose(&ours, &[], &request, NOW - 7 * MINUTE);
    assert_eq!(early[0].code, "clock_ahead");
    assert!(early[0].text.contains("7 minutes ahead"), "{early:?}");
}

#[test]
fn a_time_that_is_written_otherwise_or_not_signed_is_found() {
    let ours = source(timed(), SECRET);
    let theirs = |change: fn(&mut SignedSpec)| {
        let mut spec = timed();
        change(&mut spec);
        sent(&source(spec, SECRET), BODY)
    };
    let millis = theirs(|spec| spec.timestamp.as_mut().unwrap().unit = TimeUnit::Millis);
    assert_eq!(codes(&ours, &millis), ["timestamp_unit"]);
    let elsewhere = theirs(|spec| {
        spec.timestamp.as_mut().unwrap().place = TimestampPlace::Header("X-Request-Timestamp".to_owned());
    });
    assert_eq!(codes(&ours, &elsewhere), ["timestamp_header"]);
    let colon = theirs(|spec| spec.signed = "v0:{timestamp}:{body}".to_owned());
    assert_eq!(codes(&ours, &colon), ["signed_template"]);
    assert_eq!(codes(&ours, &sent(&source(signed(), SECRET), BODY)), ["signed_body_alone"]);
}

#[test]
fn a_secret_past_its_date_is_found() {
    let secret = Secret { value: SecretString::from(SECRET), not_after: Some(NOW - MINUTE) };
    let verifier = Verifier::new(SchemeSpec::Hmac(signed()), vec![secret]).unwrap();
    let ours = Source::new("crm", verifier, None);
    assert_eq!(codes(&ours, &sent(&source(signed(), SECRET), BODY)), ["secret_expired"]);
}

#[test]
fn a_request_of_another_source_is_found() {
    let ours = source(signed(), "ours");
    let swapped = source_of("shop", SchemeSpec::Hmac(signed()), SECRET, None);
    let findings = diagnose(&ours, &[&ours, &swapped], &sent(&swapped, BODY), NOW);
    assert_eq!((findings.len(), findings[0].code.as_str()), (1, "secret_of_another"));
    assert!(findings[0].text.contains("source shop"));
    let token = TokenSpec::Header { name: "X-Token".to_owned(), prefix: String::new() };
    let other = source_of("form", SchemeSpec::Token(token), "theirs", None);
    let findings = diagnose(&ours, &[&ours, &other], &sent(&other, BODY), NOW);
    assert_eq!(findings[0].code, "another_source");
}

#[test]
fn a_url_that_was_called_otherwise_is_found() {
    let url = || SchemeSpec::Hmac(with(|spec| spec.signed = "{url}{body}".to_owned()));
    let ours = source_of("crm", url(), SECRET, Some("https://hooks.example.com"));
    for called in ["http://hooks.example.com", "https://hooks.example.com:443", "https://other.example.com"] {
        let mut request = sent(&source_of("crm", url(), SECRET, Some(called)), BODY);
        request.headers.set("Host", "other.example.com");
        assert_eq!(codes(&ours, &request), ["public_url"], "{called}");
    }
    let draft = Draft::post("/hooks/crm/", "application/json", BODY);
    let mut slash = ours.verifier().sign(draft, ours.public_url(), NOW).unwrap();
    slash.path_query = "/hooks/crm".to_owned();
    assert_eq!(codes(&ours, &slash), ["path_slash"]);
    let unset = source_of("crm", url(), SECRET, None);
    assert_eq!(codes(&unset, &sent(&ours, BODY))[0], "public_url_unset");
}

#[test]
fn a_token_in_another_place_and_another_user_name_are_found() {
    let token = |name: &str, prefix: &str| TokenSpec::Header { name: name.to_owned(), prefix: prefix.to_owned() };
    let ours = source_of("crm", SchemeSpec::Token(token("X-Token", "")), SECRET, None);
    for place in [token("Authorization", "Bearer "), token("X-Token", "Token "), TokenSpec::Query("key".to_owned())] {
        let theirs = source_of("crm", SchemeSpec::Token(place), SECRET, None);
        assert_eq!(codes(&ours, &sent(&theirs, BODY)), ["token_place"]);
    }
    let basic = |name: &str| source_of("crm", SchemeSpec::Basic { username: name.to_owned() }, SECRET, None);
    assert_eq!(codes(&basic("ada"), &sent(&basic("eve"), BODY)), ["user_name"]);
}

#[test]
fn standard_webhooks_with_a_text_key_are_found() {
    let scheme = |secret_encoding| {
        SchemeSpec::StandardWebhooks(StandardWebhooksSpec {
            header_prefix: "webhook".to_owned(),
            secret_encoding,
            tolerance: 5 * MINUTE,
        })
    };
    let (ours, theirs) = (
        source_of("crm", scheme(SecretEncoding::Whsec), SECRET, None),
        source_of("crm", scheme(SecretEncoding::Utf8), SECRET, None),
    );
    assert_eq!(codes(&ours, &sent(&theirs, BODY)), ["secret_encoding"]);
}

#[test]
fn what_nothing_explains_is_said_to_be_so() {
    let ours = source(signed(), SECRET);
    assert_eq!(codes(&ours, &sent(&source(signed(), "another"), BODY)), ["unexplained"]);
    let Draft(unsigned) = Draft::post("/hooks/crm", "application/json", BODY);
    assert_eq!(codes(&ours, &unsigned), ["unsigned"]);
    let base64 = with(|spec| spec.signature.encoding = TextEncoding::Base64);
    assert_eq!(codes(&ours, &sent(&source(base64, "another"), BODY)), ["signature_encoding"], "how it looks is said");
}

#[test]
fn no_finding_shows_the_secret_or_the_body() {
    let ours = source(signed(), SECRET);
    for theirs in [source(with(|spec| spec.secret_encoding = SecretEncoding::Base64), SECRET), source(signed(), "x")] {
        let text = format!("{:?} {ours:?}", diagnose(&ours, &[&theirs], &sent(&theirs, BODY), NOW));
        assert!(!text.contains(SECRET) && !text.contains("דנה"), "{text}");
    }
}
