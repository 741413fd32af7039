//! Studios, their feeds' heads, their rosters, and the server's own settings.

use studiovault_protocol::id::{Author, DeviceId, Dot, Hash, PublicKey, StudioId};
use studiovault_protocol::membership::SignedRecord;
use studiovault_protocol::merge::StateSum;
use studiovault_protocol::policy::SignedPolicy;
use studiovault_protocol::time::WallMs;

use super::{Cell, Dialect, Row, Session, StoreError, cell, cells};

/// One enrolled studio.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StudioRow {
    /// Names it inside the database.
    pub row: i64,
    /// The studio.
    pub id: StudioId,
    /// For people.
    pub name: String,
    /// Its root key.
    pub root: PublicKey,
    /// The cloud truth as an author of this studio; its epoch is the feed's.
    pub cloud: Author,
    /// The feed's last position and its page's hash.
    pub head: (u64, Hash),
    /// The sum over all entities.
    pub sum: StateSum,
    /// What is accepted as it stands, up to these.
    pub genesis: Vec<Dot>,
    /// Counts its changes.
    pub revision: i64,
}

const COLUMNS: &str = "SELECT row, id, name, root, device, epoch, head, head_hash, state_sum, genesis, revision FROM studio";

fn studio_row(row: Row<'_>) -> Result<StudioRow, StoreError> {
    Ok(StudioRow {
        row: row.get(0)?,
        id: StudioId(cell::bytes(row, 1)?),
        name: row.get(2)?,
        root: PublicKey(cell::bytes(row, 3)?),
        cloud: Author {
            device: DeviceId(cell::bytes(row, 4)?),
            epoch: cell::epoch(row.get(5)?),
        },
        head: (cell::number(row, 6)?, cell::hash(row, 7)?),
        sum: cell::unpack(row, 8, "a state sum")?,
        genesis: match row.cell(9)? {
            Cell::Null => Vec::new(),
            _ => cell::unpack(row, 9, "a genesis")?,
        },
        revision: row.get(10)?,
    })
}

