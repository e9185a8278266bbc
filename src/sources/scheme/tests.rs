//! Every scheme against vectors that the senders' own libraries made or accepted, their negative twins, and
//! properties. The vectors share one body, one moment and one URL.

mod faults;
mod vectors;

use std::time::Duration;

use aws_lc_rs::{
    encoding::AsDer as _,
    rand::SystemRandom,
    rsa::KeySize,
    signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use proptest::prelude::*;

use self::vectors::{body_vectors, has_time, vectors};
use super::{
    spec::{
        Algorithm, BodyDigestSpec, Place, PublicKeyAlgorithm, PublicKeySpec, SecretEncoding, SignatureFormat,
        SignatureSpec, SignedSpec, StandardWebhooksSpec, TextEncoding, TimeUnit, TimestampPlace, TimestampSpec,
        TokenSpec,
    },
    *,
};
use crate::sources::Headers;

const BODY: &str = r#"{"id":42,"email":"ada@example.test"}"#;
const NOW: Timestamp = Timestamp::from_secs(1_790_946_851);
const TOLERANCE: Duration = Duration::from_mins(5);
const PUBLIC_URL: Option<&str> = Some("https://hooks.example.test");
const PATH: &str = "/in/abc?x=1";
const SECRET: &str = "test-secret";
const WHSEC: &str = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
const WHPK: &str = "whpk_A6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg=";
const ED25519_HEX: &str = "03a107bff3ce10be1d70dd18e74bc09967e4d6309ba50d5f1ddc8664125531b8";
const HEX_SIGNATURE: &str = "5a65e8caab87b77a2f486d9e1c277c06949b482496ba88c6a00ce7f33cfe8ae0";

fn secret(text: &str) -> Secret {
    Secret { value: text.into(), not_after: None }
}

fn request(headers: &[(&str, &str)], body: &str) -> Request {
    Request {
        method: "POST".to_owned(),
        path_query: PATH.to_owned(),
        headers: Headers::new(headers.iter().map(|&(name, value)| (name.to_owned(), value.to_owned()))),
        body: Bytes::copy_from_slice(body.as_bytes()),
    }
}

fn code(verifier: &Verifier, request: &Request) -> &'static str {
    code_at(verifier, request, NOW)
}

fn code_at(verifier: &Verifier, request: &Request, now: Timestamp) -> &'static str {
    verifier.verify(request, PUBLIC_URL, now).map_or_else(|refusal| refusal.code(), |_| "accepted")
}

/// A spec with the defaults of most senders: SHA-256 in hexadecimal in the header `X-Sig`.
fn signed(template: &str) -> SignedSpec {
    SignedSpec {
        algorithm: Algorithm::Sha256,
        secret_encoding: SecretEncoding::Utf8,
        signature: SignatureSpec {
            place: Place::Header("X-Sig".to_owned()),
            format: SignatureFormat::Plain,
            prefix: String::new(),
            encoding: TextEncoding::Hex,
        },
        signed: template.to_owned(),
        timestamp: None,
        body_digest: None,
    }
}

impl SignedSpec {
    fn base64(mut self) -> Self {
        self.signature.encoding = TextEncoding::Base64;
        self
    }

    fn algorithm(mut self, algorithm: Algorithm) -> Self {
        self.algorithm = algorithm;
        self
    }

    fn prefix(mut self, prefix: &str) -> Self {
        self.signature.prefix = prefix.to_owned();
        self
    }

    fn kv(mut self, key: &str, separator: &str) -> Self {
        self.signature.format = SignatureFormat::Kv { key: key.to_owned(), separator: separator.to_owned() };
        self
    }

    fn in_json(mut self, pointer: &str) -> Self {
        self.signature.place = Place::Json(pointer.to_owned());
        self
    }

    fn time(mut self, place: TimestampPlace, unit: TimeUnit) -> Self {
        self.timestamp = Some(TimestampSpec { place, unit, tolerance: TOLERANCE });
        self
    }

    fn time_header(self, unit: TimeUnit) -> Self {
        self.time(TimestampPlace::Header("X-Time".to_owned()), unit)
    }

    fn time_key(self, key: &str, unit: TimeUnit) -> Self {
        self.time(TimestampPlace::SignatureKey(key.to_owned()), unit)
    }
}

