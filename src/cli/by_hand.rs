//! Changes by hand beside a running service: a row that is part of a call is tried again for a moment, several ids are
//! gone through whatever happens to one, and the worst end is the command's.

use std::{future::Future, time::Duration};

use serde::Serialize;

use super::{exit::Exit, output};
use crate::{
    clock::Clock,
    store::{RetryOutcome, StoreError},
};

/// How long a row may stay part of a call before the change is given up.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long to wait between tries.
const PAUSE: Duration = Duration::from_millis(200);

/// Makes a change, again and again while the row is part of a call.
pub(super) async fn patiently<F>(clock: &Clock, change: impl Fn() -> F) -> Result<RetryOutcome, StoreError>
where
    F: Future<Output = Result<RetryOutcome, StoreError>>,
{
    let last = clock.now() + PATIENCE;
    loop {
        let outcome = change().await?;
        if outcome != RetryOutcome::InCall || clock.now() >= last {
            return Ok(outcome);
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// What became of one id.
#[derive(Debug, Serialize)]
pub(super) struct Change {
    pub(super) id: i64,
    pub(super) outcome: RetryOutcome,
}

/// Says what became of each, `done` being the word for a row that was changed.
pub(super) fn report(changes: &[Change], done: &str, json: bool) -> anyhow::Result<Exit> {
    if json {
        output::print_json(&changes)?;
    }
    let mut worst = Exit::Done;
    for Change { id, outcome } in changes {
        let (exit, text) = match outcome {
            RetryOutcome::Done => (Exit::Done, format!("{id}: {done}")),
            RetryOutcome::NoSuchRow => (Exit::NothingToDo, format!("{id}: there is no such row")),
            RetryOutcome::NotApplicable(state) => (Exit::NothingToDo, format!("{id}: it is {state}; left as it is")),
            RetryOutcome::InCall => (Exit::Busy, format!("{id}: a call with it is being made; try again in a moment")),
        };
        worst = worst.max(exit);
        match exit {
            _ if json => {}
            Exit::Done => output::print(&text)?,
            _ => output::remark(&format!("error: {text}")),
        }
    }
    Ok(worst)
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;
    use crate::{clock::Timestamp, store::RowState};

    #[tokio::test]
    async fn a_row_in_a_call_is_tried_again_until_the_call_ends() {
        let (clock, _) = Clock::manual(Timestamp::from_secs(0));
        let tries = Cell::new(0);
        let change = || {
            tries.set(tries.get() + 1);
            let outcome = if tries.get() < 2 { RetryOutcome::InCall } else { RetryOutcome::Done };
            async move { Ok(outcome) }
        };
        assert_eq!(patiently(&clock, change).await.unwrap(), RetryOutcome::Done);
        assert_eq!(tries.get(), 2);
    }

    #[tokio::test]
    async fn a_row_that_stays_in_a_call_is_given_up() {
        let (clock, hand) = Clock::manual(Timestamp::from_secs(0));
        let change = || {
            hand.advance(PATIENCE);
            async { Ok(RetryOutcome::InCall) }
        };
        assert_eq!(patiently(&clock, change).await.unwrap(), RetryOutcome::InCall);
    }

    #[test]
    fn the_worst_end_of_several_is_the_commands() {
        let change = |id, outcome| Change { id, outcome };
        let changes = [
            change(1, RetryOutcome::InCall),
            change(2, RetryOutcome::Done),
            change(3, RetryOutcome::NotApplicable(RowState::Delivered)),
        ];
        assert_eq!(report(&changes, "done", false).unwrap(), Exit::Busy);
        assert_eq!(report(&changes[1..], "done", false).unwrap(), Exit::NothingToDo);
        assert_eq!(report(&changes[1..2], "done", false).unwrap(), Exit::Done);
    }
}
