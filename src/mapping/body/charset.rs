//! Bodies in other charsets than UTF-8.

use std::borrow::Cow;

use encoding_rs::{Encoding, UTF_8};

use super::Unreadable;

/// The charset that a content type names; UTF-8 without one.
///
/// # Errors
/// When it names one that nobody knows.
pub(super) fn of(content_type: &str) -> Result<&'static Encoding, Unreadable> {
    let mut parameters = content_type.split(';').skip(1).filter_map(|parameter| parameter.split_once('='));
    let Some((_, label)) = parameters.find(|(name, _)| name.trim().eq_ignore_ascii_case("charset")) else {
        return Ok(UTF_8);
    };
    let label = label.trim().trim_matches('"');
    Encoding::for_label(label.as_bytes())
        .ok_or_else(|| Unreadable::because("the charset of the content type is not known"))
}

/// A body as UTF-8, without its byte order mark, which stands above the charset that the content type names. UTF-8 is
/// passed on unread: whoever parses it finds what is wrong with it.
pub(super) fn decode<'a>(content_type: &str, body: &'a [u8]) -> Result<Cow<'a, [u8]>, Unreadable> {
    let (encoding, mark) = match Encoding::for_bom(body) {
        Some((encoding, length)) => (encoding, length),
        None => (of(content_type)?, 0),
    };
    let body = &body[mark..];
    if encoding == UTF_8 {
        return Ok(Cow::Borrowed(body));
    }
    let (text, malformed) = encoding.decode_without_bom_handling(body);
    if malformed {
        return Err(Unreadable::because("the body does not fit the charset of its content type"));
    }
    Ok(Cow::Owned(text.into_owned().into_bytes()))
}
