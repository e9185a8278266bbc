//! The address of a contact's picture. Chatwoot downloads it later, in the background.

use url::Url;

use super::{Unusable, check_length, redacted_debug};

/// The longest URL that is taken, in characters.
const MAX_URL_CHARS: usize = 2_000;

/// An absolute `http` or `https` URL with a host and without a password, of at most 2,000 characters.
#[derive(Clone, PartialEq, Eq)]
pub struct AvatarUrl(String);

redacted_debug!(AvatarUrl);

impl AvatarUrl {
    /// Reads a URL; kept as the URL standard writes it.
    ///
    /// # Errors
    /// When it is blank, too long or no such URL.
    pub fn parse(text: &str) -> Result<Self, Unusable> {
        let text = text.trim();
        check_length(text, MAX_URL_CHARS)?;
        let url = Url::parse(text).map_err(|_| Unusable::NotAUrl)?;
        let usable = matches!(url.scheme(), "http" | "https")
            && url.host_str().is_some_and(|host| !host.is_empty())
            && url.password().is_none();
        if !usable {
            return Err(Unusable::NotAUrl);
        }
        let url = String::from(url);
        // Percent-encoding may have made it longer.
        check_length(&url, MAX_URL_CHARS)?;
        Ok(Self(url))
    }

    /// The URL's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_absolute_http_urls_with_a_host_are_pictures() {
        assert_eq!(AvatarUrl::parse(" https://cdn.example/a.png ").unwrap().as_str(), "https://cdn.example/a.png");
        assert!(AvatarUrl::parse("http://[2001:db8::1]/a.png").is_ok());
        for wrong in [
            "/a.png",
            "cdn.example/a.png",
            "ftp://cdn.example/a",
            "data:image/png;base64,AA",
            "https://",
            "https://u:p@cdn.example/",
        ] {
            assert_eq!(AvatarUrl::parse(wrong), Err(Unusable::NotAUrl), "{wrong}");
        }
        assert_eq!(AvatarUrl::parse(""), Err(Unusable::Blank));
        assert_eq!(
            AvatarUrl::parse(&format!("https://a.example/{}", "a".repeat(2_000))).unwrap_err().code(),
            "too_long"
        );
        assert_eq!(
            AvatarUrl::parse(&format!("https://a.example/{}", "א".repeat(1_000))).unwrap_err().code(),
            "too_long"
        );
    }
}
