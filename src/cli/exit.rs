//! How a command ends: the exit codes, and the errors that lead to each. What leads to none of them is a failure.

use std::process::ExitCode;

use crate::{config::Problems, store::StoreError};

/// What scripts can tell apart. The numbers are documented in `--help` and do not change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Exit {
    /// Done.
    Done,
    /// There is no such thing, or nothing to do about it.
    NothingToDo,
    /// What is wanted is in use just now; the same command may succeed in a moment.
    Busy,
    /// The command failed.
    Failed,
    /// The configuration has faults.
    Configuration,
    /// The command line asks for something that cannot be.
    Usage,
}

/// The exit codes as `--help` explains them.
pub(super) const HELP: &str = "\
Exit codes:
  0  done
  1  the command failed; standard error says why
  2  the command line is wrong
  3  the configuration has faults; standard error shows each with its line
  4  not found, or nothing to do
  5  busy: a call with this contact is being made, or much waits to be written; try again

Environment:
  CONTACT_RELAY_CONFIG  the configuration file, where --config does not name one
  RUST_LOG              what is logged, such as `debug` or `contact_relay::delivery=trace`
  NO_COLOR              set to anything, switches colour off";

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Done => 0,
            Exit::Failed => 1,
            Exit::Usage => 2,
            Exit::Configuration => 3,
            Exit::NothingToDo => 4,
            Exit::Busy => 5,
        })
    }
}

/// There is no such thing, or nothing to do about it.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct NotThere(pub(super) String);

/// The options do not go together, or one is missing.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct WrongUsage(pub(super) String);

/// Nobody reads standard output any more, as with `| head`.
#[derive(Debug, thiserror::Error)]
#[error("nobody reads the output any more")]
pub(super) struct OutputClosed;

/// The exit code that an error leads to.
pub(super) fn of(error: &anyhow::Error) -> Exit {
    if error.is::<OutputClosed>() {
        Exit::Done
    } else if error.is::<Problems>() {
        Exit::Configuration
    } else if error.is::<NotThere>() {
        Exit::NothingToDo
    } else if error.is::<WrongUsage>() {
        Exit::Usage
    } else if matches!(error.downcast_ref(), Some(StoreError::Busy)) {
        Exit::Busy
    } else {
        Exit::Failed
    }
}

/// An error with its causes in one line; a cause that is told already is not told again.
pub(super) fn one_line(error: &anyhow::Error) -> String {
    let mut line = String::new();
    for cause in error.chain() {
        let told = cause.to_string();
        if line.ends_with(&told) {
            continue;
        }
        if !line.is_empty() {
            line.push_str(": ");
        }
        line.push_str(&told);
    }
    line
}

#[cfg(test)]
mod tests {
    use anyhow::{Context as _, anyhow};

    use super::*;

    #[test]
    fn an_error_keeps_its_exit_code_whatever_is_said_around_it() {
        let error = anyhow::Error::from(NotThere("no row 7".to_owned())).context("outbox");
        assert_eq!(of(&error), Exit::NothingToDo);
        assert_eq!(of(&anyhow::Error::from(StoreError::Busy).context("link")), Exit::Busy);
        assert_eq!(of(&anyhow!("else")), Exit::Failed);
    }

    #[test]
    fn a_cause_that_its_error_tells_already_is_told_once() {
        let error = Err::<(), _>(anyhow!("disk full")).context("not written: disk full").context("import").unwrap_err();
        assert_eq!(one_line(&error), "import: not written: disk full");
    }

    #[test]
    fn of_several_ends_the_worst_counts() {
        assert_eq!([Exit::Done, Exit::Busy, Exit::NothingToDo].into_iter().max(), Some(Exit::Busy));
    }
}
