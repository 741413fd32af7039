//! A machine with nothing but a log: it writes real bundles, takes those of others, and folds what it has applied.

use std::collections::BTreeMap;

use crate::bundle::{Bundle, Header};
use crate::command::{Change, Command, FieldWrite, Op};
use crate::id::{Author, CommandId, DeviceId, Dot, EntityId, Epoch, Hash, Nonce, StudioId};
use crate::keys::SecretKey;
use crate::log::{Admission, LogIndex};
use crate::merge::{Context, Entity, Outcome, Priorities, Record, Verdict, fold};
use crate::policy::Policy;
use crate::time::WallMs;
use crate::value::Value;
use crate::vector::Vector;

/// The entity that everybody changes.
pub const IT: EntityId = EntityId([9; 16]);

#[derive(Clone)]
pub struct Machine {
    pub author: Author,
    pub log: LogIndex,
    pub verdicts: BTreeMap<Dot, Verdict>,
    bundles: BTreeMap<(Author, u64), Bundle>,
    order: Vec<(Bundle, Vector)>,
    prev: Option<Hash>,
    next: u64,
}

/// What a command says, without names and clocks.
pub struct Deed {
    pub op: Op,
    pub entity: EntityId,
    pub writes: Vec<FieldWrite>,
    pub ts: WallMs,
    pub ctx: Option<Vector>,
}

pub fn write(field: &str, change: Change) -> FieldWrite {
    FieldWrite {
        field: field.into(),
        change,
    }
}

pub fn title(text: &str) -> FieldWrite {
    write("title", Change::Write(Value::Text(text.into())))
}

/// At a moment of the day, in seconds.
pub fn deed(op: Op, writes: Vec<FieldWrite>, seconds: i64) -> Deed {
    Deed {
        op,
        entity: IT,
        writes,
        ts: WallMs(1_700_000_000_000 + seconds * 1000),
        ctx: None,
    }
}

impl Machine {
    pub fn new(n: u8) -> Self {
        let author = Author {
            device: DeviceId([n; 16]),
            epoch: Epoch(u64::from(100 - n)),
        };
        Self {
            author,
            log: LogIndex::default(),
            verdicts: BTreeMap::new(),
            bundles: BTreeMap::new(),
            order: Vec::new(),
            prev: None,
            next: 1,
        }
    }

    /// A new run of the process.
    pub fn restart(&mut self, epoch: u64) {
        self.author.epoch = Epoch(epoch);
    }

    /// Writes one command in a bundle of its own.
    pub fn write(&mut self, deed: Deed) -> Bundle {
        let past = self.log.chain(self.author);
        let past = past.map_or(Vector::EMPTY, |chain| chain.past.clone());
        let header = Header {
            studio: StudioId([7; 16]),
            author: self.author,
            first_counter: self.next,
            prev: self.prev,
            written_at: deed.ts,
            actor: "ines".into(),
            saw: self.log.seen_since(&past, self.author),
            together: false,
        };
        let number = self.order.len() as u8;
        let command = Command {
            id: CommandId([number; 16]),
            entity_type: "project".into(),
            entity: deed.entity,
            op: deed.op,
            writes: deed.writes,
            ctx: deed.ctx,
            ts: deed.ts,
            replaces: None,
            nonce: Nonce([0; 16]),
        };
        let key = SecretKey::from_seed([self.author.device.0[0]; 32]);
        let bundle = Bundle::seal(header, vec![command], &key).expect("a small bundle");
        (self.next, self.prev) = (bundle.last() + 1, Some(bundle.hash()));
        assert!(self.take(&bundle), "an own bundle continues the own path");
        bundle
    }

    /// Takes a bundle; whether it was news. Applies whatever is ready then.
    pub fn take(&mut self, bundle: &Bundle) -> bool {
        if self.log.judge(bundle) != Admission::Fresh {
            return false;
        }
        self.log.hold(bundle);
        self.bundles
            .insert((bundle.author(), bundle.first()), bundle.clone());
        while let Some(at) = self.log.next_ready() {
            let bundle = self.bundles[&at].clone();
            let past = self.log.apply(&bundle).clone();
            self.order.push((bundle, past));
        }
        true
    }

    /// Takes all that another one holds, until nothing is news any more.
    pub fn learn(&mut self, other: &Self) {
        while other
            .bundles
            .values()
            .filter(|bundle| self.take(bundle))
            .count()
            > 0
        {}
    }

    /// All bundles that are held.
    pub fn held(&self) -> impl Iterator<Item = &Bundle> {
        self.bundles.values()
    }

    /// The cloud's word on a command.
    pub fn decide(&mut self, dot: Dot, outcome: Outcome) {
        let position = self.verdicts.len() as u64 + 1;
        self.verdicts.insert(dot, Verdict { position, outcome });
    }

    /// The feed began when the command stood already.
    pub fn stood(&mut self, dot: Dot) {
        let (position, outcome) = (0, Outcome::Accepted);
        self.verdicts.insert(dot, Verdict { position, outcome });
    }

    pub fn entity(&self, id: EntityId) -> Entity {
        let policy = Policy::default();
        let commands = self.order.iter().flat_map(|(bundle, past)| {
            bundle
                .commands()
                .map(move |(dot, command)| (dot, command, past))
        });
        let records =
            commands
                .filter(|(_, command, _)| command.entity == id)
                .map(|(dot, command, past)| Record {
                    command,
                    dot,
                    ctx: Context::new(self.log.epochs(), (past, dot), command.ctx.as_ref()),
                    verdict: self.verdicts.get(&dot),
                });
        fold("project", id, records, &policy)
    }

    pub fn it(&self) -> Entity {
        self.entity(IT)
    }

    /// What is shown of the title.
    pub fn title(&self) -> Option<String> {
        match self.it().value("title", &Priorities::default()) {
            Some(Value::Text(text)) => Some(text.clone()),
            _ => None,
        }
    }

    pub fn conflicts(&self) -> Vec<crate::merge::Conflict> {
        self.it().conflicts(&Priorities::default())
    }
}

/// Machines that have all seen one project.
pub fn machines<const N: usize>() -> [Machine; N] {
    let mut first = Machine::new(1);
    let create = first.write(deed(Op::Create, vec![title("Wedding")], 0));
    std::array::from_fn(|n| {
        if n == 0 {
            return first.clone();
        }
        let mut machine = Machine::new(n as u8 + 1);
        machine.take(&create);
        machine
    })
}
