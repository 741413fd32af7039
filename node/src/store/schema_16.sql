-- Bundles beyond a split of their author's chain: no part of the log, kept to be shown.
CREATE TABLE evidence (
    author INTEGER NOT NULL,
    first INTEGER NOT NULL,
    last INTEGER NOT NULL,
    own INTEGER NOT NULL,
    hash BLOB NOT NULL,
    bytes BLOB NOT NULL,
    PRIMARY KEY (author, first, hash)
);
