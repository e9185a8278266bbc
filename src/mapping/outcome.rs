//! What a mapping makes of a webhook.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize, Serializer, ser::SerializeMap};

use super::person_request::PersonRequest;
use crate::{
    clock::Timestamp,
    contacts::{ContactUpdate, Field, Policy, fields_to_json},
};

/// What a mapping made of one webhook.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Mapped {
    /// The sender's id of the event, at most 255 bytes; a longer one is replaced by its SHA-256 in hex.
    pub event_id: Option<String>,
    /// The event's topic, at most 255 bytes in the same way.
    pub topic: Option<String>,
    /// What came out.
    pub result: Outcome,
    /// What could not be used of `event.id`, `event.topic` and `[sources.x.person]`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub dropped: Vec<Dropped>,
}

/// What came out of a mapping.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The mapping does not want this webhook.
    Ignored {
        /// Why, such as `event.when is false`.
        reason: String,
    },
    /// The mapping failed as a whole. A repeat is mapped again.
    Unmappable {
        /// Why; holds no personal data.
        reason: String,
    },
    /// A person asks about their data; never an update.
    PersonRequest(PersonRequest),
    /// One or more elements, in order.
    Mapped(Vec<Element>),
}

/// One element of a webhook: the whole body, or one result of `event.each`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Element {
    /// Its place, from 0.
    pub index: u32,
    /// When it happened, as the sender says.
    pub occurred_at: Option<Timestamp>,
    /// The update, or why there is none.
    #[serde(serialize_with = "update_or_reason")]
    pub update: Result<MappedUpdate, String>,
    /// What could not be used.
    pub dropped: Vec<Dropped>,
}

/// An update and the policies it was mapped under.
#[derive(Clone, Debug, PartialEq)]
pub struct MappedUpdate {
    /// The update.
    pub update: ContactUpdate,
    /// The policies of the update's fields that are not [`Policy::Always`].
    pub policies: BTreeMap<Field, Policy>,
}

/// A value that was left out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dropped {
    /// The key of the mapping: `email`, `identifier`, `occurred_at`, `custom_attributes.plan`, `event.id`.
    pub field: String,
    /// Why; holds no personal data.
    pub reason: String,
}

/// `{"identifier": …, "fields": {…}, "policies": {…}}`, with the fields as Chatwoot's JSON has them.
impl Serialize for MappedUpdate {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        if let Some(identifier) = self.update.identifier() {
            map.serialize_entry("identifier", identifier.as_str())?;
        }
        map.serialize_entry("fields", &fields_to_json(self.update.fields()))?;
        if !self.policies.is_empty() {
            map.serialize_entry("policies", &self.policies)?;
        }
        map.end()
    }
}

/// The update itself, or `{"none": reason}`.
fn update_or_reason<S: Serializer>(update: &Result<MappedUpdate, String>, serializer: S) -> Result<S::Ok, S::Error> {
    match update {
        Ok(update) => update.serialize(serializer),
        Err(reason) => {
            let mut map = serializer.serialize_map(Some(1))?;
            map.serialize_entry("none", reason)?;
            map.end()
        }
    }
}
