//! Calls: how they end, and the record of them.

use std::{fmt, str::FromStr};

use serde::Serialize;
use serde_json::json;
use sqlx::{Row as _, SqliteConnection, sqlite::SqliteRow};

use super::{Store, StoreError};
use crate::{
    clock::Timestamp,
    contacts::{ContactId, Field, Fields, fields_to_json},
};

/// What a call came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// No answer: it may have taken effect.
    Unknown,
    /// A write that was accepted.
    Delivered,
    /// A look-up that was answered.
    Answered,
    /// To be made again.
    Retry,
    /// The account is paused until its fault is mended.
    Pause,
    /// A person has to decide.
    Conflict,
    /// The contact is not there.
    Gone,
    /// Will never be accepted.
    Dead,
}

impl Verdict {
    /// All verdicts.
    pub const ALL: [Self; 8] = [
        Self::Unknown,
        Self::Delivered,
        Self::Answered,
        Self::Retry,
        Self::Pause,
        Self::Conflict,
        Self::Gone,
        Self::Dead,
    ];

    /// The verdict as tables and JSON have it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Delivered => "delivered",
            Self::Answered => "answered",
            Self::Retry => "retry",
            Self::Pause => "pause",
            Self::Conflict => "conflict",
            Self::Gone => "gone",
            Self::Dead => "dead",
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Verdict {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        Self::ALL.into_iter().find(|verdict| verdict.as_str() == text).ok_or(())
    }
}

/// The end of a call.
#[derive(Clone, Debug)]
pub struct AttemptEnd {
    /// The method that was used.
    pub method: &'static str,
    /// The path that was called.
    pub path: String,
    /// The contact it was about, once known.
    pub contact_id: Option<ContactId>,
    /// When the answer was there, or given up on.
    pub ended_at: Timestamp,
    /// The status of the answer; `None` when there was none.
    pub status: Option<u16>,
    /// What it came to.
    pub verdict: Verdict,
    /// The failure's name.
    pub code: Option<&'static str>,
    /// `X-Request-Id` of the answer.
    pub request_id: Option<String>,
    /// The fields that were sent.
    pub sent: Option<Fields>,
    /// Those that the echo shows otherwise.
    pub not_taken: Vec<Field>,
    /// Up to 4 KiB of an answer that was not 2xx.
    pub answer: Option<String>,
}

/// Writes down how a call ended.
pub(super) async fn end(attempt: i64, end: &AttemptEnd, tx: &mut SqliteConnection) -> Result<(), StoreError> {
    let sent = end.sent.as_ref().map(|fields| serde_json::Value::Object(fields_to_json(fields)).to_string());
    let not_taken = (!end.not_taken.is_empty()).then(|| json!(end.not_taken).to_string());
    sqlx::query(
        "UPDATE attempts SET method = ?2, path = ?3, contact_id = ?4, ended_at = ?5, status = ?6, verdict = ?7, code = ?8, \
         request_id = ?9, sent = ?10, not_taken = ?11, answer = ?12 WHERE id = ?1",
    )
    .bind(attempt)
    .bind(end.method)
    .bind(&end.path)
    .bind(end.contact_id)
    .bind(end.ended_at.as_millis())
    .bind(end.status)
    .bind(end.verdict.as_str())
    .bind(end.code)
    .bind(end.request_id.as_deref())
    .bind(sent)
    .bind(not_taken)
    .bind(end.answer.as_deref())
    .execute(tx)
    .await?;
    Ok(())
}

/// Takes back the record of a call that was begun and then not needed.
pub(super) async fn unmake(attempt: i64, tx: &mut SqliteConnection) -> Result<(), StoreError> {
    sqlx::query("DELETE FROM attempt_rows WHERE attempt_id = ?1").bind(attempt).execute(&mut *tx).await?;
    sqlx::query("DELETE FROM attempts WHERE id = ?1").bind(attempt).execute(tx).await?;
    Ok(())
}

/// A call as it stands in the log.
#[derive(Clone, Debug, Serialize)]
pub struct AttemptRecord {
    /// Its id.
    pub id: i64,
    /// The account called.
    pub account: String,
    /// The contact, once known.
    pub contact_id: Option<ContactId>,
    /// The method.
    pub method: String,
    /// The path.
    pub path: String,
    /// When it was begun.
    pub begun_at: Timestamp,
    /// When it ended; `None` when nobody lived to see it.
    pub ended_at: Option<Timestamp>,
    /// The status of the answer.
    pub status: Option<u16>,
    /// What it came to.
    pub verdict: Verdict,
    /// The failure's name.
    pub code: Option<String>,
    /// `X-Request-Id` of the answer.
    pub request_id: Option<String>,
    /// The fields that were sent, as JSON.
    pub sent: Option<String>,
    /// Those that the echo shows otherwise, as JSON.
    pub not_taken: Option<String>,
    /// Up to 4 KiB of an answer that was not 2xx.
    pub answer: Option<String>,
}

impl Store {
    /// The calls that carried a row, first to last.
    pub async fn attempts_of(&self, outbox: i64) -> Result<Vec<AttemptRecord>, StoreError> {
        let rows = sqlx::query(
            "SELECT attempts.id, account, contact_id, method, path, begun_at, ended_at, status, verdict, code, request_id, \
             sent, not_taken, answer FROM attempt_rows JOIN attempts ON attempts.id = attempt_rows.attempt_id \
             WHERE attempt_rows.outbox_id = ?1 ORDER BY attempt_rows.attempt_id",
        )
        .bind(outbox)
        .fetch_all(&self.readers)
        .await?;
        rows.iter().map(record).collect()
    }
}

fn record(row: &SqliteRow) -> Result<AttemptRecord, StoreError> {
    let id: i64 = row.try_get(0)?;
    Ok(AttemptRecord {
        id,
        account: row.try_get(1)?,
        contact_id: row.try_get(2)?,
        method: row.try_get(3)?,
        path: row.try_get(4)?,
        begun_at: Timestamp::from_millis(row.try_get(5)?),
        ended_at: row.try_get::<Option<i64>, _>(6)?.map(Timestamp::from_millis),
        status: row.try_get(7)?,
        verdict: row
            .try_get::<&str, _>(8)?
            .parse()
            .map_err(|()| StoreError::Corrupt(format!("attempts.verdict of attempt {id}")))?,
        code: row.try_get(9)?,
        request_id: row.try_get(10)?,
        sent: row.try_get(11)?,
        not_taken: row.try_get(12)?,
        answer: row.try_get(13)?,
    })
}
