//! `sandbox`: the stand-in Chatwoot alone, to try a mapping without touching a real account.

use std::net::SocketAddr;

use anyhow::Context as _;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::{context::Context, exit::Exit, output, signals};
use crate::sandbox::{Options, Sandbox};

#[derive(Clone, Debug, clap::Args)]
pub(super) struct SandboxArgs {
    /// Where to listen; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:3100")]
    listen: SocketAddr,
}

/// Serves until SIGTERM or SIGINT.
pub(super) async fn run(args: &SandboxArgs, context: &Context) -> anyhow::Result<Exit> {
    let stop = CancellationToken::new();
    signals::stop_on_signals(stop.clone()).context("signals cannot be listened for")?;
    let options = Options { listen: args.listen, clock: context.clock.clone(), ..Options::default() };
    let sandbox = Sandbox::start(options).await.with_context(|| format!("cannot listen on {}", args.listen))?;
    let (base_url, token, account_id) = (sandbox.base_url(), sandbox.token(), sandbox.account_id());
    let look = format!("{base_url}/sandbox");
    if context.json {
        let place = json!({ "base_url": base_url, "account_id": account_id, "api_access_token": token, "look": look });
        output::print_json(&place)?;
    } else {
        output::print_parts(&[
            ("base_url", base_url),
            ("account_id", account_id.to_string()),
            ("api_access_token", token.to_owned()),
            ("look at", look),
        ])?;
        output::remark("It keeps everything in memory, and ends with Ctrl-C.");
    }
    stop.cancelled().await;
    sandbox.stop().await;
    Ok(Exit::Done)
}
