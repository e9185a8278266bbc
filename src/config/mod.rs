//! The configuration: `contact-relay.toml`, checked. What the file says and what the program can use are two things: the
//! file is read into a tree that knows its lines, and [`Config`] exists only when nothing in it is wrong. All faults are
//! reported at once, each with its line, its key and what was expected; none shows a secret.

mod account;
mod environment;
mod field;
mod policy;
pub mod presets;
mod problem;
mod process;
mod reader;
mod redact;
mod rules;
mod secret;
mod source;
mod starter;
mod suggest;
mod tree;
mod units;
mod verify;

#[cfg(test)]
mod tests;

use std::{
    collections::BTreeMap,
    io::ErrorKind,
    path::{Path, PathBuf},
};

use crate::settings::AccountSettings;
pub use environment::{Environment, FixedEnvironment, ProcessEnvironment};
pub use problem::{Problem, Problems, Severity};
pub use process::{Admin, Alerts, Database, Retention, Server};
pub use source::{PersonRequests, SourceConfig};
pub use starter::{InitAnswers, starter, starter_variables};

use field::Field;
use problem::Findings;
use reader::{Reader, check_name};
use source::Surroundings;
use tree::{Table, Value};

/// The file's name where nothing else says it.
pub const DEFAULT_PATH: &str = "contact-relay.toml";
/// The variable that names the file.
pub const PATH_VARIABLE: &str = "CONTACT_RELAY_CONFIG";

/// Everything that the file says, checked. It has at least one account and one source.
#[derive(Clone)]
pub struct Config {
    /// `[server]`
    pub server: Server,
    /// `[admin]`
    pub admin: Option<Admin>,
    /// `[database]`
    pub database: Database,
    /// `[accounts.NAME]`, by name.
    pub accounts: BTreeMap<String, AccountSettings>,
    /// `[sources.NAME]`, by name. Each names an account that is there.
    pub sources: BTreeMap<String, SourceConfig>,
    /// `[retention]`
    pub retention: Retention,
    /// `[alerts]`
    pub alerts: Alerts,
}

/// A configuration that can be used.
#[derive(Clone)]
pub struct Loaded {
    /// What the file says.
    pub config: Config,
    /// What is worth a look, though nothing is wrong.
    pub warnings: Problems,
}

/// Which file to read: the one that was named on the command line, else the one that `CONTACT_RELAY_CONFIG` names, else
/// `contact-relay.toml` in the working directory.
pub fn find(explicit: Option<PathBuf>, env: &dyn Environment) -> PathBuf {
    let named = || env.var(PATH_VARIABLE).filter(|path| !path.is_empty()).map(PathBuf::from);
    explicit.or_else(named).unwrap_or_else(|| PathBuf::from(DEFAULT_PATH))
}

/// Reads and checks a file.
///
/// # Errors
/// Every problem of the file, at once; or the one that it cannot be read.
pub fn load(path: &Path, env: &dyn Environment) -> Result<Loaded, Problems> {
    let name = path.display().to_string();
    match env.read(path) {
        Ok(text) => parse(&text, &name, env),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let help = "`contact-relay init` writes one; --config or CONTACT_RELAY_CONFIG names another";
            Err(problem::unreadable(&name, format!("there is no file {name}"), help))
        }
        Err(error) => {
            let help = "it has to be a text file in UTF-8 that this user may read";
            Err(problem::unreadable(&name, format!("the file cannot be read: {error}"), help))
        }
    }
}

/// Checks the text of a file that messages call `file_name`.
///
/// # Errors
/// Every problem of the text, at once. Where it is not even TOML, only the mistakes of syntax.
pub fn parse(text: &str, file_name: &str, env: &dyn Environment) -> Result<Loaded, Problems> {
    let table = Table::parse(text).map_err(|errors| problem::syntax(&errors, file_name, text))?;
    let findings = Findings::default();
    findings.hide_spans(redact::secret_spans(&table));
    let config = read_file(&table, env, &findings);
    let (faults, warnings) = findings.into_problems(file_name, text);
    if faults.is_empty() { Ok(Loaded { config, warnings }) } else { Err(faults) }
}

