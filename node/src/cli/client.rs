//! The command line's side of the local API: JSON calls over loopback with the token of the data folder.
//!
//! It knows where the API is and how it tells problems, and nothing of what is asked.

use std::path::{Path, PathBuf};
use std::time::Duration;

use futures::StreamExt;
use reqwest::{Method, RequestBuilder, Response};
use serde::Serialize;
use serde::de::DeserializeOwned;
use studiovault_node::api::Endpoint;
use studiovault_node::config::{Folder, read_text};
use studiovault_protocol::api::{PREFIX, Problem};

use super::failure::{Exit, Failure};

/// Longer than any call takes on a busy machine.
const CALL: Duration = Duration::from_secs(60);

/// A way to ask one running node.
#[derive(Clone)]
pub(crate) struct Client {
    http: reqwest::Client,
    base: String,
    token: String,
    folder: PathBuf,
}

/// What the node of a folder answers, `None` if none runs. One that was killed leaves its address behind: only an answer says
/// that one runs.
pub(crate) async fn if_running<T>(
    folder: &Folder,
    ask: impl AsyncFnOnce(&Client) -> Result<T, Failure>,
) -> Result<Option<T>, Failure> {
    let answer = match Client::connect(folder) {
        Ok(client) => ask(&client).await,
        Err(failure) => Err(failure),
    };
    match answer {
        Err(failure) if failure.is_not_running() => Ok(None),
        answer => answer.map(Some),
    }
}

impl Client {
    /// The node that runs with a folder.
    pub fn connect(folder: &Folder) -> Result<Self, Failure> {
        let missing = || not_running(folder.path());
        let text = read_text(&folder.api_path()).map_err(|_| missing())?;
        let token = read_text(&folder.token_path()).map_err(|_| missing())?;
        let endpoint: Endpoint = serde_json::from_str(&text).map_err(|_| missing())?;
        // Another provider that is installed already is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder()
            .no_proxy()
            .build()
            .map_err(|error| {
                Failure::new(
                    Exit::Failed,
                    format!("no HTTP client can be made: {error}\nTry again."),
                )
            })?;
        Ok(Self {
            http,
            base: format!("http://127.0.0.1:{}{PREFIX}", endpoint.port),
            token: token.trim().to_owned(),
            folder: folder.path().to_owned(),
        })
    }

    /// Asks, and reads the answer.
    pub async fn get<A: DeserializeOwned>(&self, path: &str) -> Result<A, Failure> {
        let request = self.request(Method::GET, path).timeout(CALL);
        self.answer(request).await
    }

    /// Asks with parameters.
    pub async fn ask<A: DeserializeOwned>(
        &self,
        path: &str,
        parameters: &[(String, String)],
    ) -> Result<A, Failure> {
        let mut address = format!("{}{path}", self.base);
        for (at, (name, value)) in parameters.iter().enumerate() {
            address.push(if at == 0 { '?' } else { '&' });
            address.push_str(&format!("{}={}", escaped(name), escaped(value)));
        }
        let request = self.http.get(address).bearer_auth(&self.token);
        self.answer(request.timeout(CALL)).await
    }

    /// Tells, and reads the answer.
    pub async fn post<Q: Serialize, A: DeserializeOwned>(
        &self,
        path: &str,
        body: &Q,
    ) -> Result<A, Failure> {
        let request = self.request(Method::POST, path).json(body).timeout(CALL);
        self.answer(request).await
    }

    /// Tells, and reads the answer however long that takes.
    pub async fn post_patiently<Q: Serialize, A: DeserializeOwned>(
        &self,
        path: &str,
        body: &Q,
    ) -> Result<A, Failure> {
        self.answer(self.request(Method::POST, path).json(body))
            .await
    }

    /// Puts something in the place of what is there, and reads the answer.
    pub async fn put<Q: Serialize, A: DeserializeOwned>(
        &self,
        path: &str,
        body: &Q,
    ) -> Result<A, Failure> {
        let request = self.request(Method::PUT, path).json(body).timeout(CALL);
        self.answer(request).await
    }

