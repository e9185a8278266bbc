//! Mistakes with secrets: another encoding, blanks around it, a prefix too many or too few.

use secrecy::{ExposeSecret as _, SecretString};

use super::change::{Case, Change, Kind};
use crate::sources::{
    Secret,
    scheme::spec::{SchemeSpec, SecretEncoding},
};

pub(super) fn changes(case: &Case) -> Vec<Change> {
    let mut changes = encodings(case);
    let texts: [(&'static str, &str, Rewrite); 6] = [
        ("secret_blanks", "without the blanks or line ends around the secret: take them away", |secret| {
            Some(secret.trim().to_owned())
        }),
        ("secret_line_end", "if the secret ends with a line end: the sender's copy of it has one", |secret| {
            Some(format!("{secret}\n"))
        }),
        ("secret_quotes", "without the quotation marks around the secret: take them away", |secret| {
            let unquoted = |mark: char| secret.strip_prefix(mark)?.strip_suffix(mark).map(str::to_owned);
            unquoted('"').or_else(|| unquoted('\''))
        }),
        ("secret_prefix_kept", "without `whsec_` before the secret: write only what stands behind it", |secret| {
            secret.strip_prefix("whsec_").map(str::to_owned)
        }),
        ("secret_prefix_lost", "with `whsec_` before the secret: it is a part of it", |secret| {
            (!secret.starts_with("whsec_")).then(|| format!("whsec_{secret}"))
        }),
        (
            "secret_entities",
            "if `&amp;`, `&lt;`, `&gt;` and `&quot;` in the secret are read as HTML: write the characters themselves",
            |secret| {
                secret.contains('&').then(|| {
                    secret.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&amp;", "&")
                })
            },
        ),
    ];
    for (code, text, rewrite) in texts {
        if !case.secrets.iter().any(|secret| rewritten(secret, rewrite).is_some()) {
            continue;
        }
        changes.push(Change::new(Kind::Secret, code, format!("it fits {text}"), move |case| {
            case.secrets = case.secrets.iter().filter_map(|secret| rewritten(secret, rewrite)).collect();
        }));
    }
    changes
}

/// Another text for a secret, or none.
type Rewrite = fn(&str) -> Option<String>;

/// The secret as `rewrite` has it; `None` where that is no other, or empty.
fn rewritten(secret: &Secret, rewrite: Rewrite) -> Option<Secret> {
    let text = secret.value.expose_secret();
    let other = rewrite(text).filter(|other| other != text && !other.is_empty())?;
    Some(Secret { value: SecretString::from(other), not_after: secret.not_after })
}

fn encodings(case: &Case) -> Vec<Change> {
    let (configured, known): (SecretEncoding, &[SecretEncoding]) = match &case.spec {
        SchemeSpec::StandardWebhooks(spec) => (spec.secret_encoding, &[SecretEncoding::Utf8, SecretEncoding::Whsec]),
        SchemeSpec::Hmac(spec) | SchemeSpec::Hash(spec) => (
            spec.secret_encoding,
            &[SecretEncoding::Utf8, SecretEncoding::Hex, SecretEncoding::Base64, SecretEncoding::Whsec],
        ),
        SchemeSpec::Token(_)
        | SchemeSpec::Basic { .. }
        | SchemeSpec::PublicKey(_)
        | SchemeSpec::Jwt { .. }
        | SchemeSpec::Open => return Vec::new(),
    };
    known
        .iter()
        .copied()
        .filter(|&encoding| encoding != configured)
        .map(|encoding| {
            let (word, what) = match encoding {
                SecretEncoding::Utf8 => ("utf8", "the text of the secret itself is the key"),
                SecretEncoding::Hex => ("hex", "the secret is hex-decoded"),
                SecretEncoding::Base64 => ("base64", "the secret is base64-decoded"),
                SecretEncoding::Whsec => ("whsec", "what stands behind `whsec_` in the secret is base64-decoded"),
            };
            let text =
                format!("it fits if {what}: write secret_encoding = \"{word}\" in [sources.{}.verify]", case.source);
            Change::new(Kind::Secret, "secret_encoding", text, move |case| {
                // One secret that does not decode would spoil the others.
                case.secrets.retain(|secret| encoding.decode(secret.value.expose_secret()).is_ok());
                match &mut case.spec {
                    SchemeSpec::StandardWebhooks(spec) => spec.secret_encoding = encoding,
                    _ => {
                        if let Some(spec) = case.signed_mut() {
                            spec.secret_encoding = encoding;
                        }
                    }
                }
            })
        })
        .collect()
}
