//! Which of the contacts that Chatwoot's filter found is meant. Pure.
//!
//! The filter ignores case, so every hit is compared byte by byte. One hit is a match, two or more are a question for
//! a person; a contact is never guessed.

use crate::{
    chatwoot::{Condition, Contact},
    contacts::ContactId,
    settings::MatchKey,
};

/// What the updates say about whom they mean.
#[derive(Clone, Default, PartialEq, Eq)]
pub(super) struct Wanted {
    /// External identifiers, newest update first.
    pub identifiers: Vec<String>,
    /// The newest e-mail address.
    pub email: Option<String>,
    /// The newest phone number.
    pub phone_number: Option<String>,
}

/// Which contact it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Choice {
    /// This one; `lacks_identifier` when the contact has no identifier of its own.
    One {
        /// The contact.
        contact_id: ContactId,
        /// Whether our identifier can be written to it.
        lacks_identifier: bool,
    },
    /// None, though these carry the identifier in other capitals.
    None {
        /// Their ids.
        differ_in_case: Vec<ContactId>,
    },
    /// More than one; a person has to choose.
    Many(Vec<ContactId>),
}

/// The conditions of the filter; empty when nothing can be looked for.
pub(super) fn conditions(match_by: &[MatchKey], wanted: &Wanted) -> Vec<Condition> {
    let condition = |key, value: &String| Condition { key, value: value.clone() };
    match_by
        .iter()
        .flat_map(|key| match key {
            MatchKey::Identifier => wanted.identifiers.iter().map(|value| condition("identifier", value)).collect(),
            MatchKey::Email => wanted.email.iter().map(|value| condition("email", value)).collect::<Vec<_>>(),
            MatchKey::Phone => wanted.phone_number.iter().map(|value| condition("phone_number", value)).collect(),
        })
        .collect()
}

/// Chooses by the first key of `match_by` that matches any contact.
pub(super) fn choose(match_by: &[MatchKey], wanted: &Wanted, hits: &[Contact]) -> Choice {
    for key in match_by {
        let matching: Vec<&Contact> = hits.iter().filter(|contact| matches(*key, wanted, contact)).collect();
        match matching.as_slice() {
            [] => {}
            [one] => return Choice::One { contact_id: one.id, lacks_identifier: one.identifier.is_none() },
            many => return Choice::Many(many.iter().map(|contact| contact.id).collect()),
        }
    }
    let differs = |contact: &&Contact| {
        let theirs = contact.identifier.as_deref().unwrap_or_default().to_lowercase();
        wanted.identifiers.iter().any(|ours| ours.to_lowercase() == theirs)
    };
    Choice::None { differ_in_case: hits.iter().filter(differs).map(|contact| contact.id).collect() }
}

fn matches(key: MatchKey, wanted: &Wanted, contact: &Contact) -> bool {
    match key {
        MatchKey::Identifier => contact.identifier.as_ref().is_some_and(|theirs| wanted.identifiers.contains(theirs)),
        // Chatwoot stores addresses in lower case, and so do we.
        MatchKey::Email => wanted.email.is_some() && contact.email == wanted.email,
        MatchKey::Phone => wanted.phone_number.is_some() && contact.phone_number == wanted.phone_number,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BY: [MatchKey; 2] = [MatchKey::Identifier, MatchKey::Email];

    fn contact(id: ContactId, identifier: Option<&str>, email: Option<&str>) -> Contact {
        Contact { id, identifier: identifier.map(str::to_owned), email: email.map(str::to_owned), ..Contact::default() }
    }

    fn wanted() -> Wanted {
        Wanted { identifiers: vec!["crm-1".to_owned()], email: Some("a@b.co".to_owned()), phone_number: None }
    }

    #[test]
    fn the_identifier_is_believed_before_the_address() {
        let hits = [contact(1, None, Some("a@b.co")), contact(2, Some("crm-1"), None)];
        assert_eq!(choose(&BY, &wanted(), &hits), Choice::One { contact_id: 2, lacks_identifier: false });
    }

    #[test]
    fn an_identifier_in_other_capitals_is_no_match_and_is_reported() {
        let hits = [contact(1, Some("CRM-1"), None)];
        assert_eq!(choose(&BY, &wanted(), &hits), Choice::None { differ_in_case: vec![1] });
    }

    #[test]
    fn two_candidates_are_never_guessed_between() {
        let hits = [contact(1, None, Some("a@b.co")), contact(2, None, Some("a@b.co"))];
        assert_eq!(choose(&BY, &wanted(), &hits), Choice::Many(vec![1, 2]));
    }

    #[test]
    fn a_contact_found_by_address_tells_whether_it_has_an_identifier_of_its_own() {
        let found = choose(&BY, &wanted(), &[contact(7, Some("other"), Some("a@b.co"))]);
        assert_eq!(found, Choice::One { contact_id: 7, lacks_identifier: false });
        let found = choose(&BY, &wanted(), &[contact(7, None, Some("a@b.co"))]);
        assert_eq!(found, Choice::One { contact_id: 7, lacks_identifier: true });
    }
}
