//! Machines that author bundles as the engine does, and a cloud that decides on them, for the store's tests.
//!
//! A machine here is a log index, a feed index and a store; what it writes goes through the store as `Write`s.

use std::collections::BTreeMap;

use studiovault_protocol::bundle::{Bundle, Header, Seen};
use studiovault_protocol::command::{Change, Command, FieldWrite, Op};
use studiovault_protocol::event::Write;
use studiovault_protocol::feed::{Entry, FeedIndex, Page, PageBody};
use studiovault_protocol::id::{
    Author, CommandId, DeviceId, EntityId, Epoch, Hash, Nonce, StudioId,
};
use studiovault_protocol::keys::SecretKey;
use studiovault_protocol::log::{Admission, LogIndex};
use studiovault_protocol::membership::{Act, Cut, Cuts, Rights, Roster, SignedRecord};
use studiovault_protocol::merge::{Outcome, Priorities};
use studiovault_protocol::policy::Policy;
use studiovault_protocol::time::WallMs;
use studiovault_protocol::value::Value;
use studiovault_protocol::vector::Vector;

use super::{Applied, Location, Rules, Store, StoreError};

pub const STUDIO: StudioId = StudioId([9; 16]);

/// A small deterministic source of chance.
pub struct Dice(pub u64);

impl Dice {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
    pub fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }
    pub fn one_in(&mut self, bound: u64) -> bool {
        self.below(bound) == 0
    }
    pub fn pick<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.below(of.len() as u64) as usize]
    }
    pub fn bytes(&mut self) -> [u8; 16] {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&self.next().to_le_bytes());
        bytes[8..].copy_from_slice(&self.next().to_le_bytes());
        bytes
    }
}

pub fn device(n: u8) -> DeviceId {
    DeviceId([n; 16])
}

pub fn entity(n: u8) -> EntityId {
    EntityId([n; 16])
}

pub fn key(n: u8) -> SecretKey {
    SecretKey::from_seed([n; 32])
}

pub fn priorities() -> Priorities {
    Priorities([(device(1), 3), (device(2), 2), (device(3), 1)].into())
}

