//! Snapshots that machines hold and hand on: a new machine begins from a peer's, with no way to the cloud.

use super::bootstrap::{Studio, state, verified};
use super::*;

/// Where a running machine listens.
fn address(folder: &Path) -> String {
    until(folder, "it listens", || {
        json(folder, &["status"])["node"]["listening"][0].is_string()
    });
    text(&json(folder, &["status"])["node"]["listening"][0]).to_owned()
}

/// Waits until a machine holds the snapshot that ends there.
fn holds(folder: &Path, made: &Value) {
    let shelf = Shelf::of(folder);
    let wanted = made["position"].as_u64();
    until(folder, "it holds the snapshot", || {
        shelf.offer().map(|offer| offer.position) == wanted
    });
}

/// The words of a bootstrap from one machine on the LAN.
fn from<'a>(peers: &[&'a str]) -> Vec<&'a str> {
    let mut words = vec!["bootstrap", "--lan", "--silent", "--listen", "127.0.0.1:0"];
    peers.iter().for_each(|peer| words.extend(["--peer", peer]));
    words
}

/// A studio whose desk holds a snapshot of 600 clients, and has 10 more; the cloud is gone since.
fn studio() -> (Studio, Value) {
    let studio = Studio::new();
    studio.import((0, 600));
    let made = studio.snapshot();
    let node = Running::node(&studio.desk, &[]);
    holds(&studio.desk, &made);
    node.stop();
    studio.import((600, 10));
    studio.cloud.signal("STOP");
    (studio, made)
}

#[test]
fn a_machine_without_internet_begins_from_the_snapshot_of_a_peer_and_hands_it_on() {
    let (studio, made) = studio();
    let desk = Running::node(&studio.desk, &[]);
    let laptop = studio.place.join("laptop", &studio.desk);
    let begun = json(&laptop, &from(&[&address(&studio.desk)]));
    assert_eq!(begun["fetched_bytes"], made["bytes"], "{begun}");
    assert_eq!(begun["commands"], json!(610), "{begun}");
    assert_eq!(verified(&laptop)["entities"], json!(610));
    let at_the_desk = state(&studio.desk);
    desk.stop();
    // It was filled from a snapshot, and a third machine from it alone.
    let node = Running::node(&laptop, &[]);
    assert_eq!(state(&laptop), at_the_desk);
    let tablet = studio.place.join("tablet", &studio.desk);
    let begun = json(&tablet, &from(&[&address(&laptop)]));
    assert_eq!(begun["fetched_bytes"], made["bytes"], "{begun}");
    assert_eq!(verified(&tablet)["entities"], json!(610));
    node.stop();
    let node = Running::node(&tablet, &[]);
    assert_eq!(state(&tablet), at_the_desk);
    node.stop();
}

#[test]
fn a_snapshot_is_made_of_the_own_log_where_it_can_be() {
    let (studio, made) = studio();
    let shelf = Shelf::of(&studio.desk);
    let manifest = shelf.manifest().expect("it is held");
    let reader = Reader::open(&studio.desk).expect("a store");
    let own = (1..manifest.body().segments.len()).map(|segment| {
        let made = make_segment(&reader, &manifest, segment).expect("reads");
        (made.len(), manifest.body().segments[segment].chunks.len())
    });
    let own: Vec<_> = own.collect();
    assert!(
        !own.is_empty() && own.iter().all(|(made, all)| made == all),
        "{own:?} of {made}"
    );
}

#[test]
fn what_a_peer_bent_is_not_loaded_and_its_logs_fill_the_machine() {
    let (studio, _) = studio();
    let laptop = studio.place.join("laptop", &studio.desk);
    let own = Running::node(&laptop, &[]);
    let unsent = put(&laptop, &["client", "name=Unsent"]);
    own.stop();
    let shelf = studio.desk.join("snapshot");
    let chunk = fs::read_dir(shelf.join("chunks"))
        .expect("chunks")
        .map(|file| file.expect("a file").path())
        .max_by_key(|path| fs::metadata(path).map_or(0, |file| file.len()))
        .expect("one of them");
    let (sound, manifest) = (
        fs::read(&chunk).expect("reads"),
        fs::read(shelf.join("manifest")).expect("reads"),
    );
    let bend = |path: &Path, bytes: &[u8], at: usize| {
        let mut bent = bytes.to_vec();
        bent[at] ^= 1;
        fs::write(path, bent).expect("writes");
    };
    // What was damaged is made anew at the next start.
    bend(&chunk, &sound, sound.len() / 2);
    let desk = Running::node(&studio.desk, &[]);
    let at = address(&studio.desk);
    until(&studio.desk, "it is mended", || {
        fs::read(&chunk).expect("reads") == sound
    });
    // Not what its name stands for.
    bend(&chunk, &sound, sound.len() / 2);
    let begun = json(&laptop, &from(&[&at]));
    assert_eq!(begun["fetched_bytes"], Value::Null, "{begun}");
    assert_eq!(
        (&begun["commands"], &begun["carried_over"]),
        (&json!(610), &json!(1))
    );
    let why = |found: &Value, words: &str| {
        let why = text(&found["passed"][0]);
        assert!(why.contains(words), "{found}");
    };
    why(&begun, "a chunk of the snapshot is not the one");
    assert_eq!(verified(&laptop)["entities"], json!(611));
    // Not signed by the cloud truth.
    fs::write(&chunk, &sound).expect("writes");
    bend(&shelf.join("manifest"), &manifest, manifest.len() - 1);
    let tablet = studio.place.join("tablet", &studio.desk);
    let begun = json(&tablet, &from(&[&at]));
    assert_eq!(begun["fetched_bytes"], Value::Null, "{begun}");
    why(&begun, "did not sign");
    assert_eq!(verified(&tablet)["entities"], json!(610));
    let node = Running::node(&laptop, &[&at]);
    until(&studio.desk, "the desk has it", || {
        say(&studio.desk, &["get", "client", &unsent]).code == 0
    });
    node.stop();
    desk.stop();
}

