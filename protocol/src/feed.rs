//! The feed: the cloud truth's own log of bundles and verdicts, in signed and hash-chained pages.
//!
//! Entries are numbered from 1 without gaps. A page is taken only if it continues the held chain, and folded only when every
//! command that it names is applied, so state is a function of the folded prefix.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

mod head;
mod undecided;

pub use head::{FeedHead, HeadFit};
pub use undecided::Undecided;

use head::Ends;

use serde::{Deserialize, Serialize};

use crate::id::{Author, Dot, Hash, Signature, StudioId};
use crate::keys::{Purpose, SecretKey, VerifyKey};
use crate::limits;
use crate::log::LogIndex;
use crate::merge::{Outcome, StateSum, Verdict};
use crate::sabotage::Bug;
use crate::time::WallMs;

/// A bundle as the feed names it ([`Entry::Bundle`]).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Named {
    /// Whose.
    pub author: Author,
    /// Its first counter.
    pub first: u64,
    /// Its last counter.
    pub last: u64,
    /// Which names every command's hash.
    pub hash: Hash,
}

/// One entry of the feed.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Entry {
    /// The feed begins. Of every author named all up to there is accepted as it stands, once it is here.
    Genesis(Vec<Dot>),
    /// The cloud holds this bundle from here on; its bytes travel beside the page.
    Bundle {
        /// Whose.
        author: Author,
        /// Its first counter.
        first: u64,
        /// Its last counter.
        last: u64,
        /// Which names every command's hash.
        hash: Hash,
    },
    /// The final word on commands of one bundle: accepted, but for the exceptions.
    Verdicts {
        /// Whose.
        author: Author,
        /// The first counter decided.
        first: u64,
        /// The last counter decided.
        last: u64,
        /// The bundle's hash.
        hash: Hash,
        /// Counters that were not simply accepted, ascending.
        exceptions: Vec<(u64, Outcome)>,
    },
    /// The sum of the confirmed state at this position.
    Checkpoint(StateSum),
    /// A bundle from before the feed began: accepted as it stands, at position 0.
    AsItStands {
        /// Whose.
        author: Author,
        /// Its first counter.
        first: u64,
        /// Its last counter.
        last: u64,
        /// The bundle's hash.
        hash: Hash,
    },
    /// The truth broke on this command again and again; it has no verdict, and is tried again now and then.
    Stuck {
        /// Which.
        dot: Dot,
        /// In words.
        detail: String,
    },
}

/// What is encoded and signed.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct PageBody {
    /// Which studio.
    pub studio: StudioId,
    /// The cloud truth as an author; its epoch is the feed's.
    pub author: Author,
    /// The position of the first entry, from 1.
    pub first: u64,
    /// The hash of the page before, zeros at the beginning.
    pub prev: Hash,
    /// The cloud's wall clock.
    pub at: WallMs,
    /// One transaction's entries, at least one.
    pub entries: Vec<Entry>,
}

/// A decoded page with its bytes.
#[derive(Clone, Debug)]
pub struct Page {
    bytes: Arc<[u8]>,
    hash: Hash,
    body: PageBody,
    signature: Signature,
}

/// Why bytes are no page. The sender's fault; nothing changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PageError {
    /// Not a page.
    #[error("these bytes are no feed page")]
    Malformed,
    /// Not signed by the studio's cloud truth.
    #[error("a feed page that the cloud truth did not sign")]
    BadSignature,
    /// Of another studio or another cloud.
    #[error("a feed page of another studio or another cloud")]
    OtherStudio,
    /// Signed, but it does not continue what is held: the cloud or somebody in between rewrote the feed.
    #[error("a feed page that does not continue the held feed")]
    Broken {
        /// Where it begins.
        position: u64,
    },
}

impl Page {
    /// Signs and encodes a page.
    pub fn seal(body: PageBody, key: &SecretKey) -> Self {
        let mut bytes = postcard::to_stdvec(&body).expect("wire types always encode");
        let hash = Hash::of(&bytes);
        let signature = key.sign(Purpose::FeedPage, &hash);
        bytes.extend_from_slice(&signature.0);
        Self {
            bytes: bytes.into(),
            hash,
            body,
            signature,
        }
    }

