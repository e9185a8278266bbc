//! The calls of Chatwoot's API that the service makes, one method each.

use std::{fmt, sync::Arc};

use reqwest::Method;
use serde_json::{Map, Value, json};
use url::Url;

use super::{
    Call, answer,
    failure::{Failure, Misread},
    filter::{self, Condition, Gathering, MAX_FILTER_PAGES},
    target::{BadTarget, Target},
    transport::{Excerpt, Request, Token, Transport, excerpt},
    wire::{self, Contact, Page, Profile, Subscription, Version},
};
use crate::{clock::Clock, contacts::ContactId};

/// The inboxes of a contact make most of a long answer and are not used. Servers that do not know the parameter ignore
/// it.
const SLIM: (&str, &str) = ("include_contact_inboxes", "false");

/// Calls one account. Clones share their connections.
#[derive(Clone)]
pub struct Client {
    shared: Arc<Shared>,
}

struct Shared {
    transport: Transport,
    account_id: i64,
    clock: Clock,
}

/// Without the token and without the base's path.
impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("host", &self.shared.transport.base().host_str())
            .field("account_id", &self.shared.account_id)
            .finish_non_exhaustive()
    }
}

impl Client {
    /// A client of `target`. Makes no call. `clock` is needed to read a `Retry-After` that is a date.
    ///
    /// # Errors
    /// [`BadTarget`] when no call could ever succeed, in words for whoever wrote the configuration.
    pub fn new(target: &Target, clock: Clock) -> Result<Self, BadTarget> {
        let transport = Transport::new(target)?;
        Ok(Self { shared: Arc::new(Shared { transport, account_id: target.account_id, clock }) })
    }

    /// The path of [`update`](Self::update), such as `/api/v1/accounts/1/contacts/42`, for the audit.
    pub fn update_path(&self, id: ContactId) -> String {
        self.account_path(&format!("/contacts/{id}"))
    }

    /// Changes what `body` has of a contact and answers the whole contact. Attributes are merged by key; servers before
    /// v4.2.0 replace `additional_attributes` as a whole, so send them whole there. A success can have
    /// ignored fields without a word: compare with [`not_taken`](super::not_taken).
    pub async fn update(&self, id: ContactId, body: &Map<String, Value>) -> Call<Contact> {
        let request = Request::new(Method::PATCH, self.update_path(id)).with_body(body_of(body));
        self.call(request, |json| wire::contact(json, Some(id))).await
    }

    /// Makes a contact. There is no upsert: a taken e-mail, phone number or identifier is [`Failure::Invalid`]. Not
    /// safe to repeat without looking whether it took effect.
    pub async fn create(&self, body: &Map<String, Value>) -> Call<Contact> {
        let request = Request::new(Method::POST, self.account_path("/contacts")).with_body(body_of(body));
        self.call(request, |json| wire::contact(json, None)).await
    }

    /// Reads a contact.
    pub async fn show(&self, id: ContactId) -> Call<Contact> {
        let request = Request::new(Method::GET, self.update_path(id)).with_query([SLIM]);
        self.call(request, |json| wire::contact(json, Some(id))).await
    }

    /// Deletes a contact; needs an administrator's token. Refused with [`Failure::MissingPart`] while it is online.
    pub async fn delete(&self, id: ContactId) -> Call<()> {
        self.read(Request::new(Method::DELETE, self.update_path(id)), |_| Ok(())).await
    }

    /// Merges `mergee` into `base` and answers the base: its values win, its blanks are filled from the mergee, which
    /// is deleted.
    pub async fn merge(&self, base: ContactId, mergee: ContactId) -> Call<Contact> {
        let body = json!({ "base_contact_id": base, "mergee_contact_id": mergee });
        let request =
            Request::new(Method::POST, self.account_path("/actions/contact_merge")).with_body(body.to_string());
        self.call(request, |json| wire::contact(json, Some(base))).await
    }

    /// The contacts that meet any of the conditions, each once. They are read page by page; the call that is answered
    /// is the last one made, and one failure fails all, so that a missing candidate is never taken for none.
    ///
    /// The server compares without case: compare each hit with what was looked for. Without conditions, which the
    /// server would answer with all contacts, there are no hits and no call is made.
    pub async fn filter(&self, conditions: &[Condition]) -> Call<Vec<Contact>> {
        let path = self.account_path("/contacts/filter");
        if conditions.is_empty() {
            return Call {
                method: "POST",
                path,
                status: None,
                request_id: None,
                answer: Ok(Vec::new()),
                excerpt: None,
            };
        }
        let body = filter::body(conditions).to_string();
        let mut gathering = Gathering::default();
        let mut number = 1;
        loop {
            let request = Request::new(Method::POST, path.clone())
                // Without a sort there is no order at all, and pages could overlap or leave contacts out.
                .with_query([("page", number.to_string().as_str()), ("sort", "created_at"), SLIM])
                .with_body(body.clone());
            let mut call = self.call(request, wire::page).await;
            let more = match std::mem::replace(&mut call.answer, Ok(Page::default())) {
                Ok(page) => gathering.take(page),
                Err(failure) => return Call { answer: Err(failure), ..call.map(|_| Vec::new()) },
            };
            if !more {
                return call.map(|_| gathering.finish());
            }
            if number == MAX_FILTER_PAGES {
                let too_many = Failure::Unreadable { why: Misread::TooManyPages };
                return Call { answer: Err(too_many), ..call.map(|_| Vec::new()) };
            }
            number += 1;
        }
    }

