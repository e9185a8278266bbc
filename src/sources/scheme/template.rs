//! The text that a signature covers, as a template: parsed once when the configuration is loaded, and handed to the
//! digest piece by piece, so that the text is never built.

use std::{borrow::Cow, mem};

use super::{Refusal, Request, fault::header_name, form, json_pointer::JsonPointer, read_header};

const KNOWN: &str = "{body} {timestamp} {method} {url} {path_query} {header:NAME} {json:/pointer} {form_sorted}";

/// Whether `{secret}` may stand in a template.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum SecretPart {
    /// Scheme `hash`, where the digest has no key of its own.
    Required,
    /// All other schemes.
    Forbidden,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Literal(String),
    Body,
    Timestamp,
    Method,
    Url,
    PathQuery,
    /// Lower case.
    Header(String),
    Json(JsonPointer),
    FormSorted,
    Secret,
}

/// A piece of the signed text of one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Piece<'r> {
    Bytes(Cow<'r, [u8]>),
    /// The secret's bytes, which the digest puts in.
    Secret,
}

impl<'r> From<&'r str> for Piece<'r> {
    fn from(text: &'r str) -> Self {
        Self::Bytes(Cow::Borrowed(text.as_bytes()))
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Template {
    parts: Vec<Part>,
}

impl Template {
    /// # Errors
    /// Everything that is wrong with the text.
    pub(super) fn parse(text: &str, secret: SecretPart) -> Result<Self, Vec<String>> {
        let mut parts = Vec::new();
        let mut faults = Vec::new();
        let mut literal = String::new();
        let mut rest = text;
        while let Some(at) = rest.find(['{', '}']) {
            literal.push_str(&rest[..at]);
            let from_brace = &rest[at..];
            let Some(end) = from_brace.find('}').filter(|&end| end > 0) else {
                faults.push("has a brace without its other half".to_owned());
                return Err(faults);
            };
            if !literal.is_empty() {
                parts.push(Part::Literal(mem::take(&mut literal)));
            }
            match parse_placeholder(&from_brace[1..end], secret) {
                Ok(part) => parts.push(part),
                Err(fault) => faults.push(fault),
            }
            rest = &from_brace[end + 1..];
        }
        literal.push_str(rest);
        if !literal.is_empty() {
            parts.push(Part::Literal(literal));
        }
        if parts.iter().all(|part| matches!(part, Part::Literal(_) | Part::Secret)) && faults.is_empty() {
            faults.push(format!("covers nothing of the request; expected some of {KNOWN}"));
        }
        if secret == SecretPart::Required && !parts.contains(&Part::Secret) {
            faults.push("lacks {secret}: without it, anyone can compute this digest".to_owned());
        }
        if faults.is_empty() { Ok(Self { parts }) } else { Err(faults) }
    }

    pub(super) fn has(&self, part: &Part) -> bool {
        self.parts.contains(part)
    }

    /// The headers that are named in the template, in lower case.
    pub(super) fn headers(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().filter_map(|part| if let Part::Header(name) = part { Some(name.as_str()) } else { None })
    }

    /// The pieces of the signed text of `request`, in order. `timestamp` is the text as received.
    pub(super) fn pieces<'r>(
        &'r self,
        request: &'r Request,
        public_url: Option<&'r str>,
        timestamp: Option<&'r str>,
    ) -> Result<Vec<Piece<'r>>, Refusal> {
        // One more than there are parts: `{url}` makes two pieces.
        let mut pieces = Vec::with_capacity(self.parts.len() + 1);
        for part in &self.parts {
            match part {
                Part::Literal(text) => pieces.push(text.as_str().into()),
                Part::Body => pieces.push(Piece::Bytes(Cow::Borrowed(&request.body))),
                Part::Timestamp => pieces.push(timestamp.ok_or(Refusal::MissingTimestamp)?.into()),
                Part::Method => pieces.push(request.method.as_str().into()),
                Part::Url => {
                    let base = public_url.ok_or(Refusal::PublicUrlUnknown)?;
                    pieces.push(base.trim_end_matches('/').into());
                    pieces.push(request.path_query.as_str().into());
                }
                Part::PathQuery => pieces.push(request.path_query.as_str().into()),
                Part::Header(name) => {
                    let value = read_header(request, name)?;
                    pieces.push(value.ok_or_else(|| Refusal::MissingHeader { header: name.clone() })?.into());
                }
                Part::Json(pointer) => pieces.push(match pointer.find(&request.body)? {
                    Cow::Borrowed(text) => text.into(),
                    Cow::Owned(text) => Piece::Bytes(Cow::Owned(text.into_bytes())),
                }),
                Part::FormSorted => {
                    refuse_other_than_form(request)?;
                    let fields = form::sorted_fields(&request.body)?;
                    pieces.extend(fields.into_iter().flat_map(|(name, value)| [name, value]).map(Piece::Bytes));
                }
                Part::Secret => pieces.push(Piece::Secret),
            }
        }
        Ok(pieces)
    }
}

