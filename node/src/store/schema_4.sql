-- Entities that hold something which the policy in force does not know: folded anew when one that does arrives.
ALTER TABLE entity ADD COLUMN opaque INTEGER NOT NULL DEFAULT 0;
CREATE INDEX entity_opaque ON entity (id) WHERE opaque = 1;

-- The studio's signed policies. The text by which the rows were made is `policy_text` in `meta`.
DROP TABLE policy;
CREATE TABLE policy (
    hash BLOB PRIMARY KEY,
    record BLOB NOT NULL
) WITHOUT ROWID;
