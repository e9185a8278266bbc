//! What is wrong with a scheme is found when it is made; keys of senders that sign with private ones; properties.

use super::*;

fn fault_keys(spec: SchemeSpec, secrets: &[&str]) -> Vec<String> {
    let faults = Verifier::new(spec, secrets.iter().map(|text| secret(text)).collect()).expect_err("faulty");
    faults.into_iter().map(|fault| fault.key).collect()
}

#[test]
fn all_faults_of_a_scheme_are_found_at_once() {
    let mut spec = signed("{boddy}{json:x}").kv("", "=").time_key("t", TimeUnit::Seconds);
    spec.signature.place = Place::Header("X Sig".to_owned());
    spec.secret_encoding = SecretEncoding::Hex;
    if let Some(time) = &mut spec.timestamp {
        time.tolerance = Duration::ZERO;
    }
    let keys = fault_keys(SchemeSpec::Hmac(spec), &["00", "xyz", ""]);
    let expected =
        ["signature.header", "signature.key", "signature.separator", "signed", "signed", "timestamp.tolerance"];
    assert_eq!(keys, [&expected[..], &["secret[1]", "secret[2]"]].concat());
}

#[test]
fn a_time_or_digest_that_is_not_signed_is_a_fault() {
    let hmac = |spec| fault_keys(SchemeSpec::Hmac(spec), &[SECRET]);
    assert_eq!(hmac(signed("{timestamp}.{body}")), ["timestamp"]);
    assert_eq!(hmac(signed("{body}").time_header(TimeUnit::Seconds)), ["timestamp"]);
    assert_eq!(hmac(signed("{timestamp}{body}").time_key("t", TimeUnit::Seconds)), ["timestamp.signature_key"]);
    assert_eq!(hmac(signed("{body}").in_json("/sig")), ["signature.json"]);
    let digest = BodyDigestSpec { query: "d".to_owned(), algorithm: Algorithm::Sha256, encoding: TextEncoding::Hex };
    assert_eq!(hmac(SignedSpec { body_digest: Some(digest), ..signed("{body}") }), ["body_digest"]);
    // A time inside a body that is signed as a whole is signed.
    let linear = signed("{body}").time(TimestampPlace::Json("/webhookTimestamp".to_owned()), TimeUnit::Millis);
    assert!(Verifier::new(SchemeSpec::Hmac(linear), vec![secret(SECRET)]).is_ok());
}

#[test]
fn a_secret_that_is_missing_empty_or_of_the_wrong_kind_is_a_fault() {
    assert_eq!(fault_keys(SchemeSpec::Hmac(signed("{body}")), &[]), ["secret"]);
    assert_eq!(fault_keys(SchemeSpec::Hmac(signed("{body}")), &[""]), ["secret[0]"]);
    assert_eq!(fault_keys(SchemeSpec::Open, &["x"]), ["secret"]);
    assert_eq!(fault_keys(SchemeSpec::Token(TokenSpec::Query("k".to_owned())), &["x", ""]), ["secret[1]"]);
    assert_eq!(fault_keys(SchemeSpec::Basic { username: "a:b".to_owned() }, &[""]), ["username", "secret[0]"]);
    let standard = || standard("webhook", SecretEncoding::Whsec);
    assert_eq!(fault_keys(standard(), &["whsec_", "whsec_!", "whpk_AAAA", "whsk_AAAA"]).len(), 4);
    let weak = format!("whpk_{}", encoding::BASE64.encode([0; 32]));
    assert_eq!(fault_keys(standard(), &[&weak]), ["secret[0]"]);
    let whsec = SignedSpec { secret_encoding: SecretEncoding::Whsec, ..signed("{body}") };
    assert_eq!(fault_keys(SchemeSpec::Hmac(whsec), &[WHPK]), ["secret[0]"]);
}

#[test]
fn blanks_around_a_secret_and_an_unsigned_body_are_warned_about() {
    let warnings = |spec, text| verifier(SchemeSpec::Hmac(spec), text).warnings().join("; ");
    assert!(warnings(signed("{body}"), "test-secret\n").contains("secret[0]"));
    assert!(warnings(signed("{json:/id}"), SECRET).contains("does not cover the body"));
    assert_eq!(warnings(signed("{body}"), SECRET), "");
}

