//! Links from external keys to contacts in Chatwoot.

use std::fmt;

use futures_util::future::BoxFuture;
use serde::Serialize;
use serde_json::{Value, json};
use sqlx::{Row as _, SqliteConnection, sqlite::SqliteRow};

use super::{Store, StoreError, joining, writer::Write};
use crate::{
    clock::Timestamp,
    contacts::{ContactId, ContactKey},
};

/// How a link came to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LinkOrigin {
    /// Found in Chatwoot by `match_by`.
    Lookup,
    /// We created the contact.
    Created,
    /// From a file.
    Import,
    /// Read from the account.
    Sync,
    /// Told by Chatwoot's own webhook.
    Webhook,
    /// By a person.
    Hand,
}

impl LinkOrigin {
    /// The origin as the table has it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Lookup => "lookup",
            Self::Created => "created",
            Self::Import => "import",
            Self::Sync => "sync",
            Self::Webhook => "webhook",
            Self::Hand => "hand",
        }
    }
}

/// Whether a link can be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LinkState {
    /// Leads to its contact.
    Linked,
    /// A person has to choose.
    Conflict,
    /// Its contact is not there any more.
    Gone,
}

impl fmt::Display for LinkState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Linked => "linked",
            Self::Conflict => "conflict",
            Self::Gone => "gone",
        })
    }
}

/// A link to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// From.
    pub key: ContactKey,
    /// To.
    pub contact_id: ContactId,
    /// How it came to be.
    pub origin: LinkOrigin,
}

/// A link as it stands in the table.
#[derive(Clone, Debug, Serialize)]
pub struct LinkRecord {
    /// The account.
    pub account: String,
    /// From.
    pub key: ContactKey,
    /// To.
    pub contact_id: ContactId,
    /// Whether it can be used.
    pub state: LinkState,
    /// How it came to be.
    pub origin: String,
    /// When it was made.
    pub first_seen_at: Timestamp,
    /// When it was made or confirmed the last time.
    pub last_seen_at: Timestamp,
    /// Former contacts of the key, as JSON.
    pub history: Option<String>,
}

/// What making links did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Linked {
    /// Links that are new.
    pub added: u64,
    /// Links that led to another contact before.
    pub changed: u64,
    /// Links that stood already.
    pub unchanged: u64,
}

impl Store {
    /// Makes links of one account, in one commit; updates that waited for one of them become due.
    pub async fn link(&self, account: &str, links: Vec<Link>, now: Timestamp) -> Result<Linked, StoreError> {
        self.writer.write(MakeLinks { account: account.to_owned(), links, now }).await
    }

    /// Removes a link; updates that wait because its contact is gone are looked up afresh. False when there was none.
    pub async fn unlink(&self, account: &str, key: &ContactKey, now: Timestamp) -> Result<bool, StoreError> {
        self.writer.write(Unlink { account: account.to_owned(), key: key.clone(), now }).await
    }

    /// The link of a key.
    pub async fn link_of(&self, account: &str, key: &ContactKey) -> Result<Option<LinkRecord>, StoreError> {
        let row = sqlx::query(LINK_OF).bind(account).bind(key.as_str()).fetch_optional(&self.readers).await?;
        row.as_ref().map(record).transpose()
    }

    /// All links to a contact.
    pub async fn links_to(&self, contact_id: ContactId) -> Result<Vec<LinkRecord>, StoreError> {
        let rows = sqlx::query(LINKS_TO).bind(contact_id).fetch_all(&self.readers).await?;
        rows.iter().map(record).collect()
    }
}

pub(super) const LINK_OF: &str = "SELECT account, key, contact_id, state, origin, first_seen_at, last_seen_at, history \
    FROM contacts WHERE account = ?1 AND key = ?2";
pub(super) const LINKS_TO: &str = "SELECT account, key, contact_id, state, origin, first_seen_at, last_seen_at, history \
    FROM contacts WHERE contact_id = ?1";
pub(super) const LINKED_TO: &str =
    "SELECT contact_id FROM contacts WHERE account = ?1 AND key = ?2 AND state = 'linked'";
