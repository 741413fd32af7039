//! What was acknowledged, and what the logs on the disks hold of it in the end.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use rusqlite::{Connection, OpenFlags};
use studiovault_protocol::bundle::Bundle;
use studiovault_protocol::command::Change;
use studiovault_protocol::id::{Author, Dot, EntityId};

/// What one writer was told.
#[derive(Default)]
pub(super) struct Written {
    ranges: Vec<(Dot, Dot)>,
    pub(super) unanswered: u64,
}

impl Written {
    pub(super) fn add(&mut self, range: (Dot, Dot)) {
        self.ranges.push(range);
    }

    pub(super) fn transactions(&self) -> u64 {
        self.ranges.len() as u64
    }

    pub(super) fn commands(&self) -> u64 {
        let lengths = self.ranges.iter();
        lengths
            .map(|(first, last)| last.counter - first.counter + 1)
            .sum()
    }
}

/// One log as it lies on a disk.
pub(super) struct LogOf {
    bundles: BTreeMap<(Author, u64), Bundle>,
}

impl LogOf {
    /// The log in a machine's data folder.
    pub(super) fn machine(folder: &Path) -> Result<Self> {
        LogOf::read(&folder.join("studio.db"))
    }

    /// The log in a cloud's folder.
    pub(super) fn cloud(folder: &Path) -> Result<Self> {
        LogOf::read(&folder.join("cloud.db"))
    }

    fn read(path: &Path) -> Result<Self> {
        let opened = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE);
        let database = opened.with_context(|| path.display().to_string())?;
        let check: String = database.query_row("PRAGMA integrity_check", (), |row| row.get(0))?;
        ensure!(check == "ok", "{}: {check}", path.display());
        let mut statement = database.prepare("SELECT bytes FROM log_bundle")?;
        let mut rows = statement.query(())?;
        let mut bundles = BTreeMap::new();
        while let Some(row) = rows.next()? {
            let bundle = Bundle::decode(row.get::<_, Vec<u8>>(0)?)?;
            let twice = bundles.insert((bundle.author(), bundle.first()), bundle);
            ensure!(twice.is_none(), "{} holds a bundle twice", path.display());
        }
        Ok(LogOf { bundles })
    }

    /// Fails with the first acknowledged transaction that is not there.
    pub(super) fn holds(&self, written: &[Written]) -> Result<()> {
        for (first, last) in written.iter().flat_map(|written| &written.ranges) {
            let bundle = self.bundles.get(&(first.author, first.counter));
            let whole = bundle.is_some_and(|bundle| bundle.last() == last.counter);
            ensure!(whole, "the acknowledged transaction {first} is lost");
        }
        Ok(())
    }

    /// The sum of all increments of one entity.
    pub(super) fn increments(&self, entity: EntityId) -> i64 {
        let commands = self.bundles.values().flat_map(Bundle::commands);
        let writes = commands
            .filter(|(_, command)| command.entity == entity)
            .flat_map(|(_, command)| &command.writes);
        let counts = writes.map(|write| match write.change {
            Change::Increment(by) => by,
            _ => 0,
        });
        counts.sum()
    }
}
