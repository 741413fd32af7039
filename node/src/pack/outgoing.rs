//! Making a pack of a folder's store, beside a running node or without one.
//!
//! It holds what the store held at one moment, or the part of it that somebody lacks, and stands in its place only once all of it is
//! on the disk: before that it is a `.part` beside it, under a name that no other export has.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write as _};
use std::path::{Path, PathBuf};

use studiovault_protocol::api::FrontierView;
use studiovault_protocol::frontier::{Range, Reach};
use studiovault_protocol::id::DeviceId;
use studiovault_protocol::limits;
use studiovault_protocol::log::LogIndex;
use studiovault_protocol::membership::{MeshKey, Roster, SignedRecord, Standing};
use studiovault_protocol::pack::{Label, Part, Place, Scope, Sealer};
use studiovault_protocol::policy::{Policy, SignedPolicy};
use studiovault_protocol::wire::Packed;

use super::LEVEL;
use crate::clock;
use crate::config::{ConfigError, FolderLock, Machine, random_bytes, system_user};
use crate::store::{
    AuditKind, AuditLine, Holding, Location, Reader, Slice, SliceRoom, Store, StoreError,
};

/// How much goes into one part before the next begins.
const ROOM: SliceRoom = SliceRoom {
    bytes: limits::FRAME_BYTES,
    items: 4096,
};

/// What a pack is to hold.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Wanted {
    /// All that is held.
    Everything,
    /// What a machine, named so or by its id, has not shown that it holds.
    For(String),
    /// What another machine's frontier lacks.
    Since(Box<FrontierView>),
}

/// What happens to a file that is there already.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Overwrite {
    /// It stays, and nothing is written.
    No,
    /// The pack takes its place.
    Yes,
}

impl Overwrite {
    /// Whether a pack may stand there: nothing that is no plain file is ever replaced.
    pub fn may_take(self, path: &Path) -> Result<(), ExportError> {
        match fs::symlink_metadata(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(disk(path)(error)),
            Ok(_) if self == Self::No => Err(ExportError::Exists(path.to_owned())),
            Ok(facts) if facts.is_file() => Ok(()),
            Ok(_) => Err(ExportError::NoFile(path.to_owned())),
        }
    }

    /// Gives a finished pack its name. Whatever somebody else put there while it was written stays, unless it may be replaced.
    fn put(self, aside: &Path, path: &Path) -> Result<(), ExportError> {
        if self == Self::No {
            match fs::hard_link(aside, path) {
                Ok(()) => {
                    // The pack stands; a second name of it beside it does no harm.
                    let _ = fs::remove_file(aside);
                    return Ok(());
                }
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                    return Err(ExportError::Exists(path.to_owned()));
                }
                // Sticks have no second names for a file: then it is looked at once more and moved.
                Err(_) => {}
            }
        }
        self.may_take(path)?;
        fs::rename(aside, path).map_err(disk(path))
    }
}

