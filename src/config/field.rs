//! Reads one value as what its key wants, and notes what is wrong with it: every reading gives `None` after a fault, so
//! that the reading of the file goes on.

use std::{ops::RangeInclusive, time::Duration};

use url::Url;

use super::{
    problem::Findings,
    suggest::closest,
    tree::{Node, Span, Value},
    units,
};

/// A value that is being read.
pub(super) struct Field<'a> {
    node: &'a Node,
    key: &'a Span,
    path: String,
    findings: &'a Findings,
}

impl<'a> Field<'a> {
    /// The value `node` at `path`, whose key stands at `key`.
    pub(super) fn new(node: &'a Node, key: &'a Span, path: String, findings: &'a Findings) -> Self {
        Self { node, key, path, findings }
    }

    /// Notes a fault of this value.
    pub(super) fn fault(&self, message: impl Into<String>) {
        self.findings.fault(self.path.as_str(), Some(self.span()), message);
    }

    /// As [`fault`](Self::fault), with advice.
    pub(super) fn fault_with_help(&self, message: impl Into<String>, help: impl Into<String>) {
        self.findings.fault_with_help(self.path.as_str(), Some(self.span()), message, help);
    }

    /// Notes something about this value that is worth a look.
    pub(super) fn warning(&self, message: impl Into<String>) {
        self.findings.warning(self.path.as_str(), Some(self.span()), message);
    }

    /// Notes a fault of the key rather than the value.
    pub(super) fn fault_of_key(&self, message: impl Into<String>) {
        self.findings.fault(self.path.as_str(), Some(self.key), message);
    }

    /// Hides the value in every message.
    pub(super) fn hide(&self) {
        self.findings.hide(self.node);
    }

