//! The contacts in memory and their indexes. Knows nothing of rules: whatever is put is kept, so that data can be
//! seeded that today's server would refuse.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::clock::Timestamp;

/// Contacts kept at most; a create beyond it is answered 500. Keeps memory bounded.
pub(super) const MAX_CONTACTS: usize = 500_000;

/// A contact as the sandbox holds it. Its people are made up, so it shows itself fully in a failing test.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ContactRecord {
    /// The id, from 1.
    pub id: i64,
    /// The display name; may be empty.
    pub name: Option<String>,
    /// The e-mail address; lower case when it came by the API.
    pub email: Option<String>,
    /// The phone number as it was sent.
    pub phone_number: Option<String>,
    /// The external identifier as it was sent.
    pub identifier: Option<String>,
    /// Whether the contact is blocked.
    pub blocked: bool,
    /// Free attributes.
    pub custom_attributes: Map<String, Value>,
    /// Attributes of the server's own, such as `city` and `avatar_url_hash`.
    pub additional_attributes: Map<String, Value>,
    /// The labels; no answer about a contact shows them.
    pub labels: Vec<String>,
    /// The picture's URL that was last really tried; one that was skipped does not appear here.
    pub avatar_url: Option<String>,
    /// Whether the contact is online now, which forbids deleting.
    pub online: bool,
    /// Whether the contact is a lead, not a visitor: it once had an e-mail, a phone or a `social_*` attribute.
    pub lead: bool,
    /// When it was made; milliseconds in JSON.
    pub created_at: Timestamp,
    /// When it last did something, if ever; milliseconds in JSON.
    pub last_activity_at: Option<Timestamp>,
    /// Its links to inboxes.
    pub contact_inboxes: Vec<ContactInbox>,
}

impl ContactRecord {
    /// A contact with nothing but an id. The name's column defaults to the empty text.
    pub(super) fn new(id: i64, created_at: Timestamp) -> Self {
        Self {
            id,
            name: Some(String::new()),
            email: None,
            phone_number: None,
            identifier: None,
            blocked: false,
            custom_attributes: Map::new(),
            additional_attributes: Map::new(),
            labels: Vec::new(),
            avatar_url: None,
            online: false,
            lead: false,
            created_at,
            last_activity_at: None,
            contact_inboxes: Vec::new(),
        }
    }

    /// Whether lists and filters show it: some key is not empty.
    pub(super) fn is_resolved(&self) -> bool {
        [&self.email, &self.phone_number, &self.identifier].into_iter().flatten().any(|key| !key.is_empty())
    }

    /// Turns a visitor that has a way to be reached into a lead; a lead stays one.
    pub(super) fn settle_type(&mut self) {
        let filled = |text: &Option<String>| text.as_deref().is_some_and(|text| !text.is_empty());
        let social =
            || self.additional_attributes.iter().any(|(key, value)| key.starts_with("social_") && !value.is_null());
        self.lead = self.lead || filled(&self.email) || filled(&self.phone_number) || social();
    }
}

/// A contact's link to an inbox.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ContactInbox {
    /// The inbox.
    pub inbox_id: i64,
    /// The contact's name there.
    pub source_id: String,
}

/// A contact to seed, as it is: no rule is applied.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NewContact {
    /// The id to take; the next free one when `None` or taken.
    pub id: Option<i64>,
    /// See [`ContactRecord::name`].
    pub name: Option<String>,
    /// See [`ContactRecord::email`].
    pub email: Option<String>,
    /// See [`ContactRecord::phone_number`].
    pub phone_number: Option<String>,
    /// See [`ContactRecord::identifier`].
    pub identifier: Option<String>,
    /// See [`ContactRecord::blocked`].
    pub blocked: bool,
    /// See [`ContactRecord::custom_attributes`].
    pub custom_attributes: Map<String, Value>,
    /// See [`ContactRecord::additional_attributes`].
    pub additional_attributes: Map<String, Value>,
    /// See [`ContactRecord::labels`].
    pub labels: Vec<String>,
    /// See [`ContactRecord::online`].
    pub online: bool,
    /// See [`ContactRecord::created_at`]; now when `None`.
    pub created_at: Option<Timestamp>,
    /// See [`ContactRecord::last_activity_at`].
    pub last_activity_at: Option<Timestamp>,
}

/// All contacts of the account.
#[derive(Debug, Default)]
pub(super) struct Contacts {
    rows: HashMap<i64, Row>,
    /// Rows as they lie on the disk of a real server: a changed row moves to the end.
    heap: BTreeMap<u64, i64>,
    emails: Index,
    phones: Index,
    identifiers: Index,
    folded_identifiers: Index,
    links: HashMap<(i64, String), i64>,
    tags: HashMap<String, String>,
    last_id: i64,
    last_place: u64,
}

#[derive(Debug)]
struct Row {
    place: u64,
    record: ContactRecord,
}

impl Contacts {
    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    /// A number that changes with every change of any contact.
    pub(super) fn generation(&self) -> u64 {
        self.last_place
    }

    /// The contact with this id.
    pub(super) fn get(&self, id: i64) -> Option<&ContactRecord> {
        self.rows.get(&id).map(|row| &row.record)
    }

    /// Takes the next free id.
    pub(super) fn take_id(&mut self) -> i64 {
        self.last_id += 1;
        self.last_id
    }

