//! What is done about commands on which the cloud breaks (500): they are found by halving and set aside, and all else flows.
//!
//! A broken whole batch is halved down to one bundle, which the cloud is then given to hold without deciding it. From there on
//! its commands stand among the undecided of the feed, and are asked for in ever smaller parts. Everything here but the tries
//! can be read off the feed, so another gateway, or this one after a restart, goes on by itself.
//!
//! What depends on an undecided command stays undecided with it. So parts are asked for in the order of the feed, and what comes after
//! one that was decided waits no longer.

use std::collections::BTreeMap;

use crate::cloud::{Only, Stuck};
use crate::event::Moment;
use crate::feed::Undecided;
use crate::frontier::Range;
use crate::id::Dot;
use crate::limits;
use crate::time::MonoMs;

/// Full jitter below this after a batch on which the cloud broke, doubling with every one in a row, ms: halving is progress,
/// and a cloud that breaks on everything is left alone soon.
const BROKEN_MS: u64 = 100;
/// A part that the cloud answered without deciding waits for something: asked again after 1 s, doubling up to this, ms.
const WAITING_MS: u64 = 60_000;
/// A stuck command is tried again about this often, ms.
const STUCK_MS: u64 = 600_000;

/// What the batch under way carries.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) enum Load {
    /// Whatever the cloud lacks: these bundles.
    #[default]
    All,
    /// One bundle, to be held undecided.
    Hold(Range),
    /// Commands that the cloud holds: the part that begins here.
    Part(Dot),
    /// Word of stuck commands.
    Word,
}

/// Commands of one author that the cloud holds undecided.
#[derive(Clone, Copy, Debug)]
struct Part {
    last: u64,
    due: MonoMs,
    /// Answers in a row that did not decide it.
    waits: u32,
    tries: u32,
    /// How much the cloud had accepted when the part was made.
    since: u64,
    /// How much it had accepted at the last try.
    accepted: u64,
    /// Where the feed told of it, among what is undecided.
    place: u64,
    /// How many of its commands are undecided.
    left: u64,
}

impl Part {
    fn new(undecided: &Undecided, (first, last): (Dot, u64), due: MonoMs) -> Self {
        Self {
            last,
            due,
            waits: 0,
            tries: 0,
            since: undecided.accepted(),
            accepted: undecided.accepted(),
            place: undecided.place(first),
            left: undecided.count(first, last),
        }
    }
}

/// The search for commands on which the cloud breaks.
#[derive(Clone, Debug)]
pub(super) struct Narrowing {
    /// Commands of the next whole batch at most.
    pub limit: usize,
    /// What the batch under way is.
    pub load: Load,
    /// The bundles of the batch under way.
    bundles: Vec<Range>,
    /// Whole batches in a row on which the cloud broke.
    broken: u32,
    /// A bundle on which the cloud broke alone.
    hold: Option<Range>,
    parts: BTreeMap<Dot, Part>,
    /// Nothing else waits for the cloud.
    pub idle: bool,
    words: Vec<Stuck>,
}

impl Narrowing {
    pub(super) fn new() -> Self {
        Self {
            limit: limits::BATCH_COMMANDS,
            load: Load::All,
            bundles: Vec::new(),
            broken: 0,
            hold: None,
            parts: BTreeMap::new(),
            idle: false,
            words: Vec::new(),
        }
    }

    /// The driver says what the batch under way holds.
    pub(super) fn batched(&mut self, bundles: Vec<Range>) {
        self.bundles = bundles;
    }

    /// What is to be sent before whatever the cloud lacks: ranges, what to decide of them, and word of stuck commands.
    pub(super) fn next(
        &mut self,
        now: MonoMs,
        undecided: &Undecided,
    ) -> Option<(Vec<Range>, Option<Only>, Vec<Stuck>)> {
        self.words
            .retain(|word| undecided.meets(word.dot, word.dot.counter));
        self.words.retain(|word| !undecided.is_stuck(word.dot));
        let only = |author, counters| Some(Only { author, counters });
        if let Some(range) = self.hold {
            self.load = Load::Hold(range);
            return Some((vec![range], only(range.author, Vec::new()), Vec::new()));
        }
        if let Some(word) = self.words.first() {
            self.load = Load::Word;
            let words = self.words.iter().take(limits::STUCK_A_BATCH).cloned();
            return Some((
                Vec::new(),
                only(word.dot.author, Vec::new()),
                words.collect(),
            ));
        }
        self.follow(now, undecided);
        let due = self.parts.iter().filter(|(_, part)| part.due <= now);
        let (first, part) = due.min_by_key(|(_, part)| (part.due, part.place))?;
        let (first, last) = (*first, part.last);
        self.load = Load::Part(first);
        let counters = (first.counter..=last).collect();
        Some((Vec::new(), only(first.author, counters), Vec::new()))
    }

