//! The server's application: from a call to its answer, on state that only this module changes. Knows nothing of HTTP
//! connections, and nothing of faults but the few that bend an answer from within.

mod lists;
mod writes;

use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use self::writes::ignore_fields;
use super::{
    answers::{self, Answer},
    call::Call,
    contacts::{ContactRecord, Contacts},
    failure::Failure,
    find::ListCache,
    labels,
    limiter::Window,
    merge,
    options::{Options, Role},
    routes::{self, Action, Route},
    typing::{self, Cast},
    webhooks::Webhooks,
};
use crate::clock::Timestamp;

/// How a fault bends an answer from within the application.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Bend {
    /// Not at all.
    Straight,
    /// The proxy dropped the header with underscores.
    HeaderLost,
    /// The token is no longer known.
    TokenRevoked,
    /// The account is suspended.
    AccountSuspended,
    /// The user is no member of the account.
    NotAMember,
    /// An update answers in the shape of the vendor's page.
    VendorShape,
    /// Fields of a create or update that are silently not taken.
    IgnoredFields(Vec<String>),
}

/// Everything the server remembers.
pub(super) struct App {
    options: Options,
    pub(super) contacts: Contacts,
    pub(super) webhooks: Webhooks,
    lists: ListCache,
    requests: Window,
    searches: Window,
    serial: u64,
}

impl App {
    /// An empty account.
    pub(super) fn new(options: Options) -> Self {
        Self {
            options,
            contacts: Contacts::default(),
            webhooks: Webhooks::default(),
            lists: ListCache::default(),
            requests: Window::default(),
            searches: Window::default(),
            serial: 0,
        }
    }

    /// Answers a call, and changes what it changes.
    pub(super) fn answer(&mut self, call: &Call, bend: &Bend, now: Timestamp) -> Answer {
        self.respond(call, bend, now).unwrap_or_else(|failure| Answer::refusal(&failure, call.accepts_json()))
    }

    /// A random-looking UUID, different each time and the same in each run.
    pub(super) fn next_uuid(&mut self) -> String {
        let hex = self.next_secret();
        format!("{}-{}-4{}-a{}-{}", &hex[..8], &hex[8..12], &hex[13..16], &hex[17..20], &hex[20..32])
    }

    fn next_secret(&mut self) -> String {
        self.serial += 1;
        hex::encode(Sha256::digest(format!("sandbox {}", self.serial)))
    }

    fn respond(&mut self, call: &Call, bend: &Bend, now: Timestamp) -> Result<Answer, Failure> {
        let route = Route::find(call);
        if route == Some(Route::Health) {
            return Ok(Answer::ok(&json!({"status": "woot"})));
        }
        if !self.requests.admits(self.options.requests_per_minute, now) {
            return Err(Failure::Throttled);
        }
        let searching = matches!(route, Some(Route::Account(_, Action::Search)));
        if searching && !self.searches.admits(self.options.searches_per_minute, now) {
            return Err(Failure::Throttled);
        }
        let route = route.ok_or(Failure::NotRouted)?;
        let params = call.params()?;
        match route {
            Route::Health => Ok(Answer::ok(&json!({"status": "woot"}))),
            Route::Version => Ok(Answer::ok(&answers::version(&self.options, now))),
            Route::Profile => {
                self.check_token(call, bend)?;
                Ok(Answer::ok(&answers::profile(&self.options)))
            }
            Route::Account(account, action) => {
                self.check_token(call, bend)?;
                self.check_account(account, bend)?;
                self.check_role(action)?;
                self.act(action, call, params, bend, now)
            }
        }
    }

    fn check_token(&self, call: &Call, bend: &Bend) -> Result<(), Failure> {
        let underscored = call.token.as_ref().filter(|_| *bend != Bend::HeaderLost);
        let token = underscored.or(call.dashed_token.as_ref()).filter(|token| !typing::is_blank(token));
        let Some(token) = token else { return Err(Failure::NoToken) };
        if self.options.bot_token.as_ref() == Some(token) {
            return Err(Failure::Unauthorized("Access to this endpoint is not authorized for bots"));
        }
        if *token != self.options.token || *bend == Bend::TokenRevoked {
            return Err(Failure::Unauthorized("Invalid Access Token"));
        }
        Ok(())
    }

