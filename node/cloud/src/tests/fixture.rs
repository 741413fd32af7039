//! A studio with its machines: they author bundles, and fold the feed by the protocol's own definition.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use studiovault_protocol::bundle::{Bundle, Header};
use studiovault_protocol::cloud::{
    BatchAnswer, BatchRequest, Changes, EnrolAnswer, EnrolRequest, Known,
};
use studiovault_protocol::command::{Change, Command, FieldWrite, Op};
use studiovault_protocol::feed::{Entry, FeedIndex, Page};
use studiovault_protocol::frontier::Frontier;
use studiovault_protocol::id::{
    Author, CommandId, DeviceId, Dot, EntityId, Epoch, Nonce, StudioId,
};
use studiovault_protocol::keys::{SecretKey, VerifyKey};
use studiovault_protocol::log::{Admission, LogIndex};
use studiovault_protocol::membership::{Grant, Role, SignedRecord};
use studiovault_protocol::merge::{Context, Entity, Outcome, Record, StateSum, Verdict, fold};
use studiovault_protocol::policy::Policy;
use studiovault_protocol::time::WallMs;
use studiovault_protocol::value::Value;
use studiovault_protocol::vector::Vector;
use studiovault_protocol::wire::Packed;
use tempfile::TempDir;

use super::cluster::Cluster;
use crate::store::damage;
use crate::studio::Studio;
use crate::truth::Truth;

/// Noon of some day.
pub const NOON: WallMs = WallMs(1_790_000_000_000);

/// A studio of three machines, enrolled at a truth in a folder of its own.
pub struct Scene {
    pub folder: TempDir,
    pub database: Option<String>,
    pub truth: Truth,
    pub root: SecretKey,
    pub cloud: EnrolAnswer,
    pub studio: StudioId,
    pub machines: Vec<Machine>,
}

/// The usual scene.
pub fn three_machines() -> Scene {
    three_machines_on(None)
}

/// The usual scene, always on SQLite.
pub fn template() -> Scene {
    three_machines_on(None)
}

/// The database that a server of a test uses, if not its folder's.
pub fn database() -> Option<String> {
    None
}

fn open(folder: &Path, database: Option<&str>) -> Truth {
    let truth = match database {
        None => Truth::open(folder),
        Some(address) => Truth::open_shared(folder, address),
    };
    truth.expect("opens")
}

/// The usual scene on a shared database, or on the folder's own.
pub fn three_machines_on(database: Option<String>) -> Scene {
    let folder = tempfile::tempdir().expect("a folder");
    let truth = open(folder.path(), database.as_deref());
    let (root, studio) = (SecretKey::from_seed([7; 32]), StudioId([5; 16]));
    let cloud = truth.enrol(&enrolment(studio, &root)).expect("enrols");
    let machines: Vec<Machine> = (1..=3).map(|n| Machine::new(n, studio)).collect();
    let scene = Scene {
        folder,
        database,
        truth,
        root,
        cloud,
        studio,
        machines,
    };
    let records = scene.records();
    let request = BatchRequest {
        roster: records,
        policies: Vec::new(),
        ..empty_request()
    };
    let taken = scene.open().take(&scene.truth, &request, NOON);
    taken.expect("the roster is taken");
    scene
}

pub fn enrolment(studio: StudioId, root: &SecretKey) -> EnrolRequest {
    EnrolRequest {
        studio,
        name: "Lumen".into(),
        root: root.public(),
        genesis: Vec::new(),
    }
}

pub fn empty_request() -> BatchRequest {
    BatchRequest {
        device: DeviceId([1; 16]),
        term: Some(1),
        since: 0,
        have: Frontier::default(),
        known: Known::default(),
        roster: Vec::new(),
        policies: Vec::new(),
        bundles: Vec::new(),
        only: None,
        stuck: Vec::new(),
    }
}

/// A copy of a scene's database.
pub enum Backup {
    File(PathBuf),
    Database(String),
}

impl Scene {
    /// Another truth on the same folder and database.
    pub fn another(&self) -> Truth {
        open(self.folder.path(), self.database.as_deref())
    }