    /// Decodes a page, checking form and bounds but no signature.
    pub fn decode(bytes: impl Into<Arc<[u8]>>) -> Result<Self, PageError> {
        let bytes: Arc<[u8]> = bytes.into();
        let end = bytes.len().saturating_sub(64);
        if end == 0 || bytes.len() > limits::FRAME_BYTES {
            return Err(PageError::Malformed);
        }
        let (body, rest) = postcard::take_from_bytes::<PageBody>(&bytes[..end])
            .map_err(|_| PageError::Malformed)?;
        let again = postcard::to_stdvec(&body).expect("wire types always encode");
        let in_range = body.first > 0
            && body.first <= limits::COUNTER
            && body.entries.iter().all(Entry::is_in_range);
        if !rest.is_empty() || again != bytes[..end] || body.entries.is_empty() || !in_range {
            return Err(PageError::Malformed);
        }
        let mut signature = Signature([0; 64]);
        signature.0.copy_from_slice(&bytes[end..]);
        let hash = Hash::of(&bytes[..end]);
        Ok(Self {
            bytes,
            hash,
            body,
            signature,
        })
    }

    /// Checks the cloud's signature.
    pub fn verify(&self, key: &VerifyKey) -> Result<(), PageError> {
        if key.verify(Purpose::FeedPage, &self.hash, &self.signature)
            || Bug::VerdictUnsigned.is_on()
        {
            Ok(())
        } else {
            Err(PageError::BadSignature)
        }
    }

    /// The bytes that are stored and relayed.
    pub fn bytes(&self) -> &Arc<[u8]> {
        &self.bytes
    }
    /// The hash that the next page names.
    pub fn hash(&self) -> Hash {
        self.hash
    }
    /// What it says.
    pub fn body(&self) -> &PageBody {
        &self.body
    }
    /// The position of its last entry.
    pub fn last(&self) -> u64 {
        self.body.first + self.body.entries.len() as u64 - 1
    }
    /// The entries with their positions.
    pub fn entries(&self) -> impl Iterator<Item = (u64, &Entry)> {
        (self.body.first..).zip(&self.body.entries)
    }
    /// The bundles that it names.
    pub fn named(&self) -> impl Iterator<Item = Named> {
        self.body.entries.iter().filter_map(|entry| match *entry {
            Entry::Bundle {
                author,
                first,
                last,
                hash,
            } => Some(Named {
                author,
                first,
                last,
                hash,
            }),
            _ => None,
        })
    }
}

impl Entry {
    /// Whether its counters are in order and within bounds.
    fn is_in_range(&self) -> bool {
        match self {
            Self::Checkpoint(_) => true,
            Self::Genesis(upto) => {
                let counted = |dot: &Dot| (1..=limits::COUNTER).contains(&dot.counter);
                upto.len() <= limits::GENESIS_AUTHORS && upto.iter().all(counted)
            }
            Self::Stuck { dot, detail } => {
                (1..=limits::COUNTER).contains(&dot.counter) && detail.len() <= limits::DETAIL_BYTES
            }
            Self::Bundle { first, last, .. } | Self::AsItStands { first, last, .. } => {
                0 < *first && first <= last && *last <= limits::COUNTER
            }
            Self::Verdicts {
                first,
                last,
                exceptions,
                ..
            } => {
                let ascending = exceptions.windows(2).all(|pair| pair[0].0 < pair[1].0);
                let within = exceptions
                    .iter()
                    .all(|(at, _)| (first..=last).contains(&at));
                0 < *first && first <= last && *last <= limits::COUNTER && ascending && within
            }
        }
    }

    /// The author and the run of counters that this entry decides, if it decides any.
    pub fn decided(&self) -> Option<(Author, u64, u64)> {
        match self {
            Self::Verdicts {
                author,
                first,
                last,
                ..
            }
            | Self::AsItStands {
                author,
                first,
                last,
                ..
            } => Some((*author, *first, *last)),
            Self::Genesis(_) | Self::Bundle { .. } | Self::Checkpoint(_) | Self::Stuck { .. } => {
                None
            }
        }
    }

    /// What was not simply accepted among the commands that this entry decides.
    pub fn exceptions(&self) -> &[(u64, Outcome)] {
        match self {
            Self::Verdicts { exceptions, .. } => exceptions,
            _ => &[],
        }
    }

    /// The position at which the decisions of this entry count; what stood before the feed began counts as 0.
    pub fn counts_at(&self, position: u64) -> u64 {
        match self {
            Self::AsItStands { .. } => 0,
            _ => position,
        }
    }

    /// The verdict on one counter, if this entry at `position` decides it.
    pub fn verdict(&self, position: u64, counter: u64) -> Option<Verdict> {
        let (_, first, last) = self.decided()?;
        if !(first..=last).contains(&counter) {
            return None;
        }
        let exceptions = self.exceptions();
        let outcome = exceptions
            .binary_search_by_key(&counter, |(at, _)| *at)
            .map_or(Outcome::Accepted, |at| exceptions[at].1.clone());
        Some(Verdict {
            position: self.counts_at(position),
            outcome,
        })
    }
}

