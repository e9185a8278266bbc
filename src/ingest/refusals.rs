//! Refused requests: counted in memory by source and reason, and written down now and then, so that a flood costs
//! neither disk nor log lines.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use crate::{
    clock::Timestamp,
    store::{Rejections, Store, StoreError},
};

/// Counts since the last time they were written down.
#[derive(Debug, Default)]
pub(super) struct Refusals {
    counts: Mutex<BTreeMap<(Arc<str>, &'static str), u64>>,
}

impl Refusals {
    /// Counts one, and logs it where it is the first of its kind since the counts were written down.
    pub(super) fn add(&self, source: &Arc<str>, reason: &'static str, words: &dyn std::fmt::Display) {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry((Arc::clone(source), reason)).or_default();
        *count += 1;
        if *count == 1 {
            tracing::warn!(source.name = %source, reason, "webhook refused: {words}");
        }
    }

    /// Writes the counts down. They are kept where that fails.
    pub(super) async fn save(&self, store: &Store, now: Timestamp) -> Result<(), StoreError> {
        let counts = std::mem::take(&mut *self.counts.lock().unwrap_or_else(PoisonError::into_inner));
        if counts.is_empty() {
            return Ok(());
        }
        let rejections = counts
            .iter()
            .map(|((source, reason), count)| Rejections {
                source: source.to_string(),
                reason: (*reason).to_owned(),
                count: *count,
            })
            .collect();
        let saved = store.add_rejections(now, rejections).await;
        if saved.is_err() {
            let mut present = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
            for (kind, count) in counts {
                *present.entry(kind).or_default() += count;
            }
        }
        saved
    }
}
