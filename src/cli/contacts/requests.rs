//! `contacts requests`: who asked to be erased or to see what is kept of them, and until when that has to be done.

use crate::{
    cli::{context::Context, exit::Exit, output},
    clock::Timestamp,
    store::PersonRequestRecord,
};

/// Lists the open requests.
pub(super) async fn run(context: &Context) -> anyhow::Result<Exit> {
    let (_, store) = context.open().await?;
    let requests = store.open_person_requests().await;
    store.close().await;
    let requests = requests?;
    if context.json {
        output::print_json(&requests)?;
        return Ok(Exit::Done);
    }
    let now = context.clock.now();
    let cells = requests.iter().map(|request| {
        [
            request.id.to_string(),
            request.received_at.to_string(),
            due(request, now),
            request.source.clone(),
            request.kind.clone(),
            output::or_nothing(request.key.as_ref()),
            output::or_nothing(request.email.as_ref()),
            output::or_nothing(request.phone_number.as_ref()),
            request.webhook_id.to_string(),
        ]
    });
    output::print_table(["id", "received", "due", "source", "kind", "key", "e-mail", "phone", "webhook"], cells)?;
    Ok(Exit::Done)
}

fn due(request: &PersonRequestRecord, now: Timestamp) -> String {
    let overdue = request.due_at.is_some_and(|due_at| due_at < now);
    format!("{}{}", output::or_nothing(request.due_at), if overdue { " (overdue)" } else { "" })
}
