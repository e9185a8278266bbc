//! A webhook that comes again is answered and stored once; what only looks like it is stored as its own.

use std::{collections::BTreeSet, time::Duration};

use contact_relay::sources::Draft;
use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::harness::{Answer, Relay};

const HOUR: Duration = Duration::from_hours(1);
const MILLISECOND: Duration = Duration::from_millis(1);

/// A source whose webhooks have no id, with a window other than the default.
const FORM: &str = r#"
[sources.form]
secret = "a-secret-of-the-tests"
repeat_window = "2h"
[sources.form.verify]
scheme = "hmac"
algorithm = "sha256"
signature = { header = "X-Signature", encoding = "hex" }
signed = "{body}"
[sources.form.map]
email = '.email'
"#;

/// Looks for the id where it is not.
const BROKEN_MAP: &str = "identifier = '.ident'\nname = '.nom'";
const MENDED_MAP: &str = "identifier = '.id'\nname = '.nom'";

/// A source as `form`, with ids and with the map that a test chooses.
fn mended(when: &str, map: &str) -> String {
    format!(
        r#"
[sources.late]
secret = "a-secret-of-the-tests"
[sources.late.verify]
scheme = "hmac"
algorithm = "sha256"
signature = {{ header = "X-Signature", encoding = "hex" }}
signed = "{{body}}"
[sources.late.event]
id = '.event'
when = '{when}'
occurred_at = '.at'
[sources.late.map]
{map}
"#
    )
}

#[track_caller]
fn is(answer: &Answer, status: &str) -> i64 {
    assert_eq!((answer.status, answer.body["status"].as_str()), (200, Some(status)), "{answer:?}");
    answer.webhook()
}

fn webhooks(relay: &Relay) -> i64 {
    relay.number("SELECT count(*) FROM webhooks")
}

