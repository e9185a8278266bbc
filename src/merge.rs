//! Which value of each field goes to Chatwoot, out of everything that waits for a contact and of what we wrote last.
//!
//! Pure. The order of two values of one field is their [`Precedence`]: policy first (`always` beats `if_ours` beats
//! `if_empty`), then effective time, then row id. The greatest wins, whatever order the webhooks arrived in.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::{
    clock::Timestamp,
    contacts::{Field, Fields, Policy},
};

/// A value, shortened to what is enough to tell it from another: half a SHA-256 of its JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ValueDigest(pub [u8; 16]);

impl ValueDigest {
    /// The digest of a value.
    pub fn of(value: &Value) -> Self {
        let full = Sha256::digest(value.to_string().as_bytes());
        let mut half = [0; 16];
        half.copy_from_slice(&full[..16]);
        Self(half)
    }
}

/// What decides between two values of one field; the greater wins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Precedence {
    /// How strong the source's word is.
    pub policy: Policy,
    /// The earlier of occurred and received.
    pub effective_at: Timestamp,
    /// The outbox row; breaks ties, so that a replay corrects what the same webhook wrote.
    pub row: i64,
}

/// An open row of a contact.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// Its id in the outbox.
    pub id: i64,
    /// The order key's time.
    pub effective_at: Timestamp,
    /// What it wants to write.
    pub fields: Fields,
    /// Policies of those fields that are not `always`.
    pub policies: BTreeMap<Field, Policy>,
}

impl Row {
    fn precedence(&self, field: &Field) -> Precedence {
        let policy = self.policies.get(field).copied().unwrap_or_default();
        Precedence { policy, effective_at: self.effective_at, row: self.id }
    }
}

/// What we last wrote to a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Written {
    /// Whose value it was.
    pub precedence: Precedence,
    /// The value; `None` when nothing is known to stand.
    pub digest: Option<ValueDigest>,
    /// A later call with this field got no answer, so it may hold something else by now.
    pub in_doubt: bool,
}

/// What we know of a contact besides its open rows.
#[derive(Clone, Debug, Default)]
pub struct Known {
    /// What we last wrote.
    pub written: BTreeMap<Field, Written>,
    /// Values that a person has to decide about; not sent again while they stay the same.
    pub parked: BTreeMap<Field, ValueDigest>,
}

/// What became of one field of one row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// A value with more precedence stands or goes instead.
    Superseded,
    /// It equals what we last wrote, or what the contact has.
    Unchanged,
    /// The policy leaves the contact's own value alone.
    Kept,
    /// The same value was refused before and waits for a person.
    Parked,
}

/// A value on its way.
#[derive(Clone, Debug, PartialEq)]
pub struct Winner {
    /// The value.
    pub value: Value,
    /// Whose it is.
    pub precedence: Precedence,
}

/// What to do for a contact.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plan {
    /// To be sent.
    pub send: BTreeMap<Field, Winner>,
    /// To be decided by what the contact has: see [`Plan::decide`].
    pub ask: BTreeMap<Field, Winner>,
    /// Decided without a call, by row.
    pub decided: BTreeMap<i64, BTreeMap<Field, Decision>>,
    /// Fields whose stored precedence moves up although nothing is sent: the same value, said again later.
    pub confirmed: BTreeMap<Field, Winner>,
}

/// Merges the open rows of one contact, field by field.
pub fn plan(rows: &[Row], known: &Known) -> Plan {
    let mut plan = Plan::default();
    let fields: BTreeSet<&Field> = rows.iter().flat_map(|row| row.fields.keys()).collect();
    for field in fields {
        let mut candidates: Vec<(Precedence, &Value)> =
            rows.iter().filter_map(|row| Some((row.precedence(field), row.fields.get(field)?))).collect();
        candidates.sort_unstable_by_key(|(precedence, _)| *precedence);
        let Some((precedence, value)) = candidates.pop() else { continue };
        for (loser, _) in candidates {
            plan.note(loser.row, field, Decision::Superseded);
        }
        plan.settle(field, Winner { value: value.clone(), precedence }, known);
    }
    plan
}

