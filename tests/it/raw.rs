//! HTTP written byte by byte, for requests that no proper client sends.

use std::{net::SocketAddr, time::Duration};

use contact_relay::sources::Request;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

/// Long enough for any answer; a service that does not answer fails the test.
const PATIENCE: Duration = Duration::from_secs(20);

/// What came back, as far as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RawAnswer {
    pub(crate) status: u16,
    /// In the order received, names in lower case, without `date`.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl RawAnswer {
    /// The value of a header.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    fn parse(bytes: &[u8]) -> Self {
        let text = String::from_utf8_lossy(bytes);
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no whole answer: {text:?}"));
        let mut lines = head.lines();
        let status = lines.next().and_then(|line| line.split(' ').nth(1)).and_then(|code| code.parse().ok());
        let headers = lines
            .filter_map(|line| line.split_once(": "))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
            .filter(|(name, _)| name != "date")
            .collect();
        Self { status: status.unwrap_or_else(|| panic!("no status in {text:?}")), headers, body: body.to_owned() }
    }
}

/// Sends a head and a body as they are and reads until the service closes the connection; `connection: close` is added.
pub(crate) async fn exchange(address: SocketAddr, head: &str, body: &[u8]) -> RawAnswer {
    let mut stream = open(address, head, body).await;
    read(&mut stream).await
}

/// Sends a head and a body as they are, and leaves the connection open.
pub(crate) async fn open(address: SocketAddr, head: &str, body: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let head = head.trim().lines().map(str::trim).collect::<Vec<_>>().join("\r\n");
    stream.write_all(format!("{head}\r\nhost: relay.test\r\nconnection: close\r\n\r\n").as_bytes()).await.unwrap();
    // The service may answer and close before it has read everything.
    let _ = stream.write_all(body).await;
    stream
}

/// Reads what is answered until the service closes the connection.
pub(crate) async fn read(stream: &mut TcpStream) -> RawAnswer {
    let mut bytes = Vec::new();
    let end = timeout(PATIENCE, stream.read_to_end(&mut bytes)).await.expect("the service answers and closes");
    if let Err(error) = end {
        assert!(!bytes.is_empty(), "the connection broke before an answer: {error}");
    }
    RawAnswer::parse(&bytes)
}

/// The request line and the headers of a request, and one more header line.
pub(crate) fn head(request: &Request, more: &str) -> String {
    let headers: Vec<String> = request.headers.iter().map(|(name, value)| format!("{name}: {value}")).collect();
    format!("{} {} HTTP/1.1\n{}\n{more}", request.method, request.path_query, headers.join("\n"))
}
