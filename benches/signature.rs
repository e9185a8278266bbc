//! What it costs to check a signature over a webhook of 1.3 kB.

mod support;

use std::{hint::black_box, time::Duration};

use contact_relay::{
    clock::Clock,
    sources::{
        Draft, Secret, Verifier,
        scheme::spec::{SchemeSpec, SecretEncoding, StandardWebhooksSpec},
    },
};
use criterion::{Criterion, criterion_group, criterion_main};
use support::SECRET;

fn shopify(criterion: &mut Criterion) {
    let (shop, now) = (support::shop().source, Clock::System.now());
    let request = support::webhook(&shop, 1, 1, now);
    let verifier = shop.verifier();
    criterion.bench_function("signature/shopify", |bencher| {
        bencher.iter(|| verifier.verify(black_box(&request), None, now).expect("a good signature"));
    });
}

fn standard_webhooks(criterion: &mut Criterion) {
    let (shop, now) = (support::shop().source, Clock::System.now());
    let spec = SchemeSpec::StandardWebhooks(StandardWebhooksSpec {
        header_prefix: "webhook".to_owned(),
        secret_encoding: SecretEncoding::Utf8,
        tolerance: Duration::from_mins(5),
    });
    let secret = Secret { value: SECRET.to_owned().into(), not_after: None };
    let verifier = Verifier::new(spec, vec![secret]).expect("a good scheme");
    let mut request = support::webhook(&shop, 1, 1, now);
    request.headers.set("webhook-id", "msg_1");
    let request = verifier.sign(Draft(request), None, now).expect("it can be signed");
    criterion.bench_function("signature/standard-webhooks", |bencher| {
        bencher.iter(|| verifier.verify(black_box(&request), None, now).expect("a good signature"));
    });
}

criterion_group!(benches, shopify, standard_webhooks);
criterion_main!(benches);
