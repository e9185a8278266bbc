//! Which functions expressions may call. Only what is named here exists: a function that a new version of jaq brings is
//! not there until somebody has thought about what it costs.
//!
//! Left out on purpose: what reads the world (`env`, `now`, `input`, `debug`, `halt`, local time), what recurses or counts
//! without an input to bound it (`range`, `repeat`, `recurse`, `until`, `while`, `combinations`), what changes a value in
//! place (`map_values`, `del`, `walk`, `setpath`), and what no mapping needs (trigonometry, `tobytes`).

use jaq_core::{
    Error, RunPtr, ValR,
    load::{self, parse::Def},
    native::{self, Fun, bome, unary, v},
};
use jaq_json::{Num, Val};

use super::{
    fuel::burn,
    value::{Metered, for_bytes},
};

/// What jaq needs to know about our evaluations: the value type, and that there is no further context.
pub(super) type Language = jaq_core::data::JustLut<Metered>;

/// The variables that are bound in every expression, in the order of [`super::expression::Scope`].
pub(super) const VARIABLES: [&str; 5] = ["$body", "$headers", "$query", "$source", "$received_at"];

/// Of jaq's definitions, by name, whatever their number of arguments.
const DEFINITIONS: &[&str] = &[
    "!empty",
    "empty",
    "error",
    "true",
    "false",
    "null",
    "not",
    "select",
    "tostring",
    "toboolean",
    "totype",
    // Paths and iteration.
    "getpath",
    "map",
    "first",
    "last",
    "nth",
    "isempty",
    "all",
    "any",
    "add",
    "in",
    "inside",
    // Objects.
    "to_entries",
    "from_entries",
    "with_entries",
    "keys",
    // Kinds.
    "isboolean",
    "isnumber",
    "isstring",
    "isarray",
    "isobject",
    "type",
    "values",
    "nulls",
    "booleans",
    "numbers",
    "strings",
    "arrays",
    "objects",
    "iterables",
    "scalars",
    // Order.
    "min_by",
    "max_by",
    "min",
    "max",
    "unique_by",
    "unique",
    // Texts.
    "split",
    "splits",
    "test",
    "scan_",
    "scan",
    "match",
    "capture",
    "capture_of_match",
    "sub",
    "gsub",
    "@text",
    "@uri",
    "@urid",
    "@base64",
    "@base64d",
    // Numbers and dates.
    "abs",
    "todate",
    "fromdate",
];

/// Of jaq's native functions, by name.
const NATIVES: &[&str] = &[
    "error_empty",
    "keys_unsorted",
    "key_values",
    "first",
    "last",
    "limit",
    "skip",
    "floor",
    "round",
    "ceil",
    "utf8bytelength",
    "explode",
    "implode",
    "ascii_downcase",
    "ascii_upcase",
    "reverse",
    "sort",
    "sort_by",
    "group_by",
    "min_by_or_empty",
    "max_by_or_empty",
    "startswith",
    "endswith",
    "ltrimstr",
    "rtrimstr",
    "trim",
    "ltrim",
    "rtrim",
    "encode_uri",
    "decode_uri",
    "encode_base64",
    "decode_base64",
    "fromdateiso8601",
    "todateiso8601",
    "strptime",
    "mktime",
];

/// Natives that run behind a definition of ours, and under which name.
const PAID: &[(&str, &str)] =
    &[("matches", "matches_unpaid"), ("split_matches", "split_matches_unpaid"), ("split_", "split_unpaid")];

/// Whether `name` is one of our own inner functions, which an expression must not call past the meter.
pub(super) fn is_internal(name: &str) -> bool {
    PAID.iter().any(|(_, unpaid)| *unpaid == name)
}

/// What to say about a well-known function that does not exist here.
pub(super) fn why_missing(name: &str) -> Option<&'static str> {
    Some(match name {
        "now" | "localtime" | "strflocaltime" => {
            "a replay must give the same result: use $received_at for the time of receipt"
        }
        "env" | "input" | "inputs" | "debug" | "stderr" | "halt" | "halt_error" | "input_filename"
        | "input_line_number" | "get_search_list" | "$__prog_args" => {
            "an expression sees the webhook and nothing else of this machine"
        }
        "range" | "repeat" | "recurse" | "recurse_down" | "until" | "while" | "combinations" | "flatten" | "walk"
        | "paths" | "transpose" => "it could run without end; iterate over the input with .[] or map(…)",
        "del" | "delpaths" | "setpath" | "map_values" | "pick" => {
            "values are not changed in place: build a new object with {…} or with_entries(…)"
        }
        _ => return None,
    })
}

