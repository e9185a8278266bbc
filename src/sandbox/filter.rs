//! The filter's conditions: which keys and operators the server allows, what each compares, how AND and OR join.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::{
    contacts::{ContactRecord, Contacts},
    failure::Failure,
    find::{self, Shown},
    typing::{self, Cast},
};
use crate::clock::Timestamp;

/// The attributes every account has, with their operators (`lib/filters/filter_keys.yml`).
const STANDARD: [(&str, &[&str]); 11] = [
    ("name", TEXT),
    ("phone_number", &["equal_to", "not_equal_to", "contains", "does_not_contain", "starts_with"]),
    ("email", TEXT),
    ("identifier", &["equal_to", "not_equal_to"]),
    ("country_code", &["equal_to", "not_equal_to"]),
    ("city", TEXT),
    ("company_name", TEXT),
    ("labels", &["equal_to", "not_equal_to", "is_present", "is_not_present"]),
    ("created_at", MOMENT),
    ("last_activity_at", MOMENT),
    ("blocked", &["equal_to", "not_equal_to"]),
];
const TEXT: &[&str] = &["equal_to", "not_equal_to", "contains", "does_not_contain"];
const MOMENT: &[&str] = &["is_greater_than", "is_less_than", "days_before"];
const CUSTOM: &[&str] = &["equal_to", "not_equal_to", "contains", "does_not_contain", "is_present", "is_not_present"];

/// A filter that the server accepts.
#[derive(Debug)]
pub(super) struct Filter {
    /// Any of these groups, within which all hold: AND binds tighter, as in SQL.
    groups: Vec<Vec<Condition>>,
}

#[derive(Debug)]
struct Condition {
    key: String,
    operator: Operator,
    /// The first value, folded for the comparison.
    value: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operator {
    Equal,
    NotEqual,
    Contains,
    DoesNotContain,
    Present,
    NotPresent,
    GreaterThan,
    LessThan,
    DaysBefore,
}

impl Filter {
    /// Reads a body. `defined` are the keys of the account's custom attributes.
    ///
    /// # Errors
    /// [`Failure::Refused`] as documented by the server; [`Failure::Internal`] where it makes broken SQL.
    pub(super) fn read(params: &Map<String, Value>, defined: &[String]) -> Result<Self, Failure> {
        let Some(Value::Array(elements)) = params.get("payload") else { return Err(Failure::Internal) };
        if elements.iter().any(typing::has_nul) {
            return Err(Failure::Internal);
        }
        let mut groups = vec![Vec::new()];
        for (index, element) in elements.iter().enumerate() {
            let element = element.as_object().ok_or(Failure::Internal)?;
            let condition = Condition::read(element, defined)?;
            let join = Join::read(element)?;
            if (join == Join::Last) != (index + 1 == elements.len()) {
                return Err(Failure::Internal);
            }
            if let Some(group) = groups.last_mut() {
                group.push(condition);
            }
            if join == Join::Or {
                groups.push(Vec::new());
            }
        }
        Ok(Self { groups })
    }

    /// The contacts that match, in the order of the disk.
    pub(super) fn matches(&self, contacts: &Contacts, shown: Shown, now: Timestamp) -> Vec<i64> {
        let holds = |record: &ContactRecord| {
            shown.shows(record)
                && self.groups.iter().any(|group| group.iter().all(|condition| condition.holds(record, now)))
        };
        match self.candidates(contacts) {
            Some(ids) => {
                let ids = ids.into_iter().filter(|id| contacts.get(*id).is_some_and(holds));
                contacts.order_by_place(ids)
            }
            None => contacts.in_heap_order().filter(|record| holds(record)).map(|record| record.id).collect(),
        }
    }

