//! Contacts that are not there yet: created once, whole, and never as a stripped copy of another.

use std::time::Duration;

use contact_relay::{
    sandbox::{Fault, FaultKind, Match, NewContact},
    store::RowState,
};
use serde_json::json;

use crate::harness::{Relay, creating, refusing};

const SECOND: Duration = Duration::from_secs(1);
const ADA: &str = "ada@example.test";

#[tokio::test(flavor = "multi_thread")]
async fn a_new_contact_gets_its_identifier_and_the_inbox_of_the_account() {
    let relay = Relay::with("inbox_id = 1", "").await;
    relay.crm(json!({ "event": "1", "id": 7, "name": "Ada", "email": ADA })).await;
    relay.deliver().await;
    let expected = json!({ "identifier": "7", "inbox_id": 1, "name": "Ada", "email": ADA });
    assert_eq!(relay.bodies("POST"), [expected]);
    assert_eq!(relay.sandbox.contacts()[0].contact_inboxes.len(), 1);
    assert_eq!(relay.states().await, [RowState::Delivered]);
    assert_eq!(relay.text("SELECT origin FROM contacts WHERE key = '7'"), "created");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_webhooks_of_one_new_customer_under_different_keys_make_one_contact() {
    let relay = Relay::start().await;
    relay.crm(json!({ "event": "1", "id": 7, "name": "Ada", "email": ADA })).await;
    relay.crm(json!({ "event": "2", "email": ADA, "plan": "pro" })).await;
    assert_eq!(relay.number("SELECT count(*) FROM lanes"), 2, "nothing says yet that they are one person");
    // Both look the contact up before either creates it.
    let gate = relay.sandbox.hold(Match::path("/filter"));
    let delivering = relay.delivering();
    gate.arrived(2).await;
    // Long enough for the second creation to begin while the first is at work; the sandbox would call it an overlap.
    relay.sandbox.set_faults(vec![Fault::new(FaultKind::latency_ms(100)).when(Match::method("POST"))]);
    gate.release();
    delivering.await.unwrap();
    relay.deliver_all(SECOND, 60).await;
    let contacts = relay.sandbox.contacts();
    assert_eq!(contacts.len(), 1);
    assert_eq!((contacts[0].identifier.as_deref(), &contacts[0].custom_attributes["plan"]), (Some("7"), &json!("pro")));
    assert_eq!(relay.states().await, [RowState::Delivered, RowState::Delivered]);
}

async fn is_looked_up_before_it_is_created_again(kind: FaultKind, creations: usize) {
    let relay = Relay::with("call_timeout = \"1s\"\nconnect_timeout = \"1s\"", "").await;
    relay.sandbox.set_faults(creating(kind.clone(), 1));
    relay.crm(json!({ "event": "1", "id": 7, "name": "Ada", "email": ADA })).await;
    relay.deliver().await;
    assert_eq!((relay.states().await, relay.calls("POST")), (vec![RowState::Pending], 1), "{kind:?}");
    relay.sandbox.clear_faults();
    relay.deliver_all(5 * SECOND, 10).await;
    assert_eq!(relay.look_ups(), 2, "{kind:?}");
    assert_eq!(relay.calls("POST"), creations, "{kind:?}");
    let contacts = relay.sandbox.contacts();
    assert_eq!(contacts.len(), 1, "{kind:?}");
    assert_eq!(contacts[0].name.as_deref(), Some("Ada"));
    assert_eq!(relay.number("SELECT count(*) FROM contacts WHERE key = '7' AND state = 'linked'"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_creation_that_failed_is_looked_up_first_and_then_made_again() {
    is_looked_up_before_it_is_created_again(FaultKind::status(500), 2).await;
    is_looked_up_before_it_is_created_again(FaultKind::Drop, 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_creation_that_took_effect_without_an_answer_is_found_and_not_made_twice() {
    is_looked_up_before_it_is_created_again(FaultKind::DropAfter, 1).await;
    is_looked_up_before_it_is_created_again(FaultKind::HangAfter, 1).await;
    is_looked_up_before_it_is_created_again(FaultKind::Truncate, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_taken_address_that_match_by_does_not_believe_is_a_question_and_never_a_stripped_second_contact() {
    let relay = Relay::with(r#"match_by = ["identifier"]"#, "").await;
    let holder = relay.sandbox.seed(NewContact { email: Some(ADA.to_owned()), ..NewContact::default() });
    relay.crm(json!({ "event": "1", "id": 7, "name": "Ada", "email": ADA })).await;
    relay.deliver().await;
    assert_eq!(relay.states().await, [RowState::Conflict]);
    assert_eq!(relay.row(0).await.reason_code.as_deref(), Some("taken"));
    assert_eq!(relay.text("SELECT json_extract(theirs, '$.candidates[0]') FROM conflicts"), holder.to_string());
    assert_eq!(relay.sandbox.contacts().len(), 1);
    relay.link("7", holder, contact_relay::store::LinkOrigin::Hand).await;
    relay.deliver().await;
    assert_eq!(relay.sandbox.contact(holder).unwrap().name.as_deref(), Some("Ada"));
    assert_eq!(relay.states().await, [RowState::Delivered]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_value_that_only_the_server_finds_invalid_is_left_out_and_parked_until_a_better_one_comes() {
    let relay = Relay::start().await;
    relay.sandbox.set_faults(creating(refusing(&["phone_number"]), 1));
    relay.crm(json!({ "event": "1", "id": 7, "name": "Ada", "phone": "050-234-5678" })).await;
    relay.crm(json!({ "event": "2", "id": 7, "plan": "pro" })).await;
    relay.deliver().await;
    let contacts = relay.sandbox.contacts();
    assert_eq!(contacts.len(), 1);
    assert_eq!((contacts[0].name.as_deref(), contacts[0].phone_number.as_deref()), (Some("Ada"), None));
    assert_eq!(relay.states().await, [RowState::Conflict, RowState::Delivered]);
    let reason = relay.row(0).await.reason.unwrap();
    assert!(reason.contains("created without it"), "{reason}");
    let row = relay.row(0).await.id;
    assert_eq!(relay.number("SELECT outbox_id FROM conflicts WHERE field = 'phone_number'"), row);
    assert_eq!(relay.number("SELECT count(*) FROM lanes"), 1);

    relay.crm(json!({ "event": "3", "id": 7, "phone": "050-234-5679" })).await;
    relay.deliver().await;
    assert_eq!(relay.sandbox.contacts()[0].phone_number.as_deref(), Some("+972502345679"));
    assert_eq!(relay.states().await, [RowState::Delivered, RowState::Delivered, RowState::Delivered]);
    assert_eq!(relay.number("SELECT count(*) FROM lanes"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_contact_that_appears_between_look_up_and_creation_is_found_and_updated() {
    let relay = Relay::start().await;
    relay.crm(json!({ "event": "1", "id": 7, "name": "Ada" })).await;
    let look_up = relay.sandbox.hold(Match::path("/filter"));
    let delivering = relay.delivering();
    look_up.arrived(1).await;
    // Made only now, this one does not hold the look-up, which is a POST too.
    let creation = relay.sandbox.hold(Match::method("POST"));
    look_up.release();
    creation.arrived(1).await;
    let id = relay.sandbox.seed(NewContact { identifier: Some("7".to_owned()), ..NewContact::default() });
    creation.release();
    delivering.await.unwrap();
    assert_eq!(relay.states().await, [RowState::Delivered]);
    assert_eq!(relay.sandbox.contacts().len(), 1);
    assert_eq!(relay.sandbox.contact(id).unwrap().name.as_deref(), Some("Ada"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_inbox_that_is_not_there_holds_back_new_contacts_only_and_kills_nothing() {
    let mut relay = Relay::with("inbox_id = 99", "").await;
    let id = relay.linked("8").await;
    relay.crm(json!({ "event": "1", "id": 7, "name": "Ada" })).await;
    relay.deliver().await;
    assert!(relay.pause().await.is_none());
    relay.crm(json!({ "event": "2", "id": 8, "name": "Bob" })).await;
    relay.deliver().await;
    assert_eq!(relay.sandbox.contact(id).unwrap().name.as_deref(), Some("Bob"));
    assert_eq!(relay.text("SELECT last_status || ' ' || last_error FROM audit WHERE id = 1"), "404 not_found");
    relay.restart_with("inbox_id = 1", "").await;
    relay.deliver_all(60 * SECOND, 2).await;
    assert_eq!(relay.states().await, [RowState::Delivered, RowState::Delivered]);
}
