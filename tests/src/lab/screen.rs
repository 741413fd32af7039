//! A screen without a monitor: an X server that draws into memory, and what a person does at it.
//! It reads titles, presses keys and looks at colours; it knows nothing of what is shown.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, ensure};

use super::bus::BUS_VARIABLE;
use super::run;

/// Width, height and depth, as the server takes them.
const SIZE: &str = "1080x700x24";

/// How long an act may take, s.
const PATIENCE: &str = "20";

pub struct Screen {
    server: Child,
    display: String,
}

impl Screen {
    /// Why this machine cannot have one; `None` if it can.
    pub fn unavailable() -> Option<String> {
        let tools = [
            ("Xvfb", "-help", "xvfb"),
            ("xdotool", "version", "xdotool"),
            ("import", "-version", "imagemagick"),
        ];
        tools.into_iter().find_map(|(tool, argument, package)| {
            let tried = Command::new(tool).arg(argument).output();
            tried
                .is_err()
                .then(|| format!("`{tool}` is missing (apt install {package})"))
        })
    }

    /// Starts the server; ready when this returns. It is reached through a socket in the file system, so a process may
    /// draw on it from any network namespace.
    pub fn start() -> Result<Self> {
        let mut server = Command::new("Xvfb")
            .args(["-displayfd", "1", "-screen", "0", SIZE])
            // Else it begins anew whenever its last client leaves, and turns away who comes meanwhile.
            .args(["-noreset", "-nolisten", "tcp"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .context("starting Xvfb")?;
        let told = server.stdout.take().context("its output is a pipe")?;
        let mut screen = Screen {
            server,
            display: String::new(),
        };
        let mut number = String::new();
        BufReader::new(told).read_line(&mut number)?;
        ensure!(!number.trim().is_empty(), "Xvfb ended at its start");
        screen.display = format!(":{}", number.trim());
        Ok(screen)
    }

    /// A command that draws on this screen, of somebody whose desktop has no bus.
    pub fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command
            .env("DISPLAY", &self.display)
            .env(BUS_VARIABLE, "unix:path=/nowhere/bus")
            .env_remove("WAYLAND_DISPLAY");
        command
    }

    /// The title of the first window whose title contains that word; an error while there is none.
    pub fn title(&self, word: &str) -> Result<String> {
        let arguments = ["search", "--name", word, "getwindowname"];
        Ok(self.act(&arguments)?.trim().to_owned())
    }

    /// Gives a window the keyboard and presses keys such as `ctrl+2`. There is no window manager that would.
    pub fn press(&self, word: &str, keys: &[&str]) -> Result<()> {
        self.act(&["search", "--name", word, "windowfocus", "--sync"])?;
        let arguments: Vec<&str> = ["key"].iter().chain(keys).copied().collect();
        self.act(&arguments).map(drop)
    }

    /// Gives the window of a process the keyboard, and takes it from whoever has it.
    pub fn look_at(&self, process: u32, word: &str) -> Result<()> {
        let process = process.to_string();
        let find = [
            "search",
            "--all",
            "--onlyvisible",
            "--pid",
            &process,
            "--name",
            word,
        ];
        self.act(&[&find[..], &["windowfocus", "--sync"]].concat())
            .map(drop)
    }

    /// How many colours are on the screen: one if nothing is drawn.
    pub fn colours(&self) -> Result<u32> {
        let mut look = self.command(Path::new("import"));
        let text = run(look.args(["-window", "root", "-format", "%k", "info:"]))?;
        text.trim().parse().context("a number of colours")
    }

    /// One that waits for what never comes is ended.
    fn act(&self, arguments: &[&str]) -> Result<String> {
        let mut hands = self.command(Path::new("timeout"));
        run(hands.args([PATIENCE, "xdotool"]).args(arguments))
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // An error means that it has ended, which is what is wanted.
        let _ended = self.server.kill();
        let _reaped = self.server.wait();
    }
}
