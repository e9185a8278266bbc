//! How many calls an account may get: a bucket that fills steadily. Pure; the time is an argument.

use std::time::Duration;

use crate::{clock::Timestamp, settings::RateLimit};

/// A bucket of calls. It may go into debt: a turn that has begun makes the calls it needs, and the next turn waits.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    limit: RateLimit,
    /// The moment at which the bucket is, or was, full.
    full_at: Timestamp,
}

impl Pace {
    /// A full bucket.
    pub(super) fn new(limit: RateLimit) -> Self {
        Self { limit, full_at: Timestamp::default() }
    }

    /// How many calls may be begun now.
    pub(super) fn available(&self, now: Timestamp) -> usize {
        let missing = self.full_at.since(now).as_nanos().div_ceil(self.interval().as_nanos().max(1));
        usize::try_from(u128::from(self.limit.count).saturating_sub(missing)).unwrap_or(usize::MAX)
    }

    /// Takes `calls` out of the bucket, whether they are there or not.
    pub(super) fn take(&mut self, now: Timestamp, calls: u32) {
        self.full_at = self.full_at.max(now) + self.interval() * calls;
    }

    /// When the next call may be begun.
    pub(super) fn next_at(&self, now: Timestamp) -> Timestamp {
        let room = self.interval() * self.limit.count.saturating_sub(1);
        (self.full_at - room).max(now)
    }

    fn interval(&self) -> Duration {
        self.limit.per / self.limit.count.max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_000);

    fn five_a_second() -> Pace {
        Pace::new(RateLimit { count: 5, per: Duration::from_secs(1) })
    }

    #[test]
    fn a_bucket_gives_its_count_at_once_and_then_one_per_interval() {
        let mut pace = five_a_second();
        assert_eq!(pace.available(NOW), 5);
        pace.take(NOW, 5);
        assert_eq!(pace.available(NOW), 0);
        assert_eq!(pace.next_at(NOW), NOW + Duration::from_millis(200));
        assert_eq!(pace.available(NOW + Duration::from_millis(200)), 1);
        assert_eq!(pace.available(NOW + Duration::from_mins(1)), 5);
    }

    #[test]
    fn a_debt_is_paid_back_before_the_next_call() {
        let mut pace = five_a_second();
        pace.take(NOW, 10);
        assert_eq!(pace.available(NOW + Duration::from_secs(1)), 0);
        assert_eq!(pace.next_at(NOW), NOW + Duration::from_millis(1_200));
    }
}
