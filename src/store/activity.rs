//! What a source sent lately, and how the whole stands: figures for people, read beside the service.

use std::collections::BTreeMap;

use serde::Serialize;
use sqlx::Row as _;

use super::{AccountState, Store, StoreError};
use crate::clock::Timestamp;

/// What a source sent.
#[derive(Clone, Debug, Default, Serialize)]
pub struct SourceActivity {
    /// When its last webhook arrived.
    pub last_webhook_at: Option<Timestamp>,
    /// Which secret that one matched, counted from 0.
    pub last_secret: Option<i64>,
    /// Webhooks by outcome, since the moment that was asked for.
    pub webhooks: BTreeMap<String, i64>,
}

impl Store {
    /// What a source sent, the last webhook ever and the counts since `since`.
    pub async fn source_activity(&self, source: &str, since: Timestamp) -> Result<SourceActivity, StoreError> {
        let last = sqlx::query("SELECT received_at, secret FROM webhooks WHERE source = ?1 ORDER BY id DESC LIMIT 1")
            .bind(source)
            .fetch_optional(&self.readers)
            .await?;
        let Some(last) = last else { return Ok(SourceActivity::default()) };
        let counted = sqlx::query(
            "SELECT outcome, count(*) FROM webhooks WHERE source = ?1 AND id >= ?2 AND received_at >= ?3 GROUP BY outcome",
        )
        .bind(source)
        .bind(self.first_webhook_since(since).await?)
        .bind(since.as_millis())
        .fetch_all(&self.readers)
        .await?;
        let webhooks = counted.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?)));
        Ok(SourceActivity {
            last_webhook_at: Some(Timestamp::from_millis(last.try_get(0)?)),
            last_secret: last.try_get(1)?,
            webhooks: webhooks.collect::<Result<_, sqlx::Error>>()?,
        })
    }

    /// The id from which on webhooks arrived at `since` or later. Ids rise with the time of arrival, so that it is found
    /// by halving, without an index on the time that every webhook would have to pay for.
    async fn first_webhook_since(&self, since: Timestamp) -> Result<i64, StoreError> {
        let ends = sqlx::query("SELECT coalesce(min(id), 0), coalesce(max(id), 0) + 1 FROM webhooks");
        let ends = ends.fetch_one(&self.readers).await?;
        let (mut low, mut high): (i64, i64) = (ends.try_get(0)?, ends.try_get(1)?);
        while low < high {
            let middle = low + (high - low) / 2;
            let found = sqlx::query("SELECT id, received_at FROM webhooks WHERE id >= ?1 ORDER BY id LIMIT 1")
                .bind(middle)
                .fetch_optional(&self.readers)
                .await?;
            match found {
                Some(row) if row.try_get::<i64, _>(1)? < since.as_millis() => low = row.try_get::<i64, _>(0)? + 1,
                Some(_) | None => high = middle,
            }
        }
        Ok(low)
    }

    /// When the oldest open row was made.
    pub async fn oldest_open_at(&self) -> Result<Option<Timestamp>, StoreError> {
        let oldest = sqlx::query("SELECT min(created_at) FROM outbox WHERE lane_id IS NOT NULL");
        let oldest: Option<i64> = oldest.fetch_one(&self.readers).await?.try_get(0)?;
        Ok(oldest.map(Timestamp::from_millis))
    }

    /// What the books say of each source on the day of `at` (UTC), by counter: `accepted`, `repeated`, `mapped`,
    /// `ignored`, `unmappable` and others.
    pub async fn books_of_day(&self, at: Timestamp) -> Result<BTreeMap<String, BTreeMap<String, i64>>, StoreError> {
        let mut day = at.to_string();
        day.truncate("2026-11-22".len());
        let rows = sqlx::query("SELECT source, counter, count FROM books WHERE day = ?1");
        let mut books: BTreeMap<String, BTreeMap<String, i64>> = BTreeMap::new();
        for row in rows.bind(day).fetch_all(&self.readers).await? {
            books.entry(row.try_get(0)?).or_default().insert(row.try_get(1)?, row.try_get(2)?);
        }
        Ok(books)
    }

    /// The accounts that are paused, by name.
    pub async fn paused_accounts(&self) -> Result<BTreeMap<String, AccountState>, StoreError> {
        let names =
            sqlx::query("SELECT name FROM accounts WHERE paused_at IS NOT NULL").fetch_all(&self.readers).await?;
        let mut paused = BTreeMap::new();
        for row in &names {
            let name: String = row.try_get(0)?;
            let state = self.account_state(&name).await?;
            paused.insert(name, state);
        }
        Ok(paused)
    }
}
