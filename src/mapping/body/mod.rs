//! Reads the body of a webhook into the one value that all expressions see.
//!
//! | content type | becomes |
//! | --- | --- |
//! | `application/json`, anything `+json`, `text/plain`, none | the JSON value |
//! | `application/x-www-form-urlencoded` | an object of texts, nested as the names say: see [`form`] |
//! | `multipart/form-data` | the same; an uploaded file becomes its name, type and size: see [`multipart`] |
//! | any, where the webhook is a signed token | the JSON value of the token's payload |
//!
//! A byte order mark is skipped. A `charset` other than UTF-8 is decoded first. Compressed bodies are not read: what they
//! unfold to has no bound. Everything else is [`Unreadable`].

mod charset;
mod form;
mod multipart;

use jaq_json::Val;

pub(super) use form::flat;

use crate::sources::VerifiedWebhook;

/// A body that cannot be read as its content type says. The words say where, never what is in it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unreadable(String);

impl Unreadable {
    fn because(words: impl Into<String>) -> Self {
        Self(words.into())
    }
}

/// Reads what a webhook carries: its body, or the payload of its token.
pub(super) fn read(webhook: &VerifiedWebhook) -> Result<Val, Unreadable> {
    let headers = &webhook.request().headers;
    let one = |name| {
        let twice = |_| Unreadable(format!("the header {name} was sent twice, with different values"));
        headers.one(name).map(Option::unwrap_or_default).map_err(twice)
    };
    if webhook.payload() != &webhook.request().body {
        return json(webhook.payload());
    }
    if !matches!(one("content-encoding")?.trim().to_ascii_lowercase().as_str(), "" | "identity") {
        return Err(Unreadable::because("compressed bodies are not read; let the sender send them as they are"));
    }
    let content_type = one("content-type")?;
    // The type without its parameters, such as the charset.
    let essence = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    match essence.as_str() {
        "" | "application/json" | "text/json" | "text/plain" => {
            json(&charset::decode(content_type, webhook.payload())?)
        }
        "application/x-www-form-urlencoded" => form::read(webhook.payload(), charset::of(content_type)?),
        "multipart/form-data" => multipart::read(content_type, webhook.payload()),
        other if other.ends_with("+json") => json(&charset::decode(content_type, webhook.payload())?),
        _ => Err(Unreadable::because(
            "the content type is not supported; expected application/json, application/x-www-form-urlencoded or \
             multipart/form-data",
        )),
    }
}

/// Not through jaq's own reader, which has no limit of depth: `serde_json` stops at 128 levels.
fn json(body: &[u8]) -> Result<Val, Unreadable> {
    if body.trim_ascii().is_empty() {
        return Err(Unreadable("the body is empty".to_owned()));
    }
    serde_json::from_slice(body).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        let message = match error.classify() {
            serde_json::error::Category::Eof => "it ends too early".to_owned(),
            // Fixed words such as `expected value at line 1 column 2`.
            serde_json::error::Category::Syntax => error.to_string(),
            serde_json::error::Category::Io | serde_json::error::Category::Data => {
                format!("it cannot be read at line {line} column {column}")
            }
        };
        Unreadable(format!("the body is no JSON: {message}"))
    })
}

