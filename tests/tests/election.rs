//! The election, model-checked: three machines on a network that loses, repeats and reorders, uplinks that break and links that are
//! lost. From every state that this can lead to, a healed network has one gateway, and keeps it.

use std::collections::BTreeSet;
use std::hash::Hash;

use stateright::{Checker, Model, Property};
use studiovault_protocol::election::Election;
use studiovault_protocol::id::DeviceId;
use studiovault_protocol::time::{MonoMs, WallMs};
use studiovault_protocol::wire::{Gone, Status, Uplink};

const MACHINES: usize = 3;
/// A step of a machine's clock, ms: a little more than the hold time, so that one step can hand the crown over.
const STEP_MS: u64 = 6_000;
/// Steps that each clock takes at most, apart from the healing.
const STEPS: u64 = 2;
/// Actions from the start at most.
const DEPTH: usize = 10;
/// Seconds in which a healed network must come to rest: the longest that two breaks make an uplink stand back, the hold time, and
/// one repeat of everybody's status.
const HEALING: u64 = 40;

/// Who says it, of whom, of which run, and up to which status.
type Obituary = (usize, [u8; 16], (WallMs, u64), u64);

/// Machines that start online; so many uplinks break and mend, and so many links are lost.
#[derive(Clone)]
struct Studio {
    breaks: u8,
    losses: u8,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
struct State {
    machines: Vec<Election>,
    clocks: [u64; MACHINES],
    online: [bool; MACHINES],
    /// All that was ever said: what is never delivered is lost, what is delivered again is repeated.
    said: BTreeSet<Status>,
    gone: BTreeSet<Obituary>,
    breaks: u8,
    losses: u8,
}

#[derive(Clone, PartialEq, Debug)]
enum Action {
    Tick(usize),
    Hear(usize, Status),
    HearGone(usize, Obituary),
    Switch(usize),
    Lose(usize, usize),
}

fn device(at: usize) -> DeviceId {
    DeviceId([u8::try_from(at).expect("three machines") + 1; 16])
}

fn uplink(works: bool) -> Uplink {
    Uplink {
        reachable: works,
        authorised: works,
        ..Uplink::default()
    }
}

impl State {
    fn now(&self, at: usize) -> MonoMs {
        MonoMs(self.clocks[at] * STEP_MS)
    }

    fn tick(&mut self, at: usize) {
        let now = self.now(at);
        if self.machines[at].tick(now) {
            self.said.insert(self.machines[at].own().clone());
        }
    }

    /// Whom a machine takes for the gateway, once everybody has heard everything for a while.
    fn healed(&self) -> Vec<Vec<Option<DeviceId>>> {
        let mut machines = self.machines.clone();
        let from = self.clocks.iter().max().expect("three machines") * STEP_MS;
        let mut seen = Vec::new();
        for second in 1..=HEALING + 10 {
            let now = MonoMs(from + second * 1_000);
            for machine in &mut machines {
                machine.tick(now);
            }
            let statuses: Vec<Status> = machines.iter().map(|m| m.own().clone()).collect();
            for machine in &mut machines {
                for status in &statuses {
                    machine.handle_status(status.clone(), status.device, now);
                    machine.handle_beat(status.device, now);
                }
            }
            if second >= HEALING {
                seen.push(machines.iter().map(Election::gateway).collect());
            }
        }
        seen
    }

    fn comes_to_rest(&self) -> bool {
        let seen = self.healed();
        let first = seen[0][0];
        let is_right = match first {
            Some(holder) => (0..MACHINES).any(|at| self.online[at] && device(at) == holder),
            None => !self.online.contains(&true),
        };
        is_right && seen.iter().flatten().all(|gateway| *gateway == first)
    }
}

impl Model for Studio {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        let machine = |at: usize| {
            let run = (WallMs(0), at as u64);
            let mut machine = Election::new(device(at), run, MonoMs(0), 0);
            machine.set_uplink(uplink(true));
            machine
        };
        vec![State {
            machines: (0..MACHINES).map(machine).collect(),
            clocks: [0; MACHINES],
            online: [true; MACHINES],
            said: BTreeSet::new(),
            gone: BTreeSet::new(),
            breaks: 0,
            losses: 0,
        }]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        for at in 0..MACHINES {
            if state.clocks[at] < STEPS {
                actions.push(Action::Tick(at));
            }
            let others = |status: &&Status| status.device != device(at);
            let heard = state.said.iter().filter(others).cloned();
            actions.extend(heard.map(|status| Action::Hear(at, status)));
            let gone = state.gone.iter().filter(|gone| gone.0 != at);
            actions.extend(gone.map(|gone| Action::HearGone(at, *gone)));
            if state.breaks < self.breaks {
                actions.push(Action::Switch(at));
            }
            if state.losses < self.losses {
                let others = (0..MACHINES).filter(|other| *other != at);
                actions.extend(others.map(|other| Action::Lose(at, other)));
            }
        }
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let mut state = last.clone();
        match action {
            Action::Tick(at) => {
                state.clocks[at] += 1;
                state.tick(at);
            }
            Action::Hear(at, status) => {
                let (via, now) = (status.device, state.now(at));
                if !state.machines[at].handle_status(status, via, now) {
                    return None;
                }
            }
            Action::HearGone(at, (via, of, run, sequence)) => {
                let gone = Gone {
                    device: DeviceId(of),
                    run,
                    sequence,
                };
                if gone.device == device(at) {
                    state.machines[at].handle_obituary(&gone);
                } else {
                    state.machines[at].handle_gone(&gone, device(via));
                }
            }
            Action::Switch(at) => {
                state.breaks += 1;
                state.online[at] = !state.online[at];
                state.machines[at].set_uplink(uplink(state.online[at]));
                state.tick(at);
            }
            Action::Lose(at, other) => {
                state.losses += 1;
                let linked = (0..MACHINES).filter(|third| *third != other).map(device);
                let told = state.machines[at].handle_lost(device(other), &linked.collect());
                let gone = |gone: Gone| (at, gone.device.0, gone.run, gone.sequence);
                state.gone.extend(told.into_iter().map(gone));
            }
        }
        (state != *last).then_some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("who has no uplink claims nothing", |_, state: &State| {
                (0..MACHINES).all(|at| state.online[at] || !state.machines[at].is_gateway())
            }),
            Property::always(
                "healed, it has one gateway and keeps it",
                |_, state: &State| state.comes_to_rest(),
            ),
            Property::sometimes("two claim at once", |_, state: &State| {
                let claims = state.machines.iter().filter(|machine| machine.is_gateway());
                claims.count() == 2
            }),
            Property::sometimes("the crown has moved", |_, state: &State| {
                state.machines.iter().any(|m| m.own().claim >= Some(2))
            }),
        ]
    }
}

fn check(studio: Studio) {
    let checker = studio.checker().threads(2).target_max_depth(DEPTH);
    let checked = checker.spawn_bfs().join();
    println!("{} states", checked.unique_state_count());
    checked.assert_properties();
}

#[test]
fn from_every_state_that_broken_uplinks_lead_to_a_healed_network_keeps_one_gateway() {
    check(Studio {
        breaks: 2,
        losses: 0,
    });
}

#[test]
fn from_every_state_that_lost_links_lead_to_a_healed_network_keeps_one_gateway() {
    check(Studio {
        breaks: 1,
        losses: 1,
    });
}