fn standard(header_prefix: &str, secret_encoding: SecretEncoding) -> SchemeSpec {
    let header_prefix = header_prefix.to_owned();
    SchemeSpec::StandardWebhooks(StandardWebhooksSpec { header_prefix, secret_encoding, tolerance: TOLERANCE })
}

fn hmac(spec: SignedSpec) -> Verifier {
    verifier(SchemeSpec::Hmac(spec), SECRET)
}

fn verifier(spec: SchemeSpec, text: &str) -> Verifier {
    Verifier::new(spec, vec![secret(text)]).expect("a good scheme")
}

fn public_key(algorithm: PublicKeyAlgorithm, public_key: &str, spec: SignedSpec) -> SchemeSpec {
    let SignedSpec { signature, signed, timestamp, .. } = spec;
    SchemeSpec::PublicKey(PublicKeySpec { algorithm, public_key: public_key.to_owned(), signature, signed, timestamp })
}

#[test]
fn every_known_vector_is_accepted() {
    for vector in vectors() {
        let proof = vector.verifier().verify(&vector.request(), PUBLIC_URL, NOW);
        let proof = proof.unwrap_or_else(|refusal| panic!("{}: {refusal}", vector.sender));
        assert_eq!(proof.secret, vector.secret.map(|_| 0), "{}", vector.sender);
        assert!(proof.signed_at.is_none_or(|signed_at| signed_at == NOW), "{}", vector.sender);
    }
}

#[test]
fn a_body_with_one_other_byte_is_refused() {
    for vector in body_vectors() {
        let mut changed = vector.request();
        changed.body = Bytes::from([vector.body, " "].concat());
        assert_eq!(code(&vector.verifier(), &changed), "wrong_signature", "{}", vector.sender);
    }
}

#[test]
fn another_secret_is_refused() {
    for vector in vectors().into_iter().filter(|vector| vector.secret.is_some_and(|secret| secret != WHPK)) {
        let other = match vector.secret {
            Some(WHSEC) => "whsec_AQECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=",
            Some("746573742d736563726574ff") => "746573742d736563726574fe",
            _ => "test-secres",
        };
        let code = code(&vector.verifier_with(Some(other)), &vector.request());
        assert!(["wrong_signature", "wrong_credentials"].contains(&code), "{}: {code}", vector.sender);
    }
}

#[test]
fn a_signed_time_outside_the_tolerance_is_refused_in_both_directions() {
    let mut with_time = 0;
    for vector in vectors() {
        let (verifier, request) = (vector.verifier(), vector.request());
        if !has_time(&verifier, &request) {
            continue;
        }
        with_time += 1;
        let over = TOLERANCE + Duration::from_millis(1);
        assert_eq!(code_at(&verifier, &request, NOW + TOLERANCE), "accepted", "{}", vector.sender);
        assert_eq!(code_at(&verifier, &request, NOW + over), "stale", "{}", vector.sender);
        assert_eq!(code_at(&verifier, &request, NOW - over), "from_the_future", "{}", vector.sender);
    }
    assert_eq!(with_time, 15);
}

#[test]
fn a_request_without_a_header_it_needs_is_refused() {
    for vector in vectors() {
        for (absent, _) in &vector.headers {
            let left: Vec<_> = vector.headers.iter().filter(|(name, _)| name != absent).copied().collect();
            let code = code(&vector.verifier(), &request(&left, vector.body));
            assert!(code.starts_with("missing_"), "{} without {absent}: {code}", vector.sender);
        }
    }
}

#[test]
fn a_header_sent_twice_with_different_values_is_refused() {
    for vector in vectors() {
        for &(name, value) in &vector.headers {
            let mut headers = vector.headers.clone();
            headers.push((name, value));
            assert_eq!(code(&vector.verifier(), &request(&headers, vector.body)), "accepted", "{}", vector.sender);
            headers.push((name, "other"));
            let code = code(&vector.verifier(), &request(&headers, vector.body));
            assert_eq!(code, "contradicting_headers", "{}", vector.sender);
        }
    }
}

