//! Several servers in front of one PostgreSQL: one studio has one feed, whoever takes its batches.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use studiovault_protocol::bundle::Bundle;
use studiovault_protocol::cloud::BatchRequest;
use studiovault_protocol::command::Op;
use studiovault_protocol::feed::Page;
use studiovault_protocol::frontier::Frontier;
use studiovault_protocol::id::StudioId;
use studiovault_protocol::keys::SecretKey;

use super::cluster::Cluster;
use super::fixture::{
    NOON, Says, Scene, a_confirmed_client, a_sale, code, empty_request, enrolment, entity, packed,
    three_machines, three_machines_on,
};
use crate::CloudError;
use crate::store::{Store, StoreError, damage};
use crate::studio::BatchError;
use crate::truth::Truth;

fn shared_scene() -> Scene {
    three_machines_on(Some(Cluster::shared().database()))
}

/// Sales of one machine, each in a bundle of its own.
fn sales(scene: &mut Scene, machine: usize, count: u64) -> Vec<Bundle> {
    let first = 1000 * (machine as u64 + 1);
    (first..first + count)
        .map(|number| {
            let machine = &mut scene.machines[machine];
            let sale = a_sale(machine, entity(number), 100);
            machine.write(vec![sale])
        })
        .collect()
}

fn alone(bundle: &Bundle) -> BatchRequest {
    BatchRequest {
        bundles: vec![packed(bundle)],
        ..empty_request()
    }
}

/// Sends until it is taken, as a gateway does.
fn send_patiently(truth: &Truth, (studio, request): (StudioId, &BatchRequest)) {
    loop {
        let opened = truth.studio(studio).map_err(BatchError::from);
        let taken = opened.and_then(|studio| {
            let studio = studio.expect("is enrolled");
            studio.take(truth, request, NOON)
        });
        match taken {
            Ok(answer) => {
                assert!(answer.refused.is_empty(), "{:?}", answer.refused);
                assert!(answer.gaps.is_empty(), "{:?}", answer.gaps);
                return;
            }
            Err(BatchError::Store(StoreError::Away(_))) => {}
            Err(error) => panic!("{error}"),
        }
    }
}

#[test]
fn servers_that_share_a_database_write_one_feed_and_no_reader_misses_a_page() {
    let mut scene = shared_scene();
    let work: Vec<Vec<Bundle>> = (0..3).map(|n| sales(&mut scene, n, 12)).collect();
    let servers: Vec<Truth> = (0..3).map(|_| scene.another()).collect();
    let (studio, done) = (scene.studio, AtomicBool::new(false));
    let mut seen = Vec::new();
    std::thread::scope(|scope| {
        let writers: Vec<_> = work
            .iter()
            .enumerate()
            .map(|(number, bundles)| {
                let servers = &servers;
                scope.spawn(move || {
                    for (at, bundle) in bundles.iter().enumerate() {
                        // Never twice the same server in a row.
                        send_patiently(&servers[(number + at) % 3], (studio, &alone(bundle)));
                    }
                })
            })
            .collect();
        let reader = scope.spawn(|| {
            let (mut since, mut pages) = (0, Vec::new());
            while !done.load(Ordering::SeqCst) || pages.is_empty() {
                for server in &servers {
                    let studio = server.studio(studio).expect("reads").expect("is enrolled");
                    let part = studio.changes(server, since, &Frontier::default());
                    for page in part.expect("reads").pages {
                        let page = Page::decode(&page.0[..]).expect("a page");
                        assert_eq!(page.body().first, since + 1, "a hole in the feed");
                        since = page.last();
                        pages.push(page.hash());
                    }
                }
            }
            pages
        });
        let ended: Vec<_> = writers.into_iter().map(|writer| writer.join()).collect();
        done.store(true, Ordering::SeqCst);
        assert!(ended.iter().all(Result::is_ok));
        seen = reader.join().expect("reads");
    });
    let whole: Vec<_> = scene.whole_feed().pages;
    let hashes = whole
        .iter()
        .map(|page| Page::decode(&page.0[..]).expect("a page").hash());
    assert!(seen.len() > 1);
    assert_eq!(seen, hashes.take(seen.len()).collect::<Vec<_>>());
    let summary = scene.open().summary(&scene.truth).expect("reads");
    assert_eq!((summary.commands, summary.confirmed), (36, 36));
    assert_eq!(summary.pos_gross_cents, 3_600);
    assert_eq!(scene.stranger().sum(), scene.open().state().sum);
}

