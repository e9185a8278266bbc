//! Reads Rust sources as tokens: which paths each file names, in which module, and whether only for tests. It knows
//! just enough of the language for that, and nothing of the rules.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

/// A path as it is written somewhere: `std::fmt`, `crate::clock::Timestamp`, or a single name.
pub(super) struct Named {
    pub(super) segments: Vec<String>,
    /// The module it stands in, inline modules included.
    pub(super) module: Vec<String>,
    pub(super) line: usize,
    pub(super) in_test: bool,
}

pub(super) struct File {
    pub(super) name: String,
    pub(super) module: Vec<String>,
    pub(super) paths: Vec<Named>,
}

#[derive(Default)]
pub(super) struct Sources {
    pub(super) files: Vec<File>,
    /// Every module, inline ones included.
    modules: BTreeSet<Vec<String>>,
    /// What a `use` makes of a name: (module, name) → the path as written.
    aliases: BTreeMap<(Vec<String>, String), Vec<String>>,
}

impl Sources {
    pub(super) fn of_this_crate() -> Self {
        let src = root().join("src");
        let files = rust_files(&src);
        assert!(files.len() > 5, "the sources are found");
        Self::read(files.iter().map(|file| {
            let name = file.strip_prefix(&src).expect("under src").display().to_string().replace('\\', "/");
            (name, fs::read_to_string(file).expect("readable"))
        }))
    }

    /// From pairs of a path below `src` and the text.
    pub(super) fn read(texts: impl IntoIterator<Item = (String, String)>) -> Self {
        let mut sources = Self::default();
        let mut test_modules = BTreeSet::new();
        for (name, text) in texts {
            let parts = name.trim_end_matches(".rs").split('/').map(str::to_owned);
            let module: Vec<String> = parts.filter(|part| part != "mod" && part != "lib").collect();
            let found = scan(&tokens(&text), &module);
            sources.modules.insert(module.clone());
            sources.modules.extend(found.inline_modules);
            sources.aliases.extend(found.aliases);
            test_modules.extend(found.test_modules);
            sources.files.push(File { name: format!("src/{name}"), module, paths: found.paths });
        }
        for named in sources.files.iter_mut().flat_map(|file| &mut file.paths) {
            named.in_test |= test_modules.iter().any(|test| named.module.starts_with(test));
        }
        sources
    }

    /// The paths of `file` that lead into this crate, each with the module that holds what it names.
    pub(super) fn references<'a>(&'a self, file: &'a File) -> impl Iterator<Item = (&'a Named, Vec<String>)> {
        file.paths.iter().filter_map(|named| Some((named, self.resolve(&named.module, &named.segments, 0)?)))
    }

    fn resolve(&self, module: &[String], path: &[String], hops: usize) -> Option<Vec<String>> {
        let absolute = self.absolute(module, path)?;
        let known = (0..=absolute.len()).rev().find(|n| self.modules.contains(&absolute[..*n])).unwrap_or(0);
        let (home, rest) = absolute.split_at(known);
        // A name that the module only re-exports belongs to where it comes from.
        if let (Some(name), true) = (rest.first(), hops < 8)
            && let Some(origin) = self.aliases.get(&(home.to_vec(), name.clone()))
        {
            let origin: Vec<String> = origin.iter().chain(&rest[1..]).cloned().collect();
            // A re-export from another crate makes it the re-exporting module's own.
            return self.resolve(home, &origin, hops + 1).or_else(|| Some(home.to_vec()));
        }
        // A name of the root that is no module is kept, so that it is reported rather than overlooked.
        if home.is_empty() { Some(rest.iter().take(1).cloned().collect()) } else { Some(home.to_vec()) }
    }

    /// The path from the crate's root; `None` for other crates and local names.
    fn absolute(&self, module: &[String], path: &[String]) -> Option<Vec<String>> {
        let (first, rest) = path.split_first()?;
        match first.as_str() {
            "crate" => Some(rest.to_vec()),
            "contact_relay" if module.first().is_some_and(|name| name == "main") => Some(rest.to_vec()),
            "self" if !rest.is_empty() => Some([module, rest].concat()),
            "super" => {
                let ups = path.iter().take_while(|name| *name == "super").count();
                Some([&module[..module.len().saturating_sub(ups)], &path[ups..]].concat())
            }
            _ => Some([module, path].concat()).filter(|inner| self.modules.contains(&inner[..=module.len()])),
        }
    }
}

