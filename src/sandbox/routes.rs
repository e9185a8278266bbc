//! Which call goes where, and whom it writes to.

use serde::Serialize;
use serde_json::Value;

use super::{
    call::Call,
    typing::{self, Cast},
};

/// Where a call goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Route {
    /// `GET /health`
    Health,
    /// `GET /api`
    Version,
    /// `GET /api/v1/profile`
    Profile,
    /// Under `/api/v1/accounts/{account_id}`.
    Account(Option<i64>, Action),
}

/// What a call within an account does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// `GET` of the account itself.
    ShowAccount,
    /// `GET /contacts`
    List,
    /// `GET /contacts/active`
    Active,
    /// `GET /contacts/search`
    Search,
    /// `POST /contacts/filter`
    Filter,
    /// `POST /contacts`
    Create,
    /// `GET /contacts/{id}`
    Show(i64),
    /// `PATCH` or `PUT /contacts/{id}`: one action.
    Update(i64),
    /// `DELETE /contacts/{id}`
    Delete(i64),
    /// `DELETE /contacts/{id}/avatar`
    DeleteAvatar(i64),
    /// `POST /contacts/{id}/destroy_custom_attributes`
    DestroyAttributes(i64),
    /// `GET /contacts/{id}/labels`
    ShowLabels(i64),
    /// `POST /contacts/{id}/labels`
    ReplaceLabels(i64),
    /// `POST /actions/contact_merge`
    Merge,
    /// `GET /webhooks`
    ListWebhooks,
    /// `POST /webhooks`
    CreateWebhook,
    /// `PATCH` or `PUT /webhooks/{id}`
    UpdateWebhook(i64),
    /// `DELETE /webhooks/{id}`
    DeleteWebhook(i64),
}

impl Route {
    /// The route of a call; `None` for a path the server does not have, or not with this method.
    pub(super) fn find(call: &Call) -> Option<Self> {
        let method = if call.method == "HEAD" { "GET" } else { call.method.as_str() };
        match (method, call.segments().as_slice()) {
            ("GET", ["health"]) => Some(Self::Health),
            ("GET", ["api"]) => Some(Self::Version),
            ("GET", ["api", "v1", "profile"]) => Some(Self::Profile),
            (method, ["api", "v1", "accounts", account, rest @ ..]) => {
                Some(Self::Account(typing::leading_integer(account), Action::find(method, rest)?))
            }
            _ => None,
        }
    }
}

impl Action {
    fn find(method: &str, rest: &[&str]) -> Option<Self> {
        // A text that is no number is an id nobody has: 404 for the contact, not for the path.
        let id = |text: &str| typing::leading_integer(text).unwrap_or(0);
        Some(match (method, rest) {
            ("GET", []) => Self::ShowAccount,
            ("GET", ["contacts"]) => Self::List,
            ("GET", ["contacts", "active"]) => Self::Active,
            ("GET", ["contacts", "search"]) => Self::Search,
            ("POST", ["contacts", "filter"]) => Self::Filter,
            ("POST", ["contacts"]) => Self::Create,
            ("GET", ["contacts", contact]) => Self::Show(id(contact)),
            ("PATCH" | "PUT", ["contacts", contact]) => Self::Update(id(contact)),
            ("DELETE", ["contacts", contact]) => Self::Delete(id(contact)),
            ("DELETE", ["contacts", contact, "avatar"]) => Self::DeleteAvatar(id(contact)),
            ("POST", ["contacts", contact, "destroy_custom_attributes"]) => Self::DestroyAttributes(id(contact)),
            ("GET", ["contacts", contact, "labels"]) => Self::ShowLabels(id(contact)),
            ("POST", ["contacts", contact, "labels"]) => Self::ReplaceLabels(id(contact)),
            ("POST", ["actions", "contact_merge"]) => Self::Merge,
            ("GET", ["webhooks"]) => Self::ListWebhooks,
            ("POST", ["webhooks"]) => Self::CreateWebhook,
            ("PATCH" | "PUT", ["webhooks", webhook]) => Self::UpdateWebhook(id(webhook)),
            ("DELETE", ["webhooks", webhook]) => Self::DeleteWebhook(id(webhook)),
            _ => return None,
        })
    }
}

