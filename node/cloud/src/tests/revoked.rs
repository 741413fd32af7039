//! A machine that was shut out: the truth takes nothing of it beyond the cut, serves it nothing, and what it accepted before stays.

use studiovault_protocol::bundle::Bundle;
use studiovault_protocol::command::Op;
use studiovault_protocol::id::EntityId;
use studiovault_protocol::membership::{Act, Cut, SignedRecord};
use studiovault_protocol::merge::Code;

use super::fixture::{
    NOON, Says, Scene, a_confirmed_client, code, empty_request, packed, three_machines,
};
use crate::studio::BatchError;

fn rename(scene: &mut Scene, machine: usize, id: EntityId, name: &str) -> Bundle {
    let command = scene.machines[machine]
        .command(Op::Update, "client", id)
        .text("name", name);
    scene.machines[machine].write(vec![command])
}

#[test]
fn nothing_of_a_revoked_machine_beyond_its_cut_is_taken_and_what_was_accepted_stays() {
    let mut scene = three_machines();
    let id = a_confirmed_client(&mut scene);
    let before = rename(&mut scene, 1, id, "before");
    scene.send(&[&before]);
    let late = rename(&mut scene, 1, id, "late");
    let other = rename(&mut scene, 2, id, "other");
    // The cut names nothing of it, not even what the truth has accepted.
    let cut = Cut {
        device: scene.machines[1].device,
        stands: Vec::new(),
        keeps: Vec::new(),
        at: NOON,
    };
    let record = SignedRecord::by_root(scene.studio, Act::Revoke(cut), &scene.root);
    let mut request = empty_request();
    request.roster = vec![record];
    request.bundles = vec![packed(&late), packed(&other)];
    let answer = scene.open().take(&scene.truth, &request, NOON);
    let answer = answer.expect("an answer");
    let refused: Vec<Code> = answer.rejections.iter().map(|r| r.code).collect();
    assert!(refused.contains(&Code::DeviceRevoked), "{refused:?}");
    assert_eq!(code(scene.outcome(before.tip())), "ACCEPTED");
    assert!(code(scene.outcome(late.tip())).contains("DEVICE_REVOKED"));
    let mut request = empty_request();
    request.device = scene.machines[1].device;
    let refused = scene.open().take(&scene.truth, &request, NOON);
    assert!(matches!(refused, Err(BatchError::ShutOut)), "{refused:?}");
}
