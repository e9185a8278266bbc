//! Writes JSON anew in the style of another program, with the order of members and the text of numbers as they are: what
//! a body may have looked like before something on its way read it and wrote it again.

use std::fmt::Write as _;

/// How a program writes JSON.
#[derive(Clone, Copy, Debug)]
pub(super) struct Style {
    /// Which programs.
    pub(super) name: &'static str,
    spacing: Spacing,
    /// `/` becomes `\/`.
    slash: bool,
    /// Everything beyond ASCII becomes `\uXXXX`.
    ascii: bool,
    /// `<`, `>` and `&` become `\uXXXX`.
    html: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Spacing {
    None,
    /// `, ` and `: ` on one line.
    Blanks,
    /// A line for each, indented by so many blanks.
    Lines(usize),
}

const fn style(name: &'static str, spacing: Spacing, slash: bool, ascii: bool, html: bool) -> Style {
    Style { name, spacing, slash, ascii, html }
}

/// The styles of common languages.
pub(super) const STYLES: [Style; 9] = [
    style("JavaScript", Spacing::None, false, false, false),
    style("PHP", Spacing::None, true, true, false),
    style("Ruby on Rails or Go", Spacing::None, false, false, true),
    style("Python", Spacing::Blanks, false, true, false),
    style("Python (compact)", Spacing::None, false, true, false),
    style(".NET", Spacing::None, false, true, true),
    style("Python (unescaped)", Spacing::Blanks, false, false, false),
    style("JavaScript (indented)", Spacing::Lines(2), false, false, false),
    style("PHP (indented)", Spacing::Lines(4), true, true, false),
];

/// Bodies nested deeper are left alone: no sender's are.
const DEEPEST: usize = 64;

/// `body` in the style; `None` when it is no JSON document of objects and arrays.
pub(super) fn rewrite(body: &[u8], style: Style) -> Option<Vec<u8>> {
    let text = str::from_utf8(body).ok()?.trim_start_matches('\u{feff}');
    if !text.trim_start().starts_with(['{', '[']) || serde_json::from_str::<serde::de::IgnoredAny>(text).is_err() {
        return None;
    }
    let mut writer = Writer { style, out: String::with_capacity(text.len() + 16), depth: 0 };
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        if c == '"' {
            let length = string_length(rest)?;
            writer.string(&rest[..length])?;
            rest = &rest[length..];
            continue;
        }
        rest = &rest[c.len_utf8()..];
        match c {
            ' ' | '\t' | '\n' | '\r' => {}
            '{' | '[' => {
                let next = rest.trim_start();
                if let Some(after) = next.strip_prefix(['}', ']']) {
                    // Empty ones have nothing to put on lines.
                    writer.out.push(c);
                    writer.out.push(if c == '{' { '}' } else { ']' });
                    rest = after;
                } else {
                    writer.open(c)?;
                }
            }
            '}' | ']' => writer.close(c),
            ',' => writer.comma(),
            ':' => writer.out.push_str(if style.spacing == Spacing::None { ":" } else { ": " }),
            c => writer.out.push(c),
        }
    }
    Some(writer.out.into_bytes())
}

/// The length of the string that `text` begins with, quotation marks included.
fn string_length(text: &str) -> Option<usize> {
    let mut escaped = false;
    for (index, byte) in text.bytes().enumerate().skip(1) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return Some(index + 1),
            _ => {}
        }
    }
    None
}

struct Writer {
    style: Style,
    out: String,
    depth: usize,
}

impl Writer {
    fn open(&mut self, c: char) -> Option<()> {
        self.out.push(c);
        self.depth += 1;
        self.line();
        (self.depth <= DEEPEST).then_some(())
    }

    fn close(&mut self, c: char) {
        self.depth = self.depth.saturating_sub(1);
        self.line();
        self.out.push(c);
    }

    fn comma(&mut self) {
        self.out.push(',');
        match self.style.spacing {
            Spacing::None => {}
            Spacing::Blanks => self.out.push(' '),
            Spacing::Lines(_) => self.line(),
        }
    }

    fn line(&mut self) {
        if let Spacing::Lines(indent) = self.style.spacing {
            self.out.push('\n');
            self.out.extend(std::iter::repeat_n(' ', indent * self.depth));
        }
    }

    /// A string with its escapes as the style has them.
    fn string(&mut self, quoted: &str) -> Option<()> {
        let text: String = serde_json::from_str(quoted).ok()?;
        self.out.push('"');
        for c in text.chars() {
            match c {
                '"' => self.out.push_str("\\\""),
                '\\' => self.out.push_str("\\\\"),
                '\n' => self.out.push_str("\\n"),
                '\r' => self.out.push_str("\\r"),
                '\t' => self.out.push_str("\\t"),
                '\u{8}' => self.out.push_str("\\b"),
                '\u{c}' => self.out.push_str("\\f"),
                '/' if self.style.slash => self.out.push_str("\\/"),
                '<' | '>' | '&' if self.style.html => self.unicode(c),
                c if c < ' ' || (self.style.ascii && !c.is_ascii()) => self.unicode(c),
                c => self.out.push(c),
            }
        }
        self.out.push('"');
        Some(())
    }

    fn unicode(&mut self, c: char) {
        for unit in c.encode_utf16(&mut [0; 2]) {
            let _ = write!(self.out, "\\u{unit:04x}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rewritten(name: &str, body: &str) -> String {
        let style = STYLES.into_iter().find(|style| style.name == name).unwrap();
        String::from_utf8(rewrite(body.as_bytes(), style).unwrap()).unwrap()
    }

    #[test]
    fn json_is_written_as_each_language_writes_it() {
        let body = "{ \"b\":[1.50,{}, [] ],\n\"a\" : \"\\u05d3/\\u003c\\ud83d\\ude00\\\"\" }";
        for (name, expected) in [
            ("JavaScript", r#"{"b":[1.50,{},[]],"a":"ד/<😀\""}"#),
            ("PHP", r#"{"b":[1.50,{},[]],"a":"\u05d3\/<\ud83d\ude00\""}"#),
            ("Ruby on Rails or Go", r#"{"b":[1.50,{},[]],"a":"ד/\u003c😀\""}"#),
            ("Python", r#"{"b": [1.50, {}, []], "a": "\u05d3/<\ud83d\ude00\""}"#),
            ("JavaScript (indented)", "{\n  \"b\": [\n    1.50,\n    {},\n    []\n  ],\n  \"a\": \"ד/<😀\\\"\"\n}"),
        ] {
            assert_eq!(rewritten(name, body), expected, "{name}");
        }
    }

    #[test]
    fn what_is_no_json_is_left_alone() {
        for body in ["", "a=b", "\"text\"", "{\"a\":", "{\"a\":1} x", &"[".repeat(10_000)] {
            assert!(rewrite(body.as_bytes(), STYLES[0]).is_none(), "{body}");
        }
        let deep = format!("{}{}", "[1,".repeat(100), "1".to_owned() + &"]".repeat(100));
        assert!(rewrite(deep.as_bytes(), STYLES[7]).is_none());
    }
}