/// The id of the contact that stands in a call's path, whatever the method.
pub(super) fn contact_id(call: &Call) -> Option<i64> {
    match call.segments().as_slice() {
        ["api", "v1", "accounts", _, "contacts", contact, ..] => typing::leading_integer(contact),
        _ => None,
    }
}

/// Whom a writing call concerns: two calls with one subject must not overlap.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Subject {
    /// The contact with this id.
    Contact(i64),
    /// A contact to be made with this identifier.
    Identifier(String),
    /// A contact to be made with this e-mail, in lower case.
    Email(String),
    /// A contact to be made with this phone number.
    PhoneNumber(String),
}

/// Whom a call writes to; empty for a call that only reads.
pub(super) fn subjects(call: &Call) -> Vec<Subject> {
    let Some(Route::Account(_, action)) = Route::find(call) else { return Vec::new() };
    let params = || call.params().unwrap_or_default();
    match action {
        Action::Update(id)
        | Action::Delete(id)
        | Action::DeleteAvatar(id)
        | Action::DestroyAttributes(id)
        | Action::ReplaceLabels(id) => vec![Subject::Contact(id)],
        Action::Merge => {
            let params = params();
            let ids = ["base_contact_id", "mergee_contact_id"].map(|key| id_param(params.get(key)));
            ids.into_iter().flatten().map(Subject::Contact).collect()
        }
        Action::Create => {
            let params = params();
            let text = |key: &str| match typing::text(params.get(key)) {
                Cast::To(text) if !typing::is_blank(&text) => Some(text),
                _ => None,
            };
            let identifier = text("identifier").map(Subject::Identifier);
            let email = text("email").map(|email| Subject::Email(email.to_lowercase()));
            [identifier, email, text("phone_number").map(Subject::PhoneNumber)].into_iter().flatten().collect()
        }
        Action::ShowAccount
        | Action::List
        | Action::Active
        | Action::Search
        | Action::Filter
        | Action::Show(_)
        | Action::ShowLabels(_)
        | Action::ListWebhooks
        | Action::CreateWebhook
        | Action::UpdateWebhook(_)
        | Action::DeleteWebhook(_) => Vec::new(),
    }
}

/// An id in a body: a number, or a text that begins with one.
pub(super) fn id_param(value: Option<&Value>) -> Option<i64> {
    match typing::text(value) {
        Cast::To(text) => typing::leading_integer(&text),
        Cast::Null | Cast::Dropped => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(method: &str, path: &str, body: &'static str) -> Call {
        Call {
            method: method.to_owned(),
            path: path.to_owned(),
            content_type: "application/json".to_owned(),
            body: body.as_bytes().into(),
            ..Call::default()
        }
    }

    #[test]
    fn patch_and_put_are_one_action() {
        for method in ["PATCH", "PUT"] {
            let route = Route::find(&call(method, "/api/v1/accounts/1/contacts/1abc", ""));
            assert_eq!(route, Some(Route::Account(Some(1), Action::Update(1))));
        }
        assert_eq!(Route::find(&call("POST", "/api/v1/accounts/1/contacts/1", "")), None);
    }

    #[test]
    fn a_create_concerns_each_of_its_keys() {
        let body = r#"{"identifier":"x","email":"A@b.co","phone_number":""}"#;
        let expected = [Subject::Identifier("x".to_owned()), Subject::Email("a@b.co".to_owned())];
        assert_eq!(subjects(&call("POST", "/api/v1/accounts/1/contacts", body)), expected);
        assert!(subjects(&call("GET", "/api/v1/accounts/1/contacts/1", "")).is_empty());
    }
}
