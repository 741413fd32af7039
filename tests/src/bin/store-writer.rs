//! The writer of the power test: the real driver over the real store in a folder, with a peer in memory beside it.
//! Whatever anybody outside may rely on is told as it happens: an answered write, a bundle that was sent, a bundle of the
//! peer that was said to be held, and the state after every step.

use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use clap::Parser;
use serde_json::json;
use studiovault_lab::power::studio::{Member, moment};
use studiovault_lab::writes;
use studiovault_node::driver::{Driver, Event, Output, WriteRequest};
use studiovault_node::store::{Location, Store};
use studiovault_protocol::api::vv_text;
use studiovault_protocol::author::Mutation;
use studiovault_protocol::bundle::Bundle;
use studiovault_protocol::command::Op;
use studiovault_protocol::event::LinkId;
use studiovault_protocol::id::EntityId;
use studiovault_protocol::policy::Policy;
use studiovault_protocol::wire::Frame;

#[derive(Parser)]
struct Options {
    /// The store's folder.
    folder: PathBuf,
    /// How many rounds to write.
    rounds: u32,
}

const LINK: LinkId = LinkId(1);
/// A round of virtual time, ms: several rounds lie between two beats.
const ROUND_MS: u64 = 150;
/// The peer's epoch; the disk's is 1.
const PEER_RUN: u64 = 2;

fn main() -> Result<()> {
    let options = Options::parse();
    let policy = Policy::default();
    let store = Store::open(Location::Folder(options.folder), &policy)?;
    let memory = Store::open(Location::Memory, &policy)?;
    let mut pair = Pair {
        disk: Driver::new(Member::Disk.setup(1), store, moment(0))?,
        peer: Driver::new(Member::Memory.setup(PEER_RUN), memory, moment(0))?,
        acks: open_acks()?,
        ms: 0,
        ticket: 0,
        entities: Vec::new(),
    };
    pair.open()?;
    for round in 0..options.rounds {
        pair.round(round)?;
    }
    Ok(())
}

fn open_acks() -> Result<File> {
    let path =
        std::env::var_os("POWER_ACK").context("POWER_ACK names the file for acknowledgements")?;
    Ok(OpenOptions::new().create(true).append(true).open(path)?)
}

/// The machine whose power will be cut, and one that hears it.
struct Pair {
    disk: Driver,
    peer: Driver,
    acks: File,
    ms: u64,
    ticket: u64,
    entities: Vec<EntityId>,
}

impl Pair {
    fn open(&mut self) -> Result<()> {
        let opened = |other: Member| Event::Opened(LINK, other.key().public());
        let output = self.step_disk(vec![opened(Member::Memory)])?;
        let answer = self.peer.step(moment(self.ms), vec![opened(Member::Disk)]);
        self.settle(output, answer)
    }

    /// One to eight transactions in one step here, then some of the peer; both hear of each other's afterwards.
    fn round(&mut self, round: u32) -> Result<()> {
        self.ms += ROUND_MS;
        let group = [1, 1, 2, 8][round as usize % 4];
        let writes = (0..group)
            .map(|number| self.write(round * 8 + number))
            .collect();
        let others = (0..round % 3)
            .map(|number| self.write(round * 8 + number + 100_000))
            .collect();
        let output = self.step_disk(writes)?;
        let answer = self.peer.step(moment(self.ms), others);
        ensure!(
            answer.answers.iter().all(|(_, answer)| answer.is_ok()),
            "{:?}",
            answer.answers
        );
        self.settle(output, answer)
    }

    /// A transaction of 1 to 20 clients, or an edit of one that both machines know.
    fn write(&mut self, number: u32) -> Event {
        self.ticket += 1;
        let known = self.entities.get(number as usize % 97);
        let mutations = match known.filter(|_| number.is_multiple_of(3)) {
            Some(entity) => vec![edit(*entity, number)],
            None => (0..number % 20 + 1)
                .map(|part| create(number, part))
                .collect(),
        };
        let request = WriteRequest {
            actor: "Ana".to_owned(),
            mutations,
            together: number.is_multiple_of(7),
            skip_existing: false,
        };
        Event::Write(self.ticket, request)
    }

    /// Carries frames to and fro until nobody has anything to say.
    fn settle(&mut self, output: Output, answer: Output) -> Result<()> {
        let mut to_peer = VecDeque::from([output]);
        let mut to_disk = VecDeque::from([answer]);
        loop {
            if let Some(output) = to_peer.pop_front() {
                let again = output.again;
                let events = frames(output);
                if !events.is_empty() || again {
                    to_disk.push_back(self.peer.step(moment(self.ms), events));
                }
                if again {
                    to_peer.push_back(self.step_disk(Vec::new())?);
                }
            } else if let Some(output) = to_disk.pop_front() {
                let again = output.again;
                let events = frames(output);
                if !events.is_empty() {
                    to_peer.push_back(self.step_disk(events)?);
                }
                if again {
                    to_disk.push_back(self.peer.step(moment(self.ms), Vec::new()));
                }
            } else {
                return Ok(());
            }
        }
    }

    /// A step of the machine on the disk; then everything is told that somebody could know from now on.
    fn step_disk(&mut self, events: Vec<Event>) -> Result<Output> {
        let output = self.disk.step(moment(self.ms), events);
        ensure!(output.closes.is_empty(), "{:?}", output.closes);
        let applied = vv_text(self.disk.engine().log().applied());
        let state = self.disk.store().state_sum().hex();
        self.tell(&format!("state {applied} {state}"))?;
        for (_, answer) in &output.answers {
            let written = answer
                .as_ref()
                .map_err(|error| anyhow::anyhow!("{error}"))?;
            let (author, first, last) = written.bundle.context("every transaction writes")?;
            self.entities.extend(&written.ids);
            self.tell(&format!("wrote {} {}", author.at(first), author.at(last)))?;
        }
        for (_, bytes) in &output.sends {
            match Frame::decode(bytes)? {
                Frame::Push(bundles) => {
                    for bundle in bundles {
                        self.tell(&format!("sent {}", Bundle::decode(bundle.0)?.hash()))?;
                    }
                }
                Frame::Held(dots) => {
                    for dot in dots {
                        self.tell(&format!("held {dot}"))?;
                    }
                }
                _ => {}
            }
        }
        Ok(output)
    }

    fn tell(&mut self, what: &str) -> Result<()> {
        Ok(self.acks.write_all(format!("{what}\n").as_bytes())?)
    }
}

fn frames(output: Output) -> Vec<Event> {
    let frames = output.sends.into_iter();
    frames
        .map(|(link, bytes)| Event::Frame(link, bytes))
        .collect()
}

fn create(number: u32, part: u32) -> Mutation {
    let fields = json!({"name": format!("Client {number}-{part}"), "notes": "x".repeat(150), "tags": ["new"]});
    writes::create("client", fields)
}

fn edit(entity: EntityId, number: u32) -> Mutation {
    let fields =
        json!({"phone": number.to_string(), "tags": {"add": [format!("tag {}", number % 5)]}});
    writes::mutation("client", Some(entity), Op::Update, fields)
}
