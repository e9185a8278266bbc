//! Links from external keys to contacts in Chatwoot.

use std::fmt;

use futures_util::future::BoxFuture;
use serde::Serialize;
use serde_json::{Value, json};
use sqlx::{Row as _, SqliteConnection, sqlite::SqliteRow};

use super::{Store, StoreError, conflicts, joining, writer::Write};
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
    /// Makes links of one account, in one commit; updates that waited for one of them become due,
    /// and those that wait for a former contact go to the new one.
    pub async fn link(&self, account: &str, links: Vec<Link>, now: Timestamp) -> Result<Linked, StoreError> {
        self.writer.write(MakeLinks { account: account.to_owned(), links, now }).await
    }

    /// Removes a link; what waits for it is looked up afresh. False when there was none.
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
/// A contact that is gone keeps what comes for it: in its lane the account's word on contacts that are gone is followed,
/// and a question to a person waits for the answer.
pub(super) const LINKED_TO: &str =
    "SELECT contact_id FROM contacts WHERE account = ?1 AND key = ?2 AND state IN ('linked', 'gone')";
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
            let known = sqlx::query(
                "SELECT contacts.key, wanted.value ->> 1, contacts.contact_id, contacts.state FROM json_each(?1) AS wanted \
                 JOIN contacts ON contacts.account = ?2 AND contacts.key = wanted.value ->> 0",
            )
            .bind(&values)
            .bind(&self.account)
            .fetch_all(&mut *tx)
            .await?;
            sqlx::query(UPSERT).bind(&values).bind(&self.account).bind(self.now.as_millis()).execute(&mut *tx).await?;
            let mut changed = 0;
            for row in &known {
                let (key, wanted, former): (&str, ContactId, ContactId) =
                    (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
                changed += u64::from(wanted != former);
                if wanted != former || row.try_get::<&str, _>(3)? == "gone" {
                    // What waits for the former contact was meant for this one.
                    joining::regroup(&self.account, key, former, Some(wanted), self.now, tx).await?;
                }
            }
            wake(&self.account, &values, self.now, tx).await?;
            let known = known.len() as u64;
            Ok(Linked { added: (self.links.len() as u64).saturating_sub(known), changed, unchanged: known - changed })
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
        sqlx::query(
            "UPDATE outbox SET state = 'pending', reason_code = NULL, reason = NULL \
             WHERE lane_id = ?1 AND state IN ('waiting', 'conflict')",
        )
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
    conflicts::resolve_links(account, links, "linked", now, tx).await
}

/// Wakes a lane whose key was linked while its contact was looked for.
pub(super) async fn wake_if_linked(lane: i64, now: Timestamp, tx: &mut SqliteConnection) -> Result<(), StoreError> {
    let linked = sqlx::query(
        "SELECT lanes.account, contacts.key, contacts.contact_id FROM lanes JOIN contacts \
         ON contacts.account = lanes.account AND contacts.key = lanes.key AND contacts.state = 'linked' WHERE lanes.id = ?1",
    )
    .bind(lane)
    .fetch_optional(&mut *tx)
    .await?;
    let Some(linked) = linked else { return Ok(()) };
    let (account, key, contact_id): (String, String, ContactId) =
        (linked.try_get(0)?, linked.try_get(1)?, linked.try_get(2)?);
    wake(&account, &json!([[key, contact_id]]).to_string(), now, tx).await
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
            let removed = sqlx::query("DELETE FROM contacts WHERE account = ?1 AND key = ?2 RETURNING contact_id")
                .bind(&self.account)
                .bind(self.key.as_str())
                .fetch_optional(&mut *tx)
                .await?;
            let Some(removed) = removed else { return Ok(false) };
            joining::regroup(&self.account, self.key.as_str(), removed.try_get(0)?, None, self.now, tx).await?;
            let keys = json!([[self.key]]).to_string();
            conflicts::resolve_links(&self.account, &keys, "unlinked", self.now, tx).await?;
            Ok(true)
        })
    }
}

/// Makes one link inside another change. Nobody has to choose the contact of its key any more.
pub(super) async fn link(
    account: &str,
    link: &Link,
    now: Timestamp,
    tx: &mut SqliteConnection,
) -> Result<(), StoreError> {
    let values = json!([[link.key, link.contact_id, link.origin]]).to_string();
    sqlx::query(UPSERT).bind(&values).bind(account).bind(now.as_millis()).execute(&mut *tx).await?;
    conflicts::resolve_links(account, &values, "linked", now, tx).await
}

/// Lets all keys of a contact that is not there any more lead to the one that was created in its place.
pub(super) async fn move_links(
    account: &str,
    gone: ContactId,
    created: ContactId,
    now: Timestamp,
    tx: &mut SqliteConnection,
) -> Result<(), StoreError> {
    let links = sqlx::query(LINKS_TO).bind(gone).fetch_all(&mut *tx).await?;
    for row in links.iter().map(record).collect::<Result<Vec<_>, _>>()? {
        if row.account == account {
            let moved = Link { key: row.key, contact_id: created, origin: LinkOrigin::Created };
            link(account, &moved, now, tx).await?;
        }
    }
    Ok(())
}

/// The contact that a key leads to, even one that is gone.
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
