//! Everything that crosses the bridge, recorded by tcpdump and taken apart again: what a listener on the same network has.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::{Lab, Process, eventually};

/// tcpdump says that it listens within this.
const START: Duration = Duration::from_secs(10);
/// Port of multicast DNS.
const MDNS: u16 = 5353;

/// A recording under way.
pub struct Capture {
    process: Process,
    file: PathBuf,
}

/// What was recorded.
pub struct Recording {
    /// All of it, headers included.
    pub bytes: Vec<u8>,
    /// What each side of each TCP connection said, in the order in which it passed.
    pub streams: Vec<Vec<u8>>,
    /// The datagrams of multicast DNS.
    pub announcements: Vec<Vec<u8>>,
}

impl Lab {
    /// Why nothing can be recorded on this machine; `None` if it can.
    pub fn deaf() -> Option<String> {
        let asked = super::run(Command::new("tcpdump").arg("--version"));
        let missing = |error| format!("`tcpdump` is missing (apt install tcpdump): {error:#}");
        asked.err().map(missing)
    }

    /// Begins to record the bridge; ready when this returns.
    pub fn capture(&self, name: &str) -> Result<Capture> {
        let file = self.folder().join(format!("{name}.pcap"));
        let mut command = self.network.bridge.command("tcpdump");
        command.args([
            "-i",
            "br0",
            "--immediate-mode",
            "-U",
            "-s",
            "0",
            "-Z",
            "root",
            "-B",
            "16384",
            "-w",
        ]);
        command.arg(&file);
        let process = Process::start(command, self.folder().join(format!("{name}-tcpdump.log")))?;
        let listens = || process.log().contains("listening on").then_some(());
        eventually("tcpdump listens", START, listens)?;
        Ok(Capture { process, file })
    }
}

impl Capture {
    /// Ends it and reads what there is.
    pub fn end(mut self) -> Result<Recording> {
        self.process.interrupt()?;
        let log = self.process.log();
        let lost = log.lines().find(|line| line.contains("dropped by kernel"));
        let lost = lost.context("tcpdump says what it lost")?;
        ensure!(lost.starts_with("0 "), "the recording has holes: {lost}");
        let bytes = std::fs::read(&self.file)?;
        Recording::of(bytes)
    }
}

/// One side of a connection: addresses and ports.
type Flow = (Vec<u8>, Vec<u8>, u16, u16);

impl Recording {
    fn of(bytes: Vec<u8>) -> Result<Self> {
        let word = |at: usize| -> Option<u32> {
            let four = bytes.get(at..at + 4)?;
            Some(u32::from_le_bytes([four[0], four[1], four[2], four[3]]))
        };
        ensure!(word(0) == Some(0xa1b2_c3d4), "not a recording of tcpdump");
        let (mut streams, mut announcements) = (BTreeMap::<Flow, Vec<u8>>::new(), Vec::new());
        let mut at = 24;
        while let Some(length) = word(at + 8) {
            let from = at + 16;
            let Some(frame) = bytes.get(from..from + length as usize) else {
                break;
            };
            at = from + length as usize;
            match payload(frame) {
                Some((6, flow, said)) => streams.entry(flow).or_default().extend_from_slice(said),
                Some((17, (_, _, MDNS, _) | (_, _, _, MDNS), said)) => {
                    announcements.push(said.to_vec());
                }
                _ => {}
            }
        }
        Ok(Self {
            streams: streams.into_values().collect(),
            announcements,
            bytes,
        })
    }

    /// Which of these texts can be read anywhere: as they are, in small letters, in UTF-16, or in hexadecimal digits.
    pub fn found<'n>(&self, names: &[&'n str]) -> Vec<&'n str> {
        let mut needles: HashMap<[u8; KEY], Vec<(Vec<u8>, &'n str)>> = HashMap::new();
        for name in names {
            let wide: Vec<u8> = name.encode_utf16().flat_map(u16::to_le_bytes).collect();
            let digits: String = name.bytes().map(|byte| format!("{byte:02x}")).collect();
            for form in [
                name.as_bytes().to_vec(),
                name.to_lowercase().into_bytes(),
                wide,
                digits.into_bytes(),
            ] {
                if let Some(key) = form.first_chunk() {
                    needles.entry(*key).or_default().push((form, name));
                }
            }
        }
        let mut found = Vec::new();
        for text in self
            .streams
            .iter()
            .chain(&self.announcements)
            .chain([&self.bytes])
        {
            for at in 0..text.len().saturating_sub(KEY) {
                let key: [u8; KEY] = text[at..at + KEY].try_into().expect("as long as the key");
                let here = needles.get(&key).into_iter().flatten();
                found.extend(
                    here.filter(|(form, _)| text[at..].starts_with(form))
                        .map(|(_, name)| *name),
                );
            }
        }
        found.sort_unstable();
        found.dedup();
        found
    }

    /// What multicast DNS said that is no word of the protocol itself: labels and texts of more than seven letters.
    pub fn announced(&self) -> Vec<String> {
        let mut said = Vec::new();
        for datagram in &self.announcements {
            let mut at = 12;
            while at < datagram.len() {
                let length = usize::from(datagram[at]);
                let text = datagram.get(at + 1..at + 1 + length).unwrap_or_default();
                let is_text =
                    length > 7 && text.len() == length && text.iter().all(u8::is_ascii_graphic);
                if is_text {
                    said.push(String::from_utf8_lossy(text).into_owned());
                }
                at += if is_text { length + 1 } else { 1 };
            }
        }
        said.retain(|text| text != "_studiovault" && text != "_services");
        said.sort_unstable();
        said.dedup();
        said
    }
}

/// Bytes by which a needle is looked up.
const KEY: usize = 6;

/// The protocol, the flow and what is said in an Ethernet frame; `None` if it is neither TCP nor UDP over IP.
fn payload(frame: &[u8]) -> Option<(u8, Flow, &[u8])> {
    let packet = frame.get(14..)?;
    let (protocol, from, to, segment) = match frame.get(12..14)? {
        [8, 0] => {
            let header = usize::from(packet[0] & 15) * 4;
            let length = usize::from(u16::from_be_bytes([packet[2], packet[3]]));
            // 0: a packet larger than the field, put together by the network card that is none.
            let end = if length == 0 {
                packet.len()
            } else {
                length.min(packet.len())
            };
            (
                packet[9],
                packet.get(12..16)?,
                packet.get(16..20)?,
                packet.get(header..end)?,
            )
        }
        [0x86, 0xdd] => (
            packet[6],
            packet.get(8..24)?,
            packet.get(24..40)?,
            packet.get(40..)?,
        ),
        _ => return None,
    };
    let port = |at: usize| {
        Some(u16::from_be_bytes([
            *segment.get(at)?,
            *segment.get(at + 1)?,
        ]))
    };
    let skip = match protocol {
        6 => usize::from(segment.get(12)? >> 4) * 4,
        17 => 8,
        _ => return None,
    };
    let flow = (from.to_vec(), to.to_vec(), port(0)?, port(2)?);
    Some((protocol, flow, segment.get(skip..)?))
}
