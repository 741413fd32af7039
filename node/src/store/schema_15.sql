-- What a letter says stands in the log, and what the cloud said of a command among its verdicts: neither is written a second time.
CREATE TABLE kept AS SELECT author, counter, entity, code, detail, feed_position, rejected_at, settled FROM dead_letter;
DROP TABLE dead_letter; -- and not renamed: the views name it
CREATE TABLE dead_letter (
    author INTEGER NOT NULL,
    counter INTEGER NOT NULL,
    entity BLOB NOT NULL,
    code TEXT NOT NULL,
    detail TEXT NOT NULL,
    feed_position INTEGER NOT NULL, -- 0: no verdict, its device was cut
    rejected_at INTEGER NOT NULL,
    settled TEXT, -- NULL while somebody has to look at it; else fixed, discarded
    PRIMARY KEY (author, counter)
) WITHOUT ROWID;
INSERT INTO dead_letter SELECT * FROM kept;
DROP TABLE kept;
CREATE INDEX dead_letter_open ON dead_letter (entity, code) WHERE settled IS NULL;

-- Only what waits is looked for by its status.
DROP INDEX sync_queue_open;
CREATE INDEX sync_queue_open ON sync_queue (sync_status) WHERE sync_status IN ('pending', 'sent');

-- All of its history is one create: what a verdict takes back of it need not be looked for.
ALTER TABLE entity ADD COLUMN single INTEGER NOT NULL DEFAULT 0;