#[test]
fn an_older_snapshot_than_one_that_was_seen_is_not_taken_from_a_peer() {
    let (studio, made) = studio();
    let kept = studio.place.path("kept");
    let copied = Process::new("cp")
        .arg("-a")
        .args([&studio.desk.join("snapshot"), &kept])
        .status();
    assert!(copied.expect("cp is there").success());
    studio.cloud.signal("CONT");
    let newer = studio.snapshot();
    assert!(newer["position"].as_u64() > made["position"].as_u64());
    let laptop = studio.place.join("laptop", &studio.desk);
    assert_eq!(json(&laptop, &["bootstrap"])["position"], newer["position"]);
    studio.cloud.signal("STOP");
    fs::remove_dir_all(studio.desk.join("snapshot")).expect("is there");
    fs::rename(&kept, studio.desk.join("snapshot")).expect("moves");
    // Its store is put back as well: only what it noted of snapshots says that it has seen a newer one.
    fs::remove_file(laptop.join("studio.db")).expect("is there");
    let desk = Running::node(&studio.desk, &[]);
    let begun = json(&laptop, &from(&[&address(&studio.desk)]));
    assert_eq!(begun["fetched_bytes"], Value::Null, "{begun}");
    assert!(
        text(&begun["passed"][0]).contains("has seen the feed up to"),
        "{begun}"
    );
    assert_eq!(verified(&laptop)["entities"], json!(610));
    desk.stop();
}

#[test]
fn a_bootstrap_goes_on_where_it_was_and_takes_each_chunk_from_whoever_has_it() {
    let (studio, made) = studio();
    let manifest = Shelf::of(&studio.desk).manifest().expect("it is held");
    let laptop = studio.place.join("laptop", &studio.desk);
    let desk = Running::node(&studio.desk, &[]);
    json(&laptop, &from(&[&address(&studio.desk)]));
    desk.stop();
    // A machine looks through what it holds once after a start; what is taken away later is gone.
    let looked = |folder: &Path| {
        let shelf = Shelf::of(folder);
        let name = manifest.chunks().last().expect("a chunk");
        fs::write(shelf.chunks().path(name.hash), "bent").expect("writes");
        let node = Running::node(folder, &[]);
        until(folder, "it is mended", || shelf.chunks().read(name).is_ok());
        node
    };
    let (desk, other) = (looked(&studio.desk), looked(&laptop));
    let names: Vec<_> = manifest.chunks().collect();
    assert!(names.len() > 2, "{made}");
    let gone = |folder: &Path, place: usize| {
        fs::remove_file(Shelf::of(folder).chunks().path(names[place].hash)).expect("is there");
    };
    let tablet = studio.place.join("tablet", &studio.desk);
    let begun = tablet.join("bootstrap/chunks");
    fs::create_dir_all(&begun).expect("a folder");
    let kept = Shelf::of(&studio.desk).chunks().path(names[2].hash);
    fs::copy(&kept, begun.join(names[2].hash.to_string())).expect("copies");
    gone(&studio.desk, 0);
    gone(&laptop, 1);
    gone(&studio.desk, 2);
    gone(&laptop, 2);
    let peers = [address(&studio.desk), address(&laptop)];
    let found = json(&tablet, &from(&[&peers[0], &peers[1]]));
    assert_eq!(found["fetched_bytes"], made["bytes"], "{found}");
    assert_eq!(verified(&tablet)["entities"], json!(610));
    desk.stop();
    other.stop();
}
