//! Finding contacts by exact keys: the body of a filter, and when its pages are done.

use std::{collections::HashSet, fmt};

use serde_json::{Value, json};

use super::wire::{Contact, Page};

/// The most pages of a filter that are read, 15 contacts each on an unmodified server. Keys match few contacts: more
/// than this is a server that ignores the conditions.
pub const MAX_FILTER_PAGES: u32 = 40;

/// One key to look for. The server compares identifiers and e-mail addresses without case: compare each hit with what
/// was looked for.
#[derive(Clone, PartialEq, Eq)]
pub struct Condition {
    /// `identifier`, `email` or `phone_number`.
    pub key: &'static str,
    /// What it shall equal; not blank.
    pub value: String,
}

/// Without the value, which is personal.
impl fmt::Debug for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Condition").field("key", &self.key).finish_non_exhaustive()
    }
}

/// Contacts that meet any of the conditions. `query_operator` joins a condition to the next one; the last has none.
pub(super) fn body(conditions: &[Condition]) -> Value {
    let last = conditions.len().saturating_sub(1);
    let payload: Vec<Value> = conditions
        .iter()
        .enumerate()
        .map(|(index, condition)| {
            json!({
                "attribute_key": condition.key,
                "filter_operator": "equal_to",
                "values": [condition.value],
                "query_operator": (index < last).then_some("OR"),
            })
        })
        .collect();
    json!({ "payload": payload })
}

/// The contacts of the pages so far, each once: a contact that changes between two pages can be on both.
#[derive(Debug, Default)]
pub(super) struct Gathering {
    contacts: Vec<Contact>,
    seen: HashSet<i64>,
}

impl Gathering {
    /// Takes a page and says whether there may be another. The size of a page is not relied on: the total decides, and
    /// where it is not told, or contacts moved between pages, a page that brings nothing new.
    pub(super) fn take(&mut self, page: Page) -> bool {
        let before = self.contacts.len();
        for contact in page.contacts {
            if self.seen.insert(contact.id) {
                self.contacts.push(contact);
            }
        }
        let complete = page.count.is_some_and(|count| self.contacts.len() as u64 >= count);
        !complete && self.contacts.len() > before
    }

    pub(super) fn finish(self) -> Vec<Contact> {
        self.contacts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(ids: impl IntoIterator<Item = i64>, count: Option<u64>) -> Page {
        let contacts = ids.into_iter().map(|id| Contact { id, ..Contact::default() }).collect();
        Page { contacts, count, has_more: None }
    }

    #[test]
    fn conditions_are_chained_by_or_and_the_last_has_no_operator() {
        let condition = |value: &str| Condition { key: "identifier", value: value.to_owned() };
        assert_eq!(
            body(&[condition("a"), condition("b")]),
            json!({"payload": [
                {"attribute_key": "identifier", "filter_operator": "equal_to", "values": ["a"], "query_operator": "OR"},
                {"attribute_key": "identifier", "filter_operator": "equal_to", "values": ["b"], "query_operator": null},
            ]})
        );
    }

    #[test]
    fn paging_ends_when_the_total_is_reached() {
        let mut gathering = Gathering::default();
        assert!(!Gathering::default().take(page([], Some(0))));
        assert!(gathering.take(page(0..15, Some(17))));
        assert!(!gathering.take(page(15..17, Some(17))));
        assert_eq!(gathering.finish().len(), 17);
    }

    #[test]
    fn without_a_total_paging_ends_with_a_page_that_brings_nothing_new() {
        let mut gathering = Gathering::default();
        assert!(gathering.take(page(0..15, None)));
        assert!(gathering.take(page(15..16, None)));
        assert!(!gathering.take(page([], None)));
        // A server that ignores the page number answers the same page for ever.
        let mut gathering = Gathering::default();
        assert!(gathering.take(page(0..15, Some(100))));
        assert!(!gathering.take(page(0..15, Some(100))));
    }

    #[test]
    fn a_contact_that_is_on_two_pages_counts_once() {
        let mut gathering = Gathering::default();
        assert!(gathering.take(page(0..15, Some(17))));
        assert!(gathering.take(page(14..16, Some(17))));
        assert!(!gathering.take(page([], Some(17))));
        assert_eq!(gathering.finish().len(), 16);
    }

    #[test]
    fn what_is_looked_for_is_not_in_debug_output() {
        let condition = Condition { key: "email", value: "dana@example.com".into() };
        assert!(!format!("{condition:?}").contains("dana"));
    }
}