    /// What stands in the database now, as a backup keeps it.
    pub fn back_up(&self) -> Backup {
        match &self.database {
            Some(address) => Backup::Database(Cluster::shared().copy(address)),
            None => {
                let path = self.folder.path().join("backup.db");
                damage::run(
                    self.folder.path(),
                    &format!("VACUUM INTO '{}'", path.display()),
                );
                Backup::File(path)
            }
        }
    }

    /// Puts the database back to a backup; the folder's keys stay.
    pub fn put_back(&mut self, backup: Backup) {
        match backup {
            Backup::Database(address) => self.database = Some(address),
            Backup::File(path) => {
                self.truth = Truth::in_memory(SecretKey::from_seed([0; 32])).expect("opens");
                for name in ["cloud.db-wal", "cloud.db-shm"] {
                    let _ = std::fs::remove_file(self.folder.path().join(name));
                }
                let own = self.folder.path().join("cloud.db");
                std::fs::copy(path, own).expect("copies");
            }
        }
        self.truth = self.another();
    }

    pub fn open(&self) -> Arc<Studio> {
        let studio = self.truth.studio(self.studio).expect("reads");
        studio.expect("is enrolled")
    }

    /// Everybody's grant, the truth's included.
    pub fn records(&self) -> Vec<SignedRecord> {
        let cloud = (self.cloud.device, self.cloud.key, Role::Cloud);
        let machines = self
            .machines
            .iter()
            .map(|machine| (machine.device, machine.key.public(), Role::Member));
        machines
            .chain([cloud])
            .map(|(device, key, role)| {
                let grant = Grant {
                    device,
                    key,
                    name: "machine".into(),
                    role,
                    priority: 0,
                    gateway_preference: 0,
                    version: 1,
                };
                SignedRecord::by_root(self.studio, grant, &self.root)
            })
            .collect()
    }

    /// Sends bundles; the answer must not be an error.
    pub fn send(&self, bundles: &[&Bundle]) -> BatchAnswer {
        let request = BatchRequest {
            bundles: bundles.iter().map(|bundle| packed(bundle)).collect(),
            ..empty_request()
        };
        self.open()
            .take(&self.truth, &request, NOON)
            .expect("an answer")
    }

    /// The whole feed and every bundle in it.
    pub fn whole_feed(&self) -> Changes {
        let (mut all, mut since) = (Changes::default(), 0);
        loop {
            let part = self
                .open()
                .changes(&self.truth, since, &Frontier::default());
            let part = part.expect("reads");
            let last = part.pages.last().map(|page| Page::decode(&page.0[..]));
            since = last.map_or(since, |page| page.expect("a page").last());
            all.pages.extend(part.pages);
            all.bundles.extend(part.bundles);
            all.head = part.head;
            if !part.more {
                return all;
            }
        }
    }

    /// What a machine that holds nothing but the feed shows.
    pub fn stranger(&self) -> Machine {
        let mut stranger = Machine::new(9, self.studio);
        stranger.take_in(&self.whole_feed(), &self.cloud);
        stranger
    }

    /// The verdict on a command.
    pub fn outcome(&self, dot: Dot) -> Option<Outcome> {
        let verdict = self.stranger().verdicts.get(&dot).cloned();
        verdict.map(|verdict| verdict.outcome)
    }
}

pub fn packed(bundle: &Bundle) -> Packed {
    Packed(bundle.bytes().to_vec())
}

/// A machine that writes and folds.
pub struct Machine {
    pub device: DeviceId,
    pub key: SecretKey,
    pub log: LogIndex,
    pub feed: FeedIndex,
    pub verdicts: BTreeMap<Dot, Verdict>,
    pub policy: Policy,
    studio: StudioId,
    author: Author,
    written: Option<(u64, studiovault_protocol::id::Hash, Vector)>,
    /// In the order of application, each with all that its author had seen.
    applied: Vec<(Bundle, Vector)>,
    waiting: Vec<Bundle>,
    drawn: u64,
    checks: Checks,
}

/// Whether checkpoints are compared: only a machine that holds no more than the feed can.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Checks {
    On,
    Off,
}

