//! `webhooks`: what arrived, and mapping it again.

use std::io::{self, IsTerminal as _};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde_json::{Value, json};

use super::{
    context::{self, Context, chance},
    exit::{self, Exit, NotThere},
    outbox,
    output::{self, or_nothing},
    preview::Preview,
};
use crate::{
    app::App,
    store::{OutboxRecord, WebhookFilter, WebhookRecord},
};

#[derive(Clone, Debug, clap::Subcommand)]
pub(super) enum WebhooksCommand {
    /// List webhooks, newest first
    List(ListArgs),
    /// Show one webhook and the updates it led to
    Show {
        /// The webhook's id
        id: i64,
        /// Print its raw body and nothing else; with --json, the body as well
        #[arg(long)]
        body: bool,
    },
    /// Map stored webhooks again, through today's mapping, and deliver what comes out at its old place in the order
    Replay {
        /// Ids of webhooks
        #[arg(required = true, value_name = "ID")]
        ids: Vec<i64>,
        /// Show what would come out, and store nothing
        #[arg(long)]
        dry_run: bool,
    },
}

#[derive(Clone, Debug, clap::Args)]
pub(super) struct ListArgs {
    /// Of this source
    #[arg(long, value_name = "NAME")]
    source: Option<String>,
    /// With this outcome only
    #[arg(long, value_parser = ["mapped", "ignored", "unmappable"])]
    outcome: Option<String>,
    /// At most so many
    #[arg(long, value_name = "NUMBER", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    limit: u32,
    /// Older than the webhook with this id
    #[arg(long, value_name = "ID")]
    before: Option<i64>,
}

/// Runs the command.
pub(super) async fn run(command: WebhooksCommand, context: &Context) -> anyhow::Result<Exit> {
    match command {
        WebhooksCommand::List(args) => list(args, context).await,
        WebhooksCommand::Show { id, body } => show(id, body, context).await,
        WebhooksCommand::Replay { ids, dry_run } => replay(&ids, dry_run, context).await,
    }
}

async fn list(args: ListArgs, context: &Context) -> anyhow::Result<Exit> {
    let ListArgs { source, outcome, limit, before } = args;
    let (_, store) = context.open().await?;
    let webhooks = store.webhooks(&WebhookFilter { source, outcome, before, limit }).await;
    store.close().await;
    let webhooks = webhooks?;
    if context.json {
        output::print_json(&webhooks.iter().map(webhook_json).collect::<anyhow::Result<Vec<_>>>()?)?;
        return Ok(Exit::Done);
    }
    let cells = webhooks.iter().map(|webhook| {
        [
            webhook.id.to_string(),
            webhook.received_at.to_string(),
            webhook.source.clone(),
            or_nothing(webhook.topic.as_ref()),
            or_nothing(webhook.event_id.as_ref()),
            webhook.body_size.to_string(),
            webhook.outcome.clone(),
            or_nothing(webhook.reason.as_ref()),
        ]
    });
    output::print_table(["id", "received", "source", "topic", "event id", "bytes", "outcome", "why"], cells)?;
    if let Some(last) = webhooks.last().filter(|_| webhooks.len() == limit as usize) {
        output::remark(&format!("older ones: --before {}", last.id));
    }
    Ok(Exit::Done)
}

fn webhook_json(webhook: &WebhookRecord) -> anyhow::Result<Value> {
    output::unfolded(webhook, &["headers", "left_out"])
}

async fn show(id: i64, with_body: bool, context: &Context) -> anyhow::Result<Exit> {
    let (_, store) = context.open().await?;
    let webhook = store.webhook(id).await?.ok_or_else(|| NotThere(format!("there is no webhook {id}")))?;
    let rows = store.rows_of(id).await?;
    store.close().await;
    if context.json {
        let mut json = webhook_json(&webhook)?;
        json["rows"] = Value::Array(rows.iter().map(outbox::row_json).collect::<anyhow::Result<_>>()?);
        if with_body {
            let (key, body) = body_json(webhook.body);
            json[key] = body;
        }
        output::print_json(&json)?;
    } else if with_body {
        let body = webhook.body.ok_or_else(|| NotThere(format!("the body of webhook {id} is not kept any more")))?;
        print_body(&body)?;
    } else {
        print_webhook(&webhook, &rows)?;
    }
    Ok(Exit::Done)
}

