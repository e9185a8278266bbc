//! A whole service for one test: the real public port, a real SQLite file, the sandbox, and a clock that the test moves.
//! Delivery runs when the test says so.

use std::{
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use contact_relay::{
    app::App,
    clock::{Clock, ManualClock, Timestamp},
    config::{self, FixedEnvironment},
    contacts::ContactKey,
    http,
    sandbox::{Fault, FaultKind, Match, NewContact, Options, Sandbox},
    sources::{Draft, Request},
    store::{Link, LinkOrigin, OutboxFilter, OutboxRecord, Pause, RowState},
};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::task::JoinHandle;

/// The secret of every source in these tests.
pub(crate) const SECRET: &str = "a-secret-of-the-tests";

/// A service under test.
pub(crate) struct Relay {
    pub(crate) app: App,
    pub(crate) sandbox: Sandbox,
    pub(crate) directory: TempDir,
    pub(crate) clock: Clock,
    hand: Arc<ManualClock>,
    config: config::Config,
    address: SocketAddr,
    http: reqwest::Client,
}

/// What the service answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: reqwest::header::HeaderMap,
    pub(crate) body: Value,
}

impl Answer {
    /// The webhook's id.
    pub(crate) fn webhook(&self) -> i64 {
        self.body["webhook"].as_i64().unwrap_or_else(|| panic!("no webhook in {self:?}"))
    }
}

impl Relay {
    /// A service with the sources `shop` (preset shopify) and `crm` (plain hmac), and the account `store`.
    pub(crate) async fn start() -> Self {
        Self::with("", "").await
    }

    /// The same with more keys of the account, and more tables.
    pub(crate) async fn with(account: &str, tables: &str) -> Self {
        Self::at("2026-11-22T12:00:00Z", account, tables).await
    }

    /// The same at another moment.
    pub(crate) async fn at(now: &str, account: &str, tables: &str) -> Self {
        let (clock, hand) = Clock::manual(Timestamp::parse_rfc3339(now).unwrap());
        let sandbox = Sandbox::start(Options { clock: clock.clone(), ..Options::default() }).await.unwrap();
        let directory = tempfile::tempdir().unwrap();
        let config = load(&sandbox, &directory, account, tables);
        let app = App::build(&config, clock.clone(), Arc::new(|| 0.0)).await.unwrap();
        app.delivery.prepare().await.unwrap();
        let address = serve(&app, &clock);
        Self {
            app,
            sandbox,
            directory,
            clock,
            hand,
            config,
            address,
            http: reqwest::Client::builder().build().unwrap(),
        }
    }

    /// Stops the service as a crash would, as far as the database can tell, and starts it again on the same file.
    pub(crate) async fn restart(&mut self) {
        self.app.store.close().await;
        self.app = App::build(&self.config, self.clock.clone(), Arc::new(|| 0.0)).await.unwrap();
        self.app.delivery.prepare().await.unwrap();
        self.address = serve(&self.app, &self.clock);
    }

    /// The same with another configuration on the same file.
    pub(crate) async fn restart_with(&mut self, account: &str, tables: &str) {
        self.config = load(&self.sandbox, &self.directory, account, tables);
        self.restart().await;
    }

    /// The public port.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where the public port is.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// The hand that moves the clock, for a task beside the test.
    pub(crate) fn hand(&self) -> Arc<ManualClock> {
        Arc::clone(&self.hand)
    }

    /// Moves the clock.
    pub(crate) fn advance(&self, by: Duration) {
        self.hand.advance(by);
    }

    /// Sends a request as it is.
    pub(crate) async fn post(&self, request: Request) -> Answer {
        let mut sending = self.http.post(self.url(&request.path_query)).body(request.body);
        for (name, value) in request.headers.iter() {
            sending = sending.header(name, value);
        }
        let response = sending.send().await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let text = response.text().await.unwrap();
        Answer { status, headers, body: serde_json::from_str(&text).unwrap_or(Value::String(text)) }
    }

    /// Makes a request without a body.
    pub(crate) async fn ask(&self, method: &str, path_query: &str) -> Answer {
        let method = reqwest::Method::from_bytes(method.as_bytes()).unwrap();
        let response = self.http.request(method, self.url(path_query)).send().await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let text = response.text().await.unwrap();
        Answer { status, headers, body: serde_json::from_str(&text).unwrap_or(Value::String(text)) }
    }

    /// A request signed as its source would.
    pub(crate) fn sign(&self, source: &str, body: &Value, headers: &[(&str, &str)]) -> Request {
        self.sign_bytes(source, body.to_string(), headers)
    }

    /// The same over any bytes.
    pub(crate) fn sign_bytes(&self, source: &str, body: impl Into<Bytes>, headers: &[(&str, &str)]) -> Request {
        let Draft(mut request) = Draft::post(format!("/hooks/{source}"), "application/json", body);
        for (name, value) in headers {
            request.headers.set(name, value);
        }
        let source = &self.app.ingest.route(source).unwrap().source;
        source.verifier().sign(Draft(request), source.public_url(), self.clock.now()).unwrap()
    }

