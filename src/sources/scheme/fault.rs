//! What is wrong with a scheme as configured. All faults are collected, so that a person mends them in one go.

use std::fmt;

/// One fault of a configured scheme.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SchemeFault {
    /// The key relative to `[sources.x.verify]`, such as `signature.header`; `secret` or `secret[1]` for the secrets.
    pub key: String,
    /// What is wrong and what was expected. Never shows a secret.
    pub message: String,
}

impl fmt::Display for SchemeFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`: {}", self.key, self.message)
    }
}

/// Collects faults; what could be built in spite of one is an `Option`.
#[derive(Debug, Default)]
pub(super) struct Faults(Vec<SchemeFault>);

impl Faults {
    pub(super) fn add(&mut self, key: impl Into<String>, message: impl Into<String>) {
        self.0.push(SchemeFault { key: key.into(), message: message.into() });
    }

    /// The value, or `None` after noting the fault.
    pub(super) fn note<T, M: Into<String>>(&mut self, key: impl Into<String>, result: Result<T, M>) -> Option<T> {
        result.map_err(|message| self.add(key, message)).ok()
    }

    pub(super) fn into_vec(self) -> Vec<SchemeFault> {
        self.0
    }
}

/// Checks that `name` can be the name of a header (RFC 9110, section 5.1) and gives it in lower case.
pub(super) fn header_name(name: &str) -> Result<String, String> {
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if name.is_empty() {
        Err("is empty; expected the name of a header".to_owned())
    } else if name.bytes().all(is_token) {
        Ok(name.to_ascii_lowercase())
    } else {
        Err(format!("`{name}` cannot be the name of a header"))
    }
}
