//! Bodies that something on the way changed: a line end, a mark of the encoding, JSON that was written anew.

use bytes::Bytes;

use super::{
    change::{Case, Change, Kind},
    json::{STYLES, rewrite},
};

const PROXY: &str =
    "something between the sender and here, such as a proxy, changed the body; it must pass byte for byte";

pub(super) fn changes(case: &Case) -> Vec<Change> {
    // Without the body in what is signed, no change of it explains anything.
    if case.template().is_some_and(|template| !template.contains("{body}") && !template.contains("{form_sorted}")) {
        return Vec::new();
    }
    let body = &case.request.body;
    let mut others: Vec<(&'static str, String, Bytes)> = Vec::new();
    let mut add = |code, what: &str, other: Vec<u8>| {
        if other != body[..] && !others.iter().any(|(_, _, known)| *known == other) {
            others.push((code, format!("it fits the body {what}: {PROXY}"), Bytes::from(other)));
        }
    };
    add("body_line_end", "without the line end at its end", trimmed(body).to_vec());
    add("body_line_end", "with a line end at its end", [body, b"\n".as_slice()].concat());
    add("body_line_end", "with a line end (CR LF) at its end", [body, b"\r\n".as_slice()].concat());
    add(
        "body_mark",
        "without the mark of its encoding (BOM) at its beginning",
        body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body).to_vec(),
    );
    add("body_line_ends", "with LF instead of CR LF", without_carriage_returns(body));
    for style in STYLES {
        if let Some(other) = rewrite(body, style) {
            add("body_rewritten", &format!("as {} writes JSON", style.name), other);
        }
    }
    others
        .into_iter()
        .map(|(code, text, other)| Change::new(Kind::Body, code, text, move |case| case.request.body = other.clone()))
        .collect()
}

fn trimmed(body: &[u8]) -> &[u8] {
    let body = body.strip_suffix(b"\n").unwrap_or(body);
    body.strip_suffix(b"\r").unwrap_or(body)
}

fn without_carriage_returns(body: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(body.len());
    for (index, byte) in body.iter().enumerate() {
        if *byte != b'\r' || body.get(index + 1) != Some(&b'\n') {
            out.push(*byte);
        }
    }
    out
}
