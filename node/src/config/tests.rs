//! What a folder promises: private keys, one process, nothing touched that a newer program wrote.

use std::path::Path;

use studiovault_protocol::membership::{
    Act, Authority, Cut, Keyring, MeshKey, Moved, Rekey, Roster, SignedRecord, Signer,
};
use studiovault_protocol::time::WallMs;

use super::*;

fn admission(name: &str) -> Admission {
    Admission {
        name: name.to_owned(),
        role: Role::Member,
        priority: 0,
        gateway_preference: 0,
    }
}

fn a_kit() -> Kit {
    let founder = Founder {
        name: "Lisbon".to_owned(),
        region: Region::of_system(),
        cloud: None,
    };
    Kit::found(founder).expect("a studio")
}

fn a_machine() -> (tempfile::TempDir, Machine) {
    let folder = tempfile::tempdir().expect("a folder");
    let machine = Machine::make(
        Folder::at(folder.path()),
        &mut a_kit(),
        admission("front-desk"),
    )
    .expect("a machine");
    (folder, machine)
}

#[test]
fn a_machine_reads_back_as_it_was_made() {
    let (_folder, made) = a_machine();
    let read = Machine::load(made.folder.clone()).expect("reads");
    assert_eq!(read.identity, made.identity);
    assert_eq!(read.key.public(), made.key.public());
    assert_eq!(read.studio.mesh_key, made.studio.mesh_key);
}

#[test]
fn two_machines_of_one_kit_know_the_same_root_and_their_own_grant() {
    let folders = [(); 2].map(|()| tempfile::tempdir().expect("a folder"));
    let mut kit = a_kit();
    let mut make = |at: usize, name: &str| {
        let folder = Folder::at(folders[at].path());
        Machine::make(folder, &mut kit, admission(name)).expect("a machine")
    };
    let (first, second) = (make(0, "front-desk"), make(1, "editor"));
    let roster = second.studio.roster().expect("grants are signed");
    assert_eq!(roster.name(first.identity.device), "front-desk");
    assert_eq!(roster.name(second.identity.device), "editor");
    assert_eq!(first.studio.root, second.studio.root);
    assert_eq!(first.studio.mesh_key, second.studio.mesh_key);
}

#[test]
fn a_folder_becomes_a_machine_once() {
    let (_folder, machine) = a_machine();
    let again = Machine::make(machine.folder.clone(), &mut a_kit(), admission("again"));
    assert!(matches!(again, Err(ConfigError::AlreadyMade(_))));
    let read = Machine::load(machine.folder.clone()).expect("still whole");
    assert_eq!(read.identity.name, "front-desk");
}

#[test]
fn a_folder_without_a_machine_says_what_to_run() {
    let folder = tempfile::tempdir().expect("a folder");
    let error = Machine::load(Folder::at(folder.path())).expect_err("nothing there");
    assert!(error.to_string().contains("studiovault init"), "{error}");
}

#[test]
fn a_folder_of_a_newer_version_is_refused_and_left_alone() {
    let (_folder, machine) = a_machine();
    let path = machine.folder.identity_path();
    let newer = r#"{"version": 99, "something": "else"}"#;
    fs::write(&path, newer).expect("written");
    let error = Machine::load(machine.folder.clone()).expect_err("refused");
    assert!(
        matches!(error, ConfigError::Newer { found: 99, .. }),
        "{error}"
    );
    assert_eq!(fs::read_to_string(&path).expect("still there"), newer);
}

#[test]
fn one_process_at_a_time_holds_a_folder() {
    let (_folder, machine) = a_machine();
    let held = machine.folder.lock().expect("free");
    assert!(matches!(machine.folder.lock(), Err(ConfigError::Busy(_))));
    drop(held);
    assert!(machine.folder.lock().is_ok());
}

#[test]
fn a_grant_that_the_root_key_did_not_sign_makes_the_file_unusable() {
    let (_folder, machine) = a_machine();
    let mut studio = machine.studio.clone();
    if let studiovault_protocol::membership::Act::Grant(grant) = &mut studio.records[0].act {
        grant.name = "intruder".to_owned();
    }
    studio.save(&machine.folder.studio_path()).expect("saved");
    let error = Machine::load(machine.folder.clone()).expect_err("refused");
    assert!(error.to_string().contains("signature"), "{error}");
}

#[test]
fn names_that_people_cannot_use_are_refused() {
    for name in ["", "   ", "two\nlines", &"x".repeat(65)] {
        assert!(check_name(name).is_err(), "{name:?}");
    }
    assert!(check_name("Estúdio 1").is_ok());
}

#[test]
fn secrets_do_not_show_in_debug_output() {
    let kit = a_kit();
    let studio = kit.studio_file();
    let shown = format!("{studio:?} {kit:?}");
    let secrets = [
        studio.mesh_key,
        studio.discovery_key,
        SecretBytes(kit.root_key().seed()),
    ];
    for secret in secrets {
        assert!(!shown.contains(&secret.to_string()), "{shown}");
    }
}

