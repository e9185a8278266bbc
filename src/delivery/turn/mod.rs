//! One turn of one lane: from the lease to the commit that settles it.
//!
//! ```text
//! contact known ──────────────────────────────▶ update ──▶ settled
//!       │ no                                     ▲  │ 404, once
//!       ▼                                        │  ▼
//!     find ── one ── link (yields to the contact's own lane) ◀── find again
//!       │ none
//!       ▼
//!     create, wait or reject ──▶ settled
//! ```
//!
//! A call is always on record before it is made. Every path ends in exactly one settlement, or in a lease that was
//! lost, which changes nothing.

mod create;
mod find;
mod update;

use std::{collections::BTreeSet, sync::Arc};

use serde_json::json;

use super::{
    Account, Delivery, LEASE_MARGIN,
    matching::Wanted,
    settling::{self, Reason},
    verdict::{AccountFate, Counts, LaneFate, consequence, retry_after},
};
use crate::{
    chatwoot::{Call, Condition, Failure},
    clock::Timestamp,
    contacts::{ContactId, ContactKey, Field, Fields},
    merge::{Plan, Winner},
    retry,
    store::{
        AttemptEnd, LeasedLane, Link, LinkOrigin, NewConflict, NextCall, NextTurn, RowState, Settled, Settlement,
        StoreError, Verdict, WrittenField,
    },
};

/// After so many failures in a row with one merged body, rows go one by one.
const SINGLY_AFTER: u32 = 3;

impl Delivery {
    /// Makes a leased lane's turn.
    pub(super) async fn turn(&self, account: &Arc<Account>, lane: LeasedLane) -> Result<(), StoreError> {
        let turn = Turn { delivery: self, account, lane, identifier: None, looked_again: false };
        match turn.lane.contact_id {
            Some(contact_id) => turn.update(contact_id).await,
            None => turn.find().await,
        }
    }
}

/// A turn under way.
struct Turn<'a> {
    delivery: &'a Delivery,
    account: &'a Arc<Account>,
    lane: LeasedLane,
    /// Our identifier, for a contact that has none.
    identifier: Option<String>,
    /// Whether the contact was looked for after a 404 already.
    looked_again: bool,
}

