//! Personal access tokens, by the hash of their secret.

use rusqlite::{Row, params};
use studiovault_protocol::id::{DeviceId, Hash, StudioId};
use studiovault_protocol::time::WallMs;

use super::{Session, StoreError, cell};
use crate::tokens::{Grantee, Scope};

const COLUMNS: &str = "SELECT token.id, studio.id, token.device, token.scopes
    FROM token JOIN studio ON studio.row = token.studio";

fn grantee(row: &Row<'_>) -> Result<Grantee, StoreError> {
    let scopes: String = row.get(3)?;
    let device = match row.get_ref(2)? {
        rusqlite::types::ValueRef::Null => None,
        _ => Some(DeviceId(cell::bytes(row, 2)?)),
    };
    Ok(Grantee {
        id: row.get(0)?,
        studio: StudioId(cell::bytes(row, 1)?),
        device,
        scopes: scopes.split(' ').filter_map(scope).collect(),
    })
}

fn scope(word: &str) -> Option<Scope> {
    match word {
        "read" => Some(Scope::Read),
        "sync" => Some(Scope::Sync),
        _ => None,
    }
}

fn word(scope: &Scope) -> &'static str {
    match scope {
        Scope::Read => "read",
        Scope::Sync => "sync",
    }
}

impl Session<'_> {
    /// Keeps a token of an enrolled studio. `false` if there is no such studio.
    pub fn insert_token(
        &self,
        token: &Grantee,
        hash: Hash,
        at: WallMs,
    ) -> Result<bool, StoreError> {
        let scopes: Vec<&str> = token.scopes.iter().map(word).collect();
        let touched = self.count(
            "INSERT INTO token (id, hash, studio, device, scopes, created_at)
             SELECT ?1, ?2, row, ?4, ?5, ?6 FROM studio WHERE id = ?3",
            params![
                token.id,
                hash.0,
                token.studio.0,
                token.device.map(|device| device.0),
                scopes.join(" "),
                at.0
            ],
        )?;
        Ok(touched == 1)
    }

    /// Who holds the token of that hash.
    pub fn token(&self, hash: Hash) -> Result<Option<Grantee>, StoreError> {
        let sql = format!("{COLUMNS} WHERE token.hash = ?1");
        self.first(&sql, [hash.0], grantee)
    }

    /// All tokens, oldest first.
    pub fn tokens(&self) -> Result<Vec<Grantee>, StoreError> {
        let sql = format!("{COLUMNS} ORDER BY token.row");
        self.all(&sql, [], grantee)
    }

    /// Revokes a token. `false` if there was none.
    pub fn remove_token(&self, id: &str) -> Result<bool, StoreError> {
        Ok(self.count("DELETE FROM token WHERE id = ?1", [id])? == 1)
    }
}
