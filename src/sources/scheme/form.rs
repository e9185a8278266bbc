//! Form fields and query parameters as bytes. Decoding keeps every byte (no replacement of what is not UTF-8), because
//! bodies that differ must not share one signature.

use std::borrow::Cow;

use super::Refusal;

/// More than any sender's form has; bounds what an unverified body can make us sort.
const MOST_FIELDS: usize = 10_000;

/// Whether `+` stands for a blank: so it does in a form, while in a query people paste tokens that contain it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Plus {
    Blank,
    Literal,
}

/// A name and its value, decoded.
type Pair<'t> = (Cow<'t, [u8]>, Cow<'t, [u8]>);

/// The fields of a form body, decoded, sorted by name and then value, each pair once: what Twilio and Mandrill sign.
pub(super) fn sorted_fields(body: &[u8]) -> Result<Vec<Pair<'_>>, Refusal> {
    let mut fields: Vec<_> = pairs(body, Plus::Blank).take(MOST_FIELDS + 1).collect();
    if fields.len() > MOST_FIELDS {
        return Err(Refusal::TooManyFields);
    }
    fields.sort_unstable();
    fields.dedup();
    Ok(fields)
}

/// The value of the query parameter `name`, percent-decoded; `None` when it is absent.
pub(super) fn query_parameter<'r>(path_query: &'r str, name: &str) -> Result<Option<Cow<'r, [u8]>>, Refusal> {
    let Some((_, query)) = path_query.split_once('?') else { return Ok(None) };
    let mut values = pairs(query.as_bytes(), Plus::Literal).filter(|(key, _)| **key == *name.as_bytes());
    let first = values.next().map(|(_, value)| value);
    if values.all(|(_, value)| Some(value) == first) {
        Ok(first)
    } else {
        Err(Refusal::ContradictingParameters { parameter: name.to_owned() })
    }
}

/// `path_query` with this parameter, once: others of its name are taken out, and nothing else changes.
pub(super) fn with_parameter(path_query: &str, name: &str, value: &str) -> String {
    let pair = form_urlencoded::Serializer::new(String::new()).append_pair(name, value).finish();
    // The serializer writes a blank as `+`, which queries are not read with here.
    let pair = pair.replace('+', "%20");
    let Some((path, query)) = path_query.split_once('?') else { return format!("{path_query}?{pair}") };
    let is_named = |pair: &str| pairs(pair.as_bytes(), Plus::Literal).any(|(key, _)| *key == *name.as_bytes());
    let kept = query.split('&').filter(|pair| !is_named(pair)).chain([pair.as_str()]);
    format!("{path}?{}", kept.collect::<Vec<_>>().join("&"))
}

fn pairs(text: &[u8], plus: Plus) -> impl Iterator<Item = Pair<'_>> {
    text.split(|&byte| byte == b'&').filter(|pair| !pair.is_empty()).map(move |pair| {
        let equals = pair.iter().position(|&byte| byte == b'=');
        let (name, value) = equals.map_or((pair, &[][..]), |at| (&pair[..at], &pair[at + 1..]));
        (decoded(name, plus), decoded(value, plus))
    })
}

/// Percent-decoding as browsers do it: a `%` without two digits stands for itself.
fn decoded(text: &[u8], plus: Plus) -> Cow<'_, [u8]> {
    let is_special = |&byte: &u8| byte == b'%' || (byte == b'+' && plus == Plus::Blank);
    if !text.iter().any(is_special) {
        return Cow::Borrowed(text);
    }
    let mut plain = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&byte, after)) = rest.split_first() {
        let escaped = match after {
            [high, low, ..] if byte == b'%' => hex_digit(*high).zip(hex_digit(*low)),
            _ => None,
        };
        let is_blank = byte == b'+' && plus == Plus::Blank;
        let (byte, left) = match escaped {
            Some((high, low)) => (high << 4 | low, &after[2..]),
            None => (if is_blank { b' ' } else { byte }, after),
        };
        plain.push(byte);
        rest = left;
    }
    Cow::Owned(plain)
}

fn hex_digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run_together(body: &str) -> Vec<u8> {
        sorted_fields(body.as_bytes()).expect("few fields").into_iter().flat_map(|(n, v)| [n, v].concat()).collect()
    }

    #[test]
    fn form_fields_are_decoded_and_sorted_by_name() {
        assert_eq!(run_together("b=2&a=1+1"), b"a1 1b2");
        assert_eq!(run_together("a=2&a=1&a=2&&c&d=%zz%4"), b"a1a2cd%zz%4");
        assert_eq!(run_together("a=%FF%2b"), b"a\xff+");
    }

    #[test]
    fn a_form_of_very_many_fields_is_refused() {
        assert_eq!(sorted_fields("a=1&".repeat(10_001).as_bytes()), Err(Refusal::TooManyFields));
    }

    #[test]
    fn a_query_parameter_is_decoded_and_keeps_its_plus() {
        let value = |path, name| query_parameter(path, name).map(|value| value.map(Cow::into_owned));
        assert_eq!(value("/in?a=1&t=x+y%2F%20", "t"), Ok(Some(b"x+y/ ".to_vec())));
        assert_eq!(value("/in?t=1&t=1", "t"), Ok(Some(b"1".to_vec())));
        assert!(value("/in?t=1&t=2", "t").is_err());
        assert_eq!(value("/in?a=1", "t"), Ok(None));
        assert_eq!(value("/t=1", "t"), Ok(None));
    }

    #[test]
    fn a_parameter_that_was_added_is_read_back() {
        let path = with_parameter("/in?a=1", "t k", "x +&=/\u{e9}");
        assert_eq!(query_parameter(&path, "t k").expect("once").as_deref(), Some("x +&=/\u{e9}".as_bytes()));
        assert_eq!(with_parameter("/in", "t", "1"), "/in?t=1");
        assert_eq!(with_parameter("/in?t=0&&a=%74&%74=2&b", "t", "1"), "/in?&a=%74&b&t=1");
    }
}
