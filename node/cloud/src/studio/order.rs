//! In which order one batch's bundles are decided: as they came, but of values that contend for one field the pick goes
//! first, so that the mesh, which shows the pick, and the truth agree wherever they can.
//!
//! A wish only: causal order always holds, and where wishes contradict each other the bundles stay as they came.

use std::collections::{BTreeMap, BTreeSet};

use studiovault_protocol::command::Change;
use studiovault_protocol::id::{Dot, EntityId};
use studiovault_protocol::log::{Admission, LogIndex};
use studiovault_protocol::merge::{Context, Entity, Field, Priorities, Register, Sibling};
use studiovault_protocol::vector::Vector;

use super::intake::Arrival;

/// Bundles that are arranged at most: the work grows with their square.
const BUNDLES: usize = 1024;

/// One value that a bundle of the batch wants to write.
struct Bid {
    arrival: usize,
    sibling: Sibling,
    ctx: Option<Vector>,
}

/// Bundles of the batch by number, each with the numbers of those that go before it.
type Befores = BTreeMap<usize, BTreeSet<usize>>;

/// Puts a batch's bundles in the order in which they are decided.
pub fn arrange(log: &LogIndex, arrivals: Vec<Arrival>, priorities: &Priorities) -> Vec<Arrival> {
    let first = arrivals.first().map(|arrival| arrival.bundle.author());
    let one_author = arrivals
        .iter()
        .all(|arrival| Some(arrival.bundle.author()) == first);
    if one_author || arrivals.len() > BUNDLES {
        return arrivals;
    }
    let (log, pasts) = rehearse(log.clone(), &arrivals);
    let wishes = wishes(&log, &arrivals, (&pasts, priorities));
    if wishes.is_empty() {
        return arrivals;
    }
    let needs = needs(&arrivals);
    let mut left: Vec<Option<Arrival>> = arrivals.into_iter().map(Some).collect();
    let mut ordered = Vec::with_capacity(left.len());
    while ordered.len() < left.len() {
        let waits = |befores: &Befores, at: usize| {
            let before = befores.get(&at);
            before.is_some_and(|before| before.iter().any(|other| left[*other].is_some()))
        };
        let ready: Vec<usize> = (0..left.len())
            .filter(|at| left[*at].is_some() && !waits(&needs, *at))
            .collect();
        let next = ready.iter().find(|at| !waits(&wishes, **at));
        let next = next.or(ready.first()).copied();
        let next = next.or_else(|| left.iter().position(Option::is_some));
        ordered.extend(next.and_then(|at| left[at].take()));
    }
    ordered
}

/// What every fresh bundle's author had seen, and the log as it will be; what waits or is known has no past.
fn rehearse(mut log: LogIndex, arrivals: &[Arrival]) -> (LogIndex, Vec<Option<Vector>>) {
    let mut pasts = Vec::with_capacity(arrivals.len());
    for Arrival { bundle, .. } in arrivals {
        let saw = &bundle.header().saw;
        let fresh = log.judge(bundle) == Admission::Fresh
            && saw.iter().all(|seen| log.is_applied(seen.dot));
        pasts.push(fresh.then(|| {
            log.hold(bundle);
            log.apply(bundle).clone()
        }));
    }
    (log, pasts)
}

/// Which bundles each bundle should let go first.
fn wishes(
    log: &LogIndex,
    arrivals: &[Arrival],
    (pasts, priorities): (&[Option<Vector>], &Priorities),
) -> Befores {
    let mut bids: BTreeMap<(EntityId, &str), Vec<Bid>> = BTreeMap::new();
    for (arrival, past) in pasts.iter().enumerate() {
        if past.is_none() {
            continue;
        }
        for (dot, command) in arrivals[arrival].bundle.commands() {
            for write in &command.writes {
                let Change::Write(value) = &write.change else {
                    continue;
                };
                let sibling = Sibling {
                    dot,
                    ts: command.ts,
                    value: value.clone(),
                    accepted: None,
                    leads: false,
                };
                bids.entry((command.entity, &write.field))
                    .or_default()
                    .push(Bid {
                        arrival,
                        sibling,
                        ctx: command.ctx.clone(),
                    });
            }
        }
    }
    let mut wishes = Befores::new();
    for ((entity, field), bids) in bids {
        let mut register = Register::default();
        for bid in &bids {
            let past = pasts[bid.arrival].as_ref().expect("only fresh bundles bid");
            let ctx = Context::new(log.epochs(), (past, bid.sibling.dot), bid.ctx.as_ref());
            register.write(bid.sibling.clone(), &ctx);
        }
        let Some((pick, rivals)) = contenders((entity, field), register, priorities) else {
            continue;
        };
        let place = |dot: Dot| bids.iter().find(|bid| bid.sibling.dot == dot);
        for rival in rivals.into_iter().filter_map(place) {
            if let Some(pick) = place(pick).filter(|pick| pick.arrival != rival.arrival) {
                wishes
                    .entry(rival.arrival)
                    .or_default()
                    .insert(pick.arrival);
            }
        }
    }
    wishes
}

/// The pick among values that contend, and the others.
fn contenders(
    (id, field): (EntityId, &str),
    register: Register,
    priorities: &Priorities,
) -> Option<(Dot, Vec<Dot>)> {
    if !register.is_disputed() {
        return None;
    }
    let mut entity = Entity::new("", id);
    entity
        .fields
        .insert(field.to_owned(), Field::Register(register));
    let conflict = entity.conflicts(priorities).into_iter().next()?;
    let pick = conflict.suggested;
    let rivals = conflict.sides.into_iter().map(|side| side.dot);
    Some((pick, rivals.filter(|dot| *dot != pick).collect()))
}

/// Which bundles of the batch each bundle continues or saw.
fn needs(arrivals: &[Arrival]) -> Befores {
    let mut needs = Befores::new();
    for (at, Arrival { bundle, .. }) in arrivals.iter().enumerate() {
        let own = bundle.author().at(bundle.first() - 1);
        let seen = bundle.header().saw.iter().map(|seen| seen.dot);
        let seen: Vec<Dot> = seen.chain([own]).collect();
        let before = arrivals.iter().enumerate().filter(|(other, arrival)| {
            *other != at
                && seen.iter().any(|dot| {
                    dot.author == arrival.bundle.author() && arrival.bundle.first() <= dot.counter
                })
        });
        needs.insert(at, before.map(|(other, _)| other).collect());
    }
    needs
}
