//! The mesh task: owns the libp2p swarm and turns its events into ours.
//!
//! Invariant: it never waits for the engine. What it has to say waits in a bounded outbox; when that is full the network
//! is left alone until it has drained. Frames do not pass here: each link has its own task.

use std::{
    collections::{HashMap, VecDeque},
    future,
    net::SocketAddr,
    sync::Arc,
};

use bytes::Bytes;
use futures::StreamExt;
use libp2p::{
    PeerId, Swarm,
    core::ConnectedPoint,
    gossipsub::IdentTopic,
    swarm::{
        Config, ConnectionId, DialError, ListenError, NetworkBehaviour, SwarmEvent,
        dial_opts::DialOpts,
    },
};
use tokio::{
    sync::{mpsc, oneshot},
    time::Instant,
};

use super::{
    CloseReason, LinkId, MeshConfig, MeshError, MeshEvent, Obstacle,
    attach::{Attach, Attached},
    bounds::{CLOSE_GRACE, OUTBOX},
    dials::Dials,
    explain::explain,
    gate::Gate,
    gossip::{self, Gossip},
    link::Link,
    listeners::Listeners,
    outgoing::Links,
    transport::{self, key_of, multiaddr, socket_address},
};

/// A command for the mesh task itself.
pub(super) enum Order {
    Dial(Vec<SocketAddr>),
    Publish(Bytes),
    Admit(PeerId),
    Offline,
    Online,
    Keys(Vec<[u8; 32]>),
    Shutdown(oneshot::Sender<()>),
}

/// What connects the task with the handle and the engine.
pub(super) struct Channels {
    pub(super) orders: mpsc::Receiver<Order>,
    pub(super) events: mpsc::Sender<MeshEvent>,
    pub(super) links: Arc<Links>,
}

#[derive(NetworkBehaviour)]
struct Behaviour {
    attach: Attach,
    gossip: Gossip,
}

/// A connection whose link ended, and the peer if that was its fault.
type Ended = (ConnectionId, Option<PeerId>);

/// A connection past its handshake.
struct Connection {
    address: SocketAddr,
    dialed: bool,
    earlier_key: bool,
    link: Option<LinkId>,
}

struct Driver {
    swarm: Swarm<Behaviour>,
    topic: IdentTopic,
    gate: Gate,
    listeners: Listeners,
    online: bool,
    dials: Dials,
    connections: HashMap<ConnectionId, Connection>,
    next_link: u64,
    channels: Channels,
    outbox: VecDeque<MeshEvent>,
    /// Links that ended, by connection. Unbounded in type only: each connection sends once.
    ended: (mpsc::UnboundedSender<Ended>, mpsc::UnboundedReceiver<Ended>),
}

/// Opens the listeners and spawns the task.
pub(super) fn spawn(config: MeshConfig, channels: Channels) -> Result<(), MeshError> {
    let keypair = transport::identity(config.device_secret)?;
    let topic = IdentTopic::new(config.topic);
    let behaviour = Behaviour {
        attach: Attach::default(),
        gossip: gossip::build(&keypair, &topic)?,
    };
    let gate = Gate::new(config.pre_shared_keys);
    let transport = transport::build(&keypair, gate.clone())?;
    let peer = keypair.public().to_peer_id();
    let swarm = Swarm::new(transport, behaviour, peer, Config::with_tokio_executor());
    let mut driver = Driver {
        swarm,
        topic,
        gate,
        listeners: Listeners::choose(&config.listen, config.last_port)?,
        online: true,
        dials: Dials::default(),
        connections: HashMap::new(),
        next_link: 0,
        channels,
        outbox: VecDeque::new(),
        ended: mpsc::unbounded_channel(),
    };
    driver.listen()?;
    tokio::spawn(driver.run());
    Ok(())
}

impl Driver {
    async fn run(mut self) {
        let events = self.channels.events.clone();
        let done = loop {
            self.start_dials();
            let due = self.dials.due();
            tokio::select! {
                order = self.channels.orders.recv() => match order {
                    Some(Order::Shutdown(done)) => break Some(done),
                    Some(order) => self.obey(order),
                    None => break None,
                },
                Some(ended) = self.ended.1.recv() => self.link_ended(ended),
                room = events.reserve(), if !self.outbox.is_empty() => match room {
                    Ok(room) => {
                        if let Some(event) = self.outbox.pop_front() {
                            room.send(event);
                        }
                    }
                    Err(_) => break None,
                },
                event = self.swarm.select_next_some(), if self.outbox.len() < OUTBOX => {
                    self.handle_swarm(event);
                }
                () = wait_until(due) => {}
            }
        };
        self.finish().await;
        drop(self);
        if let Some(done) = done {
            // The caller may have given up waiting.
            let _ = done.send(());
        }
    }

