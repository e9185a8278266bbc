//! Field policies: whose word counts, and whose value an update may write over.

use contact_relay::{sandbox::Match, store::RowState};
use serde_json::{Value, json};

use crate::harness::{Relay, SECRET};

/// A second source of the same shape as `crm`, whose names are written only where there is none.
fn form() -> String {
    format!(
        r#"
[sources.form]
secret = "{SECRET}"
policy.name = "if_empty"
[sources.form.verify]
scheme = "hmac"
algorithm = "sha256"
signature = {{ header = "X-Signature", encoding = "hex" }}
signed = "{{body}}"
[sources.form.event]
id = '.event'
topic = '.type'
occurred_at = '.at'
[sources.form.map]
identifier = '.id'
name = '.name'
custom_attributes.plan = '.plan'
"#
    )
}

async fn accept(relay: &Relay, source: &str, body: Value) {
    let answer = relay.send(source, body).await;
    assert_eq!(answer.status, 200, "{answer:?}");
}

fn reads(relay: &Relay) -> usize {
    relay.sandbox.calls().iter().filter(|call| call.method == "GET" && call.contact_id.is_some()).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn if_empty_reads_the_contact_under_the_lease_and_keeps_what_an_agent_wrote() {
    let relay = Relay::with("", &form()).await;
    let id = relay.linked("7").await;
    relay.sandbox.edit(id, |contact| contact.name = Some("By an agent".to_owned()));
    accept(&relay, "form", json!({ "event": "1", "id": 7, "name": "Ada", "plan": "pro" })).await;
    let gate = relay.sandbox.hold(Match::method("GET"));
    let delivering = relay.delivering();
    gate.arrived(1).await;
    assert_eq!(relay.states().await, [RowState::Leased]);
    gate.release();
    delivering.await.unwrap();
    let contact = relay.sandbox.contact(id).unwrap();
    assert_eq!((contact.name.as_deref(), &contact.custom_attributes["plan"]), (Some("By an agent"), &json!("pro")));
    assert_eq!(relay.outcomes(0).await, json!({ "name": "kept", "custom_attributes.plan": "delivered" }));
    assert_eq!(relay.bodies("PATCH"), [json!({ "custom_attributes": { "plan": "pro" } })]);
}

#[tokio::test(flavor = "multi_thread")]
async fn if_empty_fills_what_is_empty_and_where_nothing_is_to_be_written_no_call_writes() {
    let relay = Relay::with("", &form()).await;
    let id = relay.linked("7").await;
    accept(&relay, "form", json!({ "event": "1", "id": 7, "name": "Ada" })).await;
    relay.deliver().await;
    assert_eq!(relay.sandbox.contact(id).unwrap().name.as_deref(), Some("Ada"));
    accept(&relay, "form", json!({ "event": "2", "id": 7, "name": "Eve" })).await;
    relay.deliver().await;
    assert_eq!(relay.sandbox.contact(id).unwrap().name.as_deref(), Some("Ada"));
    assert_eq!((relay.calls("PATCH"), reads(&relay)), (1, 2));
    assert_eq!(relay.states().await, [RowState::Delivered, RowState::Unchanged]);
    assert_eq!(relay.outcomes(1).await, json!({ "name": "kept" }));
}

#[tokio::test(flavor = "multi_thread")]
async fn if_ours_writes_over_our_own_value_and_never_over_an_agents() {
    let relay = Relay::with(r#"policy.name = "if_ours""#, "").await;
    let id = relay.linked("7").await;
    for (event, name) in [("1", "First"), ("2", "Second")] {
        relay.crm(json!({ "event": event, "id": 7, "name": name })).await;
        relay.deliver().await;
        assert_eq!(relay.sandbox.contact(id).unwrap().name.as_deref(), Some(name));
    }
    relay.sandbox.edit(id, |contact| contact.name = Some("By an agent".to_owned()));
    relay.crm(json!({ "event": "3", "id": 7, "name": "Third" })).await;
    relay.deliver().await;
    assert_eq!(relay.sandbox.contact(id).unwrap().name.as_deref(), Some("By an agent"));
    assert_eq!(relay.outcomes(2).await, json!({ "name": "kept" }));
}

#[tokio::test(flavor = "multi_thread")]
async fn if_ours_keeps_a_value_that_stood_before_we_wrote_any() {
    let relay = Relay::with(r#"policy.name = "if_ours""#, "").await;
    let id = relay.linked("7").await;
    relay.sandbox.edit(id, |contact| contact.name = Some("By an agent".to_owned()));
    relay.crm(json!({ "event": "1", "id": 7, "name": "Ada" })).await;
    relay.deliver().await;
    assert_eq!(relay.sandbox.contact(id).unwrap().name.as_deref(), Some("By an agent"));
    assert_eq!(relay.calls("PATCH"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn always_beats_if_empty_whatever_their_times_and_whichever_comes_first() {
    let older = json!({ "event": "1", "id": 7, "name": "Shop", "at": "2026-11-22T10:00:00Z" });
    let newer = json!({ "event": "2", "id": 7, "name": "Form", "at": "2026-11-22T11:00:00Z" });
    let shop_first = [("crm", older.clone()), ("form", newer.clone())];
    let form_first = [("form", newer), ("crm", older)];
    for order in [shop_first, form_first] {
        for at_once in [true, false] {
            let relay = Relay::with("", &form()).await;
            let id = relay.linked("7").await;
            for (source, body) in order.clone() {
                accept(&relay, source, body).await;
                if !at_once {
                    relay.deliver().await;
                }
            }
            relay.deliver().await;
            assert_eq!(relay.sandbox.contact(id).unwrap().name.as_deref(), Some("Shop"), "{order:?} {at_once}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_that_anyone_can_fill_in_does_not_rename_a_customer() {
    let typeform = format!("[sources.survey]\npreset = \"typeform\"\nsecret = \"{SECRET}\"\n");
    let relay = Relay::with("", &typeform).await;
    let id = relay.linked("7").await;
    relay.sandbox.edit(id, |contact| {
        contact.name = Some("Ada Lovelace".to_owned());
        contact.email = Some("ada@example.test".to_owned());
    });
    let answers = json!([
        { "type": "text", "text": "Mallory", "field": { "ref": "name" } },
        { "type": "email", "email": "mallory@example.test", "field": { "ref": "email" } },
        { "type": "phone_number", "phone_number": "+972502345678", "field": { "ref": "phone" } },
    ]);
    let response = json!({ "submitted_at": "2026-11-22T11:00:00Z", "hidden": { "user_id": "7" }, "answers": answers });
    let body = json!({ "event_id": "e1", "event_type": "form_response", "form_response": response });
    accept(&relay, "survey", body).await;
    relay.deliver().await;
    let contact = relay.sandbox.contact(id).unwrap();
    assert_eq!((contact.name.as_deref(), contact.email.as_deref()), (Some("Ada Lovelace"), Some("ada@example.test")));
    assert_eq!(contact.phone_number.as_deref(), Some("+972502345678"), "the contact had none");
    let outcomes = relay.outcomes(0).await;
    assert_eq!(outcomes, json!({ "name": "kept", "email": "kept", "phone_number": "delivered" }));
}
