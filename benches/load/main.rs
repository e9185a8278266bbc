//! The service under load, held in one run against servers that do less, over HTTP on loopback.
//!
//! `cargo bench --bench load` measures; `cargo test --bench load` only sees that it works. Absolute figures move with
//! the disk's mood, so the servers take turns in short rounds, and the ratios of each round are what counts. Client,
//! servers and sandbox share one process and the processors of one machine.
#![expect(clippy::print_stdout, reason = "the table is what this program is for")]
#![expect(clippy::cast_precision_loss, reason = "a rate of some thousands a second needs no more than 52 bits")]

mod bare;
mod client;
#[path = "../support/mod.rs"]
mod support;
mod usage;

use std::{
    net::{SocketAddr, TcpListener},
    path::Path,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use client::Run;
use contact_relay::{
    app::{App, Ports},
    clock::Clock,
    http,
    sandbox::{Options, Sandbox},
    sources::Source,
    store::Store,
};
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;

/// How much is measured.
struct Plan {
    rounds: usize,
    /// Per server and round.
    requests: u64,
    /// Webhooks that are delivered, per round.
    deliveries: u64,
}

const MEASURED: Plan = Plan { rounds: 7, requests: 10_000, deliveries: 3_000 };
const SMOKE: Plan = Plan { rounds: 1, requests: 200, deliveries: 200 };

fn main() {
    let plan = if std::env::args().any(|argument| argument == "--bench") { MEASURED } else { SMOKE };
    let runtime = Runtime::new().expect("a runtime");
    let _entered = runtime.enter();
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory");
    let shop = support::shop().source;
    accepting(&plan, &runtime, directory.path(), &shop);
    delivering(&plan, &runtime, directory.path(), &shop);
}

/// How fast webhooks are acknowledged, beside the bare servers. Delivery does not run.
fn accepting(plan: &Plan, runtime: &Runtime, directory: &Path, shop: &Source) {
    let workers = thread::available_parallelism().map_or(2, std::num::NonZero::get);
    let config = support::config(&directory.join("accepting.db"), "http://127.0.0.1:9");
    let app = runtime.block_on(App::build(&config, Clock::System, Arc::new(|| 0.5))).expect("an app");
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(http::public(listener, app.ingest.clone(), Clock::System, workers).expect("a server"));
    let servers: [(&str, SocketAddr); 3] = [
        ("(a) bare handler", bare::without_storage(workers)),
        ("(b) bare group commit", runtime.block_on(bare::with_group_commit(workers, &directory.join("bare.db")))),
        ("(c) contact-relay", address),
    ];
    let mut numbers = 0..;
    let mut next =
        |count: u64| requests(shop, (0..count).filter_map(|_| numbers.next()).map(|number| (number, number)));
    let warm_up = plan.requests / 10;
    for (_, address) in servers {
        drop(client::run(address, next(warm_up)));
    }
    let mut runs = [const { Vec::new() }; 3];
    for round in 0..plan.rounds {
        for turn in 0..servers.len() {
            // Each goes first now and then.
            let server = (round + turn) % servers.len();
            runs[server].push(client::run(servers[server].1, next(plan.requests)));
        }
    }
    println!(
        "{:24}{:>10}{:>9}{:>9}{:>11}{:>11}{:>11}{:>11}",
        "", "acks/s", "of (a)", "of (b)", "p50 ms", "p99 ms", "max ms", "CPU µs"
    );
    for ((name, _), own) in servers.iter().zip(&runs) {
        let [of_a, of_b] = [&runs[0], &runs[1]].map(|others| ratio(own, others));
        println!("{name:24}{:>10.0}{of_a:>8.0}%{of_b:>8.0}%{}", median(own.iter().map(rate)), figures(own));
    }
    let open = runtime.block_on(app.store.open_rows()).expect("a count");
    assert_eq!(open, warm_up + plan.requests * plan.rounds as u64, "every webhook made one update");
}

/// How fast webhooks are delivered to the sandbox: first to contacts that have to be found missing and created, then to
/// the same contacts again, which are known by then.
fn delivering(plan: &Plan, runtime: &Runtime, directory: &Path, shop: &Source) {
    let sandbox = runtime.block_on(Sandbox::start(Options { token: support::SECRET.to_owned(), ..Options::default() }));
    let sandbox = sandbox.expect("a sandbox");
    let mut config = support::config(&directory.join("delivering.db"), &sandbox.base_url());
    config.server.listen = SocketAddr::from(([127, 0, 0, 1], 0));
    let app = runtime.block_on(App::build(&config, Clock::System, Arc::new(|| 0.5))).expect("an app");
    let store = app.store.clone();
    let ports = Ports::bind(&config).expect("ports");
    let address = ports.public_address().expect("an address");
    let ending = CancellationToken::new();
    let serving = runtime.spawn(app.serve(ports, ending.clone()));
    let mut deliver = |round: u64| {
        let numbers = (0..plan.deliveries).map(|customer| (round * plan.deliveries + customer, customer));
        let requests = requests(shop, numbers);
        let (start, cpu_before) = (Instant::now(), usage::of_servers());
        let mut run = client::run(address, requests);
        runtime.block_on(until_settled(&store));
        run.elapsed = start.elapsed();
        run.cpu = usage::of_servers().zip(cpu_before).map(|(after, before)| after.saturating_sub(before));
        run
    };
    println!(
        "\n{:24}{:>10}{:>18}{:>11}{:>11}{:>11}{:>11}",
        "", "settled/s", "", "p50 ms", "p99 ms", "max ms", "CPU µs"
    );
    let created = [deliver(0)];
    println!("{:24}{:>10.0}{:>18}{}", "(d) contacts created", rate(&created[0]), "", figures(&created));
    let updated: Vec<Run> = (1..=plan.rounds.div_ceil(2) as u64).map(&mut deliver).collect();
    println!("{:24}{:>10.0}{:>18}{}", "(d) contacts updated", median(updated.iter().map(rate)), "", figures(&updated));
    assert_eq!(sandbox.contacts().len() as u64, plan.deliveries, "every customer is one contact");
    ending.cancel();
    runtime.block_on(serving).expect("no panic").expect("a soft stop");
}

async fn until_settled(store: &Store) {
    while store.open_rows().await.expect("a count") > 0 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Signed webhooks, each given as its own number and that of its customer.
fn requests(shop: &Source, numbers: impl Iterator<Item = (u64, u64)>) -> Vec<Vec<u8>> {
    let now = Clock::System.now();
    numbers.map(|(number, customer)| client::wire(&support::webhook(shop, number, customer, now))).collect()
}

/// Median over the rounds of how fast one was in percent of the other.
fn ratio(runs: &[Run], others: &[Run]) -> f64 {
    median(runs.iter().zip(others).map(|(own, other)| 100.0 * rate(own) / rate(other)))
}

/// Requests per second.
fn rate(run: &Run) -> f64 {
    run.latencies.len() as f64 / run.elapsed.as_secs_f64()
}

/// The columns of latencies, over all rounds, and of processor time per request.
fn figures(runs: &[Run]) -> String {
    let mut latencies: Vec<Duration> = runs.iter().flat_map(|run| run.latencies.iter().copied()).collect();
    latencies.sort_unstable();
    let ms = |percent: usize| latencies[(latencies.len() - 1) * percent / 100].as_secs_f64() * 1e3;
    let cpu = runs.iter().map(|run| run.cpu).sum::<Option<Duration>>();
    let cpu = cpu.map_or("-".to_owned(), |cpu| format!("{:.1}", cpu.as_secs_f64() * 1e6 / latencies.len() as f64));
    format!("{:>11.2}{:>11.2}{:>11.2}{cpu:>11}", ms(50), ms(99), ms(100))
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_unstable_by(f64::total_cmp);
    values[values.len() / 2]
}
