-- Every live entity's natural key as a short hash in its own row; `natural_key` holds only the claims to keys that several live
-- entities have. The index is made anew at the next write, since no naming is noted.
ALTER TABLE entity ADD COLUMN name_key INTEGER;
CREATE INDEX entity_name_key ON entity (name_key) WHERE name_key IS NOT NULL;
DELETE FROM natural_key;
DELETE FROM key_conflict;
UPDATE entity SET twin = 0 WHERE twin = 1;
DELETE FROM meta WHERE key = 'naming';
