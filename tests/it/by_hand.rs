//! What people do to the outbox, and the books that must balance whatever they do.

use std::time::Duration;

use contact_relay::{
    sandbox::{Fault, FaultKind, Match, NewContact},
    store::{RetryOutcome, RowState},
};
use serde_json::json;

use crate::harness::{Relay, SECRET, once, refusing};

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test(flavor = "multi_thread")]
async fn a_row_in_a_call_can_be_neither_retried_nor_discarded() {
    let relay = Relay::start().await;
    relay.linked("7").await;
    relay.crm(json!({ "event": "1", "id": 7, "name": "Ada" })).await;
    let row = relay.row(0).await.id;
    let gate = relay.sandbox.hold(Match::method("PATCH"));
    let delivering = relay.delivering();
    gate.arrived(1).await;
    let now = relay.clock.now();
    assert_eq!(relay.app.store.retry(row, now).await.unwrap(), RetryOutcome::InCall);
    assert_eq!(relay.app.store.discard(row, "a mistake", now).await.unwrap(), RetryOutcome::InCall);
    assert_eq!(relay.states().await, [RowState::Leased]);
    gate.release();
    delivering.await.unwrap();
    assert_eq!(relay.states().await, [RowState::Delivered]);
    let settled = RetryOutcome::NotApplicable(RowState::Delivered);
    assert_eq!(relay.app.store.retry(row, now).await.unwrap(), settled);
    assert_eq!(relay.app.store.discard(row, "too late", now).await.unwrap(), settled);
    assert_eq!(relay.app.store.retry(row + 1, now).await.unwrap(), RetryOutcome::NoSuchRow);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_discarded_row_is_never_sent_and_says_why() {
    let relay = Relay::start().await;
    let id = relay.linked("7").await;
    relay.sandbox.set_faults(vec![once("PATCH", FaultKind::status(500))]);
    relay.crm(json!({ "event": "1", "id": 7, "name": "Wrong" })).await;
    relay.crm(json!({ "event": "2", "id": 7, "plan": "pro" })).await;
    relay.deliver().await;
    let row = relay.row(0).await.id;
    assert_eq!(relay.app.store.discard(row, "a mistake", relay.clock.now()).await.unwrap(), RetryOutcome::Done);
    relay.deliver_all(5 * SECOND, 5).await;
    assert_eq!(relay.states().await, [RowState::Discarded, RowState::Delivered]);
    assert_eq!(relay.bodies("PATCH")[1], json!({ "custom_attributes": { "plan": "pro" } }));
    assert_eq!(relay.sandbox.contact(id).unwrap().name.as_deref().unwrap_or_default(), "");
    let row = relay.row(0).await;
    assert_eq!((row.reason_code.as_deref(), row.reason.as_deref()), (Some("by_hand"), Some("a mistake")));
    assert_eq!(relay.number("SELECT count(*) FROM lanes"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retry_by_hand_does_not_wait_for_the_schedule() {
    let relay = Relay::start().await;
    relay.linked("7").await;
    relay.sandbox.set_faults(vec![once("PATCH", FaultKind::status(500))]);
    relay.crm(json!({ "event": "1", "id": 7, "name": "Ada" })).await;
    relay.deliver().await;
    assert_eq!(relay.deliver().await, 0);
    relay.app.store.retry(relay.row(0).await.id, relay.clock.now()).await.unwrap();
    relay.deliver().await;
    assert_eq!(relay.states().await, [RowState::Delivered]);
}

/// A source whose mapping can be mended.
fn leads(name: &str, more: &str) -> String {
    format!(
        r#"
[sources.leads]
secret = "{SECRET}"
{more}
[sources.leads.verify]
scheme = "hmac"
algorithm = "sha256"
signature = {{ header = "X-Signature", encoding = "hex" }}
signed = "{{body}}"
[sources.leads.event]
id = '.event'
topic = '.type'
[sources.leads.map]
identifier = '.id'
name = '{name}'
custom_attributes.plan = '.plan'
"#
    )
}

async fn replay(relay: &Relay, webhook: i64) -> u64 {
    let record = relay.app.store.webhook(webhook).await.unwrap().unwrap();
    let remapped = relay.app.ingest.remap(&record, relay.clock.now()).unwrap();
    relay.app.store.replay(remapped).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_through_a_mended_mapping_corrects_what_the_same_webhook_wrote_and_nothing_newer() {
    let mut relay = Relay::with("", &leads(".nick", "")).await;
    let id = relay.linked("7").await;
    let body = json!({ "event": "1", "id": 7, "nick": "ada99", "full": "Ada Lovelace", "plan": "basic" });
    let webhook = relay.send("leads", body).await.webhook();
    relay.deliver().await;
    relay.advance(SECOND);
    relay.send("leads", json!({ "event": "2", "id": 7, "plan": "pro" })).await;
    relay.deliver().await;
    assert_eq!(relay.sandbox.contact(id).unwrap().name.as_deref(), Some("ada99"));

    relay.restart_with("", &leads(".full", "")).await;
    relay.advance(60 * SECOND);
    assert_eq!(replay(&relay, webhook).await, 1);
    relay.deliver().await;
    let contact = relay.sandbox.contact(id).unwrap();
    assert_eq!(contact.name.as_deref(), Some("Ada Lovelace"));
    assert_eq!(contact.custom_attributes["plan"], "pro", "it is newer than the webhook that was replayed");
    let rows = relay.rows().await;
    assert_eq!((rows[2].run, rows[2].effective_at), (1, rows[0].effective_at));
    assert_eq!(relay.outcomes(2).await, json!({ "name": "delivered", "custom_attributes.plan": "superseded" }));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_that_could_not_be_mapped_is_delivered_by_a_replay_through_a_mended_mapping() {
    let mut relay = Relay::with("", &leads("error(\"no\")", "")).await;
    let id = relay.linked("7").await;
    let answer = relay.send("leads", json!({ "event": "1", "id": 7, "full": "Ada" })).await;
    assert_eq!(answer.status, 200, "a fault of the mapping is not the sender's");
    relay.restart_with("", &leads(".full", "")).await;
    assert_eq!(replay(&relay, answer.webhook()).await, 1);
    relay.deliver_all(SECOND, 2).await;
    assert_eq!(relay.sandbox.contact(id).unwrap().name.as_deref(), Some("Ada"));
    balance(&relay);
}

#[tokio::test(flavor = "multi_thread")]
async fn updates_of_a_paused_source_wait_and_hold_nobody_else_back() {
    let mut relay = Relay::with("concurrency = 1", &leads(".name", "paused = true")).await;
    let paused = relay.linked("7").await;
    let other = relay.linked("8").await;
    relay.send("leads", json!({ "event": "1", "id": 7, "name": "Ada" })).await;
    relay.crm(json!({ "event": "1", "id": 7, "city": "Haifa" })).await;
    relay.send("leads", json!({ "event": "2", "id": "new", "name": "Eve" })).await;
    relay.crm(json!({ "event": "2", "id": 8, "name": "Bob" })).await;
    relay.deliver().await;
    assert_eq!(relay.sandbox.contact(other).unwrap().name.as_deref(), Some("Bob"));
    let contact = relay.sandbox.contact(paused).unwrap();
    assert_eq!(
        (contact.name.as_deref().unwrap_or_default(), &contact.custom_attributes["city"]),
        ("", &json!("Haifa"))
    );
    relay.advance(Duration::from_hours(48));
    relay.deliver().await;
    let waiting = [RowState::Pending, RowState::Delivered, RowState::Pending, RowState::Delivered];
    assert_eq!(relay.states().await, waiting);

    relay.restart_with("", &leads(".name", "")).await;
    relay.deliver().await;
    assert_eq!(relay.sandbox.contact(paused).unwrap().name.as_deref(), Some("Ada"));
    assert!(relay.states().await.iter().all(|state| *state == RowState::Delivered));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_makes_no_writing_call_and_the_audit_shows_what_would_have_been_written() {
    let relay = Relay::with("dry_run = true", "").await;
    let linked = relay.linked("7").await;
    let found = relay.sandbox.seed(NewContact { identifier: Some("8".to_owned()), ..NewContact::default() });
    for (event, id) in [("1", 7), ("2", 8), ("3", 9)] {
        relay.crm(json!({ "event": event, "id": id, "name": "Ada" })).await;
    }
    relay.deliver_all(SECOND, 3).await;
    assert_eq!(relay.calls("PATCH") + relay.calls("POST"), 0);
    assert_eq!(relay.sandbox.contacts().len(), 2);
    for id in [linked, found] {
        assert_eq!(relay.sandbox.contact(id).unwrap().name.as_deref().unwrap_or_default(), "");
    }
    let shown = "SELECT count(*) FROM audit WHERE reason LIKE 'dry_run%' AND json_extract(outcomes, '$.name') = 'dry_run' \
        AND json_extract(changes, '$.name') = 'Ada'";
    assert_eq!(relay.number(shown), 3);
    assert_eq!(relay.number("SELECT count(*) FROM attempts WHERE verdict = 'unknown'"), 0);
    assert_eq!(relay.number("SELECT count(*) FROM written"), 0);
}

/// Holds the counters that the transactions kept against each other and against the tables, source by source.
fn balance(relay: &Relay) {
    let wrong = relay.text(
        "WITH sums AS (SELECT source, \
            sum(count) FILTER (WHERE counter = 'accepted') AS accepted, \
            coalesce(sum(count) FILTER (WHERE counter IN ('mapped', 'ignored', 'unmappable')), 0) AS outcomes, \
            coalesce(sum(count) FILTER (WHERE counter = 'rows_made'), 0) AS made, \
            coalesce(sum(count) FILTER (WHERE counter LIKE 'settled_%'), 0) AS settled \
            FROM books GROUP BY source) \
         SELECT group_concat(source || ': ' || accepted || ' accepted, ' || outcomes || ' outcomes, ' || made || ' made, ' || settled || ' settled') \
         FROM sums WHERE accepted <> outcomes \
            OR made <> settled + (SELECT count(*) FROM outbox WHERE outbox.source = sums.source AND lane_id IS NOT NULL) \
            OR made <> (SELECT count(*) FROM outbox WHERE outbox.source = sums.source) \
            OR accepted <> (SELECT count(*) FROM webhooks WHERE webhooks.source = sums.source)",
    );
    assert_eq!(wrong, "");
    let by_state = relay.text(
        "SELECT group_concat(state) FROM (SELECT DISTINCT state FROM outbox WHERE lane_id IS NULL) AS states \
         WHERE (SELECT count(*) FROM outbox WHERE outbox.state = states.state) \
            <> (SELECT sum(count) FROM books WHERE counter = 'settled_' || states.state)",
    );
    assert_eq!(by_state, "");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_books_balance_after_everything_that_can_happen() {
    let relay = Relay::with("", &leads(".name", "")).await;
    let taken = "+972502345678";
    relay.sandbox.seed(NewContact { phone_number: Some(taken.to_owned()), ..NewContact::default() });
    let id = relay.linked("7").await;
    let other = relay.linked("8").await;
    let gone = relay.linked("gone").await;
    relay.sandbox.delete(gone);
    let send = async |source: &str, body: serde_json::Value| {
        let answer = relay.send(source, body).await;
        assert_eq!(answer.status, 200, "{answer:?}");
    };
    // Ignored, unmappable, repeated, parked, gone, created, superseded, two in one webhook.
    send("crm", json!({ "event": "p", "type": "ping" })).await;
    send("crm", json!({ "event": "u", "users": 7 })).await;
    for _ in 0..2 {
        send("crm", json!({ "event": "1", "id": 7, "name": "Ada", "phone": taken })).await;
    }
    send("crm", json!({ "event": "2", "id": "gone", "name": "Eve" })).await;
    send("crm", json!({ "event": "3", "users": [{ "id": 7, "plan": "a" }, { "id": 8, "plan": "b" }, {}] })).await;
    send("leads", json!({ "event": "4", "id": 8, "name": "Old" })).await;
    send("leads", json!({ "event": "5", "id": 8, "name": "New" })).await;
    send("leads", json!({ "event": "6", "id": "new", "name": "Noa" })).await;
    balance(&relay);
    relay.sandbox.set_faults(vec![once("PATCH", FaultKind::status(500)), once("PATCH", FaultKind::DropAfter)]);
    relay.deliver_all(30 * SECOND, 10).await;
    balance(&relay);
    // Dead, on another day, and then back; one given up by hand, dead or open.
    relay.advance(Duration::from_hours(24));
    relay.sandbox.set_faults(vec![
        Fault::new(FaultKind::status(400))
            .when(Match { method: Some("PATCH".to_owned()), ..Match::contact(other) })
            .times(2),
    ]);
    for event in ["7", "8"] {
        send("leads", json!({ "event": event, "id": 8, "name": event })).await;
        relay.deliver().await;
    }
    balance(&relay);
    relay.advance(Duration::from_hours(24));
    let now = relay.clock.now();
    let dead: Vec<i64> =
        relay.rows().await.iter().filter(|row| row.state == RowState::Dead).map(|row| row.id).collect();
    assert_eq!(dead.len(), 2);
    relay.app.store.retry(dead[0], now).await.unwrap();
    relay.app.store.discard(dead[1], "by hand", now).await.unwrap();
    balance(&relay);
    let conflict = relay.rows().await.into_iter().find(|row| row.reason_code.as_deref() == Some("contact_gone"));
    relay.app.store.discard(conflict.unwrap().id, "she left", now).await.unwrap();
    relay.deliver().await;
    // The parked number is overtaken, and a value is refused for good.
    send("crm", json!({ "event": "9", "id": 7, "phone": "+972502345679" })).await;
    relay.deliver().await;
    relay.sandbox.set_faults(vec![once("PATCH", refusing(&["name"]))]);
    send("crm", json!({ "event": "10", "id": 7, "name": "Refused" })).await;
    relay.deliver().await;
    balance(&relay);
    assert_eq!(relay.sandbox.contact(id).unwrap().phone_number.as_deref(), Some("+972502345679"));
    let states = relay.app.store.outbox_counts().await.unwrap();
    for state in [RowState::Delivered, RowState::Superseded, RowState::Discarded, RowState::Conflict] {
        assert!(states.contains_key(&state), "{states:?}");
    }
}
