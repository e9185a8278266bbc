//! From a webhook to contact updates, by the jq expressions of the configuration.
//!
//! A [`Mapping`] is compiled once, when the configuration is loaded, and then run over one parse of each body. It is a
//! pure function: the same webhook through the same mapping gives the same result, so that stored webhooks can be
//! replayed. No body and no expression that was let in can make it panic, overflow the stack, run without end or fill the
//! memory: `gate.rs` bounds what an expression looks like, `language.rs` what it can call, `value.rs` and `fuel.rs` what it does.

mod body;
mod compile;
mod element;
mod expression;
mod fuel;
mod gate;
mod language;
mod outcome;
mod person;
mod person_request;
mod result;
pub mod spec;
mod value;

use std::{
    collections::{BTreeMap, btree_map::Entry},
    sync::Arc,
};

use jaq_json::{Map, Val};
use sha2::{Digest, Sha256};

pub use body::Unreadable;
pub use compile::MappingFault;
pub use outcome::{Dropped, Element, Mapped, MappedUpdate, Outcome};
pub use person_request::{PersonRequest, PersonRequestKind};

use element::{ElementMapper, OutOfBudget, checked, drop_value};
use expression::{Expression, Failure, Scope};
use fuel::Budget;
use person::PersonRules;
use spec::{MappingSpec, Target};

use crate::{
    contacts::{Field, Policy, Region},
    sources::VerifiedWebhook,
};

/// The most elements that one webhook may have; more is unmappable, never cut.
pub const MAX_ELEMENTS: usize = 1_000;

/// The longest event id and topic, in bytes.
const MAX_EVENT_TEXT_BYTES: usize = 255;

/// The rules of one source, compiled. Cheap to clone and to share between threads.
#[derive(Clone, Debug)]
pub struct Mapping(Arc<Compiled>);

#[derive(Debug)]
struct Compiled {
    id: Option<Expression>,
    topic: Option<Expression>,
    when: Option<Expression>,
    each: Option<Expression>,
    occurred_at: Option<Expression>,
    person: Option<PersonRules>,
    /// In the order of targets.
    map: Vec<(Target, Expression)>,
    identifier_prefix: String,
    phone_region: Option<Region>,
    policies: BTreeMap<Field, Policy>,
    /// Whether any expression mentions `$headers`: most do not, and building the object costs more than a path.
    mentions_headers: bool,
    /// Whether any expression mentions `$query`.
    mentions_query: bool,
}

impl Mapping {
    /// Compiles all expressions.
    ///
    /// # Errors
    /// All faults at once, each with the key it stands under.
    pub fn compile(spec: &MappingSpec) -> Result<Self, Vec<MappingFault>> {
        compile::compile(spec).map(|compiled| Self(Arc::new(compiled)))
    }

    /// Maps one webhook. `signed_headers` names the headers that the signature covers: only their times count as the time
    /// of the event.
    ///
    /// Blocks the thread for some microseconds; at the very most, with expressions made to be slow, for about
    /// a second: call it where that hurts nobody else.
    ///
    /// # Errors
    /// [`Unreadable`] when the body is not what its content type says. What the expressions do is never an error: see
    /// [`Outcome`].
    pub fn map(&self, webhook: &VerifiedWebhook, signed_headers: &[String]) -> Result<Mapped, Unreadable> {
        let Self(mapping) = self;
        let body = body::read(webhook)?;
        let scope = mapping.scope(webhook, body);
        let mut budget = Budget::new();
        let mut dropped = Vec::new();
        let event_id = event_text(mapping.id.as_ref(), "event.id", &scope, &mut budget, &mut dropped);
        let topic = event_text(mapping.topic.as_ref(), "event.topic", &scope, &mut budget, &mut dropped);
        let result = match mapping.person_request(&scope, &mut budget, &mut dropped) {
            Ok(Some(request)) => Outcome::PersonRequest(request),
            Ok(None) => mapping.outcome(webhook, signed_headers, &scope, &mut budget),
            Err(outcome) => outcome,
        };
        Ok(Mapped { event_id, topic, result, dropped })
    }
}

