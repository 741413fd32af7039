-- Since when this machine knows of the delete by its own clock, and whether the content was collected since.
ALTER TABLE tombstone ADD COLUMN noticed_at INTEGER;
ALTER TABLE tombstone ADD COLUMN collected INTEGER NOT NULL DEFAULT 0;
CREATE INDEX tombstone_due ON tombstone (noticed_at) WHERE collected = 0;
-- A number that a mended letter carries on from the command that it stands for; the numbers of its machine do not go on from it.
ALTER TABLE receipt ADD COLUMN carried INTEGER NOT NULL DEFAULT 0;
