//! What answers look like: status, content type, and the shapes of bodies.

use serde_json::{Map, Value, json};

use super::{
    contacts::{ContactInbox, ContactRecord},
    failure::Failure,
    options::{Inbox, Options, Role},
    webhooks::WebhookRecord,
};
use crate::clock::Timestamp;

/// Rails' name for JSON bodies.
pub(super) const JSON: &str = "application/json; charset=utf-8";
/// Pages of the server and of the proxy in front of it.
pub(super) const HTML: &str = "text/html; charset=utf-8";
/// The rate limiter's answer.
const RETRY_LATER: &str = "Retry later\n";

/// One answer, ready for the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Answer {
    /// The status.
    pub(super) status: u16,
    /// The header `Content-Type`; none when empty.
    pub(super) content_type: String,
    /// Further headers.
    pub(super) headers: Vec<(&'static str, String)>,
    /// The body.
    pub(super) body: String,
}

impl Answer {
    /// A body of any type.
    pub(super) fn new(status: u16, content_type: impl Into<String>, body: impl Into<String>) -> Self {
        Self { status, content_type: content_type.into(), headers: Vec::new(), body: body.into() }
    }

    /// A JSON body.
    pub(super) fn json(status: u16, body: &Value) -> Self {
        Self::new(status, JSON, body.to_string())
    }

    /// 200 with a JSON body.
    pub(super) fn ok(body: &Value) -> Self {
        Self::json(200, body)
    }

    /// 200 without a body.
    pub(super) fn empty() -> Self {
        Self::new(200, "", "")
    }

    /// What a proxy says in the server's place.
    pub(super) fn proxy_page(status: u16, reason: &str) -> Self {
        let body = format!(
            "<html>\r\n<head><title>{status} {reason}</title></head>\r\n<body>\r\n<center><h1>{status} {reason}</h1></center>\r\n<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n"
        );
        Self::new(status, "text/html", body)
    }

    /// The server's page for a path it does not have.
    pub(super) fn not_found_page() -> Self {
        let body = "<!DOCTYPE html>\n<html>\n<head><title>The page you were looking for doesn't exist (404)</title></head>\n<body><h1>The page you were looking for doesn't exist.</h1></body>\n</html>\n";
        Self::new(404, HTML, body)
    }

    /// The dashboard's page: what a wrong address often gives, with 200.
    pub(super) fn login_page() -> Self {
        let body = "<!DOCTYPE html>\n<html>\n<head><title>Chatwoot</title></head>\n<body><div id=\"app\"></div></body>\n</html>\n";
        Self::new(200, HTML, body)
    }

    /// A refusal. `as_json` is whether the client asked for JSON.
    pub(super) fn refusal(failure: &Failure, as_json: bool) -> Self {
        let error = |status: u16, text: &str| Self::json(status, &json!({ "error": text }));
        match failure {
            Failure::BadRequest if as_json => Self::json(400, &json!({"status": 400, "error": "Bad Request"})),
            Failure::BadRequest => Self::new(400, HTML, ""),
            Failure::NoToken => {
                Self::json(401, &json!({"errors": ["You need to sign in or sign up before continuing."]}))
            }
            Failure::Unauthorized(text) => error(401, text),
            Failure::NotFound => error(404, "Resource could not be found"),
            Failure::NotRouted if as_json => Self::json(404, &json!({"status": 404, "error": "Not Found"})),
            Failure::NotRouted => Self::not_found_page(),
            Failure::TooLarge => Self::proxy_page(413, "Request Entity Too Large"),
            Failure::Invalid(invalid) => {
                Self::json(422, &json!({"message": invalid.message(), "attributes": invalid.attributes()}))
            }
            Failure::Busy(text) => Self::json(422, &json!({ "message": text })),
            Failure::Refused(text) => error(422, text),
            Failure::Throttled => Self::new(429, "text/plain", RETRY_LATER),
            Failure::Internal => Self::json(500, &json!({"status": 500, "error": "Internal Server Error"})),
        }
    }
}

