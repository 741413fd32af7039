//! Why a dial failed, in words for a person.
//!
//! Deliberately short: a list of peers shows it in one line. The wrong pre-shared key cannot be told apart from a
//! stranger's service or from silence, and that is on purpose.

use std::io;

use libp2p::{TransportError, swarm::DialError};
use thiserror::Error;

use super::{Obstacle, admission::Denied};

/// What stopped a connection before it was authenticated: the network, or the other side.
#[derive(Debug, Error)]
pub(super) enum HandshakeFailure {
    #[error("{}", words(.0.kind()))]
    Tcp(io::Error),
    #[error(
        "no answer; check the firewall and that both devices are in the same network and studio"
    )]
    Silent,
    #[error("the handshake failed; check that both devices belong to the same studio")]
    Refused,
}

/// What it was, and in words.
pub(super) fn explain(error: &DialError) -> (Obstacle, String) {
    (obstacle(error), told(error))
}

fn obstacle(error: &DialError) -> Obstacle {
    let DialError::Transport(attempts) = error else {
        return match error {
            DialError::LocalPeerId { .. } => Obstacle::OwnKey,
            DialError::WrongPeerId { .. } => Obstacle::Handshake,
            _ => Obstacle::NotTried,
        };
    };
    let failure = attempts.first().and_then(|(_, error)| handshake(error));
    match failure {
        Some(HandshakeFailure::Tcp(error)) => match error.kind() {
            io::ErrorKind::ConnectionRefused => Obstacle::NothingListens,
            io::ErrorKind::TimedOut => Obstacle::Silent,
            _ => Obstacle::Unreachable,
        },
        Some(HandshakeFailure::Silent) => Obstacle::Silent,
        Some(HandshakeFailure::Refused) => Obstacle::Handshake,
        None => Obstacle::NotTried,
    }
}

fn told(error: &DialError) -> String {
    match error {
        // libp2p strikes our own listening addresses from the list before it dials.
        DialError::NoAddresses => "this is our own address".to_owned(),
        DialError::LocalPeerId { .. } => {
            "it has this device's own key; if it is a copy, pair it as a device of its own"
                .to_owned()
        }
        DialError::Denied { cause } => match cause.downcast_ref::<Denied>() {
            Some(denied) => denied.to_string(),
            None => cause.to_string(),
        },
        DialError::Transport(attempts) => attempts
            .first()
            .and_then(|(_, error)| handshake(error))
            .map_or_else(|| error.to_string(), ToString::to_string),
        other => other.to_string(),
    }
}

fn handshake(error: &TransportError<io::Error>) -> Option<&HandshakeFailure> {
    match error {
        TransportError::Other(error) => error.get_ref()?.downcast_ref(),
        TransportError::MultiaddrNotSupported(_) => None,
    }
}

fn words(kind: io::ErrorKind) -> String {
    match kind {
        io::ErrorKind::ConnectionRefused => {
            "connection refused; check that the node runs there".to_owned()
        }
        io::ErrorKind::TimedOut => {
            "no answer; check the firewall and that both devices are in the same network".to_owned()
        }
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => {
            "unreachable; check the network".to_owned()
        }
        other => format!("{other}; check the network"),
    }
}