const UPSERT: &str = "INSERT INTO contacts (account, key, contact_id, state, origin, first_seen_at, last_seen_at) \
    SELECT ?2, value ->> 0, value ->> 1, 'linked', value ->> 2, ?3, ?3 FROM json_each(?1) WHERE true \
    ON CONFLICT (account, key) DO UPDATE SET \
        history = CASE WHEN contact_id <> excluded.contact_id \
            THEN json_insert(coalesce(history, '[]'), '$[#]', json_object('contact_id', contact_id, 'state', state, 'until', excluded.last_seen_at)) \
            ELSE history END, \
        contact_id = excluded.contact_id, state = 'linked', origin = excluded.origin, last_seen_at = excluded.last_seen_at";

struct MakeLinks {
    account: String,
    links: Vec<Link>,
    now: Timestamp,
}

impl Write for MakeLinks {
    type Output = Linked;

    fn run<'a>(&'a self, tx: &'a mut SqliteConnection) -> BoxFuture<'a, Result<Linked, StoreError>> {
        Box::pin(async move {
            let values: Vec<Value> =
                self.links.iter().map(|link| json!([link.key, link.contact_id, link.origin])).collect();
            let values = Value::from(values).to_string();
            let before = sqlx::query(
                "SELECT count(*), count(*) FILTER (WHERE contacts.contact_id <> wanted.value ->> 1) FROM json_each(?1) AS wanted \
                 JOIN contacts ON contacts.account = ?2 AND contacts.key = wanted.value ->> 0",
            )
            .bind(&values)
            .bind(&self.account)
            .fetch_one(&mut *tx)
            .await?;
            let (known, changed): (i64, i64) = (before.try_get(0)?, before.try_get(1)?);
            let held = held_by_gone(&self.account, &values, tx).await?;
            sqlx::query(UPSERT).bind(&values).bind(&self.account).bind(self.now.as_millis()).execute(&mut *tx).await?;
            wake(&self.account, &values, self.now, tx).await?;
            for held in held {
                let contact_id = self.links.iter().find(|link| link.key == held.key).map(|link| link.contact_id);
                joining::move_rows(&self.account, held.lane, &held.key, contact_id, self.now, tx).await?;
            }
            let count = |number: i64| u64::try_from(number).unwrap_or(0);
            Ok(Linked {
                added: (self.links.len() as u64).saturating_sub(count(known)),
                changed: count(changed),
                unchanged: count(known - changed),
            })
        })
    }
}

/// Lanes whose contact was not known become the lanes of the contacts that their keys lead to now.
async fn wake(account: &str, links: &str, now: Timestamp, tx: &mut SqliteConnection) -> Result<(), StoreError> {
    let lanes = sqlx::query(
        "SELECT lanes.id, wanted.value ->> 1 FROM json_each(?1) AS wanted \
         JOIN lanes ON lanes.account = ?2 AND lanes.key = wanted.value ->> 0 WHERE lanes.owner IS NULL",
    )
    .bind(links)
    .bind(account)
    .fetch_all(&mut *tx)
    .await?;
    for lane in lanes {
        let (id, contact_id): (i64, ContactId) = (lane.try_get(0)?, lane.try_get(1)?);
        // Rows that were held because no contact could be chosen have their choice now.
        sqlx::query("UPDATE outbox SET state = 'pending' WHERE lane_id = ?1 AND state IN ('waiting', 'conflict')")
            .bind(id)
            .execute(&mut *tx)
            .await?;
        sqlx::query("UPDATE lanes SET held = NULL, due_at = max(quiet_until, ?2) WHERE id = ?1")
            .bind(id)
            .bind(now.as_millis())
            .execute(&mut *tx)
            .await?;
        joining::join_lane(account, id, contact_id, now, tx).await?;
    }
    sqlx::query(
        "UPDATE conflicts SET resolved_at = ?3, resolution = 'linked' WHERE account = ?2 AND kind = 'link' AND resolved_at IS NULL \
         AND key IN (SELECT value ->> 0 FROM json_each(?1))",
    )
    .bind(links)
    .bind(account)
    .bind(now.as_millis())
    .execute(tx)
    .await?;
    Ok(())
}