#[test]
fn a_signature_cut_short_or_in_another_encoding_is_refused() {
    let verifier = hmac(signed("{body}"));
    let with = |signature: &str| code(&verifier, &request(&[("x-sig", signature)], BODY));
    assert_eq!(with(HEX_SIGNATURE), "accepted");
    assert_eq!(with(&HEX_SIGNATURE.to_uppercase()), "accepted");
    for length in 1..HEX_SIGNATURE.len() {
        assert_eq!(with(&HEX_SIGNATURE[..length]), "malformed_signature");
    }
    assert_eq!(with(""), "missing_signature");
    assert_eq!(with("WmXoyquHt3ovSG2eHCd8BpSbSCSWuojGoAzn8zz+iuA="), "malformed_signature");
    assert_eq!(with(&format!("sha256={HEX_SIGNATURE}")), "malformed_signature");
    assert_eq!(with(&HEX_SIGNATURE.repeat(200)), "header_too_long");
    assert_eq!(with(&"00".repeat(32)), "wrong_signature");
    let base64 = hmac(signed("{body}").base64());
    assert_eq!(code(&base64, &request(&[("x-sig", HEX_SIGNATURE)], BODY)), "malformed_signature");
}

#[test]
fn the_configured_prefix_must_be_there() {
    let verifier = hmac(signed("{body}").prefix("sha256="));
    assert_eq!(code(&verifier, &request(&[("x-sig", HEX_SIGNATURE)], BODY)), "missing_prefix");
    // GitHub's older, weaker signature never stands in for the better one.
    let sha1 = "sha1=3c0d085385cf7b4fe23e98a5b03cb2487998c65a";
    assert_eq!(code(&verifier, &request(&[("x-sig", sha1)], BODY)), "missing_prefix");
}

#[test]
fn any_listed_signature_may_fit_but_not_those_of_other_versions() {
    let verifier = hmac(signed("{timestamp}.{body}").kv("v1", ",").time_key("t", TimeUnit::Seconds));
    let with = |header: &str| code(&verifier, &request(&[("x-sig", header)], BODY));
    let right = "15e7f562f42c2b17a703cca27a1e6a5fb977d1f66911a948900ee491c1026bf9";
    let wrong = "00".repeat(32);
    assert_eq!(with(&format!("t=1790946851,v1={wrong},v1={right},v2=x,y")), "accepted");
    assert_eq!(with(&format!("t=1790946851,v1=short,v1={right}")), "accepted");
    assert_eq!(with(&format!("v1={right}, t=1790946851")), "accepted");
    assert_eq!(with(&format!("t=1790946851,v0={right}")), "missing_signature");
    assert_eq!(with(&format!("t=1790946851,v1={wrong},v0={right}")), "wrong_signature");
    assert_eq!(with(&format!("t=1790946851,t=1790946852,v1={right}")), "contradicting_timestamps");
    assert_eq!(with(&format!("t=1790946851abc,v1={right}")), "malformed_timestamp");
    assert_eq!(with(&format!("t=01790946851,v1={right}")), "wrong_signature");
    assert_eq!(with(&format!("v1={right}")), "missing_timestamp");
    let many = format!(",v1={wrong}").repeat(9);
    assert_eq!(with(&format!("t=1790946851{many},v1={right}")), "accepted");
    assert_eq!(with(&format!("t=1790946851{many},v1={wrong},v1={right}")), "too_many_signatures");
}

#[test]
fn any_secret_may_fit_and_an_expired_one_is_named_as_the_reason() {
    let secrets = |not_after| vec![secret("another"), Secret { value: SECRET.into(), not_after }];
    let verifier = |not_after| Verifier::new(SchemeSpec::Hmac(signed("{body}")), secrets(not_after)).expect("good");
    let request = request(&[("x-sig", HEX_SIGNATURE)], BODY);
    assert_eq!(verifier(None).verify(&request, None, NOW).expect("accepted").secret, Some(1));
    assert_eq!(code(&verifier(Some(NOW)), &request), "accepted");
    assert_eq!(code(&verifier(Some(NOW - Duration::from_millis(1))), &request), "secret_expired");
}

