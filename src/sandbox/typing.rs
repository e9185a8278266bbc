//! How the server reads loosely typed values: what becomes text, what becomes a boolean, what is dropped without a
//! word. Source: facts of Chatwoot v4.15.1 on Rails 7.1 (strong parameters and attribute casts).

use serde_json::{Map, Number, Value};

/// What became of a value that was sent for a field.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Cast<T> {
    /// Not sent, or of a shape the server drops silently.
    #[default]
    Dropped,
    /// Sent as null, or as something that casts to null.
    Null,
    /// Taken, as this.
    To(T),
}

/// A value for a text field: numbers and booleans become text, objects and arrays are dropped.
pub(super) fn text(value: Option<&Value>) -> Cast<String> {
    match value {
        None | Some(Value::Array(_) | Value::Object(_)) => Cast::Dropped,
        Some(Value::Null) => Cast::Null,
        Some(Value::String(text)) => Cast::To(text.clone()),
        Some(Value::Bool(true)) => Cast::To("t".to_owned()),
        Some(Value::Bool(false)) => Cast::To("f".to_owned()),
        Some(Value::Number(number)) => Cast::To(number_text(number)),
    }
}

/// A value for a boolean field: the usual words of falsehood are false, blank is null, all else is true.
pub(super) fn boolean(value: Option<&Value>) -> Cast<bool> {
    match value {
        None | Some(Value::Array(_) | Value::Object(_)) => Cast::Dropped,
        Some(Value::Null) => Cast::Null,
        Some(Value::Bool(flag)) => Cast::To(*flag),
        Some(Value::Number(number)) => Cast::To(number.as_f64() != Some(0.0)),
        Some(Value::String(text)) if text.is_empty() => Cast::Null,
        Some(Value::String(text)) => {
            Cast::To(!matches!(text.as_str(), "0" | "f" | "F" | "false" | "FALSE" | "off" | "OFF"))
        }
    }
}

/// A value for a field of free JSON: only a non-empty object is taken, and arrays directly inside arrays are dropped.
pub(super) fn object(value: Option<&Value>) -> Option<Map<String, Value>> {
    match value {
        Some(Value::Object(object)) if !object.is_empty() => Some(permitted(object)),
        _ => None,
    }
}

fn permitted(object: &Map<String, Value>) -> Map<String, Value> {
    object.iter().map(|(key, value)| (key.clone(), permitted_value(value))).collect()
}

fn permitted_value(value: &Value) -> Value {
    match value {
        Value::Object(object) => Value::Object(permitted(object)),
        Value::Array(items) => {
            Value::Array(items.iter().filter(|item| !item.is_array()).map(permitted_value).collect())
        }
        scalar => scalar.clone(),
    }
}

/// The integer a text begins with, as `/contacts/1abc` is contact 1. `None` without digits or beyond 64 bits.
pub(super) fn leading_integer(text: &str) -> Option<i64> {
    let text = text.trim_start();
    let digits_at = usize::from(text.starts_with(['-', '+']));
    let end = text[digits_at..].find(|c: char| !c.is_ascii_digit()).map_or(text.len(), |at| at + digits_at);
    text[..end].parse().ok()
}

/// Whether any text inside, keys included, has a NUL character: PostgreSQL refuses to store one.
pub(super) fn has_nul(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains('\0'),
        Value::Array(items) => items.iter().any(has_nul),
        Value::Object(object) => object.iter().any(|(key, value)| key.contains('\0') || has_nul(value)),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

/// Whether a text is empty or only white space: what the server calls blank.
pub(super) fn is_blank(text: &str) -> bool {
    text.trim().is_empty()
}

/// A number as the server's language writes it: `12.50` is `12.5`, and a large one is `1.0e+20`.
fn number_text(number: &Number) -> String {
    match number.as_f64() {
        Some(float) if number.is_f64() => {
            let size = float.abs();
            if size != 0.0 && !(1e-4..1e16).contains(&size) { scientific(float) } else { format!("{float:?}") }
        }
        _ => number.to_string(),
    }
}

fn scientific(float: f64) -> String {
    let text = format!("{float:e}");
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let point = if mantissa.contains('.') { "" } else { ".0" };
    let (sign, digits) = exponent.strip_prefix('-').map_or(("+", exponent), |digits| ("-", digits));
    format!("{mantissa}{point}e{sign}{digits:0>2}")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn as_text(value: &Value) -> Cast<String> {
        text(Some(value))
    }

    #[test]
    fn a_number_for_a_text_field_is_stored_as_its_text() {
        let parsed: Value = serde_json::from_str("[12345, 12.50, 1.0, 1e20, 0.00001]").unwrap();
        let texts: Vec<_> = parsed.as_array().unwrap().iter().map(as_text).collect();
        let expected = ["12345", "12.5", "1.0", "1.0e+20", "1.0e-05"].map(|text| Cast::To(text.to_owned()));
        assert_eq!(texts, expected);
    }

    #[test]
    fn true_for_a_text_field_is_stored_as_t() {
        assert_eq!(as_text(&json!(true)), Cast::To("t".to_owned()));
        assert_eq!(as_text(&json!(false)), Cast::To("f".to_owned()));
    }

    #[test]
    fn an_object_or_array_for_a_text_field_is_dropped() {
        assert_eq!(as_text(&json!({"a": 1})), Cast::Dropped);
        assert_eq!(as_text(&json!(["a"])), Cast::Dropped);
    }

    #[test]
    fn words_of_falsehood_are_false_blank_is_null_and_the_rest_is_true() {
        for yes in [json!("yes"), json!(1), json!("true"), json!(true)] {
            assert_eq!(boolean(Some(&yes)), Cast::To(true), "{yes}");
        }
        for no in [json!("off"), json!(0), json!("false"), json!(false)] {
            assert_eq!(boolean(Some(&no)), Cast::To(false), "{no}");
        }
        assert_eq!(boolean(Some(&json!(""))), Cast::Null);
        assert_eq!(boolean(Some(&Value::Null)), Cast::Null);
    }

    #[test]
    fn attributes_are_taken_from_a_non_empty_object_only() {
        for dropped in [json!("text"), json!([{"a": 1}]), Value::Null, json!({})] {
            assert_eq!(object(Some(&dropped)), None, "{dropped}");
        }
        assert!(object(Some(&json!({"plan": null}))).unwrap().contains_key("plan"));
    }

    #[test]
    fn an_array_inside_an_array_is_dropped() {
        let taken = object(Some(&json!({"a": [1, [2], {"b": [[3], 4]}]}))).unwrap();
        assert_eq!(Value::Object(taken), json!({"a": [1, {"b": [4]}]}));
    }

    #[test]
    fn an_id_in_a_path_is_its_leading_digits() {
        assert_eq!(leading_integer("1abc"), Some(1));
        assert_eq!(leading_integer("42"), Some(42));
        assert_eq!(leading_integer("abc"), None);
        assert_eq!(leading_integer("99999999999999999999"), None);
        assert_eq!(leading_integer(""), None);
    }
}