#[test]
fn no_secret_is_shown_by_debug_or_in_a_fault() {
    let verifier = hmac(signed("{body}"));
    assert_eq!(format!("{verifier:?}"), "Verifier { scheme: \"Keyed\", .. }");
    let hex = SignedSpec { secret_encoding: SecretEncoding::Hex, ..signed("{body}") };
    let faults = Verifier::new(SchemeSpec::Hmac(hex), vec![secret("hush-hush")]).expect_err("faulty");
    assert!(!format!("{faults:?}").contains("hush"));
}

#[test]
fn ecdsa_signatures_are_checked_with_keys_of_any_form() {
    let random = SystemRandom::new();
    let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).expect("a key");
    let signature = pair.sign(&random, format!("1790946851{BODY}").as_bytes()).expect("signed");
    let signature = encoding::BASE64.encode(signature);
    let der = pair.public_key().as_der().expect("DER");
    let base64 = encoding::BASE64.encode(der.as_ref());
    let pem = format!("-----BEGIN PUBLIC KEY-----\n{}\n{}\n-----END PUBLIC KEY-----\n", &base64[..64], &base64[64..]);
    for key in [base64.as_str(), &pem, &hex::encode(der.as_ref())] {
        let spec = signed("{timestamp}{body}").base64().time_header(TimeUnit::Seconds);
        let spec = public_key(PublicKeyAlgorithm::EcdsaP256Sha256, key, spec);
        let verifier = Verifier::new(spec, Vec::new()).expect("a good scheme");
        let with = |body| code(&verifier, &request(&[("x-time", "1790946851"), ("x-sig", &signature)], body));
        assert_eq!(with(BODY), "accepted");
        assert_eq!(with("{}"), "wrong_signature");
    }
}

#[test]
fn a_public_key_of_the_wrong_kind_is_a_fault() {
    let pem = |label: &str| format!("-----BEGIN {label}-----\nAAAA\n-----END {label}-----");
    let keys =
        [String::new(), "!".to_owned(), "abc".to_owned(), pem("CERTIFICATE"), pem("PRIVATE KEY"), pem("PUBLIC KEY")];
    for algorithm in [PublicKeyAlgorithm::Ed25519, PublicKeyAlgorithm::EcdsaP256Sha256, PublicKeyAlgorithm::RsaSha256] {
        for key in &keys {
            assert_eq!(fault_keys(public_key(algorithm, key, signed("{body}")), &[]), ["public_key"], "{key}");
        }
    }
    assert_eq!(fault_keys(SchemeSpec::Jwt { public_key: ED25519_HEX.to_owned() }, &[]), ["public_key"]);
}

fn token(pair: &RsaKeyPair, header: &str, claims: &str) -> String {
    let text = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
    let mut signature = vec![0; pair.public_modulus_len()];
    pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), text.as_bytes(), &mut signature).expect("signed");
    format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature))
}

