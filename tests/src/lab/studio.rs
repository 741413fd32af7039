//! A studio in the lab: machines that found each other by themselves, and their cloud truth if they have one.
//! What all of them must agree on in the end stands here, so that every test means the same by it.

use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use studiovault_protocol::api::Status;
use studiovault_protocol::id::StudioId;

use super::{CloudTruth, Lab, Machine, eventually};

pub struct Studio {
    pub id: StudioId,
    pub machines: Vec<Machine>,
    pub cloud: Option<CloudTruth>,
    /// The recovery kit.
    pub kit: PathBuf,
}

/// What all machines agree on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Together {
    pub state_hash: String,
    pub applied: String,
    pub commands: u64,
    pub confirmed: u64,
    pub rejected: u64,
    pub conflicts: u64,
}

impl Studio {
    /// Starts a cloud truth, and machines of those names that know nothing but the recovery kit.
    pub fn with_cloud(lab: &Lab, names: &[&str]) -> Result<Self> {
        let cloud = CloudTruth::start_first(lab.host("cloud")?)?;
        Studio::found((lab, Some(cloud)), names)
    }

    /// Starts machines of a studio that has no cloud.
    pub fn without_cloud(lab: &Lab, names: &[&str]) -> Result<Self> {
        Studio::found((lab, None), names)
    }

    fn found((lab, cloud): (&Lab, Option<CloudTruth>), names: &[&str]) -> Result<Self> {
        let first = Machine::unmade(lab.host(names[0])?)?;
        let mut arguments = vec!["init", "--name", names[0], "--studio-name", "Studio Silva"];
        let kit = first.folder().with_extension("kit");
        let kit_path = kit.to_string_lossy();
        arguments.extend(["--kit", &kit_path]);
        arguments.extend(cloud.iter().flat_map(CloudTruth::arguments));
        let answer = first.command(&arguments)?;
        let id = answer["studio"]
            .as_str()
            .context("`init` names the studio")?;
        let id = id.parse()?;
        let mut machines = vec![first];
        for name in &names[1..] {
            machines.push(Machine::of_kit(lab.host(name)?, &kit)?);
        }
        let studio = Studio {
            id,
            machines,
            cloud,
            kit,
        };
        for machine in &studio.machines {
            machine.spawn()?;
        }
        for machine in &studio.machines {
            machine.ready()?;
        }
        Ok(studio)
    }

    /// Waits until every machine has a link to every other one; how long it took.
    pub fn linked(&self, within: Duration) -> Result<Duration> {
        let others = self.machines.len() - 1;
        let linked = |machine: &Machine| {
            machine
                .status()
                .is_ok_and(|status| status.peers.len() == others)
        };
        let what = format!("all {} machines are linked", others + 1);
        let all = || self.machines.iter().all(linked).then_some(());
        Ok(eventually(&what, within, all)?.1)
    }

    /// Waits until all machines hold that many commands, agree, and nothing is pending anywhere; what they agree on, and
    /// how long it took. Without the number, a status from before the last write could pass for an agreement.
    pub fn together(&self, commands: u64, within: Duration) -> Result<(Together, Duration)> {
        self.agreeing(commands..=commands, within)
    }

    /// The same after failures that leave the exact number unknown: at least that many commands.
    pub fn together_again(&self, least: u64, within: Duration) -> Result<(Together, Duration)> {
        self.agreeing(least..=u64::MAX, within)
    }

    fn agreeing(
        &self,
        commands: RangeInclusive<u64>,
        within: Duration,
    ) -> Result<(Together, Duration)> {
        let mut last = String::new();
        let outcome = eventually("all machines agree", within, || {
            let statuses: Result<Vec<Status>> = self.machines.iter().map(Machine::status).collect();
            match statuses.and_then(|statuses| self.agreed(&commands, &statuses)) {
                Ok(together) => Some(together),
                Err(error) => {
                    last = format!("{error:#}");
                    None
                }
            }
        });
        outcome.with_context(|| format!("the last look showed: {last}"))
    }

    fn agreed(&self, commands: &RangeInclusive<u64>, statuses: &[Status]) -> Result<Together> {
        let first = together(&statuses[0]);
        ensure!(
            commands.contains(&first.commands),
            "{first:?}, not {commands:?} commands"
        );
        for (status, machine) in statuses.iter().zip(&self.machines) {
            let (own, name) = (together(status), machine.name());
            ensure!(own == first, "{name} shows {own:?}, another {first:?}");
            let counts = status.counts;
            ensure!(counts.pending == 0, "{name} has {} pending", counts.pending);
            ensure!(counts.parked == 0, "{name} has {} parked", counts.parked);
        }
        if let Some(cloud) = &self.cloud {
            let summary = cloud.summary(self.id)?;
            ensure!(
                summary.commands == first.commands,
                "{first:?}, the cloud {summary:?}"
            );
            let decided = (first.confirmed, first.rejected);
            ensure!(
                (summary.confirmed, summary.rejected) == decided,
                "{first:?}, the cloud {summary:?}"
            );
        }
        Ok(first)
    }

    /// Links that all machines together opened since their nodes were started; each link counts at both of its ends.
    pub fn links_opened(&self) -> Result<u64> {
        let opened = |machine: &Machine| Ok(machine.status()?.lan.links_opened);
        self.machines.iter().map(opened).sum()
    }

    /// The machine that is gateway in the eyes of the first one that runs.
    pub fn gateway(&self) -> Option<usize> {
        let status = self
            .machines
            .iter()
            .find_map(|machine| machine.status().ok())?;
        let name = status.gateway?.name;
        self.machines
            .iter()
            .position(|machine| machine.name() == name)
    }
}

fn together(status: &Status) -> Together {
    Together {
        state_hash: status.state_hash.clone(),
        applied: status.applied.clone(),
        commands: status.counts.commands,
        confirmed: status.counts.confirmed,
        rejected: status.counts.rejected,
        conflicts: status.counts.conflicts,
    }
}
