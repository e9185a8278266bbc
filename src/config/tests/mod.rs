//! What the configuration promises, through [`parse`] and [`load`] as the program uses them.

mod faults;
mod file;
mod presets;
mod secrets;

use super::*;

/// An account that is right, for tests about something else.
const ACCOUNT: &str = r#"
[accounts.store]
base_url = "https://chat.example.com"
account_id = 42
api_access_token = { env = "CHATWOOT_API_ACCESS_TOKEN" }
"#;

/// A source that is right, for tests about something else.
const SOURCE: &str = r#"
[sources.crm]
secret = { env = "CRM_SECRET" }
verify = { scheme = "token", header = "X-Token" }
map = { email = ".email" }
"#;

fn env() -> FixedEnvironment {
    FixedEnvironment::default()
        .with_var("CONTACT_RELAY_ADMIN_TOKEN", "admin-token-of-some-length")
        .with_var("CHATWOOT_API_ACCESS_TOKEN", "chatwoot-token")
        .with_var("CRM_SECRET", "crm-secret")
        .with_var("SHOPIFY_SECRET", "shopify-secret")
        .with_var("SHOPIFY_SECRET_OLD", "shopify-secret-old")
        .with_var("WOOCOMMERCE_SECRET", "woocommerce-secret")
        .with_var("STRIPE_SECRET", "whsec_stripe")
        .with_var("TYPEFORM_SECRET", "typeform-secret")
}

fn loaded(text: &str) -> Loaded {
    parse(text, DEFAULT_PATH, &env()).unwrap_or_else(|problems| panic!("{problems}"))
}

fn faults(text: &str) -> Problems {
    match parse(text, DEFAULT_PATH, &env()) {
        Ok(_) => panic!("nothing is wrong with:\n{text}"),
        Err(problems) => problems,
    }
}

/// `line: key: message` of each problem.
fn lines(problems: &Problems) -> Vec<String> {
    let line = |problem: &Problem| format!("{}: {problem}", problem.line.unwrap_or(0));
    problems.iter().map(line).collect()
}

/// The single problem of a file.
fn only_fault(text: &str) -> String {
    let problems = faults(text);
    assert_eq!(problems.len(), 1, "{problems}");
    problems.iter().map(ToString::to_string).collect()
}
