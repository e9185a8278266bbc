//! Faults: each as its cause would look from outside.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn faults_of_status_answer_in_the_right_form_and_carry_nothing_out() {
    let api = Api::start().await;
    let id = api.seed("dana");
    api.sandbox.set_faults(vec![
        Fault::new(FaultKind::status(503)).times(1),
        Fault::new(FaultKind::status(301)).times(1),
        Fault::new(FaultKind::status_retry_after(429, "7")).times(1),
        Fault::new(FaultKind::Html404).times(1),
        Fault::new(FaultKind::LoginPage).times(1),
    ]);
    let path = format!("/contacts/{id}");
    for (status, content_type, header) in [
        (503, "text/html", None),
        (301, "text/html", Some("location")),
        (429, "text/plain", Some("retry-after")),
        (404, "text/html; charset=utf-8", None),
        (200, "text/html; charset=utf-8", None),
    ] {
        let response = api.request(Method::PATCH, &path).json(&json!({"name": "x"})).send().await.unwrap();
        assert_eq!(
            (response.status().as_u16(), response.headers()["content-type"].to_str().unwrap()),
            (status, content_type)
        );
        assert!(header.is_none_or(|header| response.headers().contains_key(header)));
    }
    assert_eq!(api.name(id).as_deref(), Some("dana"));
    assert!(api.sandbox.faults().is_empty());
    assert!(api.sandbox.calls().iter().all(|call| !call.carried_out));
}

#[tokio::test(flavor = "multi_thread")]
async fn faults_of_the_account_answer_401_with_the_text_of_the_server() {
    let api = Api::start().await;
    for (kind, text) in [
        (FaultKind::RevokedToken, "Invalid Access Token"),
        (FaultKind::AccountSuspended, "Account is suspended"),
        (FaultKind::NotAMember, "You are not authorized to access this account"),
    ] {
        api.fault(kind);
        assert_eq!(api.get("/contacts").await, (StatusCode::UNAUTHORIZED, json!({"error": text})));
    }
    api.fault(FaultKind::HeaderLost);
    assert!(api.get("/contacts").await.1.get("errors").is_some());
    let dashed = api.client.get(api.url("/contacts")).header("api-access-token", "sandbox-token");
    assert_eq!(dashed.send().await.unwrap().status(), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn fields_can_be_ignored_and_the_vendors_shape_be_answered() {
    let api = Api::start().await;
    let id = api.seed("dana");
    api.fault(FaultKind::IgnoreFields { fields: vec!["name".to_owned(), "custom_attributes.a".to_owned()] });
    let (status, body) = api.patch(id, json!({"name": "x", "custom_attributes": {"a": 1, "b": 2}})).await;
    assert_eq!((status.as_u16(), &body["payload"]["name"]), (200, &json!("dana")));
    assert_eq!(body["payload"]["custom_attributes"], json!({"b": 2}));
    api.fault(FaultKind::VendorShape);
    let (_, body) = api.patch(id, json!({"name": "x"})).await;
    assert_eq!(body["payload"]["contact"]["name"], "x");
    assert!(body["payload"].get("contact_inbox").is_some());
}

/// Sends a PATCH over a plain connection and returns every byte that comes back.
async fn raw_patch(api: &Api, id: i64) -> Vec<u8> {
    let body = r#"{"name":"x"}"#;
    let head = format!(
        "PATCH /api/v1/accounts/1/contacts/{id} HTTP/1.1\r\nhost: sandbox\r\napi_access_token: sandbox-token\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    let mut connection = TcpStream::connect(api.sandbox.address).await.unwrap();
    connection.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
    let mut received = Vec::new();
    // A connection that is reset ends the answer as well as one that is closed.
    let _ = connection.read_to_end(&mut received).await;
    received
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_call_gets_not_a_single_byte() {
    let api = Api::start().await;
    let id = api.seed("dana");
    api.fault(FaultKind::Drop);
    assert_eq!(raw_patch(&api, id).await, b"");
    assert_eq!(api.name(id).as_deref(), Some("dana"), "it was not carried out");
    api.fault(FaultKind::DropAfter);
    assert_eq!(raw_patch(&api, id).await, b"");
    assert_eq!(api.name(id).as_deref(), Some("x"), "it was carried out");
    assert_eq!(api.sandbox.calls()[1].status, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_truncated_answer_promises_more_than_it_sends() {
    let api = Api::start().await;
    let id = api.seed("dana");
    api.fault(FaultKind::Truncate);
    let received = String::from_utf8(raw_patch(&api, id).await).unwrap();
    let (head, body) = received.split_once("\r\n\r\n").unwrap();
    let promised =
        head.lines().find_map(|line| line.to_lowercase().strip_prefix("content-length: ").map(str::to_owned));
    let promised: usize = promised.unwrap().parse().unwrap();
    assert!(head.starts_with("HTTP/1.1 200") && body.len() == promised / 2, "{} of {promised}", body.len());
    assert_eq!(api.name(id).as_deref(), Some("x"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_body_is_whole_in_the_end() {
    let api = Api::start().await;
    let id = api.seed("dana");
    api.fault(FaultKind::SlowBody { ms: 50 });
    assert_eq!(api.patch(id, json!({"name": "x"})).await.1["payload"]["name"], "x");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hanging_call_ends_when_its_client_leaves_or_the_faults_are_cleared() {
    let api = Api::start().await;
    let id = api.seed("dana");
    api.fault(FaultKind::HangAfter);
    let impatient = api.request(Method::PATCH, &format!("/contacts/{id}")).json(&json!({"name": "x"}));
    assert!(impatient.timeout(Duration::from_millis(100)).send().await.unwrap_err().is_timeout());
    assert_eq!(api.name(id).as_deref(), Some("x"), "it took effect");
    while api.sandbox.calls()[0].ended.is_none() {
        tokio::task::yield_now().await;
    }
    api.fault(FaultKind::Hang);
    let hanging =
        tokio::spawn(api.request(Method::PATCH, &format!("/contacts/{id}")).json(&json!({"name": "y"})).send());
    while api.sandbox.calls().len() < 2 {
        tokio::task::yield_now().await;
    }
    api.sandbox.clear_faults();
    assert!(hanging.await.unwrap().is_err());
    assert_eq!(api.name(id).as_deref(), Some("x"), "it was never carried out");
    assert!(api.sandbox.overlaps().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_whose_client_has_left_still_takes_effect_and_still_overlaps() {
    let api = Api::start().await;
    let id = api.seed("dana");
    let gate = api.sandbox.hold(Match::method("PATCH"));
    let patch = |name: &str| api.request(Method::PATCH, &format!("/contacts/{id}")).json(&json!({"name": name}));
    let late = tokio::spawn(patch("late").send());
    gate.arrived(1).await;
    late.abort();
    assert!(api.sandbox.overlaps().is_empty());
    let second = tokio::spawn(patch("second").send());
    gate.arrived(2).await;
    assert_eq!(api.sandbox.overlaps(), [Overlap { first: 1, second: 2, subject: Subject::Contact(id) }]);
    gate.release();
    assert_eq!(second.await.unwrap().unwrap().status(), 200);
    // Nobody waits for the first one any more; it ends all the same.
    while !api.sandbox.calls().iter().all(|call| call.carried_out && call.ended.is_some()) {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn writes_in_a_row_do_not_overlap() {
    let api = Api::start().await;
    let id = api.seed("dana");
    for n in 0..50 {
        api.patch(id, json!({"name": n})).await;
    }
    assert!(api.sandbox.overlaps().is_empty());
    api.sandbox.clear_calls();
    assert!(api.sandbox.calls().is_empty());
}
