//! The runner: the one loop, on one thread, that owns the driver and joins it to mesh, discovery, uplink and applications.
//!
//! It gathers what waits into one step (group commit), then hands out what the step brought. It decides nothing itself but
//! when to dial.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use studiovault_protocol::api;
use studiovault_protocol::event::{LinkId, Notice, UplinkEvent};
use studiovault_protocol::fault::{Fault, FaultKind};
use studiovault_protocol::time::{MonoMs, Now};
use tokio::sync::{broadcast, mpsc, oneshot};

use crate::clock::Clock;
use crate::config::AddressBook;
use crate::discovery::DiscoveryEvent;
use crate::driver::{Driver, Event, Output, Request, WriteError, Written};
use crate::mesh::{MeshCommand, MeshEvent, MeshHandle};
use crate::node::Announce;

mod asked;
mod board;
mod contacts;
mod dialer;
mod dialing;
mod gather;
mod holders;
mod keys;
mod local;
mod presence;
mod relay;

use asked::Asked;
pub use board::{Board, BoardFacts};
pub use contacts::{Candidate, Contact, Met, Neighbourhood};
use gather::Turns;
pub use holders::Holders;
pub use keys::KeyKeeper;
pub use local::{Journal, Local};
use presence::Presence;
pub use relay::Relay;

/// A wall clock that ran this much further than the monotonic one, or a loop that stood for so long, means that the machine
/// slept, ms.
const SLEPT_MS: i64 = 5_000;
/// The status snapshot is made anew at most this often, ms.
const STATUS_MS: u64 = 100;

/// The channels that the loop listens to and speaks on.
pub struct Channels {
    /// From the facade.
    pub local: mpsc::Receiver<Local>,
    /// From the mesh.
    pub mesh_events: mpsc::Receiver<MeshEvent>,
    /// To the mesh.
    pub mesh: MeshHandle,
    /// To the uplink, if there is a cloud.
    pub requests: Option<mpsc::Sender<Request>>,
    /// From the uplink.
    pub uplink_events: mpsc::Receiver<UplinkEvent>,
    /// To applications.
    pub events: broadcast::Sender<api::Event>,
}

/// How this machine is found.
#[derive(Debug, Clone)]
pub struct Reachability {
    /// Whether it announces itself.
    pub announce: Announce,
    /// The studio's discovery key.
    pub discovery_keys: Vec<[u8; 32]>,
    /// Addresses given by a person.
    pub peers: Vec<SocketAddr>,
    /// The keys of the mesh.
    pub keeper: KeyKeeper,
    /// Where peers were reached before.
    pub addresses: AddressBook,
    /// Where that is kept.
    pub addresses_file: PathBuf,
}

/// The loop's state.
pub struct Runner {
    driver: Driver,
    channels: Channels,
    clock: Clock,
    board: Arc<Board>,
    presence: Presence,
    tickets: HashMap<u64, oneshot::Sender<Result<Written, WriteError>>>,
    next_ticket: u64,
    links: BTreeMap<LinkId, SocketAddr>,
    last: Now,
    shown: Shown,
    again: bool,
    conflicts_told: bool,
    asked: Asked,
    turns: Turns,
}

/// The snapshot of the status that is shown.
#[derive(Debug)]
struct Shown {
    at: MonoMs,
    /// Something is another than it shows.
    stale: bool,
    /// Peers may hold something else than it shows.
    peers_moved: bool,
    /// What the engine had counted of that at the last look.
    moves: u64,
}

impl Default for Shown {
    fn default() -> Self {
        Self {
            at: MonoMs(0),
            stale: true,
            peers_moved: false,
            moves: 0,
        }
    }
}

/// What woke the loop.
enum Woken {
    Local(Option<Local>),
    Mesh(Option<MeshEvent>),
    Uplink(Option<UplinkEvent>),
    Found(Option<DiscoveryEvent>),
    Due,
}

