//! Packs: machines that never meet work together by a file, whatever happens to the stick on the way.

use std::io::Write as _;
use std::process::{Child, Stdio};

use super::*;
use studiovault_lab::lab::studiovault;

/// Two machines of one studio that are never linked, and a stick.
struct Field {
    place: Place,
    desk: PathBuf,
    laptop: PathBuf,
}

impl Field {
    fn new() -> Self {
        let place = Place::new();
        let desk = place.found("front-desk", None);
        let laptop = place.join("laptop", &desk);
        Self {
            place,
            desk,
            laptop,
        }
    }

    fn stick(&self, name: &str) -> String {
        let path = self.place.path(name);
        path.to_str().expect("a path").to_owned()
    }
}

/// Bundles that were new, held already and waiting, by an import's report.
fn bundles(report: &Value) -> [u64; 3] {
    let counts = ["new", "held"].map(|kind| &report["bundles"][kind]);
    let [new, held] = counts.map(|count| count.as_u64().expect("a count"));
    [new, held, report["waiting"].as_u64().expect("a count")]
}

/// An import that was not whole: its report, and the code it ended with.
fn partly(folder: &Path, pack: &str) -> (Value, i32) {
    let said = say(folder, &["--json", "import-pack", pack]);
    let report = serde_json::from_str(&said.out);
    (report.unwrap_or_else(|_| panic!("{said:?}")), said.code)
}

fn state(folder: &Path) -> Value {
    json(folder, &["status"])["state_hash"].clone()
}

/// A pack of a hundred clients with long notes, some twenty of which fill a bundle: its path, its bytes and its bundles.
fn a_large_pack(field: &Field) -> (String, Vec<u8>, u64) {
    let mut text = "name,notes\n".to_owned();
    for n in 0..100 {
        let note = format!("prefers the garden in the evening, {n}; ").repeat(280);
        text.push_str(&format!("Client {n},\"{note}\"\n"));
    }
    let file = field.stick("clients.csv");
    fs::write(&file, text).expect("writes");
    done(&field.desk, &["import", &file, "--type", "client"]);
    let pack = field.stick("whole.pack");
    let made = json(&field.desk, &["export", &pack]);
    let whole = fs::read(&pack).expect("a pack");
    (
        pack,
        whole,
        made["label"]["bundles"].as_u64().expect("a count"),
    )
}

/// Where every chunk of a pack begins.
fn chunks(pack: &[u8]) -> Vec<usize> {
    let mut at = studiovault_protocol::pack::HEAD_BYTES;
    let mut begins = Vec::new();
    while at < pack.len() {
        begins.push(at);
        let length = pack[at..at + 4].try_into().expect("four bytes");
        at += studiovault_protocol::pack::CHUNK_HEAD_BYTES + u32::from_le_bytes(length) as usize;
    }
    begins
}

