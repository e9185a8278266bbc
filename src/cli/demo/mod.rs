//! `demo`: the whole path of a webhook on one machine, without a configuration. It starts the sandbox and the service,
//! lets made-up shops and forms send their webhooks, shows each with what comes of it, and checks the end.

mod report;
mod script;
mod sending;
mod verify;
mod world;

use std::{
    fs,
    io::{self, IsTerminal as _, Write},
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::Context as _;
use tokio_util::sync::CancellationToken;

use self::{
    report::{Report, Row},
    script::{BY_HAND_SOURCE, IN_THE_END, RECOVERY_EXPLANATION, RECOVERY_TITLE, STORY, Step, TROUBLED},
    verify::{Seen, missing},
    world::{Place, World},
};
use super::{exit::OutputClosed, signals};
use crate::{clock::Clock, sandbox::ContactRecord};

/// What `demo` is told on the command line.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct DemoArgs {
    /// End when the story is told: with status 0 if every update arrived, else with 1
    #[arg(long)]
    pub(super) exit: bool,
}

/// Runs the demonstration.
pub(super) async fn run(args: DemoArgs) -> anyhow::Result<ExitCode> {
    demonstrate(&args).await.map_err(|error| match error.downcast_ref::<io::Error>() {
        Some(fault) if fault.kind() == io::ErrorKind::BrokenPipe => OutputClosed.into(),
        _ => error,
    })
}

