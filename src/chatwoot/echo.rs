//! Comparing what was sent with what the server echoes. Chatwoot answers 200 also when it has dropped a field without a
//! word: unknown keys, objects where it stores a text, arrays within arrays.

use serde_json::{Map, Number, Value};

use super::wire::Contact;
use crate::contacts::{Field, Fields};

/// The fields that were sent and are not in the echo as sent. E-mail addresses are compared in lower case, numbers by
/// value. `avatar_url` is never echoed, the server fetches it later: it always counts as taken.
pub fn not_taken(sent: &Fields, echo: &Contact) -> Vec<Field> {
    sent.iter().filter(|(field, value)| !is_taken(field, value, echo)).map(|(field, _)| field.clone()).collect()
}

fn is_taken(field: &Field, sent: &Value, echo: &Contact) -> bool {
    let text = |echoed: &Option<String>| sent.as_str() == Some(echoed.as_deref().unwrap_or_default());
    match field {
        Field::Name => text(&echo.name),
        Field::Email => {
            let lower = |text: &str| text.to_lowercase();
            sent.as_str().map(lower) == Some(echo.email.as_deref().map(lower).unwrap_or_default())
        }
        Field::PhoneNumber => text(&echo.phone_number),
        Field::AvatarUrl => true,
        Field::Custom(key) => has(&echo.custom_attributes, key, sent),
        Field::Additional(key) => has(&echo.additional_attributes, key, sent),
    }
}

fn has(attributes: &Map<String, Value>, key: &str, sent: &Value) -> bool {
    attributes.get(key).is_some_and(|echoed| same(sent, echoed))
}

/// Equal as JSON values; `1` and `1.0` are the same number, which the server writes as it likes.
fn same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => same_number(one, other),
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| same(one, other))
        }
        (Value::Object(one), Value::Object(other)) => {
            one.len() == other.len() && one.iter().all(|(key, value)| has(other, key, value))
        }
        _ => one == other,
    }
}

/// Whole numbers are compared exactly, beyond what a float holds.
fn same_number(one: &Number, other: &Number) -> bool {
    if one.is_f64() || other.is_f64() { one.as_f64() == other.as_f64() } else { one == other }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::contacts::fields_from_json;

    fn fields(json: &Value) -> Fields {
        fields_from_json(json.as_object().expect("an object"))
    }

    fn echo() -> Contact {
        Contact {
            id: 42,
            name: Some("Dana".into()),
            email: Some("dana@example.com".into()),
            phone_number: Some("+972771234567".into()),
            custom_attributes: json!({"plan": "gold", "age": 40.0, "tags": ["a", 1], "big": 9_007_199_254_740_993_u64})
                .as_object()
                .cloned()
                .expect("an object"),
            additional_attributes: json!({"city": "Haifa", "social": {"x": 1.0, "y": null}})
                .as_object()
                .cloned()
                .expect("an object"),
            ..Contact::default()
        }
    }

    #[test]
    fn what_the_echo_shows_as_sent_was_taken() {
        let sent = fields(&json!({
            "name": "Dana", "email": "Dana@Example.com", "phone_number": "+972771234567", "avatar_url": "https://a.example/x.png",
            "custom_attributes": {"plan": "gold", "age": 40, "tags": ["a", 1.0], "big": 9_007_199_254_740_993_u64},
            "additional_attributes": {"city": "Haifa", "social": {"y": null, "x": 1}}
        }));
        assert_eq!(not_taken(&sent, &echo()), []);
    }

    #[test]
    fn what_differs_or_is_absent_was_not_taken() {
        let sent = fields(&json!({
            "name": "Dana ", "email": "other@example.com", "phone_number": "+97277",
            "custom_attributes": {"plan": "Gold", "none": 1, "age": "40", "tags": [["a"], 1], "big": 9_007_199_254_740_992_u64},
            "additional_attributes": {"social": {"x": 1}}
        }));
        assert_eq!(not_taken(&sent, &echo()), sent.keys().cloned().collect::<Vec<_>>());
    }

    #[test]
    fn an_echo_without_the_fields_means_that_none_was_taken() {
        let sent = fields(
            &json!({"name": "Dana", "email": "a@b.co", "phone_number": "+1555", "avatar_url": "https://a.example/"}),
        );
        assert_eq!(not_taken(&sent, &Contact::default()), [Field::Name, Field::Email, Field::PhoneNumber]);
    }
}
