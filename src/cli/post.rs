//! One POST to the service itself, for `send`. It goes where the user says, carries nothing but the signed webhook, and
//! follows no redirect.

use std::time::Duration;

use anyhow::Context as _;
use reqwest::redirect;

use crate::sources::Request;

/// The service answers within 3 s.
const TIMEOUT: Duration = Duration::from_secs(15);

/// Status and body of the answer.
pub(super) async fn post(url: &str, request: Request) -> anyhow::Result<(u16, String)> {
    let client = reqwest::Client::builder().redirect(redirect::Policy::none()).timeout(TIMEOUT).build()?;
    let mut post = client.post(url).body(request.body);
    for (name, value) in request.headers.iter() {
        post = post.header(name, value);
    }
    // A secret may stand in the query, so the error does not show the address.
    let answer = post.send().await.map_err(reqwest::Error::without_url).context("no answer")?;
    let status = answer.status().as_u16();
    let body = answer.text().await.map_err(reqwest::Error::without_url).context("no whole answer")?;
    Ok((status, body))
}
