//! The values of a contact, each valid by construction: whoever holds an [`Email`] holds a usable address. Texts are
//! trimmed on the way in. What cannot be used is refused with an [`Unusable`], which never quotes the value.

mod attribute;
mod avatar;
mod email;
mod phone;
mod text;

pub use attribute::{MAX_ATTRIBUTE_BYTES, attribute_value};
pub use avatar::AvatarUrl;
pub use email::Email;
pub use phone::{PhoneNumber, Region};
pub use text::{AttributeKey, Identifier, Name};

/// The longest text that Chatwoot's columns for identifier, name and e-mail hold, in characters.
const MAX_CHARS: usize = 255;

/// Why a value cannot be written. The words hold no personal data, so they may be logged and stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Unusable {
    /// Nothing is left after trimming.
    #[error("it is blank")]
    Blank,
    /// More characters, or bytes where it says so, than the value may have.
    #[error("it is longer than {limit} {unit}")]
    TooLong {
        /// The longest that is allowed.
        limit: usize,
        /// `characters` or `bytes`.
        unit: &'static str,
    },
    /// NUL, a line break or another control character.
    #[error("it has a control character")]
    ControlCharacter,
    /// An identifier that would look like one of our local keys.
    #[error("it starts with `email:`, `phone:` or `contact:`, which mark our own keys")]
    ReservedPrefix,
    /// Not an address that mail could be sent to.
    #[error("it is no e-mail address")]
    NotAnEmail,
    /// What people type when they do not want to give an address.
    #[error("it is a placeholder, not an e-mail address")]
    Placeholder,
    /// A national number, and no region to read it in.
    #[error("it has no country code, and no region is known")]
    NoCountryCode,
    /// Not a number that could be called.
    #[error("it is no valid phone number")]
    NotAPhoneNumber,
    /// Not an ISO 3166 code that has phone numbers.
    #[error("it is no country code of two letters, such as IL")]
    NotARegion,
    /// Not an absolute `http` or `https` URL with a host.
    #[error("it is no http or https URL")]
    NotAUrl,
    /// Chatwoot drops an array that stands in an array without a word.
    #[error("it has an array inside an array, which Chatwoot does not keep")]
    NestedArray,
}

impl Unusable {
    /// A stable word for programs, such as `too_long`.
    pub fn code(self) -> &'static str {
        match self {
            Self::Blank => "blank",
            Self::TooLong { .. } => "too_long",
            Self::ControlCharacter => "control_character",
            Self::ReservedPrefix => "reserved_prefix",
            Self::NotAnEmail => "not_an_email",
            Self::Placeholder => "placeholder",
            Self::NoCountryCode => "no_country_code",
            Self::NotAPhoneNumber => "not_a_phone_number",
            Self::NotARegion => "not_a_region",
            Self::NotAUrl => "not_a_url",
            Self::NestedArray => "nested_array",
        }
    }
}

/// Refuses a blank text and one of more than `limit` characters.
fn check_length(text: &str, limit: usize) -> Result<(), Unusable> {
    if text.is_empty() {
        return Err(Unusable::Blank);
    }
    // A text has at most as many characters as bytes: most texts need no counting.
    if text.len() > limit && text.chars().count() > limit {
        return Err(Unusable::TooLong { limit, unit: "characters" });
    }
    Ok(())
}

/// A `Debug` that names the type and keeps the value, which is personal data, to itself.
macro_rules! redacted_debug {
    ($type:ident) => {
        impl std::fmt::Debug for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(concat!(stringify!($type), "(…)"))
            }
        }
    };
}
use redacted_debug;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_output_shows_no_personal_data() {
        let email = Email::parse("dana@example.com").unwrap();
        let phone = PhoneNumber::parse("+972502345678", None).unwrap();
        let name = Name::parse("Dana").unwrap();
        let identifier = Identifier::parse("7001").unwrap();
        let shown = format!("{email:?} {phone:?} {name:?} {identifier:?}");
        assert_eq!(shown, "Email(…) PhoneNumber(…) Name(…) Identifier(…)");
    }
}
