//! The log of calls, and the check that no two writes to one contact overlap.

use std::collections::VecDeque;

use bytes::Bytes;
use serde::Serialize;
use serde_json::Value;

use super::{
    call::Call,
    routes::{self, Subject},
};
use crate::clock::Timestamp;

/// Calls kept; the oldest go first.
const MAX_CALLS: usize = 100_000;
/// Bytes of bodies kept in all; the oldest calls go first.
const MAX_BODIES_BYTES: usize = 64 * 1024 * 1024;
/// A longer body is not kept, only its length.
const MAX_BODY_BYTES: usize = 64 * 1024;
/// Overlaps kept; later ones are not, as one is already a failure.
const MAX_OVERLAPS: usize = 1_000;

/// A call that was received. Never the token.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CallRecord {
    /// Counts from 1 over the sandbox's life.
    pub number: u64,
    /// The method.
    pub method: String,
    /// The path.
    pub path: String,
    /// The query, without the question mark.
    pub query: String,
    /// The body if it is JSON of at most 64 KiB.
    pub body: Option<Value>,
    /// The body's length.
    pub body_bytes: usize,
    /// The contact in the path.
    pub contact_id: Option<i64>,
    /// The header the token came in: `api_access_token` or `api-access-token`.
    pub token_header: Option<String>,
    /// When the call had arrived.
    pub began: Timestamp,
    /// When the server was done with it; `None`: it still is not.
    pub ended: Option<Timestamp>,
    /// The status that was answered; `None`: nothing was.
    pub status: Option<u16>,
    /// Whether the application saw it, so that it may have changed something.
    pub carried_out: bool,
    /// The answer's `X-Request-Id`.
    pub request_id: String,
}

/// Two writing calls that concerned the same contact at the same time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Overlap {
    /// The number of the call that was still being handled.
    pub first: u64,
    /// The number of the call that arrived meanwhile.
    pub second: u64,
    /// What both concerned.
    pub subject: Subject,
}

/// The calls received, those being handled, and the overlaps found.
#[derive(Debug, Default)]
pub(super) struct CallLog {
    calls: VecDeque<CallRecord>,
    bodies_bytes: usize,
    last_number: u64,
    in_flight: Vec<(u64, Subject)>,
    overlaps: Vec<Overlap>,
}

impl CallLog {
    /// Notes a call that has arrived, and every overlap it makes. Returns its number.
    pub(super) fn begin(&mut self, call: &Call, request_id: &str, now: Timestamp) -> u64 {
        self.last_number += 1;
        let number = self.last_number;
        for subject in routes::subjects(call) {
            let concerned = self.in_flight.iter().filter(|(_, other)| *other == subject);
            let overlaps =
                concerned.map(|(first, _)| Overlap { first: *first, second: number, subject: subject.clone() });
            // Merging a contact into itself names it twice in one call.
            self.overlaps.extend(overlaps.filter(|overlap| overlap.first != number));
            self.in_flight.push((number, subject));
        }
        self.overlaps.truncate(MAX_OVERLAPS);
        let kept = (call.body.len() <= MAX_BODY_BYTES).then_some(&call.body);
        self.bodies_bytes += kept.map_or(0, Bytes::len);
        self.calls.push_back(CallRecord {
            number,
            method: call.method.clone(),
            path: call.path.clone(),
            query: call.query.clone(),
            body: kept.and_then(|body| serde_json::from_slice(body).ok()),
            body_bytes: call.body.len(),
            contact_id: routes::contact_id(call),
            token_header: call.token_header().map(str::to_owned),
            began: now,
            ended: None,
            status: None,
            carried_out: false,
            request_id: request_id.to_owned(),
        });
        while self.calls.len() > MAX_CALLS || self.bodies_bytes > MAX_BODIES_BYTES {
            let Some(oldest) = self.calls.pop_front() else { break };
            self.forget_body(&oldest);
        }
        number
    }

    /// Notes that the application saw a call.
    pub(super) fn carried_out(&mut self, number: u64) {
        if let Some(call) = self.call_mut(number) {
            call.carried_out = true;
        }
    }

    /// Notes that the server is done with a call: it no longer overlaps with anything.
    pub(super) fn end(&mut self, number: u64, status: Option<u16>, now: Timestamp) {
        self.in_flight.retain(|(other, _)| *other != number);
        if let Some(call) = self.call_mut(number) {
            call.ended = Some(now);
            call.status = status;
        }
    }

