//! A step's webhook as its sender would make it, and what the public port answers to it.

use std::net::SocketAddr;

use anyhow::Context as _;
use serde_json::Value;

use super::script::{Seal, Step};
use crate::{
    cli::post::post,
    clock::Timestamp,
    config::Config,
    sources::{Draft, Request},
};

/// What the public port answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Answer {
    /// The status.
    pub(super) status: u16,
    /// The webhook's id, where it was stored.
    pub(super) webhook: Option<i64>,
    /// `accepted`, `duplicate` or `ignored`; the problem's code where it was refused.
    pub(super) word: String,
}

/// Sends a step's webhook to the public port.
pub(super) async fn send(step: &Step, config: &Config, to: SocketAddr, now: Timestamp) -> anyhow::Result<Answer> {
    let request = sealed(step, config, now)?;
    let (status, body) = post(&format!("http://{to}{}", request.path_query), request).await?;
    read(status, &body).with_context(|| format!("the public port answered {status} with what is no JSON"))
}

fn sealed(step: &Step, config: &Config, now: Timestamp) -> anyhow::Result<Request> {
    let source = &config.sources.get(step.source).context("the story names a source that is not there")?.source;
    let signed_body = match step.seal {
        Seal::Signed | Seal::Bare => step.body,
        Seal::StolenFrom(other) => other,
    };
    let mut draft = Draft::post(format!("/hooks/{}", step.source), step.content_type, signed_body);
    for (name, value) in step.headers {
        draft.0.headers.set(name, value);
    }
    let request = match step.seal {
        Seal::Bare => draft.0,
        Seal::Signed | Seal::StolenFrom(_) => source.verifier().sign(draft, source.public_url(), now)?,
    };
    Ok(Request { body: step.body.into(), ..request })
}

fn read(status: u16, body: &str) -> Option<Answer> {
    let body: Value = serde_json::from_str(body).ok()?;
    // A problem's `status` is a number, and its word the `code`.
    let word = body["status"].as_str().or(body["code"].as_str()).unwrap_or_default().to_owned();
    Some(Answer { status, webhook: body["webhook"].as_i64(), word })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_kinds_of_answers_are_read() {
        let accepted = Answer { status: 200, webhook: Some(7), word: "accepted".to_owned() };
        assert_eq!(read(200, r#"{"webhook":7,"status":"accepted"}"#), Some(accepted));
        let refused = Answer { status: 401, webhook: None, word: "signature".to_owned() };
        assert_eq!(read(401, r#"{"status":401,"code":"signature"}"#), Some(refused));
        assert_eq!(read(200, "nonsense"), None);
    }
}
