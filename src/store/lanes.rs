//! Leasing: the only way work is taken. One commit takes the lane, its open rows, and records the call about to be
//! made as begun; after a crash that record says which calls may have taken effect.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use futures_util::future::BoxFuture;
use serde_json::{Value, json};
use sqlx::{Row as _, SqliteConnection, sqlite::SqliteRow};

use super::{Store, StoreError, conflicts, contacts, joining, rows, writer::Write};
use crate::{
    clock::Timestamp,
    contacts::{ContactId, ContactKey, Field, fields_from_json},
    merge::{self, Known, Precedence, ValueDigest, Written},
};

/// What to lease.
#[derive(Clone, Debug)]
pub struct LeaseRequest {
    /// Of which account.
    pub account: Arc<str>,
    /// Who leases: the instance's name.
    pub owner: Arc<str>,
    /// The present moment.
    pub now: Timestamp,
    /// How long the lease holds: longer than a whole call.
    pub lease_for: Duration,
    /// How many lanes at most.
    pub lanes: usize,
    /// How many rows of a lane at most.
    pub rows: usize,
    /// Sources whose rows wait by the configuration; those that a person paused wait too.
    pub paused_sources: Arc<[String]>,
    /// The path of the account's contacts, for the record of the call that is begun.
    pub contacts_path: Arc<str>,
}

/// The proof that a lane is ours. Every change made under it carries the number; a change under a lost lease changes
/// nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// The lane.
    pub lane: i64,
    /// Counts the lane's leases.
    pub number: i64,
    /// The account.
    pub account: Arc<str>,
}

/// A lane that is ours for a while.
#[derive(Clone, Debug)]
pub struct LeasedLane {
    /// The proof.
    pub lease: Lease,
    /// `contact:ID`, or the key of its updates while the contact is not known.
    pub key: ContactKey,
    /// The contact, once known.
    pub contact_id: Option<ContactId>,
    /// The call recorded as begun.
    pub attempt: i64,
    /// The rows that were taken, newest last.
    pub rows: Vec<LeasedRow>,
    /// What we know of the contact.
    pub known: Known,
    /// Failed calls in a row before this one.
    pub failures: u32,
    /// Whether rows go one by one.
    pub singly: bool,
    /// When the lane was begun the last time before this lease.
    pub last_begun_at: Timestamp,
}

/// A row of a leased lane.
#[derive(Clone, Debug)]
pub struct LeasedRow {
    /// What merging needs.
    pub row: merge::Row,
    /// The source that sent it.
    pub source: Arc<str>,
    /// The external identifier.
    pub identifier: Option<String>,
    /// The e-mail address.
    pub email: Option<String>,
    /// The phone number.
    pub phone_number: Option<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// Failures that count towards giving up.
    pub failures: u32,
}

impl Store {
    /// Leases lanes of an account that are due, soonest first.
    pub async fn lease_due(&self, request: LeaseRequest) -> Result<Vec<LeasedLane>, StoreError> {
        self.writer.write(request).await
    }

    /// Takes back the leases of an instance that is known to be gone: its own former life, at start. Their calls may
    /// have taken effect, so the fields are in doubt, and the lanes stay quiet until those calls must have ended.
    pub async fn take_back(&self, owner: &str, now: Timestamp) -> Result<u64, StoreError> {
        self.writer.write(TakeBack { owner: owner.to_owned(), now }).await
    }

    /// When the next lane of an account is due; `None` when none is.
    pub async fn next_due(&self, account: &str) -> Result<Option<Timestamp>, StoreError> {
        let row = sqlx::query(NEXT_DUE).bind(account).fetch_one(&self.readers).await?;
        Ok(row.try_get::<Option<i64>, _>(0)?.map(Timestamp::from_millis))
    }
}

pub(super) const NEXT_DUE: &str =
    "SELECT min(due_at) FROM lanes WHERE account = ?1 AND due_at IS NOT NULL AND owner IS NULL";
pub(super) const FIND_DUE: &str = "SELECT id, begun_at FROM lanes \
    WHERE account = ?1 AND due_at <= ?2 AND owner IS NULL ORDER BY due_at LIMIT ?3";
pub(super) const TAKE: &str = "UPDATE lanes SET owner = ?2, leased_until = ?3, quiet_until = ?3, begun_at = ?4, lease = lease + 1 \
    WHERE id = ?1 RETURNING lease, key, contact_id, failures, singly";
