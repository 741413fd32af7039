//! Outside witnesses: a browser of services and a libp2p client that are not ours, on the network of a working studio. They see an
//! opaque service, and get no further.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use studiovault_lab::lab::{Host, Lab, Studio};
use studiovault_lab::skipped::skipped;

const SOON: Duration = Duration::from_secs(30);
/// The Node that the libp2p client needs.
const NODE: u32 = 20;
/// How long the browser looks.
const LOOK_S: &str = "5";

/// The witnesses' programs with what they need, installed on first use beside the build; fails with what is missing.
struct Witness(PathBuf);

impl Witness {
    fn installed() -> Result<Self> {
        let version = tool(Command::new("node").arg("--version"))?;
        let major = version.trim_start_matches('v').split('.').next();
        let major: u32 = major.context("a version")?.parse()?;
        ensure!(major >= NODE, "Node {NODE} or newer is missing: {version}");
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/witness");
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("witness");
        std::fs::create_dir_all(&folder)?;
        for file in ["package.json", "requirements.txt", "dial.mjs", "browse.py"] {
            std::fs::copy(source.join(file), folder.join(file))?;
        }
        if !folder.join("node_modules/libp2p").exists() {
            let mut npm = Command::new("npm");
            npm.args([
                "install",
                "--no-audit",
                "--no-fund",
                "--no-package-lock",
                "--silent",
            ]);
            tool(npm.current_dir(&folder)).context("npm installs the libp2p client")?;
        }
        if !folder.join("venv/installed").exists() {
            let mut venv = Command::new("python3");
            tool(venv.args(["-m", "venv", "venv"]).current_dir(&folder))
                .context("python3 makes a place of its own")?;
            let mut pip = Command::new(folder.join("venv/bin/pip"));
            tool(
                pip.args(["install", "-q", "-r", "requirements.txt"])
                    .current_dir(&folder),
            )
            .context("pip installs the browser")?;
            std::fs::write(folder.join("venv/installed"), "")?;
        }
        Ok(Self(folder))
    }

    /// What the browser sees from a host.
    fn browse(&self, from: &Host) -> Result<Value> {
        let mut command = Command::new(self.0.join("venv/bin/python"));
        command.arg(self.0.join("browse.py")).arg(LOOK_S);
        Ok(serde_json::from_str(&from.run(&command)?)?)
    }

    /// What the libp2p client gets from a host and port.
    fn dial(&self, from: &Host, to: (&str, &str)) -> Result<Vec<Value>> {
        let mut command = Command::new("node");
        command.arg(self.0.join("dial.mjs")).args([to.0, to.1]);
        let text = from.run(&command)?;
        let lines = text.lines().map(serde_json::from_str);
        Ok(lines.collect::<Result<_, _>>()?)
    }
}

fn tool(command: &mut Command) -> Result<String> {
    let output = command
        .output()
        .with_context(|| format!("starting {command:?}"))?;
    if !output.status.success() {
        bail!("{}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// Names of two machines, and nothing but random digits, a version and a port in what they announce.
fn is_opaque(seen: &Value) -> Result<()> {
    let services = seen["services"].as_array().context("services")?;
    ensure!(services.len() == 2, "{seen}");
    let is_random = |text: &str, letters: usize| {
        text.len() == letters && text.bytes().all(|byte| byte.is_ascii_hexdigit())
    };
    for service in services {
        let text = |name: &str| service[name].as_str().unwrap_or_default().to_owned();
        let (instance, rest) = text("name")
            .split_once('.')
            .map(|(a, b)| (a.to_owned(), b.to_owned()))
            .context("a name")?;
        ensure!(
            is_random(&instance, 32) && rest == "_studiovault._tcp.local.",
            "{service}"
        );
        let server = text("server");
        ensure!(
            is_random(server.trim_end_matches(".local."), 32),
            "{service}"
        );
        let properties = service["properties"].as_object().context("properties")?;
        let keys: Vec<&str> = properties.keys().map(String::as_str).collect();
        ensure!(
            keys.len() == 3 && ["v", "n", "t"].iter().all(|key| keys.contains(key)),
            "{service}"
        );
        ensure!(
            properties["v"] == "1" && properties["n"] == *instance,
            "{service}"
        );
        ensure!(
            is_random(properties["t"].as_str().unwrap_or_default(), 16),
            "{service}"
        );
    }
    let shown = seen.to_string();
    for name in ["thornbury", "marlinspike", "Silva"] {
        ensure!(!shown.contains(name), "{name} in {shown}");
    }
    Ok(())
}

#[test]
fn a_browser_and_a_libp2p_client_that_are_not_ours_see_an_opaque_service_and_get_no_further() {
    Lab::test("witness", |lab| {
        let witness = match Witness::installed() {
            Ok(witness) => witness,
            Err(error) => {
                skipped("netns witness", &format!("{error:#}"));
                return Ok(());
            }
        };
        let studio = Studio::without_cloud(lab, &["thornbury", "marlinspike"])?;
        studio.linked(SOON)?;
        studio.machines[0].create("Silva")?;
        studio.together(1, SOON)?;
        let outside = lab.host("outside")?;
        let seen = witness.browse(&outside)?;
        println!("    the browser sees {seen}");
        is_opaque(&seen)?;
        let address = studio.machines[0].host.address().to_string();
        let services = seen["services"].as_array().context("services")?;
        let mine = services
            .iter()
            .find(|service| service["addresses"].to_string().contains(&address));
        let port = mine.context("the first machine is seen")?["port"].to_string();
        let got = witness.dial(&outside, (&address, &port))?;
        for line in &got {
            println!("    the client: {line}");
        }
        let of = |name: &str| {
            got.iter()
                .find(|line| line["name"] == name)
                .context("an attempt")
        };
        ensure!(
            of("control")?["connected"] == true,
            "the client does not work at all"
        );
        for name in ["no key", "another key"] {
            ensure!(of(name)?["connected"] == false, "{name}: {got:?}");
        }
        let heard = |name: &str| -> Result<usize> {
            Ok(of(name)?["heard"].as_str().context("bytes")?.len() / 2)
        };
        ensure!(
            heard("multistream to its own kind")? > 0,
            "the client hears nothing at all"
        );
        for name in ["silence", "multistream", "noise of 4 KiB"] {
            let bytes = heard(name)?;
            ensure!(bytes == 0, "{name}: {bytes} bytes came");
        }
        // Nobody of the studio noticed.
        studio.machines[1].create("Still at work")?;
        studio.together(2, SOON).map(drop)
    });
}
