//! The cloud truth on a host of its own: the product's `cloud` process over TLS with a pin, killed and started like any other.

use std::path::{Path, PathBuf};
use std::process::Command;
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
    process: Option<Process>,
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
            process: None,
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
    pub(super) fn arguments(&self) -> [&str; 6] {
        let (url, pin, token) = (&self.url, &self.pin, &self.token);
        ["--cloud", url, "--cloud-pin", pin, "--cloud-token", token]
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Starts the process and does not wait.
    pub fn spawn(&mut self) -> Result<()> {
        let mut command = Command::new(studiovault()?);
        command.args(["cloud", "--json", "--listen", &format!("0.0.0.0:{PORT}")]);
        command.args(["--host", &self.host.address().to_string()]);
        command.arg("--data").arg(&self.folder);
        self.process = Some(self.host.spawn(&command)?);
        Ok(())
    }

    /// Starts it again and waits until it answers.
    pub fn start(&mut self) -> Result<()> {
        self.spawn()?;
        self.ready_line().map(drop)
    }

    fn ready_line(&mut self) -> Result<Value> {
        let process = self.process.as_mut().context("the cloud was not started")?;
        let ready = |log: &str| {
            let mut lines = log.lines();
            let line = lines.find_map(|line| serde_json::from_str::<Value>(line).ok())?;
            (line["ready"] == true).then_some(line)
        };
        let (line, _) = eventually("the cloud is ready", START, || {
            let ended = matches!(process.ended(), Ok(Some(_)) | Err(_));
            ready(&process.log()).map(Some).or(ended.then_some(None))
        })?;
        line.with_context(|| format!("the cloud ended at its start:\n{}", process.log()))
    }

    /// `kill -9`; nothing happens if it does not run.
    pub fn kill(&mut self) -> Result<()> {
        match self.process.take() {
            Some(mut process) => process.kill(),
            None => Ok(()),
        }
    }

    /// What its own tables hold of a studio.
    pub fn summary(&self, studio: StudioId) -> Result<Summary> {
        let answer = self.api.get(&format!("/v1/studios/{studio}/summary"))?;
        Ok(serde_json::from_value(answer.ok()?)?)
    }
}