    /// Opens a stream of server-sent events: with a body as a question, without as events.
    pub async fn stream<Q: Serialize>(
        &self,
        path: &str,
        body: Option<&Q>,
    ) -> Result<EventStream, Failure> {
        let request = match body {
            Some(body) => self.request(Method::POST, path).json(body),
            None => self.request(Method::GET, path),
        };
        let response = self.send(request).await?;
        Ok(EventStream {
            response: Box::pin(
                response
                    .bytes_stream()
                    .map(|part| part.map(|part| part.to_vec()).ok()),
            ),
            rest: Vec::new(),
        })
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let address = format!("{}{path}", self.base);
        self.http.request(method, address).bearer_auth(&self.token)
    }

    async fn answer<A: DeserializeOwned>(&self, request: RequestBuilder) -> Result<A, Failure> {
        let response = self.send(request).await?;
        response.json().await.map_err(|error| {
            let text = format!("the node's answer cannot be read: {error}\nCheck that node and command are of one version.");
            Failure::new(Exit::Failed, text)
        })
    }

    /// A success, or the problem that the node told.
    async fn send(&self, request: RequestBuilder) -> Result<Response, Failure> {
        let response = request.send().await.map_err(|error| {
            if error.is_connect() {
                return not_running(&self.folder);
            }
            let text = format!(
                "the node did not answer: {error}\nLook at `studiovault status`, then try again."
            );
            Failure::new(Exit::Failed, text)
        })?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        if status.as_u16() == 401 {
            // The port of an old api.json: something else has it by now.
            return Err(not_running(&self.folder));
        }
        match response.json::<Problem>().await {
            Ok(problem) => Err(problem.into()),
            Err(_) => Err(Failure::new(
                Exit::Failed,
                format!("the node answered {status}\nLook into its log, then try again."),
            )),
        }
    }
}

fn not_running(folder: &Path) -> Failure {
    let text = format!(
        "no node runs with {0}\nStart it with `studiovault run --data {0}`, or name another folder with --data.",
        folder.display()
    );
    Failure::new(Exit::NotRunning, text)
}

/// One server-sent event.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Told {
    /// Its name.
    pub name: String,
    /// Its data.
    pub data: String,
}

/// Server-sent events as they come.
pub(crate) struct EventStream {
    response: std::pin::Pin<Box<dyn futures::Stream<Item = Option<Vec<u8>>> + Send>>,
    rest: Vec<u8>,
}

impl EventStream {
    /// The next event; `None` once the node is gone.
    pub async fn next(&mut self) -> Option<Told> {
        loop {
            if let Some(end) = self.rest.windows(2).position(|pair| pair == b"\n\n") {
                let block: Vec<u8> = self.rest.drain(..end + 2).collect();
                if let Some(told) = told(&String::from_utf8_lossy(&block)) {
                    return Some(told);
                }
                continue;
            }
            let part = self.response.next().await??;
            self.rest.extend_from_slice(&part);
        }
    }
}

/// One block of a stream; `None` if it only keeps the connection alive.
fn told(block: &str) -> Option<Told> {
    let mut told = Told::default();
    for line in block.lines() {
        if let Some(name) = line.strip_prefix("event: ") {
            told.name = name.to_owned();
        } else if let Some(data) = line.strip_prefix("data: ") {
            told.data.push_str(data);
        }
    }
    (!told.data.is_empty()).then_some(told)
}

/// Percent-encodes a part of an address.
pub(crate) fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            escaped.push_str(&format!("%{byte:02X}"));
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_carry_any_text() {
        assert_eq!(escaped("a b&c=é"), "a%20b%26c%3D%C3%A9");
    }

    #[test]
    fn comments_of_a_stream_are_no_events() {
        assert_eq!(told(":\n\n"), None);
        let event = told("id: 4\nevent: row\ndata: [1]\n\n").expect("an event");
        assert_eq!((event.name.as_str(), event.data.as_str()), ("row", "[1]"));
    }

    #[test]
    fn a_folder_in_which_nothing_runs_is_told_with_the_next_step() {
        let folder = tempfile::tempdir().expect("a folder");
        let Err(failure) = Client::connect(&Folder::at(folder.path())) else {
            panic!("nothing runs there");
        };
        assert!(
            failure.text().contains("studiovault run"),
            "{}",
            failure.text()
        );
    }
}
