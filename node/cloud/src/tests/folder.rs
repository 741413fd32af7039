//! The folder: what a start finds, makes and refuses, and that a cut leaves nothing half-written.

use std::fs;
use std::net::SocketAddr;

use studiovault_protocol::command::Op;

use super::fixture::{Says, a_confirmed_client, code, entity, packed, three_machines};
use crate::store::{Store, StoreError, damage};
use crate::truth::Truth;
use crate::{CloudConfig, CloudError, serve};

fn config(folder: &std::path::Path) -> CloudConfig {
    CloudConfig::new(folder, SocketAddr::from(([127, 0, 0, 1], 0)))
}

#[test]
fn a_folder_of_a_newer_version_is_refused_and_left_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    drop(Store::open(folder.path()).expect("opens"));
    damage::run(folder.path(), "PRAGMA user_version = 99");
    let refused = Store::open(folder.path()).err().expect("refused");
    assert!(matches!(refused, StoreError::Newer(_)), "{refused}");
    assert!(refused.to_string().contains("start that version"));
    let version = damage::number(folder.path(), "PRAGMA user_version");
    assert_eq!(version, 99);
}

#[test]
fn a_transaction_that_does_not_end_leaves_nothing() {
    let mut scene = three_machines();
    a_confirmed_client(&mut scene);
    let before = scene.whole_feed();
    let create = scene.machines[0]
        .command(Op::Create, "client", entity(2))
        .text("name", "Sousa");
    let bundle = scene.machines[0].write(vec![create]);
    let cut: Result<(), StoreError> = scene.truth.store.write(|session| {
        let past = Default::default();
        session.insert_bundle(
            1,
            &crate::store::BundleRow {
                author: bundle.author(),
                counters: (bundle.first(), bundle.last()),
                position: 99,
                past: &past,
                bytes: bundle.bytes(),
            },
        )?;
        session.set_head(1, (99, bundle.hash()), Default::default())?;
        Err(StoreError::Full)
    });
    assert!(cut.is_err());
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let _: Result<(), StoreError> = scene.truth.store.write(|session| {
            session.set_head(1, (99, bundle.hash()), Default::default())?;
            panic!("a bug in the middle of a transaction")
        });
    }));
    assert!(panicked.is_err());
    scene.truth = Truth::open(scene.folder.path()).expect("opens again");
    assert_eq!(scene.whole_feed().pages, before.pages);
    scene.send(&[&bundle]);
    assert_eq!(code(scene.outcome(bundle.tip())), "ACCEPTED");
}

#[test]
fn a_batch_that_fails_at_its_end_leaves_memory_and_database_as_they_were() {
    let mut scene = three_machines();
    let id = a_confirmed_client(&mut scene);
    let before = scene.open().state();
    // A page that is in the way: the batch's last step fails.
    damage::run(
        scene.folder.path(),
        "CREATE TRIGGER cut BEFORE INSERT ON feed_page BEGIN SELECT raise(ABORT, 'cut'); END",
    );
    let update = scene.machines[0]
        .command(Op::Update, "client", id)
        .text("name", "Sousa");
    let bundle = scene.machines[0].write(vec![update]);
    let request = studiovault_protocol::cloud::BatchRequest {
        bundles: vec![packed(&bundle)],
        ..super::fixture::empty_request()
    };
    let cut = scene
        .open()
        .take(&scene.truth, &request, super::fixture::NOON);
    assert!(cut.is_err());
    assert_eq!(scene.open().state().head, before.head);
    assert_eq!(scene.open().state().log.applied(), before.log.applied());
    damage::run(scene.folder.path(), "DROP TRIGGER cut");
    scene.send(&[&bundle]);
    assert_eq!(code(scene.outcome(bundle.tip())), "ACCEPTED");
    assert_eq!(scene.stranger().sum(), scene.open().state().sum);
}

#[test]
fn a_feed_never_goes_on_with_another_key() {
    let scene = three_machines();
    let folder = scene.folder.path().to_owned();
    let path = folder.join("signing-key");
    let key = fs::read(&path).expect("reads");
    fs::remove_file(&path).expect("removes");
    assert!(matches!(Truth::open(&folder), Err(CloudError::WrongKey(_))));
    fs::write(&path, "11".repeat(32)).expect("writes");
    assert!(matches!(Truth::open(&folder), Err(CloudError::WrongKey(_))));
    fs::write(&path, "not a key").expect("writes");
    assert!(matches!(
        Truth::open(&folder),
        Err(CloudError::Damaged { .. })
    ));
    fs::write(&path, key).expect("writes");
    assert!(Truth::open(&folder).is_ok());
}

#[cfg(unix)]
#[tokio::test]
async fn secrets_are_readable_by_their_owner_only_and_tokens_are_stored_as_hashes() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().expect("a folder");
    let cloud = serve(config(folder.path())).await.expect("starts");
    for name in ["signing-key", "admin-token", "cert-key.pem"] {
        let mode = fs::metadata(folder.path().join(name))
            .expect("is there")
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
    let token = cloud.admin_token.clone();
    cloud.shutdown().await;
    let database = fs::read(folder.path().join("cloud.db")).expect("reads");
    let found = database
        .windows(token.len())
        .any(|bytes| bytes == token.as_bytes());
    assert!(!found, "the admin token stands in the database");
}

#[tokio::test]
async fn a_taken_port_and_a_taken_folder_are_told_with_the_next_step() {
    let (one, two) = (
        tempfile::tempdir().expect("a folder"),
        tempfile::tempdir().expect("a folder"),
    );
    let cloud = serve(config(one.path())).await.expect("starts");
    let mut other = config(two.path());
    other.listen = cloud.address;
    let refused = serve(other).await.expect_err("refused").to_string();
    assert!(refused.contains("choose another port"), "{refused}");
    let refused = serve(config(one.path())).await.expect_err("refused");
    assert!(matches!(refused, CloudError::InUse(_)), "{refused}");
    cloud.shutdown().await;
}

#[tokio::test]
async fn a_damaged_certificate_is_told_with_the_next_step() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("cert.pem"), "nonsense").expect("writes");
    fs::write(folder.path().join("cert-key.pem"), "nonsense").expect("writes");
    let refused = serve(config(folder.path())).await.expect_err("refused");
    assert!(refused.to_string().contains("delete cert.pem"), "{refused}");
}
