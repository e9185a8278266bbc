//! What all benches measure with: a shop of Shopify's kind, its configuration, and its webhooks, signed.

use std::path::Path;

use contact_relay::{
    clock::Timestamp,
    config::{self, Config, FixedEnvironment, SourceConfig},
    sources::{Draft, Request, Source},
};

/// The secret of the shop, and the token of the account.
pub(crate) const SECRET: &str = "shpss_5f3c8e1d9b7a4f20";

/// The configuration of a service with one shop and one account, with nothing that slows delivery down.
pub(crate) fn config(database: &Path, base_url: &str) -> Config {
    let text = format!(
        r#"
        [database]
        path = '{database}'
        [accounts.store]
        base_url = "{base_url}"
        account_id = 1
        api_access_token = {{ env = "TOKEN" }}
        rate_limit = "100000/s"
        search_rate_limit = "100000/s"
        concurrency = 64
        [sources.shop]
        preset = "shopify"
        secret = {{ env = "SECRET" }}
        "#,
        database = database.display(),
    );
    let env = FixedEnvironment::default().with_var("TOKEN", SECRET).with_var("SECRET", SECRET);
    config::parse(&text, "bench.toml", &env).unwrap_or_else(|problems| panic!("{problems}")).config
}

/// The shop of that configuration.
pub(crate) fn shop() -> SourceConfig {
    let mut config = config(Path::new("unused.db"), "http://127.0.0.1:9");
    config.sources.remove("shop").expect("the shop is configured")
}

/// A `customers/update` of 1.3 kB as the shop signs it. Each `number` is a webhook of its own.
pub(crate) fn webhook(shop: &Source, number: u64, customer: u64, now: Timestamp) -> Request {
    let Draft(mut request) = Draft::post("/hooks/shop", "application/json", body(number, customer, now));
    let id = format!("{:08x}-7d1c-4c3e-9a51-{number:012x}", spread(number) >> 32);
    for (name, value) in [
        ("x-shopify-topic", "customers/update"),
        ("x-shopify-webhook-id", &id),
        ("x-shopify-shop-domain", "example.myshopify.com"),
        ("x-shopify-api-version", "2026-10"),
        ("x-shopify-triggered-at", "2026-11-22T12:00:00.000000000Z"),
    ] {
        request.headers.set(name, value);
    }
    shop.verifier().sign(Draft(request), None, now).expect("a Shopify request can be signed")
}

fn body(number: u64, customer: u64, now: Timestamp) -> String {
    include_str!("customer.json")
        .trim_end()
        // Ids do not arrive in the order they were given out.
        .replace("<id>", &(6_000_000_000_000 + spread(customer) % 1_000_000_000_000).to_string())
        .replace("<phone>", &(501_000_000 + customer % 1_000_000).to_string())
        .replace("<customer>", &customer.to_string())
        .replace("<number>", &number.to_string())
        .replace("<now>", &now.to_string())
}

/// A number that looks like chance; the same each time.
fn spread(number: u64) -> u64 {
    number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}
