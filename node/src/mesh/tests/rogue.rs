//! Members that hold every key and still misbehave on the wire.

use std::time::Duration;

use futures::{AsyncWriteExt, StreamExt};
use libp2p::{
    Stream, Swarm,
    swarm::{Config, NetworkBehaviour, SwarmEvent, dummy},
};
use tokio::time::timeout;

use super::{Node, PATIENCE, public_key};
use crate::mesh::{
    CloseReason, MeshEvent,
    attach::{Attach, Attached},
    bounds::{HANDSHAKE_TIMEOUT, MAX_FRAME_BYTES},
    gate::Gate,
    transport,
};

fn rogue<B: NetworkBehaviour>(behaviour: B) -> Swarm<B> {
    let keypair = transport::identity([66; 32]).expect("a key");
    let transport = transport::build(&keypair, Gate::new(vec![[7; 32]])).expect("a transport");
    let config = Config::with_tokio_executor().with_idle_connection_timeout(PATIENCE);
    Swarm::new(transport, behaviour, keypair.public().to_peer_id(), config)
}

/// Dials `node` and returns the raw stream of the link; the swarm goes on in the background.
async fn raw_stream(node: &Node) -> Stream {
    let mut swarm = rogue(Attach::default());
    swarm
        .dial(transport::multiaddr(node.address))
        .expect("a dial");
    let stream = loop {
        if let SwarmEvent::Behaviour(Attached { stream, .. }) = swarm.select_next_some().await {
            break stream;
        }
    };
    tokio::spawn(async move {
        loop {
            swarm.select_next_some().await;
        }
    });
    stream
}

#[tokio::test]
async fn an_announced_frame_over_the_bound_closes_the_link_unread() {
    let mut a = Node::start(1).await;
    for length in [MAX_FRAME_BYTES as u32 + 1, u32::MAX] {
        let mut stream = raw_stream(&a).await;
        let (_, key) = a.opened().await;
        assert_eq!(key, public_key(66));
        stream.write_all(&length.to_le_bytes()).await.expect("sent");
        stream.flush().await.expect("sent");
        assert_eq!(a.closed().await, CloseReason::Malformed { length });
    }
}

#[tokio::test]
async fn half_a_frame_is_no_frame() {
    let mut a = Node::start(1).await;
    let mut stream = raw_stream(&a).await;
    a.opened().await;
    stream
        .write_all(&100_u32.to_le_bytes())
        .await
        .expect("sent");
    stream.write_all(&[1; 99]).await.expect("sent");
    stream.close().await.expect("sent");
    assert_eq!(a.closed().await, CloseReason::PeerGone);
}

#[tokio::test]
async fn a_frame_may_come_byte_by_byte() {
    let mut a = Node::start(1).await;
    let mut stream = raw_stream(&a).await;
    a.opened().await;
    for byte in [3, 0, 0, 0, 7, 8, 9, 0, 0, 0, 0] {
        stream.write_all(&[byte]).await.expect("sent");
        stream.flush().await.expect("sent");
        tokio::task::yield_now().await;
    }
    assert_eq!(a.received().await, vec![7, 8, 9]);
    assert_eq!(a.received().await, vec![]);
}

#[tokio::test]
async fn a_member_that_opens_no_link_is_cut() {
    let mut a = Node::start(1).await;
    let mut swarm = rogue(dummy::Behaviour);
    swarm.dial(transport::multiaddr(a.address)).expect("a dial");
    let cut = timeout(HANDSHAKE_TIMEOUT + Duration::from_secs(3), async {
        loop {
            if let SwarmEvent::ConnectionClosed { .. } = swarm.select_next_some().await {
                return;
            }
        }
    });
    cut.await.expect("the idle connection is closed in time");
    let nothing: Result<MeshEvent, _> = a.events.try_recv();
    assert!(nothing.is_err(), "told of {nothing:?}");
}
