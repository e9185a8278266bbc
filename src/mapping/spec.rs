//! A mapping as data: the jq expressions of `[sources.x.event]`, `[sources.x.person]` and `[sources.x.map]`, not yet
//! compiled.

use std::{collections::BTreeMap, fmt, time::Duration};

use crate::contacts::{Field, Policy};

/// Where the result of an expression of `[sources.x.map]` goes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Target {
    /// `identifier`: the external identifier.
    Identifier,
    /// `phone_country`: the ISO 3166 code that a phone number without country code belongs to.
    PhoneCountry,
    /// A field of the contact.
    Field(Field),
}

/// The target's key in `[sources.x.map]`.
impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Identifier => f.write_str("identifier"),
            Self::PhoneCountry => f.write_str("phone_country"),
            Self::Field(field) => field.fmt(f),
        }
    }
}

/// What `[sources.x.person]` says of requests of persons about their data, each expression as written. All of them see the
/// whole body.
#[derive(Clone, Debug, Default)]
pub struct PersonSpec {
    /// `person.request`: gives `erase`, `export` or `erase_shop`, or nothing where the webhook is no such request. It has
    /// to check the body's exact shape: a topic alone, which most senders do not sign, must not erase anybody.
    pub request: String,
    /// `person.identifier`: whose request it is; gets the prefix that all identifiers get.
    pub identifier: Option<String>,
    /// `person.email`
    pub email: Option<String>,
    /// `person.phone_number`
    pub phone_number: Option<String>,
    /// `person.due_in`: how long such a request leaves us; a minute to a year, default unknown.
    pub due_in: Option<Duration>,
}

/// What `[sources.x.event]` and `[sources.x.map]` say, each expression as written.
#[derive(Clone, Debug, Default)]
pub struct MappingSpec {
    /// `event.id`: the sender's own id of the event.
    pub id: Option<String>,
    /// `event.topic`
    pub topic: Option<String>,
    /// `event.when`: false stores the webhook as ignored.
    pub when: Option<String>,
    /// `event.each`: one update per result; default the whole body.
    pub each: Option<String>,
    /// `event.occurred_at`: sees each element.
    pub occurred_at: Option<String>,
    /// `[sources.x.person]`
    pub person: Option<PersonSpec>,
    /// `[sources.x.map]`
    pub map: BTreeMap<Target, String>,
    /// Put before every identifier.
    pub identifier_prefix: String,
    /// The region of phone numbers whose country is not known from the payload, such as `IL`.
    pub phone_region: Option<String>,
    /// Where a field's policy is not `always`.
    pub policies: BTreeMap<Field, Policy>,
}
