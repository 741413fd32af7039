//! How a history comes about: machines learn from each other, write, restart, are cloned and put back, and a cloud decides a part.

use studiovault_protocol::command::{Change, Command, FieldWrite, Op};
use studiovault_protocol::id::{Author, CommandId, DeviceId, Dot, EntityId, Epoch, Nonce};
use studiovault_protocol::merge::{Code, Outcome, Priorities, Verdict};
use studiovault_protocol::time::WallMs;
use studiovault_protocol::value::Value;
use studiovault_protocol::vector::{Epochs, Vector};

use super::{COMMANDS, Told, ready};
use crate::sim::dice::Dice;
use crate::sim::reference::Bits;

/// Entities that all machines like to change.
const HOT: u8 = 3;

/// One running copy of a machine.
#[derive(Clone)]
struct Machine {
    device: DeviceId,
    epoch: Option<Epoch>,
    /// The end of its own path, and all of it.
    last: Option<Dot>,
    path: Bits,
    known: Bits,
    vector: Vector,
    skew_ms: i64,
    read: (Bits, Vector),
}

/// A history being made.
pub(super) struct Making {
    dice: Dice,
    epochs: Epochs,
    machines: Vec<Machine>,
    backups: Vec<Machine>,
    told: Vec<Told>,
    next_epoch: u64,
}

impl Making {
    /// Begins with four to six machines that know nothing.
    pub(super) fn new(seed: u64) -> Self {
        let mut dice = Dice::new(seed);
        let count = dice.between(4, 6) as u8;
        let machines = (0..count).map(|n| Machine {
            device: DeviceId([n + 1; 16]),
            epoch: None,
            last: None,
            path: Bits::default(),
            known: Bits::default(),
            vector: Vector::EMPTY,
            skew_ms: dice.between(0, 400_000).cast_signed() - 200_000,
            read: (Bits::default(), Vector::EMPTY),
        });
        let machines: Vec<Machine> = machines.collect();
        Self {
            dice,
            epochs: Epochs::default(),
            backups: machines.clone(),
            machines,
            told: Vec::new(),
            next_epoch: 1 << 20,
        }
    }

    /// Goes on until enough is written, and has a part of it decided.
    pub(super) fn finished(mut self) -> (Epochs, Vec<Told>, Priorities) {
        let devices: Vec<DeviceId> = self.machines.iter().map(|m| m.device).collect();
        let table = devices
            .into_iter()
            .map(|device| (device, self.dice.below(4) as i32));
        let priorities = Priorities(table.collect());
        while (self.told.len() as u64) < COMMANDS {
            self.step();
        }
        self.decide();
        (self.epochs, self.told, priorities)
    }

    fn step(&mut self) {
        let at = self.dice.place(self.machines.len());
        match self.dice.below(100) {
            0..=34 => self.learn(at),
            35..=37 => self.machines[at].epoch = None,
            38 => self.backups[at % 4] = self.machines[at].clone(),
            39 if self.machines.len() < 9 => {
                // A disk put back or cloned: the other copy may well go on too.
                let copy = self.backups[self.dice.place(4)].clone();
                self.machines.push(Machine {
                    epoch: None,
                    ..copy
                });
            }
            _ => self.write(at),
        }
    }

    fn learn(&mut self, at: usize) {
        let from = self.dice.place(self.machines.len());
        let (known, vector) = (
            self.machines[from].known.clone(),
            self.machines[from].vector.clone(),
        );
        let machine = &mut self.machines[at];
        machine.known.unite(&known);
        for tip in vector.tips() {
            machine.vector.join(&self.epochs, *tip);
        }
    }

