//! `[sources.NAME]`: one sender, with its preset underneath.

use std::{collections::BTreeMap, ops::RangeInclusive, sync::Arc, time::Duration};

use super::{
    environment::Environment,
    field::seconds,
    presets,
    problem::Findings,
    process::{BODY_SIZES, Server, texts},
    reader::Reader,
    rules, secret,
    suggest::closest,
    tree::{Span, Table},
    verify,
};
use crate::{
    contacts::{Field, Policy},
    mapping::{Mapping, spec::MappingSpec},
    sources::{DEFAULT_REPEAT_WINDOW, Handshake, Source, Verifier, scheme::spec::SchemeSpec},
};

const DAY_S: u64 = 24 * 60 * 60;
const QUIET: RangeInclusive<Duration> = seconds(60, 365 * DAY_S);
const REPEATS: RangeInclusive<Duration> = seconds(1, 90 * DAY_S);

/// A source, ready to accept webhooks.
#[derive(Clone)]
pub struct SourceConfig {
    /// How its requests prove themselves.
    pub source: Arc<Source>,
    /// How its bodies become contact updates.
    pub mapping: Arc<Mapping>,
    /// The account that its updates go to.
    pub account: String,
    /// The preset that it stands on.
    pub preset: Option<String>,
    /// True: its webhooks are stored, and its updates wait. Default false.
    pub paused: bool,
    /// It is reported when it sent nothing for so long; default never.
    pub quiet_after: Option<Duration>,
    /// How long a repeat of a webhook without an event id counts as the same one; 1 s to 90 days, default 1 h.
    pub repeat_window: Duration,
    /// The largest body in bytes; default that of `[server]`.
    pub max_body: usize,
    /// What happens to requests of persons about their data; default hold.
    pub person_requests: PersonRequests,
    /// Labels that each contact gets.
    pub labels_add: Vec<String>,
    /// Unsigned or special requests that the sender makes before it sends webhooks.
    pub handshake: Option<Handshake>,
    /// What the mapping was compiled from.
    pub spec: MappingSpec,
}

/// Which handshake a source takes part in.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    WooCommerce,
    Meta,
    Slack,
    Zoom,
    Discord,
    Visit,
}

fn handshake(table: &Reader<'_>, env: &dyn Environment) -> Option<Handshake> {
    let kind = table.get("handshake").and_then(|field| {
        field.choice(&[
            ("woocommerce", Kind::WooCommerce),
            ("meta", Kind::Meta),
            ("slack", Kind::Slack),
            ("zoom", Kind::Zoom),
            ("discord", Kind::Discord),
            ("visit", Kind::Visit),
        ])
    });
    let token = table.get("verify_token");
    if let Some(token) = token.as_ref().filter(|_| kind != Some(Kind::Meta)) {
        token.fault_of_key("is only used with handshake = \"meta\"");
    }
    match kind? {
        Kind::WooCommerce => Some(Handshake::WooCommerce),
        Kind::Meta => {
            let token =
                table.need("verify_token", "the verify token that you also write into the app's webhook settings")?;
            secret::single(&token, env).map(|verify_token| Handshake::Meta { verify_token })
        }
        Kind::Slack => Some(Handshake::Slack),
        Kind::Zoom => Some(Handshake::Zoom),
        Kind::Discord => Some(Handshake::Discord),
        Kind::Visit => Some(Handshake::Visit),
    }
}

/// What happens when a sender passes on that a person wants to be erased or to see their data.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PersonRequests {
    /// It is kept as open, for somebody to decide.
    #[default]
    Hold,
    /// It is kept as open, and an erasure needs nobody's consent.
    Erase,
    /// Only the webhook is stored, as ignored.
    Ignore,
}

/// The policies of each account, by its name.
pub(super) type PoliciesByAccount = BTreeMap<String, BTreeMap<Field, Policy>>;

/// What a source is read against.
pub(super) struct Surroundings<'a> {
    pub(super) server: &'a Server,
    /// The accounts by name with their policies, also those with faults: a source that names one is right.
    pub(super) accounts: &'a PoliciesByAccount,
    pub(super) env: &'a dyn Environment,
    pub(super) findings: &'a Findings,
}

