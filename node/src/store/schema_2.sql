-- The cloud is sent bundles in the order of their application.
CREATE UNIQUE INDEX log_bundle_applied ON log_bundle (applied) WHERE applied IS NOT NULL;