/// The definitions, those of [`prelude.jq`](self) first, so that jaq's are built on ours.
pub(super) fn definitions() -> Vec<Def<&'static str>> {
    let own = load::parse(include_str!("prelude.jq"), |parser| parser.defs()).unwrap_or_default();
    let theirs = jaq_core::defs().chain(jaq_std::defs()).chain(jaq_json::defs());
    let chosen = theirs.filter(|definition| DEFINITIONS.contains(&definition.name));
    own.into_iter().chain(chosen).collect()
}

/// The native functions: jaq's, and those about JSON, which jaq has for its own value type only.
pub(super) fn natives() -> Vec<Fun<Language>> {
    let theirs = jaq_core::funs::<Language>().chain(jaq_std::funs::<Language>()).filter_map(|(name, arity, native)| {
        let paid = PAID.iter().find(|(theirs, _)| *theirs == name).map(|(_, unpaid)| *unpaid);
        let name = paid.or_else(|| NATIVES.contains(&name).then_some(name))?;
        Some((name, arity, native))
    });
    theirs.chain(own()).collect()
}

fn own() -> impl Iterator<Item = Fun<Language>> {
    let functions: [native::Filter<RunPtr<Language>>; 8] = [
        ("length", v(0), |cv| bome(length(&cv.1))),
        ("has", v(1), |cv| unary(cv, |value, key| has(&value, &key))),
        ("contains", v(1), |cv| unary(cv, |left, right| Ok(Metered::from(contains(&left.0, &right.0))))),
        ("tojson", v(0), |cv| bome(Ok(cv.1.to_json()))),
        ("fromjson", v(0), |cv| bome(from_json(&cv.1))),
        ("tonumber", v(0), |cv| bome(to_number(cv.1))),
        ("join", v(1), |cv| unary(cv, |values, separator| join(values, &separator))),
        ("pay_for_regex", v(1), |cv| unary(cv, |text, regex| pay_for_regex(text, &regex))),
    ];
    functions.into_iter().map(native::run::<Language>)
}

fn length(value: &Metered) -> ValR<Metered> {
    Ok(match &value.0 {
        Val::Null => Metered::from(0_usize),
        Val::Num(Num::Int(number)) => Metered::from(number.saturating_abs()),
        Val::Num(_) => Metered::from(jaq_std::ValT::as_f64(value).unwrap_or(f64::NAN).abs()),
        Val::TStr(text) | Val::BStr(text) => {
            burn(for_bytes(text.len()));
            Metered::from(value.as_text().map_or(text.len(), |text| text.chars().count()))
        }
        Val::Arr(elements) => Metered::from(elements.len()),
        Val::Obj(members) => Metered::from(members.len()),
        Val::Bool(_) => return Err(Error::typ(value.clone(), "something that has a length")),
    })
}

fn has(value: &Metered, key: &Metered) -> ValR<Metered> {
    let found = match (&value.0, &key.0) {
        (Val::Obj(members), Val::TStr(_)) => {
            burn(1);
            members.contains_key(&key.0)
        }
        (Val::Arr(elements), Val::Num(number)) => {
            number.as_isize().is_some_and(|index| usize::try_from(index).is_ok_and(|index| index < elements.len()))
        }
        _ => return Err(Error::index(value.clone(), key.clone())),
    };
    Ok(Metered::from(found))
}

/// A text in a text; each element of an array in some element; each member of an object in the member of that name.
fn contains(left: &Val, right: &Val) -> bool {
    burn(1);
    match (left, right) {
        (Val::TStr(left), Val::TStr(right)) => match (std::str::from_utf8(left), std::str::from_utf8(right)) {
            (Ok(left), Ok(right)) => {
                burn(for_bytes(left.len()));
                left.contains(right)
            }
            _ => false,
        },
        (Val::Arr(left), Val::Arr(right)) => right.iter().all(|right| left.iter().any(|left| contains(left, right))),
        (Val::Obj(left), Val::Obj(right)) => {
            right.iter().all(|(key, right)| left.get(key).is_some_and(|left| contains(left, right)))
        }
        (left, right) => Metered(left.clone()) == Metered(right.clone()),
    }
}

/// jaq's own reader has no limit of depth and would overflow the stack; that of `serde_json` is 128.
fn from_json(value: &Metered) -> ValR<Metered> {
    let Some(text) = value.as_text() else { return Err(Error::typ(value.clone(), "a text")) };
    // A byte of JSON may become a value of sixteen bytes and more.
    burn(1 + u64::try_from(text.len() / 2).unwrap_or(u64::MAX));
    serde_json::from_str(text).map(Metered).map_err(|_| Error::typ(value.clone(), "JSON"))
}

