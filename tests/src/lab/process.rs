//! A process that the lab started: its log, its end, and the ways a machine can treat it badly.
//! It is signalled by its own id only, and never after it has been waited for.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use anyhow::{Context, Result, ensure};

use super::run;

pub struct Process {
    child: Child,
    log: PathBuf,
}

impl Process {
    pub(super) fn start(mut command: Command, log: PathBuf) -> Result<Self> {
        let out = File::create(&log).with_context(|| format!("creating {}", log.display()))?;
        let error = out.try_clone()?;
        command.stdin(Stdio::null()).stdout(out).stderr(error);
        let child = command
            .spawn()
            .with_context(|| format!("starting {command:?}"))?;
        Ok(Process { child, log })
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Everything it has printed so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    pub fn log_path(&self) -> &Path {
        &self.log
    }

    /// How it ended, or `None` while it runs.
    pub fn ended(&mut self) -> Result<Option<ExitStatus>> {
        Ok(self.child.try_wait()?)
    }

    /// `kill -9`, then waits until it is gone.
    pub fn kill(&mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// `kill -9` of a process that must be running still; fails with its log if it had ended by itself.
    pub fn kill_running(mut self) -> Result<()> {
        let ended = self.ended()?;
        ensure!(
            ended.is_none(),
            "it had ended by itself ({ended:?}):\n{}",
            self.log()
        );
        self.kill()
    }

    /// Asks it to end (SIGTERM) and waits for it.
    pub fn stop(&mut self) -> Result<ExitStatus> {
        self.signal("TERM")?;
        Ok(self.child.wait()?)
    }

    /// Ctrl-C, and waits for it.
    pub fn interrupt(&mut self) -> Result<ExitStatus> {
        self.signal("INT")?;
        Ok(self.child.wait()?)
    }

    /// Puts it to sleep (SIGSTOP), as a closed laptop does; its connections stay open and silent.
    pub fn pause(&mut self) -> Result<()> {
        self.signal("STOP")
    }

    /// Wakes it up again (SIGCONT).
    pub fn resume(&mut self) -> Result<()> {
        self.signal("CONT")
    }

    fn signal(&mut self, name: &str) -> Result<()> {
        let ended = self.child.try_wait()?;
        ensure!(
            ended.is_none(),
            "it has ended already ({ended:?}); its log: {}",
            self.log.display()
        );
        run(Command::new("kill")
            .arg(format!("-{name}"))
            .arg(self.child.id().to_string()))
        .map(drop)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // An error means that it has ended, which is what is wanted.
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
    }
}
