//! A machine's key in the system's keychain: a real secret service on a bus of the test's own.

use std::io::Write;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use studiovault_lab::lab::{BUS_VARIABLE, Bus, eventually};

use super::*;

/// Until the keychain has come up.
const UP: Duration = Duration::from_secs(20);

/// A bus with a keychain on it that is unlocked, both ended with it.
struct Keychain {
    keeper: Child,
    bus: Bus,
}

impl Keychain {
    fn new() -> Self {
        let bus = Bus::start().expect("dbus-daemon is installed");
        let mut keeper = bus
            .command("gnome-keyring-daemon")
            .args(["--foreground", "--components=secrets", "--unlock"])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .expect("gnome-keyring is installed");
        let mut password = keeper.stdin.take().expect("piped");
        password.write_all(b"a password").expect("is read");
        drop(password);
        let keychain = Self { keeper, bus };
        eventually("the keychain is on the bus", UP, || {
            keychain.is_up().then_some(())
        })
        .expect("a keychain");
        keychain
    }

    fn is_up(&self) -> bool {
        let asked = self
            .bus
            .command("dbus-send")
            .args(["--session", "--print-reply", "--dest=org.freedesktop.DBus"])
            .args(["/", "org.freedesktop.DBus.NameHasOwner"])
            .arg("string:org.freedesktop.secrets")
            .output()
            .expect("dbus-send is installed");
        String::from_utf8_lossy(&asked.stdout).contains("boolean true")
    }

    /// A command of a person who is logged in with this keychain.
    fn person(&self, folder: &Path, arguments: &[&str]) -> Output {
        let mut command = Command::new(studiovault_lab::lab::studiovault().expect("built"));
        command.arg("--data").arg(folder).args(arguments);
        command
            .env(BUS_VARIABLE, self.bus.address())
            .env_remove("STUDIOVAULT_KEYS");
        command.output().expect("runs")
    }

    fn said(&self, folder: &Path, arguments: &[&str]) -> String {
        let output = self.person(folder, arguments);
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        String::from_utf8(output.stdout).expect("text")
    }
}

impl Drop for Keychain {
    fn drop(&mut self) {
        // An error means that it has ended.
        let _ = self.keeper.kill();
        let _ = self.keeper.wait();
    }
}

fn key_file(folder: &Path) -> String {
    fs::read_to_string(folder.join("device.key")).expect("reads")
}

#[test]
fn a_key_is_kept_in_the_keychain_where_there_is_one_and_moves_on_demand() {
    let keychain = Keychain::new();
    let place = Place::new();
    let folder = place.path("desk");
    let kit = place.path("desk.kit");
    let kit = kit.to_str().expect("a path");
    let init = [
        "init",
        "--name",
        "desk",
        "--studio-name",
        "Lisbon",
        "--kit",
        kit,
    ];
    let told = keychain.said(&folder, &init);
    assert!(told.contains("the system's keychain"), "{told}");
    assert_eq!(key_file(&folder), "keychain");
    // Whoever is not logged in, or took the folder along, has no key.
    let without = say(&folder, &["verify"]);
    assert_eq!(without.code, 1, "{without:?}");
    assert!(without.error.contains("keychain"), "{without:?}");
    assert!(without.error.contains("Unlock it"), "{without:?}");
    // Whoever has it gets as far as the store, which a machine that never ran does not have.
    let with = keychain.person(&folder, &["verify"]);
    let with = String::from_utf8_lossy(&with.stderr).into_owned();
    assert!(with.contains("nothing to check"), "{with}");
    keychain.said(&folder, &["keys", "--move-to", "file"]);
    let key = key_file(&folder);
    assert_eq!(key.len(), 64, "the key itself");
    let with = say(&folder, &["verify"]);
    assert!(with.error.contains("nothing to check"), "{with:?}");
    keychain.said(&folder, &["keys", "--move-to", "keychain"]);
    assert_eq!(key_file(&folder), "keychain");
    let told = keychain.said(&folder, &["keys", "--json"]);
    let told: Value = serde_json::from_str(&told).expect("JSON");
    assert_eq!(told["keys"], json!("keychain"));
    // The same key as before, not another one.
    keychain.said(&folder, &["keys", "--move-to", "file"]);
    assert_eq!(key_file(&folder), key);
}

#[test]
fn without_a_keychain_the_key_is_a_file_and_a_wish_for_one_is_refused() {
    let place = Place::new();
    let init = |folder: &str, keys: &str| {
        let kit = place.path(&format!("{folder}.kit"));
        let kit = kit.to_str().expect("a path").to_owned();
        let words = ["init", "--name", "x", "--studio-name", "y", "--kit", &kit];
        let mut command = Command::new(studiovault_lab::lab::studiovault().expect("built"));
        command.arg("--data").arg(place.path(folder)).args(words);
        command
            .env("STUDIOVAULT_KEYS", keys)
            .env(BUS_VARIABLE, "unix:path=/nowhere/bus");
        command.output().expect("runs")
    };
    let made = init("auto", "auto");
    assert!(made.status.success(), "{made:?}");
    assert_eq!(key_file(&place.path("auto")).len(), 64);
    let refused = init("wished", "keychain");
    assert_eq!(refused.status.code(), Some(1), "{refused:?}");
    let error = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(error.contains("keychain"), "{error}");
    assert!(!place.path("wished").join("node.json").exists());
}
