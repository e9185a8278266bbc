//! The world of the demonstration: a fresh directory with a configuration and a database, the sandbox as the target,
//! and the service as `serve` runs it.

use std::{
    fs, io,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::Context as _;
use tokio::{task::JoinHandle, time};
use tokio_util::sync::CancellationToken;

use super::{
    script::{BY_HAND, KNOWN, Known, Step},
    sending::{self, Answer},
    verify::Ending,
};
use crate::{
    app::{App, Ports, ServiceLock},
    cli::context::chance,
    clock::{Clock, Timestamp},
    config::{self, Config, ProcessEnvironment},
    contacts::ContactKey,
    sandbox::{CallRecord, ContactRecord, Fault, FaultKind, Match, NewContact, Options, Sandbox},
    store::{Link, LinkOrigin, OutboxRecord, Store},
};

/// The configuration, with places for what is known only at the start.
const CONFIGURATION: &str = include_str!("demo.toml");
/// The account's name in it.
const ACCOUNT: &str = "store";
/// How long an update may take to be settled, its retries included.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often the outbox is looked at meanwhile.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Where the files are.
#[derive(Debug)]
pub(super) struct Place {
    /// The directory, which is the demonstration's alone.
    pub(super) directory: PathBuf,
    /// The configuration.
    pub(super) configuration: PathBuf,
    /// The database.
    pub(super) database: PathBuf,
    /// A webhook's body to send by hand.
    pub(super) by_hand: PathBuf,
}

impl Place {
    /// Makes a fresh directory under the system's one for temporary files.
    fn make() -> io::Result<Self> {
        let name = format!("contact-relay-demo-{:08x}", rand::random::<u32>());
        let directory = std::env::temp_dir().join(name);
        private_directory().create(&directory)?;
        Ok(Self {
            configuration: directory.join(config::DEFAULT_PATH),
            database: directory.join("contact-relay.db"),
            by_hand: directory.join("crm-user.json"),
            directory,
        })
    }
}

/// For this user only, where the system knows users. A directory that is there already is an error.
fn private_directory() -> fs::DirBuilder {
    #[cfg(unix)]
    {
        use std::os::unix::fs::DirBuilderExt as _;
        let mut builder = fs::DirBuilder::new();
        builder.mode(0o700);
        builder
    }
    #[cfg(not(unix))]
    fs::DirBuilder::new()
}

/// Everything that runs.
pub(super) struct World {
    /// The files.
    pub(super) place: Place,
    /// The stand-in Chatwoot.
    pub(super) sandbox: Sandbox,
    /// Where webhooks arrive.
    pub(super) public: SocketAddr,
    /// For operators.
    pub(super) admin: SocketAddr,
    config: Config,
    store: Store,
    clock: Clock,
    calls_shown: u64,
    stop: CancellationToken,
    serving: JoinHandle<anyhow::Result<()>>,
    _lock: ServiceLock,
}

impl World {
    /// Starts sandbox and service, and links the contacts that are known.
    pub(super) async fn start(clock: Clock) -> anyhow::Result<Self> {
        let place = Place::make().context("a directory for the demonstration cannot be made")?;
        let sandbox = Sandbox::start(Options { clock: clock.clone(), ..Options::default() }).await?;
        let ports = Ports { public: listen()?, admin: Some(listen()?) };
        let (public, admin) = (ports.public.local_addr()?, address(ports.admin.as_ref())?);
        fs::write(&place.configuration, configuration(&sandbox, public, admin, &place.database))?;
        fs::write(&place.by_hand, BY_HAND)?;
        let config = config::load(&place.configuration, &ProcessEnvironment)?.config;
        let lock = ServiceLock::take(&config.database.path)?;
        let app = App::build(&config, clock.clone(), chance()).await?;
        let store = app.store.clone();
        let now = clock.now();
        store.link(ACCOUNT, KNOWN.map(|known| seed(&sandbox, &known)).into(), now).await?;
        let stop = CancellationToken::new();
        let serving = tokio::spawn(app.serve(ports, stop.clone()));
        let calls_shown = 0;
        Ok(Self { place, sandbox, public, admin, config, store, clock, calls_shown, stop, serving, _lock: lock })
    }

    /// The present moment.
    pub(super) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Sends a step's webhook as its sender would.
    pub(super) async fn send(&self, step: &Step) -> anyhow::Result<Answer> {
        sending::send(step, &self.config, self.public, self.now()).await
    }

    /// Lets Chatwoot answer the next update of a contact with 500.
    pub(super) async fn make_trouble(&self, identifier: &str) -> anyhow::Result<()> {
        let link = self.store.link_of(ACCOUNT, &ContactKey::from_text(identifier)).await?;
        let contact_id = link.map(|link| link.contact_id);
        let when = Match { method: Some("PATCH".to_owned()), contact_id, ..Match::any() };
        self.sandbox.set_faults(vec![Fault::new(FaultKind::status(500)).when(when).times(1)]);
        Ok(())
    }

    /// Waits until every update of a webhook is settled. After [`PATIENCE`] they are answered as they are.
    pub(super) async fn settled(&self, webhook: i64) -> anyhow::Result<Vec<OutboxRecord>> {
        self.wait(webhook, async |rows| Ok(rows.iter().all(|row| !row.state.is_open()))).await
    }

    /// Waits until a call with an update of a webhook has failed, or all is settled.
    pub(super) async fn failed_once(&self, webhook: i64) -> anyhow::Result<Vec<OutboxRecord>> {
        let failed = async |rows: &[OutboxRecord]| {
            for row in rows.iter().filter(|row| row.state.is_open()) {
                let attempts = self.store.attempts_of(row.id).await?;
                if !attempts.iter().any(|attempt| attempt.ended_at.is_some()) {
                    return Ok(false);
                }
            }
            Ok(true)
        };
        self.wait(webhook, failed).await
    }

    async fn wait(
        &self,
        webhook: i64,
        over: impl AsyncFn(&[OutboxRecord]) -> anyhow::Result<bool>,
    ) -> anyhow::Result<Vec<OutboxRecord>> {
        let waiting = async {
            while !over(&self.store.rows_of(webhook).await?).await? {
                time::sleep(LOOK_EVERY).await;
            }
            Ok::<_, anyhow::Error>(())
        };
        if let Ok(waited) = time::timeout(PATIENCE, waiting).await {
            waited?;
        }
        Ok(self.store.rows_of(webhook).await?)
    }

    /// The calls that Chatwoot received since this was asked last.
    pub(super) fn new_calls(&mut self) -> Vec<CallRecord> {
        let calls: Vec<_> = self.sandbox.calls().into_iter().filter(|call| call.number > self.calls_shown).collect();
        self.calls_shown = calls.last().map_or(self.calls_shown, |call| call.number);
        calls
    }

    /// The contact that updates were about.
    pub(super) fn contact_of(&self, rows: &[OutboxRecord]) -> Option<ContactRecord> {
        rows.iter().find_map(|row| row.contact_id).and_then(|id| self.sandbox.contact(id))
    }

    /// What there is when the story is over.
    pub(super) async fn ending(&self) -> anyhow::Result<Ending> {
        let open = self.store.open_rows().await?;
        Ok(Ending { contacts: self.sandbox.contacts(), overlaps: self.sandbox.overlaps(), open })
    }

    /// Waits until the service ends by itself, which it should not. May be dropped and called again.
    pub(super) async fn ended(&mut self) -> anyhow::Error {
        match (&mut self.serving).await {
            Ok(Ok(())) => anyhow::anyhow!("the service ended by itself"),
            Ok(Err(error)) => error,
            Err(error) => anyhow::Error::new(error).context("the service failed"),
        }
    }

    /// Stops the service softly, then the sandbox; what is left are the files.
    pub(super) async fn stop(self) -> anyhow::Result<Place> {
        self.stop.cancel();
        self.serving.await.context("the service failed")??;
        self.sandbox.stop().await;
        Ok(self.place)
    }
}

/// A free port of this machine, listened on already, so that nobody takes it before the configuration names it.
fn listen() -> anyhow::Result<TcpListener> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("there is no free port on 127.0.0.1")
}

