//! What commands print. What was asked for goes to standard output, remarks about it to standard error. Text of senders
//! and servers is shown without control characters, which could move a terminal's cursor or worse.

use std::io::{self, IsTerminal as _, Write as _};

use anyhow::Context as _;
use comfy_table::{ContentArrangement, Table, presets};
use serde::Serialize;
use serde_json::Value;

use super::exit::OutputClosed;

/// What stands where there is nothing.
pub(super) const NOTHING: &str = "—";

/// Prints text and a line end.
///
/// # Errors
/// [`OutputClosed`] when nobody reads any more; the command then ends quietly.
pub(super) fn print(text: &str) -> anyhow::Result<()> {
    let mut line = text.to_owned();
    line.push('\n');
    print_bytes(line.as_bytes())
}

/// Prints bytes as they are.
pub(super) fn print_bytes(bytes: &[u8]) -> anyhow::Result<()> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(bytes).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Err(OutputClosed.into()),
        written => written.context("the output cannot be written"),
    }
}

/// Prints JSON for programs.
pub(super) fn print_json(value: &impl Serialize) -> anyhow::Result<()> {
    print(&serde_json::to_string_pretty(value)?)
}

/// Prints a table with a head; nothing of it is cut where the output is not a terminal.
pub(super) fn print_table<const COLUMNS: usize>(
    head: [&str; COLUMNS],
    rows: impl IntoIterator<Item = [String; COLUMNS]>,
) -> anyhow::Result<()> {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    let on_terminal = io::stdout().is_terminal();
    table.set_content_arrangement(if on_terminal { ContentArrangement::Dynamic } else { ContentArrangement::Disabled });
    table.set_header(head.map(str::to_uppercase));
    for row in rows {
        table.add_row(row.map(|cell| printable(&cell)));
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    print(&table.trim_fmt())
}

/// Prints one thing, a line for each of its parts.
pub(super) fn print_parts(parts: &[(&str, String)]) -> anyhow::Result<()> {
    let width = parts.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    let lines: Vec<String> = parts.iter().map(|(name, value)| format!("{name:width$}  {}", printable(value))).collect();
    print(&lines.join("\n"))
}

/// Says something about the output, to standard error.
pub(super) fn remark(text: &str) {
    // Where not even this can be written, there is nobody to tell.
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// A value, or a sign that there is none.
pub(super) fn or_nothing(value: Option<impl ToString>) -> String {
    value.map(|value| value.to_string()).filter(|text| !text.is_empty()).unwrap_or_else(|| NOTHING.to_owned())
}

/// `1 row`, `2 rows`.
pub(super) fn count(number: u64, one: &str) -> String {
    if number == 1 { format!("1 {one}") } else { format!("{number} {one}s") }
}

/// A record as JSON, with the JSON texts under `keys` unfolded.
pub(super) fn unfolded(record: &impl Serialize, keys: &[&str]) -> anyhow::Result<Value> {
    let mut json = serde_json::to_value(record)?;
    for key in keys {
        if let Some(Value::String(text)) = json.get(*key)
            && let Ok(inner) = serde_json::from_str::<Value>(text)
        {
            json[*key] = inner;
        }
    }
    Ok(json)
}

/// The text without control characters.
pub(super) fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c }).collect()
}

/// The text without control characters but for line ends and tabs.
pub(super) fn printable_lines(text: &str) -> String {
    let shown = |c: char| if c.is_control() && !matches!(c, '\n' | '\t') { char::REPLACEMENT_CHARACTER } else { c };
    text.chars().map(shown).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn text_of_others_cannot_steer_the_terminal() {
        assert_eq!(printable("a\u{1b}[2Jb\nc"), "a\u{fffd}[2Jb\u{fffd}c");
        assert_eq!(printable_lines("a\u{9b}2Jb\n\tc"), "a\u{fffd}2Jb\n\tc");
    }

    #[test]
    fn json_inside_a_record_is_unfolded_where_it_is_json() {
        let record = json!({ "changes": "{\"name\":\"Ada\"}", "reason": "{", "outcomes": null });
        let unfolded = unfolded(&record, &["changes", "reason", "outcomes", "missing"]).unwrap();
        assert_eq!(unfolded, json!({ "changes": { "name": "Ada" }, "reason": "{", "outcomes": null }));
    }
}
