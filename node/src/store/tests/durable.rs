//! Committed or never there; newer folders, full disks and second processes are refused with a next step.

use std::path::Path;

use serde_json::json;

use super::*;

fn a_folder() -> (tempfile::TempDir, Location) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let location = Location::Folder(folder.path().join("data"));
    (folder, location)
}

fn open(location: &Location) -> Result<Store, StoreError> {
    Store::open(location.clone(), &Policy::default())
}

fn a_create(n: u8, dice: &mut Dice) -> Command {
    a_client(entity(n), dice)
}

#[test]
fn what_was_committed_is_there_after_a_restart_and_nothing_else() {
    let (_keep, location) = a_folder();
    let mut machine = Machine::new(1);
    let mut dice = Dice(1);
    let mut store = open(&location).expect("opens");
    store.claim(STUDIO, device(1)).expect("claims");
    let (first, writes) = machine.author(vec![a_create(1, &mut dice), a_create(2, &mut dice)]);
    commit(&mut store, &writes, &machine.rules()).expect("commits");
    let sum = store.state_sum();
    let (_, writes) = machine.author(vec![a_create(3, &mut dice)]);
    let mut batch = store.begin().expect("begins");
    for write in &writes {
        batch.write(write, &machine.rules()).expect("writes");
    }
    drop(batch);
    assert_eq!(
        store.state_sum(),
        sum,
        "a dropped batch leaves no trace in memory either, once the next one begins"
    );
    drop(store);

    let store = open(&location).expect("opens again");
    let restored = store.restore().expect("reads back");
    assert_eq!(restored.device, Some(device(1)));
    assert_eq!(restored.chains.len(), 1);
    assert_eq!(restored.chains[0].chain.held, (2, first.hash()));
    assert_eq!(restored.chains[0].chain.applied, Some((2, first.hash())));
    let tip = restored.own_tip.expect("an own tip");
    assert_eq!((tip.dot, tip.hash), (first.tip(), first.hash()));
    assert_eq!(store.state_sum(), sum);
    assert_eq!(store.view().counts().expect("counts").entities, 2);
}

#[test]
fn a_restored_index_goes_on_where_it_stopped() {
    let (mut one, mut two) = (Machine::new(1), Machine::new(2));
    let mut dice = Dice(2);
    let mut store = a_store();
    let (first, _) = one.author(vec![a_create(1, &mut dice)]);
    let _ = two.take(&first);
    let (second, _) = two.author(vec![a_create(2, &mut dice)]);
    let (third, _) = two.author(vec![a_create(3, &mut dice)]);
    let mut here = Machine::new(3);
    let mut writes = here.take(&second);
    writes.extend(here.take(&third));
    commit(&mut store, &writes, &here.rules()).expect("commits");

    let store = &mut store.crash(&Policy::default()).expect("restarts");
    let restored = store.restore().expect("reads back");
    assert_eq!(
        restored.parked.len(),
        2,
        "both wait for the bundle that they saw"
    );
    let mut index = LogIndex::restore(restored.chains);
    for header in &restored.parked {
        index.restore_parked(header);
    }
    index.hold(&first);
    let mut batch = store.begin().expect("begins");
    while let Some((author, first_counter)) = index.next_ready() {
        let bundle = if author == first.author() {
            first.clone()
        } else {
            batch.bundle(author, first_counter).expect("is stored")
        };
        let past = index.apply(&bundle).clone();
        let rules = Rules {
            epochs: index.epochs(),
            ..here.rules()
        };
        if author == first.author() {
            let write = Write::Store {
                bundle: bundle.clone(),
                own: false,
            };
            batch.write(&write, &rules).expect("stores");
        }
        batch
            .write(&Write::Apply { bundle, past }, &rules)
            .expect("applies");
    }
    batch.commit().expect("commits");
    let counts = store.view().counts().expect("counts");
    assert_eq!((counts.entities, counts.parked, counts.commands), (3, 0, 3));
    let chains = store.restore().expect("reads back").chains;
    let of_two = chains.iter().find(|row| row.author == two.author);
    let seen = Vector::from_tips(vec![first.tip()]);
    assert_eq!(of_two.map(|row| row.chain.past.clone()), seen);
}

#[test]
fn the_same_writes_twice_change_nothing() {
    let mut machine = Machine::new(1);
    let mut dice = Dice(3);
    let mut store = a_store();
    let (bundle, writes) = machine.author(vec![a_create(1, &mut dice), a_create(2, &mut dice)]);
    let mut cloud = Cloud::default();
    let page = cloud.page(Cloud::decide(&bundle, vec![]));
    let all: Vec<Write> = writes.into_iter().chain(machine.take_page(&page)).collect();
    commit(&mut store, &all, &machine.rules()).expect("commits");
    let before = (store.state_sum(), store.view().counts().expect("counts"));
    commit(&mut store, &all, &machine.rules()).expect("commits again");
    let mut after = (store.state_sum(), store.view().counts().expect("counts"));
    after.1.log_bytes = before.1.log_bytes;
    assert_eq!(after, before);
}

