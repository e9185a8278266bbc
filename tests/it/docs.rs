//! The documentation against the code: what it shows of configurations loads, the drawing of states is the one that the
//! code and the table have, and every name that somebody may look up is explained.

use std::{collections::BTreeSet, fs, path::PathBuf};

use contact_relay::{
    config::{self, FixedEnvironment},
    store::RowState,
};
use toml::{Table, Value};

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// What stands between two texts, behind the first place of `from`.
fn between<'t>(text: &'t str, from: &str, to: &str) -> &'t str {
    let start = text.find(from).unwrap_or_else(|| panic!("`{from}` is not there")) + from.len();
    let rest = &text[start..];
    &rest[..rest.find(to).unwrap_or_else(|| panic!("`{to}` is not there"))]
}

/// The texts between pairs of `quote`.
fn quoted(text: &str, quote: char) -> Vec<String> {
    text.split(quote).skip(1).step_by(2).map(str::to_owned).collect()
}

fn all_states() -> BTreeSet<String> {
    RowState::ALL.iter().map(ToString::to_string).collect()
}

/// A row of the table of states in ARCHITECTURE.md.
struct Drawn {
    state: RowState,
    open: bool,
    leads_to: BTreeSet<String>,
}

/// The table under the heading `### States of a row`: the state, whether it is open, how a row gets in, where it goes.
fn drawn_states() -> Vec<Drawn> {
    let architecture = read("ARCHITECTURE.md");
    let section = between(&architecture, "### States of a row", "\n### ");
    section
        .lines()
        .filter(|line| line.starts_with("| `"))
        .map(|line| {
            let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
            let [state, kind, _, leads_to] = cells.as_slice() else { panic!("four cells expected in {line}") };
            Drawn {
                state: state.trim_matches('`').parse().unwrap(),
                open: match *kind {
                    "open" => true,
                    "settled" => false,
                    other => panic!("`{other}` is neither open nor settled, in {line}"),
                },
                leads_to: quoted(leads_to, '`').into_iter().collect(),
            }
        })
        .collect()
}

#[test]
fn the_example_configuration_has_no_faults_and_no_warnings() {
    let variables = [
        "CONTACT_RELAY_ADMIN_TOKEN",
        "CHATWOOT_API_ACCESS_TOKEN",
        "SHOPIFY_SECRET",
        "SHOPIFY_SECRET_OLD",
        "TYPEFORM_SECRET",
        "CRM_SECRET",
        "ALERT_URL",
    ];
    let env = variables.iter().fold(FixedEnvironment::default(), |env, name| {
        env.with_var(name, &format!("https://example.com/{}", name.to_lowercase()))
    });
    let example = read("config.example.toml");
    // Keys without a default are commented out; they have to be right as well.
    let whole: Vec<&str> = example.lines().map(uncommented).collect();
    let whole = whole.join("\n");
    for text in [example, whole] {
        match config::parse(&text, "config.example.toml", &env) {
            Ok(loaded) => assert!(loaded.warnings.is_empty(), "{}", loaded.warnings),
            Err(problems) => panic!("{problems}"),
        }
    }
}

/// A line of the example with its key, where that is commented out: `#key = …`, without a blank.
fn uncommented(line: &str) -> &str {
    match line.strip_prefix('#') {
        Some(key) if !key.is_empty() && !key.starts_with(' ') => key,
        _ => line,
    }
}

#[test]
fn the_drawing_names_every_state() {
    let drawn: Vec<RowState> = drawn_states().iter().map(|drawn| drawn.state).collect();
    assert_eq!(drawn, RowState::ALL, "the table in ARCHITECTURE.md and the enum");
    let architecture = read("ARCHITECTURE.md");
    let drawing = between(between(&architecture, "\n## States\n", "### States of a row"), "```text", "```");
    let words: BTreeSet<&str> = drawing.split(|c: char| !c.is_ascii_lowercase() && c != '_').collect();
    for state in RowState::ALL {
        assert!(words.contains(state.as_str()), "{state} is not in the drawing");
    }
    let migration = read("migrations/20261122120000_create_outbox.sql");
    let check = between(&migration, "CHECK (state IN (", "))");
    assert_eq!(quoted(check, '\'').into_iter().collect::<BTreeSet<_>>(), all_states(), "the CHECK and the enum");
}

#[test]
fn the_drawing_the_check_and_the_enum_agree_on_which_states_are_open() {
    let migration = read("migrations/20261122120000_create_outbox.sql");
    let checked: BTreeSet<String> = quoted(between(&migration, "CHECK ((state IN (", "))"), '\'').into_iter().collect();
    for drawn in drawn_states() {
        assert_eq!(drawn.open, drawn.state.is_open(), "{}: ARCHITECTURE.md and the enum", drawn.state);
        assert_eq!(checked.contains(drawn.state.as_str()), drawn.state.is_open(), "{}: the CHECK", drawn.state);
    }
}

#[test]
fn every_open_state_of_the_drawing_leads_on_and_only_to_states_that_exist() {
    let states = all_states();
    for drawn in drawn_states() {
        assert!(drawn.leads_to.is_subset(&states), "{}: {:?}", drawn.state, drawn.leads_to);
        assert!(!drawn.open || !drawn.leads_to.is_empty(), "{} leads nowhere", drawn.state);
    }
}

