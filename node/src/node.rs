//! The node as a library: what applications embed, and what the local API serves.
//!
//! Everything goes through the one loop of the runner; reads go to read-only connections beside it.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

use studiovault_protocol::api;
use studiovault_protocol::engine::Identity;
use studiovault_protocol::event::{Network, UplinkEvent};
use studiovault_protocol::id::{DeviceId, Epoch};
use studiovault_protocol::keys::SecretKey;
use studiovault_protocol::membership::Roster;
use studiovault_protocol::pairing::Host;
use studiovault_protocol::policy::{Policy, PolicyError, PolicyShelf, SignedPolicy};
use tokio::sync::{broadcast, mpsc, oneshot};

use crate::adapters::own_addresses;
use crate::clock::{self, Clock};
use crate::config::{
    self, AddressBook, ConfigError, Folder, FolderLock, Machine, Region, StudioFile,
};
use crate::driver::{Driver, Random, Request, Setup};
use crate::mesh::{self, MeshConfig, MeshError};
use crate::pairing::{Desk, Inviter};
use crate::runner::{Board, Channels, Holders, Journal, KeyKeeper, Local, Reachability, Runner};
use crate::snapshots::Shelf;
use crate::store::{AuditKind, Location, Reader, Store, StoreError, Verification};
use crate::telemetry::Recorder;
use crate::upkeep::{self, UpkeepError, VerifyError};
use crate::uplink::{self, CloudClient, UplinkError};

mod examine;
mod keeping;
mod login;
mod membership;
mod packing;
mod telling;

pub use examine::examine_at_rest;
pub use login::{cloud_client, keep_login};
pub use membership::MembershipError;
pub use packing::PackRefused;
use telling::Telling;

pub use crate::driver::{WriteError, WriteRequest, Written};

/// Whether the machine announces itself on the LAN.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Announce {
    /// By multicast DNS.
    #[default]
    Mdns,
    /// Not at all: only given addresses are dialled, and nobody finds this machine.
    Silent,
}

/// How a node runs.
#[derive(Debug)]
pub struct NodeConfig {
    /// Who this machine is.
    pub machine: Machine,
    /// Where the mesh listens; port 0 takes a free one.
    pub listen: Vec<SocketAddr>,
    /// Addresses to dial besides what is found.
    pub peers: Vec<SocketAddr>,
    /// Whether the machine announces itself.
    pub announce: Announce,
}

/// What a node asks its peers for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Pull {
    /// All that it lacks.
    Everything,
    /// Snapshots alone.
    Snapshots,
}

