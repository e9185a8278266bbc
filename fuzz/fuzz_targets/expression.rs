//! Any text as an expression of jq, run over a small body if the gate lets it in: `CODE`, or `CODE`, a line `---` and a
//! body.

#![no_main]

use contact_relay_fuzz::{map, mapping, webhook};
use libfuzzer_sys::fuzz_target;

const BODY: &[u8] =
    br#"{"id":7,"a":[1,2.5,"x",null,true,{"b":"c@d.example"}],"t":"2026-10-02T13:14:11Z","s":"aXb\u00e9"}"#;

fuzz_target!(|input: &[u8]| {
    let divider = b"\n---\n";
    let (code, body) = match input.windows(divider.len()).position(|window| window == divider) {
        Some(at) => (&input[..at], &input[at + divider.len()..]),
        None => (input, BODY),
    };
    let Ok(code) = str::from_utf8(code) else { return };
    let Some(mapping) = mapping(&[("x", code)]) else { return };
    let _ = map(&mapping, &webhook("application/json", body), &[]);
});