impl Runner {
    /// Ready to run; the status is shown already, so that whoever asks at once is not told of an empty machine.
    pub fn new(driver: Driver, channels: Channels, board: Arc<Board>, reach: Reachability) -> Self {
        let clock = board.clock().clone();
        let last = clock.now();
        let mut runner = Self {
            driver,
            channels,
            clock,
            board,
            presence: Presence::new(reach),
            tickets: HashMap::new(),
            next_ticket: 1,
            links: BTreeMap::new(),
            last,
            shown: Shown::default(),
            again: false,
            conflicts_told: true,
            asked: Asked::default(),
            turns: Turns::default(),
        };
        runner.show();
        runner
    }

    /// Runs until told to stop.
    pub async fn run(mut self) {
        self.forget_outsiders();
        let first = self.first_events();
        let output = self.driver.step(self.clock.moment(), first);
        self.deliver(output).await;
        loop {
            let mut events = Vec::new();
            let woken = if self.again {
                Woken::Due
            } else {
                self.wait().await
            };
            if let Some(done) = self.gather(woken, &mut events).await {
                self.stop(done).await;
                return;
            }
            self.notice_sleep(&mut events);
            self.look_at_adapters(&mut events);
            let output = self.driver.step(self.clock.moment(), events);
            self.deliver(output).await;
            self.answer_asked();
            self.dial();
            self.show();
        }
    }

    async fn wait(&mut self) -> Woken {
        let now = self.clock.now().mono;
        let mut due = self
            .driver
            .next_wake(now)
            .min(self.presence.dialer.next_due(now))
            .min(self.presence.adapters.next_look());
        if self.shown.stale || self.shown.peers_moved {
            due = due.min(self.shown.at.plus(STATUS_MS).max(now));
        }
        let due = tokio::time::Instant::from_std(self.clock.instant(due));
        tokio::select! {
            biased;
            local = self.channels.local.recv() => Woken::Local(local),
            event = self.channels.mesh_events.recv() => Woken::Mesh(event),
            event = self.channels.uplink_events.recv(), if self.channels.requests.is_some() => Woken::Uplink(event),
            event = self.presence.next_found() => Woken::Found(event),
            () = tokio::time::sleep_until(due) => Woken::Due,
        }
    }

    /// Takes what woke the loop and what else waits. `Some` if it is time to stop.
    async fn gather(
        &mut self,
        woken: Woken,
        events: &mut Vec<Event>,
    ) -> Option<oneshot::Sender<()>> {
        match woken {
            Woken::Local(Some(local)) => {
                if let Some(done) = self.local(local, events).await {
                    return Some(done);
                }
            }
            // Everyone who could ask is gone.
            Woken::Local(None) => return Some(oneshot::channel().0),
            Woken::Mesh(Some(event)) => self.mesh_event(event, events).await,
            Woken::Mesh(None) => tracing::error!("the mesh ended; restart the node"),
            Woken::Uplink(event) => events.extend(event.map(Event::Uplink)),
            Woken::Found(event) => self.presence.found(event, self.clock.now().mono),
            Woken::Due => {}
        }
        if let Some(done) = self.gather_writes(events).await {
            return Some(done);
        }
        self.gather_frames(events).await;
        while let Ok(event) = self.channels.uplink_events.try_recv() {
            events.push(Event::Uplink(event));
        }
        None
    }

