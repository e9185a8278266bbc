//! What the fuzz targets share: the sources that they try, and how bytes become a request.
//!
//! An input is written so that a person can read and edit it:
//!
//! ```text
//! stripe                            the source: a preset, or a table of SCHEMES below
//! POST /hooks/it?a=1                method, path and query
//! content-type: application/json    headers
//! stripe-signature: t=1,v1=00
//!                                   an empty line, then the body
//! {"id": 1}
//! ```

use std::sync::{Arc, LazyLock};

use bytes::Bytes;
use contact_relay::{
    clock::Timestamp,
    config::{self, FixedEnvironment, Loaded, Problems, SourceConfig, presets},
    mapping::{
        MAX_ELEMENTS, Mapped, Mapping, Outcome, Unreadable,
        spec::{MappingSpec, Target},
    },
    sources::{Headers, Proof, Request, VerifiedWebhook},
};

/// When every request arrives; the times that are signed in the seeds are near it.
pub const NOW: Timestamp = Timestamp::from_secs(1_790_946_855);

/// Right in every encoding of secrets; what is signed here is signed with it.
pub const SECRET: &str = "00112233445566778899aabbccddeeff";

/// What most requests of `tests/fixtures/senders` are signed with, some of which are seeds.
const FIXTURE_SECRET: &str = "test-secret";

const RSA_KEY: &str = include_str!("../../tests/fixtures/senders/keys/rsa.pub.pem");
const P256_KEY: &str = include_str!("../../tests/fixtures/senders/keys/p256.pub.pem");
const ED25519_KEY: &str = include_str!("../../tests/fixtures/senders/keys/ed25519.pub");

/// Schemes that no preset has, as `[sources.it.verify]`.
const SCHEMES: [(&str, &str); 7] = [
    (
        "kv",
        r#"{ scheme = "hmac", algorithm = "sha512", signed = "{timestamp}:{method}:{path_query}:{header:x-id}:{body}",
             signature = { header = "x-sig", format = "kv", key = "v1", separator = ",", encoding = "base64url" },
             timestamp = { signature_key = "t", unit = "ms", tolerance = "5m" } }"#,
    ),
    (
        "in-body",
        r#"{ scheme = "hmac", algorithm = "sha1", signed = "{timestamp}.{json:/a/0/b}.{json:/c~1d}",
             signature = { json = "/proof/sig", encoding = "hex", prefix = "v0=" },
             timestamp = { json = "/proof/time", unit = "rfc3339", tolerance = "5m" } }"#,
    ),
    (
        "form-and-date",
        r#"{ scheme = "hash", algorithm = "sha256", signed = "{secret}{url}{timestamp}{form_sorted}",
             signature = { header = "x-sig", encoding = "hex" },
             timestamp = { header = "date", unit = "http_date", tolerance = "5m" } }"#,
    ),
    (
        "digest",
        r#"{ scheme = "hmac", algorithm = "sha256", signed = "{url}",
             signature = { header = "x-sig", encoding = "base64" },
             body_digest = { query = "bodySHA256", algorithm = "sha256", encoding = "hex" } }"#,
    ),
    ("token-in-query", r#"{ scheme = "token", query = "key" }"#),
    ("token-in-header", r#"{ scheme = "token", header = "authorization", prefix = "Bearer " }"#),
    ("basic", r#"{ scheme = "basic", username = "forms" }"#),
];

/// Every preset, and the schemes that none has.
static SOURCES: LazyLock<Vec<(&'static str, SourceConfig)>> = LazyLock::new(|| {
    let presets = presets::all().into_iter().map(|preset| (preset.name, of_preset(&preset)));
    let schemes = SCHEMES.iter().map(|(name, verify)| (*name, of_scheme(verify)));
    presets.chain(schemes).collect()
});

/// A mapping of one's own, for sources that have none.
const OWN_MAP: &str = r#"
phone_region = "IL"
event.id = '$headers["x-event-id"] // .id'
event.topic = '.type // $query.type'
event.each = 'if type == "object" and has("users") then .users[] else . end'
event.occurred_at = '.updated_at'
map.identifier = '.id'
map.name = '[.first, .last] | map(select(.)) | join(" ")'
map.email = '.email'
map.phone_country = '.country'
map.phone_number = '.phone'
map.avatar_url = '.photo'
map.custom_attributes.all = '.'
map.additional_attributes.city = '.address.city'
"#;

/// A preset, with the least that only the user knows.
fn of_preset(preset: &presets::Preset) -> SourceConfig {
    let is = |scheme: &str| preset.text.contains(&format!("scheme = \"{scheme}\""));
    let both = format!("secret = [\"{SECRET}\", \"{FIXTURE_SECRET}\"]");
    let one = format!("secret = \"{SECRET}\"");
    let proof = if is("jwt") || is("rsa-sha256") {
        format!("verify.public_key = \"\"\"{RSA_KEY}\"\"\"")
    } else if is("ecdsa-p256-sha256") {
        format!("verify.public_key = \"\"\"{P256_KEY}\"\"\"")
    } else if is("ed25519") {
        format!("verify.public_key = \"{}\"", ED25519_KEY.trim())
    } else {
        both
    };
    let token = if preset.needs_verify_token() { "verify_token = \"agreed\"" } else { "" };
    let map = if preset.mapped { "" } else { "map.email = '.email'" };
    let with = |proof: &str| source(&format!("preset = \"{}\"\n{proof}\n{token}\n{map}\n", preset.name));
    // Some encodings of secrets cannot be the fixtures'.
    with(&proof).or_else(|_| with(&one)).unwrap_or_else(|problems| panic!("{}", problems.render(false)))
}

fn of_scheme(verify: &str) -> SourceConfig {
    let keys = format!("secret = \"{SECRET}\"\nverify = {verify}\n{OWN_MAP}");
    source(&keys).unwrap_or_else(|problems| panic!("{}", problems.render(false)))
}

fn source(keys: &str) -> Result<SourceConfig, Problems> {
    let text = format!(
        "server.public_url = \"https://hooks.example.test\"\n[accounts.store]\nbase_url = \"https://chat.example.test\"\n\
         account_id = 1\napi_access_token = \"token\"\n[sources.it]\n{keys}"
    );
    let Loaded { mut config, .. } = config::parse(&text, "fuzz.toml", &FixedEnvironment::default())?;
    Ok(config.sources.remove("it").expect("it is the only source"))
}

/// The source that a word names; any other word chooses one as well.
pub fn source_named(word: &str) -> &'static SourceConfig {
    let named = SOURCES.iter().find(|(name, _)| *name == word);
    let sum = word.bytes().fold(0, |sum: usize, byte| sum.wrapping_mul(31).wrapping_add(byte.into()));
    &named.unwrap_or_else(|| &SOURCES[sum % SOURCES.len()]).1
}