/// Why no pack was made. No file of that name was changed.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The folder.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The studio file.
    #[error("the studio file cannot be used: {0}; get it again from the machine that made it")]
    Studio(String),
    /// The person's: no such machine.
    #[error("no machine of the studio is called `{0:.64}`; `studiovault devices` lists them")]
    NoSuchDevice(String),
    /// The person's: a frontier of another studio, or none at all.
    #[error(
        "this is no frontier of a machine of this studio; get one there with `studiovault frontier > FILE`"
    )]
    NoFrontier,
    /// The person's: the file is there.
    #[error("{0} is there already; name another file, or replace it with --force")]
    Exists(PathBuf),
    /// The person's: something is there that is no file.
    #[error("{0} is no plain file, and a pack replaces nothing else; name another file")]
    NoFile(PathBuf),
    /// The disk's or the stick's.
    #[error(
        "{path}: {source}; check that there is room and that you may write there, then try again"
    )]
    Disk {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// A pack that is about to be made.
pub struct Outgoing {
    reader: Reader,
    key: MeshKey,
    label: Label,
    records: Vec<SignedRecord>,
    policies: Vec<SignedPolicy>,
    ranges: Vec<Range>,
    /// The last position of the log.
    upto: u64,
    /// The positions of the feed between which pages are taken.
    feed: (u64, u64),
    /// If no node runs: the folder is taken meanwhile, and its schema is this program's.
    own: Option<(Store, FolderLock)>,
}

/// A folder as it is read for a pack.
struct Opened {
    reader: Reader,
    holding: Holding,
    log: LogIndex,
    roster: Roster,
    own: Option<(Store, FolderLock)>,
}

impl Opened {
    fn of(machine: &Machine) -> Result<Self, ExportError> {
        let own = match machine.folder.lock() {
            Ok(lock) => {
                let folder = machine.folder.path().to_owned();
                let store = Store::open(Location::Folder(folder), &Policy::default())?;
                Some((store, lock))
            }
            // A node runs, and goes on.
            Err(ConfigError::Busy(_)) => None,
            Err(error) => return Err(error.into()),
        };
        let reader = Reader::open(machine.folder.path())?;
        let holding = reader.read(|view| view.holding())?;
        let log = LogIndex::restore(holding.chains.clone());
        let mut roster = machine.studio.roster().map_err(ExportError::Studio)?;
        // A stored record was checked when it came; one that no longer passes is left out.
        roster.extend(holding.records.clone());
        Ok(Self {
            reader,
            holding,
            log,
            roster,
            own,
        })
    }

    /// How far whoever gets the pack is known to hold logs and feed, and what the pack is then called.
    fn known(&self, wanted: &Wanted) -> Result<(Reach, u64, Scope), ExportError> {
        match wanted {
            Wanted::Everything => Ok((Reach::default(), 0, Scope::Everything)),
            Wanted::For(name) => {
                let device = named(&self.roster, name)?;
                let scope = Scope::For(self.roster.name(device).to_owned());
                Ok((shown_by(&self.log, device), 0, scope))
            }
            Wanted::Since(view) => {
                let is_ours = view.studio == self.roster.studio();
                let reach = view.reach().filter(|_| is_ours);
                let reach = reach.ok_or(ExportError::NoFrontier)?;
                Ok((reach, view.feed, Scope::Since))
            }
        }
    }
}

impl Outgoing {
    /// What a machine's folder holds now, for somebody else.
    pub fn frontier(machine: &Machine) -> Result<FrontierView, ExportError> {
        let opened = Opened::of(machine)?;
        let feed = opened.holding.feed;
        Ok(FrontierView {
            studio: machine.studio.studio,
            device: machine.identity.device,
            name: machine.identity.name.clone(),
            at: clock::wall(),
            feed,
            held: FrontierView::dots(&opened.log.frontier(feed)),
        })
    }

    /// Reads what a machine's folder holds now and decides what of it goes into the pack.
    pub fn plan(machine: &Machine, wanted: &Wanted) -> Result<Self, ExportError> {
        let opened = Opened::of(machine)?;
        let (reach, feed, scope) = opened.known(wanted)?;
        let devices = opened.log.devices();
        let lacking = devices
            .iter()
            .flat_map(|device| opened.log.lacking(&reach, *device));
        let ranges: Vec<Range> = lacking.collect();
        let feed = (feed, opened.holding.feed);
        let (bundles, pages) = opened
            .reader
            .read(|view| Ok((view.bundles_in(&ranges)?, view.pages_in(feed)?)))?;
        let label = Label {
            studio: machine.studio.studio,
            device: machine.identity.device,
            name: machine.identity.name.clone(),
            at: clock::wall(),
            scope,
            bundles,
            pages,
        };
        Ok(Self {
            reader: opened.reader,
            key: MeshKey(machine.studio.mesh_key.0),
            label,
            records: opened.roster.records().cloned().collect(),
            policies: opened.holding.policies,
            ranges,
            upto: opened.holding.position,
            feed,
            own: opened.own,
        })
    }

    /// What the pack holds.
    pub fn label(&self) -> &Label {
        &self.label
    }

    /// Notes in the audit log that the pack is made; `false` if a node runs, which has to be told instead.
    pub fn note(&mut self) -> Result<bool, ExportError> {
        let Some((store, _)) = &mut self.own else {
            return Ok(false);
        };
        let line = AuditLine {
            kind: AuditKind::Export,
            device: None,
            actor: system_user(),
            what: self.label.made_words(),
        };
        let mut batch = store.begin()?;
        batch.audit(&line, self.label.at)?;
        batch.commit()?;
        Ok(true)
    }

    /// Writes the pack, and how many bytes it has. `told` hears how many bundles and pages are written.
    pub fn write(
        &self,
        path: &Path,
        overwrite: Overwrite,
        told: &mut dyn FnMut(u64),
    ) -> Result<u64, ExportError> {
        overwrite.may_take(path)?;
        let (aside, file) = aside(path)?;
        let written = self
            .write_aside((aside.as_path(), file), told)
            .and_then(|bytes| {
                overwrite.put(&aside, path)?;
                settle(path);
                Ok(bytes)
            });
        if written.is_err() {
            // What is there of it is of no use; on a stick that is gone it is gone as well.
            let _ = fs::remove_file(&aside);
        }
        written
    }

    fn write_aside(
        &self,
        (path, file): (&Path, File),
        told: &mut dyn FnMut(u64),
    ) -> Result<u64, ExportError> {
        let (sealer, head) = Sealer::new(&self.key, random_bytes());
        let mut out = Out {
            file: BufWriter::with_capacity(1 << 18, file),
            path,
            sealer,
            bytes: 0,
        };
        out.raw(&head)?;
        out.part(&Part::Label(self.label.clone()))?;
        self.signed(&mut out)?;
        let mut at = 0;
        loop {
            let place = (at, self.upto);
            let slice = self
                .reader
                .read(|view| view.log_slice(&self.ranges, place, ROOM))?;
            let Some((bundles, next)) = packed(slice) else {
                break;
            };
            told(bundles.len() as u64);
            out.part(&Part::Bundles(bundles))?;
            at = next;
        }
        let room = SliceRoom {
            items: limits::PACK_PAGES,
            ..ROOM
        };
        let (mut at, upto) = self.feed;
        loop {
            let slice = self.reader.read(|view| view.feed_slice((at, upto), room))?;
            let Some((pages, next)) = packed(slice) else {
                break;
            };
            told(pages.len() as u64);
            out.part(&Part::Pages(pages))?;
            at = next;
        }
        out.end()
    }

    /// The records and policies, in as many parts as it takes.
    fn signed(&self, out: &mut Out<'_>) -> Result<(), ExportError> {
        let mut records = Vec::new();
        let mut bytes = 0;
        for record in &self.records {
            let length = postcard::to_stdvec(record).map_or(0, |bytes| bytes.len());
            if bytes + length > ROOM.bytes && !records.is_empty() {
                out.records(std::mem::take(&mut records))?;
                bytes = 0;
            }
            bytes += length;
            records.push(record.clone());
        }
        out.records(records)?;
        for policy in &self.policies {
            out.part(&Part::Signed {
                records: Vec::new(),
                policies: vec![policy.clone()],
            })?;
        }
        Ok(())
    }
}

/// The file that is being written.
struct Out<'p> {
    file: BufWriter<File>,
    path: &'p Path,
    sealer: Sealer,
    bytes: u64,
}