pub(super) const TAKE_NEWEST_ROWS: &str = "SELECT id, effective_at, changes, policies, source, identifier, email, phone_number, \
    created_at, failures FROM outbox WHERE lane_id = ?1 AND state IN ('pending', 'waiting') \
    AND source NOT IN (SELECT value FROM json_each(?2)) \
    AND NOT EXISTS (SELECT 1 FROM sources WHERE sources.name = outbox.source AND paused_at IS NOT NULL) \
    ORDER BY effective_at DESC, id DESC LIMIT ?3";
/// The oldest row goes first, but one that was tried more often than the others lets them pass: precedence keeps the
/// order. Attempts are what tells them apart, because not every failure counts against a row.
const TAKE_ONE_ROW: &str = "SELECT id, effective_at, changes, policies, source, identifier, email, phone_number, \
    created_at, failures FROM outbox WHERE lane_id = ?1 AND state IN ('pending', 'waiting') \
    AND source NOT IN (SELECT value FROM json_each(?2)) \
    AND NOT EXISTS (SELECT 1 FROM sources WHERE sources.name = outbox.source AND paused_at IS NOT NULL) \
    ORDER BY (SELECT count(*) FROM attempt_rows WHERE attempt_rows.outbox_id = outbox.id), effective_at, id LIMIT 1";
pub(super) const MARK_LEASED: &str = "UPDATE outbox SET state = 'leased' WHERE id IN (SELECT value FROM json_each(?1))";
pub(super) const FIND_WRITTEN: &str = "SELECT field, effective_at, outbox_id, digest, policy, in_doubt FROM written \
    WHERE account = ?1 AND contact_id = ?2";
pub(super) const OWNED_BY: &str = "SELECT id FROM lanes WHERE owner = ?1 AND leased_until >= 0";
pub(super) const RAN_OUT: &str = "SELECT id FROM lanes WHERE owner IS NOT NULL AND leased_until < ?1";

impl Write for LeaseRequest {
    type Output = Vec<LeasedLane>;

    fn run<'a>(&'a self, tx: &'a mut SqliteConnection) -> BoxFuture<'a, Result<Self::Output, StoreError>> {
        Box::pin(async move {
            let ran_out = sqlx::query(RAN_OUT).bind(self.now.as_millis()).fetch_all(&mut *tx).await?;
            release(&ids(&ran_out)?, tx).await?;
            let limit = i64::try_from(self.lanes).unwrap_or(i64::MAX);
            let due = sqlx::query(FIND_DUE)
                .bind(&*self.account)
                .bind(self.now.as_millis())
                .bind(limit)
                .fetch_all(&mut *tx)
                .await?;
            let mut leased = Vec::with_capacity(due.len());
            for lane in due {
                let last_begun_at = Timestamp::from_millis(lane.try_get(1)?);
                leased.extend(self.take(lane.try_get(0)?, last_begun_at, tx).await?);
            }
            Ok(leased)
        })
    }
}

impl LeaseRequest {
    async fn take(
        &self,
        lane: i64,
        last_begun_at: Timestamp,
        tx: &mut SqliteConnection,
    ) -> Result<Option<LeasedLane>, StoreError> {
        let taken = sqlx::query(TAKE)
            .bind(lane)
            .bind(&*self.owner)
            .bind((self.now + self.lease_for).as_millis())
            .bind(self.now.as_millis())
            .fetch_one(&mut *tx)
            .await?;
        let lease = Lease { lane, number: taken.try_get(0)?, account: Arc::clone(&self.account) };
        let key: String = taken.try_get(1)?;
        let mut contact_id: Option<ContactId> = taken.try_get(2)?;
        if contact_id.is_none()
            && let Some(linked) = contacts::linked_to(&self.account, &key, tx).await?
        {
            // The link appeared after the rows did.
            if joining::join_lane(&self.account, lane, linked, self.now, tx).await? {
                return Ok(None);
            }
            contact_id = Some(linked);
        }
        let singly = taken.try_get::<i64, _>(4)? != 0;
        let rows = self.take_rows(lane, singly, tx).await?;
        if rows.is_empty() {
            sqlx::query(
                "UPDATE lanes SET owner = NULL, leased_until = NULL, quiet_until = 0, due_at = NULL WHERE id = ?1",
            )
            .bind(lane)
            .execute(&mut *tx)
            .await?;
            sqlx::query(rows::DROP_EMPTY_LANE).bind(lane).execute(tx).await?;
            return Ok(None);
        }
        let known = match contact_id {
            Some(contact_id) => known(&self.account, contact_id, tx).await?,
            None => Known::default(),
        };
        let (method, path) = match contact_id {
            Some(contact_id) => ("PATCH", format!("{}/{contact_id}", self.contacts_path)),
            None => ("POST", format!("{}/filter", self.contacts_path)),
        };
        let ids: Vec<i64> = rows.iter().map(|leased| leased.row.id).collect();
        let attempt = begin_attempt(&lease, contact_id, method, &path, self.now, &ids, tx).await?;
        Ok(Some(LeasedLane {
            key: ContactKey::from_text(key),
            failures: taken.try_get(3)?,
            lease,
            contact_id,
            attempt,
            rows,
            known,
            singly,
            last_begun_at,
        }))
    }

