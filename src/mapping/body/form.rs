//! Forms: names and texts, as browsers and plugins send them.
//!
//! Names nest by the bracket convention: `data[email]` is `.data.email`, `fields[phone][value]` is
//! `.fields.phone.value`, `tags[]` appends to the array `.tags`. A name that is repeated holds an array of its texts.
//! Brackets that do not balance, or a name that is a text in one place and an object in another, leave the name as it
//! was written: `."a[b]"`.

use std::borrow::Cow;

use encoding_rs::Encoding;
use jaq_json::Val;
use serde_json::{Map, Value};

use super::Unreadable;

/// The most fields of a form.
pub(super) const MAX_FIELDS: usize = 10_000;
/// The most brackets in a name; deeper names stay as they are written.
const MAX_DEPTH: usize = 16;

/// Reads a form of the given charset.
pub(super) fn read(body: &[u8], encoding: &'static Encoding) -> Result<Val, Unreadable> {
    let mut form = Form::default();
    for pair in body.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty()) {
        let (name, value) = match pair.iter().position(|byte| *byte == b'=') {
            Some(at) => (&pair[..at], &pair[at + 1..]),
            None => (pair, &b""[..]),
        };
        form.add(&text(name, encoding), Value::from(text(value, encoding)))?;
    }
    form.into_value()
}

/// An object of texts whose names stay as they are written, as for the parameters of a query.
pub(in crate::mapping) fn flat(query: &[u8]) -> Val {
    let mut members = Map::new();
    for (name, value) in form_urlencoded::parse(query).take(MAX_FIELDS) {
        put(&mut members, &name, Value::from(value));
    }
    serde_json::from_value(Value::Object(members)).unwrap_or(Val::Null)
}

/// Percent-decoded bytes as text; what does not fit the charset is replaced.
fn text(bytes: &[u8], encoding: &'static Encoding) -> String {
    if encoding == encoding_rs::UTF_8 {
        return form_urlencoded::parse(&[b"=", bytes].concat())
            .next()
            .map(|(_, value)| value.into_owned())
            .unwrap_or_default();
    }
    let spaced: Vec<u8> = bytes.iter().map(|byte| if *byte == b'+' { b' ' } else { *byte }).collect();
    let decoded: Cow<'_, [u8]> = percent_encoding::percent_decode(&spaced).into();
    encoding.decode_without_bom_handling(&decoded).0.into_owned()
}

/// A form that is being put together.
#[derive(Default)]
pub(super) struct Form {
    members: Map<String, Value>,
    fields: usize,
}

impl Form {
    /// Puts a value where its name says.
    ///
    /// # Errors
    /// When there are too many fields.
    pub(super) fn add(&mut self, name: &str, value: Value) -> Result<(), Unreadable> {
        self.fields += 1;
        if self.fields > MAX_FIELDS {
            return Err(Unreadable::because(format!("the form has more than {MAX_FIELDS} fields")));
        }
        match segments(name) {
            Some((first, rest)) if fits(self.members.get(first), &rest) => {
                nest(self.members.entry(first).or_insert(Value::Null), &rest, value);
            }
            _ => put(&mut self.members, name, value),
        }
        Ok(())
    }

    /// The whole form, for expressions.
    pub(super) fn into_value(self) -> Result<Val, Unreadable> {
        serde_json::from_value(Value::Object(self.members)).map_err(|_| Unreadable::because("the form cannot be read"))
    }
}

/// `a[b][]` as `a` and `["b", ""]`; `None` for a plain name, and where brackets do not balance.
fn segments(name: &str) -> Option<(&str, Vec<&str>)> {
    let (first, mut rest) = name.split_at(name.find('[')?);
    let mut segments = Vec::new();
    while !rest.is_empty() {
        let (segment, behind) = rest.strip_prefix('[')?.split_once(']')?;
        if segment.contains('[') || segments.len() == MAX_DEPTH {
            return None;
        }
        segments.push(segment);
        rest = behind;
    }
    (!first.is_empty()).then_some((first, segments))
}

/// Whether a value can be put at a path without overwriting another kind of value.
fn fits(present: Option<&Value>, path: &[&str]) -> bool {
    match (present, path) {
        (None | Some(Value::Null), _) | (Some(Value::Array(_)), [""]) => true,
        (Some(Value::Object(members)), [segment, rest @ ..]) if !segment.is_empty() => {
            rest.is_empty() || fits(members.get(*segment), rest)
        }
        (Some(_), _) => false,
    }
}

fn nest(place: &mut Value, path: &[&str], value: Value) {
    match path {
        [] => *place = value,
        // An empty segment in the middle starts an object of its own for each field, as PHP does.
        ["", rest @ ..] => {
            if let Value::Array(values) = array(place) {
                let mut inner = Value::Null;
                nest(&mut inner, rest, value);
                values.push(inner);
            }
        }
        [segment, rest @ ..] => {
            if place.is_null() {
                *place = Value::Object(Map::new());
            }
            if let Value::Object(members) = place {
                if rest.is_empty() {
                    put(members, segment, value);
                } else {
                    nest(members.entry(*segment).or_insert(Value::Null), rest, value);
                }
            }
        }
    }
}

fn array(place: &mut Value) -> &mut Value {
    if place.is_null() {
        *place = Value::Array(Vec::new());
    }
    place
}

/// Puts a value under a name; a name that is repeated holds an array.
fn put(members: &mut Map<String, Value>, name: &str, value: Value) {
    match members.get_mut(name) {
        None => {
            members.insert(name.to_owned(), value);
        }
        Some(Value::Array(values)) => values.push(value),
        Some(first) => {
            let before = first.take();
            *first = Value::Array(vec![before, value]);
        }
    }
}
