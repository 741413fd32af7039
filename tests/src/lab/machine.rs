//! One machine of a studio: a host, a data folder, and the node's process, which may be killed and started again.
//! It asks through the Unix socket in the data folder, so it reaches a node whatever its network is doing; some threads may
//! ask while another kills and starts.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use studiovault_protocol::api::{
    EntityView, MutationRequest, PREFIX, Status, TOKEN_FILE, TxAnswer, TxRequest,
};
use studiovault_protocol::command::Op;
use studiovault_protocol::id::EntityId;

use super::{Api, Host, Process, eventually, studiovault};

/// Longer than a start takes on a busy machine.
const START: Duration = Duration::from_secs(20);

pub struct Machine {
    name: String,
    pub host: Arc<Host>,
    folder: PathBuf,
    api: Api,
    process: Mutex<Option<Process>>,
    /// Arguments of `run` beside the folder.
    arguments: Vec<String>,
}

impl Machine {
    /// A host with an empty data folder.
    pub fn unmade(host: Host) -> Result<Self> {
        let (name, folder) = (host.name().to_owned(), host.folder()?);
        Machine::at(Arc::new(host), name, folder)
    }

    /// Another machine of a studio on the host of this one, with an empty data folder of its own.
    pub fn beside(&self, name: &str) -> Result<Self> {
        let folder = self.folder.with_file_name(name);
        std::fs::create_dir_all(&folder)?;
        Machine::at(Arc::clone(&self.host), name.to_owned(), folder)
    }

    fn at(host: Arc<Host>, name: String, folder: PathBuf) -> Result<Self> {
        let api = Api::at_socket(&folder.join("api.sock"))?;
        Ok(Machine {
            name,
            host,
            folder,
            api,
            process: Mutex::default(),
            arguments: Vec::new(),
        })
    }

    /// Founds a studio of its own, without a cloud.
    pub fn alone(host: Host, studio_name: &str) -> Result<Self> {
        let machine = Machine::unmade(host)?;
        machine.command(&[
            "init",
            "--name",
            &machine.name,
            "--studio-name",
            studio_name,
        ])?;
        Ok(machine)
    }

    /// Becomes a machine of the studio whose recovery kit that is.
    pub fn of_kit(host: Host, kit: &Path) -> Result<Self> {
        let machine = Machine::unmade(host)?;
        machine.recover(kit)?;
        Ok(machine)
    }

