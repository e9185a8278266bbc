//! Chatwoot's JSON, as much of it as is used. Installations differ: unknown fields are accepted, a field of an
//! unexpected type counts as absent, and only a contact's id is required.

use std::fmt;

use secrecy::SecretString;
use serde_json::{Map, Value};

use super::failure::Misread;
use crate::contacts::{ContactId, Field};

/// A contact as Chatwoot shows it. Texts are `None` when null, absent or empty.
#[derive(Clone, Default, PartialEq)]
pub struct Contact {
    /// Unique across the installation.
    pub id: ContactId,
    /// The display name.
    pub name: Option<String>,
    /// In lower case.
    pub email: Option<String>,
    /// As it was stored, which is not always E.164.
    pub phone_number: Option<String>,
    /// The external identifier; compared by case.
    pub identifier: Option<String>,
    /// The address of Chatwoot's own copy of the picture; never the `avatar_url` that was sent.
    pub thumbnail: Option<String>,
    /// Not in answers of servers before v4.0.2.
    pub blocked: Option<bool>,
    /// May hold nulls.
    pub custom_attributes: Map<String, Value>,
    /// May hold nulls, and keys of the server's own.
    pub additional_attributes: Map<String, Value>,
}

impl Contact {
    /// The present value of a field; `None` when it has none: absent, null or an empty text. Of `avatar_url` it is the
    /// thumbnail, which says that there is a picture, but is not the address that was sent.
    pub fn field(&self, field: &Field) -> Option<Value> {
        let text = |value: &Option<String>| value.as_deref().map(Value::from);
        let attribute = |attributes: &Map<String, Value>, key: &str| {
            attributes.get(key).filter(|value| !value.is_null() && value.as_str() != Some("")).cloned()
        };
        match field {
            Field::Name => text(&self.name),
            Field::Email => text(&self.email),
            Field::PhoneNumber => text(&self.phone_number),
            Field::AvatarUrl => text(&self.thumbnail),
            Field::Custom(key) => attribute(&self.custom_attributes, key),
            Field::Additional(key) => attribute(&self.additional_attributes, key),
        }
    }

    /// `asked` stands in for an id that is absent.
    fn read(mut json: Map<String, Value>, asked: Option<ContactId>) -> Result<Self, Misread> {
        let id = match json.get("id") {
            Some(id) => id.as_i64(),
            None => asked,
        };
        let mut attributes = |key| match json.remove(key) {
            Some(Value::Object(attributes)) => attributes,
            _ => Map::new(),
        };
        let (custom_attributes, additional_attributes) =
            (attributes("custom_attributes"), attributes("additional_attributes"));
        let mut text = |key| match json.remove(key) {
            Some(Value::String(text)) if !text.is_empty() => Some(text),
            _ => None,
        };
        Ok(Self {
            id: id.ok_or(Misread::Shape)?,
            name: text("name"),
            email: text("email"),
            phone_number: text("phone_number"),
            identifier: text("identifier"),
            thumbnail: text("thumbnail"),
            blocked: json.get("blocked").and_then(Value::as_bool),
            custom_attributes,
            additional_attributes,
        })
    }
}

/// The id alone: everything else is personal.
impl fmt::Debug for Contact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Contact").field("id", &self.id).finish_non_exhaustive()
    }
}

/// One page of a list, a search or a filter.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Page {
    /// At most 15 on an unmodified server; none past the end.
    pub contacts: Vec<Contact>,
    /// `meta.count`. Of list and filter: the total over all pages. Of search since v4.11.0: the hits on this page.
    pub count: Option<u64>,
    /// `meta.has_more`, of search since v4.11.0.
    pub has_more: Option<bool>,
}

/// Who a token belongs to; nothing else is kept of an answer that also carries tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Profile {
    /// The user's id.
    pub id: i64,
    /// The role in the account last used.
    pub role: Option<String>,
    /// The accounts the user belongs to.
    pub accounts: Vec<Membership>,
}

/// A user's place in one account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Membership {
    /// The account's number.
    pub id: i64,
    /// The account's name.
    pub name: Option<String>,
    /// `active` or `suspended`.
    pub status: Option<String>,
    /// `administrator` or `agent`.
    pub role: Option<String>,
}

/// What the installation runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    /// As the server writes it, such as `4.15.1`; at most 64 characters.
    pub text: String,
    /// Major, minor and patch, where the text begins with numbers.
    pub number: Option<(u32, u32, u32)>,
    /// Whether its queue works, where it says so.
    pub queue_ok: Option<bool>,
    /// Whether its database works, where it says so.
    pub data_ok: Option<bool>,
}

impl Version {
    /// Whether this is known to be `major.minor.patch` or later.
    pub fn at_least(&self, major: u32, minor: u32, patch: u32) -> bool {
        self.number.is_some_and(|number| number >= (major, minor, patch))
    }
}

