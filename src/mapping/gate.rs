//! What an expression may look like, checked before it is compiled. The gate keeps out what the meter
//! ([`super::fuel`]) cannot bound, because it happens on the machine's stack:
//!
//! - programs that recurse: definitions (`def`) are refused, and no function that recurses is there to call
//!   ([`super::language`]);
//! - programs so deeply nested that reading, compiling or running them overflows the stack: the text is bounded before it
//!   is read, and the tree before it is compiled.
//!
//! It also refuses updates (`=`, `|=`), which the meter does not follow, and labels, which nobody needs for a mapping.

use std::collections::BTreeSet;

use jaq_core::{
    load::{
        lex::{self, StrPart},
        parse::{self, BinaryOp, Parser, Pattern, Term},
        span,
    },
    path,
};

use super::language;

/// The longest expression, in bytes.
const MAX_CODE_BYTES: usize = 4 * 1024;

/// The deepest nesting of brackets, counted before anything is parsed.
const MAX_BRACKETS: usize = 64;

/// The deepest program, in steps of [`Walk::depth`]. A chain such as `a | b | c` or `a + b + c` is a step deeper with every
/// link, since each link runs inside the one before.
const MAX_PROGRAM_DEPTH: usize = 100;

/// What a call counts: the definition behind it runs about this many steps deep.
const CALL_DEPTH: usize = 4;

/// What the gate found out about an expression that may pass.
#[derive(Debug, Default)]
pub(super) struct Passed {
    /// The variables it mentions, with their `$`.
    pub(super) variables: BTreeSet<String>,
}

/// Checks an expression. Must run on a thread with a stack that [`MAX_CODE_BYTES`] of nested prefixes cannot fill.
///
/// # Errors
/// What is wrong, each with the place where that is known, in the words of a message to whoever wrote the expression.
pub(super) fn check(code: &str) -> Result<Passed, Vec<String>> {
    if code.trim().is_empty() {
        return Err(vec!["the expression is empty; leave the key out instead".to_owned()]);
    }
    if code.len() > MAX_CODE_BYTES {
        return Err(vec![format!("the expression is longer than {MAX_CODE_BYTES} bytes")]);
    }
    if bracket_depth(code) > MAX_BRACKETS {
        return Err(vec![format!("brackets are nested deeper than {MAX_BRACKETS} levels")]);
    }
    let tokens = lex::Lexer::new(code)
        .lex()
        .map_err(|errors| errors.iter().map(|error| lexical(code, error)).collect::<Vec<_>>())?;
    let term = Parser::new(&tokens).parse(Parser::term).map_err(|errors| {
        let found = |token: Option<&lex::Token<&_>>| token.map_or("", |token| &code[span(code, token.0)]);
        errors.into_iter().map(|(expected, token)| syntax(code, &expected, found(token))).collect::<Vec<_>>()
    })?;
    let mut walk = Walk { code, refusals: Vec::new(), passed: Passed::default() };
    let depth = walk.depth(&term);
    if depth > MAX_PROGRAM_DEPTH {
        walk.refusals.push("the expression has too many nested or chained steps".to_owned());
    }
    if walk.refusals.is_empty() { Ok(walk.passed) } else { Err(walk.refusals) }
}

/// Where `part`, a slice of `code`, stands: `at character 5`, or `at the end`.
pub(super) fn place(code: &str, part: &str) -> String {
    let start = span(code, part).start;
    match code.get(..start) {
        Some(before) if start < code.len() => match before.matches('\n').count() {
            0 => format!("at character {}", before.chars().count() + 1),
            lines => {
                let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
                format!("in line {} at character {column}", lines + 1)
            }
        },
        _ => "at the end".to_owned(),
    }
}

/// The deepest nesting of brackets; those in texts count too, which is as good for a bound.
fn bracket_depth(code: &str) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0);
    for byte in code.bytes() {
        match byte {
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(depth);
    }
    deepest
}

fn lexical(code: &str, (expected, found): &lex::Error<&str>) -> String {
    format!("{}: expected {}", place(code, found), expected.as_str())
}

fn syntax(code: &str, expected: &parse::Expect<&str>, found: &str) -> String {
    let place = if found.is_empty() { "at the end".to_owned() } else { place(code, found) };
    format!("{place}: expected {}", expected.as_str())
}

struct Walk<'c> {
    code: &'c str,
    refusals: Vec<String>,
    passed: Passed,
}

