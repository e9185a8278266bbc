//! Secrets: in place, from an environment variable, or from a file. A message never quotes one.

use std::path::Path;

use secrecy::{ExposeSecret, SecretString};

use super::{environment::Environment, field::Field, reader::Reader, redact::is_variable_name, tree::Value};
use crate::{clock::Timestamp, sources::scheme::Secret};

/// What a secret may look like in the file.
const EXPECTED: &str = "a secret: \"…\", { env = \"NAME\" } or { file = \"/path\" }";

/// One secret, as a text, `{ env = … }` or `{ file = … }`.
pub(super) fn single(field: &Field<'_>, env: &dyn Environment) -> Option<SecretString> {
    let secret = single_unjudged(field, env)?;
    if secret.expose_secret().trim() != secret.expose_secret() {
        field.warning("this secret starts or ends with a blank or a line end; it is used as it is");
    }
    Some(secret)
}

fn single_unjudged(field: &Field<'_>, env: &dyn Environment) -> Option<SecretString> {
    match field.value() {
        Value::Text(text) => checked(text.clone(), field, "this secret"),
        Value::Table(_) => {
            let table = field.table()?;
            let secret = referred(&table, field, env, false);
            table.finish();
            secret
        }
        _ => {
            field.fault(format!("expected {EXPECTED}"));
            None
        }
    }
}

/// One secret or a list of them, each with an optional `not_after`. An entry with a fault is `None`, so that the others
/// keep their positions. What is unwise about a secret of a source, its verifier says.
pub(super) fn several(field: Field<'_>, env: &dyn Environment) -> Vec<Option<Secret>> {
    if matches!(field.value(), Value::List(entries) if entries.is_empty()) {
        field.fault(format!("expected {EXPECTED}, or a list of them; found an empty list"));
        return vec![None];
    }
    field.one_or_list().iter().map(|entry| one_of_several(entry, env)).collect()
}

fn one_of_several(field: &Field<'_>, env: &dyn Environment) -> Option<Secret> {
    let Value::Table(_) = field.value() else {
        return single_unjudged(field, env).map(|value| Secret { value, not_after: None });
    };
    let table = field.table()?;
    let not_after = table.get("not_after").map(|field| read_moment(&field));
    let value = referred(&table, field, env, true);
    table.finish();
    match (value, not_after) {
        (Some(value), None) => Some(Secret { value, not_after: None }),
        (Some(value), Some(Some(moment))) => Some(Secret { value, not_after: Some(moment) }),
        (None, _) | (_, Some(None)) => None,
    }
}

/// What a table of exactly one of `env`, `file` and, where `value_allowed`, `value` refers to.
fn referred(table: &Reader<'_>, whole: &Field<'_>, env: &dyn Environment, value_allowed: bool) -> Option<SecretString> {
    let (var, file) = (table.get("env"), table.get("file"));
    let value = if value_allowed { table.get("value") } else { None };
    match (var, file, value) {
        (Some(var), None, None) => from_variable(&var, env),
        (None, Some(file), None) => from_file(&file, env),
        (None, None, Some(value)) => checked(value.text()?.to_owned(), &value, "this secret"),
        _ => {
            let wanted = if value_allowed { "`env`, `file` and `value`" } else { "`env` and `file`" };
            whole.fault(format!("expected exactly one of {wanted}"));
            None
        }
    }
}

fn from_variable(field: &Field<'_>, env: &dyn Environment) -> Option<SecretString> {
    let name = field.text()?;
    // A name of another shape may be a secret that was put here by mistake.
    let shown = if is_variable_name(name) { format!("`{name}`") } else { "named here".to_owned() };
    if name.is_empty() || name.contains(['=', '\0']) {
        field.fault("expected the name of an environment variable");
        return None;
    }
    let Some(value) = env.var(name) else {
        field.fault(format!("the environment variable {shown} is not set"));
        return None;
    };
    checked(value, field, &format!("the environment variable {shown}"))
}

fn from_file(field: &Field<'_>, env: &dyn Environment) -> Option<SecretString> {
    let path = field.filled_text()?;
    match env.read(Path::new(path)) {
        Ok(text) => {
            // Editors and `echo` end a file with one line end; a second one belongs to the secret.
            let line = text.strip_suffix('\n').map_or(text.as_str(), |line| line.strip_suffix('\r').unwrap_or(line));
            checked(line.to_owned(), field, "the file's secret")
        }
        Err(error) => {
            field.fault(format!("the file cannot be read: {error}"));
            None
        }
    }
}

/// Refuses what can be no secret; `what` names it in messages.
fn checked(text: String, field: &Field<'_>, what: &str) -> Option<SecretString> {
    if text.trim().is_empty() {
        field.fault(format!("{what} is empty"));
        return None;
    }
    if is_unresolved(&text) {
        field.fault_with_help(
            format!("{what} looks like a placeholder that nothing filled in"),
            "this file has no placeholders; write { env = \"NAME\" }",
        );
        return None;
    }
    Some(SecretString::from(text))
}

/// Whether the text is `${NAME}` or `{{ name }}`, or has one inside.
fn is_unresolved(text: &str) -> bool {
    let has = |open: &str, close: &str| text.split_once(open).is_some_and(|(_, rest)| rest.contains(close));
    has("${", "}") || has("{{", "}}")
}

/// A date, which lasts until its end in UTC, or a time with its zone; as TOML's own or as text.
fn read_moment(field: &Field<'_>) -> Option<Timestamp> {
    let (Value::Text(text) | Value::Time(text)) = field.value() else {
        field.fault("expected a date such as 2027-01-31, or a time such as 2027-01-31T12:00:00Z");
        return None;
    };
    let moment = moment(text);
    if moment.is_none() {
        field.fault("expected a date such as 2027-01-31, or a time with its zone such as 2027-01-31T12:00:00Z");
    }
    moment
}

fn moment(text: &str) -> Option<Timestamp> {
    let is_date = text.len() == "2027-01-31".len();
    if is_date { Timestamp::parse_rfc3339(&format!("{text}T23:59:59.999Z")) } else { Timestamp::parse_rfc3339(text) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_lasts_until_its_end_and_a_time_needs_its_zone() {
        let shown = |text| moment(text).map(|moment| moment.to_string());
        assert_eq!(shown("2027-01-31").as_deref(), Some("2027-01-31T23:59:59.999Z"));
        assert_eq!(shown("2027-01-31T12:00:00+02:00").as_deref(), Some("2027-01-31T10:00:00.000Z"));
        assert_eq!(shown("2027-01-31T12:00:00"), None);
        assert_eq!(shown("31.01.2027"), None);
    }

    #[test]
    fn a_placeholder_that_nothing_filled_in_is_no_secret() {
        for text in ["${SHOPIFY_SECRET}", "{{ secret }}", "x${Y}"] {
            assert!(is_unresolved(text), "{text}");
        }
        for text in ["$2b$10$abc", "{json}", "a}b${"] {
            assert!(!is_unresolved(text), "{text}");
        }
    }
}
