//! The LAN mesh: authenticated, encrypted links to peers, carrying frames of opaque bytes.
//!
//! The only place that names libp2p. Knows neither frames' meaning nor who belongs to the studio: a link's key is proven
//! by Noise, and the engine decides what it may do. Everything a peer can make it hold is bounded by a number in `limits::mesh`.

mod admission;
mod attach;
mod blame;
mod dials;
mod driver;
mod explain;
mod gate;
mod gossip;
mod link;
mod listeners;
mod muxer;
mod outgoing;
mod transport;

#[cfg(test)]
mod tests;

use std::{io, net::SocketAddr, sync::Arc};

use bytes::Bytes;
use thiserror::Error;
use tokio::sync::{mpsc, oneshot};

/// Here: one authenticated connection and its one stream of frames.
pub use studiovault_protocol::event::LinkId;

pub use bounds::{LINK_QUEUE_BYTES, MAX_FRAME_BYTES, MAX_HINT_BYTES, MAX_PEERS};

use studiovault_protocol::limits::mesh as bounds;

use driver::Order;
use outgoing::Links;

/// What the mesh needs to start.
#[derive(Clone)]
pub struct MeshConfig {
    /// Ed25519 seed of the device; the key that peers see.
    pub device_secret: [u8; 32],
    /// The studio's keys under every handshake, the newest first; whoever has none of them gets no answer.
    pub pre_shared_keys: Vec<[u8; 32]>,
    /// Addresses to listen on; port 0 takes a free one, the same for all of them if possible.
    pub listen: Vec<SocketAddr>,
    /// Taken for port 0 if it is free: where peers remember this machine. 0 for any.
    pub last_port: u16,
    /// Gossip topic of the studio.
    pub topic: String,
}

/// What the engine may ask of the mesh.
#[derive(Debug)]
pub enum MeshCommand {
    /// Connect to one peer known by these addresses: in turn, the next after a failure or 250 ms, until one answers.
    /// Addresses already under way are skipped. Each failed attempt is told by [`MeshEvent::DialFailed`].
    Dial(Vec<SocketAddr>),
    /// Queue a frame, at most [`MAX_FRAME_BYTES`].
    Send { link: LinkId, frame: Bytes },
    /// Write what is queued (for 1 s at most) and close.
    Close(LinkId),
    /// The same, because of what the peer sent: after some faults it is kept out for a while.
    Blame(LinkId),
    /// Gossip a hint, at most [`MAX_HINT_BYTES`]; it may be lost.
    Publish(Bytes),
    /// The peer with this key belongs: gossip with it for as long as it has a link. Until then it is given and asked nothing but frames.
    Admit([u8; 32]),
    /// Close listeners and links and refuse dials, until [`MeshCommand::Online`].
    Offline,
    /// Listen again, on the same ports if they are still free.
    Online,
    /// Other keys for every handshake from now on, the newest first; links that stand stay.
    Keys(Vec<[u8; 32]>),
}

/// What the mesh tells the engine.
#[derive(Debug)]
pub enum MeshEvent {
    /// Peers may reach us here. Repeated for every interface and whenever one appears.
    Listening(SocketAddr),
    /// A link is open; `key` is the peer's Ed25519 public key, proven by Noise.
    Opened {
        link: LinkId,
        key: [u8; 32],
        dialed: bool,
        /// It was made under an earlier key of the studio.
        earlier_key: bool,
        /// What we dialled, or where the peer came from (then its port is not the one it listens on).
        address: SocketAddr,
    },
    /// A frame, in the order the peer sent them.
    Frame { link: LinkId, bytes: Bytes },
    /// The last event of a link.
    Closed { link: LinkId, reason: CloseReason },
    /// An address was dialled and no link came of it.
    DialFailed {
        address: SocketAddr,
        obstacle: Obstacle,
        reason: String,
    },
    /// A gossiped hint; `key` is its author's, who need not be a neighbour.
    Heard { key: [u8; 32], bytes: Bytes },
}

/// What stood in the way of a dial, as far as this side can tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Obstacle {
    /// Somebody said that nothing listens there.
    NothingListens,
    /// No way to that address.
    Unreachable,
    /// Nothing came back in time: on the way, or from whoever listens there.
    Silent,
    /// Whoever listens there does not know the network's key, or not this machine's.
    Handshake,
    /// It has this machine's own key.
    OwnKey,
    /// This side did not try, or it is this side's own address.
    NotTried,
}

