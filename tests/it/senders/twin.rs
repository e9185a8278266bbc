//! Requests that differ from one a sender signed in a single thing.

use std::{fs, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use contact_relay::sources::{Headers, Request};
use serde_json::Value;
use toml::{Table, Value as Toml};

use super::fixture::{self, Fixture};

/// In what a request differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Twin {
    Body,
    Secret,
    Stale,
    Future,
    Truncated,
    Missing,
    Doubled,
    Encoding,
}

impl Twin {
    /// Those that are another request; the others are the same request under another key or at another time.
    pub(super) const OF_THE_REQUEST: [Self; 5] =
        [Self::Body, Self::Truncated, Self::Missing, Self::Doubled, Self::Encoding];

    /// The key in `twins.toml`.
    fn key(self) -> String {
        format!("{self:?}").to_lowercase()
    }
}

/// Which twins cannot be refused, and why: `twins.toml`.
pub(super) struct Exemptions(Table);

impl Exemptions {
    pub(super) fn load() -> Self {
        Self(fs::read_to_string(fixture::directory().join("twins.toml")).unwrap().parse().unwrap())
    }

    /// Why a twin of a fixture is none of those that have to be refused.
    pub(super) fn reason(&self, fixture: &Fixture, verify: &Table, twin: Twin) -> Option<&str> {
        let Self(table) = self;
        let within = |group: &str, name: &str| table.get(group)?.get(name)?.get(twin.key())?.as_str();
        let untimed = || table.get("untimed")?.get(twin.key())?.as_str().filter(|_| !is_timed(verify));
        within("preset", &fixture.preset).or_else(|| within("scheme", scheme(verify))).or_else(untimed)
    }
}

fn scheme(verify: &Table) -> &str {
    verify["scheme"].as_str().unwrap()
}

fn is_timed(verify: &Table) -> bool {
    matches!(scheme(verify), "standard-webhooks" | "jwt") || verify.contains_key("timestamp")
}

/// How far a signed time may be from ours.
pub(super) fn tolerance(verify: &Table) -> Duration {
    if scheme(verify) == "jwt" {
        // The token says itself how long it is good for.
        return Duration::from_hours(24);
    }
    let own = verify.get("timestamp").unwrap_or(&Toml::Boolean(false)).get("tolerance").or(verify.get("tolerance"));
    own.map_or(Duration::from_mins(5), |text| humantime::parse_duration(text.as_str().unwrap()).unwrap())
}

/// The requests that differ in `twin`, each with what it is.
pub(super) fn twins(twin: Twin, request: &Request, verify: &Table) -> Vec<(Request, String)> {
    let signature = Signature::of(verify);
    let with = |change: &dyn Fn(&str) -> String| {
        let mut changed = request.clone();
        let text = signature.read(request);
        signature.write(&mut changed, &signature.map(&text, change));
        changed
    };
    match twin {
        Twin::Body => {
            let last = request.body.len() - 1;
            let flip = |at: usize| {
                let mut body = request.body.to_vec();
                body[at] ^= 1;
                (Request { body: body.into(), ..request.clone() }, format!("a body with another byte {at}"))
            };
            let longer = Request { body: [&request.body[..], b"\n"].concat().into(), ..request.clone() };
            vec![flip(0), flip(last / 2), flip(last), (longer, "a body with a line end more".to_owned())]
        }
        Twin::Truncated => {
            let cut = |text: &str| text[..text.len().saturating_sub(4)].to_owned();
            vec![(with(&cut), "a truncated signature".to_owned())]
        }
        Twin::Encoding => vec![(with(&reencoded), "a signature in another encoding".to_owned())],
        Twin::Missing => {
            let mut changed = request.clone();
            signature.take_away(&mut changed);
            vec![(changed, "no signature".to_owned())]
        }
        Twin::Doubled => {
            let other = signature.map(&signature.read(request), &|text| {
                let first = if text.starts_with('a') { 'b' } else { 'a' };
                format!("{first}{}", text.get(1..).unwrap_or_default())
            });
            let mut changed = request.clone();
            signature.double(&mut changed, &other);
            vec![(changed, "two signatures that contradict each other".to_owned())]
        }
        Twin::Secret | Twin::Stale | Twin::Future => Vec::new(),
    }
}

/// Base64 of what is hexadecimal, hexadecimal of everything else.
fn reencoded(text: &str) -> String {
    match hex::decode(text) {
        Ok(bytes) => STANDARD.encode(bytes),
        Err(_) => hex::encode(STANDARD.decode(text).unwrap_or_else(|_| text.as_bytes().to_vec())),
    }
}

/// Where a scheme has its signature, and which part of the text there it is.
struct Signature {
    place: Place,
    shape: Shape,
}

enum Place {
    Header(String),
    Query(String),
    Json(String),
    Body,
}

enum Shape {
    Plain {
        prefix: String,
    },
    Pairs {
        key: String,
        separator: String,
    },
    /// `v1,SIGNATURE v1,SIGNATURE`
    Versions,
    Token,
}