fn to_number(value: Metered) -> ValR<Metered> {
    if matches!(value.0, Val::Num(_)) {
        return Ok(value);
    }
    let number = value.as_text().and_then(|text| {
        burn(for_bytes(text.len()));
        // Not from JSON, whose numbers have no leading zero or plus.
        let text = text.trim();
        let integer = text.parse::<isize>().ok().map(Num::Int);
        let plain = text.bytes().all(|byte| byte.is_ascii_digit() || b"+-.eE".contains(&byte));
        integer.or_else(|| text.parse().ok().filter(|_| plain).map(Num::Float))
    });
    number.map(|number| Metered(Val::Num(number))).ok_or_else(|| Error::typ(value, "a number"))
}

/// As jq's: null is the empty text, numbers and truth values are written out.
fn join(values: Metered, separator: &Metered) -> ValR<Metered> {
    let Val::Arr(elements) = &values.0 else { return Err(Error::typ(values, "an array")) };
    let Some(separator) = separator.as_text() else { return Err(Error::typ(separator.clone(), "a text")) };
    let mut joined = String::new();
    for (index, element) in elements.iter().enumerate() {
        let element = Metered(element.clone());
        let json;
        let part = match &element.0 {
            Val::Null => "",
            Val::TStr(_) => element.as_text().unwrap_or_default(),
            Val::Bool(_) | Val::Num(_) => {
                json = element.to_json();
                json.as_text().unwrap_or_default()
            }
            Val::BStr(_) | Val::Arr(_) | Val::Obj(_) => return Err(Error::typ(element, "a text")),
        };
        let separator = if index == 0 { "" } else { separator };
        burn(for_bytes(part.len() + separator.len()));
        joined.push_str(separator);
        joined.push_str(part);
    }
    Ok(Metered::from(joined))
}

/// The largest regular expression, in states ([`regex_states`]).
const MAX_REGEX_STATES: u64 = 4_096;

/// Burns the fuel for one search of `regex` through the whole of `text`, and gives `text` back.
fn pay_for_regex(text: Metered, regex: &Metered) -> ValR<Metered> {
    let pattern = regex.as_text().unwrap_or_default();
    let states = regex_states(pattern);
    if states > MAX_REGEX_STATES {
        return Err(Error::typ(regex.clone(), "a regular expression: it is too large"));
    }
    let length = u64::try_from(text.as_text().unwrap_or_default().len()).unwrap_or(u64::MAX);
    // The engine is linear: a search visits at most every state for every byte. Compiling costs about 100 units of itself.
    burn(100 + states + length.saturating_mul(states) / 4);
    Ok(text)
}

/// An upper bound of the states a pattern compiles to: a counted repetition `{n}` copies what it repeats, and such
/// repetitions may be nested, so all counts multiply.
fn regex_states(pattern: &str) -> u64 {
    let mut states = u64::try_from(pattern.len()).unwrap_or(u64::MAX).saturating_mul(2) + 2;
    for repetition in pattern.split('{').skip(1) {
        let counts = repetition.split('}').next().unwrap_or_default();
        let largest = counts.split(',').filter_map(|count| count.trim().parse::<u64>().ok()).max().unwrap_or(1);
        states = states.saturating_mul(largest.max(1));
    }
    states
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_states_of_a_regex_multiply_with_nested_repetitions() {
        assert!(regex_states(r"^\+?\d{3}-\d{4}$") < MAX_REGEX_STATES);
        assert!(regex_states("((a{100}){100}){100}") > MAX_REGEX_STATES);
        assert!(regex_states("a{99999999999999999999}") < MAX_REGEX_STATES, "the engine itself refuses such a count");
    }

    #[test]
    fn the_prelude_parses() {
        assert_eq!(load::parse(include_str!("prelude.jq"), |parser| parser.defs()).map(|defs| defs.len()), Some(4));
    }

    #[test]
    fn every_chosen_function_exists_in_jaq() {
        let definitions: Vec<_> =
            jaq_core::defs().chain(jaq_std::defs()).chain(jaq_json::defs()).map(|d| d.name).collect();
        for name in DEFINITIONS.iter().filter(|name| **name != "!empty") {
            assert!(definitions.contains(name), "{name}");
        }
        let natives: Vec<_> =
            jaq_core::funs::<Language>().chain(jaq_std::funs::<Language>()).map(|fun| fun.0).collect();
        for name in NATIVES.iter().chain(PAID.iter().map(|(name, _)| name)) {
            assert!(natives.contains(name), "{name}");
        }
    }
}
