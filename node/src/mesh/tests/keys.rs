//! A studio that changes its key: links stand, newcomers meet under the newest key that both know, and the earlier one is told.

use super::*;

const OLD: [u8; 32] = [7; 32];
const NEW: [u8; 32] = [8; 32];

async fn opened(node: &mut Node) -> bool {
    match node.next().await {
        MeshEvent::Opened { earlier_key, .. } => earlier_key,
        other => panic!("expected a link, got {other:?}"),
    }
}

#[tokio::test]
async fn a_link_under_an_earlier_key_says_so_to_the_side_that_has_moved() {
    let mut moved = Node::start(1).await;
    let mut late = Node::start(2).await;
    moved.send(MeshCommand::Keys(vec![NEW, OLD]));
    // The order goes the same way as the dial, so it is obeyed first.
    moved.send(MeshCommand::Dial(vec![late.address]));
    assert!(opened(&mut moved).await, "it has a newer key");
    assert!(!opened(&mut late).await, "it knows of none");
}

#[tokio::test]
async fn links_that_stand_stay_and_the_earlier_key_opens_nothing_once_it_is_given_up() {
    let mut a = Node::start(1).await;
    let mut b = Node::start(2).await;
    let (at_a, _) = linked(&mut a, &mut b).await;
    a.send(MeshCommand::Keys(vec![NEW]));
    b.send(MeshCommand::Keys(vec![NEW, OLD]));
    a.frame(at_a, vec![1]);
    assert_eq!(b.received().await, vec![1]);
    let mut shut_out = Node::start(3).await;
    shut_out.send(MeshCommand::Dial(vec![a.address]));
    let reason = shut_out.dial_failed().await;
    assert!(reason.contains("same studio"), "{reason}");
    a.quiet_for(Duration::from_millis(100)).await;
}

#[tokio::test]
async fn who_has_no_key_hears_no_byte() {
    let a = Node::start(1).await;
    for words in [&b"\x13/multistream/1.0.0\n"[..], &[0; 4096]] {
        let mut stream = TcpStream::connect(a.address).await.expect("connects");
        stream.write_all(words).await.expect("is written");
        stream.shutdown().await.expect("ends");
        let mut heard = Vec::new();
        // A reset is as silent as an end.
        let _ = timeout(PATIENCE, stream.read_to_end(&mut heard))
            .await
            .expect("in time");
        assert!(heard.is_empty(), "{} bytes", heard.len());
    }
}
