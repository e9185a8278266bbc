//! One jq expression: compiled once, run over many webhooks.

use std::{collections::BTreeSet, fmt};

use jaq_core::{
    Compiler, Ctx, Error, Filter, Vars,
    compile::Undefined,
    load::{Arena, File, Loader},
};
use jaq_json::Val;

use super::{
    fuel::{BrokenOff, Budget},
    gate,
    language::{self, Language, VARIABLES},
    value::{MAX_DEPTH, Metered},
};

/// What the variables of every expression are bound to.
#[derive(Clone)]
pub(super) struct Scope {
    pub(super) body: Val,
    pub(super) headers: Val,
    pub(super) query: Val,
    pub(super) source: Val,
    pub(super) received_at: Val,
}

impl Scope {
    /// In the order of [`VARIABLES`].
    fn values(&self) -> [Metered; VARIABLES.len()] {
        [&self.body, &self.headers, &self.query, &self.source, &self.received_at].map(|value| Metered(value.clone()))
    }
}

/// A compiled expression.
pub(super) struct Expression {
    filter: Filter<Language>,
    variables: BTreeSet<String>,
}

impl fmt::Debug for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Expression").field("variables", &self.variables).finish_non_exhaustive()
    }
}

/// Why an expression gave no result. Never quotes a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// jq's own error.
    Error(String),
    /// More outputs than were asked for.
    TooMany,
    /// It was broken off.
    BrokenOff(BrokenOff),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Error(message) => write!(f, "the expression failed: {message}"),
            Self::TooMany => f.write_str("the expression gave several results"),
            Self::BrokenOff(BrokenOff::Expression) => f.write_str("the expression does too much work on this webhook"),
            Self::BrokenOff(BrokenOff::Webhook) => f.write_str("the mapping does too much work on this webhook"),
            Self::BrokenOff(BrokenOff::TooDeep) => {
                write!(f, "the expression builds a value nested deeper than {MAX_DEPTH} levels")
            }
            Self::BrokenOff(BrokenOff::Defect) => f.write_str("the expression broke the interpreter"),
        }
    }
}

/// The words of a jq error. jq's own sentences show values, which here means their kinds; anything else is a value that
/// the expression raised, and may be a person's data.
fn words(error: &Error<Metered>) -> String {
    let shown = error.to_string();
    if shown.starts_with("cannot ") { shown } else { "it raised an error of its own".to_owned() }
}

impl Expression {
    /// Compiles an expression that passes the gate. Needs a stack of [`STACK_BYTES`].
    ///
    /// # Errors
    /// Every fault that was found, as messages to whoever wrote the expression.
    pub(super) fn compile(code: &str) -> Result<Self, Vec<String>> {
        let gate::Passed { variables } = gate::check(code)?;
        let arena = Arena::default();
        let modules = Loader::new(language::definitions())
            .load(&arena, File { code, path: () })
            .map_err(|_| vec!["the expression cannot be read".to_owned()])?;
        let filter =
            Compiler::default().with_funs(language::natives()).with_global_vars(VARIABLES).compile(modules).map_err(
                |files| files.into_iter().flat_map(|(file, errors)| undefined(file.code, &errors)).collect::<Vec<_>>(),
            )?;
        Ok(Self { filter, variables })
    }

    /// Whether the expression mentions `variable`, which has its `$`.
    pub(super) fn mentions(&self, variable: &str) -> bool {
        self.variables.contains(variable)
    }

    /// The outputs that are not null, `limit` of them at most.
    ///
    /// # Errors
    /// When it fails, is broken off, or gives more than `limit`.
    pub(super) fn outputs(
        &self,
        scope: &Scope,
        input: &Val,
        limit: usize,
        budget: &mut Budget,
    ) -> Result<Vec<Val>, Failure> {
        let evaluated = budget.run(|| {
            let context = Ctx::<Language>::new(&self.filter.lut, Vars::new(scope.values()));
            let mut outputs = Vec::new();
            for output in self.filter.id.run((context, Metered(input.clone()))) {
                match output {
                    Ok(Metered(Val::Null)) => {}
                    Ok(_) if outputs.len() == limit => return Err(Failure::TooMany),
                    Ok(Metered(value)) => outputs.push(value),
                    Err(exception) => {
                        return Err(match exception.get_err() {
                            Ok(error) => Failure::Error(words(&error)),
                            // Halts and breaks cannot be written; see the gate.
                            Err(_) => Failure::BrokenOff(BrokenOff::Defect),
                        });
                    }
                }
            }
            Ok(outputs)
        });
        evaluated.unwrap_or_else(|reason| Err(Failure::BrokenOff(reason)))
    }

    /// The only output that is not null, if there is one.
    ///
    /// # Errors
    /// As [`outputs`](Self::outputs).
    pub(super) fn output(&self, scope: &Scope, input: &Val, budget: &mut Budget) -> Result<Option<Val>, Failure> {
        self.outputs(scope, input, 1, budget).map(|mut outputs| outputs.pop())
    }
}

/// The stack that compiling needs: the deepest program of 4 KiB that the parser can be given, with room to spare. The
/// pages are only taken when they are touched.
pub(super) const STACK_BYTES: usize = 64 * 1024 * 1024;

fn undefined(code: &str, errors: &[(&str, Undefined)]) -> Vec<String> {
    let message = |(name, kind): &(&str, Undefined)| {
        let place = gate::place(code, name);
        match kind {
            Undefined::Filter(arity) => {
                let with = if *arity == 0 { String::new() } else { format!(" with {arity} arguments") };
                match language::why_missing(name) {
                    Some(reason) => format!("{place}: `{name}`{with} cannot be used: {reason}"),
                    None => format!("{place}: there is no function `{name}`{with}"),
                }
            }
            Undefined::Var => format!("{place}: there is no variable `{name}`; bound are {}", VARIABLES.join(", ")),
            other => format!("{place}: there is no {} `{name}`", other.as_str()),
        }
    };
    errors.iter().map(message).collect()
}
