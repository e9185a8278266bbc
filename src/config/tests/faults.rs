use super::*;

#[test]
fn an_empty_file_says_what_is_needed() {
    assert_eq!(
        faults("").render(false),
        "\
error: accounts: there is no Chatwoot account to write to
--> contact-relay.toml
 = help: add a table [accounts.NAME] with base_url, account_id and api_access_token

error: sources: there is no source of webhooks
--> contact-relay.toml
 = help: add a table [sources.NAME], for example with preset = \"shopify\" and secret = { env = \"SHOPIFY_SECRET\" }"
    );
}

#[test]
fn all_faults_are_reported_at_once_in_the_order_of_their_lines() {
    let text = r#"
[server]
listen = "8080"
max_body = "128MiB"
max_bdy = "1MiB"

[accounts.Store]
base_url = "chat.example.com"
account_id = "42"
rate_limit = "5 per second"
call_timeout = "10m"
match_by = ["identifier", "name"]

[sources.shop]
preset = "shopfy"
account = "sotre"

[sources.crm]
secret = { env = "NOT_SET" }
quiet_after = "soon"
[sources.crm.verify]
scheme = "hmac"
algorithm = "md5"
signature = { header = "X-Signature", json = "/signature" }
signed = "{body}"
[sources.crm.map]
nickname = '.nick'
"#;
    assert_eq!(
        lines(&faults(text)),
        [
            "3: server.listen: expected an address and a port such as \"127.0.0.1:8080\", found `8080`",
            "4: server.max_body: expected 1KiB to 64MiB, found 128MiB",
            "5: server.max_bdy: unknown key",
            "7: accounts.Store: expected a name of 1 to 64 letters a to z, digits, `-` and `_`",
            "7: accounts.Store.api_access_token: is missing; expected the access token of a user",
            "8: accounts.Store.base_url: expected an address such as \"https://chat.example.com\"; this is no address",
            "9: accounts.Store.account_id: expected a whole number, found a text",
            "10: accounts.Store.rate_limit: expected a rate such as \"5/s\" or \"300/min\", found `5 per second`",
            "11: accounts.Store.call_timeout: expected 1s to 5m, found 10m",
            "12: accounts.Store.match_by[1]: expected one of identifier, email, phone, found `name`",
            "15: sources.shop.preset: there is no preset `shopfy`",
            "16: sources.shop.account: there is no account `sotre`",
            "19: sources.crm.secret.env: the environment variable `NOT_SET` is not set",
            "20: sources.crm.quiet_after: expected a duration such as \"30s\", \"5m\" or \"14d\", found `soon`",
            "23: sources.crm.verify.algorithm: expected one of sha1, sha256, sha512, found `md5`",
            "24: sources.crm.verify.signature.encoding: is missing; expected hex, base64 or base64url",
            "24: sources.crm.verify.signature.json: expected only one of header, json",
            "26: sources.crm.map: nothing says whom an update is about: map identifier, email or phone_number",
            "27: sources.crm.map.nickname: is nothing that can be mapped; expected identifier, name, email, phone_number, phone_country, avatar_url, custom_attributes.KEY or additional_attributes.KEY",
        ]
    );
}

#[test]
fn a_fault_is_shown_the_way_a_compiler_shows_it() {
    let text = format!("{ACCOUNT}rate_limits = \"5/s\"\n{SOURCE}");
    assert_eq!(
        faults(&text).render(false),
        "\
error: accounts.store.rate_limits: unknown key
 --> contact-relay.toml:6:1
  |
6 | rate_limits = <hidden>
  | ^^^^^^^^^^^
  |
  = help: did you mean `rate_limit`?"
    );
    assert!(faults(&text).render(true).contains("\u{1b}["), "colour for terminals");
}

#[test]
fn a_problem_as_json_has_file_line_column_key_and_message() {
    let problems = faults(&format!("{ACCOUNT}dry_run = \"yes\"\n{SOURCE}"));
    let json = serde_json::to_value(problems.iter().collect::<Vec<_>>()).expect("serializes");
    assert_eq!(
        json,
        serde_json::json!([{
            "severity": "error", "file": "contact-relay.toml", "line": 6, "column": 11,
            "key": "accounts.store.dry_run", "message": "expected true or false, found a text", "help": null,
        }])
    );
}

#[test]
fn an_unverified_source_has_to_be_asked_for_twice() {
    let open = "[sources.form]\nverify = { scheme = \"none\" }\nmap.email = \".email\"\n";
    let fault = only_fault(&format!("{ACCOUNT}{open}"));
    assert_eq!(fault, "sources.form.verify.scheme: `none` lets anybody write into your contacts");
    let sworn = open.replace("verify", "i_know_this_source_is_open = true\nverify");
    loaded(&format!("{ACCOUNT}{sworn}"));
    let idle = SOURCE.replace("secret =", "i_know_this_source_is_open = true\nsecret =");
    let fault = only_fault(&format!("{ACCOUNT}{idle}"));
    assert_eq!(fault, "sources.crm.i_know_this_source_is_open: has a meaning only with scheme = \"none\"");
}

