//! What an answer means: a pure function of status, content type, body and how the body ended. Chatwoot and what stands
//! in front of it answer the same status for different reasons; the body tells them apart.

use std::time::{Duration, UNIX_EPOCH};

use serde_json::{Map, Value};
use url::Url;

use super::failure::{Failure, Misread, NoAnswer, NotChatwoot, ServerText};
use crate::clock::Timestamp;

/// An answer as it came.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) content_type: Option<String>,
    pub(super) retry_after: Option<String>,
    pub(super) location: Option<String>,
    /// All of it, or its beginning, as `ending` says.
    pub(super) body: Vec<u8>,
    pub(super) ending: Ending,
}

/// How the body ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// As it should.
    Whole,
    /// It was larger than we read.
    TooLarge,
    /// The connection failed before its end.
    Broken(NoAnswer),
}

/// The longest wait that an answer can ask for.
const MAX_RETRY_AFTER: Duration = Duration::from_hours(24);

/// The JSON of a 2xx (`None` when its body is empty), or what the answer means otherwise. `now` is for `Retry-After`
/// dates, `base` for redirects to a path.
pub(super) fn read(answer: &Answer, base: &Url, now: Timestamp) -> Result<Option<Value>, Failure> {
    if (200..300).contains(&answer.status) { success(answer) } else { Err(failure(answer, base, now)) }
}

fn success(answer: &Answer) -> Result<Option<Value>, Failure> {
    match answer.ending {
        Ending::Whole => {}
        Ending::TooLarge => return Err(Failure::Unreadable { why: Misread::TooLarge }),
        Ending::Broken(why) => return Err(Failure::NoAnswer { why }),
    }
    if answer.body.trim_ascii().is_empty() {
        return Ok(None);
    }
    match serde_json::from_slice(&answer.body) {
        Ok(json) => Ok(Some(json)),
        Err(_) if says_json(answer) => Err(Failure::Unreadable { why: Misread::NotJson }),
        Err(_) => Err(Failure::WrongAddress { why: NotChatwoot::Page }),
    }
}

fn failure(answer: &Answer, base: &Url, now: Timestamp) -> Failure {
    let status = answer.status;
    // Below 429, the body decides between things as different as a wrong address and a missing contact.
    if let Ending::Broken(why) = answer.ending
        && (400..429).contains(&status)
    {
        return Failure::NoAnswer { why };
    }
    let json = serde_json::from_slice::<Map<String, Value>>(&answer.body).ok();
    match (status, json) {
        (300..=399, _) => Failure::WrongAddress {
            why: NotChatwoot::Redirect { to: redirect_origin(answer.location.as_deref(), base) },
        },
        (401, json) => unauthorized(json.as_ref()),
        (402 | 403, Some(json)) if json.contains_key("error") => refused(&json),
        (404, Some(json)) if json.contains_key("error") && !json.contains_key("status") => Failure::NotFound,
        (404, _) => Failure::WrongAddress { why: NotChatwoot::NoSuchPath },
        // No page of Chatwoot answers these, and every proxy may.
        (405 | 407 | 410 | 421 | 501, _) => Failure::WrongAddress { why: NotChatwoot::Status { status } },
        (422, Some(json)) => unprocessable(&json),
        (429, _) => Failure::RateLimited { retry_after: retry_after(answer, now) },
        (500, Some(_)) => Failure::ServerError { status },
        (408 | 425 | 500.., _) => Failure::Unavailable { status, retry_after: retry_after(answer, now) },
        (403, _) => Failure::Blocked { status },
        (400 | 402 | 406 | 451, None) if is_page(answer) => Failure::Blocked { status },
        _ => Failure::BadRequest { status },
    }
}

/// `devise_token_auth` answers `errors` when there is no token at all; Chatwoot answers `error` when it refuses one.
fn unauthorized(json: Option<&Map<String, Value>>) -> Failure {
    match json {
        Some(json) if json.contains_key("errors") && !json.contains_key("error") => Failure::HeaderLost,
        Some(json) => refused(json),
        None => Failure::TokenRefused { text: ServerText::default() },
    }
}

fn refused(json: &Map<String, Value>) -> Failure {
    Failure::TokenRefused { text: text(json, "error") }
}

