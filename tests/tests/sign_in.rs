//! Signing in with real processes: at a cloud truth of ours, and at an identity provider that is not ours. While nobody is signed in
//! the studio works on, and nothing that waits is touched.
#![cfg(target_os = "linux")]

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde_json::{Value, json};
use studiovault_lab::processes::{self, Running, done, give_token, say, until};
use studiovault_lab::skipped::{assert_skipped_without_tools, skipped};

const AUDIENCE: &str = "https://cloud.test";
/// The Node that the provider needs.
const NODE: u32 = 20;

fn text(value: &Value) -> String {
    value.as_str().expect("a text").to_owned()
}

fn status(folder: &Path) -> Value {
    processes::json(folder, &["status"])
}

/// Writes a client.
fn put(folder: &Path, name: &str) -> String {
    let answer = processes::json(folder, &["put", "client", &format!("name={name}")]);
    text(&answer["ids"][0])
}

fn is_confirmed(folder: &Path, id: &str) {
    until(folder, "the cloud confirms it", || {
        done(folder, &["get", "client", id]).contains("confirmed")
    });
}

/// What a form is answered with.
fn posted(url: &str, body: String) -> Value {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        // Another provider that is installed already is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder().no_proxy().build();
        let request = client.expect("a client").post(url);
        let form = ("content-type", "application/x-www-form-urlencoded");
        let answer = request.header(form.0, form.1).body(body).send().await;
        answer.expect("answers").json().await.expect("JSON")
    })
}

/// The uplink pauses, nobody carries, and a person is told what to do.
fn asks_for_a_person(folder: &Path) {
    until(folder, "the cloud refuses the token", || {
        let status = status(folder);
        let problem = status["cloud"]["problem"].as_str().unwrap_or_default();
        status["cloud"]["authorised"] == false
            && status["gateway"].is_null()
            && problem.ends_with("sign in again with `studiovault login`")
    });
}

/// What was written meanwhile waits for the cloud.
fn waits(folder: &Path) {
    until(folder, "what was written waits", || {
        status(folder)["counts"]["pending"].as_u64() >= Some(1)
    });
}

fn studio_file(folder: &Path) -> Value {
    let text = fs::read_to_string(folder.join("studio.json"));
    serde_json::from_str(&text.expect("reads")).expect("JSON")
}

fn sign_in_file(folder: &Path) -> Value {
    let path = folder.join("sign-in.json");
    let mode = fs::metadata(&path).expect("is there").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    serde_json::from_str(&fs::read_to_string(path).expect("reads")).expect("JSON")
}

/// Nothing that people or programs are shown holds a token.
fn shows_no_token(folder: &Path) {
    let file = sign_in_file(folder);
    let secrets = [
        text(&file["access"]),
        text(&file["renewal"]["refresh_token"]),
    ];
    for arguments in [&["status"][..], &["doctor"], &["audit"], &["devices"]] {
        let said = say(folder, &[&["--json"], arguments].concat());
        for secret in &secrets {
            let shown = said.out.contains(secret) || said.error.contains(secret);
            assert!(!shown, "{arguments:?} shows a token");
        }
    }
}

/// A cloud truth, a machine of a studio that is enrolled there, and its running node.
struct Place {
    folder: tempfile::TempDir,
    cloud: Running,
    node: Option<Running>,
    studio: String,
}

impl Place {
    fn new(arguments: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let path = |name: &str| folder.path().join(name);
        let usual = ["cloud", "--plain", "--listen", "127.0.0.1:0"];
        let cloud = Running::start(&path("cloud"), &[&usual, arguments].concat());
        let (url, token) = (text(&cloud.ready["url"]), text(&cloud.ready["token"]));
        let kit = path("kit");
        let region = ["--time-zone", "Europe/Lisbon", "--currency", "EUR"];
        let who = ["init", "--name", "front-desk", "--studio-name", "Lisbon"];
        let how = ["--kit", kit.to_str().expect("a path")];
        let at = ["--cloud", &url, "--cloud-token", &token];
        let made = processes::json(&path("desk"), &[&who[..], &region, &how, &at].concat());
        let place = Self {
            studio: text(&made["studio"]),
            node: Some(Running::node(&path("desk"), &[])),
            folder,
            cloud,
        };
        // Only then can the cloud tell the machine's key from a stranger's.
        until(&place.desk(), "the cloud holds the roster", || {
            let sql = "SELECT count(*) FROM grant_record";
            let count = place.database().query_row(sql, [], |row| row.get(0));
            count.is_ok_and(|count: i64| count > 0)
        });
        place
    }

