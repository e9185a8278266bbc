//! contact-relay: turns the signed webhooks of shops and forms into contact updates in Chatwoot, through a durable
//! outbox in one SQLite file.
//!
//! The modules in reading order, each importing only what stands above it here. ARCHITECTURE.md has the map.

pub mod clock;

pub mod contacts;
pub mod sources;

pub mod mapping;
pub mod merge;
pub mod retry;
pub mod settings;

pub mod chatwoot;
pub mod store;

pub mod delivery;
pub mod ingest;

pub mod config;
pub mod http;

pub mod app;
pub mod telemetry;

pub mod cli;

pub mod sandbox;