impl Turn<'_> {
    fn now(&self) -> Timestamp {
        self.delivery.now()
    }

    /// What the rows say about whom they mean; the newest word counts.
    fn wanted(&self) -> Wanted {
        let newest_first = || self.lane.rows.iter().rev();
        let mut seen = BTreeSet::new();
        Wanted {
            identifiers: newest_first()
                .filter_map(|row| row.identifier.clone())
                .filter(|identifier| seen.insert(identifier.clone()))
                .collect(),
            email: newest_first().find_map(|row| row.email.clone()),
            phone_number: newest_first().find_map(|row| row.phone_number.clone()),
        }
    }

    /// The keys of the rows: what is linked when the contact is found.
    fn keys(&self) -> BTreeSet<ContactKey> {
        let local = |row: &crate::store::LeasedRow| match (&row.identifier, &row.email, &row.phone_number) {
            (Some(identifier), _, _) => ContactKey::from_text(identifier.as_str()),
            (None, Some(email), _) => ContactKey::from_text(format!("email:{email}")),
            (None, None, Some(phone)) => ContactKey::from_text(format!("phone:{phone}")),
            (None, None, None) => self.lane.key.clone(),
        };
        self.lane.rows.iter().map(local).collect()
    }

    fn links(&self, contact_id: ContactId, origin: LinkOrigin) -> Vec<Link> {
        self.keys().into_iter().map(|key| Link { key, contact_id, origin }).collect()
    }

    fn row_ids(&self) -> Vec<i64> {
        self.lane.rows.iter().map(|row| row.row.id).collect()
    }

    fn next_call(
        &self,
        ended: AttemptEnd,
        method: &'static str,
        path: String,
        contact_id: Option<ContactId>,
    ) -> NextCall {
        NextCall {
            lease: self.lane.lease.clone(),
            now: self.now(),
            lease_for: self.account.settings.call_timeout + LEASE_MARGIN,
            ended: (self.lane.attempt, ended),
            rows: self.row_ids(),
            method,
            path,
            contact_id,
            links: Vec::new(),
        }
    }

    /// Puts the call that ended and the next one on record. False when the lease was lost.
    async fn begin(
        &mut self,
        ended: AttemptEnd,
        method: &'static str,
        path: String,
        contact_id: Option<ContactId>,
    ) -> Result<bool, StoreError> {
        let call = self.next_call(ended, method, path, contact_id);
        match self.delivery.shared.store.begin_next(call).await? {
            Some(attempt) => {
                self.lane.attempt = attempt;
                Ok(true)
            }
            None => Ok(self.lost()),
        }
    }

    /// Looks contacts up, as a call that is already on record.
    async fn look_up(&self, conditions: &[Condition]) -> Call<Vec<crate::chatwoot::Contact>> {
        self.account.count_call(self.now());
        self.account.client.filter(conditions).await
    }

    fn filter_path(&self) -> String {
        format!("{}/filter", self.account.contacts_path)
    }

    /// Notes that the lease was lost; whoever has it now does the work.
    fn lost(&self) -> bool {
        tracing::warn!(lane.id = self.lane.lease.lane, "a lease was lost; its turn changed nothing");
        false
    }

    /// A settlement with nothing in it yet.
    fn settlement(&self, ended: Option<AttemptEnd>, contact_id: Option<ContactId>) -> Settlement {
        Settlement {
            lease: self.lane.lease.clone(),
            now: self.now(),
            attempt: (self.lane.attempt, ended),
            contact_id,
            rows: Vec::new(),
            written: Vec::new(),
            in_doubt: Vec::new(),
            link: None,
            gone: None,
            conflicts: Vec::new(),
            next: NextTurn::AsRowsSay,
        }
    }

    async fn settle(&self, settlement: Settlement) -> Result<(), StoreError> {
        let verdict = settlement.attempt.1.as_ref().map(|end| end.verdict);
        match self.delivery.shared.store.settle(settlement).await? {
            Settled::Yes => {
                tracing::debug!(
                    lane.id = self.lane.lease.lane,
                    attempt.id = self.lane.attempt,
                    ?verdict,
                    "turn settled"
                );
            }
            Settled::LeaseLost => {
                self.lost();
            }
        }
        Ok(())
    }

    /// All rows end in one state, for one reason.
    async fn settle_all(
        &self,
        ended: Option<AttemptEnd>,
        state: RowState,
        reason: Reason,
        next: NextTurn,
    ) -> Result<(), StoreError> {
        let rows = settling::all(&self.lane.rows, state, Some(&reason));
        self.settle(Settlement { rows, next, ..self.settlement(ended, self.lane.contact_id) }).await
    }

    /// A call failed: the table of [`consequence`] says what follows. `sent` is what a writing call carried.
    async fn fail<T>(
        &self,
        call: &Call<T>,
        failure: &Failure,
        contact_id: Option<ContactId>,
        sent: Option<&Fields>,
    ) -> Result<(), StoreError> {
        let now = self.now();
        let follows = consequence(failure, false);
        let ended = match sent {
            Some(sent) => settling::ended_writing(call, now, contact_id, follows.verdict, sent),
            None => settling::ended(call, now, contact_id, follows.verdict),
        };
        tracing::info!(
            lane.id = self.lane.lease.lane,
            attempt.id = self.lane.attempt,
            status = call.status,
            code = failure.code(),
            "call failed: {failure}"
        );
        // The account first: if we crash in between, the lane comes back by itself.
        let mut due_at = now;
        match follows.account {
            AccountFate::Fine => {}
            AccountFate::Pause => self.delivery.pause(self.account, failure).await?,
            AccountFate::Hold(asked) => due_at = self.delivery.hold(self.account, asked).await?,
        }
        let mut settlement = self.settlement(Some(ended), contact_id);
        if follows.in_doubt && contact_id.is_some() {
            settlement.in_doubt = sent.map(|sent| sent.keys().cloned().collect()).unwrap_or_default();
        }
        match follows.lane {
            LaneFate::Unharmed => {
                settlement.rows = settling::all(&self.lane.rows, RowState::Pending, None);
                settlement.next = NextTurn::Later(due_at);
            }
            LaneFate::BackOff(counts) => {
                let counts = match counts {
                    Counts::Always => true,
                    Counts::IfOthersSucceed => {
                        self.account.another_succeeded(self.lane.lease.lane, self.lane.last_begun_at)
                    }
                };
                settlement.rows = self.failed_rows(counts, failure);
                let due_at = self.next_try(failure);
                let failures = self.lane.failures + 1;
                let singly = matches!(failure, Failure::ServerError { .. }) && failures >= SINGLY_AFTER;
                settlement.next = NextTurn::Backoff { due_at, failures, singly };
            }
            LaneFate::Doubt => {
                settlement.rows = self.failed_rows(true, failure);
                settlement.next = NextTurn::Doubt { due_at: self.next_try(failure), failures: self.lane.failures + 1 };
            }
            LaneFate::Dead | LaneFate::Gone | LaneFate::Refused => {
                let reason = (failure.code(), failure.to_string());
                settlement.rows = settling::all(&self.lane.rows, RowState::Dead, Some(&reason));
            }
        }
        self.settle(settlement).await
    }

    fn next_try(&self, failure: &Failure) -> Timestamp {
        let settings = &self.account.settings.retry;
        let chance = (self.delivery.shared.chance)();
        retry::next_try(settings, self.lane.failures + 1, self.now(), retry_after(failure), chance)
    }

    /// Rows after a failure: to be tried again, or given up when they are old and have failed often.
    fn failed_rows(&self, counts: bool, failure: &Failure) -> Vec<crate::store::RowResult> {
        let settings = &self.account.settings.retry;
        let now = self.now();
        let mut results = settling::all(&self.lane.rows, RowState::Pending, None);
        for (result, row) in results.iter_mut().zip(&self.lane.rows) {
            result.counts = counts;
            if counts && retry::is_over(settings, row.created_at, row.failures + 1, now) {
                result.state = RowState::Dead;
                let words = format!("given up after {} failed attempts; the last: {failure}", row.failures + 1);
                result.reason = Some(("gave_up", words));
            }
        }
        results
    }

    /// No contact can be chosen: the lane waits for a person.
    async fn hold(
        &self,
        ended: AttemptEnd,
        code: &'static str,
        words: String,
        candidates: &[ContactId],
        gone: Option<ContactId>,
    ) -> Result<(), StoreError> {
        let rows = settling::all(&self.lane.rows, RowState::Conflict, Some(&(code, words.clone())));
        let conflicts = self
            .keys()
            .into_iter()
            .map(|key| NewConflict {
                key,
                contact_id: self.lane.contact_id,
                parked: None,
                theirs: json!({ "candidates": candidates }),
                holder: None,
                code,
                reason: words.clone(),
                row: self.lane.rows.last().map_or(0, |row| row.row.id),
            })
            .collect();
        let next = NextTurn::Held(code);
        self.settle(Settlement { rows, gone, conflicts, next, ..self.settlement(Some(ended), self.lane.contact_id) })
            .await
    }

    /// What was written, for the fields that the server took, and for those that were said again.
    fn written(plan: &Plan, taken: impl Fn(&Field) -> bool) -> Vec<WrittenField> {
        let sent = plan.send.iter().filter(|(field, _)| taken(field));
        sent.chain(&plan.confirmed).map(|(field, winner)| written_field(field, winner)).collect()
    }
}

fn written_field(field: &Field, winner: &Winner) -> WrittenField {
    WrittenField {
        field: field.clone(),
        precedence: winner.precedence,
        digest: crate::merge::ValueDigest::of(&winner.value),
    }
}

/// A look-up's record.
fn answered<T>(call: &Call<T>, now: Timestamp) -> AttemptEnd {
    settling::ended(call, now, None, Verdict::Answered)
}
