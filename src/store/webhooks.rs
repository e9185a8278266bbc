//! Stored webhooks as people see them, and their replay.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use serde::Serialize;
use sqlx::{Row as _, SqliteConnection, sqlite::SqliteRow};

use super::{
    Store, StoreError,
    accept::NewOutcome,
    books::Books,
    person_requests,
    rows::{self, Made, NewRow},
    writer::Write,
};
use crate::clock::Timestamp;

/// Which webhooks to list.
#[derive(Clone, Debug, Default)]
pub struct WebhookFilter {
    /// Of this source.
    pub source: Option<String>,
    /// With this outcome: `mapped`, `ignored` or `unmappable`.
    pub outcome: Option<String>,
    /// Older than this webhook; for paging.
    pub before: Option<i64>,
    /// At most so many, newest first.
    pub limit: u32,
}

/// A webhook as it stands in the table.
#[derive(Clone, Debug, Serialize)]
pub struct WebhookRecord {
    /// Its id.
    pub id: i64,
    /// The source.
    pub source: String,
    /// The kind of event, as the sender names it.
    pub topic: Option<String>,
    /// The sender's own id of the event.
    pub event_id: Option<String>,
    /// An earlier webhook of the same event with another body.
    pub first_webhook_id: Option<i64>,
    /// When it arrived.
    pub received_at: Timestamp,
    /// The time the sender signed.
    pub signed_at: Option<Timestamp>,
    /// Which configured secret matched, counted from 0.
    pub secret: Option<i64>,
    /// The method of the request.
    pub method: String,
    /// The query, without what carries a secret.
    pub query: String,
    /// The content type as sent.
    pub content_type: Option<String>,
    /// The headers kept, as a JSON object.
    pub headers: String,
    /// Bytes of the body.
    pub body_size: i64,
    /// `mapped`, `ignored` or `unmappable`.
    pub outcome: String,
    /// Why it was not mapped.
    pub reason: Option<String>,
    /// Elements that gave no update, and why, as JSON.
    pub left_out: Option<String>,
    /// The raw body; `None` in lists, and once it was pruned.
    #[serde(skip)]
    pub body: Option<Vec<u8>>,
}

/// What today's mapping makes of a stored webhook.
#[derive(Clone, Debug)]
pub struct Replay {
    /// The webhook.
    pub webhook: i64,
    /// The present moment.
    pub now: Timestamp,
    /// What mapping made of it.
    pub outcome: NewOutcome,
    /// Elements that gave no update, and why, as JSON.
    pub left_out: Option<String>,
}

impl Store {
    /// Webhooks, newest first, without their bodies.
    pub async fn webhooks(&self, filter: &WebhookFilter) -> Result<Vec<WebhookRecord>, StoreError> {
        let by_source = if filter.source.is_some() { "source = ?2" } else { "?2 IS NULL" };
        let sql = format!(
            "SELECT {COLUMNS}, NULL FROM webhooks WHERE {by_source} AND id < ?1 AND (?3 IS NULL OR outcome = ?3) ORDER BY id DESC LIMIT ?4"
        );
        let rows = sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(filter.before.unwrap_or(i64::MAX))
            .bind(filter.source.as_deref())
            .bind(filter.outcome.as_deref())
            .bind(filter.limit)
            .fetch_all(&self.readers)
            .await?;
        rows.iter().map(record).collect()
    }

    /// One webhook, with its body.
    pub async fn webhook(&self, id: i64) -> Result<Option<WebhookRecord>, StoreError> {
        let sql = format!("SELECT {COLUMNS}, body FROM webhooks WHERE id = ?1");
        let row = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(id).fetch_optional(&self.readers).await?;
        row.as_ref().map(record).transpose()
    }

    /// Stores what today's mapping makes of a webhook: new rows at the old order key. Answers how many.
    pub async fn replay(&self, replay: Replay) -> Result<u64, StoreError> {
        self.writer.write(replay).await
    }
}

const COLUMNS: &str = "id, source, topic, event_id, first_webhook_id, received_at, signed_at, secret, method, query, content_type, \
    headers, body_size, outcome, reason, left_out";

fn record(row: &SqliteRow) -> Result<WebhookRecord, StoreError> {
    Ok(WebhookRecord {
        id: row.try_get(0)?,
        source: row.try_get(1)?,
        topic: row.try_get(2)?,
        event_id: row.try_get(3)?,
        first_webhook_id: row.try_get(4)?,
        received_at: Timestamp::from_millis(row.try_get(5)?),
        signed_at: row.try_get::<Option<i64>, _>(6)?.map(Timestamp::from_millis),
        secret: row.try_get(7)?,
        method: row.try_get(8)?,
        query: row.try_get(9)?,
        content_type: row.try_get(10)?,
        headers: row.try_get(11)?,
        body_size: row.try_get(12)?,
        outcome: row.try_get(13)?,
        reason: row.try_get(14)?,
        left_out: row.try_get(15)?,
        body: row.try_get(16)?,
    })
}

impl Write for Replay {
    type Output = u64;

    fn run<'a>(&'a self, tx: &'a mut SqliteConnection) -> BoxFuture<'a, Result<u64, StoreError>> {
        Box::pin(async move {
            let webhook = sqlx::query(
                "SELECT source, received_at, outcome, (SELECT coalesce(max(run), -1) + 1 FROM outbox WHERE webhook_id = ?1) \
                 FROM webhooks WHERE id = ?1",
            )
            .bind(self.webhook)
            .fetch_one(&mut *tx)
            .await?;
            let source: String = webhook.try_get(0)?;
            let received_at = Timestamp::from_millis(webhook.try_get(1)?);
            let (before, run): (String, i64) = (webhook.try_get(2)?, webhook.try_get(3)?);
            sqlx::query("UPDATE webhooks SET outcome = ?2, reason = ?3, left_out = ?4 WHERE id = ?1")
                .bind(self.webhook)
                .bind(self.outcome.name())
                .bind(self.outcome.reason())
                .bind(self.left_out.as_deref())
                .execute(&mut *tx)
                .await?;
            let mut books = Books::default();
            if before != self.outcome.name() {
                books.add(&source, self.now, &before, -1);
                books.add(&source, self.now, self.outcome.name(), 1);
            }
            if let NewOutcome::PersonRequest(new) = &self.outcome {
                person_requests::insert(self.webhook, &source, received_at, new, tx).await?;
            }
            let made = self.rows(&source, received_at, run);
            rows::insert(&made, tx).await?;
            books.add(&source, self.now, "rows_made", i64::try_from(made.len()).unwrap_or(i64::MAX));
            books.save(tx).await?;
            Ok(made.len() as u64)
        })
    }
}

impl Replay {
    fn rows<'a>(&'a self, source: &'a str, received_at: Timestamp, run: i64) -> Vec<Made<'a>> {
        let (account, rows): (&Arc<str>, &[NewRow]) = match &self.outcome {
            NewOutcome::Mapped { account, rows } => (account, rows),
            NewOutcome::Ignored(_) | NewOutcome::PersonRequest(_) | NewOutcome::Unmappable(_) => return Vec::new(),
        };
        rows.iter()
            .map(|row| Made {
                webhook: self.webhook,
                run,
                source,
                account,
                row,
                effective_at: row.effective_at(received_at),
                created_at: self.now,
            })
            .collect()
    }
}
