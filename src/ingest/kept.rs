//! What of a request is kept beside its body: enough to map it again, and nothing that carries a secret.

use serde_json::{Map, Value};

use crate::sources::{Headers, Verifier};

/// The most bytes of headers that are kept with a webhook.
const MAX_HEADER_BYTES: usize = 8 * 1024;

/// Headers that say how the request travelled, not what it means.
const TRANSPORT: [&str; 12] = [
    "accept",
    "accept-encoding",
    "accept-language",
    "cache-control",
    "connection",
    "content-length",
    "host",
    "keep-alive",
    "pragma",
    "te",
    "transfer-encoding",
    "via",
];

/// Parts of names that speak of secrets, or of signatures, which open the door as long as their body does.
const SECRET: [&str; 9] = ["auth", "cookie", "token", "secret", "passw", "signature", "hmac", "api-key", "apikey"];

/// The headers worth keeping, as a JSON object; of a repeated name the values are joined.
pub(super) fn headers(headers: &Headers, verifier: &Verifier) -> String {
    let mut kept = Map::new();
    let mut bytes = 0;
    for (name, value) in headers.iter() {
        let secret = SECRET.iter().any(|part| name.contains(part)) || verifier.secret_header() == Some(name);
        if secret || TRANSPORT.contains(&name) || name.starts_with("x-forwarded-") {
            continue;
        }
        let size = name.len() + value.len();
        // One that is too long, such as a proxy's, does not cost those that mapping needs.
        if bytes + size > MAX_HEADER_BYTES {
            continue;
        }
        bytes += size;
        match kept.get_mut(name) {
            Some(Value::String(known)) => {
                known.push_str(", ");
                known.push_str(value);
            }
            _ => {
                kept.insert(name.to_owned(), Value::from(value));
            }
        }
    }
    Value::Object(kept).to_string()
}

/// The query without the parameter that carries a secret, byte for byte otherwise.
pub(super) fn query(path_query: &str, verifier: &Verifier) -> String {
    let Some((_, query)) = path_query.split_once('?') else { return String::new() };
    let Some(secret) = verifier.secret_parameter() else { return query.to_owned() };
    let names_secret =
        |pair: &&str| form_urlencoded::parse(pair.as_bytes()).next().is_some_and(|(name, _)| name == secret);
    query.split('&').filter(|pair| !names_secret(pair)).collect::<Vec<_>>().join("&")
}

/// Headers as they were kept, for a webhook that is mapped again.
pub(super) fn read_back(kept: &str, content_type: Option<&str>) -> Headers {
    let kept: Map<String, Value> = serde_json::from_str(kept).unwrap_or_default();
    let mut headers =
        Headers::new(kept.into_iter().filter_map(|(name, value)| Some((name, value.as_str()?.to_owned()))));
    if let Some(content_type) = content_type {
        headers.set("content-type", content_type);
    }
    headers
}

#[cfg(test)]
mod tests {
    use secrecy::SecretString;

    use super::*;
    use crate::sources::{
        Secret,
        scheme::spec::{SchemeSpec, TokenSpec},
    };

    fn verifier(spec: TokenSpec) -> Verifier {
        let secret = Secret { value: SecretString::from("s3cret"), not_after: None };
        Verifier::new(SchemeSpec::Token(spec), vec![secret]).unwrap()
    }

    #[test]
    fn no_header_that_carries_a_secret_is_kept() {
        let verifier = verifier(TokenSpec::Header { name: "X-Shop-Pass".to_owned(), prefix: String::new() });
        let sent = [
            ("Authorization", "Bearer abc"),
            ("X-Shop-Pass", "s3cret"),
            ("X-Shopify-Hmac-Sha256", "abc="),
            ("Cookie", "a=b"),
            ("Host", "example.com"),
            ("X-Shopify-Topic", "customers/create"),
        ];
        let sent = Headers::new(sent.map(|(name, value)| (name.to_owned(), value.to_owned())));
        assert_eq!(headers(&sent, &verifier), r#"{"x-shopify-topic":"customers/create"}"#);
    }

    #[test]
    fn a_token_in_the_query_is_not_kept_however_its_name_is_written() {
        let verifier = verifier(TokenSpec::Query("token".to_owned()));
        assert_eq!(query("/hooks/form?a=1&token=s3cret&to%6ben=s3cret&b=%20", &verifier), "a=1&b=%20");
    }
}
