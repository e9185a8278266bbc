//! `contacts`: links from external identifiers to contacts in Chatwoot.

mod import;
mod key;
mod requests;

use std::collections::BTreeMap;

use serde_json::json;

use super::{
    context::{self, Context, open_or_create},
    exit::{Exit, NotThere},
    output,
};
use crate::{
    contacts::{ContactId, ContactKey},
    settings::AccountSettings,
    store::{Link, LinkOrigin, LinkRecord, LinkState, Store, StoreError},
};
use import::ImportArgs;
use key::parse_key;

#[derive(Clone, Debug, clap::Subcommand)]
pub(super) enum ContactsCommand {
    /// Make links from a CSV file with a column of identifiers and one of contact ids
    ///
    /// An export of Chatwoot's contacts is such a file. Good lines are imported whatever is wrong with others; then the
    /// exit code is 1.
    Import(ImportArgs),
    /// Show where an identifier leads, or which identifiers lead to a contact
    Show {
        /// An identifier, `email:…`, `phone:…`, or the number of a contact
        #[arg(value_name = "KEY|ID")]
        wanted: String,
        /// Of this account only
        #[arg(long, short, value_name = "NAME")]
        account: Option<String>,
    },
    /// List the open requests of persons who want to be erased or to see what is kept of them
    Requests,
    /// Link an identifier to a contact; updates that waited for it are delivered
    Link {
        /// An identifier, `email:…` or `phone:…`
        #[arg(value_parser = parse_key)]
        key: ContactKey,
        /// The number of the contact in Chatwoot
        #[arg(value_parser = clap::value_parser!(i64).range(1..))]
        id: ContactId,
        /// The account; may be left out when there is one
        #[arg(long, short, value_name = "NAME")]
        account: Option<String>,
    },
    /// Show what waits for a person: values that Chatwoot refuses, and contacts that cannot be chosen
    Conflicts {
        /// At most so many, oldest first
        #[arg(long, default_value_t = 100, value_name = "N")]
        limit: u32,
    },
    /// Forget where an identifier leads; the contact is looked up again at its next update
    Unlink {
        /// An identifier, `email:…` or `phone:…`
        #[arg(value_parser = parse_key)]
        key: ContactKey,
        /// The account; may be left out when there is one
        #[arg(long, short, value_name = "NAME")]
        account: Option<String>,
    },
}

/// Runs the command.
pub(super) async fn run(command: ContactsCommand, context: &Context) -> anyhow::Result<Exit> {
    match command {
        ContactsCommand::Import(args) => import::run(&args, context).await,
        ContactsCommand::Show { wanted, account } => show(&wanted, account.as_deref(), context).await,
        ContactsCommand::Requests => requests::run(context).await,
        ContactsCommand::Link { key, id, account } => link(key, id, account.as_deref(), context).await,
        ContactsCommand::Conflicts { limit } => conflicts(limit, context).await,
        ContactsCommand::Unlink { key, account } => unlink(&key, account.as_deref(), context).await,
    }
}

async fn show(wanted: &str, account: Option<&str>, context: &Context) -> anyhow::Result<Exit> {
    let (config, store) = context.open().await?;
    if account.is_some() {
        context::account(&config, account)?;
    }
    let accounts = config.accounts.keys().filter(|name| account.is_none_or(|account| account == *name));
    // A number can be both an identifier and a contact; what it is shows in the table.
    let mut found: BTreeMap<(String, ContactKey), LinkRecord> = BTreeMap::new();
    let key = parse_key(wanted).unwrap_or_else(|_| ContactKey::from_text(wanted));
    for name in accounts {
        found.extend(store.link_of(name, &key).await?.map(|link| ((link.account.clone(), link.key.clone()), link)));
    }
    if let Ok(id) = wanted.parse::<ContactId>() {
        let links = store.links_to(id).await?.into_iter();
        let links = links.filter(|link| account.is_none_or(|account| account == link.account));
        found.extend(links.map(|link| ((link.account.clone(), link.key.clone()), link)));
    }
    store.close().await;
    let links: Vec<LinkRecord> = found.into_values().collect();
    if context.json {
        let links: Vec<_> =
            links.iter().map(|link| output::unfolded(link, &["history"])).collect::<anyhow::Result<_>>()?;
        output::print_json(&links)?;
    } else if !links.is_empty() {
        print_links(&links)?;
    }
    if links.is_empty() {
        return Err(NotThere(format!("no link from the key {wanted}, nor to a contact of that number")).into());
    }
    Ok(Exit::Done)
}

