//! Moving everything from the folder's own database into a shared one: row by row, in one transaction over there.
//!
//! The folder's database is marked before that commits, so there is never a moment at which both would go on.

use std::ops::ControlFlow;

use super::cell::Cell;
use super::{Dialect, Session, Store, StoreError, cells};

/// Every table, each after those that it names.
const TABLES: [&str; 19] = [
    "setting",
    "studio",
    "grant_record",
    "token",
    "author",
    "log_bundle",
    "feed_page",
    "entity",
    "command",
    "audit_log",
    "policy_record",
    "replacement",
    "stuck",
    "device_code",
    "sign_in",
    "access_token",
    "refresh_token",
    "telemetry",
    "orphan",
];
/// The mark of a database that was moved; it goes with nothing.
const MOVED: &str = "moved";

impl Store {
    /// Moves all studios of `self` into `to`, which must have none. Tells how many rows went.
    pub fn move_into(&self, to: &Self) -> Result<u64, StoreError> {
        to.write(|there| {
            if there
                .first("SELECT id FROM studio LIMIT 1", cells![], |_| Ok(()))?
                .is_some()
            {
                return Err(StoreError::NotEmpty);
            }
            there.run("DELETE FROM setting WHERE name <> ?1", cells![MOVED])?;
            let mut moved = 0;
            self.read(|here| {
                for table in TABLES {
                    moved += here.copy(there, table)?;
                }
                Ok::<_, StoreError>(())
            })?;
            there.number_on()?;
            self.write(|here| here.set_setting(MOVED, b"yes"))?;
            Ok(moved)
        })
    }

    /// Whether everything was moved elsewhere.
    pub fn is_moved(&self) -> Result<bool, StoreError> {
        let mark: Option<Vec<u8>> = self.read(|session| session.setting(MOVED))?;
        Ok(mark.is_some())
    }
}

impl Session<'_> {
    fn copy(&self, there: &Session<'_>, table: &str) -> Result<u64, StoreError> {
        let columns: Vec<String> = self.all(
            "SELECT name FROM pragma_table_info(?1)",
            cells![table],
            |row| row.get(0),
        )?;
        let places: Vec<String> = (1..=columns.len()).map(|n| format!("?{n}")).collect();
        let (names, places) = (columns.join(", "), places.join(", "));
        let insert = format!("INSERT INTO {table} ({names}) VALUES ({places})");
        let mut moved = 0;
        let rows = format!("SELECT {names} FROM {table}");
        self.transaction.query(&rows, cells![], &mut |row| {
            let cells: Result<Vec<Cell<'_>>, StoreError> =
                (0..columns.len()).map(|at| row.cell(at)).collect();
            let cells = cells?;
            if table == "setting" && cells[0] == Cell::Text(MOVED) {
                return Ok(ControlFlow::Continue(()));
            }
            there.run(&insert, &cells)?;
            moved += 1;
            Ok(ControlFlow::Continue(()))
        })?;
        Ok(moved)
    }

    /// Lets new rows be numbered after those that were copied.
    fn number_on(&self) -> Result<(), StoreError> {
        if self.transaction.dialect() == Dialect::Sqlite {
            return Ok(());
        }
        let numbered = TABLES.iter().filter(|table| {
            ![
                "setting",
                "author",
                "replacement",
                "stuck",
                "entity",
                "orphan",
            ]
            .contains(table)
        });
        for table in numbered {
            let sql = format!(
                "SELECT setval(pg_get_serial_sequence('{table}', 'row'), (SELECT coalesce(max(row), 0) + 1 FROM {table}))"
            );
            self.first(&sql, cells![], |_| Ok(()))?;
        }
        let runs =
            "SELECT setval('entity_run', (SELECT coalesce(max(row), 0) / 10000 + 1 FROM entity))";
        self.first(runs, cells![], |_| Ok(()))?;
        Ok(())
    }
}
