//! Applying at a receiver: blocks of another machine's bundles through the real driver and store, signatures and chains checked;
//! beside bare upserts of the same rows and verification alone.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use rusqlite::Connection;
use studiovault_node::config::{Machine, Region};
use studiovault_node::driver::{Driver, Event, Random, Setup};
use studiovault_node::store::{Location, Store};
use studiovault_protocol::bundle::Bundle;
use studiovault_protocol::engine::Identity;
use studiovault_protocol::event::{LinkId, Moment};
use studiovault_protocol::frontier::Frontier;
use studiovault_protocol::id::Epoch;
use studiovault_protocol::keys::VerifyKey;
use studiovault_protocol::limits;
use studiovault_protocol::policy::Policy;
use studiovault_protocol::time::{MonoMs, Now, WallMs};
use studiovault_protocol::wire::{Frame, Hello, PROTOCOL};

use super::{Figure, rate, studio, timed};

/// Blocks that one step takes: as many as the node's own loop does while nobody writes here.
const FRAMES_A_STEP: usize = 8;

fn moment() -> Moment {
    Moment {
        now: Now {
            wall: WallMs(1_790_000_000_000),
            mono: MonoMs(1),
        },
        entropy: 7,
    }
}

fn driver(machine: &Machine, store: Store) -> Result<Driver> {
    let roster = machine.studio.roster().map_err(anyhow::Error::msg)?;
    let identity = Identity {
        device: machine.identity.device,
        secret: machine.key.clone(),
        run: 1,
        fresh_epoch: Epoch(5),
    };
    let setup = Setup {
        identity,
        roster,
        policy: Policy::default(),
        region: Region::default(),
        random: Random::seeded(1),
    };
    Ok(Driver::new(setup, store, moment())?)
}

/// Bundles as an author writes them, `size` commands each.
fn bundles(machine: &Machine, count: usize, size: usize) -> Result<Vec<Arc<[u8]>>> {
    let mut author = driver(machine, Store::open(Location::Memory, &Policy::default())?)?;
    let mut bundles = Vec::new();
    for (ticket, from) in (0..count).step_by(size).enumerate() {
        let request = studio::creates(from, size);
        let output = author.step(moment(), vec![Event::Write(ticket as u64, request)]);
        let written = output.answers.into_iter().next().context("an answer")?.1?;
        let (author_id, first, _) = written.bundle.context("a bundle")?;
        bundles.push((author_id, first));
    }
    let mut store = author.into_store();
    let mut batch = store.begin()?;
    let mut read = Vec::new();
    for (author_id, first) in bundles {
        read.push(batch.bundle(author_id, first)?.bytes().clone());
    }
    Ok(read)
}

fn frames(bundles: &[Arc<[u8]>]) -> Vec<Frame> {
    let mut frames = Vec::new();
    let mut raw = Vec::new();
    let mut flush = |raw: &mut Vec<u8>| {
        let packed = zstd::bulk::compress(raw, 3).expect("compresses");
        let size = u32::try_from(raw.len()).expect("bounded");
        frames.push(Frame::Block {
            id: 1,
            raw: size,
            packed,
            done: false,
        });
        raw.clear();
    };
    for bytes in bundles {
        if raw.len() + bytes.len() > limits::BLOCK_BYTES {
            flush(&mut raw);
        }
        raw.extend_from_slice(&u32::try_from(bytes.len()).expect("bounded").to_le_bytes());
        raw.extend_from_slice(bytes);
    }
    flush(&mut raw);
    frames
}

