//! Any form: the first line is the rest of the content type, such as `; charset=windows-1255`. What comes out of it is
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
        ("name_bytes", "[.. | objects | keys[] | utf8bytelength] | add // 0"),
        ("arrays", "[.. | arrays] | length"),
    ];
    mapping(&measures).expect("a good mapping")
});

/// A byte that does not fit the charset becomes the three bytes of U+FFFD, and none becomes more.
const LARGEST_CHAR: u64 = 3;
/// The most brackets in a name.
const MOST_BRACKETS: u64 = 16;

fuzz_target!(|input: &[u8]| {
    let (parameters, body) = line(input);
    let content_type = format!("application/x-www-form-urlencoded{parameters}");
    let Ok(mapped) = MAPPING.map(&webhook(&content_type, body), &[]) else { return };
    let pairs = body.split(|&byte| byte == b'&').filter(|pair| !pair.is_empty()).count() as u64;
    let bytes = body.len() as u64;
    let within = |measure, most| {
        let found = number(&mapped, measure).unwrap_or(0);
        assert!(found <= most, "{measure}: {found} of at most {most}");
    };
    within("texts", pairs);
    within("text_bytes", bytes * LARGEST_CHAR);
    within("name_bytes", bytes * LARGEST_CHAR);
    within("arrays", pairs * (MOST_BRACKETS + 1));
});
