//! `sources list`: each source with what it sent lately.

use std::{collections::BTreeMap, time::Duration};

use serde::Serialize;

use crate::{
    cli::{
        context::Context,
        exit::Exit,
        output::{self, NOTHING, or_nothing},
    },
    config::SourceConfig,
    store::{SourceActivity, SourcePause},
};

/// How far back webhooks and refusals are counted.
const LATELY: Duration = Duration::from_hours(24);

#[derive(Debug, Serialize)]
struct Listed<'c> {
    name: &'c str,
    preset: Option<&'c str>,
    account: &'c str,
    /// Whether the configuration pauses it.
    paused_by_configuration: bool,
    /// Since when a command pauses it, and whose.
    pause: Option<SourcePause>,
    #[serde(flatten)]
    activity: SourceActivity,
    /// Refused requests by reason.
    refusals: BTreeMap<String, u64>,
}

/// Lists all sources of the configuration.
pub(super) async fn run(context: &Context) -> anyhow::Result<Exit> {
    let (config, store) = context.open().await?;
    let since = context.clock.now() - LATELY;
    let mut pauses = store.source_pauses().await?;
    let mut refusals: BTreeMap<String, BTreeMap<String, u64>> = BTreeMap::new();
    for refused in store.rejections_since(since).await? {
        refusals.entry(refused.source).or_default().insert(refused.reason, refused.count);
    }
    let mut listed = Vec::with_capacity(config.sources.len());
    for (name, SourceConfig { preset, account, paused, .. }) in &config.sources {
        listed.push(Listed {
            name,
            preset: preset.as_deref(),
            account,
            paused_by_configuration: *paused,
            pause: pauses.remove(name),
            activity: store.source_activity(name, since).await?,
            refusals: refusals.remove(name).unwrap_or_default(),
        });
    }
    store.close().await;
    if context.json {
        output::print_json(&listed)?;
        return Ok(Exit::Done);
    }
    let head =
        ["source", "preset", "account", "paused", "last webhook", "secret", "webhooks in 24 h", "refused in 24 h"];
    output::print_table(head, listed.iter().map(Listed::cells))?;
    Ok(Exit::Done)
}

impl Listed<'_> {
    fn cells(&self) -> [String; 8] {
        let by_hand = self.pause.as_ref().map(|pause| format!("by {} since {}", pause.by, pause.at));
        let by_file = self.paused_by_configuration.then(|| "by the configuration".to_owned());
        let paused: Vec<String> = by_file.into_iter().chain(by_hand).collect();
        [
            self.name.to_owned(),
            or_nothing(self.preset),
            self.account.to_owned(),
            or_nothing(Some(paused.join(", "))),
            or_nothing(self.activity.last_webhook_at),
            or_nothing(self.activity.last_secret),
            counts(&self.activity.webhooks),
            counts(&self.refusals),
        ]
    }
}

fn counts(counts: &BTreeMap<String, impl ToString>) -> String {
    if counts.is_empty() {
        return NOTHING.to_owned();
    }
    counts.iter().map(|(name, count)| format!("{} {name}", count.to_string())).collect::<Vec<_>>().join(", ")
}
