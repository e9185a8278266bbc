//! What a contact update is: the keys that find the contact, and the fields to write. Valid by construction, so that
//! no later step has to ask whether a phone number is one.

mod values;

use std::{collections::BTreeMap, fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

pub use values::{
    AttributeKey, AvatarUrl, Email, Identifier, MAX_ATTRIBUTE_BYTES, Name, PhoneNumber, Region, Unusable,
    attribute_value,
};

/// The id of a contact in Chatwoot; unique across the whole installation.
pub type ContactId = i64;

/// A field of a contact that a source can write. Attributes are separate fields by key, because Chatwoot merges them
/// by key and each may come from another source.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Field {
    /// `name`
    Name,
    /// `email`
    Email,
    /// `phone_number`
    PhoneNumber,
    /// `avatar_url`
    AvatarUrl,
    /// `custom_attributes.KEY`
    Custom(String),
    /// `additional_attributes.KEY`
    Additional(String),
}

/// A field as it is written in configuration, tables and JSON: `name`, `custom_attributes.plan`.
impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name => f.write_str("name"),
            Self::Email => f.write_str("email"),
            Self::PhoneNumber => f.write_str("phone_number"),
            Self::AvatarUrl => f.write_str("avatar_url"),
            Self::Custom(key) => write!(f, "custom_attributes.{key}"),
            Self::Additional(key) => write!(f, "additional_attributes.{key}"),
        }
    }
}

/// The text names no field of a contact.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no contact field; expected name, email, phone_number, avatar_url, custom_attributes.KEY or additional_attributes.KEY"
)]
pub struct UnknownField(String);

impl FromStr for Field {
    type Err = UnknownField;

    fn from_str(text: &str) -> Result<Self, UnknownField> {
        match text {
            "name" => Ok(Self::Name),
            "email" => Ok(Self::Email),
            "phone_number" => Ok(Self::PhoneNumber),
            "avatar_url" => Ok(Self::AvatarUrl),
            other => match other.split_once('.') {
                Some(("custom_attributes", key)) if !key.is_empty() => Ok(Self::Custom(key.to_owned())),
                Some(("additional_attributes", key)) if !key.is_empty() => Ok(Self::Additional(key.to_owned())),
                _ => Err(UnknownField(other.to_owned())),
            },
        }
    }
}

impl Serialize for Field {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Field {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// When a value may replace what the contact has. The order is the order of strength: `Always` beats `IfOurs` beats
/// `IfEmpty`, whatever their times.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Policy {
    /// Only while the contact has no value.
    IfEmpty,
    /// Only while the present value is the one we wrote; where we wrote nothing, as [`Policy::IfEmpty`].
    IfOurs,
    /// In any case.
    #[default]
    Always,
}

/// A key that leads to a contact within one account: an external identifier as it is, or `email:…` / `phone:…` for
/// updates without one. The latter are ours alone and are never sent to Chatwoot.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ContactKey(String);

/// Shows what kind of key it is, not the e-mail address, phone number or identifier.
impl fmt::Debug for ContactKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = self.0.split_once(':').map_or("", |(kind, _)| kind);
        write!(f, "ContactKey({}…)", if matches!(kind, "email" | "phone") { &self.0[..=kind.len()] } else { "" })
    }
}

