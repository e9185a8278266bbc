//! Plain texts: identifier, name and the key of an attribute.

use super::{MAX_CHARS, Unusable, check_length, redacted_debug};
use crate::contacts::ContactKey;

/// The id that the outside world knows a contact by: trimmed, at most 255 characters, no control character, and not
/// mistakable for one of our local keys.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Identifier(String);

redacted_debug!(Identifier);

impl Identifier {
    /// Reads an identifier.
    ///
    /// # Errors
    /// When it is blank, too long, has a control character or starts with `email:`, `phone:` or `contact:`.
    pub fn parse(text: &str) -> Result<Self, Unusable> {
        let text = text.trim();
        check_length(text, MAX_CHARS)?;
        if text.contains(char::is_control) {
            return Err(Unusable::ControlCharacter);
        }
        if ContactKey::RESERVED_PREFIXES.iter().any(|prefix| text.starts_with(prefix)) {
            return Err(Unusable::ReservedPrefix);
        }
        Ok(Self(text.to_owned()))
    }

    /// The identifier's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A display name: one trimmed line of at most 255 characters.
#[derive(Clone, PartialEq, Eq)]
pub struct Name(String);

redacted_debug!(Name);

impl Name {
    /// Reads a name; a line break or another control character becomes a blank.
    ///
    /// # Errors
    /// When it is blank or too long.
    pub fn parse(text: &str) -> Result<Self, Unusable> {
        let line = text.replace(char::is_control, " ");
        let line = line.trim();
        check_length(line, MAX_CHARS)?;
        Ok(Self(line.to_owned()))
    }

    /// The name's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The key of a custom or additional attribute: trimmed, at most 255 characters, no control character.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AttributeKey(String);

impl AttributeKey {
    /// Reads a key.
    ///
    /// # Errors
    /// When it is blank, too long or has a control character.
    pub fn parse(text: &str) -> Result<Self, Unusable> {
        let text = text.trim();
        check_length(text, MAX_CHARS)?;
        if text.contains(char::is_control) {
            return Err(Unusable::ControlCharacter);
        }
        Ok(Self(text.to_owned()))
    }

    /// The key's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<AttributeKey> for String {
    fn from(key: AttributeKey) -> Self {
        key.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identifier_is_trimmed_and_may_not_look_like_a_local_key() {
        assert_eq!(Identifier::parse(" gid-7001\n").unwrap().as_str(), "gid-7001");
        for reserved in ["email:a@b.example", "phone:+1", "contact:5"] {
            assert_eq!(Identifier::parse(reserved), Err(Unusable::ReservedPrefix));
        }
        assert_eq!(Identifier::parse("phone:+15875302271"), Err(Unusable::ReservedPrefix));
        assert_eq!(Identifier::parse(" \t"), Err(Unusable::Blank));
        assert_eq!(Identifier::parse("a\0b"), Err(Unusable::ControlCharacter));
    }

    #[test]
    fn lengths_count_characters_because_the_columns_do() {
        assert!(Identifier::parse(&"א".repeat(255)).is_ok());
        assert_eq!(Identifier::parse(&"א".repeat(256)).unwrap_err().code(), "too_long");
        assert!(Name::parse(&"א".repeat(255)).is_ok());
        assert_eq!(Name::parse(&"א".repeat(256)).unwrap_err().code(), "too_long");
    }

    #[test]
    fn a_name_is_one_line() {
        assert_eq!(Name::parse(" Dana\nLevi\0 ").unwrap().as_str(), "Dana Levi");
        assert_eq!(Name::parse("\u{0}\n"), Err(Unusable::Blank));
    }

    #[test]
    fn an_attribute_key_is_trimmed_and_has_no_control_character() {
        assert_eq!(String::from(AttributeKey::parse(" plan ").unwrap()), "plan");
        assert_eq!(AttributeKey::parse("a\nb"), Err(Unusable::ControlCharacter));
        assert_eq!(AttributeKey::parse(""), Err(Unusable::Blank));
    }
}
