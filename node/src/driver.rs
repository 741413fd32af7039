//! The driver: takes a batch of events, asks the engine, carries out its effects in field order.
//!
//! All writes of a step are one transaction; nothing is acknowledged, sent or shown before it is committed. If it fails, the
//! engine is built anew from the store and every link is closed: what was not durable never happened. The driver knows no
//! socket and no clock, so the simulator runs this very code.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use studiovault_protocol::engine::{ChangeRefused, Engine, Identity};
use studiovault_protocol::event::{
    BlockRead, Effects, Input, LinkId, Moment, Notice, Order, PagesRead, PieceRead, Write,
};
use studiovault_protocol::fault::FaultKind;
use studiovault_protocol::id::EntityId;
use studiovault_protocol::limits;
use studiovault_protocol::membership::{Keyring, Roster};
use studiovault_protocol::merge::Priorities;
use studiovault_protocol::pack::Taken;
use studiovault_protocol::policy::Policy;
use studiovault_protocol::time::{MonoMs, WallMs};
use studiovault_protocol::wire::Frame;

use crate::config::Region;
use crate::snapshots::Shelf;
use crate::store::{Applied, Batch, Rules, Store, StoreError};

mod audit;
mod blocks;
mod build;
mod change;
mod collect;
mod event;
mod forks;
mod full;
mod outgoing;
mod pack;
mod pieces;
mod random;
mod write;

pub use event::Event;
pub use outgoing::{Introduction, Request};
pub use random::Random;
pub use write::{WriteError, WriteRequest, Written};

/// What goes out once a step's writes are durable, in field order.
#[must_use]
#[derive(Debug, Default)]
pub struct Output {
    /// Frames, in order per link.
    pub sends: Vec<(LinkId, Bytes)>,
    /// Gossip: one bundle each.
    pub gossip: Vec<Arc<[u8]>>,
    /// Links to close, with the reason.
    pub closes: Vec<(LinkId, String)>,
    /// Those of them whose own frame was the reason.
    pub faults: Vec<LinkId>,
    /// Requests to the cloud.
    pub requests: Vec<Request>,
    /// Answers to writes.
    pub answers: Vec<(u64, Result<Written, WriteError>)>,
    /// Answers to changes of the roster.
    pub changes: Vec<(u64, Result<(), ChangeRefused>)>,
    /// Answers to parts of packs.
    pub packs: Vec<(u64, Taken)>,
    /// What was asked of peers, and came; `None`: nobody in reach has it.
    pub obtained: Vec<(u64, Option<Arc<[u8]>>)>,
    /// For people.
    pub notices: Vec<Notice>,
    /// Entities that changed.
    pub changed: Vec<EntityId>,
    /// Something was written.
    pub stored: bool,
    /// A conflict opened or was settled.
    pub conflicts_changed: bool,
    /// Blocks wait to be read: step again at once.
    pub again: bool,
}

/// What a driver is made with.
#[derive(Debug)]
pub struct Setup {
    /// This machine.
    pub identity: Identity,
    /// The roster as its own files know it; the store's records are added.
    pub roster: Roster,
    /// The policy in force until the studio signs one.
    pub policy: Policy,
    /// Its time zone and currency, for sales that do not name theirs.
    pub region: Region,
    /// For ids and nonces of commands.
    pub random: Random,
}

/// The one owner of engine and writer connection.
pub struct Driver {
    setup: Setup,
    engine: Engine,
    store: Store,
    priorities: Priorities,
    /// The keys of the mesh, which the store does not keep.
    keyring: Keyring,
    blocks: Vec<BlockRead>,
    pages: Vec<PagesRead>,
    /// Of each peer the latest question for a piece of a snapshot.
    pieces: BTreeMap<LinkId, PieceRead>,
    /// The snapshot that is handed on.
    shelf: Option<Shelf>,
    links: BTreeMap<LinkId, ()>,
    /// The disk was full: nothing of others is taken in before this moment.
    full_until: MonoMs,
    /// When to look for old deletes.
    collect_at: MonoMs,
}

