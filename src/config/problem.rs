//! What is wrong with a configuration: every problem at once, each with its place, its key and what was expected, shown
//! the way a compiler shows it.

use std::{cell::RefCell, fmt, sync::Arc};

use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet};
use serde::Serialize;

use super::{
    redact::Redacted,
    tree::{Node, Span},
};

/// Whether a problem stops the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// It does.
    Error,
    /// It does not, but is worth a look.
    Warning,
}

/// One thing that is wrong. It holds no secret.
#[derive(Clone, Debug, Serialize)]
pub struct Problem {
    /// Whether it stops the start.
    pub severity: Severity,
    /// The file, as it was named to us.
    pub file: String,
    /// From 1; `None` when the problem is about the file as a whole.
    pub line: Option<usize>,
    /// In characters from 1; `None` when the problem is about the file as a whole.
    pub column: Option<usize>,
    /// The key, such as `accounts.store.rate_limit`; empty when the problem is about the file as a whole.
    pub key: String,
    /// What is wrong, and what was expected.
    pub message: String,
    /// What to do about it.
    pub help: Option<String>,
    #[serde(skip)]
    span: Option<Span>,
}

/// All problems of a file, in the order of its lines, with the copy of it that may be shown. Never an empty error; as
/// warnings, it may be empty.
#[derive(Clone, Debug, Default)]
pub struct Problems {
    found: Vec<Problem>,
    source: Arc<Redacted>,
}

impl Problems {
    /// The problems, in the order of the file's lines.
    pub fn iter(&self) -> std::slice::Iter<'_, Problem> {
        self.found.iter()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.found.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// All problems with the lines they are about, `color` for terminals. Secrets in the lines are hidden.
    pub fn render(&self, color: bool) -> String {
        let renderer = if color { Renderer::styled() } else { Renderer::plain() };
        let shown: Vec<String> = self.found.iter().map(|problem| self.render_one(problem, &renderer)).collect();
        shown.join("\n\n")
    }

    fn render_one(&self, problem: &Problem, renderer: &Renderer) -> String {
        let level = match problem.severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
        };
        let title = level.primary_title(problem.to_string());
        let mut group = match &problem.span {
            Some(span) => {
                let place = AnnotationKind::Primary.span(self.source.locate(span));
                title.element(Snippet::source(self.source.text()).path(problem.file.as_str()).annotation(place))
            }
            None => Group::with_title(title).element(Origin::path(problem.file.as_str())),
        };
        if let Some(help) = &problem.help {
            group = group.element(Level::HELP.message(help.as_str()));
        }
        renderer.render(&[group])
    }
}

impl<'a> IntoIterator for &'a Problems {
    type Item = &'a Problem;
    type IntoIter = std::slice::Iter<'a, Problem>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// As [`Problems::render`], without colour.
impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(false))
    }
}

impl std::error::Error for Problems {}

/// Key and message on one line.
impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.key.is_empty() { f.write_str(&self.message) } else { write!(f, "{}: {}", self.key, self.message) }
    }
}

/// Collects what is found while a file is read, and what of it must not be shown.
#[derive(Default)]
pub(super) struct Findings {
    found: RefCell<Vec<Finding>>,
    hidden: RefCell<Vec<Span>>,
}

struct Finding {
    severity: Severity,
    key: String,
    span: Option<Span>,
    message: String,
    help: Option<String>,
}

impl Findings {
    /// Notes something that stops the start.
    pub(super) fn fault(&self, key: impl Into<String>, span: Option<&Span>, message: impl Into<String>) {
        self.note(Severity::Error, key.into(), span, message.into(), None);
    }

    /// As [`fault`](Self::fault), with advice.
    pub(super) fn fault_with_help(
        &self,
        key: impl Into<String>,
        span: Option<&Span>,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        self.note(Severity::Error, key.into(), span, message.into(), Some(help.into()));
    }

    /// Notes something worth a look.
    pub(super) fn warning(&self, key: impl Into<String>, span: Option<&Span>, message: impl Into<String>) {
        self.note(Severity::Warning, key.into(), span, message.into(), None);
    }

    fn note(&self, severity: Severity, key: String, span: Option<&Span>, message: String, help: Option<String>) {
        self.found.borrow_mut().push(Finding { severity, key, span: span.cloned(), message, help });
    }

    /// Hides everything that `node` holds.
    pub(super) fn hide(&self, node: &Node) {
        node.leaves(&mut |span| self.hide_spans([span.clone()]));
    }

    /// Hides these parts of the file.
    pub(super) fn hide_spans(&self, spans: impl IntoIterator<Item = Span>) {
        self.hidden.borrow_mut().extend(spans);
    }

    /// The faults and the warnings of the file `name`.
    pub(super) fn into_problems(self, name: &str, text: &str) -> (Problems, Problems) {
        let redacted = Redacted::new(text, self.hidden.into_inner());
        place(self.found.into_inner(), name, text, redacted)
    }
}

/// The mistakes of syntax of a file.
pub(super) fn syntax(errors: &[toml::de::Error], name: &str, text: &str) -> Problems {
    let findings = errors.iter().map(|error| Finding {
        severity: Severity::Error,
        key: String::new(),
        span: error.span(),
        message: format!("this is not TOML: {}", error.message()),
        help: None,
    });
    place(findings.collect(), name, text, Redacted::of_unparsed(text)).0
}

/// The one problem of a file that could not be read.
pub(super) fn unreadable(name: &str, message: String, help: &str) -> Problems {
    let finding =
        Finding { severity: Severity::Error, key: String::new(), span: None, message, help: Some(help.to_owned()) };
    place(vec![finding], name, "", Redacted::default()).0
}

fn place(mut findings: Vec<Finding>, name: &str, text: &str, redacted: Redacted) -> (Problems, Problems) {
    findings.sort_by_key(|finding| finding.span.as_ref().map_or(0, |span| span.start));
    let source = Arc::new(redacted);
    let problems = findings.into_iter().map(|finding| {
        let at = finding.span.as_ref().map(|span| line_and_column(text, span.start));
        Problem {
            severity: finding.severity,
            file: name.to_owned(),
            line: at.map(|(line, _)| line),
            column: at.map(|(_, column)| column),
            key: finding.key,
            message: finding.message,
            help: finding.help,
            span: finding.span,
        }
    });
    let (faults, warnings) = problems.partition(|problem| problem.severity == Severity::Error);
    (Problems { found: faults, source: Arc::clone(&source) }, Problems { found: warnings, source })
}

fn line_and_column(text: &str, at: usize) -> (usize, usize) {
    let before = text.get(..at).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |end| end + 1);
    (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
}
