//! What senders ask before they send webhooks, through the real port.

use serde_json::json;

use crate::harness::{Relay, SECRET};

fn tables() -> String {
    let source = |preset: &str, more: &str| {
        let map = "map.email = '.email'";
        format!("[sources.{preset}]\npreset = \"{preset}\"\nsecret = \"{SECRET}\"\n{more}\n{map}\n")
    };
    [
        source("meta", "verify_token = \"agreed\""),
        source("slack", ""),
        source("zoom", ""),
        source("mailchimp", "identifier_prefix = \"\""),
        source("intercom", ""),
    ]
    .concat()
}

#[tokio::test(flavor = "multi_thread")]
async fn meta_gets_its_challenge_back_as_the_whole_body_only_for_the_token_agreed_on() {
    let relay = Relay::with("", &tables()).await;
    let ask = |token: &str| format!("/hooks/meta?hub.mode=subscribe&hub.verify_token={token}&hub.challenge=1158201444");
    let answer = relay.ask("GET", &ask("agreed")).await;
    assert_eq!((answer.status, answer.body), (200, json!(1_158_201_444)));
    assert_eq!(relay.ask("GET", &ask("guessed")).await.status, 403);
}

#[tokio::test(flavor = "multi_thread")]
async fn signed_handshakes_are_answered_and_not_stored() {
    let relay = Relay::with("", &tables()).await;
    let slack = relay.send("slack", json!({ "type": "url_verification", "challenge": "3eZbrw1a" })).await;
    assert_eq!((slack.status, slack.body), (200, json!({ "challenge": "3eZbrw1a" })));
    let zoom = json!({ "event": "endpoint.url_validation", "payload": { "plainToken": "abc123" } });
    let zoom = relay.send("zoom", zoom).await;
    assert_eq!((zoom.status, &zoom.body["plainToken"]), (200, &json!("abc123")));
    assert_eq!(zoom.body["encryptedToken"].as_str().map(str::len), Some(64));
    assert_eq!(relay.number("SELECT count(*) FROM webhooks"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handshake_without_a_right_signature_is_refused_like_any_webhook() {
    let relay = Relay::with("", &tables()).await;
    let mut forged = relay.sign("slack", &json!({ "type": "url_verification", "challenge": "3eZbrw1a" }), &[]);
    forged.body = forged.body.iter().map(|byte| if *byte == b'3' { b'4' } else { *byte }).collect();
    assert_eq!(relay.post(forged).await.status, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_visit_is_welcome_where_the_sender_makes_one_and_nowhere_else() {
    let relay = Relay::with("", &tables()).await;
    assert_eq!(relay.ask("GET", "/hooks/mailchimp").await.status, 200);
    assert_eq!(relay.ask("HEAD", "/hooks/intercom").await.status, 200);
    assert_eq!(relay.ask("GET", "/hooks/crm").await.status, 405);
    assert_eq!(relay.ask("GET", "/hooks/nobody").await.status, 404);
}
