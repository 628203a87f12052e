//! A client that sees bytes as they are.

use serde_json::Value;
use tidegate_upstream::{Running, Settings, start};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

pub use tidegate_upstream::journal::now_ms;

/// A running server and its control port.
pub struct Upstream {
    running: Running,
}

/// A connection and the bytes not looked at yet.
pub struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

/// An answer with its transfer coding removed.
#[derive(Debug, PartialEq, Eq)]
pub struct Answer {
    pub head: String,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn status(&self) -> u16 {
        self.head.split(' ').nth(1).unwrap().parse().unwrap()
    }

    pub fn text(&self) -> String {
        String::from_utf8(self.body.clone()).unwrap()
    }
}

/// The bytes of a chat request.
pub fn chat(stream: bool) -> String {
    let body = format!(
        "{{\"model\":\"tiny\",\"stream\":{stream},\"messages\":[{{\"role\":\"user\",\"content\":\"Say hello.\"}}]}}"
    );
    request("POST", "/v1/chat/completions", &body)
}

/// Its length is put in by `send`, so that a test may change the body first.
fn request(method: &str, path: &str, body: &str) -> String {
    format!("{method} {path} HTTP/1.1\r\nHost: x\r\n\r\n{body}")
}

fn framed(request: &str) -> String {
    let (head, body) = request.split_once("\r\n\r\n").unwrap();
    format!("{head}\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

impl Upstream {
    pub async fn start() -> Self {
        let running = start(Settings::default()).await.unwrap();
        Self { running }
    }

    pub async fn with_key(key: &str) -> Self {
        let settings = Settings {
            api_key: Some(key.to_owned()),
            ..Settings::default()
        };
        let running = start(settings).await.unwrap();
        Self { running }
    }

    pub async fn connect(&self) -> Connection {
        Connection::to(self.running.address).await.unwrap()
    }

    pub async fn ask(&self, request: &str) -> Answer {
        let mut connection = self.connect().await;
        connection.send(request).await;
        connection.answer().await
    }

    pub async fn control(&self, method: &str, name: &str, order: Value) -> Answer {
        let path = format!("/_control/{name}");
        let mut connection = Connection::to(self.running.control_address).await.unwrap();
        connection
            .send(&request(method, &path, &order.to_string()))
            .await;
        connection.answer().await
    }

    pub async fn put(&self, name: &str, order: Value) {
        let answer = self.control("PUT", name, order).await;
        assert_eq!(answer.status(), 200, "{}", answer.text());
    }

    pub async fn post(&self, name: &str, order: Value) {
        let answer = self.control("POST", name, order).await;
        assert_eq!(answer.status(), 200, "{}", answer.text());
    }

    /// One rule for every request.
    pub async fn order(&self, behaviour: Value) {
        let rule = serde_json::json!({"behaviour": behaviour});
        self.put("script", serde_json::json!({"rules": [rule]}))
            .await;
    }

    /// Waits until the journal is as the query says.
    pub async fn journal(&self, query: &str) -> Value {
        let name = format!("journal?{query}&wait_ms=10000");
        let answer = self.control("GET", &name, Value::Null).await;
        let journal: Value = serde_json::from_slice(&answer.body).unwrap();
        assert_eq!(journal["complete"], true, "{journal}");
        journal
    }

    pub async fn until_refused(&self) {
        while Connection::to(self.running.address).await.is_ok() {
            tokio::task::yield_now().await;
        }
    }

    pub async fn until_accepted(&self) {
        while Connection::to(self.running.address).await.is_err() {
            tokio::task::yield_now().await;
        }
    }
}

impl Connection {
    async fn to(address: std::net::SocketAddr) -> std::io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream,
            buffer: Vec::new(),
        })
    }

    pub async fn send(&mut self, request: &str) {
        let bytes = framed(request);
        self.stream.write_all(bytes.as_bytes()).await.unwrap();
    }

    /// Everything up to the end of the connection.
    pub async fn rest(&mut self) -> std::io::Result<Vec<u8>> {
        while self.stream.read_buf(&mut self.buffer).await? > 0 {}
        Ok(std::mem::take(&mut self.buffer))
    }

    pub async fn is_at_end(&mut self) -> bool {
        self.buffer.is_empty() && self.stream.read_buf(&mut self.buffer).await.unwrap() == 0
    }

    pub async fn read_at_least(&mut self, bytes: usize) {
        while self.buffer.len() < bytes {
            self.more().await;
        }
    }

    async fn more(&mut self) {
        let read = self.stream.read_buf(&mut self.buffer).await.unwrap();
        assert_ne!(read, 0, "the connection ended inside an answer");
    }

    async fn take(&mut self, bytes: usize) -> Vec<u8> {
        self.read_at_least(bytes).await;
        self.buffer.drain(..bytes).collect()
    }

    async fn until(&mut self, mark: &[u8]) -> String {
        loop {
            let found = self.buffer.windows(mark.len()).position(|w| w == mark);
            match found {
                Some(at) => {
                    let bytes = self.take(at + mark.len()).await;
                    return String::from_utf8(bytes).unwrap();
                }
                None => self.more().await,
            }
        }
    }

    pub async fn head(&mut self) -> String {
        self.until(b"\r\n\r\n").await
    }

    pub async fn answer(&mut self) -> Answer {
        let head = self.head().await;
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("Content-Length: "));
        let mut body = Vec::new();
        match length {
            Some(length) => body = self.take(length.parse().unwrap()).await,
            None => loop {
                let size = self.until(b"\r\n").await;
                let size = usize::from_str_radix(size.trim(), 16).unwrap();
                let chunk = self.take(size + 2).await;
                body.extend_from_slice(&chunk[..size]);
                if size == 0 {
                    break;
                }
            },
        }
        Answer { head, body }
    }
}