impl<'c> Walk<'c> {
    /// How many steps deep a term runs, its refusals noted on the way.
    fn depth(&mut self, term: &Term<&'c str>) -> usize {
        1 + match term {
            Term::Id | Term::Recurse | Term::Num(_) | Term::Arr(None) => 0,
            Term::Str(_, parts) => self.parts(parts),
            Term::Arr(Some(inner)) | Term::Neg(inner) => self.depth(inner),
            // Members are joined one after the other, each inside the one before.
            Term::Obj(members) => {
                let deepest = members
                    .iter()
                    .map(|(key, value)| self.depth(key).max(value.as_ref().map_or(0, |value| self.depth(value))));
                deepest.max().unwrap_or(0) + members.len()
            }
            Term::BinOp(left, op, right) => {
                let own = self.operator(op);
                self.depth(left).max(self.depth(right)) + own
            }
            Term::Label(..) | Term::Break(_) => self.refuse("`label` and `break` cannot be used"),
            Term::Fold(_, source, pattern, arguments) => {
                let inner = self.all(arguments).max(self.depth(source));
                inner + self.pattern(pattern)
            }
            Term::TryCatch(tried, caught) => {
                self.depth(tried).max(caught.as_ref().map_or(0, |caught| self.depth(caught)))
            }
            Term::IfThenElse(branches, otherwise) => {
                let deepest = branches.iter().map(|(condition, then)| self.depth(condition).max(self.depth(then)));
                let deepest = deepest.max().unwrap_or(0);
                deepest.max(otherwise.as_ref().map_or(0, |otherwise| self.depth(otherwise))) + branches.len()
            }
            Term::Def(..) => self.refuse("`def` cannot be used: an expression must not be able to call itself"),
            Term::Call(name, arguments) => self.call(name, arguments),
            Term::Var(name) => {
                self.passed.variables.insert((*name).to_owned());
                0
            }
            Term::Path(head, path) => self.depth(head).max(self.path(path)) + path.0.len(),
        }
    }

    fn refuse(&mut self, message: &str) -> usize {
        self.refusals.push(message.to_owned());
        0
    }

    fn all(&mut self, terms: &[Term<&'c str>]) -> usize {
        terms.iter().map(|term| self.depth(term)).max().unwrap_or(0)
    }

    fn parts(&mut self, parts: &[StrPart<&'c str, Term<&'c str>>]) -> usize {
        let deepest = parts.iter().map(|part| match part {
            StrPart::Term(term) => self.depth(term),
            StrPart::Str(_) | StrPart::Char(_) => 0,
        });
        deepest.max().unwrap_or(0) + parts.len()
    }

    fn operator(&mut self, op: &BinaryOp<&'c str>) -> usize {
        match op {
            BinaryOp::Pipe(Some(pattern)) => self.pattern(pattern),
            BinaryOp::Pipe(None)
            | BinaryOp::Comma
            | BinaryOp::Alt
            | BinaryOp::Or
            | BinaryOp::And
            | BinaryOp::Math(_)
            | BinaryOp::Cmp(_) => 0,
            BinaryOp::Assign | BinaryOp::Update | BinaryOp::UpdateMath(_) | BinaryOp::UpdateAlt => self.refuse(
                "`=`, `|=`, `+=` and the like cannot be used: build a new object with {…} or with_entries(…); \
                 to compare, write `==`",
            ),
        }
    }

    fn pattern(&mut self, pattern: &Pattern<&'c str>) -> usize {
        1 + match pattern {
            Pattern::Var(_) => 0,
            Pattern::Arr(elements) => {
                elements.iter().map(|element| self.pattern(element)).max().unwrap_or(0) + elements.len()
            }
            Pattern::Obj(members) => {
                let deepest = members.iter().map(|(key, member)| self.depth(key).max(self.pattern(member)));
                deepest.max().unwrap_or(0) + members.len()
            }
        }
    }

    fn path(&mut self, path: &path::Path<Term<&'c str>>) -> usize {
        let deepest = path.0.iter().map(|(part, _)| match part {
            path::Part::Index(index) => self.depth(index),
            path::Part::Range(from, to) => {
                let from = from.as_ref().map_or(0, |from| self.depth(from));
                from.max(to.as_ref().map_or(0, |to| self.depth(to)))
            }
        });
        deepest.max().unwrap_or(0)
    }

    fn call(&mut self, name: &'c str, arguments: &[Term<&'c str>]) -> usize {
        if language::is_internal(name) {
            let place = place(self.code, name);
            self.refusals.push(format!("{place}: there is no function `{name}`"));
        }
        self.all(arguments) + CALL_DEPTH
    }
}
