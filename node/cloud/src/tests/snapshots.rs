//! Snapshots: all that the feed tells and nothing else, made beside other work, shared, forgotten, and of one studio alone.

use std::sync::Arc;

use serde_json::json;
use studiovault_protocol::cloud::{Changes, MEDIA_TYPE};
use studiovault_protocol::command::Op;
use studiovault_protocol::id::StudioId;
use studiovault_protocol::keys::{SecretKey, VerifyKey};
use studiovault_protocol::pack::Part;
use studiovault_protocol::snapshot::{Expected, Manifest, split};
use studiovault_protocol::time::WallMs;

use super::fixture::{
    Machine, NOON, Says, Scene, a_confirmed_client, a_sale, enrolment, entity, three_machines,
};
use super::site::{a_site, problem};
use super::wire::Request;
use crate::snapshots::SnapshotError;
use crate::snapshots::upkeep::make_due;
use crate::truth::Truth;

/// What the asynchronous part comes to. Databases are opened and closed outside of it, where one may wait.
fn done<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(work)
}

/// A server beside the scene's own that makes a snapshot.
fn made(scene: &Scene) -> (Arc<Truth>, Arc<Manifest>) {
    let truth = Arc::new(scene.another());
    let manifest = done(truth.snapshots.make(&truth, (scene.studio, NOON)));
    (truth, manifest.expect("a snapshot"))
}

/// All that a snapshot holds, as the feed would have told it.
fn contents(truth: &Truth, manifest: &Manifest) -> Changes {
    let mut all = Changes::default();
    for name in manifest.chunks() {
        let packed = done(truth.snapshots.chunk(manifest.body().studio, name));
        let packed = packed.expect("reads").expect("is kept");
        let raw = zstd::bulk::decompress(&packed, name.raw as usize).expect("unpacks");
        assert_eq!(raw.len(), name.raw as usize);
        for part in split(&raw).expect("a chunk") {
            match part {
                Part::Signed { records, policies } => {
                    all.roster.extend(records);
                    all.policies.extend(policies);
                }
                Part::Bundles(bundles) => all.bundles.extend(bundles),
                Part::Pages(pages) => all.pages.extend(pages),
                Part::Label(_) | Part::End => unreachable!("they have no place in a snapshot"),
            }
        }
    }
    all
}

/// What a machine shows that was given nothing but a snapshot.
fn loaded(scene: &Scene, truth: &Truth, manifest: &Manifest) -> Machine {
    let mut stranger = Machine::new(9, scene.studio);
    stranger.take_in(&contents(truth, manifest), &scene.cloud);
    stranger
}

/// A client, a conflict about it, a delete that loses, and a sale.
fn a_day(scene: &mut Scene) {
    let id = a_confirmed_client(scene);
    let [front, editor, laptop] = &mut scene.machines[..] else {
        unreachable!("three machines")
    };
    let one = front.command(Op::Update, "client", id).text("notes", "a");
    let one = front.write(vec![one.tag("vip")]);
    let two = editor.command(Op::Update, "client", id).text("notes", "b");
    let two = editor.write(vec![two]);
    let three = laptop.command(Op::Delete, "client", id);
    let three = laptop.write(vec![three]);
    let sale = a_sale(front, entity(7), 1999);
    let sale = front.write(vec![sale]);
    scene.send(&[&one, &two, &three, &sale]);
}

/// So many clients with long notes, some of which fill a segment.
fn write_much(scene: &mut Scene, (from, to): (u64, u64)) {
    for n in from..to {
        let commands = (0..4).map(|k| {
            let command = scene.machines[0].command(Op::Create, "client", entity(1000 + n * 4 + k));
            // Nothing that compresses, so that chunks are as large as they come.
            let note: String = (0..2500u64)
                .map(|at| {
                    char::from(
                        b'a' + (blake3::hash(&(n * 4 + k + at * 7919).to_le_bytes()).as_bytes()[0]
                            % 26),
                    )
                })
                .collect();
            command
                .text("name", &format!("Client {n}-{k}"))
                .text("notes", &note)
        });
        let commands = commands.collect();
        let bundle = scene.machines[0].write(commands);
        scene.send(&[&bundle]);
    }
}

