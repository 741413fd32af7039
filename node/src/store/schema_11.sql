-- Entities that a line of the ledger is about besides the one that it names: all that share a natural key.
CREATE TABLE ledger_party (
    entity BLOB NOT NULL,
    line INTEGER NOT NULL, -- conflict_ledger.id
    PRIMARY KEY (entity, line)
) WITHOUT ROWID;
INSERT OR IGNORE INTO ledger_party (entity, line)
    SELECT entity.uuid, line.id FROM conflict_ledger AS line, json_each(line.sides) AS side
    JOIN entity ON lower(hex(entity.uuid)) = replace(json_extract(side.value, '$.entity'), '-', '')
    WHERE entity.uuid <> line.entity AND line.base IS NULL;
