//! What an expression may cost. jq has no limits of its own, so every operation on a value burns fuel before it does
//! its work, and an expression that has none left is broken off.
//!
//! Two choices need a reason:
//!
//! - The fuel is a thread's, not an argument: the interpreter calls `+`, `clone` and `==` of a value without any context.
//!   An evaluation runs to its end on one thread, inside [`Budget::run`], so nothing else sees it.
//! - Breaking off *unwinds*: an error would be caught by the `?` and `try` of the expression itself, and `clone` cannot
//!   fail at all. The unwinding starts with [`resume_unwind`], so no panic is reported, and ends in [`Budget::run`].

use std::{
    cell::Cell,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
};

/// Why an evaluation was broken off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BrokenOff {
    /// It used up what one expression may cost.
    Expression,
    /// It used up what was left of what one webhook may cost.
    Webhook,
    /// It built a value nested deeper than [`super::value::MAX_DEPTH`].
    TooDeep,
    /// The interpreter itself panicked.
    Defect,
}

thread_local! {
    /// Outside of an evaluation there is no limit: values are then only read.
    static FUEL: Cell<u64> = const { Cell::new(u64::MAX) };
}

struct OutOfFuel;
struct TooDeep;

/// Takes `units` of fuel. A unit stands for a small step: 10 to 100 ns of work, and at most some 100 bytes.
pub(super) fn burn(units: u64) {
    FUEL.with(|fuel| match fuel.get().checked_sub(units) {
        Some(left) => fuel.set(left),
        None => resume_unwind(Box::new(OutOfFuel)),
    });
}

/// Breaks the evaluation off because a value would be nested too deeply.
pub(super) fn too_deep() -> ! {
    resume_unwind(Box::new(TooDeep))
}

/// The fuel of all expressions over one webhook.
#[derive(Debug)]
pub(super) struct Budget {
    left: u64,
}

impl Budget {
    /// What one expression may burn: about 100 ms of work and 100 MB of values at the very most. A path burns about 20, the
    /// name of a customer from its parts about 100.
    pub(super) const PER_EXPRESSION: u64 = 1_000_000;
    /// What all expressions over one webhook may burn: 1,000 elements with ten fields each leave much of it.
    pub(super) const PER_WEBHOOK: u64 = 8_000_000;

    pub(super) fn new() -> Self {
        Self { left: Self::PER_WEBHOOK }
    }

    /// Runs `evaluate`, which must finish on this thread, within what is left.
    pub(super) fn run<T>(&mut self, evaluate: impl FnOnce() -> T) -> Result<T, BrokenOff> {
        let allowance = self.left.min(Self::PER_EXPRESSION);
        FUEL.set(allowance);
        // Whatever `evaluate` held is dropped while unwinding; nothing half-changed can be seen afterwards.
        let result = catch_unwind(AssertUnwindSafe(evaluate));
        let left = FUEL.replace(u64::MAX);
        self.left -= allowance - left.min(allowance);
        result.map_err(|payload| {
            if payload.is::<TooDeep>() {
                BrokenOff::TooDeep
            } else if !payload.is::<OutOfFuel>() {
                BrokenOff::Defect
            } else if allowance < Self::PER_EXPRESSION {
                BrokenOff::Webhook
            } else {
                BrokenOff::Expression
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_evaluation_is_broken_off_when_its_fuel_is_gone_and_the_next_one_has_its_own() {
        let mut budget = Budget::new();
        assert_eq!(budget.run(|| burn(Budget::PER_EXPRESSION + 1)), Err(BrokenOff::Expression));
        assert_eq!(budget.run(|| burn(Budget::PER_EXPRESSION)), Ok(()));
        burn(Budget::PER_EXPRESSION * 2);
        assert_eq!(budget.run(|| too_deep()), Err(BrokenOff::TooDeep));
    }

    #[test]
    fn all_expressions_of_a_webhook_share_one_budget() {
        let mut budget = Budget::new();
        for _ in 0..Budget::PER_WEBHOOK / Budget::PER_EXPRESSION {
            assert_eq!(budget.run(|| burn(Budget::PER_EXPRESSION)), Ok(()));
        }
        assert_eq!(budget.run(|| burn(1)), Err(BrokenOff::Webhook));
    }
}