async fn demonstrate(args: &DemoArgs) -> anyhow::Result<ExitCode> {
    let stop = CancellationToken::new();
    signals::stop_on_signals(stop.clone()).context("signals cannot be listened for")?;
    let stdout = io::stdout();
    // https://no-color.org
    let color = stdout.is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let mut report = Report::new(stdout.lock(), color);
    let mut world = World::start(Clock::System).await?;
    opening(&mut report, &world)?;
    let told = tokio::select! {
        told = tell(&mut world, &mut report) => Some(told?),
        () = stop.cancelled() => None,
    };
    let arrived = told.as_ref().is_some_and(|told| told.missing.is_empty());
    match &told {
        Some(told) => closing(&mut report, &told.missing)?,
        None => report.line("Stopped before the end of the story.")?,
    }
    if let Some(told) = told.filter(|_| !args.exit) {
        where_to_look(&mut report, &world, told.retried)?;
        tokio::select! {
            error = world.ended() => return Err(error),
            () = stop.cancelled() => {}
        }
    }
    let place = world.stop().await?;
    leave(&mut report, &place, args.exit && arrived)?;
    Ok(if arrived { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn opening<W: Write>(report: &mut Report<W>, world: &World) -> io::Result<()> {
    report.heading("contact-relay: a demonstration")?;
    report.line("Six made-up senders send signed webhooks. The service verifies each one, stores it, and keeps the")?;
    report.line("contacts in Chatwoot right; a sandbox on this machine stands in for Chatwoot.")?;
    report.line("")?;
    report.line(&format!("  webhooks arrive at   http://{}/hooks/SOURCE", world.public))?;
    report.line(&format!("  Chatwoot's stand-in  {}/sandbox", world.sandbox.base_url()))?;
    report.line(&format!("  the database         {}", world.place.database.display()))?;
    report.line("")?;
    let known = world.sandbox.contacts();
    report.line(&format!("Chatwoot has {} contacts, which are linked to their identifiers already:", known.len()))?;
    for contact in &known {
        report.line(&format!("  {}", introduced(contact)))?;
    }
    report.line("")?;
    report.aside("Times are UTC, as in the database.")?;
    report.line("")?;
    report.titles()
}

fn introduced(contact: &ContactRecord) -> String {
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    format!("#{} {}, {}", contact.id, text(&contact.name), text(&contact.email))
}

/// What is left of the story once it is told.
struct Told {
    /// What is not as it must be in the end.
    missing: Vec<String>,
    /// The update that needed a second try.
    retried: Option<i64>,
}

/// Sends one webhook after the other, and shows what comes of each.
async fn tell<W: Write>(world: &mut World, report: &mut Report<W>) -> anyhow::Result<Told> {
    let mut seen = Vec::new();
    for step in &STORY {
        seen.push(take(step, world, report).await?);
    }
    let retried = seen.iter().find(|seen| seen.step.trouble).and_then(|seen| seen.updates.first());
    let retried = retried.map(|(id, _)| *id);
    Ok(Told { missing: missing(&seen, &world.ending().await?, &IN_THE_END), retried })
}

async fn take<W: Write>(step: &'static Step, world: &mut World, report: &mut Report<W>) -> anyhow::Result<Seen> {
    if step.trouble {
        world.make_trouble(TROUBLED).await?;
    }
    let at = world.now();
    let answer = world.send(step).await?;
    let mut row = Row {
        at,
        source: step.source,
        title: step.title,
        explanation: step.explanation,
        answer: Some(&answer),
        calls: &[],
        contact: None,
    };
    // A repeat names the webhook that came first, whose updates are not its own.
    let webhook = answer.webhook.filter(|_| answer.word == "accepted");
    let Some(webhook) = webhook else {
        let calls = world.new_calls();
        report.row(&Row { calls: &calls, ..row })?;
        return Ok(Seen { step, answer, updates: Vec::new() });
    };
    if step.trouble {
        let rows = world.failed_once(webhook).await?;
        let (calls, contact) = (world.new_calls(), world.contact_of(&rows));
        report.row(&Row { calls: &calls, contact: contact.as_ref(), ..row })?;
        row = Row { title: RECOVERY_TITLE, explanation: RECOVERY_EXPLANATION, answer: None, ..row };
    }
    let rows = world.settled(webhook).await?;
    let (calls, contact) = (world.new_calls(), world.contact_of(&rows));
    let at = if step.trouble { world.now() } else { at };
    report.row(&Row { at, calls: &calls, contact: contact.as_ref(), ..row })?;
    Ok(Seen { step, updates: rows.iter().map(|row| (row.id, row.state)).collect(), answer })
}

fn closing<W: Write>(report: &mut Report<W>, missing: &[String]) -> io::Result<()> {
    if missing.is_empty() {
        report.line("Every update arrived: all contacts have their newest values, no two calls to one contact")?;
        return report.line("overlapped, and nothing is left to do in the outbox.");
    }
    report.fault("Not everything arrived:")?;
    missing.iter().try_for_each(|fault| report.fault(&format!("  {fault}")))
}

fn where_to_look<W: Write>(report: &mut Report<W>, world: &World, retried: Option<i64>) -> io::Result<()> {
    let place = &world.place;
    let (program, directory) = (program(), quoted(&place.directory));
    let [database, by_hand] = [&place.database, &place.by_hand].map(|path| path.file_name().unwrap_or_default());
    let [database, by_hand] = [database, by_hand].map(|name| quoted(Path::new(name)));
    let columns = "received, source, event, identifier, contact_id, state";
    let sandbox = world.sandbox.base_url();
    report.heading("Where to look next")?;
    report.line("All of it goes on running. In another terminal:")?;
    let mut examples = vec![
        ("the configuration is contact-relay.toml here; elsewhere, name it with --config", format!("cd {directory}")),
        ("what became of each update", format!("{program} outbox list")),
    ];
    examples.extend(retried.map(|id| ("the one that needed two calls", format!("{program} outbox show {id}"))));
    examples.extend([
        ("what arrived", format!("{program} webhooks list")),
        ("one more webhook, signed and sent", format!("{program} send --source {BY_HAND_SOURCE} {by_hand}")),
        ("the audit, in the database itself", format!("sqlite3 -box {database} 'select {columns} from audit'")),
        ("the contacts in the sandbox", format!("curl {sandbox}/sandbox/contacts")),
        ("the calls that it received", format!("curl {sandbox}/sandbox/calls")),
        ("whether the service is ready", format!("curl http://{}/readyz", world.admin)),
    ]);
    for (what, command) in examples {
        report.line("")?;
        report.aside(&format!("  # {what}"))?;
        report.line(&format!("  {command}"))?;
    }
    report.line("")?;
    report.line("Ctrl-C ends the demonstration.")
}

/// Takes the files away, or says where they are.
fn leave<W: Write>(report: &mut Report<W>, place: &Place, remove: bool) -> anyhow::Result<()> {
    if remove {
        fs::remove_dir_all(&place.directory)?;
        report.line("Run it without --exit to look around: everything then stays up until Ctrl-C.")?;
    } else {
        report.line("")?;
        report
            .line(&format!("Stopped. The database and the configuration are kept in {}", place.directory.display()))?;
    }
    Ok(())
}

/// This program as it was called; a path would not lead to it from another directory, unless it is the whole one.
fn program() -> String {
    let called = std::env::args_os().next().map(PathBuf::from).unwrap_or_default();
    let by_name = called.components().count() == 1;
    if by_name { quoted(&called) } else { quoted(&std::env::current_exe().unwrap_or(called)) }
}

/// A path as a shell takes it.
fn quoted(path: &Path) -> String {
    let path = path.display().to_string();
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+:\\".contains(c);
    if path.chars().all(plain) { path } else { format!("'{}'", path.replace('\'', r"'\''")) }
}
