//! Pausing a source while the service runs: its webhooks are accepted as ever, and its updates wait.

use contact_relay::store::{RowState, Store, WriterSettings};
use serde_json::json;

use crate::harness::{Relay, shopify_customer};

async fn pause(relay: &Relay, name: &str) -> bool {
    relay.app.store.pause_source(name, relay.clock.now(), "a test").await.unwrap()
}

async fn resume(relay: &Relay, name: &str) -> bool {
    relay.app.store.resume_source(name, relay.clock.now()).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_webhooks_of_a_paused_source_are_answered_200_and_their_updates_wait_until_it_is_resumed() {
    let relay = Relay::start().await;
    let id = relay.linked("7").await;
    assert!(pause(&relay, "crm").await);
    assert!(!pause(&relay, "crm").await, "it is paused already");
    relay.crm(json!({ "event": "1", "id": 7, "name": "Ada" })).await;
    assert_eq!(relay.deliver().await, 0);
    assert_eq!(relay.states().await, [RowState::Pending]);
    assert_eq!(relay.calls("PATCH"), 0);
    assert_eq!(relay.app.store.source_pauses().await.unwrap()["crm"].by, "a test");

    assert!(resume(&relay, "crm").await);
    assert!(!resume(&relay, "crm").await, "it is not paused any more");
    assert_eq!(relay.deliver().await, 1);
    assert_eq!(relay.sandbox.contact(id).unwrap().name.as_deref(), Some("Ada"));
    assert!(relay.app.store.source_pauses().await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn another_source_of_the_same_contact_goes_on() {
    let relay = Relay::start().await;
    let id = relay.linked("7").await;
    pause(&relay, "crm").await;
    relay.crm(json!({ "event": "1", "id": 7, "name": "From the CRM", "plan": "gold" })).await;
    let customer = shopify_customer(7, "Ada", "2026-11-22T11:00:00Z");
    let headers = [("X-Shopify-Topic", "customers/update"), ("X-Shopify-Webhook-Id", "1")];
    assert_eq!(relay.post(relay.sign("shop", &customer, &headers)).await.status, 200);
    relay.deliver().await;
    assert_eq!(relay.states().await, [RowState::Pending, RowState::Delivered]);
    assert_eq!(relay.sandbox.contact(id).unwrap().name.as_deref(), Some("Ada Lovelace"));
    resume(&relay, "crm").await;
    relay.deliver().await;
    assert_eq!(relay.states().await, [RowState::Delivered, RowState::Delivered]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pause_outlives_a_restart_and_a_resume_elsewhere_is_noticed() {
    let mut relay = Relay::start().await;
    relay.linked("7").await;
    pause(&relay, "crm").await;
    relay.crm(json!({ "event": "1", "id": 7, "name": "Ada" })).await;
    relay.restart().await;
    assert_eq!(relay.deliver().await, 0);
    let beside = Store::open(&relay.database(), WriterSettings::default()).await.unwrap();
    assert!(beside.resume_source("crm", relay.clock.now()).await.unwrap());
    beside.close().await;
    assert_eq!(relay.deliver().await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn activity_counts_the_webhooks_of_a_source_since_a_moment() {
    let relay = Relay::start().await;
    let hour = std::time::Duration::from_hours(1);
    let started = relay.clock.now();
    relay.crm(json!({ "event": "1", "id": 7 })).await;
    relay.advance(hour);
    relay.crm(json!({ "event": "2", "id": 7 })).await;
    relay.send("crm", json!({ "event": "3", "type": "ping" })).await;
    let activity = |since| relay.app.store.source_activity("crm", since);
    let all = activity(started).await.unwrap();
    assert_eq!(json!(all.webhooks), json!({ "ignored": 1, "mapped": 2 }));
    assert_eq!((all.last_webhook_at, all.last_secret), (Some(started + hour), Some(0)));
    assert_eq!(json!(activity(started + hour).await.unwrap().webhooks), json!({ "ignored": 1, "mapped": 1 }));
    assert!(activity(started + 2 * hour).await.unwrap().webhooks.is_empty());
    assert!(relay.app.store.source_activity("shop", started).await.unwrap().last_webhook_at.is_none());
}