fn rows(relay: &Relay) -> i64 {
    relay.number("SELECT count(*) FROM outbox")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeat_is_answered_200_with_the_id_of_the_first_and_stores_nothing() {
    let relay = Relay::start().await;
    let body = json!({ "event": "e1", "id": 7, "name": "Ada" });
    let first = relay.crm(body.clone()).await;
    // Whenever it comes: keys outlive what was delivered, and an id does not run out as a digest does.
    relay.deliver().await;
    relay.advance(40 * 24 * HOUR);
    assert_eq!(is(&relay.send("crm", body).await, "duplicate"), first);
    assert_eq!((webhooks(&relay), rows(&relay)), (1, 1));
    assert_eq!(relay.deliver().await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeat_is_known_after_a_restart() {
    let mut relay = Relay::start().await;
    let body = json!({ "event": "e1", "id": 7, "name": "Ada" });
    let first = relay.crm(body.clone()).await;
    relay.restart().await;
    assert_eq!(is(&relay.send("crm", body).await, "duplicate"), first);
    assert_eq!(webhooks(&relay), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_of_the_same_at_once_are_one_webhook_and_fifty_answers() {
    let relay = Relay::start().await;
    let body = json!({ "event": "e1", "id": 7, "name": "Ada" });
    let answers = join_all((0..50).map(|_| relay.send("crm", body.clone()))).await;
    let ids: BTreeSet<i64> = answers.iter().map(Answer::webhook).collect();
    let accepted = answers.iter().filter(|answer| answer.body["status"] == "accepted").count();
    let repeated = answers.iter().filter(|answer| answer.body["status"] == "duplicate").count();
    assert_eq!((ids.len(), accepted, repeated), (1, 1, 49));
    assert_eq!((webhooks(&relay), rows(&relay)), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_bodies_under_one_event_id_at_once_are_all_kept_once() {
    let relay = Relay::start().await;
    let body = |n: usize| json!({ "event": "e1", "id": 7, "name": format!("Ada {}", n % 25) });
    let answers = join_all((0..50).map(|n| relay.send("crm", body(n)))).await;
    assert!(answers.iter().all(|answer| answer.status == 200), "{answers:?}");
    assert_eq!((webhooks(&relay), rows(&relay)), (25, 25));
    assert_eq!(relay.number("SELECT count(*) FROM webhooks WHERE first_webhook_id IS NULL"), 1);
    assert_eq!(relay.number("SELECT count(DISTINCT first_webhook_id) FROM webhooks"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_id_with_another_body_is_a_webhook_of_its_own_that_names_the_first() {
    let relay = Relay::start().await;
    let (one, other) =
        (json!({ "event": "e1", "id": 7, "name": "Ada" }), json!({ "event": "e1", "id": 7, "name": "Eve" }));
    let first = relay.crm(one.clone()).await;
    let second = relay.crm(other.clone()).await;
    assert_ne!(first, second);
    assert_eq!(relay.number(&format!("SELECT first_webhook_id FROM webhooks WHERE id = {second}")), first);
    // From now on each is known as itself.
    assert_eq!(is(&relay.send("crm", other).await, "duplicate"), second);
    assert_eq!(is(&relay.send("crm", one).await, "duplicate"), first);
    assert_eq!((webhooks(&relay), rows(&relay)), (2, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_event_id_under_two_topics_or_from_two_sources_is_two_webhooks() {
    let tables = mended("true", "identifier = '.id'");
    let relay = Relay::with("", &tables).await;
    let body = |topic: &str| json!({ "event": "e1", "type": topic, "id": 7 });
    let created = relay.crm(body("created")).await;
    let updated = relay.crm(body("updated")).await;
    let elsewhere = is(&relay.send("late", body("created")).await, "accepted");
    assert_eq!(BTreeSet::from([created, updated, elsewhere]).len(), 3);
    assert_eq!(relay.number("SELECT count(*) FROM webhooks WHERE first_webhook_id IS NOT NULL"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_an_id_the_same_body_is_a_repeat_within_the_window_and_news_after_it() {
    let relay = Relay::with("", FORM).await;
    let body = json!({ "email": "ada@example.test" });
    let first = is(&relay.send("form", body.clone()).await, "accepted");
    relay.advance(2 * HOUR);
    assert_eq!(is(&relay.send("form", body.clone()).await, "duplicate"), first);
    // The window is that of the first: a repeat does not prolong it.
    relay.advance(MILLISECOND);
    let second = is(&relay.send("form", body.clone()).await, "accepted");
    assert_ne!(first, second);
    assert_eq!(relay.number(&format!("SELECT first_webhook_id IS NULL FROM webhooks WHERE id = {second}")), 1);
    relay.advance(HOUR);
    assert_eq!(is(&relay.send("form", body).await, "duplicate"), second);
    assert_eq!((webhooks(&relay), rows(&relay)), (2, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_an_id_another_byte_is_another_webhook() {
    let relay = Relay::with("", FORM).await;
    let send = |body: &'static str| relay.post(relay.sign_bytes("form", body, &[]));
    let first = is(&send(r#"{"email":"ada@example.test"}"#).await, "accepted");
    let second = is(&send(r#"{"email":"ada@example.test" }"#).await, "accepted");
    assert_ne!(first, second);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ignored_webhook_is_stored_once_and_says_so() {
    let relay = Relay::start().await;
    let body = json!({ "event": "e1", "type": "ping" });
    let first = is(&relay.send("crm", body.clone()).await, "ignored");
    assert_eq!(is(&relay.send("crm", body).await, "duplicate"), first);
    assert_eq!(
        relay.table("SELECT outcome, reason, body IS NOT NULL AS has_body FROM webhooks"),
        json!([{ "outcome": "ignored", "reason": "event.when is false", "has_body": 1 }])
    );
    assert_eq!(rows(&relay), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeat_of_a_webhook_that_could_not_be_mapped_is_mapped_by_the_mended_mapping_once() {
    let mut relay = Relay::with("", &mended("true", BROKEN_MAP)).await;
    let body = json!({ "event": "e1", "id": 7, "nom": "Ada" });
    let first = is(&relay.send("late", body.clone()).await, "accepted");
    assert_eq!(is(&relay.send("late", body.clone()).await, "duplicate"), first, "nothing was mended yet");
    assert_eq!(relay.sql("SELECT outcome FROM webhooks"), "unmappable");
    relay.restart_with("", &mended("true", MENDED_MAP)).await;
    assert_eq!(is(&relay.send("late", body.clone()).await, "accepted"), first);
    assert_eq!(
        relay.table("SELECT outcome, reason, left_out FROM webhooks"),
        json!([{ "outcome": "mapped", "reason": null, "left_out": null }])
    );
    assert_eq!(relay.table("SELECT identifier FROM outbox"), json!([{ "identifier": "7" }]));
    assert_eq!(is(&relay.send("late", body).await, "duplicate"), first);
    assert_eq!((webhooks(&relay), rows(&relay)), (1, 1));
    relay.deliver().await;
    assert_eq!(relay.sandbox.contacts().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeat_that_the_mended_mapping_ignores_is_ignored() {
    let mut relay = Relay::with("", &mended("error", "identifier = '.id'")).await;
    let body = json!({ "event": "e1", "id": 7 });
    let first = is(&relay.send("late", body.clone()).await, "accepted");
    relay.restart_with("", &mended("false", "identifier = '.id'")).await;
    assert_eq!(is(&relay.send("late", body).await, "ignored"), first);
    assert_eq!(relay.sql("SELECT outcome FROM webhooks"), "ignored");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeat_that_is_mapped_late_keeps_the_place_of_the_first_in_the_order() {
    let mut relay = Relay::with("", &mended("true", BROKEN_MAP)).await;
    let older = json!({ "event": "e1", "id": 7, "nom": "Older" });
    is(&relay.send("late", older.clone()).await, "accepted");
    relay.restart_with("", &mended("true", MENDED_MAP)).await;
    relay.advance(MILLISECOND);
    is(&relay.send("late", json!({ "event": "e2", "id": 7, "nom": "Newer" })).await, "accepted");
    relay.advance(MILLISECOND);
    is(&relay.send("late", older).await, "accepted");
    relay.deliver().await;
    assert_eq!(relay.sandbox.contacts()[0].name.as_deref(), Some("Newer"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeat_is_mapped_although_a_replay_through_a_broken_mapping_came_between() {
    let good = mended("true", "identifier = '.id'");
    let mut relay = Relay::with("", &good).await;
    let body = json!({ "event": "e1", "id": 7 });
    let first = is(&relay.send("late", body.clone()).await, "accepted");
    relay.restart_with("", &mended("true", BROKEN_MAP)).await;
    let record = relay.app.store.webhook(first).await.unwrap().unwrap();
    let anew = relay.app.ingest.remap(&record, relay.clock.now()).unwrap();
    relay.app.store.replay(anew).await.unwrap();
    assert_eq!(relay.sql("SELECT outcome FROM webhooks"), "unmappable");
    relay.restart_with("", &good).await;
    assert_eq!(is(&relay.send("late", body).await, "accepted"), first);
    assert_eq!(relay.table("SELECT run FROM outbox ORDER BY run"), json!([{ "run": 0 }, { "run": 1 }]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_of_two_sources_without_ids_is_two_webhooks() {
    let again = FORM.replace("sources.form", "sources.form2");
    let relay = Relay::with("", &format!("{FORM}{again}")).await;
    let body = json!({ "email": "ada@example.test" });
    let first = is(&relay.send("form", body.clone()).await, "accepted");
    let second = is(&relay.send("form2", body).await, "accepted");
    assert_ne!(first, second);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_repeat_of_a_known_webhook_is_not_told_that_it_is_known() {
    let relay = Relay::start().await;
    let body: Value = json!({ "event": "e1", "id": 7 });
    relay.crm(body.clone()).await;
    let unsigned = Draft::post("/hooks/crm", "application/json", body.to_string()).0;
    let answer = relay.post(unsigned).await;
    assert_eq!((answer.status, answer.body["code"].as_str()), (401, Some("signature")));
}
