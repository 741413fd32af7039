//! The cloud truth on a host of its own: the product's `cloud` process over TLS with a pin, killed and started like any other.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::Value;
use studiovault_protocol::cloud::Summary;
use studiovault_protocol::id::StudioId;

use super::{Api, Host, Process, eventually, studiovault};

const PORT: u16 = 8443;
/// Longer than a start takes on a busy machine.
const START: Duration = Duration::from_secs(20);

pub struct CloudTruth {
    pub host: Host,
    folder: PathBuf,
    process: Mutex<Option<Process>>,
    api: Api,
    url: String,
    pin: String,
    token: String,
}

impl CloudTruth {
    /// Makes and starts one; its certificate is made here, and its pin read from what it prints.
    pub(super) fn start_first(host: Host) -> Result<Self> {
        let folder = host.folder()?;
        let api = host.api(PORT)?.over_tls()?;
        let mut cloud = CloudTruth {
            host,
            folder,
            process: Mutex::default(),
            api,
            url: String::new(),
            pin: String::new(),
            token: String::new(),
        };
        cloud.spawn()?;
        let line = cloud.ready_line()?;
        let text = |name: &str| {
            let value = line[name].as_str().map(str::to_owned);
            value.with_context(|| format!("the cloud told no {name}: {line}"))
        };
        (cloud.url, cloud.pin, cloud.token) = (text("url")?, text("pin")?, text("token")?);
        cloud.api = cloud.api.with_token(&cloud.token);
        Ok(cloud)
    }

    /// What a founding machine is told of it.
    pub fn arguments(&self) -> [&str; 6] {
        let (url, pin, token) = (&self.url, &self.pin, &self.token);
        ["--cloud", url, "--cloud-pin", pin, "--cloud-token", token]
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Starts the process and does not wait.
    pub fn spawn(&self) -> Result<()> {
        let mut command = Command::new(studiovault()?);
        command.args(["cloud", "--json", "--listen", &format!("0.0.0.0:{PORT}")]);
        command.args(["--host", &self.host.address().to_string()]);
        command.arg("--data").arg(&self.folder);
        let process = self.host.spawn(&command)?;
        *self.process() = Some(process);
        Ok(())
    }

    /// Starts it again and waits until it answers.
    pub fn start(&self) -> Result<()> {
        self.spawn()?;
        self.ready_line().map(drop)
    }

    fn ready_line(&self) -> Result<Value> {
        let ready = |log: &str| {
            let mut lines = log.lines();
            let line = lines.find_map(|line| serde_json::from_str::<Value>(line).ok())?;
            (line["ready"] == true).then_some(line)
        };
        let (line, _) = eventually("the cloud is ready", START, || {
            let mut process = self.process();
            let process = process.as_mut()?;
            let ended = matches!(process.ended(), Ok(Some(_)) | Err(_));
            ready(&process.log()).map(Some).or(ended.then_some(None))
        })?;
        line.context("the cloud ended at its start; its log stands below")
    }

    /// `kill -9`; fails if it had ended by itself, does nothing if it was not started.
    pub fn kill(&self) -> Result<()> {
        match self.process().take() {
            Some(process) => process.kill_running(),
            None => Ok(()),
        }
    }

    fn process(&self) -> MutexGuard<'_, Option<Process>> {
        self.process.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What its own tables hold of a studio.
    pub fn summary(&self, studio: StudioId) -> Result<Summary> {
        let answer = self.api.get(&format!("/v1/studios/{studio}/summary"))?;
        Ok(serde_json::from_value(answer.ok()?)?)
    }
}
