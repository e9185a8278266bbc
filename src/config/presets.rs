//! The presets: what is known about each sender, as TOML files of the keys that a source has. What a user writes is
//! laid over them key by key. The one table that is theirs alone is `[about]`.

use super::{
    suggest::closest,
    tree::{Span, Table, Value},
};

/// What `presets list` says about a preset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Preset {
    /// The word behind `preset`.
    pub name: &'static str,
    /// The sender's own name.
    pub title: String,
    /// What kind of sender it is: `shop`, `payment`, `form`, `crm`, `support`, `chat`, `mail`, `auth`, `code`, `other`.
    pub kind: String,
    /// Where the sender documents its webhooks.
    pub docs: String,
    /// Where in the sender's settings the webhook is made and its secret is found, in a sentence or two.
    pub setup: String,
    /// What our knowledge of its signatures rests on.
    pub verified: Verified,
    /// Whether it has a `[map]`. One that has none checks signatures and names the event; which fields to write is the
    /// user's to say, because the sender leaves the shape of its bodies to its users, or because we do not know it.
    pub mapped: bool,
    /// A trap worth knowing before anything else, in a sentence.
    pub note: Option<String>,
    /// The whole file, with its comments.
    pub text: &'static str,
}

impl Preset {
    /// Whether requests prove themselves with the sender's public key instead of a secret.
    pub fn needs_public_key(&self) -> bool {
        let scheme = self.word("verify", "scheme").unwrap_or_default();
        matches!(scheme.as_str(), "ed25519" | "ecdsa-p256-sha256" | "rsa-sha256" | "jwt")
    }

    /// Whether the sender signs the address that it sends to.
    pub fn needs_public_url(&self) -> bool {
        self.word("verify", "signed").is_some_and(|signed| signed.contains("{url}"))
    }

    /// Whether the sender shows a word of the owner's when it asks whether the address is theirs.
    pub fn needs_verify_token(&self) -> bool {
        let table = Table::parse(self.text).unwrap_or_default();
        table.text("handshake") == Some("meta")
    }

    fn word(&self, table: &str, key: &str) -> Option<String> {
        let keys = Table::parse(self.text).unwrap_or_default();
        match keys.get(table).map(|entry| &entry.node.value) {
            Some(Value::Table(table)) => table.text(key).map(str::to_owned),
            _ => None,
        }
    }
}

/// What the knowledge of a sender's signatures rests on. Whatever it is, every key can be overridden.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verified {
    /// The sender's own library made or accepted the same signatures.
    OfficialLibrary,
    /// The sender's documentation says so.
    Documented,
    /// The sender's source code says so.
    Source,
    /// Others say so, or we remember it so.
    Unverified,
}

impl Verified {
    const ALL: [Self; 4] = [Self::OfficialLibrary, Self::Documented, Self::Source, Self::Unverified];

    /// As it is written in `[about]`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::OfficialLibrary => "official library",
            Self::Documented => "documented",
            Self::Source => "source",
            Self::Unverified => "unverified",
        }
    }
}

/// A sender that there is no preset for, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unsupported {
    /// The name that its preset would have.
    pub name: String,
    /// The sender's own name.
    pub title: String,
    /// What is in the way, and what to do instead, in a sentence or two.
    pub reason: String,
}

/// Names with the files of these names.
macro_rules! files {
    ($($name:literal)*) => { &[$(($name, include_str!(concat!("../presets/", $name, ".toml")))),*] };
}

/// Every preset's name and file. A sender is added by adding its file, and a line here.
const FILES: &[(&str, &str)] = files! {
    "activecampaign"
    "adobe-commerce"
    "auth0"
    "bigcommerce"
    "cal-com"
    "calendly"
    "clerk"
    "contact-form-7"
    "customer-io"
    "discord"
    "ecwid"
    "elementor"
    "fluent-forms"
    "framer"
    "github"
    "gitlab"
    "gitlab-token"
    "google-forms"
    "gravity-forms"
    "hubspot"
    "hubspot-v1"
    "hubspot-v2"
    "intercom"
    "jotform"
    "klaviyo"
    "klaviyo-flow"
    "lemon-squeezy"
    "lightspeed-retail"
    "line"
    "linear"
    "mailchimp"
    "mailgun"
    "mandrill"
    "meta"
    "paddle"
    "paystack"
    "polar"
    "resend"
    "segment"
    "sendgrid"
    "shopify"
    "slack"
    "square"
    "squarespace"
    "standard-webhooks"
    "stripe"
    "svix"
    "tally"
    "twilio"
    "typeform"
    "webflow"
    "wix"
    "woocommerce"
    "workos"
    "wpforms"
    "zendesk"
    "zoom"
};

