//! `sign` and `send`: a webhook signed as its source would sign it, to see or to send to the running service.

use anyhow::Context as _;
use bytes::Bytes;
use serde_json::{Map, Value, json};

use super::{
    context::{self, Context},
    exit::Exit,
    output,
    payload::PayloadArgs,
    post::{base_url, post},
};
use crate::{config::Config, sources::Request};

#[derive(Clone, Debug, clap::Args)]
pub(super) struct SignArgs {
    #[command(flatten)]
    payload: PayloadArgs,
    /// Print a curl command that sends the webhook
    #[arg(long)]
    curl: bool,
}

#[derive(Clone, Debug, clap::Args)]
pub(super) struct SendArgs {
    #[command(flatten)]
    payload: PayloadArgs,
    /// Where the service is, such as `https://hooks.example.com`; without it, where server.listen says
    #[arg(long, value_name = "URL")]
    url: Option<String>,
}

/// A webhook before and after it was signed.
struct Signed {
    request: Request,
    /// The body as it was in the file, where signing changed it.
    changed: bool,
}

/// Prints the signed webhook.
pub(super) fn run_sign(args: &SignArgs, context: &Context) -> anyhow::Result<Exit> {
    let config = context.load()?;
    let signed = sign(&args.payload, &config, context)?;
    if context.json {
        output::print_json(&signed.to_json())?;
    } else if args.curl {
        output::print(&signed.to_curl(&base_url(config.server.listen), &args.payload.file()))?;
    } else {
        output::print(&signed.to_head())?;
        if signed.changed {
            output::print("")?;
            output::print_bytes(&signed.request.body)?;
        }
    }
    Ok(Exit::Done)
}

/// Sends the signed webhook and prints the answer.
pub(super) async fn run_send(args: &SendArgs, context: &Context) -> anyhow::Result<Exit> {
    let config = context.load()?;
    let signed = sign(&args.payload, &config, context)?;
    let base =
        args.url.as_deref().map_or_else(|| base_url(config.server.listen), |url| url.trim_end_matches('/').to_owned());
    let url = format!("{base}{}", signed.request.path_query);
    let sent = post(&url, signed.request).await;
    let (status, body) =
        sent.with_context(|| format!("the webhook could not be sent to {base}; is the service running?"))?;
    if context.json {
        let body = serde_json::from_str(&body).unwrap_or(Value::String(body));
        output::print_json(&json!({ "status": status, "body": body }))?;
    } else {
        output::print(&output::printable_lines(format!("{status}\n{body}").trim_end()))?;
    }
    Ok(if (200..300).contains(&status) { Exit::Done } else { Exit::Failed })
}

fn sign(payload: &PayloadArgs, config: &Config, context: &Context) -> anyhow::Result<Signed> {
    let source = &context::source(config, &payload.source)?.source;
    let draft = payload.draft()?;
    let before: Bytes = draft.0.body.clone();
    let signed = source.verifier().sign(draft, source.public_url(), context.clock.now());
    let request = signed.with_context(|| format!("a webhook of {} cannot be signed here", payload.source))?;
    Ok(Signed { changed: request.body != before, request })
}

impl Signed {
    fn to_head(&self) -> String {
        let Request { method, path_query, headers, .. } = &self.request;
        let lines = headers.iter().map(|(name, value)| format!("{name}: {value}"));
        std::iter::once(format!("{method} {path_query}")).chain(lines).collect::<Vec<_>>().join("\n")
    }

    fn to_json(&self) -> Value {
        let Request { method, path_query, headers, body } = &self.request;
        let headers: Map<_, _> = headers.iter().map(|(name, value)| (name.to_owned(), Value::from(value))).collect();
        let mut json = json!({ "method": method, "path": path_query, "headers": headers });
        if self.changed {
            json["body"] = Value::from(String::from_utf8_lossy(body));
        }
        json
    }

    fn to_curl(&self, base_url: &str, file: &str) -> String {
        let Request { path_query, headers, body, .. } = &self.request;
        let mut words = vec!["curl".to_owned(), "-sS".to_owned()];
        words.extend(headers.iter().flat_map(|(name, value)| ["-H".to_owned(), quoted(&format!("{name}: {value}"))]));
        // As data, a text that begins with @ would be read as the name of a file.
        let data = if self.changed {
            ["--data-raw".to_owned(), quoted(&String::from_utf8_lossy(body))]
        } else {
            ["--data-binary".to_owned(), quoted(&format!("@{file}"))]
        };
        words.extend(data);
        words.push(quoted(&format!("{base_url}{path_query}")));
        words.join(" ")
    }
}

/// One word of a shell.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_leaves_its_quotes_in_a_shell() {
        assert_eq!(quoted("a b"), "'a b'");
        assert_eq!(quoted("it's $(x)"), r"'it'\''s $(x)'");
    }
}
