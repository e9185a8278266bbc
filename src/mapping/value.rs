//! The value that expressions work on: jaq's JSON value, with every operation metered ([`super::fuel`]).
//!
//! What the meter guarantees, whatever the expression: the sizes of all values, counted as trees (a value that stands
//! in two places counts twice), stay below that of the input plus what the fuel pays for, and no value is nested deeper than
//! [`MAX_DEPTH`]. So comparing, printing and dropping a value, which recurse, are bounded too. To that end whatever puts
//! a value *into* another one (`[…]`, `{…}`, `+`) pays for the whole tree that it puts there.
//!
//! A value's `Display` is its kind, never its content: the interpreter builds its error messages with it, and those are
//! logged and stored.

mod arithmetic;

use std::{
    cmp::Ordering,
    fmt::{self, Write},
};

use bytes::Bytes;
use jaq_core::{
    Error, Exn, ValR, ValX,
    path::Opt,
    val::{Range, ValT},
};
use jaq_json::{Map, Num, Rc, Val};

use super::fuel::{burn, too_deep};

/// The deepest nesting of a value. Bodies have at most 128 levels (the limit of `serde_json`); expressions may add some.
pub(super) const MAX_DEPTH: usize = 256;

/// Integers of more bits than this become floating-point numbers, as `serde_json` has them beyond 64 bits: squaring again and again
/// would double their digits each time.
const MAX_INTEGER_BITS: u64 = 128;

/// A JSON value whose operations burn fuel.
pub(super) struct Metered(pub(super) Val);

fn units(len: usize) -> u64 {
    u64::try_from(len).unwrap_or(u64::MAX)
}

/// The fuel for touching `len` bytes.
pub(super) fn for_bytes(len: usize) -> u64 {
    1 + units(len / 16)
}

/// Burns the fuel for `value`'s whole tree, put into a container at `depth`.
pub(super) fn burn_tree(value: &Val, depth: usize) {
    if depth > MAX_DEPTH {
        too_deep();
    }
    match value {
        Val::Null | Val::Bool(_) | Val::Num(_) => burn(1),
        Val::TStr(text) | Val::BStr(text) => burn(for_bytes(text.len())),
        Val::Arr(elements) => {
            burn(1);
            elements.iter().for_each(|element| burn_tree(element, depth + 1));
        }
        Val::Obj(members) => {
            burn(1);
            for (key, member) in members.iter() {
                burn_tree(key, depth + 1);
                burn_tree(member, depth + 1);
            }
        }
    }
}

/// Burns the fuel for a container's own elements, not for what is in them.
fn burn_shallow(value: &Val) {
    burn(match value {
        Val::Null | Val::Bool(_) | Val::Num(_) => 1,
        Val::TStr(text) | Val::BStr(text) => for_bytes(text.len()),
        Val::Arr(elements) => 1 + units(elements.len()),
        Val::Obj(members) => 1 + units(members.len()),
    });
}

/// Burns the fuel for comparing two values: at most the smaller text, or the whole left tree.
fn burn_comparison(left: &Val, right: &Val) {
    match (left, right) {
        (Val::TStr(left) | Val::BStr(left), Val::TStr(right) | Val::BStr(right)) => {
            burn(for_bytes(left.len().min(right.len())));
        }
        (Val::Arr(left_elements), Val::Arr(right_elements))
            if !left_elements.is_empty() && !right_elements.is_empty() =>
        {
            burn_tree(left, 0);
        }
        (Val::Obj(left_members), Val::Obj(right_members)) if !left_members.is_empty() && !right_members.is_empty() => {
            burn_tree(left, 0);
        }
        _ => burn(1),
    }
}

/// Keeps integers within [`MAX_INTEGER_BITS`].
fn bounded(value: Val) -> Val {
    match value {
        Val::Num(Num::BigInt(integer)) if integer.bits() > MAX_INTEGER_BITS => {
            Val::Num(Num::from_dec_str(&integer.to_string()))
        }
        other => other,
    }
}

/// A text that burns fuel as it grows.
struct MeteredText(String);

impl Write for MeteredText {
    fn write_str(&mut self, part: &str) -> fmt::Result {
        burn(for_bytes(part.len()));
        self.0.push_str(part);
        Ok(())
    }
}

impl Metered {
    /// The value as JSON text.
    pub(super) fn to_json(&self) -> Self {
        let mut text = MeteredText(String::new());
        // Writing into a text cannot fail.
        let _ = write!(text, "{}", self.0);
        Self(Val::from(text.0))
    }

