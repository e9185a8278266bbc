//! From a request to a commit: verify over raw bytes, map, store, and only then say yes. One function stands behind
//! every webhook, wherever it comes from.

mod kept;
mod refusals;
mod refused;

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;

use serde::{Deserialize, Serialize};

use self::{refusals::Refusals, refused::LastRefused};
use crate::{
    clock::Timestamp,
    mapping::{Mapped, Mapping, Outcome, PersonRequest, Unreadable},
    sources::{
        Greeting, Handshake, Proof, Refusal, RefusedRequest, Request, Source, VerifiedWebhook,
        diagnose::{self, Finding},
    },
    store::{
        self, Accepted, NewOutcome, NewPersonRequest, NewRow, NewWebhook, Replay, Store, StoreError, WebhookRecord,
    },
};

/// How long a webhook waits for its commit before its sender is asked to come again. Senders give up after 3 s at the
/// least (Slack, Zoom).
pub const LONGEST_WAIT: Duration = Duration::from_millis(2_500);

/// What happens to the webhooks of one source.
#[derive(Clone, Debug)]
pub struct Route {
    /// How they prove themselves.
    pub source: Arc<Source>,
    /// How they become updates.
    pub mapping: Arc<Mapping>,
    /// Where the updates go.
    pub account: Arc<str>,
    /// How long a repeat without an event id counts as the same.
    pub repeat_window: Duration,
    /// What happens to requests of persons about their data.
    pub person_requests: PersonRequestRule,
    /// Bytes of the largest body.
    pub max_body: usize,
    /// A request the sender makes to see whether the address answers.
    pub handshake: Option<Handshake>,
}

/// What happens to requests of persons about their data. In any case they lead to no update.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PersonRequestRule {
    /// They are recorded as open.
    Record {
        /// How long they leave us.
        due_in: Option<Duration>,
    },
    /// Only the webhook is stored.
    Ignore,
}

/// Tells delivery that an account has work.
pub type Wake = Arc<dyn Fn(&str) + Send + Sync>;

/// Accepts webhooks. Cheap to clone.
#[derive(Clone)]
pub struct Ingest {
    shared: Arc<Shared>,
}

struct Shared {
    routes: HashMap<Arc<str>, Route>,
    store: Store,
    wake: Wake,
    refusals: Refusals,
    last_refused: LastRefused,
    /// The name that refusals of unknown sources are counted under; theirs would be the sender's choice.
    nowhere: Arc<str>,
}

impl fmt::Debug for Ingest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ingest").field("sources", &self.shared.routes.keys()).finish_non_exhaustive()
    }
}

/// What a webhook came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Received {
    /// Stored, with its updates.
    Accepted {
        /// Its id.
        webhook: i64,
    },
    /// Known already.
    Duplicate {
        /// The id of the first.
        webhook: i64,
    },
    /// Stored, and nothing follows from it.
    Ignored {
        /// Its id.
        webhook: i64,
    },
    /// The sender only wanted to see whether we answer.
    Greeted(Greeting),
}

/// Why a request was refused. Nothing of it was stored.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// The URL names no source of ours.
    #[error("no source has this name")]
    UnknownSource,
    /// It is no POST, and nothing that the sender is known to ask.
    #[error("webhooks are sent with POST")]
    Method,
    /// It did not prove itself; the sender is told nothing more than that.
    #[error("{0}")]
    Signature(Refusal),
    /// It is too large.
    #[error("the body is larger than {max_body} bytes")]
    TooLarge {
        /// Bytes of the largest body.
        max_body: usize,
    },
    /// It proved itself and cannot be read.
    #[error("{0}")]
    Unreadable(Unreadable),
    /// It could not be stored; it should come again.
    #[error("{0}")]
    NotStored(StoreError),
}

impl Refused {
    /// The reason's stable name: in logs, counters and answers to the sender, but for what is wrong with a signature.
    pub fn code(&self) -> &'static str {
        match self {
            Self::UnknownSource => "unknown_source",
            Self::Method => "method_not_allowed",
            Self::Signature(refusal) => refusal.code(),
            Self::TooLarge { .. } => "body_too_large",
            Self::Unreadable(_) => "unreadable_body",
            Self::NotStored(_) => "not_stored",
        }
    }
}

impl Ingest {
    /// Puts the routes of all sources together.
    pub fn new(store: Store, routes: Vec<Route>, wake: Wake) -> Self {
        let routes = routes.into_iter().map(|route| (Arc::clone(route.source.name()), route)).collect();
        let shared = Shared {
            routes,
            store,
            wake,
            refusals: Refusals::default(),
            last_refused: LastRefused::default(),
            nowhere: "".into(),
        };
        Self { shared: Arc::new(shared) }
    }