#[derive(Default)]
struct Found {
    paths: Vec<Named>,
    inline_modules: Vec<Vec<String>>,
    /// `#[cfg(test)] mod name;`
    test_modules: Vec<Vec<String>>,
    aliases: BTreeMap<(Vec<String>, String), Vec<String>>,
}

/// Collects what the tokens of the file of `module` name and declare.
fn scan(tokens: &[Token], module: &[String]) -> Found {
    let in_test = test_marks(tokens);
    let text = |at: usize| tokens.get(at).map_or("", |token| token.text);
    let mut found = Found::default();
    let mut module = module.to_vec();
    let (mut depth, mut opened_at) = (0_usize, Vec::new());
    let mut at = 0;
    while at < tokens.len() {
        let (line, in_test) = (tokens[at].line, in_test[at]);
        match text(at) {
            "{" => depth += 1,
            "}" => {
                depth = depth.saturating_sub(1);
                if opened_at.last() == Some(&depth) {
                    opened_at.pop();
                    module.pop();
                }
            }
            "mod" if text(at + 2) == "{" => {
                opened_at.push(depth);
                module.push(text(at + 1).to_owned());
                found.inline_modules.push(module.clone());
                at += 1;
            }
            "mod" if text(at + 2) == ";" && in_test => {
                found.test_modules.push([&module[..], &[text(at + 1).to_owned()]].concat());
            }
            // `use<'a>` in a return type captures lifetimes and imports nothing.
            "use" if text(at + 1) != "<" => {
                let mut leaves = Vec::new();
                at = use_tree(tokens, at + 1, &[], &mut leaves);
                for (segments, alias) in leaves {
                    found.aliases.insert((module.clone(), alias), segments.clone());
                    found.paths.push(Named { segments, module: module.clone(), line, in_test });
                }
            }
            word if is_word(word) && starts_path(tokens, at) => {
                let mut segments = vec![word.to_owned()];
                while text(at + 1) == "::" && is_word(text(at + 2)) {
                    segments.push(text(at + 2).to_owned());
                    at += 2;
                }
                found.paths.push(Named { segments, module: module.clone(), line, in_test });
            }
            _ => {}
        }
        at += 1;
    }
    found
}

/// Not the name after the dot of a field or method, but the one after the dots of a range.
fn starts_path(tokens: &[Token], at: usize) -> bool {
    let before = |n: usize| at.checked_sub(n).map_or("", |at| tokens[at].text);
    before(1) != "." || before(2) == "."
}

/// Reads one branch of a `use` from `at`; returns where it ended (at `,`, `}` or `;`).
fn use_tree(tokens: &[Token], mut at: usize, prefix: &[String], leaves: &mut Vec<(Vec<String>, String)>) -> usize {
    let text = |at: usize| tokens.get(at).map_or("", |token| token.text);
    let (mut path, mut alias, mut is_leaf) = (prefix.to_vec(), None, false);
    while !matches!(text(at), "" | "," | "}" | ";") {
        match text(at) {
            "{" => {
                while matches!(text(at), "{" | ",") {
                    at = use_tree(tokens, at + 1, &path, leaves);
                }
                return at + 1;
            }
            "as" => {
                alias = Some(text(at + 1).to_owned());
                at += 1;
            }
            "*" => (alias, is_leaf) = (Some("*".to_owned()), true),
            "self" if !path.is_empty() => is_leaf = true,
            word if is_word(word) => {
                path.push(word.to_owned());
                is_leaf = true;
            }
            _ => {}
        }
        at += 1;
    }
    if let (true, Some(name)) = (is_leaf, alias.or_else(|| path.last().cloned())) {
        leaves.push((path, name));
    }
    at
}

/// Which tokens belong to an item under `#[cfg(test)]` or `#[cfg(all(test, …))]`.
fn test_marks(tokens: &[Token]) -> Vec<bool> {
    let mut marks = vec![false; tokens.len()];
    for at in 0..tokens.len() {
        let starts =
            |words: &[&str]| tokens[at..].iter().map(|token| token.text).take(words.len()).eq(words.iter().copied());
        if starts(&["#", "[", "cfg", "(", "test", ")"]) || starts(&["#", "[", "cfg", "(", "all", "(", "test"]) {
            let end = item_end(tokens, at);
            marks[at..end].fill(true);
        }
    }
    marks
}