#[test]
fn a_folder_of_a_newer_version_is_refused_untouched() {
    let (_keep, location) = a_folder();
    drop(open(&location).expect("opens"));
    let Location::Folder(folder) = &location else {
        unreachable!()
    };
    let raw = rusqlite::Connection::open(folder.join("studio.db")).expect("opens");
    raw.pragma_update(None, "user_version", 99).expect("sets");
    drop(raw);
    let refused = open(&location).err().expect("is refused").to_string();
    assert!(
        refused.contains("newer version") && refused.contains("update studiovault"),
        "{refused}"
    );
    let raw = rusqlite::Connection::open(folder.join("studio.db")).expect("opens");
    let version: i64 = raw
        .pragma_query_value(None, "user_version", |row| row.get(0))
        .expect("reads");
    assert_eq!(version, 99);
}

/// Versions back from the newest that are tried with rows; what a table or column came with later, they do not hold.
const VERSIONS_BACK: usize = 2;

/// The rows of a folder as an older version of the program kept them.
fn aged(newest: &Path, folder: &Path, version: usize) {
    std::fs::create_dir_all(folder).expect("makes");
    let mut raw = rusqlite::Connection::open(folder.join("studio.db")).expect("opens");
    schema::migrate_to(&mut raw, version);
    let from = newest.join("studio.db");
    raw.execute("ATTACH ?1 AS newest", [from.to_string_lossy()])
        .expect("attaches");
    let names = |sql: &str| -> Vec<String> {
        let mut statement = raw.prepare(sql).expect("prepares");
        let rows = statement.query_map([], |row| row.get(0)).expect("asks");
        rows.map(|name| name.expect("a name")).collect()
    };
    let tables = names(
        "SELECT name FROM main.sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'
         AND name IN (SELECT name FROM newest.sqlite_schema)",
    );
    for table in tables {
        let columns = names(&format!(
            "SELECT one.name FROM pragma_table_info('{table}', 'main') AS one
             JOIN pragma_table_info('{table}', 'newest') AS other ON one.name = other.name"
        ));
        let columns = columns.join(", ");
        raw.execute_batch(&format!(
            "INSERT OR REPLACE INTO main.{table} ({columns}) SELECT {columns} FROM newest.{table}"
        ))
        .expect("copies");
    }
    raw.execute_batch(
        "DELETE FROM main.meta WHERE key = 'views';
         CREATE VIEW app_pos_order AS SELECT uuid FROM entity WHERE uuid IN (SELECT entity FROM dead_letter);",
    )
    .expect("the views of an older version");
}

#[test]
fn a_folder_of_an_older_version_comes_up_to_date_with_every_write() {
    let (_keep, location) = a_folder();
    let Location::Folder(newest) = &location else {
        unreachable!()
    };
    let (mut machine, mut dice) = (Machine::new(1), Dice(7));
    let mut store = open(&location).expect("opens");
    store.claim(STUDIO, device(1)).expect("claims");
    let entries = a_voided_sale(&mut dice).into_iter();
    for made in entries.chain((4..=20).map(|n| a_create(n, &mut dice))) {
        let (_, writes) = machine.author(vec![made]);
        commit(&mut store, &writes, &machine.rules()).expect("commits");
    }
    let (sum, chains) = (store.state_sum(), store.restore().expect("reads").chains);
    drop(store);
    let versions = schema::migrate_to(
        &mut rusqlite::Connection::open_in_memory().expect("opens"),
        1,
    );
    for version in versions - VERSIONS_BACK..versions {
        let (_keep, location) = a_folder();
        let Location::Folder(folder) = &location else {
            unreachable!()
        };
        aged(newest, folder, version);
        let store = open(&location).expect("comes up to date");
        let counts = store.view().counts().expect("counts");
        assert_eq!((counts.entities, counts.commands), (20, 20), "{version}");
        assert_eq!(store.state_sum(), sum, "{version}");
        let restored = store.restore().expect("reads back");
        assert_eq!(restored.chains.len(), chains.len(), "{version}");
        assert_eq!(restored.chains[0].chain.held, chains[0].chain.held);
        let sql = "SELECT _voided, _corrections_cents FROM app_pos_order";
        let told = store.view().query(sql, &[]).expect("the views are new");
        assert_eq!(told.rows, [[json!(1), json!(0)]], "{version}");
    }
}