/// How long the real driver takes to hold and apply all of `bundles`.
fn receive(folder: &Path, machines: &[Machine], bundles: &[Arc<[u8]>]) -> Result<Duration> {
    let [sender, receiver] = machines else {
        anyhow::bail!("two machines")
    };
    std::fs::create_dir_all(folder)?;
    let store = Store::open(Location::Folder(folder.to_owned()), &Policy::default())?;
    let mut driver = driver(receiver, store)?;
    let hello = Hello {
        protocol: (PROTOCOL, PROTOCOL),
        studio: receiver.studio.studio,
        chain: driver.engine().roster().chain_of(sender.identity.device),
        run: 9,
        roster: driver.engine().roster().digest(),
        policy: Policy::default().hash(),
        policies: driver.engine().policies().digest(),
        frontier: Frontier::default(),
        wall: moment().now.wall,
        port: 0,
    };
    let link = LinkId(1);
    let frame = |frame: &Frame| Event::Frame(link, frame.encode().into());
    let opened = Event::Opened(link, sender.key.public());
    let greeted = driver.step(
        moment(),
        vec![opened, frame(&Frame::Hello(Box::new(hello)))],
    );
    anyhow::ensure!(greeted.closes.is_empty(), "refused: {:?}", greeted.closes);
    let mut frames: Vec<Event> = frames(bundles).iter().map(frame).collect();
    let steps: Vec<Vec<Event>> = std::iter::from_fn(|| {
        let rest = frames.split_off(frames.len().min(FRAMES_A_STEP));
        let step = std::mem::replace(&mut frames, rest);
        (!step.is_empty()).then_some(step)
    })
    .collect();
    let ((), took) = timed(|| {
        for events in steps {
            let output = driver.step(moment(), events);
            assert!(output.closes.is_empty(), "refused: {:?}", output.closes);
        }
    });
    let held: usize = driver.store().counts()?.commands.try_into()?;
    let expected: usize = bundles
        .iter()
        .map(|b| Bundle::decode(b.clone()).map_or(0, |b| b.commands().len()))
        .sum();
    anyhow::ensure!(held == expected, "{held} of {expected} commands are held");
    Ok(took)
}

/// Bare upserts of the same rows by an integer key and a unique one, in transactions of about as many rows.
fn bare_upserts(folder: &Path, count: usize, rows_a_transaction: usize) -> Result<Duration> {
    let mut connection = Connection::open(folder.join("upserts.db"))?;
    connection.pragma_update(None, "journal_mode", "wal")?;
    connection.pragma_update(None, "synchronous", "full")?;
    connection.execute_batch(
        "CREATE TABLE entity (id INTEGER PRIMARY KEY, uuid BLOB NOT NULL UNIQUE, body BLOB NOT NULL)",
    )?;
    let rows: Vec<_> = (0..count)
        .map(|n| {
            Ok((
                *blake3::hash(&n.to_le_bytes()).as_bytes(),
                serde_json::to_vec(&studio::row(n))?,
            ))
        })
        .collect::<Result<_>>()?;
    let (result, took) = timed(|| -> Result<()> {
        for chunk in rows.chunks(rows_a_transaction) {
            let transaction = connection.transaction()?;
            {
                let mut upsert = transaction.prepare_cached(
                    "INSERT INTO entity (uuid, body) VALUES (?1, ?2) ON CONFLICT (uuid) DO UPDATE SET body = excluded.body",
                )?;
                for (uuid, body) in chunk {
                    upsert.execute((&uuid[..16], body))?;
                }
            }
            transaction.commit()?;
        }
        Ok(())
    });
    result?;
    Ok(took)
}

/// Verification alone.
fn verify_only(sender: &Machine, bundles: &[Arc<[u8]>]) -> Result<Duration> {
    let key = VerifyKey::new(&sender.key.public()).context("a key")?;
    let decoded: Vec<Bundle> = bundles
        .iter()
        .map(|b| Bundle::decode(b.clone()))
        .collect::<Result<_, _>>()?;
    let (result, took) = timed(|| decoded.iter().try_for_each(|bundle| bundle.verify(&key)));
    result?;
    Ok(took)
}

/// Measures.
pub fn measure(root: &Path) -> Result<Vec<Figure>> {
    let machines = studio::machines(&root.join("receive"), 2)?;
    // The receiver must know the sender, and the sender's folder was made first.
    let mut figures = Vec::new();
    for (name, count, size, target, words) in [
        (
            "applied at a receiver, bundles of 100",
            50_000,
            100,
            60_000.0,
            "60,000/s",
        ),
        (
            "applied at a receiver, single commands",
            10_000,
            1,
            10_000.0,
            "10,000/s",
        ),
    ] {
        let bundles = bundles(&machines[0], count, size)?;
        let folder = root.join(format!("receive-{size}"));
        let took = receive(&folder, &machines, &bundles)?;
        let bare = bare_upserts(&folder, count, 1_600)?;
        let verify = verify_only(&machines[0], &bundles)?;
        let got = rate(count, took);
        let limit = format!(
            "bare upserts {:.0}/s, verification alone {:.0}/s",
            rate(count, bare),
            rate(count, verify)
        );
        figures.push(Figure::new(
            name,
            (format!("{got:.0}/s"), limit, words),
            got >= target,
        ));
    }
    Ok(figures)
}