    /// The calls kept, oldest first.
    pub(super) fn all(&self) -> impl Iterator<Item = &CallRecord> {
        self.calls.iter()
    }

    /// The overlaps found.
    pub(super) fn overlaps(&self) -> &[Overlap] {
        &self.overlaps
    }

    /// Forgets calls and overlaps; calls that are being handled can still overlap with later ones.
    pub(super) fn clear(&mut self) {
        self.calls.clear();
        self.bodies_bytes = 0;
        self.overlaps.clear();
    }

    /// Numbers are consecutive, so a call's place follows from its number.
    fn call_mut(&mut self, number: u64) -> Option<&mut CallRecord> {
        let first = self.calls.front()?.number;
        let place = usize::try_from(number.checked_sub(first)?).ok()?;
        self.calls.get_mut(place)
    }

    fn forget_body(&mut self, call: &CallRecord) {
        if call.body_bytes <= MAX_BODY_BYTES {
            self.bodies_bytes = self.bodies_bytes.saturating_sub(call.body_bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1);

    fn call(method: &str, path: &str, body: &'static str) -> Call {
        Call {
            method: method.to_owned(),
            path: format!("/api/v1/accounts/1{path}"),
            content_type: "application/json".to_owned(),
            body: body.as_bytes().into(),
            token: Some("secret".to_owned()),
            ..Call::default()
        }
    }

    #[test]
    fn two_writes_to_one_contact_overlap_until_the_first_has_ended() {
        let mut log = CallLog::default();
        let first = log.begin(&call("PATCH", "/contacts/1", "{}"), "r", NOW);
        let other = log.begin(&call("PATCH", "/contacts/2", "{}"), "r", NOW);
        log.begin(&call("GET", "/contacts/1", ""), "r", NOW);
        assert!(log.overlaps().is_empty());
        let second = log.begin(&call("POST", "/contacts/1/labels", "{}"), "r", NOW);
        assert_eq!(log.overlaps(), [Overlap { first, second, subject: Subject::Contact(1) }]);
        log.end(other, Some(200), NOW);
        log.begin(&call("PUT", "/contacts/2", "{}"), "r", NOW);
        assert_eq!(log.overlaps().len(), 1);
    }

    #[test]
    fn two_creates_with_one_email_overlap_in_any_case() {
        let mut log = CallLog::default();
        log.begin(&call("POST", "/contacts", r#"{"email":"A@b.co"}"#), "r", NOW);
        log.begin(&call("POST", "/contacts", r#"{"email":"a@b.co"}"#), "r", NOW);
        assert_eq!(log.overlaps()[0].subject, Subject::Email("a@b.co".to_owned()));
    }

    #[test]
    fn a_merge_concerns_both_contacts() {
        let mut log = CallLog::default();
        log.begin(&call("PATCH", "/contacts/2", "{}"), "r", NOW);
        log.begin(
            &call("POST", "/actions/contact_merge", r#"{"base_contact_id":1,"mergee_contact_id":"2"}"#),
            "r",
            NOW,
        );
        assert_eq!(log.overlaps().len(), 1);
    }

    #[test]
    fn the_log_knows_the_header_of_the_token_but_not_the_token() {
        let mut log = CallLog::default();
        let number = log.begin(&call("PATCH", "/contacts/1", r#"{"name":"A"}"#), "r", NOW);
        log.carried_out(number);
        log.end(number, Some(200), NOW);
        let record = log.all().next().unwrap();
        assert_eq!((record.status, record.contact_id, record.carried_out), (Some(200), Some(1), true));
        assert_eq!(record.token_header.as_deref(), Some("api_access_token"));
        assert!(!serde_json::to_string(record).unwrap().contains("secret"));
    }

    #[test]
    fn the_oldest_calls_are_forgotten_first() {
        let mut log = CallLog::default();
        for _ in 0..=MAX_CALLS {
            let number = log.begin(&call("GET", "/contacts/1", ""), "r", NOW);
            log.end(number, Some(200), NOW);
        }
        assert_eq!(log.all().next().unwrap().number, 2);
        assert_eq!(log.all().last().unwrap().status, Some(200));
    }
}
