//! When a failed call is made again, and when a row is given up. Pure: time and chance are arguments.

use std::time::Duration;

use crate::{clock::Timestamp, settings::RetrySettings};

/// The longest wait that a server may ask for with `Retry-After`.
pub const LONGEST_RETRY_AFTER: Duration = Duration::from_hours(6);
/// Jitter adds up to this share of the delay, and never takes away from it.
const JITTER: f64 = 0.2;

/// When to call again after `failures` failed calls in a row (1 or more). `chance` is between 0 and 1; what the server
/// asked for only makes the wait longer.
pub fn next_try(
    settings: &RetrySettings,
    failures: u32,
    now: Timestamp,
    retry_after: Option<Duration>,
    chance: f64,
) -> Timestamp {
    let place = usize::try_from(failures.saturating_sub(1)).unwrap_or(usize::MAX);
    let delay = settings.schedule.get(place).or(settings.schedule.last()).copied().unwrap_or_default();
    let delay = delay + delay.mul_f64(JITTER * chance.clamp(0.0, 1.0));
    now + delay.max(retry_after.unwrap_or_default().min(LONGEST_RETRY_AFTER))
}

/// Whether a row is given up: only when it is both old enough and has failed often enough.
pub fn is_over(settings: &RetrySettings, created_at: Timestamp, failures: u32, now: Timestamp) -> bool {
    failures >= settings.max_failures && now.since(created_at) >= settings.max_age
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_000_000);

    #[test]
    fn the_default_schedule_grows_from_seconds_to_half_a_day_and_stays_there() {
        let settings = RetrySettings::default();
        let delays: Vec<u64> = (1..=11).map(|n| next_try(&settings, n, NOW, None, 0.0).since(NOW).as_secs()).collect();
        assert_eq!(delays, [5, 30, 120, 600, 1800, 3600, 10_800, 21_600, 43_200, 43_200, 43_200]);
    }

    #[test]
    fn what_the_server_asks_for_only_lengthens_the_wait_and_not_beyond_six_hours() {
        let settings = RetrySettings::default();
        let wait = |failures, asked| {
            next_try(&settings, failures, NOW, Some(Duration::from_secs(asked)), 0.0).since(NOW).as_secs()
        };
        assert_eq!(wait(1, 1), 5);
        assert_eq!(wait(1, 90), 90);
        assert_eq!(wait(1, 999_999), 21_600);
    }

    #[test]
    fn a_row_is_given_up_only_when_it_is_old_and_has_failed_often() {
        let settings = RetrySettings::default();
        let week_ago = NOW - Duration::from_hours(7 * 24);
        assert!(!is_over(&settings, NOW, 500, NOW));
        assert!(!is_over(&settings, week_ago, 11, NOW));
        assert!(is_over(&settings, week_ago, 12, NOW));
    }

    proptest! {
        #[test]
        fn a_delay_stays_between_its_step_and_a_fifth_more(failures in 1_u32..40, chance in 0.0_f64..=1.0) {
            let settings = RetrySettings::default();
            let least = next_try(&settings, failures, NOW, None, 0.0).since(NOW);
            let delay = next_try(&settings, failures, NOW, None, chance).since(NOW);
            prop_assert!(delay >= least && delay <= least.mul_f64(1.2) + Duration::from_millis(1));
        }
    }
}