/// A signed form must not be read as anything else later on; the content type is not signed, so it must not choose.
fn refuse_other_than_form(request: &Request) -> Result<(), Refusal> {
    let Some(content_type) = read_header(request, "content-type")? else { return Ok(()) };
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    if essence.eq_ignore_ascii_case("application/x-www-form-urlencoded") { Ok(()) } else { Err(Refusal::NotAForm) }
}

fn parse_placeholder(name: &str, secret: SecretPart) -> Result<Part, String> {
    match name.split_once(':') {
        Some(("header", header)) => header_name(header).map(Part::Header),
        Some(("json", pointer)) => JsonPointer::parse(pointer).map(Part::Json),
        _ => match name {
            "body" => Ok(Part::Body),
            "timestamp" => Ok(Part::Timestamp),
            "method" => Ok(Part::Method),
            "url" => Ok(Part::Url),
            "path_query" => Ok(Part::PathQuery),
            "form_sorted" => Ok(Part::FormSorted),
            "secret" if secret == SecretPart::Required => Ok(Part::Secret),
            "secret" => Err("{secret} belongs into the template of scheme `hash` only".to_owned()),
            unknown => Err(format!("{{{unknown}}} is unknown; expected one of {KNOWN}")),
        },
    }
}

/// Hands each piece to `take`.
pub(super) fn feed(pieces: &[Piece<'_>], secret: &[u8], mut take: impl FnMut(&[u8])) {
    for piece in pieces {
        match piece {
            Piece::Bytes(bytes) => take(bytes),
            Piece::Secret => take(secret),
        }
    }
}

/// The signed text in one, for algorithms that cannot take it piece by piece.
pub(super) fn joined(pieces: &[Piece<'_>]) -> Vec<u8> {
    let mut text = Vec::new();
    feed(pieces, &[], |bytes| text.extend_from_slice(bytes));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(text: &str) -> String {
        Template::parse(text, SecretPart::Forbidden).expect_err("faulty").join("; ")
    }

    #[test]
    fn a_template_is_parsed_into_its_parts() {
        let template = Template::parse("v0:{timestamp}:{body}{header:X-Id}{json:/a/b}", SecretPart::Forbidden);
        let pointer = JsonPointer::parse("/a/b").expect("a pointer");
        let parts = template.expect("a template").parts;
        let expected = [
            Part::Literal("v0:".to_owned()),
            Part::Timestamp,
            Part::Literal(":".to_owned()),
            Part::Body,
            Part::Header("x-id".to_owned()),
            Part::Json(pointer),
        ];
        assert_eq!(parts, expected);
    }

    #[test]
    fn every_fault_of_a_template_is_named_with_what_is_known() {
        let three = Template::parse("{boddy}{json:x}{header:a b}", SecretPart::Forbidden).expect_err("faulty");
        assert_eq!(three.len(), 3);
        assert!(faults("{boddy}").contains("{boddy} is unknown; expected one of {body} {timestamp}"));
        assert!(faults("{secret}{body}").contains("scheme `hash` only"));
        assert!(faults("{body").contains("brace"));
        assert!(faults("body}").contains("brace"));
        assert!(faults("").contains("covers nothing"));
        assert!(faults("v0:").contains("covers nothing"));
        assert!(Template::parse("{body}", SecretPart::Required).is_err());
        assert!(Template::parse("{secret}{body}", SecretPart::Required).is_ok());
    }
}
