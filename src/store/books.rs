//! The books: counters per source and day, kept by the same transactions that change the tables.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use sqlx::SqliteConnection;

use super::StoreError;
use crate::clock::Timestamp;

pub(super) const SAVE: &str = "INSERT INTO books (source, day, counter, count) \
    SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3 FROM json_each(?1) WHERE true \
    ON CONFLICT (source, day, counter) DO UPDATE SET count = count + excluded.count";

/// What a transaction has to add to the books.
#[derive(Debug, Default)]
pub(super) struct Books(BTreeMap<(String, String, String), i64>);

impl Books {
    /// Adds to a counter of a source on the day of `at`.
    pub(super) fn add(&mut self, source: &str, at: Timestamp, counter: &str, count: i64) {
        let mut day = at.to_string();
        day.truncate("2026-11-22".len());
        *self.0.entry((source.to_owned(), day, counter.to_owned())).or_default() += count;
    }

    /// Writes what was added.
    pub(super) async fn save(self, tx: &mut SqliteConnection) -> Result<(), StoreError> {
        let lines: Vec<Value> = self
            .0
            .into_iter()
            .filter(|(_, count)| *count != 0)
            .map(|((source, day, counter), count)| json!([source, day, counter, count]))
            .collect();
        if !lines.is_empty() {
            sqlx::query(SAVE).bind(Value::from(lines).to_string()).execute(tx).await?;
        }
        Ok(())
    }
}