impl Driver {
    /// Opens the driver over a store.
    pub fn new(setup: Setup, mut store: Store, moment: Moment) -> Result<Self, StoreError> {
        let engine = build::engine(&setup, &mut store, moment)?;
        let priorities = engine.roster().priorities();
        let mut driver = Self {
            setup,
            engine,
            store,
            priorities,
            keyring: Keyring::default(),
            blocks: Vec::new(),
            pages: Vec::new(),
            pieces: BTreeMap::new(),
            shelf: None,
            links: BTreeMap::new(),
            full_until: MonoMs(0),
            collect_at: MonoMs(0),
        };
        driver.keep_roster(moment.now.wall)?;
        Ok(driver)
    }

    /// The engine, to look at.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }
    /// The store, to look at.
    pub fn store(&self) -> &Store {
        &self.store
    }
    /// The store alone: what is left when the process ends.
    pub fn into_store(self) -> Store {
        self.store
    }
    /// When the next step is due at the latest, with or without events.
    pub fn next_wake(&self, now: MonoMs) -> MonoMs {
        self.engine.next_wake(now)
    }

    /// Handles a batch of events as one transaction. Never fails: what could not be written is answered so.
    pub fn step(&mut self, moment: Moment, events: Vec<Event>) -> Output {
        let tickets: Vec<u64> = events
            .iter()
            .filter_map(|event| match event {
                Event::Write(ticket, _) => Some(*ticket),
                _ => None,
            })
            .collect();
        let mut output = Output::default();
        if let Err(error) = self.collect(moment) {
            self.recover(moment, &error, &mut output);
        }
        match self.transact(moment, events, &mut output) {
            // What is durable stays answered so, even if reading for others fails now.
            Ok(after) => {
                if self.engine.keyring() != &self.keyring {
                    self.keyring = self.engine.keyring().clone();
                }
                if let Err(error) = self.read_out(moment, after, &mut output) {
                    self.recover(moment, &error, &mut output);
                }
                self.split(moment, &mut output);
            }
            Err(error) => {
                let refused = |ticket| (ticket, Err(WriteError::of_store(&error)));
                output = Output {
                    answers: tickets.into_iter().map(refused).collect(),
                    ..Output::default()
                };
                self.recover(moment, &error, &mut output);
            }
        }
        output
    }

    /// Reads what others are sent: blocks and pages that earlier steps left, and the bodies of requests.
    fn read_out(
        &mut self,
        moment: Moment,
        (blocks, pages, orders): After,
        output: &mut Output,
    ) -> Result<(), StoreError> {
        for read in std::mem::replace(&mut self.blocks, blocks) {
            self.send_block(moment, read, output)?;
        }
        for read in std::mem::replace(&mut self.pages, pages) {
            self.send_pages(&read, output)?;
        }
        for (_, read) in std::mem::take(&mut self.pieces) {
            self.send_piece(read, output);
        }
        for order in orders {
            let request = self.request(moment, order)?;
            output.requests.push(request);
        }
        output.again = !self.blocks.is_empty() || !self.pages.is_empty();
        Ok(())
    }

    /// The step's one transaction: every event, then the tick, then the commit.
    fn transact(
        &mut self,
        moment: Moment,
        events: Vec<Event>,
        output: &mut Output,
    ) -> Result<After, StoreError> {
        let mut step = Step {
            engine: &mut self.engine,
            batch: self.store.begin()?,
            setup: &mut self.setup,
            priorities: &mut self.priorities,
            links: &mut self.links,
            output,
            blocks: Vec::new(),
            pages: Vec::new(),
            pieces: &mut self.pieces,
            orders: Vec::new(),
            moment,
        };
        let is_full = moment.now.mono < self.full_until;
        for event in events {
            match full::kept_out(is_full, event) {
                Some(event) => step.event(event)?,
                None => continue,
            }
        }
        step.input(Input::Tick)?;
        let Step {
            batch,
            blocks,
            pages,
            orders,
            ..
        } = step;
        batch.commit()?;
        Ok((blocks, pages, orders))
    }

    /// The store failed: the engine goes back to what is durable, and every link begins anew.
    fn recover(&mut self, moment: Moment, error: &StoreError, output: &mut Output) {
        let reason = error.to_string();
        if error.is_full() {
            self.full_until = moment.now.mono.plus(full::PAUSE_MS);
        }
        output
            .notices
            .push(Notice::fault(FaultKind::Disk, reason.clone()));
        self.begin_anew(moment, &reason, output);
    }

