//! The time a sender signed: read strictly, and compared with ours in both directions. The official libraries of
//! several senders let any future time pass; a captured request would then stay good for as long as its time is ahead.

use std::time::{Duration, SystemTime};

use super::{
    Refusal,
    fault::{Faults, header_name},
    json_pointer::JsonPointer,
    spec::{TimeUnit, TimestampPlace, TimestampSpec},
};
use crate::clock::Timestamp;

/// No written date is longer; digits have their own limit.
const LONGEST_DATE: usize = 64;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum TimePlace {
    /// Lower case.
    Header(String),
    SignatureKey(String),
    Json(JsonPointer),
}

/// Where the signed time is, how it is written and how far it may be from ours.
#[derive(Clone, Debug)]
pub(super) struct SignedTime {
    pub(super) place: TimePlace,
    pub(super) unit: TimeUnit,
    tolerance: Duration,
}

impl SignedTime {
    pub(super) fn new(spec: &TimestampSpec, faults: &mut Faults) -> Option<Self> {
        check_tolerance("timestamp.tolerance", spec.tolerance, faults);
        let place = match &spec.place {
            TimestampPlace::Header(name) => faults.note("timestamp.header", header_name(name)).map(TimePlace::Header),
            TimestampPlace::SignatureKey(key) => Some(TimePlace::SignatureKey(key.clone())),
            TimestampPlace::Json(pointer) => {
                faults.note("timestamp.json", JsonPointer::parse(pointer)).map(TimePlace::Json)
            }
        };
        Some(Self { place: place?, unit: spec.unit, tolerance: spec.tolerance })
    }

    /// Refuses a time that is further from `now` than the tolerance, either way.
    pub(super) fn check(&self, signed_at: Timestamp, now: Timestamp) -> Result<(), Refusal> {
        check_fresh(signed_at, now, self.tolerance)
    }
}

/// A tolerance of nothing refuses everything that was not made within the same millisecond.
pub(super) fn check_tolerance(key: &str, tolerance: Duration, faults: &mut Faults) {
    if tolerance.is_zero() {
        faults.add(key, "is zero, which refuses every request; expected something like 5m");
    }
}

/// Refuses a time that is further from `now` than `tolerance`, either way.
pub(super) fn check_fresh(signed_at: Timestamp, now: Timestamp, tolerance: Duration) -> Result<(), Refusal> {
    if now.since(signed_at) > tolerance {
        Err(Refusal::Stale)
    } else if signed_at.since(now) > tolerance {
        Err(Refusal::FromTheFuture)
    } else {
        Ok(())
    }
}

/// Reads a time as it is written in `unit`; nothing around it is skipped.
pub(super) fn parse(unit: TimeUnit, text: &str) -> Result<Timestamp, Refusal> {
    let moment = match unit {
        TimeUnit::Seconds => digits(text).and_then(|secs| secs.checked_mul(1000)).map(Timestamp::from_millis),
        TimeUnit::Millis => digits(text).map(Timestamp::from_millis),
        TimeUnit::Rfc3339 if text.len() <= LONGEST_DATE => Timestamp::parse_rfc3339(text),
        TimeUnit::HttpDate if text.len() <= LONGEST_DATE => parse_http_date(text),
        TimeUnit::Rfc3339 | TimeUnit::HttpDate => None,
    };
    moment.ok_or(Refusal::MalformedTimestamp)
}

/// At most 19 digits, which is as many as the largest number of 64 bits has; no sign, no blanks.
fn digits(text: &str) -> Option<i64> {
    let all_digits = (1..=19).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    all_digits.then(|| text.parse().ok()).flatten()
}

fn parse_http_date(text: &str) -> Option<Timestamp> {
    // The parser itself passes over blanks at both ends.
    if text.trim() != text {
        return None;
    }
    let since_epoch = httpdate::parse_http_date(text).ok()?.duration_since(SystemTime::UNIX_EPOCH).ok()?;
    i64::try_from(since_epoch.as_millis()).ok().map(Timestamp::from_millis)
}

/// Writes a time as a sender would.
pub(super) fn format(unit: TimeUnit, moment: Timestamp) -> String {
    match unit {
        TimeUnit::Seconds => moment.as_secs().to_string(),
        TimeUnit::Millis => moment.as_millis().to_string(),
        TimeUnit::Rfc3339 => moment.to_string(),
        TimeUnit::HttpDate => {
            let secs = u64::try_from(moment.as_secs()).unwrap_or(0);
            httpdate::fmt_http_date(SystemTime::UNIX_EPOCH + Duration::from_secs(secs.min(LAST_HTTP_DATE_S)))
        }
    }
}