#[test]
fn rsa_signatures_and_tokens_are_checked_and_a_token_gives_its_payload() {
    const RS256: &str = r#"{"alg":"RS256","typ":"JWT"}"#;
    let pair = RsaKeyPair::generate(KeySize::Rsa2048).expect("a key");
    let key = encoding::BASE64.encode(pair.public_key().as_der().expect("DER").as_ref());

    let mut signature = vec![0; pair.public_modulus_len()];
    pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), BODY.as_bytes(), &mut signature).expect("signed");
    let spec = public_key(PublicKeyAlgorithm::RsaSha256, &key, signed("{body}").base64());
    let rsa = Verifier::new(spec, Vec::new()).expect("a good scheme");
    let signature = encoding::BASE64.encode(signature);
    assert_eq!(code(&rsa, &request(&[("x-sig", &signature)], BODY)), "accepted");
    assert_eq!(code(&rsa, &request(&[("x-sig", &signature)], "{}")), "wrong_signature");

    let jwt = Verifier::new(SchemeSpec::Jwt { public_key: key.clone() }, Vec::new()).expect("a good scheme");
    let with = |header, claims| code(&jwt, &request(&[], &token(&pair, header, claims)));
    let claims = r#"{"data":"x","iat":1790946851,"exp":1790946911.5}"#;
    assert_eq!(with(RS256, claims), "accepted");
    assert_eq!(with(RS256, "{}"), "accepted");
    assert_eq!(with(RS256, r#"{"exp":1790946851}"#), "accepted");
    assert_eq!(with(RS256, r#"{"exp":1790946791}"#), "stale");
    assert_eq!(with(RS256, r#"{"nbf":1790946912}"#), "from_the_future");
    assert_eq!(with(RS256, r#"{"exp":"never"}"#), "malformed_jwt");
    assert_eq!(with(r#"{"alg":"none"}"#, claims), "wrong_jwt_algorithm");
    assert_eq!(with(r#"{"alg":"HS256"}"#, claims), "wrong_jwt_algorithm");
    assert_eq!(with(r#"{"alg":"RS256","crit":["b64"]}"#, claims), "wrong_jwt_algorithm");
    let good = token(&pair, RS256, claims);
    let (signed, signature) = good.rsplit_once('.').expect("a token");
    assert_eq!(code(&jwt, &request(&[], &format!("{signed}x.{signature}"))), "wrong_signature");
    assert_eq!(code(&jwt, &request(&[], &format!("{signed}."))), "wrong_signature");
    for body in ["", "a", "a.b", "a.b.c", "a.b.c.d"] {
        assert_eq!(code(&jwt, &request(&[], body)), "malformed_jwt", "{body}");
    }
    assert_eq!(jwt.payload(&Bytes::from(good)), claims);
    assert_eq!(rsa.payload(&Bytes::from_static(b"a.b.c")), "a.b.c");
}

proptest! {
    #[test]
    fn any_changed_byte_of_the_body_or_signature_breaks_it(at in any::<prop::sample::Index>(), flip in 1_u8..) {
        for vector in body_vectors() {
            let verifier = vector.verifier();
            let mut changed = vector.request();
            let mut body = vector.body.as_bytes().to_vec();
            let position = at.index(body.len());
            body[position] ^= flip;
            changed.body = Bytes::from(body);
            prop_assert!(verifier.verify(&changed, PUBLIC_URL, NOW).is_err(), "{}", vector.sender);
        }
        let mut signature = hex::decode(HEX_SIGNATURE).expect("hex");
        let position = at.index(signature.len());
        signature[position] ^= flip;
        let changed = request(&[("x-sig", &hex::encode(signature))], BODY);
        prop_assert_eq!(code(&hmac(signed("{body}")), &changed), "wrong_signature");
    }

    #[test]
    fn what_was_signed_is_accepted_whatever_it_is(body in prop::collection::vec(any::<u8>(), 0..200), key in "\\PC{1,80}") {
        let spec = signed("{method}{url}{body}{timestamp}").kv("s", ";").time_key("t", TimeUnit::Millis);
        let verifier = verifier(SchemeSpec::Hmac(spec), &key);
        let draft = Draft::post(PATH, "application/octet-stream", body);
        let signed = verifier.sign(draft, PUBLIC_URL, NOW).expect("signed");
        prop_assert_eq!(code(&verifier, &signed), "accepted");
    }

    #[test]
    fn no_request_makes_a_check_panic(
        header in "(t=[0-9]{0,20},?|v1a?[=,]|[0-9a-f]{64}|[A-Za-z0-9+/]{43}=| |;|Basic |\\PC){0,12}",
        path in "/[?&=%a-f0-9+\\PC]{0,20}",
        body in prop::collection::vec(any::<u8>(), 0..64),
    ) {
        for vector in vectors() {
            let names: Vec<_> = vector.headers.iter().map(|&(name, _)| (name, header.as_str())).collect();
            let mut arbitrary = request(&names, "");
            arbitrary.path_query.clone_from(&path);
            arbitrary.body = Bytes::from(body.clone());
            prop_assert!(vector.verifier().verify(&arbitrary, PUBLIC_URL, NOW).is_err());
        }
    }
}