    /// The route of a source.
    pub fn route(&self, source: &str) -> Option<&Route> {
        self.shared.routes.get(source)
    }

    /// Verifies, maps and stores a request. When this returns `Ok`, the webhook is on disk.
    ///
    /// # Errors
    /// [`Refused`]; every refusal is counted under its source and reason.
    pub async fn receive(&self, source: &str, request: Request, now: Timestamp) -> Result<Received, Refused> {
        let received = self.try_receive(source, request, now).await;
        if let Err(refused) = &received {
            self.refuse(source, refused);
        }
        received
    }

    /// Counts a refusal that was decided before the request was whole, such as a body that is too large.
    pub fn refuse(&self, source: &str, refused: &Refused) {
        let name = self.route(source).map_or(&self.shared.nowhere, |route| route.source.name());
        self.shared.refusals.add(name, refused.code(), refused);
    }

    /// Writes the counts of refusals down, and forgets refused requests that are old.
    pub async fn save_refusals(&self, now: Timestamp) -> Result<(), StoreError> {
        self.shared.last_refused.forget_old(now);
        self.shared.refusals.save(&self.shared.store, now).await
    }

    async fn try_receive(&self, source: &str, request: Request, now: Timestamp) -> Result<Received, Refused> {
        let route = self.route(source).ok_or(Refused::UnknownSource)?;
        if request.body.len() > route.max_body {
            return Err(Refused::TooLarge { max_body: route.max_body });
        }
        if let Some(greeting) = route.handshake.as_ref().and_then(|handshake| handshake.greet(&request)) {
            return Ok(Received::Greeted(greeting));
        }
        if request.method != "POST" {
            return Err(Refused::Method);
        }
        let webhook = route.source.verify_or_return(request, now).map_err(|refused| {
            let RefusedRequest { refusal, request } = *refused;
            self.shared.last_refused.add(route.source.name(), &refusal, request, now);
            Refused::Signature(refusal)
        })?;
        let verifier = route.source.verifier();
        if let Some(greeting) =
            route.handshake.as_ref().and_then(|handshake| handshake.greet_signed(&webhook, verifier))
        {
            return Ok(Received::Greeted(greeting));
        }
        let mapped = route.map(&webhook).map_err(Refused::Unreadable)?;
        let ignored = matches!(mapped.result, Outcome::Ignored { .. } | Outcome::PersonRequest(_));
        let unmappable = match &mapped.result {
            Outcome::Unmappable { reason } => Some(reason.clone()),
            Outcome::Ignored { .. } | Outcome::Mapped(_) | Outcome::PersonRequest(_) => None,
        };
        let stored = tokio::time::timeout(LONGEST_WAIT, self.shared.store.accept(route.new_webhook(&webhook, mapped)));
        let acceptance = stored.await.unwrap_or(Err(StoreError::Busy)).map_err(Refused::NotStored)?;
        if let Some(first) = acceptance.differs_from {
            tracing::warn!(
                source.name = %route.source.name(),
                webhook.id = acceptance.webhook,
                first.id = first,
                "an event id came again with another body; both are kept"
            );
        }
        let webhook = acceptance.webhook;
        if let Some(reason) = unmappable {
            tracing::warn!(source.name = %route.source.name(), webhook.id = webhook, "webhook stored, and not mapped: {reason}");
        }
        tracing::debug!(source.name = %route.source.name(), webhook.id = webhook, accepted = ?acceptance.accepted, "webhook stored");
        if acceptance.accepted != Accepted::Repeat {
            (self.shared.wake)(&route.account);
        }
        Ok(match acceptance.accepted {
            Accepted::Repeat => Received::Duplicate { webhook },
            Accepted::Stored | Accepted::RepeatMapped if ignored => Received::Ignored { webhook },
            Accepted::Stored | Accepted::RepeatMapped => Received::Accepted { webhook },
        })
    }

    /// Explains the last refused requests of a source, newest first; `None` when there is no such source. Takes up to a
    /// second of computing: call it where that hurts nobody else.
    pub fn diagnose(&self, source: &str, now: Timestamp) -> Option<Vec<Diagnosis>> {
        let route = self.route(source)?;
        let others: Vec<&Source> = self.shared.routes.values().map(|route| &*route.source).collect();
        let explain = |request: &Request, at| diagnose::diagnose(&route.source, &others, request, at);
        let refused = self.shared.last_refused.of(source, now).into_iter();
        let diagnosed = refused.map(|refused| Diagnosis {
            at: refused.at,
            reason: refused.reason.to_owned(),
            findings: refused.request.map(|request| explain(&request, refused.at)).unwrap_or_default(),
        });
        Some(diagnosed.collect())
    }

