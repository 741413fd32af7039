//! What a person is told where only a person can help: a key or a store that is gone.

use super::*;

/// A machine with a client, stopped.
fn a_desk_that_ran(place: &Place) -> PathBuf {
    let desk = place.found("front-desk", None);
    let node = Running::node(&desk, &[]);
    put(&desk, &["client", "name=Silva"]);
    node.stop();
    desk
}

/// Takes the store away.
fn lose_store(desk: &Path) {
    for file in ["studio.db", "studio.db-wal", "studio.db-shm"] {
        // The last two are there only after a crash.
        let _ = fs::remove_file(desk.join(file));
    }
}

#[test]
fn a_folder_without_its_key_is_named_and_nothing_is_made_anew() {
    let place = Place::new();
    let desk = a_desk_that_ran(&place);
    fs::remove_file(desk.join("device.key")).expect("is there");
    let store = fs::read(desk.join("studio.db")).expect("a store");
    let again = ["init", "--name", "x", "--studio-name", "y"];
    for arguments in [
        &["run", "--silent"][..],
        &["verify"],
        &["bootstrap", "--lan"],
        &again,
    ] {
        let said = say(&desk, arguments);
        assert_ne!(said.code, 0, "{arguments:?}: {said:?}");
        let is_named =
            said.error.contains("device.key is missing") && said.error.contains("backup");
        assert!(is_named || arguments == again, "{arguments:?}: {said:?}");
    }
    assert!(!desk.join("device.key").exists());
    assert!(fs::read(desk.join("studio.db")).expect("a store") == store);
}

#[test]
fn a_store_that_is_gone_is_not_found_sound() {
    let place = Place::new();
    let desk = a_desk_that_ran(&place);
    lose_store(&desk);
    for command in ["verify", "rebuild"] {
        let said = say(&desk, &[command]);
        let is_told = said.error.contains("studio.db is not there or empty")
            && said.error.contains("bootstrap");
        assert!(said.code == 1 && is_told, "{command}: {said:?}");
    }
    assert!(!desk.join("studio.db").exists(), "one was made");
}

#[test]
fn a_machine_whose_store_is_gone_gives_no_receipt_number_a_second_time() {
    let place = Place::new();
    let desk = a_desk_that_ran(&place);
    for empty in [false, true] {
        lose_store(&desk);
        if empty {
            fs::write(desk.join("studio.db"), b"").expect("writes");
        }
        let said = say(&desk, &["run", "--silent"]);
        let is_told =
            said.error.contains("is gone or empty") && said.error.contains("studiovault bootstrap");
        assert!(said.code != 0 && is_told, "{said:?}");
    }
    // Whoever wants to begin with nothing says so.
    fs::remove_file(desk.join("ran")).expect("is there");
    Running::node(&desk, &[]).stop();
}
