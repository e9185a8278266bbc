//! Texts with a unit: durations, sizes and rates.

use std::time::Duration;

use crate::settings::RateLimit;

/// `5m`, `14d`, `1h 30m`: as the crate humantime reads it.
pub(super) fn duration(text: &str) -> Option<Duration> {
    humantime::parse_duration(text).ok()
}

/// `512KiB`, `1MiB`, `2MB`, `4096`: bytes, with an optional binary or decimal unit.
pub(super) fn size(text: &str) -> Option<usize> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let count: usize = text[..digits].parse().ok()?;
    let unit = match text[digits..].trim() {
        "" | "B" => 1,
        "kB" | "KB" => 1_000,
        "KiB" => 1 << 10,
        "MB" => 1_000_000,
        "MiB" => 1 << 20,
        "GB" => 1_000_000_000,
        "GiB" => 1 << 30,
        _ => return None,
    };
    count.checked_mul(unit)
}

/// `5/s`, `300/min`, `10000/h`; a count of 1 or more.
pub(super) fn rate(text: &str) -> Option<RateLimit> {
    let (count, per) = text.split_once('/')?;
    let per = match per.trim() {
        "s" | "sec" | "second" => Duration::from_secs(1),
        "m" | "min" | "minute" => Duration::from_mins(1),
        "h" | "hour" => Duration::from_hours(1),
        _ => return None,
    };
    let count = count.trim().parse().ok().filter(|count| *count > 0)?;
    Some(RateLimit { count, per })
}

/// A duration the way a person writes it in this file: `5m`, `91d`, `1h 30m`.
pub(super) fn show_duration(duration: Duration) -> String {
    let mut rest_ms = duration.as_millis();
    let mut parts = Vec::new();
    for (unit, length_ms) in [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)] {
        let count = rest_ms / length_ms;
        rest_ms %= length_ms;
        if count > 0 {
            parts.push(format!("{count}{unit}"));
        }
    }
    if parts.is_empty() { "0s".to_owned() } else { parts.join(" ") }
}

/// A size the way a person writes it: `64MiB`, else in bytes.
pub(super) fn show_size(bytes: usize) -> String {
    match bytes {
        _ if bytes >= 1 << 20 && bytes.is_multiple_of(1 << 20) => format!("{}MiB", bytes >> 20),
        _ if bytes >= 1 << 10 && bytes.is_multiple_of(1 << 10) => format!("{}KiB", bytes >> 10),
        _ => format!("{bytes}B"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_binary_and_decimal_units() {
        assert_eq!(size("1MiB"), Some(1_048_576));
        assert_eq!(size("2 MB"), Some(2_000_000));
        assert_eq!(size("4096"), Some(4096));
        for wrong in ["", "MiB", "1.5MiB", "1 mib", "-1", "99999999999999999999", "18446744073709551615KiB"] {
            assert_eq!(size(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_duration_is_shown_as_it_could_be_written() {
        for text in ["100ms", "5m", "1h 30m", "91d", "3650d"] {
            assert_eq!(show_duration(duration(text).expect("valid")), text);
        }
    }

    #[test]
    fn a_rate_is_a_count_in_a_stretch_of_time() {
        assert_eq!(rate("5/s"), Some(RateLimit { count: 5, per: Duration::from_secs(1) }));
        assert_eq!(rate("300/min"), Some(RateLimit { count: 300, per: Duration::from_mins(1) }));
        assert_eq!(rate("10000/h"), Some(RateLimit { count: 10_000, per: Duration::from_hours(1) }));
        for wrong in ["", "5", "0/s", "5/day", "-1/s", "five/s", "5/"] {
            assert_eq!(rate(wrong), None, "{wrong}");
        }
    }
}
