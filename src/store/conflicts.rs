//! What a person must decide: a value that the server refuses, or a link that cannot be chosen.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;
use sqlx::{Row as _, SqliteConnection};

use super::{Store, StoreError};
use crate::{
    clock::Timestamp,
    contacts::{ContactId, ContactKey, Field},
    merge::ValueDigest,
};

/// A value that is not sent again while it stays the same.
#[derive(Clone, Debug, PartialEq)]
pub struct ParkedValue {
    /// The field.
    pub field: Field,
    /// The value.
    pub value: Value,
}

/// A conflict about to be opened.
#[derive(Clone, Debug)]
pub struct NewConflict {
    /// Of the update that met it.
    pub key: ContactKey,
    /// The contact, where one is linked.
    pub contact_id: Option<ContactId>,
    /// The value that was refused; `None` when no contact can be chosen.
    pub parked: Option<ParkedValue>,
    /// What stands in the way: candidates, or the contact that holds the value.
    pub theirs: Value,
    /// The contact that holds the value, where there is one.
    pub holder: Option<ContactId>,
    /// Why, as a stable code.
    pub code: &'static str,
    /// Why, in words.
    pub reason: String,
    /// The row that met it.
    pub row: i64,
}

/// A conflict as it stands in the table.
#[derive(Clone, Debug, Serialize)]
pub struct ConflictRecord {
    /// Its id.
    pub id: i64,
    /// The account.
    pub account: String,
    /// `field` or `link`.
    pub kind: String,
    /// Of the update that met it.
    pub key: String,
    /// The contact, where one is linked.
    pub contact_id: Option<ContactId>,
    /// The field, where it is about one.
    pub field: Option<String>,
    /// The contact that holds the value.
    pub holder: Option<ContactId>,
    /// Why, in words.
    pub reason: String,
    /// When it was met.
    pub opened_at: Timestamp,
}

impl Store {
    /// The conflicts that wait for a person, oldest first.
    pub async fn open_conflicts(&self, limit: u32) -> Result<Vec<ConflictRecord>, StoreError> {
        let rows = sqlx::query(
            "SELECT id, account, kind, key, contact_id, field, holder, reason, opened_at FROM conflicts \
             WHERE resolved_at IS NULL ORDER BY id LIMIT ?1",
        )
        .bind(limit)
        .fetch_all(&self.readers)
        .await?;
        rows.iter()
            .map(|row| {
                Ok(ConflictRecord {
                    id: row.try_get(0)?,
                    account: row.try_get(1)?,
                    kind: row.try_get(2)?,
                    key: row.try_get(3)?,
                    contact_id: row.try_get(4)?,
                    field: row.try_get(5)?,
                    holder: row.try_get(6)?,
                    reason: row.try_get(7)?,
                    opened_at: Timestamp::from_millis(row.try_get(8)?),
                })
            })
            .collect()
    }
}

pub(super) const FIND_PARKED: &str = "SELECT field, digest FROM conflicts \
    WHERE account = ?1 AND contact_id = ?2 AND resolved_at IS NULL AND kind = 'field'";

/// The values of a contact that wait for a person.
pub(super) async fn parked(
    account: &str,
    contact_id: ContactId,
    tx: &mut SqliteConnection,
) -> Result<BTreeMap<Field, ValueDigest>, StoreError> {
    let mut parked = BTreeMap::new();
    for row in sqlx::query(FIND_PARKED).bind(account).bind(contact_id).fetch_all(tx).await? {
        let corrupt = |column: &str| StoreError::Corrupt(format!("conflicts.{column} of contact {contact_id}"));
        let field = row.try_get::<&str, _>(0)?.parse().map_err(|_| corrupt("field"))?;
        let digest = row.try_get::<&[u8], _>(1)?.try_into().map_err(|_| corrupt("digest"))?;
        parked.insert(field, ValueDigest(digest));
    }
    Ok(parked)
}

/// Closes the questions about which contact a key means; `links` is an array of arrays that begin with a key.
pub(super) async fn resolve_links(
    account: &str,
    links: &str,
    resolution: &str,
    now: Timestamp,
    tx: &mut SqliteConnection,
) -> Result<(), StoreError> {
    sqlx::query(
        "UPDATE conflicts SET resolved_at = ?3, resolution = ?4 WHERE account = ?2 AND kind = 'link' AND resolved_at IS NULL \
         AND key IN (SELECT value ->> 0 FROM json_each(?1))",
    )
    .bind(links)
    .bind(account)
    .bind(now.as_millis())
    .bind(resolution)
    .execute(tx)
    .await?;
    Ok(())
}

/// Opens a conflict, or brings the open one up to date.
pub(super) async fn open(
    account: &str,
    conflict: &NewConflict,
    now: Timestamp,
    tx: &mut SqliteConnection,
) -> Result<(), StoreError> {
    let kind = if conflict.parked.is_some() { "field" } else { "link" };
    sqlx::query(
        "UPDATE conflicts SET resolved_at = ?5, resolution = 'met again' WHERE account = ?1 AND resolved_at IS NULL AND kind = ?2 \
         AND ((kind = 'field' AND contact_id = ?3 AND field = ?4) OR (kind = 'link' AND key = ?6))",
    )
    .bind(account)
    .bind(kind)
    .bind(conflict.contact_id)
    .bind(conflict.parked.as_ref().map(|parked| parked.field.to_string()))
    .bind(now.as_millis())
    .bind(conflict.key.as_str())
    .execute(&mut *tx)
    .await?;
    sqlx::query(
        "INSERT INTO conflicts (account, kind, key, contact_id, field, ours, digest, theirs, holder, code, reason, outbox_id, opened_at) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)",
    )
    .bind(account)
    .bind(kind)
    .bind(conflict.key.as_str())
    .bind(conflict.contact_id)
    .bind(conflict.parked.as_ref().map(|parked| parked.field.to_string()))
    .bind(conflict.parked.as_ref().map(|parked| parked.value.to_string()))
    .bind(conflict.parked.as_ref().map(|parked| ValueDigest::of(&parked.value).0.to_vec()))
    .bind(conflict.theirs.to_string())
    .bind(conflict.holder)
    .bind(conflict.code)
    .bind(&conflict.reason)
    .bind(conflict.row)
    .bind(now.as_millis())
    .execute(tx)
    .await?;
    Ok(())
}
