-- The sale that a correction or a void names, so that a sale can be shown with both.
ALTER TABLE entity ADD COLUMN sale BLOB;
CREATE INDEX entity_sale ON entity (sale) WHERE sale IS NOT NULL;
UPDATE entity SET sale = unhex(replace(json_extract(shown, '$.order'), '-', ''))
    WHERE type IN (SELECT id FROM entity_type WHERE name IN ('pos_correction', 'pos_void'));
