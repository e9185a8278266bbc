//! `check`: whether the configuration is right, and with `--online` whether the accounts answer.

use serde::Serialize;
use serde_json::json;

use super::{context::Context, exit::Exit, output};
use crate::{
    chatwoot::{Call, Membership, Profile, Version},
    clock::Clock,
    config::Config,
    delivery::Account,
    settings::AccountSettings,
    telemetry,
};

#[derive(Clone, Debug, clap::Args)]
pub(super) struct CheckArgs {
    /// Ask each account as well: whether its token is right, which role it has and which version answers; writes
    /// nothing there
    #[arg(long)]
    online: bool,
}

/// What an account answered.
#[derive(Debug, Serialize)]
struct Answer {
    account: String,
    ok: bool,
    /// What is wrong, and what to do about it.
    problem: Option<String>,
    version: Option<String>,
    role: Option<String>,
    name: Option<String>,
}

/// Checks the file, and asks the accounts.
pub(super) async fn run(args: &CheckArgs, context: &Context) -> anyhow::Result<Exit> {
    let file = context.config_path();
    let loaded = match context.load_with_warnings() {
        Ok(loaded) => loaded,
        Err(problems) if context.json => {
            let problems: Vec<_> = problems.iter().collect();
            output::print_json(&json!({ "file": file, "ok": false, "problems": problems }))?;
            return Ok(Exit::Configuration);
        }
        Err(problems) => return Err(problems.into()),
    };
    let answers = if args.online { ask_all(&loaded.config, &context.clock).await } else { Vec::new() };
    let ok = answers.iter().all(|answer| answer.ok);
    if context.json {
        let warnings: Vec<_> = loaded.warnings.iter().collect();
        let mut report = json!({ "file": file, "ok": ok, "problems": warnings });
        if args.online {
            report["accounts"] = json!(answers);
        }
        output::print_json(&report)?;
    } else {
        if !loaded.warnings.is_empty() {
            output::remark(&loaded.warnings.render(telemetry::stderr_takes_colour()));
        }
        let accounts = output::count(loaded.config.accounts.len() as u64, "account");
        let sources = output::count(loaded.config.sources.len() as u64, "source");
        let mut lines = vec![format!("{}: no faults; {accounts}, {sources}", file.display())];
        lines.extend(answers.iter().map(Answer::in_words));
        output::print(&lines.join("\n"))?;
    }
    Ok(if ok { Exit::Done } else { Exit::Failed })
}

async fn ask_all(config: &Config, clock: &Clock) -> Vec<Answer> {
    futures_util::future::join_all(config.accounts.values().map(|settings| ask(settings, clock))).await
}

async fn ask(settings: &AccountSettings, clock: &Clock) -> Answer {
    let account = settings.name.clone();
    let client = match Account::new(settings.clone(), clock.clone()) {
        Ok(account) => account.client,
        Err(bad) => {
            return Answer {
                account,
                ok: false,
                problem: Some(bad.to_string()),
                version: None,
                role: None,
                name: None,
            };
        }
    };
    let (version, profile) = tokio::join!(client.version(), client.profile());
    let membership = membership(&profile, settings.account_id);
    let (problem, membership) = match membership {
        Ok(membership) => (problem_of_version(&version), Some(membership)),
        Err(problem) => (Some(problem), None),
    };
    Answer {
        account,
        ok: problem.is_none(),
        problem,
        version: version.answer.ok().map(|version| version.text),
        role: membership.and_then(|membership| membership.role.clone()),
        name: membership.and_then(|membership| membership.name.clone()),
    }
}

/// The token's place in the account, or why it has none.
fn membership(profile: &Call<Profile>, account_id: i64) -> Result<&Membership, String> {
    let profile = profile.answer.as_ref().map_err(ToString::to_string)?;
    let Some(membership) = profile.accounts.iter().find(|membership| membership.id == account_id) else {
        let ids: Vec<_> = profile.accounts.iter().map(|membership| membership.id.to_string()).collect();
        let there = if ids.is_empty() { "none".to_owned() } else { ids.join(", ") };
        return Err(format!(
            "the token's user is not a member of account {account_id}; check account_id: the user's accounts are {there}"
        ));
    };
    match membership.status.as_deref() {
        None | Some("active") => Ok(membership),
        Some(status) => Err(format!("the account is {status}; ask whoever runs the installation")),
    }
}

fn problem_of_version(version: &Call<Version>) -> Option<String> {
    match &version.answer {
        Ok(Version { data_ok: Some(false), .. }) => Some("Chatwoot says that its database does not work".to_owned()),
        Ok(_) => None,
        Err(failure) => Some(format!("its version cannot be read: {failure}")),
    }
}

impl Answer {
    fn in_words(&self) -> String {
        let account = &self.account;
        let version = self.version.as_ref().map(|version| format!("Chatwoot {version}"));
        let text = if let Some(problem) = &self.problem {
            let version = version.map(|version| format!(" ({version})")).unwrap_or_default();
            format!("account {account}: {problem}{version}")
        } else {
            let name = self.name.as_ref().map(|name| format!(" of “{name}”")).unwrap_or_default();
            let role = self.role.as_deref().unwrap_or("member");
            let version = version.unwrap_or_default();
            format!("account {account}: {version} answers; the token belongs to a user with the role {role}{name}")
        };
        output::printable(&text)
    }
}
