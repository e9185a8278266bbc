//! The one writer of a process: it drains what is queued, commits it as one transaction, and only then answers all of
//! it. A single fsync thus carries up to [`WriterSettings::group`] webhooks.
//!
//! Invariants: an answer `Ok` means committed. A queued write runs even if whoever asked has left. When a batch fails,
//! each of its writes is redone in a transaction of its own, so that only the bad one fails.

use std::{io, sync::Arc, thread, time::Duration};

use futures_util::future::BoxFuture;
use sqlx::{Connection as _, SqliteConnection};
use tokio::{
    runtime,
    sync::{Mutex, mpsc, oneshot},
    time,
};

use super::{
    StoreError,
    accept::{self, Acceptance, NewWebhook},
};

/// While writes come close together, each batch waits this long for company: webhooks that are still being mapped then
/// share its statements and its fsync, which saves a tenth of the processor time of each and costs a lone write nothing.
const GATHER: Duration = Duration::from_millis(2);

/// How much the writer takes at once.
#[derive(Clone, Copy, Debug)]
pub struct WriterSettings {
    /// Writes per transaction at most.
    pub group: usize,
    /// Writes that may wait; beyond it the store answers [`StoreError::Busy`].
    pub queue: usize,
}

impl Default for WriterSettings {
    fn default() -> Self {
        Self { group: 256, queue: 4096 }
    }
}

/// A change of the store that is not a webhook's acceptance. It may run twice (once in a failed batch, once alone),
/// so it keeps nothing from a run that was rolled back.
pub(super) trait Write: Send + 'static {
    /// What it answers once committed.
    type Output: Send + 'static;

    /// Makes the change inside the writer's transaction.
    fn run<'a>(&'a self, tx: &'a mut SqliteConnection) -> BoxFuture<'a, Result<Self::Output, StoreError>>;
}

/// A write that changes nothing: its answer says that the writer is alive and can begin a transaction.
pub(super) struct Nothing;

impl Write for Nothing {
    type Output = ();

    fn run<'a>(&'a self, _tx: &'a mut SqliteConnection) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(std::future::ready(Ok(())))
    }
}

/// A write whose answer is kept until the commit.
trait Queued: Send {
    fn run<'a>(&'a mut self, tx: &'a mut SqliteConnection) -> BoxFuture<'a, Result<(), StoreError>>;
    fn answer(self: Box<Self>, committed: Result<(), StoreError>);
}

struct Waiting<W: Write> {
    write: W,
    output: Option<W::Output>,
    answer: oneshot::Sender<Result<W::Output, StoreError>>,
}

impl<W: Write> Queued for Waiting<W> {
    fn run<'a>(&'a mut self, tx: &'a mut SqliteConnection) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async move {
            self.output = Some(self.write.run(tx).await?);
            Ok(())
        })
    }

    fn answer(self: Box<Self>, committed: Result<(), StoreError>) {
        let Self { output, answer, .. } = *self;
        // Whoever asked may have left; the change stands all the same.
        let _ = answer.send(committed.and_then(|()| output.ok_or(StoreError::Closed)));
    }
}

struct Arrival {
    webhook: NewWebhook,
    answer: oneshot::Sender<Result<Acceptance, StoreError>>,
}

/// The handle to the writing task.
#[derive(Clone, Debug)]
pub struct Writer {
    arrivals: mpsc::Sender<Arrival>,
    writes: mpsc::Sender<Box<dyn Queued>>,
    stopped: Arc<Mutex<Option<oneshot::Receiver<()>>>>,
    stop: tokio_util::sync::CancellationToken,
}

impl std::fmt::Debug for dyn Queued {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Queued")
    }
}

impl std::fmt::Debug for Arrival {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Arrival")
    }
}

impl Writer {
    pub(super) fn start(connection: SqliteConnection, settings: WriterSettings) -> io::Result<Self> {
        let (arrivals, arrival_queue) = mpsc::channel(settings.queue);
        let (writes, write_queue) = mpsc::channel(settings.queue);
        let (ended, stopped) = oneshot::channel();
        let stop = tokio_util::sync::CancellationToken::new();
        let task = Task {
            connection,
            arrivals: arrival_queue,
            writes: write_queue,
            group: settings.group,
            stop: stop.clone(),
        };
        // A thread of its own: each statement is a question to the connection's thread, and a thread that does nothing
        // else than wait for the answer is woken for less than a worker of the runtime, which wakes others in turn.
        let runtime = runtime::Builder::new_current_thread().enable_time().build()?;
        thread::Builder::new().name("store-writer".to_owned()).spawn(move || {
            runtime.block_on(task.run());
            let _ = ended.send(());
        })?;
        Ok(Self { arrivals, writes, stopped: Arc::new(Mutex::new(Some(stopped))), stop })
    }

