//! The election of the gateway: who carries logs to the cloud and the feed back.
//!
//! Correctness never rests on there being exactly one: the cloud is idempotent. Election only saves work, so it is small:
//! rank, term, hold time. Two claims meet: the higher term, then the better rank stays.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use crate::id::DeviceId;
use crate::limits;
use crate::time::{MonoMs, WallMs};
use crate::wire::{Gone, Status, Uplink};

/// A machine's standing among candidates; higher is better.
type Rank = (bool, i32, bool, bool, Reverse<DeviceId>);

/// What is known of another machine.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
struct Heard {
    status: Status,
    at: MonoMs,
    via: DeviceId,
    /// Void until it speaks up anew. Remembered all the same: were it forgotten, the same status would be news again, and
    /// word of its going and coming would chase each other round the mesh for ever.
    is_gone: bool,
    /// Word of its going was passed on towards it.
    is_asked: bool,
}

/// The election as one machine sees it.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Election {
    own: Status,
    heard: BTreeMap<DeviceId, Heard>,
    preferences: BTreeMap<DeviceId, i32>,
    /// The highest term ever claimed, as far as this machine heard; whoever claimed it may have resigned since.
    last_term: u64,
    /// Since when this machine has outranked the holder.
    better_since: Option<MonoMs>,
    /// Since when the uplink works without a break, and how often it had broken lately.
    steady_since: Option<MonoMs>,
    breaks: u32,
    told_at: MonoMs,
    told_sequence: u64,
    not_before: MonoMs,
}

impl Election {
    /// A machine that has just started: it listens for `quiet_ms` before it claims anything.
    pub fn new(device: DeviceId, run: (WallMs, u64), now: MonoMs, quiet_ms: u64) -> Self {
        let uplink = Uplink::default();
        let own = Status {
            device,
            run,
            sequence: 0,
            uplink,
            claim: None,
        };
        Self {
            own,
            heard: BTreeMap::new(),
            preferences: BTreeMap::new(),
            last_term: 0,
            better_since: None,
            steady_since: None,
            breaks: 0,
            told_at: now,
            told_sequence: 0,
            not_before: now.plus(quiet_ms),
        }
    }

    /// The roster's gateway preferences.
    pub fn prefer(&mut self, preferences: BTreeMap<DeviceId, i32>) {
        self.preferences = preferences;
    }

    /// This machine's status as others hear it.
    pub fn own(&self) -> &Status {
        &self.own
    }

    /// All statuses known, this machine's too.
    pub fn statuses(&self) -> impl Iterator<Item = &Status> {
        std::iter::once(&self.own).chain(self.alive())
    }

    fn alive(&self) -> impl Iterator<Item = &Status> {
        let alive = self.heard.values().filter(|heard| !heard.is_gone);
        alive.map(|heard| &heard.status)
    }

    /// Whether this machine is the gateway.
    pub fn is_gateway(&self) -> bool {
        self.own.claim.is_some()
    }

    /// The gateway as seen here.
    pub fn gateway(&self) -> Option<DeviceId> {
        self.best_claim().map(|status| status.device)
    }

    fn best_claim(&self) -> Option<&Status> {
        self.statuses()
            .filter(|status| status.claim.is_some())
            .max_by_key(|status| (status.claim, self.rank(status)))
    }

    fn rank(&self, status: &Status) -> Rank {
        let preference = self.preferences.get(&status.device).copied().unwrap_or(0);
        let Uplink {
            metered,
            battery,
            shaky,
            ..
        } = status.uplink;
        (
            !shaky,
            preference,
            !metered,
            !battery,
            Reverse(status.device),
        )
    }

    fn eligible(status: &Status) -> bool {
        status.uplink.reachable && status.uplink.authorised
    }

