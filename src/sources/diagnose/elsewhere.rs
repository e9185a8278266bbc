//! Requests of another sender: signed with another source's secret, or sent to the wrong address.

use super::{Finding, change::Case};
use crate::{clock::Timestamp, sources::Source};

pub(super) fn findings(case: &Case, others: &[&Source], at: Timestamp) -> Vec<Finding> {
    let others = others.iter().filter(|other| **other.name() != *case.source);
    let mut findings = Vec::new();
    for other in others {
        let name = other.name();
        let with_its_secrets = Case { secrets: other.verifier().secrets().to_vec(), ..case.clone() };
        if !with_its_secrets.secrets.is_empty() && with_its_secrets.passes(at).is_some() {
            let text = format!(
                "it fits the secret of source {name}: the secrets may be mixed up, or the sender calls the wrong address"
            );
            findings.push(Finding::new("secret_of_another", text));
            continue;
        }
        let as_the_other = Case::of(other, &case.request);
        // Where nothing is checked or the secret is no signature, fitting says nothing.
        if !other.verifier().secrets().is_empty() && as_the_other.passes(at).is_some() {
            let text =
                format!("it is signed as source {name} signs: the sender of {name} calls /hooks/{}", case.source);
            findings.push(Finding::new("another_source", text));
        }
    }
    findings
}
