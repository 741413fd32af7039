//! The shared database: a PostgreSQL in front of which any number of servers stand.
//!
//! A transaction that writes holds its studio's row (`Session::lock`) until its commit, so a studio's feed has one writer at
//! a time whoever it is, and no reader ever sees a later page before an earlier one. A server that dies in the middle takes
//! its transaction with it.

mod link;
mod notices;
mod tables;
mod tls;

use std::cell::RefCell;
use std::collections::HashMap;
use std::ops::ControlFlow;
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio_postgres::Statement;
use tokio_postgres::types::ToSql;

use self::link::Link;
use super::StoreError;
use super::cell::Cell;
use super::database::{Access, Dialect, EachRow, Row, Transaction, TruthStore};

/// Connections of one server at most; PostgreSQL's own default allows 100 for all.
const CONNECTIONS: usize = 12;
/// How long a request waits for a connection before it is told to come again.
const PATIENCE: Duration = Duration::from_secs(10);
/// So many rows go with one statement, as many as there are. A few sizes, so that few statements are prepared; 512 rows of the widest
/// table have a fourteenth of the parameters that a statement may have.
const RUNS: [usize; 5] = [512, 128, 32, 8, 1];
/// Asked of every connection. A commit is durable before it is told; a server that hangs with a studio's lock loses it.
const SETTINGS: &str =
    "SET synchronous_commit = on; SET client_min_messages = warning; SET lock_timeout = '10s';
    SET idle_in_transaction_session_timeout = '30s'; SET statement_timeout = '120s'";

/// A PostgreSQL by its address.
pub struct Postgres {
    config: tokio_postgres::Config,
    pool: Mutex<Pool>,
    freed: Condvar,
}

#[derive(Default)]
struct Pool {
    idle: Vec<Session>,
    open: usize,
}

/// A connection with the statements that it has prepared.
struct Session {
    link: Link,
    statements: RefCell<HashMap<String, Statement>>,
}

impl Postgres {
    /// Connects, and brings the database to this version's tables.
    pub fn open(address: &str) -> Result<Self, StoreError> {
        let mut config: tokio_postgres::Config = address
            .parse()
            .map_err(|error: tokio_postgres::Error| StoreError::Address(error.to_string()))?;
        config.application_name("studiovault cloud");
        config.connect_timeout(Duration::from_secs(10));
        config.keepalives_idle(Duration::from_secs(30));
        let database = Self {
            config,
            pool: Mutex::default(),
            freed: Condvar::new(),
        };
        let mut session = database.connect()?;
        tables::migrate(&mut session.link)?;
        let mut pool = database.pool.lock().unwrap_or_else(PoisonError::into_inner);
        pool.open += 1;
        pool.idle.push(session);
        drop(pool);
        Ok(database)
    }

    fn connect(&self) -> Result<Session, StoreError> {
        let link = Link::open(&self.config)?;
        link.run(link.client.batch_execute(SETTINGS))?;
        Ok(Session {
            link,
            statements: RefCell::default(),
        })
    }

    /// A connection of its own for as long as it is needed.
    fn take(&self) -> Result<Session, StoreError> {
        let until = Instant::now() + PATIENCE;
        let mut pool = self.pool.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            while let Some(session) = pool.idle.pop() {
                if !session.link.is_closed() {
                    return Ok(session);
                }
                pool.open -= 1;
            }
            if pool.open < CONNECTIONS {
                pool.open += 1;
                drop(pool);
                let connected = self.connect();
                if connected.is_err() {
                    self.give_up();
                }
                return connected;
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(StoreError::Away("every connection is in use".into()));
            }
            let waited = self.freed.wait_timeout(pool, left);
            pool = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn give_back(&self, session: Session) {
        let mut pool = self.pool.lock().unwrap_or_else(PoisonError::into_inner);
        pool.idle.push(session);
        self.freed.notify_one();
    }

    /// A connection is gone.
    fn give_up(&self) {
        let mut pool = self.pool.lock().unwrap_or_else(PoisonError::into_inner);
        pool.open -= 1;
        self.freed.notify_one();
    }
}

impl TruthStore for Postgres {
    fn begin(&self, access: Access) -> Result<Box<dyn Transaction + '_>, StoreError> {
        let words = match access {
            Access::Read => "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
            Access::Write => "BEGIN ISOLATION LEVEL READ COMMITTED",
        };
        // A connection that a restart of the database has cut shows it at its first use.
        for _ in 0..=CONNECTIONS {
            let session = self.take()?;
            let open = Open {
                database: self,
                session: Some(session),
                done: RefCell::new(false),
            };
            match open.link().run(open.link().client.batch_execute(words)) {
                Ok(()) => return Ok(Box::new(open)),
                Err(_) if open.link().is_closed() => drop(open),
                Err(error) => return Err(error),
            }
        }
        Err(StoreError::Away("the connections break".into()))
    }