    /// Hears a status, first or second hand. `true` if it is news and should be relayed.
    pub fn handle_status(&mut self, status: Status, via: DeviceId, now: MonoMs) -> bool {
        if status.device == self.own.device {
            return false;
        }
        let known = self.heard.get(&status.device);
        if known.is_none() && self.heard.len() >= limits::STATUSES {
            return false;
        }
        let newer = known.is_none_or(|heard| {
            (status.run, status.sequence) > (heard.status.run, heard.status.sequence)
        });
        if newer {
            self.last_term = self.last_term.max(status.claim.unwrap_or(0));
            self.heard.insert(
                status.device,
                Heard {
                    status,
                    at: now,
                    via,
                    is_gone: false,
                    is_asked: false,
                },
            );
        }
        newer
    }

    /// A beat on a direct link keeps its sender's status alive.
    pub fn handle_beat(&mut self, device: DeviceId, now: MonoMs) {
        if let Some(heard) = self.heard.get_mut(&device) {
            heard.at = now;
            heard.via = device;
            heard.is_gone = false;
        }
    }

    /// Somebody believes that this machine is gone, or has just met it: it speaks up anew.
    pub fn speak_up(&mut self) {
        self.own.sequence += 1;
    }

    /// Word that this machine itself is gone. What is older than its newest status is no news.
    pub fn handle_obituary(&mut self, gone: &Gone) {
        if (gone.run, gone.sequence) == (self.own.run, self.own.sequence) {
            self.speak_up();
        }
    }

    /// The link to `device` closed. Every status that came by that link has lost its witness, its own and those that it
    /// relayed: what to tell the others. Who is still there speaks up anew.
    /// Whom we are `linked` with needs no other witness.
    pub fn handle_lost(&mut self, device: DeviceId, linked: &BTreeSet<DeviceId>) -> Vec<Gone> {
        let orphans: Vec<Gone> = self
            .heard
            .values()
            .filter(|heard| heard.via == device && !heard.is_gone)
            .filter(|heard| !linked.contains(&heard.status.device))
            .map(|heard| Gone {
                device: heard.status.device,
                run: heard.status.run,
                sequence: heard.status.sequence,
            })
            .collect();
        for gone in &orphans {
            self.handle_gone(gone, device);
        }
        orphans
    }

    /// `via` says that a device is gone. `true` if that is news and should be relayed.
    pub fn handle_gone(&mut self, gone: &Gone, via: DeviceId) -> bool {
        let Some(heard) = self.heard.get_mut(&gone.device) else {
            return false;
        };
        let known = (heard.status.run, heard.status.sequence);
        let is_news = !heard.is_gone && heard.via == via && known <= (gone.run, gone.sequence);
        heard.is_gone |= is_news;
        is_news
    }

    /// From whom this machine has the very status that somebody calls void, and believes it: the way on which the device can be
    /// told. Only once of one status: where nobody hears the device itself, each machine may have it from the next, and the word
    /// would go round for ever.
    pub fn witness_against(&mut self, gone: &Gone) -> Option<DeviceId> {
        let heard = self.heard.get_mut(&gone.device)?;
        let known = (heard.status.run, heard.status.sequence);
        let is_due = !heard.is_gone && !heard.is_asked && known == (gone.run, gone.sequence);
        heard.is_asked |= is_due;
        is_due.then_some(heard.via)
    }

    /// This machine's uplink changed.
    pub fn set_uplink(&mut self, uplink: Uplink) {
        let shaky = self.own.uplink.shaky;
        let uplink = Uplink { shaky, ..uplink };
        if self.own.uplink != uplink {
            self.own.uplink = uplink;
            self.own.sequence += 1;
        }
    }

    /// The machine slept or is about to: it may not believe its claim any more.
    pub fn resign(&mut self) {
        if self.own.claim.take().is_some() {
            self.own.sequence += 1;
        }
    }

    /// One step of the clock. `true` if everybody must be told this machine's status.
    pub fn tick(&mut self, now: MonoMs) -> bool {
        self.heard
            .retain(|_, heard| now.since(heard.at) < limits::CLAIM_DEAD_MS);
        self.step(now);
        if now.since(self.told_at) >= limits::STATUS_REPEAT_MS {
            self.own.sequence += 1;
        }
        let news = self.own.sequence != self.told_sequence;
        if news {
            (self.told_at, self.told_sequence) = (now, self.own.sequence);
        }
        news
    }

