//! `outbox`: what waits to be delivered, what became of the rest, and changes by hand.

use clap::builder::{PossibleValuesParser, TypedValueParser};
use serde_json::Value;

use super::{
    by_hand::{Change, patiently, report},
    context::Context,
    exit::{Exit, NotThere},
    output::{self, or_nothing},
};
use crate::store::{AttemptRecord, OutboxFilter, OutboxRecord, RowState};

#[derive(Clone, Debug, clap::Subcommand)]
pub(super) enum OutboxCommand {
    /// List contact updates, newest first
    List(ListArgs),
    /// Show one update: what it wants, what became of it, and every call that carried it
    Show {
        /// The update's id
        id: i64,
    },
    /// Deliver updates again that were given up, or wait, at once and at their old place in the order
    Retry {
        /// Ids of updates
        #[arg(required = true, value_name = "ID")]
        ids: Vec<i64>,
    },
    /// Give updates up
    Discard {
        /// Ids of updates
        #[arg(required = true, value_name = "ID")]
        ids: Vec<i64>,
        /// Why, for the audit
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
}

#[derive(Clone, Debug, clap::Args)]
pub(super) struct ListArgs {
    /// In this state only
    #[arg(long, value_parser = state_parser())]
    state: Option<RowState>,
    /// Of this identifier, `email:…` or `phone:…`
    #[arg(long)]
    key: Option<String>,
    /// Of this source
    #[arg(long, value_name = "NAME")]
    source: Option<String>,
    /// Of this account
    #[arg(long, value_name = "NAME")]
    account: Option<String>,
    /// At most so many
    #[arg(long, value_name = "NUMBER", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    limit: u32,
    /// Older than the update with this id
    #[arg(long, value_name = "ID")]
    before: Option<i64>,
}

/// Columns of a row that hold JSON.
const JSON_OF_ROW: [&str; 3] = ["changes", "outcomes", "dropped"];

/// Runs the command.
pub(super) async fn run(command: OutboxCommand, context: &Context) -> anyhow::Result<Exit> {
    match command {
        OutboxCommand::List(args) => list(args, context).await,
        OutboxCommand::Show { id } => show(id, context).await,
        OutboxCommand::Retry { ids } => retry(&ids, context).await,
        OutboxCommand::Discard { ids, reason } => discard(&ids, &reason, context).await,
    }
}

async fn list(args: ListArgs, context: &Context) -> anyhow::Result<Exit> {
    let ListArgs { state, key, source, account, limit, before } = args;
    let (_, store) = context.open().await?;
    let rows = store.outbox(&OutboxFilter { state, key, account, source, before, limit }).await;
    store.close().await;
    let rows = rows?;
    if context.json {
        output::print_json(&rows.iter().map(row_json).collect::<anyhow::Result<Vec<_>>>()?)?;
        return Ok(Exit::Done);
    }
    print_rows(&rows)?;
    if let Some(last) = rows.last().filter(|_| rows.len() == limit as usize) {
        output::remark(&format!("older ones: --before {}", last.id));
    }
    Ok(Exit::Done)
}

/// A table of rows, for people.
pub(super) fn print_rows(rows: &[OutboxRecord]) -> anyhow::Result<()> {
    let cells = rows.iter().map(|row| {
        [
            row.id.to_string(),
            row.created_at.to_string(),
            row.source.clone(),
            row.account.clone(),
            row.key.clone(),
            or_nothing(row.contact_id),
            row.state.to_string(),
            or_nothing(row.reason.as_ref().or(row.reason_code.as_ref())),
            or_nothing(row.due_at),
        ]
    });
    output::print_table(["id", "made", "source", "account", "key", "contact", "state", "why", "due"], cells)
}

/// A row for programs.
pub(super) fn row_json(row: &OutboxRecord) -> anyhow::Result<Value> {
    output::unfolded(row, &JSON_OF_ROW)
}

async fn show(id: i64, context: &Context) -> anyhow::Result<Exit> {
    let (_, store) = context.open().await?;
    let row = store.outbox_row(id).await?.ok_or_else(|| NotThere(format!("there is no update {id}")))?;
    let attempts = store.attempts_of(id).await?;
    store.close().await;
    if context.json {
        let mut json = row_json(&row)?;
        let attempts = attempts.iter().map(|attempt| output::unfolded(attempt, &["sent", "not_taken"]));
        json["attempts"] = Value::Array(attempts.collect::<anyhow::Result<_>>()?);
        output::print_json(&json)?;
    } else {
        print_row(&row)?;
        print_attempts(&attempts)?;
    }
    Ok(Exit::Done)
}

fn print_row(row: &OutboxRecord) -> anyhow::Result<()> {
    output::print_parts(&[
        ("update", row.id.to_string()),
        ("webhook", format!("{}, element {}, run {}", row.webhook_id, row.element, row.run)),
        ("source", row.source.clone()),
        ("account", row.account.clone()),
        ("key", row.key.clone()),
        ("contact", or_nothing(row.contact_id)),
        ("changes", row.changes.clone()),
        ("dropped", or_nothing(row.dropped.as_ref())),
        ("state", row.state.to_string()),
        ("why", or_nothing(row.reason.as_ref().or(row.reason_code.as_ref()))),
        ("fields", or_nothing(row.outcomes.as_ref())),
        ("failures", row.failures.to_string()),
        ("happened", row.effective_at.to_string()),
        ("made", row.created_at.to_string()),
        ("due", or_nothing(row.due_at)),
        ("settled", or_nothing(row.settled_at)),
    ])
}

fn print_attempts(attempts: &[AttemptRecord]) -> anyhow::Result<()> {
    if attempts.is_empty() {
        return output::print("\nno call has carried it");
    }
    output::print("")?;
    let cells = attempts.iter().map(|attempt| {
        [
            attempt.id.to_string(),
            attempt.begun_at.to_string(),
            format!("{} {}", attempt.method, attempt.path),
            or_nothing(attempt.status),
            attempt.verdict.to_string(),
            or_nothing(attempt.code.as_ref()),
            or_nothing(attempt.request_id.as_ref()),
        ]
    });
    output::print_table(["call", "begun", "what", "status", "verdict", "failure", "request id"], cells)?;
    for attempt in attempts {
        let parts = [("sent", &attempt.sent), ("not taken", &attempt.not_taken), ("answer", &attempt.answer)];
        for (name, text) in parts.into_iter().filter_map(|(name, text)| Some((name, text.as_ref()?))) {
            output::print(&output::printable(&format!("call {} {name}: {text}", attempt.id)))?;
        }
    }
    Ok(())
}

async fn retry(ids: &[i64], context: &Context) -> anyhow::Result<Exit> {
    let (_, store) = context.open().await?;
    let mut changes = Vec::new();
    for &id in ids {
        let outcome = patiently(&context.clock, || store.retry(id, context.clock.now())).await?;
        changes.push(Change { id, outcome });
    }
    store.close().await;
    report(&changes, "due again", context.json)
}

async fn discard(ids: &[i64], reason: &str, context: &Context) -> anyhow::Result<Exit> {
    let (_, store) = context.open().await?;
    let mut changes = Vec::new();
    for &id in ids {
        let outcome = patiently(&context.clock, || store.discard(id, reason, context.clock.now())).await?;
        changes.push(Change { id, outcome });
    }
    store.close().await;
    report(&changes, "given up", context.json)
}

fn state_parser() -> impl TypedValueParser<Value = RowState> {
    PossibleValuesParser::new(RowState::ALL.map(RowState::as_str)).try_map(|text| text.parse::<RowState>())
}
