//! The mesh over real sockets on loopback.

mod keys;
mod rogue;

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    time::Duration,
};

use bytes::Bytes;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::mpsc,
    time::timeout,
};

use super::*;

const PATIENCE: Duration = Duration::from_secs(20);

struct Node {
    mesh: MeshHandle,
    events: mpsc::Receiver<MeshEvent>,
    address: SocketAddr,
}

fn config(number: u8, pre_shared_key: [u8; 32]) -> MeshConfig {
    MeshConfig {
        device_secret: [number; 32],
        pre_shared_keys: vec![pre_shared_key],
        listen: vec![SocketAddr::from(([127, 0, 0, 1], 0))],
        last_port: 0,
        topic: "studio".to_owned(),
    }
}

fn public_key(number: u8) -> [u8; 32] {
    ed25519_dalek::SigningKey::from_bytes(&[number; 32])
        .verifying_key()
        .to_bytes()
}

impl Node {
    async fn start(number: u8) -> Self {
        Self::with_key(number, [7; 32]).await
    }

    async fn with_key(number: u8, pre_shared_key: [u8; 32]) -> Self {
        let (mesh, events) = start(config(number, pre_shared_key)).expect("the mesh starts");
        let mut node = Self {
            mesh,
            events,
            address: SocketAddr::from(([0, 0, 0, 0], 0)),
        };
        let MeshEvent::Listening(address) = node.next().await else {
            panic!("a mesh first says where it listens");
        };
        node.address = address;
        node
    }

    async fn next(&mut self) -> MeshEvent {
        timeout(PATIENCE, self.events.recv())
            .await
            .expect("an event in time")
            .expect("the mesh runs")
    }

    fn send(&self, command: MeshCommand) {
        self.mesh.try_send(command).expect("the command is taken");
    }

    fn frame(&self, link: LinkId, bytes: impl Into<Bytes>) {
        let frame = bytes.into();
        self.send(MeshCommand::Send { link, frame });
    }

    async fn opened(&mut self) -> (LinkId, [u8; 32]) {
        match self.next().await {
            MeshEvent::Opened { link, key, .. } => (link, key),
            other => panic!("expected a link, got {other:?}"),
        }
    }

    async fn received(&mut self) -> Bytes {
        match self.next().await {
            MeshEvent::Frame { bytes, .. } => bytes,
            other => panic!("expected a frame, got {other:?}"),
        }
    }

    async fn closed(&mut self) -> CloseReason {
        match self.next().await {
            MeshEvent::Closed { reason, .. } => reason,
            other => panic!("expected an end, got {other:?}"),
        }
    }

    async fn dial_failed(&mut self) -> String {
        match self.next().await {
            MeshEvent::DialFailed { reason, .. } => reason,
            other => panic!("expected a failed dial, got {other:?}"),
        }
    }

    async fn quiet_for(&mut self, span: Duration) {
        if let Ok(event) = timeout(span, self.events.recv()).await {
            panic!("expected silence, got {event:?}");
        }
    }
}

/// Links `dialer` to `listener`; returns each side's link.
async fn linked(dialer: &mut Node, listener: &mut Node) -> (LinkId, LinkId) {
    dialer.send(MeshCommand::Dial(vec![listener.address]));
    let (ours, _) = dialer.opened().await;
    let (theirs, _) = listener.opened().await;
    (ours, theirs)
}

#[tokio::test]
async fn a_link_proves_both_keys_and_carries_frames_in_order_both_ways() {
    let mut a = Node::start(1).await;
    let mut b = Node::start(2).await;
    a.send(MeshCommand::Dial(vec![b.address]));
    let MeshEvent::Opened {
        link: at_a,
        key,
        dialed: true,
        earlier_key: false,
        address,
    } = a.next().await
    else {
        panic!("a link that was dialled");
    };
    assert_eq!((key, address), (public_key(2), b.address));
    let MeshEvent::Opened {
        link: at_b,
        key,
        dialed: false,
        ..
    } = b.next().await
    else {
        panic!("a link that was accepted");
    };
    assert_eq!(key, public_key(1));
    for number in 0..100_u32 {
        a.frame(at_a, number.to_le_bytes().to_vec());
        b.frame(at_b, (1000 + number).to_le_bytes().to_vec());
    }
    for number in 0..100_u32 {
        assert_eq!(b.received().await, number.to_le_bytes()[..]);
        assert_eq!(a.received().await, (1000 + number).to_le_bytes()[..]);
    }
}

