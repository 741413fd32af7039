//! The recovery kit: a machine from nothing, and one taken back that was shut out.

use super::*;

fn listening(folder: &Path) -> String {
    until(folder, "it listens", || {
        json(folder, &["status"])["node"]["listening"][0].is_string()
    });
    text(&json(folder, &["status"])["node"]["listening"][0]).to_owned()
}

fn kit_of(folder: &Path) -> String {
    let kit = folder.with_extension("kit");
    kit.to_str().expect("a path").to_owned()
}

fn standing_of(folder: &Path, machine: &str) -> String {
    let page = json(folder, &["devices"]);
    let devices = page["devices"].as_array().expect("a list");
    let named = devices.iter().find(|device| device["name"] == machine);
    text(&named.expect("it is listed")["standing"]).to_owned()
}

#[test]
fn a_machine_made_from_the_kit_gets_everything_and_one_shut_out_is_taken_back_by_it() {
    let place = Place::new();
    let desk = place.found("front-desk", None);
    let node = Running::node(&desk, &[]);
    let id = put(&desk, &["client", "name=Silva"]);
    let (address, kit) = (listening(&desk), kit_of(&desk));
    let laptop = place.path("laptop");
    done(&laptop, &["recover", "--kit", &kit, "--name", "laptop"]);
    let other = Running::node(&laptop, &[&address]);
    until(&laptop, "it comes over", || {
        say(&laptop, &["get", "client", &id]).code == 0
    });
    stands(&laptop, ("client", &id), "on 2 of 2 machines");
    done(&desk, &["revoke", "laptop"]);
    until(&laptop, "it hears of it", || {
        standing_of(&laptop, "laptop") == "revoked"
    });
    let refused = say(&laptop, &["put", "client", "name=Costa"]);
    assert_eq!(refused.code, 4, "{refused:?}");
    // Another studio's kit takes nobody back, and whoever belongs needs none.
    let elsewhere = kit_of(&place.found("elsewhere", None));
    let wrong = say(&desk, &["readmit", "laptop", "--kit", &elsewhere]);
    assert!(
        wrong.code == 4 && wrong.error.contains("another studio"),
        "{wrong:?}"
    );
    let needless = say(&desk, &["readmit", "front-desk", "--kit", &kit]);
    assert!(
        needless.code == 4 && needless.error.contains("belongs"),
        "{needless:?}"
    );
    let said = done(&desk, &["readmit", "laptop", "--kit", &kit]);
    assert!(said.starts_with("laptop belongs again"), "{said}");
    until(&desk, "it shows", || {
        standing_of(&desk, "laptop") == "active"
    });
    until(&laptop, "it is taken back", || {
        standing_of(&laptop, "laptop") == "active"
    });
    let written = put(&laptop, &["client", "name=Costa"]);
    until(&desk, "it comes over", || {
        say(&desk, &["get", "client", &written]).code == 0
    });
    stands(&desk, ("client", &written), "on 2 of 2 machines");
    other.stop();
    node.stop();
}

#[test]
fn a_machine_that_the_cloud_has_not_heard_of_brings_the_roster_itself_and_a_revoked_one_gets_nothing()
 {
    let place = Place::new();
    let cloud = Running::cloud(&place.path("cloud"));
    let office = place.found("office", Some(&cloud));
    // The cloud hears of the laptop from the laptop: nobody else has been there since it joined.
    let laptop = place.join("laptop", &office);
    let alone = Running::node(&laptop, &[]);
    let id = put(&laptop, &["client", "name=Silva"]);
    stands(&laptop, ("client", &id), "confirmed");
    alone.stop();
    let node = Running::node(&office, &[]);
    until(&office, "the cloud brings it", || {
        say(&office, &["get", "client", &id]).code == 0
    });
    done(&office, &["revoke", "laptop"]);
    let after = put(&office, &["client", "name=Costa"]);
    stands(&office, ("client", &after), "confirmed");
    node.stop();
    // It still has the studio's token and key, and does not know yet that it was shut out.
    let thief = Running::node(&laptop, &[]);
    until(&laptop, "the cloud turns it away", || {
        let status = json(&laptop, &["status"]);
        status["cloud"]["authorised"] == json!(false)
            && status["cloud"]["problem"]
                .to_string()
                .contains("no longer belongs")
    });
    // A sign-in would help nobody, so none is asked for.
    let status = json(&laptop, &["status"]);
    assert_eq!(status["cloud"]["problem_kind"], "shut_out", "{status}");
    for command in ["status", "doctor"] {
        let said = say(&laptop, &[command]).out;
        assert!(
            said.contains("shut out") && said.contains("invite"),
            "{said}"
        );
        assert!(!said.contains("login"), "{said}");
    }
    let refused = say(&laptop, &["login", "--token", "svp_another"]);
    assert!(
        refused.code == 4 && refused.error.contains("nothing was kept"),
        "{refused:?}"
    );
    let gone = say(&laptop, &["get", "client", &after]);
    assert_eq!(gone.code, 5, "{gone:?}");
    thief.stop();
}

/// What comes of an init whose output goes to a file, started in a folder.
fn made_in(place: &Path, words: &[&str], out: fs::File) -> std::process::Output {
    let mut init = Process::new(studiovault_lab::lab::studiovault().expect("the product is built"));
    init.args([
        "--data",
        "machine",
        "init",
        "--name",
        "desk",
        "--studio-name",
        "Lisbon",
    ]);
    init.args(["--keys", "file"]).args(words);
    init.current_dir(place)
        .stdout(out)
        .output()
        .expect("it runs")
}

#[test]
fn a_kit_that_nobody_could_read_is_kept_and_said_so() {
    for words in [&[][..], &["--json"]] {
        let place = Place::new();
        let full = fs::File::options().write(true).open("/dev/full");
        let made = made_in(place.0.path(), words, full.expect("the device"));
        let said = String::from_utf8_lossy(&made.stderr).into_owned();
        assert_eq!(made.status.code(), Some(1), "{said}");
        let kept = fs::read_to_string(place.path("machine/recovery-kit")).expect("the kit");
        assert!(
            said.contains("recovery-kit") && kept.parse::<Kit>().is_ok(),
            "{said}"
        );
    }
}

#[test]
fn a_kit_goes_to_a_new_file_alone_also_of_a_bare_name() {
    let place = Place::new();
    let nothing = || {
        fs::File::options()
            .write(true)
            .open("/dev/null")
            .expect("the device")
    };
    let made = made_in(place.0.path(), &["--kit", "kit.txt"], nothing());
    assert!(made.status.success(), "{made:?}");
    let kit = fs::read_to_string(place.path("kit.txt")).expect("the kit");
    fs::rename(place.path("machine"), place.path("first")).expect("out of the way");
    let again = made_in(place.0.path(), &["--kit", "kit.txt"], nothing());
    let said = String::from_utf8_lossy(&again.stderr).into_owned();
    assert_eq!(again.status.code(), Some(2), "{said}");
    assert!(
        said.contains("another studio") && !place.path("machine").exists(),
        "{said}"
    );
    assert_eq!(
        fs::read_to_string(place.path("kit.txt")).expect("the kit"),
        kit
    );
    // Where no machine can be made, no kit of it is left.
    fs::write(place.path("machine"), "a file").expect("written");
    let blocked = made_in(place.0.path(), &["--kit", "other.txt"], nothing());
    assert!(
        !blocked.status.success() && !place.path("other.txt").exists(),
        "{blocked:?}"
    );
}
