//! Changes made under a lease: the next call of the same turn, a link that was found, and the end of the turn. Each is
//! one commit, and each changes nothing when the lease was lost.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use futures_util::future::BoxFuture;
use serde_json::{Value, json};
use sqlx::{Row as _, SqliteConnection};

use super::{
    Store, StoreError,
    attempts::{self, AttemptEnd},
    books::Books,
    conflicts::{self, NewConflict},
    contacts::{self, Link},
    joining,
    lanes::{self, Lease},
    overtaken,
    rows::{DROP_EMPTY_LANE, FieldOutcome, RowState},
    writer::Write,
};
use crate::{
    clock::Timestamp,
    contacts::{ContactId, Field},
    merge::{Known, Precedence, ValueDigest},
};

/// How long a lane whose updates wait for a contact sleeps between look-ups.
pub(super) const LOOK_AGAIN_AFTER: Duration = Duration::from_hours(24);

/// The end of a turn.
#[derive(Clone, Debug)]
pub struct Settlement {
    /// The proof that the lane is ours.
    pub lease: Lease,
    /// The present moment.
    pub now: Timestamp,
    /// The call that was recorded as begun, and how it ended; `None` when no call was needed after all.
    pub attempt: (i64, Option<AttemptEnd>),
    /// The contact the rows are about, once known.
    pub contact_id: Option<ContactId>,
    /// What became of each leased row.
    pub rows: Vec<RowResult>,
    /// What the contact has now.
    pub written: Vec<WrittenField>,
    /// Fields of a call without an answer.
    pub in_doubt: Vec<Field>,
    /// A link made by creating the contact.
    pub link: Option<Link>,
    /// Links whose contact is not there any more.
    pub gone: Option<ContactId>,
    /// What a person has to decide.
    pub conflicts: Vec<NewConflict>,
    /// When the lane's turn comes again.
    pub next: NextTurn,
}

/// When a lane's turn comes again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NextTurn {
    /// At once if rows are left to send, tomorrow if they wait for a contact, else not at all.
    AsRowsSay,
    /// After a failure.
    Backoff {
        /// Not before.
        due_at: Timestamp,
        /// Failed calls in a row, this one included.
        failures: u32,
        /// Whether rows go one by one from now on.
        singly: bool,
    },
    /// The call got no answer: not before the whole call timeout has passed, and then after a backoff.
    Doubt {
        /// Not before.
        due_at: Timestamp,
        /// Failed calls in a row, this one included.
        failures: u32,
    },
    /// Later, for reasons that are not the lane's own; its count of failures stays.
    Later(Timestamp),
    /// Not before a person has decided.
    Held(&'static str),
}

/// What became of a leased row.
#[derive(Clone, Debug)]
pub struct RowResult {
    /// The row.
    pub row: i64,
    /// Its source, for the books.
    pub source: Arc<str>,
    /// Its new state.
    pub state: RowState,
    /// What became of its fields.
    pub outcomes: BTreeMap<Field, FieldOutcome>,
    /// Why, as a stable code and in words.
    pub reason: Option<(&'static str, String)>,
    /// Whether the failure counts towards giving up.
    pub counts: bool,
}

/// What a contact's field has now, as far as we wrote it.
#[derive(Clone, Debug)]
pub struct WrittenField {
    /// The field.
    pub field: Field,
    /// Whose value it is.
    pub precedence: Precedence,
    /// The value.
    pub digest: ValueDigest,
}

/// Whether a change made under a lease took place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Settled {
    /// It did.
    Yes,
    /// The lease was lost: nothing was changed.
    LeaseLost,
}

/// What linking a lane to its contact led to.
#[derive(Clone, Debug)]
pub enum Linking {
    /// The lane is the contact's now; the next call is recorded as begun.
    Ours {
        /// The call.
        attempt: i64,
        /// What we know of the contact.
        known: Known,
    },
    /// The contact has a lane already; our rows are in it now, and our lane is gone.
    Yielded,
    /// The lease was lost: nothing was changed.
    LeaseLost,
}

