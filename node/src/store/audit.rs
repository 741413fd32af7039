//! The audit log: what was done to the studio at this machine, a sentence a line.
//!
//! Lines are only ever added; the schema's triggers refuse every other statement and keep the newest of each kind. A line is
//! written in the transaction of what it tells of. It holds names and decisions, never a key, a token or a code.

use rusqlite::params;
use studiovault_protocol::id::{DeviceId, Hash};
use studiovault_protocol::time::WallMs;

use super::{Batch, Store, StoreError, View};

/// Bytes of a sentence; longer ones are cut.
const WHAT_BYTES: usize = 400;
/// Bytes of a person's name; longer ones are cut.
const ACTOR_BYTES: usize = 128;

/// What a line is about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AuditKind {
    /// This folder became a machine of the studio.
    Bootstrap,
    /// An invite was shown, missed, taken back or used.
    Pairing,
    /// A machine was given a place, another one, or its place back.
    Role,
    /// A machine was shut out, retired, or given up.
    Revocation,
    /// A policy was signed.
    Policy,
    /// A conflict was settled here.
    Resolution,
    /// A letter was given up here.
    Discard,
    /// Who carries to the cloud.
    Crown,
    /// A token for the cloud was kept.
    SignIn,
    /// Data left or came as a file.
    Export,
    /// The LAN was switched, hidden or given another key.
    Network,
}

impl AuditKind {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::Bootstrap,
        Self::Pairing,
        Self::Role,
        Self::Revocation,
        Self::Policy,
        Self::Resolution,
        Self::Discard,
        Self::Crown,
        Self::SignIn,
        Self::Export,
        Self::Network,
    ];

    /// Its name in the store and for people.
    pub fn word(self) -> &'static str {
        match self {
            Self::Bootstrap => "bootstrap",
            Self::Pairing => "pairing",
            Self::Role => "role",
            Self::Revocation => "revocation",
            Self::Policy => "policy",
            Self::Resolution => "resolution",
            Self::Discard => "discard",
            Self::Crown => "crown",
            Self::SignIn => "sign-in",
            Self::Export => "export",
            Self::Network => "network",
        }
    }
}

/// A line to be written.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AuditLine {
    /// What it is about.
    pub kind: AuditKind,
    /// Whose hand it was; none: the root key's, or nobody's.
    pub device: Option<DeviceId>,
    /// The person, as far as known.
    pub actor: String,
    /// A sentence.
    pub what: String,
}

/// A line as it was written.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AuditRow {
    /// Its number; later ones are higher.
    pub id: i64,
    /// By this machine's wall clock.
    pub at: WallMs,
    /// The word of its [`AuditKind`].
    pub kind: String,
    /// Whose hand it was.
    pub device: Option<DeviceId>,
    /// The person, as far as known.
    pub actor: String,
    /// A sentence.
    pub what: String,
}

/// A question for lines, the newest first.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct AuditQuestion {
    /// Only this kind.
    pub kind: Option<String>,
    /// Only lines before this one.
    pub before: Option<i64>,
    /// Lines at most.
    pub limit: usize,
}

impl Batch<'_> {
    /// Adds a line.
    pub fn audit(&mut self, line: &AuditLine, at: WallMs) -> Result<(), StoreError> {
        self.guarded(|batch| {
            batch.open()?;
            let device = line.device.map(|device| device.0);
            let (actor, what) = (cut(&line.actor, ACTOR_BYTES), cut(&line.what, WHAT_BYTES));
            batch
                .store
                .connection
                .prepare_cached(
                    "INSERT INTO audit_log (at, kind, device, actor, what) VALUES (?1, ?2, ?3, ?4, ?5)",
                )?
                .execute(params![at.0, line.kind.word(), device, actor, what])?;
            Ok(())
        })
    }
}

impl Store {
    /// Whether a record of the roster is kept.
    pub fn holds_record(&self, hash: Hash) -> Result<bool, StoreError> {
        Ok(self
            .connection
            .prepare_cached("SELECT 1 FROM roster WHERE hash = ?1")?
            .exists([hash.0])?)
    }
}

impl View<'_> {
    /// Lines of the audit log, the newest first.
    pub fn audit(&self, question: &AuditQuestion) -> Result<Vec<AuditRow>, StoreError> {
        let sql = "SELECT id, at, kind, device, actor, what FROM audit_log
             WHERE (?1 IS NULL OR kind = ?1) AND (?2 IS NULL OR id < ?2) ORDER BY id DESC LIMIT ?3";
        let limit = i64::try_from(question.limit).unwrap_or(i64::MAX);
        let asked = params![question.kind, question.before, limit];
        self.gather(sql, asked, |row| {
            Ok(AuditRow {
                id: row.get(0)?,
                at: WallMs(row.get(1)?),
                kind: row.get(2)?,
                device: row.get::<_, Option<[u8; 16]>>(3)?.map(DeviceId),
                actor: row.get(4)?,
                what: row.get(5)?,
            })
        })
    }
}

/// The beginning of a text, whole characters.
fn cut(text: &str, bytes: usize) -> &str {
    &text[..text.floor_char_boundary(bytes)]
}