    /// Looks the contacts up by index where each group has an equality on an indexed key; else all must be read.
    fn candidates(&self, contacts: &Contacts) -> Option<BTreeSet<i64>> {
        let mut ids = BTreeSet::new();
        for group in &self.groups {
            let indexed = group.iter().find(|condition| {
                condition.operator == Operator::Equal
                    && matches!(condition.key.as_str(), "identifier" | "email" | "phone_number")
            })?;
            match indexed.key.as_str() {
                "identifier" => ids.extend(contacts.with_folded_identifier(&indexed.value)),
                "email" => ids.extend(contacts.with_email(&indexed.value)),
                _ => ids.extend(contacts.with_phone(&indexed.value)),
            }
        }
        Some(ids)
    }
}

#[derive(PartialEq, Eq)]
enum Join {
    And,
    Or,
    Last,
}

impl Join {
    fn read(element: &Map<String, Value>) -> Result<Self, Failure> {
        match element.get("query_operator") {
            None | Some(Value::Null) => Ok(Self::Last),
            Some(Value::String(text)) if text.is_empty() => Ok(Self::Last),
            Some(Value::String(text)) if text.eq_ignore_ascii_case("and") => Ok(Self::And),
            Some(Value::String(text)) if text.eq_ignore_ascii_case("or") => Ok(Self::Or),
            Some(_) => Err(Failure::Refused("Query operator must be either \"AND\" or \"OR\".".to_owned())),
        }
    }
}

impl Condition {
    fn read(element: &Map<String, Value>, defined: &[String]) -> Result<Self, Failure> {
        let text = |key: &str| element.get(key).and_then(Value::as_str).unwrap_or_default();
        let (key, operator) = (text("attribute_key"), text("filter_operator"));
        let standard = STANDARD.iter().find(|(name, _)| *name == key).map(|(_, operators)| *operators);
        let custom = defined.iter().any(|name| name == key).then_some(CUSTOM);
        let Some(allowed) = standard.or(custom) else {
            let known = STANDARD.map(|(name, _)| name).join(",");
            return Err(Failure::Refused(format!(
                "Invalid attribute key - [{key}]. The key should be one of [{known}] or a custom attribute defined in the account."
            )));
        };
        let operator = Operator::read(operator).filter(|_| allowed.contains(&operator)).ok_or_else(|| {
            let allowed = allowed.join(",");
            Failure::Refused(format!("Invalid operator. The allowed operators for {key} are [{allowed}]."))
        })?;
        let value = match (first_value(element.get("values")), operator) {
            (Some(value), _) => folded(key, operator, value),
            (None, Operator::Present | Operator::NotPresent) => String::new(),
            (None, _) => {
                let message = format!("Invalid value. The values provided for {key} are invalid");
                return Err(Failure::Refused(message));
            }
        };
        Ok(Self { key: key.to_owned(), operator, value })
    }

    fn holds(&self, record: &ContactRecord, now: Timestamp) -> bool {
        let text = match self.key.as_str() {
            "name" => record.name.clone(),
            "email" => record.email.clone(),
            "identifier" => record.identifier.clone(),
            "phone_number" => record.phone_number.clone(),
            "country_code" | "city" | "company_name" => as_text(record.additional_attributes.get(&self.key)),
            "blocked" => Some(record.blocked.to_string()),
            "labels" => return self.holds_for_labels(&record.labels),
            "created_at" => return self.holds_at(Some(record.created_at), now),
            "last_activity_at" => return self.holds_at(record.last_activity_at, now),
            custom => as_text(record.custom_attributes.get(custom)),
        };
        let text = if self.key == "phone_number" { text } else { text.map(|text| text.to_lowercase()) };
        match (self.operator, text) {
            (Operator::NotPresent, text) => text.is_none(),
            (Operator::Equal, Some(text)) => text == self.value,
            (Operator::NotEqual, Some(text)) => text != self.value,
            (Operator::Contains, Some(text)) => find::like(&text, &format!("%{}%", self.value)),
            (Operator::DoesNotContain, Some(text)) => !find::like(&text, &format!("%{}%", self.value)),
            (Operator::Present, Some(_)) => true,
            // In SQL a comparison with NULL is never true, not even an unequal one.
            (Operator::GreaterThan | Operator::LessThan | Operator::DaysBefore, Some(_)) | (_, None) => false,
        }
    }