impl Signature {
    fn of(verify: &Table) -> Self {
        let text = |table: &Table, key: &str| table.get(key).and_then(Toml::as_str).map(str::to_owned);
        let plain = |prefix: Option<String>| Shape::Plain { prefix: prefix.unwrap_or_default() };
        match scheme(verify) {
            "standard-webhooks" => {
                let prefix = text(verify, "header_prefix").unwrap_or_else(|| "webhook".to_owned());
                Self { place: Place::Header(format!("{prefix}-signature")), shape: Shape::Versions }
            }
            "token" => {
                let place =
                    text(verify, "header").map(Place::Header).or_else(|| text(verify, "query").map(Place::Query));
                Self { place: place.unwrap(), shape: plain(text(verify, "prefix")) }
            }
            "basic" => {
                Self { place: Place::Header("authorization".to_owned()), shape: plain(Some("Basic ".to_owned())) }
            }
            "jwt" => Self { place: Place::Body, shape: Shape::Token },
            _ => {
                let signature = verify["signature"].as_table().unwrap();
                let place =
                    text(signature, "header").map(Place::Header).or_else(|| text(signature, "json").map(Place::Json));
                let shape = match text(signature, "key") {
                    Some(key) => {
                        Shape::Pairs { key, separator: text(signature, "separator").unwrap_or_else(|| ",".to_owned()) }
                    }
                    None => plain(text(signature, "prefix")),
                };
                Self { place: place.unwrap(), shape }
            }
        }
    }

    /// Changes the signatures within the text of their place.
    fn map(&self, text: &str, change: &dyn Fn(&str) -> String) -> String {
        match &self.shape {
            Shape::Plain { prefix } => {
                format!("{prefix}{}", change(text.strip_prefix(prefix.as_str()).expect("the prefix is there")))
            }
            Shape::Pairs { key, separator } => {
                let pair = |pair: &str| match pair.split_once('=') {
                    Some((known, value)) if known.trim() == key => format!("{known}={}", change(value)),
                    _ => pair.to_owned(),
                };
                text.split(separator.as_str()).map(pair).collect::<Vec<_>>().join(separator)
            }
            Shape::Versions => {
                let version = |entry: &str| {
                    let (version, signature) = entry.split_once(',').expect("a version");
                    format!("{version},{}", change(signature))
                };
                text.split(' ').map(version).collect::<Vec<_>>().join(" ")
            }
            Shape::Token => {
                let (signed, signature) = text.rsplit_once('.').expect("a token");
                format!("{signed}.{}", change(signature))
            }
        }
    }

    fn read(&self, request: &Request) -> String {
        match &self.place {
            Place::Header(name) => {
                request.headers.one(name).unwrap().unwrap_or_else(|| panic!("the fixture lacks {name}")).to_owned()
            }
            Place::Query(name) => pairs(&request.path_query).into_iter().find(|(known, _)| known == name).unwrap().1,
            Place::Json(pointer) => json(request).pointer(pointer).unwrap().as_str().unwrap().to_owned(),
            Place::Body => String::from_utf8(request.body.to_vec()).unwrap(),
        }
    }

    fn write(&self, request: &mut Request, text: &str) {
        match &self.place {
            Place::Header(name) => request.headers.set(name, text),
            Place::Query(_) => {
                self.take_away(request);
                self.double(request, text);
            }
            Place::Json(pointer) => {
                let mut body = json(request);
                *body.pointer_mut(pointer).unwrap() = text.into();
                request.body = body.to_string().into();
            }
            Place::Body => request.body = text.to_owned().into(),
        }
    }

    fn take_away(&self, request: &mut Request) {
        match &self.place {
            Place::Header(name) => {
                let others = request.headers.iter().filter(|(known, _)| !known.eq_ignore_ascii_case(name));
                request.headers = Headers::new(others.map(|(name, value)| (name.to_owned(), value.to_owned())));
            }
            Place::Query(name) => {
                let others = pairs(&request.path_query).into_iter().filter(|(known, _)| known != name);
                let path = request.path_query.split('?').next().unwrap().to_owned();
                let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(others).finish();
                request.path_query = format!("{path}?{query}");
            }
            Place::Json(pointer) => {
                let mut body = json(request);
                let (parent, name) = pointer.rsplit_once('/').unwrap();
                body.pointer_mut(parent).unwrap().as_object_mut().unwrap().remove(name);
                request.body = body.to_string().into();
            }
            Place::Body => panic!("a token cannot be taken out of itself"),
        }
    }

    /// Adds a second signature beside the first.
    fn double(&self, request: &mut Request, text: &str) {
        match &self.place {
            Place::Header(name) => {
                let all = request.headers.iter().map(|(name, value)| (name.to_owned(), value.to_owned()));
                request.headers = Headers::new(all.chain([(name.clone(), text.to_owned())]).collect::<Vec<_>>());
            }
            Place::Query(name) => {
                let more = form_urlencoded::Serializer::new(String::new()).append_pair(name, text).finish();
                request.path_query = format!("{}&{more}", request.path_query);
            }
            Place::Json(_) | Place::Body => panic!("there is room for one signature only"),
        }
    }
}

fn pairs(path_query: &str) -> Vec<(String, String)> {
    let query = path_query.split_once('?').map_or("", |(_, query)| query);
    form_urlencoded::parse(query.as_bytes()).into_owned().collect()
}

fn json(request: &Request) -> Value {
    serde_json::from_slice(&request.body).unwrap()
}
