//! The feed's pages.

use studiovault_protocol::feed::Page;
use studiovault_protocol::id::Hash;

use super::logs::Reading;
use super::{Session, StoreError, cell, cells};

impl Session<'_> {
    /// Appends a page to a studio's feed.
    pub fn insert_page(&self, studio: i64, page: &Page) -> Result<(), StoreError> {
        self.run(
            "INSERT INTO feed_page (studio, last, hash, bytes) VALUES (?1, ?2, ?3, ?4)",
            cells![
                studio,
                cell::signed(page.last()),
                page.hash().0,
                &page.bytes()[..]
            ],
        )
    }

    /// The hash of the page that ends at a position.
    pub fn page_hash(&self, studio: i64, last: u64) -> Result<Option<Hash>, StoreError> {
        self.first(
            "SELECT hash FROM feed_page WHERE studio = ?1 AND last = ?2",
            cells![studio, cell::signed(last)],
            |row| cell::hash(row, 0),
        )
    }

    /// Pages that end after `since`, in order, until `take` says that it is enough or fails.
    pub fn pages_after(
        &self,
        studio: i64,
        mut since: u64,
        mut take: impl FnMut(Page) -> Result<Reading, StoreError>,
    ) -> Result<Reading, StoreError> {
        loop {
            // In runs: a shared database hands out whole answers.
            let pages: Vec<Vec<u8>> = self.all(
                "SELECT bytes FROM feed_page WHERE studio = ?1 AND last > ?2 ORDER BY last LIMIT 16",
                cells![studio, cell::signed(since)],
                |row| row.get(0),
            )?;
            if pages.is_empty() {
                return Ok(Reading::More);
            }
            for bytes in pages {
                let page = Page::decode(bytes).map_err(|_| StoreError::Damaged("a feed page"))?;
                since = page.last();
                if take(page)? == Reading::Enough {
                    return Ok(Reading::Enough);
                }
            }
        }
    }
}