impl Session<'_> {
    /// The studio of that id.
    pub fn studio(&self, id: StudioId) -> Result<Option<StudioRow>, StoreError> {
        let sql = format!("{COLUMNS} WHERE id = ?1");
        self.first(&sql, cells![id.0], studio_row)
    }

    /// Every studio with the last position of its feed.
    pub fn heads(&self) -> Result<Vec<(StudioId, u64)>, StoreError> {
        self.all(
            "SELECT id, head FROM studio ORDER BY row",
            cells![],
            |row| Ok((StudioId(cell::bytes(row, 0)?), cell::number(row, 1)?)),
        )
    }

    /// Enrols a studio; `row` of the argument is ignored, the new one is returned.
    pub fn enrol(&self, studio: &StudioRow, at: WallMs) -> Result<i64, StoreError> {
        self.insert(
            "INSERT INTO studio (id, name, root, device, epoch, head, head_hash, state_sum, enrolled_at, genesis)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10) RETURNING row",
            cells![
                studio.id.0,
                studio.name,
                studio.root.0,
                studio.cloud.device.0,
                cell::of_epoch(studio.cloud.epoch),
                cell::signed(studio.head.0),
                studio.head.1.0,
                cell::pack(&studio.sum),
                at.0,
                cell::pack(&studio.genesis)
            ],
        )
    }

    /// Holds a studio against other servers until the transaction ends, and tells its revision.
    pub fn lock(&self, studio: i64) -> Result<i64, StoreError> {
        let sql = match self.transaction.dialect() {
            Dialect::Sqlite => "SELECT revision FROM studio WHERE row = ?1",
            // Rows that name the studio, such as tokens, need not wait.
            Dialect::Postgres => "SELECT revision FROM studio WHERE row = ?1 FOR NO KEY UPDATE",
        };
        let revision = self.first(sql, cells![studio], |row| row.get(0))?;
        revision.ok_or(StoreError::Damaged("a studio that is gone"))
    }

    /// The revision of a studio.
    pub fn revision(&self, studio: i64) -> Result<i64, StoreError> {
        let sql = "SELECT revision FROM studio WHERE row = ?1";
        let revision = self.first(sql, cells![studio], |row| row.get(0))?;
        revision.ok_or(StoreError::Damaged("a studio that is gone"))
    }

    /// Counts a change of a studio and announces it to the other servers at the commit.
    pub fn announce(&self, studio: i64) -> Result<i64, StoreError> {
        let sql = "UPDATE studio SET revision = revision + 1 WHERE row = ?1 RETURNING revision";
        let revision = self.first(sql, cells![studio], |row| row.get(0))?;
        if self.transaction.dialect() == Dialect::Postgres {
            let sql = "SELECT CAST(pg_notify('studiovault_changed', CAST(?1 AS TEXT)) AS TEXT)";
            self.all(sql, cells![studio.to_string()], |_| Ok(()))?;
        }
        revision.ok_or(StoreError::Damaged("a studio that is gone"))
    }

    /// Notes the feed's new head and the sum over all entities.
    pub fn set_head(
        &self,
        studio: i64,
        head: (u64, Hash),
        sum: StateSum,
    ) -> Result<(), StoreError> {
        self.run(
            "UPDATE studio SET head = ?2, head_hash = ?3, state_sum = ?4 WHERE row = ?1",
            cells![studio, cell::signed(head.0), head.1.0, cell::pack(&sum)],
        )
    }

    /// All signed records of a studio's roster.
    pub fn grants(&self, studio: i64) -> Result<Vec<SignedRecord>, StoreError> {
        self.all(
            "SELECT bytes FROM grant_record WHERE studio = ?1 ORDER BY row",
            cells![studio],
            |row| cell::unpack(row, 0, "a roster record"),
        )
    }

    /// Keeps a record of the roster.
    pub fn insert_grant(&self, studio: i64, record: &SignedRecord) -> Result<(), StoreError> {
        self.run(
            "INSERT INTO grant_record (studio, bytes) VALUES (?1, ?2) ON CONFLICT DO NOTHING",
            cells![studio, cell::pack(record)],
        )
    }

    /// The signed policies held.
    pub fn policies(&self, studio: i64) -> Result<Vec<SignedPolicy>, StoreError> {
        self.all(
            "SELECT bytes FROM policy_record WHERE studio = ?1 ORDER BY row",
            cells![studio],
            |row| cell::unpack(row, 0, "a signed policy"),
        )
    }

    /// Keeps these signed policies and no others.
    pub fn set_policies<'p>(
        &self,
        studio: i64,
        records: impl Iterator<Item = &'p SignedPolicy>,
    ) -> Result<(), StoreError> {
        self.run(
            "DELETE FROM policy_record WHERE studio = ?1",
            cells![studio],
        )?;
        for record in records {
            self.run(
                "INSERT INTO policy_record (studio, bytes) VALUES (?1, ?2)",
                cells![studio, cell::pack(record)],
            )?;
        }
        Ok(())
    }

    /// The document by which the entities were folded; `None`: the one that came with the program.
    pub fn adopted(&self, studio: i64) -> Result<Option<String>, StoreError> {
        let found = self.first(
            "SELECT policy FROM studio WHERE row = ?1",
            cells![studio],
            |row| row.get::<Option<String>>(0),
        )?;
        Ok(found.flatten())
    }

    /// Notes the document by which the entities are folded from here on.
    pub fn set_adopted(&self, studio: i64, document: &str) -> Result<(), StoreError> {
        self.run(
            "UPDATE studio SET policy = ?2 WHERE row = ?1",
            cells![studio, document],
        )
    }

    /// A setting of the server.
    pub fn setting(&self, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
        self.first(
            "SELECT value FROM setting WHERE name = ?1",
            cells![name],
            |row| row.get(0),
        )
    }

    /// Keeps a setting of the server.
    pub fn set_setting(&self, name: &str, value: &[u8]) -> Result<(), StoreError> {
        self.run(
            "INSERT INTO setting (name, value) VALUES (?1, ?2)
             ON CONFLICT (name) DO UPDATE SET value = excluded.value",
            cells![name, value],
        )
    }
}