#[test]
fn two_machines_that_never_meet_exchange_their_work_by_a_file_both_ways_and_twice_adds_nothing() {
    let field = Field::new();
    let (desk, laptop) = (&field.desk, &field.laptop);
    let node = Running::node(desk, &[]);
    let silva = put(desk, &["client", "name=Silva"]);
    let there = field.stick("there.pack");
    let made = json(desk, &["export", &there]);
    assert_eq!(made["label"]["bundles"], json!(1));
    // Into a folder with which no node runs.
    let report = json(laptop, &["import-pack", &there]);
    assert_eq!(bundles(&report), [1, 0, 0], "{report}");
    let other = Running::node(laptop, &[]);
    let shown = json(laptop, &["get", "client", &silva]);
    assert_eq!(shown["fields"]["name"], json!("Silva"));
    let costa = put(laptop, &["client", "name=Costa"]);
    let back = field.stick("back.pack");
    done(laptop, &["export", &back]);
    // Into a running node, which has never heard of the laptop.
    let report = json(desk, &["import-pack", &back]);
    assert_eq!(bundles(&report), [1, 1, 0], "{report}");
    assert_eq!(report["records"], json!(1), "{report}");
    let shown = json(desk, &["get", "client", &costa]);
    assert_eq!(shown["fields"]["name"], json!("Costa"));
    assert!(done(desk, &["devices"]).contains("laptop"));
    until(desk, "both show the same", || state(desk) == state(laptop));
    let before = state(desk);
    for pack in [&back, &there] {
        let again = done(desk, &["import-pack", pack]);
        assert!(again.contains("0 bundles new"), "{again}");
    }
    assert_eq!(state(desk), before);
    for folder in [desk, laptop] {
        let lines = done(folder, &["audit", "--kind", "export"]);
        assert!(
            lines.contains("was made") && lines.contains("taken in"),
            "{lines}"
        );
    }
    let refused = say(desk, &["export", &there]);
    assert!(
        refused.code == 4 && refused.error.contains("--force"),
        "{refused:?}"
    );
    done(desk, &["export", &there, "--force"]);
    assert!(parts(&field).is_empty());
    other.stop();
    node.stop();
}

/// Unfinished packs on the stick.
fn parts(field: &Field) -> Vec<String> {
    let stick = PathBuf::from(field.stick("x"));
    let files = fs::read_dir(stick.parent().expect("a folder")).expect("reads");
    let names = files.map(|file| file.expect("a file").file_name());
    let names = names.map(|name| name.to_string_lossy().into_owned());
    names.filter(|name| name.ends_with(".part")).collect()
}

#[test]
fn an_export_touches_no_file_but_its_own() {
    let field = Field::new();
    let desk = &field.desk;
    let node = Running::node(desk, &[]);
    put(desk, &["client", "name=Silva"]);
    let pack = field.stick("whole.pack");
    let mine = format!("{pack}.part");
    fs::write(&mine, "mine").expect("writes");
    done(desk, &["export", &pack]);
    assert_eq!(fs::read_to_string(&mine).expect("is there"), "mine");
    assert_eq!(parts(&field), ["whole.pack.part"]);
    // What is no file is replaced by none, whoever insists.
    let link = field.stick("link.pack");
    std::os::unix::fs::symlink("/dev/full", &link).expect("links");
    let refused = say(desk, &["export", &link, "--force"]);
    assert_eq!(refused.code, 4, "{refused:?}");
    assert!(refused.error.contains("no plain file"), "{refused:?}");
    assert!(fs::symlink_metadata(&link).expect("is there").is_symlink());
    // Of several at once to one path one takes it; the others say so, and the pack is whole.
    let one = field.stick("one.pack");
    let codes: Vec<i32> = std::thread::scope(|scope| {
        let export = || say(desk, &["export", &one]).code;
        let exports: Vec<_> = (0..4).map(|_| scope.spawn(export)).collect();
        let ended = exports.into_iter().map(|export| export.join());
        ended.map(|code| code.expect("ends")).collect()
    });
    assert_eq!(codes.iter().filter(|code| **code == 0).count(), 1);
    assert!(codes.iter().all(|code| [0, 4].contains(code)), "{codes:?}");
    let report = json(&field.laptop, &["import-pack", &one]);
    assert_eq!(bundles(&report), [1, 0, 0], "{report}");
    assert_eq!(parts(&field), ["whole.pack.part"]);
    node.stop();
}