    /// Closes everything; gives the links time to write what they have.
    async fn finish(&mut self) {
        self.go_offline(CloseReason::Requested);
        let end = Instant::now() + CLOSE_GRACE * 2;
        while !self.connections.is_empty() {
            tokio::select! {
                Some(ended) = self.ended.1.recv() => self.link_ended(ended),
                event = self.swarm.select_next_some() => self.handle_swarm(event),
                () = tokio::time::sleep_until(end) => break,
            }
        }
    }

    fn obey(&mut self, order: Order) {
        match order {
            Order::Dial(addresses) if self.online => {
                for address in self.dials.add(addresses, Instant::now()) {
                    let words = "too many addresses are waiting to be dialled";
                    self.dial_failed(address, (Obstacle::NotTried, words));
                }
            }
            Order::Dial(addresses) => {
                for address in addresses {
                    self.dial_failed(address, (Obstacle::NotTried, "this node is offline"));
                }
            }
            Order::Publish(bytes) => {
                let gossip = &mut self.swarm.behaviour_mut().gossip;
                if let Err(error) = gossip.publish(self.topic.clone(), bytes) {
                    // A hint: the peers' frontiers say the same a moment later.
                    tracing::debug!(%error, "hint not gossiped");
                }
            }
            Order::Admit(peer) => gossip::admit(&mut self.swarm.behaviour_mut().gossip, &peer),
            Order::Offline => self.go_offline(CloseReason::Offline),
            Order::Online => self.go_online(),
            Order::Keys(keys) => self.gate.change(keys),
            // Taken by `run` before it comes here.
            Order::Shutdown(_) => {}
        }
    }

    fn go_offline(&mut self, reason: CloseReason) {
        self.online = false;
        self.swarm.behaviour_mut().attach.admission.close();
        for listener in self.listeners.close() {
            self.swarm.remove_listener(listener);
        }
        for address in self.dials.abandon() {
            self.dial_failed(address, (Obstacle::NotTried, "this node went offline"));
        }
        self.channels.links.end_all(reason);
        let without_link: Vec<_> = self
            .connections
            .iter()
            .filter(|(_, connection)| connection.link.is_none())
            .map(|(id, _)| *id)
            .collect();
        for connection in without_link {
            self.swarm.close_connection(connection);
        }
    }

    fn go_online(&mut self) {
        self.online = true;
        self.swarm.behaviour_mut().attach.admission.open();
        if let Err(error) = self.listen() {
            // Dialling still works; the next Online tries again.
            tracing::warn!(%error, "online, but peers cannot connect to this node");
        }
    }

    fn listen(&mut self) -> Result<(), MeshError> {
        let swarm = &mut self.swarm;
        self.listeners.open(|address| swarm.listen_on(address))
    }

    fn start_dials(&mut self) {
        while let Some((group, address)) = self.dials.next(Instant::now()) {
            // A port of its own: two peers that dial each other from their listening ports would meet in one socket.
            let options = DialOpts::unknown_peer_id()
                .address(multiaddr(address))
                .allocate_new_port()
                .build();
            let connection = options.connection_id();
            self.dials.started(group, address, connection);
            if let Err(error) = self.swarm.dial(options) {
                self.attempt_failed(connection, &error);
            }
        }
    }

    fn attempt_failed(&mut self, connection: ConnectionId, error: &DialError) {
        if let Some(address) = self.dials.failed(connection, Instant::now()) {
            let (obstacle, words) = explain(error);
            self.dial_failed(address, (obstacle, &words));
        }
    }

    fn dial_failed(&mut self, address: SocketAddr, (obstacle, reason): (Obstacle, &str)) {
        let reason = reason.to_owned();
        self.outbox.push_back(MeshEvent::DialFailed {
            address,
            obstacle,
            reason,
        });
    }

