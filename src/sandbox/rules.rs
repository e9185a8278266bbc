//! What the server takes from a create or an update, and what it refuses. The whole record is validated each time, so
//! that an old contact with a bad phone refuses every change.

use serde_json::{Map, Value};

use super::{
    contacts::{ContactRecord, Contacts},
    failure::{Failure, Invalid},
    typing::{self, Cast},
};

/// Characters a text column takes at most.
const MAX_TEXT: usize = 255;

/// What a body asks to change; all other keys are ignored.
#[derive(Debug, Default)]
pub(super) struct Change {
    name: Cast<String>,
    email: Cast<String>,
    phone_number: Cast<String>,
    identifier: Cast<String>,
    blocked: Cast<bool>,
    custom_attributes: Option<Map<String, Value>>,
    additional_attributes: Option<Map<String, Value>>,
    avatar_url: Option<String>,
}

impl Change {
    /// Reads a body's top level.
    ///
    /// # Errors
    /// [`Failure::Internal`] when a taken text has a NUL character.
    pub(super) fn read(params: &Map<String, Value>) -> Result<Self, Failure> {
        const TAKEN: [&str; 7] =
            ["name", "email", "phone_number", "identifier", "avatar_url", "custom_attributes", "additional_attributes"];
        if TAKEN.iter().any(|key| params.get(*key).is_some_and(typing::has_nul)) {
            return Err(Failure::Internal);
        }
        let avatar_url = match typing::text(params.get("avatar_url")) {
            Cast::To(url) if !typing::is_blank(&url) => Some(url),
            _ => None,
        };
        Ok(Self {
            name: typing::text(params.get("name")),
            email: typing::text(params.get("email")),
            phone_number: typing::text(params.get("phone_number")),
            identifier: typing::text(params.get("identifier")),
            blocked: typing::boolean(params.get("blocked")),
            custom_attributes: typing::object(params.get("custom_attributes")),
            additional_attributes: typing::object(params.get("additional_attributes")),
            avatar_url,
        })
    }

    /// The picture to fetch once the contact is saved.
    pub(super) fn avatar_url(&self) -> Option<&str> {
        self.avatar_url.as_deref()
    }

    /// Writes the change into a contact, unchecked.
    fn assign(&self, record: &mut ContactRecord, additional: Additional) {
        set(&mut record.name, &self.name);
        set(&mut record.email, &self.email);
        set(&mut record.phone_number, &self.phone_number);
        set(&mut record.identifier, &self.identifier);
        if let Cast::To(blocked) = self.blocked {
            record.blocked = blocked;
        }
        if let Some(attributes) = &self.custom_attributes {
            record.custom_attributes.extend(attributes.clone());
        }
        if let Some(attributes) = &self.additional_attributes {
            match additional {
                Additional::Merged => record.additional_attributes.extend(attributes.clone()),
                Additional::Replaced => record.additional_attributes.clone_from(attributes),
            }
        }
    }
}

/// What becomes of `additional_attributes` on update.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Additional {
    /// Merged by key: servers of 4.2.0 and later.
    Merged,
    /// Replaced as a whole: older servers.
    Replaced,
}

/// Applies a change to a contact and saves it, or changes nothing.
///
/// # Errors
/// [`Failure::Invalid`] for failed validations, [`Failure::Internal`] for what only the database refuses.
pub(super) fn save_change(
    contacts: &mut Contacts,
    mut record: ContactRecord,
    change: &Change,
    additional: Additional,
) -> Result<ContactRecord, Failure> {
    change.assign(&mut record, additional);
    let record = checked(contacts, record)?;
    if change.blocked == Cast::Null {
        return Err(Failure::Internal); // the column is NOT NULL
    }
    contacts.put(record.clone());
    Ok(record)
}

/// Validates and saves a contact as it is.
pub(super) fn save(contacts: &mut Contacts, record: ContactRecord) -> Result<ContactRecord, Failure> {
    let record = checked(contacts, record)?;
    contacts.put(record.clone());
    Ok(record)
}