    /// Sends a signed webhook.
    pub(crate) async fn send(&self, source: &str, body: Value) -> Answer {
        let request = self.sign(source, &body, &[]);
        self.post(request).await
    }

    /// Sends a webhook of the source `crm` and expects it to be stored.
    pub(crate) async fn crm(&self, body: Value) -> i64 {
        let answer = self.send("crm", body).await;
        assert_eq!((answer.status, answer.body["status"].as_str()), (200, Some("accepted")), "{answer:?}");
        answer.webhook()
    }

    /// Delivers everything that is due now.
    pub(crate) async fn deliver(&self) -> usize {
        self.app.delivery.deliver_due().await.unwrap()
    }

    /// A contact in Chatwoot that the service is linked to by `identifier`.
    pub(crate) async fn linked(&self, identifier: &str) -> i64 {
        let id = self.sandbox.seed(NewContact { identifier: Some(identifier.to_owned()), ..NewContact::default() });
        self.link(identifier, id, LinkOrigin::Import).await;
        id
    }

    /// All rows of the outbox, oldest first.
    pub(crate) async fn rows(&self) -> Vec<OutboxRecord> {
        let filter = OutboxFilter { limit: 10_000, ..OutboxFilter::default() };
        let mut rows = self.app.store.outbox(&filter).await.unwrap();
        rows.reverse();
        rows
    }

    /// The states of all rows, oldest first.
    pub(crate) async fn states(&self) -> Vec<RowState> {
        self.rows().await.into_iter().map(|row| row.state).collect()
    }

    /// How many writing calls of `method` the sandbox received on contacts.
    pub(crate) fn calls(&self, method: &str) -> usize {
        let is_write =
            |path: &str| path.contains("/contacts") && !path.ends_with("/filter") && !path.ends_with("/search");
        self.sandbox.calls().iter().filter(|call| call.method == method && is_write(&call.path)).count()
    }

    /// The database file.
    pub(crate) fn database(&self) -> PathBuf {
        self.directory.path().join("relay.db")
    }

    /// What the program `sqlite3` answers: another process than the service.
    pub(crate) fn sql(&self, sql: &str) -> String {
        sqlite3(&self.database(), &[], sql)
    }

    /// The rows of a query, as JSON: columns that hold JSON objects or arrays are read too.
    pub(crate) fn table(&self, sql: &str) -> Value {
        let text = sqlite3(&self.database(), &["-json"], sql);
        // Without rows it prints nothing.
        let mut rows: Value = if text.is_empty() { json!([]) } else { serde_json::from_str(&text).unwrap() };
        for column in rows.as_array_mut().unwrap().iter_mut().flat_map(|row| row.as_object_mut().unwrap().values_mut())
        {
            if let Some(text) = column.as_str().filter(|text| text.starts_with(['{', '[']))
                && let Ok(json) = serde_json::from_str(text)
            {
                *column = json;
            }
        }
        rows
    }

    /// Runs a statement that answers one number.
    pub(crate) fn number(&self, sql: &str) -> i64 {
        let text = self.sql(sql);
        text.parse().unwrap_or_else(|_| panic!("{sql} answered {text:?}"))
    }
}

/// Two calls of one contact never overlap, whatever a test does.
impl Drop for Relay {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            let overlaps = self.sandbox.overlaps();
            assert!(overlaps.is_empty(), "calls of one contact overlapped: {overlaps:?}");
        }
    }
}

/// Runs the program `sqlite3` on a file; panics with its words where it fails.
pub(crate) fn sqlite3(file: &Path, options: &[&str], sql: &str) -> String {
    let out = Command::new("sqlite3").args(options).arg("-cmd").arg(".timeout 5000").arg(file).arg(sql).output();
    let out = out.expect("sqlite3 is installed by tests/run");
    assert!(out.status.success(), "{sql}: {}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8(out.stdout).unwrap().trim().to_owned()
}

fn load(sandbox: &Sandbox, directory: &TempDir, account: &str, tables: &str) -> config::Config {
    let text = configuration(sandbox, directory, account, tables);
    let loaded = config::parse(&text, "test.toml", &FixedEnvironment::default())
        .unwrap_or_else(|problems| panic!("{}", problems.render(false)));
    loaded.config
}

fn serve(app: &App, clock: &Clock) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let server = http::public(listener, app.ingest.clone(), clock.clone(), 1).unwrap();
    tokio::spawn(server);
    address
}

