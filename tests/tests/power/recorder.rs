//! The recorder and the replay themselves: they let pass what is safe, and catch what is not.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use studiovault_lab::power::{Acked, Cut, Recorder, Recording, Tail, scratch};

const WRITER: &str = env!("CARGO_BIN_EXE_plain-sqlite");
const ROWS: u32 = 600;
const CUTS: usize = 100;

fn recorded(synchronous: &str) -> Result<Recording> {
    let folder = scratch("power-test")?;
    let mut command = Command::new(WRITER);
    command
        .arg(folder.path())
        .args([synchronous, &ROWS.to_string()]);
    let recording = Recording::run(&mut command, folder.path())?;
    assert_eq!(recording.acks(), ROWS as usize);
    Ok(recording)
}

/// The rows a restarted database shows; its own check must find it whole.
fn rows_after(folder: &Path) -> Result<u32> {
    let path = folder.join("plain.db");
    if !path.exists() {
        return Ok(0);
    }
    let database = rusqlite::Connection::open(path)?;
    let check: String = database.query_row("PRAGMA integrity_check", (), |row| row.get(0))?;
    anyhow::ensure!(check == "ok", "integrity: {check}");
    let count = "SELECT count(*) FROM sqlite_master WHERE name = 'row'";
    if database.query_row(count, (), |row| row.get::<_, u32>(0))? == 0 {
        return Ok(0);
    }
    let (rows, last): (u32, Option<u32>) =
        database.query_row("SELECT count(*), max(id) FROM row", (), |row| {
            Ok((row.get(0)?, row.get(1)?))
        })?;
    anyhow::ensure!(
        rows == last.unwrap_or(0),
        "{rows} rows up to {last:?}: one in between is missing"
    );
    Ok(rows)
}

/// How many of the cuts lost an acknowledged row.
fn losing_cuts(recording: &Recording, tail: Tail) -> Result<usize> {
    let folder = scratch("power-cut")?;
    let into = folder.path().join("files");
    let mut replay = recording.replay();
    let mut losing = 0;
    for after in recording.cut_points(CUTS) {
        let cut = Cut {
            after,
            tail,
            seed: 7,
        };
        let Acked(acked) = replay.materialise(cut, &into)?;
        let rows = rows_after(&into).with_context(|| format!("{cut:?}"))?;
        losing += usize::from((rows as usize) < acked.len());
    }
    Ok(losing)
}

#[test]
fn full_synchronous_loses_nothing_in_300_cuts() -> Result<()> {
    let recording = recorded("FULL")?;
    for tail in Tail::ALL {
        assert_eq!(losing_cuts(&recording, tail)?, 0, "{tail:?}");
    }
    Ok(())
}

#[test]
fn normal_synchronous_is_caught_losing_when_the_tail_is_dropped() -> Result<()> {
    let recording = recorded("NORMAL")?;
    let losing = losing_cuts(&recording, Tail::Dropped)?;
    assert!(
        losing > CUTS / 2,
        "only {losing} of {CUTS} cuts lost something"
    );
    assert_eq!(
        losing_cuts(&recording, Tail::Kept)?,
        0,
        "kill -9 alone never loses"
    );
    Ok(())
}

/// Records a shell script that works in a folder of its own.
fn script(text: &str) -> Result<(Recording, tempfile::TempDir)> {
    let folder = scratch("power-script")?;
    std::fs::write(folder.path().join("before"), "old")?;
    let recorder = Recorder::new(folder.path())?;
    let mut command = Command::new("sh");
    command.args(["-c", text]).current_dir(folder.path());
    recorder.watch(&mut command);
    assert!(command.status()?.success());
    recorder.ack("done")?;
    let recording = recorder.finish()?;
    recording.check(folder.path())?;
    Ok((recording, folder))
}

/// Names and contents after the last event.
fn left(recording: &Recording, tail: Tail) -> Result<Vec<(String, String)>> {
    let folder = scratch("power-left")?;
    let cut = Cut {
        after: recording.events(),
        tail,
        seed: 1,
    };
    let acked = recording.replay().materialise(cut, folder.path())?;
    assert_eq!(acked, Acked(vec!["done".to_owned()]));
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder.path())? {
        let path = entry?.path();
        let name = path
            .file_name()
            .context("a file has a name")?
            .to_string_lossy()
            .into_owned();
        files.push((name, std::fs::read_to_string(&path)?));
    }
    files.sort();
    Ok(files)
}

fn pairs(files: &[(&str, &str)]) -> Vec<(String, String)> {
    files
        .iter()
        .map(|(name, text)| ((*name).to_owned(), (*text).to_owned()))
        .collect()
}

#[test]
fn a_file_renamed_before_its_bytes_were_synced_is_empty_or_gone() -> Result<()> {
    // `sync before` makes the names safe and not the bytes of the new file.
    let (recording, _folder) = script("echo new > fresh; mv fresh after; sync before")?;
    assert_eq!(
        left(&recording, Tail::Dropped)?,
        pairs(&[("after", ""), ("before", "old")])
    );
    assert_eq!(
        left(&recording, Tail::Kept)?,
        pairs(&[("after", "new\n"), ("before", "old")])
    );
    let (unsynced, _folder) = script("echo new > fresh; mv fresh after")?;
    assert_eq!(left(&unsynced, Tail::Dropped)?, pairs(&[("before", "old")]));
    Ok(())
}

#[test]
fn a_synced_file_stays_and_what_follows_the_sync_is_at_risk() -> Result<()> {
    let (recording, _folder) = script("echo one > log; sync log; echo two >> log; rm before")?;
    assert_eq!(
        left(&recording, Tail::Dropped)?,
        pairs(&[("before", "old"), ("log", "one\n")])
    );
    assert_eq!(
        left(&recording, Tail::Kept)?,
        pairs(&[("log", "one\ntwo\n")])
    );
    Ok(())
}

#[test]
fn a_torn_write_keeps_some_sectors_and_the_same_ones_for_the_same_seed() -> Result<()> {
    let fill = |letter: &str| {
        format!(
            "head -c 8192 /dev/zero | tr '\\0' {letter} | dd of=old bs=8192 conv=notrunc iflag=fullblock status=none"
        )
    };
    let text = format!("{}; sync old; {}", fill("a"), fill("b"));
    let (recording, _folder) = script(&text)?;
    let torn = left(&recording, Tail::Torn)?;
    let bytes = torn[1].1.as_bytes();
    let new_sectors = bytes
        .chunks(512)
        .filter(|sector| sector.iter().all(|byte| *byte == b'b'))
        .count();
    let old_sectors = bytes
        .chunks(512)
        .filter(|sector| sector.iter().all(|byte| *byte == b'a'))
        .count();
    assert_eq!(new_sectors + old_sectors, 16);
    assert!((1..16).contains(&new_sectors), "{new_sectors} of 16");
    assert_eq!(left(&recording, Tail::Torn)?, torn);
    Ok(())
}
