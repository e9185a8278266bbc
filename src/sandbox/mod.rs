//! A stand-in for Chatwoot's contacts API, in memory: true to the real server in what it accepts, refuses and answers,
//! with faults that can be switched on, and a check that no two writes to one contact overlap.
//!
//! The behaviour is that of Chatwoot v4.15.1 as read from its source (github.com/chatwoot/chatwoot, tag v4.15.1), older
//! versions by [`Options::version`]. It is for tests, demonstrations and trying out a mapping; its people are made up,
//! so its records show themselves in failing tests. The token shows nowhere but in the profile, where the real server
//! shows it too.
//!
//! What it has: contacts (list, active, search, filter, create, show, update, delete, custom attributes, labels, merge),
//! profile, account, webhooks (kept, never sent), `GET /api` and `GET /health`. All else of the API is answered 404.
//! What differs: creates never race inside it, so the real server's rare 500 for a lost race does not happen; a deleted
//! contact's source ids are free at once; integers beyond 64 bits lose digits; `avatar` uploads are ignored.
//!
//! # Control over HTTP
//!
//! Outside the API, without a token, in JSON; `GET /sandbox` is a page that says the same.
//!
//! | call | effect |
//! | --- | --- |
//! | `GET /sandbox/contacts` | all [`ContactRecord`]s |
//! | `POST /sandbox/contacts` | seeds a [`NewContact`] or an array of them; `{"ids": [...]}` |
//! | `GET`, `DELETE /sandbox/calls` | the [`CallRecord`]s; forgets them and the overlaps |
//! | `GET /sandbox/overlaps` | the [`Overlap`]s |
//! | `GET`, `PUT`, `DELETE /sandbox/faults` | the [`Fault`]s that are on; replaces them; switches them off |
//! | `POST /sandbox/reset` | forgets everything |

mod answers;
mod app;
mod avatar;
mod call;
mod calls;
mod contacts;
mod control;
mod failure;
mod faults;
mod filter;
mod find;
mod gate;
mod labels;
mod limiter;
mod links;
mod merge;
mod options;
mod routes;
mod rules;
mod server;
mod shared;
#[cfg(test)]
mod tests;
mod typing;
mod webhooks;

use std::{
    fmt, io,
    net::{SocketAddr, TcpListener},
    sync::Arc,
    thread,
    time::Duration,
};

use actix_web::{App, HttpServer, dev::ServerHandle, rt::System, web};
use tokio::sync::oneshot;

pub use calls::{CallRecord, Overlap};
pub use contacts::{ContactInbox, ContactRecord, NewContact};
pub use faults::{Fault, FaultKind, Match};
pub use gate::Gate;
pub use options::{Inbox, Options, Role};
pub use routes::Subject;
pub use webhooks::WebhookRecord;

use self::shared::Shared;

/// How long an idle connection is kept: as long as the usual proxy does.
const KEEP_ALIVE: Duration = Duration::from_secs(75);

/// A running sandbox, on threads of its own. It stops when it is dropped; [`stop`](Self::stop) also waits until it has.
pub struct Sandbox {
    shared: Arc<Shared>,
    address: SocketAddr,
    server: ServerHandle,
}

/// Without contacts, calls and the token.
impl fmt::Debug for Sandbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sandbox").field("address", &self.address).finish_non_exhaustive()
    }
}

