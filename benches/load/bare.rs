//! What the service is held against: servers of the fewest lines that do the same for their sender, and nothing for
//! anybody else. The first shows what HTTP and the signature cost, the second what durability costs on top.

use std::{net::SocketAddr, path::Path};

use actix_web::{App, HttpRequest, HttpResponse, HttpServer, http::header::HeaderValue, web};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};
use sqlx::{
    Connection as _, SqliteConnection,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous},
};
use tokio::sync::{mpsc, oneshot};

use crate::support::SECRET;

/// The most webhooks of one commit, as the service has it.
const GROUP: usize = 256;

/// Reads the body, checks its HMAC-SHA256, answers.
pub(crate) fn without_storage(workers: usize) -> SocketAddr {
    serve(workers, None)
}

/// The same, and commits body and key before it answers: one writer, and one transaction for all that is waiting.
pub(crate) async fn with_group_commit(workers: usize, database: &Path) -> SocketAddr {
    let options = SqliteConnectOptions::new()
        .filename(database)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .pragma("wal_autocheckpoint", "16000");
    let mut connection = SqliteConnection::connect_with(&options).await.expect("a database");
    sqlx::query(
        "CREATE TABLE webhooks (id INTEGER PRIMARY KEY, key INTEGER NOT NULL UNIQUE, body BLOB NOT NULL) STRICT",
    )
    .execute(&mut connection)
    .await
    .expect("a table");
    let (arrivals, queue) = mpsc::channel(4096);
    tokio::spawn(write(connection, queue));
    serve(workers, Some(arrivals))
}

#[derive(Clone)]
struct Shared {
    key: Hmac<Sha256>,
    arrivals: Option<mpsc::Sender<Arrival>>,
}

struct Arrival {
    key: i64,
    body: Bytes,
    answer: oneshot::Sender<()>,
}

fn serve(workers: usize, arrivals: Option<mpsc::Sender<Arrival>>) -> SocketAddr {
    let key = Hmac::new_from_slice(SECRET.as_bytes()).expect("a key of any length will do");
    let shared = web::Data::new(Shared { key, arrivals });
    let server = HttpServer::new(move || {
        App::new().app_data(shared.clone()).service(web::resource("/hooks/{source}").route(web::post().to(receive)))
    });
    let server = server.workers(workers).disable_signals().bind("127.0.0.1:0").expect("a port");
    let address = server.addrs()[0];
    tokio::spawn(server.run());
    address
}

async fn receive(request: HttpRequest, body: Bytes, shared: web::Data<Shared>) -> HttpResponse {
    let header = |name: &str| request.headers().get(name).map(HeaderValue::as_bytes).unwrap_or_default();
    let signature = STANDARD.decode(header("x-shopify-hmac-sha256")).unwrap_or_default();
    if shared.key.clone().chain_update(&body).verify_slice(&signature).is_err() {
        return HttpResponse::Unauthorized().finish();
    }
    if let Some(arrivals) = &shared.arrivals {
        let digest = Sha256::digest(header("x-shopify-webhook-id"));
        let key = i64::from_be_bytes(*digest.first_chunk().expect("a digest has more than 8 bytes"));
        let (answer, committed) = oneshot::channel();
        let sent = arrivals.send(Arrival { key, body, answer }).await;
        if sent.is_err() || committed.await.is_err() {
            return HttpResponse::ServiceUnavailable().finish();
        }
    }
    HttpResponse::Ok().content_type("application/json").body(r#"{"status":"accepted"}"#)
}

async fn write(mut connection: SqliteConnection, mut queue: mpsc::Receiver<Arrival>) {
    let mut batch = Vec::with_capacity(GROUP);
    while queue.recv_many(&mut batch, GROUP).await > 0 {
        sqlx::query("BEGIN IMMEDIATE").execute(&mut connection).await.expect("begun");
        let mut rest = &batch[..];
        for size in [64, 16, 4, 1] {
            while let Some((rows, others)) = rest.split_at_checked(size) {
                insert(rows, &mut connection).await;
                rest = others;
            }
        }
        sqlx::query("COMMIT").execute(&mut connection).await.expect("committed");
        for arrival in batch.drain(..) {
            let _ = arrival.answer.send(());
        }
    }
}

async fn insert(rows: &[Arrival], connection: &mut SqliteConnection) {
    let values = vec!["(?, ?)"; rows.len()].join(", ");
    let sql = format!("INSERT INTO webhooks (key, body) VALUES {values} ON CONFLICT (key) DO NOTHING");
    let mut query = sqlx::query(sqlx::AssertSqlSafe(sql));
    for row in rows {
        query = query.bind(row.key).bind(&row.body[..]);
    }
    query.execute(connection).await.expect("inserted");
}
