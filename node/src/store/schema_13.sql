-- The first counter of an epoch that the feed names: it may name an epoch of which nothing is here yet.
ALTER TABLE epoch ADD COLUMN cloud_from INTEGER;
UPDATE epoch SET cloud_from = start WHERE cloud_upto > 0;
