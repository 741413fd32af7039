//! The dead-letter bin: commands of any machine that the cloud did not take, or broke on again and again.
//!
//! A function of feed and log: every machine holds the same letters, and a letter is settled by an ordinary command that
//! stands in its place or gives it up, wherever that was written.

use rusqlite::{Connection, params};
use studiovault_protocol::bundle::Bundle;
use studiovault_protocol::command::{Command, Op};
use studiovault_protocol::id::Dot;
use studiovault_protocol::membership::Bar;
use studiovault_protocol::merge::{Code, Outcome, Verdict};
use studiovault_protocol::time::WallMs;

use super::batch::Batch;
use super::{StoreError, history};

/// The code of a letter that has no verdict.
pub(super) const STUCK: &str = "STUCK";

/// What is said of a command beyond a cut.
const BEYOND_CUT: &str = "the machine that wrote it no longer belonged to the studio";
/// What is said of a command beyond a split of its author's log.
const BEYOND_SPLIT: &str =
    "the machine that wrote it had signed something else in the same place of its log";
/// What is said of a command that was never its machine's to write.
const NEVER_OPEN: &str = "the role of the machine that wrote it never let it write this type";

/// A command with the number of its author.
type Numbered<'c> = (i64, Dot, &'c Command);

/// Takes up a command that was not simply accepted.
pub(super) fn note(
    connection: &Connection,
    (author, dot, command): Numbered<'_>,
    (verdict, at): (&Verdict, WallMs),
) -> Result<(), StoreError> {
    let Outcome::Rejected { code, detail } = &verdict.outcome else {
        return Ok(());
    };
    if command.op == Op::Discard || code.is_conflict() || *code == Code::Withdrawn {
        return Ok(());
    }
    let said = (code.word(), detail.as_str(), verdict.position);
    insert(connection, (author, dot, command), (said, at))
}

/// A command that does not count: people look at each, and take it over or give it up.
pub(super) fn note_barred(
    connection: &Connection,
    (author, dot, command): Numbered<'_>,
    bar: Bar,
) -> Result<(), StoreError> {
    if command.op == Op::Discard || has_verdict(connection, (author, dot))? {
        return Ok(());
    }
    let (code, detail) = match bar {
        Bar::Cut => (Code::DeviceRevoked, BEYOND_CUT),
        Bar::Split => (Code::DeviceRevoked, BEYOND_SPLIT),
        Bar::Role => (Code::Forbidden, NEVER_OPEN),
    };
    let said = (code.word(), detail, 0);
    insert(connection, (author, dot, command), (said, command.ts))
}

/// Whether the cloud's own words stand in the letter: they stay, whichever of the two came first.
fn has_verdict(connection: &Connection, (author, dot): (i64, Dot)) -> Result<bool, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT 1 FROM dead_letter WHERE author = ?1 AND counter = ?2 AND feed_position > 0",
    )?;
    Ok(statement.exists([author, dot.counter.cast_signed()])?)
}

/// Nothing bars it any more, or it was accepted before.
pub(super) fn drop_barred(
    connection: &Connection,
    (author, counter): (i64, u64),
) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "DELETE FROM dead_letter WHERE author = ?1 AND counter = ?2 AND code IN (?3, ?4) AND feed_position = 0",
        )?
        .execute(params![
            author,
            counter.cast_signed(),
            Code::DeviceRevoked.word(),
            Code::Forbidden.word()
        ])?;
    Ok(())
}

fn insert(
    connection: &Connection,
    (author, dot, command): Numbered<'_>,
    ((code, detail, position), at): ((&str, &str, u64), WallMs),
) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "INSERT OR REPLACE INTO dead_letter
             (author, counter, entity, code, detail, feed_position, rejected_at, settled)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7,
                     (SELECT kind FROM replacement WHERE author = ?1 AND counter = ?2 LIMIT 1))",
        )?
        .execute(params![
            author,
            dot.counter.cast_signed(),
            command.entity.0,
            code,
            detail,
            position.cast_signed(),
            at.0
        ])?;
    Ok(())
}

