//! Faults that can be switched on: data, the same in Rust and in the control interface's JSON.

use serde::{Deserialize, Serialize};

use super::{answers::Answer, app::Bend, call::Call, failure::Failure, routes};

/// Which calls are meant; a part that is `None` means any.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Match {
    /// The method, in any case.
    pub method: Option<String>,
    /// A text that the path contains.
    pub path: Option<String>,
    /// The id of the contact in the path.
    pub contact_id: Option<i64>,
}

impl Match {
    /// Any call.
    pub fn any() -> Self {
        Self::default()
    }

    /// Calls of this method.
    pub fn method(method: impl Into<String>) -> Self {
        Self { method: Some(method.into()), ..Self::default() }
    }

    /// Calls whose path contains this text.
    pub fn path(path: impl Into<String>) -> Self {
        Self { path: Some(path.into()), ..Self::default() }
    }

    /// Calls with this contact in the path.
    pub fn contact(id: i64) -> Self {
        Self { contact_id: Some(id), ..Self::default() }
    }

    pub(super) fn means(&self, call: &Call) -> bool {
        self.method.as_ref().is_none_or(|method| method.eq_ignore_ascii_case(&call.method))
            && self.path.as_ref().is_none_or(|path| call.path.contains(path.as_str()))
            && self.contact_id.is_none_or(|id| routes::contact_id(call) == Some(id))
    }
}

/// A fault: which calls it strikes, how, and how often.
///
/// As JSON: `{"match": {"method": "PATCH", "contact_id": 42}, "kind": {"status": {"code": 503}}, "times": 3}`; a kind
/// without settings is a plain text, `"kind": "hang"`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// Which calls; all by default.
    #[serde(default, rename = "match")]
    pub when: Match,
    /// How.
    pub kind: FaultKind,
    /// How many calls are struck; `None`: all, until the faults are cleared.
    #[serde(default)]
    pub times: Option<u32>,
}

impl Fault {
    /// A fault for all calls, until cleared.
    pub fn new(kind: FaultKind) -> Self {
        Self { when: Match::any(), kind, times: None }
    }

    /// For these calls only.
    #[must_use]
    pub fn when(self, when: Match) -> Self {
        Self { when, ..self }
    }

    /// This often only.
    #[must_use]
    pub fn times(self, times: u32) -> Self {
        Self { times: Some(times), ..self }
    }
}

/// What goes wrong. A call is struck by every latency that means it, and by the first other fault that does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum FaultKind {
    /// The call is carried out this much later, in real time; also when its client has left.
    Latency {
        /// Milliseconds.
        ms: u64,
    },
    /// The call is not carried out, and answered by this status. What is not given is as the real server or its proxy
    /// would have it: 429 is plain text without `Retry-After`, 500 is JSON, 502 to 504 are pages, 3xx has a `Location`.
    Status {
        /// The status.
        code: u16,
        /// The body.
        #[serde(default)]
        body: Option<String>,
        /// The header `Content-Type`.
        #[serde(default)]
        content_type: Option<String>,
        /// The header `Retry-After`; none by default.
        #[serde(default)]
        retry_after: Option<String>,
        /// The header `Location`; by default the same path under https.
        #[serde(default)]
        location: Option<String>,
    },
    /// The call is neither carried out nor answered. It ends when its client leaves, or the faults are replaced or cleared.
    Hang,
    /// The call is carried out, and never answered. It ends as in [`Hang`](Self::Hang).
    HangAfter,
    /// The connection is closed; the call is not carried out.
    Drop,
    /// The call is carried out, then the connection is closed without an answer.
    DropAfter,
    /// The call is carried out; half of the answer's body is sent, then the connection is closed.
    Truncate,
    /// The call is carried out; the answer's body trickles in.
    SlowBody {
        /// Milliseconds from the first part to the last.
        ms: u64,
    },
    /// The token is no longer known: 401 with `error`.
    RevokedToken,
    /// The proxy drops `api_access_token` because of its underscores: 401 with `errors`. `Api-Access-Token` passes.
    HeaderLost,
    /// 401 `Account is suspended`.
    AccountSuspended,
    /// 401: the user is no member of the account.
    NotAMember,
    /// The page of a server without this path: 404 in HTML.
    #[serde(rename = "html_404")]
    Html404,
    /// The dashboard's page, with 200.
    LoginPage,
    /// The call is carried out but for these fields of its body, without a word: `name`, `custom_attributes.plan`.
    IgnoreFields {
        /// The fields.
        fields: Vec<String>,
    },
    /// An update answers `payload.contact` and `payload.contact_inbox`, as the vendor's page has it.
    VendorShape,
}

impl FaultKind {
    /// This status with its ready-made answer.
    pub fn status(code: u16) -> Self {
        Self::Status { code, body: None, content_type: None, retry_after: None, location: None }
    }

    /// This status with its ready-made answer and a `Retry-After`.
    pub fn status_retry_after(code: u16, retry_after: impl Into<String>) -> Self {
        Self::Status { code, body: None, content_type: None, retry_after: Some(retry_after.into()), location: None }
    }

    /// A delay in real time.
    pub fn latency_ms(ms: u64) -> Self {
        Self::Latency { ms }
    }

    /// What this does within the application; `None` for what happens outside it.
    pub(super) fn bend(&self) -> Option<Bend> {
        Some(match self {
            Self::RevokedToken => Bend::TokenRevoked,
            Self::HeaderLost => Bend::HeaderLost,
            Self::AccountSuspended => Bend::AccountSuspended,
            Self::NotAMember => Bend::NotAMember,
            Self::IgnoreFields { fields } => Bend::IgnoredFields(fields.clone()),
            Self::VendorShape => Bend::VendorShape,
            Self::Latency { .. }
            | Self::Status { .. }
            | Self::Hang
            | Self::HangAfter
            | Self::Drop
            | Self::DropAfter
            | Self::Truncate
            | Self::SlowBody { .. }
            | Self::Html404
            | Self::LoginPage => return None,
        })
    }
}