    /// Maps a stored webhook again, through today's mapping.
    ///
    /// # Errors
    /// Why it cannot be mapped: its source or body is not there any more, or it cannot be read.
    pub fn remap(&self, record: &WebhookRecord, now: Timestamp) -> Result<Replay, CannotReplay> {
        let route = self.route(&record.source).ok_or_else(|| CannotReplay::NoSource(record.source.clone()))?;
        let body = record.body.clone().ok_or(CannotReplay::NoBody)?;
        let request = Request {
            method: record.method.clone(),
            path_query: format!("/hooks/{}?{}", record.source, record.query),
            headers: kept::read_back(&record.headers, record.content_type.as_deref()),
            body: Bytes::from(body),
        };
        let proof = Proof {
            secret: record.secret.and_then(|position| usize::try_from(position).ok()),
            signed_at: record.signed_at,
        };
        let webhook = route.source.read_back(request, record.received_at, proof);
        let mapped = route.map(&webhook).map_err(|unreadable| CannotReplay::Unreadable(unreadable.to_string()))?;
        let (outcome, left_out) = route.outcome(mapped);
        Ok(Replay { webhook: record.id, now, outcome, left_out })
    }
}

/// Why one request was refused. Shows nothing of its body.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Diagnosis {
    /// When it arrived.
    pub at: Timestamp,
    /// The reason's stable name, as in the counts of refusals.
    pub reason: String,
    /// What explains it; empty where the request was too large to be kept.
    pub findings: Vec<Finding>,
}

/// Why a stored webhook cannot be mapped again.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CannotReplay {
    /// Its source is not in the configuration any more.
    #[error("the configuration has no source `{0}`")]
    NoSource(String),
    /// Its body was pruned or erased.
    #[error("its body is not kept any more: see `[retention] bodies`")]
    NoBody,
    /// It cannot be read as today's configuration has it.
    #[error("{0}")]
    Unreadable(String),
}

impl Route {
    fn map(&self, webhook: &VerifiedWebhook) -> Result<Mapped, Unreadable> {
        self.mapping.map(webhook, self.source.verifier().signed_headers())
    }

    fn new_webhook(&self, webhook: &VerifiedWebhook, mapped: Mapped) -> NewWebhook {
        let request = webhook.request();
        let (topic, event_id) = (mapped.topic.clone(), mapped.event_id.clone());
        let (outcome, left_out) = self.outcome(mapped);
        NewWebhook {
            source: Arc::clone(webhook.source()),
            topic,
            event_id,
            received_at: webhook.received_at(),
            signed_at: webhook.proof().signed_at,
            secret: webhook.proof().secret,
            method: request.method.clone(),
            query: kept::query(&request.path_query, self.source.verifier()),
            content_type: request.headers.one("content-type").ok().flatten().map(str::to_owned),
            headers: kept::headers(&request.headers, self.source.verifier()),
            body: request.body.clone(),
            repeat_window: self.repeat_window,
            outcome,
            left_out,
        }
    }

    fn person_request(&self, request: PersonRequest) -> NewOutcome {
        match self.person_requests {
            PersonRequestRule::Record { due_in } => {
                NewOutcome::PersonRequest(NewPersonRequest { account: Arc::clone(&self.account), request, due_in })
            }
            PersonRequestRule::Ignore => NewOutcome::Ignored(request.reason().to_owned()),
        }
    }

    fn outcome(&self, mapped: Mapped) -> (NewOutcome, Option<String>) {
        let elements = match mapped.result {
            Outcome::Ignored { reason } => return (NewOutcome::Ignored(reason), None),
            Outcome::PersonRequest(request) => return (self.person_request(request), None),
            Outcome::Unmappable { reason } => return (NewOutcome::Unmappable(reason), None),
            Outcome::Mapped(elements) => elements,
        };
        let mut rows = Vec::with_capacity(elements.len());
        let mut left_out: BTreeMap<u32, String> = BTreeMap::new();
        for element in elements {
            let dropped = (!element.dropped.is_empty()).then(|| serde_json::json!(element.dropped).to_string());
            match element.update {
                Ok(mapped) => rows.push(NewRow {
                    element: element.index,
                    update: mapped.update,
                    policies: mapped.policies,
                    dropped,
                    occurred_at: element.occurred_at,
                }),
                Err(reason) => {
                    let values = dropped.map(|dropped| format!("; left out: {dropped}")).unwrap_or_default();
                    left_out.insert(element.index, format!("{reason}{values}"));
                }
            }
        }
        // A webhook that names nobody at all could not be mapped; a better mapping may still make something of it.
        if rows.is_empty()
            && let Some(reason) = left_out.values().next()
        {
            return (NewOutcome::Unmappable(reason.clone()), store::left_out(left_out));
        }
        (NewOutcome::Mapped { account: Arc::clone(&self.account), rows }, store::left_out(left_out))
    }
}