    /// Builds the engine from what is durable; every link begins anew.
    fn begin_anew(&mut self, moment: Moment, reason: &str, output: &mut Output) {
        let links = std::mem::take(&mut self.links).into_keys();
        output
            .closes
            .extend(links.map(|link| (link, reason.to_owned())));
        self.blocks.clear();
        self.pages.clear();
        self.pieces.clear();
        match build::engine(&self.setup, &mut self.store, moment) {
            Ok(engine) => {
                self.engine = engine;
                let keyring = Input::Keyring(Box::new(self.keyring.clone()));
                let effects = self.engine.handle(moment, keyring);
                assert!(effects.writes.is_empty(), "keys are kept elsewhere");
                self.offer(moment);
            }
            Err(error) => output.notices.push(Notice::fault(FaultKind::Disk, error)),
        }
    }

    /// Keeps records in the store that only the node's own files knew, and takes the policy in force into use there.
    fn keep_roster(&mut self, at: WallMs) -> Result<(), StoreError> {
        let roster = &self.setup.roster;
        let records: Vec<_> = roster.records().cloned().collect();
        let mut lines = audit::beginning(&self.store, (self.setup.identity.device, roster))?;
        for record in &records {
            if !self.store.holds_record(record.hash())? {
                lines.push(audit::record_line(record, roster));
            }
        }
        let epochs = self.engine.log().epochs();
        let rules = Rules {
            policy: self.engine.policies().in_force(),
            priorities: &self.priorities,
            rights: self.engine.rights(),
            epochs,
            has_cloud: self.engine.roster().cloud().is_some(),
        };
        let mut batch = self.store.begin()?;
        for record in records {
            batch.write(&Write::Record(record), &rules)?;
        }
        for line in lines {
            batch.audit(&line, at)?;
        }
        batch.commit()
    }
}

/// What is read and worded once a step is durable.
type After = (Vec<BlockRead>, Vec<PagesRead>, Vec<Order>);

/// One transaction's worth of work.
struct Step<'a> {
    engine: &'a mut Engine,
    batch: Batch<'a>,
    setup: &'a mut Setup,
    priorities: &'a mut Priorities,
    links: &'a mut BTreeMap<LinkId, ()>,
    output: &'a mut Output,
    blocks: Vec<BlockRead>,
    pages: Vec<PagesRead>,
    pieces: &'a mut BTreeMap<LinkId, PieceRead>,
    orders: Vec<Order>,
    moment: Moment,
}