fn configuration(sandbox: &Sandbox, directory: &TempDir, account: &str, tables: &str) -> String {
    format!(
        r#"
[server]
listen = "127.0.0.1:8080"
[database]
path = "{database}"
[accounts.store]
base_url = "{base_url}"
account_id = {account_id}
api_access_token = "{token}"
rate_limit = "1000/s"
{account}
[sources.shop]
preset = "shopify"
secret = "{SECRET}"
phone_region = "IL"
identifier_prefix = ""
[sources.crm]
secret = "{SECRET}"
phone_region = "IL"
[sources.crm.verify]
scheme = "hmac"
algorithm = "sha256"
signature = {{ header = "X-Signature", encoding = "hex", prefix = "sha256=" }}
signed = "{{body}}"
[sources.crm.event]
id = '.event'
topic = '.type'
when = '.type != "ping"'
each = 'if .users then .users[] else . end'
occurred_at = '.at'
[sources.crm.map]
identifier = '.id'
name = '.name'
email = '.email'
phone_number = '.phone'
avatar_url = '.photo'
custom_attributes.plan = '.plan'
custom_attributes.city = '.city'
{tables}
"#,
        database = directory.path().join("relay.db").display(),
        base_url = sandbox.base_url(),
        account_id = sandbox.account_id(),
        token = sandbox.token(),
    )
}

/// A customer as Shopify sends one.
pub(crate) fn shopify_customer(id: i64, first_name: &str, updated_at: &str) -> Value {
    json!({
        "id": id,
        "email": format!("{}@example.test", first_name.to_lowercase()),
        "first_name": first_name,
        "last_name": "Lovelace",
        "phone": "050-234-5678",
        "updated_at": updated_at,
        "default_address": { "country_code": "IL" },
    })
}

/// What tests of delivery do again and again.
impl Relay {
    /// Delivers in a task beside the test.
    pub(crate) fn delivering(&self) -> JoinHandle<usize> {
        let delivery = self.app.delivery.clone();
        tokio::spawn(async move { delivery.deliver_due().await.unwrap() })
    }

    /// Delivers and moves the clock by `step`, until no row is left to send; at most `most` times.
    pub(crate) async fn deliver_all(&self, step: Duration, most: usize) {
        for _ in 0..most {
            self.deliver().await;
            let counts = self.app.store.outbox_counts().await.unwrap();
            if !counts.contains_key(&RowState::Pending) {
                return;
            }
            self.advance(step);
        }
        panic!("rows are left after {most} rounds: {:?}", self.states().await);
    }

    /// A row by its place, the oldest being 0.
    pub(crate) async fn row(&self, place: usize) -> OutboxRecord {
        self.rows().await.swap_remove(place)
    }

    /// What became of each field of a row.
    pub(crate) async fn outcomes(&self, place: usize) -> Value {
        let outcomes = self.row(place).await.outcomes;
        serde_json::from_str(outcomes.as_deref().unwrap_or("{}")).unwrap()
    }

    /// Makes a link.
    pub(crate) async fn link(&self, key: &str, contact_id: i64, origin: LinkOrigin) {
        let link = Link { key: ContactKey::from_text(key), contact_id, origin };
        self.app.store.link("store", vec![link], self.clock.now()).await.unwrap();
    }

    /// Why the account is paused, if it is.
    pub(crate) async fn pause(&self) -> Option<Pause> {
        self.app.store.account_state("store").await.unwrap().pause
    }

    /// The bodies of the writing calls of `method` on contacts, oldest first.
    pub(crate) fn bodies(&self, method: &str) -> Vec<Value> {
        let calls = self.sandbox.calls().into_iter();
        calls
            .filter(|call| call.method == method && !call.path.ends_with("/filter"))
            .map(|call| call.body.unwrap_or_default())
            .collect()
    }

    /// How many look-ups the sandbox received.
    pub(crate) fn look_ups(&self) -> usize {
        self.sandbox.calls().iter().filter(|call| call.path.ends_with("/filter")).count()
    }

    /// Runs a statement that answers one text.
    pub(crate) fn text(&self, sql: &str) -> String {
        let out = Command::new("sqlite3").arg(self.directory.path().join("relay.db")).arg(sql).output();
        let out = out.expect("sqlite3 is installed by tests/run");
        assert!(out.status.success(), "{sql}: {}", String::from_utf8_lossy(&out.stderr));
        String::from_utf8(out.stdout).unwrap().trim().to_owned()
    }
}

/// A fault that strikes one call of a method.
pub(crate) fn once(method: &str, kind: FaultKind) -> Fault {
    Fault::new(kind).when(Match::method(method)).times(1)
}

/// Faults that strike creating calls but no look-ups, which are POST as well.
pub(crate) fn creating(kind: FaultKind, times: u32) -> Vec<Fault> {
    // The first fault that means a call is the one that strikes; this one does no harm.
    let harmless = Fault::new(FaultKind::SlowBody { ms: 0 }).when(Match::path("/filter"));
    vec![harmless, Fault::new(kind).when(Match::method("POST")).times(times)]
}

/// A 422 that names fields.
pub(crate) fn refusing(attributes: &[&str]) -> FaultKind {
    FaultKind::Status {
        code: 422,
        body: Some(json!({ "message": "is not liked", "attributes": attributes }).to_string()),
        content_type: Some("application/json".to_owned()),
        retry_after: None,
        location: None,
    }
}
