//! A studio of the runner's own at the server that is looked at, and the requests that all claims are made of.

use anyhow::{Context, Result, ensure};
use reqwest::{RequestBuilder, Response, StatusCode};
use serde_json::{Value as Json, json};
use studiovault_protocol::cloud::{
    BatchAnswer, BatchRequest, EnrolAnswer, Known, MEDIA_TYPE, NONCE_HEADER, PROOF_HEADER, Proof,
    Prover, Target,
};
use studiovault_protocol::frontier::Frontier;
use studiovault_protocol::id::StudioId;
use studiovault_protocol::keys::SecretKey;
use studiovault_protocol::membership::{Grant, Role, SignedRecord};
use studiovault_protocol::wire::Packed;
use uuid::Uuid;

use super::Machine;

/// An enrolled studio with one machine.
pub struct Client {
    /// The server.
    pub base: String,
    /// May enrol and make tokens.
    pub admin: String,
    /// Opens the studio to a program that is no machine of it.
    pub token: String,
    /// By which the token is revoked.
    pub token_id: String,
    /// Opens it to its machines, which prove themselves.
    pub machine_token: String,
    /// From the server, for proofs.
    nonce: String,
    /// The studio.
    pub studio: StudioId,
    /// Its root key.
    pub root: SecretKey,
    /// Its machine.
    pub machine: Machine,
    /// Speaks HTTP.
    pub http: reqwest::Client,
}

impl Client {
    /// Enrols a studio, makes a token, and lets the server know the studio's members.
    pub async fn enrol(base_url: &str, admin_token: &str) -> Result<Self> {
        // Another provider that is installed already is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let drawn = Uuid::new_v4();
        let studio = StudioId(drawn.into_bytes());
        let root = SecretKey::from_seed(*blake3::hash(drawn.as_bytes()).as_bytes());
        let mut client = Self {
            base: base_url.trim_end_matches('/').to_owned(),
            admin: admin_token.to_owned(),
            token: String::new(),
            token_id: String::new(),
            machine_token: String::new(),
            nonce: String::new(),
            studio,
            machine: Machine::new(studio),
            root,
            http: reqwest::Client::builder().no_proxy().build()?,
        };
        let cloud = client.enrolment(&client.root).await?;
        let cloud: EnrolAnswer = expect(cloud, 200).await?.json().await?;
        let person = client.minted("sync").await?;
        (client.token, client.token_id) = person;
        client.machine_token = client.minted("carry").await?.0;
        let members = [
            (cloud.device, cloud.key, Role::Cloud),
            (
                client.machine.device(),
                client.machine.key.public(),
                Role::Member,
            ),
        ];
        let records = members.map(|(device, key, role)| {
            let grant = Grant {
                device,
                key,
                name: "conformance".into(),
                role,
                priority: 0,
                gateway_preference: 0,
                version: 1,
            };
            SignedRecord::by_root(studio, grant, &client.root)
        });
        let roster = client.address(&format!("/studios/{studio}/roster"));
        let told = client.http.put(roster).bearer_auth(&client.machine_token);
        expect(told.json(&records).send().await?, 204).await?;
        let ping = client.http.get(client.address("/ping"));
        let unproven = ping.bearer_auth(&client.machine_token).send().await?;
        let nonce = unproven.headers().get(NONCE_HEADER).cloned();
        client.nonce = nonce.context("no nonce")?.to_str()?.to_owned();
        refused(unproven, 401, "PROOF_NEEDED").await?;
        client.send(&client.request(Vec::new())).await?;
        Ok(client)
    }

    /// A token of one scope and its id.
    async fn minted(&self, scope: &str) -> Result<(String, String)> {
        let wish = self
            .http
            .post(self.address("/tokens"))
            .bearer_auth(&self.admin)
            .json(&json!({"studio": self.studio, "scopes": [scope]}));
        let minted: Json = expect(wish.send().await?, 201).await?.json().await?;
        let part = |name: &str| minted[name].as_str().map(str::to_owned);
        let token = part("token").context("no token")?;
        Ok((token, part("id").context("no id")?))
    }

    /// The proof of a POST by the machine.
    pub fn proof(&self, path: &str) -> String {
        let target = Target {
            method: "POST",
            path: &format!("/v1{path}"),
        };
        let prover = Prover::Device(self.machine.device());
        Proof::new(prover, self.nonce.clone(), target, &self.machine.key).to_string()
    }

