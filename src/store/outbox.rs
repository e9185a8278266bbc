//! The outbox as people see and change it: lists, one row, retry and discard by hand.

use std::{collections::BTreeMap, fmt::Write as _};

use futures_util::future::BoxFuture;
use serde::Serialize;
use sqlx::{Row as _, SqliteConnection, sqlite::SqliteRow};

use super::{
    Store, StoreError,
    books::Books,
    rows::{DROP_EMPTY_LANE, RowState, contact_lane_key, upsert_lane},
    writer::Write,
};
use crate::{clock::Timestamp, contacts::ContactId};

/// Which rows to list.
#[derive(Clone, Debug, Default)]
pub struct OutboxFilter {
    /// In this state.
    pub state: Option<RowState>,
    /// Of this external identifier, or `email:…`, `phone:…`.
    pub key: Option<String>,
    /// Of this account.
    pub account: Option<String>,
    /// Of this source.
    pub source: Option<String>,
    /// Older than this row; for paging.
    pub before: Option<i64>,
    /// At most so many, newest first.
    pub limit: u32,
}

/// A row as it stands in the outbox.
#[derive(Clone, Debug, Serialize)]
pub struct OutboxRecord {
    /// Its id.
    pub id: i64,
    /// The webhook it came from.
    pub webhook_id: i64,
    /// Which element of the body.
    pub element: i64,
    /// 0 on arrival; replays count up.
    pub run: i64,
    /// The source.
    pub source: String,
    /// The account.
    pub account: String,
    /// The identifier, else `email:…` or `phone:…`.
    pub key: String,
    /// The contact, once known.
    pub contact_id: Option<ContactId>,
    /// What it wants to write, as JSON.
    pub changes: String,
    /// What became of each field, as JSON.
    pub outcomes: Option<String>,
    /// Values that mapping left out, as JSON.
    pub dropped: Option<String>,
    /// Its state.
    pub state: RowState,
    /// Why, as a stable code.
    pub reason_code: Option<String>,
    /// Why, in words.
    pub reason: Option<String>,
    /// Failures that count towards giving up.
    pub failures: u32,
    /// The order key's time.
    pub effective_at: Timestamp,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was settled.
    pub settled_at: Option<Timestamp>,
    /// When its lane is due; `None` for settled rows and lanes that wait for a person.
    pub due_at: Option<Timestamp>,
}

/// What a change by hand came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RetryOutcome {
    /// Done.
    Done,
    /// There is no such row.
    NoSuchRow,
    /// A call with this row is being made; try again in a moment.
    InCall,
    /// The row is settled in a way that this change does not apply to.
    NotApplicable(RowState),
}

impl Store {
    /// Rows of the outbox, newest first.
    pub async fn outbox(&self, filter: &OutboxFilter) -> Result<Vec<OutboxRecord>, StoreError> {
        let mut sql = format!("{RECORD} WHERE outbox.id < ?1");
        // A key is either an identifier or a local key; each has its own index.
        match filter.key.as_deref() {
            Some(key) if key.starts_with("email:") || key.starts_with("phone:") => {
                sql.push_str(" AND outbox.identifier IS NULL AND outbox.key = ?2");
            }
            Some(_) => sql.push_str(" AND outbox.identifier = ?2"),
            None => sql.push_str(" AND ?2 IS NULL"),
        }
        // Written as literals, so that the index of rows that need attention can be used.
        if let Some(state) = filter.state {
            let _ = write!(sql, " AND outbox.state = '{state}'");
        }
        sql.push_str(" AND (?3 IS NULL OR outbox.account = ?3) AND (?4 IS NULL OR outbox.source = ?4)");
        sql.push_str(" ORDER BY outbox.id DESC LIMIT ?5");
        let rows = sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(filter.before.unwrap_or(i64::MAX))
            .bind(filter.key.as_deref())
            .bind(filter.account.as_deref())
            .bind(filter.source.as_deref())
            .bind(filter.limit)
            .fetch_all(&self.readers)
            .await?;
        rows.iter().map(record).collect()
    }

    /// One row.
    pub async fn outbox_row(&self, id: i64) -> Result<Option<OutboxRecord>, StoreError> {
        let sql = format!("{RECORD} WHERE outbox.id = ?1");
        let row = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(id).fetch_optional(&self.readers).await?;
        row.as_ref().map(record).transpose()
    }

