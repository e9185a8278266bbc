//! Mistakes with times: clocks that differ, another unit, another place, and no time in what is signed.

use super::{
    Finding,
    change::{Case, Change, Kind},
};
use crate::{
    clock::Timestamp,
    sources::{
        Proof,
        scheme::spec::{TimeUnit, TimestampPlace},
    },
};

/// What senders sign beside the body alone.
const TEMPLATES: [&str; 5] =
    ["{timestamp}.{body}", "{timestamp}{body}", "{timestamp}:{body}", "v0:{timestamp}:{body}", "{body}{timestamp}"];

/// What is wrong with the time of a request whose signature is right.
pub(super) fn findings(case: &Case, proof: Proof, at: Timestamp) -> Vec<Finding> {
    let mut findings: Vec<Finding> = beyond_tolerance(case, proof, at).into_iter().collect();
    let expired =
        |position: usize| case.secrets.get(position).and_then(|secret| secret.not_after).filter(|last| at > *last);
    if let Some(position) = proof.secret
        && let Some(last) = expired(position)
    {
        let text = format!(
            "the signature fits secret[{position}], which counted until {last}: the sender still uses it; change the secret there, or move not_after"
        );
        findings.push(Finding::new("secret_expired", text));
    }
    if findings.is_empty() {
        findings.push(Finding::accepted_now());
    }
    findings
}

/// A signed time that is further from ours than the tolerance.
pub(super) fn beyond_tolerance(case: &Case, proof: Proof, at: Timestamp) -> Option<Finding> {
    let (signed_at, tolerance) = (proof.signed_at?, case.tolerance?);
    let (behind, ahead) = (at.since(signed_at), signed_at.since(at));
    let show = |duration: std::time::Duration| {
        let minutes = duration.as_secs() / 60;
        if minutes == 0 {
            format!("{} seconds", duration.as_secs())
        } else if minutes == 1 {
            "1 minute".to_owned()
        } else {
            format!("{minutes} minutes")
        }
    };
    if ahead > tolerance {
        let text = format!(
            "the sender's clock is {} ahead of ours, or ours is behind; the tolerance is {}",
            show(ahead),
            show(tolerance)
        );
        return Some(Finding::new("clock_ahead", text));
    }
    (behind > tolerance).then(|| {
        let text = format!(
            "the request was signed {} ago by the sender's clock: that clock is behind, ours is ahead, or the request was held up on its way; the tolerance is {}",
            show(behind),
            show(tolerance)
        );
        Finding::new("clock_behind", text)
    })
}

pub(super) fn changes(case: &Case) -> Vec<Change> {
    let Some(template) = case.template() else { return Vec::new() };
    let mut changes = units(case);
    changes.extend(places(case));
    // Schemes `hash` have the secret in their template, which is theirs to know.
    if template.contains("{secret}") {
        return changes;
    }
    let source = &case.source;
    if case.timestamp().is_some() {
        let text = format!(
            "it fits if the body alone is signed: write signed = \"{{body}}\" and no timestamp in [sources.{source}.verify]"
        );
        changes.push(Change::new(Kind::Time, "signed_body_alone", text, |case| {
            case.forget_timestamp();
            if let Some(template) = case.template_mut() {
                "{body}".clone_into(template);
            }
        }));
        for other in TEMPLATES.into_iter().filter(|other| *other != template) {
            let text = format!(
                "it fits if what is signed is \"{other}\": write that as `signed` in [sources.{source}.verify]"
            );
            changes.push(Change::new(Kind::Time, "signed_template", text, move |case| {
                if let Some(template) = case.template_mut() {
                    other.clone_into(template);
                }
            }));
        }
    }
    changes
}

fn units(case: &Case) -> Vec<Change> {
    let Some(time) = case.timestamp() else { return Vec::new() };
    let units = [
        (TimeUnit::Seconds, "s"),
        (TimeUnit::Millis, "ms"),
        (TimeUnit::Rfc3339, "rfc3339"),
        (TimeUnit::HttpDate, "http_date"),
    ];
    // Digits read as seconds are a time of the far future, so that the smaller unit counts only if it is near.
    let configured = time.unit;
    units
        .into_iter()
        .filter(|(unit, _)| *unit != configured)
        .map(|(unit, word)| {
            let text = format!(
                "it fits if the timestamp is read as {word}: write timestamp.unit = \"{word}\" in [sources.{}.verify]",
                case.source
            );
            Change::new(Kind::Time, "timestamp_unit", text, move |case| {
                if let Some(time) = case.timestamp_mut() {
                    time.unit = unit;
                }
            })
        })
        .collect()
}

/// Headers whose names speak of a time, where the configured one is missing.
fn places(case: &Case) -> Vec<Change> {
    let Some(TimestampPlace::Header(configured)) = case.timestamp().map(|time| &time.place) else { return Vec::new() };
    if case.header(configured).is_some() {
        return Vec::new();
    }
    let named = case.request.headers.iter().map(|(name, _)| name).filter(|name| name.contains("time")).take(4);
    named
        .map(|name| {
            let text = format!("it fits if the time is read from another header: write timestamp.header = \"{name}\" in [sources.{}.verify]", case.source);
            let name = name.to_owned();
            Change::new(Kind::Time, "timestamp_header", text, move |case| {
                if let Some(time) = case.timestamp_mut() {
                    time.place = TimestampPlace::Header(name.clone());
                }
            })
        })
        .collect()
}
