//! Crashes and lost leases: nothing that was acknowledged is lost, no two calls of a contact overlap, and what is not
//! known to have arrived is sent again.

use std::{
    io::{BufRead as _, BufReader},
    net::SocketAddr,
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use contact_relay::{
    clock::Clock,
    config::{self, FixedEnvironment},
    sandbox::{FaultKind, Match, NewContact, Options, Sandbox},
    sources::Draft,
    store::RowState,
};
use serde_json::{Value, json};

use crate::harness::{Relay, SECRET, creating, once};

const SECOND: Duration = Duration::from_secs(1);
/// The whole call timeout and the margin, by default.
const QUIET: Duration = Duration::from_secs(25);

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_lost_its_lease_changes_nothing_and_its_call_stays_unknown() {
    let relay = Relay::start().await;
    let id = relay.linked("7").await;
    relay.crm(json!({ "event": "1", "id": 7, "name": "Ada" })).await;
    let gate = relay.sandbox.hold(Match::method("PATCH"));
    let delivering = relay.delivering();
    gate.arrived(1).await;
    assert_eq!(relay.app.store.take_back("another instance", relay.clock.now()).await.unwrap(), 0);
    assert_eq!(relay.app.store.take_back("main", relay.clock.now()).await.unwrap(), 1);
    gate.release();
    delivering.await.unwrap();
    assert_eq!(relay.sandbox.contact(id).unwrap().name.as_deref(), Some("Ada"), "the call itself took effect");
    assert_eq!(relay.states().await, [RowState::Pending]);
    assert_eq!(relay.number("SELECT count(*) FROM attempts WHERE verdict = 'unknown' AND ended_at IS NULL"), 1);
    assert_eq!(relay.number("SELECT count(*) FROM written WHERE in_doubt = 0"), 0);
    relay.advance(Duration::from_secs(24));
    assert_eq!(relay.deliver().await, 0, "the call may still be at work");
    relay.advance(SECOND);
    relay.deliver().await;
    assert_eq!((relay.states().await, relay.calls("PATCH")), (vec![RowState::Delivered], 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_was_set_back_keeps_no_lane_quiet_for_longer_than_a_call_can_take() {
    let relay = Relay::start().await;
    relay.linked("7").await;
    relay.crm(json!({ "event": "1", "id": 7, "name": "Ada" })).await;
    let gate = relay.sandbox.hold(Match::method("PATCH"));
    let delivering = relay.delivering();
    gate.arrived(1).await;
    delivering.abort();
    let yesterday = relay.clock.now() - Duration::from_hours(24);
    assert_eq!(relay.app.store.take_back("main", yesterday).await.unwrap(), 1);
    assert_eq!(relay.app.store.next_due("store").await.unwrap(), Some(yesterday + QUIET));
    gate.release();
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_crash_fields_in_doubt_are_sent_again_although_they_equal_what_we_last_wrote() {
    let mut relay = Relay::start().await;
    let id = relay.linked("7").await;
    relay.crm(json!({ "event": "1", "id": 7, "name": "First" })).await;
    relay.deliver().await;
    relay.advance(SECOND);
    relay.crm(json!({ "event": "2", "id": 7, "name": "Second" })).await;
    let gate = relay.sandbox.hold(Match::method("PATCH"));
    let delivering = relay.delivering();
    gate.arrived(1).await;
    delivering.abort();
    relay.restart().await;
    // The call of the former life takes effect late, and the source goes back to its first word.
    gate.release();
    relay.app.store.discard(relay.row(1).await.id, "not meant", relay.clock.now()).await.unwrap();
    relay.advance(SECOND);
    relay.crm(json!({ "event": "3", "id": 7, "name": "First" })).await;
    relay.deliver_all(QUIET, 3).await;
    assert_eq!(relay.sandbox.contact(id).unwrap().name.as_deref(), Some("First"));
    assert_eq!(relay.calls("PATCH"), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_between_a_creation_and_its_record_leads_to_no_second_contact() {
    let mut relay = Relay::start().await;
    relay.sandbox.set_faults(creating(FaultKind::HangAfter, 1));
    relay.crm(json!({ "event": "1", "id": 7, "name": "Ada" })).await;
    let delivering = relay.delivering();
    while relay.sandbox.contacts().is_empty() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    delivering.abort();
    relay.restart().await;
    assert_eq!(relay.states().await, [RowState::Pending]);
    relay.crm(json!({ "event": "2", "id": 7, "plan": "pro" })).await;
    assert_eq!(relay.deliver().await, 0, "the creation may still be at work");
    relay.advance(QUIET + SECOND);
    relay.deliver().await;
    let contacts = relay.sandbox.contacts();
    assert_eq!((contacts.len(), &contacts[0].custom_attributes["plan"]), (1, &json!("pro")));
    assert_eq!(relay.calls("POST"), 1);
    assert!(relay.states().await.iter().all(|state| *state == RowState::Delivered));
}

/// The real program, on a real file, against a sandbox in this process. Here time cannot be moved.
struct Program {
    directory: tempfile::TempDir,
    sandbox: Sandbox,
    config: config::Config,
    running: Option<(Child, SocketAddr)>,
}

impl Program {
    async fn start(call_timeout: &str) -> Self {
        let sandbox = Sandbox::start(Options::default()).await.unwrap();
        let directory = tempfile::tempdir().unwrap();
        let text = format!(
            r#"
[server]
listen = "127.0.0.1:0"
[database]
path = "{database}"
[accounts.store]
base_url = "{base_url}"
account_id = {account_id}
api_access_token = "{token}"
rate_limit = "1000/s"
connect_timeout = "1s"
call_timeout = "{call_timeout}"
[sources.crm]
secret = "{SECRET}"
[sources.crm.verify]
scheme = "hmac"
algorithm = "sha256"
signature = {{ header = "X-Signature", encoding = "hex" }}
signed = "{{body}}"
[sources.crm.event]
id = '.event'
topic = '.type'
[sources.crm.map]
identifier = '.id'
name = '.name'
"#,
            database = directory.path().join("relay.db").display(),
            base_url = sandbox.base_url(),
            account_id = sandbox.account_id(),
            token = sandbox.token(),
        );
        let config = config::parse(&text, "test.toml", &FixedEnvironment::default())
            .unwrap_or_else(|problems| panic!("{}", problems.render(false)))
            .config;
        std::fs::write(directory.path().join("contact-relay.toml"), text).unwrap();
        let mut program = Self { directory, sandbox, config, running: None };
        program.serve();
        program
    }

    /// Starts it, and reads from its log where it listens.
    fn serve(&mut self) {
        let mut child = Command::new(env!("CARGO_BIN_EXE_contact-relay"))
            .arg("serve")
            .current_dir(self.directory.path())
            .env_remove("RUST_LOG")
            .env_remove("CONTACT_RELAY_CONFIG")
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let mut log = Vec::new();
        let address = loop {
            let Some(line) = lines.next() else { panic!("it ended with {:?}: {log:#?}", child.wait()) };
            let line = line.unwrap();
            if let Some((_, address)) = line.split_once("webhooks arrive at http://") {
                break address.trim().parse().unwrap();
            }
            log.push(line);
        };
        // Read to the end, so that the program never waits for somebody to read its log.
        std::thread::spawn(move || lines.map_while(Result::ok).for_each(drop));
        self.running = Some((child, address));
    }

    /// A signal, and the exit code once it has ended.
    fn end(&mut self, signal: &str) -> Option<i32> {
        let (mut child, _) = self.running.take().unwrap();
        signal_to(&child, signal);
        child.wait().unwrap().code()
    }

    /// Sends a webhook; true when it was acknowledged.
    async fn send(&self, http: &reqwest::Client, body: &Value) -> bool {
        let source = &self.config.sources["crm"].source;
        let draft = Draft::post("/hooks/crm", "application/json", body.to_string());
        let request = source.verifier().sign(draft, source.public_url(), Clock::System.now()).unwrap();
        let address = self.running.as_ref().unwrap().1;
        let mut sending = http.post(format!("http://{address}/hooks/crm")).body(request.body);
        for (name, value) in request.headers.iter() {
            sending = sending.header(name, value);
        }
        sending.send().await.is_ok_and(|response| response.status() == 200)
    }

    fn number(&self, sql: &str) -> i64 {
        let out = Command::new("sqlite3").arg(self.file()).arg(sql).output().unwrap();
        String::from_utf8(out.stdout).unwrap().trim().parse().unwrap_or_else(|_| panic!("{sql}: {:?}", out.stderr))
    }

    fn file(&self) -> PathBuf {
        self.directory.path().join("relay.db")
    }

    async fn until(&self, what: &str, done: impl Fn(&Self) -> bool) {
        let began = Instant::now();
        while !done(self) {
            assert!(began.elapsed() < Duration::from_mins(1), "waited in vain until {what}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        if let Some((mut child, _)) = self.running.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
        if !std::thread::panicking() {
            assert!(self.sandbox.overlaps().is_empty(), "{:?}", self.sandbox.overlaps());
        }
    }
}

fn signal_to(child: &Child, signal: &str) {
    let status = Command::new("kill").arg(format!("-{signal}")).arg(child.id().to_string()).status().unwrap();
    assert!(status.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_program_has_every_acknowledged_webhook_in_its_file_and_delivers_it_after_a_restart() {
    let mut program = Program::start("1s").await;
    let http = reqwest::Client::builder().build().unwrap();
    let (acknowledged, pid) = {
        let (program, child) = (&program, &program.running.as_ref().unwrap().0);
        let sending = futures_util::future::join_all((0..300).map(|number| {
            let http = &http;
            async move {
                let body =
                    json!({ "event": format!("e{number}"), "id": format!("c{number}"), "name": number.to_string() });
                program.send(http, &body).await.then_some(number)
            }
        }));
        let killing = async {
            while program.sandbox.contacts().len() < 20 {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
            signal_to(child, "KILL");
        };
        let (sent, ()) = tokio::join!(sending, killing);
        (sent.into_iter().flatten().collect::<Vec<i32>>(), child.id())
    };
    let (mut child, _) = program.running.take().unwrap();
    assert_eq!(child.wait().unwrap().code(), None, "{pid} was killed");
    assert!(!acknowledged.is_empty());
    for number in &acknowledged {
        assert_eq!(program.number(&format!("SELECT count(*) FROM webhooks WHERE event_id = 'e{number}'")), 1);
    }
    program.serve();
    program
        .until("all is settled", |program| program.number("SELECT count(*) FROM outbox WHERE lane_id IS NOT NULL") == 0)
        .await;
    let contacts = program.sandbox.contacts();
    for number in &acknowledged {
        let of = contacts.iter().filter(|contact| contact.identifier == Some(format!("c{number}"))).count();
        assert_eq!(of, 1, "contact c{number}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_killed_in_a_call_makes_no_overlapping_one_after_its_restart_and_the_update_arrives() {
    let mut program = Program::start("1s").await;
    let http = reqwest::Client::builder().build().unwrap();
    let id = program.sandbox.seed(NewContact { identifier: Some("7".to_owned()), ..NewContact::default() });
    let gate = program.sandbox.hold(Match::method("PATCH"));
    assert!(program.send(&http, &json!({ "event": "1", "id": "7", "name": "Ada" })).await);
    gate.arrived(1).await;
    program.end("KILL");
    program.serve();
    assert!(program.send(&http, &json!({ "event": "2", "id": "7", "name": "Ada L" })).await);
    // The server is still at the first call while the second life already has reason to call.
    tokio::time::sleep(Duration::from_secs(2)).await;
    gate.release();
    program
        .until("the update arrived", |program| program.sandbox.contact(id).unwrap().name.as_deref() == Some("Ada L"))
        .await;
    program
        .until("all is settled", |program| program.number("SELECT count(*) FROM outbox WHERE lane_id IS NOT NULL") == 0)
        .await;
    assert_eq!(program.number("SELECT count(*) FROM attempts WHERE verdict = 'unknown' AND ended_at IS NULL"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_that_is_told_to_stop_lets_the_call_in_flight_end_and_records_it() {
    let mut program = Program::start("15s").await;
    let http = reqwest::Client::builder().build().unwrap();
    let id = program.sandbox.seed(NewContact { identifier: Some("7".to_owned()), ..NewContact::default() });
    let gate = program.sandbox.hold(Match::method("PATCH"));
    assert!(program.send(&http, &json!({ "event": "1", "id": "7", "name": "Ada" })).await);
    gate.arrived(1).await;
    let (mut child, address) = program.running.take().unwrap();
    signal_to(&child, "TERM");
    // It has stopped listening before the call ends.
    while std::net::TcpStream::connect(address).is_ok() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    gate.release();
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert_eq!(program.sandbox.contact(id).unwrap().name.as_deref(), Some("Ada"));
    assert_eq!(program.number("SELECT count(*) FROM outbox WHERE state = 'delivered'"), 1);
    assert_eq!(program.number("SELECT count(*) FROM attempts WHERE verdict = 'unknown'"), 0);
    assert!(!program.file().with_extension("db-wal").exists(), "the log was written into the file");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_discarded_row_whose_call_got_no_answer_still_keeps_the_next_call_waiting() {
    let relay = Relay::start().await;
    let id = relay.linked("7").await;
    relay.sandbox.set_faults(vec![once("PATCH", FaultKind::DropAfter)]);
    relay.crm(json!({ "event": "1", "id": 7, "name": "Ada" })).await;
    relay.deliver().await;
    let row = relay.rows().await[0].id;
    relay.app.store.discard(row, "not wanted", relay.clock.now()).await.unwrap();
    relay.crm(json!({ "event": "2", "id": 7, "name": "Grace" })).await;
    assert_eq!(relay.deliver().await, 0, "the call without an answer may still be at work");
    relay.advance(Duration::from_secs(26));
    relay.deliver().await;
    assert_eq!(relay.sandbox.contact(id).unwrap().name.as_deref(), Some("Grace"));
    assert_eq!(relay.number("SELECT count(*) FROM lanes"), 0, "nothing is left to order");
}