    /// POST of the signed form, as the machine.
    pub fn signed(&self, path: &str) -> RequestBuilder {
        let request = self.http.post(self.address(path));
        request
            .bearer_auth(&self.machine_token)
            .header(PROOF_HEADER, self.proof(path))
            .header("content-type", MEDIA_TYPE)
    }

    /// Asks for enrolment with a root key.
    pub async fn enrolment(&self, root: &SecretKey) -> Result<Response> {
        let body = json!({
            "studio": self.studio, "name": "Conformance", "root": root.public(), "genesis": [],
        });
        let request = self
            .http
            .post(self.address("/studios"))
            .bearer_auth(&self.admin);
        Ok(request.json(&body).send().await?)
    }

    /// A path below the prefix.
    pub fn address(&self, path: &str) -> String {
        format!("{}/v1{path}", self.base)
    }

    /// GET with the studio's token.
    pub fn get(&self, path: &str) -> RequestBuilder {
        self.http.get(self.address(path)).bearer_auth(&self.token)
    }

    /// POST with the studio's token.
    pub fn post(&self, path: &str) -> RequestBuilder {
        self.http.post(self.address(path)).bearer_auth(&self.token)
    }

    /// A batch of bundles.
    pub fn request(&self, bundles: Vec<Packed>) -> BatchRequest {
        BatchRequest {
            device: self.machine.device(),
            term: Some(1),
            since: 0,
            have: Frontier::default(),
            known: Known::default(),
            roster: Vec::new(),
            policies: Vec::new(),
            bundles,
            only: None,
            stuck: Vec::new(),
        }
    }

    /// Sends a batch in the signed form; the answer must be one.
    pub async fn send(&self, request: &BatchRequest) -> Result<BatchAnswer> {
        let sent = self.signed("/sync/batch");
        let sent = sent.body(postcard::to_stdvec(request)?).send().await?;
        Ok(postcard::from_bytes(
            &expect(sent, 200).await?.bytes().await?,
        )?)
    }

    /// Sends commands in JSON.
    pub async fn plain(&self, body: &Json) -> Result<Json> {
        let sent = self.post("/sync/batch").json(body).send().await?;
        Ok(expect(sent, 200).await?.json().await?)
    }

    /// A command in JSON that creates a client.
    pub fn create(name: &str) -> Json {
        json!({
            "id": Uuid::new_v4(), "entityType": "client", "operation": "create",
            "fields": {"name": name},
        })
    }

    /// A part of the feed in JSON.
    pub async fn changes(&self, query: &str) -> Result<Json> {
        let told = self.get(&format!("/sync/changes{query}")).send().await?;
        Ok(expect(told, 200).await?.json().await?)
    }

    /// The newest position.
    pub async fn newest(&self) -> Result<String> {
        let mut query = String::new();
        loop {
            let told = self.changes(&query).await?;
            if let Some(newest) = told["newSince"].as_str() {
                return Ok(newest.to_owned());
            }
            let cursor = told["cursor"]
                .as_str()
                .context("neither cursor nor newSince")?;
            query = format!("?cursor={cursor}");
        }
    }

    /// The counts of the studio.
    pub async fn summary(&self) -> Result<Json> {
        let told = self
            .get(&format!("/studios/{}/summary", self.studio))
            .send()
            .await?;
        Ok(expect(told, 200).await?.json().await?)
    }
}

/// An answer of that status, or what came instead.
pub async fn expect(answer: Response, status: u16) -> Result<Response> {
    if answer.status().as_u16() == status {
        return Ok(answer);
    }
    let (told, path) = (answer.status(), answer.url().path().to_owned());
    let body = answer.text().await.unwrap_or_default();
    anyhow::bail!("{path} answers {told} instead of {status}: {body}")
}

/// A refusal: its status, and a problem document with that code.
pub async fn refused(answer: Response, status: u16, code: &str) -> Result<()> {
    let answer = expect(answer, status).await?;
    let kind = answer.headers().get("content-type").cloned();
    let is_problem = kind.is_some_and(|kind| kind == "application/problem+json");
    ensure!(is_problem, "a {status} that is no problem document");
    let problem: Json = answer.json().await?;
    ensure!(
        problem["code"] == code,
        "{} instead of {code}",
        problem["code"]
    );
    ensure!(
        problem["status"] == status,
        "the document names another status"
    );
    if status == StatusCode::SERVICE_UNAVAILABLE.as_u16() {
        ensure!(problem["next"].is_string(), "nothing on what to do next");
    }
    Ok(())
}