/// A webhook of Chatwoot's that was registered.
#[derive(Clone, Debug)]
pub struct Subscription {
    /// The webhook's id in Chatwoot.
    pub id: i64,
    /// What Chatwoot signs with; servers before v4.11.2 have none and sign nothing.
    pub secret: Option<SecretString>,
}

/// The contact in an answer. Update and show answer it as `payload`, create as `payload.contact` (and some documents
/// say so of update too), merge as the answer itself. `asked` is the id in the path, if there was one.
pub(super) fn contact(json: Value, asked: Option<ContactId>) -> Result<Contact, Misread> {
    let Value::Object(mut outer) = json else { return Err(Misread::Shape) };
    let contact = match outer.remove("payload") {
        Some(Value::Object(mut payload)) => match payload.remove("contact") {
            Some(Value::Object(contact)) => Contact::read(contact, asked)?,
            _ => Contact::read(payload, asked)?,
        },
        Some(_) => return Err(Misread::Shape),
        None => Contact::read(outer, None)?,
    };
    match asked {
        Some(asked) if asked != contact.id => Err(Misread::OtherContact),
        _ => Ok(contact),
    }
}

pub(super) fn page(json: Value) -> Result<Page, Misread> {
    let Value::Object(mut outer) = json else { return Err(Misread::Shape) };
    let Some(Value::Array(contacts)) = outer.remove("payload") else { return Err(Misread::Shape) };
    let contacts = contacts.into_iter().map(|contact| match contact {
        Value::Object(contact) => Contact::read(contact, None),
        _ => Err(Misread::Shape),
    });
    let meta = outer.get("meta");
    Ok(Page {
        contacts: contacts.collect::<Result<_, _>>()?,
        count: meta.and_then(|meta| meta.get("count")).and_then(Value::as_u64),
        has_more: meta.and_then(|meta| meta.get("has_more")).and_then(Value::as_bool),
    })
}

pub(super) fn labels(json: Value) -> Result<Vec<String>, Misread> {
    let Value::Object(mut outer) = json else { return Err(Misread::Shape) };
    outer.remove("payload").and_then(|labels| serde_json::from_value(labels).ok()).ok_or(Misread::Shape)
}

pub(super) fn profile(json: &Value) -> Result<Profile, Misread> {
    let accounts = json.get("accounts").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let membership = |account: &Value| {
        Some(Membership {
            id: account.get("id")?.as_i64()?,
            name: text(account, "name"),
            status: text(account, "status"),
            role: text(account, "role"),
        })
    };
    Ok(Profile {
        id: json.get("id").and_then(Value::as_i64).ok_or(Misread::Shape)?,
        role: text(json, "role"),
        accounts: accounts.iter().filter_map(membership).collect(),
    })
}

pub(super) fn version(json: &Value) -> Result<Version, Misread> {
    let text: String = json.get("version").and_then(Value::as_str).ok_or(Misread::Shape)?.chars().take(64).collect();
    let works = |key| json.get(key).and_then(Value::as_str).map(|state| state == "ok");
    Ok(Version {
        number: version_number(&text),
        text,
        queue_ok: works("queue_services"),
        data_ok: works("data_services"),
    })
}

/// `4.15.1`, `v4.15.1`, `4.15.1-ee`, `4.15`: what follows the numbers is left aside.
fn version_number(text: &str) -> Option<(u32, u32, u32)> {
    let text = text.trim_start_matches('v');
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let mut parts = text.get(..end)?.split('.');
    let major = parts.next()?.parse().ok()?;
    let mut next = || parts.next().map_or(Some(0), |part| part.parse().ok());
    Some((major, next()?, next()?))
}

pub(super) fn subscription(json: &Value) -> Result<Subscription, Misread> {
    let webhook = json.pointer("/payload/webhook").ok_or(Misread::Shape)?;
    Ok(Subscription {
        id: webhook.get("id").and_then(Value::as_i64).ok_or(Misread::Shape)?,
        secret: text(webhook, "secret").filter(|secret| !secret.is_empty()).map(SecretString::from),
    })
}