    fn step(&mut self, now: MonoMs) {
        if !Self::eligible(&self.own) {
            self.resign();
            self.better_since = None;
            if let Some(since) = self.steady_since.take() {
                let forgiven = u32::try_from(now.since(since) / limits::STEADY_MS);
                let breaks = self.breaks.saturating_sub(forgiven.unwrap_or(u32::MAX));
                self.breaks = (breaks + 1).min(limits::HOLD_DOUBLINGS);
            }
            return;
        }
        self.watch_uplink(now);
        let holder = self.best_claim().cloned();
        match holder {
            Some(holder) if holder.device == self.own.device => self.better_since = None,
            Some(holder) => {
                // Somebody else holds a higher claim: step down, and take over only after a hold time.
                self.resign();
                if self.rank(&self.own) <= self.rank(&holder) {
                    self.better_since = None;
                    return;
                }
                let since = *self.better_since.get_or_insert(now);
                if now.since(since) >= limits::HOLD_MS {
                    self.claim();
                }
            }
            None if now < self.not_before => {}
            None => {
                let best = self
                    .alive()
                    .filter(|status| Self::eligible(status))
                    .map(|s| self.rank(s))
                    .max();
                if best.is_none_or(|best| self.rank(&self.own) > best) {
                    self.claim();
                }
            }
        }
    }

    /// An uplink that broke lets others go first for a time that doubles with every break, so that one that comes and goes moves
    /// the crown a few times and then leaves it where it is.
    fn watch_uplink(&mut self, now: MonoMs) {
        let since = *self.steady_since.get_or_insert(now);
        let shaky = self.breaks > 0 && now.since(since) < limits::HOLD_MS << self.breaks;
        if shaky != self.own.uplink.shaky {
            self.own.uplink.shaky = shaky;
            self.own.sequence += 1;
        }
    }