/// The first line, as text, and the rest.
pub fn line(input: &[u8]) -> (String, &[u8]) {
    let (line, rest) = match input.iter().position(|&byte| byte == b'\n') {
        Some(at) => (&input[..at], &input[at + 1..]),
        None => (input, &[][..]),
    };
    (String::from_utf8_lossy(line).into_owned(), rest)
}

/// A source and a request to it.
pub fn source_and_request(input: &[u8]) -> (&'static SourceConfig, Request) {
    let (name, mut rest) = line(input);
    let mut next = || {
        let (line, behind) = line(rest);
        rest = behind;
        line
    };
    let start = next();
    let (method, path_query) = start.split_once(' ').unwrap_or(("POST", &start));
    let mut headers = Vec::new();
    loop {
        let header = next();
        match header.split_once(':') {
            Some((name, value)) => headers.push((name.to_owned(), value.trim_start().to_owned())),
            None if header.is_empty() => break,
            None => headers.push((header, String::new())),
        }
    }
    let request = Request {
        method: method.to_owned(),
        path_query: path_query.to_owned(),
        headers: Headers::new(headers),
        body: Bytes::copy_from_slice(rest),
    };
    (source_named(&name), request)
}

/// A webhook of this content type, as if it had been verified.
pub fn webhook(content_type: &str, body: &[u8]) -> VerifiedWebhook {
    let request = Request {
        method: "POST".to_owned(),
        path_query: "/hooks/it".to_owned(),
        headers: Headers::new([("content-type".to_owned(), content_type.to_owned())]),
        body: Bytes::copy_from_slice(body),
    };
    VerifiedWebhook::from_store(Arc::from("it"), request, NOW, Proof::default())
}

/// A mapping with an identifier and these custom attributes; `None` when it is refused, with reasons.
pub fn mapping(attributes: &[(&str, &str)]) -> Option<Mapping> {
    let target = |key: &str| key.parse().expect("the name of a field");
    let mut spec = MappingSpec::default();
    spec.map.insert(Target::Identifier, "\"1\"".to_owned());
    for (key, code) in attributes {
        let field = target(&format!("custom_attributes.{key}"));
        spec.map.insert(Target::Field(field), (*code).to_owned());
    }
    match Mapping::compile(&spec) {
        Ok(mapping) => Some(mapping),
        Err(faults) => {
            assert!(faults.iter().all(|fault| !fault.message.is_empty()));
            None
        }
    }
}

/// Maps, checks what holds for every result, and checks that the same webhook gives the same again.
pub fn map(mapping: &Mapping, webhook: &VerifiedWebhook, signed_headers: &[String]) -> Result<Mapped, Unreadable> {
    let mapped = mapping.map(webhook, signed_headers);
    if let Ok(mapped) = &mapped {
        check(mapped);
    }
    assert_eq!(mapped, mapping.map(webhook, signed_headers), "a mapping is a pure function");
    mapped
}

/// The longest reason, in bytes: reasons are fixed words around names of fields.
const LONGEST_REASON: usize = 512;
/// The largest update as JSON, in bytes for each field: far above what any may hold, escapes included.
const LARGEST_FIELD: usize = 256 * 1024;

fn check(mapped: &Mapped) {
    for text in [&mapped.event_id, &mapped.topic].into_iter().flatten() {
        assert!(text.len() <= 255);
    }
    match &mapped.result {
        Outcome::Ignored { reason } | Outcome::Unmappable { reason } => assert!(reason.len() <= LONGEST_REASON),
        Outcome::PersonRequest(request) => drop(request.key()),
        Outcome::Mapped(elements) => {
            assert!(elements.len() <= MAX_ELEMENTS);
            for element in elements {
                assert!(element.dropped.iter().all(|dropped| dropped.reason.len() <= LONGEST_REASON));
                if let Ok(mapped) = &element.update {
                    let json = serde_json::to_vec(mapped).expect("an update is JSON");
                    assert!(json.len() <= LARGEST_FIELD * (mapped.update.fields().len() + 1));
                }
            }
        }
    }
}

/// A number that [`mapping`] was asked for; `None` where the expression was broken off.
pub fn number(mapped: &Mapped, attribute: &str) -> Option<u64> {
    let Outcome::Mapped(elements) = &mapped.result else { return None };
    let update = &elements.first()?.update.as_ref().ok()?.update;
    let field = format!("custom_attributes.{attribute}").parse().expect("the name of a field");
    update.fields().get(&field)?.as_u64()
}