    /// When a part is due, if one is waited for.
    pub(super) fn next_due(&self) -> Option<MonoMs> {
        self.parts.values().map(|part| part.due).min()
    }

    /// Brings the parts in line with what is undecided.
    fn follow(&mut self, now: MonoMs, undecided: &Undecided) {
        if undecided.is_empty() {
            self.parts.clear();
            return;
        }
        self.press_on(now, undecided);
        for (first, last) in undecided.runs() {
            let mut next = first.counter;
            while next <= last {
                let from = first.author.at(next);
                let before = self.parts.range(..=from).next_back();
                let covered = before
                    .filter(|(dot, part)| dot.author == first.author && part.last >= next)
                    .map(|(_, part)| part.last);
                if let Some(covered) = covered {
                    next = covered + 1;
                    continue;
                }
                let is_stuck = undecided.is_stuck(from);
                let mut end = if is_stuck {
                    next
                } else {
                    last.min(next + limits::BUNDLE_COMMANDS as u64 - 1)
                };
                let after = self.parts.range(first.author.at(next + 1)..);
                let neighbour = after.map(|(dot, _)| *dot).next();
                if let Some(dot) = neighbour.filter(|dot| dot.author == first.author) {
                    end = end.min(dot.counter - 1);
                }
                let stop = (next + 1..=end).find(|at| undecided.is_stuck(first.author.at(*at)));
                end = stop.map_or(end, |at| at - 1);
                let tries = if is_stuck { limits::MAX_RETRIES } else { 0 };
                let due = now.plus(if is_stuck { STUCK_MS } else { 0 });
                let part = Part::new(undecided, (from, end), due);
                self.parts.insert(from, Part { tries, ..part });
                next = end + 1;
            }
        }
    }

    /// Lets go of what was decided. What waits and may depend on it is asked for at once.
    fn press_on(&mut self, now: MonoMs, undecided: &Undecided) {
        let mut moved = u64::MAX;
        self.parts.retain(|first, part| {
            let left = undecided.count(*first, part.last);
            if left < part.left {
                moved = moved.min(part.place);
            }
            part.left = left;
            left > 0
        });
        let after = |part: &&mut Part| part.waits > 0 && part.place >= moved;
        for part in self.parts.values_mut().filter(after) {
            (part.waits, part.due) = (0, now);
        }
    }

    /// The cloud answered the batch under way. Whether it was a whole one.
    pub(super) fn answered(&mut self, moment: Moment, undecided: &Undecided) -> bool {
        self.broken = 0;
        let load = std::mem::take(&mut self.load);
        match load {
            Load::All => {
                self.limit = (self.limit * 2).min(limits::BATCH_COMMANDS);
                return true;
            }
            Load::Hold(range) => {
                self.hold = None;
                // It broke as a whole: its halves are asked for at once.
                let whole = (range.author.at(range.after + 1), range.upto);
                self.insert_halves(whole, (undecided, undecided.accepted()), moment.now.mono);
            }
            Load::Word => self.words.clear(),
            Load::Part(first) => {
                // What was decided is let go of where its place is still of use.
                if let Some(part) = self.parts.get_mut(&first) {
                    let ceiling = (1_000 << part.waits.min(6)).min(WAITING_MS);
                    part.waits += 1;
                    part.due = moment.now.mono.plus(moment.entropy % ceiling + 50);
                }
            }
        }
        false
    }

