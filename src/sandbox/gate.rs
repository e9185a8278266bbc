//! Holding calls back until a test lets them go on: the deterministic way to have calls in flight.

use std::sync::Arc;

use tokio::sync::watch;

use super::{call::Call, faults::Match};

/// Holds matching calls, before they are carried out, until it is released or dropped.
#[derive(Debug)]
#[must_use = "a gate that is dropped holds nothing"]
pub struct Gate(Arc<Barrier>);

impl Gate {
    pub(super) fn new(when: Match) -> Self {
        Self(Arc::new(Barrier { when, arrived: watch::Sender::new(0), open: watch::Sender::new(false) }))
    }

    pub(super) fn barrier(&self) -> Arc<Barrier> {
        Arc::clone(&self.0)
    }

    /// Returns once `n` calls have arrived at the gate since it was made.
    pub async fn arrived(&self, n: usize) {
        let mut arrived = self.0.arrived.subscribe();
        // The sender lives in the gate, which this future borrows: the wait cannot fail.
        let _ = arrived.wait_for(|arrived| *arrived >= n).await;
    }

    /// Lets all held calls go on, and holds no later ones.
    pub fn release(&self) {
        self.0.open.send_replace(true);
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.release();
    }
}

/// The server's side of a gate.
#[derive(Debug)]
pub(super) struct Barrier {
    when: Match,
    arrived: watch::Sender<usize>,
    open: watch::Sender<bool>,
}

impl Barrier {
    /// Whether it still holds calls.
    pub(super) fn is_closed(&self) -> bool {
        !*self.open.borrow()
    }

    /// Whether it holds this call.
    pub(super) fn holds(&self, call: &Call) -> bool {
        self.is_closed() && self.when.means(call)
    }

    /// Waits until the gate is released.
    pub(super) async fn pass(&self) {
        let mut open = self.open.subscribe();
        self.arrived.send_modify(|arrived| *arrived += 1);
        // The sender lives in the barrier, which this future borrows: the wait cannot fail.
        let _ = open.wait_for(|open| *open).await;
    }
}
