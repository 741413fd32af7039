//! Discovery over real multicast DNS on this machine.

use std::time::Duration;

use tokio::{sync::mpsc, time::timeout};

use super::*;

const PATIENCE: Duration = Duration::from_secs(20);

struct Node {
    handle: DiscoveryHandle,
    events: mpsc::Receiver<DiscoveryEvent>,
    port: u16,
}

/// A key of this test run, so that runs at the same time on one machine do not meet.
fn fresh_key() -> [u8; 32] {
    let mut key = [0; 32];
    getrandom::fill(&mut key).expect("random numbers");
    key
}

impl Node {
    fn start(key: [u8; 32], port: u16) -> Self {
        Self::knowing(vec![key], port)
    }

    fn knowing(keys: Vec<[u8; 32]>, port: u16) -> Self {
        let (handle, events) = start(DiscoveryConfig {
            keys,
            port: Some(port),
        })
        .expect("discovery starts");
        Self {
            handle,
            events,
            port,
        }
    }

    /// The next finding of the node at `port`: its instance and who dials first.
    async fn find(&mut self, port: u16) -> (String, bool) {
        timeout(PATIENCE, async {
            loop {
                match self.events.recv().await.expect("discovery runs") {
                    DiscoveryEvent::Found {
                        instance,
                        addresses,
                        dial_first,
                    } => {
                        assert!(!addresses.is_empty());
                        assert_ne!(addresses[0].port(), self.port, "it found itself");
                        if addresses[0].port() == port {
                            return (instance, dial_first);
                        }
                    }
                    _ => continue,
                }
            }
        })
        .await
        .expect("the node is found in time")
    }

    async fn lose(&mut self, wanted: &str) {
        timeout(PATIENCE, async {
            loop {
                match self.events.recv().await.expect("discovery runs") {
                    DiscoveryEvent::Lost { instance } if instance == wanted => return,
                    _ => continue,
                }
            }
        })
        .await
        .expect("the goodbye is heard in time");
    }
}

#[tokio::test]
async fn two_nodes_of_a_studio_find_each_other_part_and_meet_again() {
    let key = fresh_key();
    let mut a = Node::start(key, 41_001);
    let mut b = Node::start(key, 41_002);
    let (name_of_b, a_first) = a.find(41_002).await;
    let (name_of_a, b_first) = b.find(41_001).await;
    assert_ne!(a_first, b_first, "exactly one dials first");
    assert_eq!(a_first, name_of_a < name_of_b);

    timeout(Duration::from_millis(1500), b.handle.stop())
        .await
        .expect("goodbye takes a second at most");
    a.lose(&name_of_b).await;

    let _again = Node::start(key, 41_003);
    let (name, _) = a.find(41_003).await;
    assert_ne!(name, name_of_b, "every run has another name");
}

#[tokio::test]
async fn another_studio_is_not_found() {
    let (ours, theirs) = (fresh_key(), fresh_key());
    let mut a = Node::start(ours, 42_001);
    let mut stranger = Node::start(theirs, 42_002);
    // The friend comes last: when both ends have found a friend, the stranger's record was there to be found too.
    let _friend = Node::start(ours, 42_003);
    let _theirs_too = Node::start(theirs, 42_004);
    stranger.find(42_004).await;
    let found = timeout(PATIENCE, async {
        loop {
            if let Some(DiscoveryEvent::Found { addresses, .. }) = a.events.recv().await {
                assert_ne!(addresses[0].port(), 42_002);
                assert_ne!(addresses[0].port(), 42_004);
                if addresses[0].port() == 42_003 {
                    return;
                }
            }
        }
    });
    found.await.expect("the friend is found in time");
}

#[tokio::test]
async fn who_has_moved_to_another_key_and_who_has_not_find_each_other() {
    let (old, new) = (fresh_key(), fresh_key());
    let mut late = Node::start(old, 43_001);
    let mut moved = Node::knowing(vec![new, old], 43_002);
    moved.find(43_001).await;
    late.find(43_002).await;
    // The one that gave the old key up is found by who knows both.
    let _settled = Node::start(new, 43_003);
    moved.find(43_003).await;
}
