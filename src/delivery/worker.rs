//! The background task: one loop per account, so that a slow account never holds up another. A loop never ends by
//! itself; it only waits for work, for time, or for the stop.

use std::{sync::Arc, time::Duration};

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::{Account, Delivery};
use crate::{clock::Timestamp, store::StoreError};

/// Work that another process put into the file is noticed within this time.
const LOOK_AGAIN: Duration = Duration::from_secs(2);
/// How long a loop waits after the store failed.
const AFTER_FAULT: Duration = Duration::from_secs(1);

impl Delivery {
    /// Delivers until `stop`, then takes no more work and lets the calls in flight end, for at most `grace`. What is cut
    /// off is known as begun, and is made again after a restart.
    pub async fn run(&self, stop: CancellationToken, grace: Duration) {
        let mut loops = JoinSet::new();
        for account in self.shared.accounts.values() {
            let (delivery, account, stop) = (self.clone(), Arc::clone(account), stop.clone());
            loops.spawn(async move { delivery.run_account(&account, stop, grace).await });
        }
        while loops.join_next().await.is_some() {}
    }

    async fn run_account(&self, account: &Arc<Account>, stop: CancellationToken, grace: Duration) {
        let mut turns: JoinSet<Result<(), StoreError>> = JoinSet::new();
        while !stop.is_cancelled() {
            // Registered before the store is asked, so that a wake-up in between is not lost.
            let woken = account.wake.notified();
            let next = match self.begin_turns(account, &mut turns).await {
                Ok(next) => next,
                Err(error) => {
                    tracing::error!(account.name = %account.name, "delivery could not take work: {error}");
                    self.now() + AFTER_FAULT
                }
            };
            tokio::select! {
                () = stop.cancelled() => {}
                () = woken => {}
                Some(ended) = turns.join_next() => report(account, ended),
                () = self.shared.clock.sleep_until(next) => {}
            }
        }
        let drained = tokio::time::timeout(grace, async {
            while let Some(ended) = turns.join_next().await {
                report(account, ended);
            }
        });
        if drained.await.is_err() {
            tracing::warn!(account.name = %account.name, calls = turns.len(), "calls were cut off by the stop");
        }
    }

    /// Begins as many turns as there is room for; answers when to look again.
    async fn begin_turns(
        &self,
        account: &Arc<Account>,
        turns: &mut JoinSet<Result<(), StoreError>>,
    ) -> Result<Timestamp, StoreError> {
        let now = self.now();
        let look_again = now + LOOK_AGAIN;
        let slots = account.settings.concurrency.saturating_sub(turns.len());
        if slots == 0 {
            return Ok(look_again);
        }
        if !self.may_call(account).await? {
            let callable_at = self.callable_at(account).await?.unwrap_or(look_again);
            return Ok(callable_at.clamp(now, look_again));
        }
        let leased = self.lease(account, slots).await?;
        let all_begun = leased.len() < slots;
        for lane in leased {
            let (delivery, account) = (self.clone(), Arc::clone(account));
            turns.spawn(async move { delivery.turn(&account, lane).await });
        }
        if all_begun && account.calls_left(now) > 0 {
            let next_due = self.shared.store.next_due(&account.name).await?;
            return Ok(next_due.unwrap_or(look_again).clamp(now, look_again));
        }
        Ok(account.next_call_at(now).clamp(now, look_again))
    }
}

fn report(account: &Account, ended: Result<Result<(), StoreError>, tokio::task::JoinError>) {
    match ended {
        Ok(Err(error)) => tracing::error!(account.name = %account.name, "a turn could not be recorded: {error}"),
        Err(error) if error.is_panic() => {
            tracing::error!(account.name = %account.name, "a turn panicked; its lease runs out by itself");
        }
        Ok(Ok(())) | Err(_) => {}
    }
}
