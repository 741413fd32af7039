//! Whom a mesh takes for its gateway while links die before anybody notices.

use super::*;

impl Room {
    /// Machines of which each is linked with every other, and reaches the cloud.
    fn meshed(count: u8) -> Self {
        let mut room = Self::new(count);
        for at in 0..usize::from(count) {
            let probed = UplinkEvent::Probed { head: None };
            room.give(at, Input::Uplink(probed));
            (0..at).for_each(|other| room.link(other, at));
        }
        room.settle();
        room
    }

    /// The links between machines of which `is_meant` says so: what is sent on them gets lost, and nobody is told.
    fn kill(&mut self, is_meant: impl Fn(usize, usize) -> bool) {
        let ends = self.ends.iter();
        let dead = ends.filter(|(_, (there, their))| is_meant(self.ends[their].0, *there));
        self.dead = dead.map(|(link, _)| *link).collect();
    }

    fn gateways(&self) -> Vec<Option<DeviceId>> {
        let seen = self.engines.iter().map(|engine| engine.election.gateway());
        seen.collect()
    }
}

/// The one gateway that all see, from now on and for a minute.
fn settled_crown(room: &mut Room) -> DeviceId {
    let first = room.gateways();
    let crown = first[0].expect("a gateway");
    for _ in 0..60 {
        assert_eq!(room.gateways(), vec![Some(crown); first.len()]);
        room.pass(1_000);
    }
    crown
}

#[test]
fn a_claim_that_was_made_on_dead_links_is_known_to_all_once_these_are_noticed() {
    for best in 1..=5u8 {
        let mut room = Room::meshed(5);
        let first = BTreeMap::from([(device(best), 1)]);
        for engine in &mut room.engines {
            engine.election.prefer(first.clone());
        }
        room.kill(|a, b| a.abs_diff(b) > 1);
        room.pass(2_000);
        assert!(room.engines[usize::from(best) - 1].election.is_gateway());
        assert_eq!(room.engines[0].sessions().count(), 4, "nobody noticed yet");
        room.pass(3_000);
        assert_eq!(room.engines[0].sessions().count(), 1);
        assert_eq!(settled_crown(&mut room), device(best));
    }
}

#[test]
fn what_follows_on_a_link_that_only_one_end_knows_to_be_dead_comes_by_another_way() {
    let mut room = Room::meshed(3);
    let first = BTreeMap::from([(device(3), 1)]);
    for engine in &mut room.engines {
        engine.election.prefer(first.clone());
    }
    room.kill(|a, b| a.abs_diff(b) == 2);
    let link = room.engines[0].link_of(device(3)).expect("they are linked");
    room.give(0, Input::Closed(link));
    room.settle();
    room.pass(2_000);
    assert!(room.engines[2].link_of(device(1)).is_some());
    assert_eq!(room.gateways(), [Some(device(3)); 3]);
}

#[test]
fn the_gateway_of_a_ring_that_broke_beside_it_keeps_its_crown() {
    let mut room = Room::meshed(5);
    let is_ring = |a: usize, b: usize| matches!(a.abs_diff(b), 1 | 4);
    room.kill(|a, b| !is_ring(a, b));
    room.pass(20_000);
    let crown = settled_crown(&mut room);
    assert_eq!(crown, device(1));
    room.kill(|a, b| a.abs_diff(b) == 4);
    let mut apart = 0;
    for _ in 0..60 {
        room.pass(200);
        apart += usize::from(room.gateways() != vec![Some(crown); 5]);
    }
    assert!(apart <= 1, "{apart} looks of 200 ms found another gateway");
    assert_eq!(settled_crown(&mut room), crown);
}
