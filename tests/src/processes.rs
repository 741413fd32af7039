//! Processes of the product as people start them, on loopback: a cloud truth, nodes, and commands beside them.
//!
//! A process ends with its value. What is waited for is looked at whenever the node tells of something, and never by the clock.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};
use serde_json::{Value, json};
use studiovault_node::config::{Admission, Folder, Kit, Machine, StudioFile};
use studiovault_protocol::api::TOKEN_FILE;
use studiovault_protocol::membership::Role;

use crate::lab::machine::path;
use crate::lab::{Api, studiovault};

/// A process that says nothing for so long has a problem of its own.
const SILENT: Duration = Duration::from_secs(60);

/// What does not hold by then never will, however much is told.
const PATIENCE: Duration = Duration::from_secs(240);

/// A running process and the lines that it prints.
pub struct Running {
    child: Child,
    lines: Receiver<String>,
    /// The first line: that it is ready, and where.
    pub ready: Value,
}

/// What a command printed, and how it ended.
#[derive(Debug)]
pub struct Said {
    pub code: i32,
    pub out: String,
    pub error: String,
}

impl Running {
    /// Starts `studiovault --json --data FOLDER ARGUMENTS` and waits for its first line.
    pub fn start(folder: &Path, arguments: &[&str]) -> Self {
        Self::start_in(folder, arguments, &[])
    }

    /// The same with variables of the environment.
    pub fn start_in(folder: &Path, arguments: &[&str], variables: &[(&str, &Path)]) -> Self {
        let mut child = command(folder, &[&["--json"], arguments].concat())
            .envs(variables.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("starts");
        let out = BufReader::new(child.stdout.take().expect("piped"));
        let (sender, lines) = mpsc::channel();
        std::thread::spawn(move || {
            // Read to the end, also when nobody listens any more: a full pipe would stop the process.
            for line in out.lines().map_while(Result::ok) {
                let _ = sender.send(line);
            }
        });
        let mut running = Self {
            child,
            lines,
            ready: Value::Null,
        };
        let line = running.line();
        running.ready = serde_json::from_str(&line).expect("its first line is JSON");
        running
    }

    /// A node on loopback that announces nothing and dials `peers`.
    pub fn node(folder: &Path, peers: &[&str]) -> Self {
        let mut arguments = vec!["run", "--silent", "--listen", "127.0.0.1:0"];
        peers
            .iter()
            .for_each(|peer| arguments.extend(["--peer", peer]));
        Self::start(folder, &arguments)
    }

    /// A cloud truth on loopback without TLS.
    pub fn cloud(folder: &Path) -> Self {
        Self::start(folder, &["cloud", "--plain", "--listen", "127.0.0.1:0"])
    }

    /// The next line that it prints.
    pub fn line(&self) -> String {
        let line = self.lines.recv_timeout(SILENT);
        line.expect("it says something before long")
    }

    /// The process's id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends it a signal: `STOP`, `CONT`, `INT`, `TERM`, `KILL`.
    pub fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        let sent = Command::new("kill")
            .args([&format!("-{name}"), &id])
            .status();
        assert!(sent.expect("kill is there").success());
    }

    /// Waits until it ends by itself; how it did.
    pub fn ended(mut self) -> i32 {
        let status = self.child.wait().expect("ends");
        status.code().unwrap_or(-1)
    }

    /// Asks it to end and waits for it.
    pub fn stop(mut self) {
        self.signal("TERM");
        self.child.wait().expect("ends");
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // An error means that it has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn command(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(studiovault().expect("the product is built"));
    command.arg("--data").arg(folder).args(arguments);
    command
        .env("STUDIOVAULT_KEYS", "file")
        .env_remove("STUDIOVAULT_DATA")
        .env_remove("STUDIOVAULT_CLOUD_TOKEN");
    command
}

/// Runs a command to its end.
pub fn say(folder: &Path, arguments: &[&str]) -> Said {
    say_in(folder, arguments, &[])
}

/// The same with variables of the environment.
pub fn say_in(folder: &Path, arguments: &[&str], variables: &[(&str, &Path)]) -> Said {
    let mut command = command(folder, arguments);
    let output = command
        .envs(variables.iter().copied())
        .output()
        .expect("runs");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
    Said {
        code: output.status.code().unwrap_or(-1),
        out: text(output.stdout),
        error: text(output.stderr),
    }
}

/// What a command that succeeds prints.
pub fn done(folder: &Path, arguments: &[&str]) -> String {
    let said = say(folder, arguments);
    assert_eq!(said.code, 0, "{arguments:?}: {said:?}");
    said.out
}

/// Has a machine keep a token that nobody tries, as one has it that ran out.
pub fn give_token(folder: &Path, token: &str) {
    let api = Api::at_socket(&folder.join("api.sock")).expect("a client");
    let own = fs::read_to_string(folder.join(TOKEN_FILE)).unwrap_or_default();
    let body = json!({"token": token});
    let told = api.with_token(&own).post(&path("/login"), &body);
    if let Ok(answer) = told {
        answer.ok().expect("it is kept");
        return;
    }
    // No node runs with the folder.
    let path = folder.join("studio.json");
    let text = fs::read_to_string(&path).expect("a studio file");
    let mut studio: Value = serde_json::from_str(&text).expect("JSON");
    studio["cloud"]["token"] = json!(token);
    fs::write(&path, studio.to_string()).expect("writes");
}

/// The same as JSON.
pub fn json(folder: &Path, arguments: &[&str]) -> Value {
    let out = done(folder, &[&["--json"], arguments].concat());
    serde_json::from_str(&out).expect("JSON")
}

/// One more machine of the studio that was founded in `first`, its kit beside it.
pub fn join(folder: &Path, first: &Path) -> Result<()> {
    let kit = fs::read_to_string(first.with_extension("kit"))?;
    let mut kit: Kit = kit.parse().map_err(|error| anyhow!("{error}"))?;
    let studio = StudioFile::load(&first.join("studio.json"))?;
    (kit.cloud, kit.records) = (studio.cloud, studio.records);
    let name = folder.file_name().context("a folder with a name")?;
    let admission = Admission {
        name: name.to_string_lossy().into_owned(),
        role: Role::Member,
        priority: 0,
        gateway_preference: 0,
    };
    Machine::make(Folder::at(folder), &mut kit, admission)?;
    Ok(())
}

/// Waits until something holds, looking whenever the folder's node tells of something.
pub fn until(folder: &Path, what: &str, mut holds: impl FnMut() -> bool) {
    let watch = Running::start(folder, &["watch"]);
    let began = Instant::now();
    // The first line came at once: from here on nothing is missed.
    while !holds() {
        let told = watch.lines.recv_timeout(SILENT);
        let is_hopeless = told.is_err() || began.elapsed() > PATIENCE;
        assert!(!is_hopeless, "{what}: {}", done(folder, &["status"]));
    }
}
