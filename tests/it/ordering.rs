//! Newest wins: whatever the order of arrival and whatever goes wrong, each field ends with its newest value, and no
//! two calls of one contact overlap (the harness looks at the end of every test).

use std::{collections::BTreeMap, time::Duration};

use contact_relay::{
    clock::Timestamp,
    sandbox::{Fault, FaultKind, Match, NewContact},
    store::{LinkOrigin, RowState},
};
use futures_util::future::join_all;
use rand::{Rng, SeedableRng as _, rngs::StdRng, seq::SliceRandom as _};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::harness::Relay;

const CONTACTS: usize = 5;
const FIELDS: [&str; 3] = ["name", "plan", "city"];

/// Updates of a few contacts, each under two identifiers, and what the contacts must have in the end.
struct Updates {
    bodies: Vec<Value>,
    newest: BTreeMap<(usize, &'static str), String>,
}

impl Updates {
    /// `count` updates in a random order.
    fn new(count: usize, rng: &mut impl Rng) -> Self {
        let began = Timestamp::parse_rfc3339("2026-11-22T08:00:00Z").unwrap();
        let mut newest = BTreeMap::new();
        let mut bodies = Vec::new();
        for number in 0..count {
            let contact = rng.random_range(0..CONTACTS);
            let key = if rng.random() { "a" } else { "b" };
            let at = began + Duration::from_secs(number as u64);
            let mut body =
                json!({ "event": number.to_string(), "id": format!("{key}{contact}"), "at": at.to_string() });
            for field in FIELDS {
                if rng.random_bool(0.6) {
                    // Few values, so that some updates repeat what stands already.
                    let value = format!("{field} {}", rng.random_range(0..4));
                    body[field] = json!(value);
                    newest.insert((contact, field), value);
                }
            }
            bodies.push(body);
        }
        bodies.shuffle(rng);
        Self { bodies, newest }
    }

    /// Holds what the contacts have against what was newest.
    fn check(&self, relay: &Relay, ids: &[i64]) {
        for ((contact, field), value) in &self.newest {
            let has = relay.sandbox.contact(ids[*contact]).unwrap();
            let has = if *field == "name" { json!(has.name) } else { has.custom_attributes[*field].clone() };
            assert_eq!(has, json!(value), "{field} of contact {contact}");
        }
    }
}

/// The contacts: the first identifier of each has to be looked up, the second is linked.
async fn contacts(relay: &Relay) -> Vec<i64> {
    let mut ids = Vec::new();
    for contact in 0..CONTACTS {
        let identifier = format!("a{contact}");
        let id = relay.sandbox.seed(NewContact { identifier: Some(identifier), ..NewContact::default() });
        relay.link(&format!("b{contact}"), id, LinkOrigin::Import).await;
        ids.push(id);
    }
    ids
}

fn random_fault(rng: &mut impl Rng) -> Fault {
    let kinds = [
        FaultKind::status(500),
        FaultKind::status(503),
        FaultKind::status(429),
        FaultKind::Drop,
        FaultKind::DropAfter,
        FaultKind::Truncate,
        FaultKind::RevokedToken,
    ];
    let kind = kinds[rng.random_range(0..kinds.len())].clone();
    Fault::new(kind).when(Match::path("/contacts/")).times(rng.random_range(1..4))
}

async fn accept(relay: &Relay, bodies: &[Value]) {
    let answers = join_all(bodies.iter().map(|body| relay.send("crm", body.clone()))).await;
    assert!(answers.iter().all(|answer| answer.status == 200), "{answers:?}");
}

async fn open_rows(relay: &Relay) -> u64 {
    relay.app.store.open_rows().await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn three_hundred_updates_in_any_order_through_any_fault_end_with_the_newest_of_each_field() {
    for seed in 0..2 {
        let mut rng = StdRng::seed_from_u64(seed);
        let updates = Updates::new(300, &mut rng);
        let relay = Relay::start().await;
        let ids = contacts(&relay).await;
        let mut rest = updates.bodies.as_slice();
        while !rest.is_empty() {
            let (slice, later) = rest.split_at(rng.random_range(1..=rest.len().min(30)));
            accept(&relay, slice).await;
            rest = later;
            relay.sandbox.set_faults((0..rng.random_range(0..3)).map(|_| random_fault(&mut rng)).collect());
            relay.deliver().await;
            relay.advance(Duration::from_secs(rng.random_range(0..90)));
        }
        relay.sandbox.clear_faults();
        for _ in 0..50 {
            if open_rows(&relay).await == 0 {
                break;
            }
            relay.advance(Duration::from_mins(10));
            relay.deliver().await;
        }
        assert_eq!(open_rows(&relay).await, 0, "seed {seed}: {:?}", relay.app.store.outbox_counts().await);
        updates.check(&relay, &ids);
        let states = relay.states().await;
        let settled = [RowState::Delivered, RowState::Unchanged, RowState::Superseded];
        assert!(states.iter().all(|state| settled.contains(state)), "seed {seed}: {states:?}");
        assert!(relay.calls("PATCH") < 300, "many changes leave as one call");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_background_loop_delivers_through_faults_what_is_accepted_beside_it() {
    let mut rng = StdRng::seed_from_u64(9);
    let updates = Updates::new(200, &mut rng);
    let relay = Relay::start().await;
    let ids = contacts(&relay).await;
    let stop = CancellationToken::new();
    let running = tokio::spawn({
        let (delivery, stop) = (relay.app.delivery.clone(), stop.clone());
        async move { delivery.run(stop, Duration::from_secs(5)).await }
    });
    // Time passes only while no call is in flight: a call takes real time, which must not look like minutes.
    let time = tokio::spawn({
        let (store, hand, stop) = (relay.app.store.clone(), relay.hand(), stop.clone());
        async move {
            while !stop.is_cancelled() {
                let counts = store.outbox_counts().await.unwrap();
                if !counts.contains_key(&RowState::Leased) {
                    hand.advance(Duration::from_secs(2));
                }
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        }
    });
    for slice in updates.bodies.chunks(10) {
        relay.sandbox.set_faults((0..rng.random_range(0..3)).map(|_| random_fault(&mut rng)).collect());
        accept(&relay, slice).await;
    }
    relay.sandbox.clear_faults();
    let emptied = tokio::time::timeout(Duration::from_secs(30), async {
        while open_rows(&relay).await > 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    });
    assert!(emptied.await.is_ok(), "{:?}", relay.app.store.outbox_counts().await);
    stop.cancel();
    running.await.unwrap();
    time.await.unwrap();
    updates.check(&relay, &ids);
}
