//! The transport: TCP, the gate, the studio's pre-shared key, Noise, bounded yamux.
//!
//! Invariant: whoever does not hold the pre-shared key never reaches the Noise handshake, and nobody occupies a
//! half-open connection longer than [`HANDSHAKE_TIMEOUT`].

use std::net::{IpAddr, SocketAddr};

use libp2p::{
    Multiaddr, PeerId, Transport,
    core::{
        muxing::StreamMuxerBox,
        transport::{Boxed, timeout::TransportTimeoutError},
        upgrade::Version,
    },
    identity::{self, Keypair, PublicKey},
    multiaddr::Protocol,
    noise,
    pnet::{PnetConfig, PreSharedKey},
    tcp,
};

use super::{
    MeshError, bounds::HANDSHAKE_TIMEOUT, explain::HandshakeFailure, gate::Gate,
    muxer::BoundedYamux,
};

/// The libp2p identity of a device: its own Ed25519 key, so Noise proves the key that the roster lists.
pub(super) fn identity(mut device_secret: [u8; 32]) -> Result<Keypair, MeshError> {
    Keypair::ed25519_from_bytes(&mut device_secret).map_err(|_| MeshError::DeviceKey)
}

/// The raw Ed25519 key behind a peer id. `None` only for keys of another kind, which Noise refuses before.
pub(super) fn key_of(peer: &PeerId) -> Option<[u8; 32]> {
    // Ed25519 peer ids are the public key itself behind an identity multihash, not a digest of it.
    let encoded = peer.as_ref().digest();
    let key: identity::ed25519::PublicKey = PublicKey::try_decode_protobuf(encoded)
        .ok()?
        .try_into_ed25519()
        .ok()?;
    Some(key.to_bytes())
}

/// The peer id of a raw Ed25519 key; `None` if it is none.
pub(super) fn peer_of(key: &[u8; 32]) -> Option<PeerId> {
    let key = identity::ed25519::PublicKey::try_from_bytes(key).ok()?;
    Some(PublicKey::from(key).to_peer_id())
}

pub(super) fn build(
    keypair: &Keypair,
    gate: Gate,
) -> Result<Boxed<(PeerId, StreamMuxerBox)>, MeshError> {
    let noise = noise::Config::new(keypair).map_err(|_| MeshError::DeviceKey)?;
    Ok(tcp::tokio::Transport::new(tcp::Config::new().nodelay(true))
        .and_then(move |mut socket, endpoint| {
            let gate = gate.clone();
            async move {
                let key = gate.pass(&mut socket, &endpoint).await?;
                let pnet = PnetConfig::new(PreSharedKey::new(key));
                pnet.handshake(socket).await
            }
        })
        // Lazy: the dialler's proposal travels with the first handshake message and saves round trips.
        .upgrade(Version::V1Lazy)
        .authenticate(noise)
        .multiplex(BoundedYamux::new())
        .timeout(HANDSHAKE_TIMEOUT)
        .map(|(peer, muxer), _| (peer, StreamMuxerBox::new(muxer)))
        .map_err(|error| match error {
            TransportTimeoutError::Timeout => HandshakeFailure::Silent,
            TransportTimeoutError::TimerError(error) => HandshakeFailure::Tcp(error),
            // From the outside in: multiplexing, authentication, pre-shared key, and at the bottom TCP itself.
            TransportTimeoutError::Other(error) => error
                .left()
                .and_then(|error| error.left())
                .and_then(|error| error.left())
                .map_or(HandshakeFailure::Refused, HandshakeFailure::Tcp),
        })
        .boxed())
}

pub(super) fn multiaddr(address: SocketAddr) -> Multiaddr {
    Multiaddr::from(address.ip()).with(Protocol::Tcp(address.port()))
}

/// The socket address in front of a multiaddr; `None` if it is not IP and TCP.
pub(super) fn socket_address(address: &Multiaddr) -> Option<SocketAddr> {
    let mut parts = address.iter();
    let ip = match parts.next()? {
        Protocol::Ip4(ip) => IpAddr::V4(ip),
        Protocol::Ip6(ip) => IpAddr::V6(ip),
        _ => return None,
    };
    match parts.next()? {
        Protocol::Tcp(port) => Some(SocketAddr::new(ip, port)),
        _ => None,
    }
}
