//! The feed's pages.

use rusqlite::params;
use studiovault_protocol::feed::Page;

use super::logs::Reading;
use super::{Session, StoreError, cell};

impl Session<'_> {
    /// Appends a page to a studio's feed.
    pub fn insert_page(&self, studio: i64, page: &Page) -> Result<(), StoreError> {
        self.run(
            "INSERT INTO feed_page (studio, last, hash, bytes) VALUES (?1, ?2, ?3, ?4)",
            params![
                studio,
                cell::signed(page.last()),
                page.hash().0,
                &page.bytes()[..]
            ],
        )
    }

    /// Pages that end after `since`, in order, until `take` says that it is enough or fails.
    pub fn pages_after(
        &self,
        studio: i64,
        since: u64,
        mut take: impl FnMut(Page) -> Result<Reading, StoreError>,
    ) -> Result<Reading, StoreError> {
        let mut statement = self.connection.prepare_cached(
            "SELECT bytes FROM feed_page WHERE studio = ?1 AND last > ?2 ORDER BY last",
        )?;
        let mut rows = statement.query(params![studio, cell::signed(since)])?;
        while let Some(row) = rows.next()? {
            let bytes: Vec<u8> = row.get(0)?;
            let page = Page::decode(bytes).map_err(|_| StoreError::Damaged("a feed page"))?;
            if take(page)? == Reading::Enough {
                return Ok(Reading::Enough);
            }
        }
        Ok(Reading::More)
    }
}
