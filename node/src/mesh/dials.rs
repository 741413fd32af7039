//! Which address to dial next: one group per command, its addresses in turn, the first that answers wins.
//!
//! Invariant: an address is under way at most once; at most [`MAX_DIALS`] attempts run and [`MAX_DIALS_WAITING`] wait.
//! Plain data: the clock is handed in, the attempts are made by the caller.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    net::SocketAddr,
};

use libp2p::{PeerId, swarm::ConnectionId};
use tokio::time::Instant;

use super::bounds::{DIAL_STAGGER, MAX_DIALS, MAX_DIALS_WAITING};

struct Group {
    waiting: VecDeque<SocketAddr>,
    flying: usize,
    /// When the next address may start although the last has not answered.
    due: Instant,
    winner: Option<PeerId>,
}

struct Attempt {
    group: u64,
    address: SocketAddr,
}

/// All dials under way and waiting.
#[derive(Default)]
pub(super) struct Dials {
    groups: BTreeMap<u64, Group>,
    attempts: HashMap<ConnectionId, Attempt>,
    next_group: u64,
}

impl Dials {
    /// Queues the addresses of one peer; returns those for which there is no room.
    pub(super) fn add(&mut self, addresses: Vec<SocketAddr>, now: Instant) -> Vec<SocketAddr> {
        let mut waiting = VecDeque::new();
        let mut refused = Vec::new();
        let mut room = MAX_DIALS_WAITING.saturating_sub(self.waiting());
        for address in addresses {
            if self.is_known(address) || waiting.contains(&address) {
                continue;
            }
            if room == 0 {
                refused.push(address);
                continue;
            }
            room -= 1;
            waiting.push_back(address);
        }
        if !waiting.is_empty() {
            self.next_group += 1;
            let group = Group {
                waiting,
                flying: 0,
                due: now,
                winner: None,
            };
            self.groups.insert(self.next_group, group);
        }
        refused
    }

    fn waiting(&self) -> usize {
        self.groups.values().map(|group| group.waiting.len()).sum()
    }

    fn is_known(&self, address: SocketAddr) -> bool {
        self.attempts.values().any(|a| a.address == address)
            || self.groups.values().any(|g| g.waiting.contains(&address))
    }

    /// The next address to try now, with the group to name in [`Dials::started`].
    pub(super) fn next(&mut self, now: Instant) -> Option<(u64, SocketAddr)> {
        if self.attempts.len() >= MAX_DIALS {
            return None;
        }
        let (&id, group) = self
            .groups
            .iter_mut()
            .find(|(_, group)| !group.waiting.is_empty() && group.due <= now)?;
        let address = group.waiting.pop_front()?;
        group.due = now + DIAL_STAGGER;
        Some((id, address))
    }

    pub(super) fn started(&mut self, group: u64, address: SocketAddr, connection: ConnectionId) {
        if let Some(entry) = self.groups.get_mut(&group) {
            entry.flying += 1;
        }
        self.attempts.insert(connection, Attempt { group, address });
    }

    /// When [`Dials::next`] should be asked again, if nothing happens before.
    pub(super) fn due(&self) -> Option<Instant> {
        if self.attempts.len() >= MAX_DIALS {
            return None;
        }
        self.groups
            .values()
            .filter(|group| !group.waiting.is_empty())
            .map(|group| group.due)
            .min()
    }

    /// An attempt failed: its address, if it was ours. The next address of its group may start at once.
    pub(super) fn failed(&mut self, connection: ConnectionId, now: Instant) -> Option<SocketAddr> {
        let attempt = self.attempts.remove(&connection)?;
        if let Some(group) = self.groups.get_mut(&attempt.group) {
            group.flying -= 1;
            group.due = now;
        }
        self.tidy(attempt.group);
        Some(attempt.address)
    }

