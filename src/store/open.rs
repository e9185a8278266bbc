//! Opening the file: pragmas, each read back, and migrations.
//!
//! SQLite ignores an unknown pragma and may refuse a known one without an error (WAL on some file systems), so a
//! setting that durability rests on is believed only once it has been read back.

use std::{borrow::Cow, path::Path, time::Duration};

use sqlx::{
    Connection as _, Row as _, SqliteConnection, SqlitePool,
    migrate::{Migration, MigrationType, Migrator},
    sqlite::{SqliteAutoVacuum, SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};

use super::StoreError;

/// How long a statement waits for another process's transaction.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// Reading connections: the commands and pages that read are few.
const READERS: u32 = 4;
/// Pages in the write-ahead log before it is folded back: 16 times SQLite's default, which halves the slowest commits.
const WAL_AUTOCHECKPOINT: &str = "16000";

/// In the order they run. Never edited once released.
const MIGRATIONS: [(i64, &str, &str); 6] = [
    (20_261_122_120_000, "create outbox", include_str!("../../migrations/20261122120000_create_outbox.sql")),
    (20_261_122_120_100, "create contacts", include_str!("../../migrations/20261122120100_create_contacts.sql")),
    (20_261_122_120_200, "create books", include_str!("../../migrations/20261122120200_create_books.sql")),
    (20_261_122_120_300, "create audit view", include_str!("../../migrations/20261122120300_create_audit_view.sql")),
    (
        20_261_122_130_000,
        "create person requests",
        include_str!("../../migrations/20261122130000_create_person_requests.sql"),
    ),
    (20_261_122_130_100, "create sources", include_str!("../../migrations/20261122130100_create_sources.sql")),
];

fn migrator() -> Migrator {
    let migrations = MIGRATIONS.iter().map(|&(version, description, sql)| {
        let text = sqlx::SqlStr::from_static(sql);
        Migration::new(version, Cow::Borrowed(description), MigrationType::Simple, text, false)
    });
    Migrator::with_migrations(migrations.collect())
}

fn options(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .busy_timeout(BUSY_TIMEOUT)
        .foreign_keys(true)
        .pragma("temp_store", "MEMORY")
}

/// Opens the connection that writes, and brings the file to this version.
pub(super) async fn writer(path: &Path) -> Result<SqliteConnection, StoreError> {
    let options = options(path)
        .create_if_missing(true)
        // Takes effect in a new file only, and has to come before the first table and before WAL.
        .auto_vacuum(SqliteAutoVacuum::Incremental)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .pragma("secure_delete", "ON")
        .pragma("wal_autocheckpoint", WAL_AUTOCHECKPOINT)
        .optimize_on_close(true, None);
    let mut connection = SqliteConnection::connect_with(&options).await?;
    let wanted = [
        ("journal_mode", "wal"),
        ("synchronous", "2"),
        ("foreign_keys", "1"),
        ("secure_delete", "1"),
        ("auto_vacuum", "2"),
        ("busy_timeout", "5000"),
        ("wal_autocheckpoint", WAL_AUTOCHECKPOINT),
    ];
    for (pragma, wanted) in wanted {
        check(&mut connection, pragma, wanted).await?;
    }
    migrator().run(&mut connection).await?;
    Ok(connection)
}

/// Opens the connections that read. They cannot write.
pub(super) async fn readers(path: &Path) -> Result<SqlitePool, StoreError> {
    let options = options(path).read_only(true);
    Ok(SqlitePoolOptions::new().max_connections(READERS).min_connections(0).connect_with(options).await?)
}

async fn check(
    connection: &mut SqliteConnection,
    pragma: &'static str,
    wanted: &'static str,
) -> Result<(), StoreError> {
    let row = sqlx::query(sqlx::AssertSqlSafe(format!("PRAGMA {pragma}"))).fetch_one(connection).await?;
    // Some pragmas answer a number, some a word.
    let got = row.try_get::<i64, _>(0).map(|number| number.to_string()).or_else(|_| row.try_get::<String, _>(0))?;
    if got == wanted { Ok(()) } else { Err(StoreError::Pragma { pragma, wanted, got }) }
}
