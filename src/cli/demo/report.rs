//! The table that grows while the story goes on: columns of fixed width, so that each line can be printed when it
//! happens; long cells go on below.

use std::io::{self, Write};

use crate::{
    clock::Timestamp,
    sandbox::{CallRecord, ContactRecord},
};

use super::sending::Answer;

/// The columns: title and width in characters. With two blanks between them they fill 110 characters.
const COLUMNS: [(&str, usize); 6] =
    [("TIME", 8), ("SOURCE", 11), ("WHAT CAME IN", 28), ("ANSWER", 9), ("CALLS TO CHATWOOT", 20), ("CONTACT NOW", 24)];
const GAP: &str = "  ";

/// How a piece of text stands out on a terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Style {
    Plain,
    Strong,
    Quiet,
    Good,
    Notable,
    Bad,
}

impl Style {
    /// The SGR parameter (ECMA-48, 8.3.117).
    fn code(self) -> &'static str {
        match self {
            Self::Plain => "0",
            Self::Strong => "1",
            Self::Quiet => "2",
            Self::Good => "32",
            Self::Notable => "33",
            Self::Bad => "31",
        }
    }

    fn of_status(status: Option<u16>) -> Self {
        match status {
            Some(200..300) => Self::Good,
            _ => Self::Bad,
        }
    }
}

/// The lines of one cell, each with its style.
type Cell = Vec<(String, Style)>;

/// One row of the table.
#[derive(Debug)]
pub(super) struct Row<'a> {
    /// When it happened.
    pub(super) at: Timestamp,
    /// The source.
    pub(super) source: &'a str,
    /// What came in, in a few words.
    pub(super) title: &'a str,
    /// What that means.
    pub(super) explanation: &'a str,
    /// What the public port answered; `None` when nothing came in.
    pub(super) answer: Option<&'a Answer>,
    /// The calls that followed.
    pub(super) calls: &'a [CallRecord],
    /// The contact, where it is known which one is meant.
    pub(super) contact: Option<&'a ContactRecord>,
}

/// Where the story is told.
pub(super) struct Report<W> {
    out: W,
    color: bool,
}

impl<W: Write> Report<W> {
    /// With `color`, some words stand out by the codes of a terminal.
    pub(super) fn new(out: W, color: bool) -> Self {
        Self { out, color }
    }

    /// A heading with an empty line around it.
    pub(super) fn heading(&mut self, text: &str) -> io::Result<()> {
        let text = self.styled(text, Style::Strong);
        writeln!(self.out, "\n{text}\n")
    }

    /// A line of text.
    pub(super) fn line(&mut self, text: &str) -> io::Result<()> {
        writeln!(self.out, "{text}")?;
        self.out.flush()
    }

    /// A line of text that is less important.
    pub(super) fn aside(&mut self, text: &str) -> io::Result<()> {
        let text = self.styled(text, Style::Quiet);
        self.line(&text)
    }

    /// A line that says that something is wrong.
    pub(super) fn fault(&mut self, text: &str) -> io::Result<()> {
        let text = self.styled(text, Style::Bad);
        self.line(&text)
    }

    /// The titles of the columns.
    pub(super) fn titles(&mut self) -> io::Result<()> {
        let titles = COLUMNS.map(|(title, _)| vec![(title.to_owned(), Style::Quiet)]);
        self.cells(titles)
    }

    /// A row, and the empty line after it.
    pub(super) fn row(&mut self, row: &Row<'_>) -> io::Result<()> {
        self.cells([
            vec![(time_of_day(row.at), Style::Quiet)],
            vec![(row.source.to_owned(), Style::Plain)],
            vec![(row.title.to_owned(), Style::Strong), (row.explanation.to_owned(), Style::Plain)],
            answer_cell(row.answer),
            calls_cell(row.calls),
            row.contact.map(contact_cell).unwrap_or_default(),
        ])
    }

    fn cells(&mut self, cells: [Cell; COLUMNS.len()]) -> io::Result<()> {
        let mut column = 0;
        let cells = cells.map(|cell| {
            let (_, width) = COLUMNS[column];
            column += 1;
            let lines = cell.iter().flat_map(|(text, style)| wrap(text, width).into_iter().map(|line| (line, *style)));
            lines.collect::<Vec<_>>()
        });
        for line in 0..cells.iter().map(Vec::len).max().unwrap_or_default() {
            let mut printed = String::new();
            let mut blanks = 0;
            for (cell, (_, width)) in cells.iter().zip(COLUMNS) {
                let (text, style) = cell.get(line).map_or(("", Style::Plain), |(text, style)| (text.as_str(), *style));
                if !text.is_empty() {
                    printed.push_str(&" ".repeat(blanks));
                    printed.push_str(&self.styled(text, style));
                    blanks = 0;
                }
                blanks += width.saturating_sub(text.chars().count()) + GAP.len();
            }
            writeln!(self.out, "{printed}")?;
        }
        writeln!(self.out)?;
        self.out.flush()
    }

