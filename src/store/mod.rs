//! The SQLite file: the only module that knows SQL. It keeps webhooks, the outbox, lanes, attempts, contacts and the
//! books, and changes them in transactions that never span a network call.
//!
//! All writes of a process go through one `Writer` that commits in groups; reads use other connections. Another
//! process (a command beside a running service) writes through the same functions on its own writer.

mod accept;
mod accounts;
mod activity;
mod attempts;
mod books;
mod conflicts;
mod contacts;
mod joining;
mod lanes;
mod many;
mod open;
mod outbox;
mod overtaken;
mod person_requests;
mod plans;
mod rejections;
mod rows;
mod settle;
mod sources;
mod webhooks;
mod writer;

use std::path::{Path, PathBuf};

use sqlx::SqlitePool;

pub use accept::{Acceptance, Accepted, NewOutcome, NewWebhook, left_out};
pub use accounts::{AccountState, Pause, PausedBy};
pub use activity::SourceActivity;
pub use attempts::{AttemptEnd, AttemptRecord, Verdict};
pub use conflicts::{ConflictRecord, NewConflict, ParkedValue};
pub use contacts::{Link, LinkOrigin, LinkRecord, LinkState, Linked};
pub use lanes::{Lease, LeaseRequest, LeasedLane, LeasedRow};
pub use outbox::{OutboxFilter, OutboxRecord, RetryOutcome};
pub use person_requests::{NewPersonRequest, PersonRequestRecord};
pub use rejections::Rejections;
pub use rows::{FieldOutcome, NewRow, RowState};
pub use settle::{Linking, NextCall, NextTurn, RowResult, Settled, Settlement, WrittenField};
pub use sources::SourcePause;
pub use webhooks::{Replay, WebhookFilter, WebhookRecord};
pub use writer::{Writer, WriterSettings};

/// Why the store could not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The disk or the database's size limit is reached: nothing was written.
    #[error("the disk is full: nothing was stored")]
    Full,
    /// The writer has more waiting than it takes; nothing was written.
    #[error("the store is too busy: nothing was stored")]
    Busy,
    /// The process is stopping.
    #[error("the store is closed")]
    Closed,
    /// The file does not hold what it should: which table, column and row, and why.
    #[error("the database holds something unexpected: {0}")]
    Corrupt(String),
    /// The file was made by a newer version, or a migration changed since it ran.
    #[error("the database cannot be brought to this version: {0}")]
    Migration(#[from] sqlx::migrate::MigrateError),
    /// A pragma is not in force although it was asked for.
    #[error("the database refused `{pragma}`: wanted {wanted}, got {got}")]
    Pragma {
        /// The pragma's name.
        pragma: &'static str,
        /// What was asked for.
        wanted: &'static str,
        /// What is in force.
        got: String,
    },
    /// Any other fault of SQLite.
    #[error("the database failed: {0}")]
    Database(sqlx::Error),
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        // SQLITE_FULL and SQLITE_BUSY; https://www.sqlite.org/rescode.html
        let code =
            error.as_database_error().and_then(sqlx::error::DatabaseError::code).map(std::borrow::Cow::into_owned);
        match code.as_deref() {
            Some("13") => Self::Full,
            Some("5") => Self::Busy,
            _ => Self::Database(error),
        }
    }
}

/// An open database. Cheap to clone; closes when [`Store::close`] is called.
#[derive(Clone, Debug)]
pub struct Store {
    path: PathBuf,
    readers: SqlitePool,
    writer: Writer,
}

impl Store {
    /// Opens the file, creating it if it is missing, brings it to this version's schema, reads every pragma back, and
    /// starts the writer.
    pub async fn open(path: &Path, settings: WriterSettings) -> Result<Self, StoreError> {
        let connection = open::writer(path).await?;
        let readers = open::readers(path).await?;
        let writer = Writer::start(connection, settings).map_err(sqlx::Error::Io)?;
        Ok(Self { path: path.to_owned(), readers, writer })
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether the writer still commits: one empty transaction, in line with everything that waits.
    pub async fn check_writer(&self) -> Result<(), StoreError> {
        self.writer.write(writer::Nothing).await
    }

    /// Commits what is queued, then closes the file and checkpoints its write-ahead log.
    pub async fn close(&self) {
        self.readers.close().await;
        self.writer.stop().await;
    }
}
