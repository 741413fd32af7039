//! The runner: the one loop, on one thread, that owns the driver and joins it to mesh, discovery, uplink and applications.
//!
//! It gathers what waits into one step (group commit), then hands out what the step brought. It decides nothing itself but
//! when to dial.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use studiovault_protocol::api;
use studiovault_protocol::engine::{ChangeRefused, RosterChange};
use studiovault_protocol::event::{LinkId, Network, Notice, UplinkEvent};
use studiovault_protocol::id::{Hash, PublicKey};
use studiovault_protocol::policy::SignedPolicy;
use studiovault_protocol::time::{MonoMs, Now};
use tokio::sync::{broadcast, mpsc, oneshot};

use crate::clock::Clock;
use crate::discovery::DiscoveryEvent;
use crate::driver::{Driver, Event, Output, Request, WriteError, WriteRequest, Written};
use crate::mesh::{MeshCommand, MeshEvent, MeshHandle};
use crate::node::Announce;

mod board;
mod dialer;
mod gather;
mod holders;
mod presence;

pub use board::{Board, BoardFacts};
use gather::Turns;
pub use holders::Holders;
use presence::Presence;

/// A wall clock that ran this much further than the monotonic one means that the machine slept, ms.
const SLEPT_MS: i64 = 5_000;
/// The status snapshot is made anew at most this often, ms.
const STATUS_MS: u64 = 100;

/// What the facade asks of the loop.
#[derive(Debug)]
pub enum Local {
    /// Write.
    Write(WriteRequest, oneshot::Sender<Result<Written, WriteError>>),
    /// Take a policy that was signed here.
    Policy(Box<SignedPolicy>, oneshot::Sender<()>),
    /// Change the roster.
    Change(RosterChange, oneshot::Sender<Result<(), ChangeRefused>>),
    /// Switch the LAN.
    Network(Network, oneshot::Sender<()>),
    /// Stop.
    Shutdown(oneshot::Sender<()>),
}

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
    pub discovery_key: [u8; 32],
    /// Addresses given by a person.
    pub peers: Vec<SocketAddr>,
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
    shown_at: MonoMs,
    stale: bool,
    again: bool,
    conflicts_told: bool,
    asked: Asked,
    turns: Turns,
}

