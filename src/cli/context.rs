//! What every command starts from: the options that all have, the configuration, and the database beside a running
//! service.

use std::{path::PathBuf, sync::Arc};

use anyhow::Context as _;

use super::exit::{NotThere, WrongUsage};
use crate::{
    clock::Clock,
    config::{self, Config, Loaded, Problems, ProcessEnvironment, SourceConfig},
    delivery::Chance,
    settings::AccountSettings,
    store::{Store, WriterSettings},
};

/// The options that all commands have.
#[derive(Clone, Debug)]
pub(super) struct Context {
    /// The configuration file as named on the command line.
    pub(super) config: Option<PathBuf>,
    /// Whether a program reads the output.
    pub(super) json: bool,
    /// The system's clock.
    pub(super) clock: Clock,
}

impl Context {
    /// The configuration file.
    pub(super) fn config_path(&self) -> PathBuf {
        config::find(self.config.clone(), &ProcessEnvironment)
    }

    /// The checked configuration, with its warnings.
    pub(super) fn load_with_warnings(&self) -> Result<Loaded, Problems> {
        config::load(&self.config_path(), &ProcessEnvironment)
    }

    /// The checked configuration.
    pub(super) fn load(&self) -> Result<Config, Problems> {
        Ok(self.load_with_warnings()?.config)
    }

    /// The configuration and its database, which has to be there.
    pub(super) async fn open(&self) -> anyhow::Result<(Config, Store)> {
        let config = self.load()?;
        check_database(&config)?;
        let store = open_or_create(&config).await?;
        Ok((config, store))
    }
}

/// A command that only looks makes no database.
pub(super) fn check_database(config: &Config) -> Result<(), NotThere> {
    let path = &config.database.path;
    if path.exists() {
        return Ok(());
    }
    Err(NotThere(format!("there is no database {} yet; `contact-relay serve` makes it", path.display())))
}

/// The configured database, made where it is missing.
pub(super) async fn open_or_create(config: &Config) -> anyhow::Result<Store> {
    let path = &config.database.path;
    let opened = Store::open(path, WriterSettings::default()).await;
    opened.with_context(|| format!("the database {} cannot be opened", path.display()))
}

/// The account of this name; without a name, the only one.
///
/// # Errors
/// [`NotThere`] when there is none of this name, [`WrongUsage`] when there are several to choose from.
pub(super) fn account<'a>(config: &'a Config, name: Option<&str>) -> anyhow::Result<&'a AccountSettings> {
    let names = || config.accounts.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
    if let Some(name) = name {
        let account = config.accounts.get(name);
        let none = || NotThere(format!("the configuration has no account `{name}`; there are: {}", names()));
        return Ok(account.ok_or_else(none)?);
    }
    let mut accounts = config.accounts.values();
    match (accounts.next(), accounts.next()) {
        (Some(only), None) => Ok(only),
        _ => Err(WrongUsage(format!("say which account with --account; there are: {}", names())).into()),
    }
}

/// The source of this name.
pub(super) fn source<'a>(config: &'a Config, name: &str) -> Result<&'a SourceConfig, NotThere> {
    config.sources.get(name).ok_or_else(|| {
        let names: Vec<_> = config.sources.keys().map(String::as_str).collect();
        NotThere(format!("the configuration has no source `{name}`; there are: {}", names.join(", ")))
    })
}

/// The system's randomness, for jitter.
pub(super) fn chance() -> Chance {
    Arc::new(rand::random::<f64>)
}