    /// The cloud broke on the batch under way. How long the line is quiet afterwards at most, ms; `None`: like an outage.
    pub(super) fn broke(
        &mut self,
        moment: Moment,
        detail: &str,
        undecided: &Undecided,
    ) -> Option<u64> {
        let load = std::mem::take(&mut self.load);
        self.broken = self.broken.saturating_add(1);
        match load {
            Load::All => {
                let repeated = self.broken > 1 || self.limit < limits::BATCH_COMMANDS;
                if repeated {
                    self.halve();
                }
            }
            // It cannot even hold it: there is nothing left to narrow.
            Load::Hold(_) | Load::Word => return None,
            Load::Part(first) => self.part_broke(moment, (first, detail), undecided),
        }
        Some(BROKEN_MS)
    }

    fn halve(&mut self) {
        match self.bundles[..] {
            [] => {}
            [alone] => self.hold = Some(alone),
            _ => {
                let commands = self.bundles.iter().map(|range| range.upto - range.after);
                let half = usize::try_from(commands.sum::<u64>() / 2).unwrap_or(usize::MAX);
                self.limit = half.clamp(1, limits::BATCH_COMMANDS);
            }
        }
    }

    fn insert_halves(
        &mut self,
        (first, last): (Dot, u64),
        (undecided, since): (&Undecided, u64),
        now: MonoMs,
    ) {
        let middle = first.counter + (last - first.counter) / 2;
        for (from, to) in [(first.counter, middle), (middle + 1, last)] {
            if from <= to {
                let from = first.author.at(from);
                let part = Part {
                    since,
                    accepted: since,
                    ..Part::new(undecided, (from, to), now)
                };
                self.parts.insert(from, part);
            }
        }
    }

    fn part_broke(&mut self, moment: Moment, (first, detail): (Dot, &str), undecided: &Undecided) {
        let now = moment.now.mono;
        let Some(part) = self.parts.get_mut(&first) else {
            return;
        };
        if part.last > first.counter {
            let (last, since) = (part.last, part.since);
            self.insert_halves((first, last), (undecided, since), now);
            return;
        }
        // A cloud that breaks on everything says nothing about this command; if nothing else is left that it could accept, it
        // counts that others went through since this one was found.
        let known = if self.idle { part.since } else { part.accepted };
        if undecided.accepted() > known {
            part.tries = part.tries.saturating_add(1);
        }
        part.accepted = undecided.accepted();
        let pause = moment.entropy % (1_000 << part.tries.min(5)) + 50;
        part.due = now.plus(pause);
        if part.tries >= limits::MAX_RETRIES {
            part.due = now.plus(STUCK_MS / 2 + moment.entropy % STUCK_MS);
            if !undecided.is_stuck(first) && self.words.iter().all(|word| word.dot != first) {
                self.words.push(Stuck {
                    dot: first,
                    detail: shorten(detail),
                });
            }
        }
    }
}

/// At most so many bytes, whole characters.
fn shorten(detail: &str) -> String {
    let mut short = String::new();
    for letter in detail.chars() {
        if short.len() + letter.len_utf8() > limits::DETAIL_BYTES {
            break;
        }
        short.push(letter);
    }
    short
}

#[cfg(test)]
mod tests {
    use super::super::Engine;
    use super::super::tests::{a_write, at, device, machine, secret};
    use super::Narrowing;
    use crate::event::{Input, Order, OrderKind, UplinkEvent, UplinkFailure};
    use crate::feed::Undecided;
    use crate::id::{Author, Epoch};
    use crate::log::LogIndex;
    use crate::membership::{Grant, Role, SignedRecord};
    use crate::time::MonoMs;

    /// A lone machine with a cloud, its clock, and whether the cloud takes its token.
    struct Office {
        engine: Engine,
        now: u64,
        authorised: bool,
    }

    impl Office {
        fn new() -> Self {
            let mut engine = machine(1, 1, LogIndex::default(), &[1]);
            let grant = Grant {
                device: device(9),
                key: secret(9).public(),
                name: "cloud".into(),
                role: Role::Cloud,
                priority: 0,
                gateway_preference: 0,
                version: 1,
            };
            let studio = engine.roster().studio();
            let record = SignedRecord::by_root(studio, grant, &secret(200));
            let _ = engine.handle(at(0), Input::Record(Box::new(record)));
            let _ = engine.handle(at(0), a_write(1));
            Self {
                engine,
                now: 0,
                authorised: true,
            }
        }

