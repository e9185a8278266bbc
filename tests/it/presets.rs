//! What each preset makes of payloads as its sender sends them. The payloads are files; the signatures are made here as
//! the sender's documentation says, not by the code under test.

use std::{fs, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use contact_relay::sources::{Draft, Request};
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Value, json};
use sha2::Sha256;

use crate::harness::{Answer, Relay, SECRET};

const SOURCES: &str = r#"
[sources.woo]
preset = "woocommerce"
secret = "a-secret-of-the-tests"
phone_region = "IL"
identifier_prefix = "woo-"
[sources.stripe]
preset = "stripe"
secret = "a-secret-of-the-tests"
[sources.form]
preset = "typeform"
secret = "a-secret-of-the-tests"
"#;

async fn start() -> Relay {
    Relay::with("", SOURCES).await
}

/// The bytes of `tests/fixtures/webhooks/{name}`.
fn fixture(name: &str) -> Vec<u8> {
    let path = format!("{}/tests/fixtures/webhooks/{name}", env!("CARGO_MANIFEST_DIR"));
    fs::read(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn mac(signed: &[u8]) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).unwrap();
    mac.update(signed);
    mac.finalize().into_bytes().to_vec()
}

fn request(source: &str, body: Vec<u8>, headers: &[(&str, &str)]) -> Request {
    let Draft(mut request) = Draft::post(format!("/hooks/{source}"), "application/json", body);
    for (name, value) in headers {
        request.headers.set(name, value);
    }
    request
}

async fn shopify(relay: &Relay, name: &str, topic: &str, id: &str) -> Answer {
    let body = fixture(name);
    let signature = BASE64.encode(mac(&body));
    let headers = [
        ("X-Shopify-Topic", topic),
        ("X-Shopify-Hmac-Sha256", &signature),
        ("X-Shopify-Webhook-Id", id),
        ("X-Shopify-Event-Id", "98880550-7158-44d4-b7cd-2c97c8a091b5"),
        ("X-Shopify-Shop-Domain", "olive.myshopify.com"),
        ("X-Shopify-API-Version", "2026-10"),
        ("X-Shopify-Triggered-At", "2026-11-22T11:59:59.123456789Z"),
    ];
    relay.post(request("shop", body, &headers)).await
}

async fn woocommerce(relay: &Relay, name: &str, topic: &str) -> Answer {
    let body = fixture(name);
    let signature = BASE64.encode(mac(&body));
    let (resource, event) = topic.split_once('.').unwrap();
    let headers = [
        ("X-WC-Webhook-Source", "https://shop.example.test/"),
        ("X-WC-Webhook-Topic", topic),
        ("X-WC-Webhook-Resource", resource),
        ("X-WC-Webhook-Event", event),
        ("X-WC-Webhook-Signature", &signature),
        ("X-WC-Webhook-ID", "3"),
        ("X-WC-Webhook-Delivery-ID", "90a8a0b3f1d4f8d7"),
    ];
    relay.post(request("woo", body, &headers)).await
}

async fn stripe(relay: &Relay, name: &str, signed_at: i64) -> Answer {
    let body = fixture(name);
    let signature = hex::encode(mac(&[format!("{signed_at}.").as_bytes(), &body].concat()));
    // Stripe also sends a signature of an older kind, which does not count.
    let header =
        format!("t={signed_at},v1={signature},v0=6ffbb59b2300aae63f272406069a9788598b792a944a07aba816edb039989a39");
    relay.post(request("stripe", body, &[("Stripe-Signature", &header)])).await
}

async fn typeform(relay: &Relay, name: &str) -> Answer {
    let body = fixture(name);
    let signature = format!("sha256={}", BASE64.encode(mac(&body)));
    relay.post(request("form", body, &[("Typeform-Signature", &signature)])).await
}

#[track_caller]
fn is(answer: &Answer, status: &str) {
    assert_eq!((answer.status, answer.body["status"].as_str()), (200, Some(status)), "{answer:?}");
}