    /// The UTF-8 text of a text.
    pub(super) fn as_text(&self) -> Option<&str> {
        match &self.0 {
            Val::TStr(text) => std::str::from_utf8(text).ok(),
            _ => None,
        }
    }
}

impl Clone for Metered {
    fn clone(&self) -> Self {
        burn(1);
        Self(self.0.clone())
    }
}

/// The kind of the value, in words.
impl fmt::Display for Metered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match Kind::of(&self.0) {
            Kind::Null => "null",
            Kind::Bool => "true or false",
            Kind::Number => "a number",
            Kind::Text => "a text",
            Kind::Array => "an array",
            Kind::Object => "an object",
        })
    }
}

impl From<bool> for Metered {
    fn from(value: bool) -> Self {
        burn(1);
        Self(Val::from(value))
    }
}

impl From<isize> for Metered {
    fn from(value: isize) -> Self {
        burn(1);
        Self(Val::from(value))
    }
}

impl From<usize> for Metered {
    fn from(value: usize) -> Self {
        burn(1);
        Self(Val::from(value))
    }
}

impl From<f64> for Metered {
    fn from(value: f64) -> Self {
        burn(1);
        Self(Val::from(value))
    }
}

impl From<String> for Metered {
    fn from(value: String) -> Self {
        burn(for_bytes(value.len()));
        Self(Val::from(value))
    }
}

impl From<Range<Self>> for Metered {
    fn from(range: Range<Self>) -> Self {
        burn(2);
        Self(Val::from(range.start.map(|Self(value)| value)..range.end.map(|Self(value)| value)))
    }
}

impl FromIterator<Self> for Metered {
    fn from_iter<I: IntoIterator<Item = Self>>(values: I) -> Self {
        let elements: Vec<Val> = values
            .into_iter()
            .map(|Self(value)| {
                burn_tree(&value, 1);
                value
            })
            .collect();
        Self(Val::Arr(Rc::new(elements)))
    }
}

impl PartialEq for Metered {
    fn eq(&self, other: &Self) -> bool {
        burn_comparison(&self.0, &other.0);
        self.0 == other.0
    }
}

impl Eq for Metered {}

impl PartialOrd for Metered {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Metered {
    fn cmp(&self, other: &Self) -> Ordering {
        burn_comparison(&self.0, &other.0);
        self.0.cmp(&other.0)
    }
}

/// What an error says of a value.
#[derive(Clone, Copy)]
enum Kind {
    Null,
    Bool,
    Number,
    Text,
    Array,
    Object,
}

impl Kind {
    fn of(value: &Val) -> Self {
        match value {
            Val::Null => Self::Null,
            Val::Bool(_) => Self::Bool,
            Val::Num(_) => Self::Number,
            Val::TStr(_) | Val::BStr(_) => Self::Text,
            Val::Arr(_) => Self::Array,
            Val::Obj(_) => Self::Object,
        }
    }

    /// Some value of this kind, to build an error with after the value itself is used up.
    fn sample(self) -> Metered {
        Metered(match self {
            Self::Null => Val::Null,
            Self::Bool => Val::Bool(false),
            Self::Number => Val::from(0_isize),
            Self::Text => Val::from(String::new()),
            Self::Array => Val::Arr(Rc::default()),
            Self::Object => Val::obj(Map::default()),
        })
    }
}

impl ValT for Metered {
    fn from_num(number: &str) -> ValR<Self> {
        burn(for_bytes(number.len()));
        Val::from_num(number).map(|value| Self(bounded(value))).map_err(|_| Error::typ(Kind::Text.sample(), "a number"))
    }

    fn from_map<I: IntoIterator<Item = (Self, Self)>>(members: I) -> ValR<Self> {
        let members: Map = members
            .into_iter()
            .map(|(Self(key), Self(member))| {
                burn_tree(&key, 1);
                burn_tree(&member, 1);
                (key, member)
            })
            .collect();
        Ok(Self(Val::obj(members)))
    }

    fn key_values(self) -> Box<dyn Iterator<Item = ValR<(Self, Self), Self>>> {
        burn_shallow(&self.0);
        match self.0 {
            Val::Arr(_) | Val::Obj(_) => {
                Box::new(self.0.key_values().filter_map(Result::ok).map(|(key, value)| Ok((Self(key), Self(value)))))
            }
            other => Box::new(std::iter::once(Err(Error::typ(Self(other), "an array or object")))),
        }
    }

