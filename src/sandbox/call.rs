//! One call as it arrived, and how the server reads its parts.

use bytes::Bytes;
use serde_json::{Map, Value};

use super::failure::Failure;

/// The documented name of the token's header. A proxy may drop it because of its underscores.
pub(super) const TOKEN_HEADER: &str = "api_access_token";
/// The same header as every proxy passes it.
pub(super) const DASHED_TOKEN_HEADER: &str = "api-access-token";

/// One call. Holds the token, so it has no `Debug`.
#[derive(Clone, Default)]
pub(super) struct Call {
    /// The method, in capitals.
    pub(super) method: String,
    /// The path, without the query.
    pub(super) path: String,
    /// The query as it came, without the question mark.
    pub(super) query: String,
    /// The header `Host`.
    pub(super) host: String,
    /// The header `Content-Type`.
    pub(super) content_type: String,
    /// The header `Accept`.
    pub(super) accept: String,
    /// The token in [`TOKEN_HEADER`].
    pub(super) token: Option<String>,
    /// The token in [`DASHED_TOKEN_HEADER`].
    pub(super) dashed_token: Option<String>,
    /// The body's bytes.
    pub(super) body: Bytes,
}

impl Call {
    /// Whether errors are wanted as JSON.
    pub(super) fn accepts_json(&self) -> bool {
        self.accept.to_ascii_lowercase().contains("application/json")
    }

    /// The name of the header the token came in, if one did.
    pub(super) fn token_header(&self) -> Option<&'static str> {
        let underscored = self.token.as_ref().map(|_| TOKEN_HEADER);
        underscored.or_else(|| self.dashed_token.as_ref().map(|_| DASHED_TOKEN_HEADER))
    }

    /// The path's parts; a slash at the end does not count.
    pub(super) fn segments(&self) -> Vec<&str> {
        self.path.split('/').filter(|segment| !segment.is_empty()).collect()
    }

    /// The last value of a query parameter.
    pub(super) fn parameter(&self, name: &str) -> Option<String> {
        let pairs = form_urlencoded::parse(self.query.as_bytes());
        pairs.filter(|(key, _)| key == name).last().map(|(_, value)| value.into_owned())
    }

    /// All values of a query parameter.
    pub(super) fn parameters(&self, name: &str) -> Vec<String> {
        let pairs = form_urlencoded::parse(self.query.as_bytes());
        pairs.filter(|(key, _)| key == name).map(|(_, value)| value.into_owned()).collect()
    }

    /// The body's top level. JSON of any other shape than an object counts as empty, as does a body whose content type
    /// is neither JSON nor a form.
    ///
    /// # Errors
    /// [`Failure::BadRequest`] for JSON that cannot be read.
    pub(super) fn params(&self) -> Result<Map<String, Value>, Failure> {
        let content_type = self.content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        match content_type.as_str() {
            "application/json" if self.body.is_empty() => Ok(Map::new()),
            "application/json" => match serde_json::from_slice(&self.body) {
                Ok(Value::Object(object)) => Ok(object),
                Ok(_) => Ok(Map::new()),
                Err(_) => Err(Failure::BadRequest),
            },
            "application/x-www-form-urlencoded" => Ok(form(&self.body)),
            _ => Ok(Map::new()),
        }
    }
}

/// A form's fields: `a=1`, `a[b]=1` (an object), `a[]=1` (an array). Deeper brackets are not read.
fn form(body: &[u8]) -> Map<String, Value> {
    let mut params = Map::new();
    for (name, value) in form_urlencoded::parse(body) {
        let value = Value::from(value.into_owned());
        match name.split_once('[').map(|(outer, inner)| (outer, inner.trim_end_matches(']'))) {
            None => {
                params.insert(name.into_owned(), value);
            }
            Some((outer, "")) => {
                if let Value::Array(items) = params.entry(outer).or_insert_with(|| Value::Array(Vec::new())) {
                    items.push(value);
                }
            }
            Some((outer, inner)) => {
                if let Value::Object(fields) = params.entry(outer).or_insert_with(|| Value::Object(Map::new())) {
                    fields.insert(inner.to_owned(), value);
                }
            }
        }
    }
    params
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn params(content_type: &str, body: &'static str) -> Result<Value, Failure> {
        let call = Call {
            content_type: content_type.to_owned(),
            body: Bytes::from_static(body.as_bytes()),
            ..Call::default()
        };
        call.params().map(Value::Object)
    }

    #[test]
    fn empty_bodies_and_arrays_change_nothing() {
        for body in ["", "{}", "[1]", "null", "7"] {
            assert_eq!(params("application/json; charset=utf-8", body), Ok(json!({})), "{body}");
        }
    }

    #[test]
    fn json_of_another_content_type_is_ignored() {
        assert_eq!(params("text/plain", r#"{"name":"A"}"#), Ok(json!({})));
        assert_eq!(params("", r#"{"name":"A"}"#), Ok(json!({})));
    }

    #[test]
    fn malformed_json_is_a_bad_request_and_so_is_a_trailing_comma() {
        assert_eq!(params("application/json", "{\"a\":1,}"), Err(Failure::BadRequest));
        let call = Call {
            content_type: "application/json".to_owned(),
            body: Bytes::from_static(b"{\"a\":\"\xff\"}"),
            ..Call::default()
        };
        assert_eq!(call.params(), Err(Failure::BadRequest));
    }

    #[test]
    fn a_form_works_and_its_values_are_texts() {
        let sent =
            params("application/x-www-form-urlencoded", "name=A+B&custom_attributes%5Bplan%5D=1&labels[]=a&labels[]=b");
        assert_eq!(sent, Ok(json!({"name": "A B", "custom_attributes": {"plan": "1"}, "labels": ["a", "b"]})));
    }
}