    fn write(&mut self, at: usize) {
        let reading = self.dice.below(100);
        let skew = match self.dice.below(200) {
            0 => 3 * 86_400_000,
            _ => self.machines[at].skew_ms,
        };
        let machine = self.machines[at].clone();
        let author = self.author(at);
        let dot = author.at(machine.last.map_or(0, |last| last.counter) + 1);
        let (saw, ctx) = match reading {
            0..=14 => (machine.read.0.clone(), Some(machine.read.1.clone())),
            15..=17 => self.lie(&machine.known),
            _ => (machine.known.clone(), None),
        };
        let number = self.told.len();
        let mut path = machine.path.clone();
        path.insert(number);
        let ts = 1_700_000_000_000 + number as i64 * 20_000 + skew;
        let mut command = self.wish(&saw);
        (command.ctx, command.ts) = (ctx, WallMs(ts));
        self.told.push(Told {
            dot,
            command,
            path: path.clone(),
            past: machine.vector.clone(),
            saw,
            known: machine.known.clone(),
            verdict: None,
        });
        let machine = &mut self.machines[at];
        (machine.last, machine.path) = (Some(dot), path);
        machine.known.insert(number);
        machine.vector.join(&self.epochs, dot);
        if self.dice.happens(300) {
            machine.read = (machine.known.clone(), machine.vector.clone());
        }
    }

    /// A context with holes, of what others know, of what nobody wrote yet: of it counts what is known to whoever says it.
    fn lie(&mut self, known: &Bits) -> (Bits, Option<Vector>) {
        let other = self.dice.place(self.machines.len());
        let mut tips = self.machines[other].vector.tips().to_vec();
        tips.retain(|_| self.dice.happens(600));
        for tip in &mut tips {
            match self.dice.below(10) {
                0 => tip.counter += self.dice.below(9),
                1..=3 => *tip = self.earlier(*tip),
                _ => {}
            }
        }
        let mut saw = Bits::default();
        for (number, told) in self.told.iter().enumerate() {
            if known.contains(number) && tips.contains(&told.dot) {
                saw.unite(&told.path);
            }
        }
        (saw, Vector::from_tips(tips))
    }

    /// Some command of the same run, no later than that one.
    fn earlier(&mut self, tip: Dot) -> Dot {
        let dots = self.told.iter().map(|told| told.dot);
        let before: Vec<Dot> = dots
            .filter(|dot| dot.author == tip.author && dot.counter <= tip.counter)
            .collect();
        before[self.dice.place(before.len())]
    }

    fn author(&mut self, at: usize) -> Author {
        let machine = &mut self.machines[at];
        let epoch = machine.epoch.unwrap_or_else(|| {
            self.next_epoch += 1;
            // Epochs are random: a later one is no larger than an earlier one.
            let epoch = Epoch(self.next_epoch.wrapping_mul(0x9e37_79b9_7f4a_7c15));
            let parent = machine.last.map(|last| (last.author.epoch, last.counter));
            let device = machine.device;
            self.epochs.insert(Author { device, epoch }, parent);
            epoch
        });
        machine.epoch = Some(epoch);
        let device = machine.device;
        Author { device, epoch }
    }

    fn wish(&mut self, saw: &Bits) -> Command {
        let hot = self.dice.below(u64::from(HOT) + 2) as u8;
        let entity = EntityId([hot + 1; 16]);
        let (entity_type, fields): (&str, &[&str]) = match hot {
            3 => ("client", &["name", "email", "customer_number", "tags"]),
            4 => ("pos_order", &["amount_cents", "notes"]),
            _ => (
                "project",
                &["title", "title", "status", "notes", "tags", "print_credits"],
            ),
        };
        // Now and then somebody is of another mind about what a thing is, or newer.
        let odd = self.dice.happens(8);
        let entity_type = if odd { "client" } else { entity_type };
        let op = match self.dice.below(20) {
            0..=3 => Op::Create,
            4..=5 => Op::Delete,
            6..=7 => Op::Restore,
            8..=9 => Op::Resolve,
            _ => Op::Update,
        };
        let mut writes: Vec<FieldWrite> = Vec::new();
        let count = if op == Op::Delete {
            0
        } else {
            self.dice.between(1, 3)
        };
        for _ in 0..count {
            let field = fields[self.dice.place(fields.len())];
            let change = self.change((entity, field), saw);
            let kind = |write: &FieldWrite| std::mem::discriminant(&write.change);
            let write = FieldWrite {
                field: field.into(),
                change,
            };
            if !writes
                .iter()
                .any(|other| other.field == field && kind(other) == kind(&write))
            {
                writes.push(write);
            }
        }
        if self.dice.happens(5) {
            let change = Change::Write(Value::Int(1));
            writes.push(FieldWrite {
                field: "from_the_future".into(),
                change,
            });
        }
        Command {
            id: CommandId(self.dice.bytes()),
            entity_type: entity_type.into(),
            entity,
            op,
            writes,
            ctx: None,
            ts: WallMs(0),
            replaces: None,
            nonce: Nonce([0; 16]),
        }
    }