#[test]
fn standard_webhooks_keys_check_only_their_own_version() {
    let shared = verifier(standard("webhook", SecretEncoding::Whsec), WHSEC);
    let public = verifier(standard("webhook", SecretEncoding::Whsec), WHPK);
    let with = |verifier: &Verifier, id: &str, signature: &str| {
        let headers = [("webhook-id", id), ("webhook-timestamp", "1790946851"), ("webhook-signature", signature)];
        code(verifier, &request(&headers, BODY))
    };
    let v1 = "v1,96E44QkqRvACXxrCTREbju8XJ4407DGwY3LicvEBWcI=";
    let v1a = "v1a,cs6c2xMAUpu7xx3a6IWde3Ioxr9yVemaSqaDLznf6W1W+B7nlSj9zywBbbiusYOqk3PTZu3YvE0yT2UOM3YNCQ==";
    assert_eq!(with(&shared, "msg_1", &format!("v9,x {v1a} v1,AAAA {v1}")), "accepted");
    assert_eq!(with(&public, "msg_1", &format!("{v1} {v1a}")), "accepted");
    assert_eq!(with(&shared, "msg_1", v1.trim_end_matches('=')), "accepted");
    assert_eq!(with(&shared, "msg_1", v1a), "missing_signature");
    assert_eq!(with(&public, "msg_1", v1), "missing_signature");
    assert_eq!(with(&shared, "msg.1", v1), "malformed_id");
    assert_eq!(with(&shared, "", v1), "missing_id");
    assert_eq!(with(&shared, "msg_1", "v1,AAAA"), "malformed_signature");
    assert_eq!(with(&shared, "msg_1", &format!("{v1} ").repeat(11)), "too_many_signatures");
    // Keyed with the text of the public key, as anyone could.
    let forged = verifier(standard("webhook", SecretEncoding::Utf8), "A6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg=");
    let forged = forged.sign(Draft(request(&[], BODY)), None, NOW).expect("signed");
    assert_eq!(code(&public, &forged), "missing_signature");
    assert_eq!(public.sign(Draft(forged), None, NOW).expect_err("no key"), CannotSign::PrivateKeyNeeded);
}

#[test]
fn a_token_is_accepted_only_whole_and_behind_its_prefix() {
    let spec = TokenSpec::Header { name: "Authorization".to_owned(), prefix: "Bearer ".to_owned() };
    let verifier = verifier(SchemeSpec::Token(spec), SECRET);
    let with = |value: &str| code(&verifier, &request(&[("authorization", value)], BODY));
    assert_eq!(with("Bearer test-secret"), "accepted");
    for wrong in ["Bearer test-secre", "Bearer test-secret1", "Bearer  test-secret", "Bearer x"] {
        assert_eq!(with(wrong), "wrong_token");
    }
    assert_eq!(with("test-secret"), "missing_token");
    assert_eq!(with("Bearer "), "missing_token");
}

#[test]
fn a_token_in_the_query_is_percent_decoded() {
    let verifier = verifier(SchemeSpec::Token(TokenSpec::Query("key".to_owned())), "a+b/c d");
    let with = |path: &str| code(&verifier, &Request { path_query: path.to_owned(), ..request(&[], BODY) });
    assert_eq!(with("/in/x?a=1&key=a+b%2Fc%20d"), "accepted");
    assert_eq!(with("/in/x?key=a%2bb/c%20d&key=a%2bb/c%20d"), "accepted");
    assert_eq!(with("/in/x?key=a%2bb/c%20d&key=1"), "contradicting_parameters");
    assert_eq!(with("/in/x?key=1"), "wrong_token");
    assert_eq!(with("/in/x?key="), "missing_token");
    assert_eq!(with("/in/x"), "missing_token");
}

#[test]
fn basic_credentials_need_both_the_user_and_the_password() {
    let verifier = verifier(SchemeSpec::Basic { username: "forms".to_owned() }, "p:w");
    let with = |value: &str| code(&verifier, &request(&[("authorization", value)], BODY));
    let basic = |credentials: &str| with(&format!("bAsIc {}", encoding::BASE64.encode(credentials)));
    assert_eq!(basic("forms:p:w"), "accepted");
    for wrong in ["forms:p", "form:p:w", "forms:p:w:", ":", "forms:"] {
        assert_eq!(basic(wrong), "wrong_credentials", "{wrong}");
    }
    assert_eq!(basic("forms"), "malformed_credentials");
    assert_eq!(with("Basic ?"), "malformed_credentials");
    assert_eq!(with("Bearer Zm9ybXM6cDp3"), "missing_credentials");
    assert_eq!(with("Basic"), "missing_credentials");
}

#[test]
fn the_url_is_the_configured_one_and_never_the_host_header() {
    let verifier = hmac(signed("{url}{body}").base64());
    let square = ("x-sig", "dMde8hIcHGv5xEMBY+xyx4JNBE1Vw0YwdJ2/Uv6pf1A=");
    let request = request(&[square, ("host", "evil.example"), ("x-forwarded-host", "evil.example")], BODY);
    assert!(verifier.needs_public_url());
    assert!(verifier.verify(&request, Some("https://hooks.example.test/"), NOW).is_ok());
    assert_eq!(verifier.verify(&request, Some("https://evil.example"), NOW), Err(Refusal::WrongSignature));
    assert_eq!(verifier.verify(&request, None, NOW), Err(Refusal::PublicUrlUnknown));
}