#[test]
fn a_machine_that_is_given_a_snapshot_shows_what_the_truth_shows() {
    let mut scene = three_machines();
    a_day(&mut scene);
    let (truth, manifest) = made(&scene);
    let state = scene.open().state();
    let body = manifest.body();
    assert_eq!((body.position, body.head), state.head);
    assert_eq!(body.sum, state.sum);
    let key = VerifyKey::new(&scene.cloud.key).expect("a key");
    let expected = Expected {
        studio: scene.studio,
        cloud: scene.cloud.device,
        key: &key,
        seen: None,
        now: NOON,
    };
    assert_eq!(manifest.check(&expected), Ok(()));
    let stranger = loaded(&scene, &truth, &manifest);
    assert_eq!(stranger.sum(), state.sum);
    assert_eq!(stranger.feed.folded(), state.head.0);
    let held = contents(&truth, &manifest);
    assert_eq!(held.roster.len(), scene.records().len());
    let whole = scene.whole_feed();
    assert_eq!((held.pages, held.bundles), (whole.pages, whole.bundles));
}

#[test]
fn a_later_snapshot_shares_all_full_segments_and_the_oldest_are_forgotten_whole() {
    let mut scene = three_machines();
    write_much(&mut scene, (0, 150));
    let (truth, first) = made(&scene);
    let segments = &first.body().segments;
    assert!(segments.len() > 2, "{} segments", segments.len());
    write_much(&mut scene, (150, 160));
    let (_, second) = made(&scene);
    let full = segments.len() - 1;
    assert_eq!(second.body().segments[1..full], segments[1..full]);
    assert_eq!(
        loaded(&scene, &truth, &second).sum(),
        scene.open().state().sum
    );
    // The first goes with the fourth, and what only it named goes with it.
    for n in 160..162 {
        write_much(&mut scene, (n, n + 1));
        made(&scene);
    }
    let fresh = scene.another();
    let found = |id| done(fresh.snapshots.named(scene.studio, id)).expect("reads");
    assert!(found(second.id()).is_some());
    assert!(found(first.id()).is_none());
    let last = segments.last().expect("it has some").chunks[0];
    let gone = done(fresh.snapshots.chunk(scene.studio, &last)).expect("reads");
    assert!(
        gone.is_none(),
        "the last segment of the first was of it alone"
    );
    assert_eq!(
        loaded(&scene, &fresh, &second).feed.folded(),
        second.body().position
    );
}

#[test]
fn a_snapshot_that_is_made_while_others_write_holds_a_prefix_of_the_feed() {
    let mut scene = three_machines();
    write_much(&mut scene, (0, 20));
    let truth = Arc::new(scene.another());
    let (studio, beside) = (scene.studio, truth.clone());
    let making = std::thread::spawn(move || done(beside.snapshots.make(&beside, (studio, NOON))));
    write_much(&mut scene, (20, 60));
    let manifest = making.join().expect("no panic").expect("a snapshot");
    let stranger = loaded(&scene, &truth, &manifest);
    assert_eq!(stranger.sum(), manifest.body().sum);
    let whole = scene.whole_feed();
    let held = contents(&truth, &manifest);
    assert_eq!(held.pages[..], whole.pages[..held.pages.len()]);
}

#[test]
fn a_snapshot_of_a_history_that_was_taken_back_is_not_built_upon() {
    let mut scene = three_machines();
    write_much(&mut scene, (0, 150));
    let backup = scene.back_up();
    write_much(&mut scene, (150, 250));
    let (_, first) = made(&scene);
    scene.put_back(backup);
    let truth = Arc::new(scene.another());
    let behind = done(truth.snapshots.make(&truth, (scene.studio, NOON)));
    assert!(matches!(behind, Err(SnapshotError::Behind)), "{behind:?}");
    // Whoever gives the lost end up goes on from the backup, and the pages have other hashes from there.
    let heads = scene
        .folder
        .path()
        .join("heads")
        .join(scene.studio.to_string());
    std::fs::remove_file(heads).expect("is there");
    let mut other = Machine::new(2, scene.studio);
    for n in 0..400 {
        let create = other.command(Op::Create, "client", entity(50_000 + n));
        let bundle = other.write(vec![create.text("name", &format!("Other {n}"))]);
        scene.send(&[&bundle]);
    }
    assert!(scene.open().state().head.0 > first.body().position);
    let (truth, second) = made(&scene);
    assert_eq!(
        loaded(&scene, &truth, &second).sum(),
        scene.open().state().sum
    );
}

