//! Keys stay where they belong: a whole run of the real program, pairing included, with every log line, and every answer of
//! the API, and nowhere in it a key.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

use serde_json::Value;
use studiovault_lab::lab::studiovault;

/// A process that ends with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

struct Scene {
    root: tempfile::TempDir,
    /// All that was printed, logged or answered, with where.
    heard: Vec<(String, Vec<u8>)>,
}

impl Scene {
    fn folder(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    fn command(&self, name: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(studiovault().expect("the program is built"));
        command.args(arguments).arg("--json").arg("--data");
        command.arg(self.folder(name));
        command
            .env("STUDIOVAULT_LOG", "trace")
            .env("RUST_BACKTRACE", "full");
        command
    }

    /// Runs a command to its end.
    fn run(&mut self, name: &str, arguments: &[&str]) {
        let output = self.command(name, arguments).output().expect("runs");
        let what = arguments.join(" ");
        self.heard.push((format!("{what}, out"), output.stdout));
        self.heard.push((format!("{what}, err"), output.stderr));
    }

    /// Starts a command; its error stream goes into a file that is heard at the end.
    fn start(&self, name: &str, arguments: &[&str]) -> (Running, BufReader<ChildStdout>) {
        let log = self
            .root
            .path()
            .join(format!("{name}.{}.log", arguments[0]));
        let mut command = self.command(name, arguments);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        command.stderr(File::create(log).expect("a log"));
        let mut child = command.spawn().expect("starts");
        let out = BufReader::new(child.stdout.take().expect("piped"));
        (Running(child), out)
    }

    /// The next line of JSON that a command prints.
    fn line(&mut self, out: &mut BufReader<ChildStdout>) -> Value {
        let mut line = String::new();
        out.read_line(&mut line).expect("a line");
        self.heard
            .push(("a printed line".into(), line.clone().into_bytes()));
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"))
    }

    /// A whole JSON value that a command prints over several lines.
    fn value(&mut self, out: &mut BufReader<ChildStdout>) -> Value {
        let mut text = String::new();
        loop {
            let before = text.len();
            out.read_line(&mut text).expect("a line");
            assert!(text.len() > before, "it ended: {text}");
            if let Ok(value) = serde_json::from_str(&text) {
                self.heard
                    .push(("a printed value".into(), text.into_bytes()));
                return value;
            }
        }
    }

    /// Asks every path of the API that takes no name.
    async fn ask_everything(&mut self, name: &str) {
        let folder = self.folder(name);
        let address = fs::read_to_string(folder.join("api.json")).expect("it runs");
        let address: Value = serde_json::from_str(&address).expect("an address");
        let token = fs::read_to_string(folder.join("api.token")).expect("a token");
        let base = format!("http://127.0.0.1:{}", address["port"]);
        let http = reqwest::Client::builder()
            .no_proxy()
            .build()
            .expect("a client");
        let ask = |path: String| http.get(format!("{base}{path}")).bearer_auth(token.trim());
        let document = ask("/openapi.json".into()).send().await.expect("answers");
        let document: Value = document.json().await.expect("a document");
        let paths = document["paths"].as_object().expect("paths");
        for (path, operations) in paths {
            let streams = path.ends_with("/events");
            if operations.get("get").is_none() || path.contains('{') || streams {
                continue;
            }
            let answer = ask(path.clone()).send().await.expect("answers");
            let body = answer.bytes().await.expect("a body").to_vec();
            self.heard.push((format!("GET {path}"), body));
        }
        for path in [
            "/local/v1/pairing",
            "/local/v1/pairing/words",
            "/local/v1/tx",
        ] {
            let nonsense = http.post(format!("{base}{path}")).bearer_auth(token.trim());
            let nonsense = nonsense.json(&serde_json::json!({"root": 1, "words": [2]}));
            let answer = nonsense.send().await.expect("answers");
            let body = answer.bytes().await.expect("a body").to_vec();
            self.heard.push((format!("POST {path}"), body));
        }
    }

    /// The keys of a machine's folder as they would be spelt.
    fn secrets(&self, name: &str) -> Vec<String> {
        let folder = self.folder(name);
        let read = |file: &str| fs::read_to_string(folder.join(file)).expect("reads");
        let studio: Value = serde_json::from_str(&read("studio.json")).expect("JSON");
        let key = |field: &str| studio[field].as_str().expect("a key").to_owned();
        let keys = vec![
            read("device.key").trim().to_owned(),
            key("mesh_key"),
            key("discovery_key"),
        ];
        assert!(keys.iter().all(|key| key.len() == 64), "{name}");
        keys
    }

    /// Searches all that was heard for every key.
    fn holds_no_key(&self, kit: &Path) {
        let mut secrets: Vec<String> = ["desk", "laptop", "phoenix"]
            .iter()
            .flat_map(|name| self.secrets(name))
            .collect();
        secrets.sort();
        secrets.dedup();
        assert_eq!(secrets.len(), 5, "three device keys and the studio's two");
        let mut spelt: Vec<Vec<u8>> = secrets.iter().flat_map(|key| spellings(key)).collect();
        spelt.push(kit_key(kit).into_bytes());
        let total: usize = self.heard.iter().map(|(_, bytes)| bytes.len()).sum();
        assert!(total > 20_000, "the logs were heard: {total} bytes");
        for (from, bytes) in &self.heard {
            for secret in &spelt {
                let found = bytes.windows(secret.len()).any(|window| window == secret);
                assert!(!found, "a key slipped out: {from}");
            }
        }
    }

    /// The root key leaves in the kit alone.
    fn folders_hold_no_root_key(&self, kit: &Path) {
        for name in ["desk", "laptop", "phoenix"] {
            for entry in fs::read_dir(self.folder(name)).expect("reads") {
                let path = entry.expect("an entry").path();
                let Ok(bytes) = fs::read(&path) else { continue };
                let key = kit_key(kit).into_bytes();
                let found = bytes.windows(key.len()).any(|window| window == key);
                assert!(!found, "the kit's key is in {}", path.display());
            }
        }
    }

    fn take_logs(&mut self) {
        for entry in fs::read_dir(self.root.path()).expect("reads") {
            let path = entry.expect("an entry").path();
            if path.extension().is_some_and(|extension| extension == "log") {
                let bytes = fs::read(&path).expect("reads");
                self.heard.push((path.display().to_string(), bytes));
            }
        }
    }
}

fn bytes_of(hex: &str) -> Vec<u8> {
    let pair = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).expect("hexadecimal");
    (0..hex.len()).step_by(2).map(pair).collect()
}

