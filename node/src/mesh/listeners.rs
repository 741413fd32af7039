//! The listening sockets: opened, really closed while offline, opened again on the same ports.
//!
//! Invariant: a port once bound is asked for again, because peers remember addresses; only if another program took it
//! meanwhile is a free one used.

use std::{
    io,
    net::{SocketAddr, TcpListener},
};

use libp2p::{TransportError, core::transport::ListenerId};

use super::{MeshError, transport::multiaddr};

struct Listener {
    address: SocketAddr,
    id: Option<ListenerId>,
}

/// All addresses to listen on.
pub(super) struct Listeners(Vec<Listener>);

impl Listeners {
    /// Chooses a port for every address that leaves it open: one for all of them if that is free, the last one if it can.
    pub(super) fn choose(wanted: &[SocketAddr], last: u16) -> Result<Self, MeshError> {
        let mut failure = MeshError::NoAddress;
        let mut chosen = Vec::new();
        let mut port = last;
        for &address in wanted {
            let first = SocketAddr::new(address.ip(), choose_port(address.port(), port));
            match probe(first).or_else(|_| probe(address)) {
                Ok(bound) => {
                    if address.port() == 0 {
                        port = bound.port();
                    }
                    chosen.push(Listener {
                        address: bound,
                        id: None,
                    });
                }
                // One family may be missing (no IPv6): enough if the other works.
                Err(source) => failure = MeshError::Listen { address, source },
            }
        }
        if chosen.is_empty() {
            return Err(failure);
        }
        Ok(Self(chosen))
    }

    /// Opens those that are closed. Succeeds if at least one listens.
    pub(super) fn open<L>(&mut self, mut listen: L) -> Result<(), MeshError>
    where
        L: FnMut(libp2p::Multiaddr) -> Result<ListenerId, TransportError<io::Error>>,
    {
        let mut failure = None;
        for listener in self.0.iter_mut().filter(|listener| listener.id.is_none()) {
            let address = listener.address;
            let any_port = SocketAddr::new(address.ip(), 0);
            match listen(multiaddr(address)).or_else(|_| listen(multiaddr(any_port))) {
                Ok(id) => listener.id = Some(id),
                Err(error) => {
                    let source = match error {
                        TransportError::Other(source) => source,
                        other => io::Error::other(other.to_string()),
                    };
                    failure = Some(MeshError::Listen { address, source });
                }
            }
        }
        match failure {
            Some(error) if self.0.iter().all(|listener| listener.id.is_none()) => Err(error),
            _ => Ok(()),
        }
    }

    /// Remembers the port really bound, if another one had to be taken.
    pub(super) fn bound(&mut self, id: ListenerId, port: u16) {
        if let Some(listener) = self.0.iter_mut().find(|l| l.id == Some(id)) {
            listener.address.set_port(port);
        }
    }

    /// Forgets a listener that ended by itself, so that the next opening renews it.
    pub(super) fn lost(&mut self, id: ListenerId) {
        for listener in self.0.iter_mut().filter(|l| l.id == Some(id)) {
            listener.id = None;
        }
    }

    /// Takes the open ones, to be removed.
    pub(super) fn close(&mut self) -> Vec<ListenerId> {
        self.0.iter_mut().filter_map(|l| l.id.take()).collect()
    }
}

fn choose_port(first: u16, otherwise: u16) -> u16 {
    if first == 0 { otherwise } else { first }
}

/// Binds and lets go again. Not held: a socket of the standard library on `[::]` takes IPv4 too and would stand in the
/// way of the other family, while libp2p's sockets keep the families apart.
fn probe(address: SocketAddr) -> io::Result<SocketAddr> {
    TcpListener::bind(address)?.local_addr()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn any() -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], 0))
    }

    fn port(listeners: &Listeners) -> u16 {
        listeners.0[0].address.port()
    }

    #[test]
    fn the_last_port_is_taken_again_unless_somebody_has_it() {
        let first = port(&Listeners::choose(&[any()], 0).expect("a free port"));
        let again = Listeners::choose(&[any()], first).expect("the same port");
        assert_eq!(port(&again), first);
        let _taken = TcpListener::bind((any().ip(), first)).expect("it is free");
        let other = Listeners::choose(&[any()], first).expect("another port");
        assert_ne!(port(&other), first);
    }
}
