//! `map`: what today's mapping makes of a webhook. Nothing is stored and nothing is called.

use anyhow::Context as _;

use super::{
    context::{self, Context},
    exit::Exit,
    output,
    payload::PayloadArgs,
    preview::Preview,
};
use crate::sources::Proof;

/// Shows the updates. Fails when there would be none because of a fault.
pub(super) fn run(args: &PayloadArgs, context: &Context) -> anyhow::Result<Exit> {
    let config = context.load()?;
    let source = context::source(&config, &args.source)?;
    let webhook = source.source.read_back(args.draft()?.0, context.clock.now(), Proof::default());
    let mapped = source.mapping.map(&webhook, source.source.verifier().signed_headers());
    let preview = Preview::of_mapped(mapped.context("the body cannot be read")?);
    if context.json {
        output::print_json(&preview)?;
    } else {
        preview.print()?;
    }
    Ok(if preview.outcome == "unmappable" { Exit::Failed } else { Exit::Done })
}