    /// Stores a webhook; returns once it is on disk.
    pub(super) async fn accept(&self, webhook: NewWebhook) -> Result<Acceptance, StoreError> {
        let (answer, committed) = oneshot::channel();
        self.arrivals.try_send(Arrival { webhook, answer }).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => StoreError::Busy,
            mpsc::error::TrySendError::Closed(_) => StoreError::Closed,
        })?;
        committed.await.map_err(|_| StoreError::Closed)?
    }

    /// Makes a change; returns once it is on disk.
    pub(super) async fn write<W: Write>(&self, write: W) -> Result<W::Output, StoreError> {
        let (answer, committed) = oneshot::channel();
        let waiting = Box::new(Waiting { write, output: None, answer });
        self.writes.send(waiting).await.map_err(|_| StoreError::Closed)?;
        committed.await.map_err(|_| StoreError::Closed)?
    }

    /// Commits what is queued and ends the task.
    pub(super) async fn stop(&self) {
        self.stop.cancel();
        if let Some(stopped) = self.stopped.lock().await.take() {
            let _ = stopped.await;
        }
    }
}

struct Task {
    connection: SqliteConnection,
    arrivals: mpsc::Receiver<Arrival>,
    writes: mpsc::Receiver<Box<dyn Queued>>,
    group: usize,
    stop: tokio_util::sync::CancellationToken,
}

impl Task {
    async fn run(mut self) {
        let mut batch = Batch::default();
        let mut busy = false;
        while self.fill(&mut batch, busy).await {
            busy = batch.arrivals.len() + batch.writes.len() > 1;
            batch.commit(&mut self.connection).await;
        }
        // The last connection to close folds the write-ahead log back into the file.
        let _ = self.connection.close().await;
    }

    /// Takes what is queued, webhooks first; when `busy`, also what arrives soon. False when there is nothing left to
    /// come.
    async fn fill(&mut self, batch: &mut Batch, busy: bool) -> bool {
        tokio::select! {
            biased;
            count = self.arrivals.recv_many(&mut batch.arrivals, self.group) => if count == 0 { return false },
            write = self.writes.recv() => match write {
                Some(write) => batch.writes.push(write),
                None => return false,
            },
            () = self.stop.cancelled() => {
                self.arrivals.close();
                self.writes.close();
            }
        }
        if busy {
            time::sleep(GATHER).await;
        }
        while batch.arrivals.len() < self.group
            && let Ok(arrival) = self.arrivals.try_recv()
        {
            batch.arrivals.push(arrival);
        }
        while batch.writes.len() < self.group
            && let Ok(write) = self.writes.try_recv()
        {
            batch.writes.push(write);
        }
        !(self.stop.is_cancelled() && batch.arrivals.is_empty() && batch.writes.is_empty())
    }
}

#[derive(Default)]
struct Batch {
    arrivals: Vec<Arrival>,
    writes: Vec<Box<dyn Queued>>,
}

impl Batch {
    async fn commit(&mut self, connection: &mut SqliteConnection) {
        match self.together(connection).await {
            Ok(acceptances) => {
                for (arrival, acceptance) in self.arrivals.drain(..).zip(acceptances) {
                    let _ = arrival.answer.send(Ok(acceptance));
                }
                self.writes.drain(..).for_each(|write| write.answer(Ok(())));
            }
            Err(_) => self.one_by_one(connection).await,
        }
    }

    async fn together(&mut self, connection: &mut SqliteConnection) -> Result<Vec<Acceptance>, StoreError> {
        let (arrivals, writes) = (&self.arrivals, &mut self.writes);
        begin(connection).await?;
        let result = async {
            let webhooks: Vec<&NewWebhook> = arrivals.iter().map(|arrival| &arrival.webhook).collect();
            let acceptances = accept::all(&webhooks, connection).await?;
            for write in writes.iter_mut() {
                write.run(connection).await?;
            }
            Ok(acceptances)
        }
        .await;
        end(connection, result).await
    }

    async fn one_by_one(&mut self, connection: &mut SqliteConnection) {
        for arrival in self.arrivals.drain(..) {
            let result = match begin(connection).await {
                Ok(()) => {
                    let accepted = accept::all(&[&arrival.webhook], connection).await;
                    let accepted = accepted.and_then(|mut one| one.pop().ok_or(StoreError::Closed));
                    end(connection, accepted).await
                }
                Err(error) => Err(error),
            };
            let _ = arrival.answer.send(result);
        }
        for mut write in self.writes.drain(..) {
            let result = match begin(connection).await {
                Ok(()) => {
                    let done = write.run(connection).await;
                    end(connection, done).await
                }
                Err(error) => Err(error),
            };
            write.answer(result);
        }
    }
}

async fn begin(connection: &mut SqliteConnection) -> Result<(), StoreError> {
    // IMMEDIATE: a transaction that starts by reading could not wait for another process's write.
    sqlx::query("BEGIN IMMEDIATE").execute(connection).await?;
    Ok(())
}

async fn end<T>(connection: &mut SqliteConnection, result: Result<T, StoreError>) -> Result<T, StoreError> {
    let result = match result {
        Ok(value) => sqlx::query("COMMIT").execute(&mut *connection).await.map(|_| value).map_err(StoreError::from),
        Err(error) => Err(error),
    };
    if result.is_err() {
        // SQLite has rolled back by itself after some faults (a full disk); then this one says so, and is right.
        let _ = sqlx::query("ROLLBACK").execute(&mut *connection).await;
    }
    result
}
