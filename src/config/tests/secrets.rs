use super::*;
use secrecy::ExposeSecret;

/// Something that must never be shown.
const HOT: &str = "h0tSecret";

fn assert_hidden(text: &str) -> Problems {
    assert!(text.contains(HOT), "the test has no secret");
    let problems = faults(text);
    for shown in [problems.render(false), problems.render(true), format!("{problems:?}")] {
        assert!(!shown.contains(HOT), "the secret is shown:\n{shown}");
    }
    problems
}

#[test]
fn a_secret_stands_in_place_or_in_a_variable_or_in_a_file() {
    let token = |written: &str| {
        let text = format!("{}{SOURCE}", ACCOUNT.replace("{ env = \"CHATWOOT_API_ACCESS_TOKEN\" }", written));
        let env = env().with_file("/run/secrets/unix", "from-file\n").with_file("/run/secrets/dos", "from-file\r\n");
        let loaded = parse(&text, DEFAULT_PATH, &env).unwrap_or_else(|problems| panic!("{problems}"));
        loaded.config.accounts["store"].api_access_token.expose_secret().to_owned()
    };
    assert_eq!(token("\"in-place\""), "in-place");
    assert_eq!(token("{ env = \"CRM_SECRET\" }"), "crm-secret");
    assert_eq!(token("{ file = \"/run/secrets/unix\" }"), "from-file");
    assert_eq!(token("{ file = \"/run/secrets/dos\" }"), "from-file");
}

#[test]
fn only_one_line_end_of_a_file_is_taken_off_and_blanks_are_a_warning() {
    let text = format!("{}{SOURCE}", ACCOUNT.replace("{ env = \"CHATWOOT_API_ACCESS_TOKEN\" }", "{ file = \"/s\" }"));
    let loaded = parse(&text, DEFAULT_PATH, &env().with_file("/s", "two ends\n\n")).unwrap_or_else(|p| panic!("{p}"));
    assert_eq!(loaded.config.accounts["store"].api_access_token.expose_secret(), "two ends\n");
    assert_eq!(loaded.warnings.len(), 1);
}

#[test]
fn a_secret_that_is_unset_or_empty_stops_the_start() {
    let fault = |written: &str| {
        let text = format!("{ACCOUNT}{}", SOURCE.replace("{ env = \"CRM_SECRET\" }", written));
        let env = env().with_var("EMPTY", " ").with_var("FORGOTTEN", "${CRM}").with_file("/empty", "\n");
        let problems = parse(&text, DEFAULT_PATH, &env).err().expect("a fault");
        assert_eq!(problems.len(), 1, "{problems}");
        problems.iter().map(ToString::to_string).collect::<String>()
    };
    assert_eq!(fault("{ env = \"NOT_SET\" }"), "sources.crm.secret.env: the environment variable `NOT_SET` is not set");
    assert_eq!(fault("{ env = \"EMPTY\" }"), "sources.crm.secret.env: the environment variable `EMPTY` is empty");
    assert_eq!(fault("{ file = \"/empty\" }"), "sources.crm.secret.file: the file's secret is empty");
    assert!(fault("{ file = \"/gone\" }").starts_with("sources.crm.secret.file: the file cannot be read"));
    assert_eq!(fault("\"\""), "sources.crm.secret: this secret is empty");
    let placeholder = "looks like a placeholder that nothing filled in";
    assert_eq!(fault("\"${CRM_SECRET}\""), format!("sources.crm.secret: this secret {placeholder}"));
    assert_eq!(
        fault("{ env = \"FORGOTTEN\" }"),
        format!("sources.crm.secret.env: the environment variable `FORGOTTEN` {placeholder}")
    );
    assert_eq!(
        fault("[\"good\", { env = \"NOT_SET\" }]"),
        "sources.crm.secret[1].env: the environment variable `NOT_SET` is not set"
    );
    assert!(fault("[]").ends_with("found an empty list"));
    assert_eq!(
        fault("[{ value = \"a\", not_after = \"soon\" }]"),
        "sources.crm.secret[0].not_after: expected a date such as 2027-01-31, or a time with its zone such as \
         2027-01-31T12:00:00Z"
    );
    assert_eq!(
        fault("[{ env = \"A\", file = \"/b\" }]"),
        "sources.crm.secret[0]: expected exactly one of `env`, `file` and `value`"
    );
}

#[test]
fn several_secrets_may_each_have_an_end() {
    let list = "[\"plain\", { value = \"a\", not_after = 2027-01-31 }, { env = \"CRM_SECRET\", not_after = \"2027-01-31T10:00:00Z\" }]";
    loaded(&format!("{ACCOUNT}{}", SOURCE.replace("{ env = \"CRM_SECRET\" }", list)));
}

#[test]
fn the_line_of_a_faulty_secret_does_not_show_it() {
    for written in [
        format!("\"${{{HOT}}}\""),
        format!("[\"{HOT}\", 7]"),
        format!("[\n  \"fine\",\n  \"${{{HOT}}}\",\n]"),
        format!("{{ value = \"{HOT}\", env = \"CRM_SECRET\" }}"),
        format!("{{ vlaue = \"{HOT}\" }}"),
        format!("{{ env = \"{HOT}\" }}"),
        format!("'''\n${{{HOT}}}'''"),
    ] {
        let problems = assert_hidden(&format!("{ACCOUNT}{}", SOURCE.replace("{ env = \"CRM_SECRET\" }", &written)));
        assert!(problems.iter().all(|problem| problem.key.starts_with("sources.crm.secret")), "{problems}");
    }
    let problems =
        assert_hidden(&format!("{ACCOUNT}{}", SOURCE.replace("{ env = \"CRM_SECRET\" }", &format!("\"${{{HOT}}}\""))));
    assert_eq!(
        problems.render(false),
        "\
error: sources.crm.secret: this secret looks like a placeholder that nothing filled in
 --> contact-relay.toml:8:10
  |
8 | secret = <hidden>
  |          ^^^^^^^^
  |
  = help: this file has no placeholders; write { env = \"NAME\" }"
    );
}

#[test]
fn a_secret_under_a_wrong_key_or_in_a_wrong_place_is_not_shown_either() {
    for text in [
        format!("{ACCOUNT}api_acces_token = \"{HOT}\"\n{SOURCE}"),
        format!("{ACCOUNT}{SOURCE}[servr]\nx = {{ y = [\"{HOT}\"] }}\n"),
        format!("{ACCOUNT}{SOURCE}[sources.other]\nverify = \"{HOT}\"\nmap.email = '.email'\n"),
        format!("admin = \"{HOT}\"\n{ACCOUNT}{SOURCE}"),
        format!("{}{SOURCE}", ACCOUNT.replace("https://", &format!("https://user:{HOT}@"))),
        format!("{ACCOUNT}{SOURCE}[alerts]\nwebhook = \"{HOT}\"\n"),
    ] {
        assert_hidden(&text);
    }
}

#[test]
fn a_file_that_is_no_toml_does_not_show_its_secrets() {
    for text in [
        format!("[admin]\ntoken = {HOT}\n"),
        format!("[admin]\ntoken = \"{HOT}\n"),
        format!("secret = [\n  \"{HOT}\",\n  {HOT}=\n"),
        format!("token = \"a\"\ntoken = \"{HOT}\"\n"),
    ] {
        assert_hidden(&text);
    }
}
