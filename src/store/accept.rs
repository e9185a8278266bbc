//! Accepting webhooks: the once-only check, the webhook, its outbox rows, their lanes and the books, for a whole batch
//! with a fixed number of statements.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, LazyLock},
    time::Duration,
};

use bytes::Bytes;
use serde_json::json;
use sha2::{Digest as _, Sha256};
use sqlx::{Row as _, SqliteConnection};

use super::{
    Store, StoreError,
    books::Books,
    many::Many,
    person_requests::{self, NewPersonRequest},
    rows::{self, NewRow},
};
use crate::clock::Timestamp;

/// A verified and mapped webhook, ready to be stored.
#[derive(Clone, Debug)]
pub struct NewWebhook {
    /// The source's name.
    pub source: Arc<str>,
    /// The kind of event, as the sender names it.
    pub topic: Option<String>,
    /// The sender's own id of the event. Without one the body's digest stands in, for `repeat_window`.
    pub event_id: Option<String>,
    /// When it arrived.
    pub received_at: Timestamp,
    /// The time the sender signed.
    pub signed_at: Option<Timestamp>,
    /// Which configured secret matched, counted from 0.
    pub secret: Option<usize>,
    /// The method of the request.
    pub method: String,
    /// The query of the request, without what carries a secret.
    pub query: String,
    /// The content type as sent.
    pub content_type: Option<String>,
    /// The headers worth keeping, as a JSON object.
    pub headers: String,
    /// The raw body.
    pub body: Bytes,
    /// How long a repeat of a webhook without an event id counts as the same.
    pub repeat_window: Duration,
    /// What mapping made of it.
    pub outcome: NewOutcome,
    /// Elements that gave no update, and why, as JSON.
    pub left_out: Option<String>,
}

/// What mapping made of a webhook.
#[derive(Clone, Debug)]
pub enum NewOutcome {
    /// Contact updates, perhaps none.
    Mapped {
        /// The account they are for.
        account: Arc<str>,
        /// The updates.
        rows: Vec<NewRow>,
    },
    /// Left alone on purpose.
    Ignored(String),
    /// A person asks about their data; stored as ignored.
    PersonRequest(NewPersonRequest),
    /// The mapping could not be carried out.
    Unmappable(String),
}

impl NewOutcome {
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Mapped { .. } => "mapped",
            Self::Ignored(_) | Self::PersonRequest(_) => "ignored",
            Self::Unmappable(_) => "unmappable",
        }
    }

    pub(super) fn reason(&self) -> Option<&str> {
        match self {
            Self::Mapped { .. } => None,
            Self::PersonRequest(new) => Some(new.request.reason()),
            Self::Ignored(reason) | Self::Unmappable(reason) => Some(reason),
        }
    }
}

/// What became of a webhook.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Acceptance {
    /// Its id; of the first one where it is a repeat.
    pub webhook: i64,
    /// Stored, or known already.
    pub accepted: Accepted,
    /// An earlier webhook of the same event with another body.
    pub differs_from: Option<i64>,
}

/// Stored, or known already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accepted {
    /// Stored as a new webhook.
    Stored,
    /// Known; nothing was stored.
    Repeat,
    /// Known and not mapped then; mapped now.
    RepeatMapped,
}

impl Store {
    /// Stores a webhook and its updates in one commit. When this returns `Ok`, they are on disk.
    ///
    /// # Errors
    /// [`StoreError::Full`] and [`StoreError::Busy`] ask the sender to come again; nothing was stored.
    pub async fn accept(&self, webhook: NewWebhook) -> Result<Acceptance, StoreError> {
        self.writer.accept(webhook).await
    }
}