    fn dialect(&self) -> Dialect {
        Dialect::Postgres
    }

    fn follow(&self, changed: &mut dyn FnMut(Option<i64>) -> ControlFlow<()>) {
        notices::follow(&self.config, changed);
    }
}

/// One open transaction; rolled back when it is dropped without a commit.
struct Open<'a> {
    database: &'a Postgres,
    session: Option<Session>,
    done: RefCell<bool>,
}

impl Open<'_> {
    fn session(&self) -> &Session {
        self.session.as_ref().expect("it leaves only in drop")
    }

    fn link(&self) -> &Link {
        &self.session().link
    }

    fn prepared(&self, sql: &str) -> Result<Statement, StoreError> {
        let session = self.session();
        if let Some(statement) = session.statements.borrow().get(sql) {
            return Ok(statement.clone());
        }
        let words = tables::placeholders(sql);
        let statement = session.link.run(session.link.client.prepare(&words))?;
        let mut statements = session.statements.borrow_mut();
        statements.insert(sql.to_owned(), statement.clone());
        Ok(statement)
    }
}

/// Cells as the driver takes them.
fn parameters<'c>(cells: &'c [Cell<'c>]) -> Vec<&'c (dyn ToSql + Sync)> {
    cells.iter().map(|cell| cell as _).collect()
}

impl Transaction for Open<'_> {
    fn execute(&self, sql: &str, cells: &[Cell<'_>]) -> Result<usize, StoreError> {
        let link = self.link();
        if cells.is_empty() {
            return link.run(link.client.batch_execute(sql)).map(|()| 0);
        }
        let statement = self.prepared(sql)?;
        let touched = link.run(link.client.execute(&statement, &parameters(cells)))?;
        Ok(usize::try_from(touched).unwrap_or(usize::MAX))
    }

    fn execute_many(&self, sql: &str, rows: &[Vec<Cell<'_>>]) -> Result<(), StoreError> {
        let mut rest = rows;
        while let Some(run) = RUNS.into_iter().find(|run| *run <= rest.len()) {
            let (run, beyond) = rest.split_at(run);
            self.execute(&tables::rows(sql, run.len()), &run.concat())?;
            rest = beyond;
        }
        Ok(())
    }

    fn query(
        &self,
        sql: &str,
        cells: &[Cell<'_>],
        each: &mut EachRow<'_>,
    ) -> Result<(), StoreError> {
        let link = self.link();
        let statement = self.prepared(sql)?;
        for row in link.run(link.client.query(&statement, &parameters(cells)))? {
            if each(Row(&row))? == ControlFlow::Break(()) {
                break;
            }
        }
        Ok(())
    }

    fn dialect(&self) -> Dialect {
        Dialect::Postgres
    }

    fn commit(self: Box<Self>) -> Result<(), StoreError> {
        self.link()
            .run(self.link().client.batch_execute("COMMIT"))?;
        self.done.replace(true);
        Ok(())
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        let Some(session) = self.session.take() else {
            return;
        };
        let link = &session.link;
        let clean = *self.done.borrow() || link.run(link.client.batch_execute("ROLLBACK")).is_ok();
        if clean && !link.is_closed() {
            self.database.give_back(session);
        } else {
            self.database.give_up();
        }
    }
}
