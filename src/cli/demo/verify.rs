//! What must be true in the end, and what of it is not. Pure: it is told what was seen.

use crate::{
    sandbox::{ContactRecord, Overlap},
    store::RowState,
};

use super::{
    script::{Expected, Person, Step},
    sending::Answer,
};

/// What a step came to.
#[derive(Debug)]
pub(super) struct Seen {
    /// The step.
    pub(super) step: &'static Step,
    /// What the public port answered.
    pub(super) answer: Answer,
    /// The updates that it led to: id and state.
    pub(super) updates: Vec<(i64, RowState)>,
}

/// What is in Chatwoot and in the outbox when the story is over.
#[derive(Debug)]
pub(super) struct Ending {
    /// Every contact in Chatwoot.
    pub(super) contacts: Vec<ContactRecord>,
    /// Calls that were made to one contact at the same time.
    pub(super) overlaps: Vec<Overlap>,
    /// Updates that are not settled.
    pub(super) open: u64,
}

/// Everything that is not as it must be, in plain words; empty when all is well.
pub(super) fn missing(seen: &[Seen], ending: &Ending, people: &[Person]) -> Vec<String> {
    let mut missing: Vec<String> = seen.iter().filter_map(wrong_step).collect();
    missing.extend(people.iter().flat_map(|person| wrong_person(person, &ending.contacts)));
    if ending.contacts.len() != people.len() {
        missing.push(format!("Chatwoot has {} contacts instead of {}", ending.contacts.len(), people.len()));
    }
    if !ending.overlaps.is_empty() {
        missing.push(format!("{} times two calls to one contact overlapped", ending.overlaps.len()));
    }
    if ending.open > 0 {
        missing.push(format!("updates in the outbox that are not settled: {}", ending.open));
    }
    missing
}

fn wrong_step(seen: &Seen) -> Option<String> {
    let Seen { step, answer, updates } = seen;
    let came_to: Vec<RowState> = updates.iter().map(|(_, state)| *state).collect();
    let (status, word, wanted) = match step.expected {
        Expected::Accepted(state) => (200, "accepted", vec![state]),
        Expected::Duplicate => (200, "duplicate", Vec::new()),
        Expected::Greeted => (200, "ignored", Vec::new()),
        Expected::Refused => (401, "signature", Vec::new()),
    };
    let about = format!("{}, {}", step.source, step.title);
    if (answer.status, answer.word.as_str()) != (status, word) {
        return Some(format!("{about}: answered {} {} instead of {status} {word}", answer.status, answer.word));
    }
    let said = |states: &[RowState]| {
        let words: Vec<&str> = states.iter().map(|state| state.as_str()).collect();
        if words.is_empty() { "nothing".to_owned() } else { words.join(", ") }
    };
    (came_to != wanted).then(|| format!("{about}: its update came to {} instead of {}", said(&came_to), said(&wanted)))
}

fn wrong_person(person: &Person, contacts: &[ContactRecord]) -> Vec<String> {
    let Some(contact) = contacts.iter().find(|contact| contact.email.as_deref() == Some(person.email)) else {
        return vec![format!("no contact has the e-mail address {}", person.email)];
    };
    let attribute = |key: &str| contact.custom_attributes.get(key).and_then(serde_json::Value::as_str);
    let mut fields = vec![
        ("name", contact.name.as_deref(), person.name),
        ("phone_number", contact.phone_number.as_deref(), person.phone_number),
    ];
    fields.extend(person.attribute.map(|(key, wanted)| (key, attribute(key), wanted)));
    let wrong = fields.into_iter().filter(|(_, found, wanted)| *found != Some(*wanted));
    wrong
        .map(|(field, found, wanted)| {
            format!("{} has the {field} `{}` instead of `{wanted}`", person.email, found.unwrap_or_default())
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        cli::demo::script::{IN_THE_END, STORY},
        sandbox::{NewContact, Options, Sandbox, Subject},
    };

    async fn good_ending() -> Ending {
        let sandbox = Sandbox::start(Options::default()).await.expect("a free port");
        for person in &IN_THE_END {
            let text = |text: &str| Some(text.to_owned());
            let attributes = person.attribute.iter().map(|(key, value)| ((*key).to_owned(), (*value).into()));
            sandbox.seed(NewContact {
                name: text(person.name),
                email: text(person.email),
                phone_number: text(person.phone_number),
                custom_attributes: attributes.collect(),
                ..NewContact::default()
            });
        }
        Ending { contacts: sandbox.contacts(), overlaps: Vec::new(), open: 0 }
    }

    fn seen(step: &'static Step, code: u16, word: &str, states: &[RowState]) -> Seen {
        Seen {
            step,
            answer: Answer { status: code, webhook: None, word: word.to_owned() },
            updates: states.iter().map(|state| (1, *state)).collect(),
        }
    }

    #[tokio::test]
    async fn nothing_is_missing_when_all_is_as_it_must_be() {
        let seen = [seen(&STORY[0], 200, "accepted", &[RowState::Delivered]), seen(&STORY[2], 200, "duplicate", &[])];
        assert_eq!(missing(&seen, &good_ending().await, &IN_THE_END), Vec::<String>::new());
    }

    #[tokio::test]
    async fn each_thing_that_is_not_as_it_must_be_is_named() {
        let mut ending = good_ending().await;
        ending.contacts[0].phone_number = Some("(020) 7946 0018".to_owned());
        ending.contacts[1].custom_attributes.insert("plan".to_owned(), "trial".into());
        ending.contacts.pop();
        ending.overlaps.push(Overlap { first: 1, second: 2, subject: Subject::Contact(1) });
        ending.open = 2;
        let forged = STORY.iter().find(|step| step.expected == Expected::Refused).expect("a forged webhook");
        let seen = [seen(&STORY[0], 200, "accepted", &[RowState::Dead]), seen(forged, 200, "accepted", &[])];
        assert_eq!(
            missing(&seen, &ending, &IN_THE_END),
            [
                "shopify, a new customer: its update came to dead instead of delivered",
                "stripe, a forged webhook: answered 200 accepted instead of 401 signature",
                "emma.clark@example.test has the phone_number `(020) 7946 0018` instead of `+442079460018`",
                "jonas.weber@example.test has the plan `trial` instead of `team`",
                "no contact has the e-mail address olivia@example.test",
                "Chatwoot has 4 contacts instead of 5",
                "1 times two calls to one contact overlapped",
                "updates in the outbox that are not settled: 2",
            ]
        );
    }
}
