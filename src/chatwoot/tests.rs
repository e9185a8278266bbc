//! The client against a server that answers raw bytes: what no well-behaved mock server can do.

use std::time::Duration;

use serde_json::{Map, Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

use super::*;
use crate::clock::{Clock, Timestamp};

const TOKEN: &str = "s3cret-token-value";

/// What the server does with the connection once it has read the request.
enum Act {
    /// Writes these bytes and closes.
    Write(Vec<u8>),
    /// Writes these bytes and keeps the connection open without a word.
    Hang(Vec<u8>),
    /// Closes with a reset.
    Reset,
}

/// A server of one host that plays `acts`, one for each connection, and hands back the requests as text.
struct Server {
    base_url: String,
    requests: JoinHandle<Vec<String>>,
}

impl Server {
    async fn playing(acts: impl IntoIterator<Item = Act> + Send + 'static) -> Self {
        let acts: Vec<Act> = acts.into_iter().collect();
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let base_url = format!("http://{}", listener.local_addr().expect("bound"));
        let requests = tokio::spawn(async move {
            let (mut requests, mut hanging) = (Vec::new(), Vec::new());
            for act in acts {
                let (mut connection, _) = listener.accept().await.expect("a connection");
                requests.push(read_request(&mut connection).await);
                match act {
                    // The client may have hung up, having read enough.
                    Act::Write(bytes) => {
                        let _ = connection.write_all(&bytes).await;
                        let _ = connection.shutdown().await;
                    }
                    Act::Hang(bytes) => {
                        let _ = connection.write_all(&bytes).await;
                        hanging.push(connection);
                    }
                    Act::Reset => connection.set_zero_linger().expect("a socket"),
                }
            }
            if !hanging.is_empty() {
                std::future::pending::<()>().await;
            }
            requests
        });
        Self { base_url, requests }
    }

    async fn answering(status: &str, content_type: &str, body: &str) -> Self {
        Self::playing([answer(status, content_type, body)]).await
    }

    fn client(&self) -> Client {
        client(&self.base_url)
    }

    async fn requests(self) -> Vec<String> {
        self.requests.await.expect("the server ends")
    }
}

/// Head and body of one request.
async fn read_request(connection: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    loop {
        let mut chunk = [0; 4096];
        let read = connection.read(&mut chunk).await.expect("a readable socket");
        bytes.extend_from_slice(&chunk[..read]);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "))
            .map_or(0, |text| text.parse().expect("a length"));
        if body.len() >= length || read == 0 {
            return text;
        }
    }
}

fn answer(status: &str, content_type: &str, body: &str) -> Act {
    let length = body.len();
    Act::Write(
        format!(
            "HTTP/1.1 {status}\r\ncontent-type: {content_type}\r\nx-request-id: req-1\r\ncontent-length: {length}\r\n\
             connection: close\r\n\r\n{body}"
        )
        .into_bytes(),
    )
}

fn target(base_url: &str) -> Target {
    Target {
        base_url: base_url.parse().expect("a URL"),
        account_id: 1,
        token: TOKEN.to_owned().into(),
        token_header: DEFAULT_TOKEN_HEADER.to_owned(),
        connect_timeout: Duration::from_secs(5),
        call_timeout: Duration::from_secs(10),
    }
}

fn client(base_url: &str) -> Client {
    Client::new(&target(base_url), Clock::manual(Timestamp::from_secs(1_790_946_851)).0).expect("a good target")
}

fn impatient(base_url: &str) -> Client {
    let target = Target { call_timeout: Duration::from_millis(400), ..target(base_url) };
    Client::new(&target, Clock::System).expect("a good target")
}

fn name() -> Map<String, Value> {
    json!({"name": "Dana"}).as_object().cloned().expect("an object")
}

fn no_answer<T>(why: NoAnswer) -> Result<T, Failure> {
    Err(Failure::NoAnswer { why })
}

#[tokio::test]
async fn an_update_is_a_patch_with_json_and_the_token() {
    let body = r#"{"payload":{"id":42,"name":"Dana"}}"#;
    let server = Server::answering("200 OK", "application/json; charset=utf-8", body).await;
    let call = Client::new(&target(&format!("{}/chat/", server.base_url)), Clock::System)
        .expect("a good target")
        .update(42, &name())
        .await;
    assert_eq!(
        (call.method, call.path.as_str(), call.status),
        ("PATCH", "/chat/api/v1/accounts/1/contacts/42", Some(200))
    );
    assert_eq!(call.request_id.as_deref(), Some("req-1"));
    assert_eq!(call.excerpt, None);
    assert_eq!(call.answer.expect("an echo").name.as_deref(), Some("Dana"));

    let request = server.requests().await.remove(0);
    let (head, body) = request.split_once("\r\n\r\n").expect("a head");
    assert!(head.starts_with("PATCH /chat/api/v1/accounts/1/contacts/42 HTTP/1.1\r\n"), "{head}");
    for line in [
        "content-type: application/json",
        "accept: application/json",
        &format!("api_access_token: {TOKEN}"),
        concat!("user-agent: contact-relay/", env!("CARGO_PKG_VERSION")),
    ] {
        assert_eq!(head.lines().filter(|other| *other == line).count(), 1, "{line} in {head}");
    }
    assert_eq!(body, r#"{"name":"Dana"}"#);
}

#[tokio::test]
async fn a_refusal_is_classified_and_kept_as_an_excerpt_without_the_token() {
    let body = format!(r#"{{"message":"Email has already been taken","attributes":["email"],"seen":"{TOKEN}"}}"#);
    let server = Server::answering("422 Unprocessable Content", "application/json", &body).await;
    let call = server.client().update(42, &name()).await;
    let message = ServerText::new("Email has already been taken");
    assert_eq!(call.answer, Err(Failure::Invalid { attributes: vec!["email".into()], message }));
    let excerpt = call.excerpt.expect("an excerpt");
    assert!(excerpt.contains("already been taken") && !excerpt.contains(TOKEN), "{excerpt}");
}

#[tokio::test]
async fn the_answers_of_calls_that_carry_tokens_are_never_kept() {
    let refusal =
        || answer("401 Unauthorized", "application/json", r#"{"error":"Invalid Access Token","access_token":"x"}"#);
    let server = Server::playing([refusal(), refusal()]).await;
    let client = server.client();
    assert_eq!(client.profile().await.excerpt, None);
    let call = client
        .subscribe(&"https://relay.example.com/hooks/chatwoot".parse().expect("a URL"), &["contact_updated"])
        .await;
    assert_eq!((call.status, call.excerpt), (Some(401), None));
}

#[tokio::test]
async fn the_version_is_asked_without_the_token() {
    let server = Server::answering("200 OK", "application/json", r#"{"version":"4.15.1"}"#).await;
    assert!(server.client().version().await.answer.expect("a version").at_least(4, 2, 0));
    let request = server.requests().await.remove(0);
    assert!(request.starts_with("GET /api HTTP/1.1"), "{request}");
    assert!(!request.contains(TOKEN) && !request.contains("api_access_token"), "{request}");
}

#[tokio::test]
async fn a_redirect_is_not_followed_and_gets_no_token() {
    let aim = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let origin = format!("http://{}", aim.local_addr().expect("bound"));
    let redirect = format!(
        "HTTP/1.1 307 Temporary Redirect\r\nlocation: {origin}/x?y\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
    );
    let server = Server::playing([Act::Write(redirect.into_bytes())]).await;
    let call = server.client().update(42, &name()).await;
    assert_eq!(call.answer, Err(Failure::WrongAddress { why: NotChatwoot::Redirect { to: Some(origin) } }));
    assert_eq!(call.status, Some(307));
    assert!(tokio::time::timeout(Duration::from_millis(20), aim.accept()).await.is_err(), "nobody comes");
}

#[tokio::test]
async fn a_login_page_is_a_wrong_address() {
    let server = Server::answering("200 OK", "text/html", "<html>log in</html>").await;
    let call = server.client().update(42, &name()).await;
    assert_eq!(call.answer, Err(Failure::WrongAddress { why: NotChatwoot::Page }));
}

#[tokio::test]
async fn retry_after_as_a_date_is_counted_from_the_clock() {
    let bytes = "HTTP/1.1 429 Too Many Requests\r\nretry-after: Fri, 02 Oct 2026 13:15:11 GMT\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
    let server = Server::playing([Act::Write(bytes.into())]).await;
    let call = server.client().update(42, &name()).await;
    assert_eq!(call.answer, Err(Failure::RateLimited { retry_after: Some(Duration::from_mins(1)) }));
}

#[tokio::test]
async fn an_answer_that_breaks_off_leaves_the_call_in_doubt() {
    let truncated =
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{\"payload\":{\"id\":42}}";
    let chunked = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\n{\"pay\r\n";
    for bytes in [truncated, chunked] {
        let server = Server::playing([Act::Write(bytes.into())]).await;
        let call = server.client().update(42, &name()).await;
        assert_eq!((call.status, call.answer), (Some(200), no_answer(NoAnswer::Truncated)));
    }
}

#[tokio::test]
async fn a_connection_that_closes_before_the_answer_leaves_the_call_in_doubt_and_is_not_tried_again() {
    for act in [Act::Reset, Act::Write(Vec::new()), Act::Write(b"HTTP/1.1 2".to_vec())] {
        let server = Server::playing([act]).await;
        let call = server.client().update(42, &name()).await;
        assert_eq!((call.status, call.answer), (None, no_answer(NoAnswer::Reset)));
        assert_eq!(server.requests().await.len(), 1);
    }
}

#[tokio::test]
async fn an_answer_that_does_not_come_in_time_leaves_the_call_in_doubt() {
    let slow_body = b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{".to_vec();
    for (bytes, status) in [(Vec::new(), None), (slow_body, Some(200))] {
        let server = Server::playing([Act::Hang(bytes)]).await;
        let call = impatient(&server.base_url).update(42, &name()).await;
        assert_eq!((call.status, call.answer), (status, no_answer(NoAnswer::Timeout)));
        server.requests.abort();
    }
}

#[tokio::test]
async fn a_huge_answer_is_not_read_to_its_end() {
    // Announces far more than it sends and never ends: only a client that stops reading gets anywhere.
    let endless = |status: &str| {
        let mut bytes =
            format!("HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: 1000000000\r\n\r\n")
                .into_bytes();
        bytes.resize(bytes.len() + MAX_ANSWER_BYTES + 1, b'[');
        Act::Hang(bytes)
    };
    let server = Server::playing([endless("200 OK"), endless("502 Bad Gateway")]).await;
    let client = server.client();
    let call = client.update(42, &name()).await;
    assert_eq!(call.answer, Err(Failure::Unreadable { why: Misread::TooLarge }));
    let call = client.update(42, &name()).await;
    assert_eq!(call.answer, Err(Failure::Unavailable { status: 502, retry_after: None }));
    assert_eq!(call.excerpt.expect("an excerpt").len(), MAX_EXCERPT_BYTES);
    server.requests.abort();
}

#[tokio::test]
async fn what_was_surely_not_received_is_told_with_its_reason() {
    let free = TcpListener::bind("127.0.0.1:0").await.expect("a free port").local_addr().expect("bound");
    // A label longer than DNS allows: no resolver of any network finds it.
    let nowhere = format!("http://{}.invalid", "a".repeat(64));
    for (base_url, why) in [(format!("http://{free}"), NotConnected::Refused), (nowhere, NotConnected::Dns)] {
        let call = client(&base_url).update(42, &name()).await;
        assert_eq!((call.status, call.answer), (None, Err(Failure::NotConnected { why })), "{base_url}");
    }
}

#[tokio::test]
async fn a_server_that_does_not_speak_tls_is_told_as_such() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("bound");
    let server = tokio::spawn(async move {
        let (mut connection, _) = listener.accept().await.expect("a connection");
        let _ = connection.read(&mut [0; 1024]).await;
        let _ = connection.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
    });
    // On a system without CA certificates there is no HTTPS client at all, and the reason is told without a panic.
    match Client::new(&target(&format!("https://{address}")), Clock::System) {
        Ok(client) => {
            let call = client.update(42, &name()).await;
            assert_eq!(call.answer, Err(Failure::NotConnected { why: NotConnected::Tls }));
            server.await.expect("the server ends");
        }
        Err(problem) => assert!(matches!(problem, BadTarget::Tls(_)), "{problem}"),
    }
}

#[tokio::test]
async fn a_handshake_that_does_not_end_is_no_connection() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let base_url = format!("https://{}", listener.local_addr().expect("bound"));
    // The system accepts the connection; nobody answers on it.
    let target = Target { connect_timeout: Duration::from_millis(50), ..target(&base_url) };
    match Client::new(&target, Clock::System) {
        Ok(client) => {
            let call = client.update(42, &name()).await;
            assert_eq!(call.answer, Err(Failure::NotConnected { why: NotConnected::Timeout }));
        }
        Err(problem) => assert!(matches!(problem, BadTarget::Tls(_)), "{problem}"),
    }
}

#[tokio::test]
async fn a_filter_reads_all_pages_and_each_contact_once() {
    let page = |ids: &[i64], count: u64| {
        let payload: Vec<Value> = ids.iter().map(|id| json!({"id": id, "identifier": "A"})).collect();
        answer("200 OK", "application/json", &json!({"meta": {"count": count}, "payload": payload}).to_string())
    };
    let server = Server::playing([page(&[1, 2], 3), page(&[2, 3], 3)]).await;
    let call = server.client().filter(&[Condition { key: "identifier", value: "a".into() }]).await;
    assert_eq!((call.method, call.path.as_str()), ("POST", "/api/v1/accounts/1/contacts/filter"));
    let ids: Vec<_> = call.answer.expect("contacts").iter().map(|contact| contact.id).collect();
    assert_eq!(ids, [1, 2, 3]);
    let requests = server.requests().await;
    let query = "sort=created_at&include_contact_inboxes=false HTTP/1.1\r\n";
    assert!(requests[0].contains(&format!("filter?page=1&{query}")), "{}", requests[0]);
    assert!(requests[1].contains(&format!("filter?page=2&{query}")), "{}", requests[1]);
}

#[tokio::test]
async fn one_failed_page_fails_the_filter() {
    let page = answer("200 OK", "application/json", r#"{"meta":{"count":3},"payload":[{"id":1}]}"#);
    let server = Server::playing([page, answer("502 Bad Gateway", "text/html", "<html>")]).await;
    let call = server.client().filter(&[Condition { key: "email", value: "a@b.co".into() }]).await;
    assert_eq!(call.answer, Err(Failure::Unavailable { status: 502, retry_after: None }));
    assert_eq!((call.status, call.excerpt.as_deref()), (Some(502), Some("<html>")));
}

#[tokio::test]
async fn a_filter_without_conditions_makes_no_call() {
    let call = client("http://chatwoot.invalid").filter(&[]).await;
    assert_eq!((call.status, call.answer), (None, Ok(Vec::new())));
}

#[tokio::test]
async fn what_is_searched_for_is_escaped_and_is_not_in_the_path_of_the_audit() {
    let server = Server::answering("200 OK", "application/json", r#"{"meta":{"count":0},"payload":[]}"#).await;
    let call = server.client().search("dana+x@example.com&page=9", 1).await;
    assert_eq!(call.path, "/api/v1/accounts/1/contacts/search");
    assert_eq!(call.answer, Ok(Page { count: Some(0), ..Page::default() }));
    let request = server.requests().await.remove(0);
    assert!(
        request.starts_with("GET /api/v1/accounts/1/contacts/search?q=dana%2Bx%40example.com%26page%3D9&page=1&"),
        "{request}"
    );
}

#[tokio::test]
async fn every_other_call_goes_where_chatwoot_has_it() {
    let ok = |body: &str| answer("200 OK", "application/json", body);
    let server = Server::playing([
        ok(r#"{"payload":{"contact":{"id":7},"contact_inbox":{"inbox":null,"source_id":null}}}"#),
        ok(r#"{"payload":{"id":7}}"#),
        ok(""),
        ok(r#"{"id":7}"#),
        ok(r#"{"payload":["vip"]}"#),
        ok(r#"{"payload":["vip","new"]}"#),
        ok(r#"{"meta":{"count":0},"payload":[]}"#),
        ok(r#"{"id":1,"accounts":[]}"#),
        ok(r#"{"payload":{"webhook":{"id":3,"secret":"x"}}}"#),
    ])
    .await;
    let client = server.client();
    assert_eq!(client.create(&name()).await.answer.expect("a contact").id, 7);
    assert_eq!(client.show(7).await.answer.expect("a contact").id, 7);
    assert_eq!(client.delete(7).await.answer, Ok(()));
    assert_eq!(client.merge(7, 8).await.answer.expect("a contact").id, 7);
    assert_eq!(client.labels(7).await.answer, Ok(vec!["vip".to_owned()]));
    assert_eq!(client.set_labels(7, &["vip".into(), "new".into()]).await.answer.expect("labels").len(), 2);
    assert_eq!(client.list(2, "-created_at").await.answer, Ok(Page { count: Some(0), ..Page::default() }));
    assert_eq!(client.profile().await.answer.expect("a profile").id, 1);
    let hook = "https://relay.example.com/hooks/chatwoot".parse().expect("a URL");
    assert_eq!(client.subscribe(&hook, &["contact_updated"]).await.answer.expect("a webhook").id, 3);

    let requests = server.requests().await;
    let lines: Vec<&str> = requests.iter().map(|request| request.lines().next().expect("a line")).collect();
    assert_eq!(
        lines,
        [
            "POST /api/v1/accounts/1/contacts HTTP/1.1",
            "GET /api/v1/accounts/1/contacts/7?include_contact_inboxes=false HTTP/1.1",
            "DELETE /api/v1/accounts/1/contacts/7 HTTP/1.1",
            "POST /api/v1/accounts/1/actions/contact_merge HTTP/1.1",
            "GET /api/v1/accounts/1/contacts/7/labels HTTP/1.1",
            "POST /api/v1/accounts/1/contacts/7/labels HTTP/1.1",
            "GET /api/v1/accounts/1/contacts?page=2&sort=-created_at&include_contact_inboxes=false HTTP/1.1",
            "GET /api/v1/profile HTTP/1.1",
            "POST /api/v1/accounts/1/webhooks HTTP/1.1",
        ]
    );
    assert!(requests[3].ends_with(r#"{"base_contact_id":7,"mergee_contact_id":8}"#), "{}", requests[3]);
    assert!(requests[5].ends_with(r#"{"labels":["vip","new"]}"#), "{}", requests[5]);
}

#[tokio::test]
async fn an_update_without_a_usable_echo_is_in_doubt() {
    for (status, body, why) in [
        ("204 No Content", "", Misread::Empty),
        ("200 OK", "", Misread::Empty),
        ("200 OK", r#"{"payload":{"id":43}}"#, Misread::OtherContact),
        ("200 OK", r#"{"success":true}"#, Misread::Shape),
    ] {
        let bytes = match body {
            "" => format!("HTTP/1.1 {status}\r\nconnection: close\r\n\r\n").into_bytes(),
            body => format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len())
                .into_bytes(),
        };
        let server = Server::playing([Act::Write(bytes)]).await;
        let call = server.client().update(42, &name()).await;
        assert_eq!(call.answer, Err(Failure::Unreadable { why }), "{status} {body}");
    }
}

#[tokio::test]
async fn neither_the_token_nor_answers_are_in_debug_output() {
    let server = Server::answering("500 Internal Server Error", "text/html", "<html>dana@example.com").await;
    let client = server.client();
    let call = client.update(42, &name()).await;
    let shown = format!("{client:?} {call:?}");
    assert!(!shown.contains(TOKEN) && !shown.contains("dana@"), "{shown}");
}
