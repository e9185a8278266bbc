//! The account's outgoing webhooks: made, listed, changed, deleted. The sandbox sends none.

use std::fmt;

use serde_json::{Map, Value};

use super::failure::{Failure, Invalid};

/// Webhooks kept at most; a create beyond it is answered 500. Keeps memory bounded.
const MAX_WEBHOOKS: usize = 1_000;

/// Events a webhook may subscribe to.
const EVENTS: [&str; 12] = [
    "conversation_status_changed",
    "conversation_updated",
    "conversation_created",
    "contact_created",
    "contact_updated",
    "message_created",
    "message_updated",
    "webwidget_triggered",
    "inbox_created",
    "inbox_updated",
    "conversation_typing_on",
    "conversation_typing_off",
];

/// What a webhook subscribes to when the body says nothing.
const DEFAULT_EVENTS: [&str; 8] = [
    "conversation_status_changed",
    "conversation_updated",
    "conversation_created",
    "contact_created",
    "contact_updated",
    "message_created",
    "message_updated",
    "webwidget_triggered",
];

/// An outgoing webhook of the account.
#[derive(Clone, PartialEq, Eq)]
pub struct WebhookRecord {
    /// Its id.
    pub id: i64,
    /// Its name, if it has one.
    pub name: Option<String>,
    /// Where it is sent.
    pub url: String,
    /// The events it is sent for.
    pub subscriptions: Vec<String>,
    /// The key it would be signed with.
    pub secret: String,
}

/// Without the secret.
impl fmt::Debug for WebhookRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebhookRecord")
            .field("id", &self.id)
            .field("url", &self.url)
            .field("subscriptions", &self.subscriptions)
            .finish_non_exhaustive()
    }
}

/// All webhooks of the account.
#[derive(Debug, Default)]
pub(super) struct Webhooks {
    all: Vec<WebhookRecord>,
    last_id: i64,
}

impl Webhooks {
    /// All of them, oldest first.
    pub(super) fn all(&self) -> &[WebhookRecord] {
        &self.all
    }

    /// Makes one from a body, flat or under `webhook`, with the secret it shall have.
    pub(super) fn create(&mut self, params: &Map<String, Value>, secret: String) -> Result<WebhookRecord, Failure> {
        if self.all.len() >= MAX_WEBHOOKS {
            return Err(Failure::Internal);
        }
        let id = self.last_id + 1;
        let blank = WebhookRecord { id, name: None, url: String::new(), subscriptions: defaults(), secret };
        let webhook = self.checked(blank, params)?;
        self.last_id = id;
        self.all.push(webhook.clone());
        Ok(webhook)
    }

    /// Changes one.
    pub(super) fn update(&mut self, id: i64, params: &Map<String, Value>) -> Result<WebhookRecord, Failure> {
        let at = self.all.iter().position(|webhook| webhook.id == id).ok_or(Failure::NotFound)?;
        let webhook = self.checked(self.all[at].clone(), params)?;
        self.all[at] = webhook.clone();
        Ok(webhook)
    }

    /// Deletes one.
    pub(super) fn delete(&mut self, id: i64) -> Result<(), Failure> {
        let before = self.all.len();
        self.all.retain(|webhook| webhook.id != id);
        if self.all.len() == before { Err(Failure::NotFound) } else { Ok(()) }
    }

    fn checked(&self, mut webhook: WebhookRecord, params: &Map<String, Value>) -> Result<WebhookRecord, Failure> {
        let params = params.get("webhook").and_then(Value::as_object).unwrap_or(params);
        if let Some(url) = params.get("url").and_then(Value::as_str) {
            url.clone_into(&mut webhook.url);
        }
        if let Some(name) = params.get("name").and_then(Value::as_str) {
            webhook.name = Some(name.to_owned());
        }
        if let Some(events) = params.get("subscriptions").and_then(Value::as_array) {
            webhook.subscriptions = events.iter().map(|event| event.as_str().unwrap_or_default().to_owned()).collect();
        }
        let mut invalid = Invalid::default();
        if self.all.iter().any(|other| other.id != webhook.id && other.url == webhook.url) {
            invalid.add("url", "Url has already been taken");
        }
        if !webhook.url.starts_with("http://") && !webhook.url.starts_with("https://") {
            invalid.add("url", "Url is invalid");
        }
        let known = webhook.subscriptions.iter().all(|event| EVENTS.contains(&event.as_str()));
        if webhook.subscriptions.is_empty() || !known {
            invalid.add("subscriptions", "Subscriptions Invalid events");
        }
        invalid.into_result()?;
        Ok(webhook)
    }
}

fn defaults() -> Vec<String> {
    DEFAULT_EVENTS.map(str::to_owned).to_vec()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn create(webhooks: &mut Webhooks, body: &Value) -> Result<WebhookRecord, Failure> {
        webhooks.create(body.as_object().unwrap(), "secret".to_owned())
    }

    #[test]
    fn a_webhook_is_made_from_a_flat_or_a_nested_body() {
        let mut webhooks = Webhooks::default();
        assert_eq!(create(&mut webhooks, &json!({"url": "https://a.example"})).unwrap().subscriptions, defaults());
        let nested = json!({"webhook": {"url": "https://b.example", "subscriptions": ["contact_updated"]}});
        assert_eq!(create(&mut webhooks, &nested).unwrap().subscriptions, ["contact_updated"]);
        assert_eq!(webhooks.all().len(), 2);
    }

    #[test]
    fn a_taken_url_and_unknown_events_are_refused() {
        let mut webhooks = Webhooks::default();
        create(&mut webhooks, &json!({"url": "https://a.example"})).unwrap();
        assert!(matches!(create(&mut webhooks, &json!({"url": "https://a.example"})), Err(Failure::Invalid(_))));
        for events in [json!([]), json!(["contact_deleted"])] {
            match create(&mut webhooks, &json!({"url": "https://b.example", "subscriptions": events})) {
                Err(Failure::Invalid(invalid)) => assert_eq!(invalid.message(), "Subscriptions Invalid events"),
                other => panic!("expected a failed validation, not {other:?}"),
            }
        }
    }

    #[test]
    fn debug_output_has_no_secret() {
        let webhook = create(&mut Webhooks::default(), &json!({"url": "https://a.example"})).unwrap();
        assert!(!format!("{webhook:?}").contains("\"secret\""));
    }
}