/// Who waits for something that was signed here to be durable and shown.
#[derive(Default)]
struct Asked {
    policies: Vec<oneshot::Sender<()>>,
    changes: Vec<(Hash, oneshot::Sender<Result<(), ChangeRefused>>)>,
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
            shown_at: MonoMs(0),
            stale: true,
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
            let output = self.driver.step(self.clock.moment(), events);
            self.deliver(output).await;
            self.answer_signed();
            self.dial();
            self.show();
        }
    }

    async fn wait(&mut self) -> Woken {
        let now = self.clock.now().mono;
        let mut due = self
            .driver
            .next_wake(now)
            .min(self.presence.dialer.next_due(now));
        if self.stale {
            due = due.min(self.shown_at.plus(STATUS_MS).max(now));
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
                let worded = self.driver.engine().word(&change, self.clock.now().wall);
                match worded {
                    Ok(record) => {
                        self.asked.changes.push((record.hash(), answer));
                        events.push(Event::Record(Box::new(record)));
                    }
                    // Nobody waits any more if this fails.
                    Err(refused) => drop(answer.send(Err(refused))),
                }
            }
            Local::Network(network, done) => {
                self.switch(network, events).await;
                // Nobody waits any more if this fails.
                let _ = done.send(());
            }
            Local::Shutdown(done) => return Some(done),
        }
        None
    }

    async fn switch(&mut self, network: Network, events: &mut Vec<Event>) {
        (self.presence.network, self.stale) = (network, true);
        events.push(Event::Network(network));
        let command = match network {
            Network::Offline => {
                self.presence.leave().await;
                MeshCommand::Offline
            }
            Network::Online => MeshCommand::Online,
        };
        self.order(command);
    }

    fn order(&self, command: MeshCommand) {
        if let Err(error) = self.channels.mesh.try_send(command) {
            tracing::debug!(%error, "the mesh did not take a command");
        }
    }

    async fn mesh_event(&mut self, event: MeshEvent, events: &mut Vec<Event>) {
        match event {
            MeshEvent::Listening(address) => {
                events.push(Event::Listening(address.port()));
                self.presence.listens(address);
                self.stale = true;
            }
            MeshEvent::Opened {
                link, key, address, ..
            } => {
                self.links.insert(link, address);
                events.push(Event::Opened(link, PublicKey(key)));
            }
            MeshEvent::Frame { link, bytes } => events.push(Event::Frame(link, bytes)),
            MeshEvent::Closed { link, reason } => {
                tracing::info!(link = link.0, ?reason, "link closed");
                self.links.remove(&link);
                events.push(Event::Closed(link));
                self.stale = true;
            }
            MeshEvent::DialFailed { address, reason } => {
                tracing::debug!(%address, reason, "dial failed");
                self.presence.dialer.failed(address, self.clock.now().mono);
            }
            MeshEvent::Heard { bytes, .. } => events.push(Event::Gossip(bytes)),
        }
    }

    /// Dials whom we know of and have no link with.
    fn dial(&mut self) {
        if self.presence.network == Network::Offline {
            return;
        }
        let now = self.clock.now().mono;
        let connected: Vec<SocketAddr> = self
            .driver
            .engine()
            .sessions()
            .filter_map(|(link, session)| {
                let address = self.links.get(&link)?;
                let port = if session.greeting.port == 0 {
                    address.port()
                } else {
                    session.greeting.port
                };
                Some(SocketAddr::new(address.ip().to_canonical(), port))
            })
            .collect();
        for addresses in self.presence.dialer.due(now, &connected) {
            self.order(MeshCommand::Dial(addresses));
        }
    }

    fn notice_sleep(&mut self, events: &mut Vec<Event>) {
        let now = self.clock.now();
        let wall = now.wall.0.saturating_sub(self.last.wall.0);
        let mono = i64::try_from(now.mono.since(self.last.mono)).unwrap_or(i64::MAX);
        let slept = wall.saturating_sub(mono) > SLEPT_MS || mono > 3 * SLEPT_MS;
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
            requests,
            answers,
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
            self.order(MeshCommand::Close(link));
        }
        for request in requests {
            if let Some(uplink) = &self.channels.requests {
                // At most one of a kind is under way, so the channel has room.
                let _ = uplink.send(request).await;
            }
        }
        for (ticket, answer) in answers {
            if let Some(waiting) = self.tickets.remove(&ticket) {
                // Who asked may have gone; what was written stays.
                let _ = waiting.send(answer);
            }
        }
        if output.conflicts_changed {
            self.conflicts_told = false;
        }
        self.stale |= !notices.is_empty() || !changed.is_empty();
        for notice in notices {
            self.tell(notice);
        }
        if !changed.is_empty() {
            let vv = api::vv_text(self.driver.engine().log().applied());
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
                api::Event::PeerReady {
                    device,
                    name: name(device),
                }
            }
            Notice::PeerGone(device) => {
                tracing::info!(peer = name(device), "peer gone");
                self.board.seen(device);
                api::Event::PeerGone {
                    device,
                    name: name(device),
                }
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
                api::Event::Folded { position }
            }
            Notice::Fault(sentence) => {
                tracing::warn!("{sentence}");
                self.board.fault(&sentence);
                api::Event::Fault { sentence }
            }
            Notice::UplinkChanged | Notice::PolicyChanged => api::Event::Status,
            Notice::Applied | Notice::Written { .. } | Notice::Refused { .. } => return,
        };
        self.publish(event);
    }

    /// Makes the status snapshot anew if it is stale and due.
    fn show(&mut self) {
        let now = self.clock.now().mono;
        if now.since(self.shown_at) < STATUS_MS && self.shown_at != MonoMs(0) {
            return;
        }
        let facts = BoardFacts {
            driver: &self.driver,
            links: &self.links,
            listening: &self.presence.listening,
            network: self.presence.network,
        };
        // What peers hold comes with their beats, which are no notice of the driver.
        if !self.stale && !self.board.peers_moved(&facts) {
            return;
        }
        match self.board.show(&facts) {
            Ok(()) => {}
            Err(error) => tracing::warn!(%error, "the status cannot be read"),
        }
        self.stale = false;
        self.shown_at = now;
        self.publish(api::Event::Status);
        if !std::mem::replace(&mut self.conflicts_told, true) {
            let open = self.board.status().counts.conflicts;
            self.publish(api::Event::Conflicts { open });
        }
    }

    /// What was asked is durable now, or failed whole; either way the board says what is in force.
    fn answer_signed(&mut self) {
        if self.asked.policies.is_empty() && self.asked.changes.is_empty() {
            return;
        }
        self.board.show_signed(&self.driver);
        self.stale = true;
        for (hash, answer) in self.asked.changes.drain(..) {
            let taken = self.driver.engine().roster().record(hash).is_some();
            // Nobody waits any more if this fails.
            let _ = answer.send(taken.then_some(()).ok_or(ChangeRefused::NotTaken));
        }
        for done in self.asked.policies.drain(..) {
            // Nobody waits any more if this fails.
            let _ = done.send(());
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
