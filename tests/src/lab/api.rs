//! An HTTP client for what listens on a host's loopback: JSON calls, and streams of lines.
//! Calls block; the runtime underneath is shared, so any number of threads may call at once.

use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use reqwest::{Client, ClientBuilder, Method, Response};
use serde_json::Value;
use tokio::runtime::Runtime;

use super::agent::Forwarder;

/// Longer than any single call may take on a busy machine.
const CALL_LIMIT: Duration = Duration::from_secs(30);

/// Calls to one port of one host, or to a Unix socket; clones share the connections.
#[derive(Clone)]
pub struct Api {
    client: Client,
    origin: String,
    token: Option<String>,
    way: Way,
}

/// How a call leaves the lab's own namespace: file systems are shared between namespaces, networks are not.
#[derive(Clone)]
enum Way {
    Forwarder(Arc<Forwarder>),
    Socket(PathBuf),
}

impl Way {
    fn socket(&self) -> &Path {
        match self {
            Way::Forwarder(forwarder) => forwarder.socket(),
            Way::Socket(path) => path,
        }
    }
}

/// What a call came back with, whatever its status.
#[derive(Clone, Debug)]
pub struct Answer {
    pub status: u16,
    /// Null if the body was empty; a string if it was not JSON.
    pub body: Value,
}

/// The lines of a response that does not end, such as server-sent events; dropping it closes the connection.
pub struct Stream {
    lines: mpsc::Receiver<String>,
    reader: tokio::task::JoinHandle<()>,
}

impl Api {
    pub(super) fn new(forwarder: Forwarder, port: u16) -> Result<Self> {
        let way = Way::Forwarder(Arc::new(forwarder));
        Api::through(way, format!("http://127.0.0.1:{port}"))
    }

    /// A server that listens on a Unix socket; it may be started, or started again, later.
    pub fn at_socket(path: &Path) -> Result<Self> {
        Api::through(Way::Socket(path.to_owned()), "http://localhost".to_owned())
    }

    fn through(way: Way, origin: String) -> Result<Self> {
        let client = client_through(&way)
            .build()
            .context("building the HTTP client")?;
        Ok(Api {
            client,
            origin,
            token: None,
            way,
        })
    }

    /// The same port over TLS, whatever certificate it shows: the lab tests the pinning elsewhere.
    pub fn over_tls(mut self) -> Result<Self> {
        let builder = client_through(&self.way).tls_danger_accept_invalid_certs(true);
        self.client = builder.build().context("building the HTTPS client")?;
        self.origin = self.origin.replace("http:", "https:");
        Ok(self)
    }

    /// The same port with a bearer token.
    pub fn with_token(mut self, token: &str) -> Self {
        self.token = Some(token.trim().to_owned());
        self
    }

    pub fn get(&self, path: &str) -> Result<Answer> {
        self.call(Method::GET, path, None)
    }

    pub fn post(&self, path: &str, body: &Value) -> Result<Answer> {
        self.call(Method::POST, path, Some(body))
    }

    /// One call; an error only if no answer came.
    pub fn call(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Answer> {
        runtime().block_on(async {
            let response = self.send(method, path, body, Some(CALL_LIMIT)).await?;
            let status = response.status().as_u16();
            let text = response.text().await?;
            let body = if text.is_empty() {
                Value::Null
            } else {
                as_json(text)
            };
            Ok(Answer { status, body })
        })
    }

    /// Opens a stream; an error if the answer is not a success.
    pub fn stream(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Stream> {
        let response = runtime().block_on(self.send(method, path, body, None))?;
        let status = response.status();
        ensure!(status.is_success(), "{path}: {status}");
        let (send, lines) = mpsc::channel();
        Ok(Stream {
            lines,
            reader: runtime().spawn(read_lines(response, send)),
        })
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
        limit: Option<Duration>,
    ) -> Result<Response> {
        let mut request = self
            .client
            .request(method, format!("{}{path}", self.origin));
        if let Some(limit) = limit {
            request = request.timeout(limit);
        }
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        request
            .send()
            .await
            .with_context(|| format!("calling {}{path}", self.origin))
    }
}

impl Answer {
    /// The body of a success; an error with the body of anything else.
    pub fn ok(self) -> Result<Value> {
        ensure!(
            (200..300).contains(&self.status),
            "status {}: {}",
            self.status,
            self.body
        );
        Ok(self.body)
    }
}

impl Stream {
    /// The next line, or `None` if the stream ended or nothing came in time.
    pub fn next_line(&self, within: Duration) -> Option<String> {
        self.lines.recv_timeout(within).ok()
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

async fn read_lines(mut response: Response, send: mpsc::Sender<String>) {
    let mut rest = Vec::new();
    while let Ok(Some(chunk)) = response.chunk().await {
        rest.extend_from_slice(&chunk);
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = rest.drain(..=end).collect();
            if send
                .send(String::from_utf8_lossy(&line).trim_end().to_owned())
                .is_err()
            {
                return;
            }
        }
    }
}

fn client_through(way: &Way) -> ClientBuilder {
    // A second call is harmless: it reports that a provider is installed already.
    let _installed = rustls::crypto::ring::default_provider().install_default();
    Client::builder().no_proxy().unix_socket(way.socket())
}

fn as_json(text: String) -> Value {
    serde_json::from_str(&text).unwrap_or(Value::String(text))
}

fn runtime() -> &'static Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME
        .get_or_init(|| Runtime::new().expect("the machine has threads and sockets for a runtime"))
}
