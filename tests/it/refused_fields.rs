//! Fields that the server refuses or drops: the good ones are written all the same, the bad one waits for a person.

use contact_relay::{
    sandbox::{Fault, FaultKind, Match, NewContact},
    store::RowState,
};
use serde_json::{Value, json};

use crate::harness::{Relay, once, refusing};

const TAKEN: &str = "+972502345678";

async fn with_taken_phone() -> (Relay, i64, i64) {
    let relay = Relay::start().await;
    let id = relay.linked("7").await;
    let holder = relay.sandbox.seed(NewContact { phone_number: Some(TAKEN.to_owned()), ..NewContact::default() });
    relay.crm(json!({ "event": "1", "id": 7, "name": "Ada", "phone": TAKEN })).await;
    relay.deliver().await;
    (relay, id, holder)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_taken_phone_number_is_parked_with_its_holder_and_the_rest_is_written_in_the_same_turn() {
    let (relay, id, holder) = with_taken_phone().await;
    let contact = relay.sandbox.contact(id).unwrap();
    assert_eq!((contact.name.as_deref(), contact.phone_number), (Some("Ada"), None));
    assert_eq!(relay.states().await, [RowState::Conflict]);
    assert_eq!(relay.outcomes(0).await, json!({ "name": "delivered", "phone_number": "parked" }));
    let conflicts = relay.app.store.open_conflicts(10).await.unwrap();
    assert_eq!(conflicts.len(), 1);
    assert_eq!((conflicts[0].field.as_deref(), conflicts[0].holder), (Some("phone_number"), Some(holder)));
    assert_eq!(relay.number("SELECT count(*) FROM lanes WHERE held IS NOT NULL"), 0, "a field holds nothing back");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_taken_address_is_parked_with_its_holder() {
    let relay = Relay::start().await;
    let id = relay.linked("7").await;
    let email = "ada@example.test";
    let holder = relay.sandbox.seed(NewContact { email: Some(email.to_owned()), ..NewContact::default() });
    relay.crm(json!({ "event": "1", "id": 7, "plan": "pro", "email": email })).await;
    relay.deliver().await;
    assert_eq!(relay.sandbox.contact(id).unwrap().custom_attributes["plan"], "pro");
    assert_eq!(relay.app.store.open_conflicts(10).await.unwrap()[0].holder, Some(holder));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_parked_value_is_not_sent_again_while_it_stays_the_same() {
    let (relay, id, _) = with_taken_phone().await;
    assert_eq!(relay.calls("PATCH"), 2);
    relay.crm(json!({ "event": "2", "id": 7, "name": "Ada L", "phone": TAKEN })).await;
    relay.deliver().await;
    assert_eq!(relay.sandbox.contact(id).unwrap().name.as_deref(), Some("Ada L"));
    assert_eq!(relay.bodies("PATCH")[2..], [json!({ "name": "Ada L" })]);
    assert_eq!(relay.states().await, [RowState::Conflict, RowState::Conflict]);
    relay.crm(json!({ "event": "3", "id": 7, "phone": TAKEN })).await;
    relay.deliver().await;
    assert_eq!(relay.calls("PATCH"), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_value_is_sent_and_closes_the_conflict_and_the_rows_that_waited_for_it() {
    let (relay, id, _) = with_taken_phone().await;
    relay.crm(json!({ "event": "2", "id": 7, "phone": TAKEN })).await;
    relay.deliver().await;
    relay.crm(json!({ "event": "3", "id": 7, "phone": "+972502345679" })).await;
    relay.deliver().await;
    assert_eq!(relay.sandbox.contact(id).unwrap().phone_number.as_deref(), Some("+972502345679"));
    assert_eq!(relay.states().await, [RowState::Delivered, RowState::Superseded, RowState::Delivered]);
    assert_eq!(relay.outcomes(0).await["phone_number"], "superseded");
    assert!(relay.app.store.open_conflicts(10).await.unwrap().is_empty());
    assert_eq!(relay.number("SELECT count(*) FROM lanes"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_refused_value_takes_the_place_of_the_first() {
    let (relay, _, _) = with_taken_phone().await;
    let other = "+972502345670";
    let holder = relay.sandbox.seed(NewContact { phone_number: Some(other.to_owned()), ..NewContact::default() });
    relay.crm(json!({ "event": "2", "id": 7, "phone": other })).await;
    relay.deliver().await;
    let conflicts = relay.app.store.open_conflicts(10).await.unwrap();
    assert_eq!(conflicts.len(), 1);
    assert_eq!(conflicts[0].holder, Some(holder));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_contact_that_is_itself_invalid_is_named_as_such_and_updates_pass_once_it_is_mended() {
    let relay = Relay::start().await;
    let id = relay.linked("7").await;
    relay.sandbox.edit(id, |contact| contact.phone_number = Some("050 old".to_owned()));
    relay.crm(json!({ "event": "1", "id": 7, "name": "Ada" })).await;
    relay.deliver().await;
    assert_eq!((relay.states().await, relay.calls("PATCH")), (vec![RowState::Conflict], 1));
    let row = relay.row(0).await;
    assert_eq!(row.reason_code.as_deref(), Some("stored_record_invalid"));
    let reason = row.reason.unwrap();
    assert!(reason.contains("itself is invalid in Chatwoot (phone_number)"), "{reason}");
    relay.sandbox.edit(id, |contact| contact.phone_number = None);
    relay.crm(json!({ "event": "2", "id": 7, "name": "Ada L" })).await;
    relay.deliver().await;
    assert_eq!(relay.states().await, [RowState::Superseded, RowState::Delivered]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_refuses_whatever_is_sent_is_asked_a_few_times_and_no_more() {
    let relay = Relay::start().await;
    relay.linked("7").await;
    let fields = ["name", "email", "phone_number", "avatar_url"];
    let mut faults: Vec<Fault> = fields.iter().map(|field| once("PATCH", refusing(&[field]))).collect();
    faults.push(Fault::new(refusing(&["custom_attributes"])).when(Match::method("PATCH")));
    relay.sandbox.set_faults(faults);
    let update = json!({
        "event": "1", "id": 7, "name": "Ada", "email": "ada@example.test", "phone": TAKEN,
        "photo": "https://example.test/ada.png", "plan": "pro",
    });
    relay.crm(update).await;
    relay.deliver().await;
    assert_eq!((relay.states().await, relay.calls("PATCH")), (vec![RowState::Conflict], 4));
    let parked = relay.outcomes(0).await;
    assert!(parked.as_object().unwrap().values().all(|outcome| outcome == "parked"), "{parked}");
    assert_eq!(relay.number("SELECT count(*) FROM attempts WHERE verdict = 'unknown'"), 0);
    relay.advance(std::time::Duration::from_hours(24));
    assert_eq!(relay.deliver().await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_names_a_field_again_after_it_was_left_out_is_not_asked_for_ever() {
    let relay = Relay::start().await;
    relay.linked("7").await;
    relay.sandbox.set_faults(vec![Fault::new(refusing(&["name"])).when(Match::method("PATCH"))]);
    relay.crm(json!({ "event": "1", "id": 7, "name": "Ada", "plan": "pro" })).await;
    relay.deliver().await;
    assert_eq!((relay.states().await, relay.calls("PATCH")), (vec![RowState::Conflict], 2));
    assert_eq!(relay.outcomes(0).await, json!({ "name": "parked", "custom_attributes.plan": "parked" }));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_field_that_the_server_drops_without_a_word_is_reported_and_the_others_count_as_delivered() {
    let relay = Relay::start().await;
    let id = relay.linked("7").await;
    relay.sandbox.set_faults(vec![once("PATCH", FaultKind::IgnoreFields { fields: vec!["name".to_owned()] })]);
    relay.crm(json!({ "event": "1", "id": 7, "name": "Ada", "plan": "pro" })).await;
    relay.deliver().await;
    assert_eq!(relay.sandbox.contact(id).unwrap().custom_attributes["plan"], "pro");
    assert_eq!(relay.outcomes(0).await, json!({ "name": "not_taken", "custom_attributes.plan": "delivered" }));
    assert_eq!(relay.states().await, [RowState::Delivered]);
    assert_eq!(relay.text("SELECT not_taken FROM attempts"), r#"["name"]"#);
    // What was not taken was not written either: the same value is sent when it comes again.
    relay.crm(json!({ "event": "2", "id": 7, "name": "Ada", "plan": "pro" })).await;
    relay.deliver().await;
    assert_eq!(relay.bodies("PATCH").last(), Some(&json!({ "name": "Ada" })));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_update_of_which_nothing_was_taken_is_given_up_with_a_reason() {
    let relay = Relay::start().await;
    relay.linked("7").await;
    relay.sandbox.set_faults(vec![once("PATCH", FaultKind::IgnoreFields { fields: vec!["name".to_owned()] })]);
    relay.crm(json!({ "event": "1", "id": 7, "name": "Ada" })).await;
    relay.deliver().await;
    let row = relay.row(0).await;
    assert_eq!((row.state, row.reason_code.as_deref()), (RowState::Dead, Some("not_taken")));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_shape_of_the_vendors_page_is_understood() {
    let relay = Relay::start().await;
    relay.linked("7").await;
    relay.sandbox.set_faults(vec![once("PATCH", FaultKind::VendorShape)]);
    relay.crm(json!({ "event": "1", "id": 7, "name": "Ada" })).await;
    relay.deliver().await;
    assert_eq!(relay.states().await, [RowState::Delivered]);
    assert_eq!(relay.outcomes(0).await["name"], Value::from("delivered"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_parked_value_goes_once_its_cause_is_mended_and_the_row_is_retried_by_hand() {
    let (relay, id, holder) = with_taken_phone().await;
    relay.sandbox.edit(holder, |contact| contact.phone_number = None);
    let row = relay.rows().await[0].id;
    relay.app.store.retry(row, relay.clock.now()).await.unwrap();
    relay.deliver().await;
    assert_eq!(relay.sandbox.contact(id).unwrap().phone_number.as_deref(), Some(TAKEN));
    assert_eq!(relay.states().await, [RowState::Delivered]);
    assert!(relay.app.store.open_conflicts(10).await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_is_discarded_takes_its_question_with_it() {
    let (relay, id, holder) = with_taken_phone().await;
    let row = relay.rows().await[0].id;
    relay.app.store.discard(row, "not theirs", relay.clock.now()).await.unwrap();
    assert!(relay.app.store.open_conflicts(10).await.unwrap().is_empty());
    // The same value from a later webhook is a new question, not a forgotten one.
    relay.sandbox.edit(holder, |contact| contact.phone_number = None);
    relay.crm(json!({ "event": "2", "id": 7, "phone": TAKEN })).await;
    relay.deliver().await;
    assert_eq!(relay.sandbox.contact(id).unwrap().phone_number.as_deref(), Some(TAKEN));
}