    fn styled(&self, text: &str, style: Style) -> String {
        let plain = !self.color || style == Style::Plain;
        if plain { text.to_owned() } else { format!("\x1b[{}m{text}\x1b[0m", style.code()) }
    }
}

/// `HH:MM:SS` in UTC, out of `YYYY-MM-DDTHH:MM:SS.sssZ`.
fn time_of_day(at: Timestamp) -> String {
    at.to_string().get(11..19).unwrap_or_default().to_owned()
}

fn answer_cell(answer: Option<&Answer>) -> Cell {
    let Some(answer) = answer else { return Vec::new() };
    let style = match (answer.status, answer.word.as_str()) {
        (200, "accepted") => Style::Good,
        (200, _) => Style::Notable,
        _ => Style::Bad,
    };
    let word = if answer.status == 401 { "refused" } else { &answer.word };
    vec![(answer.status.to_string(), style), (word.to_owned(), style)]
}

fn calls_cell(calls: &[CallRecord]) -> Cell {
    if calls.is_empty() {
        return vec![("none".to_owned(), Style::Quiet)];
    }
    calls.iter().flat_map(call_lines).collect()
}

/// The call and its status, then the fields that it carried.
fn call_lines(call: &CallRecord) -> Cell {
    let place = call.path.split_once("/contacts").map_or("", |(_, place)| place);
    let place = if place == "/filter" { "…/filter".to_owned() } else { format!("contacts{place}") };
    let status = call.status.map_or_else(|| "no answer".to_owned(), |status| status.to_string());
    let mut lines = vec![(format!("{} {place} {status}", call.method), Style::of_status(call.status))];
    if matches!(call.method.as_str(), "PATCH" | "PUT")
        && let Some(fields) = call.body.as_ref().and_then(serde_json::Value::as_object)
    {
        let names: Vec<&str> = fields.keys().map(String::as_str).collect();
        lines.push((names.join(", "), Style::Quiet));
    }
    lines
}

fn contact_cell(contact: &ContactRecord) -> Cell {
    let mut lines = vec![(format!("#{} {}", contact.id, contact.name.as_deref().unwrap_or_default()), Style::Strong)];
    let texts = [&contact.email, &contact.phone_number].into_iter().flatten();
    lines.extend(texts.map(|text| (text.clone(), Style::Plain)));
    let shown = |value: &serde_json::Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let attributes = contact.custom_attributes.iter();
    lines.extend(attributes.map(|(key, value)| (format!("{key}: {}", shown(value)), Style::Plain)));
    lines
}

/// Breaks a text into lines of at most `width` characters, between words; a longer word is cut.
fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        let fits = |line: &&mut String| line.chars().count() + 1 + word.chars().count() <= width;
        if let Some(line) = lines.last_mut().filter(fits) {
            line.push(' ');
            line.push_str(word);
            continue;
        }
        let letters: Vec<char> = word.chars().collect();
        lines.extend(letters.chunks(width).map(|part| part.iter().collect::<String>()));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(tell: impl FnOnce(&mut Report<&mut Vec<u8>>) -> io::Result<()>, color: bool) -> String {
        let mut out = Vec::new();
        tell(&mut Report::new(&mut out, color)).expect("a vector takes everything");
        String::from_utf8(out).expect("texts are UTF-8")
    }

    #[test]
    fn the_table_is_110_characters_wide_and_long_cells_go_on_below() {
        let answer = Answer { status: 200, webhook: Some(1), word: "duplicate".to_owned() };
        let row = Row {
            at: Timestamp::from_secs(1_790_946_851),
            source: "woocommerce",
            title: "the same webhook again",
            explanation: "A repeat: it is acknowledged, and nothing is stored or sent.",
            answer: Some(&answer),
            calls: &[],
            contact: None,
        };
        let widths: usize = COLUMNS.iter().map(|(_, width)| width).sum();
        assert_eq!(widths + GAP.len() * (COLUMNS.len() - 1), 110);
        let lines = [
            "13:14:11  woocommerce  the same webhook again        200        none",
            "                       A repeat: it is               duplicate",
            "                       acknowledged, and nothing is",
            "                       stored or sent.",
            "",
            "",
        ];
        assert_eq!(told(|report| report.row(&row), false), lines.join("\n"));
    }

    #[test]
    fn only_a_terminal_gets_colours() {
        assert_eq!(told(|report| report.fault("wrong"), false), "wrong\n");
        assert_eq!(told(|report| report.fault("wrong"), true), "\x1b[31mwrong\x1b[0m\n");
    }

    #[test]
    fn a_word_longer_than_its_column_is_cut() {
        assert_eq!(wrap("ab cdefgh é", 3), ["ab", "cde", "fgh", "é"]);
        assert!(wrap("", 3).is_empty());
    }
}