#[test]
fn two_sources_with_plain_numbers_as_ids_each_need_a_prefix() {
    let shop = |name: &str, preset: &str, more: &str| {
        format!("[sources.{name}]\npreset = \"{preset}\"\nsecret = {{ env = \"SHOPIFY_SECRET\" }}\n{more}\n")
    };
    let both = |a: &str, b: &str| format!("{ACCOUNT}{}{}", shop("one", "shopify", a), shop("two", "woocommerce", b));
    assert_eq!(faults(&both("", "")).len(), 2);
    let fault = only_fault(&both("identifier_prefix = \"a-\"", ""));
    assert!(fault.starts_with("sources.two: identifier_prefix is missing"), "{fault}");
    loaded(&both("identifier_prefix = \"\"", "identifier_prefix = \"woo-\""));
    // Ids that begin with cus_ cannot be mistaken for a shop's.
    loaded(&format!("{ACCOUNT}{}{}", shop("one", "shopify", ""), shop("two", "stripe", "")));
    let elsewhere = ACCOUNT.replace("store", "other").replace("42", "43");
    let apart = both("account = \"store\"", "account = \"other\"");
    loaded(&format!("{apart}{elsewhere}"));
}

#[test]
fn the_account_may_be_left_out_only_when_there_is_one() {
    let other = ACCOUNT.replace("store", "other").replace("42", "43");
    let fault = only_fault(&format!("{ACCOUNT}{other}{SOURCE}"));
    assert_eq!(fault, "sources.crm.account: is missing; expected one of the accounts other, store");
}

#[test]
fn one_chatwoot_account_is_not_written_down_twice() {
    let twin = ACCOUNT.replace("store", "twin").replace("example.com", "example.com/");
    let source = SOURCE.replace("secret", "account = \"store\"\nsecret");
    let fault = only_fault(&format!("{ACCOUNT}{twin}{source}"));
    assert_eq!(fault, "accounts.twin: is the same Chatwoot account as accounts.store");
}

#[test]
fn the_address_of_the_installation_ends_before_its_pages_and_its_query() {
    for (url, message) in [
        (
            "https://chat.example.com/app/accounts/42",
            "expected only the start of the address, without `/app/accounts/42`",
        ),
        ("https://chat.example.com/api/v1", "expected only the start of the address, without `/api/v1`"),
        ("https://chat.example.com/?a=1", "it must end before `?` and `#`"),
        ("ftp://chat.example.com", "it must start with http:// or https:// and name a host"),
    ] {
        let fault = only_fault(&format!("{}{SOURCE}", ACCOUNT.replace("https://chat.example.com", url)));
        assert!(fault.ends_with(message), "{fault}");
    }
}

#[test]
fn a_sender_that_signs_the_url_needs_ours() {
    let source = r#"
[sources.square]
secret = { env = "CRM_SECRET" }
map = { email = ".email" }
verify = { scheme = "hmac", algorithm = "sha256", signature = { header = "X-S", encoding = "base64" }, signed = "{url}{body}" }
"#;
    let problems = faults(&format!("{ACCOUNT}{source}"));
    assert_eq!(
        lines(&problems),
        ["10: sources.square.verify.signed: this sender signs the URL, so that ours must be known"]
    );
    assert!(problems.to_string().contains("set server.public_url"), "{problems}");
    loaded(&format!("{ACCOUNT}{source}[server]\npublic_url = \"https://hooks.example.com\"\n"));
}

#[test]
fn a_faulty_expression_points_at_its_own_line() {
    let source = SOURCE.replace(
        "map = { email = \".email\" }",
        "phone_region = \"XX\"\nmap.email = \".email |\"\nevent.when = 'def f: f; f'",
    );
    let problems = faults(&format!("{ACCOUNT}{source}"));
    let places: Vec<_> = problems.iter().map(|problem| (problem.line, problem.key.as_str())).collect();
    assert_eq!(
        places,
        [
            (Some(10), "sources.crm.phone_region"),
            (Some(11), "sources.crm.map.email"),
            (Some(12), "sources.crm.event.when"),
        ],
        "{problems}"
    );
}

#[test]
fn mistakes_of_syntax_are_reported_with_their_places() {
    let problems = faults("[server\nlisten = 127\n");
    let first = problems.iter().next().expect("one at least");
    assert_eq!(first.line, Some(1));
    assert!(first.message.starts_with("this is not TOML"), "{first}");
}

#[test]
fn what_belongs_together_is_checked_together() {
    for (more, message) in [
        ("[retention]\nbodies = \"91d\"\n", "retention.dedupe: expected 91d or more"),
        (
            "[admin]\nlisten = \"127.0.0.1:8080\"\ntoken = \"admin-token-of-some-length\"\n",
            "admin.listen: 127.0.0.1:8080 is taken",
        ),
    ] {
        let fault = only_fault(&format!("{ACCOUNT}{SOURCE}{more}"));
        assert!(fault.starts_with(message), "{fault}");
    }
    let fault = only_fault(&format!("{ACCOUNT}call_timeout = \"2s\"\n{SOURCE}"));
    assert_eq!(fault, "accounts.store.connect_timeout: expected no more than call_timeout, 2s; it is 5s");
}
