//! The HTTP faces of the service, and the only module that names actix-web beside the sandbox.
//!
//! | port | path | answers |
//! | --- | --- | --- |
//! | public | `POST /hooks/{source}` | 200 once stored; GET and HEAD as the sender's handshake needs them |
//! | both | `GET /healthz` | 200 while the process lives |
//! | admin | `GET /readyz` | 200 while the store answers, else 503 |
//! | admin | `GET /api/v1/sources/{name}/diagnose` | why the last requests of a source were refused; needs the token |
//!
//! Everything else is a problem document (RFC 9457) with a stable `code`.

mod api;
mod auth;
mod health;
mod hooks;
mod problem;

use std::{net::TcpListener, time::Duration};

use actix_web::{App, HttpServer, Resource, dev::Server, web};
use secrecy::SecretString;

use crate::{clock::Clock, ingest::Ingest, store::Store};

/// A client has this long to send its request's head.
const HEAD_TIMEOUT: Duration = Duration::from_secs(5);
/// Idle connections are kept as long as the usual proxy keeps its own.
const KEEP_ALIVE: Duration = Duration::from_secs(75);
/// How long a soft stop waits for requests that are being answered.
const SHUTDOWN_TIMEOUT_S: u64 = 10;
/// Connections per worker; beyond it the system's queue holds them.
const CONNECTIONS: usize = 10_000;

/// What the handlers share.
#[derive(Clone, Debug)]
struct Shared {
    ingest: Ingest,
    clock: Clock,
}

/// The public face: webhooks, and a sign of life.
pub fn public(listener: TcpListener, ingest: Ingest, clock: Clock, workers: usize) -> std::io::Result<Server> {
    let shared = web::Data::new(Shared { ingest, clock });
    let server = HttpServer::new(move || {
        App::new()
            .app_data(shared.clone())
            .service(web::resource("/hooks/{source}").route(web::to(hooks::receive)))
            .service(healthz())
            .default_service(web::to(problem::no_such_path))
    })
    .workers(workers)
    .client_request_timeout(HEAD_TIMEOUT)
    .keep_alive(KEEP_ALIVE)
    .max_connections(CONNECTIONS)
    .shutdown_timeout(SHUTDOWN_TIMEOUT_S)
    .disable_signals()
    .listen(listener)?
    .run();
    Ok(server)
}

/// What the admin face answers from.
#[derive(Debug)]
pub struct AdminParts {
    /// The database.
    pub store: Store,
    /// Knows the sources and what was refused.
    pub ingest: Ingest,
    /// The time.
    pub clock: Clock,
    /// The bearer token that opens the API.
    pub token: SecretString,
}

/// The admin face: readiness, and the API for whoever has the token.
pub fn admin(listener: TcpListener, parts: AdminParts) -> std::io::Result<Server> {
    let AdminParts { store, ingest, clock, token } = parts;
    let store = web::Data::new(store);
    let shared = web::Data::new(Shared { ingest, clock });
    let token = web::Data::new(auth::Token::new(&token));
    let server = HttpServer::new(move || {
        App::new()
            .app_data(store.clone())
            .app_data(shared.clone())
            .app_data(token.clone())
            .service(healthz())
            .service(
                web::resource("/readyz").route(web::get().to(health::ready)).default_service(web::to(problem::not_get)),
            )
            .service(
                web::resource("/api/v1/sources/{name}/diagnose")
                    .route(web::get().to(api::diagnose))
                    .default_service(web::to(problem::not_get)),
            )
            .default_service(web::to(problem::no_such_path))
    })
    .workers(1)
    .client_request_timeout(HEAD_TIMEOUT)
    .keep_alive(KEEP_ALIVE)
    .max_connections(CONNECTIONS)
    .shutdown_timeout(SHUTDOWN_TIMEOUT_S)
    .disable_signals()
    .listen(listener)?
    .run();
    Ok(server)
}

fn healthz() -> Resource {
    web::resource("/healthz")
        .route(web::get().to(health::alive))
        .route(web::head().to(health::alive))
        .default_service(web::to(problem::not_get))
}