/// 9999-12-31T23:59:59Z: HTTP dates have four digits for the year.
const LAST_HTTP_DATE_S: u64 = 253_402_300_799;

#[cfg(test)]
mod tests {
    use proptest::{prelude::*, sample::select};

    use super::*;

    const UNITS: [TimeUnit; 4] = [TimeUnit::Seconds, TimeUnit::Millis, TimeUnit::Rfc3339, TimeUnit::HttpDate];

    const MOMENT: Timestamp = Timestamp::from_secs(1_790_946_851);

    #[test]
    fn a_time_is_read_in_each_unit() {
        assert_eq!(parse(TimeUnit::Seconds, "1790946851"), Ok(MOMENT));
        assert_eq!(parse(TimeUnit::Millis, "1790946851000"), Ok(MOMENT));
        assert_eq!(parse(TimeUnit::Rfc3339, "2026-10-02T13:14:11Z"), Ok(MOMENT));
        assert_eq!(parse(TimeUnit::HttpDate, "Fri, 02 Oct 2026 13:14:11 GMT"), Ok(MOMENT));
    }

    #[test]
    fn a_written_time_is_read_back() {
        for unit in UNITS {
            assert_eq!(parse(unit, &format(unit, MOMENT)), Ok(MOMENT), "{unit:?}");
        }
    }

    #[test]
    fn only_digits_that_fit_are_a_number_of_seconds() {
        let wrong =
            ["", " 1", "1 ", "+1", "-1", "1.0", "1e3", "0x1", "1790946851abc", "\u{661}", "9223372036854775807"];
        for text in wrong.into_iter().chain(["12345678901234567890", "00000000000000000001"]) {
            assert_eq!(parse(TimeUnit::Seconds, text), Err(Refusal::MalformedTimestamp), "{text}");
        }
        assert!(parse(TimeUnit::Millis, "9223372036854775807").is_ok());
        assert!(parse(TimeUnit::Millis, "9223372036854775808").is_err());
    }

    #[test]
    fn the_tolerance_holds_in_both_directions() {
        let tolerance = Duration::from_mins(5);
        let fresh = |signed_at, now| check_fresh(signed_at, now, tolerance);
        let just_over = tolerance + Duration::from_millis(1);
        assert_eq!(fresh(MOMENT, MOMENT + tolerance), Ok(()));
        assert_eq!(fresh(MOMENT + tolerance, MOMENT), Ok(()));
        assert_eq!(fresh(MOMENT, MOMENT + just_over), Err(Refusal::Stale));
        assert_eq!(fresh(MOMENT + just_over, MOMENT), Err(Refusal::FromTheFuture));
        assert_eq!(fresh(Timestamp::from_millis(i64::MAX), Timestamp::from_millis(-5)), Err(Refusal::FromTheFuture));
    }

    proptest! {
        #[test]
        fn every_time_of_four_digit_years_is_read_as_it_was_written(secs in 0..=253_402_300_799_i64) {
            let moment = Timestamp::from_secs(secs);
            for unit in UNITS {
                prop_assert_eq!(parse(unit, &format(unit, moment)), Ok(moment));
            }
        }

        #[test]
        fn a_number_is_read_exactly_where_it_is_only_digits_that_fit(text in "[-+ 0-9.e_]{0,3}[0-9]{0,20}[ 0-9x\u{661}]{0,2}") {
            let strict = !text.is_empty() && text.len() <= 19 && text.bytes().all(|byte| byte.is_ascii_digit());
            let expected = strict.then(|| text.parse::<i64>().ok()).flatten();
            prop_assert_eq!(parse(TimeUnit::Millis, &text).ok().map(Timestamp::as_millis), expected);
            let expected = expected.and_then(|secs| secs.checked_mul(1000));
            prop_assert_eq!(parse(TimeUnit::Seconds, &text).ok().map(Timestamp::as_millis), expected);
        }

        #[test]
        fn nothing_around_a_time_is_skipped(
            secs in 0..4_000_000_000_i64,
            unit in select(&UNITS[..]),
            around in "[ \t\r\n\u{0}\u{a0}a-y;,\"]{1,3}",
            in_front in any::<bool>(),
        ) {
            let written = format(unit, Timestamp::from_secs(secs));
            let text = if in_front { around + &written } else { written + &around };
            prop_assert_eq!(parse(unit, &text), Err(Refusal::MalformedTimestamp));
        }

        #[test]
        fn no_text_makes_reading_a_time_panic(text in "[-+:.,TZtz0-9 \\[\\]A-Za-z\u{2212}]{0,80}") {
            for unit in UNITS {
                let _ = parse(unit, &text);
            }
        }
    }
}
