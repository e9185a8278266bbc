//! A TOML document as a tree of values that know where they were written, and the laying of one tree over another.
//! Nothing in here prints: the tree holds secrets.

use std::{collections::BTreeMap, ops::Range};

use toml::{
    Spanned,
    de::{DeInteger, DeTable, DeValue},
};

/// A range of bytes of the file.
pub(super) type Span = Range<usize>;

/// A value and where it was written.
#[derive(Clone)]
pub(super) struct Node {
    pub(super) value: Value,
    pub(super) span: Span,
}

/// A value as TOML has it.
#[derive(Clone)]
pub(super) enum Value {
    Text(String),
    Integer(i64),
    Flag(bool),
    /// A date, a time or both, as it is written.
    Time(String),
    List(Vec<Node>),
    Table(Table),
    /// What no key of ours wants, by its name.
    Other(&'static str),
}

/// Keys and values; each key knows where it was written.
#[derive(Clone, Default)]
pub(super) struct Table(pub(super) BTreeMap<String, Entry>);

/// A key's place, and its value.
#[derive(Clone)]
pub(super) struct Entry {
    pub(super) key: Span,
    pub(super) node: Node,
}

impl Value {
    /// What it is, for "expected a text, found …".
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Text(_) => "a text",
            Self::Integer(_) => "a number",
            Self::Flag(_) => "true or false",
            Self::Time(_) => "a date or time",
            Self::List(_) => "a list",
            Self::Table(_) => "a table",
            Self::Other(name) => name,
        }
    }
}

impl Table {
    /// Reads a document.
    ///
    /// # Errors
    /// Every mistake of syntax in it, at once.
    pub(super) fn parse(text: &str) -> Result<Self, Vec<toml::de::Error>> {
        let (table, errors) = DeTable::parse_recoverable(text);
        if errors.is_empty() { Ok(table.into_inner().into()) } else { Err(errors) }
    }

    pub(super) fn get(&self, key: &str) -> Option<&Entry> {
        self.0.get(key)
    }

    /// The text at `key`, if it is one.
    pub(super) fn text(&self, key: &str) -> Option<&str> {
        match &self.get(key)?.node.value {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// Gives every key and value the place `at`, so that what came from elsewhere points at what asked for it.
    pub(super) fn relocate(&mut self, at: &Span) {
        for entry in self.0.values_mut() {
            entry.key = at.clone();
            entry.node.relocate(at);
        }
    }

    /// Lays `over` on top: tables key by key, everything else by replacing it.
    pub(super) fn overlay(&mut self, over: Self) {
        for (key, upper) in over.0 {
            match (self.0.get_mut(&key), upper.node.value) {
                (Some(Entry { key: place, node: Node { value: Value::Table(lower), span } }), Value::Table(table)) => {
                    *place = upper.key;
                    *span = upper.node.span;
                    lower.overlay(table);
                }
                (_, value) => {
                    let node = Node { value, span: upper.node.span };
                    self.0.insert(key, Entry { key: upper.key, node });
                }
            }
        }
    }
}

impl Node {
    fn relocate(&mut self, at: &Span) {
        self.span = at.clone();
        match &mut self.value {
            Value::List(nodes) => nodes.iter_mut().for_each(|node| node.relocate(at)),
            Value::Table(table) => table.relocate(at),
            Value::Text(_) | Value::Integer(_) | Value::Flag(_) | Value::Time(_) | Value::Other(_) => {}
        }
    }

    /// Calls `visit` with the span of every value below that holds no others.
    pub(super) fn leaves(&self, visit: &mut impl FnMut(&Span)) {
        match &self.value {
            Value::List(nodes) => nodes.iter().for_each(|node| node.leaves(visit)),
            Value::Table(table) => table.0.values().for_each(|entry| entry.node.leaves(visit)),
            Value::Text(_) | Value::Integer(_) | Value::Flag(_) | Value::Time(_) | Value::Other(_) => visit(&self.span),
        }
    }
}

impl From<DeTable<'_>> for Table {
    fn from(table: DeTable<'_>) -> Self {
        let entry = |(key, value): (Spanned<_>, Spanned<DeValue<'_>>)| {
            let span = key.span();
            let name: std::borrow::Cow<'_, str> = key.into_inner();
            (name.into_owned(), Entry { key: span, node: value.into() })
        };
        Self(table.into_iter().map(entry).collect())
    }
}

impl From<Spanned<DeValue<'_>>> for Node {
    fn from(value: Spanned<DeValue<'_>>) -> Self {
        let span = value.span();
        let value = match value.into_inner() {
            DeValue::String(text) => Value::Text(text.into_owned()),
            DeValue::Integer(number) => integer(&number),
            DeValue::Float(_) => Value::Other("a number with a fraction"),
            DeValue::Boolean(flag) => Value::Flag(flag),
            DeValue::Datetime(time) => Value::Time(time.to_string()),
            DeValue::Array(nodes) => Value::List(nodes.into_iter().map(Into::into).collect()),
            DeValue::Table(table) => Value::Table(table.into()),
        };
        Self { value, span }
    }
}

fn integer(number: &DeInteger<'_>) -> Value {
    i64::from_str_radix(number.as_str(), number.radix()).map_or(Value::Other("a number too large"), Value::Integer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_and_a_key_know_where_they_were_written() {
        let text = "[a.b]\nc = \"x\"\n";
        let table = Table::parse(text).unwrap_or_else(|_| panic!("valid"));
        let Value::Table(a) = &table.0["a"].node.value else { panic!("a table") };
        let b = &a.0["b"];
        assert_eq!(&text[b.key.clone()], "b");
        let Value::Table(inner) = &b.node.value else { panic!("a table") };
        assert_eq!(&text[inner.0["c"].key.clone()], "c");
        assert_eq!(&text[inner.0["c"].node.span.clone()], "\"x\"");
    }

    #[test]
    fn laying_one_table_over_another_replaces_single_keys_and_keeps_the_rest() {
        let parse = |text| Table::parse(text).unwrap_or_else(|_| panic!("valid"));
        let mut lower = parse("a = 1\nlist = [1, 2]\n[deep]\nx = 'old'\ny = 'kept'\n");
        lower.overlay(parse("list = [3]\n[deep]\nx = 'new'\n"));
        let Value::Table(deep) = &lower.0["deep"].node.value else { panic!("a table") };
        assert_eq!((deep.text("x"), deep.text("y")), (Some("new"), Some("kept")));
        assert!(matches!(&lower.0["list"].node.value, Value::List(nodes) if nodes.len() == 1));
        assert!(matches!(lower.0["a"].node.value, Value::Integer(1)));
    }
}