impl Machine {
    pub fn new(number: u8, studio: StudioId) -> Self {
        let device = DeviceId([number; 16]);
        Self {
            device,
            key: SecretKey::from_seed([number; 32]),
            log: LogIndex::default(),
            feed: FeedIndex::default(),
            verdicts: BTreeMap::new(),
            policy: Policy::default(),
            studio,
            author: Author {
                device,
                epoch: Epoch(1000 + u64::from(number)),
            },
            written: None,
            applied: Vec::new(),
            waiting: Vec::new(),
            drawn: 0,
            checks: Checks::On,
        }
    }

    /// Writes one transaction.
    pub fn write(&mut self, commands: Vec<Command>) -> Bundle {
        self.seal(commands, false)
    }

    /// Writes one transaction that is taken whole or not at all.
    pub fn write_together(&mut self, commands: Vec<Command>) -> Bundle {
        self.seal(commands, true)
    }

    fn seal(&mut self, commands: Vec<Command>, together: bool) -> Bundle {
        let (last, prev, since) = match self.written.clone() {
            Some((last, hash, since)) => (last, Some(hash), since),
            None => (0, None, Vector::default()),
        };
        let header = Header {
            studio: self.studio,
            author: self.author,
            first_counter: last + 1,
            prev,
            written_at: NOON,
            actor: "ines".into(),
            saw: self.log.seen_since(&since, self.author),
            together,
        };
        let bundle = Bundle::seal(header, commands, &self.key).expect("seals");
        self.receive(&bundle);
        self.written = Some((bundle.last(), bundle.hash(), self.log.applied().clone()));
        bundle
    }

    /// Takes a bundle in, and whatever it made ready.
    pub fn receive(&mut self, bundle: &Bundle) {
        if self.log.judge(bundle) != Admission::Fresh {
            return;
        }
        self.log.hold(bundle);
        self.waiting.push(bundle.clone());
        while let Some((author, first)) = self.log.next_ready() {
            let at = self
                .waiting
                .iter()
                .position(|bundle| bundle.author() == author && bundle.first() == first);
            let bundle = self.waiting.remove(at.expect("a parked bundle is kept"));
            let past = self.log.apply(&bundle).clone();
            self.applied.push((bundle, past));
        }
    }

    /// Takes bundles and pages in as they came from the truth, checking every signature.
    pub fn take_in(&mut self, changes: &Changes, cloud: &EnrolAnswer) {
        let key = VerifyKey::new(&cloud.key).expect("a key");
        let bundles: BTreeMap<(Author, u64), Bundle> = changes
            .bundles
            .iter()
            .map(|packed| Bundle::decode(&packed.0[..]).expect("a bundle"))
            .map(|bundle| ((bundle.author(), bundle.first()), bundle))
            .collect();
        for packed in &changes.pages {
            let page = Page::decode(&packed.0[..]).expect("a page");
            page.verify(&key).expect("signed by the truth");
            // Not all at once, so that each checkpoint finds what the truth held there.
            for named in page.named() {
                self.receive(&bundles[&(named.author, named.first)]);
            }
            assert_eq!(page.body().author.device, cloud.device);
            self.feed.hold(page).expect("the chain holds");
            while let Some(page) = self.feed.next_foldable(&self.log) {
                self.fold_page(&page);
            }
        }
    }

    /// Takes pages in when everything they name is held; checkpoints then tell nothing.
    pub fn take_in_late(&mut self, changes: &Changes, cloud: &EnrolAnswer) {
        self.checks = Checks::Off;
        self.take_in(changes, cloud);
    }

    fn fold_page(&mut self, page: &Page) {
        for (position, entry) in page.entries() {
            match entry {
                Entry::Verdicts { .. } | Entry::AsItStands { .. } => {
                    let (author, first, last) = entry.decided().expect("it decides");
                    for counter in first..=last {
                        let verdict = entry.verdict(position, counter).expect("decided here");
                        let old = self.verdicts.insert(author.at(counter), verdict);
                        assert_eq!(old, None, "a command gets one verdict");
                    }
                }
                Entry::Checkpoint(sum) if self.checks == Checks::On => {
                    assert_eq!(*sum, self.sum(), "at {position}");
                }
                Entry::Genesis(_)
                | Entry::Bundle { .. }
                | Entry::Stuck { .. }
                | Entry::Checkpoint(_) => {}
            }
        }
    }