impl Plan {
    /// Whether nothing has to be sent or asked.
    pub fn is_settled(&self) -> bool {
        self.send.is_empty() && self.ask.is_empty()
    }

    /// The fields to send, as they go into the call.
    pub fn sending(&self) -> Fields {
        self.send.iter().map(|(field, winner)| (field.clone(), winner.value.clone())).collect()
    }

    /// Decides what had to be asked, now that the contact's present values are known.
    pub fn decide(&mut self, known: &Known, present: impl Fn(&Field) -> Value) {
        for (field, winner) in std::mem::take(&mut self.ask) {
            let has = present(&field);
            let ours = known.written.get(&field).filter(|written| !written.in_doubt).and_then(|written| written.digest);
            let may_write = is_blank(&has)
                || (winner.precedence.policy == Policy::IfOurs
                    && ours.is_some_and(|ours| ours == ValueDigest::of(&has)));
            if has == winner.value {
                self.note(winner.precedence.row, &field, Decision::Unchanged);
                self.confirmed.insert(field, winner);
            } else if may_write {
                self.send.insert(field, winner);
            } else {
                self.note(winner.precedence.row, &field, Decision::Kept);
            }
        }
    }

    /// Takes a field out of the call, because the server refuses it.
    pub fn park(&mut self, field: &Field) -> Option<Winner> {
        let winner = self.send.remove(field)?;
        self.note(winner.precedence.row, field, Decision::Parked);
        Some(winner)
    }

    fn settle(&mut self, field: &Field, winner: Winner, known: &Known) {
        let written = known.written.get(field);
        let digest = ValueDigest::of(&winner.value);
        if written.is_some_and(|written| winner.precedence < written.precedence) {
            self.note(winner.precedence.row, field, Decision::Superseded);
        } else if written.is_some_and(|written| !written.in_doubt && written.digest == Some(digest)) {
            self.note(winner.precedence.row, field, Decision::Unchanged);
            self.confirmed.insert(field.clone(), winner);
        } else if known.parked.get(field) == Some(&digest) {
            self.note(winner.precedence.row, field, Decision::Parked);
        } else if winner.precedence.policy == Policy::Always {
            self.send.insert(field.clone(), winner);
        } else {
            self.ask.insert(field.clone(), winner);
        }
    }

    fn note(&mut self, row: i64, field: &Field, decision: Decision) {
        self.decided.entry(row).or_default().insert(field.clone(), decision);
    }
}