    /// One page of the account's contacts, from 1. `sort` is one of `name`, `email`, `phone_number`,
    /// `last_activity_at`, `created_at`, with `-` in front for descending. Contacts can move between pages:
    /// de-duplicate by id.
    pub async fn list(&self, page: u32, sort: &str) -> Call<Page> {
        let query = [("page", page.to_string()), ("sort", sort.to_owned())];
        let request = Request::new(Method::GET, self.account_path("/contacts"));
        let request = request.with_query(query.iter().map(|(key, value)| (*key, value.as_str())).chain([SLIM]));
        self.call(request, wire::page).await
    }

    /// One page, from 1, of the contacts that have `text` somewhere in their name, e-mail, phone number or identifier.
    /// `%` and `_` in it are wildcards. Limited to 100 calls a minute per account; of a blank text nothing is found.
    pub async fn search(&self, text: &str, page: u32) -> Call<Page> {
        let page = page.max(1).to_string();
        let query = [("q", text), ("page", page.as_str()), ("sort", "created_at"), SLIM];
        let request = Request::new(Method::GET, self.account_path("/contacts/search")).with_query(query);
        self.call(request, wire::page).await
    }

    /// A contact's labels.
    pub async fn labels(&self, id: ContactId) -> Call<Vec<String>> {
        self.call(Request::new(Method::GET, self.labels_path(id)), wire::labels).await
    }

    /// Replaces all labels of a contact and answers the new ones. The server splits a label at commas.
    pub async fn set_labels(&self, id: ContactId, labels: &[String]) -> Call<Vec<String>> {
        let body = json!({ "labels": labels }).to_string();
        self.call(Request::new(Method::POST, self.labels_path(id)).with_body(body), wire::labels).await
    }

    /// Whose token this is and which accounts it opens. The answer carries tokens: no excerpt is kept of it.
    pub async fn profile(&self) -> Call<Profile> {
        let path = self.shared.transport.path("/api/v1/profile");
        let request = Request { excerpt: Excerpt::Never, ..Request::new(Method::GET, path) };
        self.call(request, |json| wire::profile(&json)).await
    }

    /// The installation's version. Sent without the token.
    pub async fn version(&self) -> Call<Version> {
        let request =
            Request { token: Token::Withheld, ..Request::new(Method::GET, self.shared.transport.path("/api")) };
        self.call(request, |json| wire::version(&json)).await
    }

    /// Asks Chatwoot to send its own events to `url`; needs an administrator's token. The answer carries the secret
    /// that Chatwoot signs with: no excerpt is kept of it.
    pub async fn subscribe(&self, url: &Url, events: &[&str]) -> Call<Subscription> {
        let body = json!({ "url": url.as_str(), "subscriptions": events }).to_string();
        let request = Request::new(Method::POST, self.account_path("/webhooks")).with_body(body);
        self.call(Request { excerpt: Excerpt::Never, ..request }, |json| wire::subscription(&json)).await
    }

    fn labels_path(&self, id: ContactId) -> String {
        self.account_path(&format!("/contacts/{id}/labels"))
    }

    fn account_path(&self, rest: &str) -> String {
        self.shared.transport.path(&format!("/api/v1/accounts/{}{rest}", self.shared.account_id))
    }

    /// A call that answers JSON.
    async fn call<T>(&self, request: Request, read: impl FnOnce(Value) -> Result<T, Misread>) -> Call<T> {
        self.read(request, |json| read(json.ok_or(Misread::Empty)?)).await
    }

    /// A call whose answer may be empty.
    async fn read<T>(&self, request: Request, read: impl FnOnce(Option<Value>) -> Result<T, Misread>) -> Call<T> {
        let Shared { transport, clock, .. } = &*self.shared;
        let (method, path, keep) = (method_name(&request.method), request.path.clone(), request.excerpt);
        let received = match transport.send(request).await {
            Ok(received) => received,
            Err(failure) => {
                return Call { method, path, status: None, request_id: None, answer: Err(failure), excerpt: None };
            }
        };
        let status = received.answer.status;
        let refused = !(200..300).contains(&status);
        let excerpt = (refused && keep == Excerpt::Kept).then(|| excerpt(&received.answer.body));
        let answer = answer::read(&received.answer, transport.base(), clock.now())
            .and_then(|json| read(json).map_err(|why| Failure::Unreadable { why }));
        Call { method, path, status: Some(status), request_id: received.request_id, answer, excerpt }
    }
}

impl Request {
    fn new(method: Method, path: String) -> Self {
        Self { method, path, query: Vec::new(), body: None, token: Token::Sent, excerpt: Excerpt::Kept }
    }

    fn with_query<'a>(self, query: impl IntoIterator<Item = (&'static str, &'a str)>) -> Self {
        Self { query: query.into_iter().map(|(key, value)| (key, value.to_owned())).collect(), ..self }
    }

    fn with_body(self, body: String) -> Self {
        Self { body: Some(body.into_bytes()), ..self }
    }
}

/// The names of the methods used here, as the audit has them.
fn method_name(method: &Method) -> &'static str {
    match *method {
        Method::PATCH => "PATCH",
        Method::POST => "POST",
        Method::DELETE => "DELETE",
        _ => "GET",
    }
}

fn body_of(body: &Map<String, Value>) -> String {
    json!(body).to_string()
}
