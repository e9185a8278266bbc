//! `presets`: what is known about senders.

use clap::builder::{PossibleValuesParser, TypedValueParser};
use serde_json::{Value, json};

use super::{
    context::Context,
    exit::{Exit, NotThere},
    output,
};
use crate::config::presets::{self, Preset};

#[derive(Clone, Debug, clap::Subcommand)]
pub(super) enum PresetsCommand {
    /// List all senders that need no more than a name and a secret
    List,
    /// Show a preset's file: its keys can be overridden one by one in [sources.NAME]
    Show {
        /// The preset's name
        name: String,
    },
}

/// Runs the command.
pub(super) fn run(command: &PresetsCommand, context: &Context) -> anyhow::Result<Exit> {
    match command {
        PresetsCommand::List => list(context)?,
        PresetsCommand::Show { name } => {
            let preset = presets::find(name).ok_or_else(|| {
                NotThere(format!("there is no preset `{name}`; `contact-relay presets list` has all"))
            })?;
            if context.json {
                let mut shown = to_json(&preset);
                shown["text"] = Value::from(preset.text);
                output::print_json(&shown)?;
            } else {
                output::print(preset.text.trim_end())?;
            }
        }
    }
    Ok(Exit::Done)
}

fn list(context: &Context) -> anyhow::Result<()> {
    let presets = presets::all();
    if context.json {
        return output::print_json(&presets.iter().map(to_json).collect::<Vec<_>>());
    }
    let rows = presets.into_iter().map(|preset| [preset.name.to_owned(), preset.title, preset.kind, preset.docs]);
    output::print_table(["name", "sender", "kind", "documents"], rows)
}

fn to_json(preset: &Preset) -> Value {
    let Preset { name, title, kind, docs, setup, text: _ } = preset;
    json!({ "name": name, "title": title, "kind": kind, "docs": docs, "setup": setup.trim() })
}

/// Reads the name of a preset on the command line.
pub(super) fn name_parser() -> impl TypedValueParser<Value = String> {
    PossibleValuesParser::new(presets::all().into_iter().map(|preset| preset.name))
}