/// What counts as no value: nothing, or an empty text.
fn is_blank(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.trim().is_empty(),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn row(id: i64, at: i64, name: &str, policy: Policy) -> Row {
        Row {
            id,
            effective_at: Timestamp::from_secs(at),
            fields: [(Field::Name, json!(name))].into(),
            policies: if policy == Policy::Always { BTreeMap::new() } else { [(Field::Name, policy)].into() },
        }
    }

    fn written(row: i64, at: i64, name: &str) -> Known {
        let precedence = Precedence { policy: Policy::Always, effective_at: Timestamp::from_secs(at), row };
        let written = Written { precedence, digest: Some(ValueDigest::of(&json!(name))), in_doubt: false };
        Known { written: [(Field::Name, written)].into(), parked: BTreeMap::new() }
    }

    #[test]
    fn the_newest_of_the_waiting_values_is_sent_and_the_others_are_superseded() {
        let rows = [row(1, 20, "new", Policy::Always), row(2, 10, "old", Policy::Always)];
        let plan = plan(&rows, &Known::default());
        assert_eq!(plan.send[&Field::Name].value, "new");
        assert_eq!(plan.decided[&2][&Field::Name], Decision::Superseded);
    }

    #[test]
    fn on_a_tie_of_times_the_later_row_wins() {
        let rows = [row(1, 10, "first", Policy::Always), row(2, 10, "replayed", Policy::Always)];
        assert_eq!(plan(&rows, &Known::default()).send[&Field::Name].value, "replayed");
    }

    #[test]
    fn a_value_older_than_what_we_wrote_is_superseded() {
        let plan = plan(&[row(9, 10, "old", Policy::Always)], &written(1, 20, "new"));
        assert!(plan.is_settled());
        assert_eq!(plan.decided[&9][&Field::Name], Decision::Superseded);
    }

    #[test]
    fn a_value_equal_to_what_we_wrote_makes_no_call_but_counts_as_said_later() {
        let plan = plan(&[row(9, 30, "new", Policy::Always)], &written(1, 20, "new"));
        assert!(plan.is_settled());
        assert_eq!(plan.decided[&9][&Field::Name], Decision::Unchanged);
        assert_eq!(plan.confirmed[&Field::Name].precedence.effective_at, Timestamp::from_secs(30));
    }

    #[test]
    fn a_value_in_doubt_is_sent_again_even_if_it_equals_what_we_wrote() {
        let mut known = written(1, 20, "new");
        known.written.get_mut(&Field::Name).unwrap().in_doubt = true;
        assert_eq!(plan(&[row(9, 30, "new", Policy::Always)], &known).send.len(), 1);
    }

    #[test]
    fn a_stronger_policy_beats_a_later_time() {
        let rows = [row(1, 10, "shop", Policy::Always), row(2, 20, "form", Policy::IfEmpty)];
        let plan = plan(&rows, &Known::default());
        assert_eq!(plan.send[&Field::Name].value, "shop");
        assert_eq!(plan.decided[&2][&Field::Name], Decision::Superseded);
    }

    #[test]
    fn if_empty_writes_only_where_the_contact_has_nothing() {
        let rows = [row(1, 10, "form", Policy::IfEmpty)];
        let mut empty = plan(&rows, &Known::default());
        empty.decide(&Known::default(), |_| json!(" "));
        assert_eq!(empty.send[&Field::Name].value, "form");
        let mut full = plan(&rows, &Known::default());
        full.decide(&Known::default(), |_| json!("agent"));
        assert_eq!(full.decided[&1][&Field::Name], Decision::Kept);
    }

    #[test]
    fn if_ours_writes_only_over_our_own_value() {
        let mut known = written(1, 10, "ours");
        known.written.get_mut(&Field::Name).unwrap().precedence.policy = Policy::IfOurs;
        let rows = [row(2, 20, "next", Policy::IfOurs)];
        let mut untouched = plan(&rows, &known);
        untouched.decide(&known, |_| json!("ours"));
        assert_eq!(untouched.send[&Field::Name].value, "next");
        let mut edited = plan(&rows, &known);
        edited.decide(&known, |_| json!("agent"));
        assert_eq!(edited.decided[&2][&Field::Name], Decision::Kept);
    }

    #[test]
    fn a_parked_value_is_not_sent_again_until_it_changes() {
        let known = Known { parked: [(Field::Name, ValueDigest::of(&json!("bad")))].into(), written: BTreeMap::new() };
        assert_eq!(plan(&[row(1, 1, "bad", Policy::Always)], &known).decided[&1][&Field::Name], Decision::Parked);
        assert_eq!(plan(&[row(1, 1, "good", Policy::Always)], &known).send.len(), 1);
    }

    proptest! {
        /// However the rows are cut into turns and shuffled, the value with the greatest precedence stands in the end.
        #[test]
        fn the_greatest_precedence_stands_in_the_end_whatever_the_order(
            values in prop::collection::vec((0_i64..50, 0_u8..4), 1..30),
            cut in 1_usize..10,
        ) {
            let rows: Vec<Row> = values.iter().enumerate()
                .map(|(index, (at, value))| row(i64::try_from(index).unwrap(), *at, &value.to_string(), Policy::Always))
                .collect();
            let mut known = Known::default();
            let mut stands = None;
            for turn in rows.chunks(cut) {
                let plan = plan(turn, &known);
                for (field, winner) in plan.send.iter().chain(&plan.confirmed) {
                    let digest = Some(ValueDigest::of(&winner.value));
                    known.written.insert(field.clone(), Written { precedence: winner.precedence, digest, in_doubt: false });
                    stands = Some(winner.value.clone());
                }
            }
            let newest = rows.iter().max_by_key(|row| row.precedence(&Field::Name)).unwrap();
            prop_assert_eq!(stands.as_ref(), newest.fields.get(&Field::Name));
        }
    }
}
