//! Personal access tokens, by the hash of their secret.

use studiovault_protocol::id::{DeviceId, Hash, StudioId};
use studiovault_protocol::time::WallMs;

use super::{Cell, Row, Session, StoreError, cell, cells};
use crate::tokens::{Grantee, Scope};

const COLUMNS: &str = "SELECT token.id, studio.id, token.device, token.scopes
    FROM token JOIN studio ON studio.row = token.studio";

fn grantee(row: Row<'_>) -> Result<Grantee, StoreError> {
    let scopes: String = row.get(3)?;
    let device = match row.cell(2)? {
        Cell::Null => None,
        _ => Some(DeviceId(cell::bytes(row, 2)?)),
    };
    Ok(Grantee {
        id: row.get(0)?,
        studio: StudioId(cell::bytes(row, 1)?),
        device,
        scopes: scopes.split(' ').filter_map(Scope::of_word).collect(),
    })
}

impl Session<'_> {
    /// Keeps a token of an enrolled studio. `false` if there is no such studio.
    pub fn insert_token(
        &self,
        token: &Grantee,
        hash: Hash,
        at: WallMs,
    ) -> Result<bool, StoreError> {
        let Some(studio) = self.studio(token.studio)? else {
            return Ok(false);
        };
        let scopes: Vec<&str> = token.scopes.iter().map(|scope| scope.word()).collect();
        self.run(
            "INSERT INTO token (id, hash, studio, device, scopes, created_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            cells![
                token.id,
                hash.0,
                studio.row,
                token.device.map(|device| device.0),
                scopes.join(" "),
                at.0
            ],
        )?;
        Ok(true)
    }

    /// Who holds the token of that hash.
    pub fn token(&self, hash: Hash) -> Result<Option<Grantee>, StoreError> {
        let sql = format!("{COLUMNS} WHERE token.hash = ?1");
        self.first(&sql, cells![hash.0], grantee)
    }

    /// All tokens, oldest first.
    pub fn tokens(&self) -> Result<Vec<Grantee>, StoreError> {
        let sql = format!("{COLUMNS} ORDER BY token.row");
        self.all(&sql, cells![], grantee)
    }

    /// Revokes a token. `false` if there was none.
    pub fn remove_token(&self, id: &str) -> Result<bool, StoreError> {
        Ok(self.count("DELETE FROM token WHERE id = ?1", cells![id])? == 1)
    }
}
