//! From the port to the file: stored before acknowledged, and what mapping makes of odd values.

use std::{io::Write as _, process, time::Duration};

use contact_relay::ingest::Received;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;

use crate::{
    harness::{Relay, shopify_customer},
    raw,
};

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test(flavor = "multi_thread")]
async fn when_the_answer_arrives_another_process_reads_the_webhook_and_its_row_in_the_file() {
    let relay = Relay::start().await;
    let body = r#"{ "event": "e1", "type": "user.changed", "id": 7, "name": "Ada" }"#;
    let answer = relay.post(relay.sign_bytes("crm", body, &[("X-Request-Id", "r-1")])).await;
    assert_eq!((answer.status, &answer.body), (200, &json!({ "webhook": 1, "status": "accepted" })));
    assert_eq!(
        relay.table(
            "SELECT id, source, topic, event_id, received_at, content_type, method, query, secret, outcome, \
                 CAST(body AS TEXT) = '{ \"event\": \"e1\", \"type\": \"user.changed\", \"id\": 7, \"name\": \"Ada\" }' AS body_is_whole \
             FROM webhooks"
        ),
        json!([{
            "id": 1,
            "source": "crm",
            "topic": "user.changed",
            "event_id": "e1",
            "received_at": relay.clock.now().as_millis(),
            "content_type": "application/json",
            "method": "POST",
            "query": "",
            "secret": 0,
            "outcome": "mapped",
            "body_is_whole": 1,
        }])
    );
    assert_eq!(relay.sql("SELECT headers ->> 'x-request-id' FROM webhooks"), "r-1");
    assert_eq!(
        relay.table("SELECT webhook_id, element, run, state, account, key FROM outbox"),
        json!([{ "webhook_id": 1, "element": 0, "run": 0, "state": "pending", "account": "store", "key": "7" }])
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_of_any_bytes_is_kept_byte_for_byte() {
    let relay = Relay::start().await;
    let body = "\u{feff}{\"id\": 7,\r\n \"name\":\"\\u05d3\\/נועה\"}\n";
    assert_eq!(relay.post(relay.sign_bytes("crm", body, &[])).await.status, 200);
    assert_eq!(relay.sql("SELECT lower(hex(body)) FROM webhooks"), hex::encode(body));
    assert_eq!(relay.sql("SELECT changes ->> 'name' FROM outbox"), "ד/נועה");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_whose_sender_leaves_right_after_sending_is_stored_all_the_same() {
    let relay = Relay::start().await;
    let request = relay.sign("crm", &json!({ "event": "e1", "id": 7 }), &[]);
    let head = raw::head(&request, &format!("content-length: {}", request.body.len()));
    drop(raw::open(relay.address(), &head, &request.body).await);
    for _ in 0..500 {
        if relay.number("SELECT count(*) FROM outbox") == 1 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("it was never stored");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_that_waits_for_its_commit_is_stored_although_nobody_waits_for_the_answer() {
    let relay = Relay::start().await;
    let lock = WriteLock::take(&relay);
    let request = relay.sign("crm", &json!({ "event": "e1", "id": 7 }), &[]);
    let now = relay.clock.now();
    tokio::select! {
        biased;
        answer = relay.app.ingest.receive("crm", request.clone(), now) => panic!("answered while locked: {answer:?}"),
        () = tokio::task::yield_now() => {} // It is queued, and now nobody asks for its answer any more.
    }
    assert_eq!(relay.number("SELECT count(*) FROM webhooks"), 0);
    lock.release();
    // The writer takes what is queued in order: this one comes after the other.
    let again = relay.app.ingest.receive("crm", request, now).await.unwrap();
    assert_eq!(again, Received::Duplicate { webhook: 1 });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_ends_too_early_stores_nothing() {
    let relay = Relay::start().await;
    let request = relay.sign("crm", &json!({ "event": "e1", "id": 7 }), &[]);
    let head = raw::head(&request, &format!("content-length: {}", request.body.len() + 1));
    let mut stream = raw::open(relay.address(), &head, &request.body).await;
    stream.shutdown().await.unwrap();
    let mut rest = Vec::new();
    let _ = tokio::io::AsyncReadExt::read_to_end(&mut stream, &mut rest).await;
    assert!(!String::from_utf8_lossy(&rest).contains("200 OK"));
    // One that is whole comes through the same port, and is the only one.
    relay.crm(json!({ "event": "e2", "id": 7 })).await;
    assert_eq!(relay.number("SELECT count(*) FROM webhooks"), 1);
}

// Values that are no good.

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_that_names_nobody_is_answered_200_and_kept_as_unmappable_with_the_reason() {
    let relay = Relay::start().await;
    let answer = relay.send("crm", json!({ "event": "e1", "name": "Ada", "email": "nobody at home" })).await;
    assert_eq!(answer.status, 200);
    let stored = relay.table("SELECT outcome, reason, left_out FROM webhooks");
    assert_eq!(stored[0]["outcome"], "unmappable");
    assert!(stored[0]["reason"].as_str().is_some_and(|reason| reason.contains("identifier")), "{stored}");
    let left_out = stored[0]["left_out"][0]["reason"].as_str().unwrap();
    assert!(left_out.contains("email"), "what was dropped is said: {left_out}");
    assert_eq!(relay.number("SELECT count(*) FROM outbox"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_phone_that_is_none_is_left_out_with_a_reason_and_the_rest_goes_on() {
    let relay = Relay::start().await;
    let id = relay.linked("7").await;
    relay
        .crm(
            json!({ "event": "e1", "id": 7, "name": "Ada", "phone": "call me", "email": "@", "photo": "javascript:0" }),
        )
        .await;
    relay.deliver().await;
    let contact = relay.sandbox.contact(id).unwrap();
    assert_eq!((contact.name.as_deref(), contact.phone_number.as_deref()), (Some("Ada"), None));
    let dropped = &relay.table("SELECT dropped FROM outbox")[0]["dropped"];
    let fields: Vec<_> = dropped.as_array().unwrap().iter().map(|value| value["field"].as_str().unwrap()).collect();
    assert_eq!(fields, ["email", "phone_number", "avatar_url"]);
    assert!(dropped.as_array().unwrap().iter().all(|value| !value["reason"].as_str().unwrap().is_empty()));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expression_that_fails_costs_its_own_field_only() {
    let tables = source("", "identifier = '.id'\nname = '.name | ascii_downcase'\nemail = '.email'");
    let relay = Relay::with("", &tables).await;
    let answer = relay.send("other", json!({ "id": 7, "name": { "first": "Ada" }, "email": "ada@example.test" })).await;
    assert_eq!(answer.body["status"], "accepted");
    let row = relay.table("SELECT changes, dropped FROM outbox");
    assert_eq!(row[0]["changes"], json!({ "email": "ada@example.test" }));
    assert_eq!(row[0]["dropped"][0]["field"], "name");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failing_when_is_unmappable_and_not_a_refusal() {
    let relay = Relay::with("", &source("when = '.type | startswith(\"user.\")'", "identifier = '.id'")).await;
    let answer = relay.send("other", json!({ "type": 12, "id": 7 })).await;
    assert_eq!(answer.status, 200);
    let stored = relay.table("SELECT outcome, reason FROM webhooks");
    assert_eq!(stored[0]["outcome"], "unmappable");
    assert!(stored[0]["reason"].as_str().unwrap().starts_with("event.when: "), "{stored}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_elements_are_a_thousand_rows_and_one_more_is_unmappable_and_not_cut() {
    let relay = Relay::start().await;
    let users = |count: i64| (0..count).map(|id| json!({ "id": id })).collect::<Vec<Value>>();
    relay.crm(json!({ "event": "fits", "users": users(1_000) })).await;
    assert_eq!(relay.number("SELECT count(*) FROM outbox"), 1_000);
    assert_eq!(relay.send("crm", json!({ "event": "over", "users": users(1_001) })).await.status, 200);
    assert_eq!(relay.number("SELECT count(*) FROM outbox"), 1_000);
    assert_eq!(
        relay.table("SELECT outcome, reason FROM webhooks WHERE event_id = 'over'"),
        json!([{ "outcome": "unmappable", "reason": "event.each gave more than 1000 elements" }])
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn one_bad_element_of_three_is_noted_and_the_other_two_are_delivered() {
    let relay = Relay::start().await;
    let (first, third) = (relay.linked("1").await, relay.linked("3").await);
    let users = json!([{ "id": 1, "name": "One" }, { "name": "Two" }, { "id": 3, "name": "Three" }]);
    relay.crm(json!({ "event": "e1", "users": users })).await;
    assert_eq!(relay.table("SELECT element FROM outbox ORDER BY id"), json!([{ "element": 0 }, { "element": 2 }]));
    let stored = relay.table("SELECT outcome, left_out FROM webhooks");
    assert_eq!((&stored[0]["outcome"], &stored[0]["left_out"][0]["element"]), (&json!("mapped"), &json!(1)));
    assert_eq!(stored[0]["left_out"].as_array().unwrap().len(), 1);
    relay.deliver().await;
    let name = |id| relay.sandbox.contact(id).unwrap().name;
    assert_eq!((name(first).as_deref(), name(third).as_deref()), (Some("One"), Some("Three")));
}

#[tokio::test(flavor = "multi_thread")]
async fn texts_with_null_characters_are_stored_whole_and_delivered_without_them() {
    let relay = Relay::start().await;
    let id = relay.linked("7").await;
    let body = r#"{ "event": "e\u00001", "type": "t\u0000x", "id": 7, "name": "A\u0000da", "plan": "p\u0000ro", "city": "x" }"#;
    assert_eq!(relay.post(relay.sign_bytes("crm", body, &[])).await.status, 200);
    // An id that only begins like the other is another one.
    let other = body.replace("u00001", "u00002");
    assert_eq!(relay.post(relay.sign_bytes("crm", other, &[])).await.body["status"], "accepted");
    assert_eq!(relay.post(relay.sign_bytes("crm", body, &[])).await.body["status"], "duplicate");
    relay.deliver().await;
    let contact = relay.sandbox.contact(id).unwrap();
    assert_eq!((contact.name.as_deref(), contact.custom_attributes["city"].as_str()), (Some("A da"), Some("x")));
    let plan = contact.custom_attributes.get("plan").and_then(Value::as_str).unwrap_or_default();
    assert!(!plan.contains('\0'), "{plan:?}");
    assert_eq!(relay.states().await.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_header_that_is_too_long_to_keep_does_not_cost_the_ones_after_it() {
    let relay = Relay::start().await;
    let long = "x".repeat(9_000);
    let headers =
        [("X-A-Proxys-Trace", long.as_str()), ("X-Shopify-Topic", "customers/update"), ("X-Shopify-Webhook-Id", "1")];
    let body = shopify_customer(7, "Ada", "2026-11-22T11:00:00Z");
    assert_eq!(relay.post(relay.sign("shop", &body, &headers)).await.body["status"], "accepted");
    assert_eq!(
        relay.table("SELECT headers FROM webhooks")[0]["headers"],
        json!({
            "content-type": "application/json",
            "x-shopify-topic": "customers/update",
            "x-shopify-webhook-id": "1",
        })
    );
    // They are kept so that it can be mapped again.
    let record = relay.app.store.webhook(1).await.unwrap().unwrap();
    let anew = relay.app.ingest.remap(&record, relay.clock.now()).unwrap();
    assert_eq!(relay.app.store.replay(anew).await.unwrap(), 1);
    let mapped = "SELECT count(DISTINCT changes || key || effective_at) FROM outbox";
    assert_eq!((relay.number(mapped), relay.number("SELECT count(*) FROM outbox")), (1, 2), "a replay maps the same");
}

// The order key.

#[tokio::test(flavor = "multi_thread")]
async fn the_order_key_is_the_earlier_of_occurred_and_received() {
    let relay = Relay::start().await;
    let received = relay.clock.now().as_millis();
    relay.crm(json!({ "event": "past", "id": 1, "at": "2026-11-22T11:00:00Z" })).await;
    relay.crm(json!({ "event": "future", "id": 2, "at": "2026-11-22T13:00:00Z" })).await;
    relay.crm(json!({ "event": "silent", "id": 3 })).await;
    relay.crm(json!({ "event": "nonsense", "id": 4, "at": "yesterday" })).await;
    let hour = 3_600_000;
    assert_eq!(
        relay.table("SELECT occurred_at, effective_at FROM outbox ORDER BY id"),
        json!([
            { "occurred_at": received - hour, "effective_at": received - hour },
            { "occurred_at": received + hour, "effective_at": received },
            { "occurred_at": null, "effective_at": received },
            { "occurred_at": null, "effective_at": received },
        ])
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_time_ahead_of_our_clock_wins_nothing_over_what_comes_after_it() {
    let relay = Relay::start().await;
    let id = relay.linked("7").await;
    relay.crm(json!({ "event": "1", "id": 7, "name": "From the future", "at": "2036-01-01T00:00:00Z" })).await;
    relay.advance(SECOND);
    relay.crm(json!({ "event": "2", "id": 7, "name": "Later", "at": "2026-11-22T12:00:01Z" })).await;
    relay.deliver().await;
    assert_eq!(relay.sandbox.contact(id).unwrap().name.as_deref(), Some("Later"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_time_in_a_header_counts_only_if_the_signature_covers_it() {
    let timed = r#"
signed = "{timestamp}.{body}"
timestamp = { header = "X-Timestamp", unit = "s", tolerance = "1h" }"#;
    let event = "occurred_at = '($headers[\"x-occurred\"] // $headers[\"x-timestamp\"]) | tonumber'";
    let signed = source(event, "identifier = '.id'").replace("\nsigned = \"{body}\"", timed);
    let relay = Relay::with("", &signed).await;
    let signed_at = relay.clock.now().as_millis();
    // X-Occurred stands outside the signature, and would make it the oldest.
    let request = relay.sign("other", &json!({ "id": 7 }), &[("X-Occurred", "1")]);
    relay.advance(600 * SECOND);
    assert_eq!(relay.post(request).await.status, 200);
    assert_eq!(relay.number("SELECT effective_at FROM outbox"), signed_at);
    assert_eq!(relay.number("SELECT signed_at FROM webhooks"), signed_at);
}

/// A table of the source `other`, with keys of its event and its map.
fn source(event: &str, map: &str) -> String {
    format!(
        r#"
[sources.other]
secret = "a-secret-of-the-tests"
[sources.other.verify]
scheme = "hmac"
algorithm = "sha256"
signature = {{ header = "X-Signature", encoding = "hex" }}
signed = "{{body}}"
[sources.other.event]
{event}
[sources.other.map]
{map}
"#
    )
}

/// Another process that is in the middle of writing to the file.
pub(crate) struct WriteLock(process::Child);

impl WriteLock {
    /// Begins a transaction in another process; returns once it holds the lock.
    pub(crate) fn take(relay: &Relay) -> Self {
        let mut child = process::Command::new("sqlite3")
            .arg(relay.database())
            .stdin(process::Stdio::piped())
            .stdout(process::Stdio::piped())
            .spawn()
            .unwrap();
        writeln!(child.stdin.as_mut().unwrap(), "BEGIN IMMEDIATE; SELECT 'locked';").unwrap();
        let mut line = [0; 7];
        std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut line).unwrap();
        assert_eq!(&line, b"locked\n");
        Self(child)
    }

    /// Ends the transaction.
    pub(crate) fn release(mut self) {
        drop(self.0.stdin.take());
        self.0.wait().unwrap();
    }
}

impl Drop for WriteLock {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