/// A contact as every answer shows it; without labels, and with its inboxes only if asked.
pub(super) fn contact(record: &ContactRecord, options: &Options, with_inboxes: bool) -> Value {
    let mut body = json!({
        "id": record.id,
        "name": record.name,
        "email": record.email,
        "phone_number": record.phone_number,
        "identifier": record.identifier,
        "availability_status": if record.online { "online" } else { "offline" },
        "thumbnail": "",
        "custom_attributes": record.custom_attributes,
        "additional_attributes": record.additional_attributes,
        "created_at": record.created_at.as_secs(),
    });
    if options.since(4, 0, 2) {
        body["blocked"] = Value::from(record.blocked);
    }
    if let Some(at) = record.last_activity_at {
        body["last_activity_at"] = Value::from(at.as_secs());
    }
    if with_inboxes {
        body["contact_inboxes"] =
            record.contact_inboxes.iter().filter_map(|link| contact_inbox(link, options)).collect();
    }
    body
}

fn contact_inbox(link: &ContactInbox, options: &Options) -> Option<Value> {
    let inbox = options.inbox(link.inbox_id)?;
    Some(json!({"source_id": link.source_id, "inbox": slim_inbox(inbox)}))
}

fn slim_inbox(inbox: &Inbox) -> Value {
    json!({
        "id": inbox.id,
        "avatar_url": "",
        "channel_id": inbox.id,
        "name": inbox.name,
        "channel_type": inbox.channel_type,
        "provider": null,
    })
}

/// The answer to a create: here alone the inbox is the full record.
pub(super) fn created(record: &ContactRecord, link: Option<&ContactInbox>, options: &Options) -> Value {
    let inbox = link.and_then(|link| options.inbox(link.inbox_id)).map(|inbox| {
        let mut full = slim_inbox(inbox);
        full["account_id"] = Value::from(options.account_id);
        full["greeting_enabled"] = Value::from(false);
        full["working_hours_enabled"] = Value::from(false);
        full
    });
    let contact_inbox = json!({"inbox": inbox, "source_id": link.map(|link| &link.source_id)});
    json!({"payload": {"contact": contact(record, options, true), "contact_inbox": contact_inbox}})
}

/// The answer to an update as the vendor's page documents it, which no known server gives.
pub(super) fn vendor_updated(record: &ContactRecord, options: &Options) -> Value {
    created(record, record.contact_inboxes.first(), options)
}

/// The user of the token, the token itself included: as the real server answers.
pub(super) fn profile(options: &Options) -> Value {
    let role = role(options.role);
    json!({
        "id": 1,
        "name": "Sandbox",
        "email": "sandbox@example.com",
        "type": null,
        "confirmed": true,
        "account_id": options.account_id,
        "role": role,
        "access_token": options.token,
        "pubsub_token": "sandbox-pubsub-token",
        "accounts": [{"id": options.account_id, "name": "Sandbox", "status": "active", "role": role, "permissions": [role]}],
    })
}

/// The account.
pub(super) fn account(options: &Options) -> Value {
    let mut features = Map::new();
    if options.crm_v2 {
        features.insert("crm_v2".to_owned(), Value::from(true));
    }
    json!({
        "id": options.account_id,
        "name": "Sandbox",
        "locale": "en",
        "status": "active",
        "domain": null,
        "features": features,
        "settings": {},
        "latest_chatwoot_version": options.version,
    })
}

/// The version, for `GET /api`.
pub(super) fn version(options: &Options, now: Timestamp) -> Value {
    json!({
        "version": options.version,
        "timestamp": now.to_string(),
        "queue_services": "ok",
        "data_services": "ok",
    })
}

/// A webhook; servers before 4.11.2 sign nothing and have no secrets.
pub(super) fn webhook(webhook: &WebhookRecord, options: &Options) -> Value {
    let mut body = json!({
        "id": webhook.id,
        "name": webhook.name,
        "url": webhook.url,
        "account_id": options.account_id,
        "subscriptions": webhook.subscriptions,
    });
    if options.since(4, 11, 2) {
        body["secret"] = Value::from(webhook.secret.as_str());
    }
    body
}

fn role(role: Role) -> &'static str {
    match role {
        Role::Administrator => "administrator",
        Role::Agent => "agent",
    }
}
