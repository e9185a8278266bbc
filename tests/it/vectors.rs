//! Signatures that others have made or accepted, one of each scheme, through the real port. Those over a URL stand in
//! `tests/fixtures/senders`, because the public port has paths of its own.

use contact_relay::sources::{Draft, Request};

use crate::harness::Relay;

const BODY: &str = r#"{"id":42,"email":"ada@example.test"}"#;
const AT: &str = "2026-10-02T13:14:11Z";

struct Vector {
    name: &'static str,
    /// The keys of `[sources.NAME]` beside its map.
    keys: &'static str,
    headers: &'static [(&'static str, &'static str)],
    body: &'static str,
}

macro_rules! hmac {
    ($algorithm:literal, $signature:literal, $signed:literal, $more:literal) => {
        concat!(
            "secret = \"test-secret\"\nverify = { scheme = \"hmac\", algorithm = \"",
            $algorithm,
            "\", signature = { header = \"X-Sig\", ",
            $signature,
            " }, signed = \"",
            $signed,
            "\"",
            $more,
            " }\n"
        )
    };
}

const VECTORS: [Vector; 22] = [
    Vector {
        name: "base64",
        keys: hmac!("sha256", r#"encoding = "base64""#, "{body}", ""),
        headers: &[("X-Sig", "WmXoyquHt3ovSG2eHCd8BpSbSCSWuojGoAzn8zz+iuA=")],
        body: BODY,
    },
    Vector {
        name: "hex",
        keys: hmac!("sha256", r#"encoding = "hex""#, "{body}", ""),
        headers: &[("X-Sig", "5a65e8caab87b77a2f486d9e1c277c06949b482496ba88c6a00ce7f33cfe8ae0")],
        body: BODY,
    },
    Vector {
        name: "prefixed-hex",
        keys: hmac!("sha256", r#"encoding = "hex", prefix = "sha256=""#, "{body}", ""),
        headers: &[("X-Sig", "sha256=5a65e8caab87b77a2f486d9e1c277c06949b482496ba88c6a00ce7f33cfe8ae0")],
        body: BODY,
    },
    Vector {
        name: "prefixed-base64",
        keys: hmac!("sha256", r#"encoding = "base64", prefix = "sha256=""#, "{body}", ""),
        headers: &[("X-Sig", "sha256=WmXoyquHt3ovSG2eHCd8BpSbSCSWuojGoAzn8zz+iuA=")],
        body: BODY,
    },
    Vector {
        name: "sha1",
        keys: hmac!("sha1", r#"encoding = "hex", prefix = "sha1=""#, "{body}", ""),
        headers: &[("X-Sig", "sha1=3c0d085385cf7b4fe23e98a5b03cb2487998c65a")],
        body: BODY,
    },
    Vector {
        name: "sha512",
        keys: hmac!("sha512", r#"encoding = "hex""#, "{body}", ""),
        headers: &[(
            "X-Sig",
            "48809568be2278cfcac9745876b1479b4f63008b2327cff6258acbb593bab331e3c38402c5136a56f61e2b8f3577277c2415961c1a9388c8f313aece641b0f6b",
        )],
        body: BODY,
    },
    Vector {
        name: "hex-key",
        keys: "secret = \"746573742d736563726574ff\"\nverify = { scheme = \"hmac\", algorithm = \"sha256\", secret_encoding = \"hex\", \
               signature = { header = \"X-Sig\", encoding = \"hex\" }, signed = \"{body}\" }\n",
        headers: &[("X-Sig", "4db4389b9de3ef7cd9b4f812f533334dfc725eab26e3f6670519ddf97493cd25")],
        body: BODY,
    },
    Vector {
        name: "pairs",
        keys: hmac!(
            "sha256",
            r#"format = "kv", key = "v1", separator = ",", encoding = "hex""#,
            "{timestamp}.{body}",
            r#", timestamp = { signature_key = "t", unit = "s", tolerance = "5m" }"#
        ),
        headers: &[("X-Sig", "t=1790946851,v1=15e7f562f42c2b17a703cca27a1e6a5fb977d1f66911a948900ee491c1026bf9")],
        body: BODY,
    },
    Vector {
        name: "pairs-in-ms",
        keys: hmac!(
            "sha256",
            r#"format = "kv", key = "v1", separator = ",", encoding = "hex""#,
            "{timestamp}.{body}",
            r#", timestamp = { signature_key = "t", unit = "ms", tolerance = "5m" }"#
        ),
        headers: &[("X-Sig", "t=1790946851000, v1=f0acb107b3e2fc688711129db4654b216ce3adabf4ccf825a73d8ff9f38e6fe6")],
        body: BODY,
    },
    Vector {
        name: "pairs-of-semicolons",
        keys: hmac!(
            "sha256",
            r#"format = "kv", key = "h1", separator = ";", encoding = "hex""#,
            "{timestamp}:{body}",
            r#", timestamp = { signature_key = "ts", unit = "s", tolerance = "5m" }"#
        ),
        headers: &[("X-Sig", "ts=1790946851;h1=00e3645d6b8551d2487a8d113afe01d91c5ce963d77ded63c79753657ef12f43")],
        body: BODY,
    },
    Vector {
        name: "versioned",
        keys: hmac!(
            "sha256",
            r#"encoding = "hex", prefix = "v0=""#,
            "v0:{timestamp}:{body}",
            r#", timestamp = { header = "X-Time", unit = "s", tolerance = "5m" }"#
        ),
        headers: &[
            ("X-Sig", "v0=049b96b846ae43faf9d5494a476cfd55403126f0bb98d2ddef1eb2aa7edcb846"),
            ("X-Time", "1790946851"),
        ],
        body: BODY,
    },
    Vector {
        name: "dotted-time",
        keys: hmac!(
            "sha256",
            r#"encoding = "hex", prefix = "sha256=""#,
            "{timestamp}.{body}",
            r#", timestamp = { header = "X-Time", unit = "s", tolerance = "5m" }"#
        ),
        headers: &[
            ("X-Sig", "sha256=15e7f562f42c2b17a703cca27a1e6a5fb977d1f66911a948900ee491c1026bf9"),
            ("X-Time", "1790946851"),
        ],
        body: BODY,
    },
    Vector {
        name: "time-in-ms",
        keys: hmac!(
            "sha256",
            r#"encoding = "hex""#,
            "{timestamp}:{body}",
            r#", timestamp = { header = "X-Time", unit = "ms", tolerance = "5m" }"#
        ),
        headers: &[
            ("X-Sig", "38107890ff850a78dbfda2fe7638779f8904a6d2d9861b518c40c93997360664"),
            ("X-Time", "1790946851000"),
        ],
        body: BODY,
    },
    Vector {
        name: "time-in-words",
        keys: hmac!(
            "sha256",
            r#"encoding = "base64""#,
            "{timestamp}{body}",
            r#", timestamp = { header = "X-Time", unit = "rfc3339", tolerance = "5m" }"#
        ),
        headers: &[("X-Sig", "EwKF5OXuHZ6K52cUMvieyAKZCHzb/Xjo7xX7D7UTVrw="), ("X-Time", "2026-10-02T13:14:11Z")],
        body: BODY,
    },
    Vector {
        name: "http-date",
        keys: hmac!(
            "sha256",
            r#"encoding = "hex""#,
            "{body}{timestamp}",
            r#", timestamp = { header = "X-Time", unit = "http_date", tolerance = "5m" }"#
        ),
        headers: &[
            ("X-Sig", "ac1f0316bc1f7f11904b8cf198691c46b4e78edb22cd9555e7a47e0d076b76b1"),
            ("X-Time", "Fri, 02 Oct 2026 13:14:11 GMT"),
        ],
        body: BODY,
    },
    Vector {
        name: "signed-header",
        keys: hmac!(
            "sha256",
            r#"encoding = "hex", prefix = "sha256=""#,
            "{body}{header:Framer-Webhook-Submission-Id}",
            ""
        ),
        headers: &[
            ("X-Sig", "sha256=467161b56a581e97b6cb9199697799f4f8e493aae5569a814a849690acbd59b8"),
            ("Framer-Webhook-Submission-Id", "sub-1"),
        ],
        body: BODY,
    },
    Vector {
        name: "standard",
        keys: "secret = \"whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\"\nverify = { scheme = \"standard-webhooks\" }\n",
        headers: &[
            ("webhook-id", "msg_1"),
            ("webhook-timestamp", "1790946851"),
            ("webhook-signature", "v1,96E44QkqRvACXxrCTREbju8XJ4407DGwY3LicvEBWcI="),
        ],
        body: BODY,
    },
    Vector {
        name: "standard-text-key",
        keys: "secret = \"test-secret\"\nverify = { scheme = \"standard-webhooks\", secret_encoding = \"utf8\" }\n",
        headers: &[
            ("webhook-id", "msg_1"),
            ("webhook-timestamp", "1790946851"),
            ("webhook-signature", "v1,/7zP4Gdt8srLNjFzKxG/BG7yp7uvwMxVM6tVvec5gPo="),
        ],
        body: BODY,
    },
    Vector {
        name: "standard-key-pair",
        keys: "secret = \"whpk_A6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg=\"\nverify = { scheme = \"standard-webhooks\" }\n",
        headers: &[
            ("webhook-id", "msg_1"),
            ("webhook-timestamp", "1790946851"),
            (
                "webhook-signature",
                "v1a,cs6c2xMAUpu7xx3a6IWde3Ioxr9yVemaSqaDLznf6W1W+B7nlSj9zywBbbiusYOqk3PTZu3YvE0yT2UOM3YNCQ==",
            ),
        ],
        body: BODY,
    },
    Vector {
        name: "ed25519",
        keys: "verify = { scheme = \"ed25519\", public_key = \"03a107bff3ce10be1d70dd18e74bc09967e4d6309ba50d5f1ddc8664125531b8\", \
               signature = { header = \"X-Sig\", encoding = \"hex\" }, signed = \"{timestamp}{body}\", \
               timestamp = { header = \"X-Time\", unit = \"s\", tolerance = \"5m\" } }\n",
        headers: &[
            (
                "X-Sig",
                "cfe2541de826c59833a5e1be395b17517c3ea122fca72efff066f149865f35f4fa36220b51d4c90343a93961a0ea36c639b3b691800886ff64f33552ed0d6604",
            ),
            ("X-Time", "1790946851"),
        ],
        body: BODY,
    },
    Vector {
        name: "hash",
        keys: "secret = \"test-secret\"\nverify = { scheme = \"hash\", algorithm = \"sha256\", \
               signature = { header = \"X-Sig\", encoding = \"hex\" }, signed = \"{secret}{body}\" }\n",
        headers: &[("X-Sig", "0b553dbc2705c009e1dec1369a9faa4d5aa4f94b5acc55ec289eab0b2b7f277d")],
        body: BODY,
    },
    Vector {
        name: "published-by-github",
        keys: "secret = \"It's a Secret to Everybody\"\nverify = { scheme = \"hmac\", algorithm = \"sha256\", \
               signature = { header = \"X-Hub-Signature-256\", encoding = \"hex\", prefix = \"sha256=\" }, signed = \"{body}\" }\n",
        headers: &[("X-Hub-Signature-256", "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17")],
        body: "Hello, World!",
    },
];

fn tables() -> String {
    let map = "map.identifier = '.id'\nmap.email = '.email'\n";
    VECTORS.iter().map(|vector| format!("[sources.{}]\n{}{map}", vector.name, vector.keys)).collect::<Vec<_>>().concat()
}

fn request(vector: &Vector, body: &str) -> Request {
    let Draft(mut request) = Draft::post(format!("/hooks/{}", vector.name), "application/json", body.to_owned());
    for (name, value) in vector.headers {
        request.headers.set(name, value);
    }
    request
}

#[tokio::test(flavor = "multi_thread")]
async fn every_known_signature_is_accepted_and_none_fits_another_body() {
    let relay = Relay::at(AT, "", &tables()).await;
    for vector in &VECTORS {
        let forged = request(vector, &vector.body.replacen('l', "1", 1));
        assert_eq!(relay.post(forged).await.status, 401, "{}: another body", vector.name);
        let answer = relay.post(request(vector, vector.body)).await;
        // GitHub's published body is no JSON: it is verified first, and then cannot be read.
        let expected = if vector.body == BODY { 200 } else { 400 };
        assert_eq!(answer.status, expected, "{}: {}", vector.name, answer.body);
    }
    relay.app.ingest.save_refusals(relay.clock.now()).await.unwrap();
    let refused = relay.number("SELECT sum(count) FROM rejections WHERE reason = 'wrong_signature'");
    assert_eq!(usize::try_from(refused).unwrap(), VECTORS.len());
}