/// A source as far as it could be read.
pub(super) struct Read {
    /// `None` after a fault.
    pub(super) config: Option<SourceConfig>,
    /// The account it goes to, as far as that is known.
    pub(super) account: Option<String>,
    /// For a source whose ids are plain numbers, which another source may use for somebody else: whether
    /// `identifier_prefix` is written.
    pub(super) numeric_ids: Option<bool>,
}

/// Reads the source `name`, whose name stands at `at`.
pub(super) fn read(name: &str, at: &Span, written: Table, around: &Surroundings<'_>) -> Read {
    let (merged, preset) = on_preset(written);
    let table = Reader::new(&merged, Some(at), format!("sources.{name}"), around.findings);
    let preset_is_known = check_preset(&table, preset.as_deref());

    let account = account(&table, around.accounts);
    let no_policies = BTreeMap::new();
    let policies = account.as_ref().and_then(|account| around.accounts.get(account)).unwrap_or(&no_policies);
    // Without its preset most of a source is missing, and saying so would bury the real fault.
    let source = if preset_is_known { verified(name, &table, around) } else { None };
    let has_rules = preset_is_known && check_map(&table, preset.as_deref());
    let spec = if has_rules { rules::read(&table, policies) } else { None };
    let mapping = spec.as_ref().and_then(|spec| compiled(&table, spec));

    let numeric = table.get("numeric_ids").and_then(|field| field.flag()).unwrap_or(false);
    let prefix_is_written = table.get("identifier_prefix").is_some();
    let paused = table.get("paused").and_then(|field| field.flag());
    let quiet_after = table.get("quiet_after").and_then(|field| field.duration(&QUIET));
    let repeat_window = table.get("repeat_window").and_then(|field| field.duration(&REPEATS));
    let max_body = table.get("max_body").and_then(|field| field.size(&BODY_SIZES));
    let person_requests = table.get("person_requests").and_then(|field| {
        field.choice(&[
            ("hold", PersonRequests::Hold),
            ("erase", PersonRequests::Erase),
            ("ignore", PersonRequests::Ignore),
        ])
    });
    let labels_add = labels(&table);
    let handshake = handshake(&table, around.env);
    if has_rules {
        table.finish();
    }
    let build = || {
        Some(SourceConfig {
            source: Arc::new(source?),
            mapping: Arc::new(mapping?),
            account: account.clone()?,
            preset,
            paused: paused.unwrap_or(false),
            quiet_after,
            repeat_window: repeat_window.unwrap_or(DEFAULT_REPEAT_WINDOW),
            max_body: max_body.unwrap_or(around.server.max_body),
            person_requests: person_requests.unwrap_or_default(),
            labels_add,
            handshake,
            spec: spec?,
        })
    };
    Read { config: build(), account, numeric_ids: numeric.then_some(prefix_is_written) }
}

/// Lays what was written over the preset that it names.
fn on_preset(written: Table) -> (Table, Option<String>) {
    let Some(name) = written.text("preset").map(str::to_owned) else { return (written, None) };
    let at = written.get("preset").map(|entry| entry.node.span.clone()).unwrap_or_default();
    let merged = match presets::keys(&name, &at) {
        Some(preset) => presets::overlay(preset, written),
        None => written,
    };
    (merged, Some(name))
}

/// Whether the preset is one, or none was asked for.
fn check_preset(table: &Reader<'_>, name: Option<&str>) -> bool {
    let Some(field) = table.get("preset") else { return true };
    let Some(name) = name else {
        field.fault("expected the name of a preset");
        return false;
    };
    let known = presets::find(name).is_some();
    if !known {
        field.fault_with_help(format!("there is no preset `{name}`"), presets::advice(name));
    }
    known
}

/// Whether there is a map. A preset may have none: it knows how its sender signs, and leaves the fields to the user.
fn check_map(table: &Reader<'_>, preset: Option<&str>) -> bool {
    let (Some(preset), None) = (preset, table.get("map")) else { return true };
    let path = table.path_of("map");
    table.fault_at_with_help(
        "map",
        format!("is missing: the preset `{preset}` checks signatures and leaves it to you which fields to write"),
        format!("add [{path}] with identifier, email or phone_number, such as email = '.email'; docs/senders/{preset}.md has an example"),
    );
    false
}

