//! The file itself: what is made in it, what it refuses, and how writes share a commit.

use std::{collections::BTreeSet, path::Path, sync::Arc, time::Duration};

use bytes::Bytes;
use contact_relay::{
    clock::Timestamp,
    store::{Accepted, NewOutcome, NewWebhook, Replay, RowState, Store, StoreError, Verdict, WriterSettings},
};
use futures_util::future::join_all;
use serde_json::json;

use crate::harness::{Relay, sqlite3};

const NOW: Timestamp = Timestamp::from_secs(1_795_348_800);

async fn open(path: &Path) -> Result<Store, StoreError> {
    Store::open(path, WriterSettings::default()).await
}

fn webhook(event_id: &str) -> NewWebhook {
    NewWebhook {
        source: "crm".into(),
        topic: None,
        event_id: Some(event_id.to_owned()),
        received_at: NOW,
        signed_at: None,
        secret: Some(0),
        method: "POST".to_owned(),
        query: String::new(),
        content_type: None,
        headers: "{}".to_owned(),
        body: Bytes::from_static(b"{}"),
        repeat_window: Duration::from_hours(1),
        outcome: NewOutcome::Mapped { account: Arc::from("store"), rows: Vec::new() },
        left_out: None,
    }
}

// The file.

#[tokio::test]
async fn a_fresh_file_has_the_documented_tables_all_of_them_strict() {
    let relay = Relay::start().await;
    let tables = relay.table(
        "SELECT name, type, strict FROM pragma_table_list \
         WHERE schema = 'main' AND name NOT LIKE 'sqlite_%' AND name <> '_sqlx_migrations' ORDER BY name",
    );
    let line = |name: &str| json!({ "name": name, "type": "table", "strict": 1 });
    assert_eq!(
        tables,
        json!([
            line("accounts"),
            line("attempt_rows"),
            line("attempts"),
            { "name": "audit", "type": "view", "strict": 0 },
            line("books"),
            line("conflicts"),
            line("contacts"),
            line("lanes"),
            line("outbox"),
            line("person_requests"),
            line("rejections"),
            line("sources"),
            line("webhooks"),
            line("written"),
        ])
    );
    assert_eq!(relay.number("SELECT count(*) FROM _sqlx_migrations WHERE success = 1"), 6);
}

#[tokio::test]
async fn what_durability_rests_on_is_in_force_in_the_file() {
    let relay = Relay::start().await;
    relay.crm(json!({ "event": "e1", "id": 7 })).await;
    assert_eq!(relay.sql("PRAGMA journal_mode"), "wal");
    assert_eq!(relay.sql("PRAGMA auto_vacuum"), "2");
    assert!(relay.directory.path().join("relay.db-wal").metadata().unwrap().len() > 0, "commits go to the log");
    assert_eq!(relay.sql("PRAGMA integrity_check"), "ok");
    assert_eq!(relay.sql("PRAGMA foreign_key_check"), "");
}