#[test]
fn a_signed_form_is_not_accepted_as_anything_else() {
    let verifier = hmac(signed("{url}{form_sorted}").base64().algorithm(Algorithm::Sha1));
    let with = |content_type| {
        code(
            &verifier,
            &request(&[("x-sig", "DTQDQBG367PzZuv/ZQaQKsZc2B8="), ("content-type", content_type)], "b=2&a=1+1"),
        )
    };
    assert_eq!(with("application/x-www-form-urlencoded; charset=utf-8"), "accepted");
    assert_eq!(with("application/json"), "not_a_form");
}

#[test]
fn a_body_digest_in_the_signed_query_protects_the_body() {
    let digest =
        BodyDigestSpec { query: "bodySHA256".to_owned(), algorithm: Algorithm::Sha256, encoding: TextEncoding::Hex };
    let spec = SignedSpec { body_digest: Some(digest), ..signed("{url}").base64().algorithm(Algorithm::Sha1) };
    let verifier = hmac(spec);
    let signed = verifier.sign(Draft(request(&[], BODY)), PUBLIC_URL, NOW).expect("signed");
    assert!(signed.path_query.starts_with("/in/abc?x=1&bodySHA256="));
    assert_eq!(code(&verifier, &signed), "accepted");
    let changed = Request { body: Bytes::from_static(b"{}"), ..signed.clone() };
    assert_eq!(code(&verifier, &changed), "wrong_body_digest");
    let moved = Request { path_query: PATH.to_owned(), ..signed };
    assert_eq!(code(&verifier, &moved), "wrong_signature");
}

#[test]
fn only_what_the_signature_covers_is_a_signed_header() {
    let framer = hmac(signed("{body}{header:X-Id}{timestamp}").time_header(TimeUnit::Seconds));
    assert_eq!(framer.signed_headers(), ["x-id", "x-time"]);
    let svix = verifier(standard("Svix", SecretEncoding::Whsec), WHSEC);
    assert_eq!(svix.signed_headers(), ["svix-id", "svix-timestamp"]);
    assert!(hmac(signed("{body}")).signed_headers().is_empty());
}

#[test]
fn what_any_symmetric_scheme_signs_it_accepts() {
    for vector in vectors().into_iter().filter(|vector| !["Discord", "Standard Webhooks v1a"].contains(&vector.sender))
    {
        let mut draft = vector.request();
        draft.headers = Headers::new([("framer-webhook-submission-id".to_owned(), "sub-2".to_owned())]);
        let verifier = vector.verifier();
        let later = NOW + Duration::from_hours(1000);
        let signed = verifier.sign(Draft(draft), PUBLIC_URL, later).expect(vector.sender);
        assert_eq!(code_at(&verifier, &signed, later), "accepted", "{}", vector.sender);
    }
    for spec in [
        TokenSpec::Query("key".to_owned()),
        TokenSpec::Header { name: "X-Token".to_owned(), prefix: "Bearer ".to_owned() },
    ] {
        let verifier = verifier(SchemeSpec::Token(spec), "a b+c&d=\u{e9}");
        // The draft has a token already, which is not the right one.
        let draft = Request { path_query: "/in?k%65y=1&a=2".to_owned(), ..request(&[("x-token", "Bearer 1")], BODY) };
        let signed = verifier.sign(Draft(draft), None, NOW).expect("signed");
        assert_eq!(code(&verifier, &signed), "accepted");
    }
}

#[test]
fn an_unsigned_draft_says_what_it_lacks() {
    let lacking = hmac(signed("{body}{header:X-Id}")).sign(Draft(request(&[], BODY)), None, NOW);
    let expected = Refusal::MissingHeader { header: "x-id".to_owned() };
    assert_eq!(lacking.expect_err("lacking"), CannotSign::Incomplete(expected));
    let json = hmac(signed("{json:/id}").in_json("/sig"));
    let error = json.sign(Draft(request(&[], "a=1")), None, NOW).expect_err("no JSON");
    assert_eq!(error, CannotSign::Incomplete(Refusal::MalformedJson));
}
