//! `/hooks/{source}`: reads the body within its limit and hands the raw request to ingest. It answers 200
//! `{"webhook": id, "status": "accepted" | "duplicate" | "ignored"}` only when ingest says that it is on disk.

use std::time::Duration;

use actix_web::{HttpRequest, HttpResponse, http::StatusCode, web};
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt as _;
use serde_json::json;

use super::{
    Shared,
    problem::{Problem, broken_body},
};
use crate::{
    ingest::{Received, Refused},
    sources::{Greeting, Headers, Request},
};

/// A client has this long to send its body; one that trickles does not hold a connection for ever.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);
/// A body is read in one piece of memory that grows from this size.
const FIRST_CAPACITY: usize = 4 * 1024;

pub(super) async fn receive(
    request: HttpRequest,
    source: web::Path<String>,
    payload: web::Payload,
    shared: web::Data<Shared>,
) -> Result<HttpResponse, Problem> {
    let refuse = |refused: Refused| {
        shared.ingest.refuse(&source, &refused);
        Problem::from(&refused)
    };
    let max_body = shared.ingest.route(&source).ok_or_else(|| refuse(Refused::UnknownSource))?.max_body;
    let body = match tokio::time::timeout(BODY_TIMEOUT, read(payload, max_body)).await {
        Ok(Ok(body)) => body,
        Ok(Err(ReadError::TooLarge)) => return Err(refuse(Refused::TooLarge { max_body })),
        Ok(Err(ReadError::Broken)) | Err(_) => return Err(broken_body()),
    };
    let now = shared.clock.now();
    let received =
        shared.ingest.receive(&source, raw(&request, body), now).await.map_err(|refused| Problem::from(&refused))?;
    let (webhook, status) = match received {
        Received::Greeted(greeting) => return Ok(greeted(&greeting)),
        Received::Accepted { webhook } => (webhook, "accepted"),
        Received::Duplicate { webhook } => (webhook, "duplicate"),
        Received::Ignored { webhook } => (webhook, "ignored"),
    };
    Ok(HttpResponse::Ok().json(json!({ "webhook": webhook, "status": status })))
}

fn greeted(greeting: &Greeting) -> HttpResponse {
    let status = StatusCode::from_u16(greeting.status).unwrap_or(StatusCode::OK);
    HttpResponse::build(status).content_type(greeting.content_type).body(greeting.body.clone())
}

enum ReadError {
    TooLarge,
    Broken,
}

/// The whole body, or nothing: a body is never cut.
async fn read(mut payload: web::Payload, max_body: usize) -> Result<Bytes, ReadError> {
    let mut body = BytesMut::with_capacity(FIRST_CAPACITY);
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|_| ReadError::Broken)?;
        if body.len() + chunk.len() > max_body {
            return Err(ReadError::TooLarge);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}

fn raw(request: &HttpRequest, body: Bytes) -> Request {
    let headers = request
        .headers()
        .iter()
        .map(|(name, value)| (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned()));
    let path_query = request.uri().path_and_query().map_or("/", |path_query| path_query.as_str());
    Request {
        method: request.method().as_str().to_owned(),
        path_query: path_query.to_owned(),
        headers: Headers::new(headers),
        body,
    }
}
