//! The integration tests: one binary, so that they link once.

#![expect(clippy::unwrap_used, reason = "a test whose set-up fails has failed")]

mod architecture;
mod cli;
mod delivery;
mod demo;
mod harness;
mod ingest;
mod once;
mod presets;
mod raw;
