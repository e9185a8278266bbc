//! Requests of persons about their data: recorded with the webhook that brought them, and open until somebody acted.

use std::{sync::Arc, time::Duration};

use serde::Serialize;
use sqlx::{Row as _, SqliteConnection};

use super::{Store, StoreError};
use crate::{
    clock::Timestamp,
    contacts::{ContactKey, Email, Identifier, PhoneNumber},
    mapping::PersonRequest,
};

/// A request of a person that a new webhook brought.
#[derive(Clone, Debug)]
pub struct NewPersonRequest {
    /// The account that the source's updates go to.
    pub account: Arc<str>,
    /// What is asked for, and by whom.
    pub request: PersonRequest,
    /// How long it leaves us; `None` where that is not known.
    pub due_in: Option<Duration>,
}

/// A request of a person as it stands in the table.
#[derive(Clone, Serialize)]
pub struct PersonRequestRecord {
    /// Its id.
    pub id: i64,
    /// The webhook that brought it.
    pub webhook_id: i64,
    /// The source.
    pub source: String,
    /// The account that the source's updates go to.
    pub account: String,
    /// `erase`, `export` or `erase_shop`.
    pub kind: String,
    /// The key that the person's updates have; `None` where the sender named nobody.
    pub key: Option<String>,
    /// The external identifier.
    pub identifier: Option<String>,
    /// The e-mail address.
    pub email: Option<String>,
    /// The phone number.
    pub phone_number: Option<String>,
    /// When it arrived.
    pub received_at: Timestamp,
    /// When it has to be done; `None` where that is not known.
    pub due_at: Option<Timestamp>,
}

/// Shows nothing of the person.
impl std::fmt::Debug for PersonRequestRecord {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PersonRequestRecord").field("id", &self.id).field("kind", &self.kind).finish_non_exhaustive()
    }
}

impl Store {
    /// Requests that are open: those that are due first come first, those without a date last.
    pub async fn open_person_requests(&self) -> Result<Vec<PersonRequestRecord>, StoreError> {
        let rows = sqlx::query(
            "SELECT id, webhook_id, source, account, kind, key, identifier, email, phone_number, received_at, due_at \
             FROM person_requests WHERE state = 'open' ORDER BY due_at IS NULL, due_at, id",
        )
        .fetch_all(&self.readers)
        .await?;
        rows.iter()
            .map(|row| {
                Ok(PersonRequestRecord {
                    id: row.try_get(0)?,
                    webhook_id: row.try_get(1)?,
                    source: row.try_get(2)?,
                    account: row.try_get(3)?,
                    kind: row.try_get(4)?,
                    key: row.try_get(5)?,
                    identifier: row.try_get(6)?,
                    email: row.try_get(7)?,
                    phone_number: row.try_get(8)?,
                    received_at: Timestamp::from_millis(row.try_get(9)?),
                    due_at: row.try_get::<Option<i64>, _>(10)?.map(Timestamp::from_millis),
                })
            })
            .collect()
    }
}

/// Records the request of a webhook as open, unless that webhook's is recorded already: a replay brings it again.
pub(super) async fn insert(
    webhook: i64,
    source: &str,
    received_at: Timestamp,
    new: &NewPersonRequest,
    tx: &mut SqliteConnection,
) -> Result<(), StoreError> {
    let NewPersonRequest { account, request, due_in } = new;
    sqlx::query(
        "INSERT INTO person_requests (webhook_id, source, account, kind, key, identifier, email, phone_number, received_at, due_at) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10) ON CONFLICT (webhook_id) DO NOTHING",
    )
    .bind(webhook)
    .bind(source)
    .bind(&**account)
    .bind(request.kind.as_str())
    .bind(request.key().as_ref().map(ContactKey::as_str))
    .bind(request.identifier.as_ref().map(Identifier::as_str))
    .bind(request.email.as_ref().map(Email::as_str))
    .bind(request.phone_number.as_ref().map(PhoneNumber::as_str))
    .bind(received_at.as_millis())
    .bind(due_in.map(|due_in| (received_at + due_in).as_millis()))
    .execute(tx)
    .await?;
    Ok(())
}
