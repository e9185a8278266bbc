//! `sources diagnose`: why the last requests of a source were refused. The requests are in the memory of the running
//! service alone, so that this asks its admin port.

use anyhow::Context as _;

use crate::{
    cli::{
        context::{self, Context},
        exit::{Exit, WrongUsage},
        output,
        post::{base_url, get},
    },
    ingest::Diagnosis,
};

/// Prints what explains each refused request.
pub(super) async fn run(name: &str, context: &Context) -> anyhow::Result<Exit> {
    let config = context.load()?;
    context::source(&config, name)?;
    let Some(admin) = &config.admin else {
        let advice = "refused requests are in the memory of the running service alone, which tells of them on its admin port: \
            add [admin] with token = { env = \"CONTACT_RELAY_ADMIN_TOKEN\" } to the configuration, and start the service again";
        return Err(WrongUsage(advice.to_owned()).into());
    };
    let base = base_url(admin.listen);
    let answer = get(&format!("{base}/api/v1/sources/{name}/diagnose"), &admin.token).await;
    let (status, body) = answer.with_context(|| format!("the service does not answer at {base}; is it running?"))?;
    match status {
        200 => {}
        401 => anyhow::bail!("the service at {base} has another admin token: start it again with this configuration"),
        404 => {
            anyhow::bail!("the service at {base} does not know source {name}: start it again with this configuration")
        }
        status => anyhow::bail!("the service at {base} answered {status}"),
    }
    let diagnoses: Vec<Diagnosis> = serde_json::from_str(&body).context("the answer of the service cannot be read")?;
    if context.json {
        output::print_json(&diagnoses)?;
    } else if diagnoses.is_empty() {
        output::remark(&format!("no request of {name} was refused for its signature in the last 15 minutes"));
    } else {
        output::print(&output::printable_lines(&words(&diagnoses)))?;
    }
    Ok(Exit::Done)
}

fn words(diagnoses: &[Diagnosis]) -> String {
    let one = |diagnosis: &Diagnosis| {
        let head = format!("{}  refused: {}", diagnosis.at, diagnosis.reason);
        let findings = diagnosis.findings.iter().map(|finding| format!("  - {}", finding.text));
        let large = diagnosis.findings.is_empty().then(|| "  - it was too large to be kept".to_owned());
        std::iter::once(head).chain(findings).chain(large).collect::<Vec<_>>().join("\n")
    };
    diagnoses.iter().map(one).collect::<Vec<_>>().join("\n\n")
}
