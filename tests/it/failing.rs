//! Calls that fail: each failure has the consequence that fits it.

use std::time::Duration;

use contact_relay::{
    sandbox::{Fault, FaultKind, Match, NewContact, Options, Sandbox},
    store::{RetryOutcome, RowState},
};
use serde_json::json;

use crate::harness::{Relay, once};

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);

fn always(method: &str, kind: FaultKind) -> Fault {
    Fault::new(kind).when(Match::method(method))
}

fn of_contact(id: i64, kind: FaultKind) -> Fault {
    Fault::new(kind).when(Match::contact(id))
}

/// A service with one update of a linked contact waiting.
async fn with_update() -> (Relay, i64) {
    let relay = Relay::start().await;
    let id = relay.linked("7").await;
    relay.crm(json!({ "event": "1", "id": 7, "name": "Ada" })).await;
    (relay, id)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failing_call_is_made_again_after_each_step_of_the_schedule_and_not_a_second_before() {
    let (relay, _) = with_update().await;
    relay.sandbox.set_faults(vec![always("PATCH", FaultKind::status(500))]);
    relay.deliver().await;
    for step in [5, 30, 120, 600, 1_800, 3_600, 10_800, 21_600, 43_200, 43_200] {
        relay.advance(Duration::from_secs(step - 1));
        assert_eq!(relay.deliver().await, 0, "before {step} s");
        relay.advance(SECOND);
        assert_eq!(relay.deliver().await, 1, "after {step} s");
    }
    assert_eq!((relay.calls("PATCH"), relay.states().await), (11, vec![RowState::Pending]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_row_tries_a_lane_that_backs_off_again_but_at_most_once_a_minute() {
    let (relay, _) = with_update().await;
    relay.sandbox.set_faults(vec![always("PATCH", FaultKind::status(500))]);
    for wait in [5, 30, 120, 0] {
        relay.deliver().await;
        relay.advance(Duration::from_secs(wait));
    }
    assert_eq!(relay.calls("PATCH"), 4);
    relay.crm(json!({ "event": "2", "id": 7, "plan": "pro" })).await;
    relay.advance(59 * SECOND);
    assert_eq!(relay.deliver().await, 0);
    relay.advance(SECOND);
    assert_eq!(relay.deliver().await, 1, "the schedule alone would wait for ten minutes");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_server_asks_for_lengthens_the_wait_and_never_shortens_it() {
    for (asked, wait) in [("90", 90), ("1", 25)] {
        let (relay, id) = with_update().await;
        relay.sandbox.set_faults(vec![once("PATCH", FaultKind::status_retry_after(503, asked))]);
        relay.deliver().await;
        relay.advance(Duration::from_secs(wait - 1));
        assert_eq!(relay.deliver().await, 0, "asked for {asked} s");
        relay.advance(SECOND);
        relay.deliver().await;
        assert_eq!(relay.sandbox.contact(id).unwrap().name.as_deref(), Some("Ada"), "asked for {asked} s");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_429_holds_the_whole_account_until_the_clocks_next_minute_and_counts_nothing() {
    let relay = Relay::with("concurrency = 1", "").await;
    let first = relay.linked("1").await;
    let second = relay.linked("2").await;
    relay.advance(20 * SECOND);
    relay.sandbox.set_faults(vec![once("PATCH", FaultKind::status(429))]);
    relay.crm(json!({ "event": "1", "id": 1, "name": "Ada" })).await;
    relay.crm(json!({ "event": "2", "id": 2, "name": "Bob" })).await;
    relay.deliver().await;
    relay.advance(39 * SECOND);
    assert_eq!((relay.deliver().await, relay.calls("PATCH")), (0, 1), "it is 12:00:59");
    relay.advance(2 * SECOND);
    relay.deliver().await;
    for (id, name) in [(first, "Ada"), (second, "Bob")] {
        assert_eq!(relay.sandbox.contact(id).unwrap().name.as_deref(), Some(name));
    }
    assert_eq!(relay.number("SELECT sum(failures) FROM outbox"), 0);
    assert!(relay.pause().await.is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_429_that_names_a_time_is_believed() {
    let (relay, _) = with_update().await;
    relay.sandbox.set_faults(vec![once("PATCH", FaultKind::status_retry_after(429, "300"))]);
    relay.deliver().await;
    relay.advance(299 * SECOND);
    assert_eq!(relay.deliver().await, 0);
    relay.advance(SECOND);
    relay.deliver().await;
    assert_eq!(relay.states().await, [RowState::Delivered]);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_days_of_a_revoked_token_kill_nothing_and_end_by_themselves_when_it_is_mended() {
    let (relay, id) = with_update().await;
    relay.sandbox.set_faults(vec![Fault::new(FaultKind::RevokedToken)]);
    for hour in 0..48 {
        relay.deliver().await;
        relay.crm(json!({ "event": format!("h{hour}"), "id": 7, "plan": format!("p{hour}") })).await;
        relay.advance(HOUR);
    }
    assert_eq!(relay.calls("PATCH"), 1, "after the first refusal only probes are made");
    let pause = relay.pause().await.unwrap();
    assert_eq!(pause.code.as_deref(), Some("token_refused"));
    assert_eq!(pause.at, relay.clock.now() - 2 * DAY);
    assert!(relay.states().await.iter().all(|state| *state == RowState::Pending));
    assert_eq!(relay.number("SELECT sum(failures) FROM outbox"), 0);
    relay.sandbox.clear_faults();
    relay.advance(60 * SECOND);
    relay.deliver().await;
    assert!(relay.pause().await.is_none());
    let contact = relay.sandbox.contact(id).unwrap();
    assert_eq!((contact.name.as_deref(), &contact.custom_attributes["plan"]), (Some("Ada"), &json!("p47")));
    assert_eq!(relay.calls("PATCH"), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_that_a_person_paused_is_not_probed_and_not_resumed() {
    let (relay, _) = with_update().await;
    let pause = contact_relay::store::Pause {
        at: relay.clock.now(),
        by: contact_relay::store::PausedBy::Hand,
        code: None,
        reason: "for the move".to_owned(),
        probe_at: None,
        probes: 0,
    };
    relay.app.store.set_pause("store", Some(pause)).await.unwrap();
    relay.advance(10 * DAY);
    assert_eq!(relay.deliver().await, 0);
    assert!(relay.sandbox.calls().is_empty());
    relay.app.store.set_pause("store", None).await.unwrap();
    relay.deliver().await;
    assert_eq!(relay.states().await, [RowState::Delivered]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_header_is_told_from_a_refused_token_and_the_other_header_mends_it() {
    let (mut relay, _) = with_update().await;
    relay.sandbox.set_faults(vec![Fault::new(FaultKind::HeaderLost)]);
    relay.deliver().await;
    let pause = relay.pause().await.unwrap();
    assert_eq!(pause.code.as_deref(), Some("header_lost"));
    assert!(pause.reason.contains("token_header = \"Api-Access-Token\""), "{}", pause.reason);
    relay.restart_with(r#"token_header = "Api-Access-Token""#, "").await;
    relay.advance(60 * SECOND);
    relay.deliver().await;
    assert_eq!(relay.states().await, [RowState::Delivered]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_in_place_of_the_api_pauses_the_account_as_a_wrong_address() {
    for kind in [FaultKind::Html404, FaultKind::LoginPage] {
        let (relay, _) = with_update().await;
        relay.sandbox.set_faults(vec![Fault::new(kind)]);
        relay.deliver().await;
        let pause = relay.pause().await.unwrap();
        assert_eq!(pause.code.as_deref(), Some("wrong_address"));
        assert!(pause.reason.contains("base_url"), "{}", pause.reason);
        assert_eq!((relay.states().await, relay.row(0).await.failures), (vec![RowState::Pending], 0));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redirect_is_never_followed_so_the_token_reaches_no_other_host() {
    for code in [301, 302, 307, 308] {
        let (relay, _) = with_update().await;
        let elsewhere = Sandbox::start(Options::default()).await.unwrap();
        let kind = FaultKind::Status {
            code,
            body: None,
            content_type: None,
            retry_after: None,
            location: Some(format!("{}/api/v1/accounts/1/contacts/1", elsewhere.base_url())),
        };
        relay.sandbox.set_faults(vec![Fault::new(kind)]);
        relay.deliver().await;
        relay.advance(60 * SECOND);
        relay.deliver().await;
        assert!(elsewhere.calls().is_empty(), "{code}");
        let reason = relay.pause().await.unwrap().reason;
        assert!(reason.contains(&elsewhere.base_url()) && reason.contains("not followed"), "{code}: {reason}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_dies_only_when_it_is_a_week_old_and_a_retry_by_hand_brings_it_back_in_its_old_place() {
    let relay = Relay::start().await;
    let id = relay.linked("7").await;
    let began = relay.clock.now();
    relay.crm(json!({ "event": "1", "id": 7, "name": "Old", "plan": "pro" })).await;
    relay.sandbox.set_faults(vec![of_contact(id, FaultKind::Drop)]);
    while relay.states().await == [RowState::Pending] {
        relay.deliver().await;
        relay.advance(HOUR);
    }
    let row = relay.row(0).await;
    assert_eq!((row.state, row.reason_code.as_deref()), (RowState::Dead, Some("gave_up")));
    assert!(row.failures >= 12, "{}", row.failures);
    let age = row.settled_at.unwrap().since(began);
    assert!(age >= 7 * DAY && age < 8 * DAY, "{age:?}");

    relay.sandbox.clear_faults();
    relay.crm(json!({ "event": "2", "id": 7, "name": "New" })).await;
    relay.deliver().await;
    assert_eq!(relay.app.store.retry(row.id, relay.clock.now()).await.unwrap(), RetryOutcome::Done);
    relay.deliver().await;
    let contact = relay.sandbox.contact(id).unwrap();
    assert_eq!((contact.name.as_deref(), &contact.custom_attributes["plan"]), (Some("New"), &json!("pro")));
    assert_eq!(relay.outcomes(0).await, json!({ "name": "superseded", "custom_attributes.plan": "delivered" }));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_is_old_enough_lives_until_it_has_failed_often_enough() {
    let retry = "retry.schedule = [\"30m\"]\nretry.max_age = \"1h\"\nretry.max_failures = 5";
    let relay = Relay::with(retry, "").await;
    let id = relay.linked("7").await;
    relay.crm(json!({ "event": "1", "id": 7, "name": "Ada" })).await;
    relay.sandbox.set_faults(vec![of_contact(id, FaultKind::Drop)]);
    for failures in 1..5 {
        relay.deliver().await;
        assert_eq!((relay.states().await, relay.row(0).await.failures), (vec![RowState::Pending], failures));
        relay.advance(HOUR / 2);
    }
    relay.deliver().await;
    assert_eq!(relay.states().await, [RowState::Dead]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_500_counts_against_a_row_only_if_another_contact_succeeded_meanwhile() {
    let (relay, id) = with_update().await;
    relay.linked("8").await;
    relay.sandbox.set_faults(vec![of_contact(id, FaultKind::status(500))]);
    for _ in 0..4 {
        relay.deliver().await;
        relay.advance(HOUR);
    }
    assert_eq!(relay.row(0).await.failures, 0, "the server may be at fault");
    relay.crm(json!({ "event": "2", "id": 8, "name": "Bob" })).await;
    relay.deliver().await;
    relay.advance(HOUR);
    relay.deliver().await;
    assert_eq!(relay.row(0).await.failures, 1, "another contact was written since");
    relay.advance(12 * HOUR);
    relay.deliver().await;
    assert_eq!(relay.row(0).await.failures, 1, "nobody was since");
}

#[tokio::test(flavor = "multi_thread")]
async fn after_three_500s_rows_go_one_by_one_and_one_that_keeps_failing_lets_the_others_pass() {
    let relay = Relay::start().await;
    let id = relay.linked("7").await;
    relay.crm(json!({ "event": "1", "id": 7, "name": "Poison", "at": "2026-11-22T11:00:00Z" })).await;
    relay.crm(json!({ "event": "2", "id": 7, "plan": "pro", "at": "2026-11-22T11:00:01Z" })).await;
    relay.crm(json!({ "event": "3", "id": 7, "city": "Haifa", "at": "2026-11-22T11:00:02Z" })).await;
    // Three times merged, and once the oldest alone.
    relay.sandbox.set_faults(vec![always("PATCH", FaultKind::status(500)).times(4)]);
    for wait in [5, 30, 120, 600] {
        relay.deliver().await;
        relay.advance(Duration::from_secs(wait));
    }
    relay.deliver().await;
    let bodies = relay.bodies("PATCH");
    assert!(bodies[..3].iter().all(|body| body.as_object().unwrap().len() == 2), "{bodies:?}");
    assert_eq!(bodies[3], json!({ "name": "Poison" }), "the oldest first");
    assert_eq!(bodies[4], json!({ "custom_attributes": { "plan": "pro" } }), "the next is not held back");
    assert_eq!(bodies[5], json!({ "custom_attributes": { "city": "Haifa" } }));
    relay.deliver_all(HOUR, 5).await;
    assert_eq!(relay.sandbox.contact(id).unwrap().name.as_deref(), Some("Poison"));
    assert!(relay.states().await.iter().all(|state| *state == RowState::Delivered));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_down_is_tried_again_until_it_is_up() {
    let (mut relay, id) = with_update().await;
    let listen = relay.sandbox.base_url().trim_start_matches("http://").parse().unwrap();
    let other = Sandbox::start(Options::default()).await.unwrap();
    std::mem::replace(&mut relay.sandbox, other).stop().await;
    relay.deliver().await;
    assert_eq!((relay.states().await, relay.row(0).await.failures), (vec![RowState::Pending], 1));
    assert_eq!(relay.text("SELECT code FROM attempts"), "not_connected");
    assert!(relay.pause().await.is_none());
    let again = Options { listen, clock: relay.clock.clone(), ..Options::default() };
    relay.sandbox = Sandbox::start(again).await.unwrap();
    assert_eq!(relay.sandbox.seed(NewContact { id: Some(id), ..NewContact::default() }), id);
    relay.advance(5 * SECOND);
    relay.deliver().await;
    assert_eq!(relay.sandbox.contact(id).unwrap().name.as_deref(), Some("Ada"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_without_an_answer_leaves_its_lane_quiet_and_other_contacts_go_on() {
    let relay = Relay::with("call_timeout = \"1s\"\nconnect_timeout = \"1s\"", "").await;
    let id = relay.linked("7").await;
    let other = relay.linked("8").await;
    relay.sandbox.set_faults(vec![of_contact(id, FaultKind::Hang)]);
    relay.crm(json!({ "event": "1", "id": 7, "name": "Ada" })).await;
    relay.deliver().await;
    assert_eq!(relay.text("SELECT verdict || ' ' || code FROM attempts"), "unknown no_answer");
    relay.sandbox.clear_faults();
    // Neither a new row nor the schedule's five seconds end the quiet.
    relay.advance(10 * SECOND);
    relay.crm(json!({ "event": "2", "id": 7, "plan": "pro" })).await;
    relay.crm(json!({ "event": "3", "id": 8, "name": "Bob" })).await;
    relay.deliver().await;
    assert_eq!(relay.sandbox.contact(other).unwrap().name.as_deref(), Some("Bob"));
    assert_eq!(relay.sandbox.contact(id).unwrap().name.as_deref().unwrap_or_default(), "");
    relay.advance(SECOND);
    relay.deliver().await;
    assert_eq!(relay.sandbox.contact(id).unwrap().name.as_deref(), Some("Ada"));
    assert!(relay.states().await.iter().all(|state| *state == RowState::Delivered));
}