#[tokio::test]
async fn a_file_that_cannot_have_a_write_ahead_log_is_not_opened() {
    // A database in memory has no log: SQLite answers `memory` to the pragma, and no error.
    match open(Path::new(":memory:")).await {
        Err(StoreError::Pragma { pragma: "journal_mode", wanted: "wal", got }) => assert_eq!(got, "memory"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_file_whose_pages_can_never_be_given_back_is_not_opened() {
    // Made by another program with other settings: ours would silently not take effect.
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("other.db");
    sqlite3(&path, &[], "CREATE TABLE t (a)");
    match open(&path).await {
        Err(StoreError::Pragma { pragma: "auto_vacuum", .. }) => {}
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_file_of_a_newer_version_is_not_opened_and_not_changed() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("relay.db");
    open(&path).await.unwrap().close().await;
    sqlite3(
        &path,
        &[],
        "INSERT INTO _sqlx_migrations SELECT version + 1000000, 'of tomorrow', installed_on, success, checksum, \
         execution_time FROM _sqlx_migrations ORDER BY version DESC LIMIT 1",
    );
    let before = sqlite3(&path, &[], ".dump");
    assert!(matches!(open(&path).await, Err(StoreError::Migration(_))));
    assert_eq!(sqlite3(&path, &[], ".dump"), before);
}

#[tokio::test]
async fn a_file_opens_again_as_it_was() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("relay.db");
    let store = open(&path).await.unwrap();
    store.accept(webhook("e1")).await.unwrap();
    store.close().await;
    let schema = sqlite3(&path, &[], ".schema");
    let store = open(&path).await.unwrap();
    assert_eq!(store.accept(webhook("e1")).await.unwrap().accepted, Accepted::Repeat);
    store.close().await;
    assert_eq!(sqlite3(&path, &[], ".schema"), schema);
    assert!(!directory.path().join("relay.db-wal").exists(), "a clean stop folds the log back into the file");
}

// The rules in the file.

/// The texts in the first `COLUMN IN (…)` of a table's definition.
fn words_of_check(schema: &str, column: &str) -> BTreeSet<String> {
    let (_, list) = schema.split_once(&format!("CHECK ({column} IN (")).unwrap_or_else(|| panic!("{schema}"));
    let (list, _) = list.split_once(')').unwrap();
    list.split(',').map(|word| word.trim().trim_matches('\'').to_owned()).collect()
}

#[tokio::test]
async fn the_states_and_verdicts_in_the_file_are_those_in_the_code() {
    let relay = Relay::start().await;
    let schema = |table: &str| relay.sql(&format!("SELECT sql FROM sqlite_schema WHERE name = '{table}'"));
    let states = RowState::ALL.map(|state| state.as_str().to_owned());
    assert_eq!(words_of_check(&schema("outbox"), "state"), BTreeSet::from(states));
    let verdicts = Verdict::ALL.map(|verdict| verdict.as_str().to_owned());
    assert_eq!(words_of_check(&schema("attempts"), "verdict"), BTreeSet::from(verdicts));
    // Which states are open: those that must have a lane.
    let outbox = schema("outbox");
    let (_, open) = outbox.split_once("CHECK ((state IN (").unwrap();
    let (open, _) = open.split_once(')').unwrap();
    let open: BTreeSet<_> = open.split(',').map(|word| word.trim().trim_matches('\'')).collect();
    let open_in_code = RowState::ALL.into_iter().filter(|state| state.is_open()).map(RowState::as_str);
    assert_eq!(open, open_in_code.collect());
}

#[tokio::test]
async fn the_file_itself_refuses_states_that_cannot_be() {
    let relay = Relay::start().await;
    relay.crm(json!({ "event": "e1", "id": 7 })).await;
    let refuses = |sql: &str| {
        let out = std::process::Command::new("sqlite3").arg(relay.database()).arg(sql).output().unwrap();
        let words = String::from_utf8(out.stderr).unwrap();
        assert!(!out.status.success() && words.contains("constraint failed"), "{sql}: {words}");
    };
    for sql in [
        "UPDATE outbox SET state = 'lost'",
        "UPDATE outbox SET state = 'delivered'",
        "UPDATE outbox SET state = 'dead', lane_id = NULL, settled_at = 1",
        "UPDATE outbox SET lane_id = NULL",
        "UPDATE outbox SET changes = 'no json'",
        "UPDATE lanes SET owner = 'main'",
        "UPDATE lanes SET held = 'why'",
        "UPDATE webhooks SET outcome = 'unmappable'",
        "UPDATE webhooks SET reason = 'none'",
        "UPDATE webhooks SET headers = 'x'",
        "INSERT INTO outbox SELECT 99, webhook_id, element, run, source, account, key, identifier, email, phone_number, \
             changes, policies, dropped, occurred_at, effective_at, created_at, state, lane_id, contact_id, outcomes, \
             reason_code, reason, failures, settled_at FROM outbox",
        "PRAGMA foreign_keys = ON; DELETE FROM webhooks",
        "PRAGMA foreign_keys = ON; DELETE FROM lanes",
    ] {
        refuses(sql);
    }
}

#[tokio::test]
async fn one_statement_tells_an_auditor_what_became_of_an_identifier() {
    let relay = Relay::start().await;
    let id = relay.linked("7").await;
    relay.crm(json!({ "event": "e1", "type": "user.changed", "id": 7, "name": "Ada", "phone": "none" })).await;
    relay.deliver().await;
    assert_eq!(
        relay.table("SELECT * FROM audit WHERE identifier = '7'"),
        json!([{
            "id": 1,
            "received": "2026-11-22T12:00:00.000Z",
            "source": "crm",
            "event": "user.changed",
            "event_id": "e1",
            "webhook_id": 1,
            "identifier": "7",
            "email": null,
            "phone_number": null,
            "account": "store",
            "contact_id": id,
            "changes": { "name": "Ada" },
            "outcomes": { "name": "delivered" },
            "dropped": [{ "field": "phone_number", "reason": "it is no valid phone number" }],
            "state": "delivered",
            "reason": null,
            "attempts": 1,
            "last_status": 200,
            "last_error": null,
            "settled": "2026-11-22T12:00:00.000Z",
        }])
    );
}

// The one writer.

#[tokio::test]
async fn a_bad_write_fails_alone_and_does_not_spoil_the_batch_it_is_in() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(&directory.path().join("relay.db")).await.unwrap();
    // On one thread all are queued before the writer runs, so that they are one batch. This one breaks a CHECK.
    let mut bad = webhook("bad");
    bad.headers = "no json".to_owned();
    let replay = Replay {
        webhook: 4711, // There is none.
        now: NOW,
        outcome: NewOutcome::Ignored("none".to_owned()),
        left_out: None,
    };
    let mut batch: Vec<NewWebhook> = (0..20).map(|n| webhook(&format!("good {n}"))).collect();
    batch.insert(10, bad);
    let accepting = join_all(batch.into_iter().map(|webhook| store.accept(webhook)));
    let (answers, replayed, counted) =
        tokio::join!(accepting, store.replay(replay), store.add_rejections(NOW, Vec::new()));
    for (n, answer) in answers.iter().enumerate() {
        assert_eq!(answer.is_err(), n == 10, "{n}: {answer:?}");
    }
    assert!(replayed.is_err());
    assert!(counted.is_ok());
    store.close().await;
    assert_eq!(sqlite3(store.path(), &[], "SELECT count(*) FROM webhooks"), "20");
    let books = sqlite3(store.path(), &[], "SELECT group_concat(counter || ' ' || count, ', ') FROM books");
    assert_eq!(books, "accepted 20, mapped 20", "what was rolled back is not counted");
}

#[tokio::test]
async fn writes_that_wait_share_a_commit() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(&directory.path().join("relay.db")).await.unwrap();
    let wal = || std::fs::metadata(directory.path().join("relay.db-wal")).unwrap().len();
    let before = wal();
    join_all((0..100).map(|n| store.accept(webhook(&format!("{n}"))))).await;
    let together = wal() - before;
    let before = wal();
    for n in 100..200 {
        store.accept(webhook(&format!("{n}"))).await.unwrap();
    }
    let one_by_one = wal() - before;
    // Each commit writes each page that it touched; a shared one writes it once.
    assert!(together * 5 < one_by_one, "{together} bytes together, {one_by_one} one by one");
}

#[tokio::test]
async fn what_is_queued_when_the_service_stops_is_on_disk() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(&directory.path().join("relay.db")).await.unwrap();
    let accepting = join_all((0..50).map(|n| {
        let (store, webhook) = (store.clone(), webhook(&format!("{n}")));
        async move { store.accept(webhook).await }
    }));
    let (answers, ()) = tokio::join!(accepting, store.close());
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
    assert_eq!(sqlite3(store.path(), &[], "SELECT count(*) FROM webhooks"), "50");
    assert!(matches!(store.accept(webhook("late")).await, Err(StoreError::Closed)));
}

#[tokio::test]
async fn a_store_with_too_much_waiting_says_so_at_once() {
    let directory = tempfile::tempdir().unwrap();
    let settings = WriterSettings { group: 2, queue: 4 };
    let store = Store::open(&directory.path().join("relay.db"), settings).await.unwrap();
    let answers = join_all((0..10).map(|n| store.accept(webhook(&format!("{n}"))))).await;
    let stored = answers.iter().filter(|answer| answer.is_ok()).count();
    let busy = answers.iter().filter(|answer| matches!(answer, Err(StoreError::Busy))).count();
    assert_eq!((stored, busy), (4, 6), "{answers:?}");
    assert_eq!(sqlite3(store.path(), &[], "SELECT count(*) FROM webhooks"), "4");
}