#[test]
fn servers_whose_connections_are_cut_again_and_again_lose_nothing_and_take_nothing_twice() {
    let cluster = Cluster::start();
    let mut scene = three_machines_on(Some(cluster.database()));
    let work: Vec<Vec<Bundle>> = (0..2).map(|n| sales(&mut scene, n, 15)).collect();
    let servers = [scene.another(), scene.another()];
    let (studio, done) = (scene.studio, AtomicBool::new(false));
    std::thread::scope(|scope| {
        let knife = scope.spawn(|| {
            let mut cuts = 0;
            // So many that a writer always gets through in the end.
            for _ in 0..40 {
                if done.load(Ordering::SeqCst) {
                    break;
                }
                let cut = cluster.run(
                    "postgres",
                    "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
                     WHERE application_name = 'studiovault cloud' AND state <> 'idle'",
                );
                cuts += cut.parse::<u64>().expect("a number");
            }
            cuts
        });
        let writers: Vec<_> = work
            .iter()
            .zip(&servers)
            .map(|(bundles, server)| {
                scope.spawn(move || {
                    for bundle in bundles {
                        send_patiently(server, (studio, &alone(bundle)));
                    }
                })
            })
            .collect();
        let ended: Vec<_> = writers.into_iter().map(|writer| writer.join()).collect();
        done.store(true, Ordering::SeqCst);
        assert!(knife.join().expect("cuts") > 0, "nothing was cut");
        assert!(ended.iter().all(Result::is_ok));
    });
    scene.truth = scene.another();
    let summary = scene.open().summary(&scene.truth).expect("reads");
    assert_eq!((summary.commands, summary.confirmed), (30, 30));
    assert_eq!(summary.pos_gross_cents, 3_000);
    assert_eq!(scene.stranger().sum(), scene.open().state().sum);
}

#[test]
fn a_server_hears_of_what_another_one_took() {
    let mut scene = shared_scene();
    let other = scene.another();
    let studio = other
        .studio(scene.studio)
        .expect("reads")
        .expect("is enrolled");
    let heads = studio.heads();
    let (before, ended) = (*heads.borrow(), AtomicBool::new(false));
    std::thread::scope(|scope| {
        scope.spawn(|| other.follow(|| ended.load(Ordering::SeqCst)));
        a_confirmed_client(&mut scene);
        let until = Instant::now() + Duration::from_secs(20);
        while *heads.borrow() == before && Instant::now() < until {
            std::thread::yield_now();
        }
        ended.store(true, Ordering::SeqCst);
    });
    assert_eq!(*heads.borrow(), scene.open().state().head.0);
}

#[test]
fn two_studios_on_one_database_do_not_wait_for_each_other() {
    let scene = shared_scene();
    let root = SecretKey::from_seed([8; 32]);
    let other = StudioId([6; 16]);
    scene.truth.enrol(&enrolment(other, &root)).expect("enrols");
    let studio = scene
        .truth
        .studio(other)
        .expect("reads")
        .expect("is enrolled");
    // One server holds the first studio; a second one takes a batch of the other.
    let held: Result<u64, StoreError> = scene.truth.store.write(|session| {
        session.lock(scene.open().row)?;
        let second = scene.another();
        let taken = studio.take(&second, &empty_request(), NOON);
        Ok(taken.expect("an answer").changes.head)
    });
    assert_eq!(held.expect("writes"), 1);
}