    fn desk(&self) -> PathBuf {
        self.folder.path().join("desk")
    }

    fn cloud_folder(&self) -> PathBuf {
        self.folder.path().join("cloud")
    }

    /// Begins to sign in; the code and where it is given.
    fn login(&self) -> (Running, String, String) {
        let login = Running::start(&self.desk(), &["login"]);
        let code = text(&login.ready["user_code"]);
        let place = text(&login.ready["verification_uri"]);
        (login, code, place)
    }

    /// The cloud's tables, as they are now.
    fn database(&self) -> rusqlite::Connection {
        rusqlite::Connection::open(self.cloud_folder().join("cloud.db")).expect("opens")
    }

    /// Whether the cloud took every client once.
    fn holds_once(&self, clients: i64) {
        let sql = "SELECT count(*), count(DISTINCT id), count(position) FROM command WHERE outcome IS NULL";
        let counts: (i64, i64, i64) = self
            .database()
            .query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
            .expect("a row");
        assert_eq!(counts, (clients, clients, clients));
    }
}

#[test]
fn a_machine_signs_in_by_a_code_at_our_cloud_and_goes_on_where_it_was() {
    let place = Place::new(&[]);
    let desk = place.desk();
    let first = put(&desk, "Silva");
    is_confirmed(&desk, &first);
    give_token(&desk, "svp_of_yesterday");
    asks_for_a_person(&desk);
    let second = put(&desk, "Sousa");
    waits(&desk);

    let (login, code, _) = place.login();
    let approved = processes::json(&place.cloud_folder(), &["cloud", "approve", &code]);
    assert_eq!(
        (text(&approved["name"]), &approved["proven"]),
        ("front-desk".into(), &json!(true))
    );
    assert_eq!(login.ended(), 0);
    is_confirmed(&desk, &second);
    shows_no_token(&desk);
    place.holds_once(2);

    // An hour later: the token is over, and the next one comes by itself, unnoticed.
    let before = sign_in_file(&desk);
    let aged = place
        .database()
        .execute("UPDATE access_token SET expires_at = 0", []);
    assert_eq!(aged.expect("ages"), 1);
    let third = put(&desk, "Lopes");
    is_confirmed(&desk, &third);
    let after = sign_in_file(&desk);
    assert_ne!(before["access"], after["access"]);
    assert_ne!(
        before["renewal"]["refresh_token"],
        after["renewal"]["refresh_token"]
    );

    // It outlives the node's process, and a thief who comes with the used one ends it for both.
    drop(place.node);
    let node = Running::node(&desk, &[]);
    let fourth = put(&desk, "Costa");
    is_confirmed(&desk, &fourth);
    let used = text(&before["renewal"]["refresh_token"]);
    let url = text(&place.cloud.ready["url"]);
    let database = rusqlite::Connection::open(place.folder.path().join("cloud/cloud.db"));
    let late = "UPDATE refresh_token SET rotated_at = 1 WHERE rotated_at IS NOT NULL";
    assert_eq!(database.expect("opens").execute(late, []).expect("ages"), 1);
    let body = format!("client_id=studiovault&grant_type=refresh_token&refresh_token={used}");
    let told = posted(&format!("{url}/v1/oauth/token"), body);
    assert_eq!(told["error"], "invalid_grant");
    asks_for_a_person(&desk);
    node.stop();
}

