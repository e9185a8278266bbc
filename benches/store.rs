//! What a commit costs, by how many webhooks it carries. The disk has its moods: compare the figures of one run.

mod support;

use std::time::Duration;

use contact_relay::{
    clock::Clock,
    config::SourceConfig,
    mapping::Outcome,
    sources::DEFAULT_REPEAT_WINDOW,
    store::{NewOutcome, NewRow, NewWebhook, Store, WriterSettings},
};
use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use futures_util::future::join_all;
use tokio::runtime::Runtime;

fn accept(criterion: &mut Criterion) {
    let runtime = Runtime::new().expect("a runtime");
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory");
    let path = directory.path().join("bench.db");
    let store = runtime.block_on(Store::open(&path, WriterSettings::default())).expect("a store");
    let shop = support::shop();
    let mut number = 0;
    let mut next = || {
        number += 1;
        new_webhook(&shop, number)
    };
    let mut group = criterion.benchmark_group("store/accept");
    group.sample_size(10).warm_up_time(Duration::from_secs(1)).measurement_time(Duration::from_secs(3));
    for size in [1_u64, 8, 64, 256] {
        group.throughput(Throughput::Elements(size));
        group.bench_function(BenchmarkId::from_parameter(size), |bencher| {
            bencher.to_async(&runtime).iter_batched(
                || (0..size).map(|_| next()).collect::<Vec<_>>(),
                |webhooks| async {
                    for accepted in join_all(webhooks.into_iter().map(|webhook| store.accept(webhook))).await {
                        accepted.expect("stored");
                    }
                },
                BatchSize::PerIteration,
            );
        });
    }
    group.finish();
    runtime.block_on(store.close());
}

/// The webhook as ingest hands it to the store.
fn new_webhook(shop: &SourceConfig, number: u64) -> NewWebhook {
    let now = Clock::System.now();
    let webhook =
        shop.source.verify(support::webhook(&shop.source, number, number, now), now).expect("a good signature");
    let mapped = shop.mapping.map(&webhook, &[]).expect("a readable body");
    let Outcome::Mapped(elements) = mapped.result else { panic!("the webhook is mapped") };
    let rows = elements.into_iter().map(|element| {
        let mapped = element.update.expect("an update");
        NewRow {
            element: element.index,
            update: mapped.update,
            policies: mapped.policies,
            dropped: None,
            occurred_at: element.occurred_at,
        }
    });
    NewWebhook {
        source: shop.source.name().clone(),
        topic: mapped.topic,
        event_id: mapped.event_id,
        received_at: now,
        signed_at: None,
        secret: Some(0),
        method: "POST".to_owned(),
        query: String::new(),
        content_type: Some("application/json".to_owned()),
        headers: r#"{"x-shopify-topic":"customers/update"}"#.to_owned(),
        body: webhook.request().body.clone(),
        repeat_window: DEFAULT_REPEAT_WINDOW,
        outcome: NewOutcome::Mapped { account: "store".into(), rows: rows.collect() },
        left_out: None,
    }
}

criterion_group!(benches, accept);
criterion_main!(benches);
