//! Two lanes that turn out to be one contact's become one.

use serde_json::json;
use sqlx::{Row as _, SqliteConnection};

use super::{
    StoreError,
    rows::{DROP_EMPTY_LANE, UPSERT_LANES, contact_lane_key},
};
use crate::{
    clock::Timestamp,
    contacts::{ContactId, ContactKey},
};

/// Makes a lane the lane of a contact. Where the contact has one already, the rows move there, this lane ends, and the
/// answer is true.
pub(super) async fn join_lane(
    account: &str,
    lane: i64,
    contact_id: ContactId,
    now: Timestamp,
    tx: &mut SqliteConnection,
) -> Result<bool, StoreError> {
    let key = contact_lane_key(contact_id);
    let other = sqlx::query("SELECT id FROM lanes WHERE account = ?1 AND key = ?2 AND id <> ?3")
        .bind(account)
        .bind(&key)
        .bind(lane)
        .fetch_optional(&mut *tx)
        .await?;
    let Some(other) = other else {
        sqlx::query("UPDATE lanes SET key = ?2, contact_id = ?3 WHERE id = ?1")
            .bind(lane)
            .bind(&key)
            .bind(contact_id)
            .execute(tx)
            .await?;
        return Ok(false);
    };
    let other: i64 = other.try_get(0)?;
    sqlx::query(
        "UPDATE outbox SET lane_id = ?2, state = CASE WHEN state = 'conflict' THEN 'conflict' ELSE 'pending' END \
         WHERE lane_id = ?1",
    )
    .bind(lane)
    .bind(other)
    .execute(&mut *tx)
    .await?;
    sqlx::query("UPDATE lanes SET due_at = max(quiet_until, ?2) WHERE id = ?1 AND held IS NULL")
        .bind(other)
        .bind(now.as_millis())
        .execute(&mut *tx)
        .await?;
    sqlx::query("DELETE FROM lanes WHERE id = ?1").bind(lane).execute(tx).await?;
    Ok(true)
}

/// Moves the open rows of a key out of a lane that waits for a person: to the lane of the contact that was chosen, or to
/// the key's own, where the contact is looked up afresh.
pub(super) async fn move_rows(
    account: &str,
    from: i64,
    key: &ContactKey,
    contact_id: Option<ContactId>,
    now: Timestamp,
    tx: &mut SqliteConnection,
) -> Result<(), StoreError> {
    let to = contact_id.map_or_else(|| key.as_str().to_owned(), contact_lane_key);
    let lane = json!([[account, to, contact_id, now]]).to_string();
    let to: i64 = sqlx::query(UPSERT_LANES).bind(lane).fetch_one(&mut *tx).await?.try_get(2)?;
    sqlx::query(
        "UPDATE outbox SET lane_id = ?3, state = 'pending', reason_code = NULL, reason = NULL \
         WHERE lane_id = ?1 AND key = ?2",
    )
    .bind(from)
    .bind(key.as_str())
    .bind(to)
    .execute(&mut *tx)
    .await?;
    sqlx::query(DROP_EMPTY_LANE).bind(from).execute(tx).await?;
    Ok(())
}
