//! What machines promised: acknowledged to a person or let out on the wire. A machine that starts must hold its own promises, and in
//! the end every machine must hold whatever was acknowledged.
//!
//! Nobody can hold what was nowhere but on a disk that is no more: a promise is let go only down to what some other disk, the cloud or
//! the backup held at the moment of the loss, and every command let go is counted.

use std::collections::BTreeMap;

use studiovault_node::driver::Driver;
use studiovault_protocol::id::Author;
use studiovault_protocol::log::LogIndex;

/// What must be remembered, by whom.
#[derive(Default)]
pub struct Promises {
    /// Which machine writes under which name; each run has its own.
    writers: BTreeMap<Author, usize>,
    /// The name of each machine's run.
    current: BTreeMap<usize, Author>,
    /// The last counter that its writer acknowledged or let out.
    kept: BTreeMap<Author, u64>,
    /// The last counter that everybody must hold in the end.
    due: BTreeMap<Author, u64>,
    /// Where the first bundle of each name ends.
    began: BTreeMap<Author, u64>,
}

impl Promises {
    /// A machine starts and will write under that name.
    pub fn begins(&mut self, at: usize, author: Author) {
        self.writers.insert(author, at);
        self.current.insert(at, author);
    }

    /// A machine is no more, and its place is another one's from now on.
    pub fn leaves(&mut self, at: usize) {
        self.current.remove(&at);
        self.writers.retain(|_, writer| *writer != at);
    }

    /// A person was told that this is durable.
    pub fn acknowledged(&mut self, author: Author, last: u64) {
        self.began.entry(author).or_insert(last);
        for held in [&mut self.kept, &mut self.due] {
            let known = held.entry(author).or_default();
            *known = last.max(*known);
        }
    }

    /// Something is on the wire. An earlier run's words may come from others, who remember better than a disk that was put back.
    pub fn let_out(&mut self, author: Author, last: u64) {
        let writer = self.writers.get(&author);
        if writer.and_then(|at| self.current.get(at)) == Some(&author) {
            let known = self.kept.entry(author).or_default();
            *known = last.max(*known);
        }
    }

    /// I1: what a machine that starts does not hold of what it acknowledged or let out.
    pub fn forgotten_by(&self, at: usize, driver: &Driver) -> Option<String> {
        let log = driver.engine().log();
        let own = self
            .kept
            .iter()
            .filter(|(author, _)| self.writers.get(author) == Some(&at));
        let mut lost = own.filter(|(author, last)| log.held(**author) < **last);
        let (author, last) = lost.next()?;
        Some(format!(
            "I1: node {at} forgot {} when it died",
            author.at(*last)
        ))
    }

    /// The disk of a machine holds only this from now on, and all others together that. How many acknowledged commands are nowhere.
    pub fn put_back(
        &mut self,
        at: usize,
        disk: &BTreeMap<Author, u64>,
        elsewhere: &BTreeMap<Author, u64>,
    ) -> u64 {
        // Until it starts again, what others say of its last run is no promise of this disk.
        self.current.remove(&at);
        let on = |holder: &BTreeMap<Author, u64>, author| holder.get(author).copied().unwrap_or(0);
        for (author, last) in &mut self.kept {
            if self.writers.get(author) == Some(&at) {
                *last = on(disk, author).min(*last);
            }
        }
        let mut nowhere = 0;
        for (author, last) in &mut self.due {
            let left = on(disk, author).max(on(elsewhere, author)).min(*last);
            nowhere += *last - left;
            *last = left;
        }
        nowhere
    }

    /// I1: what everybody must hold in the end and this log does not. Of a log that splits what lies before.
    pub fn missing_from(&self, at: usize, log: &LogIndex) -> Option<String> {
        let due = self.due.iter().filter_map(|(author, last)| {
            let Some(split) = log.forks().get(author) else {
                return Some((*author, *last));
            };
            let has_stood = self.began.get(author).is_some_and(|end| *end < split.from);
            has_stood.then(|| (*author, (split.from - 1).min(*last)))
        });
        let mut missing = due.filter(|(author, last)| log.held(*author) < *last);
        let (author, last) = missing.next()?;
        let dot = author.at(last);
        Some(format!(
            "I1: node {at} does not hold {dot}, which was acknowledged"
        ))
    }
}
