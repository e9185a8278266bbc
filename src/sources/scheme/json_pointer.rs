//! One value out of a JSON body, by RFC 6901 pointer. The body is read once in a stream and nothing but the value is
//! kept, so that an unverified body of any shape costs no memory.

use std::{borrow::Cow, fmt};

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

use super::Refusal;

/// The longest text that is taken out of a body, in bytes: as much as a header may have.
const LONGEST_VALUE: usize = super::LONGEST_HEADER;

/// A path to a value inside the body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct JsonPointer {
    text: String,
    tokens: Vec<String>,
}

impl JsonPointer {
    /// # Errors
    /// What is wrong with the text.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let Some(path) = text.strip_prefix('/') else {
            return Err(format!("`{text}` is no JSON pointer: expected one such as /signature/timestamp"));
        };
        let tokens = path.split('/').map(unescape).collect::<Option<_>>();
        let tokens = tokens.ok_or_else(|| format!("`{text}` is no JSON pointer: after ~ only 0 or 1 may stand"))?;
        Ok(Self { text: text.to_owned(), tokens })
    }

    /// The pointer as written.
    pub(super) fn as_str(&self) -> &str {
        &self.text
    }

    /// The text at this place, or the whole number there as text.
    pub(super) fn find<'b>(&self, body: &'b [u8]) -> Result<Cow<'b, str>, Refusal> {
        let mut json = serde_json::Deserializer::from_slice(body);
        let found = Seek(&self.tokens).deserialize(&mut json).map_err(|_| Refusal::MalformedJson)?;
        json.end().map_err(|_| Refusal::MalformedJson)?;
        let pointer = || self.text.clone();
        match found {
            Found::Text(text) if text.len() <= LONGEST_VALUE => Ok(text),
            Found::Text(_) | Found::Unusable => Err(Refusal::MalformedField { pointer: pointer() }),
            Found::Absent => Err(Refusal::MissingField { pointer: pointer() }),
            Found::Twice => Err(Refusal::AmbiguousField { pointer: pointer() }),
        }
    }

    /// Puts `value` at this place, making the objects on the way. False when something else is in the way.
    pub(super) fn set(&self, root: &mut Value, value: Value) -> bool {
        let mut place = root;
        for token in &self.tokens {
            if place.is_null() {
                *place = Value::Object(Map::new());
            }
            let next = match place {
                Value::Object(object) => Some(object.entry(token.as_str()).or_insert(Value::Null)),
                Value::Array(array) => token.parse().ok().and_then(|index: usize| array.get_mut(index)),
                _ => None,
            };
            let Some(next) = next else { return false };
            place = next;
        }
        *place = value;
        true
    }
}

fn unescape(token: &str) -> Option<String> {
    let mut plain = String::with_capacity(token.len());
    let mut rest = token.chars();
    while let Some(char) = rest.next() {
        plain.push(match char {
            '~' => match rest.next()? {
                '0' => '~',
                '1' => '/',
                _ => return None,
            },
            other => other,
        });
    }
    Some(plain)
}

enum Found<'b> {
    Absent,
    Text(Cow<'b, str>),
    /// An object, array, fraction, boolean or null.
    Unusable,
    /// A key on the way is there more than once: which one counts would be a matter of the reader's taste.
    Twice,
}

/// Looks for the value that the remaining tokens lead to.
struct Seek<'t>(&'t [String]);

impl<'b> Seek<'_> {
    fn scalar(&self, value: Found<'b>) -> Found<'b> {
        if self.0.is_empty() { value } else { Found::Absent }
    }
}

impl<'b> DeserializeSeed<'b> for Seek<'_> {
    type Value = Found<'b>;