#[cfg(unix)]
#[test]
fn keys_are_for_their_owner_only_and_a_key_that_others_can_read_is_refused() {
    use std::os::unix::fs::PermissionsExt;
    let (_folder, machine) = a_machine();
    for path in [machine.folder.key_path(), machine.folder.studio_path()] {
        let mode = fs::metadata(&path).expect("there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{}", path.display());
    }
    let key = machine.folder.key_path();
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).expect("set");
    let error = Machine::load(machine.folder.clone()).expect_err("refused");
    assert!(error.to_string().contains("chmod 600"), "{error}");
}

#[test]
fn another_key_of_the_mesh_changes_what_is_announced() {
    let mut studio = a_kit().studio_file();
    let before = studio.discovery_keys();
    studio.earlier_keys.insert(
        0,
        std::mem::replace(&mut studio.mesh_key, SecretBytes([9; 32])),
    );
    let after = studio.discovery_keys();
    assert_eq!(after.len(), 2);
    assert_eq!(after[1], before[0], "who has not moved knows that one");
    assert_ne!(after[0], before[0]);
}

#[test]
fn the_keys_before_rest_once_all_have_moved_and_wake_for_whoever_has_not_or_when_the_new_one_falls()
{
    let mut kit = a_kit();
    let (root, mut studio) = (kit.root_key(), kit.studio_file());
    let first = studio.mesh_key.0;
    let grant = |n: u8, role| Grant {
        device: DeviceId([n; 16]),
        key: SecretKey::from_seed([n; 32]).public(),
        name: format!("machine {n}"),
        role,
        priority: 0,
        gateway_preference: 0,
        version: 1,
    };
    kit.grant(grant(1, Role::Admin));
    let mut roster = kit.studio_file().roster().expect("a roster");
    let admin = |roster: &Roster| {
        let Some(Signer::Holder(under)) = roster.signer(DeviceId([1; 16])) else {
            unreachable!("it is an admin")
        };
        Authority::holder(under, SecretKey::from_seed([1; 32]))
    };
    let mut keyring = Keyring::default();
    let third = SignedRecord::by_root(kit.studio, grant(3, Role::Member), &root);
    for number in [7, 8] {
        let key = MeshKey([number; 32]);
        let rekey = Rekey::seal((&roster, &admin(&roster)), keyring.rekey.as_ref(), key);
        let moved =
            [1, 3].map(|n| Moved::seal(DeviceId([n; 16]), &rekey, &SecretKey::from_seed([n; 32])));
        keyring = Keyring {
            before: keyring.rekey.into_iter().chain(keyring.before).collect(),
            rekey: Some(rekey),
            moved: moved.into(),
        };
        studio.rekey(&keyring, &roster);
        assert!(
            number == 8 || studio.mesh_keys() == [[7; 32], first],
            "nobody else is known yet"
        );
        roster.insert(third.clone()).expect("the root signed it");
        studio.rekey(&keyring, &roster);
        assert_eq!(studio.mesh_keys(), [[number; 32]], "all use it");
    }
    let all = [[8; 32], [7; 32], first];
    let late = SignedRecord::by_root(kit.studio, grant(2, Role::Member), &root);
    roster.insert(late).expect("the root signed it");
    studio.rekey(&keyring, &roster);
    assert_eq!(
        studio.mesh_keys(),
        all,
        "one may know none of them but the first"
    );
    let cut = Cut {
        device: DeviceId([1; 16]),
        stands: Vec::new(),
        keeps: Vec::new(),
        at: WallMs(0),
    };
    let fell = SignedRecord::seal(kit.studio, Act::Revoke(cut), &Authority::root(root));
    roster.insert(fell).expect("the root signed it");
    // Twice says the same as once.
    for _ in 0..2 {
        studio.rekey(&keyring, &roster);
        assert_eq!(studio.mesh_keys()[0], first, "neither was signed by right");
        assert_eq!(studio.mesh_keys().len(), 3);
    }
}

#[cfg(unix)]
#[test]
fn what_would_never_end_and_what_is_too_long_is_read_as_no_text() {
    let folder = tempfile::tempdir().expect("a folder");
    let long = folder.path().join("long");
    let file = std::fs::File::create(&long).expect("makes");
    file.set_len(1 << 30).expect("sparse");
    for path in [Path::new("/dev/zero"), folder.path(), &long] {
        let refused = secret::read_text(path).expect_err("no text");
        assert!(refused.to_string().contains("no plain file"), "{refused}");
    }
    let short = folder.path().join("short");
    std::fs::write(&short, "a kit").expect("writes");
    assert_eq!(secret::read_text(&short).expect("reads"), "a kit");
}
