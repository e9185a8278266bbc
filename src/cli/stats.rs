//! `stats`: how everything stands, on one screen.

use std::{collections::BTreeMap, time::Duration};

use serde_json::json;

use super::{
    context::Context,
    exit::Exit,
    output::{self, NOTHING},
};
use crate::clock::Timestamp;

/// How far back refusals are counted.
const LATELY: Duration = Duration::from_hours(24);

/// Prints the overview.
pub(super) async fn run(context: &Context) -> anyhow::Result<Exit> {
    let (config, store) = context.open().await?;
    let now = context.clock.now();
    let states = store.outbox_counts().await?;
    let oldest_open_at = store.oldest_open_at().await?;
    let today = store.books_of_day(now).await?;
    let refusals = store.rejections_since(now - LATELY).await?;
    let accounts = store.paused_accounts().await?;
    let mut sources: BTreeMap<String, String> = store
        .source_pauses()
        .await?
        .into_iter()
        .map(|(name, pause)| (name, format!("by {} since {}", pause.by, pause.at)))
        .collect();
    for (name, _) in config.sources.iter().filter(|(_, source)| source.paused) {
        sources.entry(name.clone()).or_insert_with(|| "by the configuration".to_owned());
    }
    let requests = store.open_person_requests().await?;
    store.close().await;
    let next_due = requests.iter().find_map(|request| request.due_at);
    if context.json {
        output::print_json(&json!({
            "outbox": states,
            "oldest_open_at": oldest_open_at,
            "webhooks_today": today,
            "refusals_24h": refusals,
            "paused_accounts": accounts,
            "paused_sources": sources,
            "person_requests_open": requests.len(),
            "person_requests_next_due_at": next_due,
        }))?;
        return Ok(Exit::Done);
    }
    let states = states.iter().map(|(state, count)| format!("{count} {state}"));
    let counters = |books: &BTreeMap<String, i64>| {
        let of_webhooks = ["accepted", "repeated", "mapped", "ignored", "unmappable"];
        let written = of_webhooks.iter().filter_map(|name| Some(format!("{} {name}", books.get(*name)?)));
        written.collect::<Vec<_>>().join(", ")
    };
    let mut parts = vec![
        ("outbox", listed(states)),
        ("oldest open", oldest_open_at.map_or_else(|| NOTHING.to_owned(), |at| age(at, now))),
    ];
    parts.extend(today.iter().map(|(source, books)| ("webhooks today", format!("{source}: {}", counters(books)))));
    parts.extend(refusals.iter().map(|refused| {
        let source = if refused.source.is_empty() { "no source of ours" } else { &refused.source };
        ("refused in 24 h", format!("{source}: {} {}", refused.count, refused.reason))
    }));
    parts.extend(accounts.iter().filter_map(|(name, state)| {
        let pause = state.pause.as_ref()?;
        Some(("paused account", format!("{name} since {}: {}", pause.at, pause.reason)))
    }));
    parts.extend(sources.iter().map(|(name, pause)| ("paused source", format!("{name} {pause}"))));
    if !requests.is_empty() {
        let due = next_due.map(|due| format!(", the first due {due}")).unwrap_or_default();
        parts.push(("person requests", format!("{} open{due}; see `contacts requests`", requests.len())));
    }
    output::print_parts(&parts)?;
    Ok(Exit::Done)
}

fn listed(parts: impl Iterator<Item = String>) -> String {
    let parts: Vec<String> = parts.collect();
    if parts.is_empty() { NOTHING.to_owned() } else { parts.join(", ") }
}

/// How long ago something was, to the second.
fn age(at: Timestamp, now: Timestamp) -> String {
    let age = Duration::from_secs(now.since(at).as_secs());
    format!("{} ({at})", humantime::format_duration(age))
}
