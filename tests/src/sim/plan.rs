//! What a seed stands for: how many machines, which of them can reach each other, and how bad the world is.

use super::dice::Dice;

/// Kinds of faults, each drawn with its own weight.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum FaultKind {
    /// A link breaks with frames in flight.
    Cut,
    /// A part of the network cannot reach the rest.
    Split,
    /// One machine hears nobody, or nobody hears it.
    OneWay,
    /// A machine dies and starts again.
    Crash,
    /// The cloud does not answer.
    Outage,
    /// The cloud's process dies and starts again.
    CloudCrash,
    /// A machine's disk is full for a while.
    FullDisk,
    /// A person takes a machine off the network for a while.
    Offline,
    /// A machine's wall clock jumps.
    ClockJump,
    /// A machine sleeps.
    Sleep,
    /// Bundles come again, out of the blue and in any order.
    Echo,
    /// The internet of one machine goes.
    NoUplink,
}

/// Every kind.
pub const KINDS: [FaultKind; 12] = [
    FaultKind::Cut,
    FaultKind::Split,
    FaultKind::OneWay,
    FaultKind::Crash,
    FaultKind::Outage,
    FaultKind::CloudCrash,
    FaultKind::FullDisk,
    FaultKind::Offline,
    FaultKind::ClockJump,
    FaultKind::Sleep,
    FaultKind::Echo,
    FaultKind::NoUplink,
];

/// One seed's world.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Machines.
    pub nodes: usize,
    /// Whether there is a cloud truth.
    pub has_cloud: bool,
    /// Pairs that can ever reach each other; connected as a whole.
    pub reachable: Vec<Vec<bool>>,
    /// Which machines have an internet connection of their own.
    pub uplinks: Vec<bool>,
    /// Wall clocks, ms off.
    pub skews: Vec<i64>,
    /// Frames in 1000 that are lost on the way and sent again by the stream.
    pub loss_permille: u64,
    /// Requests to the cloud in 1000 that get lost, going or coming.
    pub request_loss_permille: u64,
    /// Requests to the cloud in 1000 that arrive twice.
    pub request_twice_permille: u64,
    /// One way across a link, ms.
    pub delay_ms: u64,
    /// Between two writes of anybody, ms.
    pub write_every_ms: u64,
    /// Between two faults, ms.
    pub fault_every_ms: u64,
    /// Of every kind of fault.
    pub weights: Vec<u64>,
    /// How long faults happen, ms.
    pub safety_ms: u64,
    /// Entities that everybody likes to change.
    pub hot: usize,
    /// Whether machines begin without each other's records.
    pub strangers: bool,
}

impl Plan {
    /// The world of a seed.
    pub fn draw(dice: &mut Dice) -> Self {
        let nodes = dice.between(3, 6) as usize;
        let has_cloud = dice.happens(750);
        let mut uplinks: Vec<bool> = (0..nodes).map(|_| dice.happens(600)).collect();
        uplinks[dice.place(nodes)] = true;
        let weights = KINDS.iter().map(|_| {
            if dice.happens(650) {
                dice.between(1, 10)
            } else {
                0
            }
        });
        let mut weights: Vec<u64> = weights.collect();
        weights[0] += 1;
        Self {
            nodes,
            has_cloud,
            reachable: topology(nodes, dice),
            uplinks,
            skews: (0..nodes).map(|_| skew(dice)).collect(),
            loss_permille: if dice.happens(300) {
                0
            } else {
                dice.below(300)
            },
            request_loss_permille: if dice.happens(300) {
                0
            } else {
                dice.below(300)
            },
            request_twice_permille: if dice.happens(500) {
                0
            } else {
                dice.below(300)
            },
            delay_ms: dice.between(1, 120),
            write_every_ms: dice.between(60, 600),
            fault_every_ms: dice.between(500, 6_000),
            weights,
            safety_ms: dice.between(8_000, 24_000),
            hot: dice.between(1, 6) as usize,
            strangers: dice.happens(250),
        }
    }

    /// A good world of many machines without a cloud: each reaches as many of those beside it as a machine may have peers, `beside` at
    /// most on each side.
    pub fn large(nodes: usize, beside: usize) -> Self {
        let near = |a: usize, b: usize| {
            let apart = a.abs_diff(b);
            apart != 0 && apart.min(nodes - apart) <= beside
        };
        let row = |a: usize| (0..nodes).map(|b| near(a, b)).collect();
        Self {
            nodes,
            has_cloud: false,
            reachable: (0..nodes).map(row).collect(),
            uplinks: vec![false; nodes],
            skews: vec![0; nodes],
            loss_permille: 0,
            request_loss_permille: 0,
            request_twice_permille: 0,
            delay_ms: 2,
            write_every_ms: 20,
            fault_every_ms: u64::MAX,
            weights: KINDS.iter().map(|_| 0).collect(),
            safety_ms: 0,
            hot: 6,
            strangers: false,
        }
    }

    /// A kind of fault by weight.
    pub fn fault(&self, dice: &mut Dice) -> FaultKind {
        let mut at = dice.below(self.weights.iter().sum());
        for (kind, weight) in KINDS.iter().zip(&self.weights) {
            if at < *weight {
                return *kind;
            }
            at -= weight;
        }
        FaultKind::Cut
    }
}

/// Most clocks are a little off, some minutes, a few a year.
fn skew(dice: &mut Dice) -> i64 {
    let bound = match dice.below(10) {
        0..=5 => 2_000,
        6..=8 => 600_000,
        _ => 31_536_000_000,
    };
    dice.between(0, 2 * bound) as i64 - bound as i64
}

/// Everybody with everybody, or a chain with some more links.
#[expect(
    clippy::needless_range_loop,
    reason = "both halves of the matrix are written"
)]
fn topology(nodes: usize, dice: &mut Dice) -> Vec<Vec<bool>> {
    let extra = if dice.happens(600) {
        1000
    } else {
        dice.below(600)
    };
    let mut reachable = vec![vec![false; nodes]; nodes];
    for a in 0..nodes {
        for b in 0..a {
            let joined = b + 1 == a || dice.happens(extra);
            (reachable[a][b], reachable[b][a]) = (joined, joined);
        }
    }
    reachable
}
