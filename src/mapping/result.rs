//! Reads what expressions give: texts, JSON, times. Reasons for refusal never quote the value.

use jaq_json::{Num, Val};
use serde_json::{Map, Number, Value};

use crate::{
    clock::Timestamp,
    contacts::{MAX_ATTRIBUTE_BYTES, Unusable},
};

/// The longest text that a field's expression may give, in bytes; far above what any field takes.
const MAX_TEXT_BYTES: usize = 64 * 1024;

/// The text of a result, trimmed; `None` where nothing is left. Numbers become their digits, exactly up to 64 bits.
///
/// # Errors
/// The reason, when it is no text and no number, or too long.
pub(super) fn text(value: &Val) -> Result<Option<String>, String> {
    let text = match value {
        Val::Null => return Ok(None),
        Val::TStr(text) | Val::BStr(text) if text.len() > MAX_TEXT_BYTES => {
            return Err(format!("it is longer than {MAX_TEXT_BYTES} bytes"));
        }
        Val::TStr(text) | Val::BStr(text) => String::from_utf8_lossy(text).trim().to_owned(),
        Val::Num(number) => number_text(number).ok_or("it is not a finite number")?,
        Val::Bool(_) => return Err("it is true or false, not a text".to_owned()),
        Val::Arr(_) => return Err("it is an array, not a text".to_owned()),
        Val::Obj(_) => return Err("it is an object, not a text".to_owned()),
    };
    Ok((!text.is_empty()).then_some(text))
}

/// The digits of a number; a whole floating-point number such as `12.0` has no fraction.
fn number_text(number: &Num) -> Option<String> {
    match number {
        Num::Int(integer) => Some(integer.to_string()),
        Num::BigInt(integer) => Some(integer.to_string()),
        // Display writes `12` for 12.0, and never an exponent.
        Num::Float(_) | Num::Dec(_) => float(number).map(|number| number.to_string()),
    }
}

/// A number as floating point; `None` when it is not finite.
fn float(number: &Num) -> Option<f64> {
    let float = match number {
        Num::Float(float) => *float,
        Num::Dec(text) => text.parse().ok()?,
        Num::Int(integer) => integer.to_string().parse().ok()?,
        Num::BigInt(integer) => integer.to_string().parse().ok()?,
    };
    float.is_finite().then_some(float)
}

/// The JSON of a result; a text is trimmed. `None` for null and an empty text, which leave an attribute alone.
///
/// # Errors
/// The reason, when it is too large for an attribute or cannot be written as JSON.
pub(super) fn json(value: &Val) -> Result<Option<Value>, String> {
    match value {
        Val::TStr(_) | Val::BStr(_) => Ok(text(value)?.map(Value::String)),
        Val::Null => Ok(None),
        _ => to_json(value, &mut { MAX_ATTRIBUTE_BYTES }).map(Some),
    }
}

/// Converts a value, counting down the bytes of JSON it will have at least.
fn to_json(value: &Val, bytes_left: &mut usize) -> Result<Value, String> {
    let mut take = |bytes: usize| {
        *bytes_left = bytes_left
            .checked_sub(bytes)
            .ok_or_else(|| Unusable::TooLong { limit: MAX_ATTRIBUTE_BYTES, unit: "bytes" }.to_string())?;
        Ok::<(), String>(())
    };
    Ok(match value {
        Val::Null => Value::Null,
        Val::Bool(truth) => Value::Bool(*truth),
        Val::Num(number) => {
            take(1)?;
            Value::Number(to_number(number)?)
        }
        Val::TStr(text) | Val::BStr(text) => {
            take(text.len() + 2)?;
            Value::String(String::from_utf8_lossy(text).into_owned())
        }
        Val::Arr(elements) => {
            take(2 + elements.len())?;
            Value::Array(elements.iter().map(|element| to_json(element, bytes_left)).collect::<Result<_, _>>()?)
        }
        Val::Obj(members) => {
            take(2 + 4 * members.len())?;
            let mut object = Map::new();
            for (key, member) in members.iter() {
                let Val::TStr(key) = key else { return Err("it has a key that is not a text".to_owned()) };
                object.insert(String::from_utf8_lossy(key).into_owned(), to_json(member, bytes_left)?);
            }
            Value::Object(object)
        }
    })
}

