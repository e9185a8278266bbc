//! `presets`: what is known about senders.

use clap::builder::{PossibleValuesParser, TypedValueParser};
use serde_json::{Value, json};

use super::{
    context::Context,
    exit::{Exit, NotThere},
    output,
};
use crate::config::presets::{self, Preset, Unsupported};

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
            let preset = presets::find(name).ok_or_else(|| NotThere(why_missing(name)))?;
            if context.json {
                let mut shown = to_json(&preset);
                shown["text"] = Value::from(preset.text);
                output::print_json(&shown)?;
            } else {
                output::print(preset.text.trim_end())?;
                if !preset.mapped {
                    output::print(&hint(&preset))?;
                }
            }
        }
    }
    Ok(Exit::Done)
}

/// What only the user can add to a preset without a map.
fn hint(preset: &Preset) -> String {
    format!(
        "\n# No [map]: it needs [sources.NAME.map] with identifier, email or phone_number.\n\
         # docs/senders/{}.md has an example.",
        preset.name
    )
}

fn why_missing(name: &str) -> String {
    match presets::unsupported().into_iter().find(|sender| sender.name == name) {
        Some(sender) => format!("{} is not supported: {}", sender.title, on_one_line(&sender.reason)),
        None => format!("there is no preset `{name}`; `contact-relay presets list` has all"),
    }
}

fn list(context: &Context) -> anyhow::Result<()> {
    let (presets, unsupported) = (presets::all(), presets::unsupported());
    if context.json {
        let without = unsupported.iter().map(unsupported_to_json);
        return output::print_json(&presets.iter().map(to_json).chain(without).collect::<Vec<_>>());
    }
    let rows = presets.into_iter().map(|preset| {
        let fields = if preset.mapped { "mapped" } else { "yours to map" };
        [
            preset.name.to_owned(),
            preset.title,
            preset.kind,
            fields.to_owned(),
            preset.verified.as_str().to_owned(),
            preset.docs,
        ]
    });
    output::print_table(["name", "sender", "kind", "fields", "signature known from", "documents"], rows)?;
    output::print("\nNot supported:")?;
    let rows = unsupported.into_iter().map(|sender| [sender.name, sender.title, on_one_line(&sender.reason)]);
    output::print_table(["name", "sender", "why, and what to do instead"], rows)
}

fn on_one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn to_json(preset: &Preset) -> Value {
    let Preset { name, title, kind, docs, setup, verified, mapped, note, text: _ } = preset;
    json!({
        "name": name,
        "title": title,
        "kind": kind,
        "supported": true,
        "docs": docs,
        "setup": setup.trim(),
        "verified": verified.as_str(),
        "mapped": mapped,
        "note": note,
    })
}

fn unsupported_to_json(sender: &Unsupported) -> Value {
    let Unsupported { name, title, reason } = sender;
    json!({ "name": name, "title": title, "supported": false, "reason": on_one_line(reason) })
}

/// Reads the name of a preset on the command line.
pub(super) fn name_parser() -> impl TypedValueParser<Value = String> {
    PossibleValuesParser::new(presets::all().into_iter().map(|preset| preset.name))
}
