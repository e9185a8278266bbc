//! Refused requests, counted by source, reason and minute. No body and no secret is kept: a flood adds to a count.

use futures_util::future::BoxFuture;
use serde::Serialize;
use serde_json::{Value, json};
use sqlx::{Row as _, SqliteConnection};

use super::{Store, StoreError, writer::Write};
use crate::clock::Timestamp;

/// Refused requests of one kind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Rejections {
    /// The source; empty where the URL named none of ours.
    pub source: String,
    /// The reason's stable name.
    pub reason: String,
    /// How many.
    pub count: u64,
}

impl Store {
    /// Adds refused requests to the counts of the minute of `at`.
    pub async fn add_rejections(&self, at: Timestamp, rejections: Vec<Rejections>) -> Result<(), StoreError> {
        self.writer.write(Add { at, rejections }).await
    }

    /// Refused requests since a moment, by source and reason.
    pub async fn rejections_since(&self, since: Timestamp) -> Result<Vec<Rejections>, StoreError> {
        let rows = sqlx::query(
            "SELECT source, reason, sum(count) FROM rejections WHERE minute >= ?1 GROUP BY source, reason ORDER BY source, reason",
        )
        .bind(since.as_millis())
        .fetch_all(&self.readers)
        .await?;
        rows.iter()
            .map(|row| {
                let count = u64::try_from(row.try_get::<i64, _>(2)?).unwrap_or(0);
                Ok(Rejections { source: row.try_get(0)?, reason: row.try_get(1)?, count })
            })
            .collect()
    }
}

struct Add {
    at: Timestamp,
    rejections: Vec<Rejections>,
}

impl Write for Add {
    type Output = ();

    fn run<'a>(&'a self, tx: &'a mut SqliteConnection) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async move {
            let minute = self.at.as_millis() - self.at.as_millis().rem_euclid(60_000);
            let lines: Vec<Value> =
                self.rejections.iter().map(|line| json!([line.source, line.reason, line.count])).collect();
            sqlx::query(
                "INSERT INTO rejections (source, reason, minute, count) \
                 SELECT value ->> 0, value ->> 1, ?2, value ->> 2 FROM json_each(?1) WHERE true \
                 ON CONFLICT (minute, source, reason) DO UPDATE SET count = count + excluded.count",
            )
            .bind(Value::from(lines).to_string())
            .bind(minute)
            .execute(tx)
            .await?;
            Ok(())
        })
    }
}
