//! Holds what no compiler checks: which module may import which, which crates are named where, where time and
//! randomness come from, and how long a file may be. It reads the sources as tokens, so that comments and texts do
//! not count; the tables below are the rules.

mod sources;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
};

use sources::{Sources, root, rust_files};

/// The modules of the crate from top to bottom. A module may import only from rows below its own.
const LAYERS: &[&[&str]] = &[
    &["main"],
    &["cli"],
    &["app", "telemetry"],
    &["http", "config"],
    &["ingest", "delivery"],
    &["store", "chatwoot"],
    &["mapping", "retry", "merge"],
    &["settings"],
    &["sources", "contacts"],
    &["clock"],
];

/// Modules that stand beside the layers: (module, what it may import, who may import it). Tests may import them too.
const BESIDE: &[(&str, &[&str], &[&str])] = &[("sandbox", &["clock"], &["cli", "app"])];

/// Crates that only some modules may name, with all that stands under them: (crate, modules, modules whose tests may
/// too). `send` posts to the service itself, which is no call of Chatwoot's.
const FENCED_CRATES: &[(&str, &[&str], &[&str])] = &[
    ("sqlx", &["store"], &[]),
    ("reqwest", &["chatwoot", "cli::post"], &["sandbox"]),
    ("actix_web", &["http", "sandbox"], &[]),
    ("actix_http", &["http", "sandbox"], &[]),
    ("actix_rt", &["http", "sandbox"], &[]),
];

/// Where time and randomness may be taken from the system: (path, modules). Tests are left to clippy.
const FENCED_CALLS: &[(&[&str], &[&str])] = &[
    (&["SystemTime", "now"], &["clock"]),
    (&["Instant", "now"], &["clock", "app", "cli"]),
    (&["Timestamp", "now"], &["clock"]),
    (&["Zoned", "now"], &["clock"]),
    (&["rand", "rng"], &["app", "cli"]),
    (&["rand", "random"], &["app", "cli"]),
];

/// Longer files hold more than one idea.
const MAX_LINES: usize = 450;

#[test]
fn modules_import_only_from_the_layers_below() {
    assert_none(&import_problems(&Sources::of_this_crate()));
}

#[test]
fn modules_beside_each_other_do_not_import_each_other_in_a_circle() {
    assert_none(&circles(&Sources::of_this_crate()));
}

#[test]
fn crates_clock_and_randomness_are_named_only_where_they_belong() {
    assert_none(&fence_problems(&Sources::of_this_crate()));
}

#[test]
fn no_file_is_longer_than_one_idea() {
    let too_long: Vec<_> = ["src", "tests", "benches"]
        .iter()
        .flat_map(|folder| rust_files(&root().join(folder)))
        .map(|file| (fs::read_to_string(&file).expect("readable").lines().count(), file))
        .filter(|(lines, _)| *lines > MAX_LINES)
        .map(|(lines, file)| format!("{}: {lines} lines, more than {MAX_LINES}", file.display()))
        .collect();
    assert_none(&too_long);
}

// The rules.

fn import_problems(sources: &Sources) -> Vec<String> {
    let mut problems = Vec::new();
    for file in &sources.files {
        let Some(from) = file.module.first() else { continue }; // lib.rs declares the modules and imports nothing.
        if row_of(from).is_none() && beside(from).is_none() {
            problems.push(format!("{}: module `{from}` has no place in LAYERS", file.name));
        }
        for (named, target) in sources.references(file) {
            let Some(to) = target.first() else { continue };
            let tests_may = named.in_test && beside(to).is_some();
            if to != from && !tests_may && !may_import(from, to) {
                problems.push(format!("{}:{}: `{from}` may not import `{to}`", file.name, named.line));
            }
        }
    }
    problems.dedup();
    problems
}

fn row_of(module: &str) -> Option<usize> {
    LAYERS.iter().position(|row| row.contains(&module))
}

fn beside(module: &str) -> Option<&'static (&'static str, &'static [&'static str], &'static [&'static str])> {
    BESIDE.iter().find(|(name, ..)| *name == module)
}

fn may_import(from: &str, to: &str) -> bool {
    match (beside(from), beside(to)) {
        (Some((_, imports, _)), _) => imports.contains(&to),
        (None, Some((_, _, importers))) => importers.contains(&from),
        // Where both are unknown, the problem is that they have no place.
        (None, None) => row_of(from) < row_of(to),
    }
}

