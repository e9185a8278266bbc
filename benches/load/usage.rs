//! What the servers use of the processors, although client, servers and sandbox live in one process.

use std::{fs, path::Path, time::Duration};

/// The name of the client's thread.
pub(crate) const CLIENT: &str = "client";
/// How the names of threads begin that serve nobody here: the client's, and the sandbox's, which are actix arbiters
/// because it runs an actix system of its own.
const NOT_SERVERS: [&str; 3] = [CLIENT, "sandbox", "actix-rt"];

/// Processor time of all threads that serve, since they began; `None` where the system does not tell.
pub(crate) fn of_servers() -> Option<Duration> {
    let mut sum = Duration::ZERO;
    for thread in fs::read_dir("/proc/self/task").ok()?.flatten() {
        sum += of_server(&thread.path()).unwrap_or_default();
    }
    Some(sum)
}

/// The first figure of `schedstat` is the time spent on a processor, in nanoseconds
/// (<https://docs.kernel.org/scheduler/sched-stats.html>).
fn of_server(thread: &Path) -> Option<Duration> {
    let name = fs::read_to_string(thread.join("comm")).ok()?;
    if NOT_SERVERS.iter().any(|other| name.starts_with(other)) {
        return None;
    }
    let times = fs::read_to_string(thread.join("schedstat")).ok()?;
    times.split(' ').next()?.parse().ok().map(Duration::from_nanos)
}
