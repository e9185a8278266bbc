//! A request with the scheme that judges it, and changes that undo one mistake each.

use std::time::Duration;

use crate::{
    clock::Timestamp,
    sources::{
        Proof, Request, Secret, Source, Verifier,
        scheme::spec::{SchemeSpec, SignatureSpec, SignedSpec, TimestampSpec},
    },
};

/// Longer than any clock is wrong: a time that is off is found by comparing it afterwards.
const ANY_TIME: Duration = Duration::from_hours(24 * 365 * 200);

/// A request and the scheme it is judged by, without any limit on times: those are compared once the rest is right.
#[derive(Clone)]
pub(super) struct Case {
    pub(super) source: String,
    pub(super) spec: SchemeSpec,
    pub(super) secrets: Vec<Secret>,
    pub(super) public_url: Option<String>,
    pub(super) request: Request,
    /// The tolerance as configured.
    pub(super) tolerance: Option<Duration>,
}

impl Case {
    pub(super) fn of(source: &Source, request: &Request) -> Self {
        let mut spec = source.verifier().spec().clone();
        let tolerance = match &mut spec {
            SchemeSpec::StandardWebhooks(spec) => Some(std::mem::replace(&mut spec.tolerance, ANY_TIME)),
            spec => timestamp_of(spec).map(|time| std::mem::replace(&mut time.tolerance, ANY_TIME)),
        };
        Self {
            source: source.name().to_string(),
            spec,
            secrets: source.verifier().secrets().to_vec(),
            public_url: source.public_url().map(str::to_owned),
            request: request.clone(),
            tolerance,
        }
    }

    /// What the request proves under this scheme, be it late or early, and be the secret past its date.
    pub(super) fn passes(&self, at: Timestamp) -> Option<Proof> {
        let lasting = self.secrets.iter().map(|secret| Secret { value: secret.value.clone(), not_after: None });
        let verifier = Verifier::new(self.spec.clone(), lasting.collect()).ok()?;
        verifier.verify(&self.request, self.public_url.as_deref(), at).ok()
    }

    /// The value of a header that came once, or several times with the same value.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.request.headers.one(name).ok().flatten()
    }

    /// The keyed or plain digest that signs, where that is the scheme.
    pub(super) fn signed(&self) -> Option<&SignedSpec> {
        match &self.spec {
            SchemeSpec::Hmac(spec) | SchemeSpec::Hash(spec) => Some(spec),
            SchemeSpec::StandardWebhooks(_)
            | SchemeSpec::Token(_)
            | SchemeSpec::Basic { .. }
            | SchemeSpec::PublicKey(_)
            | SchemeSpec::Jwt { .. }
            | SchemeSpec::Open => None,
        }
    }

    /// Where the signature stands, for schemes that say so.
    pub(super) fn signature(&self) -> Option<&SignatureSpec> {
        match &self.spec {
            SchemeSpec::PublicKey(spec) => Some(&spec.signature),
            _ => self.signed().map(|spec| &spec.signature),
        }
    }

    /// The template of what is signed.
    pub(super) fn template(&self) -> Option<&str> {
        match &self.spec {
            SchemeSpec::PublicKey(spec) => Some(&spec.signed),
            _ => self.signed().map(|spec| spec.signed.as_str()),
        }
    }

    /// The signed time.
    pub(super) fn timestamp(&self) -> Option<&TimestampSpec> {
        match &self.spec {
            SchemeSpec::PublicKey(spec) => spec.timestamp.as_ref(),
            _ => self.signed().and_then(|spec| spec.timestamp.as_ref()),
        }
    }

    pub(super) fn signed_mut(&mut self) -> Option<&mut SignedSpec> {
        signed_of(&mut self.spec)
    }

    pub(super) fn signature_mut(&mut self) -> Option<&mut SignatureSpec> {
        match &mut self.spec {
            SchemeSpec::PublicKey(spec) => Some(&mut spec.signature),
            spec => signed_of(spec).map(|spec| &mut spec.signature),
        }
    }

    pub(super) fn template_mut(&mut self) -> Option<&mut String> {
        match &mut self.spec {
            SchemeSpec::PublicKey(spec) => Some(&mut spec.signed),
            spec => signed_of(spec).map(|spec| &mut spec.signed),
        }
    }

    pub(super) fn timestamp_mut(&mut self) -> Option<&mut TimestampSpec> {
        timestamp_of(&mut self.spec)
    }

    /// Takes the signed time away.
    pub(super) fn forget_timestamp(&mut self) {
        match &mut self.spec {
            SchemeSpec::PublicKey(spec) => spec.timestamp = None,
            spec => {
                if let Some(spec) = signed_of(spec) {
                    spec.timestamp = None;
                }
            }
        }
    }
}

fn signed_of(spec: &mut SchemeSpec) -> Option<&mut SignedSpec> {
    match spec {
        SchemeSpec::Hmac(spec) | SchemeSpec::Hash(spec) => Some(spec),
        SchemeSpec::StandardWebhooks(_)
        | SchemeSpec::Token(_)
        | SchemeSpec::Basic { .. }
        | SchemeSpec::PublicKey(_)
        | SchemeSpec::Jwt { .. }
        | SchemeSpec::Open => None,
    }
}

fn timestamp_of(spec: &mut SchemeSpec) -> Option<&mut TimestampSpec> {
    match spec {
        SchemeSpec::PublicKey(spec) => spec.timestamp.as_mut(),
        spec => signed_of(spec).and_then(|spec| spec.timestamp.as_mut()),
    }
}

/// What a change is about; two changes of one kind exclude each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Secret,
    Reading,
    Time,
    Url,
    Body,
}

/// One mistake that can be undone.
pub(super) struct Change {
    pub(super) kind: Kind,
    pub(super) code: &'static str,
    /// What it means if the request then passes.
    pub(super) text: String,
    undo: Box<dyn Fn(&mut Case)>,
}

impl Change {
    pub(super) fn new(
        kind: Kind,
        code: &'static str,
        text: impl Into<String>,
        undo: impl Fn(&mut Case) + 'static,
    ) -> Self {
        Self { kind, code, text: text.into(), undo: Box::new(undo) }
    }

    /// The case without the mistake.
    pub(super) fn apply(&self, case: &Case) -> Case {
        let mut case = case.clone();
        (self.undo)(&mut case);
        case
    }
}

/// All pairs of changes of different kinds.
pub(super) fn combine(changes: &[Change]) -> impl Iterator<Item = (&Change, &Change)> {
    changes.iter().enumerate().flat_map(|(index, first)| {
        changes[index + 1..].iter().filter(|second| second.kind != first.kind).map(move |second| (first, second))
    })
}
