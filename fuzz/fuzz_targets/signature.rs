//! Any request to any scheme is judged, and what the scheme signs itself it accepts.

#![no_main]

use contact_relay::sources::Draft;
use contact_relay_fuzz::{NOW, source_and_request};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let (config, request) = source_and_request(input);
    let (source, handshake) = (&config.source, config.handshake.as_ref());
    let verifier = source.verifier();
    let _ = handshake.and_then(|handshake| handshake.greet(&request));
    match source.verify(request.clone(), NOW) {
        Ok(webhook) => drop(handshake.and_then(|handshake| handshake.greet_signed(&webhook, verifier))),
        Err(refusal) => assert!(!refusal.code().is_empty() && !refusal.to_string().is_empty()),
    }
    if let Ok(signed) = verifier.sign(Draft(request), source.public_url(), NOW) {
        let webhook = source.verify(signed, NOW);
        let webhook = webhook.unwrap_or_else(|refusal| panic!("signed here, and refused: {refusal}"));
        let _ = handshake.and_then(|handshake| handshake.greet_signed(&webhook, verifier));
    }
});
