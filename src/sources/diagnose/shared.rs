//! Mistakes with secrets that are sent as they are: tokens and passwords.

use base64::{Engine as _, prelude::BASE64_STANDARD};

use super::change::{Case, Change, Kind};
use crate::sources::scheme::spec::{SchemeSpec, TokenSpec};

/// Headers that tokens are usually sent in.
const USUAL: [&str; 6] =
    ["authorization", "x-api-key", "x-auth-token", "x-webhook-token", "x-webhook-secret", "x-token"];
/// What usually stands before a token.
const PREFIXES: [&str; 4] = ["", "Bearer ", "Token ", "bearer "];

pub(super) fn changes(case: &Case) -> Vec<Change> {
    match &case.spec {
        SchemeSpec::Token(spec) => tokens(case, spec),
        SchemeSpec::Basic { .. } => user_name(case).into_iter().collect(),
        SchemeSpec::Hmac(_)
        | SchemeSpec::Hash(_)
        | SchemeSpec::StandardWebhooks(_)
        | SchemeSpec::PublicKey(_)
        | SchemeSpec::Jwt { .. }
        | SchemeSpec::Open => Vec::new(),
    }
}

fn tokens(case: &Case, configured: &TokenSpec) -> Vec<Change> {
    let named = match configured {
        TokenSpec::Header { name, .. } => Some(name.to_ascii_lowercase()),
        TokenSpec::Query(_) => None,
    };
    let places = named.iter().map(String::as_str).chain(USUAL);
    let in_headers = places
        .flat_map(|name| PREFIXES.map(|prefix| TokenSpec::Header { name: name.to_owned(), prefix: prefix.to_owned() }));
    let query = case.request.path_query.split_once('?').map_or("", |(_, query)| query);
    let in_query =
        form_urlencoded::parse(query.as_bytes()).map(|(name, _)| TokenSpec::Query(name.into_owned())).take(10);
    in_headers
        .chain(in_query)
        .filter(|place| !is_same(place, configured))
        .map(|place| {
            let written = match &place {
                TokenSpec::Header { name, prefix } if prefix.is_empty() => {
                    format!("header = \"{name}\" without a prefix")
                }
                TokenSpec::Header { name, prefix } => format!("header = \"{name}\" and prefix = \"{prefix}\""),
                TokenSpec::Query(name) => format!("query = \"{name}\""),
            };
            let text = format!(
                "the token is right, but stands elsewhere: write {written} in [sources.{}.verify]",
                case.source
            );
            Change::new(Kind::Reading, "token_place", text, move |case| case.spec = SchemeSpec::Token(place.clone()))
        })
        .collect()
}

fn is_same(place: &TokenSpec, configured: &TokenSpec) -> bool {
    match (place, configured) {
        (TokenSpec::Header { name, prefix }, TokenSpec::Header { name: other, prefix: other_prefix }) => {
            name.eq_ignore_ascii_case(other) && prefix == other_prefix
        }
        (place, configured) => place == configured,
    }
}

fn user_name(case: &Case) -> Option<Change> {
    let (_, credentials) = case.header("authorization")?.split_once(' ')?;
    let decoded = String::from_utf8(BASE64_STANDARD.decode(credentials.trim()).ok()?).ok()?;
    let given = decoded.split_once(':')?.0.to_owned();
    let text = format!("the password is right, but the user name is not the one in [sources.{}.verify]", case.source);
    Some(Change::new(Kind::Reading, "user_name", text, move |case| {
        case.spec = SchemeSpec::Basic { username: given.clone() };
    }))
}
