//! Requests that a sender makes to see whether the address answers, or is ours. They carry no update: an answer
//! follows from them and nothing else. Facts in the variants were read in 2026-11.

use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use super::{Request, VerifiedWebhook, Verifier};

/// The largest body that a signed handshake has.
const LARGEST: usize = 4 * 1024;

/// What a sender asks before it sends webhooks.
#[derive(Clone, Debug)]
pub enum Handshake {
    /// On saving a webhook, WooCommerce posts an unsigned form `webhook_id=NUMBER` without any `X-WC-` header, and
    /// wants exactly 200 (`includes/class-wc-webhook.php`, `deliver_ping`).
    WooCommerce,
    /// Meta sends a GET with `hub.mode=subscribe`, `hub.verify_token` and `hub.challenge`, and wants the challenge back
    /// as the whole body if the token is the one agreed on, else 403.
    Meta {
        /// The token agreed on.
        verify_token: SecretString,
    },
    /// Slack posts a signed `{"type":"url_verification","challenge":…}` and wants the challenge back.
    Slack,
    /// Zoom posts a signed `endpoint.url_validation` and wants its `plainToken` back, with its HMAC-SHA256 in hex.
    Zoom,
    /// Discord posts a signed ping: type 0 of its webhook events wants 204, type 1 of interactions `{"type":1}`.
    Discord,
    /// A GET or HEAD that wants 200, as of Mailchimp, Mandrill and Intercom.
    Visit,
}

/// The answer to a handshake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Greeting {
    /// The status.
    pub status: u16,
    /// The content type of the body.
    pub content_type: &'static str,
    /// The body.
    pub body: String,
}

impl Greeting {
    fn json(body: &Value) -> Self {
        Self { status: 200, content_type: "application/json", body: body.to_string() }
    }

    fn text(status: u16, body: impl Into<String>) -> Self {
        Self { status, content_type: "text/plain; charset=utf-8", body: body.into() }
    }
}

impl Handshake {
    /// The answer to a request that is a handshake without a signature; `None` for every other one.
    pub fn greet(&self, request: &Request) -> Option<Greeting> {
        let visits = request.method == "GET" || request.method == "HEAD";
        match self {
            Self::WooCommerce => {
                is_woocommerce_ping(request).then(|| Greeting::json(&json!({ "webhook": null, "status": "ignored" })))
            }
            Self::Meta { verify_token } => visits.then(|| subscription(request, verify_token)),
            Self::Visit => visits.then(|| Greeting::text(200, "")),
            Self::Slack | Self::Zoom | Self::Discord => None,
        }
    }

    /// The answer to a signed handshake; `None` for every other webhook.
    pub fn greet_signed(&self, webhook: &VerifiedWebhook, verifier: &Verifier) -> Option<Greeting> {
        if webhook.payload().len() > LARGEST || matches!(self, Self::WooCommerce | Self::Meta { .. } | Self::Visit) {
            return None;
        }
        let body: Value = serde_json::from_slice(webhook.payload()).ok()?;
        match self {
            Self::Slack if body["type"] == "url_verification" => {
                Some(Greeting::json(&json!({ "challenge": body["challenge"].as_str()? })))
            }
            Self::Zoom if body["event"] == "endpoint.url_validation" => {
                let plain = body["payload"]["plainToken"].as_str()?;
                let encrypted = verifier.answer_challenge(webhook.proof().secret?, plain)?;
                Some(Greeting::json(&json!({ "plainToken": plain, "encryptedToken": encrypted })))
            }
            // Type 1 of its webhook events is an event, and only type 1 of its interactions a ping.
            Self::Discord if body["type"] == 1 && body.get("event").is_none() => {
                Some(Greeting::json(&json!({ "type": 1 })))
            }
            Self::Discord if body["type"] == 0 => Some(Greeting::text(204, "")),
            Self::Slack | Self::Zoom | Self::Discord | Self::WooCommerce | Self::Meta { .. } | Self::Visit => None,
        }
    }
}

fn is_woocommerce_ping(request: &Request) -> bool {
    let number = request.body.strip_prefix(b"webhook_id=");
    let is_number =
        number.is_some_and(|digits| (1..=20).contains(&digits.len()) && digits.iter().all(u8::is_ascii_digit));
    is_number && !request.headers.iter().any(|(name, _)| name.starts_with("x-wc-"))
}

