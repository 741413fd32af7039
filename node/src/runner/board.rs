//! The board: the status snapshot that every surface shows, counted from rows and live links.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use studiovault_protocol::api::{
    CloudStatus, Copies, Counts, FeedStatus, GatewayView, LanStatus, MemberView, NetworkState,
    NodeView, PeerView, PolicyStatus, Status, Warning, vv_text,
};
use studiovault_protocol::event::{LinkId, Network};
use studiovault_protocol::fault::{Fault, FaultKind};
use studiovault_protocol::frontier::Reach;
use studiovault_protocol::id::DeviceId;
use studiovault_protocol::membership::{Role, Roster};
use studiovault_protocol::policy::PolicyShelf;
use studiovault_protocol::session::Session;
use studiovault_protocol::time::WallMs;

use super::Holders;
use crate::clock::{self, Clock};
use crate::driver::Driver;
use crate::node::Announce;
use crate::store::StoreError;
use crate::uplink::CloudClock;

mod clocks;
mod faults;
mod feed;
mod pace;
mod policy;
mod room;
mod shown;

use faults::Faults;
use pace::Pace;
use room::{DISK_LOW, Room};
use shown::Shown;

/// What the board remembers between snapshots.
#[derive(Debug, Default)]
struct Recollection {
    since: BTreeMap<DeviceId, WallMs>,
    seen: BTreeMap<DeviceId, WallMs>,
    last_confirmed: Option<WallMs>,
    faults: Faults,
    lan: LanStatus,
    pace: Pace,
}

/// The current snapshot and what it is made of.
#[derive(Debug)]
pub struct Board {
    clock: Clock,
    node: NodeView,
    cloud_url: Option<String>,
    shown: Shown,
    policies: RwLock<Arc<PolicyShelf>>,
    roster: RwLock<Arc<Roster>>,
    holders: RwLock<Arc<Holders>>,
    recollection: Mutex<Recollection>,
    room: Option<Mutex<Room>>,
    cloud_clock: CloudClock,
}

/// Where a snapshot is read from.
pub struct BoardFacts<'a> {
    /// The driver with engine and store.
    pub driver: &'a Driver,
    /// The links' remote addresses.
    pub links: &'a BTreeMap<LinkId, SocketAddr>,
    /// Where the mesh listens.
    pub listening: &'a [SocketAddr],
    /// Whether the LAN is on.
    pub network: Network,
    /// Whether the machine announces itself.
    pub announce: Announce,
}

impl Board {
    /// A board that shows nothing yet.
    pub fn new(
        clock: Clock,
        node: NodeView,
        cloud_url: Option<String>,
        (policies, roster): (PolicyShelf, Roster),
    ) -> Self {
        let shown = Status {
            node: node.clone(),
            network: NetworkState::Online,
            peers: Vec::new(),
            members: Vec::new(),
            gateway: None,
            cloud: CloudStatus::default(),
            lan: LanStatus::default(),
            counts: Counts::default(),
            copies: Copies::default(),
            feed: FeedStatus::default(),
            policy: PolicyStatus::default(),
            state_hash: String::new(),
            applied: "0".into(),
            warnings: Vec::new(),
            at: clock::wall(),
        };
        let (recollection, holders) = (Mutex::default(), RwLock::default());
        Self {
            clock,
            node,
            cloud_url,
            shown: Shown::new(shown),
            policies: RwLock::new(Arc::new(policies)),
            roster: RwLock::new(Arc::new(roster)),
            holders,
            recollection,
            room: None,
            cloud_clock: CloudClock::default(),
        }
    }

    /// Watches the room on the disk of this folder.
    pub fn watching(mut self, folder: PathBuf) -> Self {
        self.room = Some(Mutex::new(Room::of(folder)));
        self
    }

    /// Shows by how much the cloud's clock is off, as its client finds it.
    pub fn hearing(mut self, clock: CloudClock) -> Self {
        self.cloud_clock = clock;
        self
    }

    fn room_warning(&self) -> Option<Warning> {
        let room = self.room.as_ref()?.lock();
        let mut room = room.unwrap_or_else(PoisonError::into_inner);
        room.warning(self.clock.now().mono)
    }

    /// Whether the disk came to be nearly full, or is no more.
    pub fn room_moved(&self) -> bool {
        let shown = self.status();
        let told = shown.warnings.iter().any(|one| one.code == DISK_LOW);
        told != self.room_warning().is_some()
    }