    /// The rows that a webhook led to.
    pub async fn rows_of(&self, webhook: i64) -> Result<Vec<OutboxRecord>, StoreError> {
        let sql = format!("{RECORD} WHERE outbox.webhook_id = ?1 ORDER BY outbox.id");
        let rows = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(webhook).fetch_all(&self.readers).await?;
        rows.iter().map(record).collect()
    }

    /// How many rows are in each state.
    pub async fn outbox_counts(&self) -> Result<BTreeMap<RowState, u64>, StoreError> {
        let rows = sqlx::query("SELECT state, count(*) FROM outbox GROUP BY state").fetch_all(&self.readers).await?;
        rows.iter()
            .map(|row| {
                let state = row.try_get::<&str, _>(0)?.parse().map_err(StoreError::Corrupt)?;
                Ok((state, u64::try_from(row.try_get::<i64, _>(1)?).unwrap_or(0)))
            })
            .collect()
    }

    /// How many rows are open, in all accounts.
    pub async fn open_rows(&self) -> Result<u64, StoreError> {
        let row = sqlx::query("SELECT count(*) FROM outbox WHERE lane_id IS NOT NULL").fetch_one(&self.readers).await?;
        Ok(u64::try_from(row.try_get::<i64, _>(0)?).unwrap_or(0))
    }

    /// Puts a dead row back at its old order key, or makes an open one due at once.
    pub async fn retry(&self, id: i64, now: Timestamp) -> Result<RetryOutcome, StoreError> {
        self.writer.write(Retry { id, now }).await
    }

    /// Gives a row up by hand.
    pub async fn discard(&self, id: i64, reason: &str, now: Timestamp) -> Result<RetryOutcome, StoreError> {
        self.writer.write(Discard { id, reason: reason.to_owned(), now }).await
    }
}

const RECORD: &str = "SELECT outbox.id, webhook_id, element, run, source, outbox.account, outbox.key, outbox.contact_id, changes, \
    outcomes, dropped, state, reason_code, reason, outbox.failures, effective_at, created_at, settled_at, lanes.due_at \
    FROM outbox LEFT JOIN lanes ON lanes.id = outbox.lane_id";

fn record(row: &SqliteRow) -> Result<OutboxRecord, StoreError> {
    let moment = |at: Option<i64>| at.map(Timestamp::from_millis);
    Ok(OutboxRecord {
        id: row.try_get(0)?,
        webhook_id: row.try_get(1)?,
        element: row.try_get(2)?,
        run: row.try_get(3)?,
        source: row.try_get(4)?,
        account: row.try_get(5)?,
        key: row.try_get(6)?,
        contact_id: row.try_get(7)?,
        changes: row.try_get(8)?,
        outcomes: row.try_get(9)?,
        dropped: row.try_get(10)?,
        state: row.try_get::<&str, _>(11)?.parse().map_err(StoreError::Corrupt)?,
        reason_code: row.try_get(12)?,
        reason: row.try_get(13)?,
        failures: row.try_get(14)?,
        effective_at: Timestamp::from_millis(row.try_get(15)?),
        created_at: Timestamp::from_millis(row.try_get(16)?),
        settled_at: moment(row.try_get(17)?),
        due_at: moment(row.try_get(18)?),
    })
}

/// A row as a change by hand needs it.
struct Held {
    state: RowState,
    account: String,
    key: String,
    source: String,
    lane: Option<i64>,
    leased: bool,
}

async fn held(id: i64, tx: &mut SqliteConnection) -> Result<Option<Held>, StoreError> {
    let row = sqlx::query(
        "SELECT outbox.state, outbox.account, outbox.key, outbox.source, outbox.lane_id, lanes.owner IS NOT NULL \
         FROM outbox LEFT JOIN lanes ON lanes.id = outbox.lane_id WHERE outbox.id = ?1",
    )
    .bind(id)
    .fetch_optional(tx)
    .await?;
    let Some(row) = row else { return Ok(None) };
    Ok(Some(Held {
        state: row.try_get::<&str, _>(0)?.parse().map_err(StoreError::Corrupt)?,
        account: row.try_get(1)?,
        key: row.try_get(2)?,
        source: row.try_get(3)?,
        lane: row.try_get(4)?,
        leased: row.try_get(5)?,
    }))
}

struct Retry {
    id: i64,
    now: Timestamp,
}

impl Write for Retry {
    type Output = RetryOutcome;