    fn check_account(&self, account: Option<i64>, bend: &Bend) -> Result<(), Failure> {
        let foreign = account.is_some_and(|id| self.options.foreign_account_ids.contains(&id));
        if !foreign && account != Some(self.options.account_id) {
            return Err(Failure::NotFound);
        }
        if *bend == Bend::AccountSuspended {
            return Err(Failure::Unauthorized("Account is suspended"));
        }
        if foreign || *bend == Bend::NotAMember {
            return Err(Failure::Unauthorized("You are not authorized to access this account"));
        }
        Ok(())
    }

    fn check_role(&self, action: Action) -> Result<(), Failure> {
        let administrators_only = matches!(
            action,
            Action::Delete(_)
                | Action::ListWebhooks
                | Action::CreateWebhook
                | Action::UpdateWebhook(_)
                | Action::DeleteWebhook(_)
        );
        if administrators_only && self.options.role == Role::Agent {
            return Err(Failure::Unauthorized("You are not authorized to do this action"));
        }
        Ok(())
    }

    fn act(
        &mut self,
        action: Action,
        call: &Call,
        mut params: Map<String, Value>,
        bend: &Bend,
        now: Timestamp,
    ) -> Result<Answer, Failure> {
        match action {
            Action::ShowAccount => Ok(Answer::ok(&answers::account(&self.options))),
            Action::List => Ok(self.list(call)),
            Action::Active => Ok(self.active(call)),
            Action::Search => self.search(call),
            Action::Filter => self.filter(call, &params, now),
            Action::Create => {
                ignore_fields(&mut params, bend);
                self.create(&params, now)
            }
            // There is never a picture here to delete.
            Action::Show(id) | Action::DeleteAvatar(id) => Ok(self.shown(self.contact(id)?, call)),
            Action::Update(id) => {
                ignore_fields(&mut params, bend);
                self.update(id, call, &params, bend, now)
            }
            Action::Delete(id) => self.delete(id),
            Action::DestroyAttributes(id) => self.destroy_attributes(id, call, &params),
            Action::ShowLabels(id) => Ok(Answer::ok(&json!({"payload": self.contact(id)?.labels}))),
            Action::ReplaceLabels(id) => {
                let record = self.contact(id)?.clone();
                let record = labels::replace(&mut self.contacts, record, &params)?;
                Ok(Answer::ok(&json!({"payload": record.labels})))
            }
            Action::Merge => {
                let id = |key: &str| routes::id_param(params.get(key)).ok_or(Failure::NotFound);
                let (base, mergee) = (id("base_contact_id")?, id("mergee_contact_id")?);
                let record = merge::merge(&mut self.contacts, base, mergee)?;
                Ok(Answer::ok(&answers::contact(&record, &self.options, false)))
            }
            Action::ListWebhooks => {
                let all: Vec<_> = self.webhooks.all().iter().map(|one| answers::webhook(one, &self.options)).collect();
                Ok(Answer::ok(&json!({"payload": {"webhooks": all}})))
            }
            Action::CreateWebhook => {
                let secret = self.next_secret();
                let webhook = self.webhooks.create(&params, secret)?;
                Ok(Answer::ok(&json!({"payload": {"webhook": answers::webhook(&webhook, &self.options)}})))
            }
            Action::UpdateWebhook(id) => {
                let webhook = self.webhooks.update(id, &params)?;
                Ok(Answer::ok(&json!({"payload": {"webhook": answers::webhook(&webhook, &self.options)}})))
            }
            Action::DeleteWebhook(id) => self.webhooks.delete(id).map(|()| Answer::empty()),
        }
    }

    fn contact(&self, id: i64) -> Result<&ContactRecord, Failure> {
        self.contacts.get(id).ok_or(Failure::NotFound)
    }

    fn shown(&self, record: &ContactRecord, call: &Call) -> Answer {
        Answer::ok(&json!({"payload": answers::contact(record, &self.options, wants_inboxes(call))}))
    }
}

fn wants_inboxes(call: &Call) -> bool {
    let parameter = call.parameter("include_contact_inboxes").map(Value::from);
    typing::boolean(parameter.as_ref()) != Cast::To(false)
}
