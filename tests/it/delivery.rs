//! From a stored webhook to Chatwoot: order, merging, finding, creating, failing and coming back.

use std::time::Duration;

use contact_relay::{
    contacts::ContactKey,
    sandbox::{FaultKind, Match, NewContact},
    store::{LinkOrigin, RowState},
};
use serde_json::json;

use crate::harness::{Relay, once};

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_of_a_linked_contact_becomes_one_patch() {
    let relay = Relay::start().await;
    let id = relay.linked("7").await;
    relay.crm(json!({ "event": "e1", "id": 7, "name": " Ada ", "email": "ADA@Example.test", "phone": "050-2345678", "plan": "pro" })).await;
    assert_eq!(relay.deliver().await, 1);
    let contact = relay.sandbox.contact(id).unwrap();
    assert_eq!(contact.name.as_deref(), Some("Ada"));
    assert_eq!(contact.email.as_deref(), Some("ada@example.test"));
    assert_eq!(contact.phone_number.as_deref(), Some("+972502345678"));
    assert_eq!(contact.custom_attributes["plan"], "pro");
    assert_eq!(relay.calls("PATCH"), 1);
    assert_eq!(relay.states().await, [RowState::Delivered]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_for_a_contact_leaves_as_one_call_with_the_newest_of_each_field() {
    let relay = Relay::start().await;
    let id = relay.linked("7").await;
    relay.crm(json!({ "event": "2", "id": 7, "name": "Newest", "at": "2026-11-22T11:00:02Z" })).await;
    relay.crm(json!({ "event": "1", "id": 7, "name": "Oldest", "plan": "pro", "at": "2026-11-22T11:00:01Z" })).await;
    relay.crm(json!({ "event": "0", "id": 7, "name": "Older still", "at": "2026-11-22T11:00:00Z" })).await;
    relay.deliver().await;
    let contact = relay.sandbox.contact(id).unwrap();
    assert_eq!((contact.name.as_deref(), &contact.custom_attributes["plan"]), (Some("Newest"), &json!("pro")));
    assert_eq!(relay.calls("PATCH"), 1);
    assert_eq!(relay.states().await, [RowState::Delivered, RowState::Delivered, RowState::Superseded]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_webhook_that_arrives_after_a_newer_one_was_delivered_changes_nothing() {
    let relay = Relay::start().await;
    let id = relay.linked("7").await;
    relay.crm(json!({ "event": "2", "id": 7, "name": "New", "at": "2026-11-22T11:00:02Z" })).await;
    relay.deliver().await;
    relay.crm(json!({ "event": "1", "id": 7, "name": "Old", "at": "2026-11-22T11:00:01Z" })).await;
    relay.deliver().await;
    assert_eq!(relay.sandbox.contact(id).unwrap().name.as_deref(), Some("New"));
    assert_eq!(relay.calls("PATCH"), 1);
    assert_eq!(relay.states().await, [RowState::Delivered, RowState::Superseded]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_update_that_equals_what_we_last_wrote_makes_no_call() {
    let relay = Relay::start().await;
    let id = relay.linked("7").await;
    relay.crm(json!({ "event": "1", "id": 7, "name": "Ada" })).await;
    relay.deliver().await;
    relay.sandbox.edit(id, |contact| contact.name = Some("Edited by an agent".to_owned()));
    relay.crm(json!({ "event": "2", "id": 7, "name": "Ada" })).await;
    relay.deliver().await;
    assert_eq!(relay.calls("PATCH"), 1);
    assert_eq!(relay.states().await, [RowState::Delivered, RowState::Unchanged]);
    assert_eq!(relay.sandbox.contact(id).unwrap().name.as_deref(), Some("Edited by an agent"));
    assert_eq!(relay.number("SELECT count(*) FROM attempts"), 1, "a call that was not made is not on record");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_contact_is_looked_up_by_identifier_and_linked() {
    let relay = Relay::start().await;
    relay.sandbox.seed(NewContact { identifier: Some("CRM-7".to_owned()), ..NewContact::default() });
    let id = relay.sandbox.seed(NewContact { identifier: Some("crm-7".to_owned()), ..NewContact::default() });
    relay.crm(json!({ "event": "1", "id": "crm-7", "name": "Ada" })).await;
    relay.deliver().await;
    assert_eq!(relay.sandbox.contact(id).unwrap().name.as_deref(), Some("Ada"));
    assert_eq!(relay.sandbox.contacts().len(), 2, "none was created");
    relay.crm(json!({ "event": "2", "id": "crm-7", "name": "Ada L" })).await;
    relay.deliver().await;
    let look_ups = relay.sandbox.calls().iter().filter(|call| call.path.ends_with("/filter")).count();
    assert_eq!(look_ups, 1, "the link is remembered");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_contact_found_by_address_without_identifier_gets_ours() {
    let relay = Relay::start().await;
    let id = relay.sandbox.seed(NewContact { email: Some("ada@example.test".to_owned()), ..NewContact::default() });
    relay.crm(json!({ "event": "1", "id": 7, "email": "ada@example.test", "name": "Ada" })).await;
    relay.deliver().await;
    let contact = relay.sandbox.contact(id).unwrap();
    assert_eq!((contact.identifier.as_deref(), contact.name.as_deref()), (Some("7"), Some("Ada")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_contact_found_by_address_keeps_another_identifier_and_ours_becomes_a_further_link() {
    let relay = Relay::start().await;
    let id = relay.sandbox.seed(NewContact {
        identifier: Some("other".to_owned()),
        email: Some("ada@example.test".to_owned()),
        ..NewContact::default()
    });
    relay.crm(json!({ "event": "1", "id": 7, "email": "ada@example.test", "name": "Ada" })).await;
    relay.deliver().await;
    let contact = relay.sandbox.contact(id).unwrap();
    assert_eq!((contact.identifier.as_deref(), contact.name.as_deref()), (Some("other"), Some("Ada")));
    assert_eq!(relay.number("SELECT count(*) FROM contacts WHERE key = '7'"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_contact_is_created_once_for_two_webhooks() {
    let relay = Relay::start().await;
    relay.crm(json!({ "event": "1", "id": 7, "name": "Ada", "email": "ada@example.test" })).await;
    relay.crm(json!({ "event": "2", "id": 7, "plan": "pro" })).await;
    relay.deliver().await;
    let contacts = relay.sandbox.contacts();
    assert_eq!(contacts.len(), 1);
    assert_eq!(contacts[0].identifier.as_deref(), Some("7"));
    assert_eq!(contacts[0].custom_attributes["plan"], "pro");
    assert_eq!(relay.states().await, [RowState::Delivered, RowState::Delivered]);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_identifiers_that_turn_out_to_be_one_contact_share_one_lane_from_then_on() {
    let relay = Relay::start().await;
    let id = relay.sandbox.seed(NewContact {
        identifier: Some("a".to_owned()),
        email: Some("ada@example.test".to_owned()),
        ..NewContact::default()
    });
    relay.crm(json!({ "event": "1", "id": "a", "name": "First", "at": "2026-11-22T11:00:01Z" })).await;
    relay.crm(json!({ "event": "2", "id": "b", "email": "ada@example.test", "name": "Second", "at": "2026-11-22T11:00:02Z" })).await;
    relay.deliver().await;
    assert_eq!(relay.sandbox.contact(id).unwrap().name.as_deref(), Some("Second"));
    assert_eq!(relay.number("SELECT count(*) FROM contacts WHERE contact_id > 0"), 2);
    assert!(relay.states().await.iter().all(|state| !state.is_open()));
    relay.crm(json!({ "event": "3", "id": "b", "name": "Third", "at": "2026-11-22T11:00:03Z" })).await;
    relay.crm(json!({ "event": "4", "id": "a", "plan": "pro" })).await;
    assert_eq!(relay.number("SELECT count(*) FROM lanes"), 1);
    relay.deliver().await;
    assert_eq!(relay.sandbox.contact(id).unwrap().name.as_deref(), Some("Third"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_that_fails_and_recovers_gets_the_update_after_the_backoff() {
    let relay = Relay::start().await;
    let id = relay.linked("7").await;
    relay.sandbox.set_faults(vec![once("PATCH", FaultKind::status(500))]);
    relay.crm(json!({ "event": "1", "id": 7, "name": "Ada" })).await;
    relay.deliver().await;
    assert_eq!(relay.states().await, [RowState::Pending]);
    relay.advance(4 * SECOND);
    assert_eq!(relay.deliver().await, 0, "not before the schedule's first step");
    relay.advance(SECOND);
    relay.deliver().await;
    assert_eq!(relay.sandbox.contact(id).unwrap().name.as_deref(), Some("Ada"));
    assert_eq!(relay.states().await, [RowState::Delivered]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_took_effect_without_an_answer_is_made_again_and_not_before_it_must_have_ended() {
    let relay = Relay::with("call_timeout = \"1s\"\nconnect_timeout = \"1s\"", "").await;
    let id = relay.linked("7").await;
    relay.sandbox.set_faults(vec![once("PATCH", FaultKind::DropAfter)]);
    relay.crm(json!({ "event": "1", "id": 7, "name": "Ada" })).await;
    relay.deliver().await;
    assert_eq!(relay.sandbox.contact(id).unwrap().name.as_deref(), Some("Ada"), "it took effect");
    assert_eq!(relay.states().await, [RowState::Pending]);
    // Said again by the source: the value is in doubt, so it is not taken for known.
    relay.crm(json!({ "event": "2", "id": 7, "name": "Ada" })).await;
    relay.advance(10 * SECOND);
    assert_eq!(relay.deliver().await, 0, "the first call may still be at work");
    relay.advance(SECOND);
    relay.deliver().await;
    assert_eq!(relay.calls("PATCH"), 2);
    assert_eq!(relay.states().await, [RowState::Superseded, RowState::Delivered]);
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_restart_in_the_middle_of_a_call_its_lane_waits_and_then_sends_again() {
    let mut relay = Relay::start().await;
    let id = relay.linked("7").await;
    let gate = relay.sandbox.hold(Match::method("PATCH"));
    relay.crm(json!({ "event": "1", "id": 7, "name": "Ada" })).await;
    let cut_off = tokio::spawn({
        let delivery = relay.app.delivery.clone();
        async move { delivery.deliver_due().await }
    });
    gate.arrived(1).await;
    cut_off.abort();
    assert_eq!(relay.states().await, [RowState::Leased]);
    relay.restart().await;
    assert_eq!(relay.states().await, [RowState::Pending]);
    assert_eq!(relay.number("SELECT count(*) FROM attempts WHERE verdict = 'unknown' AND ended_at IS NULL"), 1);
    assert_eq!(relay.deliver().await, 0, "the call of the former life may still be at work");
    gate.release();
    relay.advance(26 * SECOND);
    relay.deliver().await;
    assert_eq!(relay.sandbox.contact(id).unwrap().name.as_deref(), Some("Ada"));
    assert_eq!(relay.states().await, [RowState::Delivered]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gone_contact_waits_for_a_person_with_all_that_comes_and_goes_on_when_another_is_linked() {
    let relay = Relay::start().await;
    let id = relay.linked("7").await;
    relay.sandbox.delete(id);
    relay.crm(json!({ "event": "1", "id": 7, "name": "Ada" })).await;
    relay.deliver().await;
    assert_eq!(relay.states().await, [RowState::Conflict]);
    relay.crm(json!({ "event": "2", "id": 7, "plan": "pro" })).await;
    relay.deliver().await;
    assert_eq!(relay.states().await, [RowState::Conflict, RowState::Pending]);
    assert!(relay.sandbox.contacts().is_empty(), "none is created behind the person's back");
    let other = relay.sandbox.seed(NewContact::default());
    relay.link("7", other, LinkOrigin::Hand).await;
    relay.deliver().await;
    let contact = relay.sandbox.contact(other).unwrap();
    assert_eq!((contact.name.as_deref(), &contact.custom_attributes["plan"]), (Some("Ada"), &json!("pro")));
    assert_eq!(relay.states().await, [RowState::Delivered, RowState::Delivered]);
    assert_eq!(relay.number("SELECT count(*) FROM contacts WHERE key = '7' AND history IS NOT NULL"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn updates_of_a_gone_contact_are_looked_up_afresh_when_its_link_is_removed() {
    let relay = Relay::start().await;
    let id = relay.linked("7").await;
    relay.sandbox.delete(id);
    relay.crm(json!({ "event": "1", "id": 7, "name": "Ada" })).await;
    relay.deliver().await;
    assert!(relay.app.store.unlink("store", &ContactKey::from_text("7"), relay.clock.now()).await.unwrap());
    relay.deliver().await;
    assert_eq!(relay.states().await, [RowState::Delivered]);
    assert_eq!(relay.sandbox.contacts().len(), 1, "created anew");
}
