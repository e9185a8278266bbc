//! A request of a person about their data, as it comes out of a mapping.

use serde::{Serialize, Serializer, ser::SerializeMap};

use crate::contacts::{ContactKey, ContactUpdate, Email, Identifier, Parts, PhoneNumber};

/// What a person, or a shop for all of its persons, asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PersonRequestKind {
    /// To be erased.
    Erase,
    /// To get what is kept of them.
    Export,
    /// That everything that came from this shop is erased.
    EraseShop,
}

impl PersonRequestKind {
    /// All kinds.
    pub const ALL: [Self; 3] = [Self::Erase, Self::Export, Self::EraseShop];

    /// The word that `person.request` gives, and that tables and JSON have.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Erase => "erase",
            Self::Export => "export",
            Self::EraseShop => "erase_shop",
        }
    }
}

/// A request of a person about their data, and whose it is as far as the sender says. All parts may be missing: such a
/// request is kept all the same, for somebody to find out.
#[derive(Clone, Debug, PartialEq)]
pub struct PersonRequest {
    /// What is asked for.
    pub kind: PersonRequestKind,
    /// The external identifier, with the source's prefix.
    pub identifier: Option<Identifier>,
    /// The e-mail address.
    pub email: Option<Email>,
    /// The phone number.
    pub phone_number: Option<PhoneNumber>,
}

impl PersonRequest {
    /// The key that the person's updates have; `None` where the sender named nobody.
    pub fn key(&self) -> Option<ContactKey> {
        let parts = Parts {
            identifier: self.identifier.clone(),
            email: self.email.clone(),
            phone_number: self.phone_number.clone(),
            ..Parts::default()
        };
        ContactUpdate::new(parts).ok().map(|update| update.key())
    }

    /// Why the webhook led to no update, in the words of `webhooks.reason`.
    pub fn reason(&self) -> &'static str {
        match self.kind {
            PersonRequestKind::Erase => "person request: erase",
            PersonRequestKind::Export => "person request: export",
            PersonRequestKind::EraseShop => "person request: erase_shop",
        }
    }
}

/// `{"kind": …, "identifier": …, "email": …, "phone_number": …}`, without what is missing.
impl Serialize for PersonRequest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("kind", self.kind.as_str())?;
        let identifier = self.identifier.as_ref().map(Identifier::as_str);
        let email = self.email.as_ref().map(Email::as_str);
        let phone_number = self.phone_number.as_ref().map(PhoneNumber::as_str);
        for (name, text) in [("identifier", identifier), ("email", email), ("phone_number", phone_number)] {
            if let Some(text) = text {
                map.serialize_entry(name, text)?;
            }
        }
        map.end()
    }
}
