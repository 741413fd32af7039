//! The message bus of a desktop's session, of the test's own, with a home for whoever speaks on it.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;

/// The variable that names a session's bus.
pub const BUS_VARIABLE: &str = "DBUS_SESSION_BUS_ADDRESS";

/// A bus; it ends with its value.
pub struct Bus {
    home: TempDir,
    daemon: Child,
    address: String,
}

impl Bus {
    /// Why this machine cannot have one; `None` if it can.
    pub fn unavailable() -> Option<String> {
        let tried = Command::new("dbus-daemon").arg("--version").output();
        let missing = "`dbus-daemon` is missing (apt install dbus-daemon)";
        tried.is_err().then(|| missing.to_owned())
    }

    /// Starts one; ready when this returns.
    pub fn start() -> Result<Self> {
        let home = tempfile::tempdir()?;
        let address = format!("unix:path={}", home.path().join("bus").display());
        let mut daemon = at_home("dbus-daemon", &home)
            .args(["--session", "--nofork", "--nopidfile", "--print-address=1"])
            .arg(format!("--address={address}"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .context("starting dbus-daemon")?;
        let out = daemon.stdout.take().context("its output is a pipe")?;
        let bus = Self {
            home,
            daemon,
            address,
        };
        let mut line = String::new();
        BufReader::new(out).read_line(&mut line)?;
        ensure!(!line.trim().is_empty(), "dbus-daemon ended at its start");
        Ok(bus)
    }

    /// Where it is.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// A command of somebody who is logged in with this bus.
    pub fn command(&self, program: &str) -> Command {
        let mut command = at_home(program, &self.home);
        command.env(BUS_VARIABLE, &self.address);
        command
    }
}

impl Drop for Bus {
    fn drop(&mut self) {
        // An error means that it has ended, which is what is wanted.
        let _ended = self.daemon.kill();
        let _reaped = self.daemon.wait();
    }
}

fn at_home(program: &str, home: &TempDir) -> Command {
    let mut command = Command::new(program);
    for name in [
        "HOME",
        "XDG_DATA_HOME",
        "XDG_CONFIG_HOME",
        "XDG_RUNTIME_DIR",
    ] {
        command.env(name, home.path());
    }
    command.stderr(Stdio::null());
    command
}
