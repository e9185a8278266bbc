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
    /// What kind of sender it is: `shop`, `form`, `payment`.
    pub kind: String,
    /// Where the sender documents its webhooks.
    pub docs: String,
    /// Where in the sender's settings the webhook is made and its secret is found, in a sentence or two.
    pub setup: String,
    /// The whole file, with its comments.
    pub text: &'static str,
}

/// Every preset's name and file. A sender is added by adding its file, and a line here.
const FILES: [(&str, &str); 4] = [
    ("shopify", include_str!("../presets/shopify.toml")),
    ("stripe", include_str!("../presets/stripe.toml")),
    ("typeform", include_str!("../presets/typeform.toml")),
    ("woocommerce", include_str!("../presets/woocommerce.toml")),
];

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
    Preset { name, title: word("title"), kind: word("kind"), docs: word("docs"), setup: word("setup"), text }
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