    fn holds_for_labels(&self, labels: &[String]) -> bool {
        let has = labels.iter().any(|label| label.to_lowercase() == self.value);
        match self.operator {
            Operator::Equal => has,
            Operator::NotEqual => !has,
            Operator::Present => !labels.is_empty(),
            Operator::NotPresent => labels.is_empty(),
            _ => false,
        }
    }

    /// Compares with a date, `2026-06-17`, or with a number of days before now.
    fn holds_at(&self, moment: Option<Timestamp>, now: Timestamp) -> bool {
        const DAY_SECS: i64 = 86_400;
        let Some(moment) = moment else { return false };
        let day = Timestamp::parse_rfc3339(&format!("{}T00:00:00Z", self.value));
        match self.operator {
            Operator::GreaterThan => day.is_some_and(|day| moment > day),
            Operator::LessThan => day.is_some_and(|day| moment < day),
            Operator::DaysBefore => typing::leading_integer(&self.value)
                .is_some_and(|days| moment.as_secs() < now.as_secs().saturating_sub(days.saturating_mul(DAY_SECS))),
            _ => false,
        }
    }
}

impl Operator {
    fn read(text: &str) -> Option<Self> {
        Some(match text {
            // `starts_with` is accepted for phone numbers, but behaves like `equal_to`.
            "equal_to" | "starts_with" => Self::Equal,
            "not_equal_to" => Self::NotEqual,
            "contains" => Self::Contains,
            "does_not_contain" => Self::DoesNotContain,
            "is_present" => Self::Present,
            "is_not_present" => Self::NotPresent,
            "is_greater_than" => Self::GreaterThan,
            "is_less_than" => Self::LessThan,
            "days_before" => Self::DaysBefore,
            _ => return None,
        })
    }
}

/// Only the first value counts; of a plain text the first character. `None` for blank values.
fn first_value(values: Option<&Value>) -> Option<String> {
    match values? {
        Value::Array(values) => values.first().map(|value| as_text(Some(value)).unwrap_or_default()),
        Value::String(text) if !typing::is_blank(text) => text.chars().next().map(String::from),
        _ => None,
    }
}

fn folded(key: &str, operator: Operator, value: String) -> String {
    match key {
        "phone_number" if matches!(operator, Operator::Equal | Operator::NotEqual) && !value.starts_with('+') => {
            format!("+{value}")
        }
        "phone_number" => value,
        _ => value.to_lowercase(),
    }
}

fn as_text(value: Option<&Value>) -> Option<String> {
    match value {
        Some(Value::Bool(flag)) => Some(flag.to_string()),
        other => match typing::text(other) {
            Cast::To(text) => Some(text),
            Cast::Null | Cast::Dropped => None,
        },
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn contacts() -> Contacts {
        let mut contacts = Contacts::default();
        for (id, identifier, email, phone) in [
            (1, Some("ABC"), Some("a@b.co"), Some("+15551")),
            (2, Some("abc"), None, Some("+15552")),
            (3, None, Some("c@b.co"), None),
            (4, None, None, None),
        ] {
            let mut record = ContactRecord::new(id, Timestamp::from_secs(1_750_000_000));
            record.identifier = identifier.map(str::to_owned);
            record.email = email.map(str::to_owned);
            record.phone_number = phone.map(str::to_owned);
            record.custom_attributes.insert("plan".to_owned(), json!(format!("Gold-{id}")));
            contacts.put(record);
        }
        contacts
    }

    fn condition(key: &str, operator: &str, values: &Value, join: &Value) -> Value {
        json!({"attribute_key": key, "filter_operator": operator, "values": values, "query_operator": join})
    }

    fn run(elements: &[Value]) -> Result<Vec<i64>, Failure> {
        let body = json!({"payload": elements});
        let filter = Filter::read(body.as_object().unwrap(), &["plan".to_owned()])?;
        Ok(filter.matches(&contacts(), Shown::Resolved, Timestamp::from_secs(1_750_000_000)))
    }

    fn one(key: &str, operator: &str, values: &Value) -> Result<Vec<i64>, Failure> {
        run(&[condition(key, operator, values, &Value::Null)])
    }

    fn message(result: Result<Vec<i64>, Failure>) -> String {
        match result {
            Err(Failure::Refused(message)) => message,
            other => panic!("expected a refusal, not {other:?}"),
        }
    }

    #[test]
    fn identifiers_compare_in_any_case_so_one_value_may_match_two_contacts() {
        assert_eq!(one("identifier", "equal_to", &json!(["aBc"])).unwrap(), [1, 2]);
        assert_eq!(one("email", "equal_to", &json!(["A@B.CO"])).unwrap(), [1]);
    }

    #[test]
    fn a_phone_gets_a_plus_in_front_and_starts_with_is_equality() {
        assert_eq!(one("phone_number", "equal_to", &json!(["15551"])).unwrap(), [1]);
        assert!(one("phone_number", "starts_with", &json!(["+1555"])).unwrap().is_empty());
    }

    #[test]
    fn only_the_first_value_counts_and_of_a_plain_text_its_first_character() {
        assert_eq!(one("email", "equal_to", &json!(["a@b.co", "c@b.co"])).unwrap(), [1]);
        assert_eq!(one("email", "contains", &json!("c-and-more")).unwrap(), [1, 3]);
    }

    #[test]
    fn chains_join_to_the_next_and_binds_tighter_than_or_in_any_case() {
        let chain = [
            condition("identifier", "equal_to", &json!(["abc"]), &json!("and")),
            condition("phone_number", "equal_to", &json!(["+15552"]), &json!("OR")),
            condition("email", "equal_to", &json!(["c@b.co"]), &Value::Null),
        ];
        assert_eq!(run(&chain).unwrap(), [2, 3]);
    }

    #[test]
    fn unequal_leaves_out_contacts_without_a_value() {
        assert_eq!(one("email", "not_equal_to", &json!(["a@b.co"])).unwrap(), [3]);
        assert_eq!(one("email", "does_not_contain", &json!(["a@"])).unwrap(), [3]);
    }

    #[test]
    fn an_empty_payload_gives_all_resolved_contacts() {
        assert_eq!(run(&[]).unwrap(), [1, 2, 3]);
    }

    #[test]
    fn defined_custom_attributes_can_be_filtered_by() {
        assert_eq!(one("plan", "equal_to", &json!(["gold-2"])).unwrap(), [2]);
    }

    #[test]
    fn bad_filters_are_refused_with_the_texts_of_the_server() {
        assert!(
            message(one("x", "equal_to", &json!(["a"])))
                .starts_with("Invalid attribute key - [x]. The key should be one of [")
        );
        let operators = "Invalid operator. The allowed operators for identifier are [equal_to,not_equal_to].";
        assert_eq!(message(one("identifier", "contains", &json!(["a"]))), operators);
        let values = "Invalid value. The values provided for identifier are invalid";
        for blank in [json!([]), json!(""), Value::Null] {
            assert_eq!(message(one("identifier", "equal_to", &blank)), values);
        }
        let join = condition("identifier", "equal_to", &json!(["a"]), &json!("XOR"));
        assert_eq!(message(run(&[join])), "Query operator must be either \"AND\" or \"OR\".");
    }

    #[test]
    fn a_missing_payload_or_a_dangling_operator_is_an_internal_error() {
        assert_eq!(Filter::read(&Map::new(), &[]).unwrap_err(), Failure::Internal);
        let dangling = condition("identifier", "equal_to", &json!(["a"]), &json!("AND"));
        assert_eq!(run(&[dangling]), Err(Failure::Internal));
    }
}