#[tokio::test]
async fn a_burst_of_ten_thousand_frames_arrives_whole_and_in_order() {
    let mut a = Node::start(1).await;
    let mut b = Node::start(2).await;
    let (at_a, _) = linked(&mut a, &mut b).await;
    let frame = |number: u32| number.to_le_bytes().repeat(1 + number as usize % 50);
    for number in 0..10_000 {
        a.frame(at_a, frame(number));
    }
    for number in 0..10_000 {
        assert_eq!(b.received().await, frame(number));
    }
}

#[tokio::test]
async fn the_longest_frames_and_empty_ones_arrive() {
    let mut a = Node::start(1).await;
    let mut b = Node::start(2).await;
    let (at_a, _) = linked(&mut a, &mut b).await;
    let sizes = [0, 1, 200 * 1024, 0, MAX_FRAME_BYTES];
    for size in sizes {
        a.frame(at_a, vec![9; size]);
    }
    for size in sizes {
        assert_eq!(b.received().await, vec![9; size]);
    }
    let frame = Bytes::from(vec![0; MAX_FRAME_BYTES + 1]);
    let refused = a.mesh.try_send(MeshCommand::Send { link: at_a, frame });
    let length = MAX_FRAME_BYTES + 1;
    assert_eq!(refused, Err(MeshRefused::FrameTooLong { length }));
}

#[tokio::test]
async fn a_wrong_pre_shared_key_never_opens_a_link() {
    let mut a = Node::with_key(1, [7; 32]).await;
    let mut b = Node::with_key(2, [8; 32]).await;
    b.send(MeshCommand::Dial(vec![a.address]));
    let reason = b.dial_failed().await;
    assert!(
        reason.contains("same studio") || reason.contains("no answer"),
        "{reason}"
    );
    a.quiet_for(Duration::from_millis(100)).await;
    b.quiet_for(Duration::from_millis(100)).await;
}

#[tokio::test]
async fn a_refused_dial_is_told_and_the_next_address_is_tried() {
    let mut a = Node::start(1).await;
    let mut b = Node::start(2).await;
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let empty = nobody.local_addr().expect("its address");
    drop(nobody);
    a.send(MeshCommand::Dial(vec![empty, b.address]));
    let MeshEvent::DialFailed {
        address, reason, ..
    } = a.next().await
    else {
        panic!("the empty port fails first");
    };
    assert_eq!(address, empty);
    assert!(reason.starts_with("connection refused"), "{reason}");
    a.opened().await;
    b.opened().await;
}

#[tokio::test]
async fn dialling_our_own_address_fails_and_says_so() {
    let mut a = Node::start(1).await;
    a.send(MeshCommand::Dial(vec![a.address]));
    assert_eq!(a.dial_failed().await, "this is our own address");
}

#[tokio::test]
async fn closing_writes_what_is_queued_first() {
    let mut a = Node::start(1).await;
    let mut b = Node::start(2).await;
    let (at_a, _) = linked(&mut a, &mut b).await;
    for number in 0..200_u8 {
        a.frame(at_a, vec![number; 4096]);
    }
    a.send(MeshCommand::Close(at_a));
    for number in 0..200_u8 {
        assert_eq!(b.received().await, vec![number; 4096]);
    }
    assert_eq!(b.closed().await, CloseReason::PeerGone);
    assert_eq!(a.closed().await, CloseReason::Requested);
    let frame = Bytes::from_static(b"late");
    let refused = a.mesh.try_send(MeshCommand::Send { link: at_a, frame });
    assert_eq!(refused, Err(MeshRefused::NoSuchLink));
}

#[tokio::test]
async fn a_peer_that_stops_reading_overflows_and_is_closed() {
    let mut a = Node::start(1).await;
    let mut b = Node::start(2).await;
    let (at_a, _) = linked(&mut a, &mut b).await;
    // b's engine reads nothing from here on: its window, then a's queue fill up.
    let frame = Bytes::from(vec![1; 64 * 1024]);
    let bound = LINK_QUEUE_BYTES + (bounds::EVENT_QUEUE + 2) * frame.len() + 16 * 1024 * 1024;
    let mut sent = 0_usize;
    let refused = loop {
        let command = MeshCommand::Send {
            link: at_a,
            frame: frame.clone(),
        };
        match a.mesh.try_send(command) {
            Ok(()) => sent += frame.len(),
            Err(refused) => break refused,
        }
        assert!(sent < bound, "{sent} bytes were taken and no end");
        tokio::task::yield_now().await;
    };
    assert_eq!(refused, MeshRefused::Overflow);
    assert_eq!(a.closed().await, CloseReason::Overflow);
}

