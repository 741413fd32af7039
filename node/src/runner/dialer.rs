//! Whom to dial and when: discovery, wake-ups and new adapters dial at once, only failed dials grow the backoff.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use studiovault_protocol::id::DeviceId;
use studiovault_protocol::time::MonoMs;

use crate::config::Known;

/// The side that does not dial first waits this long for the other, ms.
pub(super) const YIELD_MS: u64 = 2_000;
/// Addresses remembered from before are tried this long after the others, ms: what discovery says within that time is fresher.
const REMEMBERED_MS: u64 = 300;
/// The first pause after a failed dial, ms; doubles up to [`LONGEST_MS`].
const FIRST_MS: u64 = 500;
/// The longest pause between dials, ms.
const LONGEST_MS: u64 = 15_000;
/// The longest pause towards somebody with whom a link stood lately, ms: a link that flaps elsewhere than at this machine's own
/// adapter is used again soon after it is stable.
const LATELY_PAUSE_MS: u64 = 1_000;
/// A link stood lately if it ended less than this ago, ms.
const LATELY_MS: u64 = 120_000;
/// Those with whom a link stands are looked at this often, ms.
const LINKED_MS: u64 = 1_000;
/// A dial that neither failed nor opened a link counts as failed after this long, ms.
const PENDING_MS: u64 = 6_000;

/// Somebody with whom there is a link, and where it listens.
pub(super) type Linked = (DeviceId, SocketAddr);

/// How an address came to be known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Source {
    /// A person named it.
    Named,
    /// A link stood there, in this run or an earlier one.
    Remembered,
    /// Discovery told of it.
    Found,
}

/// One machine that may be dialled.
#[derive(Debug, Clone)]
struct Target {
    source: Source,
    addresses: Vec<SocketAddr>,
    due: MonoMs,
    pause_ms: u64,
    /// Who answered there. Never kept of a named address: another machine may answer tomorrow.
    device: Option<DeviceId>,
    /// When a link to it ended.
    parted: Option<MonoMs>,
}

impl Target {
    fn new(source: Source, addresses: Vec<SocketAddr>, due: MonoMs) -> Self {
        Self {
            source,
            addresses,
            due,
            pause_ms: FIRST_MS,
            device: None,
            parted: None,
        }
    }

    fn longest(&self, now: MonoMs) -> u64 {
        let lately = |at| now.since(at) < LATELY_MS;
        if self.parted.is_some_and(lately) {
            LATELY_PAUSE_MS
        } else {
            LONGEST_MS
        }
    }

    fn is_linked(&self, linked: &[Linked]) -> Option<DeviceId> {
        let found = linked.iter().find(|(device, address)| {
            self.device == Some(*device) || self.addresses.contains(address)
        });
        found.map(|(device, _)| *device)
    }
}

/// Everyone we know of.
#[derive(Debug, Default)]
pub(super) struct Dialer {
    targets: BTreeMap<String, Target>,
}

impl Dialer {
    /// With the addresses that a person gave and those remembered.
    pub(super) fn new(peers: Vec<SocketAddr>, remembered: &[Known]) -> Self {
        let mut dialer = Self::default();
        for peer in peers {
            dialer.know(&peer.to_string(), vec![peer]);
        }
        for known in remembered {
            dialer.remember(known.device, known.addresses.clone(), MonoMs(REMEMBERED_MS));
        }
        dialer
    }

    /// Somebody who stays known, whatever discovery says.
    pub(super) fn know(&mut self, name: &str, addresses: Vec<SocketAddr>) {
        let target = Target::new(Source::Named, addresses, MonoMs(0));
        self.targets.insert(format!("peer {name}"), target);
    }

    /// A machine was reached at these addresses, the latest first.
    pub(super) fn remember(&mut self, device: DeviceId, addresses: Vec<SocketAddr>, due: MonoMs) {
        let mut target = Target::new(Source::Remembered, addresses, due);
        target.device = Some(device);
        self.targets.insert(format!("last {device}"), target);
    }

    /// A machine no longer belongs: its addresses are worth nothing.
    pub(super) fn forget(&mut self, device: DeviceId) {
        self.targets.remove(&format!("last {device}"));
    }

    /// Discovery told of somebody. What was due sooner stays so.
    pub(super) fn found(&mut self, instance: String, addresses: Vec<SocketAddr>, due: MonoMs) {
        let mut target = Target::new(Source::Found, addresses, due);
        if let Some(before) = self.targets.get(&instance) {
            target.due = target.due.min(before.due);
            (target.device, target.parted) = (before.device, before.parted);
        }
        self.targets.insert(instance, target);
    }

    /// Discovery says that somebody left.
    pub(super) fn lost(&mut self, instance: &str) {
        self.targets.remove(instance);
    }

    /// Forgets all that discovery told; what a person gave and what is remembered stays.
    pub(super) fn forget_found(&mut self) {
        self.targets
            .retain(|_, target| target.source != Source::Found);
    }

    /// Whom we know of: whether a person named the address, and where.
    pub(super) fn targets(&self) -> impl Iterator<Item = (bool, &[SocketAddr])> {
        let targets = self.targets.values();
        let targets = targets.filter(|target| target.source != Source::Remembered);
        targets.map(|target| (target.source == Source::Named, &target.addresses[..]))
    }

    /// A dial failed: try later.
    pub(super) fn failed(&mut self, address: SocketAddr, now: MonoMs) {
        for target in self.targets.values_mut() {
            if target.addresses.contains(&address) {
                let pause_ms = target.pause_ms.min(target.longest(now));
                target.due = now.plus(pause_ms);
                target.pause_ms = (pause_ms * 2).min(target.longest(now));
            }
        }
    }