    fn deserialize<D: Deserializer<'b>>(self, deserializer: D) -> Result<Found<'b>, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'b> Visitor<'b> for Seek<'_> {
    type Value = Found<'b>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_borrowed_str<E>(self, text: &'b str) -> Result<Found<'b>, E> {
        Ok(self.scalar(Found::Text(Cow::Borrowed(text))))
    }

    fn visit_str<E>(self, text: &str) -> Result<Found<'b>, E> {
        Ok(if self.0.is_empty() { Found::Text(Cow::Owned(text.to_owned())) } else { Found::Absent })
    }

    fn visit_u64<E>(self, number: u64) -> Result<Found<'b>, E> {
        Ok(self.scalar(Found::Text(Cow::Owned(number.to_string()))))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Found<'b>, E> {
        Ok(self.scalar(Found::Text(Cow::Owned(number.to_string()))))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Found<'b>, E> {
        // The digits as received are gone here, and only they could be signed.
        Ok(self.scalar(Found::Unusable))
    }

    fn visit_bool<E>(self, _: bool) -> Result<Found<'b>, E> {
        Ok(self.scalar(Found::Unusable))
    }

    fn visit_unit<E>(self) -> Result<Found<'b>, E> {
        Ok(self.scalar(Found::Unusable))
    }

    fn visit_map<A: MapAccess<'b>>(self, mut map: A) -> Result<Found<'b>, A::Error> {
        let Some((wanted, rest)) = self.0.split_first() else {
            while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
            return Ok(Found::Unusable);
        };
        let mut found = None;
        while let Some(is_wanted) = map.next_key_seed(KeyIs(wanted))? {
            found = match (is_wanted, found) {
                (true, None) => Some(map.next_value_seed(Seek(rest))?),
                (true, Some(_)) => {
                    map.next_value::<IgnoredAny>()?;
                    Some(Found::Twice)
                }
                (false, found) => {
                    map.next_value::<IgnoredAny>()?;
                    found
                }
            };
        }
        Ok(found.unwrap_or(Found::Absent))
    }

    fn visit_seq<A: SeqAccess<'b>>(self, mut seq: A) -> Result<Found<'b>, A::Error> {
        let (wanted, rest) = match self.0.split_first() {
            Some((token, rest)) => (token.parse::<usize>().ok(), rest),
            None => (None, self.0),
        };
        let mut found = if self.0.is_empty() { Found::Unusable } else { Found::Absent };
        for index in 0.. {
            if wanted == Some(index) {
                match seq.next_element_seed(Seek(rest))? {
                    Some(value) => found = value,
                    None => break,
                }
            } else if seq.next_element::<IgnoredAny>()?.is_none() {
                break;
            }
        }
        Ok(found)
    }
}

/// Reads a key and says whether it is this one.
struct KeyIs<'t>(&'t str);

impl<'b> DeserializeSeed<'b> for KeyIs<'_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'b>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for KeyIs<'_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E>(self, key: &str) -> Result<bool, E> {
        Ok(key == self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(pointer: &str, body: &str) -> Result<String, &'static str> {
        let pointer = JsonPointer::parse(pointer).expect("a pointer");
        pointer.find(body.as_bytes()).map(Cow::into_owned).map_err(|refusal| refusal.code())
    }

    #[test]
    fn texts_and_whole_numbers_are_found_at_any_depth() {
        let body = r#"{"a":{"b/c":[0,{"~":"x\u0041"}],"n":18446744073709551615},"m":-7,"":"empty"}"#;
        assert_eq!(find("/a/b~1c/1/~0", body), Ok("xA".to_owned()));
        assert_eq!(find("/a/n", body), Ok("18446744073709551615".to_owned()));
        assert_eq!(find("/m", body), Ok("-7".to_owned()));
        assert_eq!(find("/", body), Ok("empty".to_owned()));
        assert_eq!(find("/a/b~1c/0", body), Ok("0".to_owned()));
    }

    #[test]
    fn what_cannot_be_one_text_is_refused() {
        let body = r#"{"a":{},"b":[],"c":1.5,"d":null,"e":true,"f":"1","f":"2"}"#;
        for pointer in ["/a", "/b", "/c", "/d", "/e"] {
            assert_eq!(find(pointer, body), Err("malformed_field"), "{pointer}");
        }
        assert_eq!(find("/f", body), Err("ambiguous_field"));
        assert_eq!(find("/x", body), Err("missing_field"));
        assert_eq!(find("/a/x", body), Err("missing_field"));
        assert_eq!(find("/b/0", body), Err("missing_field"));
        assert_eq!(find("/c/0", body), Err("missing_field"));
        assert_eq!(find("/a", r#"{"a":"1"} x"#), Err("malformed_json"));
        assert_eq!(find("/a", ""), Err("malformed_json"));
        assert_eq!(find("/a", &"[".repeat(100_000)), Err("malformed_json"));
        assert_eq!(find("/a", &format!(r#"{{"a":"{}"}}"#, "x".repeat(LONGEST_VALUE + 1))), Err("malformed_field"));
    }

    #[test]
    fn a_text_that_is_no_pointer_is_a_fault() {
        for text in ["", "a", "a/b", "/a~", "/a~2"] {
            assert!(JsonPointer::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_value_is_set_and_the_objects_on_the_way_are_made() {
        let mut body = serde_json::json!({"list": [{}], "text": "x"});
        let set = |body: &mut Value, pointer| JsonPointer::parse(pointer).expect("a pointer").set(body, 1.into());
        assert!(set(&mut body, "/list/0/a/b"));
        assert!(set(&mut body, "/new/key"));
        assert!(!set(&mut body, "/text/key"));
        assert_eq!(body, serde_json::json!({"list": [{"a": {"b": 1}}], "text": "x", "new": {"key": 1}}));
    }
}
