//! Authors under small numbers: 26 bytes of device and epoch become one or two in every row that names a dot.
//!
//! Numbers run from 1 without gaps; after a rollback the table is read again.

use std::collections::{BTreeSet, HashMap};

use rusqlite::{Connection, params};
use studiovault_protocol::id::{Author, DeviceId, Dot, Epoch};
use studiovault_protocol::vector::Vector;

use super::StoreError;

/// The numbers of all authors.
#[derive(Clone, Debug, Default)]
pub(crate) struct Authors {
    numbers: HashMap<Author, i64>,
    authors: Vec<Author>,
    /// Those under which this machine wrote before its store was made.
    own: BTreeSet<Author>,
}

impl Authors {
    /// As the store holds them.
    pub fn load(connection: &Connection) -> Result<Self, StoreError> {
        let mut authors = Self::default();
        let mut statement =
            connection.prepare("SELECT id, device, epoch FROM epoch ORDER BY id")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let number: i64 = row.get(0)?;
            let device = DeviceId(row.get(1)?);
            let epoch = Epoch(row.get::<_, i64>(2)?.cast_unsigned());
            if number != authors.authors.len() as i64 + 1 {
                return Err(StoreError::corrupt(format!("epoch {number} out of order")));
            }
            authors.push(Author { device, epoch });
        }
        Ok(authors)
    }

    fn push(&mut self, author: Author) -> i64 {
        self.authors.push(author);
        let number = self.authors.len() as i64;
        self.numbers.insert(author, number);
        number
    }

    /// The number of an author that has one.
    pub fn number(&self, author: Author) -> Option<i64> {
        self.numbers.get(&author).copied()
    }

    /// The number of an author, given now if it has none.
    pub fn intern(&mut self, connection: &Connection, author: Author) -> Result<i64, StoreError> {
        if let Some(number) = self.number(author) {
            return Ok(number);
        }
        let number = self.authors.len() as i64 + 1;
        let name = format!("{}.{:016x}", author.device, author.epoch.0);
        connection
            .prepare_cached("INSERT INTO epoch (id, device, epoch, name) VALUES (?1, ?2, ?3, ?4)")?
            .execute(params![
                number,
                author.device.0,
                author.epoch.0.cast_signed(),
                name
            ])?;
        Ok(self.push(author))
    }

    /// The epochs under which this machine wrote before its store was made.
    pub fn own(&self) -> &BTreeSet<Author> {
        &self.own
    }

    /// Sets them.
    pub fn set_own(&mut self, own: BTreeSet<Author>) {
        self.own = own;
    }

    /// The author of a number.
    pub fn author(&self, number: i64) -> Option<Author> {
        let at = usize::try_from(number.checked_sub(1)?).ok()?;
        self.authors.get(at).copied()
    }

    /// All authors of one device.
    pub fn of(&self, device: DeviceId) -> impl Iterator<Item = (i64, Author)> {
        (1..)
            .zip(self.authors.iter().copied())
            .filter(move |(_, author)| author.device == device)
    }

    /// A vector as pairs of number and counter.
    pub fn pack_vector(
        &mut self,
        connection: &Connection,
        vector: &Vector,
    ) -> Result<Vec<(i64, u64)>, StoreError> {
        vector
            .tips()
            .iter()
            .map(|tip| Ok((self.intern(connection, tip.author)?, tip.counter)))
            .collect()
    }

    /// The vector of such pairs.
    pub fn unpack_vector(&self, pairs: &[(i64, u64)]) -> Result<Vector, StoreError> {
        let mut tips: Vec<Dot> = pairs
            .iter()
            .map(|(number, counter)| Some(self.author(*number)?.at(*counter)))
            .collect::<Option<_>>()
            .ok_or_else(|| StoreError::corrupt("a vector names an unknown epoch"))?;
        tips.sort_unstable();
        Vector::from_tips(tips).ok_or_else(|| StoreError::corrupt("a vector names an epoch twice"))
    }
}