#[tokio::test]
async fn offline_closes_sockets_and_links_and_online_returns_to_the_same_port() {
    let mut a = Node::start(1).await;
    let mut b = Node::start(2).await;
    linked(&mut a, &mut b).await;
    b.send(MeshCommand::Offline);
    assert_eq!(b.closed().await, CloseReason::Offline);
    assert_eq!(a.closed().await, CloseReason::PeerGone);
    a.send(MeshCommand::Dial(vec![b.address]));
    let reason = a.dial_failed().await;
    assert!(reason.starts_with("connection refused"), "{reason}");
    b.send(MeshCommand::Dial(vec![a.address]));
    assert_eq!(b.dial_failed().await, "this node is offline");

    b.send(MeshCommand::Online);
    let MeshEvent::Listening(again) = b.next().await else {
        panic!("online listens again");
    };
    assert_eq!(again, b.address);
    let (at_a, at_b) = linked(&mut a, &mut b).await;
    a.frame(at_a, vec![1]);
    assert_eq!(b.received().await, vec![1]);
    b.frame(at_b, vec![2]);
    assert_eq!(a.received().await, vec![2]);
}

#[tokio::test]
async fn shutdown_frees_the_port_and_the_peer_notices() {
    let mut a = Node::start(1).await;
    let mut b = Node::start(2).await;
    let (at_a, _) = linked(&mut a, &mut b).await;
    a.frame(at_a, vec![5; 100_000]);
    timeout(PATIENCE, a.mesh.shutdown()).await.expect("it ends");
    assert_eq!(b.received().await, vec![5; 100_000]);
    assert_eq!(b.closed().await, CloseReason::PeerGone);
    std::net::TcpListener::bind(a.address).expect("the port is free");
    assert_eq!(
        a.mesh.try_send(MeshCommand::Online),
        Err(MeshRefused::Stopped)
    );
}

#[tokio::test]
async fn garbage_on_the_port_disturbs_no_member() {
    let mut a = Node::start(1).await;
    let mut b = Node::start(2).await;
    let mut strangers = Vec::new();
    for number in 0..40_u8 {
        let mut stranger = TcpStream::connect(a.address)
            .await
            .expect("the port answers");
        let noise = vec![number.wrapping_mul(37); 50_000];
        // A stranger over the bound is cut while it writes.
        let _ = timeout(Duration::from_millis(20), stranger.write_all(&noise)).await;
        strangers.push(stranger);
    }
    // Those who sent whole nonsense are gone: the handshake of each has failed or was never begun.
    for stranger in &mut strangers {
        let mut rest = Vec::new();
        let end = timeout(PATIENCE, stranger.read_to_end(&mut rest)).await;
        assert!(end.is_ok(), "a stranger is still connected");
        assert!(rest.len() <= 24, "a stranger got {} bytes", rest.len());
    }
    let (at_b, _) = linked(&mut b, &mut a).await;
    b.frame(at_b, vec![3]);
    assert_eq!(a.received().await, vec![3]);
}

#[tokio::test]
async fn silent_strangers_are_cut_and_make_room() {
    let mut a = Node::start(1).await;
    let mut b = Node::start(2).await;
    let mut strangers = Vec::new();
    for _ in 0..30 {
        strangers.push(TcpStream::connect(a.address).await.expect("a connection"));
    }
    for stranger in &mut strangers {
        let mut rest = Vec::new();
        let end = timeout(PATIENCE, stranger.read_to_end(&mut rest)).await;
        assert!(end.is_ok(), "a silent stranger keeps its place");
    }
    linked(&mut b, &mut a).await;
}

