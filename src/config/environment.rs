//! What the configuration reads besides its own text: environment variables and files. Passed in, so that every rule
//! is tested without touching the process or the disk.

use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
};

/// Where variables and files come from.
pub trait Environment {
    /// The value of a variable; `None` when it is not set, or is not UTF-8.
    fn var(&self, name: &str) -> Option<String>;

    /// The text of a file.
    ///
    /// # Errors
    /// Whatever the file system says; [`io::ErrorKind::InvalidData`] when the file is not UTF-8.
    fn read(&self, path: &Path) -> io::Result<String>;
}

/// The variables of this process and the files of this machine.
#[derive(Clone, Copy, Debug, Default)]
pub struct ProcessEnvironment;

impl Environment for ProcessEnvironment {
    fn var(&self, name: &str) -> Option<String> {
        std::env::var(name).ok()
    }

    fn read(&self, path: &Path) -> io::Result<String> {
        std::fs::read_to_string(path)
    }
}

/// A fixed set of variables and files, for `demo` and for tests. It has no `Debug`, because what it holds is secret.
#[derive(Clone, Default)]
pub struct FixedEnvironment {
    vars: BTreeMap<String, String>,
    files: BTreeMap<PathBuf, String>,
}

impl FixedEnvironment {
    /// The same, with one more variable.
    #[must_use]
    pub fn with_var(mut self, name: &str, value: &str) -> Self {
        self.vars.insert(name.to_owned(), value.to_owned());
        self
    }

    /// The same, with one more file.
    #[must_use]
    pub fn with_file(mut self, path: impl Into<PathBuf>, text: &str) -> Self {
        self.files.insert(path.into(), text.to_owned());
        self
    }
}

impl Environment for FixedEnvironment {
    fn var(&self, name: &str) -> Option<String> {
        self.vars.get(name).cloned()
    }

    fn read(&self, path: &Path) -> io::Result<String> {
        self.files.get(path).cloned().ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))
    }
}