/// Why a link ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CloseReason {
    /// We asked for it.
    Requested,
    /// We asked for it, because of what the peer sent.
    Blamed,
    /// We went offline.
    Offline,
    /// The peer closed it or the network lost it.
    PeerGone,
    /// The peer does not read: [`LINK_QUEUE_BYTES`] were waiting.
    Overflow,
    /// The peer announced a frame longer than [`MAX_FRAME_BYTES`].
    Malformed { length: u32 },
}

/// The mesh could not start; nothing was changed.
#[derive(Debug, Error)]
pub enum MeshError {
    /// The machine's fault: the address is taken or not ours.
    #[error("cannot listen on {address}: {source}; choose another address or port with --listen")]
    Listen {
        address: SocketAddr,
        source: io::Error,
    },
    /// The caller's fault: no addresses given.
    #[error("no address to listen on was given; use 0.0.0.0:0 for any")]
    NoAddress,
    /// The disk's fault: the stored key is not an Ed25519 seed.
    #[error("the device key cannot be used; restore it from a backup or pair this device again")]
    DeviceKey,
    /// A bug: the settings contradict each other.
    #[error("gossip settings were refused: {0}; please report this")]
    Gossip(String),
}

/// Why a command was not taken. Nothing was queued.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum MeshRefused {
    /// Many commands are waiting; try again after the next event.
    #[error("the mesh is busy; try again in a moment")]
    Busy,
    /// The mesh has been shut down.
    #[error("the mesh has stopped; restart the node")]
    Stopped,
    /// The link has ended or is about to; its `Closed` is on the way.
    #[error("the link is closed; wait for a new one")]
    NoSuchLink,
    /// The peer does not read; the link is being closed.
    #[error("the peer does not read fast enough; wait for a new link")]
    Overflow,
    /// A bug of the caller.
    #[error("a frame of {length} bytes is longer than {MAX_FRAME_BYTES}; split it")]
    FrameTooLong { length: usize },
}

/// The engine's hold on a running mesh. Cheap to clone; the mesh stops when the last clone is gone.
#[derive(Clone)]
pub struct MeshHandle {
    orders: mpsc::Sender<Order>,
    links: Arc<Links>,
}

impl MeshHandle {
    /// Gives a command without waiting. Frames go straight to their link's own queue; the order among frames of one
    /// link, and of its `Close` behind them, is kept.
    pub fn try_send(&self, command: MeshCommand) -> Result<(), MeshRefused> {
        let order = match command {
            MeshCommand::Send { link, frame } => return self.links.send(link, frame),
            MeshCommand::Close(link) => return self.links.end(link, CloseReason::Requested),
            MeshCommand::Blame(link) => return self.links.end(link, CloseReason::Blamed),
            MeshCommand::Dial(addresses) => Order::Dial(addresses),
            MeshCommand::Publish(bytes) => Order::Publish(bytes),
            MeshCommand::Admit(key) => match transport::peer_of(&key) {
                Some(peer) => Order::Admit(peer),
                None => return Ok(()),
            },
            MeshCommand::Offline => Order::Offline,
            MeshCommand::Online => Order::Online,
            MeshCommand::Keys(keys) => Order::Keys(keys),
        };
        self.orders.try_send(order).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => MeshRefused::Busy,
            mpsc::error::TrySendError::Closed(_) => MeshRefused::Stopped,
        })
    }

    /// Writes what the links have queued (for 1 s at most), closes everything and waits for it.
    pub async fn shutdown(&self) {
        let (done, finished) = oneshot::channel();
        if self.orders.send(Order::Shutdown(done)).await.is_ok() {
            // An error means the mesh ended in another way meanwhile, which is what we wait for.
            let _ = finished.await;
        }
    }
}

/// Starts listening. To be called inside a tokio runtime; the receiver must be read, or the peers are slowed down.
pub fn start(config: MeshConfig) -> Result<(MeshHandle, mpsc::Receiver<MeshEvent>), MeshError> {
    let (orders, waiting) = mpsc::channel(bounds::COMMAND_QUEUE);
    let (events, receiver) = mpsc::channel(bounds::EVENT_QUEUE);
    let links = Arc::new(Links::default());
    driver::spawn(
        config,
        driver::Channels {
            orders: waiting,
            events,
            links: links.clone(),
        },
    )?;
    Ok((MeshHandle { orders, links }, receiver))
}