#[cfg(test)]
mod properties;

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::{
        clock::Timestamp,
        sources::{Headers, Proof, Request},
    };

    fn read_as(content_type: Option<&str>, body: impl Into<Bytes>) -> Result<String, String> {
        let read = read_with(content_type, body.into());
        read.map(|value| value.to_string()).map_err(|unreadable| unreadable.to_string())
    }

    pub(super) fn read_typed(content_type: &str, body: Bytes) -> Result<Val, Unreadable> {
        read_with(Some(content_type), body)
    }

    fn read_with(content_type: Option<&str>, body: Bytes) -> Result<Val, Unreadable> {
        let headers = Headers::new(content_type.map(|value| ("Content-Type".to_owned(), value.to_owned())));
        let request = Request { method: "POST".into(), path_query: "/hooks/x".into(), headers, body };
        let webhook = VerifiedWebhook::from_store("x".into(), request, Timestamp::default(), Proof::default());
        read(&webhook)
    }

    #[test]
    fn json_is_read_whatever_kind_of_json_it_is_called() {
        for content_type in [
            None,
            Some("application/json"),
            Some("Application/JSON; charset=utf-8"),
            Some("application/cloudevents+json"),
        ] {
            assert_eq!(read_as(content_type, "\u{feff}{\"a\":[1]}"), Ok(r#"{"a":[1]}"#.to_owned()));
        }
    }

    #[test]
    fn decimals_and_large_integers_are_numbers_in_expressions() {
        // Fails when any crate turns on serde_json's `arbitrary_precision`: decimals would become objects.
        assert_eq!(
            read_as(None, "[1.10,18446744073709551615,7700000000001]"),
            Ok("[1.1,18446744073709551615,7700000000001]".to_owned())
        );
    }

    #[test]
    fn nesting_that_would_overflow_the_stack_is_an_ordinary_error() {
        let message = read_as(None, "[".repeat(200_000)).unwrap_err();
        assert_eq!(message, "the body is no JSON: recursion limit exceeded at line 1 column 128");
    }

    #[test]
    fn a_body_that_cannot_be_read_is_refused_without_quoting_it() {
        assert_eq!(
            read_as(None, "{\"secret\": dana}").unwrap_err(),
            "the body is no JSON: expected value at line 1 column 12"
        );
        assert_eq!(read_as(None, " ").unwrap_err(), "the body is empty");
        assert_eq!(read_as(None, "{\"a\":").unwrap_err(), "the body is no JSON: it ends too early");
        assert!(read_as(None, &b"\"\xff\""[..]).is_err());
        assert!(read_as(Some("text/html"), "<p>dana@example.com").unwrap_err().starts_with("the content type"));
    }

    #[test]
    fn a_compressed_body_is_refused() {
        let headers = [("content-type", "application/json"), ("content-encoding", "gzip")];
        let headers = Headers::new(headers.map(|(name, value)| (name.to_owned(), value.to_owned())));
        let request = Request { method: "POST".into(), path_query: "/".into(), headers, body: "{}".into() };
        let webhook = VerifiedWebhook::from_store("x".into(), request, Timestamp::default(), Proof::default());
        assert!(read(&webhook).unwrap_err().to_string().starts_with("compressed bodies are not read"));
    }

    #[test]
    fn other_charsets_and_byte_order_marks_are_understood() {
        let latin = b"{\"name\":\"Zo\xeb\"}".to_vec();
        assert_eq!(read_as(Some("application/json; charset=ISO-8859-1"), latin), Ok(r#"{"name":"Zoë"}"#.to_owned()));
        let utf16: Vec<u8> = "\u{feff}{\"a\":1}".encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert_eq!(read_as(None, utf16), Ok(r#"{"a":1}"#.to_owned()));
        assert!(read_as(Some("application/json; charset=klingon"), "{}").unwrap_err().contains("charset"));
        let form = Some("application/x-www-form-urlencoded; charset=windows-1255");
        assert_eq!(read_as(form, "name=%F0%E5%F2%E4"), Ok(r#"{"name":"נועה"}"#.to_owned()));
    }

    #[test]
    fn a_form_becomes_an_object_of_texts_nested_as_its_names_say() {
        let form = |body: &str| read_as(Some("application/x-www-form-urlencoded; charset=UTF-8"), body.to_owned());
        assert_eq!(
            form("data%5Bemail%5D=a%2Bb%40c.example&t=1&t=2&t=3&x=&list[]=1&list[]=2&f[n][value]=v"),
            Ok(r#"{"data":{"email":"a+b@c.example"},"f":{"n":{"value":"v"}},"list":["1","2"],"t":["1","2","3"],"x":""}"#
                .to_owned())
        );
        assert_eq!(
            form("1.3=Ada&a=1&a[b]=2&c[=3&]d=4"),
            Ok(r#"{"1.3":"Ada","]d":"4","a":"1","a[b]":"2","c[":"3"}"#.to_owned())
        );
    }

    #[test]
    fn a_multipart_form_gives_texts_and_describes_files() {
        let body = "--b\r\nContent-Disposition: form-data; name=\"rawRequest\"\r\n\r\n{\"q\":1}\r\n\
            --b\r\nContent-Disposition: form-data; name=\"cv\"; filename=\"a.pdf\"\r\nContent-Type: application/pdf\r\n\r\nabc\r\n--b--\r\n";
        assert_eq!(
            read_as(Some("multipart/form-data; boundary=b"), body),
            Ok(r#"{"cv":{"content_type":"application/pdf","filename":"a.pdf","size":3},"rawRequest":"{\"q\":1}"}"#
                .to_owned())
        );
        assert!(read_as(Some("multipart/form-data"), body).unwrap_err().contains("boundary"));
        assert!(read_as(Some("multipart/form-data; boundary=b"), &body[..60]).is_err());
    }
}
