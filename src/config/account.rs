//! `[accounts.NAME]`: one Chatwoot account.

use std::{collections::BTreeMap, time::Duration};

use url::{Host, Url};

use super::{
    environment::Environment,
    field::{Field, seconds},
    policy::read_policies,
    reader::Reader,
    secret, units,
};
use crate::settings::{
    AccountSettings, DEFAULT_TOKEN_HEADER, GoneContact, MatchKey, MissingContact, RateLimit, RetrySettings,
};

const DAY_S: u64 = 24 * 60 * 60;
const DEFAULT_RATE: RateLimit = RateLimit { count: 5, per: Duration::from_secs(1) };
const DEFAULT_SEARCH_RATE: RateLimit = RateLimit { count: 90, per: Duration::from_mins(1) };
const MATCH_KEYS: [(&str, MatchKey); 3] =
    [("identifier", MatchKey::Identifier), ("email", MatchKey::Email), ("phone", MatchKey::Phone)];

/// Reads one account; `None` after a fault that leaves a needed setting unknown.
pub(super) fn read(name: &str, table: Reader<'_>, env: &dyn Environment) -> Option<AccountSettings> {
    let base_url = table.need("base_url", "the address of the installation").and_then(|field| base_url(&field));
    let account_id = table
        .need("account_id", "the account's number, as in /app/accounts/NUMBER")
        .and_then(|field| field.integer(&(1..=i64::MAX)));
    let api_access_token =
        table.need("api_access_token", "the access token of a user").and_then(|field| secret::single(&field, env));
    let token_header = table.get("token_header").and_then(|field| field.parsed("the name of a header", header_name));
    let missing_contact = table.get("missing_contact").and_then(|field| {
        field.choice(&[
            ("create", MissingContact::Create),
            ("wait", MissingContact::Wait),
            ("reject", MissingContact::Reject),
        ])
    });
    let gone_contact = table.get("gone_contact").and_then(|field| {
        field.choice(&[
            ("conflict", GoneContact::Conflict),
            ("create", GoneContact::Create),
            ("reject", GoneContact::Reject),
        ])
    });
    let match_by = table.get("match_by").map(|field| match_by(&field));
    let rate =
        |key| table.get(key).and_then(|field| field.parsed("a rate such as \"5/s\" or \"300/min\"", units::rate));
    let (rate_limit, search_rate_limit) = (rate("rate_limit"), rate("search_rate_limit"));
    let dry_run = table.get("dry_run").and_then(|field| field.flag());
    let wait_for = table.get("wait_for").and_then(|field| field.duration(&seconds(60, 365 * DAY_S)));
    let inbox_id = table.get("inbox_id").and_then(|field| field.integer(&(1..=i64::MAX)));
    let concurrency = table.get("concurrency").and_then(|field| field.integer(&(1..=64)));
    let (connect_timeout, call_timeout) = timeouts(&table);
    let retry = table.table("retry").map(read_retry);
    let sync_every = table.get("sync_every").and_then(|field| field.duration(&seconds(60, 30 * DAY_S)));
    let policies = table.table("policy").map_or_else(BTreeMap::new, |table| read_policies(&table));
    let show_sync_attribute = table.get("show_sync_attribute").and_then(|field| field.filled_text());
    table.finish();
    Some(AccountSettings {
        name: name.to_owned(),
        base_url: base_url?,
        account_id: account_id?,
        api_access_token: api_access_token?,
        token_header: token_header.unwrap_or_else(|| DEFAULT_TOKEN_HEADER.to_owned()),
        missing_contact: missing_contact.unwrap_or_default(),
        match_by: match_by.unwrap_or_else(|| vec![MatchKey::Identifier, MatchKey::Email]),
        rate_limit: rate_limit.unwrap_or(DEFAULT_RATE),
        search_rate_limit: search_rate_limit.unwrap_or(DEFAULT_SEARCH_RATE),
        dry_run: dry_run.unwrap_or(false),
        gone_contact: gone_contact.unwrap_or_default(),
        wait_for: wait_for.unwrap_or(Duration::from_secs(30 * DAY_S)),
        inbox_id,
        concurrency: concurrency.and_then(|count| usize::try_from(count).ok()).unwrap_or(4),
        connect_timeout,
        call_timeout,
        retry: retry.unwrap_or_default(),
        sync_every,
        policies,
        show_sync_attribute: show_sync_attribute.map(str::to_owned),
    })
}

fn base_url(field: &Field<'_>) -> Option<Url> {
    let mut url = field.web_address()?;
    let path = url.path().trim_end_matches('/').to_owned();
    // What the browser shows inside an account, and what the API's documentation shows, both get pasted here.
    if path.split('/').any(|part| matches!(part, "app" | "api")) {
        field.fault(format!("expected only the start of the address, without `{path}`"));
        return None;
    }
    url.set_path(&path);
    if url.scheme() == "http" && !is_loopback(&url) {
        field.warning("the access token travels over plain http; use https");
    }
    Some(url)
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// A token as RFC 9110, section 5.6.2 has it.
fn header_name(text: &str) -> Option<String> {
    let known = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
    (!text.is_empty() && text.chars().all(known)).then(|| text.to_owned())
}

fn match_by(field: &Field<'_>) -> Vec<MatchKey> {
    let mut keys = Vec::new();
    let entries = field.list("identifier, email and phone, in the order to try them");
    let empty = entries.as_ref().is_some_and(Vec::is_empty);
    for entry in entries.unwrap_or_default() {
        match entry.choice(&MATCH_KEYS) {
            Some(key) if keys.contains(&key) => entry.fault("is written twice"),
            Some(key) => keys.push(key),
            None => {}
        }
    }
    if empty {
        field.fault("expected at least one of identifier, email, phone");
    }
    keys
}

/// The two timeouts; a connection cannot take longer than the call it is for.
fn timeouts(table: &Reader<'_>) -> (Duration, Duration) {
    let connecting = Duration::from_millis(100)..=Duration::from_mins(1);
    let connect = table.get("connect_timeout").and_then(|field| field.duration(&connecting));
    let call = table.get("call_timeout").and_then(|field| field.duration(&seconds(1, 300)));
    let (connect, call) = (connect.unwrap_or(Duration::from_secs(5)), call.unwrap_or(Duration::from_secs(15)));
    if connect > call {
        let [connect, call] = [connect, call].map(units::show_duration);
        table.fault_at("connect_timeout", format!("expected no more than call_timeout, {call}; it is {connect}"));
    }
    (connect, call)
}

fn read_retry(table: Reader<'_>) -> RetrySettings {
    let mut retry = RetrySettings::default();
    if let Some(field) = table.get("schedule") {
        let entries = field.list("durations");
        let empty = entries.as_ref().is_some_and(Vec::is_empty);
        let delays = entries.unwrap_or_default();
        retry.schedule = delays.iter().filter_map(|delay| delay.duration(&seconds(1, 7 * DAY_S))).collect();
        if empty {
            field.fault("expected at least one duration");
        }
    }
    if let Some(age) = table.get("max_age").and_then(|field| field.duration(&seconds(60, 90 * DAY_S))) {
        retry.max_age = age;
    }
    if let Some(failures) = table.get("max_failures").and_then(|field| field.integer(&(1..=1_000))) {
        retry.max_failures = u32::try_from(failures).unwrap_or(retry.max_failures);
    }
    table.finish();
    retry
}