/// A verdict came on these: they are not stuck any more.
pub(super) fn decided(
    connection: &Connection,
    author: i64,
    (first, last): (u64, u64),
) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "DELETE FROM dead_letter WHERE author = ?1 AND counter BETWEEN ?2 AND ?3 AND code = 'STUCK'",
        )?
        .execute([author, first.cast_signed(), last.cast_signed()])?;
    Ok(())
}

/// A command that gives a letter up was rejected: the letter is open again.
pub(super) fn reopen(
    connection: &Connection,
    target: (i64, u64),
    by: (i64, u64),
) -> Result<(), StoreError> {
    let (author, counter) = (target.0, target.1.cast_signed());
    connection
        .prepare_cached(
            "DELETE FROM replacement WHERE author = ?1 AND counter = ?2 AND by_author = ?3 AND by_counter = ?4",
        )?
        .execute(params![author, counter, by.0, by.1.cast_signed()])?;
    connection
        .prepare_cached(
            "UPDATE dead_letter SET settled =
             (SELECT kind FROM replacement WHERE author = ?1 AND counter = ?2 LIMIT 1)
             WHERE author = ?1 AND counter = ?2",
        )?
        .execute(params![author, counter])?;
    Ok(())
}

impl Batch<'_> {
    /// Settles the letters in whose place the commands of a bundle stand.
    pub(super) fn settle_letters(&mut self, bundle: &Bundle) -> Result<(), StoreError> {
        bundle
            .commands()
            .try_for_each(|(dot, command)| self.settle_letter(dot, command))
    }

    /// A command stands in the place of another: its letter is settled, here or when it comes.
    fn settle_letter(&mut self, dot: Dot, command: &Command) -> Result<(), StoreError> {
        let Some(target) = command.replaces else {
            return Ok(());
        };
        let store = &mut *self.store;
        let author = store.authors.intern(&store.connection, target.author)?;
        let by = store.authors.intern(&store.connection, dot.author)?;
        let kind = match command.op {
            Op::Discard => "discarded",
            _ => "fixed",
        };
        let counter = target.counter.cast_signed();
        store
            .connection
            .prepare_cached(
                "INSERT OR IGNORE INTO replacement (author, counter, by_author, by_counter, kind)
                 VALUES (?1, ?2, ?3, ?4, ?5)",
            )?
            .execute(params![
                author,
                counter,
                by,
                dot.counter.cast_signed(),
                kind
            ])?;
        store
            .connection
            .prepare_cached(
                "UPDATE dead_letter SET settled = ?3 WHERE author = ?1 AND counter = ?2 AND settled IS NULL",
            )?
            .execute(params![author, counter, kind])?;
        Ok(())
    }

    /// The cloud broke on a command again and again.
    pub(super) fn note_stuck(
        &mut self,
        dot: Dot,
        detail: &str,
        (position, at): (u64, WallMs),
    ) -> Result<(), StoreError> {
        let Some(author) = self.store.authors.number(dot.author) else {
            return Err(StoreError::corrupt(format!(
                "{dot} is called stuck and is not held"
            )));
        };
        let connection = &self.store.connection;
        let mut statement = connection.prepare_cached(
            "SELECT bytes, hash, own FROM log_bundle WHERE author = ?1 AND first <= ?2 ORDER BY first DESC LIMIT 1",
        )?;
        let mut rows = statement.query(params![author, dot.counter.cast_signed()])?;
        let what = || StoreError::corrupt(format!("the command {dot}"));
        let row = rows.next()?.ok_or_else(what)?;
        let (bundle, own) = (history::bundle(row, (0, 1))?, row.get::<_, bool>(2)?);
        let command = bundle.command(dot.counter).ok_or_else(what)?;
        insert(
            connection,
            (author, dot, command),
            ((STUCK, detail, position), at),
        )?;
        if own {
            connection
                .prepare_cached(
                    "UPDATE sync_queue SET attempts = ?3, last_error = ?4 WHERE author = ?1 AND counter = ?2",
                )?
                .execute(params![
                    author,
                    dot.counter.cast_signed(),
                    studiovault_protocol::limits::MAX_RETRIES,
                    detail
                ])?;
        }
        Ok(())
    }
}
