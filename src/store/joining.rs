//! Lanes change with what is known of their contacts: two that turn out to be one contact's become one, and what waits
//! for a contact that is gone moves to the lane of its successor.

use sqlx::{Row as _, SqliteConnection};

use super::{
    StoreError,
    rows::{contact_lane_key, upsert_lane},
};
use crate::{clock::Timestamp, contacts::ContactId};

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

/// Moves what a key has waiting for its former contact: to the lane of `contact_id`, or to one of the key's own, where
/// the contact is looked up afresh. A call that is being made is not called back.
pub(super) async fn regroup(
    account: &str,
    key: &str,
    former: ContactId,
    contact_id: Option<ContactId>,
    now: Timestamp,
    tx: &mut SqliteConnection,
) -> Result<(), StoreError> {
    let from = sqlx::query("SELECT id FROM lanes WHERE account = ?1 AND key = ?2")
        .bind(account)
        .bind(contact_lane_key(former))
        .fetch_optional(&mut *tx)
        .await?;
    let Some(from) = from else { return Ok(()) };
    let from: i64 = from.try_get(0)?;
    // What other keys have there is tried again, if a person was asked about it: the answer may concern them all. A lane
    // in which nothing is left ends with its next turn.
    sqlx::query("UPDATE lanes SET held = NULL, due_at = max(quiet_until, ?2) WHERE id = ?1")
        .bind(from)
        .bind(now.as_millis())
        .execute(&mut *tx)
        .await?;
    let lane_key = contact_id.map_or_else(|| key.to_owned(), contact_lane_key);
    let lane = upsert_lane(account, &lane_key, contact_id, now, tx).await?;
    sqlx::query(
        "UPDATE outbox SET lane_id = ?3, state = 'pending', reason_code = NULL, reason = NULL \
         WHERE lane_id = ?1 AND key = ?2 AND state IN ('pending', 'waiting', 'conflict')",
    )
    .bind(from)
    .bind(key)
    .bind(lane)
    .execute(tx)
    .await?;
    Ok(())
}
