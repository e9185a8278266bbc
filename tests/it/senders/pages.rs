//! Every sender has a page for the owner of a shop, `docs/senders/NAME.md`, and a line in the table of all of them.

use std::{collections::BTreeSet, env, fmt::Write as _, fs, path::PathBuf};

use contact_relay::config::{self, FixedEnvironment, presets};
use toml::{Table, Value as Toml};

use super::fixture;

/// What a page shows where the sender's public key belongs.
const KEY_TO_PASTE: &str = "PASTE THE PUBLIC KEY HERE";
/// What secrets are in the configuration of a page whose preset has no fixture: right in every encoding.
const ANY_SECRET: &str = "00112233445566778899aabbccddeeff";

const TABLE_BEGINS: &str =
    "<!-- The table is made from the presets: `UPDATE=1 cargo test --test it senders` writes it. -->\n";
const TABLE_ENDS: &str = "<!-- End of the table. -->\n";

fn docs() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("docs/senders")
}

#[test]
fn every_preset_has_a_page_and_every_mapped_one_a_fixture() {
    for preset in presets::all() {
        assert!(docs().join(format!("{}.md", preset.name)).is_file(), "docs/senders/{}.md is missing", preset.name);
        let is_shown = !preset.mapped || !fixture::of(preset.name).is_empty();
        assert!(is_shown, "{} maps, and no fixture shows what", preset.name);
    }
}

#[test]
fn every_directory_of_fixtures_belongs_to_a_preset() {
    let names: BTreeSet<_> = presets::all().iter().map(|preset| preset.name).collect();
    for entry in fs::read_dir(fixture::directory()).unwrap().map(Result::unwrap) {
        let name = entry.file_name().into_string().unwrap();
        assert!(!entry.path().is_dir() || name == "keys" || names.contains(name.as_str()), "{name}");
    }
}

#[test]
fn the_configuration_on_each_page_loads_as_it_is() {
    for preset in presets::all() {
        let page = fs::read_to_string(docs().join(format!("{}.md", preset.name))).unwrap();
        let block = page.split_once("```toml\n").and_then(|(_, rest)| rest.split_once("```"));
        let (block, _) = block.unwrap_or_else(|| panic!("{} shows no configuration", preset.name));
        assert!(block.contains(&format!("preset = \"{}\"", preset.name)), "{}", preset.name);
        let fixture = fixture::of(preset.name).into_iter().next();
        let key = fixture.as_ref().and_then(|fixture| fixture.source.get("verify")?.get("public_key")?.as_str());
        let block = block.replace(KEY_TO_PASTE, key.unwrap_or_default().trim());
        let secret = fixture.as_ref().and_then(|fixture| fixture.secret.as_deref()).unwrap_or(ANY_SECRET);
        let mut environment = FixedEnvironment::default().with_var("CHATWOOT_TOKEN_OF_THE_TESTS", "token");
        for variable in block.split("env = \"").skip(1).filter_map(|rest| rest.split('"').next()) {
            environment = environment.with_var(variable, secret);
        }
        let account = "[accounts.store]\nbase_url = \"https://chat.example.com\"\naccount_id = 1\n\
                       api_access_token = { env = \"CHATWOOT_TOKEN_OF_THE_TESTS\" }\n";
        let text = format!("{block}\n{account}");
        let loaded = config::parse(&text, "page", &environment);
        let loaded = loaded.unwrap_or_else(|faults| panic!("{}\n{}", preset.name, faults.render(false)));
        // What is weak about a sender stands in its note.
        let warnings = loaded.warnings.render(false);
        assert!(warnings.trim().is_empty() || preset.note.is_some(), "{}\n{warnings}", preset.name);
    }
}

#[test]
fn the_table_of_senders_is_what_the_presets_say() {
    let path = docs().join("README.md");
    let page = fs::read_to_string(&path).unwrap();
    let (before, rest) = page.split_once(TABLE_BEGINS).expect("the table has a beginning");
    let (_, after) = rest.split_once(TABLE_ENDS).expect("the table has an end");
    let expected = format!("{before}{TABLE_BEGINS}\n{}\n{TABLE_ENDS}{after}", table());
    if page != expected && env::var_os("UPDATE").is_some() {
        fs::write(&path, expected).unwrap();
        return;
    }
    assert!(page == expected, "{} should be as follows; UPDATE=1 writes it:\n{expected}", path.display());
}

fn table() -> String {
    let mut table = String::from(
        "| sender | preset | kind | how it proves itself | fields | the proof is known from |\n\
         | --- | --- | --- | --- | --- | --- |\n",
    );
    let mut presets = presets::all();
    presets.sort_by_key(|preset| preset.title.to_lowercase());
    for preset in presets {
        let verify = preset.text.parse::<Table>().unwrap()["verify"].as_table().unwrap().clone();
        let _ = writeln!(
            table,
            "| [{title}]({name}.md) | `{name}` | {kind} | {proof} | {fields} | {verified} |",
            title = preset.title,
            name = preset.name,
            kind = preset.kind,
            proof = proof(&verify),
            fields = if preset.mapped { "mapped" } else { "yours to map" },
            verified = preset.verified.as_str(),
        );
    }
    table.push_str("\nNot supported:\n\n| sender | why, and what to do instead |\n| --- | --- |\n");
    for sender in presets::unsupported() {
        let reason = sender.reason.split_whitespace().collect::<Vec<_>>().join(" ");
        let _ = writeln!(table, "| {} | {reason} |", sender.title);
    }
    table
}

/// The scheme in a few words.
fn proof(verify: &Table) -> String {
    let text = |table: &Table, key: &str| table.get(key).and_then(Toml::as_str).map(str::to_owned);
    let place = |table: &Table| match (text(table, "header"), text(table, "query"), text(table, "json")) {
        (Some(header), _, _) => format!("in `{header}`"),
        (_, Some(parameter), _) => format!("in the URL, as `{parameter}`"),
        (_, _, Some(pointer)) => format!("in the body, at `{pointer}`"),
        _ => String::new(),
    };
    let scheme = text(verify, "scheme").unwrap();
    let name = match scheme.as_str() {
        "standard-webhooks" => {
            let prefix = text(verify, "header_prefix").unwrap_or_else(|| "webhook".to_owned());
            return format!("Standard Webhooks, in `{prefix}-signature`");
        }
        "token" => return format!("shared token {}", place(verify)),
        "basic" => return "user name and password".to_owned(),
        "jwt" => return "the body is a JSON Web Token".to_owned(),
        "none" => return "nothing".to_owned(),
        "hmac" | "hash" => {
            let algorithm = text(verify, "algorithm").unwrap().replace("sha", "SHA-");
            if scheme == "hmac" { format!("HMAC {algorithm}") } else { format!("plain {algorithm}") }
        }
        "ed25519" => "Ed25519".to_owned(),
        "ecdsa-p256-sha256" => "ECDSA P-256".to_owned(),
        "rsa-sha256" => "RSA SHA-256".to_owned(),
        other => other.to_owned(),
    };
    let signature = verify["signature"].as_table().unwrap();
    let time = if verify.contains_key("timestamp") { ", with a time" } else { "" };
    format!("{name} {}{time}", place(signature))
}
