//! The service put together from its configuration, and its life: start, serve, stop softly.

use std::{
    fs::{File, TryLockError},
    io,
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::Context as _;
use secrecy::SecretString;
use tokio_util::sync::CancellationToken;

use crate::{
    clock::Clock,
    config::{Config, PersonRequests, SourceConfig},
    delivery::{Account, Chance, Delivery},
    http::{self, AdminParts},
    ingest::{Ingest, PersonRequestRule, Route},
    store::{Store, WriterSettings},
};

/// The name this instance's leases carry. One service runs on a file, so its own former leases are its to take back.
const INSTANCE: &str = "main";
/// How long calls in flight may take to end after a stop is asked for.
pub const GRACE: Duration = Duration::from_secs(20);
/// How often the counts of refused requests are written down.
const SAVE_REFUSALS_EVERY: Duration = Duration::from_secs(5);

/// Everything the service is made of.
#[derive(Debug)]
pub struct App {
    /// The database.
    pub store: Store,
    /// Accepts webhooks.
    pub ingest: Ingest,
    /// Delivers updates.
    pub delivery: Delivery,
    clock: Clock,
    /// Opens the API of the admin port.
    admin_token: Option<SecretString>,
}

impl App {
    /// Opens the database and builds ingest and delivery. Nothing runs yet.
    pub async fn build(config: &Config, clock: Clock, chance: Chance) -> anyhow::Result<Self> {
        Self::build_as(config, clock, chance, INSTANCE).await
    }

    /// The same for a command beside a running service: its leases carry another name.
    pub async fn build_beside(config: &Config, clock: Clock, chance: Chance) -> anyhow::Result<Self> {
        Self::build_as(config, clock, chance, &format!("command {}", std::process::id())).await
    }

    async fn build_as(config: &Config, clock: Clock, chance: Chance, owner: &str) -> anyhow::Result<Self> {
        let path = &config.database.path;
        let store = Store::open(path, WriterSettings::default())
            .await
            .with_context(|| format!("the database {} cannot be opened", path.display()))?;
        let accounts = config
            .accounts
            .values()
            .map(|settings| {
                Account::new(settings.clone(), clock.clone()).with_context(|| format!("accounts.{}", settings.name))
            })
            .collect::<anyhow::Result<Vec<_>>>()?;
        let paused = config.sources.iter().filter(|(_, source)| source.paused).map(|(name, _)| name.clone()).collect();
        let delivery = Delivery::new(store.clone(), accounts, paused, clock.clone(), chance, owner);
        let wake = {
            let delivery = delivery.clone();
            Arc::new(move |account: &str| delivery.wake(account))
        };
        let ingest = Ingest::new(store.clone(), routes(config), wake);
        let admin_token = config.admin.as_ref().map(|admin| admin.token.clone());
        Ok(Self { store, ingest, delivery, clock, admin_token })
    }

    /// Serves until `stop`: first the ports close, then calls in flight end, then the database is closed.
    pub async fn serve(self, ports: Ports, stop: CancellationToken) -> anyhow::Result<()> {
        let taken_back = self.delivery.prepare().await?;
        if taken_back > 0 {
            tracing::warn!(lanes = taken_back, "took back what was in flight when the service last stopped");
        }
        let workers = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
        let public = http::public(ports.public, self.ingest.clone(), self.clock.clone(), workers)?;
        let mut servers = vec![public.handle()];
        let public = tokio::spawn(public);
        if let (Some(listener), Some(token)) = (ports.admin, &self.admin_token) {
            let behind = AdminParts {
                store: self.store.clone(),
                ingest: self.ingest.clone(),
                clock: self.clock.clone(),
                token: token.clone(),
            };
            let admin = http::admin(listener, behind)?;
            servers.push(admin.handle());
            tokio::spawn(admin);
        }
        let delivering = tokio::spawn({
            let (delivery, stop) = (self.delivery.clone(), stop.clone());
            async move { delivery.run(stop, GRACE).await }
        });
        self.until(&stop, public).await?;
        stop.cancel();
        tracing::info!("stopping: no new webhooks, calls in flight may end");
        for server in servers {
            server.stop(true).await;
        }
        delivering.await.context("the delivery task failed")?;
        self.ingest.save_refusals(self.clock.now()).await?;
        self.store.close().await;
        tracing::info!("stopped");
        Ok(())
    }

    /// Waits for the stop, or for the public server to end by itself, which it should not.
    async fn until(
        &self,
        stop: &CancellationToken,
        mut public: tokio::task::JoinHandle<io::Result<()>>,
    ) -> anyhow::Result<()> {
        loop {
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                ended = &mut public => return ended.context("the public server failed")?.context("the public server failed"),
                () = tokio::time::sleep(SAVE_REFUSALS_EVERY) => {
                    if let Err(error) = self.ingest.save_refusals(self.clock.now()).await {
                        tracing::warn!("refused requests could not be counted: {error}");
                    }
                }
            }
        }
    }
}

fn routes(config: &Config) -> Vec<Route> {
    config
        .sources
        .values()
        .map(|source| Route {
            source: Arc::clone(&source.source),
            mapping: Arc::clone(&source.mapping),
            account: source.account.as_str().into(),
            repeat_window: source.repeat_window,
            person_requests: person_request_rule(source),
            max_body: source.max_body,
            handshake: source.handshake.clone(),
        })
        .collect()
}

fn person_request_rule(source: &SourceConfig) -> PersonRequestRule {
    match source.person_requests {
        PersonRequests::Hold | PersonRequests::Erase => {
            PersonRequestRule::Record { due_in: source.spec.person.as_ref().and_then(|person| person.due_in) }
        }
        PersonRequests::Ignore => PersonRequestRule::Ignore,
    }
}

/// Ports that are listened on already, so that a port in use is an error before anything else happens.
#[derive(Debug)]
pub struct Ports {
    /// For webhooks.
    pub public: TcpListener,
    /// For operators.
    pub admin: Option<TcpListener>,
}

impl Ports {
    /// Listens where the configuration says.
    pub fn bind(config: &Config) -> anyhow::Result<Self> {
        let public = bind(config.server.listen, "server.listen")?;
        let admin = config.admin.as_ref().map(|admin| bind(admin.listen, "admin.listen")).transpose()?;
        Ok(Self { public, admin })
    }

    /// Where webhooks arrive.
    pub fn public_address(&self) -> io::Result<SocketAddr> {
        self.public.local_addr()
    }
}

fn bind(address: SocketAddr, key: &str) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).with_context(|| format!("{key}: cannot listen on {address}"))
}

/// The right to be the one service of a database file. It ends with the process, however that ends.
#[derive(Debug)]
pub struct ServiceLock(
    #[expect(dead_code, reason = "held for its lock, which the system releases with the file")] File,
);

impl ServiceLock {
    /// Takes the lock of a database file.
    pub fn take(database: &Path) -> anyhow::Result<Self> {
        let mut path = database.as_os_str().to_owned();
        path.push(".lock");
        let path = PathBuf::from(path);
        let file = File::options().create(true).truncate(false).write(true).open(&path);
        let file = file.with_context(|| format!("{} cannot be written", path.display()))?;
        match file.try_lock() {
            Ok(()) => Ok(Self(file)),
            Err(TryLockError::WouldBlock) => anyhow::bail!(
                "another contact-relay serves {} already; stop it first, or give this one another `[database] path`",
                database.display()
            ),
            Err(TryLockError::Error(error)) => {
                Err(error).with_context(|| format!("{} cannot be locked", path.display()))
            }
        }
    }
}
