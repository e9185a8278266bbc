//! A webhook made from a file: for `map`, `sign` and `send`.

use std::{fs, io::Read as _, path::PathBuf};

use anyhow::Context as _;
use bytes::Bytes;

use crate::sources::Draft;

#[derive(Clone, Debug, clap::Args)]
pub(super) struct PayloadArgs {
    /// The source whose webhook this is
    #[arg(long, short, value_name = "NAME")]
    pub(super) source: String,
    /// The file with the webhook's body; `-` reads standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// A header of the webhook, such as 'X-Shopify-Topic: customers/create'; may be given several times
    #[arg(long = "header", short = 'H', value_name = "NAME: VALUE", value_parser = header)]
    headers: Vec<(String, String)>,
    /// The body's content type; without it, guessed from the body
    #[arg(long, value_name = "TYPE")]
    content_type: Option<String>,
}

impl PayloadArgs {
    /// The webhook as its source would send it, not signed yet.
    pub(super) fn draft(&self) -> anyhow::Result<Draft> {
        let body = self.body()?;
        let content_type = self.content_type.as_deref().unwrap_or_else(|| guess(&body));
        let mut draft = Draft::post(format!("/hooks/{}", self.source), content_type, body);
        for (name, value) in &self.headers {
            draft.0.headers.set(name, value);
        }
        Ok(draft)
    }

    /// The file as curl reads it.
    pub(super) fn file(&self) -> String {
        self.file.display().to_string()
    }

    fn body(&self) -> anyhow::Result<Bytes> {
        let mut body = Vec::new();
        if self.file.as_os_str() == "-" {
            std::io::stdin().lock().read_to_end(&mut body).context("standard input cannot be read")?;
        } else {
            body = fs::read(&self.file).with_context(|| format!("{} cannot be read", self.file.display()))?;
        }
        Ok(body.into())
    }
}

/// JSON, unless it looks like a form.
fn guess(body: &[u8]) -> &'static str {
    let start = body.iter().find(|byte| !byte.is_ascii_whitespace());
    let json = matches!(start, None | Some(b'{' | b'[' | b'"'));
    if !json && body.contains(&b'=') { "application/x-www-form-urlencoded" } else { "application/json" }
}

fn header(text: &str) -> Result<(String, String), String> {
    let parts = text.split_once(':').map(|(name, value)| (name.trim(), value.trim()));
    let is_token =
        |name: &str| !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
    match parts {
        Some((name, value)) if is_token(name) && !value.chars().any(char::is_control) => {
            Ok((name.to_owned(), value.to_owned()))
        }
        _ => Err("expected NAME: VALUE".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_json_unless_it_looks_like_a_form() {
        for (body, expected) in [
            ("", "application/json"),
            ("\n {\"a\": \"b=c\"}", "application/json"),
            ("[1]", "application/json"),
            ("a=b&c=d", "application/x-www-form-urlencoded"),
        ] {
            assert_eq!(guess(body.as_bytes()), expected, "{body}");
        }
    }

    #[test]
    fn a_header_has_a_name_and_a_value_on_one_line() {
        assert_eq!(header("X-Topic:  a:b "), Ok(("X-Topic".to_owned(), "a:b".to_owned())));
        assert!(header("no colon").is_err());
        assert!(header("X Topic: a").is_err());
        assert!(header("X-Topic: a\nX-Other: b").is_err());
    }
}
