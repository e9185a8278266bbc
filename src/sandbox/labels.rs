//! Labels of a contact: a list that is replaced as a whole, also by a body without one.

use serde_json::{Map, Value};

use super::{
    contacts::{ContactRecord, Contacts},
    failure::Failure,
    rules,
    typing::{self, Cast},
};

/// Replaces the labels of a contact by those of the body; a missing, null or odd list clears them.
pub(super) fn replace(
    contacts: &mut Contacts,
    mut record: ContactRecord,
    params: &Map<String, Value>,
) -> Result<ContactRecord, Failure> {
    if params.get("labels").is_some_and(typing::has_nul) {
        return Err(Failure::Internal);
    }
    let sent = params.get("labels").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let mut labels: Vec<String> = Vec::new();
    for label in sent.iter().filter_map(scalar).flat_map(|text| split(&text)) {
        let tag = contacts.tag(&label);
        if !labels.contains(&tag) {
            labels.push(tag);
        }
    }
    record.labels = labels;
    rules::save(contacts, record)
}

fn scalar(value: &Value) -> Option<String> {
    match typing::text(Some(value)) {
        Cast::To(text) => Some(text),
        Cast::Null | Cast::Dropped => None,
    }
}

/// One text as labels: commas split it, unless they stand inside quotes.
fn split(text: &str) -> Vec<String> {
    let mut labels = vec![String::new()];
    let mut quote = None;
    for c in text.chars() {
        let fresh = labels.last().is_some_and(|label| typing::is_blank(label));
        match (quote, c) {
            (None, '"' | '\'') if fresh => quote = Some(c),
            (Some(open), _) if open == c => quote = None,
            (None, ',') => labels.push(String::new()),
            _ => {
                if let Some(label) = labels.last_mut() {
                    label.push(c);
                }
            }
        }
    }
    labels.into_iter().map(|label| label.trim().to_owned()).filter(|label| !label.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::clock::Timestamp;

    fn labels_after(contacts: &mut Contacts, body: &Value) -> Vec<String> {
        let record = contacts.get(1).unwrap().clone();
        replace(contacts, record, body.as_object().unwrap()).unwrap().labels
    }

    #[test]
    fn labels_are_replaced_and_a_body_without_them_clears_them() {
        let mut contacts = Contacts::default();
        contacts.put(ContactRecord::new(1, Timestamp::from_secs(1)));
        assert_eq!(labels_after(&mut contacts, &json!({"labels": ["a", "b"]})), ["a", "b"]);
        assert_eq!(labels_after(&mut contacts, &json!({"labels": ["c"]})), ["c"]);
        for clearing in [json!({"labels": []}), json!({}), json!({"labels": null}), json!({"lables": ["a"]})] {
            labels_after(&mut contacts, &json!({"labels": ["a"]}));
            assert!(labels_after(&mut contacts, &clearing).is_empty(), "{clearing}");
        }
    }

    #[test]
    fn a_comma_splits_a_label_unless_it_is_quoted() {
        assert_eq!(split("vip, gold"), ["vip", "gold"]);
        assert_eq!(split("\"vip, gold\""), ["vip, gold"]);
        assert_eq!(split("it's"), ["it's"]);
    }

    #[test]
    fn an_existing_label_keeps_its_own_case() {
        let mut contacts = Contacts::default();
        contacts.put(ContactRecord::new(1, Timestamp::from_secs(1)));
        labels_after(&mut contacts, &json!({"labels": ["VIP"]}));
        assert_eq!(labels_after(&mut contacts, &json!({"labels": ["vip", "Vip"]})), ["VIP"]);
    }
}
