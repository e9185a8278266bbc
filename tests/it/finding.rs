//! Which contact an update is for: looked up, waited for, or chosen by a person; never guessed.

use std::time::Duration;

use contact_relay::{
    contacts::ContactKey,
    sandbox::{Fault, FaultKind, Match, NewContact},
    store::{LinkOrigin, RowState},
};
use serde_json::json;

use crate::harness::Relay;

const SECOND: Duration = Duration::from_secs(1);
const DAY: Duration = Duration::from_hours(24);
const ADA: &str = "ada@example.test";

fn with_email(email: &str) -> NewContact {
    NewContact { email: Some(email.to_owned()), ..NewContact::default() }
}

fn with_identifier(identifier: &str) -> NewContact {
    NewContact { identifier: Some(identifier.to_owned()), ..NewContact::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn identifier_and_address_are_looked_up_in_one_call_and_the_identifier_is_believed_first() {
    let relay = Relay::start().await;
    let by_email = relay.sandbox.seed(with_email(ADA));
    let by_identifier = relay.sandbox.seed(with_identifier("7"));
    relay.crm(json!({ "event": "1", "id": 7, "plan": "pro", "email": ADA })).await;
    relay.deliver().await;
    assert_eq!(relay.sandbox.contact(by_identifier).unwrap().custom_attributes["plan"], "pro");
    assert!(relay.sandbox.contact(by_email).unwrap().custom_attributes.is_empty());
    assert_eq!(relay.look_ups(), 2, "one to find the contact, one to find who has the address");
    let look_up = relay.sandbox.calls().into_iter().find(|call| call.path.ends_with("/filter")).unwrap();
    let conditions = look_up.body.unwrap()["payload"].clone();
    assert_eq!(conditions[0]["attribute_key"], "identifier");
    assert_eq!((&conditions[0]["query_operator"], &conditions[1]["attribute_key"]), (&json!("OR"), &json!("email")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_phone_number_finds_a_contact_only_where_match_by_says_so() {
    let phone = || NewContact { phone_number: Some("+972502345678".to_owned()), ..NewContact::default() };
    let update = || json!({ "event": "1", "id": 7, "name": "Ada", "phone": "050-234-5678" });

    let relay = Relay::with(r#"match_by = ["identifier", "phone"]"#, "").await;
    let id = relay.sandbox.seed(phone());
    relay.crm(update()).await;
    relay.deliver().await;
    let contact = relay.sandbox.contact(id).unwrap();
    assert_eq!((contact.name.as_deref(), contact.identifier.as_deref()), (Some("Ada"), Some("7")));
    assert_eq!(relay.sandbox.contacts().len(), 1);

    let strict = Relay::start().await;
    let id = strict.sandbox.seed(phone());
    strict.crm(update()).await;
    strict.deliver().await;
    assert_eq!(strict.sandbox.contact(id).unwrap().identifier, None, "another person may have had the number before");
    assert_eq!(strict.states().await, [RowState::Conflict]);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_candidates_wait_for_a_person_whose_link_delivers_what_was_held() {
    let relay = Relay::start().await;
    let first = relay.sandbox.seed(with_email(ADA));
    let second = relay.sandbox.seed(with_email(ADA));
    relay.crm(json!({ "event": "1", "id": 7, "name": "Ada", "email": ADA })).await;
    relay.deliver().await;
    assert_eq!(relay.states().await, [RowState::Conflict]);
    assert_eq!(relay.row(0).await.reason_code.as_deref(), Some("several_contacts"));
    assert_eq!(relay.number("SELECT count(*) FROM lanes WHERE held = 'several_contacts' AND due_at IS NULL"), 1);
    let candidates = relay.text("SELECT json_extract(theirs, '$.candidates') FROM conflicts WHERE resolved_at IS NULL");
    assert_eq!(candidates, format!("[{first},{second}]"));

    // The lane is held: what comes later waits as well, however long it takes.
    relay.crm(json!({ "event": "2", "id": 7, "plan": "pro" })).await;
    relay.advance(3 * DAY);
    assert_eq!(relay.deliver().await, 0);

    relay.sandbox.edit(first, |contact| contact.email = None);
    relay.link("7", second, LinkOrigin::Hand).await;
    relay.deliver().await;
    assert_eq!(relay.states().await, [RowState::Delivered, RowState::Delivered]);
    let contact = relay.sandbox.contact(second).unwrap();
    assert_eq!((contact.name.as_deref(), &contact.custom_attributes["plan"]), (Some("Ada"), &json!("pro")));
    assert!(relay.app.store.open_conflicts(10).await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn when_the_second_candidate_is_gone_a_retry_of_one_held_row_delivers_all_of_the_contact() {
    let relay = Relay::start().await;
    let first = relay.sandbox.seed(with_email(ADA));
    let second = relay.sandbox.seed(with_email(ADA));
    relay.crm(json!({ "event": "1", "id": 7, "name": "Ada", "email": ADA })).await;
    relay.crm(json!({ "event": "2", "id": 7, "plan": "pro" })).await;
    relay.deliver().await;
    relay.sandbox.delete(first);
    let row = relay.row(0).await.id;
    relay.app.store.retry(row, relay.clock.now()).await.unwrap();
    relay.deliver().await;
    assert_eq!(relay.states().await, [RowState::Delivered, RowState::Delivered]);
    assert_eq!(relay.sandbox.contact(second).unwrap().custom_attributes["plan"], "pro");
    assert!(relay.app.store.open_conflicts(10).await.unwrap().is_empty(), "nobody has to decide any more");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_identifier_in_other_capitals_is_no_match_and_the_reason_says_which_contact_has_it() {
    let relay = Relay::with(r#"missing_contact = "reject""#, "").await;
    let id = relay.sandbox.seed(with_identifier("CRM-7"));
    relay.crm(json!({ "event": "1", "id": "crm-7", "name": "Ada" })).await;
    relay.deliver().await;
    assert_eq!(relay.states().await, [RowState::NoContact]);
    let reason = relay.row(0).await.reason.unwrap();
    assert!(reason.contains(&format!("differs in capitals only: {id}")), "{reason}");
    assert_eq!(relay.sandbox.contact(id).unwrap().name.as_deref().unwrap_or_default(), "");
    assert_eq!(relay.calls("PATCH") + relay.calls("POST"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_update_that_waits_is_looked_up_daily_and_delivered_when_the_contact_appears() {
    let relay = Relay::with(r#"missing_contact = "wait""#, "").await;
    relay.crm(json!({ "event": "1", "id": 7, "name": "Ada" })).await;
    relay.deliver().await;
    assert_eq!((relay.states().await, relay.look_ups()), (vec![RowState::Waiting], 1));
    relay.advance(Duration::from_secs(86_399));
    assert_eq!(relay.deliver().await, 0);
    relay.advance(SECOND);
    relay.deliver().await;
    assert_eq!((relay.states().await, relay.look_ups()), (vec![RowState::Waiting], 2));
    let id = relay.sandbox.seed(with_identifier("7"));
    relay.advance(DAY);
    relay.deliver().await;
    assert_eq!(relay.states().await, [RowState::Delivered]);
    assert_eq!(relay.sandbox.contact(id).unwrap().name.as_deref(), Some("Ada"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_update_that_waits_wakes_at_once_when_an_import_brings_its_link() {
    let relay = Relay::with(r#"missing_contact = "wait""#, "").await;
    relay.crm(json!({ "event": "1", "id": 7, "name": "Ada" })).await;
    relay.deliver().await;
    let id = relay.sandbox.seed(NewContact::default());
    relay.link("7", id, LinkOrigin::Import).await;
    relay.deliver().await;
    assert_eq!(relay.states().await, [RowState::Delivered]);
    assert_eq!(relay.sandbox.contact(id).unwrap().name.as_deref(), Some("Ada"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_that_appears_during_the_look_up_is_not_overlooked_for_a_day() {
    let relay = Relay::with(r#"missing_contact = "wait""#, "").await;
    relay.crm(json!({ "event": "1", "id": 7, "name": "Ada" })).await;
    let gate = relay.sandbox.hold(Match::path("/filter"));
    let delivering = relay.delivering();
    gate.arrived(1).await;
    let id = relay.sandbox.seed(NewContact::default());
    relay.link("7", id, LinkOrigin::Import).await;
    gate.release();
    delivering.await.unwrap();
    relay.deliver().await;
    assert_eq!(relay.states().await, [RowState::Delivered]);
    assert_eq!(relay.sandbox.contact(id).unwrap().name.as_deref(), Some("Ada"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_update_whose_contact_never_appears_is_given_up_after_wait_for_with_a_reason() {
    let relay = Relay::with("missing_contact = \"wait\"\nwait_for = \"3d\"", "").await;
    relay.crm(json!({ "event": "1", "id": 7, "name": "Ada" })).await;
    for _ in 0..3 {
        relay.deliver().await;
        assert_eq!(relay.states().await, [RowState::Waiting]);
        relay.advance(DAY);
    }
    relay.deliver().await;
    assert_eq!(relay.states().await, [RowState::Dead]);
    assert_eq!(relay.row(0).await.reason_code.as_deref(), Some("waited_too_long"));
}

#[tokio::test(flavor = "multi_thread")]
async fn where_missing_contacts_are_rejected_the_update_settles_and_nothing_is_created() {
    let relay = Relay::with(r#"missing_contact = "reject""#, "").await;
    relay.crm(json!({ "event": "1", "id": 7, "name": "Ada" })).await;
    relay.deliver().await;
    assert_eq!(relay.states().await, [RowState::NoContact]);
    assert_eq!(relay.row(0).await.reason_code.as_deref(), Some("no_contact"));
    assert!(relay.sandbox.contacts().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_look_up_that_fails_creates_nothing_and_is_made_again() {
    let relay = Relay::start().await;
    let id = relay.sandbox.seed(with_identifier("7"));
    let failing = Fault::new(FaultKind::status(500)).when(Match::path("/filter")).times(1);
    relay.sandbox.set_faults(vec![failing]);
    relay.crm(json!({ "event": "1", "id": 7, "name": "Ada" })).await;
    relay.deliver().await;
    assert_eq!((relay.states().await, relay.calls("POST")), (vec![RowState::Pending], 0));
    relay.advance(5 * SECOND);
    relay.deliver().await;
    assert_eq!(relay.sandbox.contact(id).unwrap().name.as_deref(), Some("Ada"));
    assert_eq!((relay.states().await, relay.calls("POST")), (vec![RowState::Delivered], 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_contact_merged_away_is_found_again_and_the_link_keeps_its_history() {
    let relay = Relay::start().await;
    let former = relay.linked("7").await;
    let base = relay.sandbox.seed(NewContact::default());
    relay.sandbox.merge(base, former);
    assert_eq!(relay.sandbox.contact(base).unwrap().identifier.as_deref(), Some("7"));
    relay.crm(json!({ "event": "1", "id": 7, "name": "Ada" })).await;
    relay.deliver().await;
    assert_eq!(relay.sandbox.contact(base).unwrap().name.as_deref(), Some("Ada"));
    assert_eq!(relay.states().await, [RowState::Delivered]);
    let link = relay.app.store.link_of("store", &ContactKey::from_text("7")).await.unwrap();
    let link = link.unwrap();
    assert_eq!(link.contact_id, base);
    let history: serde_json::Value = serde_json::from_str(&link.history.unwrap()).unwrap();
    assert_eq!(history[0]["contact_id"], former);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_contact_that_is_found_and_gone_in_the_same_turn_is_left_for_later() {
    let relay = Relay::start().await;
    let former = relay.linked("7").await;
    let base = relay.sandbox.seed(NewContact::default());
    relay.sandbox.merge(base, former);
    let gone =
        Fault::new(FaultKind::status(404)).when(Match { method: Some("PATCH".to_owned()), ..Match::contact(base) });
    relay.sandbox.set_faults(vec![gone]);
    relay.crm(json!({ "event": "1", "id": 7, "name": "Ada" })).await;
    relay.deliver().await;
    assert_eq!((relay.states().await, relay.look_ups(), relay.calls("PATCH")), (vec![RowState::Pending], 1, 2));
    relay.sandbox.clear_faults();
    relay.advance(5 * SECOND);
    relay.deliver().await;
    assert_eq!(relay.states().await, [RowState::Delivered]);
    assert_eq!(relay.sandbox.contact(base).unwrap().name.as_deref(), Some("Ada"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_contact_that_is_gone_is_a_question_and_what_comes_later_does_not_answer_it_by_itself() {
    let relay = Relay::start().await;
    let gone = relay.linked("7").await;
    relay.sandbox.delete(gone);
    relay.crm(json!({ "event": "1", "id": 7, "name": "Ada" })).await;
    relay.deliver().await;
    assert_eq!(relay.states().await, [RowState::Conflict]);
    assert_eq!(relay.row(0).await.reason_code.as_deref(), Some("contact_gone"));
    relay.crm(json!({ "event": "2", "id": 7, "plan": "pro" })).await;
    relay.advance(DAY);
    relay.deliver().await;
    assert!(relay.sandbox.contacts().is_empty(), "missing_contact must not create what gone_contact asks about");

    let other = relay.sandbox.seed(NewContact::default());
    relay.link("7", other, LinkOrigin::Hand).await;
    relay.deliver().await;
    assert_eq!(relay.states().await, [RowState::Delivered, RowState::Delivered]);
    let contact = relay.sandbox.contact(other).unwrap();
    assert_eq!((contact.name.as_deref(), &contact.custom_attributes["plan"]), (Some("Ada"), &json!("pro")));
    assert!(relay.app.store.open_conflicts(10).await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn removing_the_link_to_a_contact_that_is_gone_looks_the_person_up_afresh() {
    let relay = Relay::start().await;
    let gone = relay.linked("7").await;
    relay.sandbox.delete(gone);
    relay.crm(json!({ "event": "1", "id": 7, "name": "Ada" })).await;
    relay.deliver().await;
    relay.app.store.unlink("store", &ContactKey::from_text("7"), relay.clock.now()).await.unwrap();
    relay.deliver().await;
    assert_eq!(relay.states().await, [RowState::Delivered]);
    assert_eq!(relay.sandbox.contacts().len(), 1);
    assert!(relay.app.store.open_conflicts(10).await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_contact_that_is_gone_is_created_anew_where_the_account_says_so_and_all_its_keys_follow() {
    let relay = Relay::with(r#"gone_contact = "create""#, "").await;
    let gone = relay.linked("a").await;
    for key in ["b", "c"] {
        relay.link(key, gone, LinkOrigin::Import).await;
    }
    relay.sandbox.delete(gone);
    relay.crm(json!({ "event": "1", "id": "a", "name": "Ada" })).await;
    relay.crm(json!({ "event": "2", "id": "b", "plan": "pro" })).await;
    relay.deliver().await;
    assert_eq!(relay.states().await, [RowState::Delivered, RowState::Delivered]);
    relay.crm(json!({ "event": "3", "id": "a", "city": "Haifa" })).await;
    relay.crm(json!({ "event": "4", "id": "b", "name": "Ada L" })).await;
    relay.crm(json!({ "event": "5", "id": "c", "name": "Ada Lovelace" })).await;
    relay.deliver().await;
    let contacts = relay.sandbox.contacts();
    assert_eq!(contacts.len(), 1);
    assert_eq!(contacts[0].name.as_deref(), Some("Ada Lovelace"));
    assert_eq!(
        (&contacts[0].custom_attributes["plan"], &contacts[0].custom_attributes["city"]),
        (&json!("pro"), &json!("Haifa"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn updates_of_a_contact_that_is_gone_are_rejected_where_the_account_says_so_now_and_later() {
    let relay = Relay::with(r#"gone_contact = "reject""#, "").await;
    let gone = relay.linked("7").await;
    relay.sandbox.delete(gone);
    relay.crm(json!({ "event": "1", "id": 7, "name": "Ada" })).await;
    relay.deliver().await;
    relay.crm(json!({ "event": "2", "id": 7, "name": "Ada L" })).await;
    relay.deliver().await;
    assert_eq!(relay.states().await, [RowState::NoContact, RowState::NoContact]);
    assert_eq!(relay.row(0).await.reason_code.as_deref(), Some("contact_gone"));
    assert!(relay.sandbox.contacts().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_that_is_gone_pauses_and_no_contact_is_taken_for_gone() {
    let relay = Relay::start().await;
    let id = relay.linked("7").await;
    relay.sandbox.set_faults(vec![Fault::new(FaultKind::status(404))]);
    relay.crm(json!({ "event": "1", "id": 7, "name": "Ada" })).await;
    relay.deliver().await;
    assert_eq!(relay.states().await, [RowState::Pending]);
    assert!(relay.pause().await.is_some());
    assert_eq!(relay.number("SELECT count(*) FROM contacts WHERE state <> 'linked'"), 0);
    relay.advance(DAY);
    relay.deliver().await;
    assert_eq!((relay.row(0).await.failures, relay.calls("PATCH")), (0, 1));
    relay.sandbox.clear_faults();
    relay.advance(60 * SECOND);
    relay.deliver().await;
    assert_eq!(relay.states().await, [RowState::Delivered]);
    assert_eq!(relay.sandbox.contact(id).unwrap().name.as_deref(), Some("Ada"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_when_a_wrong_link_is_corrected_goes_to_the_right_contact() {
    let relay = Relay::start().await;
    let wrong = relay.linked("7").await;
    let right = relay.sandbox.seed(NewContact::default());
    relay.crm(json!({ "event": "1", "id": 7, "name": "Ada" })).await;
    relay.link("7", right, LinkOrigin::Hand).await;
    relay.deliver().await;
    assert_eq!(relay.sandbox.contact(right).unwrap().name.as_deref(), Some("Ada"));
    assert_eq!(relay.sandbox.contact(wrong).unwrap().name.as_deref().unwrap_or_default(), "");

    relay.crm(json!({ "event": "2", "id": 7, "plan": "pro" })).await;
    relay.app.store.unlink("store", &ContactKey::from_text("7"), relay.clock.now()).await.unwrap();
    relay.deliver().await;
    assert_eq!(relay.sandbox.contact(wrong).unwrap().custom_attributes["plan"], "pro", "it has the identifier");
    assert_eq!(relay.states().await, [RowState::Delivered, RowState::Delivered]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_identifier_that_looks_like_our_name_of_a_lane_reaches_no_contact_by_it() {
    let relay = Relay::start().await;
    let id = relay.linked("7").await;
    relay.crm(json!({ "event": "1", "id": 7, "name": "Ada" })).await;
    let body = json!({ "event": "2", "id": format!("contact:{id}"), "name": "Mallory" });
    assert_eq!(relay.send("crm", body).await.status, 200);
    relay.deliver().await;
    assert_eq!(relay.sandbox.contact(id).unwrap().name.as_deref(), Some("Ada"));
}
