//! `[server]`, `[admin]`, `[database]`, `[retention]` and `[alerts]`: what the process itself needs.

use std::{net::SocketAddr, ops::RangeInclusive, path::PathBuf, time::Duration};

use secrecy::{ExposeSecret, SecretString};
use url::Url;

use super::{
    environment::Environment,
    field::{Field, seconds},
    reader::Reader,
    secret,
    units::show_duration,
};

/// The largest body that any source may be allowed.
pub(super) const BODY_SIZES: RangeInclusive<usize> = 1 << 10..=64 << 20;

const DAY_S: u64 = 24 * 60 * 60;

/// `[server]`: the public side.
#[derive(Clone, Debug)]
pub struct Server {
    /// Where webhooks arrive; default 127.0.0.1:8080.
    pub listen: SocketAddr,
    /// The address that senders know us by, without a slash at the end; needed by senders that sign it.
    pub public_url: Option<String>,
    /// The largest body in bytes of sources that say nothing else; 1 KiB to 64 MiB, default 1 MiB.
    pub max_body: usize,
}

/// `[admin]`: the console, the API, metrics and readiness. Absent without the table.
#[derive(Clone, Debug)]
pub struct Admin {
    /// Where it listens; default 127.0.0.1:8081.
    pub listen: SocketAddr,
    /// The bearer token, and the password of the console.
    pub token: SecretString,
}

/// `[database]`
#[derive(Clone, Debug)]
pub struct Database {
    /// The SQLite file; default `contact-relay.db` in the working directory.
    pub path: PathBuf,
}

/// `[retention]`: how long settled rows are kept; each an hour to ten years. Open rows are kept in any case.
#[derive(Clone, Debug)]
pub struct Retention {
    /// Raw bodies of webhooks; default 14 days.
    pub bodies: Duration,
    /// Settled updates and their attempts; default 90 days.
    pub audit: Duration,
    /// Dead updates; default 90 days.
    pub dead: Duration,
    /// Event ids, so that repeats are known; default 90 days, no less than `bodies`.
    pub dedupe: Duration,
}

/// `[alerts]`: who is told when something needs a person.
#[derive(Clone, Debug, Default)]
pub struct Alerts {
    /// An http or https address that alerts are posted to. Such addresses often carry a key, so it is kept as a secret.
    pub webhook: Option<SecretString>,
    /// A program and its arguments, run for each alert; empty for none. Arguments may be secret, too.
    pub command: Vec<SecretString>,
    /// Which events; empty for all.
    pub events: Vec<String>,
}

pub(super) fn read_server(file: &Reader<'_>) -> Server {
    let mut server = Server { listen: SocketAddr::from(([127, 0, 0, 1], 8080)), public_url: None, max_body: 1 << 20 };
    let Some(table) = file.table("server") else { return server };
    if let Some(listen) = table.get("listen").and_then(|field| address(&field)) {
        server.listen = listen;
    }
    server.public_url = table.get("public_url").and_then(|field| field.web_address()).as_ref().map(without_slash);
    if let Some(size) = table.get("max_body").and_then(|field| field.size(&BODY_SIZES)) {
        server.max_body = size;
    }
    table.finish();
    server
}

pub(super) fn read_admin(file: &Reader<'_>, public: SocketAddr, env: &dyn Environment) -> Option<Admin> {
    let table = file.table("admin")?;
    let mut listen = SocketAddr::from(([127, 0, 0, 1], 8081));
    if let Some(field) = table.get("listen")
        && let Some(written) = address(&field)
    {
        if !written.ip().is_loopback() {
            field.warning("the admin port can be reached from other machines; its token then travels over the network unencrypted unless a proxy adds TLS");
        }
        listen = written;
    }
    if listen == public {
        table.fault_at("listen", format!("{listen} is taken by server.listen; expected another port"));
    }
    let token = table.need("token", "the secret that opens the console and the API").and_then(|field| {
        let token = secret::single(&field, env)?;
        if token.expose_secret().len() < 16 {
            field.warning("this token is short enough to be guessed; 16 characters or more are better");
        }
        Some(token)
    });
    table.finish();
    Some(Admin { listen, token: token? })
}

pub(super) fn read_database(file: &Reader<'_>) -> Database {
    let mut path = PathBuf::from("contact-relay.db");
    if let Some(table) = file.table("database") {
        if let Some(written) = table.get("path").and_then(|field| field.filled_text()) {
            path = PathBuf::from(written);
        }
        table.finish();
    }
    Database { path }
}

pub(super) fn read_retention(file: &Reader<'_>) -> Retention {
    let days = |count: u64| Duration::from_secs(count * DAY_S);
    let mut retention = Retention { bodies: days(14), audit: days(90), dead: days(90), dedupe: days(90) };
    let Some(table) = file.table("retention") else { return retention };
    let Retention { bodies, audit, dead, dedupe } = &mut retention;
    for (key, value) in [("bodies", bodies), ("audit", audit), ("dead", dead), ("dedupe", dedupe)] {
        if let Some(written) = table.get(key).and_then(|field| field.duration(&seconds(3_600, 3_650 * DAY_S))) {
            *value = written;
        }
    }
    if retention.dedupe < retention.bodies {
        let bodies = show_duration(retention.bodies);
        table.fault_at("dedupe", format!("expected {bodies} or more: event ids outlive the bodies, or a repeat of a webhook that is still here would be taken for a new one"));
    }
    table.finish();
    retention
}

pub(super) fn read_alerts(file: &Reader<'_>, env: &dyn Environment) -> Alerts {
    let Some(table) = file.table("alerts") else { return Alerts::default() };
    let webhook = table.get("webhook").and_then(|field| {
        let address = secret::single(&field, env)?;
        let usable = Url::parse(address.expose_secret()).is_ok_and(|url| matches!(url.scheme(), "http" | "https"));
        if !usable {
            field.fault("expected an address that starts with http:// or https://");
        }
        Some(address)
    });
    let command = table.get("command").map(|field| texts(&field, "texts: a program and its arguments"));
    let events = table.get("events").map(|field| texts(&field, "names of events"));
    table.finish();
    Alerts {
        webhook,
        command: command.unwrap_or_default().into_iter().map(SecretString::from).collect(),
        events: events.unwrap_or_default(),
    }
}

/// The texts of a list; what is none is noted and left out.
pub(super) fn texts(field: &Field<'_>, wanted: &str) -> Vec<String> {
    let entries = field.list(wanted).unwrap_or_default();
    entries.iter().filter_map(|entry| entry.filled_text().map(str::to_owned)).collect()
}

/// The address as text, without a slash at the end.
fn without_slash(url: &Url) -> String {
    url.as_str().trim_end_matches('/').to_owned()
}

fn address(field: &Field<'_>) -> Option<SocketAddr> {
    field.parsed("an address and a port such as \"127.0.0.1:8080\"", |text| text.parse().ok())
}