    fn run<'a>(&'a self, tx: &'a mut SqliteConnection) -> BoxFuture<'a, Result<RetryOutcome, StoreError>> {
        Box::pin(async move {
            let Some(row) = held(self.id, tx).await? else { return Ok(RetryOutcome::NoSuchRow) };
            if row.leased {
                return Ok(RetryOutcome::InCall);
            }
            let lane = match (row.state, row.lane) {
                (_, Some(lane)) => lane,
                (RowState::Dead, None) => self.lane_for(&row, tx).await?,
                (state, None) => return Ok(RetryOutcome::NotApplicable(state)),
            };
            sqlx::query(
                "UPDATE outbox SET state = 'pending', lane_id = ?2, settled_at = NULL, reason_code = NULL, reason = NULL, failures = 0 \
                 WHERE id = ?1",
            )
            .bind(self.id)
            .bind(lane)
            .execute(&mut *tx)
            .await?;
            // A lane that was held for a person is held no more, for none of its rows.
            sqlx::query(
                "UPDATE outbox SET state = 'pending', reason_code = NULL, reason = NULL WHERE lane_id = ?1 AND state = 'conflict' \
                 AND (SELECT held FROM lanes WHERE id = ?1) IS NOT NULL",
            )
            .bind(lane)
            .execute(&mut *tx)
            .await?;
            sqlx::query("UPDATE lanes SET held = NULL, due_at = max(quiet_until, ?2) WHERE id = ?1")
                .bind(lane)
                .bind(self.now.as_millis())
                .execute(&mut *tx)
                .await?;
            close_conflicts(self.id, "retried by hand", self.now, tx).await?;
            if row.state == RowState::Dead {
                let mut books = Books::default();
                books.add(&row.source, self.now, "settled_dead", -1);
                books.save(tx).await?;
            }
            Ok(RetryOutcome::Done)
        })
    }
}

impl Retry {
    async fn lane_for(&self, row: &Held, tx: &mut SqliteConnection) -> Result<i64, StoreError> {
        let contact_id = super::contacts::linked_to(&row.account, &row.key, tx).await?;
        let key = contact_id.map_or_else(|| row.key.clone(), contact_lane_key);
        upsert_lane(&row.account, &key, contact_id, self.now, tx).await
    }
}

/// Closes what waited for a person because of a row, now that a person has said what to do with it. Its values may be
/// sent again.
async fn close_conflicts(id: i64, how: &str, now: Timestamp, tx: &mut SqliteConnection) -> Result<(), StoreError> {
    sqlx::query(
        "UPDATE conflicts SET resolved_at = ?3, resolution = ?2, resolved_by = 'hand' WHERE resolved_at IS NULL AND (outbox_id = ?1 \
         OR (kind = 'field' AND (account, contact_id) = (SELECT account, contact_id FROM outbox WHERE id = ?1) \
             AND field IN (SELECT outcome.key FROM outbox, json_each(outbox.outcomes) AS outcome WHERE outbox.id = ?1 AND outcome.value = 'parked')))",
    )
    .bind(id)
    .bind(how)
    .bind(now.as_millis())
    .execute(tx)
    .await?;
    Ok(())
}

struct Discard {
    id: i64,
    reason: String,
    now: Timestamp,
}

impl Write for Discard {
    type Output = RetryOutcome;

    fn run<'a>(&'a self, tx: &'a mut SqliteConnection) -> BoxFuture<'a, Result<RetryOutcome, StoreError>> {
        Box::pin(async move {
            let Some(row) = held(self.id, tx).await? else { return Ok(RetryOutcome::NoSuchRow) };
            if row.leased {
                return Ok(RetryOutcome::InCall);
            }
            if !row.state.is_open() && row.state != RowState::Dead {
                return Ok(RetryOutcome::NotApplicable(row.state));
            }
            sqlx::query(
                "UPDATE outbox SET state = 'discarded', lane_id = NULL, settled_at = ?2, reason_code = 'by_hand', reason = ?3 WHERE id = ?1",
            )
            .bind(self.id)
            .bind(self.now.as_millis())
            .bind(&self.reason)
            .execute(&mut *tx)
            .await?;
            close_conflicts(self.id, "discarded by hand", self.now, tx).await?;
            if let Some(lane) = row.lane {
                sqlx::query(DROP_EMPTY_LANE).bind(lane).execute(&mut *tx).await?;
            }
            let mut books = Books::default();
            if row.state == RowState::Dead {
                books.add(&row.source, self.now, "settled_dead", -1);
            }
            books.add(&row.source, self.now, "settled_discarded", 1);
            books.save(tx).await?;
            Ok(RetryOutcome::Done)
        })
    }
}
