//! Requests of persons about their data: a sender passes on that somebody wants to be erased, or to see what is kept of
//! them. They are recognised before anything else is asked of a webhook, so that none of them ever becomes an update.

use jaq_json::Val;

use super::{
    Compiled,
    element::{OutOfBudget, checked, drop_value, take},
    expression::{Expression, Failure, Scope},
    fuel::Budget,
    outcome::{Dropped, Outcome},
    person_request::{PersonRequest, PersonRequestKind},
    result,
};
use crate::contacts::{Email, Identifier, PhoneNumber};

/// The expressions of `[sources.x.person]`, compiled.
#[derive(Debug)]
pub(super) struct PersonRules {
    pub(super) request: Expression,
    pub(super) identifier: Option<Expression>,
    pub(super) email: Option<Expression>,
    pub(super) phone_number: Option<Expression>,
}

impl PersonRules {
    pub(super) fn expressions(&self) -> impl Iterator<Item = &Expression> {
        let whose = [&self.identifier, &self.email, &self.phone_number].into_iter().flatten();
        std::iter::once(&self.request).chain(whose)
    }
}

impl Compiled {
    /// The request that this webhook is, if it is one.
    ///
    /// # Errors
    /// The outcome where that cannot be told: such a webhook must not become an update.
    pub(super) fn person_request(
        &self,
        scope: &Scope,
        budget: &mut Budget,
        dropped: &mut Vec<Dropped>,
    ) -> Result<Option<PersonRequest>, Outcome> {
        let Some(rules) = &self.person else { return Ok(None) };
        let unmappable = |reason: String| Outcome::Unmappable { reason };
        let kind = rules.request.output(scope, &scope.body, budget);
        let Some(kind) = kind.map_err(|failure: Failure| unmappable(format!("person.request: {failure}")))? else {
            return Ok(None);
        };
        let Some(kind) = word(&kind) else {
            return Err(unmappable("person.request gave none of erase, export and erase_shop".to_owned()));
        };
        let mut request = PersonRequest { kind, identifier: None, email: None, phone_number: None };
        let mut read = |key: &str, expression: &Option<Expression>, put: &mut dyn FnMut(&Val) -> Result<(), String>| {
            let Some(expression) = expression else { return Ok(()) };
            let output = expression.output(scope, &scope.body, budget);
            if let Some(value) = checked(output, key, dropped)?
                && let Err(reason) = put(&value)
            {
                drop_value(dropped, key, reason);
            }
            Ok(())
        };
        let (prefix, region) = (&self.identifier_prefix, self.phone_region);
        let PersonRequest { identifier, email, phone_number, .. } = &mut request;
        let whose = read("person.identifier", &rules.identifier, &mut |value| {
            take(result::text(value), identifier, |text| Identifier::parse(&format!("{prefix}{text}")))
        })
        .and_then(|()| read("person.email", &rules.email, &mut |value| take(result::text(value), email, Email::parse)))
        .and_then(|()| {
            read("person.phone_number", &rules.phone_number, &mut |value| {
                take(result::text(value), phone_number, |text| PhoneNumber::parse(text, region))
            })
        });
        match whose {
            Ok(()) => Ok(Some(request)),
            Err(OutOfBudget) => Err(unmappable("the mapping does too much work on this webhook".to_owned())),
        }
    }
}

fn word(value: &Val) -> Option<PersonRequestKind> {
    let text = result::text(value).ok().flatten()?;
    PersonRequestKind::ALL.into_iter().find(|kind| kind.as_str() == text)
}
