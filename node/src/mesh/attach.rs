//! The libp2p behaviour that gives every connection exactly one link stream.
//!
//! Invariant: the dialler opens the stream, the listener accepts the first and no other; a connection without its stream
//! after [`HANDSHAKE_TIMEOUT`] is closed. Written instead of taking a stream crate, because those name only the peer of
//! a stream: with two connections to one peer nobody could say which of them to close.

use std::{
    collections::VecDeque,
    convert::Infallible,
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use libp2p::{
    Multiaddr, PeerId, Stream, StreamProtocol,
    core::{Endpoint, transport::PortUse, upgrade::ReadyUpgrade},
    swarm::{
        CloseConnection, ConnectionClosed, ConnectionDenied, ConnectionHandler,
        ConnectionHandlerEvent, ConnectionId, FromSwarm, ListenFailure, NetworkBehaviour,
        SubstreamProtocol, THandler, THandlerInEvent, THandlerOutEvent, ToSwarm,
        behaviour::ConnectionEstablished, handler::ConnectionEvent,
    },
};
use tokio::time::{Instant, Sleep};

use super::{admission::Admission, bounds::HANDSHAKE_TIMEOUT, transport::socket_address};

const PROTOCOL: StreamProtocol = StreamProtocol::new("/studiovault/link/1");

/// A connection has its stream.
#[derive(Debug)]
pub(super) struct Attached {
    pub(super) peer: PeerId,
    pub(super) connection: ConnectionId,
    pub(super) stream: Stream,
}

type Outcome = ToSwarm<Attached, Infallible>;

/// The behaviour: admits connections and attaches their streams.
#[derive(Default)]
pub(super) struct Attach {
    pub(super) admission: Admission,
    outcomes: VecDeque<Outcome>,
}

impl NetworkBehaviour for Attach {
    type ConnectionHandler = AttachHandler;
    type ToSwarm = Attached;

    fn handle_pending_inbound_connection(
        &mut self,
        connection: ConnectionId,
        _: &Multiaddr,
        remote: &Multiaddr,
    ) -> Result<(), ConnectionDenied> {
        let address = socket_address(remote).map(|a| a.ip());
        self.admission
            .begin(connection, address, Instant::now())
            .map_err(ConnectionDenied::new)
    }

    fn handle_established_inbound_connection(
        &mut self,
        connection: ConnectionId,
        peer: PeerId,
        _: &Multiaddr,
        _: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.admission.end(connection);
        let admitted = self.admission.check(&peer, Instant::now());
        admitted.map_err(ConnectionDenied::new)?;
        Ok(AttachHandler::new(Step::Awaiting))
    }

    fn handle_established_outbound_connection(
        &mut self,
        _: ConnectionId,
        peer: PeerId,
        _: &Multiaddr,
        _: Endpoint,
        _: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        let admitted = self.admission.check(&peer, Instant::now());
        admitted.map_err(ConnectionDenied::new)?;
        Ok(AttachHandler::new(Step::Asking))
    }

    fn on_swarm_event(&mut self, event: FromSwarm) {
        match event {
            FromSwarm::ConnectionEstablished(ConnectionEstablished { peer_id, .. }) => {
                self.admission.opened(peer_id);
            }
            FromSwarm::ConnectionClosed(ConnectionClosed { peer_id, .. }) => {
                self.admission.closed(&peer_id);
            }
            FromSwarm::ListenFailure(ListenFailure { connection_id, .. }) => {
                self.admission.end(connection_id);
            }
            _ => {}
        }
    }

    fn on_connection_handler_event(
        &mut self,
        peer: PeerId,
        connection: ConnectionId,
        event: THandlerOutEvent<Self>,
    ) {
        self.outcomes.push_back(match event {
            Some(stream) => ToSwarm::GenerateEvent(Attached {
                peer,
                connection,
                stream,
            }),
            None => ToSwarm::CloseConnection {
                peer_id: peer,
                connection: CloseConnection::One(connection),
            },
        });
    }

    fn poll(&mut self, _: &mut Context<'_>) -> Poll<ToSwarm<Attached, THandlerInEvent<Self>>> {
        self.outcomes.pop_front().map_or(Poll::Pending, Poll::Ready)
    }
}

enum Step {
    /// We dialled and have not asked for the stream yet.
    Asking,
    /// The stream is being negotiated, or the peer is expected to open it.
    Awaiting,
    Attached(Stream),
    Failed,
    Told,
}

/// The handler of one connection; tells the behaviour once: the stream, or `None` if there will be none.
pub(super) struct AttachHandler {
    step: Step,
    deadline: Pin<Box<Sleep>>,
}

impl AttachHandler {
    fn new(step: Step) -> Self {
        Self {
            step,
            deadline: Box::pin(tokio::time::sleep(HANDSHAKE_TIMEOUT)),
        }
    }

    /// Keeps the first stream; a second one is dropped, which resets it.
    fn attach(&mut self, stream: Stream) {
        if matches!(self.step, Step::Awaiting) {
            self.step = Step::Attached(stream);
        }
    }
}

impl ConnectionHandler for AttachHandler {
    type FromBehaviour = Infallible;
    type ToBehaviour = Option<Stream>;
    type InboundProtocol = ReadyUpgrade<StreamProtocol>;
    type OutboundProtocol = ReadyUpgrade<StreamProtocol>;
    type InboundOpenInfo = ();
    type OutboundOpenInfo = ();

    fn listen_protocol(&self) -> SubstreamProtocol<Self::InboundProtocol> {
        SubstreamProtocol::new(ReadyUpgrade::new(PROTOCOL), ())
    }

    fn connection_keep_alive(&self) -> bool {
        // Until told, our own deadline decides; after that the open stream keeps the connection.
        !matches!(self.step, Step::Told)
    }

    fn on_behaviour_event(&mut self, event: Infallible) {
        match event {}
    }

    fn poll(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<ConnectionHandlerEvent<Self::OutboundProtocol, (), Self::ToBehaviour>> {
        if matches!(self.step, Step::Asking | Step::Awaiting)
            && self.deadline.as_mut().poll(cx).is_ready()
        {
            self.step = Step::Failed;
        }
        match std::mem::replace(&mut self.step, Step::Told) {
            Step::Asking => {
                self.step = Step::Awaiting;
                Poll::Ready(ConnectionHandlerEvent::OutboundSubstreamRequest {
                    protocol: self.listen_protocol(),
                })
            }
            Step::Awaiting => {
                self.step = Step::Awaiting;
                Poll::Pending
            }
            Step::Attached(stream) => {
                Poll::Ready(ConnectionHandlerEvent::NotifyBehaviour(Some(stream)))
            }
            Step::Failed => Poll::Ready(ConnectionHandlerEvent::NotifyBehaviour(None)),
            Step::Told => Poll::Pending,
        }
    }

    fn on_connection_event(
        &mut self,
        event: ConnectionEvent<Self::InboundProtocol, Self::OutboundProtocol>,
    ) {
        match event {
            ConnectionEvent::FullyNegotiatedInbound(negotiated) => self.attach(negotiated.protocol),
            ConnectionEvent::FullyNegotiatedOutbound(negotiated) => {
                self.attach(negotiated.protocol);
            }
            ConnectionEvent::DialUpgradeError(_) if matches!(self.step, Step::Awaiting) => {
                self.step = Step::Failed;
            }
            _ => {}
        }
    }
}
