//! A gateway that plays one trick with the cloud's feed, in a world that is good otherwise: what the others notice of it.

use std::collections::BTreeSet;

use bytes::Bytes;
use studiovault_protocol::wire::{Frame, Packed};

use super::check::PAGE_REFUSED;
use super::dice::Dice;
use super::large::run_until;
use super::liar::Liar;
use super::plan::Plan;
use super::world::World;
use super::{Cast, LOOK_MS};

/// Machines.
const MACHINES: usize = 4;
/// All are honest for so long, virtual ms.
const HONEST_MS: u64 = 12_000;
/// Then the gateway plays its trick for so long, virtual ms.
const TRICK_MS: u64 = 60_000;
/// Then all must agree within this, virtual ms.
const AGREE_MS: u64 = 120_000;

/// What a gateway does with the pages that it passes on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Trick {
    /// Flips a bit of each.
    Flips,
    /// Gives the later ones first.
    Reorders,
    /// Leaves the first of them out.
    Omits,
    /// Gives the first that it passed on instead.
    Replays,
    /// Gives none.
    Withholds,
}

/// What came of a trick.
#[derive(Clone, Debug, Default)]
pub struct Noticed {
    /// Frames that were not what the gateway's program had said.
    pub lies: u64,
    /// Machines that said who keeps the feed back.
    pub withheld: usize,
    /// Links that were ended for a page.
    pub refused: u64,
    /// Whether somebody's folded feed stood still for the whole time of the trick.
    pub stood_still: bool,
    /// What was wrong.
    pub failure: Option<String>,
}

impl Trick {
    /// What goes out in the place of a frame.
    pub(super) fn play(
        self,
        honest: Bytes,
        kept: &mut Option<Bytes>,
    ) -> (Vec<Bytes>, Option<&'static str>) {
        let pages_of = |bytes: &Bytes| match Frame::decode(bytes) {
            Ok(Frame::Pages(pages)) if !pages.is_empty() => Some(pages),
            _ => None,
        };
        let Some(mut pages) = pages_of(&honest) else {
            return (vec![honest], None);
        };
        match self {
            Self::Flips => pages.iter_mut().for_each(|Packed(bytes)| {
                let middle = bytes.len() / 2;
                bytes[middle] ^= 1;
            }),
            Self::Reorders => pages.reverse(),
            Self::Omits => drop(pages.remove(0)),
            Self::Replays => {
                let first = kept.get_or_insert(honest).clone();
                return (vec![first], Some("the first pages again"));
            }
            Self::Withholds => return (Vec::new(), Some("pages kept back")),
        }
        let frame = Frame::Pages(pages).encode();
        (vec![frame.into()], Some("pages that are not the cloud's"))
    }
}

/// Runs a trick.
pub fn run(seed: u64, trick: Trick) -> Noticed {
    let plan = Plan {
        has_cloud: true,
        uplinks: vec![true; MACHINES],
        write_every_ms: 400,
        safety_ms: u64::MAX,
        ..Plan::large(MACHINES, MACHINES)
    };
    let mut world = World::of_plan((seed, Dice::new(seed)), plan, Cast::Honest, false);
    run_until(&mut world, HONEST_MS);
    let gateway = world.nodes.iter().position(|node| {
        let driver = node.driver();
        driver.is_some_and(|driver| driver.engine().election().is_gateway())
    });
    let Some(at) = gateway else {
        return Noticed {
            failure: Some("nobody is the gateway of a good world".into()),
            ..Noticed::default()
        };
    };
    let machine = (world.nodes[at].device, world.nodes[at].secret.clone());
    let liar = Liar::with_trick(trick, at, machine.clone(), world.empty_roster.studio());
    world.liar = Some(liar);
    let before = folded(&world);
    run_until(&mut world, HONEST_MS + TRICK_MS);
    let after = folded(&world);
    world.heal();
    let healed_at = world.now;
    while world.unrest().is_some() && world.now < healed_at + AGREE_MS {
        let end = world.now + LOOK_MS;
        run_until(&mut world, end);
    }
    if let Some(unrest) = world.unrest() {
        world.checks.violated(format!("not calm: {unrest}"));
    }
    let count = |kind: &str| world.checks.faults.get(kind).copied().unwrap_or(0);
    let witnesses: BTreeSet<usize> = world
        .checks
        .withholders
        .iter()
        .filter(|(witness, by)| *witness != at && *by == machine.0)
        .map(|(witness, _)| *witness)
        .collect();
    Noticed {
        lies: count("lie"),
        withheld: witnesses.len(),
        refused: count(PAGE_REFUSED),
        stood_still: before
            .iter()
            .zip(&after)
            .any(|(before, after)| before == after),
        failure: world.checks.violation.clone(),
    }
}

/// How far each machine has folded the feed.
fn folded(world: &World) -> Vec<u64> {
    let drivers = world.nodes.iter().filter_map(|node| node.driver());
    drivers
        .map(|driver| driver.engine().feed().folded())
        .collect()
}
