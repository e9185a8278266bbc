//! Any body through the mappings of all presets, as a webhook that was verified.

#![no_main]

use contact_relay::sources::Proof;
use contact_relay_fuzz::{NOW, map, source_and_request};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let (config, request) = source_and_request(input);
    let webhook = config.source.read_back(request, NOW, Proof::default());
    if let Err(unreadable) = map(&config.mapping, &webhook, config.source.verifier().signed_headers()) {
        assert!((1..512).contains(&unreadable.to_string().len()));
    }
});
