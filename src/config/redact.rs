//! The file as it may be shown: with every value hidden that is a secret or could be one. Messages quote source lines
//! from this copy alone.

use super::tree::{Node, Span, Table, Value};

/// What stands in place of a hidden value.
const HIDDEN: &str = "<hidden>";

/// Keys whose values are secrets wherever they stand, also where they do not belong.
const SECRET_KEYS: [&str; 8] =
    ["secret", "token", "verify_token", "api_access_token", "password", "value", "webhook", "command"];

/// A copy of a text with parts hidden, and the way from places in the original to places in the copy.
#[derive(Clone, Debug, Default)]
pub(super) struct Redacted {
    text: String,
    /// In order and apart.
    cuts: Vec<Cut>,
}

/// A hidden part.
#[derive(Clone, Debug)]
struct Cut {
    /// In the original.
    original: Span,
    /// In the copy: the placeholder, then the line ends of the original.
    copy: Span,
}

impl Redacted {
    /// Hides `spans`, which may overlap and come in any order. Line ends stay, so that line numbers do.
    pub(super) fn new(original: &str, mut spans: Vec<Span>) -> Self {
        spans.sort_by_key(|span| span.start);
        let mut redacted = Self::default();
        let mut from = 0;
        for span in spans {
            // What an earlier span has hidden already is not hidden again.
            let span = span.start.max(from)..span.end;
            let Some(hidden) = original.get(span.clone()).filter(|hidden| !hidden.is_empty()) else { continue };
            redacted.text.push_str(&original[from..span.start]);
            let start = redacted.text.len();
            redacted.text.push_str(HIDDEN);
            redacted.text.extend(hidden.chars().filter(|c| *c == '\n'));
            from = span.end;
            redacted.cuts.push(Cut { original: span, copy: start..redacted.text.len() });
        }
        redacted.text.push_str(&original[from..]);
        redacted
    }

    /// The copy of a file that could not be parsed, so that nobody knows which part of it is a secret: only table
    /// headers and the keys at the start of lines are left.
    pub(super) fn of_unparsed(original: &str) -> Self {
        let mut spans = Vec::new();
        let mut start = 0;
        for line in original.split_inclusive('\n') {
            let before = &original[..start];
            let inside_long_text = ["\"\"\"", "'''"].iter().any(|quote| before.matches(quote).count() % 2 == 1);
            let kept = if inside_long_text { 0 } else { shown_of_line(line) };
            spans.push(start + kept..start + line.trim_end().len().max(kept));
            start += line.len();
        }
        Self::new(original, spans)
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// Where `span` of the original is in the copy; what is hidden becomes the whole placeholder.
    pub(super) fn locate(&self, span: &Span) -> Span {
        let start = self.shift(span.start, |copy| copy.start);
        let end = self.shift(span.end, |copy| copy.start + HIDDEN.len());
        start..end.max(start)
    }

    fn shift(&self, at: usize, inside: impl Fn(&Span) -> usize) -> usize {
        match self.cuts.iter().take_while(|cut| cut.original.start < at).last() {
            None => at,
            Some(cut) if at < cut.original.end => inside(&cut.copy),
            Some(cut) => cut.copy.end + (at - cut.original.end),
        }
    }
}

/// How many bytes of a line of an unparsed file may be shown.
fn shown_of_line(line: &str) -> usize {
    let line = line.trim_end();
    let is_header = line.starts_with('[') && line.ends_with(']') && !line.contains(['"', '\'', ',']);
    if is_header {
        return line.len();
    }
    // A key of ours has lower-case letters only: what else stands before `=` may be the tail of an encoded secret.
    match line.split_once('=') {
        Some((key, _)) if key.trim().chars().all(|c| c.is_ascii_lowercase() || matches!(c, '_' | '.')) => key.len() + 1,
        Some(_) | None => 0,
    }
}

/// The spans of all values under keys that hold secrets. The names of variables and files stay visible, for they say
/// what to mend.
pub(super) fn secret_spans(table: &Table) -> Vec<Span> {
    let mut spans = Vec::new();
    collect(table, false, &mut spans);
    spans
}

fn collect(table: &Table, inside_secret: bool, spans: &mut Vec<Span>) {
    for (key, entry) in &table.0 {
        let hide = SECRET_KEYS.contains(&key.as_str()) || (inside_secret && !is_reference(key, &entry.node));
        collect_node(&entry.node, hide, spans);
    }
}

fn collect_node(node: &Node, hide: bool, spans: &mut Vec<Span>) {
    match &node.value {
        Value::Table(table) => collect(table, hide, spans),
        Value::List(nodes) => nodes.iter().for_each(|node| collect_node(node, hide, spans)),
        Value::Text(_) | Value::Integer(_) | Value::Flag(_) | Value::Time(_) | Value::Other(_) if hide => {
            spans.push(node.span.clone());
        }
        Value::Text(_) | Value::Integer(_) | Value::Flag(_) | Value::Time(_) | Value::Other(_) => {}
    }
}

fn is_reference(key: &str, node: &Node) -> bool {
    match (key, &node.value) {
        ("env", Value::Text(name)) => is_variable_name(name),
        ("file", Value::Text(path)) => path.contains('/') || path.contains('\\'),
        ("not_after", _) => true,
        _ => false,
    }
}

/// Whether `name` is shaped like the name of an environment variable: capitals, digits and `_`, as everyone writes
/// them. A secret that was put there by mistake hardly ever is.
pub(super) fn is_variable_name(name: &str) -> bool {
    !name.starts_with(|c: char| c.is_ascii_digit())
        && !name.is_empty()
        && name.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_hidden_is_gone_and_every_other_place_is_found_again() {
        let text = "a = 'one'\nb = '''two\nlines'''\nc = 3\n";
        let spans = vec![14..30, 4..9, 5..8];
        let redacted = Redacted::new(text, spans);
        assert_eq!(redacted.text(), "a = <hidden>\nb = <hidden>\n\nc = 3\n");
        let at = |needle: &str| {
            let start = text.find(needle).expect("there");
            &redacted.text()[redacted.locate(&(start..start + needle.len()))]
        };
        assert_eq!(at("a"), "a");
        assert_eq!(at("'one'"), "<hidden>");
        assert_eq!(at("lines"), "<hidden>");
        assert_eq!(at("c = 3"), "c = 3");
    }

    #[test]
    fn of_a_file_that_cannot_be_parsed_only_keys_and_headers_are_shown() {
        let text =
            "[accounts.store]\napi_access_token = s3cr3t\nsecret = [\n  'one==',\nabC9==\n]\nx = '''\ntail\n'''\n";
        let shown = Redacted::of_unparsed(text);
        for secret in ["s3cr3t", "one", "abC9", "tail"] {
            assert!(!shown.text().contains(secret), "{secret} is shown:\n{}", shown.text());
        }
        assert!(shown.text().starts_with("[accounts.store]\napi_access_token =<hidden>\nsecret =<hidden>\n"));
    }

    proptest::proptest! {
        #[test]
        fn no_span_makes_redaction_panic_or_point_outside(text in "\\PC{0,40}", a in 0..60_usize, b in 0..60_usize, at in 0..40_usize) {
            let redacted = Redacted::new(&text, vec![a..a.saturating_add(3), b..b.saturating_add(9)]);
            let place = redacted.locate(&(at.min(text.len())..text.len()));
            proptest::prop_assert!(place.end <= redacted.text().len());
        }
    }
}
