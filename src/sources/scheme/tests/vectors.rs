//! Requests whose signatures others have made or accepted: every one must be accepted here.

use super::*;

pub(super) struct Vector {
    pub(super) sender: &'static str,
    pub(super) spec: SchemeSpec,
    pub(super) secret: Option<&'static str>,
    pub(super) headers: Vec<(&'static str, &'static str)>,
    pub(super) body: &'static str,
}

impl Vector {
    pub(super) fn verifier(&self) -> Verifier {
        self.verifier_with(self.secret)
    }

    pub(super) fn verifier_with(&self, text: Option<&str>) -> Verifier {
        Verifier::new(self.spec.clone(), text.into_iter().map(secret).collect()).expect(self.sender)
    }

    pub(super) fn request(&self) -> Request {
        request(&self.headers, self.body)
    }
}

#[rustfmt::skip]
pub(super) fn vectors() -> Vec<Vector> {
    use SchemeSpec::{Hash, Hmac};
    use TimeUnit::{HttpDate, Millis, Rfc3339, Seconds};
    const DOT: &str = "{timestamp}.{body}";
    const TIME: (&str, &str) = ("X-Time", "1790946851");
    const TIME_MS: (&str, &str) = ("X-Time", "1790946851000");
    let row = |sender, spec, secret, headers: &[(&'static str, &'static str)], body| Vector {
        sender, spec, secret: Some(secret), headers: headers.to_vec(), body,
    };
    let hmac = |sender, spec, headers: &[_]| row(sender, Hmac(spec), SECRET, headers, BODY);
    let hex_key = SignedSpec { secret_encoding: SecretEncoding::Hex, ..signed("{body}") };
    let mailgun = signed("{json:/signature/timestamp}{json:/signature/token}").in_json("/signature/signature")
        .time(TimestampPlace::Json("/signature/timestamp".to_owned()), Seconds);
    let ecwid = signed("{json:/eventCreated}.{json:/eventId}").base64()
        .time(TimestampPlace::Json("/eventCreated".to_owned()), Seconds);
    let discord = public_key(PublicKeyAlgorithm::Ed25519, ED25519_HEX, signed("{timestamp}{body}").time_header(Seconds));
    let standard_headers = |signature| [("webhook-id", "msg_1"), ("webhook-timestamp", "1790946851"), ("webhook-signature", signature)];
    vec![
        row("GitHub's published one", Hmac(signed("{body}").prefix("sha256=")), "It's a Secret to Everybody",
            &[("X-Sig", "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17")], "Hello, World!"),
        hmac("base64", signed("{body}").base64(), &[("X-Sig", "WmXoyquHt3ovSG2eHCd8BpSbSCSWuojGoAzn8zz+iuA=")]),
        hmac("hex", signed("{body}"), &[("X-Sig", HEX_SIGNATURE)]),
        hmac("prefix, hex", signed("{body}").prefix("sha256="),
            &[("X-Sig", "sha256=5a65e8caab87b77a2f486d9e1c277c06949b482496ba88c6a00ce7f33cfe8ae0")]),
        hmac("prefix, base64", signed("{body}").prefix("sha256=").base64(),
            &[("X-Sig", "sha256=WmXoyquHt3ovSG2eHCd8BpSbSCSWuojGoAzn8zz+iuA=")]),
        hmac("sha1", signed("{body}").prefix("sha1=").algorithm(Algorithm::Sha1),
            &[("X-Sig", "sha1=3c0d085385cf7b4fe23e98a5b03cb2487998c65a")]),
        hmac("sha512", signed("{body}").algorithm(Algorithm::Sha512),
            &[("X-Sig", "48809568be2278cfcac9745876b1479b4f63008b2327cff6258acbb593bab331e3c38402c5136a56f61e2b8f3577277c2415961c1a9388c8f313aece641b0f6b")]),
        row("key in hex", Hmac(hex_key), "746573742d736563726574ff",
            &[("X-Sig", "4db4389b9de3ef7cd9b4f812f533334dfc725eab26e3f6670519ddf97493cd25")], BODY),
        hmac("Stripe", signed(DOT).kv("v1", ",").time_key("t", Seconds),
            &[("X-Sig", "t=1790946851,v1=15e7f562f42c2b17a703cca27a1e6a5fb977d1f66911a948900ee491c1026bf9")]),
        hmac("WorkOS", signed(DOT).kv("v1", ",").time_key("t", Millis),
            &[("X-Sig", "t=1790946851000, v1=f0acb107b3e2fc688711129db4654b216ce3adabf4ccf825a73d8ff9f38e6fe6")]),
        hmac("Paddle", signed("{timestamp}:{body}").kv("h1", ";").time_key("ts", Seconds),
            &[("X-Sig", "ts=1790946851;h1=00e3645d6b8551d2487a8d113afe01d91c5ce963d77ded63c79753657ef12f43")]),
        hmac("Slack", signed("v0:{timestamp}:{body}").prefix("v0=").time_header(Seconds),
            &[TIME, ("X-Sig", "v0=049b96b846ae43faf9d5494a476cfd55403126f0bb98d2ddef1eb2aa7edcb846")]),
        hmac("Chatwoot", signed(DOT).prefix("sha256=").time_header(Seconds),
            &[TIME, ("X-Sig", "sha256=15e7f562f42c2b17a703cca27a1e6a5fb977d1f66911a948900ee491c1026bf9")]),
        hmac("Webflow", signed("{timestamp}:{body}").time_header(Millis),
            &[TIME_MS, ("X-Sig", "38107890ff850a78dbfda2fe7638779f8904a6d2d9861b518c40c93997360664")]),
        hmac("Zendesk", signed("{timestamp}{body}").base64().time_header(Rfc3339),
            &[("X-Time", "2026-10-02T13:14:11Z"), ("X-Sig", "EwKF5OXuHZ6K52cUMvieyAKZCHzb/Xjo7xX7D7UTVrw=")]),
        hmac("Klaviyo", signed("{body}{timestamp}").time_header(HttpDate),
            &[("X-Time", "Fri, 02 Oct 2026 13:14:11 GMT"), ("X-Sig", "ac1f0316bc1f7f11904b8cf198691c46b4e78edb22cd9555e7a47e0d076b76b1")]),
        hmac("Framer", signed("{body}{header:Framer-Webhook-Submission-Id}").prefix("sha256="),
            &[("framer-webhook-submission-id", "sub-1"), ("X-Sig", "sha256=467161b56a581e97b6cb9199697799f4f8e493aae5569a814a849690acbd59b8")]),
        hmac("Square", signed("{url}{body}").base64(), &[("X-Sig", "dMde8hIcHGv5xEMBY+xyx4JNBE1Vw0YwdJ2/Uv6pf1A=")]),
        hmac("HubSpot v3", signed("{method}{url}{body}{timestamp}").base64().time_header(Millis),
            &[TIME_MS, ("X-Sig", "15q34/2wxdGvzLh5wN5nglcw0c2KN+zJ0dDSDEdMFEI=")]),
        row("Twilio", Hmac(signed("{url}{form_sorted}").base64().algorithm(Algorithm::Sha1)), SECRET,
            &[("X-Sig", "DTQDQBG367PzZuv/ZQaQKsZc2B8=")], "b=2&a=1+1"),
        row("Mailgun", Hmac(mailgun), SECRET, &[],
            r#"{"signature":{"timestamp":"1790946851","token":"tok","signature":"60516f5b7a2c7e6847d8853d02cddeeb920b1655704ba44d4c1daeacc26f94e9"}}"#),
        row("Ecwid", Hmac(ecwid), SECRET, &[("X-Sig", "dKWoq7sMny1roZLSeg+c/DgGGUAAqfluYA5pNGMkX+4=")],
            r#"{"eventId":"ev-1","eventCreated":1790946851}"#),
        row("Standard Webhooks v1", standard("webhook", SecretEncoding::Whsec), WHSEC,
            &standard_headers("v1,96E44QkqRvACXxrCTREbju8XJ4407DGwY3LicvEBWcI="), BODY),
        row("Polar", standard("webhook", SecretEncoding::Utf8), SECRET,
            &standard_headers("v1,/7zP4Gdt8srLNjFzKxG/BG7yp7uvwMxVM6tVvec5gPo="), BODY),
        row("Standard Webhooks v1a", standard("webhook", SecretEncoding::Whsec), WHPK,
            &standard_headers("v1a,cs6c2xMAUpu7xx3a6IWde3Ioxr9yVemaSqaDLznf6W1W+B7nlSj9zywBbbiusYOqk3PTZu3YvE0yT2UOM3YNCQ=="), BODY),
        Vector {
            sender: "Discord", spec: discord, secret: None, body: BODY,
            headers: vec![TIME, ("X-Sig", "cfe2541de826c59833a5e1be395b17517c3ea122fca72efff066f149865f35f4fa36220b51d4c90343a93961a0ea36c639b3b691800886ff64f33552ed0d6604")],
        },
        row("HubSpot v1", Hash(signed("{secret}{body}")), SECRET,
            &[("X-Sig", "0b553dbc2705c009e1dec1369a9faa4d5aa4f94b5acc55ec289eab0b2b7f277d")], BODY),
        row("basic", SchemeSpec::Basic { username: "forms".to_owned() }, "p:w",
            &[("Authorization", "Basic Zm9ybXM6cDp3")], BODY),
    ]
}

/// The vectors whose signature covers the body as it is.
pub(super) fn body_vectors() -> impl Iterator<Item = Vector> {
    vectors().into_iter().filter(|vector| !["Mailgun", "Ecwid", "Twilio", "basic"].contains(&vector.sender))
}

pub(super) fn has_time(verifier: &Verifier, request: &Request) -> bool {
    verifier.verify(request, PUBLIC_URL, NOW).expect("accepted").signed_at.is_some()
}