fn address(listener: Option<&TcpListener>) -> anyhow::Result<SocketAddr> {
    Ok(listener.context("the admin port is missing")?.local_addr()?)
}

fn configuration(sandbox: &Sandbox, public: SocketAddr, admin: SocketAddr, database: &Path) -> String {
    let quoted = |text: &str| toml::Value::from(text).to_string();
    CONFIGURATION
        .replace("{public}", &quoted(&public.to_string()))
        .replace("{admin}", &quoted(&admin.to_string()))
        .replace("{admin_token}", &quoted(&format!("{:032x}", rand::random::<u128>())))
        .replace("{database}", &quoted(&database.to_string_lossy()))
        .replace("{sandbox}", &quoted(&sandbox.base_url()))
        .replace("{account_id}", &sandbox.account_id().to_string())
        .replace("{api_access_token}", &quoted(sandbox.token()))
}

/// Keeps a known contact in Chatwoot; answers the link to it.
fn seed(sandbox: &Sandbox, known: &Known) -> Link {
    let contact_id = sandbox.seed(NewContact {
        name: Some(known.name.to_owned()),
        email: Some(known.email.to_owned()),
        ..NewContact::default()
    });
    Link { key: ContactKey::from_text(known.identifier), contact_id, origin: LinkOrigin::Import }
}
