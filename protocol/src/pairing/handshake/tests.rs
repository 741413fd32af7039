//! A handshake in which one side says something else than it committed itself to.

use super::*;

#[test]
fn an_inviter_that_says_something_else_than_it_was_committed_to_is_refused() {
    let code = Code::from_random([42, 1, 20, 30]);
    let key = |n| SecretKey::from_seed([n; 32]);
    let host = |name: &str| Host {
        studio: StudioId([7; 16]),
        studio_name: "Silva".into(),
        device: DeviceId([2; 16]),
        key: key(2).public(),
        name: name.into(),
    };
    let outcome = |swap: fn(&mut Opening)| {
        let own = (DeviceId([1; 16]), key(1), "laptop".to_owned());
        let (offered, offer) = Offered::begin(&code, own, [3; 32]);
        let begun = Answered::begin(&code, &offer, host("desk"), [4; 32]);
        let (mut answered, answer) = begun.expect("one plate");
        let Message::Answer { half, commitment } = answer else {
            unreachable!("an answer")
        };
        let (proved, proof) = offered.handle_answer(&half, commitment).expect("a half");
        // It has heard the joiner now, and looks for what gives the words that it needs.
        swap(&mut answered.opening);
        let (_, reply) = answered.handle_proof(&proof, &key(2)).expect("the code");
        let Message::Reply { confirm, sealed } = reply else {
            unreachable!("a reply")
        };
        proved.handle_reply(confirm, &sealed).map(|_| ())
    };
    assert_eq!(outcome(|_| ()), Ok(()));
    let refused = Err(PairingError::Malformed);
    assert_eq!(outcome(|opening| opening.nonce[0] ^= 1), refused);
    assert_eq!(outcome(|opening| opening.host.name.push('2')), refused);
    assert_eq!(
        outcome(|opening| opening.host.studio_name.push('2')),
        refused
    );
    assert_eq!(outcome(|opening| opening.host.device.0[0] ^= 1), refused);
}