#[test]
fn a_pack_for_a_machine_or_beyond_a_frontier_holds_only_what_is_lacking_there() {
    let field = Field::new();
    let (desk, laptop) = (&field.desk, &field.laptop);
    let node = Running::node(desk, &[]);
    put(desk, &["client", "name=Silva"]);
    let there = field.stick("there.pack");
    done(desk, &["export", &there]);
    done(laptop, &["import-pack", &there]);
    let other = Running::node(laptop, &[]);
    put(laptop, &["client", "name=Costa"]);
    other.stop();
    let back = field.stick("back.pack");
    done(laptop, &["export", &back]);
    done(desk, &["import-pack", &back]);
    (0..3).for_each(|n| drop(put(desk, &["client", &format!("name=Client {n}")])));
    let news = field.stick("news.pack");
    let made = json(desk, &["export", &news, "--for", "laptop"]);
    assert_eq!(made["label"]["bundles"], json!(3), "{made}");
    let frontier = field.stick("frontier.json");
    let tell = || fs::write(&frontier, done(laptop, &["frontier"])).expect("writes");
    tell();
    let beyond = ["export", &news, "--force", "--since", &frontier];
    assert_eq!(json(desk, &beyond)["label"]["bundles"], json!(3));
    let report = json(laptop, &["import-pack", &news]);
    assert_eq!(bundles(&report), [3, 0, 0], "{report}");
    tell();
    assert_eq!(json(desk, &beyond)["label"]["bundles"], json!(0));
    let nobody = say(desk, &["export", &news, "--force", "--for", "nobody"]);
    assert_eq!(nobody.code, 5, "{nobody:?}");
    let elsewhere = field.place.found("elsewhere", None);
    for wrong in [done(&elsewhere, &["frontier"]), "{}".to_owned()] {
        fs::write(&frontier, wrong).expect("writes");
        let refused = say(desk, &beyond);
        assert!(
            refused.code == 4 && refused.error.contains("frontier"),
            "{refused:?}"
        );
    }
    // What went to the laptop alone lacks its beginning elsewhere.
    let third = field.place.join("tablet", desk);
    let report = json(&third, &["import-pack", &back]);
    assert_eq!(bundles(&report), [2, 0, 0], "{report}");
    fs::write(&frontier, done(laptop, &["frontier"])).expect("writes");
    put(desk, &["client", "name=Last"]);
    done(desk, &beyond);
    let told = done(&third, &["import-pack", &news]);
    assert!(
        told.contains("0 bundles new") && told.contains("1 waiting"),
        "{told}"
    );
    assert!(told.contains("studiovault frontier"), "{told}");
    node.stop();
}

#[test]
fn of_a_damaged_pack_all_that_can_be_is_used_and_the_rest_is_named() {
    let field = Field::new();
    let node = Running::node(&field.desk, &[]);
    let (pack, whole, all) = a_large_pack(&field);
    let begins = chunks(&whole);
    assert!(begins.len() >= 6, "several parts with bundles: {begins:?}");
    let bent_one = field.stick("bent.pack");
    let mut bent = whole.clone();
    bent[begins[3] + 40] ^= 0x10;
    fs::write(&bent_one, &bent).expect("writes");
    let (report, code) = partly(&field.laptop, &bent_one);
    let [new, _, waiting] = bundles(&report);
    assert_eq!((code, &report["damaged_parts"]), (1, &json!(1)), "{report}");
    assert!(new > 0 && waiting > 0 && new + waiting < all, "{report}");
    let said = say(&field.laptop, &["import-pack", &bent_one]);
    assert!(said.out.contains("damaged and were left out"), "{said:?}");
    assert!(said.error.contains("Copy the pack anew"), "{said:?}");
    let report = json(&field.laptop, &["import-pack", &pack]);
    assert_eq!(bundles(&report), [all - new, new, 0], "{report}");
    let tablet = field.place.join("tablet", &field.desk);
    let short_one = field.stick("short.pack");
    fs::write(&short_one, &whole[..begins[4] + 99]).expect("writes");
    let (report, code) = partly(&tablet, &short_one);
    assert_eq!(
        (code, &report["ending"]),
        (1, &json!("cut_off")),
        "{report}"
    );
    assert!(bundles(&report)[0] > 0, "{report}");
    let behind = field.stick("behind.pack");
    fs::write(&behind, [&whole[..], b"more"].concat()).expect("writes");
    let (report, code) = partly(&tablet, &behind);
    assert_eq!(
        (code, &report["ending"]),
        (1, &json!("more_behind")),
        "{report}"
    );
    let other = Running::node(&tablet, &[]);
    assert_eq!(state(&tablet), state(&field.desk));
    other.stop();
    node.stop();
}

