//! Refusals as problem documents (RFC 9457): a status, a stable code and one sentence. They never say why a signature
//! is wrong, and never show a cause from inside.

use std::{borrow::Cow, fmt};

use actix_web::{HttpRequest, HttpResponse, ResponseError, http::StatusCode, http::header};
use serde_json::json;

use crate::ingest::Refused;

/// How long a sender shall wait before it comes again, in seconds.
const COME_AGAIN_AFTER_S: u64 = 5;

/// A refusal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Problem {
    status: StatusCode,
    code: &'static str,
    detail: Cow<'static, str>,
}

impl Problem {
    pub(super) const NOT_READY: Self =
        Self { status: StatusCode::SERVICE_UNAVAILABLE, code: "not_ready", detail: Cow::Borrowed("") };

    /// The admin port's token is missing or wrong.
    pub(super) const UNAUTHORIZED: Self = Self {
        status: StatusCode::UNAUTHORIZED,
        code: "unauthorized",
        detail: Cow::Borrowed("Send the token of [admin] as `Authorization: Bearer …`."),
    };

    pub(super) const NO_SUCH_SOURCE: Self = Self {
        status: StatusCode::NOT_FOUND,
        code: "unknown_source",
        detail: Cow::Borrowed("No source has this name."),
    };

    fn new(status: StatusCode, code: &'static str, detail: impl Into<Cow<'static, str>>) -> Self {
        Self { status, code, detail: detail.into() }
    }
}

impl From<&Refused> for Problem {
    fn from(refused: &Refused) -> Self {
        match refused {
            Refused::UnknownSource => Self::new(StatusCode::NOT_FOUND, "unknown_source", "No source has this name."),
            Refused::Method => {
                Self::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", "Webhooks are sent with POST.")
            }
            // One answer for every reason: the precise one helps only who should not get in.
            Refused::Signature(_) => {
                Self::new(StatusCode::UNAUTHORIZED, "signature", "The request did not prove where it comes from.")
            }
            Refused::TooLarge { max_body } => {
                let detail = format!("The body is larger than {max_body} bytes.");
                Self::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", detail)
            }
            Refused::Unreadable(unreadable) => {
                Self::new(StatusCode::BAD_REQUEST, "unreadable_body", unreadable.to_string())
            }
            Refused::NotStored(_) => {
                let detail = "The webhook could not be stored. Please send it again.";
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "not_stored", detail)
            }
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.detail)
    }
}

impl ResponseError for Problem {
    fn status_code(&self) -> StatusCode {
        self.status
    }

    fn error_response(&self) -> HttpResponse {
        let mut response = HttpResponse::build(self.status);
        response.insert_header((header::CONTENT_TYPE, "application/problem+json"));
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            response.insert_header((header::RETRY_AFTER, COME_AGAIN_AFTER_S));
        }
        if *self == Self::UNAUTHORIZED {
            response.insert_header((header::WWW_AUTHENTICATE, "Bearer"));
        }
        if self.status == StatusCode::METHOD_NOT_ALLOWED {
            response.insert_header((header::ALLOW, "POST"));
        }
        let title = self.status.canonical_reason().unwrap_or_default();
        let body = json!({
            "type": "about:blank",
            "title": title,
            "status": self.status.as_u16(),
            "code": self.code,
            "detail": self.detail,
        });
        response.body(body.to_string())
    }
}

/// The body did not arrive whole.
pub(super) fn broken_body() -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, "broken_body", "The body did not arrive whole.")
}

/// A path that is not ours.
pub(super) async fn no_such_path() -> HttpResponse {
    Problem::new(StatusCode::NOT_FOUND, "no_such_path", "Webhooks go to /hooks/{source}.").error_response()
}

/// Another method where something is read.
pub(super) async fn not_get(request: HttpRequest) -> HttpResponse {
    let detail = format!("{} is not known here; allowed: GET, HEAD.", request.method());
    let mut response = Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", detail).error_response();
    response.headers_mut().insert(header::ALLOW, header::HeaderValue::from_static("GET, HEAD"));
    response
}