    /// Makes this a machine of the studio whose recovery kit that is.
    pub fn recover(&self, kit: &Path) -> Result<()> {
        let kit = kit.to_string_lossy();
        let arguments = ["recover", "--kit", &kit, "--name", &self.name];
        self.command(&arguments).map(drop)
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Adds an argument to every later `run`.
    pub fn with_argument(&mut self, argument: &str) {
        self.arguments.push(argument.to_owned());
    }

    /// Runs one command of the product on this machine to its end; what it printed, as JSON.
    pub fn command(&self, arguments: &[&str]) -> Result<Value> {
        let mut command = Command::new(studiovault()?);
        command.args(arguments).arg("--json");
        command.arg("--data").arg(&self.folder);
        let text = self.host.run(&command)?;
        serde_json::from_str(&text)
            .with_context(|| format!("{arguments:?} printed no JSON: {text}"))
    }

    /// Runs a command that must fail; its exit code and what it told the person: the last line is the next step.
    pub fn refused(&self, arguments: &[&str]) -> Result<(i32, String)> {
        let mut command = Command::new(studiovault()?);
        command.args(arguments).arg("--data").arg(&self.folder);
        let output = self.host.inside(&command).output()?;
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        ensure!(!output.status.success(), "{arguments:?} went well");
        ensure!(!text.contains("panicked"), "{arguments:?}: {text}");
        let code = output.status.code().context("it was killed")?;
        Ok((code, text))
    }

    /// Starts the node and waits until its API answers; how long that took.
    pub fn start(&self) -> Result<Duration> {
        let began = Instant::now();
        self.spawn()?;
        self.ready()?;
        Ok(began.elapsed())
    }

    /// Starts the node and does not wait.
    pub fn spawn(&self) -> Result<()> {
        let mut command = Command::new(studiovault()?);
        command
            .arg("run")
            .arg("--data")
            .arg(&self.folder)
            .args(&self.arguments);
        let process = self.host.spawn(&command)?;
        *self.process() = Some(process);
        Ok(())
    }

    /// Waits until the API of a spawned node answers; fails at once if the node has ended.
    pub fn ready(&self) -> Result<()> {
        let what = format!("{} answers", self.name);
        let (alive, _) = eventually(&what, START, || {
            if !self.runs() {
                return Some(false);
            }
            let status = self.api().and_then(|api| api.get(&path("/status")));
            status
                .is_ok_and(|answer| answer.status == 200)
                .then_some(true)
        })?;
        let log = || {
            self.process()
                .as_ref()
                .map(Process::log)
                .unwrap_or_default()
        };
        ensure!(alive, "{} ended at its start:\n{}", self.name, log());
        Ok(())
    }

    /// `kill -9`; fails if it had ended by itself, does nothing if it was not started.
    pub fn kill(&self) -> Result<()> {
        match self.process().take() {
            Some(process) => process.kill_running(),
            None => Ok(()),
        }
    }

    /// Asks the node to end, and waits for it.
    pub fn quit(&self) -> Result<()> {
        match self.process().take() {
            Some(mut process) => {
                let status = process.stop()?;
                ensure!(status.success(), "{} ended with {status}", self.name);
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// Puts the node to sleep, as a closed laptop does.
    pub fn sleep(&self) -> Result<()> {
        let mut process = self.process();
        process.as_mut().context("it runs")?.pause()
    }

    /// Wakes it up again.
    pub fn wake(&self) -> Result<()> {
        let mut process = self.process();
        process.as_mut().context("it runs")?.resume()
    }

    /// The log of the node's present process.
    pub fn log(&self) -> String {
        let process = self.process();
        process.as_ref().map(Process::log).unwrap_or_default()
    }

    fn runs(&self) -> bool {
        let mut process = self.process();
        let ended = process.as_mut().map(|process| process.ended());
        matches!(ended, Some(Ok(None)))
    }

    fn process(&self) -> MutexGuard<'_, Option<Process>> {
        self.process.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The local API with the token of the run that wrote it last.
    pub fn api(&self) -> Result<Api> {
        let token = std::fs::read_to_string(self.folder.join(TOKEN_FILE))?;
        Ok(self.api.clone().with_token(&token))
    }

    pub fn status(&self) -> Result<Status> {
        let body = self.api()?.get(&path("/status"))?.ok()?;
        Ok(serde_json::from_value(body)?)
    }

    /// Writes a transaction; durable when it returns.
    pub fn write(&self, mutations: Vec<MutationRequest>) -> Result<TxAnswer> {
        let request = TxRequest {
            mutations,
            ..TxRequest::default()
        };
        let body = self
            .api()?
            .post(&path("/tx"), &serde_json::to_value(&request)?)?;
        Ok(serde_json::from_value(body.ok()?)?)
    }

    /// Creates a client of that name.
    pub fn create(&self, name: &str) -> Result<EntityId> {
        let answer = self.write(vec![create("client", json!({"name": name}))])?;
        answer.ids.first().copied().context("a create has an id")
    }

    /// Changes fields of an entity.
    pub fn update(&self, entity_type: &str, id: EntityId, fields: Value) -> Result<TxAnswer> {
        self.write(vec![update(entity_type, id, fields)])
    }

    /// The entity as this machine shows it; `None` if it has none.
    pub fn entity(&self, entity_type: &str, id: EntityId) -> Result<Option<EntityView>> {
        let answer = self
            .api()?
            .get(&path(&format!("/entities/{entity_type}/{id}")))?;
        if answer.status == 404 {
            return Ok(None);
        }
        Ok(Some(serde_json::from_value(answer.ok()?)?))
    }
}

/// A path of the local API.
pub fn path(below: &str) -> String {
    format!("{PREFIX}{below}")
}

/// A create, to be written.
pub fn create(entity_type: &str, fields: Value) -> MutationRequest {
    mutation((entity_type, None), Op::Create, fields)
}

/// An update, to be written.
pub fn update(entity_type: &str, id: EntityId, fields: Value) -> MutationRequest {
    mutation((entity_type, Some(id)), Op::Update, fields)
}

fn mutation((entity_type, id): (&str, Option<EntityId>), op: Op, fields: Value) -> MutationRequest {
    let Value::Object(fields) = fields else {
        unreachable!("fields are an object")
    };
    MutationRequest {
        entity_type: entity_type.to_owned(),
        id,
        op,
        fields,
        read: None,
    }
}