    /// Every entity, folded from all that is applied.
    pub fn entities(&self) -> BTreeMap<EntityId, Entity> {
        let mut records: BTreeMap<EntityId, Vec<Record<'_>>> = BTreeMap::new();
        for (bundle, past) in &self.applied {
            for (dot, command) in bundle.commands() {
                let ctx = Context::new(self.log.epochs(), (past, dot), command.ctx.as_ref());
                records.entry(command.entity).or_default().push(Record {
                    command,
                    dot,
                    ctx,
                    verdict: self.verdicts.get(&dot),
                });
            }
        }
        let whole = |(id, records): (EntityId, Vec<Record<'_>>)| {
            let entity_type = records[0].command.entity_type.clone();
            (id, fold(&entity_type, id, records, &self.policy))
        };
        records.into_iter().map(whole).collect()
    }

    /// The sum over all entities.
    pub fn sum(&self) -> StateSum {
        let mut sum = StateSum::default();
        for entity in self.entities().values() {
            sum.add(entity.state_sum());
        }
        sum
    }

    /// A command of this machine.
    pub fn command(&mut self, op: Op, entity_type: &str, entity: EntityId) -> Command {
        self.drawn += 1;
        let mut id = [0; 16];
        id[..8].copy_from_slice(&self.drawn.to_le_bytes());
        id[8] = self.device.0[0];
        Command {
            id: CommandId(id),
            entity_type: entity_type.into(),
            entity,
            op,
            writes: Vec::new(),
            ctx: None,
            ts: NOON,
            replaces: None,
            nonce: Nonce(id),
        }
    }
}

/// Words a command further.
pub trait Says: Sized {
    fn write(self, field: &str, value: Value) -> Self;
    fn text(self, field: &str, text: &str) -> Self {
        self.write(field, Value::Text(text.into()))
    }
    fn int(self, field: &str, number: i64) -> Self {
        self.write(field, Value::Int(number))
    }
    fn tag(self, tag: &str) -> Self;
}

impl Says for Command {
    fn write(mut self, field: &str, value: Value) -> Self {
        self.writes.push(FieldWrite {
            field: field.into(),
            change: Change::Write(value),
        });
        self
    }
    fn tag(mut self, tag: &str) -> Self {
        self.writes.push(FieldWrite {
            field: "tags".into(),
            change: Change::Add(vec![Value::Text(tag.into())]),
        });
        self
    }
}

pub fn entity(number: u64) -> EntityId {
    let mut id = [0xee; 16];
    id[..8].copy_from_slice(&number.to_le_bytes());
    EntityId(id)
}

/// A client that machine 0 created, confirmed, and known to all machines.
pub fn a_confirmed_client(scene: &mut Scene) -> EntityId {
    let id = entity(1);
    let create = scene.machines[0]
        .command(Op::Create, "client", id)
        .text("name", "Silva")
        .text("email", "silva@example.org");
    let bundle = scene.machines[0].write(vec![create]);
    let answer = scene.send(&[&bundle]);
    assert!(answer.rejections.is_empty());
    for machine in &mut scene.machines {
        machine.receive(&bundle);
    }
    id
}

/// A sale that machine 0 wrote.
pub fn a_sale(machine: &mut Machine, id: EntityId, cents: i64) -> Command {
    machine
        .command(Op::Create, "pos_order", id)
        .text("sold_on", "2026-11-20")
        .int("items", 1)
        .int("amount_cents", cents)
}

pub fn code(outcome: Option<Outcome>) -> String {
    match outcome {
        None => "NO VERDICT".into(),
        Some(Outcome::Accepted) => "ACCEPTED".into(),
        Some(Outcome::Rejected { code, .. }) => code.word().into(),
        Some(Outcome::Merged(lost)) => {
            let lost: Vec<String> = lost
                .iter()
                .map(|(field, code)| format!("{field} {}", code.word()))
                .collect();
            format!("MERGED {}", lost.join(", "))
        }
    }
}
