-- What was done to the studio at this machine, for people. Lines are only added: no other statement touches one, and of each kind
-- the newest 5,000 stay, so that a flood of one kind pushes out nothing of another.
DROP TABLE audit_log;
CREATE TABLE audit_log (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    at INTEGER NOT NULL, -- wall clock, ms
    kind TEXT NOT NULL,
    device BLOB, -- whose hand it was; none: the root key's, or nobody's
    actor TEXT NOT NULL, -- the person, as far as known
    what TEXT NOT NULL CHECK (length(what) <= 400)
);
CREATE INDEX audit_kind ON audit_log (kind, id);
CREATE TRIGGER audit_never_changes BEFORE UPDATE ON audit_log
BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
CREATE TRIGGER audit_never_replaced BEFORE INSERT ON audit_log
WHEN new.id > 0 AND EXISTS (SELECT 1 FROM audit_log WHERE id = new.id)
BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
CREATE TRIGGER audit_grows_at_its_end AFTER INSERT ON audit_log
WHEN new.id < (SELECT max(id) FROM audit_log)
BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
CREATE TRIGGER audit_stays BEFORE DELETE ON audit_log
WHEN (SELECT count(*) FROM audit_log WHERE kind = old.kind AND id >= old.id) <= 5000
BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
CREATE TRIGGER audit_bounded AFTER INSERT ON audit_log
BEGIN
    DELETE FROM audit_log WHERE kind = new.kind AND id <=
        (SELECT id FROM audit_log WHERE kind = new.kind ORDER BY id DESC LIMIT 1 OFFSET 5000);
END;
