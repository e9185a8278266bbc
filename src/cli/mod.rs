//! The command line: one file per command. A command reads its options, calls the same functions as the service does,
//! and prints what came of it; it works beside a running service, which needs no word of it.
//!
//! | file | holds |
//! | --- | --- |
//! | `serve`, `demo`, `sandbox` | what runs until it is stopped |
//! | `init`, `check`, `presets` | the configuration |
//! | `map`, `sign` | trying out a source: `map`, `sign` and `send` |
//! | `contacts`, `outbox`, `sources`, `stats`, `webhooks` | looking at the database, and changing it by hand |
//! | `shell` | completions and manual pages |
//! | `context`, `exit`, `output`, `signals`, `by_hand`, `payload`, `preview`, `post` | what commands share |

mod by_hand;
mod check;
mod contacts;
mod context;
mod demo;
mod exit;
mod init;
mod map;
mod outbox;
mod output;
mod payload;
mod post;
mod presets;
mod preview;
mod sandbox;
mod serve;
mod shell;
mod sign;
mod signals;
mod sources;
mod stats;
mod webhooks;

use std::{path::PathBuf, process::ExitCode};

use clap::{ArgAction, CommandFactory as _, Parser, Subcommand};

use self::context::Context;
use crate::{
    clock::Clock,
    config::Problems,
    telemetry::{self, LogFormat},
};

/// Turns the signed webhooks of shops and forms into contact updates in Chatwoot
#[derive(Debug, Parser)]
#[command(name = "contact-relay", version, after_help = exit::HELP, propagate_version = true)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
    /// The configuration file
    ///
    /// Without it, the one that `CONTACT_RELAY_CONFIG` names, else contact-relay.toml in the working directory.
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Print JSON for programs; times are milliseconds since 1970
    #[arg(long, global = true)]
    json: bool,
    /// How log lines on standard error look
    #[arg(long, global = true, value_enum, default_value_t, value_name = "FORMAT")]
    log_format: LogFormat,
    /// Log more; twice, even more
    #[arg(long, short, global = true, action = ArgAction::Count)]
    verbose: u8,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Accept webhooks and deliver contact updates until told to stop (SIGTERM or Ctrl-C)
    Serve,
    /// Show what the service does, with made-up webhooks and a stand-in Chatwoot
    Demo(demo::DemoArgs),
    /// Run the stand-in Chatwoot alone
    Sandbox(sandbox::SandboxArgs),
    /// Write a first configuration
    Init(init::InitArgs),
    /// Check the configuration and show everything that is wrong with it
    Check(check::CheckArgs),
    /// Show the senders that are known
    #[command(subcommand)]
    Presets(presets::PresetsCommand),
    /// Show what the mapping makes of a webhook; nothing is stored or called
    Map(payload::PayloadArgs),
    /// Sign a webhook as its source would, and print its headers
    Sign(sign::SignArgs),
    /// Sign a webhook as its source would, and send it to the running service
    Send(sign::SendArgs),
    /// Look at links from identifiers to contacts, make and remove them
    #[command(subcommand)]
    Contacts(contacts::ContactsCommand),
    /// Look at contact updates, deliver them again or give them up
    #[command(subcommand)]
    Outbox(outbox::OutboxCommand),
    /// Look at the senders, pause them, and find out why their requests are refused
    #[command(subcommand)]
    Sources(sources::SourcesCommand),
    /// Show how everything stands
    Stats,
    /// Look at received webhooks, and map them again
    #[command(subcommand)]
    Webhooks(webhooks::WebhooksCommand),
    /// Print a script that completes commands in a shell
    Completions(shell::CompletionsArgs),
    /// Print the manual page
    Man(shell::ManArgs),
}

impl Cli {
    /// Runs the command and answers its exit code. What went wrong is on standard error by then.
    pub async fn run(self) -> ExitCode {
        // The demonstration shows what happens in its own way; log lines would only get between.
        let usual = u8::from(!matches!(self.command, Command::Demo(_)));
        telemetry::init(self.log_format, self.verbose.saturating_add(usual));
        let context = Context { config: self.config, json: self.json, clock: Clock::System };
        self.command.run(&context).await.unwrap_or_else(|error| fail(&error))
    }
}

impl Command {
    async fn run(self, context: &Context) -> anyhow::Result<ExitCode> {
        let exit = match self {
            Self::Demo(args) => return demo::run(args).await,
            Self::Serve => serve::run(context).await?,
            Self::Sandbox(args) => sandbox::run(&args, context).await?,
            Self::Init(args) => init::run(args, context)?,
            Self::Check(args) => check::run(&args, context).await?,
            Self::Presets(command) => presets::run(&command, context)?,
            Self::Map(args) => map::run(&args, context)?,
            Self::Sign(args) => sign::run_sign(&args, context)?,
            Self::Send(args) => sign::run_send(&args, context).await?,
            Self::Contacts(command) => contacts::run(command, context).await?,
            Self::Outbox(command) => outbox::run(command, context).await?,
            Self::Sources(command) => sources::run(command, context).await?,
            Self::Stats => stats::run(context).await?,
            Self::Webhooks(command) => webhooks::run(command, context).await?,
            Self::Completions(args) => shell::completions(&args, Cli::command())?,
            Self::Man(args) => shell::man(&args, Cli::command())?,
        };
        Ok(exit.into())
    }
}

/// Says what went wrong: all faults of a configuration as a compiler shows them, anything else in one line.
fn fail(error: &anyhow::Error) -> ExitCode {
    if let Some(problems) = error.downcast_ref::<Problems>() {
        output::remark(&problems.render(telemetry::stderr_takes_colour()));
    } else if !error.is::<exit::OutputClosed>() {
        output::remark(&format!("error: {}", output::printable(&exit::one_line(error))));
    }
    exit::of(error).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_put_together_rightly() {
        Cli::command().debug_assert();
    }
}