/// The answer of [`FaultKind::Status`].
pub(super) fn status_answer(
    call: &Call,
    code: u16,
    body: Option<&String>,
    content_type: Option<&String>,
    retry_after: Option<&String>,
    location: Option<&String>,
) -> Answer {
    let mut answer = ready_made(call, code);
    if let Some(body) = body {
        answer.body.clone_from(body);
    }
    if let Some(content_type) = content_type {
        answer.content_type.clone_from(content_type);
    }
    if let Some(retry_after) = retry_after {
        answer.headers.push(("retry-after", retry_after.clone()));
    }
    if (300..400).contains(&code) {
        let location = location.cloned().unwrap_or_else(|| format!("https://{}{}", call.host, call.path));
        answer.headers.push(("location", location));
    }
    answer
}

fn ready_made(call: &Call, code: u16) -> Answer {
    let refusal = |failure: &Failure| Answer::refusal(failure, call.accepts_json());
    match code {
        301 => Answer::proxy_page(code, "Moved Permanently"),
        302 => Answer::proxy_page(code, "Found"),
        307 => Answer::proxy_page(code, "Temporary Redirect"),
        308 => Answer::proxy_page(code, "Permanent Redirect"),
        400 => refusal(&Failure::BadRequest),
        401 => refusal(&Failure::Unauthorized("Invalid Access Token")),
        403 => Answer::proxy_page(code, "Forbidden"),
        404 => refusal(&Failure::NotFound),
        413 => refusal(&Failure::TooLarge),
        429 => refusal(&Failure::Throttled),
        500 => refusal(&Failure::Internal),
        502 => Answer::proxy_page(code, "Bad Gateway"),
        503 => Answer::proxy_page(code, "Service Temporarily Unavailable"),
        504 => Answer::proxy_page(code, "Gateway Time-out"),
        _ => Answer::new(code, "text/plain", ""),
    }
}

/// The faults that are switched on.
#[derive(Debug, Default)]
pub(super) struct Faults(Vec<Fault>);

impl Faults {
    /// Replaces all of them.
    pub(super) fn set(&mut self, faults: Vec<Fault>) {
        self.0 = faults;
    }

    /// All that are left, with how often each still strikes.
    pub(super) fn all(&self) -> &[Fault] {
        &self.0
    }

    /// The faults that strike this call, counted down.
    pub(super) fn strike(&mut self, call: &Call) -> Vec<FaultKind> {
        let mut kinds = Vec::new();
        let mut struck = false;
        for fault in &mut self.0 {
            let latency = matches!(fault.kind, FaultKind::Latency { .. });
            if fault.times == Some(0) || (struck && !latency) || !fault.when.means(call) {
                continue;
            }
            struck |= !latency;
            fault.times = fault.times.map(|times| times - 1);
            kinds.push(fault.kind.clone());
        }
        self.0.retain(|fault| fault.times != Some(0));
        kinds
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn patch(id: i64) -> Call {
        Call { method: "PATCH".to_owned(), path: format!("/api/v1/accounts/1/contacts/{id}"), ..Call::default() }
    }

    #[test]
    fn a_fault_strikes_only_the_calls_it_means_and_only_so_often() {
        let mut faults = Faults::default();
        faults.set(vec![Fault::new(FaultKind::Drop).when(Match::contact(42)).times(1)]);
        assert!(faults.strike(&patch(4)).is_empty());
        assert_eq!(faults.strike(&patch(42)), [FaultKind::Drop]);
        assert!(faults.strike(&patch(42)).is_empty());
        assert!(faults.all().is_empty());
    }

    #[test]
    fn latency_adds_to_the_first_other_fault() {
        let mut faults = Faults::default();
        let kinds = [FaultKind::latency_ms(5), FaultKind::Hang, FaultKind::Drop];
        faults.set(kinds.clone().map(Fault::new).to_vec());
        assert_eq!(faults.strike(&patch(1)), kinds[..2]);
    }

    #[test]
    fn faults_are_plain_json_and_a_misspelt_key_is_refused() {
        let json =
            json!({"match": {"method": "PATCH", "path": "/contacts/"}, "kind": {"status": {"code": 429}}, "times": 3});
        let fault: Fault = serde_json::from_value(json).unwrap();
        assert_eq!(fault.kind, FaultKind::status(429));
        assert_eq!(serde_json::from_value::<Fault>(json!({"kind": "html_404"})).unwrap().kind, FaultKind::Html404);
        assert!(serde_json::from_value::<Fault>(json!({"kind": "hang", "tims": 3})).is_err());
        assert!(serde_json::from_value::<Fault>(json!({"kind": {"latency": {"ms": 3, "s": 1}}})).is_err());
    }

    #[test]
    fn a_redirect_leads_to_https_and_429_has_no_retry_after_of_its_own() {
        let call = Call { host: "chat.example".to_owned(), ..patch(1) };
        let redirect = status_answer(&call, 301, None, None, None, None);
        assert_eq!(redirect.headers, [("location", "https://chat.example/api/v1/accounts/1/contacts/1".to_owned())]);
        let throttled = status_answer(&call, 429, None, None, None, None);
        assert_eq!((throttled.content_type.as_str(), throttled.body.as_str()), ("text/plain", "Retry later\n"));
        assert!(throttled.headers.is_empty());
    }
}
