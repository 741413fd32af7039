//! Logs of several machines, restarted and cloned at will: what one lacks is exactly what another sends.

use proptest::prelude::*;

use super::*;
use crate::engine::Engine;
use crate::engine::tests::{Disk, a_write, at, keep, machine, secret, within};
use crate::event::Input;
use crate::membership::{Act, SignedRecord};

/// What happens to the machines of a studio.
#[derive(Clone, Copy, Debug)]
enum Deed {
    Write(usize),
    Restart(usize),
    /// The disk of one is copied over the disk of another: the same device twice.
    Clone(usize, usize),
    Send(usize, usize),
}

const MACHINES: usize = 3;

fn deeds() -> impl Strategy<Value = Vec<Deed>> {
    let one = 0..MACHINES;
    let deed = prop_oneof![
        6 => one.clone().prop_map(Deed::Write),
        2 => one.clone().prop_map(Deed::Restart),
        1 => (one.clone(), one.clone()).prop_map(|(from, to)| Deed::Clone(from, to)),
        5 => (one.clone(), one).prop_map(|(from, to)| Deed::Send(from, to)),
    ];
    proptest::collection::vec(deed, 1..60)
}

struct Studio {
    machines: Vec<(u8, Engine, Disk)>,
    epoch: u64,
}

impl Studio {
    fn new() -> Self {
        let machine = |n: u8| {
            (
                n,
                machine(n, u64::from(n), LogIndex::default(), &[1, 2, 3]),
                Disk::new(),
            )
        };
        Self {
            machines: (1..=MACHINES as u8).map(machine).collect(),
            epoch: 10,
        }
    }

    /// Epochs are drawn so that neither age nor order shows in them.
    fn restart(&mut self, place: usize, (n, log): (u8, LogIndex)) {
        self.epoch += 1;
        let epoch = self.epoch.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.machines[place].1 = machine(n, epoch, log, &[1, 2, 3]);
        self.machines[place].0 = n;
    }

    fn happen(&mut self, deed: Deed, at_ms: u64) -> Result<(), TestCaseError> {
        match deed {
            Deed::Write(place) => {
                let (_, engine, disk) = &mut self.machines[place];
                let effects = engine.handle(at(at_ms), a_write(at_ms as u8));
                keep(engine, disk, effects.writes);
            }
            Deed::Restart(place) => {
                let (n, engine, _) = &self.machines[place];
                let again = (*n, engine.log().clone());
                self.restart(place, again);
            }
            Deed::Clone(from, to) if from != to => {
                let (n, engine, disk) = &self.machines[from];
                let (copy, disk) = ((*n, engine.log().clone()), disk.clone());
                self.machines[to].2 = disk;
                self.restart(to, copy);
            }
            Deed::Clone(..) => {}
            Deed::Send(from, to) => self.send(from, to)?,
        }
        Ok(())
    }

    /// Everything that the one lacks goes over, in log order, and nothing of it may come too early.
    fn send(&mut self, from: usize, to: usize) -> Result<(), TestCaseError> {
        if from == to {
            return Ok(());
        }
        let reach = Reach::of(&self.machines[to].1.log().frontier(0));
        let log = self.machines[from].1.log();
        let ranges: Vec<Range> = log
            .devices()
            .into_iter()
            .flat_map(|d| log.lacking(&reach, d))
            .collect();
        for bytes in within(&self.machines[from].2, &ranges) {
            let bundle = Bundle::decode(bytes.clone()).expect("a stored bundle");
            let (_, engine, disk) = &mut self.machines[to];
            let admission = engine.log().judge(&bundle);
            prop_assert!(
                matches!(admission, Admission::Fresh | Admission::Duplicate),
                "{admission:?}"
            );
            let effects = engine.handle(at(0), Input::Gossip(vec![bytes]));
            keep(engine, disk, effects.writes);
        }
        let (here, there) = (self.machines[from].1.log(), self.machines[to].1.log());
        let told = Reach::of(&there.frontier(0));
        // Who lacks the newest epochs of a device may believe that the other lacks an old one, and sends it once too often.
        let believed = here
            .devices()
            .into_iter()
            .flat_map(|d| here.lacking(&told, d));
        for range in believed {
            prop_assert!(
                there.held(range.author) >= range.upto,
                "something is still lacking"
            );
        }
        prop_assert!(there.wanted(&Reach::of(&here.frontier(0))).is_empty());
        prop_assert_eq!(there.parked_count(), 0, "what was sent was whole");
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, ..ProptestConfig::default() })]

    #[test]
    fn what_one_machine_lacks_makes_it_equal_whatever_was_restarted_or_cloned(deeds in deeds()) {
        let mut studio = Studio::new();
        for (place, deed) in deeds.into_iter().enumerate() {
            studio.happen(deed, place as u64)?;
        }
        for (from, to) in [(0, 1), (1, 2), (2, 0), (0, 1)] {
            studio.send(from, to)?;
        }
        let mut digests = studio.machines.iter_mut().map(|(_, engine, _)| engine.digest());
        let first = digests.next().expect("three machines");
        prop_assert!(digests.all(|digest| digest == first));
        let (one, other) = (studio.machines[0].1.log(), studio.machines[1].1.log());
        let told = Reach::of(&other.frontier(0));
        prop_assert!(one.devices().into_iter().all(|device| one.lacking(&told, device).is_empty()));
        let applied = studio.machines[0].1.log().applied().clone();
        prop_assert!(studio.machines.iter().all(|(_, engine, _)| *engine.log().applied() == applied));
    }
}

#[test]
fn what_is_lost_keeps_nothing_waiting_and_counts_as_always_if_it_turns_up() {
    let mut studio = Studio::new();
    studio.happen(Deed::Write(0), 1).expect("writes");
    studio.send(0, 1).expect("sends");
    studio.happen(Deed::Write(1), 2).expect("writes");
    let bundles = |studio: &Studio, of: usize| studio.machines[of].2.clone();
    let (all, lost) = (bundles(&studio, 1), bundles(&studio, 0));
    let later = all.last().expect("its own").clone();
    let (_, third, disk) = &mut studio.machines[2];
    // The bundle of the second machine comes, and what it saw of the first died with both.
    let hear = |engine: &mut Engine, disk: &mut Disk, bundle: &Bundle| {
        let gossip = Input::Gossip(vec![bundle.bytes().clone()]);
        let effects = engine.handle(at(5), gossip);
        keep(engine, disk, effects.writes);
    };
    hear(third, disk, &later);
    assert_eq!(third.log().parked_count(), 1);
    let gone = lost[0].author();
    assert_eq!(third.log().awaited(gone.device), [(gone, 1)]);
    let record = SignedRecord::by_root(
        third.roster().studio(),
        Act::Lost(vec![(gone, 1)]),
        &secret(200),
    );
    let effects = third.handle(at(6), Input::Record(Box::new(record)));
    keep(third, disk, effects.writes);
    assert_eq!(third.log().parked_count(), 0);
    assert!(third.log().is_applied(later.tip()));
    assert_eq!(third.log().held(gone), 0, "it is no part of what is held");
    hear(third, disk, &lost[0]);
    assert!(third.log().is_applied(lost[0].tip()));
}