    fn claim(&mut self) {
        self.last_term = self.last_term.saturating_add(1);
        self.own.claim = Some(self.last_term);
        self.own.sequence += 1;
        self.better_since = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn device(n: u8) -> DeviceId {
        DeviceId([n; 16])
    }

    fn online() -> Uplink {
        Uplink {
            reachable: true,
            authorised: true,
            ..Uplink::default()
        }
    }

    fn machine(n: u8) -> Election {
        let mut election = Election::new(device(n), (WallMs(0), u64::from(n)), MonoMs(0), 0);
        election.set_uplink(online());
        election
    }

    /// Tells every machine every other's status.
    fn exchange(machines: &mut [Election], now: MonoMs) {
        let statuses: Vec<Status> = machines.iter().map(|m| m.own().clone()).collect();
        for machine in machines.iter_mut() {
            for status in &statuses {
                machine.handle_status(status.clone(), status.device, now);
            }
        }
    }

    #[test]
    fn machines_that_hear_each_other_agree_on_one_gateway() {
        let mut machines = [machine(3), machine(1), machine(2)];
        for at in 0..20 {
            let now = MonoMs(at * 1000);
            exchange(&mut machines, now);
            for machine in &mut machines {
                machine.tick(now);
            }
        }
        let claims = machines.iter().filter(|m| m.is_gateway()).count();
        assert_eq!(claims, 1);
        assert!(
            machines.iter().all(|m| m.gateway() == Some(device(1))),
            "lower id ranks first"
        );
    }

    #[test]
    fn a_gateway_that_loses_its_uplink_resigns_and_the_next_claims() {
        let mut machines = [machine(1), machine(2)];
        exchange(&mut machines, MonoMs(0));
        for machine in &mut machines {
            machine.tick(MonoMs(1));
        }
        exchange(&mut machines, MonoMs(2));
        assert_eq!(machines[1].gateway(), Some(device(1)));
        machines[0].set_uplink(Uplink::default());
        machines[0].tick(MonoMs(3));
        assert!(!machines[0].is_gateway());
        exchange(&mut machines, MonoMs(4));
        machines[1].tick(MonoMs(5));
        assert!(machines[1].is_gateway());
        // The term of whoever resigned is over, not forgotten.
        assert_eq!(machines[1].own().claim, Some(2));
    }

    /// Changes of the gateway, as the third machine sees them, while the uplink of the best one comes and goes 100 times.
    fn changes_of_a_hundred_flaps(seconds: u64) -> usize {
        let mut machines = [machine(1), machine(2), machine(3)];
        let (mut changes, mut gateway) = (0, None);
        for at in 0..200 * seconds + 60 {
            let now = MonoMs(at * 1000);
            let is_up = at < 30 || ((at - 30) / seconds) % 2 == 1;
            machines[0].set_uplink(if is_up { online() } else { Uplink::default() });
            for machine in &mut machines {
                machine.tick(now);
            }
            exchange(&mut machines, now);
            let seen = machines[2].gateway();
            if at >= 20 && seen.is_some() && seen != gateway {
                changes += usize::from(gateway.is_some());
                gateway = seen;
            }
        }
        changes
    }

    #[test]
    fn a_hundred_flaps_of_an_uplink_change_the_gateway_ten_times_at_most() {
        for seconds in [1, 2, 4, 6, 9, 15, 30, 60, 90] {
            let changes = changes_of_a_hundred_flaps(seconds);
            assert!((1..=10).contains(&changes), "{changes} at {seconds} s");
        }
    }

    #[test]
    fn an_uplink_that_stays_gets_the_crown_back_and_its_hold_time_in_the_end() {
        let mut machines = [machine(1), machine(2)];
        let mut back = Vec::new();
        for at in 0..3 * 86_400 {
            let now = MonoMs(at * 1000);
            let is_up = at < 100 && at % 10 >= 5 || at >= 100 && at != 2 * 86_400;
            machines[0].set_uplink(if is_up { online() } else { Uplink::default() });
            for machine in &mut machines {
                machine.tick(now);
            }
            exchange(&mut machines, now);
            if machines[0].is_gateway() && back.last().is_none_or(|(_, end)| end + 1 < at) {
                back.push((at, at));
            }
            if let Some((_, end)) = back.last_mut().filter(|_| machines[0].is_gateway()) {
                *end = at;
            }
        }
        let [.., slow, soon] = back[..] else {
            panic!("it came back twice at least: {back:?}");
        };
        assert!((95 + 645..=95 + 650).contains(&slow.0), "{back:?}");
        // A day of peace forgave the breaks: after one more it waits 10 s, and the hold time.
        let expected = 2 * 86_400 + 16;
        assert!((expected..expected + 3).contains(&soon.0), "{back:?}");
    }

    #[test]
    fn a_claim_dies_with_the_link_to_its_holder() {
        let mut second = machine(2);
        let mut first = machine(1);
        first.tick(MonoMs(0));
        second.handle_status(first.own().clone(), device(1), MonoMs(0));
        assert_eq!(second.gateway(), Some(device(1)));
        let gone = Gone {
            device: device(1),
            run: first.own().run,
            sequence: first.own().sequence,
        };
        assert!(
            !second.handle_gone(&gone, device(9)),
            "another's word about it is not enough"
        );
        assert_eq!(second.handle_lost(device(1), &BTreeSet::new()), vec![gone]);
        let again = first.own().clone();
        assert!(
            !second.handle_status(again, device(9), MonoMs(5)),
            "a void status is no news from anybody else"
        );
        second.tick(MonoMs(10));
        assert!(second.is_gateway());
    }
    #[test]
    fn word_of_a_machine_that_nobody_hears_itself_does_not_go_round() {
        let ghost = machine(9).own().clone();
        let mut ring = [machine(1), machine(2), machine(3)];
        for (at, machine) in ring.iter_mut().enumerate() {
            let via = device([2, 3, 1][at]);
            assert!(machine.handle_status(ghost.clone(), via, MonoMs(0)));
        }
        let gone = Gone {
            device: ghost.device,
            run: ghost.run,
            sequence: ghost.sequence,
        };
        let (mut at, mut passed) = (0, 0);
        while let Some(next) = ring[at].witness_against(&gone) {
            at = usize::from(next.0[0]) - 1;
            passed += 1;
            assert!(passed <= 3, "it went round");
        }
        assert_eq!(passed, 3, "each of them passed it on once");
    }
}
