//! Why a request was refused, in words for whoever set the source up.
//!
//! Each likely mistake is undone in a copy of the request or of the scheme, and the copy is judged by a `Verifier` like
//! any other: where it passes, that was the mistake. One change is tried before two. What passes here proves nothing and
//! is never accepted; a finding is all that comes out, and it shows neither a secret nor the body.

mod body;
mod change;
mod clock;
mod elsewhere;
mod json;
mod reading;
mod secret;
mod shared;
mod url;

#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

use self::change::{Case, Change, combine};
use super::{Refusal, Request, Source};
use crate::clock::Timestamp;

/// One thing that explains a refusal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// A stable word for programs.
    pub code: String,
    /// What is wrong and what to do.
    pub text: String,
}

impl Finding {
    fn new(code: &str, text: impl Into<String>) -> Self {
        Self { code: code.to_owned(), text: text.into() }
    }

    fn accepted_now() -> Self {
        Self::new("accepted_now", "the request would be accepted as this service is configured now")
    }
}

/// Explains why `source` refused a request that arrived `at`. `others` are the other configured sources, for requests that
/// are signed as one of them. Never empty. Takes some tenths of a second for a large body.
pub fn diagnose(source: &Source, others: &[&Source], request: &Request, at: Timestamp) -> Vec<Finding> {
    let case = Case::of(source, request);
    let Err(refusal) = source.verifier().verify(request, source.public_url(), at) else {
        return vec![Finding::accepted_now()];
    };
    if let Some(proof) = case.passes(at) {
        // Nothing is wrong but the time.
        return clock::findings(&case, proof, at);
    }
    let mut findings = plain(&refusal, request);
    let found = by_changes(&case, at);
    let explained = !found.is_empty();
    findings.extend(found);
    if !explained {
        findings.extend(elsewhere::findings(&case, others, at));
    }
    if findings.is_empty() {
        findings.extend(reading::appearance(&case));
    }
    if findings.is_empty() {
        findings.push(unexplained(&refusal));
    }
    findings
}

/// What passes after one change, else after two changes of different kinds.
fn by_changes(case: &Case, at: Timestamp) -> Vec<Finding> {
    let changes: Vec<Change> = [
        secret::changes(case),
        reading::changes(case),
        shared::changes(case),
        clock::changes(case),
        url::changes(case),
    ]
    .into_iter()
    .flatten()
    .chain(body::changes(case))
    .collect();
    let explained = |words: &[&Change], case: &Case| -> Option<Vec<Finding>> {
        let proof = case.passes(at)?;
        let findings = words.iter().map(|change| Finding::new(change.code, change.text.as_str()));
        Some(findings.chain(clock::beyond_tolerance(case, proof, at)).collect())
    };
    let single = changes.iter().find_map(|change| explained(&[change], &change.apply(case)));
    single
        .or_else(|| {
            combine(&changes).find_map(|(first, second)| explained(&[first, second], &second.apply(&first.apply(case))))
        })
        .unwrap_or_default()
}

/// What the reason itself says.
fn plain(refusal: &Refusal, request: &Request) -> Vec<Finding> {
    let mut findings = Vec::new();
    match refusal {
        Refusal::ContradictingHeaders { header } => findings.push(Finding::new(
            "header_twice",
            format!("the header {header} came twice with different values: something between the sender and here, such as a proxy, adds it again"),
        )),
        Refusal::PublicUrlUnknown => findings.push(Finding::new(
            "public_url_unset",
            "the sender signs the URL: set server.public_url to the address that the sender calls, without /hooks/…",
        )),
        _ => {}
    }
    if request.body.is_empty() && request.method == "POST" {
        findings.push(Finding::new(
            "empty_body",
            "the body is empty: a redirect or a proxy on the way loses it; let the sender call this address directly",
        ));
    }
    findings
}

fn unexplained(refusal: &Refusal) -> Finding {
    match refusal {
        Refusal::MissingSignature | Refusal::MissingToken | Refusal::MissingCredentials | Refusal::MissingId => {
            Finding::new(
                "unsigned",
                format!(
                    "{refusal}, and nothing in the request looks like it: the sender is not set up to sign, or this is somebody else"
                ),
            )
        }
        Refusal::WrongSignature | Refusal::WrongToken | Refusal::WrongCredentials => Finding::new(
            "unexplained",
            format!(
                "{refusal}, and no usual mistake explains it: most likely the secret is another one; copy it anew from the sender's settings, and make sure that the body passes unchanged"
            ),
        ),
        other => Finding::new("unexplained", format!("{other}; no usual mistake explains it")),
    }
}
