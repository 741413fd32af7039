-- The number on the receipt of an entry of the point of sale, with four characters of the entry's hash.
ALTER TABLE entity ADD COLUMN receipt TEXT;

-- Every receipt number by the command that gave it: where a machine's numbers go on.
CREATE TABLE receipt (
    author INTEGER NOT NULL,
    counter INTEGER NOT NULL,
    number TEXT NOT NULL,
    PRIMARY KEY (author, counter)
) WITHOUT ROWID;

-- Commands that would rewrite an append-only entry: held and relayed, never applied.
CREATE TABLE quarantine (
    author INTEGER NOT NULL,
    counter INTEGER NOT NULL,
    entity BLOB NOT NULL,
    entity_type TEXT NOT NULL,
    operation TEXT NOT NULL,
    whole INTEGER NOT NULL, -- 1: all of its bundle is set aside with it; 0: this command alone
    actor TEXT NOT NULL,
    written_at INTEGER NOT NULL,
    PRIMARY KEY (author, counter)
) WITHOUT ROWID;
CREATE INDEX quarantine_entity ON quarantine (entity);
