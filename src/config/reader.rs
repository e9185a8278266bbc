//! Reads a table key by key, and notes everything that is wrong with it instead of stopping at the first fault. A key
//! that was never asked for is unknown, and is reported when the reader [finishes](Reader::finish).

use std::cell::RefCell;

use super::{
    field::Field,
    problem::Findings,
    suggest::closest,
    tree::{Entry, Span, Table, Value},
};

impl<'a> Field<'a> {
    /// The table that the value is.
    pub(super) fn table(&self) -> Option<Reader<'a>> {
        if let Value::Table(table) = self.value() {
            return Some(Reader::new(table, Some(self.key()), self.path().to_owned(), self.findings()));
        }
        // It may be the secret that belongs inside the table.
        self.hide();
        self.expected("a table")
    }
}

/// A table that is being read.
pub(super) struct Reader<'a> {
    table: &'a Table,
    /// Where problems of the table as a whole point: its name.
    at: Option<&'a Span>,
    path: String,
    findings: &'a Findings,
    asked: RefCell<Vec<&'static str>>,
}

impl<'a> Reader<'a> {
    /// Reads a whole file.
    pub(super) fn of_file(table: &'a Table, findings: &'a Findings) -> Self {
        Self::new(table, None, String::new(), findings)
    }

    /// Reads the table at `path`, whose name stands at `at`.
    pub(super) fn new(table: &'a Table, at: Option<&'a Span>, path: String, findings: &'a Findings) -> Self {
        Self { table, at, path, findings, asked: RefCell::default() }
    }

    /// The value of a key that may be left out.
    pub(super) fn get(&self, key: &'static str) -> Option<Field<'a>> {
        let mut asked = self.asked.borrow_mut();
        if !asked.contains(&key) {
            asked.push(key);
        }
        let entry = self.table.get(key)?;
        Some(self.field(key, entry))
    }

    /// The value of a key that must be there; `expected` is for the message when it is not.
    pub(super) fn need(&self, key: &'static str, expected: &str) -> Option<Field<'a>> {
        let field = self.get(key);
        if field.is_none() {
            self.fault_at(key, format!("is missing; expected {expected}"));
        }
        field
    }

    /// The table at `key`; `None` when it is left out or no table.
    pub(super) fn table(&self, key: &'static str) -> Option<Reader<'a>> {
        self.get(key)?.table()
    }

    /// All keys and values, for a table whose keys are names. Nothing in it is unknown.
    pub(super) fn fields(&self) -> impl Iterator<Item = (&'a str, Field<'a>)> {
        self.table.0.iter().map(|(key, entry)| (key.as_str(), self.field(key, entry)))
    }

    fn field(&self, key: &str, entry: &'a Entry) -> Field<'a> {
        Field::new(&entry.node, &entry.key, self.path_of(key), self.findings)
    }

    /// The full path of a key of this table.
    pub(super) fn path_of(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    /// Notes a fault of `key`, which points at its value, or at the table when it is not there. `key` may go down
    /// through tables and lists: `signature.header`, `secret[1]`.
    pub(super) fn fault_at(&self, key: &str, message: impl Into<String>) {
        self.findings.fault(self.path_of(key), self.place_of(key), message);
    }

    /// As [`fault_at`](Self::fault_at), with advice.
    pub(super) fn fault_at_with_help(&self, key: &str, message: impl Into<String>, help: impl Into<String>) {
        self.findings.fault_with_help(self.path_of(key), self.place_of(key), message, help);
    }

    /// Notes something about the table as a whole that is worth a look.
    pub(super) fn warning(&self, message: &str) {
        self.findings.warning(self.path.as_str(), self.at, message);
    }

    /// The deepest part of `key` that was written, else the table's name.
    fn place_of(&self, key: &str) -> Option<&'a Span> {
        let mut place = self.at;
        let mut table = Some(self.table);
        for part in key.split('.') {
            let (name, index) = part.split_once('[').map_or((part, None), |(name, index)| (name, Some(index)));
            let Some(entry) = table.and_then(|table| table.get(name)) else { break };
            (place, table) = match (&entry.node.value, index) {
                (Value::Table(inner), _) => (Some(&entry.key), Some(inner)),
                (Value::List(nodes), Some(index)) => {
                    let node = index.trim_end_matches(']').parse::<usize>().ok().and_then(|index| nodes.get(index));
                    (Some(node.map_or(&entry.node.span, |node| &node.span)), None)
                }
                _ => (Some(&entry.node.span), None),
            };
        }
        place
    }

    /// Reports every key that nobody asked for, and hides its value: it may be a secret under a misspelled name.
    pub(super) fn finish(self) {
        let asked = self.asked.borrow();
        for (key, entry) in &self.table.0 {
            if asked.contains(&key.as_str()) {
                continue;
            }
            self.findings.hide(&entry.node);
            let help = match closest(key, asked.iter().copied()) {
                Some(meant) => format!("did you mean `{meant}`?"),
                None => format!("known here: {}", asked.join(", ")),
            };
            self.findings.fault_with_help(self.path_of(key), Some(&entry.key), "unknown key", help);
        }
    }
}

/// Checks the name of an account or a source: 1 to 64 of a–z, 0–9, `-` and `_`.
pub(super) fn check_name(name: &str, field: &Field<'_>) {
    let known = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_');
    if name.is_empty() || name.len() > 64 || !name.chars().all(known) {
        field.fault_of_key("expected a name of 1 to 64 letters a to z, digits, `-` and `_`");
    }
}