#[test]
fn a_sign_in_that_is_refused_or_broken_off_changes_nothing() {
    let place = Place::new(&[]);
    let desk = place.desk();
    let (login, code, _) = place.login();
    let shown = say(&place.cloud_folder(), &["cloud", "show", &code]);
    for words in ["front-desk", "carry (", "yes, by the key", &place.studio] {
        assert!(shown.out.contains(words), "{words}: {shown:?}");
    }
    let denied = say(&place.cloud_folder(), &["cloud", "deny", &code]);
    assert!(denied.out.contains("was refused"), "{denied:?}");
    assert_eq!(login.ended(), 4);
    let (login, _, _) = place.login();
    login.signal("INT");
    assert_eq!(login.ended(), 1);
    assert!(!desk.join("sign-in.json").exists());
    let wrong = say(&place.cloud_folder(), &["cloud", "approve", "BCDF-GHJK"]);
    assert_eq!(wrong.code, 5);
    assert!(wrong.error.contains("ten minutes"), "{wrong:?}");
    let id = put(&desk, "Silva");
    is_confirmed(&desk, &id);
}

#[test]
fn a_stranger_under_a_machines_name_is_shown_as_one_and_not_approved_unseen() {
    let place = Place::new(&[]);
    let url = text(&place.cloud.ready["url"]);
    let body = format!(
        "client_id=studiovault&studio={}&device_name=front-desk",
        place.studio
    );
    let opened = posted(&format!("{url}/v1/oauth/device"), body);
    let code = text(&opened["user_code"]);
    let refused = say(&place.cloud_folder(), &["cloud", "approve", &code]);
    assert_eq!(refused.code, 4, "{refused:?}");
    assert!(refused.out.contains("carry ("), "{refused:?}");
    assert!(refused.error.contains("--unproven"), "{refused:?}");
    let folder = place.cloud_folder();
    let approved = processes::json(&folder, &["cloud", "approve", &code, "--unproven"]);
    assert_eq!(approved["proven"], json!(false));
}

#[test]
fn what_a_killed_node_left_behind_stops_no_sign_in_and_no_check() {
    let mut place = Place::new(&[]);
    let desk = place.desk();
    let handed_over = text(&studio_file(&desk)["cloud"]["token"]);
    let node = place.node.take().expect("runs");
    node.signal("KILL");
    node.ended();
    assert!(desk.join("api.json").exists(), "it could not tidy up");
    let (login, code, _) = place.login();
    done(&place.cloud_folder(), &["cloud", "approve", &code]);
    assert_eq!(login.ended(), 0);
    assert!(!sign_in_file(&desk)["access"].is_null());
    let said = done(&desk, &["login", "--token", &handed_over]);
    assert!(said.contains("signed in"), "{said}");
    let policy = place.folder.path().join("policy.toml");
    fs::write(&policy, "version = 2\n").expect("writes");
    let policy = policy.to_str().expect("a path");
    let told = say(&desk, &["policy", "check", policy]);
    assert_ne!(told.code, 3, "{told:?}");
}

/// The provider: a process that does what a line says.
struct Issuer {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    url: String,
}

