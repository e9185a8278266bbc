//! From what happened in a turn to what is written down: the record of a call, the state and reason of each row.

use std::collections::BTreeMap;

use crate::{
    chatwoot::Call,
    clock::Timestamp,
    contacts::{ContactId, Field, Fields},
    merge::{Decision, Plan},
    store::{AttemptEnd, FieldOutcome, LeasedRow, RowResult, RowState, Verdict},
};

/// Why a row is where it is: a stable code and words.
pub(super) type Reason = (&'static str, String);

/// The record of a call.
pub(super) fn ended<T>(call: &Call<T>, now: Timestamp, contact_id: Option<ContactId>, verdict: Verdict) -> AttemptEnd {
    AttemptEnd {
        method: call.method,
        path: call.path.clone(),
        contact_id,
        ended_at: now,
        status: call.status,
        verdict,
        code: call.answer.as_ref().err().map(crate::chatwoot::Failure::code),
        request_id: call.request_id.clone(),
        sent: None,
        not_taken: Vec::new(),
        answer: call.excerpt.clone(),
    }
}

/// The record of a writing call.
pub(super) fn ended_writing<T>(
    call: &Call<T>,
    now: Timestamp,
    contact_id: Option<ContactId>,
    verdict: Verdict,
    sent: &Fields,
) -> AttemptEnd {
    AttemptEnd { sent: Some(sent.clone()), ..ended(call, now, contact_id, verdict) }
}

/// What became of the fields that won, by field.
pub(super) type Sent = BTreeMap<Field, FieldOutcome>;

/// The results of rows after everything was decided: by the plan for those that did not win, by `sent` for those that
/// did.
pub(super) fn results(rows: &[LeasedRow], plan: &Plan, sent: &Sent, parked: &Reason) -> Vec<RowResult> {
    rows.iter()
        .map(|row| {
            let outcomes: BTreeMap<Field, FieldOutcome> = row
                .row
                .fields
                .keys()
                .map(|field| {
                    let decided = plan.decided.get(&row.row.id).and_then(|fields| fields.get(field));
                    let outcome = decided.map_or_else(|| sent.get(field).copied(), |decision| Some((*decision).into()));
                    (field.clone(), outcome.unwrap_or(FieldOutcome::Unchanged))
                })
                .collect();
            let (state, reason) = state_of(&outcomes, parked);
            RowResult { row: row.row.id, source: row.source.clone(), state, outcomes, reason, counts: false }
        })
        .collect()
}

/// All rows of a turn in one state, their fields untouched.
pub(super) fn all(rows: &[LeasedRow], state: RowState, reason: Option<&Reason>) -> Vec<RowResult> {
    rows.iter()
        .map(|row| RowResult {
            row: row.row.id,
            source: row.source.clone(),
            state,
            outcomes: BTreeMap::new(),
            reason: reason.cloned(),
            counts: false,
        })
        .collect()
}

fn state_of(outcomes: &BTreeMap<Field, FieldOutcome>, parked: &Reason) -> (RowState, Option<Reason>) {
    let any = |wanted: FieldOutcome| outcomes.values().any(|outcome| *outcome == wanted);
    if any(FieldOutcome::Parked) {
        (RowState::Conflict, Some(parked.clone()))
    } else if any(FieldOutcome::Delivered) {
        (RowState::Delivered, None)
    } else if any(FieldOutcome::NotTaken) {
        let words = "Chatwoot answered yes and stored none of the fields; see the attempt's not_taken".to_owned();
        (RowState::Dead, Some(("not_taken", words)))
    } else if !outcomes.is_empty() && outcomes.values().all(|outcome| *outcome == FieldOutcome::Superseded) {
        (RowState::Superseded, None)
    } else if any(FieldOutcome::DryRun) {
        (RowState::Unchanged, Some(("dry_run", "dry_run is on: nothing was sent".to_owned())))
    } else {
        (RowState::Unchanged, None)
    }
}

impl From<Decision> for FieldOutcome {
    fn from(decision: Decision) -> Self {
        match decision {
            Decision::Superseded => Self::Superseded,
            Decision::Unchanged => Self::Unchanged,
            Decision::Kept => Self::Kept,
            Decision::Parked => Self::Parked,
        }
    }
}
