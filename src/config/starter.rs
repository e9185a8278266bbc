//! The file that `init` writes: short, commented, with every secret in an environment variable. It passes its own check
//! once the variables are set.

use super::presets;

/// What `init` asks.
#[derive(Clone, Debug)]
pub struct InitAnswers {
    /// The address of the Chatwoot installation.
    pub base_url: String,
    /// The number of the account.
    pub account_id: i64,
    /// Names of presets, one source each; without any, a source of one's own to fill in.
    pub presets: Vec<String>,
    /// The region of phone numbers without a country code, such as `IL`.
    pub phone_region: Option<String>,
}

const ADMIN_VARIABLE: &str = "CONTACT_RELAY_ADMIN_TOKEN";
const ACCOUNT_VARIABLE: &str = "CHATWOOT_API_ACCESS_TOKEN";
const OWN_SOURCE: &str = "crm";

/// The environment variables that the file of [`starter`] refers to.
pub fn starter_variables(answers: &InitAnswers) -> Vec<String> {
    let mut names = vec![ADMIN_VARIABLE.to_owned(), ACCOUNT_VARIABLE.to_owned()];
    for name in source_names(answers) {
        let preset = presets::find(&name);
        names.push(secret_variable(&name));
        if preset.is_some_and(|preset| preset.needs_verify_token()) {
            names.push(verify_token_variable(&name));
        }
    }
    names
}

/// The text of the file.
pub fn starter(answers: &InitAnswers) -> String {
    let mut text = format!(
        "# contact-relay: keeps contacts in Chatwoot right. `contact-relay check` says what is wrong with this file.\n\
         # Secrets stand in environment variables: {variables}\n\
         \n\
         [server]\n\
         listen = \"127.0.0.1:8080\"           # webhooks arrive here, at /hooks/SOURCE; put a proxy with TLS before it\n\
         {public_url}\
         \n\
         [admin]\n\
         listen = \"127.0.0.1:8081\"           # readiness and diagnosis, for you alone\n\
         token = {{ env = \"{ADMIN_VARIABLE}\" }}\n\
         \n\
         [database]\n\
         path = \"contact-relay.db\"\n\
         \n\
         [accounts.store]\n\
         base_url = {base_url}\n\
         account_id = {account_id}\n\
         api_access_token = {{ env = \"{ACCOUNT_VARIABLE}\" }}   # in Chatwoot: profile settings, access token\n\
         missing_contact = \"create\"           # create | wait | reject\n\
         dry_run = false                      # true: nothing is written to Chatwoot; see what would be with `outbox list`\n",
        variables = starter_variables(answers).join(", "),
        public_url = public_url(answers),
        base_url = quoted(&answers.base_url),
        account_id = answers.account_id,
    );
    let numbered = answers.presets.iter().filter(|name| presets::has_numeric_ids(name)).count();
    for name in source_names(answers) {
        text.push('\n');
        match presets::find(&name) {
            Some(preset) => text.push_str(&preset_source(&preset, numbered > 1, answers)),
            None => text.push_str(&own_source(&name, answers)),
        }
    }
    text
}

fn source_names(answers: &InitAnswers) -> Vec<String> {
    if answers.presets.is_empty() { vec![OWN_SOURCE.to_owned()] } else { answers.presets.clone() }
}

fn secret_variable(source: &str) -> String {
    format!("{}_SECRET", source.to_ascii_uppercase().replace('-', "_"))
}

fn verify_token_variable(source: &str) -> String {
    format!("{}_VERIFY_TOKEN", source.to_ascii_uppercase().replace('-', "_"))
}

/// The address that senders know us by, where one of them signs it.
fn public_url(answers: &InitAnswers) -> &'static str {
    let signs_it = |name: &String| presets::find(name).is_some_and(|preset| preset.needs_public_url());
    if answers.presets.iter().any(signs_it) {
        "public_url = \"https://hooks.example.com\"   # yours, exactly as you give it to the senders: they sign it\n"
    } else {
        ""
    }
}

fn preset_source(preset: &presets::Preset, prefixed: bool, answers: &InitAnswers) -> String {
    let name = preset.name;
    let setup = preset.setup.replace('\n', "\n# ");
    let prefix = if prefixed && presets::has_numeric_ids(name) {
        format!("identifier_prefix = \"{name}-\"   # its ids are plain numbers, as are another source's\n")
    } else {
        String::new()
    };
    let verify_token = if preset.needs_verify_token() {
        format!(
            "verify_token = {{ env = \"{}\" }}   # a word of your own, the same at the sender\n",
            verify_token_variable(name)
        )
    } else {
        String::new()
    };
    let map = if preset.mapped {
        String::new()
    } else {
        format!(
            "\n# Say where your payload has what. `contact-relay map --source {name} FILE` shows what comes of it.\n\
             [sources.{name}.map]\nidentifier = '.id'\nemail = '.email'\n"
        )
    };
    format!(
        "# {setup}\n[sources.{name}]\npreset = \"{name}\"\nsecret = {{ env = \"{variable}\" }}\n{verify_token}{prefix}{region}{map}",
        variable = secret_variable(name),
        region = phone_region(answers),
    )
}

fn own_source(name: &str, answers: &InitAnswers) -> String {
    format!(
        "# A sender without a preset: say how it signs and what its fields mean.\n\
         [sources.{name}]\n\
         secret = {{ env = \"{variable}\" }}\n\
         {region}\n\
         [sources.{name}.verify]\n\
         scheme = \"hmac\"\n\
         algorithm = \"sha256\"\n\
         signature = {{ header = \"X-Signature\", encoding = \"hex\" }}\n\
         signed = \"{{body}}\"\n\
         \n\
         [sources.{name}.event]                 # jq over the body\n\
         id = '.event_id'\n\
         topic = '.type'\n\
         \n\
         [sources.{name}.map]\n\
         identifier = '.id'\n\
         name = '.name'\n\
         email = '.email'\n\
         phone_number = '.phone'\n",
        variable = secret_variable(name),
        region = phone_region(answers),
    )
}

fn phone_region(answers: &InitAnswers) -> String {
    let line = |region: &String| format!("phone_region = {}   # of numbers without a country code\n", quoted(region));
    answers.phone_region.as_ref().map(line).unwrap_or_default()
}

fn quoted(text: &str) -> String {
    toml::Value::from(text).to_string()
}
