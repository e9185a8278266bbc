//! The integration tests: one binary, so that they link once.

#![expect(clippy::unwrap_used, reason = "a test whose set-up fails has failed")]

mod architecture;
mod by_hand;
mod cli;
mod crash;
mod creating;
mod delivery;
mod demo;
mod diagnose;
mod docs;
mod failing;
mod finding;
mod handshakes;
mod harness;
mod ingest;
mod leaks;
mod once;
mod ordering;
mod person_requests;
mod policies;
mod presets;
mod raw;
mod refused_fields;
mod security;
mod senders;
mod source_pause;
mod store;
mod vectors;
