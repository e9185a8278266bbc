//! What must be remembered of a configured source: whether somebody paused it. The webhooks of a paused source are
//! accepted and stored as ever; only its updates wait.

use std::collections::BTreeMap;

use futures_util::future::BoxFuture;
use serde::Serialize;
use sqlx::{Row as _, SqliteConnection};

use super::{Store, StoreError, writer::Write};
use crate::clock::Timestamp;

/// Since when a source is paused, and by whom.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SourcePause {
    /// Since.
    pub at: Timestamp,
    /// Who did it, in words.
    pub by: String,
}

impl Store {
    /// Pauses a source: leases take no rows of it from the next one on. False when it was paused already; then it
    /// stays as it was.
    pub async fn pause_source(&self, name: &str, now: Timestamp, by: &str) -> Result<bool, StoreError> {
        self.writer.write(PauseSource { name: name.to_owned(), now, by: by.to_owned() }).await
    }

    /// Resumes a source, and makes the lanes of its updates due. False when it was not paused.
    pub async fn resume_source(&self, name: &str, now: Timestamp) -> Result<bool, StoreError> {
        self.writer.write(ResumeSource { name: name.to_owned(), now }).await
    }

    /// The sources that somebody paused, by name.
    pub async fn source_pauses(&self) -> Result<BTreeMap<String, SourcePause>, StoreError> {
        let rows = sqlx::query("SELECT name, paused_at, paused_by FROM sources WHERE paused_at IS NOT NULL")
            .fetch_all(&self.readers)
            .await?;
        rows.iter()
            .map(|row| {
                let pause = SourcePause { at: Timestamp::from_millis(row.try_get(1)?), by: row.try_get(2)? };
                Ok((row.try_get(0)?, pause))
            })
            .collect()
    }
}

struct PauseSource {
    name: String,
    now: Timestamp,
    by: String,
}

impl Write for PauseSource {
    type Output = bool;

    fn run<'a>(&'a self, tx: &'a mut SqliteConnection) -> BoxFuture<'a, Result<bool, StoreError>> {
        Box::pin(async move {
            let paused = sqlx::query(
                "INSERT INTO sources (name, paused_at, paused_by) VALUES (?1, ?2, ?3) ON CONFLICT (name) DO UPDATE \
                 SET paused_at = excluded.paused_at, paused_by = excluded.paused_by WHERE paused_at IS NULL",
            )
            .bind(&self.name)
            .bind(self.now.as_millis())
            .bind(&self.by)
            .execute(tx)
            .await?;
            Ok(paused.rows_affected() == 1)
        })
    }
}

struct ResumeSource {
    name: String,
    now: Timestamp,
}

impl Write for ResumeSource {
    type Output = bool;

    fn run<'a>(&'a self, tx: &'a mut SqliteConnection) -> BoxFuture<'a, Result<bool, StoreError>> {
        Box::pin(async move {
            let resumed = sqlx::query(
                "UPDATE sources SET paused_at = NULL, paused_by = NULL WHERE name = ?1 AND paused_at IS NOT NULL",
            )
            .bind(&self.name)
            .execute(&mut *tx)
            .await?;
            if resumed.rows_affected() == 0 {
                return Ok(false);
            }
            // A lane that had nothing but paused rows was put to rest when it was looked at.
            sqlx::query(
                "UPDATE lanes SET due_at = max(quiet_until, ?2) WHERE due_at IS NULL AND held IS NULL AND owner IS NULL \
                 AND EXISTS (SELECT 1 FROM outbox WHERE outbox.lane_id = lanes.id AND outbox.source = ?1)",
            )
            .bind(&self.name)
            .bind(self.now.as_millis())
            .execute(tx)
            .await?;
            Ok(true)
        })
    }
}