    async fn take_rows(
        &self,
        lane: i64,
        singly: bool,
        tx: &mut SqliteConnection,
    ) -> Result<Vec<LeasedRow>, StoreError> {
        let paused = json!(&*self.paused_sources).to_string();
        let query = if singly {
            sqlx::query(TAKE_ONE_ROW).bind(lane).bind(paused)
        } else {
            sqlx::query(TAKE_NEWEST_ROWS).bind(lane).bind(paused).bind(i64::try_from(self.rows).unwrap_or(i64::MAX))
        };
        let mut rows = query.fetch_all(&mut *tx).await?.iter().map(leased_row).collect::<Result<Vec<_>, _>>()?;
        rows.reverse();
        let ids: Vec<i64> = rows.iter().map(|leased| leased.row.id).collect();
        if !ids.is_empty() {
            sqlx::query(MARK_LEASED).bind(json!(ids).to_string()).execute(tx).await?;
        }
        Ok(rows)
    }
}

fn leased_row(row: &SqliteRow) -> Result<LeasedRow, StoreError> {
    let id: i64 = row.try_get(0)?;
    let corrupt =
        |column: &str, error: serde_json::Error| StoreError::Corrupt(format!("outbox.{column} of row {id}: {error}"));
    let changes = serde_json::from_str(row.try_get(2)?).map_err(|error| corrupt("changes", error))?;
    let policies = match row.try_get::<Option<&str>, _>(3)? {
        Some(policies) => serde_json::from_str(policies).map_err(|error| corrupt("policies", error))?,
        None => BTreeMap::new(),
    };
    Ok(LeasedRow {
        row: merge::Row {
            id,
            effective_at: Timestamp::from_millis(row.try_get(1)?),
            fields: fields_from_json(&changes),
            policies,
        },
        source: row.try_get::<&str, _>(4)?.into(),
        identifier: row.try_get(5)?,
        email: row.try_get(6)?,
        phone_number: row.try_get(7)?,
        created_at: Timestamp::from_millis(row.try_get(8)?),
        failures: row.try_get(9)?,
    })
}

/// What we know of a contact: what we last wrote, and what waits for a person.
pub(super) async fn known(
    account: &str,
    contact_id: ContactId,
    tx: &mut SqliteConnection,
) -> Result<Known, StoreError> {
    let mut written = BTreeMap::new();
    for row in sqlx::query(FIND_WRITTEN).bind(account).bind(contact_id).fetch_all(&mut *tx).await? {
        let name: &str = row.try_get(0)?;
        let corrupt = |what: &str| StoreError::Corrupt(format!("written.{what} of contact {contact_id}, field {name}"));
        let field: Field = name.parse().map_err(|_| corrupt("field"))?;
        let policy = serde_json::from_value(Value::from(row.try_get::<&str, _>(4)?)).map_err(|_| corrupt("policy"))?;
        let digest = match row.try_get::<Option<&[u8]>, _>(3)? {
            Some(bytes) => Some(ValueDigest(bytes.try_into().map_err(|_| corrupt("digest"))?)),
            None => None,
        };
        let precedence =
            Precedence { policy, effective_at: Timestamp::from_millis(row.try_get(1)?), row: row.try_get(2)? };
        written.insert(field, Written { precedence, digest, in_doubt: row.try_get::<i64, _>(5)? != 0 });
    }
    let parked = conflicts::parked(account, contact_id, tx).await?;
    Ok(Known { written, parked })
}