fn subscription(request: &Request, verify_token: &SecretString) -> Greeting {
    let query = request.path_query.split_once('?').map_or("", |(_, query)| query);
    let parameter = |wanted: &str| {
        form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == wanted).map(|(_, value)| value.into_owned())
    };
    let digest = |text: &str| Sha256::digest(text.as_bytes());
    let offered = digest(&parameter("hub.verify_token").unwrap_or_default());
    let agreed = bool::from(offered.ct_eq(&digest(verify_token.expose_secret())));
    match parameter("hub.challenge") {
        Some(challenge) if agreed && parameter("hub.mode").as_deref() == Some("subscribe") => {
            Greeting::text(200, challenge)
        }
        _ => Greeting::text(403, ""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        clock::Timestamp,
        sources::{
            Draft, Secret, Source,
            scheme::spec::{
                Algorithm, Place, SchemeSpec, SecretEncoding, SignatureFormat, SignatureSpec, SignedSpec, TextEncoding,
            },
        },
    };

    fn get(path_query: &str) -> Request {
        Request { method: "GET".to_owned(), ..Draft::post(path_query, "text/plain", "").0 }
    }

    /// A webhook with a good HMAC.
    fn signed(body: &'static str) -> (VerifiedWebhook, Source) {
        let spec = SignedSpec {
            algorithm: Algorithm::Sha256,
            secret_encoding: SecretEncoding::Utf8,
            signature: SignatureSpec {
                place: Place::Header("X-Signature".to_owned()),
                format: SignatureFormat::Plain,
                prefix: String::new(),
                encoding: TextEncoding::Hex,
            },
            signed: "{body}".to_owned(),
            timestamp: None,
            body_digest: None,
        };
        let secret = Secret { value: SecretString::from("test-secret"), not_after: None };
        let source = Source::new("it", Verifier::new(SchemeSpec::Hmac(spec), vec![secret]).unwrap(), None);
        let now = Timestamp::from_secs(1);
        let request = source.verifier().sign(Draft::post("/hooks/it", "application/json", body), None, now).unwrap();
        (source.verify(request, now).unwrap(), source)
    }

    fn answer(handshake: &Handshake, body: &'static str) -> Option<Greeting> {
        let (webhook, source) = signed(body);
        handshake.greet_signed(&webhook, source.verifier())
    }

    #[test]
    fn only_the_bare_ping_of_woocommerce_is_a_handshake() {
        let ping = |body: &'static str| Draft::post("/hooks/woo", "application/x-www-form-urlencoded", body).0;
        assert_eq!(Handshake::WooCommerce.greet(&ping("webhook_id=12")).map(|greeting| greeting.status), Some(200));
        assert_eq!(Handshake::WooCommerce.greet(&ping("webhook_id=12&email=a")), None);
        assert_eq!(Handshake::WooCommerce.greet(&ping("webhook_id=")), None);
        let mut dressed = ping("webhook_id=12");
        dressed.headers.set("X-WC-Webhook-Topic", "order.created");
        assert_eq!(Handshake::WooCommerce.greet(&dressed), None);
    }

    #[test]
    fn meta_gets_its_challenge_back_only_for_the_token_agreed_on() {
        let meta = Handshake::Meta { verify_token: SecretString::from("agreed") };
        let ask =
            |token: &str| get(&format!("/hooks/m?hub.mode=subscribe&hub.verify_token={token}&hub.challenge=11%2B2"));
        assert_eq!(meta.greet(&ask("agreed")), Some(Greeting::text(200, "11+2")));
        assert_eq!(meta.greet(&ask("agreeD")), Some(Greeting::text(403, "")));
        assert_eq!(meta.greet(&get("/hooks/m")), Some(Greeting::text(403, "")));
        assert_eq!(meta.greet(&Draft::post("/hooks/m", "application/json", "{}").0), None);
    }

    #[test]
    fn zoom_gets_its_token_back_with_the_hmac_that_its_documentation_has() {
        let body = r#"{"event":"endpoint.url_validation","payload":{"plainToken":"abc123"}}"#;
        let expected = "67b68f3e7d0e4f70119a27f098626431179cef81f5015f91c2da54a8df04bf67";
        let greeting = answer(&Handshake::Zoom, body).unwrap();
        assert_eq!(greeting, Greeting::json(&json!({ "plainToken": "abc123", "encryptedToken": expected })));
        assert_eq!(answer(&Handshake::Zoom, r#"{"event":"user.created"}"#), None);
    }

    #[test]
    fn slack_and_discord_get_what_they_ask_for() {
        let slack = answer(&Handshake::Slack, r#"{"type":"url_verification","challenge":"c"}"#);
        assert_eq!(slack, Some(Greeting::json(&json!({ "challenge": "c" }))));
        assert_eq!(answer(&Handshake::Slack, r#"{"type":"event_callback"}"#), None);
        assert_eq!(answer(&Handshake::Discord, r#"{"type":1}"#), Some(Greeting::json(&json!({ "type": 1 }))));
        assert_eq!(answer(&Handshake::Discord, r#"{"type":0}"#).map(|greeting| greeting.status), Some(204));
        assert_eq!(answer(&Handshake::Discord, r#"{"type":2}"#), None);
        assert_eq!(answer(&Handshake::Discord, r#"{"type":1,"event":{"type":"APPLICATION_AUTHORIZED"}}"#), None);
    }

    #[test]
    fn a_visit_is_welcome_where_the_sender_makes_one() {
        assert_eq!(Handshake::Visit.greet(&get("/hooks/m")).map(|greeting| greeting.status), Some(200));
        assert!(Handshake::Slack.greet(&get("/hooks/m")).is_none());
    }
}