/// The contact as it would be saved, once every rule is content.
pub(super) fn checked(contacts: &Contacts, mut record: ContactRecord) -> Result<ContactRecord, Failure> {
    record.email = record.email.filter(|email| !typing::is_blank(email)).map(|email| email.to_lowercase());
    validate(contacts, &record).into_result()?;
    // A blank identifier skips the validation, but not the unique index.
    if let Some(identifier) = &record.identifier
        && contacts.with_identifier(identifier).any(|id| id != record.id)
    {
        return Err(Failure::Internal);
    }
    record.settle_type();
    Ok(record)
}

fn validate(contacts: &Contacts, record: &ContactRecord) -> Invalid {
    let mut invalid = Invalid::default();
    let texts = [
        ("name", "Name", &record.name),
        ("email", "Email", &record.email),
        ("phone_number", "Phone number", &record.phone_number),
        ("identifier", "Identifier", &record.identifier),
    ];
    for (attribute, label, text) in texts {
        if text.as_ref().is_some_and(|text| text.chars().count() > MAX_TEXT) {
            invalid.add(attribute, format!("{label} is too long (maximum is {MAX_TEXT} characters)"));
        }
    }
    let filled = |text: &Option<String>| text.clone().filter(|text| !typing::is_blank(text));
    if let Some(email) = filled(&record.email) {
        if contacts.with_email(&email).any(|id| id != record.id) {
            invalid.add("email", "Email has already been taken");
        }
        if !is_email(&email) {
            invalid.add("email", "Email Invalid email");
        }
    }
    if let Some(identifier) = filled(&record.identifier)
        && contacts.with_identifier(&identifier).any(|id| id != record.id)
    {
        invalid.add("identifier", "Identifier has already been taken");
    }
    if let Some(phone) = filled(&record.phone_number) {
        if contacts.with_phone(&phone).any(|id| id != record.id) {
            invalid.add("phone_number", "Phone number has already been taken");
        }
        if !is_phone(&phone) {
            invalid.add("phone_number", "Phone number should be in e164 format");
        }
    }
    invalid
}

/// Overwrites a text when something was taken for it.
fn set(text: &mut Option<String>, cast: &Cast<String>) {
    match cast {
        Cast::Dropped => {}
        Cast::Null => *text = None,
        Cast::To(value) => *text = Some(value.clone()),
    }
}

/// `\A[^@\s]+@[^@\s]+\z`
fn is_email(text: &str) -> bool {
    let space = |c: char| matches!(c, ' ' | '\t' | '\r' | '\n' | '\x0b' | '\x0c');
    text.split_once('@').is_some_and(|(local, domain)| {
        !local.is_empty() && !domain.is_empty() && !domain.contains('@') && !text.contains(space)
    })
}

