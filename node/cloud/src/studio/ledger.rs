//! The next entries of the feed, numbered as they come, cut into signed pages at the end.
//!
//! A page and the bundles that it names fit one answer together, so that a reader always gets on.

use studiovault_protocol::bundle::Bundle;
use studiovault_protocol::feed::{Entry, Page, PageBody};
use studiovault_protocol::id::{Author, Dot, Hash, StudioId};
use studiovault_protocol::keys::SecretKey;
use studiovault_protocol::limits;
use studiovault_protocol::merge::{Outcome, StateSum};
use studiovault_protocol::time::WallMs;

/// Bytes of bundles that one page may name: with the page itself well below an answer's limit.
const NAMED_BYTES: usize = 512 * 1024;
/// Bytes of exceptions in one entry, so that an entry always fits a page.
const EXCEPTION_BYTES: usize = 32 * 1024;
/// Bytes of an entry without its exceptions, and of a page without its entries, at most.
const FRAME_BYTES: usize = 512;

/// Entries that are not sealed yet.
#[derive(Clone, Debug)]
pub struct Ledger {
    first: u64,
    lines: Vec<Line>,
}

#[derive(Clone, Debug)]
struct Line {
    entry: Entry,
    bytes: usize,
    named: usize,
}

/// Where a page belongs.
#[derive(Clone, Copy, Debug)]
pub struct Binding {
    /// The studio.
    pub studio: StudioId,
    /// The cloud truth as an author.
    pub author: Author,
    /// The hash of the page before.
    pub prev: Hash,
    /// The wall clock.
    pub at: WallMs,
}

impl Ledger {
    /// Entries after `head`.
    pub fn after(head: u64) -> Self {
        Self {
            first: head + 1,
            lines: Vec::new(),
        }
    }

    /// Whether nothing has happened.
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// How many entries there are; for [`Self::cut_back`].
    pub fn len(&self) -> usize {
        self.lines.len()
    }

    /// Forgets all but the first `len` entries. What was forgotten must not have been extended before `len` was read.
    pub fn cut_back(&mut self, len: usize) {
        self.lines.truncate(len);
    }

    /// The position that the next entry gets.
    pub fn next(&self) -> u64 {
        self.first + self.lines.len() as u64
    }

    /// The truth holds this bundle from here on.
    pub fn bundle(&mut self, bundle: &Bundle) -> u64 {
        let entry = Entry::Bundle {
            author: bundle.author(),
            first: bundle.first(),
            last: bundle.last(),
            hash: bundle.hash(),
        };
        self.push(entry, bundle.bytes().len())
    }

    /// A bundle from before the feed began is accepted as it stands.
    pub fn as_it_stands(&mut self, bundle: &Bundle) {
        let entry = Entry::AsItStands {
            author: bundle.author(),
            first: bundle.first(),
            last: bundle.last(),
            hash: bundle.hash(),
        };
        self.push(entry, 0);
    }

    /// The truth broke on a command again and again.
    pub fn stuck(&mut self, dot: Dot, detail: String) {
        self.push(Entry::Stuck { dot, detail }, 0);
    }

    /// The position at which a verdict on `counter` of `bundle` stands.
    pub fn verdict_position(&self, bundle: &Bundle, counter: u64) -> u64 {
        if self.goes_on(bundle, counter) {
            self.next() - 1
        } else {
            self.next()
        }
    }

    /// The verdict on `counter` of `bundle`. Verdicts on neighbours share an entry.
    pub fn verdict(&mut self, bundle: &Bundle, counter: u64, outcome: &Outcome) {
        if !self.goes_on(bundle, counter) {
            let entry = Entry::Verdicts {
                author: bundle.author(),
                first: counter,
                last: counter,
                hash: bundle.hash(),
                exceptions: Vec::new(),
            };
            self.push(entry, 0);
        }
        let line = self.lines.last_mut().expect("an entry was just made");
        let Entry::Verdicts {
            last, exceptions, ..
        } = &mut line.entry
        else {
            unreachable!("a verdict goes on in a verdict");
        };
        *last = counter;
        if *outcome != Outcome::Accepted {
            line.bytes += 16 + encoded(outcome);
            exceptions.push((counter, outcome.clone()));
        }
    }

    fn goes_on(&self, bundle: &Bundle, counter: u64) -> bool {
        self.lines.last().is_some_and(|line| match &line.entry {
            Entry::Verdicts { last, hash, .. } => {
                *hash == bundle.hash() && last + 1 == counter && line.bytes < EXCEPTION_BYTES
            }
            _ => false,
        })
    }

    /// The sum over all entities at this position.
    pub fn checkpoint(&mut self, sum: StateSum) {
        self.push(Entry::Checkpoint(sum), 0);
    }

    fn push(&mut self, entry: Entry, named: usize) -> u64 {
        let position = self.next();
        self.lines.push(Line {
            entry,
            bytes: FRAME_BYTES,
            named,
        });
        position
    }

    /// Cuts the entries into pages, chains and signs them.
    pub fn seal(self, mut binding: Binding, key: &SecretKey) -> Vec<Page> {
        let (mut pages, mut entries) = (Vec::new(), Vec::new());
        let (mut first, mut bytes, mut named) = (self.first, FRAME_BYTES, 0);
        for line in self.lines {
            let full = bytes + line.bytes > limits::PAGE_BYTES || named + line.named > NAMED_BYTES;
            if full && !entries.is_empty() {
                let page = seal_page(&binding, first, std::mem::take(&mut entries), key);
                first = page.last() + 1;
                binding.prev = page.hash();
                (bytes, named) = (FRAME_BYTES, 0);
                pages.push(page);
            }
            bytes += line.bytes;
            named += line.named;
            entries.push(line.entry);
        }
        if !entries.is_empty() {
            pages.push(seal_page(&binding, first, entries, key));
        }
        pages
    }
}

fn seal_page(binding: &Binding, first: u64, entries: Vec<Entry>, key: &SecretKey) -> Page {
    let body = PageBody {
        studio: binding.studio,
        author: binding.author,
        first,
        prev: binding.prev,
        at: binding.at,
        entries,
    };
    Page::seal(body, key)
}

fn encoded(outcome: &Outcome) -> usize {
    postcard::to_stdvec(outcome)
        .expect("the protocol's types always encode")
        .len()
}
