//! E-mail addresses, stricter than Chatwoot, which takes anything of the shape `x@y`.

use email_address::{EmailAddress, Options};

use super::{MAX_CHARS, Unusable, check_length, redacted_debug};

/// An e-mail address: lower-cased, its domain in ASCII with a top-level domain, at most 255 characters.
///
/// Lower case for the local part too: Chatwoot compares addresses without case and keeps them in lower case.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Email(String);

redacted_debug!(Email);

impl Email {
    /// Reads an address. Invisible marks, which come along when an address is copied from right-to-left text, are
    /// taken out.
    ///
    /// # Errors
    /// When it is blank, too long, no address, or a placeholder such as `n/a` or `none@none.com`.
    pub fn parse(text: &str) -> Result<Self, Unusable> {
        let visible: String = text.trim().chars().filter(|character| !is_invisible(*character)).collect();
        let text = visible.trim().to_lowercase();
        check_length(&text, MAX_CHARS)?;
        if PLACEHOLDERS.contains(&text.as_str()) {
            return Err(Unusable::Placeholder);
        }
        let (local, domain) = text.rsplit_once('@').ok_or(Unusable::NotAnEmail)?;
        if PLACEHOLDERS.contains(&local) && domain.split('.').next().is_some_and(|label| PLACEHOLDERS.contains(&label))
        {
            return Err(Unusable::Placeholder);
        }
        // A quoted local part may hold blanks and a second `@`; Chatwoot refuses both.
        if local.contains(|character: char| character == '"' || character.is_whitespace() || character.is_control()) {
            return Err(Unusable::NotAnEmail);
        }
        let domain = idna::domain_to_ascii_strict(domain).map_err(|_| Unusable::NotAnEmail)?;
        if domain.rsplit('.').next().is_none_or(|label| label.bytes().all(|byte| byte.is_ascii_digit())) {
            return Err(Unusable::NotAnEmail);
        }
        let address = format!("{local}@{domain}");
        check_length(&address, MAX_CHARS)?;
        let options = Options::default().with_required_tld().without_display_text().without_domain_literal();
        EmailAddress::parse_with_options(&address, options).map_err(|_| Unusable::NotAnEmail)?;
        Ok(Self(address))
    }

    /// The address's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What stands in forms whose e-mail field is required, as a whole or on both sides of the `@`.
const PLACEHOLDERS: [&str; 11] =
    ["n/a", "na", "none", "null", "nil", "undefined", "noemail", "no-email", "no_email", "nomail", "-"];

fn is_invisible(character: char) -> bool {
    matches!(character, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_trimmed_lower_cased_and_its_domain_becomes_ascii() {
        for (text, address) in [
            (" Dana.Levi+shop@Example.COM\n", "dana.levi+shop@example.com"),
            ("dana@דוגמה.co.il", "dana@xn--6dbbec0c.co.il"),
            ("\u{200f}dana@example.com\u{202c}", "dana@example.com"),
            ("o'brien@example.ie", "o'brien@example.ie"),
        ] {
            assert_eq!(Email::parse(text).map(|email| email.0), Ok(address.to_owned()), "{text}");
        }
    }

    #[test]
    fn what_mail_could_not_be_sent_to_is_refused() {
        for text in [
            "dana",
            "dana@",
            "@example.com",
            "dana@localhost",
            "a..b@example.com",
            ".a@example.com",
            "a@b@example.com",
            "\"a b\"@example.com",
            "Dana <dana@example.com>",
            "dana@[127.0.0.1]",
            "dana@127.0.0.1",
            "dana@a_b.com",
            "dana @example.com",
            "dana@exa mple.com",
            "dana@example..com",
            "a@c.123",
            "dana@-example.com",
            "da\0na@example.com",
        ] {
            assert_eq!(Email::parse(text), Err(Unusable::NotAnEmail), "{text}");
        }
        assert_eq!(Email::parse(" "), Err(Unusable::Blank));
        assert_eq!(Email::parse(&format!("{}@example.com", "a".repeat(250))).unwrap_err().code(), "too_long");
    }

    #[test]
    fn a_placeholder_is_no_address() {
        for text in ["n/a", "N/A", "none", "-", "none@none", "none@none.com", "noemail@noemail.com", "NA@na.na"] {
            assert_eq!(Email::parse(text), Err(Unusable::Placeholder), "{text}");
        }
        assert!(Email::parse("na@example.com").is_ok());
    }
}