fn print_links(links: &[LinkRecord]) -> anyhow::Result<()> {
    let rows = links.iter().map(|link| {
        [
            link.account.clone(),
            link.key.to_string(),
            link.contact_id.to_string(),
            link.state.to_string(),
            link.origin.clone(),
            link.first_seen_at.to_string(),
            link.last_seen_at.to_string(),
        ]
    });
    output::print_table(["account", "key", "contact", "state", "origin", "first seen", "last seen"], rows)?;
    for link in links.iter().filter(|link| link.history.is_some()) {
        let history = output::or_nothing(link.history.as_ref());
        output::print(&output::printable(&format!("{} led elsewhere before: {history}", link.key)))?;
    }
    Ok(())
}

async fn link(key: ContactKey, id: ContactId, account: Option<&str>, context: &Context) -> anyhow::Result<Exit> {
    let config = context.load()?;
    let account = context::account(&config, account)?;
    let store = open_or_create(&config).await?;
    register(&store, account).await?;
    let before = store.link_of(&account.name, &key).await?;
    let stands = before.as_ref().is_some_and(|link| link.contact_id == id && link.state == LinkState::Linked);
    let link = Link { key: key.clone(), contact_id: id, origin: LinkOrigin::Hand };
    let linked = store.link(&account.name, vec![link], context.clock.now()).await?;
    store.close().await;
    if context.json {
        output::print_json(&json!({ "account": account.name, "key": key, "contact_id": id, "linked": linked }))?;
    } else {
        let text = match before.filter(|before| before.contact_id != id) {
            _ if stands => format!("{key} led to contact {id} of {} already", account.name),
            Some(before) => {
                format!("{key} now leads to contact {id} of {}, no more to {}", account.name, before.contact_id)
            }
            None => format!("{key} leads to contact {id} of {}", account.name),
        };
        output::print(&output::printable(&text))?;
    }
    Ok(Exit::Done)
}

async fn unlink(key: &ContactKey, account: Option<&str>, context: &Context) -> anyhow::Result<Exit> {
    let (config, store) = context.open().await?;
    let account = context::account(&config, account)?;
    let removed = store.unlink(&account.name, key, context.clock.now()).await?;
    store.close().await;
    if !removed {
        return Err(NotThere(format!("no link from {key} in account {}", account.name)).into());
    }
    if context.json {
        output::print_json(&json!({ "account": account.name, "key": key, "unlinked": true }))?;
    } else {
        output::print(&output::printable(&format!("{key} leads nowhere in {} now", account.name)))?;
    }
    Ok(Exit::Done)
}

/// Links belong to one Chatwoot account: a name that stands for another one now gets none.
async fn register(store: &Store, account: &AccountSettings) -> Result<(), StoreError> {
    store.register_account(&account.name, account.base_url.as_str(), account.account_id).await
}

async fn conflicts(limit: u32, context: &Context) -> anyhow::Result<Exit> {
    let (_, store) = context.open().await?;
    let conflicts = store.open_conflicts(limit).await;
    store.close().await;
    let conflicts = conflicts?;
    if context.json {
        output::print_json(&conflicts)?;
        return Ok(Exit::Done);
    }
    if conflicts.is_empty() {
        output::print("Nothing waits for a person.")?;
        return Ok(Exit::Done);
    }
    let rows = conflicts.iter().map(|conflict| {
        [
            conflict.opened_at.to_string(),
            conflict.account.clone(),
            conflict.key.clone(),
            output::or_nothing(conflict.contact_id),
            output::or_nothing(conflict.field.as_deref()),
            output::or_nothing(conflict.holder),
            conflict.reason.clone(),
        ]
    });
    output::print_table(["since", "account", "key", "contact", "field", "held by", "why"], rows)?;
    output::print(
        "\nMend the cause, then `contacts link` the right contact or `outbox retry` the update; `outbox discard` gives it up.",
    )?;
    Ok(Exit::Done)
}
