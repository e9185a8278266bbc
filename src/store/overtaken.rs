//! A field that was parked and written after all: a later value passed, so nobody has to decide any more.

use std::collections::BTreeMap;

use serde_json::json;
use sqlx::{Row as _, SqliteConnection};

use super::{
    StoreError,
    books::Books,
    rows::{FieldOutcome, RowState, contact_lane_key},
};
use crate::{
    clock::Timestamp,
    contacts::{ContactId, Field},
};

/// Closes the conflicts about fields that were written after all, and settles the rows that waited for nothing else.
pub(super) async fn close(
    account: &str,
    contact_id: ContactId,
    fields: &[&Field],
    now: Timestamp,
    tx: &mut SqliteConnection,
) -> Result<(), StoreError> {
    let closed = sqlx::query(
        "UPDATE conflicts SET resolved_at = ?4, resolution = 'a later value was written' \
         WHERE account = ?1 AND contact_id = ?2 AND resolved_at IS NULL AND kind = 'field' \
         AND field IN (SELECT value FROM json_each(?3)) RETURNING outbox_id",
    )
    .bind(account)
    .bind(contact_id)
    .bind(json!(fields).to_string())
    .bind(now.as_millis())
    .fetch_all(&mut *tx)
    .await?;
    if closed.is_empty() {
        return Ok(());
    }
    settle_rows(account, contact_id, fields, now, tx).await
}

/// Settles the rows of a contact whose only open question was a field that has been written since.
async fn settle_rows(
    account: &str,
    contact_id: ContactId,
    fields: &[&Field],
    now: Timestamp,
    tx: &mut SqliteConnection,
) -> Result<(), StoreError> {
    let waiting = sqlx::query(
        "SELECT outbox.id, outbox.outcomes, outbox.source FROM lanes JOIN outbox ON outbox.lane_id = lanes.id \
         WHERE lanes.account = ?1 AND lanes.key = ?2 AND outbox.state = 'conflict'",
    )
    .bind(account)
    .bind(contact_lane_key(contact_id))
    .fetch_all(&mut *tx)
    .await?;
    let mut books = Books::default();
    for row in waiting {
        let id: i64 = row.try_get(0)?;
        let outcomes = row.try_get::<Option<&str>, _>(1)?.unwrap_or("{}");
        let mut outcomes: BTreeMap<Field, FieldOutcome> = serde_json::from_str(outcomes)
            .map_err(|error| StoreError::Corrupt(format!("outbox.outcomes of row {id}: {error}")))?;
        for field in fields {
            if let Some(outcome) = outcomes.get_mut(*field).filter(|outcome| **outcome == FieldOutcome::Parked) {
                *outcome = FieldOutcome::Superseded;
            }
        }
        if outcomes.values().any(|outcome| *outcome == FieldOutcome::Parked) {
            continue;
        }
        let delivered = outcomes.values().any(|outcome| *outcome == FieldOutcome::Delivered);
        let state = if delivered { RowState::Delivered } else { RowState::Superseded };
        sqlx::query(
            "UPDATE outbox SET state = ?2, lane_id = NULL, settled_at = ?3, outcomes = ?4, reason_code = NULL, reason = NULL WHERE id = ?1",
        )
        .bind(id)
        .bind(state.as_str())
        .bind(now.as_millis())
        .bind(json!(outcomes).to_string())
        .execute(&mut *tx)
        .await?;
        books.add(row.try_get(2)?, now, &format!("settled_{state}"), 1);
    }
    books.save(tx).await
}
