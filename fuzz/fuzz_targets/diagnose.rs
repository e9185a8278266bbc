//! Any refused request is explained, and no explanation shows the secret.

#![no_main]

use contact_relay::sources::diagnose::diagnose;
use contact_relay_fuzz::{NOW, SECRET, source_and_request, source_named};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let (config, request) = source_and_request(input);
    let others = ["standard-webhooks", "kv"].map(|name| &*source_named(name).source);
    let names_the_secret = input.windows(SECRET.len()).any(|window| window == SECRET.as_bytes());
    let findings = diagnose(&config.source, &others, &request, NOW);
    assert!(!findings.is_empty());
    for finding in findings {
        assert!(!finding.code.is_empty() && !finding.text.is_empty());
        assert!(names_the_secret || !finding.text.contains(SECRET), "{}", finding.text);
    }
});