/// `\+[1-9]\d{1,14}\z`, anchored at the end only: anything may stand before the last plus sign.
fn is_phone(text: &str) -> bool {
    text.rsplit_once('+').is_some_and(|(_, digits)| {
        (2..=15).contains(&digits.len()) && !digits.starts_with('0') && digits.bytes().all(|byte| byte.is_ascii_digit())
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::clock::Timestamp;

    fn contacts_with(records: &[(&str, &str)]) -> Contacts {
        let mut contacts = Contacts::default();
        for (field, value) in records {
            let mut record = ContactRecord::new(contacts.take_id(), Timestamp::from_secs(1));
            let value = Some((*value).to_owned());
            match *field {
                "email" => record.email = value,
                "identifier" => record.identifier = value,
                "phone_number" => record.phone_number = value,
                _ => record.name = value,
            }
            contacts.put(record);
        }
        contacts
    }

    fn update(contacts: &mut Contacts, id: i64, body: &Value) -> Result<ContactRecord, Failure> {
        let record = contacts.get(id).unwrap().clone();
        save_change(contacts, record, &Change::read(body.as_object().unwrap())?, Additional::Merged)
    }

    fn refused(result: Result<ContactRecord, Failure>) -> (String, Vec<&'static str>) {
        match result {
            Err(Failure::Invalid(invalid)) => (invalid.message(), invalid.attributes().to_vec()),
            other => panic!("expected a failed validation, not {other:?}"),
        }
    }

    #[test]
    fn a_name_is_stored_as_sent_also_empty_and_null() {
        let mut contacts = contacts_with(&[("name", "A")]);
        for (sent, stored) in [(json!(" B "), Some(" B ")), (json!(""), Some("")), (Value::Null, None)] {
            assert_eq!(update(&mut contacts, 1, &json!({"name": sent})).unwrap().name.as_deref(), stored);
        }
    }

    #[test]
    fn an_email_is_lower_cased_but_not_trimmed_and_blank_is_null() {
        let mut contacts = contacts_with(&[("name", "A")]);
        assert_eq!(update(&mut contacts, 1, &json!({"email": "A@B.Co"})).unwrap().email.as_deref(), Some("a@b.co"));
        let (message, attributes) = refused(update(&mut contacts, 1, &json!({"email": " a@b.co"})));
        assert_eq!((message.as_str(), attributes), ("Email Invalid email", vec!["email"]));
        assert_eq!(update(&mut contacts, 1, &json!({"email": "  "})).unwrap().email, None);
    }

    #[test]
    fn an_email_is_unique_in_any_case() {
        let mut contacts = contacts_with(&[("email", "a@b.co"), ("name", "B")]);
        let (message, attributes) = refused(update(&mut contacts, 2, &json!({"email": "A@B.CO"})));
        assert_eq!((message.as_str(), attributes), ("Email has already been taken", vec!["email"]));
    }

    #[test]
    fn a_phone_is_checked_at_its_end_only() {
        for good in ["+972771234567", "tel:+15551234", "x+15551234", " +15551234", "+12", "+123456789012345"] {
            assert!(is_phone(good), "{good}");
        }
        for bad in
            ["+15551234 ", "+15551234\n", "+05551234", "+9", "+1555 1234", "+1-555", "15551234", "+1234567890123456"]
        {
            assert!(!is_phone(bad), "{bad}");
        }
    }

    #[test]
    fn a_phone_is_unique_and_empty_ones_are_not_counted() {
        let mut contacts = contacts_with(&[("phone_number", "+15551234"), ("name", "B"), ("phone_number", "")]);
        let (message, _) = refused(update(&mut contacts, 2, &json!({"phone_number": "+15551234"})));
        assert_eq!(message, "Phone number has already been taken");
        assert_eq!(update(&mut contacts, 2, &json!({"phone_number": ""})).unwrap().phone_number.as_deref(), Some(""));
    }

    #[test]
    fn an_old_contact_with_a_malformed_or_duplicate_phone_refuses_every_update() {
        let mut contacts =
            contacts_with(&[("phone_number", "0771234"), ("phone_number", "+15551234"), ("phone_number", "+15551234")]);
        let (message, attributes) = refused(update(&mut contacts, 1, &json!({"name": "New"})));
        assert_eq!((message.as_str(), attributes), ("Phone number should be in e164 format", vec!["phone_number"]));
        assert_eq!(refused(update(&mut contacts, 2, &json!({"name": "New"}))).0, "Phone number has already been taken");
        assert_eq!(contacts.get(1).unwrap().name.as_deref(), Some(""), "nothing of a refused update is kept");
    }

    #[test]
    fn an_identifier_is_unique_with_regard_to_case_and_null_clears_it() {
        let mut contacts = contacts_with(&[("identifier", "abc"), ("name", "B")]);
        assert_eq!(refused(update(&mut contacts, 2, &json!({"identifier": "abc"}))).1, ["identifier"]);
        assert_eq!(update(&mut contacts, 2, &json!({"identifier": "ABC"})).unwrap().identifier.as_deref(), Some("ABC"));
        assert_eq!(update(&mut contacts, 2, &json!({"identifier": null})).unwrap().identifier, None);
    }

    #[test]
    fn the_second_empty_identifier_breaks_the_index() {
        let mut contacts = contacts_with(&[("name", "A"), ("name", "B")]);
        assert_eq!(update(&mut contacts, 1, &json!({"identifier": ""})).unwrap().identifier.as_deref(), Some(""));
        assert_eq!(update(&mut contacts, 2, &json!({"identifier": ""})), Err(Failure::Internal));
    }

    #[test]
    fn a_text_of_more_than_255_characters_is_refused() {
        let mut contacts = contacts_with(&[("name", "A")]);
        assert!(update(&mut contacts, 1, &json!({"name": "א".repeat(255)})).is_ok());
        let (message, attributes) = refused(update(&mut contacts, 1, &json!({"name": "a".repeat(256)})));
        assert_eq!((message.as_str(), attributes), ("Name is too long (maximum is 255 characters)", vec!["name"]));
    }

    #[test]
    fn several_failures_are_joined_and_each_field_is_named_once() {
        let mut contacts = contacts_with(&[("email", "a@b@c"), ("name", "B")]);
        let body = json!({"email": "a@b@c", "phone_number": "077"});
        let (message, attributes) = refused(update(&mut contacts, 2, &body));
        assert_eq!(message, "Email has already been taken, Email Invalid email, Phone number should be in e164 format");
        assert_eq!(attributes, ["email", "phone_number"]);
    }

    #[test]
    fn blocked_cannot_be_null() {
        let mut contacts = contacts_with(&[("name", "A")]);
        assert!(update(&mut contacts, 1, &json!({"blocked": "yes"})).unwrap().blocked);
        for blank in [json!(""), Value::Null] {
            assert_eq!(update(&mut contacts, 1, &json!({"blocked": blank})), Err(Failure::Internal));
        }
    }

    #[test]
    fn custom_attributes_are_merged_by_their_top_keys_only() {
        let mut contacts = contacts_with(&[("name", "A")]);
        update(&mut contacts, 1, &json!({"custom_attributes": {"plan": "a", "deep": {"x": 1, "y": 2}}})).unwrap();
        let record = update(&mut contacts, 1, &json!({"custom_attributes": {"plan": null, "deep": {"x": 3}}})).unwrap();
        assert_eq!(Value::Object(record.custom_attributes), json!({"plan": null, "deep": {"x": 3}}));
    }

    #[test]
    fn additional_attributes_are_replaced_by_servers_before_4_2_0() {
        let mut contacts = contacts_with(&[("name", "A")]);
        for (mode, expected) in
            [(Additional::Merged, json!({"city": "Haifa", "x": 1})), (Additional::Replaced, json!({"x": 1}))]
        {
            update(&mut contacts, 1, &json!({"additional_attributes": {"city": "Haifa"}})).unwrap();
            let change = Change::read(json!({"additional_attributes": {"x": 1}}).as_object().unwrap()).unwrap();
            let record = contacts.get(1).unwrap().clone();
            let record = save_change(&mut contacts, record, &change, mode).unwrap();
            assert_eq!(Value::Object(record.additional_attributes), expected);
        }
    }

    #[test]
    fn a_nul_character_in_any_taken_text_is_an_internal_error() {
        let mut contacts = contacts_with(&[("name", "A")]);
        for body in [json!({"name": "a\0b"}), json!({"custom_attributes": {"k": ["\0"]}})] {
            assert_eq!(update(&mut contacts, 1, &body), Err(Failure::Internal));
        }
        assert!(update(&mut contacts, 1, &json!({"unknown": "\0"})).is_ok());
    }

    #[test]
    fn a_visitor_becomes_a_lead_by_email_phone_or_social_profile_but_not_by_identifier() {
        let mut contacts = contacts_with(&[("name", "A")]);
        assert!(!update(&mut contacts, 1, &json!({"identifier": "x"})).unwrap().lead);
        assert!(
            update(&mut contacts, 1, &json!({"additional_attributes": {"social_profiles": {"github": "x"}}}))
                .unwrap()
                .lead
        );
        assert!(update(&mut contacts, 1, &json!({"identifier": null})).unwrap().lead);
    }
}