/// The body as text where it is one.
fn body_json(body: Option<Vec<u8>>) -> (&'static str, Value) {
    match body.map(String::from_utf8) {
        None => ("body", Value::Null),
        Some(Ok(text)) => ("body", Value::String(text)),
        Some(Err(bytes)) => ("body_base64", Value::String(BASE64_STANDARD.encode(bytes.as_bytes()))),
    }
}

/// Byte for byte, unless it is shown on a terminal, which bytes can steer.
fn print_body(body: &[u8]) -> anyhow::Result<()> {
    if io::stdout().is_terminal() {
        output::print(&output::printable_lines(&String::from_utf8_lossy(body)))
    } else {
        output::print_bytes(body)
    }
}

fn print_webhook(webhook: &WebhookRecord, rows: &[OutboxRecord]) -> anyhow::Result<()> {
    let body = if webhook.body.is_some() { "kept" } else { "not kept any more" };
    output::print_parts(&[
        ("webhook", webhook.id.to_string()),
        ("source", webhook.source.clone()),
        ("topic", or_nothing(webhook.topic.as_ref())),
        ("event id", or_nothing(webhook.event_id.as_ref())),
        ("first of it", or_nothing(webhook.first_webhook_id)),
        ("received", webhook.received_at.to_string()),
        ("signed", or_nothing(webhook.signed_at)),
        ("secret", or_nothing(webhook.secret)),
        ("method", webhook.method.clone()),
        ("query", or_nothing(Some(&webhook.query))),
        ("content type", or_nothing(webhook.content_type.as_ref())),
        ("headers", webhook.headers.clone()),
        ("body", format!("{} bytes, {body}", webhook.body_size)),
        ("outcome", webhook.outcome.clone()),
        ("why", or_nothing(webhook.reason.as_ref())),
        ("left out", or_nothing(webhook.left_out.as_ref())),
    ])?;
    if rows.is_empty() {
        return output::print("\nno updates");
    }
    output::print("")?;
    outbox::print_rows(rows)
}

async fn replay(ids: &[i64], dry_run: bool, context: &Context) -> anyhow::Result<Exit> {
    let config = context.load()?;
    context::check_database(&config)?;
    let app = App::build_beside(&config, context.clock.clone(), chance()).await?;
    let mut worst = Exit::Done;
    let mut done = Vec::new();
    for &id in ids {
        match replay_one(&app, id, dry_run, context).await {
            Ok(shown) => done.push(shown),
            Err(error) => {
                output::remark(&format!("error: webhook {id}: {}", exit::one_line(&error)));
                worst = worst.max(exit::of(&error));
            }
        }
    }
    app.store.close().await;
    if context.json {
        output::print_json(&done)?;
    }
    Ok(worst)
}

async fn replay_one(app: &App, id: i64, dry_run: bool, context: &Context) -> anyhow::Result<Value> {
    let webhook = app.store.webhook(id).await?.ok_or_else(|| NotThere("there is none".to_owned()))?;
    let replay = app.ingest.remap(&webhook, context.clock.now())?;
    let preview = Preview::of_replay(replay.clone());
    if dry_run {
        if !context.json {
            output::print(&format!("webhook {id} would be"))?;
            preview.print()?;
        }
        return Ok(json!({ "webhook": id, "preview": preview }));
    }
    let made = app.store.replay(replay).await?;
    if !context.json {
        output::print(&format!("webhook {id}: {}; {}", preview.summary(), output::count(made, "new update")))?;
    }
    Ok(json!({ "webhook": id, "outcome": preview.outcome, "rows": made }))
}