/// The senders that there is no preset for.
const UNSUPPORTED: &str = include_str!("../presets/unsupported.toml");

/// All presets, by name.
pub fn all() -> Vec<Preset> {
    FILES.iter().map(|(name, text)| describe(name, text)).collect()
}

/// The preset of this name.
pub fn find(name: &str) -> Option<Preset> {
    FILES.iter().find(|(known, _)| *known == name).map(|(name, text)| describe(name, text))
}

/// Whether the preset's ids are plain numbers, which another sender may use for somebody else.
pub(super) fn has_numeric_ids(name: &str) -> bool {
    let table = keys(name, &Span::default()).unwrap_or_default();
    matches!(table.get("numeric_ids").map(|entry| &entry.node.value), Some(Value::Flag(true)))
}

fn describe(name: &'static str, text: &'static str) -> Preset {
    let table = Table::parse(text).unwrap_or_default();
    let about = match table.get("about").map(|entry| &entry.node.value) {
        Some(Value::Table(about)) => about.clone(),
        _ => Table::default(),
    };
    let word = |key| about.text(key).unwrap_or_default().to_owned();
    let verified = Verified::ALL.into_iter().find(|verified| about.text("verified") == Some(verified.as_str()));
    Preset {
        name,
        title: word("title"),
        kind: word("kind"),
        docs: word("docs"),
        setup: word("setup"),
        verified: verified.unwrap_or(Verified::Unverified),
        mapped: table.get("map").is_some(),
        note: about.text("note").map(str::to_owned),
        text,
    }
}

/// The senders that there is no preset for, by name.
pub fn unsupported() -> Vec<Unsupported> {
    let table = Table::parse(UNSUPPORTED).unwrap_or_default();
    let senders = table.0.into_iter().filter_map(|(name, entry)| match entry.node.value {
        Value::Table(about) => Some((name, about)),
        _ => None,
    });
    senders
        .map(|(name, about)| {
            let word = |key| about.text(key).unwrap_or_default().to_owned();
            Unsupported { title: word("title"), reason: word("reason"), name }
        })
        .collect()
}

/// The keys of a preset, as if they were written at `at`; `None` when there is no such preset.
pub(super) fn keys(name: &str, at: &Span) -> Option<Table> {
    let (_, text) = FILES.iter().find(|(known, _)| *known == name)?;
    let mut table = Table::parse(text).unwrap_or_default();
    table.0.remove("about");
    table.relocate(at);
    Some(table)
}

/// Advice for a name that is no preset.
pub(super) fn advice(name: &str) -> String {
    if let Some(sender) = unsupported().into_iter().find(|sender| sender.name == name) {
        return sender.reason;
    }
    let names = FILES.iter().map(|(name, _)| *name);
    match closest(name, names.clone()) {
        Some(meant) => format!("did you mean `{meant}`?"),
        None => format!("there are: {}", names.collect::<Vec<_>>().join(", ")),
    }
}

/// Lays what the user wrote over a preset. Two things go beyond key by key: another `verify.scheme` replaces the whole
/// of `verify`, and another place (`json` instead of `header`) replaces the preset's place.
pub(super) fn overlay(mut preset: Table, user: Table) -> Table {
    if let (Some(lower), Some(upper)) = (inner_mut(&mut preset, "verify"), inner(&user, "verify")) {
        let scheme = upper.text("scheme");
        if scheme.is_some() && scheme != lower.text("scheme") {
            preset.0.remove("verify");
        } else {
            drop_places(lower, upper);
            for part in ["signature", "timestamp"] {
                if let (Some(lower), Some(upper)) = (inner_mut(lower, part), inner(upper, part)) {
                    drop_places(lower, upper);
                }
            }
        }
    }
    preset.overlay(user);
    preset
}

/// Takes the preset's place away where the user names one.
fn drop_places(lower: &mut Table, upper: &Table) {
    const PLACES: [&str; 4] = ["header", "query", "json", "signature_key"];
    if PLACES.iter().any(|place| upper.get(place).is_some()) {
        for place in PLACES {
            lower.0.remove(place);
        }
    }
}

fn inner<'a>(table: &'a Table, key: &str) -> Option<&'a Table> {
    match &table.get(key)?.node.value {
        Value::Table(inner) => Some(inner),
        _ => None,
    }
}

fn inner_mut<'a>(table: &'a mut Table, key: &str) -> Option<&'a mut Table> {
    match &mut table.0.get_mut(key)?.node.value {
        Value::Table(inner) => Some(inner),
        _ => None,
    }
}
