//! What a mapping makes of a webhook, as `map` and the dry run of `webhooks replay` show it.

use serde::Serialize;
use serde_json::{Map, Value};

use super::output;
use crate::{
    clock::Timestamp,
    contacts::{ContactUpdate, fields_to_json},
    mapping::{Element, Mapped, Outcome, PersonRequest},
    store::{NewOutcome, NewRow, Replay},
};

/// What would be stored of a webhook.
#[derive(Debug, Serialize)]
pub(super) struct Preview {
    /// `mapped`, `ignored` or `unmappable`.
    pub(super) outcome: &'static str,
    /// Why it is not mapped.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// The sender's id of the event, and the kind of event, where they are known here.
    #[serde(skip_serializing_if = "Option::is_none")]
    event: Option<Event>,
    /// What a person asks for, and who it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    person_request: Option<Value>,
    updates: Vec<Update>,
    /// Elements that give no update.
    left_out: Vec<LeftOut>,
}

#[derive(Debug, Serialize)]
struct Event {
    id: Option<String>,
    topic: Option<String>,
    dropped: Value,
}

/// One row of the outbox to be.
#[derive(Debug, Serialize)]
struct Update {
    element: u32,
    key: String,
    occurred_at: Option<Timestamp>,
    changes: Map<String, Value>,
    /// Of the fields that are not written always.
    policies: Value,
    /// Values that cannot be used: field and reason.
    dropped: Value,
}

#[derive(Debug, Serialize)]
struct LeftOut {
    element: u32,
    reason: String,
    dropped: Value,
}

impl Preview {
    /// Of a webhook that was just mapped.
    pub(super) fn of_mapped(mapped: Mapped) -> Self {
        let event =
            Some(Event { id: mapped.event_id, topic: mapped.topic, dropped: serde_json::json!(mapped.dropped) });
        let elements = match mapped.result {
            Outcome::Ignored { reason } => return Self { event, ..Self::without("ignored", reason) },
            Outcome::Unmappable { reason } => return Self { event, ..Self::without("unmappable", reason) },
            Outcome::PersonRequest(request) => return Self { event, ..Self::of_person(&request) },
            Outcome::Mapped(elements) => elements,
        };
        let mut preview = Self {
            outcome: "mapped",
            reason: None,
            event,
            person_request: None,
            updates: Vec::new(),
            left_out: Vec::new(),
        };
        for element in elements {
            preview.add(element);
        }
        // As it would be stored: a webhook that names nobody at all could not be mapped.
        if let ([], [first, ..]) = (preview.updates.as_slice(), preview.left_out.as_slice()) {
            preview.outcome = "unmappable";
            preview.reason = Some(first.reason.clone());
        }
        preview
    }

    /// Of a stored webhook that was mapped again.
    pub(super) fn of_replay(replay: Replay) -> Self {
        let rows = match replay.outcome {
            NewOutcome::Ignored(reason) => return Self::without("ignored", reason),
            NewOutcome::Unmappable(reason) => return Self::without("unmappable", reason),
            NewOutcome::PersonRequest(new) => return Self::of_person(&new.request),
            NewOutcome::Mapped { rows, .. } => rows,
        };
        let updates = rows.into_iter().map(Update::of_row).collect();
        Self { outcome: "mapped", reason: None, event: None, person_request: None, updates, left_out: Vec::new() }
    }

    fn of_person(request: &PersonRequest) -> Self {
        let person_request = Some(serde_json::json!(request));
        Self { person_request, ..Self::without("ignored", request.reason().to_owned()) }
    }

    fn without(outcome: &'static str, reason: String) -> Self {
        Self {
            outcome,
            reason: Some(reason),
            event: None,
            person_request: None,
            updates: Vec::new(),
            left_out: Vec::new(),
        }
    }

    fn add(&mut self, element: Element) {
        let dropped = serde_json::json!(element.dropped);
        match element.update {
            Ok(mapped) => {
                let policies = serde_json::json!(mapped.policies);
                self.updates.push(Update::new(element.index, &mapped.update, element.occurred_at, policies, dropped));
            }
            Err(reason) => self.left_out.push(LeftOut { element: element.index, reason, dropped }),
        }
    }

    /// The outcome in a few words.
    pub(super) fn summary(&self) -> String {
        match &self.reason {
            Some(reason) => format!("{}: {reason}", self.outcome),
            None => self.outcome.to_owned(),
        }
    }

    /// Shows it to a person.
    pub(super) fn print(&self) -> anyhow::Result<()> {
        let mut text = vec![self.summary()];
        if let Some(event) = &self.event {
            text.push(format!("event id    {}", output::or_nothing(event.id.as_ref())));
            text.push(format!("topic       {}", output::or_nothing(event.topic.as_ref())));
            text.extend(dropped_lines(&event.dropped));
        }
        for (name, value) in self.person_request.iter().filter_map(Value::as_object).flatten() {
            text.push(format!("  {name} = {value}"));
        }
        for update in &self.updates {
            text.push(format!("\nupdate {} of {}", update.element, update.key));
            if let Some(occurred_at) = update.occurred_at {
                text.push(format!("  occurred    {occurred_at}"));
            }
            text.extend(update.change_lines());
            text.extend(dropped_lines(&update.dropped));
        }
        for left_out in &self.left_out {
            text.push(format!("\nelement {} gives no update: {}", left_out.element, left_out.reason));
            text.extend(dropped_lines(&left_out.dropped));
        }
        output::print(&output::printable_lines(&text.join("\n")))
    }
}

impl Update {
    fn new(
        element: u32,
        update: &ContactUpdate,
        occurred_at: Option<Timestamp>,
        policies: Value,
        dropped: Value,
    ) -> Self {
        let (key, changes) = (update.key().to_string(), fields_to_json(update.fields()));
        Self { element, key, occurred_at, changes, policies, dropped }
    }

    fn of_row(row: NewRow) -> Self {
        let dropped =
            row.dropped.and_then(|dropped| serde_json::from_str(&dropped).ok()).unwrap_or(Value::Array(vec![]));
        Self::new(row.element, &row.update, row.occurred_at, serde_json::json!(row.policies), dropped)
    }

    fn change_lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for (field, value) in &self.changes {
            match value {
                Value::Object(attributes) => {
                    let name = |key: &String| format!("{field}.{key}");
                    lines.extend(attributes.iter().map(|(key, value)| self.change_line(&name(key), value)));
                }
                value => lines.push(self.change_line(field, value)),
            }
        }
        lines
    }

    fn change_line(&self, field: &str, value: &Value) -> String {
        let policy = self.policies.get(field).and_then(Value::as_str).map(|policy| format!("   ({policy})"));
        format!("  {field} = {value}{}", policy.unwrap_or_default())
    }
}

fn dropped_lines(dropped: &Value) -> Vec<String> {
    let text = |value: &Value, key: &str| value.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let dropped = dropped.as_array().map(Vec::as_slice).unwrap_or_default();
    dropped.iter().map(|value| format!("  dropped {}: {}", text(value, "field"), text(value, "reason"))).collect()
}
