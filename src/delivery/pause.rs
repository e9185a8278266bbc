//! Pausing an account for faults that no update can mend, and finding out when they are mended.

use std::{sync::Arc, time::Duration};

use super::{Account, Delivery};
use crate::{
    chatwoot::Failure,
    clock::Timestamp,
    store::{Pause, PausedBy, StoreError},
};

/// The longest time between two probes of a paused account.
const LONGEST_PROBE_INTERVAL: Duration = Duration::from_mins(1);
/// The first one.
const FIRST_PROBE_INTERVAL: Duration = Duration::from_secs(5);

impl Delivery {
    /// Whether calls may be made to an account now. Probes it when it is paused and the time for that has come.
    pub(super) async fn may_call(&self, account: &Arc<Account>) -> Result<bool, StoreError> {
        let state = self.shared.store.account_state(&account.name).await?;
        let now = self.now();
        match state.pause {
            None => Ok(state.hold_until <= now),
            Some(pause) if pause.probe_at.is_some_and(|probe_at| probe_at <= now) => self.probe(account, pause).await,
            Some(_) => Ok(false),
        }
    }

    /// When calls may be made again, or the account is worth another look.
    pub(super) async fn callable_at(&self, account: &Arc<Account>) -> Result<Option<Timestamp>, StoreError> {
        let state = self.shared.store.account_state(&account.name).await?;
        Ok(match state.pause {
            None => Some(state.hold_until),
            Some(pause) => pause.probe_at,
        })
    }

    /// Pauses an account. An account that a person paused stays as it is.
    pub(super) async fn pause(&self, account: &Arc<Account>, failure: &Failure) -> Result<(), StoreError> {
        if self.shared.store.account_state(&account.name).await?.pause.is_some() {
            return Ok(());
        }
        let now = self.now();
        let probes = account.count_pause();
        let pause = Pause {
            at: now,
            by: PausedBy::Fault,
            code: Some(failure.code().to_owned()),
            reason: failure.to_string(),
            probe_at: Some(now + probe_interval(probes)),
            probes,
        };
        tracing::warn!(account.name = %account.name, code = failure.code(), "account paused: {failure}");
        self.shared.store.set_pause(&account.name, Some(pause)).await
    }

    /// Holds an account for as long as the server asked, or until the clock's next minute: Chatwoot's limiter counts
    /// by the minute and names no time.
    pub(super) async fn hold(&self, account: &Arc<Account>, asked: Option<Duration>) -> Result<Timestamp, StoreError> {
        let now = self.now();
        let next_minute = Timestamp::from_secs(now.as_secs() - now.as_secs().rem_euclid(60) + 60);
        // A second of jitter, so that thirty accounts behind one address do not come back in the same moment.
        let jitter =
            Duration::from_millis(200) + Duration::from_secs(1).mul_f64((self.shared.chance)().clamp(0.0, 1.0));
        let until = match asked {
            Some(asked) => now + asked.min(crate::retry::LONGEST_RETRY_AFTER),
            None => next_minute + jitter,
        };
        tracing::warn!(account.name = %account.name, until = %until, "account held: the server asks for fewer calls");
        self.shared.store.hold_account(&account.name, until).await?;
        Ok(until)
    }

    /// Asks for the profile: the cheapest call that shows that token, address and account are right.
    async fn probe(&self, account: &Arc<Account>, mut pause: Pause) -> Result<bool, StoreError> {
        let call = account.client.profile().await;
        let fault = match &call.answer {
            Ok(profile) => {
                let ours = profile.accounts.iter().find(|one| one.id == account.settings.account_id);
                let active = |status: Option<&str>| status.is_none_or(|status| status == "active");
                match ours {
                    Some(ours) if active(ours.status.as_deref()) => None,
                    Some(_) => Some("the account is not active".to_owned()),
                    None => Some("the token's user is no member of the account".to_owned()),
                }
            }
            Err(failure) => Some(failure.to_string()),
        };
        let Some(fault) = fault else {
            tracing::info!(account.name = %account.name, "account resumed: it answers again");
            self.shared.store.set_pause(&account.name, None).await?;
            return Ok(true);
        };
        pause.probes += 1;
        pause.reason = fault;
        pause.probe_at = Some(self.now() + probe_interval(pause.probes));
        self.shared.store.set_pause(&account.name, Some(pause)).await?;
        Ok(false)
    }
}

/// Doubles with each probe that found the fault still there.
fn probe_interval(probes: u32) -> Duration {
    (FIRST_PROBE_INTERVAL * 2_u32.saturating_pow(probes.min(8))).min(LONGEST_PROBE_INTERVAL)
}
