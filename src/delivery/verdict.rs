//! What follows from a failed call: one table, from every failure to what happens to the call, the rows, the lane and
//! the account. Pure.

use std::time::Duration;

use crate::{chatwoot::Failure, store::Verdict};

/// What follows from a failed call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Consequence {
    /// For the record of the call.
    pub verdict: Verdict,
    /// For the lane.
    pub lane: LaneFate,
    /// For the account.
    pub account: AccountFate,
    /// Whether the fields of a writing call may hold something else than we know.
    pub in_doubt: bool,
}

/// What happens to the lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LaneFate {
    /// It comes again when the account works; nothing is counted.
    Unharmed,
    /// It backs off; the failure counts.
    BackOff(Counts),
    /// It backs off, and not before the call must have ended; the failure counts.
    Doubt,
    /// Its rows are given up.
    Dead,
    /// The contact is not there.
    Gone,
    /// The server names fields that it refuses.
    Refused,
}

/// Whether a failure counts towards giving up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Counts {
    /// In any case.
    Always,
    /// Only if another contact of the account succeeded since this lane's last attempt: else it is the server's.
    IfOthersSucceed,
}

/// What happens to the account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AccountFate {
    /// Nothing.
    Fine,
    /// It is paused until a probe succeeds.
    Pause,
    /// No call for so long, or until the clock's next minute where the server names no time.
    Hold(Option<Duration>),
}

/// The table. `about_contact` is whether the call names one contact in its path: only then can a 404 mean the contact.
pub(super) fn consequence(failure: &Failure, about_contact: bool) -> Consequence {
    use AccountFate::{Fine, Hold, Pause};
    use LaneFate::{BackOff, Dead, Doubt, Gone, Refused, Unharmed};
    let (verdict, lane, account) = match failure {
        Failure::HeaderLost | Failure::TokenRefused { .. } | Failure::WrongAddress { .. } => {
            (Verdict::Pause, Unharmed, Pause)
        }
        // A firewall may dislike one body: the lane backs off, so that the next contact is tried before it.
        Failure::Blocked { .. } => (Verdict::Pause, BackOff(Counts::IfOthersSucceed), Pause),
        Failure::NotFound if about_contact => (Verdict::Gone, Gone, Fine),
        Failure::NotFound => (Verdict::Pause, Unharmed, Pause),
        Failure::Invalid { .. } => (Verdict::Conflict, Refused, Fine),
        Failure::MissingPart { .. } | Failure::BadRequest { .. } => (Verdict::Dead, Dead, Fine),
        Failure::RateLimited { retry_after } => (Verdict::Retry, Unharmed, Hold(*retry_after)),
        Failure::ServerError { .. } => (Verdict::Retry, BackOff(Counts::IfOthersSucceed), Fine),
        Failure::NotConnected { .. } => (Verdict::Retry, BackOff(Counts::Always), Fine),
        Failure::Unavailable { .. } => (Verdict::Retry, Doubt, Fine),
        Failure::NoAnswer { .. } | Failure::Unreadable { .. } => (Verdict::Unknown, Doubt, Fine),
    };
    Consequence { verdict, lane, account, in_doubt: failure.may_have_taken_effect() }
}

/// How long the server asked us to wait.
pub(super) fn retry_after(failure: &Failure) -> Option<Duration> {
    match failure {
        Failure::RateLimited { retry_after } | Failure::Unavailable { retry_after, .. } => *retry_after,
        Failure::HeaderLost
        | Failure::TokenRefused { .. }
        | Failure::WrongAddress { .. }
        | Failure::Blocked { .. }
        | Failure::NotFound
        | Failure::Invalid { .. }
        | Failure::MissingPart { .. }
        | Failure::BadRequest { .. }
        | Failure::ServerError { .. }
        | Failure::NotConnected { .. }
        | Failure::NoAnswer { .. }
        | Failure::Unreadable { .. } => None,
    }
}
