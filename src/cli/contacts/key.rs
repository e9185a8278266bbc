//! A contact's key as a person writes it.

use crate::contacts::{ContactKey, Email, Identifier, PhoneNumber};

/// Reads an identifier, `email:…` or `phone:…`, into the form that updates have.
///
/// # Errors
/// What is wrong with it, in words.
pub(super) fn parse_key(text: &str) -> Result<ContactKey, String> {
    if let Some(email) = text.strip_prefix("email:") {
        return Email::parse(email).map(|email| ContactKey::from(&email)).map_err(|why| why.to_string());
    }
    if let Some(phone) = text.strip_prefix("phone:") {
        let phone = PhoneNumber::parse(phone, None);
        return phone.map(|phone| ContactKey::from(&phone)).map_err(|why| why.to_string());
    }
    Identifier::parse(text).map(|identifier| ContactKey::from(&identifier)).map_err(|why| why.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_takes_the_form_that_updates_have() {
        assert_eq!(parse_key("email: Dana@Example.com").unwrap().as_str(), "email:dana@example.com");
        assert_eq!(parse_key("phone:+972 50-234-5678").unwrap().as_str(), "phone:+972502345678");
        assert_eq!(parse_key("shop-7").unwrap().as_str(), "shop-7");
        assert!(parse_key("email:nobody").is_err());
        assert!(parse_key("").is_err());
    }
}
