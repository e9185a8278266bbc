//! Refused requests explained on the admin port: for whoever has its token, and without ever accepting one.

use std::{net::TcpListener, time::Duration};

use contact_relay::http::{self, AdminParts};
use secrecy::SecretString;
use serde_json::{Value, json};

use crate::harness::Relay;

const TOKEN: &str = "a-token-of-the-admin-port";

/// The admin port of a service.
fn admin(relay: &Relay) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let parts = AdminParts {
        store: relay.app.store.clone(),
        ingest: relay.app.ingest.clone(),
        clock: relay.clock.clone(),
        token: SecretString::from(TOKEN),
    };
    tokio::spawn(http::admin(listener, parts).unwrap());
    base
}

async fn get(url: &str, token: Option<&str>) -> (u16, Value, Option<String>) {
    let mut request = reqwest::Client::builder().build().unwrap().get(url);
    if let Some(token) = token {
        request = request.header("Authorization", token);
    }
    let answer = request.send().await.unwrap();
    let challenge = answer.headers().get("www-authenticate").map(|value| value.to_str().unwrap().to_owned());
    (answer.status().as_u16(), serde_json::from_str(&answer.text().await.unwrap()).unwrap(), challenge)
}

async fn diagnosed(base: &str) -> Value {
    let (status, body, _) = get(&format!("{base}/api/v1/sources/crm/diagnose"), Some(&format!("Bearer {TOKEN}"))).await;
    assert_eq!(status, 200, "{body}");
    body
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_three_refused_requests_are_explained_for_a_quarter_of_an_hour_and_none_is_stored() {
    let relay = Relay::start().await;
    let base = admin(&relay);
    assert_eq!(diagnosed(&base).await, json!([]));
    for name in ["one", "two", "three", "four"] {
        let mut request = relay.sign("crm", &json!({ "id": 7, "name": name }), &[]);
        request.body = [&request.body[..], b"\n"].concat().into();
        assert_eq!(relay.post(request).await.status, 401);
        relay.advance(Duration::from_secs(1));
    }
    let body = diagnosed(&base).await;
    let list = body.as_array().unwrap();
    assert_eq!(list.len(), 3);
    for refused in list {
        assert_eq!(refused["reason"], "wrong_signature");
        assert_eq!(refused["findings"][0]["code"], "body_line_end");
    }
    assert!(list[0]["at"].as_i64() > list[2]["at"].as_i64(), "newest first");
    let shown = body.to_string();
    assert!(!shown.contains("four") && !shown.contains(crate::harness::SECRET), "{shown}");

    relay.app.store.close().await;
    for file in std::fs::read_dir(relay.directory.path()).unwrap() {
        let bytes = std::fs::read(file.unwrap().path()).unwrap();
        assert!(!bytes.windows(5).any(|window| window == b"three"), "nothing of a refused request is on disk");
    }
    relay.advance(Duration::from_mins(15));
    assert_eq!(diagnosed(&base).await, json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_belongs_to_another_source_is_named() {
    let tables = r#"
[sources.other]
secret = "the-secret-of-the-other"
[sources.other.verify]
scheme = "hmac"
algorithm = "sha256"
signature = { header = "X-Signature", encoding = "hex", prefix = "sha256=" }
signed = "{body}"
[sources.other.map]
identifier = '.id'
"#;
    let relay = Relay::with("", tables).await;
    let mut request = relay.sign("other", &json!({ "id": 7 }), &[]);
    request.path_query = "/hooks/crm".to_owned();
    assert_eq!(relay.post(request).await.status, 401);
    let body = diagnosed(&admin(&relay)).await;
    let finding = &body[0]["findings"][0];
    assert_eq!(finding["code"], "secret_of_another");
    assert!(finding["text"].as_str().unwrap().contains("source other"), "{finding}");
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_without_the_token_learns_anything() {
    let relay = Relay::start().await;
    let base = admin(&relay);
    let url = format!("{base}/api/v1/sources/crm/diagnose");
    let basic = format!("Basic {TOKEN}");
    let longer = format!("Bearer {TOKEN}x");
    for token in [None, Some("Bearer "), Some("Bearer wrong"), Some(basic.as_str()), Some(longer.as_str()), Some(TOKEN)]
    {
        let (status, body, challenge) = get(&url, token).await;
        assert_eq!((status, body["code"].as_str()), (401, Some("unauthorized")), "{token:?}");
        assert_eq!(challenge.as_deref(), Some("Bearer"));
    }
    let unknown = get(&format!("{base}/api/v1/sources/none/diagnose"), Some(&format!("Bearer {TOKEN}"))).await;
    assert_eq!((unknown.0, unknown.1["code"].as_str()), (404, Some("unknown_source")));
    assert_eq!(get(&format!("{base}/api/v1/sources/none/diagnose"), None).await.0, 401, "names are not told either");
    // The public port knows nothing of it.
    assert_eq!(get(&relay.url("/api/v1/sources/crm/diagnose"), Some(&format!("Bearer {TOKEN}"))).await.0, 404);
}