#[test]
fn every_failure_of_a_call_is_explained() {
    let explained = read("docs/delivery.md");
    for code in codes("src/chatwoot/failure.rs") {
        assert!(explained.contains(&format!("`{code}`")), "docs/delivery.md does not explain `{code}`");
    }
}

#[test]
fn every_refusal_of_a_webhook_is_explained() {
    let explained = read("docs/configuration.md");
    for code in codes("src/sources/scheme/refusal.rs") {
        assert!(explained.contains(&format!("`{code}`")), "docs/configuration.md does not explain `{code}`");
    }
}

/// The stable codes of an enum's function `code`.
fn codes(path: &str) -> Vec<String> {
    let text = read(path);
    let codes: Vec<String> = text
        .lines()
        .map(str::trim)
        .filter(|line| line.starts_with("Self::") && line.ends_with("\","))
        .filter_map(|line| line.split_once("=> \"")?.1.strip_suffix("\","))
        .map(str::to_owned)
        .collect();
    assert!(codes.len() > 5, "{path}: its codes were not found");
    codes
}

#[test]
fn every_key_of_the_example_is_explained() {
    let explained = read("docs/configuration.md") + &read("docs/mapping.md");
    for line in read("config.example.toml").lines().map(uncommented).filter(|line| !line.starts_with('#')) {
        let Some((key, _)) = line.split_once(" = ") else { continue };
        let key = key.split('.').next().unwrap_or(key).trim();
        let is_explained =
            [format!("`{key}"), format!(".{key}`"), format!(".{key}.KEY`")].iter().any(|text| explained.contains(text));
        assert!(is_explained, "neither docs/configuration.md nor docs/mapping.md explains `{key}`");
    }
}

#[test]
fn every_configuration_of_the_guide_to_custom_senders_loads_as_it_stands() {
    let guide = read("docs/custom-senders.md");
    let blocks: Vec<&str> =
        guide.split("```toml\n").skip(1).map(|rest| rest.split("```").next().unwrap_or_default()).collect();
    assert!(blocks.len() > 5, "its configurations were not found");
    for block in blocks {
        let (text, env) = whole_configuration(block);
        match config::parse(&text, "docs/custom-senders.md", &env) {
            Ok(loaded) => assert!(loaded.warnings.is_empty(), "{text}\n{}", loaded.warnings.render(false)),
            Err(faults) => panic!("{text}\n{}", faults.render(false)),
        }
    }
}

/// Is text, hexadecimal and base64 alike.
const ANY_SECRET: &str = "0123456789abcdef";

/// What a document shows, with what it leaves out: an account, and of each source a secret and what it maps.
fn whole_configuration(shown: &str) -> (String, FixedEnvironment) {
    let mut shown: Table = shown.parse().unwrap_or_else(|fault| panic!("{shown}\n{fault}"));
    let sources = shown.get_mut("sources").and_then(Value::as_table_mut).expect("a source");
    let left_out = [("secret", ANY_SECRET.into()), ("map", Value::Table("email = '.email'".parse().unwrap()))];
    for (_, source) in sources.iter_mut() {
        let source = source.as_table_mut().expect("a table");
        let is_open = source["verify"].get("scheme").and_then(Value::as_str) == Some("none");
        for (key, value) in left_out.clone() {
            if key != "secret" || !is_open {
                source.entry(key).or_insert(value);
            }
        }
    }
    let account = "[store]\nbase_url = 'https://chat.example.com'\naccount_id = 1\napi_access_token = 'token'\n";
    shown.insert("accounts".to_owned(), Value::Table(account.parse().unwrap()));
    let text = shown.to_string();
    let names = text.split("env = \"").skip(1).filter_map(|rest| rest.split('"').next());
    let env = names.fold(FixedEnvironment::default(), |env, name| env.with_var(name, ANY_SECRET));
    (text, env)
}

#[test]
fn links_between_the_documents_lead_to_files_and_headings_that_are_there() {
    let documents = [
        "README.md",
        "ARCHITECTURE.md",
        "CHANGELOG.md",
        "docs/configuration.md",
        "docs/custom-senders.md",
        "docs/delivery.md",
        "docs/mapping.md",
        "docs/senders/README.md",
    ];
    for document in documents {
        let folder = root().join(document).parent().unwrap().to_owned();
        for link in read(document).split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            if link.starts_with("http") {
                continue;
            }
            let (path, heading) = link.split_once('#').map_or((link, None), |(path, heading)| (path, Some(heading)));
            let target = if path.is_empty() { root().join(document) } else { folder.join(path) };
            assert!(target.exists(), "{document} links to {link}");
            if let Some(heading) = heading {
                let text = fs::read_to_string(&target).unwrap();
                let is_there = text.lines().filter(|line| line.starts_with('#')).any(|line| anchor(line) == heading);
                assert!(is_there, "{document} links to {link}");
            }
        }
    }
}

/// The fragment that leads to a heading: its letters and digits, with hyphens for blanks.
fn anchor(heading: &str) -> String {
    let text = heading.trim_start_matches('#').trim().to_lowercase();
    let kept = text.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect()
}
