use std::time::Duration;

use secrecy::ExposeSecret;

use super::*;
use crate::{
    contacts::{Field, Policy},
    mapping::spec::Target,
    settings::{GoneContact, MatchKey, MissingContact, RateLimit},
};

/// Every key that is documented, at least once.
const EVERYTHING: &str = r#"
[server]
listen = "127.0.0.1:9080"
public_url = "https://hooks.example.com/"
max_body = "2MiB"

[admin]
listen = "127.0.0.1:9081"
token = { env = "CONTACT_RELAY_ADMIN_TOKEN" }

[database]
path = "data/relay.db"

[accounts.store]
base_url = "https://online.99digital.co.il"
account_id = 42
api_access_token = { env = "CHATWOOT_API_ACCESS_TOKEN" }
missing_contact = "wait"
match_by = ["identifier", "email", "phone"]
rate_limit = "300/min"
dry_run = true
gone_contact = "create"
wait_for = "10d"
inbox_id = 7
token_header = "Api-Access-Token"
concurrency = 2
connect_timeout = "3s"
call_timeout = "20s"
retry.schedule = ["1s", "1m"]
retry.max_age = "2d"
retry.max_failures = 5
search_rate_limit = "1/s"
sync_every = "1d"
policy.name = "if_ours"
policy.email = "if_empty"
policy.custom_attributes.plan = "if_empty"
show_sync_attribute = "synced"

[sources.shop]
preset = "shopify"
secret = [{ env = "SHOPIFY_SECRET" }, { env = "SHOPIFY_SECRET_OLD", not_after = 2027-01-31 }]
account = "store"
phone_region = "IL"
identifier_prefix = "shop-"
paused = true
quiet_after = "2d"
repeat_window = "2h"
max_body = "512KiB"
policy.name = "always"
labels_add = ["customer"]
person_requests = "erase"

[sources.crm]
secret = { env = "CRM_SECRET" }
[sources.crm.verify]
scheme = "hmac"
algorithm = "sha256"
secret_encoding = "utf8"
signature = { header = "X-Signature", encoding = "hex", prefix = "sha256=" }
signed = "{timestamp}.{body}"
timestamp = { header = "X-Timestamp", unit = "s", tolerance = "5m" }
[sources.crm.event]
id = '$headers["x-event-id"]'
topic = '.type'
when = '.type | startswith("user.")'
each = '.users[]'
occurred_at = '.updated_at'
[sources.crm.map]
identifier = '.id'
name = '[.first, .last] | map(select(.)) | join(" ")'
email = '.email'
phone_number = '.phone'
phone_country = '.country'
avatar_url = '.photo'
custom_attributes.plan = '.plan'
additional_attributes.city = '.city'

[sources.open]
i_know_this_source_is_open = true
verify = { scheme = "none" }
map = { email = ".email" }

[retention]
bodies = "7d"
audit = "30d"
dead = "60d"
dedupe = "45d"

[alerts]
webhook = "https://alerts.example.com/key"
command = ["/usr/bin/notify", "--now"]
events = ["account_paused"]
"#;

#[test]
fn every_documented_key_is_read() {
    let Loaded { config, warnings } = loaded(EVERYTHING);
    assert!(warnings.is_empty(), "{warnings}");

    assert_eq!(config.server.listen.port(), 9080);
    assert_eq!(config.server.public_url.as_deref(), Some("https://hooks.example.com"));
    assert_eq!(config.server.max_body, 2 << 20);
    let admin = config.admin.expect("there");
    assert_eq!((admin.listen.port(), admin.token.expose_secret()), (9081, "admin-token-of-some-length"));
    assert_eq!(config.database.path, Path::new("data/relay.db"));

    let days = |count: u64| Duration::from_hours(24 * count);
    let account = &config.accounts["store"];
    assert_eq!((account.name.as_str(), account.account_id, account.inbox_id), ("store", 42, Some(7)));
    assert_eq!(account.base_url.as_str(), "https://online.99digital.co.il/");
    assert_eq!(account.api_access_token.expose_secret(), "chatwoot-token");
    assert_eq!((account.missing_contact, account.gone_contact), (MissingContact::Wait, GoneContact::Create));
    assert_eq!(account.match_by, [MatchKey::Identifier, MatchKey::Email, MatchKey::Phone]);
    assert_eq!(account.rate_limit, RateLimit { count: 300, per: Duration::from_mins(1) });
    assert_eq!(account.search_rate_limit, RateLimit { count: 1, per: Duration::from_secs(1) });
    assert!(account.dry_run);
    assert_eq!((account.wait_for, account.sync_every), (days(10), Some(days(1))));
    assert_eq!((account.token_header.as_str(), account.concurrency), ("Api-Access-Token", 2));
    assert_eq!((account.connect_timeout.as_secs(), account.call_timeout.as_secs()), (3, 20));
    assert_eq!(account.retry.schedule, [Duration::from_secs(1), Duration::from_mins(1)]);
    assert_eq!((account.retry.max_age, account.retry.max_failures), (days(2), 5));
    assert_eq!(account.policies[&Field::Custom("plan".to_owned())], Policy::IfEmpty);
    assert_eq!(account.show_sync_attribute.as_deref(), Some("synced"));

    let shop = &config.sources["shop"];
    assert_eq!((shop.account.as_str(), shop.preset.as_deref(), shop.paused), ("store", Some("shopify"), true));
    assert_eq!(
        (shop.quiet_after, shop.repeat_window, shop.max_body),
        (Some(days(2)), Duration::from_hours(2), 512 << 10)
    );
    assert_eq!(
        (shop.labels_add.as_slice(), shop.person_requests),
        (["customer".to_owned()].as_slice(), PersonRequests::Erase)
    );
    assert_eq!((shop.spec.identifier_prefix.as_str(), shop.spec.phone_region.as_deref()), ("shop-", Some("IL")));
    assert_eq!(shop.source.public_url(), Some("https://hooks.example.com"));

    let crm = &config.sources["crm"];
    assert_eq!((crm.account.as_str(), crm.max_body), ("store", 2 << 20));
    assert_eq!(crm.spec.each.as_deref(), Some(".users[]"));
    assert_eq!(crm.spec.map[&Target::Field(Field::Custom("plan".to_owned()))], ".plan");
    assert_eq!(crm.spec.map[&Target::PhoneCountry], ".country");

    let Retention { bodies, audit, dead, dedupe } = config.retention;
    assert_eq!([bodies, audit, dead, dedupe], [days(7), days(30), days(60), days(45)]);
    assert_eq!(config.alerts.command.len(), 2);
    assert_eq!(config.alerts.events, ["account_paused"]);
}

