//! `sources`: what each sender sent lately, pausing it, and why its requests are refused.

mod diagnose;
mod list;

use serde_json::json;

use super::{
    context::{self, Context, open_or_create},
    exit::Exit,
    output,
};
use crate::config::{Environment as _, ProcessEnvironment};

#[derive(Clone, Debug, clap::Subcommand)]
pub(super) enum SourcesCommand {
    /// List the sources: whether they are paused, what they sent in the last 24 hours and what was refused
    List,
    /// Let the updates of a source wait; its webhooks are still accepted and stored
    Pause {
        /// The source
        name: String,
    },
    /// Deliver the updates of a source again, those that waited first
    Resume {
        /// The source
        name: String,
    },
    /// Explain why the last requests of a source were refused; asks the running service
    Diagnose {
        /// The source
        name: String,
    },
}

/// Runs the command.
pub(super) async fn run(command: SourcesCommand, context: &Context) -> anyhow::Result<Exit> {
    match command {
        SourcesCommand::List => list::run(context).await,
        SourcesCommand::Pause { name } => pause(&name, context).await,
        SourcesCommand::Resume { name } => resume(&name, context).await,
        SourcesCommand::Diagnose { name } => diagnose::run(&name, context).await,
    }
}

async fn pause(name: &str, context: &Context) -> anyhow::Result<Exit> {
    let config = context.load()?;
    context::source(&config, name)?;
    let store = open_or_create(&config).await?;
    let by = ProcessEnvironment.var("USER").filter(|user| !user.is_empty());
    let by = by.map_or_else(|| "the command line".to_owned(), |user| format!("{user} on the command line"));
    let paused = store.pause_source(name, context.clock.now(), &by).await;
    store.close().await;
    if !paused? {
        return said(context, name, "paused", false, &format!("{name} is paused already"));
    }
    let text = format!("{name} is paused: its webhooks are stored, and its updates wait for `sources resume {name}`");
    said(context, name, "paused", true, &text)
}

async fn resume(name: &str, context: &Context) -> anyhow::Result<Exit> {
    let config = context.load()?;
    let paused_by_file = context::source(&config, name)?.paused;
    let store = open_or_create(&config).await?;
    let resumed = store.resume_source(name, context.clock.now()).await;
    store.close().await;
    let resumed = resumed?;
    if paused_by_file {
        output::remark(&format!(
            "the configuration pauses {name} as well: take `paused = true` away and start the service again"
        ));
    }
    let text = if resumed { format!("{name} is resumed") } else { format!("{name} was not paused by a command") };
    said(context, name, "resumed", resumed, &text)
}

/// Says what was done, or that there was nothing to do.
fn said(context: &Context, name: &str, what: &str, done: bool, text: &str) -> anyhow::Result<Exit> {
    if context.json {
        let mut answer = json!({ "source": name });
        answer[what] = done.into();
        output::print_json(&answer)?;
    } else if done {
        output::print(text)?;
    } else {
        output::remark(text);
    }
    Ok(if done { Exit::Done } else { Exit::NothingToDo })
}