/// Says hints until `listener` has heard some from whoever has that key; what it heard.
async fn say_until_heard(speaker: &Node, listener: &mut Node, wanted: usize) -> Vec<[u8; 32]> {
    // A hint may be lost until the subscriptions have crossed.
    let hear = async {
        let mut tick = tokio::time::interval(Duration::from_millis(50));
        let (mut number, mut heard) = (0_u32, Vec::new());
        while heard.len() < wanted {
            tokio::select! {
                event = listener.events.recv() => match event.expect("the mesh runs") {
                    MeshEvent::Heard { key, bytes } if bytes.len() == 4 => heard.push(key),
                    other => panic!("expected a hint, got {other:?}"),
                },
                _ = tick.tick() => {
                    number += 1;
                    speaker.send(MeshCommand::Publish(Bytes::from(number.to_le_bytes().to_vec())));
                }
            }
        }
        heard
    };
    timeout(PATIENCE, hear).await.expect("hints are heard")
}

#[tokio::test]
async fn gossip_reaches_an_admitted_subscriber_with_its_authors_key() {
    let mut a = Node::start(1).await;
    let mut b = Node::start(2).await;
    linked(&mut a, &mut b).await;
    a.send(MeshCommand::Admit(public_key(2)));
    b.send(MeshCommand::Admit(public_key(1)));
    assert_eq!(say_until_heard(&a, &mut b, 1).await, [public_key(1)]);
}

#[tokio::test]
async fn whoever_is_not_admitted_yet_hears_no_gossip_and_does_once_it_is() {
    let mut a = Node::start(1).await;
    let mut b = Node::start(2).await;
    let mut c = Node::start(3).await;
    linked(&mut a, &mut b).await;
    linked(&mut a, &mut c).await;
    a.send(MeshCommand::Admit(public_key(2)));
    b.send(MeshCommand::Admit(public_key(1)));
    c.send(MeshCommand::Admit(public_key(1)));
    // Three seconds at least, in which each of them tidies its mesh.
    say_until_heard(&a, &mut b, 60).await;
    assert!(c.events.try_recv().is_err(), "it was given something");
    a.send(MeshCommand::Admit(public_key(3)));
    assert_eq!(say_until_heard(&a, &mut c, 1).await, [public_key(1)]);
}

#[tokio::test]
async fn two_peers_that_dial_each_other_at_once_both_keep_working_links() {
    let mut a = Node::start(1).await;
    let mut b = Node::start(2).await;
    a.send(MeshCommand::Dial(vec![b.address]));
    b.send(MeshCommand::Dial(vec![a.address]));
    let mut links = HashMap::new();
    for _ in 0..2 {
        let (link, key) = a.opened().await;
        assert_eq!(key, public_key(2));
        b.opened().await;
        links.insert(link, ());
    }
    assert_eq!(links.len(), 2);
    for link in links.into_keys() {
        a.frame(link, vec![4]);
        assert_eq!(b.received().await, vec![4]);
        a.send(MeshCommand::Close(link));
        assert_eq!(a.closed().await, CloseReason::Requested);
        assert_eq!(b.closed().await, CloseReason::PeerGone);
    }
}

#[tokio::test]
async fn listening_on_a_taken_port_fails_with_the_address() {
    let taken = std::net::TcpListener::bind((IpAddr::V4(Ipv4Addr::LOCALHOST), 0)).expect("a port");
    let mut config = config(1, [7; 32]);
    config.listen = vec![taken.local_addr().expect("its address")];
    match start(config) {
        Err(MeshError::Listen { address, .. }) => {
            assert_eq!(address, taken.local_addr().expect("its address"));
        }
        Err(other) => panic!("another error: {other}"),
        Ok(_) => panic!("it listens on a taken port"),
    }
}

#[tokio::test]
async fn both_families_listen_on_one_port() {
    let mut config = config(1, [7; 32]);
    config.listen = vec![
        SocketAddr::from(([0, 0, 0, 0], 0)),
        SocketAddr::from(([0_u16; 8], 0)),
    ];
    let (mesh, mut events) = start(config).expect("the mesh starts");
    let mut addresses = Vec::new();
    while addresses.len() < 2 {
        match timeout(PATIENCE, events.recv()).await.expect("in time") {
            Some(MeshEvent::Listening(address)) if address.ip().is_loopback() => {
                addresses.push(address);
            }
            Some(_) => {}
            None => panic!("the mesh runs"),
        }
    }
    assert!(addresses[0].is_ipv4() != addresses[1].is_ipv4());
    assert_eq!(addresses[0].port(), addresses[1].port());
    mesh.shutdown().await;
}
