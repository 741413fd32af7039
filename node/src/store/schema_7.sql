-- Dead letters of every machine, found by their entity; what stands in the place of a command, or gives it up.
CREATE INDEX dead_letter_open ON dead_letter (entity, code) WHERE settled IS NULL;

CREATE TABLE replacement (
    author INTEGER NOT NULL, -- of the command that is replaced
    counter INTEGER NOT NULL,
    by_author INTEGER NOT NULL,
    by_counter INTEGER NOT NULL,
    kind TEXT NOT NULL, -- fixed, discarded
    PRIMARY KEY (author, counter, by_author, by_counter)
) WITHOUT ROWID;
