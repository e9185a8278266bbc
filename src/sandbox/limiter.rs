//! The server's own rate limits: fixed windows, aligned to the minute of the clock. Off unless asked for.

use crate::clock::Timestamp;

/// Counts the calls of one throttle in the present minute.
#[derive(Debug, Default)]
pub(super) struct Window {
    minute: i64,
    calls: u32,
}

impl Window {
    /// Counts a call; `false` when it is one too many. Without a limit every call passes.
    pub(super) fn admits(&mut self, limit: Option<u32>, now: Timestamp) -> bool {
        let minute = now.as_secs().div_euclid(60);
        if minute != self.minute {
            *self = Self { minute, calls: 0 };
        }
        self.calls = self.calls.saturating_add(1);
        limit.is_none_or(|limit| self.calls <= limit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_window_opens_again_at_the_next_full_minute() {
        let mut window = Window::default();
        let late = Timestamp::from_secs(119);
        assert!(window.admits(Some(2), late) && window.admits(Some(2), late));
        assert!(!window.admits(Some(2), late));
        assert!(window.admits(Some(2), Timestamp::from_secs(120)));
        assert!(window.admits(None, late));
    }
}
