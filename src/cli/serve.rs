//! `serve`: the service itself, until it is told to stop.

use anyhow::Context as _;
use tokio_util::sync::CancellationToken;

use super::{
    context::{Context, chance},
    exit::Exit,
    output, signals,
};
use crate::{
    app::{App, Ports, ServiceLock},
    config::Config,
    telemetry,
};

/// Serves until SIGTERM or SIGINT.
pub(super) async fn run(context: &Context) -> anyhow::Result<Exit> {
    let loaded = context.load_with_warnings()?;
    if !loaded.warnings.is_empty() {
        output::remark(&loaded.warnings.render(telemetry::stderr_takes_colour()));
    }
    let config = loaded.config;
    let _lock = ServiceLock::take(&config.database.path)?;
    let stop = CancellationToken::new();
    signals::stop_on_signals(stop.clone()).context("signals cannot be listened for")?;
    let ports = Ports::bind(&config)?;
    let app = App::build(&config, context.clock.clone(), chance()).await?;
    announce(&config, &ports)?;
    app.serve(ports, stop).await?;
    Ok(Exit::Done)
}

/// Logs where everything is.
fn announce(config: &Config, ports: &Ports) -> anyhow::Result<()> {
    let public = ports.public_address()?;
    tracing::info!(database.path = %config.database.path.display(), "contact-relay {}", env!("CARGO_PKG_VERSION"));
    tracing::info!("webhooks arrive at http://{public}");
    if let Some(admin) = &ports.admin {
        tracing::info!("operators look at http://{}", admin.local_addr()?);
    }
    let base = config.server.public_url.clone().unwrap_or_else(|| format!("http://{public}"));
    for (name, source) in &config.sources {
        let paused = if source.paused { ", paused: its updates wait" } else { "" };
        tracing::info!("source {name}: POST {base}/hooks/{name} for account {}{paused}", source.account);
    }
    for (name, account) in &config.accounts {
        let dry = if account.dry_run { ", dry run: nothing is written" } else { "" };
        tracing::info!("account {name}: account {} at {}{dry}", account.account_id, account.base_url);
    }
    Ok(())
}
