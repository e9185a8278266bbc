//! Compiles a [`MappingSpec`], and says everything that is wrong with it at once.

use std::thread;

use super::{
    Compiled,
    expression::{Expression, STACK_BYTES},
    person::PersonRules,
    spec::{MappingSpec, PersonSpec, Target},
};
use crate::contacts::{AttributeKey, ContactKey, Field, PhoneNumber, Region};

/// What is wrong with one key of a mapping.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{key}: {message}")]
pub struct MappingFault {
    /// The key within `[sources.x]`: `event.id`, `map.name`, `phone_region`.
    pub key: String,
    /// What is wrong and what to do; for an expression, the place in it.
    pub message: String,
}

/// The longest prefix of identifiers, in characters: it leaves room for the identifier in Chatwoot's 255.
const MAX_PREFIX_CHARS: usize = 100;

pub(super) fn compile(spec: &MappingSpec) -> Result<Compiled, Vec<MappingFault>> {
    // Reading a hostile expression takes more stack than the caller's thread may have.
    thread::scope(|scope| {
        let compiler = thread::Builder::new().name("mapping-compiler".to_owned()).stack_size(STACK_BYTES);
        let faulty = |message: &str| vec![MappingFault { key: "map".to_owned(), message: message.to_owned() }];
        let compiling = compiler
            .spawn_scoped(scope, || compile_here(spec))
            .map_err(|_| faulty("no thread could be started to compile the expressions"))?;
        compiling.join().unwrap_or_else(|_| Err(faulty("an expression broke the compiler")))
    })
}

fn compile_here(spec: &MappingSpec) -> Result<Compiled, Vec<MappingFault>> {
    let mut faults = Faults(Vec::new());
    let id = faults.optional("event.id", spec.id.as_deref());
    let topic = faults.optional("event.topic", spec.topic.as_deref());
    let when = faults.optional("event.when", spec.when.as_deref());
    let each = faults.optional("event.each", spec.each.as_deref());
    let occurred_at = faults.optional("event.occurred_at", spec.occurred_at.as_deref());
    let person = spec.person.as_ref().and_then(|person| faults.person(person));
    let map: Vec<_> = spec
        .map
        .iter()
        .filter_map(|(target, code)| {
            let key = format!("map.{target}");
            faults.check_attribute_key(&key, target);
            Some((target.clone(), faults.expression(&key, code)?))
        })
        .collect();
    faults.check_someone_is_named(spec);
    faults.check_prefix(&spec.identifier_prefix);
    let phone_region = spec.phone_region.as_deref().and_then(|region| faults.region(region));
    let person_phone = spec.person.as_ref().is_some_and(|person| person.phone_number.is_some());
    if person_phone || spec.map.contains_key(&Target::Field(Field::PhoneNumber)) {
        PhoneNumber::warm_up();
    }
    let Faults(faults) = faults;
    if !faults.is_empty() {
        return Err(faults);
    }
    let events = [&id, &topic, &when, &each, &occurred_at].into_iter().flatten();
    let persons = person.iter().flat_map(PersonRules::expressions);
    let expressions: Vec<_> = events.chain(persons).chain(map.iter().map(|(_, expression)| expression)).collect();
    let mentions = |variable| expressions.iter().any(|expression| expression.mentions(variable));
    let (mentions_headers, mentions_query) = (mentions("$headers"), mentions("$query"));
    Ok(Compiled {
        id,
        topic,
        when,
        each,
        occurred_at,
        person,
        map,
        identifier_prefix: spec.identifier_prefix.clone(),
        phone_region,
        policies: spec.policies.clone(),
        mentions_headers,
        mentions_query,
    })
}

/// The faults found so far.
struct Faults(Vec<MappingFault>);

impl Faults {
    fn add(&mut self, key: &str, message: impl Into<String>) {
        self.0.push(MappingFault { key: key.to_owned(), message: message.into() });
    }

    fn optional(&mut self, key: &str, code: Option<&str>) -> Option<Expression> {
        code.and_then(|code| self.expression(key, code))
    }

    fn expression(&mut self, key: &str, code: &str) -> Option<Expression> {
        match Expression::compile(code) {
            Ok(expression) => Some(expression),
            Err(messages) => {
                for message in messages {
                    self.add(key, message);
                }
                None
            }
        }
    }

    fn person(&mut self, person: &PersonSpec) -> Option<PersonRules> {
        let request = self.expression("person.request", &person.request);
        let identifier = self.optional("person.identifier", person.identifier.as_deref());
        let email = self.optional("person.email", person.email.as_deref());
        let phone_number = self.optional("person.phone_number", person.phone_number.as_deref());
        Some(PersonRules { request: request?, identifier, email, phone_number })
    }

    fn check_attribute_key(&mut self, key: &str, target: &Target) {
        let Target::Field(Field::Custom(name) | Field::Additional(name)) = target else { return };
        if let Err(unusable) = AttributeKey::parse(name) {
            self.add(key, format!("the attribute's name cannot be used: {unusable}"));
        }
    }

    fn check_someone_is_named(&mut self, spec: &MappingSpec) {
        let names = [Target::Identifier, Target::Field(Field::Email), Target::Field(Field::PhoneNumber)];
        if !names.iter().any(|target| spec.map.contains_key(target)) {
            self.add("map", "nothing says whom an update is about: map identifier, email or phone_number");
        }
    }

    fn check_prefix(&mut self, prefix: &str) {
        if prefix.chars().count() > MAX_PREFIX_CHARS || prefix.contains(char::is_control) {
            self.add("identifier_prefix", format!("write at most {MAX_PREFIX_CHARS} characters on one line"));
        } else if ContactKey::RESERVED_PREFIXES.iter().any(|reserved| prefix.starts_with(reserved)) {
            self.add("identifier_prefix", "`email:`, `phone:` and `contact:` mark our own keys; choose another prefix");
        }
    }

    fn region(&mut self, region: &str) -> Option<Region> {
        match Region::parse(region) {
            Ok(region) => Some(region),
            Err(unusable) => {
                self.add("phone_region", unusable.to_string());
                None
            }
        }
    }
}