#[test]
fn what_is_left_out_has_its_documented_default() {
    let config = loaded(&format!("{ACCOUNT}{SOURCE}")).config;
    assert_eq!(config.server.listen.to_string(), "127.0.0.1:8080");
    assert_eq!(config.server.max_body, 1 << 20);
    assert!(config.admin.is_none());
    assert_eq!(config.database.path, Path::new("contact-relay.db"));
    let account = &config.accounts["store"];
    assert_eq!(account.match_by, [MatchKey::Identifier, MatchKey::Email]);
    assert_eq!((account.missing_contact, account.gone_contact), (MissingContact::Create, GoneContact::Conflict));
    assert_eq!((account.rate_limit.count, account.concurrency), (5, 4));
    assert_eq!((account.connect_timeout.as_secs(), account.call_timeout.as_secs()), (5, 15));
    assert_eq!(account.retry.schedule.len(), 9);
    let crm = &config.sources["crm"];
    assert_eq!((crm.account.as_str(), crm.person_requests), ("store", PersonRequests::Hold));
    assert_eq!(crm.repeat_window, Duration::from_hours(1));
    assert_eq!(config.retention.bodies, Duration::from_hours(14 * 24));
}

#[test]
fn a_policy_of_the_source_stands_above_the_one_of_its_account() {
    let config = loaded(EVERYTHING).config;
    let policies = &config.sources["shop"].spec.policies;
    assert_eq!((policies[&Field::Name], policies[&Field::Email]), (Policy::Always, Policy::IfEmpty));
}

#[test]
fn what_is_unwise_but_not_wrong_is_a_warning() {
    let text = format!(
        "{}{SOURCE}[admin]\nlisten = \"0.0.0.0:8081\"\ntoken = \"short\"\n",
        ACCOUNT.replace("https://chat", "http://chat"),
    );
    assert_eq!(
        lines(&loaded(&text).warnings),
        [
            "3: accounts.store.base_url: the access token travels over plain http; use https",
            "12: admin.listen: the admin port can be reached from other machines; its token then travels over the network unencrypted unless a proxy adds TLS",
            "13: admin.token: this token is short enough to be guessed; 16 characters or more are better",
        ]
    );
}

#[test]
fn plain_http_to_this_machine_is_no_warning() {
    for host in ["http://localhost:3000", "http://127.0.0.1:3000", "http://[::1]:3000"] {
        let text = format!("{}{SOURCE}", ACCOUNT.replace("https://chat.example.com", host));
        assert!(loaded(&text).warnings.is_empty(), "{host}");
    }
}

#[test]
fn the_command_line_names_the_file_before_the_variable_does() {
    let named = env().with_var(PATH_VARIABLE, "/etc/relay.toml");
    assert_eq!(find(Some("mine.toml".into()), &named), Path::new("mine.toml"));
    assert_eq!(find(None, &named), Path::new("/etc/relay.toml"));
    assert_eq!(find(None, &env().with_var(PATH_VARIABLE, "")), Path::new("contact-relay.toml"));
}

#[test]
fn a_file_is_read_through_the_environment() {
    let env = env().with_file("relay.toml", &format!("{ACCOUNT}{SOURCE}"));
    assert!(load(Path::new("relay.toml"), &env).is_ok());
    let problems = load(Path::new("other.toml"), &env).err().expect("not there");
    assert!(problems.to_string().contains("there is no file other.toml"), "{problems}");
    assert!(problems.to_string().contains("contact-relay init"), "{problems}");
}

#[test]
fn the_file_that_init_writes_passes_its_own_check() {
    let presets = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    let all: Vec<String> = presets(&["shopify", "woocommerce", "stripe", "typeform"]);
    for presets in [Vec::new(), presets(&["shopify"]), all] {
        let answers = InitAnswers {
            base_url: "https://chat.example.com".to_owned(),
            account_id: 42,
            presets: presets.clone(),
            phone_region: Some("IL".to_owned()),
        };
        let config = loaded(&starter(&answers)).config;
        assert_eq!(config.sources.len(), presets.len().max(1));
        assert_eq!(config.accounts["store"].account_id, 42);
        let set = env();
        assert!(starter_variables(&answers).iter().all(|name| set.var(name).is_some()));
    }
}
