//! Real nodes with their local API, in this process: what a test asks as an application would.
//!
//! Nothing is announced on the LAN; machines of one studio dial each other on loopback.

use std::net::SocketAddr;

use reqwest::{Client, RequestBuilder, StatusCode};
use serde_json::Value;
use studiovault_node::api::{ApiOptions, RunningApi, serve};
use studiovault_node::config::{Admission, Folder, Founder, Kit, Machine, Region};
use studiovault_node::node::{Announce, Node, NodeConfig};
use studiovault_protocol::membership::Role;

/// A running node without cloud, its API, and a client.
pub struct Served {
    /// The node.
    pub node: Node,
    /// Its API.
    pub api: RunningApi,
    /// A client without a token.
    pub http: Client,
    /// The token.
    pub token: String,
    folder: tempfile::TempDir,
}

/// A machine that was made and does not run yet.
pub struct Made {
    machine: Machine,
    folder: tempfile::TempDir,
}

impl Made {
    /// A machine that was admitted in another way, with its folder.
    pub fn of(machine: Machine, folder: tempfile::TempDir) -> Self {
        Self { machine, folder }
    }
}

/// A studio in Lisbon, with one machine for each name.
pub fn studio(names: &[&str]) -> Vec<Made> {
    let mut kit = Kit::found(Founder {
        name: "Lisbon".into(),
        region: Region {
            time_zone: "Europe/Lisbon".parse().expect("a zone"),
            currency: "EUR".parse().expect("a currency"),
        },
        cloud: None,
    })
    .expect("a studio");
    let make = |name: &&str| {
        let folder = tempfile::tempdir().expect("a folder");
        let admission = Admission {
            name: (*name).into(),
            role: Role::Admin,
            priority: 0,
            gateway_preference: 0,
        };
        let machine = Machine::make(Folder::at(folder.path()), &mut kit, admission);
        let machine = machine.expect("a machine");
        Made { machine, folder }
    };
    names.iter().map(make).collect()
}

impl Served {
    /// One machine alone.
    pub async fn start() -> Self {
        let made = studio(&["front-desk"]).remove(0);
        Self::run(made, Vec::new()).await
    }

    /// Runs a machine that dials `peers`.
    pub async fn run(made: Made, peers: Vec<SocketAddr>) -> Self {
        let Made { machine, folder } = made;
        let place = machine.folder.clone();
        let config = NodeConfig {
            machine,
            listen: vec![SocketAddr::from(([127, 0, 0, 1], 0))],
            peers,
            announce: Announce::Silent,
        };
        let node = Node::start(config).await.expect("starts");
        let api = serve(node.clone(), place.clone(), ApiOptions::default()).await;
        Self {
            node,
            api: api.expect("serves"),
            http: Client::builder().no_proxy().build().expect("a client"),
            token: std::fs::read_to_string(place.token_path()).expect("a token"),
            folder,
        }
    }

    /// The data folder.
    pub fn folder(&self) -> Folder {
        Folder::at(self.folder.path())
    }

    /// Where a path is.
    pub fn address(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.api.endpoint.port)
    }

    /// A question.
    pub fn get(&self, path: &str) -> RequestBuilder {
        self.http.get(self.address(path)).bearer_auth(&self.token)
    }

    /// A request with a body.
    pub fn post(&self, path: &str, body: &Value) -> RequestBuilder {
        let request = self.http.post(self.address(path)).bearer_auth(&self.token);
        request.json(body)
    }

    /// Where the mesh listens, once it does.
    pub async fn listening(&self) -> SocketAddr {
        let mut events = self.node.events();
        loop {
            if let Some(address) = self.node.status().node.listening.first() {
                return address.parse().expect("an address");
            }
            let _ = events.recv().await;
        }
    }

    /// Waits until the machine has applied all that a read token names.
    pub async fn applied(&self, vv: &str) {
        let mut events = self.node.events();
        let has = || {
            let applied = self.node.status().applied.clone();
            vv.split(',')
                .all(|tip| applied.split(',').any(|held| held == tip))
        };
        while !has() {
            let _ = events.recv().await;
        }
    }

    /// Ends it; the folder stays for as long as the returned guard.
    pub async fn stop(self) -> Made {
        self.api.stop().await;
        self.node.shutdown().await;
        let machine = Machine::load(Folder::at(self.folder.path()));
        Made {
            machine: machine.expect("the machine that ran"),
            folder: self.folder,
        }
    }
}

/// Status and body of an answer.
pub async fn answer(request: RequestBuilder) -> (StatusCode, Value) {
    let response = request.send().await.expect("an answer");
    let status = response.status();
    (status, response.json().await.unwrap_or_default())
}