/// Reads what can be read, and notes what is wrong.
fn read_file(table: &Table, env: &dyn Environment, findings: &Findings) -> Config {
    let file = Reader::of_file(table, findings);
    let server = process::read_server(&file);
    let admin = process::read_admin(&file, server.listen, env);
    let database = process::read_database(&file);
    let (accounts, policies) = read_accounts(&file, env);
    let surroundings = Surroundings { server: &server, accounts: &policies, env, findings };
    let sources = read_sources(&file, &surroundings);
    let retention = process::read_retention(&file);
    let alerts = process::read_alerts(&file, env);
    file.finish();
    Config { server, admin, database, accounts, sources, retention, alerts }
}

/// The accounts without faults, and the policies of all by name.
fn read_accounts(
    file: &Reader<'_>,
    env: &dyn Environment,
) -> (BTreeMap<String, AccountSettings>, source::PoliciesByAccount) {
    let mut accounts: BTreeMap<String, AccountSettings> = BTreeMap::new();
    let mut policies = BTreeMap::new();
    let written = file.get("accounts");
    let table = written.as_ref().and_then(Field::table);
    for (name, field) in table.iter().flat_map(Reader::fields) {
        check_name(name, &field);
        let account = field.table().and_then(|table| account::read(name, table, env));
        policies.insert(name.to_owned(), account.as_ref().map(|account| account.policies.clone()).unwrap_or_default());
        let Some(account) = account else { continue };
        let place = |account: &AccountSettings| (account.base_url.clone(), account.account_id);
        if let Some(twin) = accounts.values().find(|other| place(other) == place(&account)) {
            // Two sets of lanes for one contact would break the order of its calls.
            field.fault_of_key(format!("is the same Chatwoot account as accounts.{}", twin.name));
        }
        accounts.insert(name.to_owned(), account);
    }
    if policies.is_empty() && (written.is_none() || table.is_some()) {
        let help = "add a table [accounts.NAME] with base_url, account_id and api_access_token";
        file.fault_at_with_help("accounts", "there is no Chatwoot account to write to", help);
    }
    (accounts, policies)
}

/// The sources without faults.
fn read_sources(file: &Reader<'_>, around: &Surroundings<'_>) -> BTreeMap<String, SourceConfig> {
    let mut sources = BTreeMap::new();
    let mut numeric: BTreeMap<String, Vec<NumericSource<'_>>> = BTreeMap::new();
    let written = file.get("sources");
    let table = written.as_ref().and_then(Field::table);
    let mut count = 0;
    for (name, field) in table.iter().flat_map(Reader::fields) {
        count += 1;
        check_name(name, &field);
        let Value::Table(keys) = field.value() else {
            field.table();
            continue;
        };
        let read = source::read(name, field.key(), keys.clone(), around);
        if let (Some(account), Some(prefix_is_written)) = (read.account, read.numeric_ids) {
            numeric.entry(account).or_default().push(NumericSource { field, prefix_is_written });
        }
        sources.extend(read.config.map(|config| (name.to_owned(), config)));
    }
    if count == 0 && (written.is_none() || table.is_some()) {
        let help = "add a table [sources.NAME], for example with preset = \"shopify\" and secret = { env = \"SHOPIFY_SECRET\" }";
        file.fault_at_with_help("sources", "there is no source of webhooks", help);
    }
    for (account, sources) in &numeric {
        check_prefixes(account, sources);
    }
    sources
}

/// A source whose ids are bare numbers.
struct NumericSource<'a> {
    field: Field<'a>,
    prefix_is_written: bool,
}

/// Customer 7 of one shop is not customer 7 of another: where two sources number their customers, each says how its
/// numbers are told apart, or that they need not be.
fn check_prefixes(account: &str, sources: &[NumericSource<'_>]) {
    if sources.len() < 2 {
        return;
    }
    for source in sources.iter().filter(|source| !source.prefix_is_written) {
        source.field.fault_of_key(format!(
            "identifier_prefix is missing: several sources of account {account} use plain numbers as ids, so that one \
             number could mean two people; expected a text such as \"shop-\", or \"\" if the numbers are the same people's"
        ));
    }
}