    /// The last link with a machine ended: it is tried again when `due` is.
    pub(super) fn parted(&mut self, device: DeviceId, (now, due): (MonoMs, MonoMs)) {
        for target in self.targets.values_mut() {
            if target.device == Some(device) {
                (target.due, target.pause_ms) = (due, FIRST_MS);
                target.parted = Some(now);
            }
        }
    }

    /// An adapter changed or the machine woke: everything is worth a new try.
    pub(super) fn retry_all(&mut self, now: MonoMs) {
        for target in self.targets.values_mut() {
            let after = match target.source {
                Source::Remembered => REMEMBERED_MS,
                Source::Named | Source::Found => 0,
            };
            (target.due, target.pause_ms) = (now.plus(after), FIRST_MS);
        }
    }

    /// When somebody is due next.
    pub(super) fn next_due(&self, now: MonoMs) -> MonoMs {
        let due = self
            .targets
            .values()
            .map(|target| target.due)
            .filter(|due| *due > now)
            .min();
        due.unwrap_or(now.plus(10_000))
    }

    /// Whether anybody is due.
    pub(super) fn is_due(&self, now: MonoMs) -> bool {
        self.targets.values().any(|target| target.due <= now)
    }

    /// The addresses of those who are due and not linked; they count as tried.
    pub(super) fn due(&mut self, now: MonoMs, linked: &[Linked]) -> Vec<Vec<SocketAddr>> {
        let mut due = Vec::new();
        for target in self.targets.values_mut().filter(|target| target.due <= now) {
            if let Some(device) = target.is_linked(linked) {
                if target.source != Source::Named {
                    target.device = Some(device);
                }
                // Looked at again now and then, all at one time: the link may break.
                let next = MonoMs((now.0 / LINKED_MS + 1) * LINKED_MS);
                (target.due, target.pause_ms) = (next, FIRST_MS);
            } else {
                target.due = now.plus(PENDING_MS);
                due.push(target.addresses.clone());
            }
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> SocketAddr {
        text.parse().expect("an address")
    }

    fn device(n: u8) -> DeviceId {
        DeviceId::from_random([n; 16])
    }

    #[test]
    fn only_failures_grow_the_pause() {
        let address = address("10.77.0.2:4000");
        let mut dialer = Dialer::default();
        dialer.found("a".into(), vec![address], MonoMs(0));
        assert_eq!(dialer.due(MonoMs(0), &[]).len(), 1);
        assert!(dialer.due(MonoMs(1), &[]).is_empty(), "under way");
        dialer.failed(address, MonoMs(10));
        assert!(dialer.due(MonoMs(400), &[]).is_empty());
        assert_eq!(dialer.due(MonoMs(510), &[]).len(), 1);
        dialer.failed(address, MonoMs(600));
        assert!(
            dialer.due(MonoMs(1_500), &[]).is_empty(),
            "the second pause is longer"
        );
        dialer.retry_all(MonoMs(1_500));
        assert_eq!(
            dialer.due(MonoMs(1_500), &[]).len(),
            1,
            "a wake-up dials at once"
        );
        assert!(
            dialer
                .due(MonoMs(9_000), &[(device(1), address)])
                .is_empty(),
            "linked"
        );
    }

    #[test]
    fn an_adapters_change_is_not_put_off_by_what_discovery_repeats() {
        let mut dialer = Dialer::default();
        let there = vec![address("10.77.0.2:4000")];
        dialer.found("a".into(), there.clone(), MonoMs(0));
        assert_eq!(dialer.due(MonoMs(0), &[]).len(), 1);
        dialer.retry_all(MonoMs(100));
        dialer.found("a".into(), there, MonoMs(100 + YIELD_MS));
        assert_eq!(dialer.due(MonoMs(100), &[]).len(), 1);
    }

    #[test]
    fn a_link_that_ended_lately_is_tried_every_second_and_later_less() {
        let there = address("10.77.0.2:4000");
        let mut dialer = Dialer::default();
        dialer.found("a".into(), vec![there], MonoMs(0));
        assert!(dialer.due(MonoMs(0), &[(device(1), there)]).is_empty());
        dialer.parted(device(1), (MonoMs(100), MonoMs(100)));
        let mut now = MonoMs(100);
        for _ in 0..20 {
            assert_eq!(dialer.due(now, &[]).len(), 1, "at {now:?}");
            dialer.failed(there, now);
            now = now.plus(LATELY_PAUSE_MS);
        }
        now = now.plus(LATELY_MS);
        for _ in 0..10 {
            dialer.failed(there, now);
        }
        assert!(dialer.due(now.plus(LONGEST_MS - 1), &[]).is_empty());
        assert_eq!(dialer.due(now.plus(LONGEST_MS), &[]).len(), 1);
    }

    #[test]
    fn a_machine_that_is_linked_elsewhere_is_not_dialled_where_it_was_before() {
        let (before, now_at) = (address("10.77.0.2:4000"), address("10.78.0.2:4000"));
        let known = Known {
            device: device(1),
            addresses: vec![before],
        };
        let mut dialer = Dialer::new(Vec::new(), &[known]);
        let later = MonoMs(REMEMBERED_MS);
        assert!(dialer.due(later, &[(device(1), now_at)]).is_empty());
        let again = later.plus(1_000);
        assert_eq!(dialer.due(again, &[(device(2), now_at)]), [[before]]);
        dialer.forget_found();
        dialer.retry_all(again);
        assert_eq!(dialer.due(again.plus(REMEMBERED_MS), &[]).len(), 1);
        dialer.forget(device(1));
        assert!(dialer.due(MonoMs(1_000_000), &[]).is_empty());
    }
}