    async fn local(
        &mut self,
        local: Local,
        events: &mut Vec<Event>,
    ) -> Option<oneshot::Sender<()>> {
        match local {
            Local::Write(request, answer) => {
                let ticket = self.next_ticket;
                self.next_ticket += 1;
                self.tickets.insert(ticket, answer);
                events.push(Event::Write(ticket, request));
            }
            Local::Policy(record, done) => {
                events.push(Event::Policy(record));
                self.asked.policies.push(done);
            }
            Local::Change(change, answer) => {
                let ticket = self.next_ticket;
                self.next_ticket += 1;
                self.asked.changes.insert(ticket, answer);
                events.push(Event::Change(ticket, Box::new(change)));
            }
            Local::Pack(part, answer) => {
                let ticket = self.next_ticket;
                self.next_ticket += 1;
                self.asked.packs.insert(ticket, answer);
                events.push(Event::Pack(ticket, part));
            }
            Local::Network(network, done) => {
                self.switch(network, events).await;
                // Nobody waits any more if this fails.
                let _ = done.send(());
            }
            Local::Rekey(answer) => self.draw_key(answer, events),
            Local::Venue(announce, done) => {
                self.hide(announce).await;
                // Nobody waits any more if this fails.
                let _ = done.send(());
            }
            Local::Know(name, addresses) => self.presence.dialer.know(&name, addresses),
            Local::Neighbourhood(answer) => {
                // Nobody waits any more if this fails.
                let _ = answer.send(self.neighbourhood());
            }
            Local::Relay(asked) => self.relay(asked, events),
            Local::Audit(line) => events.push(Event::Audit(line)),
            Local::Shutdown(done) => return Some(done),
        }
        None
    }

    fn order(&self, command: MeshCommand) {
        if let Err(error) = self.channels.mesh.try_send(command) {
            tracing::debug!(%error, "the mesh did not take a command");
        }
    }

    fn notice_sleep(&mut self, events: &mut Vec<Event>) {
        let now = self.clock.now();
        let wall = now.wall.0.saturating_sub(self.last.wall.0);
        let mono = i64::try_from(now.mono.since(self.last.mono)).unwrap_or(i64::MAX);
        // It looks at its adapters twice a second, so a longer pause was none of its own either.
        let slept = wall.saturating_sub(mono) > SLEPT_MS || mono > SLEPT_MS;
        if slept {
            tracing::info!("woke up");
            events.push(Event::Woke);
            self.presence.dialer.retry_all(now.mono);
        }
        self.last = now;
    }

    /// Hands out what a step brought, in field order.
    async fn deliver(&mut self, output: Output) {
        self.again = output.again;
        let Output {
            sends,
            gossip,
            closes,
            faults,
            requests,
            answers,
            changes,
            packs,
            obtained,
            notices,
            changed,
            ..
        } = output;
        for (link, frame) in sends {
            self.order(MeshCommand::Send { link, frame });
        }
        for bundle in gossip {
            self.order(MeshCommand::Publish(Bytes::copy_from_slice(&bundle)));
        }
        for (link, reason) in closes {
            tracing::info!(link = link.0, reason, "closing a link");
            self.order(if faults.contains(&link) {
                MeshCommand::Blame(link)
            } else {
                MeshCommand::Close(link)
            });
        }
        for request in requests {
            if let Some(uplink) = &self.channels.requests {
                // At most one of a kind is under way, so the channel has room.
                let _ = uplink.send(request).await;
            }
        }
        // Before the answers: whoever has one and asks is told of it.
        let vv = (!changed.is_empty()).then(|| api::vv_text(self.driver.engine().log().applied()));
        if let Some(vv) = &vv {
            self.board.show_applied(vv);
        }
        for (ticket, answer) in answers {
            self.shown.stale |= answer.is_ok() && self.board.fault_over(FaultKind::Disk);
            if let Some(waiting) = self.tickets.remove(&ticket) {
                // Who asked may have gone; what was written stays.
                let _ = waiting.send(answer);
            }
        }
        self.asked.answers.extend(changes);
        self.asked.taken.extend(packs);
        self.answer_obtained(obtained);
        if output.conflicts_changed {
            self.conflicts_told = false;
        }
        self.shown.stale |= !notices.is_empty() || !changed.is_empty();
        self.shown.peers_moved |= output.stored;
        for notice in notices {
            self.tell(notice);
        }
        if let Some(vv) = vv {
            self.publish(api::Event::Entities { ids: changed, vv });
        }
    }

    fn publish(&self, event: api::Event) {
        // Nobody may be listening.
        let _ = self.channels.events.send(event);
    }