impl Sandbox {
    /// Listens and serves. Any runtime will do, and any number of sandboxes in one process.
    ///
    /// # Errors
    /// When the address cannot be listened on, or the server's thread cannot be started.
    pub async fn start(options: Options) -> io::Result<Self> {
        let listener = TcpListener::bind(options.listen)?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared::new(options));
        let (started, starting) = oneshot::channel();
        let state = Arc::clone(&shared);
        thread::Builder::new()
            .name("sandbox".to_owned())
            .spawn(move || System::new().block_on(serve(listener, state, started)))?;
        let server = starting.await.map_err(|_| io::Error::other("the sandbox's thread ended before it served"))??;
        Ok(Self { shared, address, server })
    }

    /// Where it serves: `http://127.0.0.1:PORT`.
    pub fn base_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The account the token's user is a member of.
    pub fn account_id(&self) -> i64 {
        self.shared.options.account_id
    }

    /// The token that is accepted.
    pub fn token(&self) -> &str {
        &self.shared.options.token
    }

    /// All contacts, by id.
    pub fn contacts(&self) -> Vec<ContactRecord> {
        self.shared.contacts()
    }

    /// The contact with this id.
    pub fn contact(&self, id: i64) -> Option<ContactRecord> {
        self.shared.lock().app.contacts.get(id).cloned()
    }

    /// Keeps a contact as it is, whatever the rules say, as old data and imports are. Returns its id.
    pub fn seed(&self, contact: NewContact) -> i64 {
        self.shared.seed(contact)
    }

    /// Changes a contact as an agent might, past all rules; nothing happens when there is none with this id. The id
    /// itself stays.
    pub fn edit(&self, id: i64, change: impl FnOnce(&mut ContactRecord)) {
        // The change is the caller's code: it runs outside the lock.
        if let Some(mut record) = self.contact(id) {
            change(&mut record);
            record.id = id;
            self.shared.lock().app.contacts.put(record);
        }
    }

    /// Deletes a contact, online or not.
    pub fn delete(&self, id: i64) {
        self.shared.lock().app.contacts.remove(id);
    }

    /// Merges `mergee` into `base`, as the API does; nothing happens when one is missing or the result is refused.
    pub fn merge(&self, base: i64, mergee: i64) {
        // A refusal leaves both as they were, which is all a caller can see.
        let _ = merge::merge(&mut self.shared.lock().app.contacts, base, mergee);
    }

    /// The outgoing webhooks that were made.
    pub fn webhooks(&self) -> Vec<WebhookRecord> {
        self.shared.lock().app.webhooks.all().to_vec()
    }

    /// The API calls received, oldest first: the last 100,000, within 64 MiB of bodies.
    pub fn calls(&self) -> Vec<CallRecord> {
        self.shared.lock().calls.all().cloned().collect()
    }

    /// Forgets the calls and the overlaps.
    pub fn clear_calls(&self) {
        self.shared.lock().calls.clear();
    }

    /// Pairs of writing calls that concerned one contact at the same time. A call counts as being handled until the
    /// server is done with it, even when its client has left; only one that hangs by a fault ends with its client.
    pub fn overlaps(&self) -> Vec<Overlap> {
        self.shared.lock().calls.overlaps().to_vec()
    }

    /// Replaces the faults, and ends the calls that hang by the old ones.
    pub fn set_faults(&self, faults: Vec<Fault>) {
        self.shared.set_faults(faults);
    }

    /// Switches all faults off, and ends the calls that hang.
    pub fn clear_faults(&self) {
        self.shared.set_faults(Vec::new());
    }

    /// The faults that are on, with how often each still strikes.
    pub fn faults(&self) -> Vec<Fault> {
        self.shared.lock().faults.all().to_vec()
    }

    /// Holds the calls that match, before they are carried out, until the gate is released or dropped.
    pub fn hold(&self, when: Match) -> Gate {
        let gate = Gate::new(when);
        self.shared.lock().gates.push(gate.barrier());
        gate
    }

    /// Forgets everything; gates stay.
    pub fn reset(&self) {
        self.shared.reset();
    }

    /// Stops at once, and returns when the port is free. Calls that are being handled are cut off.
    pub async fn stop(self) {
        self.server.stop(false).await;
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        // The command is sent right away; only waiting for its effect needs the future.
        drop(self.server.stop(false));
    }
}

async fn serve(listener: TcpListener, shared: Arc<Shared>, started: oneshot::Sender<io::Result<ServerHandle>>) {
    let data = web::Data::from(shared);
    let server = HttpServer::new(move || App::new().app_data(data.clone()).default_service(web::to(server::receive)))
        .workers(1)
        .keep_alive(KEEP_ALIVE)
        // A client that leaves must be noticed while its call is being handled.
        .h1_allow_half_closed(false)
        .disable_signals()
        .listen(listener);
    match server {
        Ok(server) => {
            let server = server.run();
            // Without a receiver nobody can stop the server, so it need not run.
            if started.send(Ok(server.handle())).is_ok() {
                // How the server ends is of no use to anyone: it ends because it was told to.
                let _ = server.await;
            }
        }
        Err(error) => drop(started.send(Err(error))),
    }
}
