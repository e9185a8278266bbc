//! A request as its sender makes it, and what has to come of it: `tests/fixtures/senders/NAME/EVENT.toml`.

use std::{collections::BTreeMap, fs, path::PathBuf};

use contact_relay::{
    config::presets,
    sources::{Headers, Request},
};
use serde::Deserialize;
use serde_json::{Map, Value};
use toml::{Table, Value as Toml};

/// Where this service is said to be reached, for senders that sign the URL.
pub(super) const PUBLIC_URL: &str = "https://hooks.example.test";

/// Public keys that nothing was signed with, one of each kind.
const OTHER_KEYS: [(&str, &str); 3] = [
    ("ed25519", include_str!("../../fixtures/senders/keys/other-ed25519.pub")),
    ("ecdsa-p256-sha256", include_str!("../../fixtures/senders/keys/other-p256.pub.pem")),
    ("rsa", include_str!("../../fixtures/senders/keys/other-rsa.pub.pem")),
];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Fixture {
    #[serde(skip)]
    pub(super) preset: String,
    #[serde(skip)]
    event: String,
    #[serde(skip)]
    bytes: Vec<u8>,
    pub(super) title: String,
    #[serde(default = "default_path_query")]
    path_query: String,
    content_type: Option<String>,
    body: String,
    pub(super) at: String,
    pub(super) secret: Option<String>,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    /// For `sign.py` alone.
    #[serde(default, rename = "sign")]
    _sign: Option<Table>,
    #[serde(default)]
    pub(super) source: Table,
    pub(super) expected: Expected,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Expected {
    pub(super) status: String,
    pub(super) topic: Option<String>,
    pub(super) event_id: Option<String>,
    #[serde(default)]
    pub(super) updates: Vec<Update>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Update {
    pub(super) identifier: Option<String>,
    pub(super) changes: Map<String, Value>,
    pub(super) occurred_at: Option<String>,
    #[serde(default)]
    pub(super) policies: BTreeMap<String, String>,
    /// Fields whose values are left out.
    #[serde(default)]
    pub(super) dropped: Vec<String>,
}

fn default_path_query() -> String {
    "/hooks/it".to_owned()
}

/// Which key the service is given.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Key {
    /// The one that the fixture was signed with.
    Own,
    /// One that differs.
    Another,
}

/// The directory of all fixtures.
pub(super) fn directory() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/senders")
}

/// All fixtures, by preset and event.
pub(super) fn all() -> Vec<Fixture> {
    presets::all().into_iter().flat_map(|preset| of(preset.name)).collect()
}

/// The fixtures of one preset.
pub(super) fn of(preset: &str) -> Vec<Fixture> {
    let Ok(entries) = fs::read_dir(directory().join(preset)) else { return Vec::new() };
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|end| end == "toml") && !path.ends_with("sign.toml"));
    paths.sort();
    paths.into_iter().map(|path| load(preset, &path)).collect()
}

fn load(preset: &str, path: &std::path::Path) -> Fixture {
    let text = fs::read_to_string(path).unwrap();
    let mut fixture: Fixture = toml::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    fixture.bytes = fs::read(path.with_file_name(&fixture.body))
        .unwrap_or_else(|error| panic!("{}: {error}", path.with_file_name(&fixture.body).display()));
    preset.clone_into(&mut fixture.preset);
    fixture.event = path.file_stem().unwrap().to_string_lossy().into_owned();
    fixture
}

impl Fixture {
    /// For messages.
    pub(super) fn name(&self) -> String {
        format!("{}/{} ({})", self.preset, self.event, self.title)
    }

    /// The request, byte for byte as the sender makes it.
    pub(super) fn request(&self) -> Request {
        let content_type = self.content_type.iter().map(|value| ("content-type".to_owned(), value.clone()));
        let headers = self.headers.iter().map(|(name, value)| (name.clone(), value.clone()));
        Request {
            method: "POST".to_owned(),
            path_query: self.path_query.clone(),
            headers: Headers::new(content_type.chain(headers)),
            body: self.bytes.clone().into(),
        }
    }

    /// How the sender signs: the preset's `[verify]` with the fixture's over it.
    pub(super) fn verify(&self) -> Table {
        let preset = presets::find(&self.preset).unwrap();
        let preset: Table = preset.text.parse().unwrap_or_else(|error| panic!("{}: {error}", self.preset));
        let mut verify = preset["verify"].as_table().unwrap().clone();
        if let Some(over) = self.source.get("verify").and_then(Toml::as_table) {
            overlay(&mut verify, over);
        }
        verify
    }

    /// `[sources.it]`, and with it the whole file.
    pub(super) fn configuration(&self, database: &str, key: Key) -> String {
        let mut source = self.source.clone();
        source.insert("preset".to_owned(), self.preset.clone().into());
        if let Some(secret) = &self.secret {
            let secret = if key == Key::Own { secret.clone() } else { another_secret(secret) };
            source.insert("secret".to_owned(), secret.into());
        } else if key == Key::Another {
            let verify = self.verify();
            let scheme = verify["scheme"].as_str().unwrap();
            let kind = if matches!(scheme, "jwt" | "rsa-sha256") { "rsa" } else { scheme };
            let (_, other) = OTHER_KEYS.iter().find(|(known, _)| *known == kind).unwrap();
            let over = source.entry("verify").or_insert_with(|| Table::new().into());
            over.as_table_mut().unwrap().insert("public_key".to_owned(), other.trim().into());
        }
        let mut file: Table = format!(
            r#"
            server = {{ public_url = "{PUBLIC_URL}" }}
            [accounts.store]
            base_url = "http://127.0.0.1:9"
            account_id = 1
            api_access_token = "a-token-of-the-tests"
            "#
        )
        .parse()
        .unwrap();
        file.insert("database".to_owned(), Table::from_iter([("path".to_owned(), database.into())]).into());
        file.insert("sources".to_owned(), Table::from_iter([("it".to_owned(), source.into())]).into());
        toml::to_string(&file).unwrap()
    }
}

/// A secret that differs in one character, well inside, so that it stays what it is: hexadecimal, base64 or text.
fn another_secret(secret: &str) -> String {
    let middle = secret.len() / 2;
    let other = if secret.as_bytes()[middle] == b'a' { "b" } else { "a" };
    format!("{}{other}{}", &secret[..middle], &secret[middle + 1..])
}

fn overlay(lower: &mut Table, upper: &Table) {
    for (key, value) in upper {
        match (lower.get_mut(key), value) {
            (Some(Toml::Table(lower)), Toml::Table(upper)) => overlay(lower, upper),
            _ => {
                lower.insert(key.clone(), value.clone());
            }
        }
    }
}
