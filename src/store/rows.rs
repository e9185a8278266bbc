//! Rows of the outbox: their states, what became of each field, and how they are made together with their lanes.

use std::{
    collections::BTreeMap,
    fmt,
    str::FromStr,
    sync::{Arc, LazyLock},
};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sqlx::{Row as _, SqliteConnection};

use super::{StoreError, many::Many};
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

/// Links whose contact is gone count too: their updates wait in its lane for what becomes of it. Answers pairs of a place
/// in the list that is passed in and a contact, in one list, because every row of an answer wakes the thread that asks.
pub(super) const FIND_LINKS: &str = "SELECT json_group_array(json_array(wanted.key, contacts.contact_id)) \
    FROM json_each(?1) AS wanted \
    JOIN contacts ON contacts.account = wanted.value ->> 0 AND contacts.key = wanted.value ->> 1";

/// A new row makes its lane due at once, though at most once a minute while the lane is backing off, and never while
/// a call without an answer may still be at work. Bound: account, key, contact, due.
pub(super) static UPSERT_LANES: LazyLock<Many> = LazyLock::new(|| {
    Many::new(
        "INSERT INTO lanes (account, key, contact_id, due_at)",
        "(?, ?, ?, ?)",
        "ON CONFLICT (account, key) DO UPDATE SET due_at = CASE \
            WHEN held IS NOT NULL THEN NULL \
            WHEN failures > 0 THEN max(quiet_until, min(coalesce(due_at, excluded.due_at), max(excluded.due_at, begun_at + 60000))) \
            ELSE max(quiet_until, excluded.due_at) END",
    )
});

static UPSERT_LANE: LazyLock<String> = LazyLock::new(|| format!("{} RETURNING id", UPSERT_LANES.one()));

/// A lane without rows has nothing left to order, unless a call of it may still be at work: a new lane of the same
/// contact would know nothing of that. Such a lane ends with its next turn.
pub(super) const DROP_EMPTY_LANE: &str = "DELETE FROM lanes WHERE id = ?1 AND owner IS NULL AND quiet_until = 0 \
    AND NOT EXISTS (SELECT 1 FROM outbox WHERE outbox.lane_id = ?1)";

/// Bound in the order of columns; for the lane, its account and key.
pub(super) static INSERT_ROWS: LazyLock<Many> = LazyLock::new(|| {
    Many::new(
        "INSERT INTO outbox (webhook_id, element, run, source, account, key, identifier, email, phone_number, changes, \
         policies, dropped, occurred_at, effective_at, created_at, state, lane_id)",
        "(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'pending', (SELECT id FROM lanes WHERE account = ? AND key = ?))",
        "",
    )
});

/// A row, and where it goes.
struct Placed<'a> {
    made: &'a Made<'a>,
    key: ContactKey,
    contact_id: Option<i64>,
    lane_key: String,
}

/// Inserts rows as pending, each in the lane of its contact, or of its key while the contact is not known.
pub(super) async fn insert(rows: &[Made<'_>], tx: &mut SqliteConnection) -> Result<(), StoreError> {
    if rows.is_empty() {
        return Ok(());
    }
    let rows = place(rows, tx).await?;
    for (sql, part) in UPSERT_LANES.parts(&rows) {
        let mut query = sqlx::query(sql);
        for Placed { made, contact_id, lane_key, .. } in part {
            query = query.bind(&**made.account).bind(lane_key).bind(contact_id).bind(made.created_at.as_millis());
        }
        query.execute(&mut *tx).await?;
    }
    for (sql, part) in INSERT_ROWS.parts(&rows) {
        let mut query = sqlx::query(sql);
        for Placed { made, key, lane_key, .. } in part {
            let Made { row, account, .. } = made;
            let policies = (!row.policies.is_empty()).then(|| json!(row.policies).to_string());
            query = query
                .bind(made.webhook)
                .bind(row.element)
                .bind(made.run)
                .bind(made.source)
                .bind(&***account)
                .bind(key.as_str())
                .bind(row.update.identifier().map(Identifier::as_str))
                .bind(row.update.email().map(Email::as_str))
                .bind(row.update.phone_number().map(PhoneNumber::as_str))
                .bind(Value::Object(fields_to_json(row.update.fields())).to_string())
                .bind(policies)
                .bind(row.dropped.as_deref())
                .bind(row.occurred_at.map(Timestamp::as_millis))
                .bind(made.effective_at.as_millis())
                .bind(made.created_at.as_millis())
                .bind(&***account)
                .bind(lane_key);
        }
        query.execute(&mut *tx).await?;
    }
    Ok(())
}

/// Makes a lane that gets a row due, and creates it where there is none. Answers its id.
pub(super) async fn upsert_lane(
    account: &str,
    key: &str,
    contact_id: Option<i64>,
    now: Timestamp,
    tx: &mut SqliteConnection,
) -> Result<i64, StoreError> {
    let lane = sqlx::query(&**UPSERT_LANE).bind(account).bind(key).bind(contact_id).bind(now.as_millis());
    Ok(lane.fetch_one(tx).await?.try_get(0)?)
}

/// Finds the lanes of rows.
async fn place<'a>(rows: &'a [Made<'a>], tx: &mut SqliteConnection) -> Result<Vec<Placed<'a>>, StoreError> {
    let mut placed: Vec<Placed<'_>> = rows
        .iter()
        .map(|made| {
            let key = made.row.update.key();
            Placed { made, contact_id: None, lane_key: key.as_str().to_owned(), key }
        })
        .collect();
    let wanted: Vec<_> = placed.iter().map(|row| (&**row.made.account, row.key.as_str())).collect();
    let links = sqlx::query(FIND_LINKS).bind(json!(wanted).to_string()).fetch_one(&mut *tx).await?;
    let links: Vec<(usize, i64)> = serde_json::from_str(links.try_get(0)?)
        .map_err(|error| StoreError::Corrupt(format!("contacts.contact_id: {error}")))?;
    for (place, contact_id) in links {
        (placed[place].contact_id, placed[place].lane_key) = (Some(contact_id), contact_lane_key(contact_id));
    }
    Ok(placed)
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