impl Out<'_> {
    fn raw(&mut self, bytes: &[u8]) -> Result<(), ExportError> {
        self.file.write_all(bytes).map_err(disk(self.path))?;
        self.bytes += bytes.len() as u64;
        Ok(())
    }

    fn part(&mut self, part: &Part) -> Result<(), ExportError> {
        self.chunk(part, Place::Middle)
    }

    fn records(&mut self, records: Vec<SignedRecord>) -> Result<(), ExportError> {
        let policies = Vec::new();
        self.part(&Part::Signed { records, policies })
    }

    fn chunk(&mut self, part: &Part, place: Place) -> Result<(), ExportError> {
        let packed = zstd::bulk::compress(&part.encode(), LEVEL);
        let packed = packed.expect("compression into memory succeeds");
        let chunk = self.sealer.chunk(&packed, place);
        self.raw(&chunk)
    }

    /// The last part; then all of it is on the disk.
    fn end(mut self) -> Result<u64, ExportError> {
        self.chunk(&Part::End, Place::Last)?;
        let file = self.file.into_inner();
        let file = file.map_err(|error| disk(self.path)(error.into_error()))?;
        file.sync_all().map_err(disk(self.path))?;
        Ok(self.bytes)
    }
}

fn packed(slice: Slice) -> Option<(Vec<Packed>, u64)> {
    let items: Vec<Packed> = slice.items.into_iter().map(Packed).collect();
    (!items.is_empty()).then_some((items, slice.at))
}

/// What a machine's own bundles show that it holds: they, and all that it had seen when it wrote the last of them.
fn shown_by(log: &LogIndex, device: DeviceId) -> Reach {
    let mut reach = Reach::default();
    for (author, chain) in log.chains().filter(|(author, _)| author.device == device) {
        reach.extend(author, chain.held.0);
        for dot in chain.past.tips() {
            reach.extend(dot.author, dot.counter);
        }
    }
    reach
}

/// The machine of that name or id; of several with one name the one that belongs.
fn named(roster: &Roster, name: &str) -> Result<DeviceId, ExportError> {
    let meant = roster
        .members()
        .filter(|member| member.grant.name == name || member.grant.device.to_string() == name);
    let mut meant: Vec<_> = meant.collect();
    meant.sort_by_key(|member| member.standing != Standing::Active);
    let first = meant.first();
    first.map_or_else(
        || Err(ExportError::NoSuchDevice(name.to_owned())),
        |member| Ok(member.grant.device),
    )
}

/// A file of our own beside it, which nobody else has: its name is made up anew each time.
fn aside(path: &Path) -> Result<(PathBuf, File), ExportError> {
    let mut aside = path.as_os_str().to_owned();
    let drawn = u64::from_le_bytes(random_bytes());
    aside.push(format!(".{drawn:016x}.part"));
    let aside = PathBuf::from(aside);
    let file = File::create_new(&aside).map_err(disk(&aside))?;
    Ok((aside, file))
}

fn disk(path: &Path) -> impl FnOnce(io::Error) -> ExportError {
    let path = path.to_owned();
    move |source| ExportError::Disk { path, source }
}

/// The file's new name is on the disk too, where the system can do that for a folder; the file itself is already.
fn settle(path: &Path) {
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    if let Ok(folder) = File::open(folder.unwrap_or(Path::new("."))) {
        let _ = folder.sync_all();
    }
}
