//! Logs: who writes them, how they look and where they go. They go to standard error, so that what a command was asked
//! for can be piped. What is said in them is up to the modules; secrets and personal data are in none.

use std::io::{self, IsTerminal as _};

use tracing_subscriber::{EnvFilter, fmt};

/// How log lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// For programs: one JSON object a line.
    Json,
}

/// Begins to log. `RUST_LOG` says what is logged; without it, at `verbosity` 0 only what fails, at 1 what we do and
/// what is wrong elsewhere, and each step more adds one level. Once begun, it stays as it is.
pub fn init(format: LogFormat, verbosity: u8) {
    let (filter, fault) = match std::env::var(EnvFilter::DEFAULT_ENV) {
        Ok(directives) if !directives.is_empty() => match EnvFilter::try_new(&directives) {
            Ok(filter) => (filter, None),
            Err(error) => (default_filter(verbosity), Some(error)),
        },
        _ => (default_filter(verbosity), None),
    };
    let builder = fmt().with_env_filter(filter).with_writer(io::stderr);
    // It fails where a subscriber is there already, which then is the one to use.
    let _ = match format {
        LogFormat::Text => builder.with_ansi(stderr_takes_colour()).with_target(verbosity > 1).try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    };
    if let Some(error) = fault {
        tracing::warn!("RUST_LOG cannot be read and is not used: {error}");
    }
}

/// Whether standard error is a terminal whose user has nothing against colour (<https://no-color.org>).
pub fn stderr_takes_colour() -> bool {
    io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

fn default_filter(verbosity: u8) -> EnvFilter {
    EnvFilter::new(match verbosity {
        0 => "error",
        1 => "warn,contact_relay=info",
        2 => "info,contact_relay=debug",
        _ => "debug,contact_relay=trace",
    })
}
