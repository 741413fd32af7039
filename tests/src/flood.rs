//! Somebody who floods a machine of a studio with what makes no sense: before the handshake over bare TCP, and past it, with the
//! network's key and either a member's identity or a new one for every link.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use studiovault_node::mesh::{self, MeshCommand, MeshConfig, MeshEvent, MeshHandle};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::sim::dice::Dice;

/// Frames put on one link before it is left to its end.
const FRAMES_A_LINK: u64 = 2_000;
/// Pieces written on one bare connection at most.
const PIECES: u64 = 100;
/// Bare connections at one time.
const AT_ONCE: usize = 32;
/// A link that does not come within this is given up.
const PATIENCE: Duration = Duration::from_millis(500);

/// What a flooder knows.
#[derive(Clone, Debug)]
pub struct Keys {
    /// The network's key.
    pub network: [u8; 32],
    /// A member's.
    pub member: [u8; 32],
}

/// What came of a flood.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Flooded {
    /// Malformed frames, or pieces of bare bytes, that were put on the way.
    pub frames: u64,
    /// Bytes of them.
    pub bytes: u64,
    /// Connections or links on which they went.
    pub links: u64,
    /// Connections and dials that came to nothing.
    pub refused: u64,
    /// How long it took, s.
    pub seconds: f64,
}

/// Bytes that are no frame: of every length, of every kind.
fn nonsense(dice: &mut Dice) -> Vec<u8> {
    let length = match dice.below(100) {
        0 => dice.below(200_000),
        1..=9 => dice.below(4_000),
        _ => dice.below(64),
    };
    let first = dice.below(24) as u8;
    let mut bytes = vec![first];
    bytes.extend((0..length).map(|_| dice.number() as u8));
    bytes
}

/// Writes nonsense to bare connections until `count` pieces are on the way.
pub async fn before_the_handshake(victim: SocketAddr, count: u64) -> Result<Flooded> {
    let began = Instant::now();
    let mut all = Flooded::default();
    let mut number = 0;
    while all.frames < count {
        let mut under_way = tokio::task::JoinSet::new();
        for _ in 0..AT_ONCE {
            number += 1;
            under_way.spawn(pour(victim, Dice::new(number)));
        }
        while let Some(poured) = under_way.join_next().await {
            let (frames, bytes) = poured?;
            all.frames += frames;
            all.bytes += bytes;
            all.links += u64::from(frames > 0);
            all.refused += u64::from(frames == 0);
        }
    }
    all.seconds = began.elapsed().as_secs_f64();
    Ok(all)
}

/// One bare connection: as many pieces as the other side lets through.
async fn pour(victim: SocketAddr, mut dice: Dice) -> (u64, u64) {
    let (mut frames, mut bytes) = (0, 0);
    let Ok(Ok(mut stream)) = timeout(PATIENCE, TcpStream::connect(victim)).await else {
        return (0, 0);
    };
    while frames < PIECES {
        let piece = nonsense(&mut dice);
        match timeout(PATIENCE, stream.write_all(&piece)).await {
            Ok(Ok(())) => (frames, bytes) = (frames + 1, bytes + piece.len() as u64),
            _ => break,
        }
    }
    (frames, bytes)
}

/// Opens links and puts nonsense on them until `count` frames are on the way. Every other link is the member's.
pub async fn past_the_handshake(victim: SocketAddr, keys: Keys, count: u64) -> Result<Flooded> {
    let began = Instant::now();
    let mut all = Flooded::default();
    let mut dice = Dice::new(1);
    let mut turn = 0;
    while all.frames < count {
        turn += 1;
        let identity = if turn % 2 == 0 {
            keys.member
        } else {
            dice.bytes()
        };
        let config = MeshConfig {
            device_secret: identity,
            pre_shared_keys: vec![keys.network],
            last_port: 0,
            listen: vec![SocketAddr::from(([0, 0, 0, 0], 0))],
            topic: "flood".into(),
        };
        let (mesh, mut events) = mesh::start(config)?;
        match link(&mesh, &mut events, victim).await {
            Some(link) => {
                all.links += 1;
                for _ in 0..FRAMES_A_LINK {
                    let frame = Bytes::from(nonsense(&mut dice));
                    let length = frame.len() as u64;
                    if mesh.try_send(MeshCommand::Send { link, frame }).is_err() {
                        break;
                    }
                    all.frames += 1;
                    all.bytes += length;
                }
                // Until the other side has had enough.
                let ended = async {
                    while !matches!(events.recv().await, Some(MeshEvent::Closed { .. }) | None) {}
                };
                let _ = timeout(PATIENCE, ended).await;
            }
            None => all.refused += 1,
        }
        mesh.shutdown().await;
    }
    all.seconds = began.elapsed().as_secs_f64();
    Ok(all)
}

async fn link(
    mesh: &MeshHandle,
    events: &mut mpsc::Receiver<MeshEvent>,
    victim: SocketAddr,
) -> Option<mesh::LinkId> {
    mesh.try_send(MeshCommand::Dial(vec![victim])).ok()?;
    let opened = async {
        loop {
            match events.recv().await? {
                MeshEvent::Opened { link, .. } => return Some(link),
                MeshEvent::DialFailed { .. } => return None,
                _ => {}
            }
        }
    };
    timeout(PATIENCE, opened).await.ok().flatten()
}

/// Thirty-two bytes in hexadecimal, as the folder of a machine keeps them.
pub fn key(text: &str) -> Result<[u8; 32]> {
    let key: studiovault_node::config::SecretBytes =
        text.trim().parse().map_err(anyhow::Error::msg)?;
    Ok(key.0)
}

/// A member's keys, from the folder of its machine.
pub fn keys_of(folder: &std::path::Path) -> Result<Keys> {
    let studio: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(folder.join("studio.json"))?)?;
    let network = studio["mesh_key"].as_str().context("a network key")?;
    Ok(Keys {
        network: key(network)?,
        member: key(&std::fs::read_to_string(folder.join("device.key"))?)?,
    })
}