#[test]
fn a_studio_moves_from_the_folder_into_a_shared_database_and_goes_on_there() {
    let mut scene = three_machines();
    let id = a_confirmed_client(&mut scene);
    let sold = sales(&mut scene, 1, 3);
    scene.send(&sold.iter().collect::<Vec<_>>());
    let (before, feed) = (
        scene.open().summary(&scene.truth).expect("reads"),
        scene.whole_feed(),
    );
    let address = Cluster::shared().database();
    let there = Store::shared(&address).expect("opens");
    scene.truth.store.move_into(&there).expect("moves");
    let again = scene.truth.store.move_into(&there);
    assert!(matches!(again, Err(StoreError::NotEmpty)));
    assert!(matches!(
        Truth::open(scene.folder.path()),
        Err(CloudError::Moved(_))
    ));

    scene.database = Some(address);
    scene.truth = scene.another();
    assert_eq!(scene.whole_feed().pages, feed.pages);
    assert_eq!(scene.open().summary(&scene.truth).expect("reads"), before);
    let update = scene.machines[0]
        .command(Op::Update, "client", id)
        .text("name", "Sousa");
    let create = scene.machines[0]
        .command(Op::Create, "client", entity(77))
        .text("name", "Lopes");
    let bundle = scene.machines[0].write(vec![update, create]);
    scene.send(&[&bundle, &sold[0]]);
    assert_eq!(code(scene.outcome(bundle.tip())), "ACCEPTED");
    let after = scene.open().summary(&scene.truth).expect("reads");
    assert_eq!(
        (after.commands, after.entities),
        (before.commands + 2, before.entities + 1)
    );
    assert_eq!(after.pos_gross_cents, before.pos_gross_cents);
    assert_eq!(scene.stranger().sum(), scene.open().state().sum);
}

#[test]
fn a_server_of_the_next_version_comes_up_beside_one_that_goes_on_working() {
    let mut scene = shared_scene();
    let address = scene.database.clone().expect("is shared");
    let cluster = Cluster::shared();
    // As the version before left it.
    let before = "DROP TABLE orphan, telemetry, access_token, refresh_token, sign_in, device_code; UPDATE schema_version SET version = 4";
    cluster.run(&address, before);
    let work: Vec<Vec<Bundle>> = (0..2).map(|n| sales(&mut scene, n, 12)).collect();
    let studio = scene.studio;
    std::thread::scope(|scope| {
        let old = scope.spawn(|| {
            for bundle in &work[0] {
                send_patiently(&scene.truth, (studio, &alone(bundle)));
            }
        });
        let new = scope.spawn(|| {
            let upgraded = scene.another();
            for bundle in &work[1] {
                send_patiently(&upgraded, (studio, &alone(bundle)));
            }
        });
        assert!(old.join().is_ok() && new.join().is_ok());
    });
    let found = cluster.run(&address, "SELECT version, oldest FROM schema_version");
    assert_eq!(found, "7|4");
    let summary = scene.open().summary(&scene.truth).expect("reads");
    assert_eq!((summary.commands, summary.confirmed), (24, 24));
    assert_eq!(scene.stranger().sum(), scene.open().state().sum);

    // And as a version after this one leaves it: it says itself how old a server may be.
    cluster.run(
        &address,
        "UPDATE schema_version SET version = 8, oldest = 7",
    );
    scene.truth = scene.another();
    let sold = sales(&mut scene, 2, 1);
    scene.send(&[&sold[0]]);
    assert_eq!(
        cluster.run(&address, "SELECT version FROM schema_version"),
        "8"
    );
    cluster.run(&address, "UPDATE schema_version SET oldest = 8");
    let refused = Truth::open_shared(scene.folder.path(), &address).err();
    let refused = refused.expect("is refused").to_string();
    assert!(refused.contains("start that version"), "{refused}");
}

#[test]
fn a_row_that_is_refused_among_many_costs_its_own_command_and_no_other() {
    let mut scene = shared_scene();
    damage::third_commands(&scene.truth.store);
    let machine = &mut scene.machines[0];
    let sales = (1..=5).map(|n| a_sale(machine, entity(n), 100));
    let sales: Vec<_> = sales.collect();
    let bundle = machine.write(sales);
    let answer = scene.send(&[&bundle]);
    assert!(answer.refused.is_empty() && answer.gaps.is_empty());
    for (dot, _) in bundle.commands() {
        let expected = if dot.counter == 3 {
            "INTERNAL"
        } else {
            "ACCEPTED"
        };
        assert_eq!(code(scene.outcome(dot)), expected, "{dot}");
    }
    assert_eq!(scene.stranger().sum(), scene.open().state().sum);
}