    /// Where the key was written.
    pub(super) fn key(&self) -> &'a Span {
        self.key
    }

    /// A table's span may reach far, so that its name is the better place.
    pub(super) fn span(&self) -> &'a Span {
        if matches!(self.node.value, Value::Table(_)) { self.key } else { &self.node.span }
    }

    /// The key with all tables above it.
    pub(super) fn path(&self) -> &str {
        &self.path
    }

    /// Where problems are collected.
    pub(super) fn findings(&self) -> &'a Findings {
        self.findings
    }

    /// The value as it is.
    pub(super) fn value(&self) -> &'a Value {
        &self.node.value
    }

    pub(super) fn expected<T>(&self, wanted: &str) -> Option<T> {
        self.fault(format!("expected {wanted}, found {}", self.node.value.kind()));
        None
    }

    /// A text.
    pub(super) fn text(&self) -> Option<&'a str> {
        match &self.node.value {
            Value::Text(text) => Some(text),
            _ => self.expected("a text"),
        }
    }

    /// A text of at least one character that is not blank.
    pub(super) fn filled_text(&self) -> Option<&'a str> {
        let text = self.text()?;
        if text.trim().is_empty() {
            self.fault("expected a text, found an empty one");
            return None;
        }
        Some(text)
    }

    /// True or false.
    pub(super) fn flag(&self) -> Option<bool> {
        match self.node.value {
            Value::Flag(flag) => Some(flag),
            _ => self.expected("true or false"),
        }
    }

    /// A whole number within `range`.
    pub(super) fn integer(&self, range: &RangeInclusive<i64>) -> Option<i64> {
        let Value::Integer(number) = self.node.value else { return self.expected("a whole number") };
        if range.contains(&number) {
            return Some(number);
        }
        let wanted = match (*range.start(), *range.end()) {
            (least, i64::MAX) => format!("{least} or more"),
            (least, most) => format!("{least} to {most}"),
        };
        self.fault(format!("expected {wanted}, found {number}"));
        None
    }

    /// A text that `parse` understands; `wanted` says what that is.
    pub(super) fn parsed<T>(&self, wanted: &str, parse: impl FnOnce(&str) -> Option<T>) -> Option<T> {
        let Value::Text(text) = &self.node.value else { return self.expected(wanted) };
        let parsed = parse(text);
        if parsed.is_none() {
            self.fault(format!("expected {wanted}, found `{text}`"));
        }
        parsed
    }

    /// A duration within `range`.
    pub(super) fn duration(&self, range: &RangeInclusive<Duration>) -> Option<Duration> {
        let duration = self.parsed("a duration such as \"30s\", \"5m\" or \"14d\"", units::duration)?;
        if range.contains(&duration) {
            return Some(duration);
        }
        let [least, most] = [range.start(), range.end()].map(|end| units::show_duration(*end));
        self.fault(format!("expected {least} to {most}, found {}", units::show_duration(duration)));
        None
    }

    /// A size in bytes within `range`.
    pub(super) fn size(&self, range: &RangeInclusive<usize>) -> Option<usize> {
        let size = self.parsed("a size such as \"512KiB\" or \"1MiB\"", units::size)?;
        if range.contains(&size) {
            return Some(size);
        }
        let [least, most, found] = [*range.start(), *range.end(), size].map(units::show_size);
        self.fault(format!("expected {least} to {most}, found {found}"));
        None
    }

    /// One of several words.
    pub(super) fn choice<T: Copy>(&self, choices: &[(&str, T)]) -> Option<T> {
        let words: Vec<&str> = choices.iter().map(|(word, _)| *word).collect();
        let wanted = format!("one of {}", words.join(", "));
        let Value::Text(text) = &self.node.value else { return self.expected(&wanted) };
        let found = choices.iter().find(|(word, _)| word == text).map(|(_, choice)| *choice);
        if found.is_none() {
            let message = format!("expected {wanted}, found `{text}`");
            match closest(text, words) {
                Some(meant) => self.fault_with_help(message, format!("did you mean `{meant}`?")),
                None => self.fault(message),
            }
        }
        found
    }

    /// An address of http or https, without user, password, query and fragment. The value is not shown if it may hold
    /// a password.
    pub(super) fn web_address(&self) -> Option<Url> {
        let text = self.text()?;
        if text.contains('@') {
            self.hide();
        }
        let wanted = "expected an address such as \"https://chat.example.com\"";
        let Ok(url) = Url::parse(text) else {
            self.fault(format!("{wanted}; this is no address"));
            return None;
        };
        let flaw = if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none_or(str::is_empty) {
            "it must start with http:// or https:// and name a host"
        } else if !url.username().is_empty() || url.password().is_some() {
            "it must not carry a user or a password"
        } else if url.query().is_some() || url.fragment().is_some() {
            "it must end before `?` and `#`"
        } else {
            return Some(url);
        };
        self.fault(format!("{wanted}; {flaw}"));
        None
    }

    /// The entries of a list; `None` when it is no list.
    pub(super) fn list(&self, wanted: &str) -> Option<Vec<Field<'a>>> {
        match &self.node.value {
            Value::List(nodes) => Some(self.entries(nodes)),
            _ => self.expected(&format!("a list of {wanted}")),
        }
    }

    /// The entries of a list, or the value itself where one may stand alone.
    pub(super) fn one_or_list(self) -> Vec<Field<'a>> {
        match &self.node.value {
            Value::List(nodes) => self.entries(nodes),
            _ => vec![self],
        }
    }

    fn entries(&self, nodes: &'a [Node]) -> Vec<Field<'a>> {
        let entry = |(index, node)| Field {
            node,
            key: &node.span,
            path: format!("{}[{index}]", self.path),
            findings: self.findings,
        };
        nodes.iter().enumerate().map(entry).collect()
    }
}

/// A range of durations in seconds, both ends included.
pub(super) const fn seconds(least: u64, most: u64) -> RangeInclusive<Duration> {
    Duration::from_secs(least)..=Duration::from_secs(most)
}
