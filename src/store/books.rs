//! The books: counters per source and day, kept by the same transactions that change the tables.

use serde_json::{Value, json};
use sqlx::SqliteConnection;

use super::StoreError;
use crate::clock::Timestamp;

const DAY_MS: i64 = 24 * 60 * 60 * 1_000;

pub(super) const SAVE: &str = "INSERT INTO books (source, day, counter, count) \
    SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3 FROM json_each(?1) WHERE true \
    ON CONFLICT (source, day, counter) DO UPDATE SET count = count + excluded.count";

/// What a transaction has to add to the books.
#[derive(Debug, Default)]
pub(super) struct Books(Vec<Line>);

#[derive(Debug)]
struct Line {
    source: String,
    /// Days since 1970-01-01.
    day: i64,
    counter: String,
    count: i64,
}

impl Books {
    /// Adds to a counter of a source on the day of `at`.
    pub(super) fn add(&mut self, source: &str, at: Timestamp, counter: &str, count: i64) {
        let day = at.as_millis().div_euclid(DAY_MS);
        // A batch has few sources on one day, and each webhook comes by several times: looking through the lines is
        // cheaper than a key that has to be made for each look.
        let is_wanted = |line: &&mut Line| line.day == day && line.counter == counter && line.source == source;
        match self.0.iter_mut().find(is_wanted) {
            Some(line) => line.count += count,
            None => self.0.push(Line { source: source.to_owned(), day, counter: counter.to_owned(), count }),
        }
    }

    /// Writes what was added.
    pub(super) async fn save(self, tx: &mut SqliteConnection) -> Result<(), StoreError> {
        let lines: Vec<Value> = self
            .0
            .into_iter()
            .filter(|line| line.count != 0)
            .map(|line| json!([line.source, date(line.day), line.counter, line.count]))
            .collect();
        if !lines.is_empty() {
            sqlx::query(SAVE).bind(Value::from(lines).to_string()).execute(tx).await?;
        }
        Ok(())
    }
}

/// Such as 2026-11-22.
fn date(day: i64) -> String {
    let mut date = Timestamp::from_millis(day * DAY_MS).to_string();
    date.truncate("2026-11-22".len());
    date
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_of_one_day_add_up_and_days_are_those_of_utc() {
        let mut books = Books::default();
        let midnight = Timestamp::parse_rfc3339("2026-11-22T00:00:00Z").unwrap();
        for (ms, count) in [(-1, 1), (0, 10), (1, 100)] {
            books.add("shop", Timestamp::from_millis(midnight.as_millis() + ms), "accepted", count);
        }
        let lines: Vec<_> = books.0.iter().map(|line| (date(line.day), line.count)).collect();
        assert_eq!(lines, [("2026-11-21".to_owned(), 1), ("2026-11-22".to_owned(), 110)]);
    }
}