/// The account that the source names, or the only one there is.
fn account(table: &Reader<'_>, accounts: &PoliciesByAccount) -> Option<String> {
    let names = || accounts.keys().map(String::as_str);
    let Some(field) = table.get("account") else {
        let mut all = names();
        return match (all.next(), all.next()) {
            (Some(only), None) => Some(only.to_owned()),
            // That there is no account is reported once, for the whole file.
            (None, _) => None,
            (Some(_), Some(_)) => {
                let all = names().collect::<Vec<_>>().join(", ");
                table.fault_at("account", format!("is missing; expected one of the accounts {all}"));
                None
            }
        };
    };
    let name = field.filled_text()?;
    if accounts.contains_key(name) {
        return Some(name.to_owned());
    }
    let help = match closest(name, names()) {
        Some(meant) => format!("did you mean `{meant}`?"),
        None if accounts.is_empty() => format!("add a table [accounts.{name}]"),
        None => format!("there are: {}", names().collect::<Vec<_>>().join(", ")),
    };
    field.fault_with_help(format!("there is no account `{name}`"), help);
    None
}

/// The source with its verifier.
fn verified(name: &str, table: &Reader<'_>, around: &Surroundings<'_>) -> Option<Source> {
    let secrets = table.get("secret").map(|field| secret::several(field, around.env)).unwrap_or_default();
    let all_read = secrets.iter().all(Option::is_some);
    let opened = table.get("i_know_this_source_is_open").and_then(|field| field.flag());
    let spec = table.need("verify", "how its requests are signed; or name a preset");
    let spec = verify::read(spec?.table()?)?;
    check_openness(&spec, opened.unwrap_or(false), table);
    match Verifier::new(spec, secrets.into_iter().flatten().collect()) {
        Ok(verifier) if verifier.needs_public_url() && around.server.public_url.is_none() => {
            table.fault_at_with_help(
                "verify.signed",
                "this sender signs the URL, so that ours must be known",
                "set server.public_url to the address that the sender calls, without /hooks/…",
            );
            None
        }
        Ok(verifier) => {
            verifier.warnings().iter().for_each(|warning| table.warning(warning));
            Some(Source::new(name, verifier, around.server.public_url.clone()))
        }
        Err(faults) => {
            for fault in faults {
                let about_secret = fault.key.starts_with("secret") && !fault.key.starts_with("secret_");
                if !about_secret {
                    table.fault_at(&format!("verify.{}", fault.key), fault.message);
                } else if all_read {
                    // Some secrets that could not be read are missing here; what is said about the rest is not true.
                    table.fault_at(&fault.key, fault.message);
                }
            }
            None
        }
    }
}

/// An unverified source has to be asked for twice, and only there.
fn check_openness(spec: &SchemeSpec, opened: bool, table: &Reader<'_>) {
    match (spec == &SchemeSpec::Open, opened) {
        (true, true) | (false, false) => {}
        (true, false) => table.fault_at_with_help(
            "verify.scheme",
            "`none` lets anybody write into your contacts",
            "if that is what you want, add i_know_this_source_is_open = true",
        ),
        (false, true) => table.fault_at("i_know_this_source_is_open", "has a meaning only with scheme = \"none\""),
    }
}

fn compiled(table: &Reader<'_>, spec: &MappingSpec) -> Option<Mapping> {
    match Mapping::compile(spec) {
        Ok(mapping) => Some(mapping),
        Err(faults) => {
            for fault in faults {
                table.fault_at(&fault.key, fault.message);
            }
            None
        }
    }
}

fn labels(table: &Reader<'_>) -> Vec<String> {
    let Some(field) = table.get("labels_add") else { return Vec::new() };
    let labels = texts(&field, "labels");
    for label in &labels {
        // Chatwoot reads a comma as the end of a label.
        if label.contains(',') || label.trim() != label || label.chars().count() > 255 {
            field.fault(format!("expected labels of at most 255 characters without commas, found `{label}`"));
        }
    }
    labels
}