fn text(json: &Value, key: &str) -> Option<String> {
    json.get(key).and_then(Value::as_str).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn full() -> Value {
        json!({
            "additional_attributes": {"city": "Haifa"}, "availability_status": "offline", "email": "a@b.co", "id": 42,
            "name": "A", "phone_number": "+972771234567", "blocked": false, "identifier": "crm-1001", "thumbnail": "",
            "custom_attributes": {"plan": "gold", "old": null, "blank": ""}, "last_activity_at": 1_750_000_000,
            "conversations_count": 3, "contact_inboxes": []
        })
    }

    #[test]
    fn a_contact_is_found_in_every_shape_it_is_answered_in() {
        let flat = contact(json!({"payload": full()}), Some(42)).expect("readable");
        let nested =
            contact(json!({"payload": {"contact": full(), "contact_inbox": null}}), Some(42)).expect("readable");
        let bare = contact(full(), Some(42)).expect("readable");
        assert_eq!(flat, nested);
        assert_eq!(flat, bare);
        assert_eq!(flat.identifier.as_deref(), Some("crm-1001"));
        assert_eq!(flat.thumbnail, None);
    }

    #[test]
    fn an_update_that_echoes_another_contact_is_not_believed() {
        assert_eq!(contact(json!({"payload": full()}), Some(43)), Err(Misread::OtherContact));
        assert_eq!(contact(json!({"payload": {"name": "A"}}), Some(43)).expect("the id is not required").id, 43);
        assert_eq!(contact(json!({"payload": {"name": "A"}}), None), Err(Misread::Shape));
        assert_eq!(contact(json!({"payload": {"id": "42"}}), Some(42)), Err(Misread::Shape));
    }

    #[test]
    fn what_is_no_contact_is_not_read_as_one() {
        for json in
            [json!(null), json!([]), json!("ok"), json!({}), json!({"payload": [full()]}), json!({"success": true})]
        {
            assert_eq!(contact(json.clone(), Some(42)), Err(Misread::Shape), "{json}");
        }
    }

    #[test]
    fn fields_of_an_unexpected_type_count_as_absent() {
        let json = json!({"payload": {"id": 1, "name": 7, "email": null, "custom_attributes": null, "additional_attributes": "x"}});
        assert_eq!(contact(json, Some(1)), Ok(Contact { id: 1, ..Contact::default() }));
    }

    #[test]
    fn null_and_empty_values_are_no_values() {
        let contact = contact(json!({"payload": full()}), None).expect("readable");
        for (field, expected) in [
            (Field::Name, Some(json!("A"))),
            (Field::PhoneNumber, Some(json!("+972771234567"))),
            (Field::AvatarUrl, None),
            (Field::Custom("plan".into()), Some(json!("gold"))),
            (Field::Custom("old".into()), None),
            (Field::Custom("blank".into()), None),
            (Field::Custom("none".into()), None),
            (Field::Additional("city".into()), Some(json!("Haifa"))),
        ] {
            assert_eq!(contact.field(&field), expected, "{field}");
        }
    }

    #[test]
    fn a_page_is_read_with_what_it_says_of_the_rest() {
        let json =
            json!({"meta": {"count": 31, "current_page": "2", "has_more": true}, "payload": [full(), {"id": 43}]});
        let page = page(json).expect("readable");
        assert_eq!((page.contacts.len(), page.count, page.has_more), (2, Some(31), Some(true)));
        let empty = super::page(json!({"meta": {"count": null}, "payload": []})).expect("readable");
        assert_eq!(empty, Page::default());
        assert_eq!(super::page(json!({"payload": [{"name": "A"}]})), Err(Misread::Shape));
    }

    #[test]
    fn a_version_is_compared_by_number() {
        for (text, number) in [
            ("4.15.1", Some((4, 15, 1))),
            ("v4.2.0", Some((4, 2, 0))),
            ("4.15.1-ee.2", Some((4, 15, 1))),
            ("4.15", Some((4, 15, 0))),
            ("develop", None),
            ("", None),
        ] {
            assert_eq!(version_number(text), number, "{text}");
        }
        let version = version(&json!({"version": "4.15.1", "queue_services": "ok", "data_services": "failing"}))
            .expect("readable");
        assert!(version.at_least(4, 2, 0) && version.at_least(4, 15, 1) && !version.at_least(4, 15, 2));
        assert_eq!((version.queue_ok, version.data_ok), (Some(true), Some(false)));
    }

    #[test]
    fn a_profile_keeps_ids_roles_and_accounts_alone() {
        let profile = profile(&json!({
            "id": 7, "email": "dana@example.com", "access_token": "very-secret", "role": "agent",
            "accounts": [{"id": 1, "name": "Acme", "status": "active", "role": "administrator"}, {"name": "no id"}]
        }))
        .expect("readable");
        assert_eq!(profile.accounts.len(), 1);
        let shown = format!("{profile:?}");
        assert!(!shown.contains("very-secret") && !shown.contains("dana"));
    }

    #[test]
    fn personal_data_and_secrets_are_in_no_debug_output() {
        let contact = contact(json!({"payload": full()}), None).expect("readable");
        assert_eq!(format!("{contact:?}"), "Contact { id: 42, .. }");
        let subscription =
            subscription(&json!({"payload": {"webhook": {"id": 3, "secret": "very-secret"}}})).expect("readable");
        assert!(!format!("{subscription:?}").contains("very-secret"));
    }
}
