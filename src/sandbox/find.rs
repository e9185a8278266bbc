//! Lists and searches: which contacts, in which order, and which page of them.

use std::cmp::Ordering;

use serde_json::Value;

use super::{
    contacts::{ContactRecord, Contacts},
    failure::Failure,
    typing,
};

/// Contacts on a page; no parameter changes it.
pub(super) const PAGE_SIZE: usize = 15;

/// The page a call asks for.
#[derive(Clone, Debug, Default)]
pub(super) struct Page(Option<String>);

impl Page {
    /// From the query's `page`.
    pub(super) fn new(parameter: Option<&str>) -> Self {
        Self(parameter.map(str::to_owned))
    }

    /// As `meta.current_page` shows it: the number 1 without a parameter, else the parameter as a text.
    pub(super) fn shown(&self) -> Value {
        self.0.as_deref().map_or(Value::from(1), Value::from)
    }

    fn number(&self) -> i64 {
        self.0.as_deref().map_or(1, |text| typing::leading_integer(text).unwrap_or(0))
    }

    /// The part of `ids` on this page; page 0 and texts are page 1.
    pub(super) fn cut<'a>(&self, ids: &'a [i64]) -> &'a [i64] {
        let skipped = usize::try_from(self.number().saturating_sub(1)).unwrap_or(0).saturating_mul(PAGE_SIZE);
        let rest = ids.get(skipped..).unwrap_or_default();
        &rest[..rest.len().min(PAGE_SIZE)]
    }

    /// As [`cut`](Self::cut), for the search, where the database refuses a page before the first.
    pub(super) fn cut_strictly<'a>(&self, ids: &'a [i64]) -> Result<&'a [i64], Failure> {
        if self.number() < 1 { Err(Failure::Internal) } else { Ok(self.cut(ids)) }
    }
}

/// An order that a call asks for by `sort=`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sort {
    by: SortBy,
    descending: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SortBy {
    Name,
    Email,
    PhoneNumber,
    LastActivityAt,
    CreatedAt,
    Additional(&'static str),
}

impl Sort {
    /// Reads `sort=`; an unknown one is no order at all.
    pub(super) fn read(parameter: Option<&str>) -> Option<Self> {
        let parameter = parameter?;
        let (name, descending) = parameter.strip_prefix('-').map_or((parameter, false), |name| (name, true));
        let by = match name {
            "name" => SortBy::Name,
            "email" => SortBy::Email,
            "phone_number" => SortBy::PhoneNumber,
            "last_activity_at" => SortBy::LastActivityAt,
            "created_at" => SortBy::CreatedAt,
            "company_name" => SortBy::Additional("company_name"),
            "city" => SortBy::Additional("city"),
            "country" => SortBy::Additional("country"),
            _ => return None,
        };
        Some(Self { by, descending })
    }

    /// Puts contacts, given in the order of the disk, in this order; equal ones stay as they lie, empty ones go last.
    fn apply(self, records: &mut [&ContactRecord]) {
        records.sort_by(|left, right| match (self.key(left), self.key(right)) {
            (Key::Nothing, Key::Nothing) => Ordering::Equal,
            (Key::Nothing, _) => Ordering::Greater,
            (_, Key::Nothing) => Ordering::Less,
            (left, right) if self.descending => right.cmp(&left),
            (left, right) => left.cmp(&right),
        });
    }

    fn key(self, record: &ContactRecord) -> Key<'_> {
        let text = |text: Option<&'_ str>| text.map_or(Key::Nothing, |text| Key::Text(text.to_owned().into()));
        match self.by {
            SortBy::Name => record.name.as_deref().map_or(Key::Nothing, |name| Key::Text(name.to_lowercase().into())),
            SortBy::Email => record.email.as_deref().map_or(Key::Nothing, |email| Key::Text(email.into())),
            SortBy::PhoneNumber => record.phone_number.as_deref().map_or(Key::Nothing, |phone| Key::Text(phone.into())),
            SortBy::LastActivityAt => record.last_activity_at.map_or(Key::Nothing, |at| Key::Moment(at.as_millis())),
            SortBy::CreatedAt => Key::Moment(record.created_at.as_millis()),
            SortBy::Additional(key) => text(record.additional_attributes.get(key).and_then(Value::as_str)),
        }
    }
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Key<'a> {
    Nothing,
    Moment(i64),
    Text(std::borrow::Cow<'a, str>),
}

/// Which contacts lists and filters show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shown {
    /// Those with an e-mail, a phone or an identifier.
    Resolved,
    /// Leads only (the feature `crm_v2`): identifier-only contacts vanish.
    Leads,
}

impl Shown {
    /// Whether a list shows this contact.
    pub(super) fn shows(self, record: &ContactRecord) -> bool {
        match self {
            Self::Resolved => record.is_resolved(),
            Self::Leads => record.lead,
        }
    }
}

/// Remembers the last whole list, so that paging through it does not sort it anew for each page.
#[derive(Debug, Default)]
pub(super) struct ListCache(Option<(u64, Option<Sort>, Shown, Vec<i64>)>);

impl ListCache {
    /// All contacts that a list shows, in order.
    pub(super) fn ids(&mut self, contacts: &Contacts, shown: Shown, sort: Option<Sort>) -> &[i64] {
        let fresh = |known: &(u64, Option<Sort>, Shown, Vec<i64>)| {
            (known.0, known.1, known.2) == (contacts.generation(), sort, shown)
        };
        if !self.0.as_ref().is_some_and(fresh) {
            let ids = sorted(contacts.in_heap_order().filter(|record| shown.shows(record)), sort);
            self.0 = Some((contacts.generation(), sort, shown, ids));
        }
        self.0.as_ref().map_or(&[], |known| &known.3)
    }
}