    fn values(self) -> Box<dyn Iterator<Item = ValR<Self>>> {
        burn_shallow(&self.0);
        match self.0 {
            Val::Arr(_) | Val::Obj(_) => Box::new(self.0.values().filter_map(Result::ok).map(|value| Ok(Self(value)))),
            other => Box::new(std::iter::once(Err(Error::typ(Self(other), "an array or object")))),
        }
    }

    fn index(self, Self(index): &Self) -> ValR<Self> {
        match (&self.0, index) {
            // Finds an array in an array, at the cost of both; nobody maps with that.
            (_, Val::Arr(_)) => return Err(Error::index(self, Self(index.clone()))),
            (_, Val::Obj(_)) => {
                burn_tree(index, 0);
                burn_shallow(&self.0);
            }
            _ => burn_shallow(index),
        }
        match ValT::index(self.0.clone(), index) {
            Ok(value) => Ok(Self(value)),
            Err(_) => Err(Error::index(self, Self(index.clone()))),
        }
    }

    fn range(self, range: Range<&Self>) -> ValR<Self> {
        burn_shallow(&self.0);
        let range = range.start.map(|Self(value)| value)..range.end.map(|Self(value)| value);
        let kind = Kind::of(&self.0);
        ValT::range(self.0, range).map(Self).map_err(|_| Error::typ(kind.sample(), "a value to cut a part out of"))
    }

    // Updates (`|=` and the like) are refused by the gate, and no definition that needs them is loaded.

    fn map_values<'a, I: Iterator<Item = ValX<'a, Self>>>(self, _: Opt, _: impl Fn(Self) -> I) -> ValX<'a, Self> {
        Err(no_updates())
    }

    fn map_index<'a, I: Iterator<Item = ValX<'a, Self>>>(
        self,
        _: &Self,
        _: Opt,
        _: impl Fn(Self) -> I,
    ) -> ValX<'a, Self> {
        Err(no_updates())
    }

    fn map_range<'a, I: Iterator<Item = ValX<'a, Self>>>(
        self,
        _: Range<&Self>,
        _: Opt,
        _: impl Fn(Self) -> I,
    ) -> ValX<'a, Self> {
        Err(no_updates())
    }

    fn as_bool(&self) -> bool {
        burn(1);
        self.0.as_bool()
    }

    fn into_string(self) -> Self {
        match self.0 {
            Val::TStr(text) | Val::BStr(text) => {
                burn(1);
                Self(Val::TStr(text))
            }
            _ => self.to_json(),
        }
    }
}

fn no_updates<'a>() -> Exn<'a, Metered> {
    Exn::from(Error::typ(Kind::Null.sample(), "a place to change"))
}

impl jaq_std::ValT for Metered {
    fn into_seq<S: FromIterator<Self>>(self) -> Result<S, Self> {
        burn_shallow(&self.0);
        match self.0 {
            Val::Arr(elements) => Ok(Rc::unwrap_or_clone(elements).into_iter().map(Self).collect()),
            other => Err(Self(other)),
        }
    }

    fn is_int(&self) -> bool {
        jaq_std::ValT::is_int(&self.0)
    }

    fn as_isize(&self) -> Option<isize> {
        jaq_std::ValT::as_isize(&self.0)
    }

    fn as_f64(&self) -> Option<f64> {
        jaq_std::ValT::as_f64(&self.0)
    }

    fn is_utf8_str(&self) -> bool {
        matches!(self.0, Val::TStr(_))
    }

    fn as_bytes(&self) -> Option<&[u8]> {
        match &self.0 {
            Val::TStr(text) | Val::BStr(text) => {
                burn(for_bytes(text.len()));
                Some(text)
            }
            _ => None,
        }
    }

    fn as_sub_str(&self, part: &[u8]) -> Self {
        burn(1);
        match &self.0 {
            Val::TStr(text) | Val::BStr(text) => Self(Val::utf8_str(text.slice_ref(part))),
            // Only asked of values that `as_bytes` gave bytes for.
            _ => Self(Val::Null),
        }
    }

    fn from_utf8_bytes(bytes: impl AsRef<[u8]> + Send + 'static) -> Self {
        let bytes = Bytes::from_owner(bytes);
        burn(for_bytes(bytes.len()));
        Self(Val::utf8_str(bytes))
    }
}