/// A lane that waits for a person because its contact is gone, and a key whose rows are in it.
struct HeldByGone {
    lane: i64,
    key: ContactKey,
}

async fn held_by_gone(account: &str, links: &str, tx: &mut SqliteConnection) -> Result<Vec<HeldByGone>, StoreError> {
    let held = sqlx::query(
        "SELECT lanes.id, contacts.key FROM json_each(?1) AS wanted \
         JOIN contacts ON contacts.account = ?2 AND contacts.key = wanted.value ->> 0 AND contacts.state = 'gone' \
         JOIN lanes ON lanes.account = ?2 AND lanes.key = 'contact:' || contacts.contact_id WHERE lanes.owner IS NULL",
    )
    .bind(links)
    .bind(account)
    .fetch_all(tx)
    .await?;
    held.iter()
        .map(|row| Ok(HeldByGone { lane: row.try_get(0)?, key: ContactKey::from_text(row.try_get::<String, _>(1)?) }))
        .collect()
}

struct Unlink {
    account: String,
    key: ContactKey,
    now: Timestamp,
}

impl Write for Unlink {
    type Output = bool;

    fn run<'a>(&'a self, tx: &'a mut SqliteConnection) -> BoxFuture<'a, Result<bool, StoreError>> {
        Box::pin(async move {
            for held in held_by_gone(&self.account, &json!([[self.key]]).to_string(), tx).await? {
                joining::move_rows(&self.account, held.lane, &self.key, None, self.now, tx).await?;
            }
            let gone = sqlx::query("DELETE FROM contacts WHERE account = ?1 AND key = ?2")
                .bind(&self.account)
                .bind(self.key.as_str())
                .execute(tx)
                .await?;
            Ok(gone.rows_affected() > 0)
        })
    }
}

/// Makes one link inside another change.
pub(super) async fn link(
    account: &str,
    link: &Link,
    now: Timestamp,
    tx: &mut SqliteConnection,
) -> Result<(), StoreError> {
    let values = json!([[link.key, link.contact_id, link.origin]]).to_string();
    sqlx::query(UPSERT).bind(values).bind(account).bind(now.as_millis()).execute(tx).await?;
    Ok(())
}

/// The contact that a key leads to.
pub(super) async fn linked_to(
    account: &str,
    key: &str,
    tx: &mut SqliteConnection,
) -> Result<Option<ContactId>, StoreError> {
    let row = sqlx::query(LINKED_TO).bind(account).bind(key).fetch_optional(tx).await?;
    Ok(row.map(|row| row.try_get(0)).transpose()?)
}

/// Marks all links to a contact that is not there any more.
pub(super) async fn mark_gone(
    account: &str,
    contact_id: ContactId,
    tx: &mut SqliteConnection,
) -> Result<(), StoreError> {
    sqlx::query("UPDATE contacts SET state = 'gone' WHERE contact_id = ?2 AND account = ?1 AND state = 'linked'")
        .bind(account)
        .bind(contact_id)
        .execute(&mut *tx)
        .await?;
    // What we wrote went with the contact.
    sqlx::query("DELETE FROM written WHERE account = ?1 AND contact_id = ?2")
        .bind(account)
        .bind(contact_id)
        .execute(tx)
        .await?;
    Ok(())
}

fn record(row: &SqliteRow) -> Result<LinkRecord, StoreError> {
    let key: String = row.try_get(1)?;
    let state = match row.try_get(3)? {
        "linked" => LinkState::Linked,
        "conflict" => LinkState::Conflict,
        "gone" => LinkState::Gone,
        other => return Err(StoreError::Corrupt(format!("contacts.state of key {key}: {other}"))),
    };
    Ok(LinkRecord {
        account: row.try_get(0)?,
        key: ContactKey::from_text(key),
        contact_id: row.try_get(2)?,
        state,
        origin: row.try_get(4)?,
        first_seen_at: Timestamp::from_millis(row.try_get(5)?),
        last_seen_at: Timestamp::from_millis(row.try_get(6)?),
        history: row.try_get(7)?,
    })
}