/// The default policy, with titles that no two projects may share.
pub fn policy() -> Policy {
    let text = Policy::default().text().to_owned();
    Policy::parse(&text.replace(r#"["client", "title"]"#, r#"["title"]"#)).expect("a policy")
}

/// A command without values.
pub fn command(op: Op, id: EntityId, dice: &mut Dice) -> Command {
    Command {
        id: CommandId::from_random(dice.bytes()),
        entity_type: "project".into(),
        entity: id,
        op,
        writes: Vec::new(),
        ctx: None,
        ts: WallMs(1_700_000_000_000 + dice.below(600_000).cast_signed()),
        replaces: None,
        nonce: Nonce(dice.bytes()),
    }
}

pub fn text(field: &str, value: &str) -> FieldWrite {
    FieldWrite {
        field: field.into(),
        change: Change::Write(Value::Text(value.into())),
    }
}

/// A create of a client with about 300 bytes of values.
pub fn a_client(id: EntityId, dice: &mut Dice) -> Command {
    let name = format!("Client {:x}", dice.next());
    let writes = vec![
        text("name", &name),
        text("email", &format!("{:x}@studio.example", dice.next())),
        text("phone", "+351 210 000 000"),
        text("customer_number", "C-000123"),
        text(
            "notes",
            &"prefers the garden in the evening light; ".repeat(4),
        ),
    ];
    Command {
        entity_type: "client".into(),
        writes,
        ..command(Op::Create, id, dice)
    }
}

/// A sale of 10.00, a correction of it by -2.00, and a void, as entities 1 to 3.
pub fn a_voided_sale(dice: &mut Dice) -> [Command; 3] {
    let cents = |cents| FieldWrite {
        field: "amount_cents".into(),
        change: Change::Write(Value::Int(cents)),
    };
    let order = || FieldWrite {
        field: "order".into(),
        change: Change::Write(Value::Ref(entity(1))),
    };
    let mut entry = |n, entity_type: &str, writes| Command {
        entity_type: entity_type.into(),
        writes,
        ..command(Op::Create, entity(n), dice)
    };
    [
        entry(1, "pos_order", vec![cents(10_00)]),
        entry(2, "pos_correction", vec![order(), cents(-2_00)]),
        entry(3, "pos_void", vec![order()]),
    ]
}

/// One machine.
pub struct Machine {
    pub author: Author,
    pub index: LogIndex,
    pub feed: FeedIndex,
    pub policy: Policy,
    pub priorities: Priorities,
    pub rights: Rights,
    pub has_cloud: bool,
    pub bundles: BTreeMap<(Author, u64), Bundle>,
    prev: Option<Hash>,
    next: u64,
}

impl Machine {
    pub fn new(n: u8) -> Self {
        Self {
            author: Author {
                device: device(n),
                epoch: Epoch(100 + u64::from(n)),
            },
            index: LogIndex::default(),
            feed: FeedIndex::default(),
            policy: policy(),
            priorities: priorities(),
            rights: Rights::default(),
            has_cloud: true,
            bundles: BTreeMap::new(),
            prev: None,
            next: 1,
        }
    }

    /// What the store needs to know beside a write.
    pub fn rules(&self) -> Rules<'_> {
        Rules {
            policy: &self.policy,
            priorities: &self.priorities,
            rights: &self.rights,
            epochs: self.index.epochs(),
            has_cloud: self.has_cloud,
        }
    }

    /// A new run of the process: a new epoch.
    pub fn restart(&mut self, epoch: u64) {
        self.author.epoch = Epoch(epoch);
    }

    /// Seals a bundle on what is applied here.
    pub fn seal(&self, commands: Vec<Command>) -> Bundle {
        let past = self
            .index
            .chain(self.author)
            .map_or(Vector::EMPTY, |chain| chain.past.clone());
        let saw: Vec<Seen> = self.index.seen_since(&past, self.author);
        let header = Header {
            studio: STUDIO,
            author: self.author,
            first_counter: self.next,
            prev: self.prev,
            written_at: WallMs(1_700_000_000_000),
            actor: "ines".into(),
            saw,
            together: false,
        };
        Bundle::seal(header, commands, &key(self.author.device.0[0])).expect("a small bundle")
    }

    /// Writes of an own transaction.
    pub fn author(&mut self, commands: Vec<Command>) -> (Bundle, Vec<Write>) {
        let bundle = self.seal(commands);
        self.next = bundle.last() + 1;
        self.prev = Some(bundle.hash());
        let mut writes = vec![Write::Store {
            bundle: bundle.clone(),
            own: true,
        }];
        self.hold(&bundle);
        self.ready(&mut writes);
        (bundle, writes)
    }

    /// Takes back an own bundle, as a start does with what the store holds.
    pub fn adopt(&mut self, bundle: &Bundle) {
        self.author = bundle.author();
        self.next = bundle.last() + 1;
        self.prev = Some(bundle.hash());
        let _ = self.take(bundle);
    }

    /// Writes that a bundle of somebody else brings about.
    pub fn take(&mut self, bundle: &Bundle) -> Vec<Write> {
        if self.index.judge(bundle) != Admission::Fresh {
            return Vec::new();
        }
        let mut writes = vec![Write::Store {
            bundle: bundle.clone(),
            own: false,
        }];
        self.hold(bundle);
        self.ready(&mut writes);
        writes
    }

    fn hold(&mut self, bundle: &Bundle) {
        self.index.hold(bundle);
        self.bundles
            .insert((bundle.author(), bundle.first()), bundle.clone());
    }

    fn ready(&mut self, writes: &mut Vec<Write>) {
        while let Some(at) = self.index.next_ready() {
            let bundle = self.bundles[&at].clone();
            let past = self.index.apply(&bundle).clone();
            writes.push(Write::Apply { bundle, past });
        }
        self.foldable(writes);
    }

    fn foldable(&mut self, writes: &mut Vec<Write>) {
        while let Some(page) = self.feed.next_foldable(&self.index) {
            writes.push(Write::Fold(page));
        }
    }

    /// Writes that a feed page brings about.
    pub fn take_page(&mut self, page: &Page) -> Vec<Write> {
        if self.feed.hold(page.clone()) != Ok(true) {
            return Vec::new();
        }
        let mut writes = vec![Write::Page(page.clone())];
        self.foldable(&mut writes);
        writes
    }
}

/// The cuts of a roster in which these machines were shut out, and its last revocation.
pub fn cuts_of(shut_out: &[(u8, Vec<(Epoch, u64)>)]) -> (Cuts, SignedRecord) {
    let mut roster = Roster::new(STUDIO, key(99).public()).expect("a root key");
    for (n, stands) in shut_out {
        let cut = Cut {
            device: device(*n),
            stands: stands.clone(),
            keeps: Vec::new(),
            at: WallMs(0),
        };
        let record = SignedRecord::by_root(STUDIO, Act::Revoke(cut), &key(99));
        roster.insert(record).expect("is taken");
    }
    let last = roster.records().last().expect("one at least").clone();
    (roster.cuts().clone(), last)
}

/// The cloud truth: takes bundles in a causal order and decides on them.
pub struct Cloud {
    pub author: Author,
    pub position: u64,
    pub prev: Hash,
}

impl Default for Cloud {
    fn default() -> Self {
        let author = Author {
            device: device(200),
            epoch: Epoch(7),
        };
        Self {
            author,
            position: 0,
            prev: Hash::default(),
        }
    }
}

impl Cloud {
    /// Signs a page with these entries.
    pub fn page(&mut self, entries: Vec<Entry>) -> Page {
        let body = PageBody {
            studio: STUDIO,
            author: self.author,
            first: self.position + 1,
            prev: self.prev,
            at: WallMs(1_700_000_900_000),
            entries,
        };
        let page = Page::seal(body, &key(200));
        self.position = page.last();
        self.prev = page.hash();
        page
    }

    /// The entries that take a bundle and decide it, all accepted but the exceptions.
    pub fn decide(bundle: &Bundle, exceptions: Vec<(u64, Outcome)>) -> Vec<Entry> {
        let (author, first, last, hash) = (
            bundle.author(),
            bundle.first(),
            bundle.last(),
            bundle.hash(),
        );
        vec![
            Entry::Bundle {
                author,
                first,
                last,
                hash,
            },
            Entry::Verdicts {
                author,
                first,
                last,
                hash,
                exceptions,
            },
        ]
    }
}

/// A store in memory.
pub fn a_store() -> Store {
    Store::open(Location::Memory, &policy()).expect("a store in memory opens")
}

/// Carries out writes in one transaction.
pub fn commit(
    store: &mut Store,
    writes: &[Write],
    rules: &Rules<'_>,
) -> Result<Vec<Applied>, StoreError> {
    let mut batch = store.begin()?;
    let applied = writes
        .iter()
        .map(|write| batch.write(write, rules))
        .collect::<Result<_, _>>()?;
    batch.commit()?;
    Ok(applied)
}