/// Why a node did not start. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// The folder.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The mesh.
    #[error(transparent)]
    Mesh(#[from] MeshError),
    /// The cloud's address.
    #[error(transparent)]
    Uplink(#[from] UplinkError),
    /// The studio file.
    #[error("the studio file cannot be used: {0}; get it again from the machine that made it")]
    Studio(String),
    /// The machine's.
    #[error("no thread can be started: {0}; close other programs and try again")]
    Thread(std::io::Error),
    /// The person's: there is nobody to sign in to.
    #[error("this studio has no cloud truth; it works as it is")]
    NoCloud,
    /// It is stopping.
    #[error("the node is stopping; start it again")]
    Stopping,
}

impl From<UpkeepError> for NodeError {
    fn from(error: UpkeepError) -> Self {
        match error {
            UpkeepError::Config(error) => Self::Config(error),
            UpkeepError::Store(error) => Self::Store(error),
            UpkeepError::Studio(detail) => Self::Studio(detail),
        }
    }
}

/// Why a policy was not set. Nothing changed.
#[derive(Debug, thiserror::Error)]
pub enum SetPolicyError {
    /// The document's writer's fault.
    #[error(transparent)]
    Refused(#[from] PolicyError),
    /// The person's: this machine may not.
    #[error("this machine is no admin of the studio; set the policy on one that is")]
    NotAdmin,
    /// The disk's.
    #[error("the policy could not be kept; look at `studiovault status`, then set it again")]
    NotKept,
    /// The node is shutting down.
    #[error("the node is stopping; start it and set the policy again")]
    Stopping,
}

struct Inner {
    local: mpsc::Sender<Local>,
    journal: Journal,
    reader: Reader,
    board: Arc<Board>,
    region: Region,
    cloud: Option<CloudClient>,
    telling: Telling,
    folder: Folder,
    events: broadcast::Sender<api::Event>,
    studio: StudioFile,
    device: DeviceId,
    key: SecretKey,
    desk: Arc<Desk>,
    invites_on: IpAddr,
    _lock: FolderLock,
}

/// A running node. Cheap to clone; it stops at [`Node::shutdown`] or when the last clone is gone.
#[derive(Clone)]
pub struct Node {
    inner: Arc<Inner>,
}

/// Requests of applications waiting for the loop; more wait in their callers.
const LOCAL_QUEUE: usize = 1024;
/// Events that a slow listener may be behind before it misses some.
const EVENT_QUEUE: usize = 1024;

impl Node {
    /// Starts a node. To be called inside a tokio runtime with at least one worker thread.
    pub async fn start(config: NodeConfig) -> Result<Self, NodeError> {
        let node = Self::begin(config, Pull::Everything).await?;
        keeping::spawn(&node.inner);
        Ok(node)
    }

    /// Starts a node that asks for what it is told to.
    pub(crate) async fn begin(config: NodeConfig, pull: Pull) -> Result<Self, NodeError> {
        // Another installation of the same provider is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let machine = config.machine;
        let lock = machine.folder.lock()?;
        let announce = announce(&machine, config.announce);
        let policy = Policy::default();
        let clock = Clock::default();
        let store = open_store(&machine, &policy)?;
        let setup = setup(&machine, policy)?;
        let view = node_view(&machine, &setup, announce);
        let discovery_keys = machine.studio.discovery_keys();
        let invites_on = membership::invites_on(&config.listen);
        let addresses = AddressBook::load(&machine.folder.addresses_path());
        let mesh_config = mesh_config(&machine, config.listen, addresses.port_at(&own_addresses()));
        let (local, local_receiver) = mpsc::channel(LOCAL_QUEUE);
        let journal = Journal::new(&local);
        let desk = Desk::new(inviter(&machine), clock.clone(), journal.clone());
        let driver = driver(&machine, (setup, store), (&clock, pull))?;
        let signed = signed(&driver);
        let reader = Reader::open(machine.folder.path())?;
        let cloud = cloud_client(&machine)?;
        let telling = Telling::of(&machine.folder);
        let (requests, uplink_events) = start_uplink(cloud.clone(), telling.recorder.clone());
        let (mesh, mesh_events) = mesh::start(mesh_config)?;
        let cloud_url = url_of(&machine);
        let board = Board::new(clock, view, cloud_url, signed);
        let cloud_clock = cloud.as_ref().map(CloudClient::clock).unwrap_or_default();
        let board = board.watching(machine.folder.path().to_owned());
        let board = Arc::new(board.hearing(cloud_clock));
        let (events, _) = broadcast::channel(EVENT_QUEUE);
        let channels = Channels {
            local: local_receiver,
            mesh_events,
            mesh,
            requests,
            uplink_events,
            events: events.clone(),
        };
        let reach = Reachability {
            announce,
            discovery_keys,
            peers: config.peers,
            keeper: keeper(&machine),
            addresses,
            addresses_file: machine.folder.addresses_path(),
        };
        let runner = Runner::new(driver, channels, board.clone(), reach);
        spawn(runner)?;
        let inner = Inner {
            local,
            journal,
            reader,
            board,
            region: machine.studio.region.clone(),
            cloud,
            telling,
            folder: machine.folder,
            events,
            device: machine.identity.device,
            key: machine.key,
            studio: machine.studio,
            desk,
            invites_on,
            _lock: lock,
        };
        let inner = Arc::new(inner);
        telling::spawn(&inner);
        Ok(Self { inner })
    }

    /// Writes a transaction; durable when it returns.
    pub async fn write(&self, request: WriteRequest) -> Result<Written, WriteError> {
        let begun = Instant::now();
        let (answer, answered) = oneshot::channel();
        let sent = self.inner.local.send(Local::Write(request, answer)).await;
        sent.map_err(|_| WriteError::Stopping)?;
        let written = answered.await.map_err(|_| WriteError::Stopping)??;
        self.recorder().writes.note(begun.elapsed());
        Ok(written)
    }

    /// The read-only side of the store. Its calls block.
    pub fn reader(&self) -> &Reader {
        &self.inner.reader
    }

    /// The studio's time zone and currency.
    pub fn region(&self) -> &Region {
        &self.inner.region
    }

    /// The current status.
    pub fn status(&self) -> Arc<api::Status> {
        self.inner.board.status()
    }

    /// The current status, with all that was answered for.
    pub async fn status_now(&self) -> Arc<api::Status> {
        self.inner.board.status_now().await
    }

    /// What is applied, as a read token.
    pub fn applied(&self) -> Arc<str> {
        self.inner.board.applied()
    }

    /// Which machines hold what.
    pub fn holders(&self) -> Arc<Holders> {
        self.inner.board.holders()
    }

    /// What happens from now on.
    pub fn events(&self) -> broadcast::Receiver<api::Event> {
        self.inner.events.subscribe()
    }

    /// Takes the machine off the network, cloud included, or brings it back; writes work either way.
    pub async fn set_network(&self, network: Network) -> Result<(), NodeError> {
        let (done, finished) = oneshot::channel();
        let sent = self.inner.local.send(Local::Network(network, done)).await;
        sent.map_err(|_| NodeError::Stopping)?;
        finished.await.map_err(|_| NodeError::Stopping)?;
        let what = match network {
            Network::Online => "this machine was put back on the LAN",
            Network::Offline => "this machine was taken off the network",
        };
        self.inner.journal.note(AuditKind::Network, what);
        Ok(())
    }

    /// Dials a peer that a person named, at these addresses, whenever there is no link.
    pub async fn know_peer(&self, name: &str, addresses: Vec<SocketAddr>) {
        let know = Local::Know(name.to_owned(), addresses);
        // A node that is stopping dials nobody.
        let _ = self.inner.local.send(know).await;
    }

    /// The signed policies and the one in force.
    pub fn policies(&self) -> Arc<PolicyShelf> {
        self.inner.board.policies()
    }

    /// Signs a policy document and replicates it; durable when it returns. It must be a successor of the one in force.
    pub async fn set_policy(&self, document: &str) -> Result<(), SetPolicyError> {
        let next = Policy::parse(document)?;
        self.policies().in_force().check_successor(&next)?;
        let authority = self.authority().ok_or(SetPolicyError::NotAdmin)?;
        let signer = (self.inner.device, clock::wall());
        let studio = self.inner.studio.studio;
        let record = SignedPolicy::seal((studio, &authority), &next, signer);
        let hash = record.hash();
        let (done, finished) = oneshot::channel();
        let sent = Local::Policy(Box::new(record), done);
        let sent = self.inner.local.send(sent).await;
        sent.map_err(|_| SetPolicyError::Stopping)?;
        finished.await.map_err(|_| SetPolicyError::Stopping)?;
        let held = self.policies();
        let kept = held.documents().any(|record| record.hash() == hash);
        if kept {
            Ok(())
        } else {
            Err(SetPolicyError::NotKept)
        }
    }

    /// Proves the store against itself, on a copy of this moment. Blocks for as long as that takes.
    pub fn verify(&self) -> Result<Verification, VerifyError> {
        let inner = &self.inner;
        upkeep::verify_copy(&inner.reader, inner.folder.path(), &inner.board.roster())
    }

    /// Says goodbye to the LAN and closes the store.
    pub async fn shutdown(&self) {
        let (done, finished) = oneshot::channel();
        if self.inner.local.send(Local::Shutdown(done)).await.is_ok() {
            // An error means that it has stopped already.
            let _ = finished.await;
        }
    }
}

fn driver(
    machine: &Machine,
    (setup, store): (Setup, Store),
    (clock, pull): (&Clock, Pull),
) -> Result<Driver, NodeError> {
    let mut driver = Driver::new(setup, store, clock.moment())?;
    match pull {
        Pull::Snapshots => driver.rest(),
        Pull::Everything => driver.hand_on(Shelf::of(machine.folder.path()), clock.moment()),
    }
    Ok(driver)
}

fn keeper(machine: &Machine) -> KeyKeeper {
    KeyKeeper {
        file: machine.folder.studio_path(),
        keyring: machine.studio.keyring.clone(),
    }
}

/// Whether a machine announces itself: not while it hides, whatever this run was told.
fn announce(machine: &Machine, wanted: Announce) -> Announce {
    match machine.folder.venue() {
        api::VenueState::On => Announce::Silent,
        api::VenueState::Off => wanted,
    }
}

/// The loop, on a thread of its own.
fn spawn(runner: Runner) -> Result<(), NodeError> {
    let runtime = tokio::runtime::Handle::current();
    std::thread::Builder::new()
        .name("studiovault".into())
        .spawn(move || runtime.block_on(runner.run()))
        .map_err(NodeError::Thread)?;
    Ok(())
}

fn start_uplink(
    cloud: Option<CloudClient>,
    recorder: Arc<Recorder>,
) -> (Option<mpsc::Sender<Request>>, mpsc::Receiver<UplinkEvent>) {
    let (events, heard) = mpsc::channel(16);
    let requests = cloud.map(|client| {
        let (sender, receiver) = mpsc::channel(16);
        uplink::spawn((client, recorder), receiver, events);
        sender
    });
    (requests, heard)
}

/// The machine's store, its state as this version of the program folds it.
pub(crate) fn open_store(machine: &Machine, policy: &Policy) -> Result<Store, NodeError> {
    let (folder, ran) = (machine.folder.path(), machine.folder.ran_path());
    if ran.exists() && !Location::is_kept_in(folder) {
        return Err(ConfigError::StoreGone(Location::file_in(folder), ran).into());
    }
    let mut store = Store::open(Location::Folder(folder.to_owned()), policy)?;
    if !ran.exists() {
        config::write_secret(&ran, b"")?;
    }
    if let Some(entities) = upkeep::renew(machine, &mut store)? {
        tracing::info!("{entities} entities folded anew by this version of the program");
    }
    Ok(store)
}

fn inviter(machine: &Machine) -> Inviter {
    let host = Host {
        studio: machine.studio.studio,
        studio_name: machine.studio.name.clone(),
        device: machine.identity.device,
        key: machine.key.public(),
        name: machine.identity.name.clone(),
    };
    Inviter {
        host,
        key: machine.key.clone(),
    }
}

fn mesh_config(machine: &Machine, listen: Vec<SocketAddr>, last_port: u16) -> MeshConfig {
    MeshConfig {
        device_secret: machine.key.seed(),
        pre_shared_keys: machine.studio.mesh_keys(),
        listen,
        last_port,
        topic: format!("sv/1/{}", machine.studio.studio),
    }
}

/// The signed policies and the roster, as the driver has them.
fn signed(driver: &Driver) -> (PolicyShelf, Roster) {
    let engine = driver.engine();
    (engine.policies().clone(), engine.roster().clone())
}

fn url_of(machine: &Machine) -> Option<String> {
    let access = machine.studio.cloud.as_ref()?;
    Some(access.url.clone())
}

/// What the machine's driver is made with.
pub(crate) fn setup(machine: &Machine, policy: Policy) -> Result<Setup, NodeError> {
    let roster = machine.studio.roster().map_err(NodeError::Studio)?;
    let device = machine.identity.device;
    if roster.member(device).is_none() {
        return Err(NodeError::Studio("it does not admit this machine".into()));
    }
    let mut random = Random::System;
    let identity = Identity {
        device,
        secret: machine.key.clone(),
        run: random.number(),
        fresh_epoch: Epoch(random.number()),
    };
    Ok(Setup {
        identity,
        roster,
        policy,
        region: machine.studio.region.clone(),
        random,
    })
}

fn node_view(machine: &Machine, setup: &Setup, announce: Announce) -> api::NodeView {
    api::NodeView {
        device: machine.identity.device,
        name: machine.identity.name.clone(),
        studio: machine.studio.studio,
        studio_name: machine.studio.name.clone(),
        time_zone: machine.studio.region.time_zone.to_string(),
        currency: machine.studio.region.currency.to_string(),
        version: env!("CARGO_PKG_VERSION").into(),
        run: format!("{:016x}", setup.identity.run),
        started: clock::wall(),
        listening: Vec::new(),
        venue: announce == Announce::Silent,
    }
}