    fn tell(&mut self, notice: Notice) {
        let name = |device| self.driver.engine().roster().name(device).to_owned();
        let event = match notice {
            Notice::PeerReady(device) => {
                tracing::info!(peer = name(device), "peer ready");
                self.board.seen(device);
                let name = name(device);
                self.met(device);
                self.remember(device);
                api::Event::PeerReady { device, name }
            }
            Notice::PeerGone(device) => {
                tracing::info!(peer = name(device), "peer gone");
                self.board.seen(device);
                let name = name(device);
                self.parted(device);
                api::Event::PeerGone { device, name }
            }
            Notice::Gateway(device) => {
                tracing::info!(gateway = device.map(name), "gateway");
                api::Event::Gateway {
                    device,
                    name: device.map(name),
                }
            }
            Notice::Folded(position) => {
                self.board.confirmed();
                self.board.fault_over(FaultKind::Feed);
                api::Event::Folded { position }
            }
            Notice::Fault(fault) => {
                let Fault { kind, words } = &fault;
                tracing::warn!(?kind, "{words}");
                self.board.fault(&fault);
                api::Event::Fault {
                    sentence: fault.words,
                    kind: fault.kind,
                }
            }
            Notice::UplinkChanged | Notice::FeedDoubted => api::Event::Status,
            Notice::RosterChanged | Notice::PolicyChanged => {
                self.board.show_signed(&self.driver);
                self.forget_outsiders();
                api::Event::Status
            }
            Notice::Rekeyed => return self.rekeyed(),
            Notice::Turned { link, by, refusal } => return self.turned(link, by, refusal),
            Notice::Applied
            | Notice::Written { .. }
            | Notice::TookPart { .. }
            | Notice::Refused { .. }
            | Notice::Obtained { .. } => return,
        };
        self.publish(event);
    }

    /// Makes the status snapshot anew if it is stale and due.
    fn show(&mut self) {
        let now = self.clock.now().mono;
        // What peers hold comes with their beats, which are no notice of the driver.
        let moves = self.driver.engine().moves();
        self.shown.peers_moved |= std::mem::replace(&mut self.shown.moves, moves) != moves;
        if now.since(self.shown.at) < STATUS_MS && self.shown.at != MonoMs(0) {
            return;
        }
        let facts = BoardFacts {
            driver: &self.driver,
            links: &self.links,
            listening: &self.presence.listening,
            network: self.presence.network,
            announce: self.presence.announces(),
        };
        let moved = std::mem::take(&mut self.shown.peers_moved) && self.board.peers_moved(&facts);
        if !self.shown.stale && !moved && !self.board.room_moved() {
            return;
        }
        let before = self.board.status();
        match self.board.show(&facts) {
            Ok(()) => {}
            Err(error) => tracing::warn!(%error, "the status cannot be read"),
        }
        self.shown.stale = false;
        self.shown.at = now;
        self.publish(api::Event::Status);
        let shown = self.board.status();
        let (before, counts) = (&before.counts, &shown.counts);
        if (counts.dead_letters, counts.stuck) != (before.dead_letters, before.stuck) {
            let count = counts.dead_letters;
            self.publish(api::Event::DeadLetters { count });
        }
        if !std::mem::replace(&mut self.conflicts_told, true) {
            let open = self.board.status().counts.conflicts;
            self.publish(api::Event::Conflicts { open });
        }
    }

    async fn stop(mut self, done: oneshot::Sender<()>) {
        self.presence.leave().await;
        let limit = Duration::from_secs(2);
        if tokio::time::timeout(limit, self.channels.mesh.shutdown())
            .await
            .is_err()
        {
            tracing::warn!("the mesh did not close in time");
        }
        for (_, waiting) in self.tickets.drain() {
            let _ = waiting.send(Err(WriteError::Stopping));
        }
        drop(self.driver);
        let _ = done.send(());
    }
}
