//! The node as a service: what is told to systemd, by a stand-in that writes down what it was asked, and whether what stands in
//! the unit starts a node. systemd itself is not needed.

use std::os::unix::fs::PermissionsExt as _;

use super::*;

/// A home with a `systemctl` that keeps a list of its calls.
struct Home {
    place: Place,
    path: String,
}

impl Home {
    fn new() -> Self {
        let place = Place::new();
        let tools = place.path("tools");
        fs::create_dir_all(&tools).expect("a folder");
        let script = format!(
            "#!/bin/sh\necho \"$*\" >> {}\nif [ \"$2\" = status ]; then exit 3; fi\n",
            place.path("calls").display()
        );
        let tool = tools.join("systemctl");
        fs::write(&tool, script).expect("a script");
        fs::set_permissions(&tool, fs::Permissions::from_mode(0o755)).expect("it may run");
        let path = std::env::var("PATH").unwrap_or_default();
        let path = format!("{}:{path}", tools.display());
        Self { place, path }
    }

    fn service(&self, folder: &Path, action: &str) -> Value {
        let (output, error) = self.said(folder, action);
        assert_eq!(output.0, Some(0), "{error}");
        serde_json::from_slice(&output.1).expect("JSON")
    }

    /// The exit code and the output, and the error stream.
    fn said(&self, folder: &Path, action: &str) -> ((Option<i32>, Vec<u8>), String) {
        let mut command = Process::new(studiovault_lab::lab::studiovault().expect("a program"));
        command.args(["service", action, "--json", "--data"]);
        command.arg(folder).env("PATH", &self.path);
        command.env("HOME", self.place.path("home"));
        command.env_remove("XDG_CONFIG_HOME");
        let output = command.output().expect("it runs");
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        ((output.status.code(), output.stdout), error)
    }

    /// From now on `systemctl` refuses this one word.
    fn refuses(&self, word: &str) {
        let script = format!(
            "#!/bin/sh\nif [ \"$2\" = status ]; then exit 0; fi\nif [ \"$2\" = {word} ]; then exit 1; fi\n"
        );
        fs::write(self.place.path("tools/systemctl"), script).expect("a script");
    }

    fn calls(&self) -> String {
        fs::read_to_string(self.place.path("calls")).unwrap_or_default()
    }

    fn units(&self) -> Vec<PathBuf> {
        let folder = self.place.path("home/.config/systemd/user");
        let entries = fs::read_dir(folder).into_iter().flatten();
        entries
            .map(|entry| entry.expect("an entry").path())
            .collect()
    }
}

/// The words of a unit's command line.
fn words(unit: &str) -> Vec<String> {
    let line = unit
        .lines()
        .find_map(|line| line.strip_prefix("ExecStart="));
    let line = line.expect("it starts something");
    let words = line.trim_matches('"').split("\" \"");
    words.map(str::to_owned).collect()
}

#[test]
fn a_service_is_installed_runs_what_its_unit_says_into_a_rotated_log_and_is_removed() {
    let home = Home::new();
    let folder = home.place.found("front desk", None);
    let installed = home.service(&folder, "install");
    let [unit_path] = &home.units()[..] else {
        panic!("one unit: {:?}", home.units());
    };
    let unit = fs::read_to_string(unit_path).expect("a unit");
    for line in [
        "Restart=on-failure",
        "WantedBy=default.target",
        "UMask=0077",
    ] {
        assert!(unit.lines().any(|there| there == line), "{line}: {unit}");
    }
    let name = text(&installed["service"]).to_owned();
    assert!(home.calls().contains("--user enable"), "{}", home.calls());
    assert!(
        home.calls().contains(&format!("--user start {name}")),
        "{}",
        home.calls()
    );
    assert_eq!(home.service(&folder, "status")["state"], "stopped");

    // What systemd would start, started here.
    let words = words(&unit);
    assert_eq!(
        words[1..4],
        ["run", "--data", folder.to_str().expect("a path")]
    );
    let arguments: Vec<&str> = words[4..].iter().map(String::as_str).collect();
    let running = Running::start(&folder, &[&["run", "--silent"], &arguments[..]].concat());
    put(&folder, &["client", "name=Silva"]);
    let log = fs::read_to_string(text(&installed["log"])).expect("a log");
    assert!(!log.is_empty());
    drop(running);

    home.service(&folder, "remove");
    assert!(home.units().is_empty(), "{:?}", home.units());
    assert!(home.calls().contains("--user disable"), "{}", home.calls());
    assert!(folder.join("node.json").exists(), "the data stay");
}

#[test]
fn a_folder_that_holds_no_machine_becomes_no_service() {
    let home = Home::new();
    let mut command = Process::new(studiovault_lab::lab::studiovault().expect("a program"));
    command.args(["service", "install", "--data"]);
    command
        .arg(home.place.path("nothing"))
        .env("PATH", &home.path);
    command.env("HOME", home.place.path("home"));
    let output = command.output().expect("it runs");
    assert!(!output.status.success());
    assert!(home.units().is_empty() && home.calls().is_empty());
}

#[test]
fn a_service_that_systemd_does_not_take_leaves_nothing_behind() {
    let home = Home::new();
    let folder = home.place.found("front desk", None);
    for word in ["enable", "start"] {
        home.refuses(word);
        let (output, error) = home.said(&folder, "install");
        assert_eq!(output.0, Some(1), "{error}");
        assert!(home.units().is_empty(), "{word}: {:?}", home.units());
    }
}

#[test]
fn what_was_never_there_or_cannot_be_stopped_is_not_told_as_gone() {
    let home = Home::new();
    let folder = home.place.found("front desk", None);
    let (output, error) = home.said(&folder, "remove");
    assert_eq!(output.0, Some(5), "{error}");
    home.service(&folder, "install");
    home.refuses("stop");
    let (output, error) = home.said(&folder, "remove");
    assert_eq!(output.0, Some(1), "{error}");
    assert_eq!(home.units().len(), 1, "it runs on, and is kept");
}