    fn change(&mut self, (entity, field): (EntityId, &str), saw: &Bits) -> Change {
        const NAMES: [&str; 6] = [
            "Weddings",
            " weddings",
            "WEDDINGS (2)",
            "\u{ff37}eddings",
            "Stra\u{df}e",
            "STRASSE ",
        ];
        match field {
            "title" => Change::Write(Value::Text(NAMES[self.dice.place(NAMES.len())].into())),
            "print_credits" => Change::Increment(self.dice.below(9).cast_signed() - 4),
            "amount_cents" => Change::Write(Value::Int(self.dice.below(3).cast_signed())),
            "tags" => {
                let element = Value::Text(format!("tag {}", self.dice.below(3)));
                if self.dice.happens(600) {
                    return Change::Add(vec![element]);
                }
                let adds = |told: &&Told| {
                    let mut writes = told.command.writes.iter();
                    told.command.entity == entity
                        && writes
                            .any(|w| matches!(&w.change, Change::Add(e) if e.contains(&element)))
                };
                let seen = self
                    .told
                    .iter()
                    .enumerate()
                    .filter(|(at, _)| saw.contains(*at));
                let mut dots: Vec<Dot> = seen
                    .map(|(_, told)| told)
                    .filter(adds)
                    .map(|told| told.dot)
                    .collect();
                dots.sort_unstable();
                Change::Remove(vec![(element, dots)])
            }
            _ => Change::Write(Value::Text(format!("value {}", self.dice.below(3)))),
        }
    }

    /// The cloud hears a part of it, in a causal order of its own. If it came late, what one machine knew then stood already.
    fn decide(&mut self) {
        if self.dice.happens(250) {
            let founder = self.dice.place(self.told.len());
            for number in 0..=founder {
                if number == founder || self.told[founder].known.contains(number) {
                    let (position, outcome) = (0, Outcome::Accepted);
                    self.told[number].verdict = Some(Verdict { position, outcome });
                }
            }
        }
        let undecided = self.told.iter().filter(|told| told.verdict.is_none());
        let most = undecided.count() as u64;
        let most = self.dice.below(most + 1);
        for position in 1..=most {
            let ready = ready(&self.told, |at| self.told[at].verdict.is_some());
            let at = ready[self.dice.place(ready.len())];
            let outcome = self.outcome(at);
            self.told[at].verdict = Some(Verdict { position, outcome });
        }
    }

    fn outcome(&mut self, at: usize) -> Outcome {
        const CONFLICTS: [Code; 4] = [
            Code::ConflictUpdateUpdate,
            Code::DuplicateKey,
            Code::ConflictDeleteUpdate,
            Code::ConflictUpdateDelete,
        ];
        const REFUSALS: [Code; 3] = [
            Code::ValidationFailed,
            Code::DependsOnRejected,
            Code::Withdrawn,
        ];
        let conflict = CONFLICTS[self.dice.place(4)];
        let fields: Vec<String> = self.told[at]
            .command
            .writes
            .iter()
            .map(|write| write.field.clone())
            .collect();
        let rejected = |code| Outcome::Rejected {
            code,
            detail: String::new(),
        };
        match self.dice.below(100) {
            0..=9 => rejected(conflict),
            10..=17 => rejected(REFUSALS[self.dice.place(3)]),
            18..=32 if !fields.is_empty() => {
                let field = fields[self.dice.place(fields.len())].clone();
                Outcome::Merged(vec![(field, CONFLICTS[self.dice.place(2)])])
            }
            _ => Outcome::Accepted,
        }
    }
}
