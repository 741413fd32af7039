//! A running server with an enrolled studio, asked over real connections.

use std::net::SocketAddr;
use std::path::Path;

use serde_json::{Value, json};
use studiovault_protocol::cloud::{
    BatchAnswer, BatchRequest, ChangesRequest, EnrolAnswer, Known, MEDIA_TYPE, Prover,
};
use studiovault_protocol::command::Op;
use studiovault_protocol::frontier::Frontier;
use studiovault_protocol::id::StudioId;
use studiovault_protocol::keys::SecretKey;
use studiovault_protocol::membership::SignedRecord;
use tempfile::TempDir;

use super::fixture::{Machine, Says, database, empty_request, enrolment, entity, packed, template};
use super::wire::{Answer, Request};
use crate::{CloudConfig, RunningCloud, serve};

/// A server with an enrolled studio and a token for it.
pub struct Site {
    _folder: TempDir,
    pub config: CloudConfig,
    pub cloud: RunningCloud,
    pub pin: String,
    pub token: String,
    /// For the proofs of machines.
    pub nonce: String,
    pub studio: StudioId,
    pub root: SecretKey,
    pub enrolled: EnrolAnswer,
    pub machines: Vec<Machine>,
}

pub fn loopback() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}

/// A server on a folder; tests that start it anew give the same configuration.
pub fn config(folder: &Path) -> CloudConfig {
    CloudConfig {
        database: database(),
        ..CloudConfig::new(folder, loopback())
    }
}

/// Requests are made on threads that may block.
pub async fn asked(address: SocketAddr, pin: &str, request: Request) -> Answer {
    let pin = pin.to_owned();
    let sent = tokio::task::spawn_blocking(move || request.send(address, &pin)).await;
    sent.expect("no panic").expect("an answer")
}

pub async fn a_site() -> Site {
    let folder = tempfile::tempdir().expect("a folder");
    let config = config(folder.path());
    let cloud = serve(config.clone()).await.expect("starts");
    let pin = cloud.pin.clone().expect("TLS has a pin");
    let template = template();
    let enrol = Request::new("POST", "/v1/studios")
        .token(&cloud.admin_token)
        .json(&serde_json::to_value(enrolment(template.studio, &template.root)).expect("JSON"));
    let answer = asked(cloud.address, &pin, enrol).await;
    let enrolled: EnrolAnswer = serde_json::from_value(answer.json()).expect("an answer");
    let mut template = template;
    template.cloud = enrolled.clone();
    let wish = json!({ "studio": template.studio });
    let token = Request::new("POST", "/v1/tokens")
        .token(&cloud.admin_token)
        .json(&wish);
    let minted = asked(cloud.address, &pin, token).await;
    assert_eq!(minted.status, 201);
    let token = minted.json()["token"].as_str().expect("a token").to_owned();
    assert!(token.starts_with("svp_"));
    let mut site = Site {
        _folder: folder,
        config,
        cloud,
        pin,
        token,
        nonce: String::new(),
        studio: template.studio,
        root: template.root.clone(),
        enrolled,
        machines: std::mem::take(&mut template.machines),
    };
    template.machines = (1..=3).map(|n| Machine::new(n, template.studio)).collect();
    assert_eq!(site.introduce(&template.records()).await.status, 204);
    let ping = Request::new("GET", "/v1/ping").token(&site.token);
    let unproven = asked(site.cloud.address, &site.pin, ping).await;
    assert_eq!(problem(&unproven), (401, "PROOF_NEEDED".into()));
    let nonce = unproven.head.split("studiovault-nonce: ").nth(1);
    let nonce = nonce.and_then(|rest| rest.lines().next());
    site.nonce = nonce.expect("a nonce").to_owned();
    let answer: BatchAnswer = site.ask(site.batch(&empty_request())).await.signed();
    assert_eq!(answer.changes.head, 1);
    site
}

impl Site {
    /// As the first machine, which proves itself; a token of a person takes no notice of that.
    pub async fn ask(&self, request: Request) -> Answer {
        asked(self.cloud.address, &self.pin, self.proven(request)).await
    }

    pub fn proven(&self, request: Request) -> Request {
        let first = &self.machines[0];
        let prover = Prover::Device(first.device);
        request.proven(prover, &self.nonce, &first.key)
    }

    pub async fn introduce(&self, records: &[SignedRecord]) -> Answer {
        let path = format!("/v1/studios/{}/roster", self.studio);
        let request = Request::new("PUT", &path)
            .token(&self.token)
            .json(&serde_json::to_value(records).expect("JSON"));
        asked(self.cloud.address, &self.pin, request).await
    }

    /// A token of this studio for something else.
    pub async fn token(&self, wish: Value) -> String {
        let request = Request::new("POST", "/v1/tokens")
            .token(&self.cloud.admin_token)
            .json(&wish);
        let minted = asked(self.cloud.address, &self.pin, request).await;
        minted.json()["token"].as_str().expect("a token").to_owned()
    }

    pub fn batch(&self, request: &BatchRequest) -> Request {
        let body = postcard::to_stdvec(request).expect("encodes");
        Request::new("POST", "/v1/sync/batch")
            .token(&self.token)
            .body(MEDIA_TYPE, body)
    }

    pub fn changes(&self, since: u64, wait_s: u8) -> Request {
        let request = ChangesRequest {
            device: self.machines[0].device,
            since,
            have: Frontier::default(),
            known: Known::default(),
            wait_s,
        };
        Request::new("POST", "/v1/sync/changes")
            .token(&self.token)
            .body(MEDIA_TYPE, postcard::to_stdvec(&request).expect("encodes"))
    }

    pub fn a_client(&mut self, number: u64) -> BatchRequest {
        let machine = &mut self.machines[0];
        let create = machine
            .command(Op::Create, "client", entity(number))
            .text("name", "Silva");
        BatchRequest {
            bundles: vec![packed(&machine.write(vec![create]))],
            ..empty_request()
        }
    }
}

pub fn problem(answer: &Answer) -> (u16, String) {
    assert!(
        answer.head.contains("application/problem+json"),
        "{}",
        answer.head
    );
    let body = answer.json();
    assert!(!body["detail"].as_str().unwrap_or_default().is_empty());
    assert!(!body["next"].as_str().unwrap_or_default().is_empty());
    let code = body["code"].as_str().expect("a code").to_owned();
    (answer.status, code)
}

pub fn asked_owned(site: &Site, request: Request) -> impl Future<Output = Answer> + use<> {
    let request = site.proven(request);
    let (address, pin) = (site.cloud.address, site.pin.clone());
    async move { asked(address, &pin, request).await }
}