/// Failed validations name `attributes`; everything else says `error`, or `message` alone.
fn unprocessable(json: &Map<String, Value>) -> Failure {
    match json.get("attributes") {
        Some(Value::Array(attributes)) => Failure::Invalid {
            attributes: attributes
                .iter()
                .filter_map(Value::as_str)
                .filter(|name| is_name(name))
                .map(str::to_owned)
                .collect(),
            message: text(json, "message"),
        },
        _ if json.contains_key("error") => Failure::MissingPart { text: text(json, "error") },
        _ => Failure::MissingPart { text: text(json, "message") },
    }
}

/// A column's name and not, say, an address that a modified server put there: names are displayed.
fn is_name(name: &str) -> bool {
    name.len() <= 64 && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.'))
}

fn text(json: &Map<String, Value>, key: &str) -> ServerText {
    json.get(key).and_then(Value::as_str).map(ServerText::new).unwrap_or_default()
}

fn says_json(answer: &Answer) -> bool {
    answer.content_type.as_deref().is_some_and(|kind| kind.to_ascii_lowercase().contains("json"))
}

/// Chatwoot's own 400 is JSON or has no body at all, and is labelled as HTML in the latter case.
fn is_page(answer: &Answer) -> bool {
    answer.body.trim_ascii_start().starts_with(b"<")
}

/// Seconds, or a date of RFC 9110 §10.2.3; never more than [`MAX_RETRY_AFTER`], and a past date is zero.
fn retry_after(answer: &Answer, now: Timestamp) -> Option<Duration> {
    let text = answer.retry_after.as_deref()?.trim();
    let wait = if text.bytes().all(|byte| byte.is_ascii_digit()) && !text.is_empty() {
        text.parse().map_or(MAX_RETRY_AFTER, Duration::from_secs)
    } else {
        let until = httpdate::parse_http_date(text).ok()?.duration_since(UNIX_EPOCH).ok()?;
        Timestamp::from_secs(i64::try_from(until.as_secs()).ok()?).since(now)
    };
    Some(wait.min(MAX_RETRY_AFTER))
}

/// Scheme and host only: the rest of the address may carry what nobody should read.
fn redirect_origin(location: Option<&str>, base: &Url) -> Option<String> {
    let aim = base.join(location?).ok()?;
    aim.has_host().then(|| aim.origin().ascii_serialization())
}

#[cfg(test)]
mod tests {
    use super::*;

    const HTML: &str = "<html><body>nginx</body></html>";
    const NOW: Timestamp = Timestamp::from_secs(1_790_946_851); // 2026-10-02T13:14:11Z

    fn answer(status: u16, body: &str) -> Answer {
        Answer {
            status,
            content_type: Some(
                if body.starts_with(['{', '[']) { "application/json; charset=utf-8" } else { "text/html" }.into(),
            ),
            retry_after: None,
            location: None,
            body: body.into(),
            ending: Ending::Whole,
        }
    }

    fn read(answer: &Answer) -> Result<Option<Value>, Failure> {
        super::read(answer, &Url::parse("https://chat.example.com/prefix").expect("a URL"), NOW)
    }

    fn refused(text: &str) -> Failure {
        Failure::TokenRefused { text: ServerText::new(text) }
    }

    fn invalid(attributes: &[&str], message: &str) -> Failure {
        let attributes = attributes.iter().map(|name| (*name).to_owned()).collect();
        Failure::Invalid { attributes, message: ServerText::new(message) }
    }

    fn missing(text: &str) -> Failure {
        Failure::MissingPart { text: ServerText::new(text) }
    }

    fn wrong(why: NotChatwoot) -> Failure {
        Failure::WrongAddress { why }
    }

    fn unavailable(status: u16) -> Failure {
        Failure::Unavailable { status, retry_after: None }
    }