/// Another call of the same turn.
#[derive(Clone, Debug)]
pub struct NextCall {
    /// The proof that the lane is ours.
    pub lease: Lease,
    /// The present moment.
    pub now: Timestamp,
    /// How long the lease holds from now.
    pub lease_for: Duration,
    /// The call that ended.
    pub ended: (i64, AttemptEnd),
    /// The rows that the next call carries.
    pub rows: Vec<i64>,
    /// Its method.
    pub method: &'static str,
    /// Its path.
    pub path: String,
    /// The contact it is about, once known.
    pub contact_id: Option<ContactId>,
    /// The contact that the look-up found, and the links that follow from it.
    pub links: Vec<Link>,
}

impl Store {
    /// Ends a turn: the call's answer, the rows, what was written, the books and the lane, in one commit.
    pub async fn settle(&self, settlement: Settlement) -> Result<Settled, StoreError> {
        self.writer.write(settlement).await
    }

    /// Ends a call and records the next one of the same turn as begun, so that a crash in between is known.
    pub async fn begin_next(&self, call: NextCall) -> Result<Option<i64>, StoreError> {
        self.writer.write(call).await
    }

    /// Links the lane's key to the contact that was found. When that contact has a lane already, the two become one.
    pub async fn link_lane(&self, call: NextCall, contact_id: ContactId) -> Result<Linking, StoreError> {
        self.writer.write(LinkLane { call, contact_id }).await
    }
}

pub(super) const FENCE: &str = "SELECT quiet_until FROM lanes WHERE id = ?1 AND lease = ?2 AND owner IS NOT NULL";
pub(super) const SETTLE_ROWS: &str = "UPDATE outbox SET \
        state = result.value ->> 1, \
        lane_id = CASE WHEN result.value ->> 1 IN ('pending', 'waiting', 'conflict') THEN lane_id END, \
        settled_at = CASE WHEN result.value ->> 1 IN ('pending', 'waiting', 'conflict') THEN NULL ELSE ?4 END, \
        outcomes = json_patch(coalesce(outcomes, '{}'), result.value -> 2), \
        reason_code = result.value ->> 3, reason = result.value ->> 4, \
        failures = failures + (result.value ->> 5), contact_id = coalesce(?3, contact_id) \
    FROM json_each(?1) AS result \
    WHERE outbox.id = result.value ->> 0 AND outbox.lane_id = ?2 AND outbox.state = 'leased'";
pub(super) const SAVE_WRITTEN: &str = "INSERT INTO written (account, contact_id, field, effective_at, outbox_id, policy, digest, in_doubt, written_at) \
    SELECT ?2, ?3, value ->> 0, value ->> 1, value ->> 2, value ->> 3, unhex(value ->> 4), 0, ?4 FROM json_each(?1) WHERE true \
    ON CONFLICT (account, contact_id, field) DO UPDATE SET effective_at = excluded.effective_at, \
        outbox_id = excluded.outbox_id, policy = excluded.policy, digest = excluded.digest, in_doubt = 0, written_at = excluded.written_at";
pub(super) const LEFT: &str = "SELECT count(*) FILTER (WHERE state = 'pending'), count(*) FILTER (WHERE state = 'waiting'), count(*) \
    FROM outbox WHERE lane_id = ?1";

async fn fence(lease: &Lease, tx: &mut SqliteConnection) -> Result<Option<Timestamp>, StoreError> {
    let row = sqlx::query(FENCE).bind(lease.lane).bind(lease.number).fetch_optional(tx).await?;
    Ok(row.map(|row| row.try_get(0)).transpose()?.map(Timestamp::from_millis))
}

impl Write for Settlement {
    type Output = Settled;

