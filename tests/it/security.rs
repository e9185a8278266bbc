//! Nobody gets in, nothing is learned by trying, and nothing odd brings the service down.

use std::time::Duration;

use contact_relay::sources::{Draft, Request};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;

use crate::{
    harness::{Answer, Relay},
    ingest::WriteLock,
    raw::{self, RawAnswer},
};

/// A sender that signs a time, one with a token in its URL, and one that sends little.
const SOURCES: &str = r#"
[sources.stripe]
preset = "stripe"
secret = "a-secret-of-the-tests"
[sources.tally]
secret = "a-secret-of-the-tests"
verify = { scheme = "token", query = "token" }
[sources.tally.event]
occurred_at = '$query.at'
[sources.tally.map]
email = '.email'
name = '.name'
[sources.small]
secret = "a-secret-of-the-tests"
max_body = "1KiB"
verify = { scheme = "token", header = "X-Token" }
[sources.small.map]
email = '.email'
"#;

async fn start() -> Relay {
    Relay::with("", SOURCES).await
}

#[track_caller]
fn is_problem(answer: &Answer, status: u16, code: &str) {
    assert_eq!((answer.status, answer.body["code"].as_str()), (status, Some(code)), "{answer:?}");
    assert_eq!(answer.headers["content-type"], "application/problem+json");
    assert_eq!(answer.body["status"], status);
    assert!(answer.body["title"].is_string() && answer.body["detail"].is_string(), "{answer:?}");
}

fn nothing_is_stored(relay: &Relay) {
    assert_eq!(relay.number("SELECT (SELECT count(*) FROM webhooks) + (SELECT count(*) FROM outbox)"), 0);
}

/// Sends a request with one header replaced, or left out, byte by byte.
async fn forged(relay: &Relay, mut request: Request, header: &str, value: Option<&str>) -> RawAnswer {
    request.headers.set(header, value.unwrap_or("-"));
    let length = format!("content-length: {}", request.body.len());
    let head = raw::head(&request, &length);
    let head: Vec<&str> = head.lines().filter(|line| value.is_some() || !line.starts_with(header)).collect();
    raw::exchange(relay.address(), &head.join("\n"), &request.body).await
}