/// What a machine holds of the feed.
#[derive(Clone, Debug, Default)]
pub struct FeedIndex {
    held: (u64, Hash),
    ends: Ends,
    folded: u64,
    cloud_holds: BTreeMap<Author, u64>,
    unfolded: VecDeque<Page>,
    undecided: Undecided,
}

impl FeedIndex {
    /// As the store left it: where the newest held pages end, with their hashes and the newest last, from 0 if all are among them;
    /// the last folded position; what the cloud holds.
    pub fn restore(ends: &[(u64, Hash)], folded: u64, cloud_holds: BTreeMap<Author, u64>) -> Self {
        let (first, later) = ends.split_first().unwrap_or((&(0, Hash([0; 32])), &[]));
        let mut known = Ends::new(*first);
        later.iter().for_each(|end| known.push(*end));
        Self {
            held: *later.last().unwrap_or(first),
            ends: known,
            folded,
            cloud_holds,
            unfolded: VecDeque::new(),
            undecided: Undecided::default(),
        }
    }

    /// What the cloud holds without a verdict, as the folded pages left it; before [`Self::restore_unfolded`].
    pub fn restore_undecided(&mut self, undecided: Undecided) {
        self.undecided = undecided;
    }
    /// What the cloud holds without a verdict, as far as the held pages tell.
    pub fn undecided(&self) -> &Undecided {
        &self.undecided
    }

    /// The end of what is held.
    pub fn head(&self) -> FeedHead {
        FeedHead {
            position: self.held.0,
            hash: self.held.1.prefix(),
        }
    }
    /// How another's head stands to what is held here.
    pub fn fit(&self, head: FeedHead) -> HeadFit {
        self.ends.fit(head)
    }
    /// The last end of a held page before a position, as far as they are known.
    pub fn end_before(&self, position: u64) -> Option<u64> {
        self.ends.before(position)
    }

    /// The last held position, 0 if none.
    pub fn held(&self) -> u64 {
        self.held.0
    }
    /// The last folded position.
    pub fn folded(&self) -> u64 {
        self.folded
    }
    /// The last counter of an epoch that the cloud says it holds, 0 if none.
    pub fn cloud_holds(&self, author: Author) -> u64 {
        self.cloud_holds.get(&author).copied().unwrap_or(0)
    }
    /// Whether the cloud says that it holds a dot.
    pub fn cloud_has(&self, dot: Dot) -> bool {
        self.cloud_holds(dot.author) >= dot.counter
    }
    /// Whether another page can be kept while its bundles are missing.
    pub fn has_room(&self) -> bool {
        self.unfolded.len() < limits::UNFOLDED_PAGES
    }

    /// Takes a verified page in. `Ok(true)` if it continues the feed, `Ok(false)` if it is held or lies ahead.
    pub fn hold(&mut self, page: Page) -> Result<bool, PageError> {
        if self.ends.contradict(&page) {
            let position = page.body.first;
            return Err(PageError::Broken { position });
        }
        if page.body.first != self.held.0 + 1 || !self.has_room() {
            return Ok(false);
        }
        if page.body.prev != self.held.1 {
            let position = page.body.first;
            return Err(PageError::Broken { position });
        }
        self.held = (page.last(), page.hash());
        self.ends.push(self.held);
        for named in page.named() {
            let held = self.cloud_holds.entry(named.author).or_default();
            *held = named.last.max(*held);
        }
        let entries = page.body.entries.iter();
        entries.for_each(|entry| self.undecided.note(entry));
        self.unfolded.push_back(page);
        Ok(true)
    }

    /// Keeps a stored page that is not folded yet, at a start.
    pub fn restore_unfolded(&mut self, page: Page) {
        // The bundles that it names are among what the cloud holds already.
        let news = page.body.entries.iter();
        news.filter(|entry| !matches!(entry, Entry::Bundle { .. }))
            .for_each(|entry| self.undecided.note(entry));
        self.unfolded.push_back(page);
    }

    /// The next page if everything that it decides is applied.
    pub fn next_foldable(&mut self, log: &LogIndex) -> Option<Page> {
        let page = self.unfolded.front()?;
        let ready = page.body.entries.iter().all(|entry| match entry {
            Entry::Stuck { dot, .. } => log.is_applied(*dot),
            entry => entry
                .decided()
                .is_none_or(|(author, _, last)| log.is_applied(author.at(last))),
        });
        if !ready {
            return None;
        }
        let page = self.unfolded.pop_front()?;
        self.folded = page.last();
        Some(page)
    }
}
