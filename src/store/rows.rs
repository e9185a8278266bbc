//! Rows of the outbox: their states, what became of each field, and how they are made together with their lanes.

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    str::FromStr,
    sync::Arc,
};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sqlx::{Row as _, SqliteConnection};

use super::StoreError;
use crate::{
    clock::Timestamp,
    contacts::{ContactKey, ContactUpdate, Email, Field, Identifier, PhoneNumber, Policy, fields_to_json},
};

/// The state of a row; the drawing is in ARCHITECTURE.md.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RowState {
    /// Waits for its turn.
    Pending,
    /// Part of a call that is being made.
    Leased,
    /// No contact yet; looked up daily until `wait_for` is over.
    Waiting,
    /// A person has to decide about a field or a link.
    Conflict,
    /// At least one field was written.
    Delivered,
    /// Nothing had to be written.
    Unchanged,
    /// Every field lost to a newer value.
    Superseded,
    /// No contact, and the account does not create any.
    NoContact,
    /// Given up; kept, and can be retried by hand.
    Dead,
    /// Given up by hand.
    Discarded,
    /// Its personal data was removed.
    Erased,
}

impl RowState {
    /// All states, in the order of a row's life.
    pub const ALL: [Self; 11] = [
        Self::Pending,
        Self::Leased,
        Self::Waiting,
        Self::Conflict,
        Self::Delivered,
        Self::Unchanged,
        Self::Superseded,
        Self::NoContact,
        Self::Dead,
        Self::Discarded,
        Self::Erased,
    ];

    /// Whether work is left to do.
    pub fn is_open(self) -> bool {
        matches!(self, Self::Pending | Self::Leased | Self::Waiting | Self::Conflict)
    }

    /// The state as tables and JSON have it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Leased => "leased",
            Self::Waiting => "waiting",
            Self::Conflict => "conflict",
            Self::Delivered => "delivered",
            Self::Unchanged => "unchanged",
            Self::Superseded => "superseded",
            Self::NoContact => "no_contact",
            Self::Dead => "dead",
            Self::Discarded => "discarded",
            Self::Erased => "erased",
        }
    }
}

impl fmt::Display for RowState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for RowState {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|state| state.as_str() == text).ok_or_else(|| {
            let known: Vec<&str> = Self::ALL.iter().map(|state| state.as_str()).collect();
            format!("`{text}` is no state; expected one of {}", known.join(", "))
        })
    }
}

/// What became of one field of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FieldOutcome {
    /// Written.
    Delivered,
    /// It equals what we last wrote, or what the contact has.
    Unchanged,
    /// A newer or stronger value stands instead.
    Superseded,
    /// The policy left the contact's own value alone.
    Kept,
    /// Refused by the server; a person decides.
    Parked,
    /// Accepted by the server and not stored: its echo shows something else.
    NotTaken,
    /// Put off to a later call.
    Deferred,
    /// Would have been sent; the account is on `dry_run`.
    DryRun,
}

/// One contact update of a new webhook.
#[derive(Clone, Debug)]
pub struct NewRow {
    /// Which element of the body, counted from 0.
    pub element: u32,
    /// The update.
    pub update: ContactUpdate,
    /// Policies of its fields that are not `always`.
    pub policies: BTreeMap<Field, Policy>,
    /// Values that mapping left out, and why, as JSON.
    pub dropped: Option<String>,
    /// When the sender says it happened.
    pub occurred_at: Option<Timestamp>,
}

impl NewRow {
    /// The time of the order key: the earlier of occurred and received, so that a sender's fast clock wins nothing.
    pub fn effective_at(&self, received_at: Timestamp) -> Timestamp {
        self.occurred_at.map_or(received_at, |occurred_at| occurred_at.min(received_at))
    }
}

/// A row about to be inserted.
pub(super) struct Made<'a> {
    pub(super) webhook: i64,
    pub(super) run: i64,
    pub(super) source: &'a str,
    pub(super) account: &'a Arc<str>,
    pub(super) row: &'a NewRow,
    pub(super) effective_at: Timestamp,
    pub(super) created_at: Timestamp,
}

/// The lane's key of a known contact.
pub(super) fn contact_lane_key(contact_id: i64) -> String {
    format!("contact:{contact_id}")
}

/// Links whose contact is gone count too: their updates wait in its lane for what becomes of it.
pub(super) const FIND_LINKS: &str = "SELECT wanted.value ->> 0, wanted.value ->> 1, contacts.contact_id \
    FROM json_each(?1) AS wanted \
    JOIN contacts ON contacts.account = wanted.value ->> 0 AND contacts.key = wanted.value ->> 1";

