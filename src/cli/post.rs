//! Requests to the service itself: a POST for `send`, which goes where the user says and carries nothing but the signed
//! webhook, and a GET of the admin port with its token. No redirect is followed.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Duration,
};

use anyhow::Context as _;
use reqwest::redirect;
use secrecy::{ExposeSecret as _, SecretString};

use crate::sources::Request;

/// The service answers within 3 s.
const TIMEOUT: Duration = Duration::from_secs(15);

/// Status and body of the answer.
pub(super) async fn post(url: &str, request: Request) -> anyhow::Result<(u16, String)> {
    let mut post = client()?.post(url).body(request.body);
    for (name, value) in request.headers.iter() {
        post = post.header(name, value);
    }
    answer(post).await
}

/// Status and body of the answer of the admin port. No proxy of the environment gets to see the token.
pub(super) async fn get(url: &str, token: &SecretString) -> anyhow::Result<(u16, String)> {
    let direct = reqwest::Client::builder().redirect(redirect::Policy::none()).timeout(TIMEOUT).no_proxy().build()?;
    answer(direct.get(url).bearer_auth(token.expose_secret())).await
}

fn client() -> reqwest::Result<reqwest::Client> {
    reqwest::Client::builder().redirect(redirect::Policy::none()).timeout(TIMEOUT).build()
}

async fn answer(request: reqwest::RequestBuilder) -> anyhow::Result<(u16, String)> {
    // A secret may stand in the query, so the error does not show the address.
    let answer = request.send().await.map_err(reqwest::Error::without_url).context("no answer")?;
    let status = answer.status().as_u16();
    let body = answer.text().await.map_err(reqwest::Error::without_url).context("no whole answer")?;
    Ok((status, body))
}

/// Where a service that listens there is, as seen from this machine.
pub(super) fn base_url(listen: SocketAddr) -> String {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    format!("http://{}", SocketAddr::new(ip, listen.port()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_that_listens_everywhere_is_found_on_this_machine() {
        for (listen, url) in [
            ("127.0.0.1:8080", "http://127.0.0.1:8080"),
            ("0.0.0.0:80", "http://127.0.0.1:80"),
            ("[::]:8080", "http://[::1]:8080"),
        ] {
            assert_eq!(base_url(listen.parse().unwrap()), url);
        }
    }
}