fn fence_problems(sources: &Sources) -> Vec<String> {
    let mut problems = Vec::new();
    for file in &sources.files {
        let module = file.module.first().map_or("lib", String::as_str);
        let stands_in = |modules: &[&str]| modules.iter().any(|path| is_within(&file.module, path));
        for named in &file.paths {
            for (krate, modules, tests_of) in FENCED_CRATES {
                let allowed = stands_in(modules) || (named.in_test && stands_in(tests_of));
                if named.segments[0] == *krate && !allowed {
                    problems.push(format!("{}:{}: `{krate}` belongs to {modules:?}", file.name, named.line));
                }
            }
            for (call, modules) in FENCED_CALLS {
                let calls = named.segments.windows(call.len()).any(|window| window == *call);
                if calls && !named.in_test && !modules.contains(&module) {
                    problems.push(format!(
                        "{}:{}: `{}` belongs to {modules:?}",
                        file.name,
                        named.line,
                        call.join("::")
                    ));
                }
            }
        }
    }
    problems
}

/// Whether a module is the one with this path, or stands under it.
fn is_within(module: &[String], path: &str) -> bool {
    let mut module = module.iter();
    path.split("::").all(|part| module.next().is_some_and(|name| name == part))
}

/// Circles among the children of one module, at every depth: what a child's descendants import counts as its own.
/// A child and its parent may name each other: the parent gives the child its types and re-exports its work.
fn circles(sources: &Sources) -> Vec<String> {
    type Edges = BTreeMap<String, BTreeMap<String, String>>;
    let mut by_parent: BTreeMap<Vec<String>, Edges> = BTreeMap::new();
    for file in &sources.files {
        for (named, target) in sources.references(file).filter(|(named, _)| !named.in_test) {
            let shared = named.module.iter().zip(&target).take_while(|(a, b)| a == b).count();
            let (Some(from), Some(to)) = (named.module.get(shared), target.get(shared)) else { continue };
            let edges = by_parent.entry(target[..shared].to_vec()).or_default();
            let place = format!("{}:{}", file.name, named.line);
            edges.entry(from.clone()).or_default().entry(to.clone()).or_insert(place);
        }
    }
    let mut problems = Vec::new();
    for (parent, edges) in &by_parent {
        for (from, targets) in edges {
            for (to, place) in targets.iter().filter(|(to, _)| reaches(edges, to, from)) {
                problems
                    .push(format!("{place}: in `{}`, `{from}` imports `{to}`, which leads back", path_text(parent)));
            }
        }
    }
    problems
}

fn reaches(edges: &BTreeMap<String, BTreeMap<String, String>>, from: &str, goal: &str) -> bool {
    let (mut seen, mut open) = (BTreeSet::new(), vec![from]);
    while let Some(module) = open.pop() {
        if module == goal {
            return true;
        }
        if seen.insert(module) {
            open.extend(edges.get(module).into_iter().flat_map(BTreeMap::keys).map(String::as_str));
        }
    }
    false
}

fn path_text(module: &[String]) -> String {
    if module.is_empty() { "crate".to_owned() } else { module.join("::") }
}

fn assert_none(problems: &[String]) {
    assert!(problems.is_empty(), "\n{}\n", problems.join("\n"));
}

// The rules fail when they should.

fn crate_of(files: &[(&str, &str)]) -> Sources {
    Sources::read(files.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())))
}

#[test]
fn an_import_upwards_or_sideways_is_found_however_it_is_written() {
    for text in [
        "use crate::store::Store;",
        "use crate::{clock::Timestamp, store::{self, Store}};",
        "use {crate::clock, crate::{store as s}};",
        "fn f() { let x = crate::store::open::<u8>(); }",
        "fn f(x: &'static str) -> super::store::Store { 'a' }",
        "mod inner { use super::super::store::*; }",
        "const A: &str = r#\"\"#; const B: char = '\"'; use crate::store; const C: char = '\"';",
        "#[cfg(test)] use x; use crate::store;",
        "#[cfg(test)] mod tests { use crate::store::Store; }",
        "use crate::nowhere::X;",
    ] {
        let found = import_problems(&crate_of(&[("mapping/mod.rs", text), ("store.rs", ""), ("clock.rs", "")]));
        assert_eq!(found.len(), 1, "{text}: {found:?}");
        assert!(found[0].starts_with("src/mapping/mod.rs:1: `mapping` may not import"), "{found:?}");
    }
    assert_eq!(import_problems(&crate_of(&[("retry.rs", "\n\nuse crate::merge::X;"), ("merge.rs", "")])).len(), 1);
    assert_eq!(
        import_problems(&crate_of(&[("helpers.rs", "")])),
        ["src/helpers.rs: module `helpers` has no place in LAYERS"]
    );
    assert_eq!(import_problems(&crate_of(&[("sandbox/mod.rs", "use crate::contacts;"), ("contacts.rs", "")])).len(), 1);
    assert_eq!(import_problems(&crate_of(&[("ingest.rs", "use crate::sandbox;"), ("sandbox/mod.rs", "")])).len(), 1);
}

