-- Records in the order in which they came: each stands after those that it rests on.
DROP TABLE roster;
CREATE TABLE roster (
    id INTEGER PRIMARY KEY,
    hash BLOB NOT NULL UNIQUE,
    record BLOB NOT NULL
);

-- What is beyond the cut of a device that was shut out, retired, or admitted by nobody who may, is set aside too.
ALTER TABLE quarantine ADD COLUMN reason TEXT NOT NULL DEFAULT 'rewrites'; -- rewrites, cut