#[test]
fn snapshots_are_made_by_themselves_when_much_was_written_or_the_last_is_old() {
    let mut scene = three_machines();
    a_confirmed_client(&mut scene);
    let truth = Arc::new(scene.another());
    let due = |days: i64| {
        let now = WallMs(NOON.0 + days * 86_400_000);
        done(make_due(&truth, now)).expect("looks")
    };
    assert_eq!(due(0), 1, "there is none");
    assert_eq!(due(6), 0, "it is young");
    assert_eq!(due(7), 1, "it is old");
    assert_eq!(due(8), 0);
}

#[test]
fn a_chunk_that_was_bent_where_it_is_kept_is_given_to_nobody_and_made_anew() {
    let mut scene = three_machines();
    a_confirmed_client(&mut scene);
    let (truth, manifest) = made(&scene);
    let name = *manifest.chunks().last().expect("it has some");
    let studio = scene.studio.to_string();
    let chunks = ["objects", "snapshots", &studio, "chunks"];
    let mut file = scene.folder.path().to_owned();
    file.extend(chunks);
    file.push(name.hash.to_string());
    let whole = std::fs::read(&file).expect("is kept");
    let mut bent = whole.clone();
    bent[whole.len() / 2] ^= 1;
    std::fs::write(&file, bent).expect("bends");
    let given = done(truth.snapshots.chunk(scene.studio, &name));
    assert_eq!(given.expect("reads"), None);
    drop(truth);
    let (truth, again) = made(&scene);
    assert_eq!(std::fs::read(&file).expect("is kept again"), whole);
    assert_eq!(
        loaded(&scene, &truth, &again).sum(),
        scene.open().state().sum
    );
}

#[tokio::test]
async fn chunks_are_given_whole_or_by_range_to_members_of_the_studio_alone() {
    let mut site = a_site().await;
    let request = site.a_client(1);
    site.ask(site.batch(&request)).await;
    let get = |path: &str| Request::new("GET", path);
    let none = site
        .ask(get("/v1/snapshots/latest").token(&site.token))
        .await;
    assert_eq!(problem(&none), (404, "NOT_FOUND".into()));
    let wish = Request::new("POST", "/v1/snapshots").json(&json!({ "studio": site.studio }));
    assert_eq!(
        problem(&site.ask(wish.clone().token(&site.token)).await).0,
        403
    );
    let made = site.ask(wish.token(&site.cloud.admin_token)).await.json();
    let latest = site
        .ask(get("/v1/snapshots/latest").token(&site.token))
        .await;
    assert!(latest.head.contains(MEDIA_TYPE), "{}", latest.head);
    let manifest = Manifest::decode(&latest.body[..]).expect("a manifest");
    assert_eq!(made["id"], manifest.id().to_string());
    let path = |n: usize| format!("/v1/snapshots/{}/chunks/{n}", manifest.id());
    for (n, name) in manifest.chunks().enumerate() {
        let whole = site.ask(get(&path(n)).token(&site.token)).await;
        assert!(whole.status == 200 && name.names(&whole.body));
        let part = get(&path(n)).header("range", "bytes=5-").token(&site.token);
        let part = site.ask(part).await;
        assert_eq!((part.status, &part.body[..]), (206, &whole.body[5..]));
        let beyond = get(&path(n))
            .header("range", "bytes=9999999-")
            .token(&site.token);
        assert_eq!(
            problem(&site.ask(beyond).await),
            (416, "RANGE_UNSATISFIABLE".into())
        );
    }
    let beyond = manifest.chunks().count();
    assert_eq!(
        problem(&site.ask(get(&path(beyond)).token(&site.token)).await).0,
        404
    );
    for unasked in [path(0), "/v1/snapshots/latest".to_owned()] {
        assert_eq!(problem(&site.ask(get(&unasked)).await).0, 401);
    }
    let other = enrolment(StudioId([6; 16]), &SecretKey::from_seed([8; 32]));
    let enrol = Request::new("POST", "/v1/studios").token(&site.cloud.admin_token);
    let enrol = enrol.json(&serde_json::to_value(&other).expect("JSON"));
    assert_eq!(site.ask(enrol).await.status, 200);
    let stranger = site
        .token(json!({ "studio": other.studio, "scopes": ["read"] }))
        .await;
    assert_eq!(
        problem(&site.ask(get(&path(0)).token(&stranger)).await).0,
        404
    );
    assert_eq!(
        problem(&site.ask(get("/v1/snapshots/latest").token(&stranger)).await).0,
        404
    );
    site.cloud.shutdown().await;
}
