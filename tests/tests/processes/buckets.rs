//! Snapshots in a bucket of a server that is not ours, and a machine that begins from them.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Stdio};
use std::sync::OnceLock;

use super::*;

/// A server that speaks the S3 protocol, and what it needs to run as one.
const MOTO: [&str; 3] = ["moto[s3]==5.2.5", "flask==3.1.3", "flask-cors==6.0.5"];
/// It takes any.
const KEYS: [(&str, &str); 3] = [
    ("AWS_ACCESS_KEY_ID", "key"),
    ("AWS_SECRET_ACCESS_KEY", "secret"),
    ("AWS_REGION", "us-east-1"),
];

/// Its programs, installed once into the folder of this build.
fn moto() -> &'static Path {
    static INSTALLED: OnceLock<PathBuf> = OnceLock::new();
    INSTALLED.get_or_init(|| {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("moto-5.2.5");
        if !folder.join("installed").exists() {
            let run = |command: &mut Process| {
                let status = command.status().expect("python3 runs");
                assert!(status.success(), "{command:?}");
            };
            run(Process::new("python3").args(["-m", "venv"]).arg(&folder));
            run(Process::new(folder.join("bin/pip"))
                .args(["install", "-q"])
                .args(MOTO));
            fs::write(folder.join("installed"), "").expect("writes");
        }
        folder.join("bin")
    })
}

/// A running one with an empty bucket.
struct Bucket {
    child: Child,
    url: String,
}

impl Bucket {
    fn new() -> Self {
        let mut child = Process::new(moto().join("moto_server"))
            .args(["-H", "127.0.0.1", "-p", "0"])
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("starts");
        let told = BufReader::new(child.stderr.take().expect("piped"));
        let mut lines = told.lines().map_while(Result::ok);
        let line = lines.find(|line| line.contains("Running on http://"));
        let line = line.expect("it says where it is");
        let url = line
            .split_whitespace()
            .last()
            .expect("an address")
            .to_owned();
        std::thread::spawn(move || lines.for_each(drop));
        let bucket = Self { child, url };
        bucket.python("s3.create_bucket(Bucket='vault')");
        bucket
    }

    /// A line of Python with Amazon's own client.
    fn python(&self, line: &str) -> String {
        let setup = format!(
            "import boto3\ns3 = boto3.client('s3', endpoint_url='{}')",
            self.url
        );
        let output = Process::new(moto().join("python"))
            .args(["-c", &format!("{setup}\n{line}")])
            .envs(KEYS)
            .env("AWS_DEFAULT_REGION", "us-east-1")
            .output()
            .expect("runs");
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).expect("text")
    }

    fn keys(&self) -> Vec<String> {
        let line = "print('\\n'.join(o['Key'] for o in s3.list_objects_v2(Bucket='vault').get('Contents', [])))";
        self.python(line)
            .lines()
            .filter(|key| !key.is_empty())
            .map(str::to_owned)
            .collect()
    }

    fn address(&self) -> SocketAddr {
        self.url
            .trim_start_matches("http://")
            .trim_end_matches('/')
            .parse()
            .expect("an address")
    }
}

impl Drop for Bucket {
    fn drop(&mut self) {
        // An error means that it has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn snapshots_stand_in_a_bucket_of_a_server_that_is_not_ours_and_machines_begin_from_them() {
    let bucket = Bucket::new();
    assert!(bucket.address().ip().is_loopback());
    let place = Place::new();
    let cloud = place.path("cloud");
    let arguments = [
        "cloud",
        "--plain",
        "--listen",
        "127.0.0.1:0",
        "--bucket",
        "s3://vault/lisbon",
        "--bucket-endpoint",
        &bucket.url,
    ];
    let keys = KEYS.map(|(name, value)| (name, Path::new(value)));
    let running = Running::start_in(&cloud, &arguments, &keys);
    let desk = place.found("front-desk", Some(&running));
    let node = Running::node(&desk, &[]);
    let id = put(&desk, &["client", "name=Silva"]);
    stands(&desk, ("client", &id), "confirmed");
    node.stop();
    let made = json(&cloud, &["cloud", "snapshot"]);
    let kept = bucket.keys();
    assert!(
        kept.iter().all(|key| key.starts_with("lisbon/snapshots/")),
        "{kept:?}"
    );
    assert_eq!(
        kept.len() as u64,
        made[0]["chunks"].as_u64().expect("a count") + 1,
        "{kept:?}"
    );
    let standing = fs::read_dir(cloud.join("objects"))
        .expect("a folder")
        .count();
    assert_eq!(standing, 0, "nothing stands in the folder");
    let laptop = place.join("laptop", &desk);
    assert_eq!(
        json(&laptop, &["bootstrap"])["position"],
        made[0]["position"]
    );
    let shown = json(&laptop, &["verify"]);
    assert_eq!(
        (&shown["ok"], &shown["entities"]),
        (&json!(true), &json!(1))
    );
    a_bucket_that_is_bent_and_then_away(
        (&place, bucket),
        (cloud.as_path(), desk.as_path()),
        &made[0],
    );
}

/// What becomes of a machine whose snapshot somebody changed in the bucket, and of all when the bucket is gone.
fn a_bucket_that_is_bent_and_then_away(
    (place, bucket): (&Place, Bucket),
    (cloud, desk): (&Path, &Path),
    made: &Value,
) {
    let kept = bucket.keys();
    // A chunk that somebody changed in the bucket is given to nobody.
    let chunk = kept
        .iter()
        .find(|key| key.contains("/chunks/"))
        .expect("has some");
    bucket.python(&format!(
        "s3.put_object(Bucket='vault', Key='{chunk}', Body=b'other')"
    ));
    let editor = place.join("editor", desk);
    let refused = say(&editor, &["bootstrap"]);
    assert_ne!(refused.code, 0, "{refused:?}");
    // And what is made next puts it right.
    json(cloud, &["cloud", "snapshot"]);
    assert_eq!(json(&editor, &["bootstrap"])["position"], made["position"]);
    // With the bucket away all else goes on, and whoever asks for a snapshot is told.
    drop(bucket);
    let away = say(&editor, &["bootstrap"]);
    assert!(away.code == 1 && away.error.contains("away"), "{away:?}");
    let node = Running::node(desk, &[]);
    let id = put(desk, &["client", "name=Costa"]);
    stands(desk, ("client", &id), "confirmed");
    node.stop();
}