    fn run<'a>(&'a self, tx: &'a mut SqliteConnection) -> BoxFuture<'a, Result<Settled, StoreError>> {
        Box::pin(async move {
            let Some(quiet_until) = fence(&self.lease, tx).await? else { return Ok(Settled::LeaseLost) };
            match &self.attempt {
                (attempt, Some(end)) => attempts::end(*attempt, end, tx).await?,
                (attempt, None) => attempts::unmake(*attempt, tx).await?,
            }
            if let Some(link) = &self.link {
                contacts::link(&self.lease.account, link, self.now, tx).await?;
            }
            if let (Some(gone), Some(link)) = (self.gone, &self.link) {
                contacts::move_links(&self.lease.account, gone, link.contact_id, self.now, tx).await?;
            }
            if let Some(contact_id) = self.gone {
                contacts::mark_gone(&self.lease.account, contact_id, tx).await?;
            }
            self.settle_rows(tx).await?;
            self.save_written(tx).await?;
            for conflict in &self.conflicts {
                conflicts::open(&self.lease.account, conflict, self.now, tx).await?;
            }
            if let Some(link) = &self.link
                && joining::join_lane(&self.lease.account, self.lease.lane, link.contact_id, self.now, tx).await?
            {
                return Ok(Settled::Yes);
            }
            self.release_lane(quiet_until, tx).await?;
            Ok(Settled::Yes)
        })
    }
}

impl Settlement {
    async fn settle_rows(&self, tx: &mut SqliteConnection) -> Result<(), StoreError> {
        let results: Vec<Value> = self
            .rows
            .iter()
            .map(|result| {
                let (code, words) =
                    result.reason.as_ref().map_or((None, None), |(code, words)| (Some(code), Some(words)));
                json!([result.row, result.state, result.outcomes, code, words, i64::from(result.counts)])
            })
            .collect();
        sqlx::query(SETTLE_ROWS)
            .bind(Value::from(results).to_string())
            .bind(self.lease.lane)
            .bind(self.contact_id)
            .bind(self.now.as_millis())
            .execute(&mut *tx)
            .await?;
        let mut books = Books::default();
        for result in self.rows.iter().filter(|result| !result.state.is_open()) {
            books.add(&result.source, self.now, &format!("settled_{}", result.state), 1);
        }
        books.save(tx).await
    }

    async fn save_written(&self, tx: &mut SqliteConnection) -> Result<(), StoreError> {
        let Some(contact_id) = self.contact_id else { return Ok(()) };
        if !self.written.is_empty() {
            let written: Vec<Value> = self
                .written
                .iter()
                .map(|field| {
                    let Precedence { policy, effective_at, row } = field.precedence;
                    json!([field.field, effective_at, row, policy, hex::encode(field.digest.0)])
                })
                .collect();
            sqlx::query(SAVE_WRITTEN)
                .bind(Value::from(written).to_string())
                .bind(&*self.lease.account)
                .bind(contact_id)
                .bind(self.now.as_millis())
                .execute(&mut *tx)
                .await?;
            let fields: Vec<&Field> = self.written.iter().map(|written| &written.field).collect();
            overtaken::close(&self.lease.account, contact_id, &fields, self.now, tx).await?;
        }
        let doubts: Vec<Value> =
            self.in_doubt.iter().map(|field| json!([&*self.lease.account, contact_id, field])).collect();
        lanes::mark_in_doubt(&doubts, tx).await
    }