    /// An attempt reached `peer`; false if another address of the group reached the same peer before.
    pub(super) fn reached(&mut self, connection: ConnectionId, peer: PeerId) -> bool {
        let Some(attempt) = self.attempts.remove(&connection) else {
            return true;
        };
        let mut first = true;
        if let Some(group) = self.groups.get_mut(&attempt.group) {
            group.flying -= 1;
            group.waiting.clear();
            first = group.winner != Some(peer);
            group.winner.get_or_insert(peer);
        }
        self.tidy(attempt.group);
        first
    }

    /// Forgets everything that waits; returns it.
    pub(super) fn abandon(&mut self) -> Vec<SocketAddr> {
        let waiting = self
            .groups
            .values_mut()
            .flat_map(|group| group.waiting.drain(..))
            .collect();
        self.groups.retain(|_, group| group.flying > 0);
        waiting
    }

    fn tidy(&mut self, id: u64) {
        if let Some(group) = self.groups.get(&id)
            && group.flying == 0
            && group.waiting.is_empty()
        {
            self.groups.remove(&id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn address(port: u16) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], port))
    }

    fn id(number: usize) -> ConnectionId {
        ConnectionId::new_unchecked(number)
    }

    /// Starts everything that may start now; returns the ports.
    fn start_all(dials: &mut Dials, now: Instant, first_id: usize) -> Vec<u16> {
        let mut ports = Vec::new();
        while let Some((group, address)) = dials.next(now) {
            dials.started(group, address, id(first_id + ports.len()));
            ports.push(address.port());
        }
        ports
    }

    #[test]
    fn the_second_address_starts_after_a_pause_or_a_failure() {
        let now = Instant::now();
        let mut dials = Dials::default();
        assert!(
            dials
                .add(vec![address(1), address(2), address(3)], now)
                .is_empty()
        );
        assert_eq!(start_all(&mut dials, now, 0), vec![1]);
        assert_eq!(dials.due(), Some(now + DIAL_STAGGER));
        assert_eq!(start_all(&mut dials, now + DIAL_STAGGER, 10), vec![2]);
        let soon = now + DIAL_STAGGER + Duration::from_millis(1);
        assert_eq!(dials.failed(id(0), soon), Some(address(1)));
        assert_eq!(start_all(&mut dials, soon, 20), vec![3]);
    }

    #[test]
    fn an_address_under_way_is_not_dialled_twice() {
        let now = Instant::now();
        let mut dials = Dials::default();
        dials.add(vec![address(1)], now);
        assert_eq!(start_all(&mut dials, now, 0), vec![1]);
        dials.add(vec![address(1), address(1)], now);
        assert!(start_all(&mut dials, now, 10).is_empty());
        dials.failed(id(0), now);
        dials.add(vec![address(1)], now);
        assert_eq!(start_all(&mut dials, now, 20), vec![1]);
    }

    #[test]
    fn the_first_address_that_answers_ends_the_search() {
        let now = Instant::now();
        let later = now + DIAL_STAGGER;
        let peer = PeerId::random();
        let mut dials = Dials::default();
        dials.add(vec![address(1), address(2), address(3)], now);
        start_all(&mut dials, now, 0);
        start_all(&mut dials, later, 1);
        assert!(dials.reached(id(0), peer));
        assert!(
            !dials.reached(id(1), peer),
            "the loser of the race is superfluous"
        );
        assert_eq!(dials.due(), None);
        assert!(dials.groups.is_empty() && dials.attempts.is_empty());
    }

    #[test]
    fn waiting_and_flying_dials_are_bounded() {
        let now = Instant::now();
        let mut dials = Dials::default();
        let mut refused = 0;
        for port in 1..=300 {
            refused += dials.add(vec![address(port)], now).len();
        }
        assert_eq!(refused, 300 - MAX_DIALS_WAITING);
        assert_eq!(start_all(&mut dials, now, 0).len(), MAX_DIALS);
        assert_eq!(dials.abandon().len(), MAX_DIALS_WAITING - MAX_DIALS);
    }
}
