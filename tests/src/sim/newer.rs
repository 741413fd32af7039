//! Machines that run a newer version of the program among others that run this one: they announce a protocol that nobody else
//! speaks, and their programs write what this version cannot read: envelopes, operations, types and fields.
//!
//! All of it must be held, passed on and applied as nothing, everywhere the same, and keep nobody from agreeing on the rest. There is
//! no cloud in these worlds, which would keep what it cannot decide undecided for good.

use std::collections::BTreeMap;

use bytes::Bytes;
use studiovault_node::driver::Event;
use studiovault_protocol::bundle::{Bundle, Header};
use studiovault_protocol::command::{Change, Command, FieldWrite, Op};
use studiovault_protocol::id::{
    Author, CommandId, DeviceId, EntityId, Epoch, Hash, Nonce, StudioId,
};
use studiovault_protocol::keys::SecretKey;
use studiovault_protocol::time::WallMs;
use studiovault_protocol::value::Value;
use studiovault_protocol::wire::{Frame, PROTOCOL};

use super::dice::Dice;
use super::machine::Node;
use super::world::{Happening, World};

/// The version of an envelope that this program does not read.
const ENVELOPE: u8 = 2;
/// Operations from here on are unknown to this version.
const UNKNOWN_OP: u8 = 40;

/// The newer machines of a world.
#[derive(Debug)]
pub struct Newer {
    /// Chance of its own.
    dice: Dice,
    every_ms: u64,
    studio: StudioId,
    logs: BTreeMap<usize, OwnLog>,
}

/// What the newer program of a machine has written.
#[derive(Debug)]
struct OwnLog {
    author: Author,
    key: SecretKey,
    bundles: Vec<(Bytes, u64)>,
    prev: Option<Hash>,
}

impl OwnLog {
    fn last(&self) -> u64 {
        self.bundles.last().map_or(0, |(_, last)| *last)
    }
}

impl Newer {
    /// At least one of the machines, and never all.
    pub fn draw(seed: u64, machines: &[(DeviceId, SecretKey)], studio: StudioId) -> Self {
        let mut dice = Dice::new(seed ^ 0x0002_0002_0002_0002);
        let count = dice.between(1, machines.len() as u64 - 1) as usize;
        let first = dice.place(machines.len());
        let chosen = (first..first + count).map(|at| at % machines.len());
        let mut logs = BTreeMap::new();
        for at in chosen {
            let (device, key) = machines[at].clone();
            let epoch = Epoch(dice.number());
            let author = Author { device, epoch };
            let (bundles, prev) = (Vec::new(), None);
            logs.insert(
                at,
                OwnLog {
                    author,
                    key,
                    bundles,
                    prev,
                },
            );
        }
        Self {
            every_ms: dice.between(300, 2_000),
            dice,
            studio,
            logs,
        }
    }

    /// What goes out in the place of a frame: a newer program says that it speaks the next protocol too.
    pub fn said(&self, at: usize, frame: Bytes) -> Bytes {
        match Frame::decode(&frame) {
            Ok(Frame::Hello(mut hello)) if self.logs.contains_key(&at) => {
                hello.protocol = (PROTOCOL, PROTOCOL + 1);
                Frame::Hello(hello).encode().into()
            }
            _ => frame,
        }
    }

    /// The next bundle of a machine's newer program.
    fn write(&mut self, at: usize, known: &[EntityId], wall: WallMs) -> &'static str {
        let kind = self.dice.below(5);
        let entity = match self.dice.place(known.len() + 1) {
            place if place < known.len() && kind != 4 => known[place],
            _ => EntityId::from_random(self.dice.bytes()),
        };
        let command = self.command(kind, entity, wall);
        let count = self.dice.between(1, 3);
        let rest = self.dice.bytes::<24>();
        let own = self.logs.get_mut(&at).expect("it is one of them");
        let header = Header {
            studio: self.studio,
            author: own.author,
            first_counter: own.last() + 1,
            prev: own.prev,
            written_at: wall,
            actor: format!("a newer program at {at}"),
            saw: Vec::new(),
            together: false,
        };
        let bundle = if kind == 0 {
            let sealed = Bundle::seal_newer((ENVELOPE, header), (count, &rest), &own.key);
            Bundle::decode(sealed).expect("what is promised of every envelope")
        } else {
            Bundle::seal(header, vec![command], &own.key).expect("one command fits")
        };
        own.prev = Some(bundle.hash());
        let bytes = Bytes::copy_from_slice(bundle.bytes());
        own.bundles.push((bytes, bundle.last()));
        [
            "newer envelope",
            "unknown operation",
            "unknown type",
            "unknown field",
            "plain create",
        ][kind as usize]
    }

    fn command(&mut self, kind: u64, entity: EntityId, wall: WallMs) -> Command {
        let (entity_type, op, field) = match kind {
            1 => (
                "client",
                Op::Newer(UNKNOWN_OP + self.dice.below(3) as u8),
                "name",
            ),
            2 => ("lens", Op::Create, "focal"),
            3 => ("client", Op::Update, "loyalty"),
            _ => ("client", Op::Create, "name"),
        };
        let value = Value::Text(format!("of a newer program {}", self.dice.below(100)));
        Command {
            id: CommandId(self.dice.bytes()),
            entity_type: entity_type.into(),
            entity,
            op,
            writes: vec![FieldWrite {
                field: field.into(),
                change: Change::Write(value),
            }],
            ctx: None,
            replaces: None,
            ts: wall,
            nonce: Nonce(self.dice.bytes()),
        }
    }
}

impl World {
    /// A newer program writes, or brings again what its machine did not keep; the latter until everybody is calm.
    pub fn write_newer(&mut self) {
        let Some(mut newer) = self.newer.take() else {
            return;
        };
        let machines: Vec<usize> = newer.logs.keys().copied().collect();
        for at in machines {
            let own = &newer.logs[&at];
            let Some(driver) = self.nodes.get(at).and_then(Node::driver) else {
                continue;
            };
            let held = driver.engine().log().held(own.author);
            if held > 0 {
                self.checks.promises.acknowledged(own.author, held);
            }
            if held == own.last() && !self.is_healed && newer.dice.happens(300) {
                let known = driver.store().entity_ids().expect("memory reads");
                let known: Vec<EntityId> = known.into_iter().collect();
                let wall = self.wall(Some(at));
                let kind = newer.write(at, &known, wall);
                self.checks.fault(kind);
                self.trace
                    .note(self.now, format_args!("NEWER {kind} at {at}"), &[]);
            }
            let lacking = newer.logs[&at]
                .bundles
                .iter()
                .find(|(_, last)| *last > held);
            if let Some((bytes, _)) = lacking {
                let bytes = bytes.clone();
                self.tell(at, Event::Gossip(bytes));
            }
        }
        let next = newer.dice.around(newer.every_ms);
        self.newer = Some(newer);
        self.after(next, Happening::Newer);
    }

    /// Something that a newer program wrote and its own machine does not hold yet.
    pub fn unwritten(&self) -> Option<String> {
        let logs = self.newer.iter().flat_map(|newer| &newer.logs);
        let mut lacking = logs.filter(|(at, own)| {
            let driver = self.nodes[**at].driver();
            driver.is_none_or(|driver| driver.engine().log().held(own.author) < own.last())
        });
        let (at, _) = lacking.next()?;
        Some(format!("node {at} lacks what its newer program wrote"))
    }
}