        /// Lets time pass; probes are answered, all other orders are handed out.
        fn pass(&mut self, ms: u64) -> Vec<Order> {
            let (mut given, end) = (Vec::new(), self.now + ms);
            while self.now < end {
                self.now += 250;
                let orders = self.engine.handle(at(self.now), Input::Tick).orders;
                for order in orders {
                    if order == Order::Probe {
                        if self.authorised {
                            self.tell(UplinkEvent::Probed { head: None });
                        } else {
                            let failure = UplinkFailure::Unauthorised("no longer".into());
                            self.fail(OrderKind::Probe, failure);
                        }
                    } else {
                        given.push(order);
                    }
                }
            }
            given
        }

        fn tell(&mut self, event: UplinkEvent) {
            let _ = self.engine.handle(at(self.now), Input::Uplink(event));
        }

        fn fail(&mut self, order: OrderKind, failure: UplinkFailure) {
            self.tell(UplinkEvent::Failed { order, failure });
        }
    }

    #[test]
    fn a_refused_token_pauses_the_uplink_until_a_probe_finds_it_taken() {
        let mut office = Office::new();
        let asked = office.pass(10_000);
        assert!(matches!(asked[..], [Order::Changes { .. }]), "{asked:?}");
        office.authorised = false;
        office.fail(
            OrderKind::Changes,
            UplinkFailure::Unauthorised("no longer".into()),
        );
        assert!(!office.engine.uplink().authorised);
        let hour = office.pass(3_600_000);
        assert!(hour.is_empty(), "{hour:?}");
        office.authorised = true;
        let asked = office.pass(10_000);
        assert!(matches!(asked[..], [Order::Changes { .. }]), "{asked:?}");
        assert!(office.engine.uplink().authorised);
    }

    #[test]
    fn a_cloud_that_breaks_on_everything_is_left_alone_and_blames_nobody() {
        let mut office = Office::new();
        office.pass(10_000);
        office.tell(UplinkEvent::Changed(Box::default()));
        let mut tries = 0;
        for _ in 0..720 {
            let orders = office.pass(5_000);
            for order in orders {
                match order {
                    Order::Batch { only, stuck, .. } => {
                        tries += 1;
                        assert!(stuck.is_empty(), "nothing else was accepted meanwhile");
                        assert!(only.is_none_or(|only| only.counters.is_empty()));
                        let failure = UplinkFailure::Broken("500".into());
                        office.fail(OrderKind::Batch, failure);
                    }
                    _ => office.tell(UplinkEvent::Changed(Box::default())),
                }
            }
        }
        assert!((5..300).contains(&tries), "{tries} tries in an hour");
    }

    fn author(n: u8) -> Author {
        Author {
            device: device(n),
            epoch: Epoch(1),
        }
    }

    /// The feed told of a command of each of these, in this order, and decided none.
    fn told_of(machines: &[u8]) -> Undecided {
        let mut undecided = Undecided::default();
        for n in machines {
            undecided.insert(author(*n), 1, 1);
        }
        undecided
    }

    /// Whose command is asked for now.
    fn asked(narrowing: &mut Narrowing, undecided: &Undecided) -> Option<Author> {
        let (_, only, _) = narrowing.next(MonoMs(1), undecided)?;
        only.map(|only| only.author)
    }

    #[test]
    fn what_the_cloud_holds_undecided_is_asked_for_in_the_order_of_the_feed() {
        let undecided = told_of(&[3, 1, 2]);
        let mut narrowing = Narrowing::new();
        for n in [3, 1, 2] {
            assert_eq!(asked(&mut narrowing, &undecided), Some(author(n)));
            narrowing.answered(at(1), &undecided);
        }
        assert_eq!(asked(&mut narrowing, &undecided), None);
    }

    /// What waits for something else, as for a policy, is not asked for with every word of the cloud.
    #[test]
    fn what_may_rest_on_a_command_waits_no_longer_once_that_was_decided() {
        let mut undecided = told_of(&[3, 1, 2]);
        let mut narrowing = Narrowing::new();
        for _ in 0..3 {
            assert!(asked(&mut narrowing, &undecided).is_some());
            narrowing.answered(at(1), &undecided);
        }
        undecided.remove(author(1), 1, 1);
        assert_eq!(asked(&mut narrowing, &undecided), Some(author(2)));
        narrowing.answered(at(1), &undecided);
        assert_eq!(asked(&mut narrowing, &undecided), None);
    }
}