impl Compiled {
    fn scope(&self, webhook: &VerifiedWebhook, body: Val) -> Scope {
        let request = webhook.request();
        let query = if self.mentions_query {
            let query = request.path_query.split_once('?').map_or("", |(_, query)| query);
            body::flat(query.as_bytes())
        } else {
            Val::Null
        };
        let headers = if self.mentions_headers { headers(webhook, |_| true) } else { Val::Null };
        Scope {
            body,
            headers,
            query,
            source: Val::from(webhook.source().to_string()),
            received_at: Val::from(webhook.received_at().to_string()),
        }
    }

    fn outcome(&self, webhook: &VerifiedWebhook, signed: &[String], scope: &Scope, budget: &mut Budget) -> Outcome {
        match self.is_wanted(scope, budget) {
            Ok(true) => {}
            Ok(false) => return Outcome::Ignored { reason: "event.when is false".to_owned() },
            Err(failure) => return Outcome::Unmappable { reason: format!("event.when: {failure}") },
        }
        let elements = match self.elements(scope, budget) {
            Ok(elements) => elements,
            Err(Failure::TooMany) => {
                return Outcome::Unmappable { reason: format!("event.each gave more than {MAX_ELEMENTS} elements") };
            }
            Err(failure) => return Outcome::Unmappable { reason: format!("event.each: {failure}") },
        };
        if elements.is_empty() {
            return Outcome::Ignored { reason: "event.each gave no element".to_owned() };
        }
        let signed_scope = match &self.occurred_at {
            Some(expression) if expression.mentions("$headers") => {
                let is_signed = |name: &str| signed.iter().any(|signed| signed.eq_ignore_ascii_case(name));
                &Scope { headers: headers(webhook, is_signed), ..scope.clone() }
            }
            _ => scope,
        };
        let mut mapper = ElementMapper { mapping: self, scope, signed_scope, budget };
        match (0..).zip(&elements).map(|(index, element)| mapper.map(index, element)).collect() {
            Ok(elements) => Outcome::Mapped(elements),
            Err(OutOfBudget) => {
                Outcome::Unmappable { reason: "the mapping does too much work on this webhook".to_owned() }
            }
        }
    }

    fn is_wanted(&self, scope: &Scope, budget: &mut Budget) -> Result<bool, Failure> {
        let Some(when) = &self.when else { return Ok(true) };
        let answer = when.output(scope, &scope.body, budget)?;
        Ok(!matches!(answer, None | Some(Val::Bool(false))))
    }

    fn elements(&self, scope: &Scope, budget: &mut Budget) -> Result<Vec<Val>, Failure> {
        match &self.each {
            None => Ok(vec![scope.body.clone()]),
            Some(each) => each.outputs(scope, &scope.body, MAX_ELEMENTS, budget),
        }
    }
}

/// The headers whose names `is_wanted`, as an object; the values of a repeated name are joined as RFC 9110 says.
fn headers(webhook: &VerifiedWebhook, is_wanted: impl Fn(&str) -> bool) -> Val {
    let mut texts: BTreeMap<&str, String> = BTreeMap::new();
    for (name, value) in webhook.request().headers.iter().filter(|(name, _)| is_wanted(name)) {
        match texts.entry(name) {
            Entry::Vacant(place) => drop(place.insert(value.to_owned())),
            Entry::Occupied(mut text) => text.get_mut().extend([", ", value]),
        }
    }
    let members: Map = texts.into_iter().map(|(name, text)| (Val::from(name.to_owned()), Val::from(text))).collect();
    Val::obj(members)
}

/// The event's id or topic. What cannot be used is as if it were not there: the webhook is then known by its body.
fn event_text(
    expression: Option<&Expression>,
    key: &str,
    scope: &Scope,
    budget: &mut Budget,
    dropped: &mut Vec<Dropped>,
) -> Option<String> {
    let output = expression?.output(scope, &scope.body, budget);
    let value = checked(output, key, dropped).unwrap_or(None)?;
    match result::text(&value) {
        Ok(text) => text.map(short),
        Err(reason) => {
            drop_value(dropped, key, reason);
            None
        }
    }
}

/// Replaces a text that is too long by its digest, so that two long ones that differ stay different.
fn short(text: String) -> String {
    if text.len() <= MAX_EVENT_TEXT_BYTES { text } else { hex::encode(Sha256::digest(text.as_bytes())) }
}

#[cfg(test)]
mod tests;
