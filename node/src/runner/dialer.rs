//! Whom to dial and when: discovery, wake-ups and new adapters dial at once, only failed dials grow the backoff.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use studiovault_protocol::time::MonoMs;

/// The side that does not dial first waits this long for the other, ms.
pub(super) const YIELD_MS: u64 = 2_000;
/// The first pause after a failed dial, ms; doubles up to [`LONGEST_MS`].
const FIRST_MS: u64 = 500;
/// The longest pause between dials, ms.
const LONGEST_MS: u64 = 15_000;
/// A dial that neither failed nor opened a link counts as failed after this long, ms.
const PENDING_MS: u64 = 6_000;

/// One machine that may be dialled.
#[derive(Debug, Clone)]
struct Target {
    addresses: Vec<SocketAddr>,
    due: MonoMs,
    pause_ms: u64,
}

/// Everyone we know of.
#[derive(Debug, Default)]
pub(super) struct Dialer {
    targets: BTreeMap<String, Target>,
}

impl Dialer {
    /// With the addresses that a person gave.
    pub(super) fn new(peers: Vec<SocketAddr>) -> Self {
        let target = |address| Target {
            addresses: vec![address],
            due: MonoMs(0),
            pause_ms: FIRST_MS,
        };
        let targets = peers
            .into_iter()
            .map(|peer| (format!("peer {peer}"), target(peer)))
            .collect();
        Self { targets }
    }

    /// Discovery told of somebody.
    pub(super) fn found(&mut self, instance: String, addresses: Vec<SocketAddr>, due: MonoMs) {
        self.targets.insert(
            instance,
            Target {
                addresses,
                due,
                pause_ms: FIRST_MS,
            },
        );
    }

    /// Discovery says that somebody left.
    pub(super) fn lost(&mut self, instance: &str) {
        self.targets.remove(instance);
    }

    /// Forgets all that discovery told; addresses given by a person stay.
    pub(super) fn forget_found(&mut self) {
        self.targets.retain(|name, _| name.starts_with("peer "));
    }

    /// A dial failed: try later.
    pub(super) fn failed(&mut self, address: SocketAddr, now: MonoMs) {
        for target in self.targets.values_mut() {
            if target.addresses.contains(&address) {
                target.due = now.plus(target.pause_ms);
                target.pause_ms = (target.pause_ms * 2).min(LONGEST_MS);
            }
        }
    }

    /// An adapter changed or the machine woke: everything is worth a new try.
    pub(super) fn retry_all(&mut self, now: MonoMs) {
        for target in self.targets.values_mut() {
            (target.due, target.pause_ms) = (now, FIRST_MS);
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

    /// The addresses of those who are due and not connected; they count as tried.
    pub(super) fn due(&mut self, now: MonoMs, connected: &[SocketAddr]) -> Vec<Vec<SocketAddr>> {
        let mut due = Vec::new();
        for target in self.targets.values_mut().filter(|target| target.due <= now) {
            let linked = target
                .addresses
                .iter()
                .any(|address| connected.contains(address));
            if linked {
                // Looked at again now and then: the link may break.
                (target.due, target.pause_ms) = (now.plus(1_000), FIRST_MS);
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

    #[test]
    fn only_failures_grow_the_pause() {
        let address: SocketAddr = "10.77.0.2:4000".parse().expect("an address");
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
            dialer.due(MonoMs(9_000), &[address]).is_empty(),
            "connected"
        );
    }
}
