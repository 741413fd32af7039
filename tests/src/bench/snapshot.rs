//! A snapshot made, fetched and loaded, beside copying the file that it ends in.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write as _};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::{Figure, ms, timed};
use crate::lab::studiovault;
use crate::processes::{Running, done, join, json as asked, until};

/// Entities of the studio.
const ENTITIES: usize = 100_000;
/// Those that come while a machine is away.
const MORE: usize = 12_000;

/// How long the parts of a bootstrap took.
struct Took {
    fetched: Duration,
    whole: Duration,
}

/// Measures on a studio of its own below `root`.
pub fn measure(root: &Path) -> Result<Vec<Figure>> {
    let (cloud_folder, desk) = (root.join("snapshot-cloud"), root.join("snapshot-desk"));
    let cloud = Running::cloud(&cloud_folder);
    found(&desk, &cloud)?;
    let file = rows(root, 0..ENTITIES)?;
    let node = Running::node(&desk, &[]);
    let file = file.to_str().context("a path")?;
    done(&desk, &["import", file, "--type", "project"]);
    until(&desk, "all is confirmed", || {
        asked(&desk, &["status"])["counts"]["confirmed"] == json!(ENTITIES)
    });
    node.stop();
    let (made, making) = timed(|| asked(&cloud_folder, &["cloud", "snapshot"]));
    let (_, again) = timed(|| asked(&cloud_folder, &["cloud", "snapshot"]));
    let laptop = root.join("snapshot-laptop");
    join(&laptop, &desk)?;
    let took = bootstrap(&laptop)?;
    let away = away(root, (&cloud_folder, &desk, &laptop))?;
    let (length, copying) = copy(&desk.join("studio.db"), &root.join("copy.db"))?;
    let found = asked(&laptop, &["verify"]);
    ensure!(found["entities"] == json!(ENTITIES + MORE), "{found}");
    let packed = made[0]["bytes"].as_u64().unwrap_or(0);
    let limit = format!("copying the file of {} MiB: {}", length >> 20, ms(copying));
    let words = |took: Duration| (ms(took), limit.clone(), "none was set");
    let name = |what: &str| {
        format!(
            "snapshot of {ENTITIES} entities ({} MiB) {what}",
            packed >> 20
        )
    };
    Ok(vec![
        Figure::new(&name("made"), words(making), true),
        Figure::new(&name("made again, nothing new"), words(again), true),
        Figure::new(&name("fetched over loopback"), words(took.fetched), true),
        Figure::new(
            &name("verified and loaded"),
            words(took.whole.saturating_sub(took.fetched)),
            true,
        ),
        away,
    ])
}

/// What a machine fetches for a snapshot that has more than its own store.
fn away(root: &Path, (cloud, desk, laptop): (&Path, &Path, &Path)) -> Result<Figure> {
    let node = Running::node(desk, &[]);
    let file = rows(root, ENTITIES..ENTITIES + MORE)?;
    let file = file.to_str().context("a path")?;
    done(desk, &["import", file, "--type", "project"]);
    until(desk, "all is confirmed", || {
        asked(desk, &["status"])["counts"]["confirmed"] == json!(ENTITIES + MORE)
    });
    node.stop();
    let made = asked(cloud, &["cloud", "snapshot"]);
    let (begun, took) = timed(|| asked(laptop, &["bootstrap"]));
    let bytes = |told: &Value, name: &str| {
        let bytes = told[name].as_u64();
        bytes.context("bytes are told")
    };
    let (fetched, whole) = (bytes(&begun, "fetched_bytes")?, bytes(&made[0], "bytes")?);
    let measured = format!("{} KiB fetched, {} in all", fetched >> 10, ms(took));
    let limit = format!("all of it: {} KiB", whole >> 10);
    let name = format!("snapshot with {MORE} entities more than the store");
    Ok(Figure::new(
        &name,
        (measured, limit, "half of it"),
        fetched < whole / 2,
    ))
}

fn found(desk: &Path, cloud: &Running) -> Result<()> {
    let text = |name: &str| {
        cloud.ready[name]
            .as_str()
            .context("the cloud says where it is")
    };
    let kit = desk.with_extension("kit");
    let (url, token, kit) = (
        text("url")?,
        text("token")?,
        kit.to_str().context("a path")?,
    );
    let studio = [
        "init",
        "--name",
        "desk",
        "--studio-name",
        "Bench",
        "--kit",
        kit,
    ];
    done(
        desk,
        &[&studio[..], &["--cloud", url, "--cloud-token", token]].concat(),
    );
    Ok(())
}

/// Rows of about 300 bytes as a file.
fn rows(root: &Path, which: Range<usize>) -> Result<PathBuf> {
    let path = root.join("rows.csv");
    let mut file = std::io::BufWriter::new(File::create(&path)?);
    writeln!(file, "title,status,notes")?;
    for number in which {
        let row = super::studio::row(number);
        let text = |name: &str| row[name].as_str().unwrap_or_default().replace('"', "");
        writeln!(
            file,
            "{},{},\"{}\"",
            text("title"),
            text("status"),
            text("notes")
        )?;
    }
    file.flush()?;
    Ok(path)
}

/// Begins a machine from the newest snapshot.
fn bootstrap(laptop: &Path) -> Result<Took> {
    let begun = Instant::now();
    let mut child = Command::new(studiovault()?)
        .args(["--json", "--data"])
        .arg(laptop)
        .args(["bootstrap", "--progress"])
        .env("STUDIOVAULT_KEYS", "file")
        .stdout(Stdio::piped())
        .spawn()?;
    let out = BufReader::new(child.stdout.take().context("piped")?);
    let (mut fetched, mut of) = (Duration::ZERO, Value::Null);
    for line in out.lines() {
        // The report at the end is more than one line.
        let told: Value = serde_json::from_str(&line?).unwrap_or_default();
        if !told["of"].is_null() && !of.is_null() && told["of"] != of {
            fetched = begun.elapsed();
        }
        of.clone_from(&told["of"]);
    }
    ensure!(child.wait()?.success(), "the bootstrap failed");
    let whole = begun.elapsed();
    Ok(Took { fetched, whole })
}

/// Copies a file to the disk; its length, and how long it took.
fn copy(from: &Path, to: &Path) -> Result<(u64, Duration)> {
    let (length, took) = timed(|| -> Result<u64> {
        let length = fs::copy(from, to)?;
        File::open(to)?.sync_all()?;
        Ok(length)
    });
    Ok((length?, took))
}
