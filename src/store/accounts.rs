//! What must be remembered of a configured account: which one it is, and whether it is paused.

use futures_util::future::BoxFuture;
use serde::Serialize;
use sqlx::{Row as _, SqliteConnection};

use super::{Store, StoreError, writer::Write};
use crate::clock::Timestamp;

/// Who paused an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PausedBy {
    /// We did, because of a fault that no update can mend; we try the account now and then.
    Fault,
    /// A person did; nothing is tried.
    Hand,
}

/// Why and since when an account is paused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Pause {
    /// Since.
    pub at: Timestamp,
    /// By whom.
    pub by: PausedBy,
    /// The fault's name.
    pub code: Option<String>,
    /// What is wrong and what to do.
    pub reason: String,
    /// When the account is tried again.
    pub probe_at: Option<Timestamp>,
    /// How often it was tried.
    pub probes: u32,
}

/// What the store remembers of an account.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct AccountState {
    /// Paused, and why.
    pub pause: Option<Pause>,
    /// No call before this moment: the server asked us to wait.
    pub hold_until: Timestamp,
}

impl Store {
    /// Remembers which Chatwoot account a configured name stands for.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] when the name stood for another one before: its links would lead to strangers.
    pub async fn register_account(&self, name: &str, base_url: &str, account_id: i64) -> Result<(), StoreError> {
        self.writer.write(Register { name: name.to_owned(), base_url: base_url.to_owned(), account_id }).await
    }

    /// What is remembered of an account; the default for one that never was seen.
    pub async fn account_state(&self, name: &str) -> Result<AccountState, StoreError> {
        let row = sqlx::query(
            "SELECT paused_at, paused_by, pause_code, pause_reason, probe_at, probes, hold_until FROM accounts WHERE name = ?1",
        )
        .bind(name)
        .fetch_optional(&self.readers)
        .await?;
        let Some(row) = row else { return Ok(AccountState::default()) };
        let pause = match row.try_get::<Option<i64>, _>(0)? {
            None => None,
            Some(at) => Some(Pause {
                at: Timestamp::from_millis(at),
                by: if row.try_get::<&str, _>(1)? == "hand" { PausedBy::Hand } else { PausedBy::Fault },
                code: row.try_get(2)?,
                reason: row.try_get(3)?,
                probe_at: row.try_get::<Option<i64>, _>(4)?.map(Timestamp::from_millis),
                probes: row.try_get(5)?,
            }),
        };
        Ok(AccountState { pause, hold_until: Timestamp::from_millis(row.try_get(6)?) })
    }

    /// Pauses an account, resumes it (`None`), or moves its next probe.
    pub async fn set_pause(&self, name: &str, pause: Option<Pause>) -> Result<(), StoreError> {
        self.writer.write(SetPause { name: name.to_owned(), pause }).await
    }

    /// No call of the account before `until`.
    pub async fn hold_account(&self, name: &str, until: Timestamp) -> Result<(), StoreError> {
        self.writer.write(Hold { name: name.to_owned(), until }).await
    }
}

struct Register {
    name: String,
    base_url: String,
    account_id: i64,
}

impl Write for Register {
    type Output = ();

    fn run<'a>(&'a self, tx: &'a mut SqliteConnection) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async move {
            sqlx::query(
                "INSERT INTO accounts (name, base_url, account_id) VALUES (?1, ?2, ?3) ON CONFLICT (name) DO NOTHING",
            )
            .bind(&self.name)
            .bind(&self.base_url)
            .bind(self.account_id)
            .execute(&mut *tx)
            .await?;
            let row = sqlx::query("SELECT base_url, account_id FROM accounts WHERE name = ?1")
                .bind(&self.name)
                .fetch_one(tx)
                .await?;
            let (base_url, account_id): (String, i64) = (row.try_get(0)?, row.try_get(1)?);
            if base_url == self.base_url && account_id == self.account_id {
                return Ok(());
            }
            Err(StoreError::Corrupt(format!(
                "accounts.{name} stands for account {account_id} at {base_url}, and the configuration says account {} at {}; \
                 links in this file lead to contacts of the former: give the other one a new name, or use another database file",
                self.account_id,
                self.base_url,
                name = self.name,
            )))
        })
    }
}

struct SetPause {
    name: String,
    pause: Option<Pause>,
}

impl Write for SetPause {
    type Output = ();

    fn run<'a>(&'a self, tx: &'a mut SqliteConnection) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async move {
            let pause = self.pause.as_ref();
            sqlx::query(
                "UPDATE accounts SET paused_at = ?2, paused_by = ?3, pause_code = ?4, pause_reason = ?5, probe_at = ?6, probes = ?7 \
                 WHERE name = ?1",
            )
            .bind(&self.name)
            .bind(pause.map(|pause| pause.at.as_millis()))
            .bind(pause.map(|pause| match pause.by {
                PausedBy::Fault => "fault",
                PausedBy::Hand => "hand",
            }))
            .bind(pause.and_then(|pause| pause.code.as_deref()))
            .bind(pause.map(|pause| pause.reason.as_str()))
            .bind(pause.and_then(|pause| pause.probe_at).map(Timestamp::as_millis))
            .bind(pause.map_or(0, |pause| pause.probes))
            .execute(tx)
            .await?;
            Ok(())
        })
    }
}

struct Hold {
    name: String,
    until: Timestamp,
}

impl Write for Hold {
    type Output = ();

    fn run<'a>(&'a self, tx: &'a mut SqliteConnection) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async move {
            sqlx::query("UPDATE accounts SET hold_until = max(hold_until, ?2) WHERE name = ?1")
                .bind(&self.name)
                .bind(self.until.as_millis())
                .execute(tx)
                .await?;
            Ok(())
        })
    }
}