    /// The signed policies and the one in force.
    pub fn policies(&self) -> Arc<PolicyShelf> {
        self.policies
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// The roster.
    pub fn roster(&self) -> Arc<Roster> {
        self.roster
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Shows the policies and the roster as the driver has them now.
    pub fn show_signed(&self, driver: &Driver) {
        let held = driver.engine().roster();
        if held.digest() != self.roster().digest() {
            let mut shown = self.roster.write().unwrap_or_else(PoisonError::into_inner);
            *shown = Arc::new(held.clone());
        }
        let held = driver.engine().policies();
        let shown = self.policies();
        let state = |shelf: &PolicyShelf| (shelf.digest(), shelf.in_force().hash());
        if state(held) != state(&shown) {
            *self
                .policies
                .write()
                .unwrap_or_else(PoisonError::into_inner) = Arc::new(held.clone());
        }
    }

    /// The node's clock.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// The current snapshot.
    pub fn status(&self) -> Arc<Status> {
        self.shown.status()
    }

    /// A snapshot that tells of everything that is applied now: of what was just answered for, too.
    pub async fn status_now(&self) -> Arc<Status> {
        self.shown.status_now().await
    }

    /// What is applied, sooner than the next snapshot says it.
    pub fn applied(&self) -> Arc<str> {
        self.shown.applied()
    }

    /// Shows what is applied now.
    pub fn show_applied(&self, vv: &str) {
        self.shown.apply(vv);
    }

    /// Which machines hold what, at the time of the snapshot.
    pub fn holders(&self) -> Arc<Holders> {
        self.holders
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn remember(&self, with: impl FnOnce(&mut Recollection)) {
        with(
            &mut self
                .recollection
                .lock()
                .unwrap_or_else(PoisonError::into_inner),
        );
    }

    /// A peer came or went.
    pub fn seen(&self, device: DeviceId) {
        let now = clock::wall();
        self.remember(|r| {
            r.seen.insert(device, now);
            r.since.insert(device, now);
        });
    }

    /// A link was opened.
    pub fn link_opened(&self) {
        self.remember(|r| r.lan.links_opened += 1);
    }

    /// A dial came to nothing.
    pub fn dial_failed(&self) {
        self.remember(|r| r.lan.dials_failed += 1);
    }

    /// A verdict came.
    pub fn confirmed(&self) {
        self.remember(|r| r.last_confirmed = Some(clock::wall()));
    }

    /// Something went wrong that people should see.
    pub fn fault(&self, fault: &Fault) {
        self.remember(|r| r.faults.note(fault, clock::wall()));
    }

    /// What shows that no fault of a kind holds any more happened; whether one was shown.
    pub fn fault_over(&self, kind: FaultKind) -> bool {
        let mut over = false;
        self.remember(|r| over = r.faults.over(kind));
        over
    }

    /// Makes the snapshot anew.
    pub fn show(&self, facts: &BoardFacts) -> Result<(), StoreError> {
        let engine = facts.driver.engine();
        let store = facts.driver.store();
        self.show_signed(facts.driver);
        let (peers, counts) = (self.peers(facts), store.counts()?);
        let gateway = engine.election().gateway().map(|device| GatewayView {
            device,
            name: engine.roster().name(device).to_owned(),
            term: engine
                .election()
                .statuses()
                .find(|status| status.device == device)
                .and_then(|status| status.claim)
                .unwrap_or(0),
        });
        let mut node = self.node.clone();
        node.venue = facts.announce == Announce::Silent;
        node.listening = facts.listening.iter().map(ToString::to_string).collect();
        let status = Status {
            node,
            network: match facts.network {
                Network::Online => NetworkState::Online,
                Network::Offline => NetworkState::Offline,
            },
            members: self.members_beside(&peers),
            copies: copies(facts.driver),
            gateway,
            cloud: self.cloud(facts),
            lan: self.lan(&peers, counts.commands),
            counts,
            feed: FeedStatus {
                held: engine.feed().held(),
                folded: engine.feed().folded(),
            },
            policy: policy_status(engine.policies()),
            state_hash: store.state_hash().hex(),
            applied: vv_text(engine.log().applied()),
            warnings: self.warnings(facts, &counts),
            at: clock::wall(),
            peers,
        };
        let holders = Arc::new(Holders::of_engine(engine));
        *self.holders.write().unwrap_or_else(PoisonError::into_inner) = holders;
        self.shown.show(status);
        Ok(())
    }

    /// Whether peers hold something else than is shown.
    pub fn peers_moved(&self, facts: &BoardFacts) -> bool {
        let shown = self.status();
        shown.copies != copies(facts.driver) || shown.peers != self.peers(facts)
    }

    fn peers(&self, facts: &BoardFacts) -> Vec<PeerView> {
        let engine = facts.driver.engine();
        let recollection = self
            .recollection
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let own = Reach::of(&engine.log().frontier(0));
        let view = |(link, session): (LinkId, &Session)| PeerView {
            device: session.device,
            name: engine.roster().name(session.device).to_owned(),
            address: facts
                .links
                .get(&link)
                .map_or_else(String::new, ToString::to_string),
            since: recollection
                .since
                .get(&session.device)
                .copied()
                .unwrap_or_default(),
            ahead: beyond(&session.told, |author| engine.log().held(author)),
            behind: beyond(&own, |author| session.told.held(author)),
            round_trip_ms: None,
            clock_offset_ms: session.greeting.clock_offset_ms,
        };
        engine.sessions().map(view).collect()
    }

    fn lan(&self, peers: &[PeerView], held: u64) -> LanStatus {
        let now = self.clock.now().mono;
        let most = peers.iter().max_by_key(|peer| peer.ahead);
        let mut recollection = self
            .recollection
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let ahead = most.map(|peer| (peer.name.as_str(), peer.ahead));
        let catching_up = recollection.pace.look(now, held, ahead);
        LanStatus {
            catching_up,
            ..recollection.lan.clone()
        }
    }

    /// The machines of the studio as the roster has them now.
    pub fn members(&self) -> Vec<MemberView> {
        self.members_beside(&self.status().peers)
    }

    fn members_beside(&self, peers: &[PeerView]) -> Vec<MemberView> {
        let roster = self.roster();
        let recollection = self
            .recollection
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let members = roster.members();
        members
            .filter(|m| m.grant.role != Role::Cloud)
            .map(|member| {
                let device = member.grant.device;
                let own = device == self.node.device;
                MemberView {
                    device,
                    name: member.grant.name.clone(),
                    role: member.grant.role,
                    standing: member.standing,
                    online: own || peers.iter().any(|peer| peer.device == device),
                    last_seen: recollection.seen.get(&device).copied(),
                    priority: member.grant.priority,
                    gateway_preference: member.grant.gateway_preference,
                }
            })
            .collect()
    }

    fn cloud(&self, facts: &BoardFacts) -> CloudStatus {
        let view = facts.driver.engine().uplink();
        let problem = facts.driver.engine().uplink_problem();
        let recollection = self
            .recollection
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        CloudStatus {
            configured: view.configured,
            reachable: view.reachable,
            authorised: view.authorised,
            last_confirmed: recollection.last_confirmed,
            oldest_pending: facts.driver.store().oldest_pending().unwrap_or(None),
            url: self.cloud_url.clone(),
            problem: match facts.network {
                Network::Offline if view.configured => {
                    let text = "this machine is off the network; put it back with `studiovault network on`";
                    Some(text.to_owned())
                }
                _ => problem.map(|fault| fault.words.clone()),
            },
            problem_kind: problem.map(|fault| fault.kind),
            clock_offset_ms: self.cloud_clock.offset_ms(),
        }
    }

    fn warnings(&self, facts: &BoardFacts, counts: &Counts) -> Vec<Warning> {
        let engine = facts.driver.engine();
        let mut warnings = Vec::new();
        if counts.quarantined > 0 {
            warnings.push(Warning {
                code: "QUARANTINED".into(),
                sentence: format!(
                    "{} changes were set aside: they would rewrite sales, or their machine no longer belonged to the studio.",
                    counts.quarantined
                ),
                next_step: "See what they are and whose with `studiovault quarantine`; no total is touched.".into(),
                kind: None,
            });
        }
        let clocks = engine.sessions().map(|(_, session)| {
            let name = engine.roster().name(session.device);
            (name, session.greeting.clock_offset_ms)
        });
        let cloud = self.cloud_clock.offset_ms();
        let clocks = clocks.chain(cloud.map(|offset_ms| ("the cloud", offset_ms)));
        warnings.extend(clocks::warnings(&clocks.collect::<Vec<_>>()));
        warnings.extend(self.room_warning());
        warnings.extend(policy::warnings(engine, counts));
        warnings.extend(feed::warnings(engine));
        let recollection = self
            .recollection
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let faults = &recollection.faults;
        warnings.extend(faults.warnings(engine.uplink_problem(), clock::wall()));
        warnings
    }
}

fn policy_status(policies: &PolicyShelf) -> PolicyStatus {
    let in_force = policies.in_force();
    let signed = usize::from(policies.signed().is_some());
    let beside = policies.documents().count() - signed;
    PolicyStatus {
        version: in_force.version(),
        hash: in_force.hash().to_string(),
        beside: u32::try_from(beside).unwrap_or(u32::MAX),
    }
}

/// How many commands lie in `reach` beyond what `held` says.
fn beyond(reach: &Reach, held: impl Fn(studiovault_protocol::id::Author) -> u64) -> u64 {
    // A gap sets a reach beyond anything real until the transfer ends; it counts as one.
    reach
        .iter()
        .map(|(author, counter)| {
            counter
                .saturating_sub(held(author))
                .min(u64::from(u32::MAX))
        })
        .sum()
}

/// On how many machines, this one included, everything of this machine is held.
fn copies(driver: &Driver) -> Copies {
    let engine = driver.engine();
    let machines = engine
        .roster()
        .members()
        .filter(|m| m.is_active() && m.grant.role != Role::Cloud)
        .count();
    let own = engine
        .log()
        .chains()
        .filter(|(author, _)| author.device == engine.identity().device);
    let newest = own.max_by_key(|(_, chain)| chain.held.0);
    let held = |session: &Session| {
        newest.as_ref().is_none_or(|(author, chain)| {
            engine
                .log()
                .reach_covers(&session.told, author.at(chain.held.0))
        })
    };
    let holders = 1 + engine
        .sessions()
        .filter(|(_, session)| held(session))
        .count();
    Copies {
        on_machines_min: u32::try_from(holders).unwrap_or(u32::MAX),
        machines: u32::try_from(machines).unwrap_or(u32::MAX),
    }
}
