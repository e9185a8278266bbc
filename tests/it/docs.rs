//! The documentation against the code: the example configuration loads, the drawing of states is the one that the code
//! and the table have, and every name that somebody may look up is explained.

use std::{collections::BTreeSet, fs, path::PathBuf};

use contact_relay::{
    config::{self, FixedEnvironment},
    store::RowState,
};

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
    let whole: String = example.lines().map(|line| format!("{}\n", uncommented(line))).collect();
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
fn links_between_the_documents_lead_to_files_that_are_there() {
    for document in
        ["README.md", "ARCHITECTURE.md", "CHANGELOG.md", "docs/configuration.md", "docs/mapping.md", "docs/delivery.md"]
    {
        let folder = root().join(document).parent().unwrap().to_owned();
        for target in read(document).split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let target = target.split('#').next().unwrap_or_default();
            let elsewhere = target.is_empty() || target.starts_with("http");
            assert!(elsewhere || folder.join(target).exists(), "{document} links to {target}");
        }
    }
}