#[test]
fn an_empty_file_becomes_an_empty_store() {
    let (_keep, location) = a_folder();
    let Location::Folder(folder) = &location else {
        unreachable!()
    };
    std::fs::create_dir_all(folder).expect("makes");
    std::fs::File::create(folder.join("studio.db")).expect("makes");
    let store = open(&location).expect("opens");
    assert_eq!(
        store.view().counts().expect("counts"),
        studiovault_protocol::api::Counts::default()
    );
}

#[test]
fn a_second_process_is_told_that_the_folder_is_in_use() {
    let (_keep, location) = a_folder();
    let _held = open(&location).expect("opens");
    let refused = open(&location).err().expect("is refused");
    assert!(matches!(refused, StoreError::InUse(_)), "{refused}");
}

#[test]
fn the_folder_of_another_machine_is_refused() {
    let mut store = a_store();
    store.claim(STUDIO, device(1)).expect("claims");
    store.claim(STUDIO, device(1)).expect("claims again");
    assert!(matches!(
        store.claim(STUDIO, device(2)),
        Err(StoreError::OtherOwner { .. })
    ));
}

#[test]
fn a_full_disk_takes_nothing_of_the_transaction_and_leaves_the_store_usable() {
    let (_keep, location) = a_folder();
    let mut store = open(&location).expect("opens");
    let mut machine = Machine::new(1);
    let mut dice = Dice(4);
    let pages: i64 = store
        .connection
        .pragma_query_value(None, "page_count", |row| row.get(0))
        .expect("reads");
    store
        .connection
        .pragma_update(None, "max_page_count", pages + 60)
        .expect("sets");
    let (mut acknowledged, mut full) = (0u64, 0);
    for n in 0..40 {
        let before = (machine.author, store.state_sum());
        let commands = (0..20)
            .map(|_| a_client(EntityId(dice.bytes()), &mut dice))
            .collect();
        let mut trial = Machine::new(1);
        std::mem::swap(&mut trial, &mut machine);
        let mut bundles: Vec<Bundle> = trial.bundles.values().cloned().collect();
        bundles.sort_by_key(Bundle::first);
        let (_, writes) = trial.author(commands);
        match commit(&mut store, &writes, &trial.rules()) {
            Ok(_) => {
                acknowledged += 20;
                machine = trial;
            }
            Err(error) => {
                assert!(error.is_full(), "{error}");
                assert!(error.to_string().contains("Free some space"), "{error}");
                full += 1;
                let fresh = store.begin().expect("begins after the failure");
                drop(fresh);
                assert_eq!(store.state_sum(), before.1, "round {n}");
                let mut again = Machine::new(1);
                for bundle in bundles {
                    again.adopt(&bundle);
                }
                machine = again;
            }
        }
        let counts = store.view().counts().expect("reads while full");
        assert_eq!(
            (counts.entities, counts.commands),
            (acknowledged, acknowledged),
            "round {n}"
        );
    }
    assert!(
        acknowledged > 0 && full > 0,
        "{acknowledged} saved, {full} refused"
    );
    store
        .connection
        .pragma_update(None, "max_page_count", 1_000_000)
        .expect("sets");
    let (_, writes) = machine.author(vec![a_create(1, &mut dice)]);
    commit(&mut store, &writes, &machine.rules()).expect("commits once there is space");
}

#[cfg(unix)]
#[test]
fn the_database_is_its_owners_alone_in_a_folder_that_others_may_enter() {
    use std::fs::{Permissions, set_permissions};
    use std::os::unix::fs::PermissionsExt as _;

    let (keep, location) = a_folder();
    let data = keep.path().join("data");
    std::fs::create_dir(&data).expect("a folder");
    set_permissions(&data, Permissions::from_mode(0o755)).expect("others may enter");
    let files = ["studio.db", "studio.db-wal", "studio.db-shm"].map(|name| data.join(name));
    let modes = || {
        files.each_ref().map(|path| {
            let found = std::fs::metadata(path).expect("it is there");
            found.permissions().mode() & 0o777
        })
    };
    let store = open(&location).expect("opens");
    assert_eq!(modes(), [0o600; 3]);
    // As an earlier program left them that was killed.
    for path in &files {
        set_permissions(path, Permissions::from_mode(0o644)).expect("others may read");
    }
    let copies = files
        .each_ref()
        .map(|path| (path, std::fs::read(path).expect("reads")));
    drop(store);
    for (path, bytes) in copies {
        std::fs::write(path, bytes).expect("writes");
        set_permissions(path, Permissions::from_mode(0o644)).expect("others may read");
    }
    let _store = open(&location).expect("opens");
    assert_eq!(modes(), [0o600; 3]);
}
