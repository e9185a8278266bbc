//! Delivery: leases a lane, merges what waits for its contact, finds the contact, calls Chatwoot and records what came
//! of it. It holds no transaction while it calls, and changes nothing under a lease that it has lost.
//!
//! [`Delivery::deliver_due`] makes one pass over everything that is due; [`Delivery::run`] is the background task that
//! does so as work comes and time passes. Commands and tests use the former, the service the latter.

mod account;
mod matching;
mod pace;
mod pause;
mod settling;
mod turn;
mod verdict;
mod worker;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use futures_util::future::join_all;

pub use account::Account;

use crate::{
    clock::{Clock, Timestamp},
    store::{LeaseRequest, LeasedLane, Store, StoreError},
};

/// A lease outlives a whole call by this margin, for the time before and after the call itself.
pub const LEASE_MARGIN: Duration = Duration::from_secs(10);
/// The most rows of a lane that one turn takes.
const ROWS_PER_TURN: usize = 500;

/// A source of chance between 0 and 1, for jitter.
pub type Chance = Arc<dyn Fn() -> f64 + Send + Sync>;

/// Delivers the outbox of a store to its accounts. Cheap to clone.
#[derive(Clone)]
pub struct Delivery {
    shared: Arc<Shared>,
}

struct Shared {
    store: Store,
    accounts: BTreeMap<Arc<str>, Arc<Account>>,
    clock: Clock,
    chance: Chance,
    /// The instance's name, which its leases carry.
    owner: Arc<str>,
    /// Sources whose updates wait.
    paused_sources: Arc<[String]>,
}

impl std::fmt::Debug for Delivery {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Delivery").field("accounts", &self.shared.accounts.keys()).finish_non_exhaustive()
    }
}

impl Delivery {
    /// Puts delivery together. `owner` names this instance in its leases; updates of `paused_sources` wait.
    pub fn new(
        store: Store,
        accounts: Vec<Account>,
        paused_sources: Vec<String>,
        clock: Clock,
        chance: Chance,
        owner: impl Into<Arc<str>>,
    ) -> Self {
        let accounts = accounts.into_iter().map(|account| (Arc::clone(&account.name), Arc::new(account))).collect();
        let paused_sources = paused_sources.into();
        Self { shared: Arc::new(Shared { store, accounts, clock, chance, owner: owner.into(), paused_sources }) }
    }

    /// Takes back what a former life of this instance had leased, and remembers which accounts the names stand for.
    ///
    /// # Errors
    /// When a name stood for another Chatwoot account before.
    pub async fn prepare(&self) -> Result<u64, StoreError> {
        for account in self.shared.accounts.values() {
            let settings = &account.settings;
            self.shared.store.register_account(&account.name, settings.base_url.as_str(), settings.account_id).await?;
        }
        self.shared.store.take_back(&self.shared.owner, self.shared.clock.now()).await
    }

    /// The accounts, by name.
    pub fn accounts(&self) -> impl Iterator<Item = &Arc<Account>> {
        self.shared.accounts.values()
    }

    /// Tells an account's task that there is something to do.
    pub fn wake(&self, account: &str) {
        if let Some(account) = self.shared.accounts.get(account) {
            account.wake.notify_one();
        }
    }

    /// Delivers everything that is due at this moment, in all accounts; answers how many turns were made.
    pub async fn deliver_due(&self) -> Result<usize, StoreError> {
        let mut turns = 0;
        for account in self.shared.accounts.values() {
            loop {
                if !self.may_call(account).await? {
                    break;
                }
                let leased = self.lease(account, account.settings.concurrency).await?;
                if leased.is_empty() {
                    // Lanes whose rows all wait for their source were put aside, and others may be due behind them.
                    let next_due = self.shared.store.next_due(&account.name).await?;
                    if account.calls_left(self.now()) > 0 && next_due.is_some_and(|due_at| due_at <= self.now()) {
                        continue;
                    }
                    break;
                }
                turns += leased.len();
                let made = join_all(leased.into_iter().map(|lane| self.turn(account, lane))).await;
                made.into_iter().collect::<Result<Vec<()>, _>>()?;
            }
        }
        Ok(turns)
    }

    /// Leases lanes that are due, as many as the account's pace and `slots` allow.
    async fn lease(&self, account: &Arc<Account>, slots: usize) -> Result<Vec<LeasedLane>, StoreError> {
        let now = self.shared.clock.now();
        let lanes = slots.min(account.calls_left(now));
        if lanes == 0 {
            return Ok(Vec::new());
        }
        let request = LeaseRequest {
            account: Arc::clone(&account.name),
            owner: Arc::clone(&self.shared.owner),
            now,
            lease_for: account.settings.call_timeout + LEASE_MARGIN,
            lanes,
            rows: ROWS_PER_TURN,
            paused_sources: Arc::clone(&self.shared.paused_sources),
            contacts_path: Arc::clone(&account.contacts_path),
        };
        self.shared.store.lease_due(request).await
    }

    fn now(&self) -> Timestamp {
        self.shared.clock.now()
    }
}