/// The ways in which a key might slip out: as text, as bytes, as a list of numbers.
fn spellings(secret: &str) -> Vec<Vec<u8>> {
    let bytes = bytes_of(secret);
    let list: Vec<String> = bytes[..8].iter().map(u8::to_string).collect();
    vec![
        secret.as_bytes().to_vec(),
        secret.to_uppercase().into_bytes(),
        bytes,
        list.join(", ").into_bytes(),
        list.join(",").into_bytes(),
    ]
}

fn kit_key(path: &Path) -> String {
    let kit = fs::read_to_string(path).expect("a kit");
    let line = kit.lines().find_map(|line| line.strip_prefix("Key: "));
    line.expect("a key").trim().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn no_key_is_ever_printed_logged_or_answered() {
    // Another provider that is installed already is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let root = tempfile::tempdir().expect("a folder");
    let mut scene = Scene {
        root,
        heard: Vec::new(),
    };
    let kit = scene.folder("desk.kit");
    let kit_path = kit.to_string_lossy().into_owned();
    let init = [
        "init",
        "--name",
        "desk",
        "--studio-name",
        "Silva",
        "--kit",
        &kit_path,
    ];
    scene.run("desk", &init);
    let run = ["run", "--silent", "--listen", "127.0.0.1:0"];
    let (_desk, mut desk_out) = scene.start("desk", &run);
    assert_eq!(scene.line(&mut desk_out)["ready"], true);
    let (mut inviting, mut invite_out) = scene.start("desk", &["invite"]);
    let shown = scene.value(&mut invite_out);
    let code = shown["code"].as_str().expect("a code").to_owned();
    let at = format!("127.0.0.1:{}", shown["port"]);
    // A guess first, so that refusals are heard too.
    let wrong = format!("{}-acorn-acorn-acorn", &code[..2]);
    scene.run("thief", &["join", &wrong, "--at", &at, "--name", "thief"]);
    let code = scene.value(&mut invite_out)["code"]
        .as_str()
        .expect("a code")
        .to_owned();
    let (_joining, mut join_out) =
        scene.start("laptop", &["join", &code, "--at", &at, "--name", "laptop"]);
    let words = scene.line(&mut join_out)["words"]
        .as_str()
        .expect("words")
        .to_owned();
    assert_eq!(scene.value(&mut invite_out)["state"], "checking");
    let mut input = inviting.0.stdin.take().expect("piped");
    writeln!(input, "{}", words.replace('-', " ")).expect("typed");
    assert_eq!(scene.value(&mut invite_out)["state"], "admitted");
    assert_eq!(scene.line(&mut join_out)["name"], "laptop");
    let (_laptop, mut laptop_out) = scene.start("laptop", &run);
    assert_eq!(scene.line(&mut laptop_out)["ready"], true);
    scene.ask_everything("desk").await;
    scene.ask_everything("laptop").await;
    for words in [
        &["devices"][..],
        &["status"],
        &["revoke", "laptop"],
        &["verify"],
    ] {
        scene.run("desk", words);
    }
    let recover = ["recover", "--kit", &kit_path, "--name", "phoenix"];
    scene.run("phoenix", &recover);
    scene.take_logs();
    scene.holds_no_key(&kit);
    scene.folders_hold_no_root_key(&kit);
}
