//! Maps one element: runs the expressions of `[sources.x.map]` over it and makes checked values of what they give. What
//! cannot be used is left out with a reason and never holds back the other fields.

use std::collections::BTreeMap;

use jaq_json::Val;

use super::{
    Compiled,
    expression::{Expression, Failure, Scope},
    fuel::{BrokenOff, Budget},
    outcome::{Dropped, Element, MappedUpdate},
    result,
    spec::Target,
};
use crate::{
    clock::Timestamp,
    contacts::{
        AttributeKey, AvatarUrl, ContactUpdate, Email, Field, Identifier, Name, Parts, PhoneNumber, Policy, Region,
        Unusable, attribute_value,
    },
};

/// The fuel of the whole webhook is gone: nothing more can be mapped.
pub(super) struct OutOfBudget;

/// One element being mapped.
pub(super) struct ElementMapper<'m> {
    pub(super) mapping: &'m Compiled,
    pub(super) scope: &'m Scope,
    /// As `scope`, but with the signed headers only.
    pub(super) signed_scope: &'m Scope,
    pub(super) budget: &'m mut Budget,
}

impl ElementMapper<'_> {
    pub(super) fn map(&mut self, index: u32, element: &Val) -> Result<Element, OutOfBudget> {
        let mut dropped = Vec::new();
        let occurred_at = self.occurred_at(element, &mut dropped)?;
        let parts = self.parts(element, &mut dropped)?;
        let update =
            ContactUpdate::new(parts).map(|update| self.with_policies(update)).map_err(|no_key| no_key.to_string());
        Ok(Element { index, occurred_at, update, dropped })
    }

    fn occurred_at(&mut self, element: &Val, dropped: &mut Vec<Dropped>) -> Result<Option<Timestamp>, OutOfBudget> {
        let Some(expression) = &self.mapping.occurred_at else { return Ok(None) };
        let output = checked(expression.output(self.signed_scope, element, self.budget), "occurred_at", dropped)?;
        let Some(value) = output else { return Ok(None) };
        let time = result::time(&value);
        if time.is_none() && result::text(&value) != Ok(None) {
            drop_value(
                dropped,
                "occurred_at",
                "it is neither RFC 3339 nor a number of seconds or milliseconds since 1970",
            );
        }
        Ok(time)
    }

    fn parts(&mut self, element: &Val, dropped: &mut Vec<Dropped>) -> Result<Parts, OutOfBudget> {
        let mapping = self.mapping;
        let mut parts = Parts::default();
        let mut region = mapping.phone_region;
        // In the order of targets: the phone's country comes before the phone.
        for (target, expression) in &mapping.map {
            let Some(value) = self.value(target, expression, element, dropped)? else { continue };
            let text = || result::text(&value);
            let taken = match target {
                Target::Identifier => take(text(), &mut parts.identifier, |text| {
                    Identifier::parse(&format!("{}{text}", mapping.identifier_prefix))
                }),
                Target::PhoneCountry => take(text(), &mut region, Region::parse),
                Target::Field(Field::Name) => take(text(), &mut parts.name, Name::parse),
                Target::Field(Field::Email) => take(text(), &mut parts.email, Email::parse),
                Target::Field(Field::PhoneNumber) => {
                    take(text(), &mut parts.phone_number, |text| PhoneNumber::parse(text, region))
                }
                Target::Field(Field::AvatarUrl) => take(text(), &mut parts.avatar_url, AvatarUrl::parse),
                Target::Field(Field::Custom(key)) => take_attribute(key, &value, &mut parts.custom_attributes),
                Target::Field(Field::Additional(key)) => take_attribute(key, &value, &mut parts.additional_attributes),
            };
            if let Err(reason) = taken {
                drop_value(dropped, &target.to_string(), reason);
            }
        }
        Ok(parts)
    }

    fn value(
        &mut self,
        target: &Target,
        expression: &Expression,
        element: &Val,
        dropped: &mut Vec<Dropped>,
    ) -> Result<Option<Val>, OutOfBudget> {
        match expression.output(self.scope, element, self.budget) {
            Ok(value) => Ok(value),
            failed @ Err(_) => checked(failed, &target.to_string(), dropped),
        }
    }

    fn with_policies(&self, update: ContactUpdate) -> MappedUpdate {
        let policies = self.mapping.policies.iter();
        let policies = policies
            .filter(|(field, policy)| **policy != Policy::Always && update.fields().contains_key(field))
            .map(|(field, policy)| (field.clone(), *policy))
            .collect();
        MappedUpdate { update, policies }
    }
}

/// Puts what `parse` makes of `text` into `place`, if there is a text.
pub(super) fn take<T>(
    text: Result<Option<String>, String>,
    place: &mut Option<T>,
    parse: impl FnOnce(&str) -> Result<T, Unusable>,
) -> Result<(), String> {
    if let Some(text) = text? {
        *place = Some(parse(&text).map_err(|unusable| unusable.to_string())?);
    }
    Ok(())
}

fn take_attribute(
    key: &str,
    value: &Val,
    attributes: &mut BTreeMap<AttributeKey, serde_json::Value>,
) -> Result<(), String> {
    let Some(value) = result::json(value)? else { return Ok(()) };
    let key = AttributeKey::parse(key).map_err(|unusable| unusable.to_string())?;
    attributes.insert(key, attribute_value(value).map_err(|unusable| unusable.to_string())?);
    Ok(())
}

/// A failure leaves the field out, unless it ends the whole webhook.
pub(super) fn checked(
    output: Result<Option<Val>, Failure>,
    field: &str,
    dropped: &mut Vec<Dropped>,
) -> Result<Option<Val>, OutOfBudget> {
    match output {
        Ok(value) => Ok(value),
        Err(Failure::BrokenOff(BrokenOff::Webhook)) => Err(OutOfBudget),
        Err(failure) => {
            drop_value(dropped, field, failure.to_string());
            Ok(None)
        }
    }
}

pub(super) fn drop_value(dropped: &mut Vec<Dropped>, field: &str, reason: impl Into<String>) {
    dropped.push(Dropped { field: field.to_owned(), reason: reason.into() });
}