/// A new row makes its lane due at once, though at most once a minute while the lane is backing off, and never while
/// a call without an answer may still be at work.
pub(super) const UPSERT_LANES: &str = "INSERT INTO lanes (account, key, contact_id, due_at) \
    SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3 FROM json_each(?1) WHERE true \
    ON CONFLICT (account, key) DO UPDATE SET due_at = CASE \
        WHEN held IS NOT NULL THEN NULL \
        WHEN failures > 0 THEN max(quiet_until, min(coalesce(due_at, excluded.due_at), max(excluded.due_at, begun_at + 60000))) \
        ELSE max(quiet_until, excluded.due_at) END \
    RETURNING account, key, id";

/// A lane without rows has nothing left to order.
pub(super) const DROP_EMPTY_LANE: &str = "DELETE FROM lanes WHERE id = ?1 AND owner IS NULL \
    AND NOT EXISTS (SELECT 1 FROM outbox WHERE outbox.lane_id = ?1)";

pub(super) const INSERT_ROWS: &str = "INSERT INTO outbox (webhook_id, element, run, source, account, key, identifier, email, \
        phone_number, changes, policies, dropped, occurred_at, effective_at, created_at, state, lane_id) \
    SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, value ->> 6, value ->> 7, \
        value ->> 8, value ->> 9, value ->> 10, value ->> 11, value ->> 12, value ->> 13, value ->> 14, 'pending', value ->> 15 \
    FROM json_each(?1)";

/// Inserts rows as pending, each in the lane of its contact, or of its key while the contact is not known.
pub(super) async fn insert(rows: &[Made<'_>], tx: &mut SqliteConnection) -> Result<(), StoreError> {
    if rows.is_empty() {
        return Ok(());
    }
    let keys: Vec<ContactKey> = rows.iter().map(|made| made.row.update.key()).collect();
    let wanted: Vec<Value> = rows.iter().zip(&keys).map(|(made, key)| json!([&**made.account, key.as_str()])).collect();
    let mut links = HashMap::new();
    for link in sqlx::query(FIND_LINKS).bind(Value::from(wanted).to_string()).fetch_all(&mut *tx).await? {
        links.insert((link.try_get::<String, _>(0)?, link.try_get::<String, _>(1)?), link.try_get::<i64, _>(2)?);
    }
    let contact_of =
        |made: &Made<'_>, key: &ContactKey| links.get(&(made.account.to_string(), key.as_str().to_owned())).copied();
    let lane_key = |made: &Made<'_>, key: &ContactKey| {
        contact_of(made, key).map_or_else(|| key.as_str().to_owned(), contact_lane_key)
    };
    let lanes: Vec<Value> = rows
        .iter()
        .zip(&keys)
        .map(|(made, key)| json!([&**made.account, lane_key(made, key), contact_of(made, key), made.created_at]))
        .collect();
    let mut lane_ids = HashMap::new();
    for lane in sqlx::query(UPSERT_LANES).bind(Value::from(lanes).to_string()).fetch_all(&mut *tx).await? {
        lane_ids.insert((lane.try_get::<String, _>(0)?, lane.try_get::<String, _>(1)?), lane.try_get::<i64, _>(2)?);
    }
    let values: Vec<Value> = rows
        .iter()
        .zip(&keys)
        .map(|(made, key)| {
            let update = &made.row.update;
            let policies = (!made.row.policies.is_empty()).then(|| json!(made.row.policies).to_string());
            json!([
                made.webhook,
                made.row.element,
                made.run,
                made.source,
                &**made.account,
                key.as_str(),
                update.identifier().map(Identifier::as_str),
                update.email().map(Email::as_str),
                update.phone_number().map(PhoneNumber::as_str),
                Value::Object(fields_to_json(update.fields())).to_string(),
                policies,
                made.row.dropped,
                made.row.occurred_at,
                made.effective_at,
                made.created_at,
                lane_ids.get(&(made.account.to_string(), lane_key(made, key))),
            ])
        })
        .collect();
    sqlx::query(INSERT_ROWS).bind(Value::from(values).to_string()).execute(tx).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_state_reads_back_from_its_own_name() {
        for state in RowState::ALL {
            assert_eq!(state.as_str().parse(), Ok(state));
        }
    }
}
