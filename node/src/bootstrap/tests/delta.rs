//! What a machine holds of a snapshot stands in for it, unless it is damaged or of another history.

use super::*;

fn places(scene: &Scene, (manifest, base): (&Manifest, Base)) -> Vec<usize> {
    let missing = scene.begin().missing(manifest, base).expect("looks");
    missing.into_iter().map(|(place, _)| place).collect()
}

#[test]
fn of_a_snapshot_only_the_segments_beyond_the_store_are_fetched() {
    let scene = a_scene();
    let first = scene.page(5);
    let second = scene.page_after(&first);
    scene.load(scene.snapshot(&first, |_| {})).expect("loads");
    let (manifest, chunks) = scene.snapshot_of(&[&first, &second], |_| {});
    let base = scene.begin().base(&manifest).expect("looks");
    assert_eq!(base, Base(1));
    assert_eq!(places(&scene, (&manifest, base)), [0, 2]);
    let loaded = scene.load((manifest, chunks.clone())).expect("loads");
    assert_eq!((loaded.own, loaded.position, loaded.pages), (1, 2, 2));
    assert_eq!(loaded.fetched as usize, chunks[0].len() + chunks[2].len());
    // The same again, and an older one that is still the newest: nothing but the signed records.
    for pages in [&[&first, &second][..], &[&first]] {
        let (manifest, chunks) = scene.snapshot_of(pages, |_| {});
        let bootstrap = Bootstrap {
            noted: None,
            ..scene.begin()
        };
        let manifest = bootstrap.check(manifest.bytes().to_vec());
        drop(bootstrap);
        let manifest = manifest.expect("it is sound");
        let base = scene.begin().base(&manifest).expect("looks");
        assert_eq!(places(&scene, (&manifest, base)), [0]);
        let loaded = fill(&scene, (&manifest, base), &chunks).expect("loads");
        assert_eq!(loaded.position, manifest.body().position);
        assert_eq!(scene.begin().held.map(|held| held.position), Some(2));
    }
}

/// Fetches and loads what lies beyond the base.
fn fill(
    scene: &Scene,
    asked: (&Manifest, Base),
    chunks: &[Vec<u8>],
) -> Result<Loaded, BootstrapError> {
    let bootstrap = scene.begin();
    for (place, name) in bootstrap.missing(asked.0, asked.1)? {
        bootstrap.keep(&name, &chunks[place])?;
    }
    let filled = bootstrap.fill(asked, &mut |_, _, _| {})?;
    bootstrap.finish(filled)
}

#[test]
fn a_store_that_is_damaged_or_of_another_history_is_no_base_and_all_is_loaded_without_it() {
    let other_way: fn(&Scene, &Page) = |_, _| {};
    let damaged: fn(&Scene, &Page) = |scene, page| {
        let mut bytes = scene.bytes();
        let length = page.bytes().len();
        let mut places = bytes.windows(length);
        let at = places.position(|window| window == &page.bytes()[..]);
        bytes[at.expect("it is held") + length - 1] ^= 1;
        fs::write(scene.folder.path().join("studio.db"), bytes).expect("writes");
    };
    for (harm, authors) in [(damaged, 5), (other_way, 6)] {
        let scene = a_scene();
        let first = scene.page(5);
        let second = scene.page_after(&first);
        scene
            .load(scene.snapshot_of(&[&first, &second], |_| {}))
            .expect("loads");
        harm(&scene, &second);
        let first = scene.page(authors);
        let second = scene.page_after(&first);
        let third = scene.page_after(&second);
        let (manifest, chunks) = scene.snapshot_of(&[&first, &second, &third], |_| {});
        let base = scene.begin().base(&manifest).expect("looks");
        assert_eq!(base, Base(2));
        let before = scene.bytes();
        let refused = fill(&scene, (&manifest, base), &chunks);
        assert!(
            matches!(refused, Err(BootstrapError::Refused(_))),
            "{refused:?}"
        );
        assert!(scene.bytes() == before, "the store was touched");
        let loaded = fill(&scene, (&manifest, Base::default()), &chunks).expect("loads");
        assert_eq!((loaded.own, loaded.position, loaded.pages), (0, 3, 3));
    }
}
