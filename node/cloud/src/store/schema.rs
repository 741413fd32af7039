//! The tables, version by version. A landed version is never changed, only followed by another.

use std::path::Path;

use rusqlite::Connection;
use rusqlite_migration::{Error, M, MigrationDefinitionError, Migrations};

use super::StoreError;

/// Every version's tables, in SQLite's words.
pub const VERSIONS: [&str; 7] = [FIRST, SECOND, THIRD, FOURTH, FIFTH, SIXTH, SEVENTH];

/// Integer row ids carry the load; each UUID has one unique index. Times are milliseconds since 1970, hashes and ids bare
/// bytes, structs of the protocol postcard.
const FIRST: &str = "
CREATE TABLE setting (name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;

CREATE TABLE studio (
  row INTEGER PRIMARY KEY,
  id BLOB NOT NULL UNIQUE,
  name TEXT NOT NULL,
  root BLOB NOT NULL,
  device BLOB NOT NULL,
  epoch INTEGER NOT NULL,
  head INTEGER NOT NULL,
  head_hash BLOB NOT NULL,
  state_sum BLOB NOT NULL,
  enrolled_at INTEGER NOT NULL
);

CREATE TABLE grant_record (
  row INTEGER PRIMARY KEY,
  studio INTEGER NOT NULL REFERENCES studio(row),
  bytes BLOB NOT NULL,
  UNIQUE (studio, bytes)
);

CREATE TABLE token (
  row INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  hash BLOB NOT NULL UNIQUE,
  studio INTEGER NOT NULL REFERENCES studio(row),
  device BLOB,
  scopes TEXT NOT NULL,
  created_at INTEGER NOT NULL
);

CREATE TABLE author (
  studio INTEGER NOT NULL REFERENCES studio(row),
  device BLOB NOT NULL,
  epoch INTEGER NOT NULL,
  parent_epoch INTEGER,
  parent_counter INTEGER,
  start INTEGER NOT NULL,
  counter INTEGER NOT NULL,
  hash BLOB NOT NULL,
  past BLOB NOT NULL,
  PRIMARY KEY (studio, device, epoch)
) WITHOUT ROWID;

CREATE TABLE log_bundle (
  row INTEGER PRIMARY KEY,
  studio INTEGER NOT NULL REFERENCES studio(row),
  device BLOB NOT NULL,
  epoch INTEGER NOT NULL,
  first INTEGER NOT NULL,
  last INTEGER NOT NULL,
  position INTEGER NOT NULL,
  past BLOB NOT NULL,
  bytes BLOB NOT NULL
);
CREATE UNIQUE INDEX log_bundle_author ON log_bundle (studio, device, epoch, first);

CREATE TABLE feed_page (
  row INTEGER PRIMARY KEY,
  studio INTEGER NOT NULL REFERENCES studio(row),
  last INTEGER NOT NULL,
  hash BLOB NOT NULL,
  bytes BLOB NOT NULL
);
CREATE UNIQUE INDEX feed_page_position ON feed_page (studio, last);

CREATE TABLE entity (
  row INTEGER PRIMARY KEY,
  studio INTEGER NOT NULL REFERENCES studio(row),
  id BLOB NOT NULL,
  type TEXT NOT NULL,
  live INTEGER NOT NULL,
  orphan INTEGER NOT NULL,
  state BLOB NOT NULL,
  shown TEXT NOT NULL
);
CREATE UNIQUE INDEX entity_id ON entity (studio, id);
CREATE INDEX entity_type ON entity (studio, type);

CREATE TABLE command (
  row INTEGER PRIMARY KEY,
  studio INTEGER NOT NULL REFERENCES studio(row),
  id BLOB NOT NULL,
  content BLOB NOT NULL,
  repeats INTEGER NOT NULL,
  bundle INTEGER NOT NULL REFERENCES log_bundle(row),
  counter INTEGER NOT NULL,
  entity INTEGER,
  position INTEGER,
  outcome BLOB
);
CREATE UNIQUE INDEX command_id ON command (studio, id) WHERE repeats = 0;
CREATE INDEX command_entity ON command (entity) WHERE entity IS NOT NULL;

CREATE TABLE audit_log (
  row INTEGER PRIMARY KEY,
  at INTEGER NOT NULL,
  studio INTEGER,
  who TEXT NOT NULL,
  device BLOB,
  what TEXT NOT NULL,
  outcome TEXT NOT NULL
);
";

/// Signed policies, the one that the entities were folded by, and what waits for another.
const SECOND: &str = "
CREATE TABLE policy_record (
  row INTEGER PRIMARY KEY,
  studio INTEGER NOT NULL REFERENCES studio(row),
  bytes BLOB NOT NULL,
  UNIQUE (studio, bytes)
);
ALTER TABLE studio ADD COLUMN policy TEXT;
CREATE INDEX command_undecided ON command (studio, row) WHERE position IS NULL;
";

/// Commands are found by their place, undecided ones by their entity; what stands in another's place, and what is stuck. A
/// genesis is postcard, NULL if the feed began with the studio.
const THIRD: &str = "
CREATE UNIQUE INDEX command_place ON command (bundle, counter);
CREATE INDEX command_waits ON command (entity) WHERE position IS NULL AND entity IS NOT NULL;

CREATE TABLE replacement (
  bundle INTEGER NOT NULL,
  counter INTEGER NOT NULL,
  first_bundle INTEGER NOT NULL,
  first_counter INTEGER NOT NULL,
  confirmed INTEGER NOT NULL,
  PRIMARY KEY (bundle, counter)
) WITHOUT ROWID;
CREATE INDEX replacement_first ON replacement (first_bundle, first_counter);

CREATE TABLE stuck (
  bundle INTEGER NOT NULL,
  counter INTEGER NOT NULL,
  detail TEXT NOT NULL,
  PRIMARY KEY (bundle, counter)
) WITHOUT ROWID;

ALTER TABLE studio ADD COLUMN genesis BLOB;
";

/// A studio's revision counts its changes, so that servers which share a database notice each other's.
const FOURTH: &str = "
ALTER TABLE studio ADD COLUMN revision INTEGER NOT NULL DEFAULT 0;
";

/// Codes of machines that sign in, sign-ins and their tokens. Of a refresh token `rotated_at` is NULL while it is live, 0 if it was
/// voided; `parent` is the one that it was given for. Tokens that end stand apart from those that do not: a server of the version
/// before, which knows no end, takes none of them.
const FIFTH: &str = "
CREATE TABLE device_code (
  row INTEGER PRIMARY KEY,
  device_code BLOB NOT NULL UNIQUE,
  user_code BLOB NOT NULL UNIQUE,
  studio BLOB NOT NULL,
  device BLOB,
  name TEXT NOT NULL,
  scope TEXT NOT NULL,
  proven INTEGER NOT NULL,
  decision INTEGER,
  expires_at INTEGER NOT NULL,
  poll_at INTEGER NOT NULL,
  interval_s INTEGER NOT NULL
);
CREATE TABLE sign_in (
  row INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  studio INTEGER NOT NULL REFERENCES studio(row),
  device BLOB,
  name TEXT NOT NULL,
  scope TEXT NOT NULL,
  created_at INTEGER NOT NULL
);
CREATE TABLE access_token (
  row INTEGER PRIMARY KEY,
  hash BLOB NOT NULL UNIQUE,
  sign_in INTEGER NOT NULL REFERENCES sign_in(row),
  expires_at INTEGER NOT NULL
);
CREATE INDEX access_token_sign_in ON access_token (sign_in);
CREATE TABLE refresh_token (
  row INTEGER PRIMARY KEY,
  hash BLOB NOT NULL UNIQUE,
  sign_in INTEGER NOT NULL REFERENCES sign_in(row),
  parent INTEGER,
  rotated_at INTEGER,
  expires_at INTEGER NOT NULL
);
CREATE INDEX refresh_token_sign_in ON refresh_token (sign_in);
CREATE INDEX refresh_token_parent ON refresh_token (parent);
";

/// The newest report of each machine that tells how it fares, as it came.
const SIXTH: &str = "
CREATE TABLE telemetry (
  row INTEGER PRIMARY KEY,
  studio INTEGER NOT NULL REFERENCES studio(row),
  device BLOB NOT NULL,
  at INTEGER NOT NULL,
  report TEXT NOT NULL,
  UNIQUE (studio, device)
);
";

/// Entities whose create was rejected and that have no row, since nothing else is known of them.
const SEVENTH: &str = "
CREATE TABLE orphan (
  studio INTEGER NOT NULL REFERENCES studio(row),
  id BLOB NOT NULL,
  PRIMARY KEY (studio, id)
) WITHOUT ROWID;
";

/// Brings the database to this version's tables, in one transaction.
pub fn migrate(connection: &mut Connection, path: &Path) -> Result<(), StoreError> {
    let migrations = Migrations::new(VERSIONS.map(M::up).to_vec());
    migrations
        .to_latest(connection)
        .map_err(|error| match error {
            Error::MigrationDefinition(MigrationDefinitionError::DatabaseTooFarAhead) => {
                StoreError::Newer(path.display().to_string())
            }
            Error::RusqliteError { err, .. } => err.into(),
            _ => StoreError::Damaged("the version of the tables"),
        })
}
