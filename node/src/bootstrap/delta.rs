//! What of a snapshot this machine holds already: its own log and feed stand in for the segments up to a position, and only those
//! beyond are fetched.
//!
//! Nothing of the old store is believed for that: its bundles and pages go through the engine like those of a chunk, and a log that
//! does not lead to where the segments beyond go on is no base.

use studiovault_protocol::feed::Page;
use studiovault_protocol::frontier::{Range, Reach};
use studiovault_protocol::limits;
use studiovault_protocol::pack::Part;
use studiovault_protocol::snapshot::{ChunkName, Manifest};
use studiovault_protocol::wire::Packed;

use super::loading::whole;
use super::{Bootstrap, BootstrapError, Loaded, Stage};
use crate::pack::Intake;
use crate::store::{Reader, SliceRoom};

/// How much of the old store is taken over at one time.
const ROOM: SliceRoom = SliceRoom {
    bytes: limits::FRAME_BYTES,
    items: 4096,
};
/// The same of its pages.
const PAGES: SliceRoom = SliceRoom {
    items: limits::PACK_PAGES,
    ..ROOM
};

/// The position up to which the machine's own store stands in for a snapshot's segments; 0: for none.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Base(pub(super) u64);

impl Base {
    /// Whether the store stands in for anything.
    pub fn is_some(self) -> bool {
        self.0 > 0
    }

    /// The chunks that have to be fetched, with their places: the signed records, and the segments beyond.
    pub(super) fn beyond(self, manifest: &Manifest) -> impl Iterator<Item = (usize, &ChunkName)> {
        let segments = manifest.body().segments.iter();
        let wanted = segments.flat_map(move |segment| {
            let is_wanted = segment.upto == 0 || segment.upto > self.0;
            segment.chunks.iter().map(move |name| (is_wanted, name))
        });
        let placed = wanted.enumerate();
        placed.filter_map(|(place, (is_wanted, name))| is_wanted.then_some((place, name)))
    }

    /// Bytes of these.
    pub(super) fn packed_bytes(self, manifest: &Manifest) -> u64 {
        let beyond = self.beyond(manifest);
        beyond.map(|(_, name)| u64::from(name.packed)).sum()
    }
}

impl Bootstrap {
    /// How far the store that is there can stand in: to the last segment whose end is the end of a page that it holds.
    pub fn base(&self, manifest: &Manifest) -> Result<Base, BootstrapError> {
        let body = manifest.body();
        let held = self.held.filter(|held| held.author == body.author);
        let held = held.map_or(0, |held| held.position);
        let reader = Reader::open(self.machine.folder.path())?;
        let ends = body.segments.iter().rev().map(|segment| segment.upto);
        for end in ends.filter(|end| (1..=held).contains(end)) {
            let page = reader.read(|view| view.page_to(end))?;
            // Where the snapshot ends its manifest says which page it is; before, the segments beyond do.
            let is_it = |bytes: Vec<u8>| {
                let is_head = |page: Page| page.hash() == body.head;
                end < body.position || Page::decode(bytes).is_ok_and(is_head)
            };
            if page.is_some_and(is_it) {
                return Ok(Base(end));
            }
        }
        Ok(Base::default())
    }

    /// Takes in what the segments up to the base hold, from the store that is there.
    pub(super) fn take_base(
        &self,
        intake: &mut Intake,
        (base, loaded): (Base, &mut Loaded),
        told: &mut dyn FnMut(Stage, u64, u64),
    ) -> Result<(), BootstrapError> {
        let reader = Reader::open(self.machine.folder.path())?;
        let ranges = named(&reader, base)?;
        let upto = reader.read(|view| view.holding())?.position;
        let mut tell = |at| told(Stage::TakingOver, at, upto);
        loaded.bundles += take_bundles(intake, (&reader, &ranges, upto), &mut tell)?;
        loaded.pages += take_pages(intake, (&reader, base.0))?;
        let feed = intake.driver().engine().feed();
        if (feed.held(), feed.folded()) != (base.0, base.0) {
            let reason = "this machine's own log lacks what its feed names".to_owned();
            return Err(BootstrapError::Refused(reason));
        }
        Ok(())
    }
}

/// What the pages up to the base name.
fn named(reader: &Reader, base: Base) -> Result<Vec<Range>, BootstrapError> {
    let (mut reach, mut at) = (Reach::default(), 0);
    while at < base.0 {
        let slice = reader.read(|view| view.feed_slice((at, base.0), PAGES))?;
        if slice.items.is_empty() {
            break;
        }
        at = slice.at;
        // One that was damaged is noticed when it is taken in.
        let pages = slice.items.into_iter().map(Page::decode);
        for page in pages.filter_map(Result::ok) {
            for named in page.named() {
                reach.extend(named.author, named.last);
            }
        }
    }
    let ranges = reach.iter().map(|(author, upto)| Range {
        author,
        after: 0,
        upto,
    });
    Ok(ranges.collect())
}

/// Takes bundles in that a store holds up to a position of its log, in its order; how many were new. `told` hears the position.
pub(super) fn take_bundles(
    intake: &mut Intake,
    (reader, ranges, upto): (&Reader, &[Range], u64),
    told: &mut dyn FnMut(u64),
) -> Result<u64, BootstrapError> {
    let (mut at, mut taken) = (0, 0);
    loop {
        let slice = reader.read(|view| view.log_slice(ranges, (at, upto), ROOM))?;
        if slice.items.is_empty() {
            return Ok(taken);
        }
        at = slice.at;
        let bundles = slice.items.into_iter().map(Packed).collect();
        taken += intake.take(Part::Bundles(bundles))?.bundles.new;
        told(at);
    }
}

/// Takes a store's pages in, from where the feed ends up to a position; how many were new.
pub(super) fn take_pages(
    intake: &mut Intake,
    (reader, upto): (&Reader, u64),
) -> Result<u64, BootstrapError> {
    let (mut at, mut taken) = (intake.driver().engine().feed().held(), 0);
    while at < upto {
        let slice = reader.read(|view| view.feed_slice((at, upto), PAGES))?;
        if slice.items.is_empty() {
            break;
        }
        at = slice.at;
        let pages = slice.items.into_iter().map(Packed).collect();
        taken += whole(intake.take(Part::Pages(pages))?)?.pages.new;
    }
    Ok(taken)
}
