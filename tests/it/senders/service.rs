//! A service with the one source of a fixture, behind the real public port. Nothing is delivered: what is in the outbox is
//! what counts here.

use std::{net::TcpListener, process::Command, sync::Arc, time::Duration};

use actix_web::dev::ServerHandle;
use contact_relay::{
    app::App,
    clock::{Clock, ManualClock, Timestamp},
    config::{self, FixedEnvironment},
    http,
    sources::Request,
};
use serde_json::Value;
use tempfile::TempDir;

use super::fixture::{Fixture, Key};

pub(super) struct Service {
    app: App,
    server: ServerHandle,
    address: String,
    hand: Arc<ManualClock>,
    directory: TempDir,
    http: reqwest::Client,
}

impl Service {
    /// Starts the service at the moment `now`; the problems of its configuration when it does not load.
    pub(super) async fn start(fixture: &Fixture, key: Key, now: Timestamp) -> Result<Self, String> {
        let directory = tempfile::tempdir().unwrap();
        let database = directory.path().join("relay.db").display().to_string();
        let text = fixture.configuration(&database, key);
        let loaded =
            config::parse(&text, "fixture", &FixedEnvironment::default()).map_err(|faults| faults.render(false))?;
        let (clock, hand) = Clock::manual(now);
        let app = App::build(&loaded.config, clock.clone(), Arc::new(|| 0.0)).await.unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let server = http::public(listener, app.ingest.clone(), clock, 1).unwrap();
        let handle = server.handle();
        tokio::spawn(server);
        let http = reqwest::Client::builder().build().unwrap();
        Ok(Self { app, server: handle, address, hand, directory, http })
    }

    pub(super) async fn stop(self) {
        self.server.stop(false).await;
        self.app.store.close().await;
    }

    pub(super) fn advance(&self, by: Duration) {
        self.hand.advance(by);
    }

    /// Sends a request as it is: the status and the answer.
    pub(super) async fn post(&self, request: &Request) -> (u16, Value) {
        let url = format!("http://{}{}", self.address, request.path_query);
        let mut sending = self.http.post(url).body(request.body.clone());
        for (name, value) in request.headers.iter() {
            sending = sending.header(name, value);
        }
        let response = sending.send().await.unwrap();
        let status = response.status().as_u16();
        let text = response.text().await.unwrap();
        (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
    }

    /// The fault when a request is not refused.
    pub(super) async fn refuses(&self, what: &str, request: &Request) -> Option<String> {
        let (status, answer) = self.post(request).await;
        (status != 401).then(|| format!("{what} was answered {status} {answer}"))
    }

    /// How many rows a table has.
    pub(super) fn count(&self, table: &str) -> i64 {
        self.rows(&format!("SELECT count(*) AS n FROM {table}"))[0]["n"].as_i64().unwrap()
    }

    /// The rows of a query, as an auditor would read them.
    pub(super) fn rows(&self, sql: &str) -> Vec<Value> {
        let database = self.directory.path().join("relay.db");
        let out = Command::new("sqlite3").arg("-json").arg(database).arg(sql).output();
        let out = out.expect("sqlite3 is installed by tests/run");
        assert!(out.status.success(), "{sql}: {}", String::from_utf8_lossy(&out.stderr));
        let text = String::from_utf8(out.stdout).unwrap();
        if text.trim().is_empty() { Vec::new() } else { serde_json::from_str(&text).unwrap() }
    }
}