#[test]
fn a_pack_of_another_studio_of_a_newer_program_or_none_at_all_changes_nothing() {
    let field = Field::new();
    let elsewhere = field.place.found("elsewhere", None);
    let pack = field.stick("theirs.pack");
    done(&elsewhere, &["export", &pack]);
    let before = done(&field.laptop, &["frontier"]);
    let mut newer = fs::read(&pack).expect("a pack");
    newer[8] = 2;
    let own = field.stick("own.pack");
    done(&field.desk, &["export", &own]);
    let cases: [(&str, Vec<u8>, &str); 4] = [
        ("theirs", fs::read(&pack).expect("a pack"), "another studio"),
        ("newer", newer, "Update StudioVault"),
        ("picture", b"\x89PNG\r\n\x1a\n".repeat(20), "no pack"),
        ("empty", Vec::new(), "no pack"),
    ];
    for (name, bytes, told) in cases {
        let file = field.stick(name);
        fs::write(&file, bytes).expect("writes");
        let said = say(&field.laptop, &["import-pack", &file]);
        assert_eq!(said.code, 4, "{name}: {said:?}");
        assert!(said.error.contains(told), "{name}: {said:?}");
    }
    let missing = say(&field.laptop, &["import-pack", &field.stick("missing")]);
    assert_eq!(missing.code, 5, "{missing:?}");
    let held = |text: &str| serde_json::from_str::<Value>(text).expect("JSON")["held"].clone();
    assert_eq!(held(&before), held(&done(&field.laptop, &["frontier"])));
}

/// `import-pack` that goes on beside the test.
fn importing(folder: &Path, pack: &str) -> Child {
    let mut import = Process::new(studiovault().expect("the product is built"));
    import.arg("--data").arg(folder).args(["import-pack", pack]);
    let quiet = import.stdout(Stdio::null()).stderr(Stdio::null());
    quiet.spawn().expect("starts")
}

#[test]
fn a_node_killed_in_the_middle_of_an_import_keeps_what_it_had_and_takes_the_rest_later() {
    let field = Field::new();
    let node = Running::node(&field.desk, &[]);
    let (pack, whole, all) = a_large_pack(&field);
    let half = chunks(&whole)[4];
    // A stick that stops giving in the middle, until the node is dead.
    let slow = field.stick("slow.pack");
    let made = Process::new("mkfifo").arg(&slow).status();
    assert!(made.expect("mkfifo is there").success());
    let other = Running::node(&field.laptop, &[]);
    let mut import = importing(&field.laptop, &slow);
    let mut stick = fs::OpenOptions::new()
        .write(true)
        .open(&slow)
        .expect("somebody reads");
    stick.write_all(&whole[..half]).expect("is read");
    let count = || json(&field.laptop, &["status"])["counts"]["entities"].clone();
    until(&field.laptop, "a part is in", || count() != json!(0));
    other.signal("KILL");
    drop(other);
    // The reader may be gone by now.
    let _ = stick.write_all(&whole[half..]);
    drop(stick);
    assert!(!import.wait().expect("ends").success());
    let other = Running::node(&field.laptop, &[]);
    let report = json(&field.laptop, &["import-pack", &pack]);
    let [new, held, waiting] = bundles(&report);
    assert_eq!((new + held, waiting), (all, 0), "{report}");
    assert!(new > 0 && held > 0, "it was in the middle: {report}");
    until(&field.laptop, "both show the same", || {
        state(&field.laptop) == state(&field.desk)
    });
    other.stop();
    node.stop();
}
