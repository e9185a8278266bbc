//! The control interface under `/sandbox`, for people and programs outside this process. JSON; described in the module's
//! documentation and on the page itself. It has no token: a sandbox listens on its own machine and holds made-up people.

use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::{answers::Answer, call::Call, contacts::NewContact, faults::Fault, shared::Shared};

/// What `GET /sandbox` says.
const PAGE: &str = "\
contact-relay sandbox: a stand-in for Chatwoot's contacts API, in memory.

The API is under /api/v1/accounts/{account_id}, with the header api_access_token.

GET    /sandbox/contacts   all contacts, with what no answer of the API shows
POST   /sandbox/contacts   a contact, or an array of them, kept as it is: no rule is applied
GET    /sandbox/calls      the calls received, oldest first
DELETE /sandbox/calls      forget them, and the overlaps
GET    /sandbox/overlaps   writing calls that concerned one contact at the same time
GET    /sandbox/faults     the faults that are switched on
PUT    /sandbox/faults     replace them: [{\"match\": {\"method\": \"PATCH\"}, \"kind\": {\"status\": {\"code\": 503}}, \"times\": 3}]
DELETE /sandbox/faults     switch them off
POST   /sandbox/reset      forget everything

Kinds of faults: {\"latency\": {\"ms\": 500}}, {\"status\": {\"code\": 429}}, \"hang\", \"hang_after\", \"drop\", \"drop_after\",
\"truncate\", {\"slow_body\": {\"ms\": 500}}, \"revoked_token\", \"header_lost\", \"account_suspended\", \"not_a_member\", \"html_404\",
\"login_page\", {\"ignore_fields\": {\"fields\": [\"name\"]}}, \"vendor_shape\".
";

/// Answers a call to `/sandbox`.
pub(super) fn answer(shared: &Shared, call: &Call) -> Answer {
    let segments = call.segments();
    match (call.method.as_str(), segments.get(1..).unwrap_or_default()) {
        ("GET", []) => Answer::new(200, "text/plain; charset=utf-8", PAGE),
        ("GET", ["contacts"]) => Answer::ok(&json!(shared.contacts())),
        ("POST", ["contacts"]) => seed(shared, call),
        ("GET", ["calls"]) => Answer::ok(&json!(shared.lock().calls.all().collect::<Vec<_>>())),
        ("DELETE", ["calls"]) => {
            shared.lock().calls.clear();
            done()
        }
        ("GET", ["overlaps"]) => Answer::ok(&json!(shared.lock().calls.overlaps())),
        ("GET", ["faults"]) => Answer::ok(&json!(shared.lock().faults.all())),
        ("PUT", ["faults"]) => match read::<Vec<Fault>>(call) {
            Ok(faults) => {
                shared.set_faults(faults);
                done()
            }
            Err(answer) => answer,
        },
        ("DELETE", ["faults"]) => {
            shared.set_faults(Vec::new());
            done()
        }
        ("POST", ["reset"]) => {
            shared.reset();
            done()
        }
        _ => Answer::json(404, &json!({"error": "no such control; see GET /sandbox"})),
    }
}

fn seed(shared: &Shared, call: &Call) -> Answer {
    let contacts = match read::<Value>(call) {
        Ok(Value::Array(contacts)) => contacts,
        Ok(contact) => vec![contact],
        Err(answer) => return answer,
    };
    // All are read before the first is kept: a mistake in one leaves nothing behind.
    let contacts: Result<Vec<NewContact>, _> = contacts.into_iter().map(serde_json::from_value).collect();
    match contacts {
        Ok(contacts) => {
            let ids: Vec<i64> = contacts.into_iter().map(|contact| shared.seed(contact)).collect();
            Answer::json(201, &json!({ "ids": ids }))
        }
        Err(error) => unreadable(&error),
    }
}

fn read<T: DeserializeOwned>(call: &Call) -> Result<T, Answer> {
    serde_json::from_slice(&call.body).map_err(|error| unreadable(&error))
}

fn unreadable(error: &serde_json::Error) -> Answer {
    Answer::json(400, &json!({"error": error.to_string()}))
}

fn done() -> Answer {
    Answer::new(204, "", "")
}