/// The ids of these contacts, in order.
pub(super) fn sorted<'a>(records: impl Iterator<Item = &'a ContactRecord>, sort: Option<Sort>) -> Vec<i64> {
    let mut records: Vec<&ContactRecord> = records.collect();
    if let Some(sort) = sort {
        sort.apply(&mut records);
    }
    records.into_iter().map(|record| record.id).collect()
}

/// Whether a search for `q` (trimmed by the caller) hits the contact: name, e-mail, phone in any case, the identifier
/// case-sensitively. `company_name` counts only for servers up to 4.10.
pub(super) fn hits(record: &ContactRecord, q: &str, with_company: bool) -> bool {
    let pattern = format!("%{q}%");
    let folded = pattern.to_lowercase();
    let any_case = |text: Option<&str>| text.is_some_and(|text| like(&text.to_lowercase(), &folded));
    any_case(record.name.as_deref())
        || any_case(record.email.as_deref())
        || any_case(record.phone_number.as_deref())
        || record.identifier.as_deref().is_some_and(|identifier| like(identifier, &pattern))
        || (with_company && any_case(record.additional_attributes.get("company_name").and_then(Value::as_str)))
}

/// SQL's LIKE: `%` is any text, `_` any character, a backslash takes the next character as it is.
pub(super) fn like(text: &str, pattern: &str) -> bool {
    let text: Vec<char> = text.chars().collect();
    let pattern = tokens(pattern);
    let (mut t, mut p) = (0, 0);
    let mut retry: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some(Token::Any) => {
                retry = Some((p + 1, t));
                p += 1;
            }
            Some(token) if token.takes(text[t]) => {
                t += 1;
                p += 1;
            }
            _ => match retry {
                Some((after, from)) => {
                    retry = Some((after, from + 1));
                    (p, t) = (after, from + 1);
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|token| matches!(token, Token::Any))
}

#[derive(Clone, Copy)]
enum Token {
    Any,
    One,
    Just(char),
}

impl Token {
    fn takes(self, c: char) -> bool {
        match self {
            Self::Any => false,
            Self::One => true,
            Self::Just(just) => just == c,
        }
    }
}

fn tokens(pattern: &str) -> Vec<Token> {
    let mut chars = pattern.chars();
    let mut tokens = Vec::new();
    while let Some(c) = chars.next() {
        tokens.push(match c {
            '%' => Token::Any,
            '_' => Token::One,
            '\\' => Token::Just(chars.next().unwrap_or('\\')),
            c => Token::Just(c),
        });
    }
    tokens
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;

    #[test]
    fn percent_and_underscore_are_wildcards() {
        assert!(like("crm_1", "%crm_1%"));
        assert!(like("crmx1", "%crm_1%"), "an underscore is common in ids, and matches anything");
        assert!(!like("crmx1", r"%crm\_1%"));
        assert!(like("abcabd", "%abd"));
        assert!(!like("abc", "ab"));
        assert!(like("", "%"));
    }

    #[test]
    fn a_search_ignores_case_except_in_identifiers() {
        let mut record = ContactRecord::new(1, Timestamp::from_secs(1));
        record.name = Some("Dana".to_owned());
        record.identifier = Some("CRM-1".to_owned());
        assert!(hits(&record, "dAN", false));
        assert!(hits(&record, "CRM", false));
        assert!(!hits(&record, "crm", false));
    }

    #[test]
    fn page_0_and_texts_are_the_first_page_but_an_error_in_a_search() {
        let ids: Vec<i64> = (1..=20).collect();
        for first in [None, Some("0"), Some("x"), Some("1")] {
            assert_eq!(Page::new(first).cut(&ids).len(), 15, "{first:?}");
        }
        assert_eq!(Page::new(Some("2")).cut(&ids), [16, 17, 18, 19, 20]);
        assert!(Page::new(Some("3")).cut(&ids).is_empty());
        assert!(Page::new(Some("9223372036854775807")).cut(&ids).is_empty());
        assert_eq!(Page::new(Some("0")).cut_strictly(&ids), Err(Failure::Internal));
    }

    #[test]
    fn sorting_puts_contacts_without_a_value_last_in_both_directions() {
        let mut contacts = Contacts::default();
        for (id, name) in [(1, None), (2, Some("b")), (3, Some("A"))] {
            let mut record = ContactRecord::new(id, Timestamp::from_secs(1));
            record.name = name.map(str::to_owned);
            contacts.put(record);
        }
        assert_eq!(sorted(contacts.in_heap_order(), Sort::read(Some("name"))), [3, 2, 1]);
        assert_eq!(sorted(contacts.in_heap_order(), Sort::read(Some("-name"))), [2, 3, 1]);
        assert_eq!(sorted(contacts.in_heap_order(), Sort::read(Some("id"))), [1, 2, 3]);
    }

    #[test]
    fn the_feature_crm_v2_hides_contacts_that_have_only_an_identifier() {
        let mut record = ContactRecord::new(1, Timestamp::from_secs(1));
        record.identifier = Some("x".to_owned());
        record.settle_type();
        assert!(Shown::Resolved.shows(&record) && !Shown::Leads.shows(&record));
    }
}