/// Where the item that begins at `at`, attributes first, is over: behind its `;`, or behind its body.
fn item_end(tokens: &[Token], at: usize) -> usize {
    let (mut depth, mut ends_with_semicolon) = (0_i32, false);
    for (offset, token) in tokens[at..].iter().enumerate() {
        match token.text {
            "(" | "[" | "{" => depth += 1,
            ")" | "]" | "}" => depth -= 1,
            "use" | "let" | "static" | "const" if depth == 0 => ends_with_semicolon = true,
            "fn" if depth == 0 => ends_with_semicolon = false,
            _ => {}
        }
        let closed = token.text == ";" || (token.text == "}" && !ends_with_semicolon);
        if depth < 0 || (depth == 0 && closed) {
            return at + offset + 1;
        }
    }
    tokens.len()
}

#[derive(Clone, Copy)]
struct Token<'a> {
    text: &'a str,
    line: usize,
}

fn is_word(text: &str) -> bool {
    text.starts_with(|first: char| first.is_alphabetic() || first == '_')
}

/// Words, `::` and single signs; without comments, texts, characters and lifetimes.
fn tokens(text: &str) -> Vec<Token<'_>> {
    let mut tokens = Vec::new();
    let (mut rest, mut line) = (text, 1);
    while let Some(first) = rest.chars().next() {
        let word = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
        let (length, is_token) = if rest.starts_with("//") {
            (rest.find('\n').unwrap_or(rest.len()), false)
        } else if rest.starts_with("/*") {
            (comment_length(rest), false)
        } else if let Some(length) = text_length(rest) {
            (length, false)
        } else if word > 0 {
            (word, true)
        } else if rest.starts_with("::") {
            (2, true)
        } else {
            (first.len_utf8(), !first.is_whitespace())
        };
        if is_token {
            tokens.push(Token { text: &rest[..length], line });
        }
        line += rest[..length].matches('\n').count();
        rest = &rest[length..];
    }
    tokens
}

/// Block comments nest.
fn comment_length(rest: &str) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at < rest.len() {
        match &rest.as_bytes()[at..] {
            [b'/', b'*', ..] => (depth, at) = (depth + 1, at + 2),
            [b'*', b'/', ..] if depth == 1 => return at + 2,
            [b'*', b'/', ..] => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
    }
    rest.len()
}

/// The length of the text, character or lifetime that `rest` begins with.
fn text_length(rest: &str) -> Option<usize> {
    let prefix = ["br", "cr", "r", "b", "c", ""].into_iter().find(|prefix| {
        let behind = rest.strip_prefix(prefix).unwrap_or_default();
        behind.starts_with('"')
            || (prefix.ends_with('r') && behind.trim_start_matches('#').starts_with('"'))
            || (matches!(*prefix, "b" | "") && behind.starts_with('\''))
    })?;
    let body = &rest[prefix.len()..];
    if prefix.ends_with('r') {
        let hashes = body.len() - body.trim_start_matches('#').len();
        let close = format!("\"{}", "#".repeat(hashes));
        let inner = &body[hashes + 1..];
        return Some(rest.len() - inner.len() + inner.find(&close).map_or(inner.len(), |at| at + close.len()));
    }
    let (quote, inner) = body.split_at(1);
    let first = inner.chars().next()?;
    if quote == "'" && first != '\\' && !inner[first.len_utf8()..].starts_with('\'') {
        let name = inner.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(inner.len());
        return Some(1 + name); // A lifetime.
    }
    let mut escaped = false;
    let end = inner.find(|c: char| {
        let closes = !escaped && c == if quote == "'" { '\'' } else { '"' };
        escaped = !escaped && c == '\\';
        closes
    });
    Some(prefix.len() + end.map_or(body.len(), |at| at + 2))
}

pub(super) fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// All `.rs` files below `folder`, in order; none where it does not exist.
pub(super) fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut paths: Vec<_> = entries.map(|entry| entry.expect("listed").path()).collect();
    paths.sort();
    let files = paths.into_iter().flat_map(|path| if path.is_dir() { rust_files(&path) } else { vec![path] });
    files.filter(|path| path.extension().is_some_and(|extension| extension == "rs")).collect()
}
