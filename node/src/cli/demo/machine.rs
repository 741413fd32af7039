//! One machine of the demo: its process, and what it says through its own API.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};
use studiovault_node::config::Folder;
use studiovault_protocol::api::{
    EntityView, InviteRequest, InviteView, MutationRequest, NetworkRequest, NetworkState, Status,
    TxAnswer, TxRequest, WordsRequest,
};
use studiovault_protocol::command::Op;
use studiovault_protocol::id::EntityId;

use super::process::{LOOK, Process};
use crate::cli::client::Client;
use crate::cli::failure::{Exit, Failure};

/// What is awaited and does not come within this time will not come.
const PATIENCE: Duration = Duration::from_secs(40);

/// A machine.
pub(super) struct Machine {
    /// What people call it.
    pub name: &'static str,
    /// Its data folder.
    pub folder: PathBuf,
    process: Option<Process>,
    client: Option<Client>,
}

impl Machine {
    /// Not running yet.
    pub fn new(root: &Path, name: &'static str) -> Self {
        Self {
            name,
            folder: root.join(name),
            process: None,
            client: None,
        }
    }

    /// Starts its node and waits until that answers.
    pub async fn start(&mut self) -> Result<(), Failure> {
        let mut process = Process::start(&self.folder, &["run"])?;
        process.ready::<Value>().await?;
        self.client = Some(Client::connect(&Folder::at(&self.folder))?);
        self.process = Some(process);
        Ok(())
    }

    /// Is let in by another: an invite there, the code typed here, the words typed there.
    pub async fn join(&self, host: &Machine) -> Result<(), Failure> {
        #[derive(Deserialize)]
        struct Greeting {
            words: String,
        }
        let invite: InviteView = host
            .client()?
            .post("/pairing", &InviteRequest::default())
            .await?;
        let code = invite.code.unwrap_or_default();
        let at = format!("127.0.0.1:{}", invite.port);
        let arguments = ["join", &code, "--at", &at, "--name", self.name];
        let mut joining = Process::start(&self.folder, &arguments)?;
        let Greeting { words } = joining.ready().await?;
        let _: InviteView = host
            .client()?
            .post("/pairing/words", &WordsRequest { words })
            .await?;
        joining.finish().await
    }

    /// kill -9.
    pub async fn kill(&mut self) {
        self.client = None;
        if let Some(mut process) = self.process.take() {
            process.kill().await;
        }
    }

    /// Lets it outlive the demo; its process id.
    pub fn stay(&mut self) -> Option<u32> {
        self.process.take()?.stay()
    }

    /// Its API.
    pub fn client(&self) -> Result<&Client, Failure> {
        self.client.as_ref().ok_or_else(|| {
            let text = format!(
                "{} does not run\nThis is a fault of the demo; report it.",
                self.name
            );
            Failure::new(Exit::Failed, text)
        })
    }

    /// What it knows.
    pub async fn status(&self) -> Result<Status, Failure> {
        self.client()?.get("/status").await
    }

    /// One entity as it shows it.
    pub async fn entity(&self, entity_type: &str, id: EntityId) -> Result<EntityView, Failure> {
        self.client()?
            .get(&format!("/entities/{entity_type}/{id}"))
            .await
    }

    /// Takes it off the LAN or brings it back.
    pub async fn network(&self, network: NetworkState) -> Result<(), Failure> {
        let request = NetworkRequest { network };
        let _: Status = self.client()?.post("/network", &request).await?;
        Ok(())
    }

    /// Writes one transaction: a mutation for each (operation, type, id, fields). How many commands were acknowledged.
    pub async fn write(&self, mutations: Vec<Wish<'_>>) -> Result<u64, Failure> {
        let request = TxRequest {
            actor: Some(format!("somebody at {}", self.name)),
            mutations: mutations.into_iter().map(Wish::mutation).collect(),
            ..TxRequest::default()
        };
        let answer: TxAnswer = self.client()?.post("/tx", &request).await?;
        Ok(answer.ids.len() as u64)
    }

    /// Waits until its status is as wished.
    pub async fn until(
        &self,
        what: &str,
        is_so: impl Fn(&Status) -> bool,
    ) -> Result<Status, Failure> {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        loop {
            let status = self.status().await?;
            if is_so(&status) {
                return Ok(status);
            }
            if tokio::time::Instant::now() > deadline {
                return Err(too_late(&format!("{}: {what}", self.name)));
            }
            tokio::time::sleep(LOOK).await;
        }
    }
}

/// Something did not come about in time.
pub(super) fn too_late(what: &str) -> Failure {
    let text = format!(
        "{what} did not come about within {} s\nIf the machines do not see each other, check that multicast DNS (UDP 5353) is not blocked.",
        PATIENCE.as_secs()
    );
    Failure::new(Exit::Failed, text)
}

/// Whether the wait has gone on for too long.
pub(super) fn deadline() -> tokio::time::Instant {
    tokio::time::Instant::now() + PATIENCE
}

/// A write that somebody wishes.
pub(super) struct Wish<'a> {
    /// What happens.
    pub op: Op,
    /// To what.
    pub entity_type: &'a str,
    /// To which; `None` for something new.
    pub id: Option<EntityId>,
    /// An object of fields.
    pub fields: Value,
}

impl<'a> Wish<'a> {
    /// A change.
    pub fn update(entity_type: &'a str, id: EntityId, fields: Value) -> Self {
        let (op, id) = (Op::Update, Some(id));
        Self {
            op,
            entity_type,
            id,
            fields,
        }
    }

    /// Something new.
    pub fn create(entity_type: &'a str, fields: Value) -> Self {
        Self {
            op: Op::Create,
            entity_type,
            id: None,
            fields,
        }
    }

    /// A tag more.
    pub fn tag(entity_type: &'a str, id: EntityId, tag: &str) -> Self {
        Self::update(entity_type, id, json!({"tags": {"add": [tag]}}))
    }

    fn mutation(self) -> MutationRequest {
        let fields = match self.fields {
            Value::Object(fields) => fields,
            _ => Default::default(),
        };
        MutationRequest {
            entity_type: self.entity_type.to_owned(),
            id: self.id,
            op: self.op,
            fields,
            read: None,
        }
    }
}