impl Issuer {
    /// Installed on first use beside the build, then started; `None`, with the reason told, where it cannot run.
    fn start() -> Option<Self> {
        let major = version_of_node();
        if major < NODE {
            let here = match major {
                0 => "there is none here".to_owned(),
                major => format!("here is {major}"),
            };
            let reason = format!("it needs Node {NODE} or newer; {here}");
            skipped("the identity provider", &reason);
            return None;
        }
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/issuer");
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("issuer");
        fs::create_dir_all(&folder).expect("a folder");
        for file in ["package.json", "issuer.mjs"] {
            fs::copy(source.join(file), folder.join(file)).expect("copies");
        }
        if !folder.join("node_modules/oidc-provider").exists() {
            let quiet = ["--no-audit", "--no-fund", "--no-package-lock", "--silent"];
            let mut npm = Command::new("npm");
            let status = npm.arg("install").args(quiet).current_dir(&folder).status();
            assert!(
                status.expect("npm runs").success(),
                "npm installs the provider"
            );
        }
        let mut child = Command::new("node")
            .arg("issuer.mjs")
            .current_dir(&folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("node runs");
        let input = child.stdin.take().expect("piped");
        let output = BufReader::new(child.stdout.take().expect("piped"));
        let mut issuer = Self {
            child,
            input,
            output,
            url: String::new(),
        };
        issuer.url = text(&issuer.line()["issuer"]);
        Some(issuer)
    }

    fn line(&mut self) -> Value {
        let mut line = String::new();
        self.output.read_line(&mut line).expect("reads");
        serde_json::from_str(&line).expect("JSON")
    }

    fn tell(&mut self, words: &str) -> Value {
        writeln!(self.input, "{words}").expect("writes");
        self.line()["answer"].clone()
    }
}

impl Drop for Issuer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn version_of_node() -> u32 {
    let told = Command::new("node").arg("--version").output();
    let told = told.map_or_else(|_| Vec::new(), |told| told.stdout);
    let told = String::from_utf8_lossy(&told);
    let major = told.trim().trim_start_matches('v').split('.').next();
    major.and_then(|major| major.parse().ok()).unwrap_or(0)
}

#[test]
fn a_machine_signs_in_at_an_identity_provider_that_is_not_ours() {
    let Some(mut issuer) = Issuer::start() else {
        return;
    };
    let url = issuer.url.clone();
    let who = [
        "--issuer-audience",
        AUDIENCE,
        "--issuer-client",
        "studiovault-machine",
    ];
    let place = Place::new(&[&["--issuer", &url], &who[..]].concat());
    let desk = place.desk();
    give_token(&desk, "svp_of_yesterday");
    asks_for_a_person(&desk);
    issuer.tell(&format!("studio {}", place.studio));

    let (login, code, at) = place.login();
    assert!(at.starts_with(&url), "{at}");
    assert_eq!(issuer.tell(&format!("deny {at} {code}")), "denied");
    assert_eq!(login.ended(), 4);
    // Tokens that are over in a second, signed by another key each time.
    issuer.tell("last 1");
    let (login, code, at) = place.login();
    assert_eq!(issuer.tell(&format!("approve {at} {code}")), "approved");
    assert_eq!(login.ended(), 0);
    let mut names = (1..).map(|n| format!("Silva {n}"));
    let mut clients = 0;
    let mut works_until = |changed: &dyn Fn(&Value) -> bool| {
        loop {
            let id = put(&desk, &names.next().expect("another name"));
            clients += 1;
            is_confirmed(&desk, &id);
            if changed(&sign_in_file(&desk)) {
                return;
            }
        }
    };
    for algorithm in ["ES256", "EdDSA"] {
        let before = sign_in_file(&desk);
        issuer.tell(&format!("sign {algorithm}"));
        works_until(&|now| {
            now["access"] != before["access"]
                && now["renewal"]["refresh_token"] != before["renewal"]["refresh_token"]
        });
    }
    shows_no_token(&desk);

    // The provider takes the sign-in back: the token in use ends, and no other comes.
    let refresh = text(&sign_in_file(&desk)["renewal"]["refresh_token"]);
    assert_eq!(issuer.tell(&format!("revoke {refresh}")), 200);
    asks_for_a_person(&desk);
    assert_eq!(sign_in_file(&desk)["ended"], true);
    let waiting = put(&desk, "Costa");
    waits(&desk);
    issuer.tell("last 3600");
    let (login, code, at) = place.login();
    assert_eq!(issuer.tell(&format!("approve {at} {code}")), "approved");
    assert_eq!(login.ended(), 0);
    is_confirmed(&desk, &waiting);
    place.holds_once(clients + 1);
}

#[test]
fn without_node_the_identity_provider_is_skipped_and_that_is_said_past_the_harness() {
    assert_skipped_without_tools(
        "a_machine_signs_in_at_an_identity_provider_that_is_not_ours",
        "SKIPPED: the identity provider: it needs Node 20 or newer; there is none here",
    );
}
