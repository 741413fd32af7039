-- The natural keys of live entities, those of one key in the order in which they keep it: a pure function of the entities.
CREATE TABLE natural_key (
    entity INTEGER PRIMARY KEY,
    key BLOB NOT NULL,
    place BLOB NOT NULL, -- by acceptance, then by dot: the first keeps the name
    claim BLOB NOT NULL
);
CREATE UNIQUE INDEX natural_key_key ON natural_key (key, place);

-- Keys that more than one live entity has.
CREATE TABLE key_conflict (
    id TEXT PRIMARY KEY,
    key BLOB NOT NULL UNIQUE,
    type INTEGER NOT NULL
) WITHOUT ROWID;

ALTER TABLE entity ADD COLUMN twin INTEGER NOT NULL DEFAULT 0; -- another live entity has its natural key

ALTER TABLE conflict_ledger ADD COLUMN base TEXT; -- JSON: the value that the sides grew from, where known
CREATE INDEX conflict_ledger_entity ON conflict_ledger (entity);
