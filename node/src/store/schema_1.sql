-- The first schema. A released migration is never edited; a table comes with the code that uses it.
CREATE TABLE meta (
    key TEXT PRIMARY KEY,
    value BLOB NOT NULL
) WITHOUT ROWID;

-- Every author that anything here names, under a small number. `start` is NULL until a bundle of it is held.
CREATE TABLE epoch (
    id INTEGER PRIMARY KEY,
    device BLOB NOT NULL,
    epoch INTEGER NOT NULL,
    name TEXT NOT NULL, -- '<device>.<epoch>', as dots are written
    parent_epoch INTEGER,
    parent_counter INTEGER,
    start INTEGER,
    cloud_upto INTEGER NOT NULL DEFAULT 0, -- how far the feed says that the cloud holds it
    UNIQUE (device, epoch)
);

-- The transaction log: append-only, in the order of arrival. `bytes` stands last, so that a scan of the heads reads no blobs.
CREATE TABLE log_bundle (
    position INTEGER PRIMARY KEY,
    author INTEGER NOT NULL,
    first INTEGER NOT NULL,
    last INTEGER NOT NULL,
    applied INTEGER, -- the order of application; NULL while parked
    own INTEGER NOT NULL,
    ends INTEGER NOT NULL, -- bytes of the log up to and with this bundle
    past_at INTEGER, -- the position whose `past` holds for this bundle
    past BLOB, -- what the author had seen of others, only where it moved
    hash BLOB NOT NULL,
    bytes BLOB NOT NULL
);
CREATE UNIQUE INDEX log_bundle_author ON log_bundle (author, first);
CREATE INDEX parked ON log_bundle (author, first) WHERE applied IS NULL;

CREATE TABLE entity_type (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE
);

-- Materialised state. The siblings of every field lie inside `state`: a row a sibling costs a third of the speed.
CREATE TABLE entity (
    id INTEGER PRIMARY KEY,
    uuid BLOB NOT NULL,
    type INTEGER NOT NULL,
    deleted INTEGER NOT NULL,
    confirmed INTEGER NOT NULL,
    conflict INTEGER NOT NULL,
    vv TEXT NOT NULL, -- [[epoch.id, counter], ...] of the commands applied to it, in the order of dots
    shown TEXT NOT NULL, -- JSON, one value a field
    state BLOB NOT NULL
);
CREATE UNIQUE INDEX entity_uuid ON entity (uuid);
CREATE INDEX entity_by_type ON entity (type) WHERE deleted = 0;
CREATE INDEX entity_in_conflict ON entity (type) WHERE conflict = 1;

-- Which bundles touched an entity: its history, and what it is folded from.
CREATE TABLE entity_log (
    entity INTEGER NOT NULL,
    position INTEGER NOT NULL,
    PRIMARY KEY (entity, position)
) WITHOUT ROWID;

CREATE TABLE tombstone (
    entity INTEGER PRIMARY KEY,
    dot TEXT NOT NULL,
    deleted_at INTEGER NOT NULL
);

CREATE TABLE conflict (
    id TEXT PRIMARY KEY,
    entity INTEGER NOT NULL,
    field TEXT, -- NULL for the entity's life
    kind TEXT NOT NULL,
    suggested TEXT NOT NULL,
    rule TEXT NOT NULL,
    clock_suspect INTEGER NOT NULL,
    sides TEXT NOT NULL, -- JSON
    opened_at INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX conflict_entity ON conflict (entity);

-- Every automatic pick and every resolution, for good.
CREATE TABLE conflict_ledger (
    id INTEGER PRIMARY KEY,
    conflict TEXT NOT NULL,
    entity BLOB NOT NULL,
    field TEXT,
    event TEXT NOT NULL, -- opened, changed, closed
    winner TEXT,
    rule TEXT,
    sides TEXT NOT NULL,
    decided_by TEXT NOT NULL, -- the dot of the command, or 'feed <position>'
    decided_at INTEGER NOT NULL
);
CREATE INDEX conflict_ledger_conflict ON conflict_ledger (conflict);

-- The machine's own commands on their way to the cloud truth.
CREATE TABLE sync_queue (
    author INTEGER NOT NULL,
    counter INTEGER NOT NULL,
    id TEXT NOT NULL,
    entity_type TEXT NOT NULL,
    operation TEXT NOT NULL,
    payload_json TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    sync_status TEXT NOT NULL, -- pending, sent, confirmed, rejected
    attempts INTEGER NOT NULL DEFAULT 0,
    next_attempt_at INTEGER,
    last_error TEXT,
    PRIMARY KEY (author, counter)
) WITHOUT ROWID;
CREATE INDEX sync_queue_open ON sync_queue (sync_status) WHERE sync_status <> 'confirmed';

CREATE TABLE dead_letter (
    id INTEGER PRIMARY KEY,
    author INTEGER NOT NULL,
    counter INTEGER NOT NULL,
    command TEXT NOT NULL,
    entity BLOB NOT NULL,
    entity_type TEXT NOT NULL,
    operation TEXT NOT NULL,
    payload_json TEXT NOT NULL,
    code TEXT NOT NULL,
    detail TEXT NOT NULL,
    feed_position INTEGER NOT NULL,
    rejected_at INTEGER NOT NULL,
    settled TEXT, -- NULL while somebody has to look at it; else requeued, discarded
    UNIQUE (author, counter)
);

CREATE TABLE feed (
    first INTEGER PRIMARY KEY,
    last INTEGER NOT NULL,
    hash BLOB NOT NULL,
    bytes BLOB NOT NULL
);

CREATE TABLE verdict (
    author INTEGER NOT NULL,
    first INTEGER NOT NULL,
    last INTEGER NOT NULL,
    position INTEGER NOT NULL,
    rejected INTEGER NOT NULL, -- how many of them
    exceptions BLOB NOT NULL, -- those that were not simply accepted
    PRIMARY KEY (author, first)
) WITHOUT ROWID;

CREATE TABLE roster (
    hash BLOB PRIMARY KEY,
    record BLOB NOT NULL
) WITHOUT ROWID;

CREATE TABLE policy (
    hash BLOB PRIMARY KEY,
    version INTEGER NOT NULL,
    document BLOB NOT NULL
) WITHOUT ROWID;

CREATE TABLE audit_log (
    id INTEGER PRIMARY KEY,
    at INTEGER NOT NULL,
    actor TEXT NOT NULL,
    action TEXT NOT NULL,
    detail TEXT NOT NULL
);