impl Step<'_> {
    fn event(&mut self, event: Event) -> Result<(), StoreError> {
        match event {
            Event::Write(ticket, request) => self.write(ticket, request),
            Event::Opened(link, key) => {
                self.links.insert(link, ());
                self.input(Input::Opened { link, key })
            }
            Event::Closed(link) => {
                self.links.remove(&link);
                self.blocks.retain(|read| read.link != link);
                self.pieces.remove(&link);
                self.input(Input::Closed(link))
            }
            Event::Restrict(link) => self.input(Input::Restrict(link)),
            Event::Keyring(keyring) => self.input(Input::Keyring(keyring)),
            Event::Rekey(rekey) => self.input(Input::Rekey(rekey)),
            Event::Frame(link, bytes) => self.frame(link, &bytes),
            Event::Gossip(bytes) if bytes.len() > limits::GOSSIP_INLINE_BYTES => Ok(()),
            Event::Gossip(bytes) => self.input(Input::Gossip(vec![Arc::from(&bytes[..])])),
            Event::Uplink(event) => self.input(Input::Uplink(event)),
            Event::Listening(port) => self.input(Input::Listening(port)),
            Event::Policy(record) => self.input(Input::Policy(record)),
            Event::Change(ticket, change) => self.change(ticket, &change),
            Event::Pack(ticket, part) => self.pack(ticket, part),
            Event::Offer(offer) => self.input(Input::Offer(offer)),
            Event::Obtain(wanted) => self.input(Input::Obtain(wanted)),
            Event::Woke => self.input(Input::Woke),
            Event::Network(network) => self.input(Input::Network(network)),
            Event::Audit(line) => self.batch.audit(&line, self.moment.now.wall),
        }
    }

    /// A link that is being closed is heard no more: what a peer sent behind its fault costs nothing.
    fn frame(&mut self, link: LinkId, bytes: &Bytes) -> Result<(), StoreError> {
        if !self.links.contains_key(&link) {
            return Ok(());
        }
        let before = self.output.closes.len();
        self.input(blocks::read_frame(link, bytes))?;
        let mut closes = self.output.closes[before..].iter();
        if closes.any(|(closed, _)| *closed == link) {
            self.output.faults.push(link);
        }
        Ok(())
    }

    fn input(&mut self, input: Input) -> Result<(), StoreError> {
        let effects = self.engine.handle(self.moment, input);
        self.carry_out(effects)?;
        while let Some((author, first)) = self.engine.next_ready() {
            let bundle = self.batch.bundle(author, first)?;
            let effects = self.engine.apply_stored(bundle);
            self.carry_out(effects)?;
        }
        Ok(())
    }

    fn carry_out(&mut self, effects: Effects) -> Result<(), StoreError> {
        let Effects {
            writes,
            sends,
            gossip,
            closes,
            blocks,
            pages,
            pieces,
            orders,
            compares,
            notices,
        } = effects;
        self.output.stored |= !writes.is_empty();
        let mut misnamed = Vec::new();
        for write in writes {
            let rules = Rules {
                policy: self.engine.policies().in_force(),
                priorities: self.priorities,
                rights: self.engine.rights(),
                epochs: self.engine.log().epochs(),
                has_cloud: self.engine.roster().cloud().is_some(),
            };
            let applied = self.batch.write(&write, &rules)?;
            let Applied {
                entities,
                opened,
                closed,
            } = applied;
            for line in audit::lines(&write, &closed, self.engine) {
                self.batch.audit(&line, self.moment.now.wall)?;
            }
            self.output
                .changed
                .extend(entities.into_iter().map(|(id, _)| id));
            self.output.conflicts_changed |= !opened.is_empty() || !closed.is_empty();
            match &write {
                Write::Apply { bundle, .. } if self.is_late(bundle)? => self.batch.note_late()?,
                Write::Fold(page) => misnamed.extend(self.batch.misnamed(page)?),
                _ => {}
            }
            if matches!(write, Write::Record(_)) {
                *self.priorities = self.engine.roster().priorities();
            }
        }
        let encoded = |(link, frame): (LinkId, Frame)| (link, frame.encode().into());
        self.output.sends.extend(sends.into_iter().map(encoded));
        self.output.gossip.extend(gossip);
        for (link, _) in &closes {
            self.links.remove(link);
        }
        self.output.closes.extend(closes);
        self.blocks.extend(blocks);
        self.pages.extend(pages);
        let latest = pieces.into_iter().map(|read| (read.link, read));
        self.pieces.extend(latest);
        self.orders.extend(orders);
        for notice in notices {
            self.notice(notice)?;
        }
        self.compare(compares, misnamed)
    }

    fn notice(&mut self, notice: Notice) -> Result<(), StoreError> {
        match notice {
            Notice::Written {
                ticket,
                author,
                first,
                last,
                applied,
            } => {
                self.answer_written(ticket, author, (first, last), &applied)?;
            }
            Notice::Refused { ticket, detail } => {
                self.output
                    .answers
                    .retain(|(answered, _)| *answered != ticket);
                self.output
                    .answers
                    .push((ticket, Err(WriteError::too_large(detail))));
            }
            Notice::TookPart { ticket, taken } => self.output.packs.push((ticket, taken)),
            Notice::Obtained { ticket, bytes } => self.output.obtained.push((ticket, bytes)),
            Notice::Gateway(holder) => {
                let line = audit::crown_line(holder, self.engine.roster());
                self.batch.audit(&line, self.moment.now.wall)?;
                self.output.notices.push(notice);
            }
            other => self.output.notices.push(other),
        }
        Ok(())
    }
}