    #[test]
    fn every_refusal_that_chatwoot_has_is_told_apart() {
        let table = [
            (401, r#"{"errors":["You need to sign in or sign up before continuing."]}"#, Failure::HeaderLost),
            (401, r#"{"errors":["עליך להתחבר או להירשם לפני שתמשיך."]}"#, Failure::HeaderLost),
            (401, r#"{"error":"Invalid Access Token"}"#, refused("Invalid Access Token")),
            (
                401,
                r#"{"error":"Access to this endpoint is not authorized for bots"}"#,
                refused("Access to this endpoint is not authorized for bots"),
            ),
            (
                401,
                r#"{"error":"You are not authorized to access this account"}"#,
                refused("You are not authorized to access this account"),
            ),
            (401, r#"{"error":"Account is suspended"}"#, refused("Account is suspended")),
            (
                401,
                r#"{"error":"You are not authorized to do this action"}"#,
                refused("You are not authorized to do this action"),
            ),
            (404, r#"{"error":"Resource could not be found"}"#, Failure::NotFound),
            (
                422,
                r#"{"message":"Email has already been taken, Phone number should be in e164 format","attributes":["email","phone_number"]}"#,
                invalid(
                    &["email", "phone_number"],
                    "Email has already been taken, Phone number should be in e164 format",
                ),
            ),
            (
                422,
                r#"{"error":"param is missing or the value is empty: contact phone number"}"#,
                missing("param is missing or the value is empty: contact phone number"),
            ),
            (
                422,
                r#"{"error":"Invalid value. The values provided for identifier are invalid"}"#,
                missing("Invalid value. The values provided for identifier are invalid"),
            ),
            (
                422,
                r#"{"message":"Dana is Online, please try again later"}"#,
                missing("Dana is Online, please try again later"),
            ),
            (400, r#"{"status":400,"error":"Bad Request"}"#, Failure::BadRequest { status: 400 }),
            (400, "", Failure::BadRequest { status: 400 }),
            (500, r#"{"status":500,"error":"Internal Server Error"}"#, Failure::ServerError { status: 500 }),
            (404, r#"{"status":404,"error":"Not Found"}"#, wrong(NotChatwoot::NoSuchPath)),
            (429, "Retry later\n", Failure::RateLimited { retry_after: None }),
        ];
        for (status, body, expected) in table {
            assert_eq!(read(&answer(status, body)), Err(expected), "{status} {body}");
        }
    }

    #[test]
    fn what_stands_in_front_of_chatwoot_is_not_taken_for_it() {
        let table = [
            (404, HTML, wrong(NotChatwoot::NoSuchPath)),
            (404, "", wrong(NotChatwoot::NoSuchPath)),
            (404, "404 page not found\n", wrong(NotChatwoot::NoSuchPath)),
            (404, r#"{"message":"no Route matched with those values"}"#, wrong(NotChatwoot::NoSuchPath)),
            (404, r#"["error"]"#, wrong(NotChatwoot::NoSuchPath)),
            (405, HTML, wrong(NotChatwoot::Status { status: 405 })),
            (501, HTML, wrong(NotChatwoot::Status { status: 501 })),
            (401, HTML, refused("")),
            (403, HTML, Failure::Blocked { status: 403 }),
            (403, "", Failure::Blocked { status: 403 }),
            (403, r#"{"error":"You are not permitted"}"#, refused("You are not permitted")),
            (406, HTML, Failure::Blocked { status: 406 }),
            (400, "\r\n<html>The plain HTTP request was sent to HTTPS port</html>", Failure::Blocked { status: 400 }),
            (413, HTML, Failure::BadRequest { status: 413 }),
            (422, HTML, Failure::BadRequest { status: 422 }),
            (408, "", unavailable(408)),
            (500, HTML, unavailable(500)),
            (500, "", unavailable(500)),
            (502, HTML, unavailable(502)),
            (503, HTML, unavailable(503)),
            (504, HTML, unavailable(504)),
            (503, r#"{"error":"overloaded"}"#, unavailable(503)),
            (522, "error code: 522", unavailable(522)),
        ];
        for (status, body, expected) in table {
            assert_eq!(read(&answer(status, body)), Err(expected), "{status} {body}");
        }
    }

    #[test]
    fn a_2xx_counts_only_with_json() {
        let html = |body: &str| Answer { content_type: Some("text/html; charset=utf-8".into()), ..answer(200, body) };
        let json = |body: &str| Answer { content_type: Some("Application/JSON".into()), ..answer(200, body) };
        assert_eq!(read(&json(r#"{"payload":1}"#)), Ok(Some(serde_json::json!({"payload": 1}))));
        assert_eq!(read(&json(" \n")), Ok(None));
        assert_eq!(read(&answer(204, "")), Ok(None));
        assert_eq!(read(&html("<html>log in</html>")), Err(wrong(NotChatwoot::Page)));
        assert_eq!(read(&Answer { content_type: None, ..answer(200, "OK") }), Err(wrong(NotChatwoot::Page)));
        assert_eq!(read(&json(r#"{"payload":"#)), Err(Failure::Unreadable { why: Misread::NotJson }));
        assert_eq!(read(&json(&"[".repeat(100_000))), Err(Failure::Unreadable { why: Misread::NotJson }));
    }

    #[test]
    fn an_answer_that_broke_off_is_judged_by_its_status_only_where_that_is_enough() {
        let broken = |status, body| Answer { ending: Ending::Broken(NoAnswer::Truncated), ..answer(status, body) };
        let no_answer = Failure::NoAnswer { why: NoAnswer::Truncated };
        for status in [200, 400, 401, 404, 422] {
            assert_eq!(read(&broken(status, r#"{"mess"#)), Err(no_answer.clone()), "{status}");
        }
        assert_eq!(read(&broken(429, "")), Err(Failure::RateLimited { retry_after: None }));
        assert_eq!(read(&broken(502, "<ht")), Err(unavailable(502)));
        assert_eq!(read(&broken(302, "")), Err(wrong(NotChatwoot::Redirect { to: None })), "the status alone says it");
    }

    #[test]
    fn an_answer_that_is_too_large_is_not_read_but_may_have_taken_effect() {
        let large = |status, body| Answer { ending: Ending::TooLarge, ..answer(status, body) };
        let failure = read(&large(200, r#"{"payload":{}}"#)).expect_err("too large");
        assert_eq!(failure, Failure::Unreadable { why: Misread::TooLarge });
        assert!(failure.may_have_taken_effect());
        assert_eq!(read(&large(404, "<html>")), Err(wrong(NotChatwoot::NoSuchPath)));
    }

    #[test]
    fn a_redirect_names_scheme_and_host_of_its_aim_and_nothing_else() {
        for (location, to) in [
            (Some("https://user:pw@Login.example.com/x?token=abc#d"), Some("https://login.example.com")),
            (Some("http://chat.example.com:8080/"), Some("http://chat.example.com:8080")),
            (Some("/app/login"), Some("https://chat.example.com")),
            (Some("//other.example.com/"), Some("https://other.example.com")),
            (Some("mailto:a@example.com"), None),
            (Some("http://["), None),
            (None, None),
        ] {
            for status in [301, 302, 303, 307, 308] {
                let answer = Answer { location: location.map(str::to_owned), ..answer(status, "") };
                let expected = wrong(NotChatwoot::Redirect { to: to.map(str::to_owned) });
                assert_eq!(read(&answer), Err(expected), "{status} {location:?}");
            }
        }
    }

    #[test]
    fn retry_after_is_read_as_seconds_or_as_a_date_and_never_exceeds_a_day() {
        for (text, seconds) in [
            ("0", Some(0)),
            (" 30 ", Some(30)),
            ("86400", Some(86_400)),
            ("86401", Some(86_400)),
            ("99999999999999999999999999", Some(86_400)),
            ("Fri, 02 Oct 2026 13:15:11 GMT", Some(60)),
            ("Fri, 02 Oct 2026 13:00:00 GMT", Some(0)),
            ("Sat, 02 Oct 2027 13:00:00 GMT", Some(86_400)),
            ("", None),
            ("-1", None),
            ("1.5", None),
            ("soon", None),
        ] {
            let retry_after = seconds.map(Duration::from_secs);
            let with = |status| Answer { retry_after: Some(text.into()), ..answer(status, "") };
            assert_eq!(read(&with(429)), Err(Failure::RateLimited { retry_after }), "{text:?}");
            assert_eq!(read(&with(503)), Err(Failure::Unavailable { status: 503, retry_after }), "{text:?}");
        }
    }

    #[test]
    fn only_names_of_columns_are_kept_of_attributes() {
        let body = r#"{"message":"x","attributes":["email",7,null,"dana@example.com","custom_attributes.plan"]}"#;
        assert_eq!(read(&answer(422, body)), Err(invalid(&["email", "custom_attributes.plan"], "x")));
    }

    proptest::proptest! {
        #[test]
        fn no_answer_makes_the_reading_panic(
            status in 100_u16..1000,
            body: Vec<u8>,
            content_type: Option<String>,
            retry_after: Option<String>,
            location: Option<String>,
        ) {
            let answer = Answer { status, content_type, retry_after, location, body, ending: Ending::Whole };
            let _ = read(&answer);
        }
    }
}