/// Accepts a batch inside the writer's transaction; the answers stand in the order of the webhooks.
pub(super) async fn all(webhooks: &[&NewWebhook], tx: &mut SqliteConnection) -> Result<Vec<Acceptance>, StoreError> {
    if webhooks.is_empty() {
        return Ok(Vec::new());
    }
    let keys: Vec<i64> = webhooks.iter().map(|webhook| once_key(webhook)).collect();
    let mut inserted = insert(webhooks, &keys, tx).await?;
    let mut books = Books::default();
    let mut new_rows = Vec::new();
    let mut acceptances = Vec::with_capacity(webhooks.len());
    for (webhook, key) in webhooks.iter().zip(&keys) {
        // Taken out of the map: of two equal webhooks in one batch only the first was inserted.
        let acceptance = match inserted.remove(key) {
            Some(id) => Acceptance { webhook: id, accepted: Accepted::Stored, differs_from: None },
            None => known(webhook, *key, tx).await?,
        };
        books.add(
            &webhook.source,
            webhook.received_at,
            if acceptance.accepted == Accepted::Stored { "accepted" } else { "repeated" },
            1,
        );
        match acceptance.accepted {
            Accepted::Stored => books.add(&webhook.source, webhook.received_at, webhook.outcome.name(), 1),
            Accepted::RepeatMapped => {
                books.add(&webhook.source, webhook.received_at, "unmappable", -1);
                books.add(&webhook.source, webhook.received_at, webhook.outcome.name(), 1);
            }
            Accepted::Repeat => {}
        }
        if acceptance.accepted != Accepted::Repeat
            && let NewOutcome::PersonRequest(new) = &webhook.outcome
        {
            person_requests::insert(acceptance.webhook, &webhook.source, webhook.received_at, new, tx).await?;
        }
        if acceptance.accepted != Accepted::Repeat
            && let NewOutcome::Mapped { account, rows } = &webhook.outcome
        {
            let made = i64::try_from(rows.len()).unwrap_or(i64::MAX);
            books.add(&webhook.source, webhook.received_at, "rows_made", made);
            let (run, received_at) = match acceptance.accepted {
                Accepted::RepeatMapped => next_run(acceptance.webhook, tx).await?,
                Accepted::Stored | Accepted::Repeat => (0, webhook.received_at),
            };
            new_rows.extend(rows.iter().map(|row| rows::Made {
                webhook: acceptance.webhook,
                run,
                source: &webhook.source,
                account,
                row,
                effective_at: row.effective_at(received_at),
                created_at: webhook.received_at,
            }));
        }
        acceptances.push(acceptance);
    }
    rows::insert(&new_rows, tx).await?;
    books.save(tx).await?;
    Ok(acceptances)
}

/// A webhook whose key is taken: a repeat, another body under the same event id, or a digest that has run out.
async fn known(webhook: &NewWebhook, key: i64, tx: &mut SqliteConnection) -> Result<Acceptance, StoreError> {
    let earlier =
        sqlx::query("SELECT id, body_digest, received_at, outcome, event_id FROM webhooks WHERE once_key = ?1")
            .bind(key)
            .fetch_one(&mut *tx)
            .await?;
    let first: i64 = earlier.try_get(0)?;
    let same_body = earlier.try_get::<&[u8], _>(1)? == body_digest(&webhook.body);
    let same_event = earlier.try_get::<Option<&str>, _>(4)? == webhook.event_id.as_deref();
    if !same_body {
        let key = digest_key(&[&key.to_be_bytes(), &body_digest(&webhook.body)]);
        let inserted = insert(&[webhook], &[key], tx).await?;
        let Some(&id) = inserted.get(&key) else { return Box::pin(known(webhook, key, tx)).await };
        let differs_from = same_event.then_some(first);
        sqlx::query("UPDATE webhooks SET first_webhook_id = ?2 WHERE id = ?1")
            .bind(id)
            .bind(differs_from)
            .execute(tx)
            .await?;
        return Ok(Acceptance { webhook: id, accepted: Accepted::Stored, differs_from });
    }
    let received_at = Timestamp::from_millis(earlier.try_get(2)?);
    if webhook.event_id.is_none() && received_at + webhook.repeat_window < webhook.received_at {
        sqlx::query("UPDATE webhooks SET once_key = NULL WHERE id = ?1").bind(first).execute(&mut *tx).await?;
        let inserted = insert(&[webhook], &[key], tx).await?;
        let id =
            inserted.get(&key).copied().ok_or_else(|| StoreError::Corrupt(format!("webhooks.once_key of {first}")))?;
        return Ok(Acceptance { webhook: id, accepted: Accepted::Stored, differs_from: None });
    }
    let mut accepted = Accepted::Repeat;
    if earlier.try_get::<&str, _>(3)? == "unmappable" && !matches!(webhook.outcome, NewOutcome::Unmappable(_)) {
        sqlx::query("UPDATE webhooks SET outcome = ?2, reason = ?3, left_out = ?4 WHERE id = ?1")
            .bind(first)
            .bind(webhook.outcome.name())
            .bind(webhook.outcome.reason())
            .bind(webhook.left_out.as_deref())
            .execute(tx)
            .await?;
        accepted = Accepted::RepeatMapped;
    }
    Ok(Acceptance { webhook: first, accepted, differs_from: None })
}

