//! `init`: writes a first configuration. It asks where it can, takes options where it cannot, and checks what it is
//! about to write.

use std::{
    fs::File,
    io::{self, ErrorKind, IsTerminal as _, Write as _},
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use dialoguer::{Confirm, Input, MultiSelect};
use serde_json::json;

use super::{
    context::Context,
    exit::{Exit, WrongUsage},
    output,
    presets::name_parser,
};
use crate::{
    config::{self, FixedEnvironment, InitAnswers, presets, starter, starter_variables},
    contacts::Region,
};

#[derive(Clone, Debug, clap::Args)]
pub(super) struct InitArgs {
    /// The address of the Chatwoot installation, such as `https://chat.example.com`
    #[arg(long, value_name = "URL")]
    base_url: Option<String>,
    /// The account's number: the one in the address of its dashboard, /app/accounts/NUMBER
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(i64).range(1..))]
    account_id: Option<i64>,
    /// A sender of webhooks; may be given several times
    #[arg(long = "preset", value_name = "NAME", value_parser = name_parser())]
    presets: Vec<String>,
    /// The region of phone numbers without a country code, such as IL
    #[arg(long, value_name = "REGION", value_parser = region)]
    phone_region: Option<String>,
    /// The file to write; without it, the one that other commands would read
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Overwrite the file if it is there
    #[arg(long)]
    force: bool,
}

/// A value that passes every check of a secret, so that the file can be checked before the real ones are there.
const STAND_IN_SECRET: &str = "00112233445566778899aabbccddeeff";

/// Writes the file and says what comes next.
pub(super) fn run(args: InitArgs, context: &Context) -> anyhow::Result<Exit> {
    let path = args.output.clone().unwrap_or_else(|| context.config_path());
    let can_ask = io::stdin().is_terminal() && io::stderr().is_terminal() && !context.json;
    let force = args.force;
    let answers = if can_ask { ask(args)? } else { without_asking(args)? };
    if let Some(preset) =
        answers.presets.iter().filter_map(|name| presets::find(name)).find(presets::Preset::needs_public_key)
    {
        let words = format!(
            "{} signs with a key pair: leave it out here, and copy the block of docs/senders/{}.md into the file with the public key",
            preset.title, preset.name
        );
        return Err(WrongUsage(words).into());
    }
    let text = starter(&answers);
    check(&text, &answers, &path)?;
    write(&path, &text, force, can_ask)?;
    next_steps(&path, &answers, context)?;
    Ok(Exit::Done)
}

fn without_asking(args: InitArgs) -> Result<InitAnswers, WrongUsage> {
    let missing = |option| WrongUsage(format!("{option} is missing, and there is no terminal to ask on"));
    Ok(InitAnswers {
        base_url: args.base_url.ok_or_else(|| missing("--base-url"))?,
        account_id: args.account_id.ok_or_else(|| missing("--account-id"))?,
        presets: without_repeats(args.presets),
        phone_region: args.phone_region,
    })
}

fn ask(args: InitArgs) -> anyhow::Result<InitAnswers> {
    let base_url = match args.base_url {
        Some(url) => url,
        None => Input::new().with_prompt("Address of Chatwoot (https://…)").interact_text()?,
    };
    let account_id = match args.account_id {
        Some(id) => id,
        None => Input::new()
            .with_prompt("Number of the account (in the dashboard's address, /app/accounts/NUMBER)")
            .validate_with(|id: &i64| if *id > 0 { Ok(()) } else { Err("a number from 1") })
            .interact_text()?,
    };
    let presets = if args.presets.is_empty() { ask_presets()? } else { without_repeats(args.presets) };
    let phone_region = match args.phone_region {
        Some(region) => Some(region),
        None => ask_region()?,
    };
    Ok(InitAnswers { base_url, account_id, presets, phone_region })
}

fn ask_presets() -> anyhow::Result<Vec<String>> {
    let all = presets::all();
    let chosen = MultiSelect::new()
        .with_prompt("Who sends webhooks? (space chooses, enter ends; none: a sender of your own)")
        .items(all.iter().map(|preset| &preset.title))
        .interact()?;
    Ok(chosen.into_iter().filter_map(|index| all.get(index)).map(|preset| preset.name.to_owned()).collect())
}

fn ask_region() -> anyhow::Result<Option<String>> {
    let answer: String = Input::new()
        .with_prompt("Region of phone numbers without a country code, such as IL (empty: none)")
        .allow_empty(true)
        .validate_with(|text: &String| if text.is_empty() { Ok(()) } else { region(text).map(drop) })
        .interact_text()?;
    Ok((!answer.is_empty()).then(|| answer.to_ascii_uppercase()))
}

fn without_repeats(names: Vec<String>) -> Vec<String> {
    let mut kept: Vec<String> = Vec::new();
    for name in names {
        if !kept.contains(&name) {
            kept.push(name);
        }
    }
    kept
}

fn region(text: &str) -> Result<String, String> {
    let upper = text.to_ascii_uppercase();
    match Region::parse(&upper) {
        Ok(_) => Ok(upper),
        Err(_) => Err("expected two letters such as IL or GB".to_owned()),
    }
}

/// Whether the file would pass `check` once its variables are set. The file is not there yet, so that its lines would
/// help nobody.
fn check(text: &str, answers: &InitAnswers, path: &Path) -> Result<(), WrongUsage> {
    let env = starter_variables(answers)
        .iter()
        .fold(FixedEnvironment::default(), |env, name| env.with_var(name, STAND_IN_SECRET));
    let Err(problems) = config::parse(text, &path.display().to_string(), &env) else { return Ok(()) };
    let problems: Vec<_> = problems.iter().map(ToString::to_string).collect();
    Err(WrongUsage(format!("nothing was written: {}", problems.join("; "))))
}

/// Writes a new file; one that is there is overwritten only when that was asked for.
fn write(path: &Path, text: &str, force: bool, can_ask: bool) -> anyhow::Result<()> {
    let open = |overwrite: bool| {
        let mut options = File::options();
        options.write(true).truncate(true);
        if overwrite { options.create(true).open(path) } else { File::create_new(path) }
    };
    let mut file = match open(force) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            let question = format!("{} is there already. Overwrite it?", path.display());
            if !can_ask || !Confirm::new().with_prompt(question).default(false).interact()? {
                anyhow::bail!(
                    "{} is there already and was left alone; --force overwrites it, --output names another file",
                    path.display()
                );
            }
            open(true)
        }
        opened => opened,
    }
    .with_context(|| format!("{} cannot be written", path.display()))?;
    file.write_all(text.as_bytes()).with_context(|| format!("{} cannot be written", path.display()))
}

fn next_steps(path: &Path, answers: &InitAnswers, context: &Context) -> anyhow::Result<()> {
    let variables = starter_variables(answers);
    if context.json {
        return output::print_json(&json!({ "file": path, "variables": variables }));
    }
    let presets = answers.presets.iter().filter_map(|name| presets::find(name));
    let setup: Vec<_> = presets.map(|preset| format!("\n{}:\n{}\n", preset.title, preset.setup.trim())).collect();
    let steps = format!(
        "Wrote {file}.\n\
         {setup}\n\
         Next:\n\
         1. Set these environment variables: {variables}\n\
         2. contact-relay check --online    tells whether the file is right and the account answers\n\
         3. contact-relay serve             then webhooks are accepted at /hooks/SOURCE",
        file = path.display(),
        setup = setup.concat(),
        variables = variables.join(", "),
    );
    output::print(&steps)
}