/// Records a call as begun, with the rows it carries.
pub(super) async fn begin_attempt(
    lease: &Lease,
    contact_id: Option<ContactId>,
    method: &str,
    path: &str,
    now: Timestamp,
    rows: &[i64],
    tx: &mut SqliteConnection,
) -> Result<i64, StoreError> {
    let attempt: i64 = sqlx::query(
        "INSERT INTO attempts (account, lane_id, contact_id, method, path, begun_at, verdict) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, 'unknown') RETURNING id",
    )
    .bind(&*lease.account)
    .bind(lease.lane)
    .bind(contact_id)
    .bind(method)
    .bind(path)
    .bind(now.as_millis())
    .fetch_one(&mut *tx)
    .await?
    .try_get(0)?;
    sqlx::query("INSERT INTO attempt_rows (outbox_id, attempt_id) SELECT value, ?2 FROM json_each(?1)")
        .bind(json!(rows).to_string())
        .bind(attempt)
        .execute(tx)
        .await?;
    Ok(attempt)
}

struct TakeBack {
    owner: String,
    now: Timestamp,
}

impl Write for TakeBack {
    type Output = u64;

    fn run<'a>(&'a self, tx: &'a mut SqliteConnection) -> BoxFuture<'a, Result<u64, StoreError>> {
        Box::pin(async move {
            // A clock that was set back must not keep a lane quiet for longer than a lease can be.
            sqlx::query(
                "UPDATE lanes SET quiet_until = min(quiet_until, ?2 + (quiet_until - begun_at)) WHERE owner = ?1",
            )
            .bind(&self.owner)
            .bind(self.now.as_millis())
            .execute(&mut *tx)
            .await?;
            let owned = sqlx::query(OWNED_BY).bind(&self.owner).fetch_all(&mut *tx).await?;
            let lanes = ids(&owned)?;
            release(&lanes, tx).await?;
            // Rows of a source that was paused before this start.
            sqlx::query(
                "UPDATE lanes SET due_at = max(quiet_until, ?1) WHERE due_at IS NULL AND held IS NULL AND owner IS NULL",
            )
            .bind(self.now.as_millis())
            .execute(tx)
            .await?;
            Ok(lanes.len() as u64)
        })
    }
}

fn ids(rows: &[SqliteRow]) -> Result<Vec<i64>, StoreError> {
    rows.iter().map(|row| Ok(row.try_get(0)?)).collect()
}

/// Frees lanes whose holder will not answer any more. What their calls carried is in doubt; they stay quiet until
/// those calls must have ended.
async fn release(lanes: &[i64], tx: &mut SqliteConnection) -> Result<(), StoreError> {
    if lanes.is_empty() {
        return Ok(());
    }
    let lanes = json!(lanes).to_string();
    let carried = sqlx::query(
        "SELECT lanes.account, lanes.contact_id, outbox.changes, outbox.id FROM outbox JOIN lanes ON lanes.id = outbox.lane_id \
         WHERE outbox.lane_id IN (SELECT value FROM json_each(?1)) AND outbox.state = 'leased' AND lanes.contact_id IS NOT NULL",
    )
    .bind(&lanes)
    .fetch_all(&mut *tx)
    .await?;
    let mut doubts = Vec::new();
    for row in &carried {
        let (account, contact_id): (&str, ContactId) = (row.try_get(0)?, row.try_get(1)?);
        let changes = serde_json::from_str(row.try_get(2)?)
            .map_err(|error| StoreError::Corrupt(format!("outbox.changes of row {}: {error}", row.get::<i64, _>(3))))?;
        doubts.extend(fields_from_json(&changes).into_keys().map(|field| json!([account, contact_id, field])));
    }
    mark_in_doubt(&doubts, tx).await?;
    sqlx::query(
        "UPDATE outbox SET state = 'pending' WHERE lane_id IN (SELECT value FROM json_each(?1)) AND state = 'leased'",
    )
    .bind(&lanes)
    .execute(&mut *tx)
    .await?;
    sqlx::query(
        "UPDATE lanes SET owner = NULL, leased_until = NULL, due_at = quiet_until \
         WHERE id IN (SELECT value FROM json_each(?1))",
    )
    .bind(&lanes)
    .execute(tx)
    .await?;
    Ok(())
}

/// Marks fields, each `[account, contact id, field]`, as possibly holding something else than we know.
pub(super) async fn mark_in_doubt(fields: &[Value], tx: &mut SqliteConnection) -> Result<(), StoreError> {
    if fields.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "INSERT INTO written (account, contact_id, field, effective_at, outbox_id, digest, policy, in_doubt, written_at) \
         SELECT value ->> 0, value ->> 1, value ->> 2, 0, 0, NULL, 'if_empty', 1, 0 FROM json_each(?1) WHERE true \
         ON CONFLICT (account, contact_id, field) DO UPDATE SET in_doubt = 1",
    )
    .bind(Value::from(fields.to_vec()).to_string())
    .execute(tx)
    .await?;
    Ok(())
}