/// The outbox as another program reads it.
fn outbox(relay: &Relay) -> Value {
    relay.table(
        "SELECT identifier, email, phone_number AS phone, changes, policies, dropped, \
             strftime('%Y-%m-%dT%H:%M:%SZ', occurred_at / 1000, 'unixepoch') AS occurred \
         FROM outbox ORDER BY id",
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shopify_customer_becomes_an_update_of_its_id_with_the_phone_of_its_country() {
    let relay = start().await;
    is(&shopify(&relay, "shopify/customers_create.json", "customers/create", "b54557e4-1").await, "accepted");
    assert_eq!(
        outbox(&relay),
        json!([{
            "identifier": "7311942680821",
            "email": "noa.levi@example.test",
            "phone": "+972502345678",
            "changes": { "name": "נועה לוי", "email": "noa.levi@example.test", "phone_number": "+972502345678" },
            "policies": null,
            "dropped": null,
            "occurred": "2026-11-22T11:57:32Z",
        }])
    );
    let stored = relay.table("SELECT topic, event_id FROM webhooks");
    assert_eq!(stored, json!([{ "topic": "customers/create", "event_id": "b54557e4-1" }]));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_shopify_customer_leaves_null_is_left_alone() {
    let relay = start().await;
    is(&shopify(&relay, "shopify/customers_update.json", "customers/update", "b54557e4-2").await, "accepted");
    assert_eq!(
        outbox(&relay),
        json!([{
            "identifier": "7311942680821",
            "email": null,
            "phone": "+12125550188",
            "changes": { "name": "Noa", "phone_number": "+12125550188" },
            "policies": null,
            "dropped": null,
            "occurred": "2026-11-22T11:59:05Z",
        }])
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shopify_order_updates_its_customer_and_not_somebody_with_the_orders_id() {
    let relay = start().await;
    is(&shopify(&relay, "shopify/orders_create.json", "orders/create", "b54557e4-3").await, "accepted");
    assert_eq!(
        outbox(&relay),
        json!([{
            "identifier": "7311942680821",
            "email": "noa.levi@example.test",
            "phone": "+972502345678",
            "changes": { "name": "Noa Levi", "email": "noa.levi@example.test", "phone_number": "+972502345678" },
            "policies": null,
            "dropped": null,
            "occurred": "2026-11-22T11:58:41Z",
        }])
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shopify_order_without_a_customer_is_known_by_its_address_alone() {
    let relay = start().await;
    is(&shopify(&relay, "shopify/orders_create_guest.json", "orders/create", "b54557e4-4").await, "accepted");
    assert_eq!(
        outbox(&relay),
        json!([{
            "identifier": null,
            "email": "guest@example.test",
            "phone": "+12125550188",
            "changes": { "name": "Grace Hopper", "email": "guest@example.test", "phone_number": "+12125550188" },
            "policies": null,
            "dropped": null,
            "occurred": "2026-11-22T11:59:01Z",
        }])
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shopify_topic_that_lies_does_not_make_an_orders_id_a_customers() {
    let relay = start().await;
    // The topic is not signed: whoever replays a signed body can choose it.
    is(&shopify(&relay, "shopify/orders_create.json", "customers/update", "b54557e4-5").await, "accepted");
    assert_eq!(outbox(&relay)[0]["identifier"], "7311942680821");
}

#[tokio::test(flavor = "multi_thread")]
async fn shopify_topics_that_are_no_contact_updates_are_stored_as_ignored() {
    let relay = start().await;
    is(&shopify(&relay, "shopify/customers_delete.json", "customers/delete", "b54557e4-6").await, "ignored");
    is(&shopify(&relay, "shopify/customers_redact.json", "customers/redact", "b54557e4-7").await, "ignored");
    is(&shopify(&relay, "shopify/orders_create.json", "orders/paid", "b54557e4-8").await, "ignored");
    assert_eq!(outbox(&relay), json!([]));
    assert_eq!(relay.number("SELECT count(*) FROM webhooks WHERE outcome = 'ignored' AND reason IS NOT NULL"), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fresh_woocommerce_customer_with_nothing_but_an_address_becomes_an_update_of_that() {
    let relay = start().await;
    is(&woocommerce(&relay, "woocommerce/customer.created.json", "customer.created").await, "accepted");
    assert_eq!(
        outbox(&relay),
        json!([{
            "identifier": "woo-25",
            "email": "grace@example.test",
            "phone": null,
            "changes": { "email": "grace@example.test" },
            "policies": null,
            "dropped": null,
            "occurred": null,
        }])
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_woocommerce_customer_keeps_its_own_address_and_takes_the_rest_from_billing() {
    let relay = start().await;
    is(&woocommerce(&relay, "woocommerce/customer.updated.json", "customer.updated").await, "accepted");
    assert_eq!(
        outbox(&relay),
        json!([{
            "identifier": "woo-25",
            "email": "grace@example.test",
            "phone": "+4930901820",
            "changes": { "name": "Grace", "email": "grace@example.test", "phone_number": "+4930901820" },
            "policies": null,
            "dropped": null,
            "occurred": "2026-11-22T11:56:10Z",
        }])
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_woocommerce_order_updates_its_customer_and_a_guests_order_names_no_id() {
    let relay = start().await;
    is(&woocommerce(&relay, "woocommerce/order.created.json", "order.created").await, "accepted");
    is(&woocommerce(&relay, "woocommerce/order.created_guest.json", "order.created").await, "accepted");
    assert_eq!(
        outbox(&relay),
        json!([
            {
                "identifier": "woo-25",
                "email": "grace@example.test",
                "phone": "+4930901820",
                "changes": { "name": "Grace Hopper", "email": "grace@example.test", "phone_number": "+4930901820" },
                "policies": null,
                "dropped": null,
                "occurred": "2026-11-22T11:57:02Z",
            },
            {
                "identifier": null,
                "email": "dana@example.test",
                "phone": "+972523456789",
                "changes": { "name": "Dana Cohen", "email": "dana@example.test", "phone_number": "+972523456789" },
                "policies": null,
                "dropped": null,
                "occurred": "2026-11-22T11:58:02Z",
            },
        ])
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_woocommerce_customer_that_was_deleted_is_ignored() {
    let relay = start().await;
    is(&woocommerce(&relay, "woocommerce/customer.deleted.json", "customer.deleted").await, "ignored");
    assert_eq!(outbox(&relay), json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_unsigned_ping_of_woocommerce_is_answered_200_and_leaves_nothing_behind() {
    let relay = start().await;
    let ping = |source: &str, body: &'static str| {
        Draft::post(format!("/hooks/{source}"), "application/x-www-form-urlencoded", body).0
    };
    let answer = relay.post(ping("woo", "webhook_id=3")).await;
    assert_eq!((answer.status, &answer.body), (200, &json!({ "webhook": null, "status": "ignored" })));
    assert_eq!(relay.number("SELECT count(*) FROM webhooks"), 0);
    // It is a greeting of this sender only, and of exactly this shape.
    assert_eq!(relay.post(ping("woo", "webhook_id=3&email=a@example.test")).await.status, 401);
    assert_eq!(relay.post(ping("shop", "webhook_id=3")).await.status, 401);
    let mut dressed = ping("woo", "webhook_id=3");
    dressed.headers.set("X-WC-Webhook-Topic", "customer.updated");
    assert_eq!(relay.post(dressed).await.status, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stripe_customer_becomes_an_update_with_the_time_of_the_event() {
    let relay = start().await;
    is(&stripe(&relay, "stripe/customer.created.json", relay.clock.now().as_secs()).await, "accepted");
    assert_eq!(
        outbox(&relay),
        json!([{
            "identifier": "cus_RCt0abcDEF12345",
            "email": "ada@example.test",
            "phone": "+442079460123",
            "changes": { "name": "Ada Lovelace", "email": "ada@example.test", "phone_number": "+442079460123" },
            "policies": null,
            "dropped": null,
            "occurred": "2026-11-22T11:58:00Z",
        }])
    );
    let stored = relay.table("SELECT topic, event_id, signed_at FROM webhooks");
    let now = relay.clock.now().as_millis();
    assert_eq!(
        stored,
        json!([{ "topic": "customer.created", "event_id": "evt_1QKq2cLkdIwHu7ixu1Z4CqGm", "signed_at": now }])
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stripe_checkout_of_a_guest_is_known_by_its_customer_details() {
    let relay = start().await;
    is(&stripe(&relay, "stripe/checkout.session.completed.json", relay.clock.now().as_secs()).await, "accepted");
    assert_eq!(
        outbox(&relay),
        json!([{
            "identifier": null,
            "email": "guest@example.test",
            "phone": "+12125550188",
            "changes": { "name": "Grace Hopper", "email": "guest@example.test", "phone_number": "+12125550188" },
            "policies": null,
            "dropped": null,
            "occurred": "2026-11-22T11:59:00Z",
        }])
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stripe_event_about_something_else_is_ignored() {
    let relay = start().await;
    is(&stripe(&relay, "stripe/invoice.paid.json", relay.clock.now().as_secs()).await, "ignored");
    assert_eq!(outbox(&relay), json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stripe_signature_counts_for_five_minutes_in_either_direction() {
    const FIVE_MINUTES_S: i64 = 300;
    let relay = start().await;
    let name = "stripe/customer.created.json";
    let signed_at = relay.clock.now().as_secs();
    assert_eq!(stripe(&relay, name, signed_at + FIVE_MINUTES_S + 1).await.status, 401);
    is(&stripe(&relay, name, signed_at + FIVE_MINUTES_S).await, "accepted");
    // The very request that is good now is refused when it comes again too late.
    relay.advance(Duration::from_mins(5));
    is(&stripe(&relay, name, signed_at).await, "duplicate");
    relay.advance(Duration::from_secs(1));
    assert_eq!(stripe(&relay, name, signed_at).await.status, 401);
    // A retry is signed anew, and is the same event.
    is(&stripe(&relay, name, relay.clock.now().as_secs()).await, "duplicate");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_typeform_answer_fills_in_only_what_is_empty() {
    let relay = start().await;
    is(&typeform(&relay, "typeform/form_response.json").await, "accepted");
    assert_eq!(
        outbox(&relay),
        json!([{
            "identifier": "crm-19",
            "email": "katherine@example.test",
            "phone": "+12125550199",
            "changes": { "name": "Katherine Johnson", "email": "katherine@example.test", "phone_number": "+12125550199" },
            "policies": { "name": "if_empty", "email": "if_empty", "phone_number": "if_empty" },
            "dropped": null,
            "occurred": "2026-11-22T11:54:31Z",
        }])
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_typeform_answer_without_hidden_fields_has_no_id_though_it_has_a_token() {
    let relay = start().await;
    is(&typeform(&relay, "typeform/form_response_skipped.json").await, "accepted");
    assert_eq!(
        outbox(&relay),
        json!([{
            "identifier": null,
            "email": "mary@example.test",
            "phone": null,
            "changes": { "email": "mary@example.test" },
            "policies": { "email": "if_empty" },
            "dropped": null,
            "occurred": "2026-11-22T11:56:00Z",
        }])
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unfinished_typeform_answer_is_ignored() {
    let relay = start().await;
    is(&typeform(&relay, "typeform/form_response_partial.json").await, "ignored");
    assert_eq!(outbox(&relay), json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_typeform_signature_in_hex_is_refused_though_its_prefix_promises_it() {
    let relay = start().await;
    let body = fixture("typeform/form_response.json");
    let signature = format!("sha256={}", hex::encode(mac(&body)));
    let answer = relay.post(request("form", body, &[("Typeform-Signature", &signature)])).await;
    assert_eq!(answer.status, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_that_anyone_can_fill_in_does_not_overwrite_a_contact() {
    let relay = start().await;
    let id = relay.linked("crm-19").await;
    relay.sandbox.edit(id, |contact| contact.name = Some("The real one".to_owned()));
    is(&typeform(&relay, "typeform/form_response.json").await, "accepted");
    relay.deliver().await;
    let contact = relay.sandbox.contact(id).unwrap();
    assert_eq!(contact.name.as_deref(), Some("The real one"));
    assert_eq!(contact.email.as_deref(), Some("katherine@example.test"), "it was empty");
}
