//! `[sources.NAME.event]`, `[sources.NAME.person]`, `[sources.NAME.map]` and the keys around them: what the mapping is compiled from.

use std::{collections::BTreeMap, ops::RangeInclusive, time::Duration};

use super::{
    field::{Field as Written, seconds},
    policy::{flattened, read_policies},
    reader::Reader,
};
use crate::{
    contacts::{Field, Policy, UnknownField},
    mapping::spec::{MappingSpec, PersonSpec, Target},
};

/// From a minute to a year.
const DUE_IN: RangeInclusive<Duration> = seconds(60, 365 * 24 * 60 * 60);

/// Reads what the mapping needs; `None` when there is no map at all. `account_policies` hold where the source says
/// nothing.
pub(super) fn read(table: &Reader<'_>, account_policies: &BTreeMap<Field, Policy>) -> Option<MappingSpec> {
    let mut spec = MappingSpec { policies: account_policies.clone(), ..MappingSpec::default() };
    if let Some(event) = table.table("event") {
        read_event(event, &mut spec);
    }
    spec.person = table.table("person").and_then(read_person);
    let map = table.need("map", "a table that says which fields to write").and_then(|field| field.table());
    if let Some(map) = &map {
        read_map(map, &mut spec);
    }
    if let Some(policy) = table.table("policy") {
        spec.policies.extend(read_policies(&policy));
    }
    if let Some(prefix) = table.get("identifier_prefix").and_then(|field| field.text()) {
        prefix.clone_into(&mut spec.identifier_prefix);
    }
    spec.phone_region = table.get("phone_region").and_then(|field| field.text()).map(str::to_owned);
    map.map(|_| spec)
}

fn read_event(event: Reader<'_>, spec: &mut MappingSpec) {
    let expression = |key| event.get(key).and_then(|field| expression(&field));
    spec.id = expression("id");
    spec.topic = expression("topic");
    spec.when = expression("when");
    spec.each = expression("each");
    spec.occurred_at = expression("occurred_at");
    event.finish();
}

fn read_person(person: Reader<'_>) -> Option<PersonSpec> {
    let request = person.need("request", "a jq expression that gives erase, export, erase_shop or nothing");
    let request = request.and_then(|field| expression(&field));
    let optional = |key| person.get(key).and_then(|field| expression(&field));
    let (identifier, email, phone_number) = (optional("identifier"), optional("email"), optional("phone_number"));
    let due_in = person.get("due_in").and_then(|field| field.duration(&DUE_IN));
    person.finish();
    Some(PersonSpec { request: request?, identifier, email, phone_number, due_in })
}

fn read_map(map: &Reader<'_>, spec: &mut MappingSpec) {
    for (name, written) in flattened(map) {
        if let Ok(target) = target(&name) {
            spec.map.extend(expression(&written).map(|text| (target, text)));
            continue;
        }
        written.hide();
        written.fault_of_key(
            "is nothing that can be mapped; expected identifier, name, email, phone_number, phone_country, \
             avatar_url, custom_attributes.KEY or additional_attributes.KEY",
        );
    }
}

fn target(name: &str) -> Result<Target, UnknownField> {
    match name {
        "identifier" => Ok(Target::Identifier),
        "phone_country" => Ok(Target::PhoneCountry),
        field => field.parse().map(Target::Field),
    }
}

/// A jq expression; whether it is one is the mapping's to say.
fn expression(field: &Written<'_>) -> Option<String> {
    let text = field.text()?;
    if text.trim().is_empty() {
        field.fault("expected a jq expression, found an empty text; write 'empty' for no result");
        return None;
    }
    Some(text.to_owned())
}
