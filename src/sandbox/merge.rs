//! Merging two contacts: the base keeps its id and its values, and is filled from the other, which is deleted.

use serde_json::{Map, Value};

use super::{
    contacts::{ContactRecord, Contacts},
    failure::Failure,
    rules, typing,
};

/// Merges `mergee_id` into `base_id`; merging a contact into itself does nothing.
///
/// # Errors
/// [`Failure::NotFound`] when one of them is missing; a refused base leaves both as they were.
pub(super) fn merge(contacts: &mut Contacts, base_id: i64, mergee_id: i64) -> Result<ContactRecord, Failure> {
    let base = contacts.get(base_id).ok_or(Failure::NotFound)?.clone();
    let mergee = contacts.get(mergee_id).ok_or(Failure::NotFound)?.clone();
    if base_id == mergee_id {
        return Ok(base);
    }
    let combined = combine(base, &mergee);
    contacts.remove(mergee_id);
    rules::save(contacts, combined).inspect_err(|_| contacts.put(mergee))
}

fn combine(mut base: ContactRecord, mergee: &ContactRecord) -> ContactRecord {
    fill(&mut base.name, mergee.name.as_ref());
    fill(&mut base.email, mergee.email.as_ref());
    fill(&mut base.phone_number, mergee.phone_number.as_ref());
    fill(&mut base.identifier, mergee.identifier.as_ref());
    base.custom_attributes = deep_merged(&mergee.custom_attributes, &base.custom_attributes);
    base.additional_attributes = deep_merged(&mergee.additional_attributes, &base.additional_attributes);
    base.contact_inboxes.extend(mergee.contact_inboxes.iter().cloned());
    base
}

fn fill(text: &mut Option<String>, other: Option<&String>) {
    if text.as_deref().is_none_or(typing::is_blank)
        && let Some(other) = other.filter(|other| !typing::is_blank(other))
    {
        *text = Some(other.clone());
    }
}

fn deep_merged(under: &Map<String, Value>, over: &Map<String, Value>) -> Map<String, Value> {
    let mut merged = under.clone();
    for (key, value) in over {
        let value = match (under.get(key), value) {
            (Some(Value::Object(under)), Value::Object(over)) => Value::Object(deep_merged(under, over)),
            _ => value.clone(),
        };
        merged.insert(key.clone(), value);
    }
    merged
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::clock::Timestamp;

    fn contact(id: i64, name: &str, identifier: Option<&str>, attributes: &Value) -> ContactRecord {
        let mut record = ContactRecord::new(id, Timestamp::from_secs(1));
        record.name = Some(name.to_owned());
        record.identifier = identifier.map(str::to_owned);
        record.custom_attributes = attributes.as_object().unwrap().clone();
        record.labels = vec![format!("label-{id}")];
        record
    }

    #[test]
    fn the_base_wins_and_its_blanks_are_filled_the_identifier_included() {
        let mut contacts = Contacts::default();
        contacts.put(contact(1, "Base", None, &json!({"a": 1, "deep": {"x": 1}})));
        contacts.put(contact(2, "Mergee", Some("crm-2"), &json!({"a": 2, "b": 2, "deep": {"x": 2, "y": 2}})));
        let base = merge(&mut contacts, 1, 2).unwrap();
        assert_eq!((base.name.as_deref(), base.identifier.as_deref()), (Some("Base"), Some("crm-2")));
        assert_eq!(Value::Object(base.custom_attributes), json!({"a": 1, "b": 2, "deep": {"x": 1, "y": 2}}));
        assert_eq!(base.labels, ["label-1"], "labels do not move");
        assert!(contacts.get(2).is_none());
    }

    #[test]
    fn when_both_have_identifiers_that_of_the_mergee_is_gone() {
        let mut contacts = Contacts::default();
        contacts.put(contact(1, "Base", Some("crm-1"), &json!({})));
        contacts.put(contact(2, "Mergee", Some("crm-2"), &json!({})));
        assert_eq!(merge(&mut contacts, 1, 2).unwrap().identifier.as_deref(), Some("crm-1"));
        assert_eq!(contacts.with_identifier("crm-2").count(), 0);
    }

    #[test]
    fn a_contact_merged_into_itself_stays() {
        let mut contacts = Contacts::default();
        contacts.put(contact(1, "Base", Some("crm-1"), &json!({})));
        assert!(merge(&mut contacts, 1, 1).is_ok());
        assert!(contacts.get(1).is_some());
        assert_eq!(merge(&mut contacts, 1, 9), Err(Failure::NotFound));
    }

    #[test]
    fn a_refused_merge_leaves_both_contacts() {
        let mut contacts = Contacts::default();
        let mut base = contact(1, "Base", None, &json!({}));
        base.phone_number = Some("077".to_owned());
        contacts.put(base);
        contacts.put(contact(2, "Mergee", Some("crm-2"), &json!({})));
        assert!(merge(&mut contacts, 1, 2).is_err());
        assert_eq!(contacts.with_identifier("crm-2").collect::<Vec<_>>(), [2]);
    }
}
