//! The last requests of each source whose signature was refused, for finding out why. They stay in memory, few and not
//! for long, and never reach the disk or a log: they may be anybody's, and hold anything.

use std::{
    collections::{HashMap, VecDeque},
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use crate::{
    clock::Timestamp,
    sources::{Refusal, Request},
};

/// How many per source.
const PER_SOURCE: usize = 3;
/// How long.
const KEPT_FOR: Duration = Duration::from_mins(15);
/// The largest body that is kept, in bytes.
const LARGEST_BODY: usize = 256 * 1024;
/// The most bytes of path, query and headers.
const LARGEST_HEAD: usize = 16 * 1024;

/// A refused request.
#[derive(Clone)]
pub(super) struct RefusedAt {
    pub(super) at: Timestamp,
    pub(super) reason: &'static str,
    /// `None` where it is too large to be kept.
    pub(super) request: Option<Arc<Request>>,
}

/// Those of all sources.
#[derive(Default)]
pub(super) struct LastRefused(Mutex<HashMap<Arc<str>, VecDeque<RefusedAt>>>);

impl fmt::Debug for LastRefused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LastRefused").finish_non_exhaustive()
    }
}

impl LastRefused {
    /// Keeps a request in place of the oldest one.
    pub(super) fn add(&self, source: &Arc<str>, refusal: &Refusal, request: Request, at: Timestamp) {
        let request = is_small(&request).then(|| Arc::new(request));
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let last = all.entry(Arc::clone(source)).or_default();
        if last.len() == PER_SOURCE {
            last.pop_front();
        }
        last.push_back(RefusedAt { at, reason: refusal.code(), request });
    }

    /// Those of a source, newest first.
    pub(super) fn of(&self, source: &str, now: Timestamp) -> Vec<RefusedAt> {
        self.forget_old(now);
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.get(source).into_iter().flatten().rev().cloned().collect()
    }

    /// Drops what was kept long enough.
    pub(super) fn forget_old(&self, now: Timestamp) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|_, last| {
            last.retain(|refused| refused.at + KEPT_FOR > now);
            !last.is_empty()
        });
    }
}

fn is_small(request: &Request) -> bool {
    let head: usize = request.headers.iter().map(|(name, value)| name.len() + value.len()).sum();
    request.body.len() <= LARGEST_BODY && head + request.path_query.len() <= LARGEST_HEAD
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sources::Draft;

    #[test]
    fn few_are_kept_for_a_short_while_and_large_ones_without_their_content() {
        let kept = LastRefused::default();
        let source: Arc<str> = "shop".into();
        let add = |body: Vec<u8>, at| {
            let Draft(request) = Draft::post("/hooks/shop", "application/json", body);
            kept.add(&source, &Refusal::WrongSignature, request, Timestamp::from_secs(at));
        };
        for at in 0..5 {
            add(vec![b'x'; LARGEST_BODY + usize::from(at == 4)], at);
        }
        let of = |now| kept.of("shop", Timestamp::from_secs(now));
        let seen: Vec<_> = of(5).iter().map(|refused| (refused.at.as_secs(), refused.request.is_some())).collect();
        assert_eq!(seen, [(4, false), (3, true), (2, true)]);
        assert_eq!(of(15 * 60 + 2).len(), 2, "the last one is not as old as that yet");
        assert!(of(15 * 60 + 4).is_empty());
        assert!(kept.of("other", Timestamp::from_secs(5)).is_empty());
    }
}