    /// Keeps the contact as it is, in place of the one with its id, if any.
    pub(super) fn put(&mut self, record: ContactRecord) {
        let id = record.id;
        if self.get(id) == Some(&record) {
            return;
        }
        self.remove(id);
        self.last_place += 1;
        self.last_id = self.last_id.max(id);
        self.heap.insert(self.last_place, id);
        if let Some(email) = &record.email {
            self.emails.add(&email.to_lowercase(), id);
        }
        if let Some(phone) = &record.phone_number {
            self.phones.add(phone, id);
        }
        if let Some(identifier) = &record.identifier {
            self.identifiers.add(identifier, id);
            self.folded_identifiers.add(&identifier.to_lowercase(), id);
        }
        for link in &record.contact_inboxes {
            self.links.insert((link.inbox_id, link.source_id.clone()), id);
        }
        self.rows.insert(id, Row { place: self.last_place, record });
    }

    /// Forgets the contact with this id.
    pub(super) fn remove(&mut self, id: i64) -> Option<ContactRecord> {
        let Row { place, record } = self.rows.remove(&id)?;
        self.last_place += 1;
        self.heap.remove(&place);
        if let Some(email) = &record.email {
            self.emails.forget(&email.to_lowercase(), id);
        }
        if let Some(phone) = &record.phone_number {
            self.phones.forget(phone, id);
        }
        if let Some(identifier) = &record.identifier {
            self.identifiers.forget(identifier, id);
            self.folded_identifiers.forget(&identifier.to_lowercase(), id);
        }
        for link in &record.contact_inboxes {
            self.links.remove(&(link.inbox_id, link.source_id.clone()));
        }
        Some(record)
    }

    /// All contacts in the order of the disk: what a query without ORDER BY gives.
    pub(super) fn in_heap_order(&self) -> impl Iterator<Item = &ContactRecord> {
        self.heap.values().filter_map(|id| self.get(*id))
    }

    /// These contacts in the order of the disk.
    pub(super) fn order_by_place(&self, ids: impl IntoIterator<Item = i64>) -> Vec<i64> {
        let placed: BTreeMap<u64, i64> =
            ids.into_iter().filter_map(|id| Some((self.rows.get(&id)?.place, id))).collect();
        placed.into_values().collect()
    }

    /// Who has this e-mail, in any case.
    pub(super) fn with_email<'a>(&'a self, email: &str) -> impl Iterator<Item = i64> + use<'a> {
        self.emails.holders(&email.to_lowercase())
    }

    /// Who has exactly this phone number.
    pub(super) fn with_phone<'a>(&'a self, phone: &str) -> impl Iterator<Item = i64> + use<'a> {
        self.phones.holders(phone)
    }

    /// Who has exactly this identifier.
    pub(super) fn with_identifier<'a>(&'a self, identifier: &str) -> impl Iterator<Item = i64> + use<'a> {
        self.identifiers.holders(identifier)
    }

    /// Who has this identifier, in any case.
    pub(super) fn with_folded_identifier<'a>(&'a self, identifier: &str) -> impl Iterator<Item = i64> + use<'a> {
        self.folded_identifiers.holders(&identifier.to_lowercase())
    }

    /// The contact that is linked to the inbox under this source id.
    pub(super) fn linked(&self, inbox_id: i64, source_id: &str) -> Option<i64> {
        self.links.get(&(inbox_id, source_id.to_owned())).copied()
    }

    /// The tag for a label: an existing one of another case keeps its own case.
    pub(super) fn tag(&mut self, label: &str) -> String {
        self.tags.entry(label.to_lowercase()).or_insert_with(|| label.to_owned()).clone()
    }
}

/// Which contacts hold a text.
#[derive(Debug, Default)]
struct Index(HashMap<String, BTreeSet<i64>>);

impl Index {
    fn add(&mut self, text: &str, id: i64) {
        self.0.entry(text.to_owned()).or_default().insert(id);
    }

    fn forget(&mut self, text: &str, id: i64) {
        if let Some(ids) = self.0.get_mut(text) {
            ids.remove(&id);
            if ids.is_empty() {
                self.0.remove(text);
            }
        }
    }

    fn holders<'a>(&'a self, text: &str) -> impl Iterator<Item = i64> + use<'a> {
        self.0.get(text).into_iter().flatten().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contact(id: i64, identifier: &str) -> ContactRecord {
        let mut record = ContactRecord::new(id, Timestamp::from_secs(1));
        record.identifier = Some(identifier.to_owned());
        record
    }

    #[test]
    fn a_changed_contact_leaves_no_trace_in_the_indexes() {
        let mut contacts = Contacts::default();
        contacts.put(contact(1, "A"));
        contacts.put(contact(1, "B"));
        assert_eq!(contacts.with_identifier("A").count(), 0);
        assert_eq!(contacts.with_folded_identifier("b").collect::<Vec<_>>(), [1]);
        contacts.remove(1);
        assert_eq!(contacts.with_identifier("B").count(), 0);
        assert_eq!(contacts.len(), 0);
    }

    #[test]
    fn without_an_order_a_changed_contact_moves_to_the_end() {
        let mut contacts = Contacts::default();
        contacts.put(contact(1, "A"));
        contacts.put(contact(2, "B"));
        contacts.put(contact(1, "C"));
        assert_eq!(contacts.in_heap_order().map(|contact| contact.id).collect::<Vec<_>>(), [2, 1]);
    }

    #[test]
    fn writing_what_is_there_already_changes_nothing() {
        let mut contacts = Contacts::default();
        contacts.put(contact(1, "A"));
        let before = contacts.generation();
        contacts.put(contact(1, "A"));
        assert_eq!(contacts.generation(), before);
    }
}