/// The mapping run that comes next for a stored webhook, and when it arrived first: what a repeat brings late keeps the
/// place of the first in the order.
async fn next_run(webhook: i64, tx: &mut SqliteConnection) -> Result<(i64, Timestamp), StoreError> {
    let row = sqlx::query(
        "SELECT received_at, (SELECT coalesce(max(run), -1) + 1 FROM outbox WHERE webhook_id = ?1) FROM webhooks WHERE id = ?1",
    )
    .bind(webhook)
    .fetch_one(tx)
    .await?;
    Ok((row.try_get(1)?, Timestamp::from_millis(row.try_get(0)?)))
}

/// Bound in the order of columns.
pub(super) static INSERT: LazyLock<Many> = LazyLock::new(|| {
    Many::new(
        "INSERT INTO webhooks (source, topic, event_id, once_key, received_at, signed_at, secret, method, query, \
         content_type, headers, body, body_size, body_digest, outcome, reason, left_out)",
        "(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        "",
    )
});

pub(super) const FIND_TAKEN: &str = "SELECT once_key FROM webhooks WHERE once_key IN (SELECT value FROM json_each(?1))";

/// Inserts those whose key is free; answers key and id of each inserted one.
async fn insert(
    webhooks: &[&NewWebhook],
    keys: &[i64],
    tx: &mut SqliteConnection,
) -> Result<HashMap<i64, i64>, StoreError> {
    // Asked for beforehand, so that a statement for many rows need not answer each: every row that comes back wakes this
    // thread. Nobody else writes before this transaction ends; the unique index would refuse it.
    let taken = sqlx::query(FIND_TAKEN).bind(json!(keys).to_string()).fetch_all(&mut *tx).await?;
    let mut taken = taken.iter().map(|row| row.try_get(0)).collect::<Result<HashSet<i64>, _>>()?;
    let webhooks = webhooks.iter().copied().zip(keys.iter().copied());
    let webhooks: Vec<(&NewWebhook, i64)> = webhooks.filter(|(_, key)| taken.insert(*key)).collect();
    let mut inserted = HashMap::with_capacity(webhooks.len());
    for (sql, part) in INSERT.parts(&webhooks) {
        let mut query = sqlx::query(sql);
        for (webhook, key) in part {
            query = query
                .bind(&*webhook.source)
                .bind(webhook.topic.as_deref())
                .bind(webhook.event_id.as_deref())
                .bind(key)
                .bind(webhook.received_at.as_millis())
                .bind(webhook.signed_at.map(Timestamp::as_millis))
                .bind(webhook.secret.and_then(|position| i64::try_from(position).ok()))
                .bind(&webhook.method)
                .bind(&webhook.query)
                .bind(webhook.content_type.as_deref())
                .bind(&webhook.headers)
                .bind(&webhook.body[..])
                .bind(i64::try_from(webhook.body.len()).unwrap_or(i64::MAX))
                .bind(body_digest(&webhook.body).to_vec())
                .bind(webhook.outcome.name())
                .bind(webhook.outcome.reason())
                .bind(webhook.left_out.as_deref());
        }
        // AUTOINCREMENT counts up by one within a statement.
        let last = query.execute(&mut *tx).await?.last_insert_rowid();
        inserted.extend(part.iter().rev().map(|(_, key)| *key).zip((1..=last).rev()));
    }
    Ok(inserted)
}

/// The key that makes a second arrival the same webhook. 64 bits are enough, because the body is compared too: two
/// events that share a key by chance are both stored.
fn once_key(webhook: &NewWebhook) -> i64 {
    let topic = webhook.topic.as_deref().unwrap_or_default().as_bytes();
    match &webhook.event_id {
        Some(id) => digest_key(&[webhook.source.as_bytes(), topic, b"id", id.as_bytes()]),
        None => digest_key(&[webhook.source.as_bytes(), topic, b"body", &body_digest(&webhook.body)]),
    }
}

fn digest_key(parts: &[&[u8]]) -> i64 {
    let mut digest = Sha256::new();
    for part in parts {
        digest.update((part.len() as u64).to_be_bytes());
        digest.update(part);
    }
    let full = digest.finalize();
    let mut first = [0; 8];
    first.copy_from_slice(&full[..8]);
    i64::from_be_bytes(first)
}

fn body_digest(body: &[u8]) -> [u8; 16] {
    let full = Sha256::digest(body);
    let mut half = [0; 16];
    half.copy_from_slice(&full[..16]);
    half
}

/// Values left out of an element that gave no update, in the shape that `webhooks.left_out` keeps.
pub fn left_out(elements: impl IntoIterator<Item = (u32, String)>) -> Option<String> {
    let list: Vec<_> =
        elements.into_iter().map(|(element, reason)| json!({ "element": element, "reason": reason })).collect();
    if list.is_empty() { None } else { Some(json!(list).to_string()) }
}
