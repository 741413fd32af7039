//! One network namespace, removed when dropped.
//! Its name starts with `sv` and the id of the process that owns it, which is how stale ones are told apart.

use std::path::Path;
use std::process::Command;

use anyhow::Result;

use super::run;

pub(super) struct Namespace {
    name: String,
}

impl Namespace {
    pub(super) fn create(name: String) -> Result<Self> {
        run(Command::new("ip").args(["netns", "add", &name]))?;
        let namespace = Namespace { name };
        namespace.ip("link set lo up")?;
        Ok(namespace)
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Runs `ip` on this namespace; `arguments` are split at spaces.
    pub(super) fn ip(&self, arguments: &str) -> Result<String> {
        run(Command::new("ip")
            .args(["-n", &self.name])
            .args(arguments.split(' ')))
    }

    /// Runs one atomic `nft` script in this namespace.
    pub(super) fn nft(&self, script: &str) -> Result<()> {
        run(self.command("nft").arg(script)).map(drop)
    }

    /// A command that will run in this namespace, with the same process id as `ip` gets.
    pub(super) fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name]).arg(program);
        command
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        if let Err(error) = remove(&self.name) {
            eprintln!("lab: namespace {} stays behind: {error:#}", self.name);
        }
    }
}

/// Removes the namespaces, and ends the processes in them, of labs whose own process is gone.
pub(super) fn remove_stale() -> Result<()> {
    let listed = run(Command::new("ip").args(["netns", "list"]))?;
    for name in listed.lines().filter_map(|line| line.split(' ').next()) {
        let owner = owner_of(name);
        if owner.is_some_and(|pid| !Path::new(&format!("/proc/{pid}")).exists()) {
            let inside = run(Command::new("ip").args(["netns", "pids", name]))?;
            for pid in inside.split_whitespace() {
                // Gone in the meantime is as good as killed.
                let _gone = run(Command::new("kill").args(["-9", pid]));
            }
            remove(name)?;
        }
    }
    Ok(())
}

fn remove(name: &str) -> Result<()> {
    run(Command::new("ip").args(["netns", "del", name])).map(drop)
}

/// The process id in `sv123-office-laptop`.
fn owner_of(name: &str) -> Option<u32> {
    name.strip_prefix("sv")?.split_once('-')?.0.parse().ok()
}
