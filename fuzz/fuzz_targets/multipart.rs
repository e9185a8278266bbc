//! Any multipart form: the first line is the rest of the content type, such as `; boundary=b`. What comes out of it is
//! no more than what went in.

#![no_main]

use std::sync::LazyLock;

use contact_relay::mapping::Mapping;
use contact_relay_fuzz::{line, mapping, number, webhook};
use libfuzzer_sys::fuzz_target;

static MAPPING: LazyLock<Mapping> = LazyLock::new(|| {
    let measures = [
        ("texts", "[.. | strings] | length"),
        ("text_bytes", "[.. | strings | utf8bytelength] | add // 0"),
        ("size", "[.. | objects | .size? | numbers] | add // 0"),
    ];
    mapping(&measures).expect("a good mapping")
});

fuzz_target!(|input: &[u8]| {
    let (parameters, body) = line(input);
    let content_type = format!("multipart/form-data{parameters}");
    let Ok(mapped) = MAPPING.map(&webhook(&content_type, body), &[]) else { return };
    let bytes = body.len() as u64;
    let within = |measure, most| {
        let found = number(&mapped, measure).unwrap_or(0);
        assert!(found <= most, "{measure}: {found} of at most {most}");
    };
    // A part has a line of its own, and at most two texts: the name and the type of a file.
    within("texts", bytes);
    within("text_bytes", bytes * 3);
    within("size", bytes);
});
