//! The ways a call is refused. What each looks like on the wire is `answers.rs`'s affair.

/// Why a call was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// 400: the body cannot be read. Judged before the token.
    BadRequest,
    /// 401 with `errors`: no token reached the application.
    NoToken,
    /// 401 with `error`: the token arrived and was refused.
    Unauthorized(&'static str),
    /// 404: no such contact, inbox, webhook or account.
    NotFound,
    /// 404: no such path.
    NotRouted,
    /// 413, from the proxy in front.
    TooLarge,
    /// 422 with `message` and `attributes`.
    Invalid(Invalid),
    /// 422 with `message` alone: a contact that is online cannot be deleted.
    Busy(String),
    /// 422 with `error`.
    Refused(String),
    /// 429: the window is full.
    Throttled,
    /// 500.
    Internal,
}

/// The validations that failed, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Invalid {
    messages: Vec<String>,
    attributes: Vec<&'static str>,
}

impl Invalid {
    /// Notes one failed validation of `attribute`, with its full text.
    pub(super) fn add(&mut self, attribute: &'static str, message: impl Into<String>) {
        self.messages.push(message.into());
        if !self.attributes.contains(&attribute) {
            self.attributes.push(attribute);
        }
    }

    /// The texts, joined as the server joins them.
    pub(super) fn message(&self) -> String {
        self.messages.join(", ")
    }

    /// The fields that failed, each once.
    pub(super) fn attributes(&self) -> &[&'static str] {
        &self.attributes
    }

    /// `Ok` when nothing failed.
    pub(super) fn into_result(self) -> Result<(), Failure> {
        if self.messages.is_empty() { Ok(()) } else { Err(Failure::Invalid(self)) }
    }
}