#[test]
fn an_import_downwards_and_words_in_comments_and_texts_are_no_problem() {
    let text = r##"
        //! See [`crate::store`].
        use crate::{clock::{self, Timestamp}, contacts::*};
        /* use crate::store; /* use crate::store; */ use crate::store; */
        const A: (&str, &str, &[u8]) = ("use crate::store; \"", r#"" crate::store::X "#, b"\\");
        pub(crate) fn f<'a>(x: &'a str) -> char { if x == "\\" { '\'' } else { '\u{5d0}' } }
        #[cfg(test)]
        mod tests { use super::*; use crate::sandbox::Sandbox; }
    "##;
    let files =
        [("mapping/mod.rs", text), ("store.rs", ""), ("clock.rs", ""), ("contacts/mod.rs", ""), ("sandbox.rs", "")];
    assert_none(&import_problems(&crate_of(&files)));
    let main = ("main.rs", "use contact_relay::cli;");
    assert_none(&import_problems(&crate_of(&[main, ("cli/mod.rs", "use crate::sandbox;"), ("sandbox.rs", "")])));
}

#[test]
fn a_name_that_is_re_exported_counts_as_where_it_comes_from() {
    let lib = ("lib.rs", "pub use store::Store;");
    assert_eq!(import_problems(&crate_of(&[lib, ("mapping.rs", "use crate::Store;"), ("store.rs", "")])).len(), 1);
}

#[test]
fn a_circle_between_siblings_is_found_at_every_depth() {
    let parent = ("a/mod.rs", "mod b; mod c; pub use b::B; use c::C;");
    assert_eq!(circles(&crate_of(&[parent, ("a/b.rs", "use super::c::C;"), ("a/c.rs", "use super::b::B;")])).len(), 2);
    assert_eq!(
        circles(&crate_of(&[
            parent,
            ("a/b.rs", "use crate::a::c;"),
            ("a/c/mod.rs", "mod d;"),
            ("a/c/d.rs", "use super::super::B;")
        ]))
        .len(),
        2
    );
    assert_none(&circles(&crate_of(&[parent, ("a/b.rs", "use super::{C, Own};"), ("a/c.rs", "use super::Own;")])));
    let tests = ("a/c.rs", "#[cfg(test)] mod tests { use crate::a::b::B; }");
    assert_none(&circles(&crate_of(&[parent, ("a/b.rs", "use super::c::C;"), tests])));
}

#[test]
fn a_crate_or_a_clock_outside_its_fence_is_found() {
    for (name, text, problems) in [
        ("ingest.rs", "fn f() { sqlx::query(\"\") }", 1),
        ("store/outbox.rs", "use sqlx::Row; #[derive(sqlx::FromRow)] struct X;", 0),
        ("delivery.rs", "use reqwest::{Client};", 1),
        ("cli/post.rs", "use reqwest::Client;", 0),
        ("cli/send.rs", "use reqwest::Client;", 1),
        ("sandbox/mod.rs", "#[cfg(test)] mod tests { use reqwest::Client; }", 0),
        ("sandbox/mod.rs", "#[cfg(test)] mod tests; use reqwest::Client;", 1),
        ("retry.rs", "use std::time::Instant; fn f() { Instant::now(); rand::rng() }", 2),
        ("retry.rs", "use rand::{Rng, rng}; #[test] fn t() {}", 1),
        ("retry.rs", "#[cfg(test)] fn f() -> &'static str { Instant::now() }", 0),
        ("clock.rs", "fn f() { jiff::Timestamp::now() }", 0),
    ] {
        let found = fence_problems(&crate_of(&[(name, text)]));
        assert_eq!(found.len(), problems, "{name}: {text}: {found:?}");
    }
    let files = [("sandbox/mod.rs", "#[cfg(test)] mod tests;"), ("sandbox/tests.rs", "use reqwest::Client;")];
    assert_none(&fence_problems(&crate_of(&files)));
}
