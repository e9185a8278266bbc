//! One Chatwoot account as delivery sees it: its settings, its client, its pace, and which of its contacts answered
//! lately.

use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
};

use tokio::sync::Notify;

use super::pace::Pace;
use crate::{
    chatwoot::{BadTarget, Client, Target},
    clock::{Clock, Timestamp},
    settings::AccountSettings,
};

/// An account that updates can be delivered to.
#[derive(Debug)]
pub struct Account {
    /// The name in the configuration and in every table.
    pub name: Arc<str>,
    /// What the configuration says.
    pub settings: AccountSettings,
    /// Makes its calls.
    pub client: Client,
    /// The path of its contacts.
    pub contacts_path: Arc<str>,
    pub(super) wake: Notify,
    pace: Mutex<Pace>,
    successes: Mutex<Successes>,
    creating: Mutex<BTreeSet<String>>,
    /// Pauses since a call last succeeded: an account whose probe succeeds and whose calls do not is tried less and less.
    pauses: AtomicU32,
}

/// Two lanes can be one person whom Chatwoot does not know yet. Whoever holds this is the only one to create a contact
/// with these values.
#[derive(Debug)]
pub(super) struct Claim<'a> {
    account: &'a Account,
    known_by: BTreeSet<String>,
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        let mut creating = self.account.creating.lock().unwrap_or_else(PoisonError::into_inner);
        creating.retain(|value| !self.known_by.contains(value));
    }
}

/// The last calls that succeeded, of two different lanes.
#[derive(Clone, Copy, Debug, Default)]
struct Successes {
    last: Option<(i64, Timestamp)>,
    last_of_another: Option<(i64, Timestamp)>,
}

impl Account {
    /// Makes an account ready for delivery.
    ///
    /// # Errors
    /// [`BadTarget`] when no call could ever be made.
    pub fn new(settings: AccountSettings, clock: Clock) -> Result<Self, BadTarget> {
        let target = Target {
            base_url: settings.base_url.clone(),
            account_id: settings.account_id,
            token: settings.api_access_token.clone(),
            token_header: settings.token_header.clone(),
            connect_timeout: settings.connect_timeout,
            call_timeout: settings.call_timeout,
        };
        let client = Client::new(&target, clock)?;
        let path = client.update_path(0);
        Ok(Self {
            name: settings.name.as_str().into(),
            contacts_path: path.trim_end_matches("/0").into(),
            pace: Mutex::new(Pace::new(settings.rate_limit)),
            successes: Mutex::default(),
            creating: Mutex::default(),
            wake: Notify::new(),
            pauses: AtomicU32::new(0),
            client,
            settings,
        })
    }

    /// How many calls may be begun now.
    pub(super) fn calls_left(&self, now: Timestamp) -> usize {
        self.pace.lock().unwrap_or_else(PoisonError::into_inner).available(now)
    }

    /// When the next call may be begun.
    pub(super) fn next_call_at(&self, now: Timestamp) -> Timestamp {
        self.pace.lock().unwrap_or_else(PoisonError::into_inner).next_at(now)
    }

    /// Counts a call.
    pub(super) fn count_call(&self, now: Timestamp) {
        self.pace.lock().unwrap_or_else(PoisonError::into_inner).take(now, 1);
    }

    /// Remembers that a lane's call succeeded.
    pub(super) fn succeeded(&self, lane: i64, now: Timestamp) {
        self.pauses.store(0, Ordering::Relaxed);
        let mut successes = self.successes.lock().unwrap_or_else(PoisonError::into_inner);
        if successes.last.is_some_and(|(last, _)| last != lane) {
            successes.last_of_another = successes.last;
        }
        successes.last = Some((lane, now));
    }

    /// Claims what a contact about to be created will be known by; `None` while another lane creates one with the same.
    pub(super) fn claim(&self, known_by: BTreeSet<String>) -> Option<Claim<'_>> {
        let mut creating = self.creating.lock().unwrap_or_else(PoisonError::into_inner);
        if !creating.is_disjoint(&known_by) {
            return None;
        }
        creating.extend(known_by.iter().cloned());
        Some(Claim { account: self, known_by })
    }

    /// Counts a pause; answers how many there were since a call last succeeded.
    pub(super) fn count_pause(&self) -> u32 {
        self.pauses.fetch_add(1, Ordering::Relaxed)
    }

    /// Whether another lane's call succeeded after `since`: then a failure is this contact's own.
    pub(super) fn another_succeeded(&self, lane: i64, since: Timestamp) -> bool {
        let successes = *self.successes.lock().unwrap_or_else(PoisonError::into_inner);
        [successes.last, successes.last_of_another]
            .into_iter()
            .flatten()
            .any(|(other, at)| other != lane && at >= since)
    }
}