    async fn release_lane(&self, quiet_until: Timestamp, tx: &mut SqliteConnection) -> Result<(), StoreError> {
        let left = sqlx::query(LEFT).bind(self.lease.lane).fetch_one(&mut *tx).await?;
        let (pending, waiting): (i64, i64) = (left.try_get(0)?, left.try_get(1)?);
        let as_rows_say = || match (pending, waiting) {
            (0, 0) => None,
            (0, _) => Some(self.now + LOOK_AGAIN_AFTER),
            _ => Some(self.now),
        };
        let zero = Timestamp::default();
        // Rows that go one by one do so until none is left.
        let still_singly = if pending == 0 { Some(false) } else { None };
        let (due_at, quiet_until, failures, singly, held) = match &self.next {
            NextTurn::AsRowsSay => (as_rows_say(), zero, Some(0), still_singly, None),
            NextTurn::Backoff { due_at, failures, singly } => {
                (Some(*due_at), zero, Some(*failures), singly.then_some(true), None)
            }
            NextTurn::Doubt { due_at, failures } => {
                (Some((*due_at).max(quiet_until)), quiet_until, Some(*failures), None, None)
            }
            NextTurn::Later(due_at) => (Some(*due_at), zero, None, None, None),
            NextTurn::Held(why) => (None, zero, Some(0), None, Some(*why)),
        };
        sqlx::query(
            "UPDATE lanes SET owner = NULL, leased_until = NULL, due_at = ?2, quiet_until = ?3, \
             failures = coalesce(?4, failures), singly = coalesce(?5, singly), held = ?6 WHERE id = ?1",
        )
        .bind(self.lease.lane)
        .bind(due_at.map(Timestamp::as_millis))
        .bind(quiet_until.as_millis())
        .bind(failures)
        .bind(singly)
        .bind(held)
        .execute(&mut *tx)
        .await?;
        sqlx::query(DROP_EMPTY_LANE).bind(self.lease.lane).execute(&mut *tx).await?;
        if waiting > 0 || held.is_some() {
            contacts::wake_if_linked(self.lease.lane, self.now, tx).await?;
        }
        Ok(())
    }
}

impl NextCall {
    /// Ends the call before, and holds the lane for another whole call.
    async fn renew(&self, tx: &mut SqliteConnection) -> Result<bool, StoreError> {
        if fence(&self.lease, tx).await?.is_none() {
            return Ok(false);
        }
        attempts::end(self.ended.0, &self.ended.1, tx).await?;
        sqlx::query("UPDATE lanes SET begun_at = ?2, leased_until = ?3, quiet_until = ?3 WHERE id = ?1")
            .bind(self.lease.lane)
            .bind(self.now.as_millis())
            .bind((self.now + self.lease_for).as_millis())
            .execute(tx)
            .await?;
        Ok(true)
    }

    async fn begin(&self, contact_id: Option<ContactId>, tx: &mut SqliteConnection) -> Result<i64, StoreError> {
        lanes::begin_attempt(&self.lease, contact_id, self.method, &self.path, self.now, &self.rows, tx).await
    }
}

impl Write for NextCall {
    type Output = Option<i64>;

    fn run<'a>(&'a self, tx: &'a mut SqliteConnection) -> BoxFuture<'a, Result<Option<i64>, StoreError>> {
        Box::pin(async move {
            if !self.renew(tx).await? {
                return Ok(None);
            }
            self.begin(self.contact_id, tx).await.map(Some)
        })
    }
}

struct LinkLane {
    call: NextCall,
    contact_id: ContactId,
}

impl Write for LinkLane {
    type Output = Linking;

    fn run<'a>(&'a self, tx: &'a mut SqliteConnection) -> BoxFuture<'a, Result<Linking, StoreError>> {
        Box::pin(async move {
            let NextCall { lease, now, .. } = &self.call;
            if !self.call.renew(tx).await? {
                return Ok(Linking::LeaseLost);
            }
            for link in &self.call.links {
                contacts::link(&lease.account, link, *now, tx).await?;
            }
            if joining::join_lane(&lease.account, lease.lane, self.contact_id, *now, tx).await? {
                return Ok(Linking::Yielded);
            }
            let attempt = self.call.begin(Some(self.contact_id), tx).await?;
            let known = lanes::known(&lease.account, self.contact_id, tx).await?;
            Ok(Linking::Ours { attempt, known })
        })
    }
}
