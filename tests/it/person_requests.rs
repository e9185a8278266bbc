//! Requests of persons about their data: recognised by topic and the exact shape of the signed body, recorded, and never
//! turned into an update.

use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::Relay;

const WOO: &str = r#"
[sources.woo]
preset = "woocommerce"
secret = "a-secret-of-the-tests"
identifier_prefix = "woo-"
"#;

fn redact() -> Value {
    json!({
        "shop_id": 954_889,
        "shop_domain": "olive.myshopify.com",
        "customer": { "id": 191_167, "email": "Ada@Example.test", "phone": "+972502345678" },
        "orders_to_redact": [299_938],
    })
}

async fn shop(relay: &Relay, topic: &str, body: &Value) -> Value {
    let id = format!("{topic} {}", relay.number("SELECT count(*) FROM webhooks"));
    let headers = [("X-Shopify-Topic", topic), ("X-Shopify-Webhook-Id", id.as_str())];
    let answer = relay.post(relay.sign("shop", body, &headers)).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.body
}

#[tokio::test(flavor = "multi_thread")]
async fn an_erasure_is_recorded_with_the_person_and_its_due_date_and_makes_no_update() {
    let relay = Relay::start().await;
    assert_eq!(shop(&relay, "customers/redact", &redact()).await["status"], "ignored");
    let received = relay.clock.now().as_millis();
    assert_eq!(
        relay.table("SELECT outcome, reason FROM webhooks"),
        json!([{ "outcome": "ignored", "reason": "person request: erase" }])
    );
    assert_eq!(
        relay.table("SELECT * FROM person_requests"),
        json!([{
            "id": 1,
            "webhook_id": 1,
            "source": "shop",
            "account": "store",
            "kind": "erase",
            "key": "191167",
            "identifier": "191167",
            "email": "ada@example.test",
            "phone_number": "+972502345678",
            "received_at": received,
            "due_at": received + 30 * 24 * 3_600_000_i64,
            "state": "open",
            "closed_at": null,
            "closed_by": null,
        }])
    );
    assert_eq!(relay.number("SELECT count(*) FROM outbox"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_request_of_a_sender_is_known_by_its_topic_and_shape() {
    let relay = Relay::with("", WOO).await;
    let mut asked = redact();
    asked.as_object_mut().unwrap().remove("orders_to_redact");
    let everything = json!({ "shop_id": 954_889, "shop_domain": "olive.myshopify.com" });
    asked["orders_requested"] = json!([]);
    asked["data_request"] = json!({ "id": 9_999 });
    shop(&relay, "customers/data_request", &asked).await;
    shop(&relay, "shop/redact", &everything).await;
    relay.post(relay.sign("woo", &json!({ "id": 5 }), &[("X-WC-Webhook-Topic", "customer.deleted")])).await;
    assert_eq!(
        relay.table("SELECT source, kind, key, due_at IS NULL AS undated FROM person_requests ORDER BY id"),
        json!([
            { "source": "shop", "kind": "export", "key": "191167", "undated": 0 },
            { "source": "shop", "kind": "erase_shop", "key": null, "undated": 0 },
            { "source": "woo", "kind": "erase", "key": "woo-5", "undated": 1 },
        ])
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_whose_body_has_another_shape_is_neither_a_request_nor_an_update() {
    let relay = Relay::with("", WOO).await;
    let mut wider = redact();
    wider["first_name"] = json!("Ada");
    let mut named = redact();
    named["customer"]["first_name"] = json!("Ada");
    let mut narrower = redact();
    narrower.as_object_mut().unwrap().remove("orders_to_redact");
    let customer = json!({ "id": 7, "email": "ada@example.test", "first_name": "Ada" });
    for body in [wider, named, narrower, customer, json!({}), json!([1]), json!({ "shop_id": "1", "shop_domain": "x" })]
    {
        shop(&relay, "customers/redact", &body).await;
    }
    let woo = json!({ "id": 5, "email": "ada@example.test" });
    relay.post(relay.sign("woo", &woo, &[("X-WC-Webhook-Topic", "customer.deleted")])).await;
    assert_eq!(relay.number("SELECT count(*) FROM webhooks"), 8);
    assert_eq!(relay.number("SELECT count(*) FROM person_requests"), 0);
    assert_eq!(relay.number("SELECT count(*) FROM outbox"), 0);
    assert_eq!(relay.sql("SELECT DISTINCT reason FROM webhooks WHERE body_size > 10"), "event.when is false");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signed_request_under_a_topic_of_updates_makes_no_update() {
    let relay = Relay::with("", WOO).await;
    for topic in ["customers/update", "customers/create", "orders/create"] {
        shop(&relay, topic, &redact()).await;
    }
    relay.post(relay.sign("woo", &json!({ "id": 5 }), &[("X-WC-Webhook-Topic", "customer.updated")])).await;
    assert_eq!(relay.number("SELECT count(*) FROM webhooks WHERE outcome = 'ignored'"), 4);
    assert_eq!(relay.number("SELECT count(*) FROM outbox"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_that_are_to_be_ignored_leave_the_webhook_alone() {
    let relay = Relay::with("", &own("person_requests = \"ignore\"")).await;
    let answer = relay.send("other", json!({ "type": "forget", "id": 7 })).await;
    assert_eq!(answer.body["status"], "ignored");
    assert_eq!(relay.sql("SELECT reason FROM webhooks"), "person request: erase");
    assert_eq!(relay.number("SELECT count(*) FROM person_requests"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeat_and_a_replay_record_a_request_once() {
    let relay = Relay::with("", &own("")).await;
    for status in ["ignored", "duplicate"] {
        assert_eq!(relay.send("other", json!({ "type": "forget", "id": 7 })).await.body["status"], status);
    }
    relay.advance(Duration::from_mins(5));
    let webhook = relay.app.store.webhook(1).await.unwrap().unwrap();
    let again = relay.app.ingest.remap(&webhook, relay.clock.now()).unwrap();
    assert_eq!(relay.app.store.replay(again).await.unwrap(), 0);
    let requests = relay.app.store.open_person_requests().await.unwrap();
    let [request] = requests.as_slice() else { panic!("{requests:?}") };
    assert_eq!((request.key.as_deref(), request.due_at.is_some()), (Some("x-7"), true));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_word_that_is_no_request_makes_the_webhook_unmappable_and_no_update() {
    let relay = Relay::with("", &own("").replace("\"erase\"", "\"forget\"")).await;
    relay.send("other", json!({ "type": "forget", "id": 7 })).await;
    let stored = relay.table("SELECT outcome, reason FROM webhooks");
    assert_eq!(stored[0]["outcome"], "unmappable");
    assert!(stored[0]["reason"].as_str().unwrap().starts_with("person.request gave none of"), "{stored}");
}

/// A source of one's own, whose sender signs `{"type":"forget","id":…}`.
fn own(keys: &str) -> String {
    format!(
        r#"
[sources.other]
secret = "a-secret-of-the-tests"
identifier_prefix = "x-"
{keys}
[sources.other.verify]
scheme = "hmac"
algorithm = "sha256"
signature = {{ header = "X-Signature", encoding = "hex" }}
signed = "{{body}}"
[sources.other.person]
request = 'if .type == "forget" and keys == ["id", "type"] then "erase" else null end'
identifier = '.id'
due_in = "7d"
[sources.other.map]
identifier = '.id'
"#
    )
}
