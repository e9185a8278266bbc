//! The value of a custom or additional attribute: any JSON that Chatwoot keeps as it is.

use serde_json::Value;

use super::Unusable;

/// The largest attribute value, in bytes of JSON. Attributes are shown to agents and sent with every event of a
/// contact; a larger one is a payload that strayed into a field.
pub const MAX_ATTRIBUTE_BYTES: usize = 16 * 1024;

/// Makes a JSON value fit for an attribute: NUL characters, which PostgreSQL refuses in texts, are taken out.
///
/// # Errors
/// [`Unusable::Blank`] for null, [`Unusable::TooLong`] over [`MAX_ATTRIBUTE_BYTES`], [`Unusable::NestedArray`] for an
/// array that directly holds an array: Rails' parameter filter drops those without a word.
pub fn attribute_value(mut value: Value) -> Result<Value, Unusable> {
    if value.is_null() {
        return Err(Unusable::Blank);
    }
    if has_nested_array(&value) {
        return Err(Unusable::NestedArray);
    }
    remove_nul(&mut value);
    if value.to_string().len() > MAX_ATTRIBUTE_BYTES {
        return Err(Unusable::TooLong { limit: MAX_ATTRIBUTE_BYTES, unit: "bytes" });
    }
    Ok(value)
}

fn has_nested_array(value: &Value) -> bool {
    match value {
        Value::Array(elements) => elements.iter().any(|element| element.is_array() || has_nested_array(element)),
        Value::Object(members) => members.values().any(has_nested_array),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

fn remove_nul(value: &mut Value) {
    match value {
        Value::String(text) => text.retain(|character| character != '\0'),
        Value::Array(elements) => elements.iter_mut().for_each(remove_nul),
        Value::Object(members) => {
            if members.keys().any(|key| key.contains('\0')) {
                *members =
                    std::mem::take(members).into_iter().map(|(key, value)| (key.replace('\0', ""), value)).collect();
            }
            members.values_mut().for_each(remove_nul);
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_attribute_keeps_its_json_type() {
        for value in [json!(true), json!(12.5), json!(0), json!("x"), json!(["a", {"b": [1]}]), json!({})] {
            assert_eq!(attribute_value(value.clone()), Ok(value));
        }
    }

    #[test]
    fn nul_characters_are_taken_out_of_texts_and_keys() {
        assert_eq!(attribute_value(json!({"a\0": ["b\0c"]})), Ok(json!({"a": ["bc"]})));
    }

    #[test]
    fn what_chatwoot_would_drop_silently_is_refused_with_a_reason() {
        assert_eq!(attribute_value(json!([[1]])), Err(Unusable::NestedArray));
        assert_eq!(attribute_value(json!({"a": [{"b": [[]]}]})), Err(Unusable::NestedArray));
        assert_eq!(attribute_value(json!("x".repeat(MAX_ATTRIBUTE_BYTES))).unwrap_err().code(), "too_long");
        assert_eq!(attribute_value(Value::Null), Err(Unusable::Blank));
    }
}
