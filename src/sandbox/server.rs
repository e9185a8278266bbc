//! From the wire to the application and back: reads a call, lets faults and gates have their way, and sends what is to
//! be sent. Each call is handled on a task of its own, so that it goes on when its client has left, as on a real server.

use std::{io, sync::Arc, time::Duration};

use actix_web::{
    HttpRequest, HttpResponse, HttpResponseBuilder,
    body::SizedStream,
    http::{
        StatusCode,
        header::{self, HeaderMap},
    },
    rt, web,
};
use bytes::{Bytes, BytesMut};
use futures_util::{StreamExt, stream};
use tokio::{sync::oneshot, time};

use super::{
    answers::Answer,
    app::Bend,
    call::{Call, DASHED_TOKEN_HEADER, TOKEN_HEADER},
    control,
    failure::Failure,
    faults::{self, FaultKind},
    shared::Shared,
};

/// Bytes of a body at most; more is answered 413, as by the proxy in front.
const MAX_BODY_BYTES: usize = 8 * 1024 * 1024;
/// Parts a slow body is sent in.
const SLOW_PARTS: usize = 10;
/// What a truncated answer waits before its connection is closed, so that its first half has left.
const BEFORE_CUT: Duration = Duration::from_millis(20);

/// What goes to the wire.
enum Delivery {
    /// The whole answer.
    Whole(Answer),
    /// The whole answer, its body spread over this time.
    Slowly(Answer, Duration),
    /// The answer with half of its body, then the end of the connection.
    Half(Answer),
    /// The end of the connection.
    Nothing,
}

/// Answers every request.
pub(super) async fn receive(request: HttpRequest, payload: web::Payload, shared: web::Data<Shared>) -> HttpResponse {
    let shared = shared.into_inner();
    let body = match read(payload).await {
        Ok(body) => body,
        Err(failure) => {
            let request_id = shared.lock().app.next_uuid();
            return whole(Answer::refusal(&failure, true), &request_id);
        }
    };
    let call = call(&request, body);
    let request_id = shared.lock().app.next_uuid();
    if call.segments().first() == Some(&"sandbox") {
        return whole(control::answer(&shared, &call), &request_id);
    }
    // Dropped with this future when the client leaves.
    let (_present, departed) = oneshot::channel();
    let handling = rt::spawn({
        let request_id = request_id.clone();
        async move { handle(&shared, &call, &request_id, departed).await }
    });
    match handling.await.unwrap_or(Delivery::Nothing) {
        Delivery::Whole(answer) => whole(answer, &request_id),
        Delivery::Slowly(answer, over) => slowly(answer, over, &request_id),
        Delivery::Half(answer) => half(answer, &request_id),
        Delivery::Nothing => nothing(),
    }
}

async fn handle(shared: &Shared, call: &Call, request_id: &str, departed: oneshot::Receiver<()>) -> Delivery {
    let (number, gates, kinds, mut fault_changes) = {
        let now = shared.now();
        let mut state = shared.lock();
        state.gates.retain(|gate| gate.is_closed());
        let gates: Vec<_> = state.gates.iter().filter(|gate| gate.holds(call)).map(Arc::clone).collect();
        (state.calls.begin(call, request_id, now), gates, state.faults.strike(call), shared.fault_changes.subscribe())
    };
    for gate in gates {
        gate.pass().await;
    }
    let mut kind = None;
    for struck in kinds {
        match struck {
            FaultKind::Latency { ms } => time::sleep(Duration::from_millis(ms)).await,
            other => kind = Some(other),
        }
    }
    let hang = async {
        tokio::select! {
            _ = departed => {}
            _ = fault_changes.changed() => {}
        }
    };
    let run = |bend: &Bend| {
        let now = shared.now();
        let mut state = shared.lock();
        state.calls.carried_out(number);
        state.app.answer(call, bend, now)
    };
    let plain = || run(&Bend::Straight);
    let delivery = match kind {
        None | Some(FaultKind::Latency { .. }) => Delivery::Whole(plain()),
        Some(FaultKind::Status { code, body, content_type, retry_after, location }) => {
            let (body, content_type) = (body.as_ref(), content_type.as_ref());
            let (retry_after, location) = (retry_after.as_ref(), location.as_ref());
            Delivery::Whole(faults::status_answer(call, code, body, content_type, retry_after, location))
        }
        Some(FaultKind::Hang) => {
            hang.await;
            Delivery::Nothing
        }
        Some(FaultKind::HangAfter) => {
            plain();
            hang.await;
            Delivery::Nothing
        }
        Some(FaultKind::Drop) => Delivery::Nothing,
        Some(FaultKind::DropAfter) => {
            plain();
            Delivery::Nothing
        }
        Some(FaultKind::Truncate) => Delivery::Half(plain()),
        Some(FaultKind::SlowBody { ms }) => Delivery::Slowly(plain(), Duration::from_millis(ms)),
        Some(FaultKind::Html404) => Delivery::Whole(Answer::not_found_page()),
        Some(FaultKind::LoginPage) => Delivery::Whole(Answer::login_page()),
        Some(
            bending @ (FaultKind::RevokedToken
            | FaultKind::HeaderLost
            | FaultKind::AccountSuspended
            | FaultKind::NotAMember
            | FaultKind::IgnoreFields { .. }
            | FaultKind::VendorShape),
        ) => Delivery::Whole(run(&bending.bend().unwrap_or(Bend::Straight))),
    };
    let status = match &delivery {
        Delivery::Whole(answer) | Delivery::Slowly(answer, _) | Delivery::Half(answer) => Some(answer.status),
        Delivery::Nothing => None,
    };
    let now = shared.now();
    shared.lock().calls.end(number, status, now);
    delivery
}