impl ContactKey {
    /// Reads a key as a table or a person gave it; the inverse of [`as_str`](Self::as_str).
    pub fn from_text(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The key's text, as in the table `contacts`.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Prefixes of our own keys; no external identifier begins with one. `contact:` names the lane of a known contact.
    pub const RESERVED_PREFIXES: [&str; 3] = ["email:", "phone:", "contact:"];

    /// Whether this is an external identifier, not a local `email:…` or `phone:…` key.
    pub fn is_identifier(&self) -> bool {
        !self.0.starts_with("email:") && !self.0.starts_with("phone:")
    }
}

impl fmt::Display for ContactKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<&Identifier> for ContactKey {
    fn from(identifier: &Identifier) -> Self {
        Self(identifier.as_str().to_owned())
    }
}

impl From<&Email> for ContactKey {
    fn from(email: &Email) -> Self {
        Self(format!("email:{}", email.as_str()))
    }
}

impl From<&PhoneNumber> for ContactKey {
    fn from(phone: &PhoneNumber) -> Self {
        Self(format!("phone:{}", phone.as_str()))
    }
}

/// The fields of one update, by name. Values of attributes are any JSON but null; all others are texts.
pub type Fields = BTreeMap<Field, Value>;

/// One change that a webhook asks for.
#[derive(Clone, PartialEq)]
pub struct ContactUpdate {
    identifier: Option<Identifier>,
    email: Option<Email>,
    phone_number: Option<PhoneNumber>,
    fields: Fields,
}

/// Shows which fields there are, not their values: those are personal data.
impl fmt::Debug for ContactUpdate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ContactUpdate")
            .field("identifier", &self.identifier)
            .field("fields", &self.fields.keys().collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}

/// The update names nobody: it has no identifier, no e-mail and no phone number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no identifier, no e-mail and no phone number: nothing says whom this is about")]
pub struct NoKey;

/// The parts of an update, each already checked.
#[derive(Clone, Default)]
pub struct Parts {
    /// The external identifier, with the source's prefix.
    pub identifier: Option<Identifier>,
    /// The display name.
    pub name: Option<Name>,
    /// The e-mail address.
    pub email: Option<Email>,
    /// The phone number.
    pub phone_number: Option<PhoneNumber>,
    /// The picture's address.
    pub avatar_url: Option<AvatarUrl>,
    /// Custom attributes by key; null is never stored.
    pub custom_attributes: BTreeMap<AttributeKey, Value>,
    /// Additional attributes by key; null is never stored.
    pub additional_attributes: BTreeMap<AttributeKey, Value>,
}

impl ContactUpdate {
    /// Puts checked parts together.
    ///
    /// # Errors
    /// [`NoKey`] when nothing says whose contact this is.
    pub fn new(parts: Parts) -> Result<Self, NoKey> {
        if parts.identifier.is_none() && parts.email.is_none() && parts.phone_number.is_none() {
            return Err(NoKey);
        }
        let mut fields = Fields::new();
        let mut text = |field, value: Option<&str>| {
            if let Some(value) = value {
                fields.insert(field, Value::from(value));
            }
        };
        text(Field::Name, parts.name.as_ref().map(Name::as_str));
        text(Field::Email, parts.email.as_ref().map(Email::as_str));
        text(Field::PhoneNumber, parts.phone_number.as_ref().map(PhoneNumber::as_str));
        text(Field::AvatarUrl, parts.avatar_url.as_ref().map(AvatarUrl::as_str));
        let custom = parts.custom_attributes.into_iter().map(|(key, value)| (Field::Custom(key.into()), value));
        let additional =
            parts.additional_attributes.into_iter().map(|(key, value)| (Field::Additional(key.into()), value));
        fields.extend(custom.chain(additional).filter(|(_, value)| !value.is_null()));
        Ok(Self { identifier: parts.identifier, email: parts.email, phone_number: parts.phone_number, fields })
    }

    /// The external identifier, if the webhook gave one.
    pub fn identifier(&self) -> Option<&Identifier> {
        self.identifier.as_ref()
    }

    /// The e-mail address: a field to write, and a key to find the contact by.
    pub fn email(&self) -> Option<&Email> {
        self.email.as_ref()
    }

    /// The phone number: a field to write, and a key to find the contact by.
    pub fn phone_number(&self) -> Option<&PhoneNumber> {
        self.phone_number.as_ref()
    }

    /// What to write, by field.
    pub fn fields(&self) -> &Fields {
        &self.fields
    }

    /// The key this update is ordered and linked by: the identifier, else the e-mail, else the phone number.
    pub fn key(&self) -> ContactKey {
        match (&self.identifier, &self.email, &self.phone_number) {
            (Some(identifier), _, _) => identifier.into(),
            (None, Some(email), _) => email.into(),
            (None, None, Some(phone)) => phone.into(),
            (None, None, None) => unreachable!("an update without a key cannot be built"),
        }
    }
}

/// The fields as Chatwoot's JSON has them: attributes nested under `custom_attributes` and `additional_attributes`.
pub fn fields_to_json<'a>(fields: impl IntoIterator<Item = (&'a Field, &'a Value)>) -> Map<String, Value> {
    let mut json = Map::new();
    for (field, value) in fields {
        let nested = match field {
            Field::Custom(key) => Some(("custom_attributes", key)),
            Field::Additional(key) => Some(("additional_attributes", key)),
            Field::Name | Field::Email | Field::PhoneNumber | Field::AvatarUrl => None,
        };
        match nested {
            None => {
                json.insert(field.to_string(), value.clone());
            }
            Some((object, key)) => {
                let entry = json.entry(object).or_insert_with(|| Value::Object(Map::new()));
                if let Value::Object(attributes) = entry {
                    attributes.insert(key.clone(), value.clone());
                }
            }
        }
    }
    json
}

/// The inverse of [`fields_to_json`]; keys that name no field are left out.
pub fn fields_from_json(json: &Map<String, Value>) -> Fields {
    let mut fields = Fields::new();
    for (key, value) in json {
        match (key.as_str(), value) {
            ("custom_attributes", Value::Object(attributes)) => {
                fields.extend(attributes.iter().map(|(key, value)| (Field::Custom(key.clone()), value.clone())));
            }
            ("additional_attributes", Value::Object(attributes)) => {
                fields.extend(attributes.iter().map(|(key, value)| (Field::Additional(key.clone()), value.clone())));
            }
            (name, value) => {
                if let Ok(field) = name.parse() {
                    fields.insert(field, value.clone());
                }
            }
        }
    }
    fields
}
