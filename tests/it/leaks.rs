//! What the service says while it works: no secret, and nothing of anybody's data.

use std::{
    io::{self, Write},
    sync::{Arc, Mutex},
    time::Duration,
};

use contact_relay::{
    sandbox::{Fault, FaultKind, Match, NewContact},
    sources::Draft,
};
use serde_json::json;
use tracing_subscriber::{EnvFilter, fmt::MakeWriter, util::SubscriberInitExt as _};

use crate::harness::{Relay, SECRET};

const SOURCES: &str = r#"
[sources.tally]
secret = "a-secret-of-the-tests"
verify = { scheme = "token", query = "token" }
[sources.tally.map]
email = '.email'
name = '.name'
"#;

/// Everything that is logged in this process, also by tests that run at the same time.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_and_no_persons_data_is_logged_in_a_life_full_of_refusals_and_failures() {
    let log = Log::default();
    // Global, because the servers have threads of their own.
    tracing_subscriber::fmt()
        .with_writer(log.clone())
        .with_ansi(false)
        .with_env_filter(EnvFilter::new("debug,contact_relay=trace"))
        .finish()
        .init();
    let relay = Relay::with("", SOURCES).await;
    let person = |event: &str| {
        json!({
            "event": event, "id": "leaky-id", "name": "Leaky Lovelace", "email": "leaky@person.test",
            "phone": "050-765-4321", "plan": "leaky-plan", "photo": "https://leaky-photo.test/a.png",
        })
    };

    // Refused.
    let mut forged = relay.sign("crm", &person("forged"), &[]);
    forged.headers.set("x-signature", "sha256=leaky-signature");
    relay.post(forged).await;
    relay.post(Draft::post("/hooks/leaky-source", "application/json", person("").to_string()).0).await;
    relay.post(Draft::post("/hooks/tally?token=leaky-token", "application/json", "{}").0).await;
    relay.post(relay.sign_bytes("crm", r#"{"email": "leaky@person.test", leaky-syntax}"#, &[])).await;
    let unstorable = relay.send("tally", json!({ "name": "leaky-nobody" })).await;
    assert_eq!(unstorable.status, 200);
    relay.sql("CREATE TRIGGER broken BEFORE INSERT ON outbox BEGIN SELECT RAISE(ABORT, 'broken'); END");
    assert_eq!(relay.send("crm", person("unstorable")).await.status, 503);
    relay.sql("DROP TRIGGER broken");

    // Stored; and the same event with another body.
    relay.crm(person("1")).await;
    relay.send("crm", person("1")).await;
    let mut differs = person("1");
    differs["name"] = json!("Leaky Eve");
    relay.crm(differs).await;
    relay.send("tally", json!({ "email": "leaky@form.test", "name": "Leaky Form" })).await;

    // Delivered, after every kind of failure.
    relay.sandbox.seed(NewContact { email: Some("leaky@taken.test".to_owned()), ..NewContact::default() });
    relay.deliver().await;
    let faults = [
        FaultKind::status(401),
        FaultKind::status(404),
        FaultKind::status(422),
        FaultKind::status(429),
        FaultKind::status(500),
        FaultKind::status(503),
        FaultKind::status(302),
        FaultKind::DropAfter,
    ];
    for (n, fault) in faults.into_iter().enumerate() {
        relay.sandbox.set_faults(vec![Fault::new(fault).when(Match::method("PATCH")).times(1)]);
        let mut next = person(&format!("fault {n}"));
        next["name"] = json!(format!("Leaky {n}"));
        next["email"] = json!(if n == 0 { "leaky@taken.test".to_owned() } else { format!("leaky{n}@person.test") });
        relay.crm(next).await;
        for _ in 0..3 {
            relay.deliver().await;
            // Long enough for the probe of a paused account, which reads the profile with its token.
            relay.advance(Duration::from_hours(2));
        }
    }
    relay.deliver().await;
    relay.app.ingest.save_refusals(relay.clock.now()).await.unwrap();

    let said = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    for event in ["webhook refused", "webhook stored", "another body", "account paused", "account resumed"] {
        assert!(said.contains(event), "the log is silent about `{event}`");
    }
    let debug = format!("{:?} {:?}", relay.app, relay.app.ingest.route("crm"));
    for (place, text) in [("log", &said), ("Debug output", &debug)] {
        let token = relay.sandbox.token();
        for needle in [SECRET, token, "eaky", "765-4321", "+972507654321"] {
            let line = text.lines().find(|line| line.contains(needle));
            assert_eq!(line, None, "`{needle}` shows in the {place}");
        }
    }
    // The file holds the persons' data, which is its purpose, but nothing that opens a door.
    let dump = relay.sql(".dump");
    assert!(dump.contains("leaky@person.test"));
    for needle in [SECRET, relay.sandbox.token(), "leaky-token", "leaky-signature"] {
        assert!(!dump.contains(needle), "`{needle}` is in the database");
    }
}