    fn handle_swarm(&mut self, event: SwarmEvent<BehaviourEvent>) {
        match event {
            SwarmEvent::Behaviour(BehaviourEvent::Attach(attached)) => self.attach(attached),
            SwarmEvent::Behaviour(BehaviourEvent::Gossip(event)) => {
                let heard = gossip::heard(&mut self.swarm.behaviour_mut().gossip, event);
                if let Some(heard) = heard
                    && self.outbox.len() < OUTBOX / 2
                {
                    self.outbox.push_back(heard);
                }
            }
            SwarmEvent::NewListenAddr {
                listener_id,
                address,
            } if self.online => {
                if let Some(address) = socket_address(&address) {
                    self.listeners.bound(listener_id, address.port());
                    self.outbox.push_back(MeshEvent::Listening(address));
                }
            }
            SwarmEvent::ListenerClosed {
                listener_id,
                reason,
                ..
            } => {
                self.listeners.lost(listener_id);
                if let Err(error) = reason {
                    tracing::warn!(%error, "a listening socket failed");
                }
            }
            SwarmEvent::ConnectionEstablished {
                peer_id,
                connection_id,
                endpoint,
                num_established,
                ..
            } => {
                if num_established.get() == 1 {
                    gossip::hold_back(&mut self.swarm.behaviour_mut().gossip, &peer_id);
                }
                self.established(peer_id, connection_id, &endpoint);
            }
            SwarmEvent::ConnectionClosed { connection_id, .. } => self.closed(connection_id),
            SwarmEvent::OutgoingConnectionError {
                connection_id,
                error,
                ..
            } => self.attempt_failed(connection_id, &error),
            SwarmEvent::IncomingConnectionError {
                error,
                send_back_addr,
                ..
            } => {
                tracing::debug!(%error, address = %send_back_addr, "inbound connection refused");
                let address = socket_address(&send_back_addr).map(|address| address.ip());
                if let (Some(address), ListenError::Transport(_)) = (address, &error) {
                    let admission = &mut self.swarm.behaviour_mut().attach.admission;
                    admission.failed(address, Instant::now());
                }
            }
            _ => {}
        }
    }

    fn established(&mut self, peer: PeerId, id: ConnectionId, endpoint: &ConnectedPoint) {
        let earlier_key = self.gate.was_earlier(endpoint.get_remote_address());
        let address = socket_address(endpoint.get_remote_address());
        let first = self.dials.reached(id, peer);
        let (Some(address), true) = (address, first) else {
            self.swarm.close_connection(id);
            return;
        };
        let connection = Connection {
            address,
            dialed: endpoint.is_dialer(),
            earlier_key,
            link: None,
        };
        self.connections.insert(id, connection);
    }

    /// Starts the link of a connection that has its stream.
    fn attach(&mut self, attached: Attached) {
        let key = key_of(&attached.peer);
        let known = self.connections.get_mut(&attached.connection);
        let (Some(key), Some(connection), true) = (key, known, self.online) else {
            self.swarm.close_connection(attached.connection);
            return;
        };
        self.next_link += 1;
        let id = LinkId(self.next_link);
        connection.link = Some(id);
        let opened = MeshEvent::Opened {
            link: id,
            key,
            dialed: connection.dialed,
            earlier_key: connection.earlier_key,
            address: connection.address,
        };
        let link = Link {
            id,
            outgoing: self.channels.links.insert(id),
            events: self.channels.events.clone(),
        };
        let links = self.channels.links.clone();
        let ended = self.ended.0.clone();
        tokio::spawn(async move {
            let reason = match link.events.send(opened).await {
                Ok(()) => link.carry(attached.stream).await,
                Err(_) => CloseReason::Requested,
            };
            links.remove(id);
            // Neither receiver matters any more when it is gone: then the mesh itself is ending.
            let at_fault = matches!(reason, CloseReason::Blamed | CloseReason::Malformed { .. });
            let _ = ended.send((attached.connection, at_fault.then_some(attached.peer)));
            let _ = link
                .events
                .send(MeshEvent::Closed { link: id, reason })
                .await;
        });
    }

    fn link_ended(&mut self, (connection, at_fault): Ended) {
        if let Some(peer) = at_fault {
            let now = Instant::now();
            let known = self.connections.get(&connection);
            let from = known
                .filter(|known| !known.dialed)
                .map(|known| known.address.ip());
            let admission = &mut self.swarm.behaviour_mut().attach.admission;
            admission.blame.peer(peer, now);
            // Whoever knows the network's key can have a new identity for every link.
            if let Some(from) = from {
                admission.failed(from, now);
            }
        }
        self.swarm.close_connection(connection);
    }

    fn closed(&mut self, id: ConnectionId) {
        let Some(connection) = self.connections.remove(&id) else {
            return;
        };
        // With a link, its own task notices that the stream has ended.
        if connection.link.is_none() && connection.dialed {
            let words = "the peer closed before a link was open";
            self.dial_failed(connection.address, (Obstacle::Handshake, words));
        }
    }
}

async fn wait_until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due).await,
        None => future::pending().await,
    }
}
