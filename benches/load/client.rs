//! The load: connections that are kept alive, each sending the next request as soon as its last one is answered. It
//! shares the machine with the servers, so it does no more than it must: the requests are bytes made beforehand, and of
//! an answer it reads the status and the length.

use std::{
    cell::RefCell,
    fmt::Write as _,
    net::SocketAddr,
    rc::Rc,
    thread,
    time::{Duration, Instant},
};

use contact_relay::sources::Request;
use futures_util::future::join_all;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    runtime,
};

use crate::usage;

/// How many requests are on their way at once.
const CONNECTIONS: usize = 64;

/// What came of a run.
pub(crate) struct Run {
    /// From the first request to the last answer.
    pub(crate) elapsed: Duration,
    /// Of each request, in no order.
    pub(crate) latencies: Vec<Duration>,
    /// What the servers' threads used of the processors; `None` where the system does not tell.
    pub(crate) cpu: Option<Duration>,
}

/// A request as it goes over the wire.
pub(crate) fn wire(request: &Request) -> Vec<u8> {
    let mut head = format!("{} {} HTTP/1.1\r\nhost: 127.0.0.1\r\n", request.method, request.path_query);
    for (name, value) in request.headers.iter() {
        let _ = write!(head, "{name}: {value}\r\n");
    }
    let _ = write!(head, "content-length: {}\r\n\r\n", request.body.len());
    [head.as_bytes(), &request.body].concat()
}

/// Sends all requests, and fails unless each is answered with 200.
pub(crate) fn run(address: SocketAddr, requests: Vec<Vec<u8>>) -> Run {
    let client = thread::Builder::new().name(usage::CLIENT.to_owned()).spawn(move || {
        runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime")
            .block_on(send(address, requests))
    });
    client.expect("a thread").join().expect("every request is answered")
}

async fn send(address: SocketAddr, requests: Vec<Vec<u8>>) -> Run {
    let connections = join_all((0..CONNECTIONS).map(|_| TcpStream::connect(address))).await;
    let connections = connections.into_iter().collect::<Result<Vec<_>, _>>().expect("connections");
    let latencies = RefCell::new(Vec::with_capacity(requests.len()));
    let waiting = Rc::new(RefCell::new(requests.into_iter()));
    let cpu_before = usage::of_servers();
    let start = Instant::now();
    join_all(connections.into_iter().map(|mut connection| {
        let (waiting, latencies) = (Rc::clone(&waiting), &latencies);
        async move {
            connection.set_nodelay(true).expect("a socket option");
            let mut answer = Vec::with_capacity(1024);
            let next = || waiting.borrow_mut().next();
            while let Some(request) = next() {
                let sent = Instant::now();
                connection.write_all(&request).await.expect("sent");
                read_answer(&mut connection, &mut answer).await;
                latencies.borrow_mut().push(sent.elapsed());
            }
        }
    }))
    .await;
    let elapsed = start.elapsed();
    let cpu = usage::of_servers().zip(cpu_before).map(|(after, before)| after.saturating_sub(before));
    Run { elapsed, latencies: latencies.into_inner(), cpu }
}

async fn read_answer(connection: &mut TcpStream, answer: &mut Vec<u8>) {
    answer.clear();
    while whole_length(answer).is_none_or(|length| answer.len() < length) {
        let read = connection.read_buf(answer).await.expect("an answer");
        assert!(read > 0, "the connection was closed");
    }
    assert!(answer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(answer));
}

/// The length of head and body, once the head is there.
fn whole_length(answer: &[u8]) -> Option<usize> {
    const LENGTH: &[u8] = b"content-length: ";
    let head = answer.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
    let length = answer.windows(LENGTH.len()).position(|window| window == LENGTH)? + LENGTH.len();
    let digits = answer[length..].iter().take_while(|byte| byte.is_ascii_digit());
    Some(head + digits.fold(0, |sum, digit| sum * 10 + usize::from(digit - b'0')))
}
