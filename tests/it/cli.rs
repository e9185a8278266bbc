//! The program as people and scripts use it: what it prints, where, and with which exit code.

use std::{
    fs,
    io::{BufRead as _, BufReader, Write as _},
    path::Path,
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

use serde_json::Value;
use tempfile::TempDir;

const SECRET: &str = "a-secret-of-the-shop";
const TOKEN: &str = "sandbox-token";
const ADMIN_TOKEN: &str = "a-token-for-the-admin-port";
/// Longer than anything here takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

const CUSTOMER: &str = r#"{"id":7,"email":"Ada@Example.com","first_name":"Ada","phone":"nonsense"}"#;
const CREATED: [&str; 2] = ["--header", "X-Shopify-Topic: customers/create"];

/// A directory to run the program in.
struct Place(TempDir);

/// A program that runs until it is stopped; killed with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Place {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    /// With a configuration of one shop and one account.
    fn configured(base_url: &str) -> Self {
        let place = Self::new();
        let listen = "[server]\nlisten = \"127.0.0.1:0\"\n";
        let account =
            format!("[accounts.store]\nbase_url = \"{base_url}\"\naccount_id = 1\napi_access_token = \"{TOKEN}\"\n");
        let source = format!("[sources.shop]\npreset = \"shopify\"\nsecret = \"{SECRET}\"\n");
        place.write("contact-relay.toml", &format!("{listen}{account}{source}"));
        place.write("customer.json", CUSTOMER);
        place
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path().join(name), text).unwrap();
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_contact-relay"));
        command.args(args).current_dir(self.path()).stdin(Stdio::null());
        for unwanted in ["RUST_LOG", "CONTACT_RELAY_CONFIG", "NO_COLOR"] {
            command.env_remove(unwanted);
        }
        command
            .env("CONTACT_RELAY_ADMIN_TOKEN", ADMIN_TOKEN)
            .env("CHATWOOT_API_ACCESS_TOKEN", TOKEN)
            .env("SHOPIFY_SECRET", SECRET);
        command
    }

    fn run(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap()
    }

    /// Standard output of a command that has to end with this code.
    fn ends(&self, code: i32, args: &[&str]) -> String {
        let output = self.run(args);
        let (told, remarked) = (text(&output.stdout), text(&output.stderr));
        assert_eq!(output.status.code(), Some(code), "{args:?}\n{told}\n{remarked}");
        told
    }

    /// Standard error of a command that has to end with this code.
    fn remarks(&self, code: i32, args: &[&str]) -> String {
        let output = self.run(args);
        let remarked = text(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{args:?}\n{}\n{remarked}", text(&output.stdout));
        remarked
    }

    /// What a command prints for programs.
    fn json(&self, args: &[&str]) -> Value {
        serde_json::from_str(&self.ends(0, &[args, &["--json"]].concat())).unwrap()
    }

    /// Runs the service; answers it and its address.
    fn serve(&self) -> (Running, String) {
        let mut child = self.command(&["serve"]).stderr(Stdio::piped()).spawn().unwrap();
        let log = BufReader::new(child.stderr.take().unwrap());
        let running = Running(child);
        let mut lines = log.lines().map(Result::unwrap);
        let address = lines.find_map(|line| Some(line.split_once("webhooks arrive at ")?.1.to_owned())).unwrap();
        // Read on, or the service would wait for somebody to do so.
        std::thread::spawn(move || lines.for_each(drop));
        (running, address)
    }

    /// Runs the stand-in Chatwoot; answers it and its address.
    fn sandbox(&self) -> (Running, String) {
        let args = ["sandbox", "--listen", "127.0.0.1:0", "--json"];
        let mut child = self.command(&args).stdout(Stdio::piped()).spawn().unwrap();
        let told = BufReader::new(child.stdout.take().unwrap());
        let running = Running(child);
        let mut stream = serde_json::Deserializer::from_reader(told).into_iter::<Value>();
        let place = stream.next().unwrap().unwrap();
        assert_eq!(place["api_access_token"], TOKEN);
        (running, place["base_url"].as_str().unwrap().to_owned())
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// Ends a program as an operating system does.
fn terminate(mut running: Running) -> Option<i32> {
    let killed = Command::new("kill").args(["-TERM", &running.0.id().to_string()]).status().unwrap();
    assert!(killed.success());
    running.0.wait().unwrap().code()
}

#[test]
fn a_first_configuration_leads_to_a_delivered_webhook() {
    let place = Place::new();
    let (sandbox, base_url) = place.sandbox();
    let init = ["init", "--base-url", &base_url, "--account-id", "1", "--preset", "shopify", "--phone-region", "il"];
    let steps = place.ends(0, &init);
    assert!(steps.contains("SHOPIFY_SECRET") && steps.contains("check --online"), "{steps}");
    let written = fs::read_to_string(place.path().join("contact-relay.toml")).unwrap();
    assert!(!written.contains(SECRET) && !written.contains(TOKEN));
    assert!(place.remarks(1, &init).contains("--force"), "a file is never overwritten silently");
    place.ends(0, &["check"]);
    let online = place.ends(0, &["check", "--online"]);
    assert!(online.contains("Chatwoot 4.15.1") && online.contains("administrator"), "{online}");

    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    place.write(
        "contact-relay.toml",
        &written.replace("127.0.0.1:8080", "127.0.0.1:0").replace("127.0.0.1:8081", &free),
    );
    place.write("customer.json", CUSTOMER);
    let (service, url) = place.serve();
    let send = [&["send", "--source", "shopify", "--url", &url, "customer.json"], CREATED.as_slice()].concat();
    assert!(place.ends(0, &send).contains("accepted"));
    let begun = Instant::now();
    while place.json(&["outbox", "list", "--state", "delivered"]).as_array().unwrap().is_empty() {
        assert!(begun.elapsed() < PATIENCE, "{}", place.ends(0, &["outbox", "list"]));
    }
    let row = place.json(&["outbox", "show", "1"]);
    assert_eq!(row["changes"]["email"], "ada@example.com");
    assert_eq!(row["attempts"].as_array().unwrap().last().unwrap()["verdict"], "delivered");
    let contact = row["contact_id"].as_i64().unwrap();
    assert_eq!(place.json(&["contacts", "show", "7"])[0]["contact_id"], contact);
    assert!(place.ends(0, &["webhooks", "show", "1"]).contains("customers/create"));
    assert_eq!(place.ends(0, &["webhooks", "show", "1", "--body"]), CUSTOMER);
    assert!(place.ends(0, &["webhooks", "replay", "1", "--dry-run"]).contains("ada@example.com"));
    assert_eq!(place.json(&["webhooks", "replay", "1"])[0]["rows"], 1, "beside a running service");
    assert_eq!(terminate(service), Some(0));
    assert_eq!(terminate(sandbox), Some(0));
}

#[test]
fn a_second_service_on_the_same_database_is_refused_and_a_request_to_stop_is_obeyed() {
    let place = Place::configured("http://127.0.0.1:9");
    let (service, _) = place.serve();
    assert!(place.remarks(1, &["serve"]).contains("another contact-relay serves contact-relay.db already"));
    assert_eq!(terminate(service), Some(0));
    let (again, _) = place.serve();
    assert_eq!(terminate(again), Some(0));
}

#[test]
fn a_request_without_a_right_signature_fails_the_command_that_sent_it() {
    let place = Place::configured("http://127.0.0.1:9");
    let (_service, url) = place.serve();
    let config = fs::read_to_string(place.path().join("contact-relay.toml")).unwrap();
    place.write("other.toml", &config.replace(SECRET, "another-secret"));
    let send = ["send", "--config", "other.toml", "--source", "shop", "--url", &url, "customer.json"];
    assert!(place.ends(1, &send).starts_with("401"));
}

#[test]
fn all_faults_of_a_configuration_are_shown_with_their_lines_and_without_secrets() {
    let place = Place::configured("http://127.0.0.1:9");
    let config = fs::read_to_string(place.path().join("contact-relay.toml")).unwrap();
    let broken =
        config.replace("account_id = 1", "account_id = \"one\"").replace("preset = \"shopify\"", "preset = \"shopfy\"");
    place.write("contact-relay.toml", &broken);
    for command in [&["check"][..], &["serve"], &["outbox", "list"], &["map", "--source", "shop", "customer.json"]] {
        let shown = place.remarks(3, command);
        for expected in ["contact-relay.toml:5", "contact-relay.toml:8", "account_id", "did you mean `shopify`?"] {
            assert!(shown.contains(expected), "{expected} is missing in\n{shown}");
        }
        for hidden in [SECRET, TOKEN, "\x1b"] {
            assert!(!shown.contains(hidden), "{shown}");
        }
    }
    let report: Value = serde_json::from_str(&place.ends(3, &["check", "--json"])).unwrap();
    assert_eq!((&report["ok"], report["problems"].as_array().unwrap().len()), (&Value::Bool(false), 2));
    assert!(place.remarks(3, &["check", "--config", "none.toml"]).contains("contact-relay init"));
}

#[test]
fn an_account_that_does_not_answer_fails_the_check_in_words() {
    let place = Place::configured("http://127.0.0.1:9");
    let told = place.ends(1, &["check", "--online"]);
    assert!(told.contains("account store: no connection to Chatwoot: the connection was refused"), "{told}");
    let report: Value = serde_json::from_str(&place.ends(1, &["check", "--online", "--json"])).unwrap();
    assert_eq!(report["accounts"][0]["ok"], false);
}

#[test]
fn what_is_not_there_has_an_exit_code_of_its_own() {
    let place = Place::configured("http://127.0.0.1:9");
    assert!(place.remarks(4, &["outbox", "list"]).contains("there is no database contact-relay.db yet"));
    assert!(!place.path().join("contact-relay.db").exists(), "a command that looks makes no database");
    place.ends(0, &["contacts", "link", "shop-7", "7"]);
    for args in [
        &["outbox", "show", "99"][..],
        &["outbox", "retry", "99"],
        &["outbox", "discard", "99", "--reason", "a test"],
        &["webhooks", "show", "99"],
        &["webhooks", "replay", "99"],
        &["contacts", "show", "nobody"],
        &["contacts", "unlink", "nobody"],
        &["contacts", "link", "shop-8", "8", "--account", "none"],
        &["presets", "show", "none"],
        &["map", "--source", "none", "customer.json"],
    ] {
        assert!(place.remarks(4, args).starts_with("error: "), "{args:?}");
    }
    for args in [&["outbox", "list", "--state", "lost"][..], &["contacts", "link", "shop-7", "0"], &["nothing"]] {
        place.ends(2, args);
    }
    assert!(place.remarks(2, &["init"]).contains("--base-url"));
}

#[test]
fn a_link_is_made_shown_from_both_ends_and_removed() {
    let place = Place::configured("http://127.0.0.1:9");
    place.ends(0, &["contacts", "link", "shop-7", "7"]);
    place.ends(0, &["contacts", "link", "email: Ada@Example.com", "7"]);
    assert!(place.ends(0, &["contacts", "link", "shop-7", "8"]).contains("no more to 7"));
    assert_eq!(place.json(&["contacts", "show", "shop-7"])[0]["contact_id"], 8);
    assert_eq!(place.json(&["contacts", "show", "7"])[0]["key"], "email:ada@example.com");
    place.ends(0, &["contacts", "unlink", "shop-7"]);
    place.ends(4, &["contacts", "unlink", "shop-7"]);
}

#[test]
fn an_import_keeps_the_good_lines_and_says_what_is_wrong_with_the_others() {
    let place = Place::configured("http://127.0.0.1:9");
    let mut file = fs::File::create(place.path().join("contacts.csv")).unwrap();
    writeln!(file, "id,name,external").unwrap();
    for id in 1..=6_000 {
        writeln!(file, "{id},Somebody,shop-{id}").unwrap();
    }
    writeln!(file, "x,Nobody,shop-x\n6001,Nobody,\n7,\"unfinished").unwrap();
    let import = ["contacts", "import", "contacts.csv", "--account", "store", "--identifier-column", "external"];
    let output = place.run(&import);
    let (told, remarked) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(1), "{told}\n{remarked}");
    assert!(told.contains("links added: 6000") && told.contains("1 line without an identifier"), "{told}");
    assert!(
        remarked.contains("line 6002: the contact's number") && remarked.contains("line 6004: the line ends"),
        "{remarked}"
    );
    assert_eq!(place.json(&["contacts", "show", "shop-6000"])[0]["origin"], "import");
    let again: Value = serde_json::from_str(&place.ends(1, &[&import[..], &["--json"]].concat())).unwrap();
    assert_eq!((&again["added"], &again["unchanged"]), (&Value::from(0), &Value::from(6_000)));
    assert!(place.remarks(1, &["contacts", "import", "contacts.csv"]).contains("no column `identifier`"));
}

#[test]
fn a_dry_run_of_a_mapping_shows_the_update_and_what_was_dropped_and_stores_nothing() {
    let place = Place::configured("http://127.0.0.1:9");
    let map = [&["map", "--source", "shop", "customer.json"], CREATED.as_slice()].concat();
    let told = place.ends(0, &map);
    for expected in ["customers/create", "email = \"ada@example.com\"", "dropped phone_number"] {
        assert!(told.contains(expected), "{expected} is missing in\n{told}");
    }
    assert_eq!(place.json(&map)["updates"][0]["key"], "7");
    let ignored = place.ends(0, &["map", "--source", "shop", "customer.json", "-H", "X-Shopify-Topic: shop/update"]);
    assert!(ignored.starts_with("ignored: event.when is false"), "{ignored}");
    place.write("nobody.json", "{}");
    let unmappable = place.ends(1, &[&["map", "--source", "shop", "nobody.json"], CREATED.as_slice()].concat());
    assert!(unmappable.starts_with("unmappable: "), "{unmappable}");
    place.write("broken.json", "{");
    assert!(place.remarks(1, &["map", "--source", "shop", "broken.json"]).contains("the body cannot be read"));
    assert!(!place.path().join("contact-relay.db").exists());
}

#[test]
fn a_webhook_is_signed_for_people_for_programs_and_for_curl() {
    let place = Place::configured("http://127.0.0.1:9");
    let sign = ["sign", "--source", "shop", "customer.json"];
    let signature = place.json(&sign)["headers"]["x-shopify-hmac-sha256"].as_str().unwrap().to_owned();
    assert!(place.ends(0, &sign).contains(&format!("x-shopify-hmac-sha256: {signature}\n")));
    let curl = place.ends(0, &[&sign[..], &["--curl"]].concat());
    assert!(curl.contains("--data-binary '@customer.json'") && curl.contains("/hooks/shop'"), "{curl}");
    assert!(!curl.contains(SECRET));
}

#[test]
fn listings_are_json_for_programs_and_tables_for_people() {
    let place = Place::configured("http://127.0.0.1:9");
    place.ends(0, &["contacts", "link", "shop-7", "7"]);
    for args in [&["outbox", "list"][..], &["webhooks", "list"], &["contacts", "show", "shop-7"], &["presets", "list"]]
    {
        assert!(place.json(args).is_array(), "{args:?}");
        let told = place.ends(0, args);
        let head = told.lines().next().unwrap();
        assert_eq!(head, head.to_uppercase(), "{args:?}");
    }
    assert_eq!(place.json(&["check"])["ok"], true);
    assert_eq!(place.json(&["presets", "show", "stripe"])["name"], "stripe");
}

#[test]
fn a_source_is_paused_and_resumed_and_shown_with_what_it_sent() {
    let place = Place::configured("http://127.0.0.1:9");
    assert!(place.ends(0, &["sources", "pause", "shop"]).contains("sources resume shop"));
    place.ends(4, &["sources", "pause", "shop"]);
    place.ends(4, &["sources", "pause", "none"]);
    let (service, url) = place.serve();
    let send = [&["send", "--source", "shop", "--url", &url, "customer.json"], CREATED.as_slice()].concat();
    assert!(place.ends(0, &send).contains("accepted"));
    place.write("redact.json", r#"{"shop_id":1,"shop_domain":"x.example","customer":{"id":7},"orders_to_redact":[]}"#);
    let redact = ["send", "--source", "shop", "--url", &url, "redact.json", "-H", "X-Shopify-Topic: customers/redact"];
    assert!(place.ends(0, &redact).contains("ignored"));
    let listed = &place.json(&["sources", "list"])[0];
    assert_eq!((&listed["name"], &listed["preset"]), (&Value::from("shop"), &Value::from("shopify")));
    assert_eq!((&listed["webhooks"]["mapped"], &listed["last_secret"]), (&Value::from(1), &Value::from(0)));
    assert!(place.ends(0, &["sources", "list"]).contains("the command line since"), "who paused it");
    let stats = place.json(&["stats"]);
    assert_eq!((&stats["outbox"]["pending"], &stats["person_requests_open"]), (&Value::from(1), &Value::from(1)));
    let told = place.ends(0, &["stats"]);
    for expected in ["1 pending", "shop: 2 accepted", "paused source", "contacts requests"] {
        assert!(told.contains(expected), "{expected} is missing in\n{told}");
    }
    assert_eq!(place.json(&["contacts", "requests"])[0]["key"], "7");
    assert!(place.ends(0, &["contacts", "requests"]).contains("erase"));
    place.ends(0, &["sources", "resume", "shop"]);
    place.ends(4, &["sources", "resume", "shop"]);
    assert_eq!(terminate(service), Some(0));
}

#[test]
fn refused_requests_are_explained_by_the_running_service() {
    let place = Place::configured("http://127.0.0.1:9");
    assert!(place.remarks(2, &["sources", "diagnose", "shop"]).contains("add [admin]"));
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let config = fs::read_to_string(place.path().join("contact-relay.toml")).unwrap();
    let config = format!("{config}[admin]\nlisten = \"{free}\"\ntoken = \"{ADMIN_TOKEN}\"\n");
    place.write("contact-relay.toml", &config);
    assert!(place.remarks(1, &["sources", "diagnose", "shop"]).contains("is it running?"));
    let (_service, url) = place.serve();
    assert!(place.remarks(0, &["sources", "diagnose", "shop"]).contains("no request of shop was refused"));
    place.write("other.toml", &config.replace(SECRET, &format!("{SECRET} ")));
    place.ends(1, &["send", "--config", "other.toml", "--source", "shop", "--url", &url, "customer.json"]);
    place.write("other.toml", &config.replace(SECRET, &format!("whsec_{SECRET}")));
    place.ends(1, &["send", "--config", "other.toml", "--source", "shop", "--url", &url, "customer.json"]);
    let told = place.ends(0, &["sources", "diagnose", "shop"]);
    assert!(told.contains("refused: wrong_signature") && told.contains("with `whsec_` before the secret"), "{told}");
    let diagnosed = place.json(&["sources", "diagnose", "shop"]);
    assert_eq!(diagnosed[0]["findings"][0]["code"], "secret_prefix_lost");
    assert!(!diagnosed.to_string().contains(SECRET));
    place.write("other.toml", &config.replace(ADMIN_TOKEN, "another-token-of-the-port"));
    assert!(
        place.remarks(1, &["sources", "diagnose", "shop", "--config", "other.toml"]).contains("another admin token")
    );
}

#[test]
fn shells_and_man_are_told_all_commands() {
    let place = Place::new();
    for shell in ["bash", "zsh", "fish"] {
        let script = place.ends(0, &["completions", shell]);
        assert!(script.contains("replay") && script.contains("sandbox"), "{shell}");
    }
    assert!(place.ends(0, &["man"]).contains("contact\\-relay"));
    place.ends(0, &["man", "--dir", "pages"]);
    assert!(place.path().join("pages/contact-relay-outbox-retry.1").exists());
    assert!(place.ends(0, &["--help"]).contains("Exit codes:"));
}

#[test]
fn a_reader_that_leaves_ends_a_command_quietly() {
    let place = Place::new();
    let mut child =
        place.command(&["presets", "show", "shopify"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), text(&output.stderr)), (Some(0), String::new()));
}

#[test]
fn log_lines_are_json_where_programs_read_them() {
    let place = Place::configured("http://127.0.0.1:9");
    let mut child = place.command(&["serve", "--log-format", "json"]).stderr(Stdio::piped()).spawn().unwrap();
    let mut log = BufReader::new(child.stderr.take().unwrap()).lines();
    let _running = Running(child);
    let line: Value = serde_json::from_str(&log.next().unwrap().unwrap()).unwrap();
    assert_eq!((&line["level"], &line["database.path"]), (&Value::from("INFO"), &Value::from("contact-relay.db")));
}
