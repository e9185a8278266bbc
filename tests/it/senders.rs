//! Every sender that there is a preset for, as its fixtures in `tests/fixtures/senders` show it: what it sends is
//! understood, and whatever differs from that in one thing is refused. The fixtures are signed by `sign.py`, which shares
//! no code with what is tested here.

mod fixture;
mod pages;
mod service;
mod twin;

use std::time::Duration;

use contact_relay::clock::Timestamp;
use serde_json::{Value, json};

use self::{
    fixture::{Fixture, Key},
    service::Service,
    twin::{Exemptions, Twin},
};

#[tokio::test(flavor = "multi_thread")]
async fn every_request_of_a_sender_is_understood_and_every_twin_of_it_is_refused() {
    let exemptions = Exemptions::load();
    let mut faults = Vec::new();
    for fixture in fixture::all() {
        for fault in judge(&fixture, &exemptions).await {
            faults.push(format!("{}: {fault}", fixture.name()));
        }
    }
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

/// Everything that is wrong with how a fixture is treated.
async fn judge(fixture: &Fixture, exemptions: &Exemptions) -> Vec<String> {
    let verify = fixture.verify();
    let exempt = |twin| exemptions.reason(fixture, &verify, twin).is_some();
    // Past what the sender allows, either way.
    let late = twin::tolerance(&verify) + Duration::from_mins(2);
    let arrival = Timestamp::parse_rfc3339(&fixture.at).expect("`at` is RFC 3339");
    let request = fixture.request();
    let mut faults = Vec::new();

    let service = match Service::start(fixture, Key::Own, arrival - late).await {
        Ok(service) => service,
        Err(problems) => return vec![format!("its configuration does not load:\n{problems}")],
    };
    if !exempt(Twin::Future) {
        faults.extend(service.refuses("a signature from the future", &request).await);
    }
    service.advance(late);
    for twin in Twin::OF_THE_REQUEST.into_iter().filter(|twin| !exempt(*twin)) {
        for (changed, what) in twin::twins(twin, &request, &verify) {
            faults.extend(service.refuses(&what, &changed).await);
        }
    }
    if service.count("webhooks") + service.count("outbox") > 0 {
        faults.push("something of a refused request was stored".to_owned());
    }

    let answer = service.post(&request).await;
    if (answer.0, answer.1["status"].as_str()) != (200, Some(&fixture.expected.status)) {
        faults.push(format!("answered {} {}", answer.0, answer.1));
    }
    faults.extend(difference("stored", &stored(&service), &expected(fixture)));
    let again = service.post(&request).await;
    if (again.0, again.1["status"].as_str()) != (200, Some("duplicate")) {
        faults.push(format!("a repeat was answered {} {}", again.0, again.1));
    }
    if exempt(Twin::Body) {
        // What is said about a weak scheme is true as well.
        let mut longer = request.clone();
        longer.body = [&request.body[..], b" "].concat().into();
        if service.post(&longer).await.0 != 200 {
            faults.push("its body is said not to be covered, and is".to_owned());
        }
    }

    service.advance(late);
    let webhooks = service.count("webhooks");
    if exempt(Twin::Stale) {
        if service.post(&request).await.0 != 200 {
            faults.push("its time is said not to matter, and does".to_owned());
        }
    } else {
        faults.extend(service.refuses("an old signature", &request).await);
        if service.count("webhooks") != webhooks {
            faults.push("an old signature was refused, and stored".to_owned());
        }
    }
    service.stop().await;

    if !exempt(Twin::Secret) {
        match Service::start(fixture, Key::Another, arrival).await {
            Ok(stranger) => {
                faults.extend(stranger.refuses("a signature made with another key", &request).await);
                if stranger.count("webhooks") > 0 {
                    faults.push("a signature made with another key was stored".to_owned());
                }
                stranger.stop().await;
            }
            Err(problems) => faults.push(format!("with another key it does not load:\n{problems}")),
        }
    }
    faults
}

/// What a fixture says has to be in the database.
fn expected(fixture: &Fixture) -> Value {
    let expected = &fixture.expected;
    let updates: Vec<Value> = expected
        .updates
        .iter()
        .map(|update| {
            let occurred_at = update.occurred_at.as_deref().map(|text| {
                Timestamp::parse_rfc3339(text).unwrap_or_else(|| panic!("{}: {text}", fixture.name())).as_millis()
            });
            json!({
                "identifier": update.identifier,
                "changes": update.changes,
                "policies": update.policies,
                "occurred_at": occurred_at,
                "dropped": update.dropped,
            })
        })
        .collect();
    json!({ "topic": expected.topic, "event_id": expected.event_id, "updates": updates })
}

/// What is in the database after one webhook.
fn stored(service: &Service) -> Value {
    let webhooks = service.rows("SELECT topic, event_id, outcome, reason, left_out FROM webhooks");
    let [webhook] = webhooks.as_slice() else { return json!({ "webhooks": webhooks }) };
    let text = |value: &Value| value.as_str().map_or(Value::Null, |text| serde_json::from_str(text).unwrap());
    let updates: Vec<Value> = service
        .rows("SELECT identifier, changes, policies, occurred_at, dropped FROM outbox ORDER BY element")
        .iter()
        .map(|row| {
            let dropped = text(&row["dropped"]);
            let dropped: Vec<&Value> = dropped.as_array().into_iter().flatten().map(|value| &value["field"]).collect();
            let policies = if row["policies"].is_null() { json!({}) } else { text(&row["policies"]) };
            json!({
                "identifier": row["identifier"],
                "changes": text(&row["changes"]),
                "policies": policies,
                "occurred_at": row["occurred_at"],
                "dropped": dropped,
            })
        })
        .collect();
    let mut found = json!({ "topic": webhook["topic"], "event_id": webhook["event_id"], "updates": updates });
    if !webhook["left_out"].is_null() || webhook["outcome"] == "unmappable" {
        found["left_out"] = json!([webhook["reason"], webhook["left_out"]]);
    }
    found
}

fn difference(what: &str, found: &Value, expected: &Value) -> Option<String> {
    (found != expected).then(|| format!("{what}\n{found:#}\nexpected\n{expected:#}"))
}
