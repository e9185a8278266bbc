//! What it costs to map a webhook of 1.3 kB by the preset for Shopify, alone and behind its signature: everything
//! between the socket and the store. Together they are to stay under 60 µs.

mod support;

use std::hint::black_box;

use contact_relay::{clock::Clock, mapping::Outcome};
use criterion::{BatchSize, Criterion, criterion_group, criterion_main};

fn map(criterion: &mut Criterion) {
    let (shop, now) = (support::shop(), Clock::System.now());
    let webhook = shop.source.verify(support::webhook(&shop.source, 1, 1, now), now).expect("a good signature");
    let mapped = shop.mapping.map(&webhook, &[]).expect("a readable body");
    assert!(matches!(&mapped.result, Outcome::Mapped(elements) if elements[0].update.is_ok()), "{mapped:?}");
    criterion.bench_function("mapping/shopify", |bencher| {
        bencher.iter(|| shop.mapping.map(black_box(&webhook), &[]));
    });
}

fn verify_and_map(criterion: &mut Criterion) {
    let (shop, now) = (support::shop(), Clock::System.now());
    let request = support::webhook(&shop.source, 1, 1, now);
    let verify_and_map = |request| {
        let webhook = shop.source.verify(request, now).expect("a good signature");
        shop.mapping.map(&webhook, shop.source.verifier().signed_headers())
    };
    criterion.bench_function("mapping/shopify behind its signature", |bencher| {
        bencher.iter_batched(|| request.clone(), verify_and_map, BatchSize::SmallInput);
    });
}

criterion_group!(benches, map, verify_and_map);
criterion_main!(benches);
