//! The one place that reads the clock. Everything else receives a [`Timestamp`] or a [`Clock`], so tests move time
//! instead of sleeping.

use std::{fmt, sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};
use tokio::sync::watch;

/// A moment, in milliseconds since 1970-01-01T00:00:00Z. Stored as INTEGER in every `*_at` column.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(i64);

impl Timestamp {
    /// From milliseconds since the Unix epoch.
    pub const fn from_millis(ms: i64) -> Self {
        Self(ms)
    }

    /// From whole seconds since the Unix epoch; saturates at the ends of the range.
    pub const fn from_secs(secs: i64) -> Self {
        Self(secs.saturating_mul(1000))
    }

    /// Milliseconds since the Unix epoch.
    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// Whole seconds since the Unix epoch, rounded down.
    pub const fn as_secs(self) -> i64 {
        self.0.div_euclid(1000)
    }

    /// How long after `earlier` this is; zero when it is not after it.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// From an RFC 3339 text, such as `2026-10-02T13:14:11Z`.
    pub fn parse_rfc3339(text: &str) -> Option<Self> {
        text.parse::<jiff::Timestamp>().ok().map(|moment| Self(moment.as_millisecond()))
    }
}

impl std::ops::Add<Duration> for Timestamp {
    type Output = Self;

    fn add(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)))
    }
}

impl std::ops::Sub<Duration> for Timestamp {
    type Output = Self;

    fn sub(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)))
    }
}

/// RFC 3339 with milliseconds, in UTC: `2026-10-02T13:14:11.000Z`.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_millisecond(self.0) {
            Ok(moment) => write!(f, "{moment:.3}"),
            Err(_) => write!(f, "{} ms", self.0),
        }
    }
}

/// Where the time comes from: the system in production, a test's hand otherwise.
#[derive(Clone, Debug)]
pub enum Clock {
    /// The system's clock.
    System,
    /// A clock that stands still until [`ManualClock::advance`] moves it.
    Manual(Arc<ManualClock>),
}

impl Clock {
    /// A clock that a test moves, starting at `at`.
    pub fn manual(at: Timestamp) -> (Self, Arc<ManualClock>) {
        let manual = Arc::new(ManualClock { now: watch::Sender::new(at) });
        (Self::Manual(Arc::clone(&manual)), manual)
    }

    /// The present moment.
    #[expect(clippy::disallowed_methods, reason = "this is the one place that reads the clock")]
    pub fn now(&self) -> Timestamp {
        match self {
            Self::System => Timestamp(jiff::Timestamp::now().as_millisecond()),
            Self::Manual(manual) => *manual.now.borrow(),
        }
    }

    /// Returns once [`now`](Self::now) has reached `until`.
    pub async fn sleep_until(&self, until: Timestamp) {
        match self {
            Self::System => tokio::time::sleep(until.since(self.now())).await,
            Self::Manual(manual) => {
                let mut now = manual.now.subscribe();
                // The sender lives in `manual`, which this future borrows: the wait cannot fail.
                let _ = now.wait_for(|now| *now >= until).await;
            }
        }
    }
}

/// The hand that moves a [`Clock::Manual`].
#[derive(Debug)]
pub struct ManualClock {
    now: watch::Sender<Timestamp>,
}

impl ManualClock {
    /// Moves the clock forward and wakes whoever slept until a moment that has come.
    pub fn advance(&self, by: Duration) {
        self.now.send_modify(|now| *now = *now + by);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timestamp_reads_and_writes_rfc3339_in_utc() {
        let moment = Timestamp::parse_rfc3339("2026-10-02T15:14:11+02:00").expect("valid");
        assert_eq!(moment, Timestamp::from_secs(1_790_946_851));
        assert_eq!(moment.to_string(), "2026-10-02T13:14:11.000Z");
    }

    #[tokio::test]
    async fn a_manual_clock_wakes_a_sleeper_only_when_its_moment_has_come() {
        let (clock, hand) = Clock::manual(Timestamp::from_secs(100));
        let sleeper = tokio::spawn({
            let clock = clock.clone();
            async move { clock.sleep_until(Timestamp::from_secs(110)).await }
        });
        hand.advance(Duration::from_secs(9));
        tokio::task::yield_now().await;
        assert!(!sleeper.is_finished());
        hand.advance(Duration::from_secs(1));
        sleeper.await.expect("the sleeper ends");
    }
}