async fn read(mut payload: web::Payload) -> Result<Bytes, Failure> {
    let mut body = BytesMut::new();
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|_| Failure::BadRequest)?;
        if body.len() + chunk.len() > MAX_BODY_BYTES {
            return Err(Failure::TooLarge);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}

fn call(request: &HttpRequest, body: Bytes) -> Call {
    let headers = request.headers();
    let text = |name: header::HeaderName| header_text(headers, name.as_str()).unwrap_or_default();
    Call {
        method: request.method().as_str().to_owned(),
        path: request.path().to_owned(),
        query: request.query_string().to_owned(),
        host: text(header::HOST),
        content_type: text(header::CONTENT_TYPE),
        accept: text(header::ACCEPT),
        token: header_text(headers, TOKEN_HEADER),
        dashed_token: header_text(headers, DASHED_TOKEN_HEADER),
        body,
    }
}

fn header_text(headers: &HeaderMap, name: &str) -> Option<String> {
    headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
}

fn builder(answer: &Answer, request_id: &str) -> HttpResponseBuilder {
    let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut builder = HttpResponse::build(status);
    if !answer.content_type.is_empty() {
        builder.insert_header((header::CONTENT_TYPE, answer.content_type.as_str()));
    }
    for (name, value) in &answer.headers {
        builder.insert_header((*name, value.as_str()));
    }
    builder.insert_header(("x-request-id", request_id));
    builder
}

fn whole(answer: Answer, request_id: &str) -> HttpResponse {
    builder(&answer, request_id).body(answer.body)
}

fn slowly(answer: Answer, over: Duration, request_id: &str) -> HttpResponse {
    let mut builder = builder(&answer, request_id);
    let body = Bytes::from(answer.body);
    let size = body.len();
    let part = size.div_ceil(SLOW_PARTS).max(1);
    let pause = over / u32::try_from(SLOW_PARTS).unwrap_or(1);
    let parts = stream::unfold(body, move |mut rest| async move {
        if rest.is_empty() {
            return None;
        }
        let next = rest.split_to(part.min(rest.len()));
        time::sleep(pause).await;
        Some((Ok::<_, io::Error>(next), rest))
    });
    builder.body(SizedStream::new(size as u64, Box::pin(parts)))
}

fn half(answer: Answer, request_id: &str) -> HttpResponse {
    let mut builder = builder(&answer, request_id);
    let mut body = Bytes::from(answer.body);
    let size = body.len().max(2);
    body.truncate(size / 2);
    let cut = stream::once(async {
        time::sleep(BEFORE_CUT).await;
        Err(io::Error::other("cut off on purpose"))
    });
    let parts = stream::iter([Ok(body)]).chain(cut);
    builder.body(SizedStream::new(size as u64, Box::pin(parts)))
}

/// A body that fails before its first byte: the connection is closed before the head is flushed.
fn nothing() -> HttpResponse {
    let failing = stream::once(async { Err::<Bytes, _>(io::Error::other("dropped on purpose")) });
    HttpResponse::Ok().body(SizedStream::new(2, Box::pin(failing)))
}