// One refusal for everything.

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_signature_is_the_same_answer_whatever_is_wrong_and_is_counted_by_what_is() {
    let relay = start().await;
    let body = json!({ "event": "e1", "id": 7, "name": "Ada" });
    let good = relay.sign("crm", &body, &[]);
    let signature = good.headers.one("x-signature").unwrap().unwrap().to_owned();
    let digits = signature.strip_prefix("sha256=").unwrap();
    let of_another_body = relay.sign("crm", &json!({ "event": "e2" }), &[]);
    let of_another_body = of_another_body.headers.one("x-signature").unwrap().unwrap();
    let base64 = format!("sha256={}", "A".repeat(43) + "=");
    let crm = |value: Option<String>| {
        let (relay, request) = (&relay, good.clone());
        async move { forged(relay, request, "x-signature", value.as_deref()).await }
    };
    let signed_at = relay.clock.now().as_secs();
    let stripe = |value: String| {
        let (relay, request) = (&relay, relay.sign("stripe", &body, &[]));
        async move { forged(relay, request, "stripe-signature", Some(&value)).await }
    };
    let token = |query: &str| {
        let request = Draft::post(format!("/hooks/tally{query}"), "application/json", body.to_string()).0;
        let relay = &relay;
        async move { forged(relay, request, "x-nothing", Some("")).await }
    };
    let answers = [
        crm(None).await,
        crm(Some(of_another_body.to_owned())).await,
        crm(Some(signature[..signature.len() - 2].to_owned())).await,
        crm(Some(base64)).await,
        crm(Some(digits.to_owned())).await,
        crm(Some(format!("{signature}\nx-signature: {of_another_body}"))).await,
        crm(Some(String::new())).await,
        stripe(format!("t={},v1={}", signed_at - 301, "0".repeat(64))).await,
        stripe(format!("t={signed_at}x,v1={}", "0".repeat(64))).await,
        stripe(format!("v1={}", "0".repeat(64))).await,
        token("").await,
        token("?token=a-secret-of-the-test").await,
        token("?token=a-secret-of-the-tests&token=other").await,
    ];
    assert_eq!(answers[0].status, 401);
    assert_eq!(answers[0].header("content-type"), Some("application/problem+json"));
    assert_eq!(serde_json::from_str::<Value>(&answers[0].body).unwrap()["code"], "signature");
    for answer in &answers {
        assert_eq!(answer, &answers[0], "status, headers and body are the same to the byte");
    }
    nothing_is_stored(&relay);
    relay.app.ingest.save_refusals(relay.clock.now()).await.unwrap();
    assert_eq!(
        relay.table("SELECT source, reason, count FROM rejections ORDER BY source, reason"),
        json!([
            { "source": "crm", "reason": "contradicting_headers", "count": 1 },
            { "source": "crm", "reason": "malformed_signature", "count": 2 },
            { "source": "crm", "reason": "missing_prefix", "count": 1 },
            { "source": "crm", "reason": "missing_signature", "count": 2 },
            { "source": "crm", "reason": "wrong_signature", "count": 1 },
            { "source": "stripe", "reason": "malformed_timestamp", "count": 1 },
            { "source": "stripe", "reason": "missing_timestamp", "count": 1 },
            { "source": "stripe", "reason": "wrong_signature", "count": 1 },
            { "source": "tally", "reason": "contradicting_parameters", "count": 1 },
            { "source": "tally", "reason": "missing_token", "count": 1 },
            { "source": "tally", "reason": "wrong_token", "count": 1 },
        ])
    );
    // The request that all were forged from is good.
    assert_eq!(relay.post(good).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signature_that_is_too_old_is_refused_like_any_other_and_counted_as_stale() {
    let relay = start().await;
    let stale = relay.sign("stripe", &json!({ "id": "evt_1" }), &[]);
    relay.advance(Duration::from_secs(301));
    let unsigned = relay.post(Draft::post("/hooks/stripe", "application/json", "{}").0).await;
    let answer = relay.post(stale).await;
    is_problem(&answer, 401, "signature");
    assert_eq!(answer.body, unsigned.body);
    relay.app.ingest.save_refusals(relay.clock.now()).await.unwrap();
    assert_eq!(relay.number("SELECT count FROM rejections WHERE reason = 'stale'"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_add_up_by_the_minute_and_a_flood_of_names_adds_one_line() {
    let relay = start().await;
    for name in ["a", "b", "c", "../crm", "%ff", "ada@example.test"] {
        is_problem(
            &relay.post(Draft::post(format!("/hooks/{}", name.replace('/', "%2F")), "application/json", "{}").0).await,
            404,
            "unknown_source",
        );
    }
    relay.app.ingest.save_refusals(relay.clock.now()).await.unwrap();
    relay.post(Draft::post("/hooks/d", "application/json", "{}").0).await;
    relay.app.ingest.save_refusals(relay.clock.now()).await.unwrap();
    assert_eq!(
        relay.table("SELECT source, reason, minute, count FROM rejections"),
        json!([{ "source": "", "reason": "unknown_source", "minute": relay.clock.now().as_millis(), "count": 7 }])
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_that_could_not_be_written_down_are_written_down_the_next_time() {
    let relay = start().await;
    relay.sql("CREATE TRIGGER broken BEFORE INSERT ON rejections BEGIN SELECT RAISE(ABORT, 'full'); END");
    relay.post(Draft::post("/hooks/crm", "application/json", "{}").0).await;
    assert!(relay.app.ingest.save_refusals(relay.clock.now()).await.is_err());
    relay.sql("DROP TRIGGER broken");
    relay.post(Draft::post("/hooks/crm", "application/json", "{}").0).await;
    relay.app.ingest.save_refusals(relay.clock.now()).await.unwrap();
    assert_eq!(relay.number("SELECT count FROM rejections"), 2);
}

// Requests that are no webhooks.

#[tokio::test(flavor = "multi_thread")]
async fn the_public_port_answers_webhooks_and_signs_of_life_and_nothing_else() {
    let relay = start().await;
    let get = |path: &str| {
        let (address, head) = (relay.address(), format!("GET {path} HTTP/1.1"));
        async move { raw::exchange(address, &head, b"").await }
    };
    let alive = get("/healthz").await;
    assert_eq!((alive.status, alive.body.as_str()), (200, r#"{"status":"ok"}"#));
    for path in [
        "/",
        "/readyz",
        "/metrics",
        "/api",
        "/api/v1/webhooks",
        "/api/v1/openapi.json",
        "/login",
        "/hooks",
        "/hooks/",
        "/hooks/crm/more",
        "/healthz/more",
        "/HEALTHZ",
        "//",
        "/%00",
        "/..%2f..%2fetc",
        "/sandbox",
    ] {
        let answer = get(path).await;
        assert_eq!((answer.status, answer.header("content-type")), (404, Some("application/problem+json")), "{path}");
        assert!(answer.body.contains(r#""code":"no_such_path""#), "{path}: {}", answer.body);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn any_method_but_post_is_told_which_one_is_meant() {
    let relay = start().await;
    for method in ["GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS", "BREW"] {
        let answer = raw::exchange(relay.address(), &format!("{method} /hooks/crm HTTP/1.1"), b"").await;
        assert_eq!((answer.status, answer.header("allow")), (405, Some("POST")), "{method}");
        assert_eq!(answer.header("content-type"), Some("application/problem+json"));
        assert_eq!(answer.body.contains(r#""code":"method_not_allowed""#), method != "HEAD", "{}", answer.body);
    }
    let answer = raw::exchange(relay.address(), "POST /healthz HTTP/1.1\ncontent-length: 0", b"").await;
    assert_eq!((answer.status, answer.header("allow")), (405, Some("GET, HEAD")));
    assert_eq!(answer.header("content-type"), Some("application/problem+json"));
}

// Bodies.

#[tokio::test(flavor = "multi_thread")]
async fn a_body_of_exactly_the_limit_passes_and_one_more_byte_is_413() {
    const LIMIT: usize = 1024;
    let relay = start().await;
    let body = |size: usize| format!("{:<size$}", r#"{"email":"ada@example.test"}"#);
    let send = |size| relay.post(relay.sign_bytes("small", body(size), &[]));
    is_problem(&send(LIMIT + 1).await, 413, "body_too_large");
    nothing_is_stored(&relay);
    assert_eq!(send(LIMIT).await.status, 200);
    assert_eq!(relay.number("SELECT body_size FROM webhooks"), 1024);
    // Also where nothing says beforehand how large it is going to be.
    let mut request = relay.sign_bytes("small", body(LIMIT + 2), &[]);
    request.headers.set("transfer-encoding", "chunked");
    let chunks = format!("200\r\n{:<512}\r\n202\r\n{:<514}\r\n0\r\n\r\n", " ", " ");
    let answer = raw::exchange(relay.address(), &raw::head(&request, "x-chunks: 2"), chunks.as_bytes()).await;
    assert_eq!(answer.status, 413, "{answer:?}");
    relay.app.ingest.save_refusals(relay.clock.now()).await.unwrap();
    assert_eq!(relay.number("SELECT sum(count) FROM rejections WHERE reason = 'body_too_large'"), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_in_chunks_is_one_body() {
    let relay = start().await;
    let mut request = relay.sign("crm", &json!({ "event": "e1", "id": 7 }), &[]);
    request.headers.set("transfer-encoding", "chunked");
    let (first, second) = request.body.split_at(5);
    let chunks = [b"5\r\n", first, format!("\r\n{:x}\r\n", second.len()).as_bytes(), second, b"\r\n0\r\n\r\n"].concat();
    let answer = raw::exchange(relay.address(), &raw::head(&request, "x-chunks: 2"), &chunks).await;
    assert_eq!(answer.status, 200, "{answer:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sender_of_far_too_much_gets_its_answer_and_not_a_broken_connection() {
    let relay = start().await;
    let body = vec![b' '; 8 << 20];
    is_problem(&relay.post(relay.sign_bytes("crm", body, &[])).await, 413, "body_too_large");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_cannot_be_read_is_400_once_its_signature_is_right_and_401_before() {
    let relay = start().await;
    let bodies: [&[u8]; 8] = [
        b"",
        b"  \n",
        b"{\"id\": 7",
        b"{\"id\": ada@example.test}",
        b"{\"id\": 7} {}",
        b"\"\xff\xfe\"",
        b"\x00\x01\x02",
        &b"[".repeat(200_000),
    ];
    for body in bodies {
        let answer = relay.post(relay.sign_bytes("crm", body.to_vec(), &[])).await;
        is_problem(&answer, 400, "unreadable_body");
        assert!(!answer.body.to_string().contains("ada@"), "nothing of the body comes back: {answer:?}");
        let unsigned = relay.post(Draft::post("/hooks/crm", "application/json", body.to_vec()).0).await;
        is_problem(&unsigned, 401, "signature");
    }
    let answer = relay.post(relay.sign_bytes("crm", "<id>7</id>", &[("Content-Type", "application/xml")])).await;
    is_problem(&answer, 400, "unreadable_body");
    nothing_is_stored(&relay);
    // And the service lives.
    relay.crm(json!({ "event": "e1", "id": 7 })).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_answer_to_a_body_that_never_comes_whole_is_400_and_stores_nothing() {
    let relay = start().await;
    let mut request = relay.sign("crm", &json!({ "event": "e1", "id": 7 }), &[]);
    request.headers.set("transfer-encoding", "chunked");
    let head = raw::head(&request, "x-chunks: 1");
    let mut stream = raw::open(relay.address(), &head, b"5\r\n{\"eve\r\nnonsense\r\n").await;
    assert_eq!(raw::read(&mut stream).await.status, 400);
    let mut stream = raw::open(relay.address(), &head, b"5\r\n{\"eve\r\n").await;
    stream.shutdown().await.unwrap();
    drop(stream);
    relay.crm(json!({ "event": "e2", "id": 7 })).await;
    assert_eq!(relay.number("SELECT count(*) FROM webhooks"), 1);
}

// A store that cannot store.

#[track_caller]
fn asks_to_come_again(answer: &Answer) {
    is_problem(answer, 503, "not_stored");
    let seconds: u32 = answer.headers["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((1..=60).contains(&seconds));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_store_acknowledges_nothing_and_accepts_the_same_webhook_once_there_is_room() {
    let relay = start().await;
    let body = json!({ "event": "e1", "id": 7 });
    // The last id is given away: SQLite answers SQLITE_FULL, as it does for a full disk.
    relay.sql("INSERT INTO sqlite_sequence (name, seq) VALUES ('webhooks', 9223372036854775807)");
    asks_to_come_again(&relay.send("crm", body.clone()).await);
    asks_to_come_again(&relay.send("crm", body.clone()).await);
    nothing_is_stored(&relay);
    relay.sql("DELETE FROM sqlite_sequence WHERE name = 'webhooks'");
    relay.crm(body).await;
    relay.app.ingest.save_refusals(relay.clock.now()).await.unwrap();
    assert_eq!(relay.number("SELECT count FROM rejections WHERE reason = 'not_stored'"), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_is_not_acknowledged_where_its_row_cannot_be_stored() {
    let relay = start().await;
    relay.sql("CREATE TRIGGER broken BEFORE INSERT ON outbox BEGIN SELECT RAISE(ABORT, 'the disk is on fire'); END");
    let answer = relay.send("crm", json!({ "event": "e1", "id": 7 })).await;
    asks_to_come_again(&answer);
    assert!(!answer.body.to_string().contains("fire"), "no cause from inside is shown: {answer:?}");
    nothing_is_stored(&relay);
    // A webhook that needs no row is none the worse.
    assert_eq!(relay.send("crm", json!({ "event": "e2", "type": "ping" })).await.body["status"], "ignored");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sender_is_asked_to_come_again_within_three_seconds_while_another_process_writes() {
    let relay = start().await;
    let body = json!({ "event": "e1", "id": 7 });
    let lock = WriteLock::take(&relay);
    let asked = tokio::time::timeout(Duration::from_secs(3), relay.send("crm", body.clone())).await;
    asks_to_come_again(&asked.expect("answered in time"));
    lock.release();
    // Whether or not the first was stored after all, it is stored once.
    assert_eq!(relay.send("crm", body).await.status, 200);
    assert_eq!(relay.number("SELECT count(*) FROM webhooks"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_store_acknowledges_nothing() {
    let relay = start().await;
    relay.app.store.close().await;
    asks_to_come_again(&relay.send("crm", json!({ "event": "e1", "id": 7 })).await);
    nothing_is_stored(&relay);
}

// Tokens.

#[tokio::test(flavor = "multi_thread")]
async fn a_token_in_the_url_is_not_kept_and_the_rest_of_the_query_is() {
    let relay = start().await;
    let path = "/hooks/tally?form=1&token=a-secret-of-the-tests&at=2026-11-22T11:00:00Z&to%6ben=a-secret-of-the-tests";
    let mut request = Draft::post(path, "application/json", r#"{"email":"ada@example.test"}"#).0;
    request.headers.set("Authorization", "Bearer a-secret-of-the-tests");
    request.headers.set("Cookie", "session=a-secret-of-the-tests");
    assert_eq!(relay.post(request).await.status, 200);
    assert_eq!(relay.sql("SELECT query FROM webhooks"), "form=1&at=2026-11-22T11:00:00Z");
    let by_header = relay.sign_bytes("small", r#"{"email":"ada@example.test"}"#, &[]);
    assert_eq!(relay.post(by_header).await.status, 200);
    assert!(!relay.sql(".dump").contains("a-secret-of-the-tests"));
}