fn to_number(number: &Num) -> Result<Number, String> {
    let exact = match number {
        Num::Int(integer) => Some(Number::from(*integer)),
        Num::BigInt(integer) => integer.to_string().parse::<u64>().ok().map(Number::from),
        Num::Float(_) | Num::Dec(_) => None,
    };
    exact
        .or_else(|| float(number).and_then(Number::from_f64))
        .ok_or_else(|| "it has a number that is not finite".to_owned())
}

/// From here on a number of a time is milliseconds, not seconds: 1973 in milliseconds, the year 5138 in seconds.
const MILLIS_FROM: f64 = 1e11;

/// The time of a result: RFC 3339, without a zone UTC; or a number of seconds or milliseconds since 1970.
pub(super) fn time(value: &Val) -> Option<Timestamp> {
    match value {
        Val::TStr(text) => {
            let text = std::str::from_utf8(text).ok()?.trim();
            Timestamp::parse_rfc3339(text).or_else(|| without_zone(text))
        }
        Val::Num(number) => {
            let number = float(number)?;
            let ms = if number.abs() >= MILLIS_FROM { number } else { number * 1_000.0 };
            // Beyond the year 9999 it is no time but an id or the like.
            (0.0..=253_402_300_799_999.0).contains(&ms).then(|| {
                #[expect(
                    clippy::cast_possible_truncation,
                    reason = "within the range just checked, and whole milliseconds are wanted"
                )]
                Timestamp::from_millis(ms.round() as i64)
            })
        }
        Val::Null | Val::Bool(_) | Val::BStr(_) | Val::Arr(_) | Val::Obj(_) => None,
    }
}

fn without_zone(text: &str) -> Option<Timestamp> {
    // A date alone says too little to order changes by.
    if !text.contains(':') {
        return None;
    }
    let time: jiff::civil::DateTime = text.parse().ok()?;
    let moment = time.to_zoned(jiff::tz::TimeZone::UTC).ok()?;
    Some(Timestamp::from_millis(moment.timestamp().as_millisecond()))
}

#[cfg(test)]
mod tests {
    use serde_json::json as value;

    use super::*;

    fn val(json: &Value) -> Val {
        serde_json::from_value(json.clone()).unwrap()
    }

    #[test]
    fn numbers_become_their_digits_exactly() {
        for (json, digits) in [
            (value!(7_700_000_000_001_u64), "7700000000001"),
            (value!(u64::MAX), "18446744073709551615"),
            (value!(-5), "-5"),
            (value!(12.0), "12"),
            (value!(12.5), "12.5"),
            (value!(0), "0"),
        ] {
            assert_eq!(text(&val(&json)), Ok(Some(digits.to_owned())));
        }
    }

    #[test]
    fn texts_are_trimmed_and_nothing_is_left_of_blanks() {
        assert_eq!(text(&val(&value!(" a "))), Ok(Some("a".to_owned())));
        assert_eq!(text(&val(&value!(" \n"))), Ok(None));
        assert_eq!(text(&Val::Null), Ok(None));
        for json in [value!(true), value!([]), value!({})] {
            assert!(text(&val(&json)).is_err());
        }
        assert!(text(&val(&value!("x".repeat(MAX_TEXT_BYTES + 1)))).is_err());
    }

    #[test]
    fn attributes_keep_their_json_type() {
        for given in [value!(true), value!(12.5), value!(u64::MAX), value!(["a", null]), value!({"a": {"b": -1}})] {
            assert_eq!(json(&val(&given)), Ok(Some(given)));
        }
        assert_eq!(json(&val(&value!(""))), Ok(None));
        assert!(json(&val(&value!(vec![1; MAX_ATTRIBUTE_BYTES]))).is_err());
    }

    #[test]
    fn times_are_rfc3339_or_numbers_of_seconds_or_milliseconds() {
        let moment = Timestamp::from_secs(1_790_946_851);
        for json in [
            value!("2026-10-02T15:14:11+02:00"),
            value!("2026-10-02T13:14:11Z"),
            value!("2026-10-02T13:14:11"),
            value!("2026-10-02 13:14:11"),
            value!(1_790_946_851),
            value!(1_790_946_851_000_u64),
            value!(1_790_946_851.0),
        ] {
            assert_eq!(time(&val(&json)), Some(moment), "{json}");
        }
        for json in [
            value!("yesterday"),
            value!("2026-10-02"),
            value!(""),
            value!(true),
            value!(1e300),
            value!(-1),
            value!(u64::MAX),
        ] {
            assert_eq!(time(&val(&json)), None, "{json}");
        }
    }
}
