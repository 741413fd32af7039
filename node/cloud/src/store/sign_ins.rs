//! Open codes, sign-ins and their tokens, by the hashes of their secrets.

use studiovault_protocol::id::{DeviceId, Hash, StudioId};
use studiovault_protocol::time::WallMs;

use super::{Cell, Row, Session, StoreError, cell, cells};
use crate::sign_in::{CODE_MS, Decision, INTERVAL_S, OpenCode, RefreshRow, Wish};
use crate::tokens::{Grantee, Scope};

const CODE: &str =
    "SELECT row, studio, device, name, scope, proven, decision, expires_at, poll_at, interval_s
    FROM device_code";
const GRANTEE: &str = "SELECT sign_in.id, studio.id, sign_in.device, sign_in.scope
    FROM sign_in JOIN studio ON studio.row = sign_in.studio";

fn device(row: Row<'_>, at: usize) -> Result<Option<DeviceId>, StoreError> {
    Ok(match row.cell(at)? {
        Cell::Null => None,
        _ => Some(DeviceId(cell::bytes(row, at)?)),
    })
}

fn scope(row: Row<'_>, at: usize) -> Result<Scope, StoreError> {
    let word: String = row.get(at)?;
    Scope::of_word(&word).ok_or(StoreError::Damaged("a scope"))
}

fn code(row: Row<'_>) -> Result<OpenCode, StoreError> {
    let decision = match row.cell(6)? {
        Cell::Null => None,
        Cell::Int(1) => Some(Decision::Approve),
        _ => Some(Decision::Deny),
    };
    let proven: i64 = row.get(5)?;
    Ok(OpenCode {
        row: row.get(0)?,
        wish: Wish {
            studio: StudioId(cell::bytes(row, 1)?),
            device: device(row, 2)?,
            name: row.get(3)?,
            scope: scope(row, 4)?,
            proven: proven == 1,
        },
        decision,
        expires_at: WallMs(row.get(7)?),
        poll_at: WallMs(row.get(8)?),
        interval_s: row.get(9)?,
    })
}

fn grantee(row: Row<'_>) -> Result<Grantee, StoreError> {
    Ok(Grantee {
        id: row.get(0)?,
        studio: StudioId(cell::bytes(row, 1)?),
        device: device(row, 2)?,
        scopes: vec![scope(row, 3)?],
    })
}

/// Codes.
impl Session<'_> {
    /// Forgets codes that are no longer open.
    pub fn drop_codes(&self, now: WallMs) -> Result<(), StoreError> {
        self.run(
            "DELETE FROM device_code WHERE expires_at <= ?1",
            cells![now.0],
        )
    }

    /// Forgets the code that a machine of a studio has open.
    pub fn drop_codes_of(&self, studio: StudioId, device: DeviceId) -> Result<(), StoreError> {
        self.run(
            "DELETE FROM device_code WHERE proven = 1 AND studio = ?1 AND device = ?2",
            cells![studio.0, device.0],
        )
    }

    /// How many codes are open for whoever has proved nothing.
    pub fn strangers(&self) -> Result<u64, StoreError> {
        let sql = "SELECT count(*) FROM device_code WHERE proven = 0";
        let counted = self.first(sql, cells![], |row| cell::number(row, 0))?;
        Ok(counted.unwrap_or(0))
    }

    /// Keeps a code.
    pub fn insert_code(
        &self,
        wish: &Wish,
        (device_code, user_code): (Hash, Hash),
        now: WallMs,
    ) -> Result<(), StoreError> {
        self.run(
            "INSERT INTO device_code (device_code, user_code, studio, device, name, scope, proven, expires_at, poll_at, interval_s)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
            cells![
                device_code.0,
                user_code.0,
                wish.studio.0,
                wish.device.map(|device| device.0),
                wish.name,
                wish.scope.word(),
                i64::from(wish.proven),
                now.0.saturating_add(CODE_MS),
                now.0,
                INTERVAL_S
            ],
        )
    }

    /// The open code of a machine.
    pub fn code_of_device(&self, hash: Hash, now: WallMs) -> Result<Option<OpenCode>, StoreError> {
        let sql = format!("{CODE} WHERE device_code = ?1 AND expires_at > ?2");
        self.first(&sql, cells![hash.0, now.0], code)
    }

    /// The open code that a person names.
    pub fn code_of_user(&self, hash: Hash, now: WallMs) -> Result<Option<OpenCode>, StoreError> {
        let sql = format!("{CODE} WHERE user_code = ?1 AND expires_at > ?2");
        self.first(&sql, cells![hash.0, now.0], code)
    }

    /// Keeps a person's word, once. `false` if there was one.
    pub fn decide_code(&self, row: i64, decision: Decision) -> Result<bool, StoreError> {
        let decision = i64::from(decision == Decision::Approve);
        let sql = "UPDATE device_code SET decision = ?2 WHERE row = ?1 AND decision IS NULL";
        Ok(self.count(sql, cells![row, decision])? == 1)
    }

    /// Notes a question, and how long the next one has to wait.
    pub fn slow_code(
        &self,
        code: &OpenCode,
        interval_s: i64,
        now: WallMs,
    ) -> Result<(), StoreError> {
        let poll_at = now.0.saturating_add(interval_s.saturating_mul(1000));
        let sql = "UPDATE device_code SET poll_at = ?2, interval_s = ?3 WHERE row = ?1";
        self.run(sql, cells![code.row, poll_at, interval_s])
    }

    /// Uses a code up. `false` if somebody else did.
    pub fn remove_code(&self, row: i64) -> Result<bool, StoreError> {
        Ok(self.count("DELETE FROM device_code WHERE row = ?1", cells![row])? == 1)
    }
}

/// Sign-ins.
impl Session<'_> {
    /// Keeps a sign-in for an enrolled studio.
    pub fn insert_sign_in(
        &self,
        grantee: &Grantee,
        name: &str,
        now: WallMs,
    ) -> Result<i64, StoreError> {
        let studio = self.studio(grantee.studio)?;
        let studio = studio.ok_or(StoreError::Damaged("a code for no studio"))?;
        let scope = grantee.scopes.first().map_or("read", |scope| scope.word());
        self.insert(
            "INSERT INTO sign_in (id, studio, device, name, scope, created_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6) RETURNING row",
            cells![
                grantee.id,
                studio.row,
                grantee.device.map(|device| device.0),
                name,
                scope,
                now.0
            ],
        )
    }

    /// What a sign-in allows.
    pub fn scope_of(&self, sign_in: i64) -> Result<Scope, StoreError> {
        let sql = "SELECT scope FROM sign_in WHERE row = ?1";
        let found = self.first(sql, cells![sign_in], |row| scope(row, 0))?;
        found.ok_or(StoreError::Damaged("a token of no sign-in"))
    }

    /// The studio's row of a sign-in.
    pub fn studio_of(&self, sign_in: i64) -> Result<i64, StoreError> {
        let sql = "SELECT studio FROM sign_in WHERE row = ?1";
        let found = self.first(sql, cells![sign_in], |row| row.get(0))?;
        found.ok_or(StoreError::Damaged("a token of no sign-in"))
    }

    /// Every sign-in, oldest first.
    pub fn sign_ins(&self) -> Result<Vec<Grantee>, StoreError> {
        self.all(
            &format!("{GRANTEE} ORDER BY sign_in.row"),
            cells![],
            grantee,
        )
    }

    /// Ends a sign-in with all of its tokens.
    pub fn end_sign_in(&self, row: i64) -> Result<(), StoreError> {
        self.run("DELETE FROM access_token WHERE sign_in = ?1", cells![row])?;
        self.run("DELETE FROM refresh_token WHERE sign_in = ?1", cells![row])?;
        self.run("DELETE FROM sign_in WHERE row = ?1", cells![row])
    }

    /// Ends the sign-in of that name. `false` if there is none.
    pub fn end_sign_in_named(&self, id: &str) -> Result<bool, StoreError> {
        let sql = "SELECT row FROM sign_in WHERE id = ?1";
        let found: Option<i64> = self.first(sql, cells![id], |row| row.get(0))?;
        found.map_or(Ok(false), |row| self.end_sign_in(row).map(|()| true))
    }
}

/// Their tokens.
impl Session<'_> {
    /// Who holds the access token of that hash.
    pub fn access_token(&self, hash: Hash, now: WallMs) -> Result<Option<Grantee>, StoreError> {
        let sql = format!(
            "{GRANTEE} JOIN access_token ON access_token.sign_in = sign_in.row
             WHERE access_token.hash = ?1 AND access_token.expires_at > ?2"
        );
        self.first(&sql, cells![hash.0, now.0], grantee)
    }

    /// Keeps an access token.
    pub fn insert_access(&self, sign_in: i64, hash: Hash, until: WallMs) -> Result<(), StoreError> {
        let sql = "INSERT INTO access_token (hash, sign_in, expires_at) VALUES (?1, ?2, ?3)";
        self.run(sql, cells![hash.0, sign_in, until.0])
    }

    /// Voids the access tokens of a sign-in.
    pub fn drop_access(&self, sign_in: i64) -> Result<(), StoreError> {
        self.run(
            "DELETE FROM access_token WHERE sign_in = ?1",
            cells![sign_in],
        )
    }

    /// The refresh token of that hash.
    pub fn refresh_token(&self, hash: Hash) -> Result<Option<RefreshRow>, StoreError> {
        let sql = "SELECT row, sign_in, rotated_at, expires_at FROM refresh_token WHERE hash = ?1";
        self.first(sql, cells![hash.0], |row| {
            let rotated_at = match row.cell(2)? {
                Cell::Null => None,
                _ => Some(WallMs(row.get(2)?)),
            };
            Ok(RefreshRow {
                row: row.get(0)?,
                sign_in: row.get(1)?,
                rotated_at,
                expires_at: WallMs(row.get(3)?),
            })
        })
    }

    /// Keeps a refresh token; `parent` is what it was given for.
    pub fn insert_refresh(
        &self,
        sign_in: i64,
        (hash, parent): (Hash, Option<i64>),
        until: WallMs,
    ) -> Result<(), StoreError> {
        let sql =
            "INSERT INTO refresh_token (hash, sign_in, parent, expires_at) VALUES (?1, ?2, ?3, ?4)";
        self.run(sql, cells![hash.0, sign_in, parent, until.0])
    }

    /// Uses a live refresh token up. `false` if it is not live.
    pub fn rotate(&self, row: i64, now: WallMs) -> Result<bool, StoreError> {
        let sql = "UPDATE refresh_token SET rotated_at = ?2 WHERE row = ?1 AND rotated_at IS NULL";
        Ok(self.count(sql, cells![row, now.0])? == 1)
    }

    /// Voids what a token was exchanged for, if that was never used. `false` if it was.
    pub fn void_child(&self, row: i64) -> Result<bool, StoreError> {
        let sql =
            "UPDATE refresh_token SET rotated_at = 0 WHERE parent = ?1 AND rotated_at IS NULL";
        Ok(self.count(sql, cells![row])? == 1)
    }

    /// Forgets tokens that are over, and sign-ins that have none any more.
    pub fn drop_tokens(&self, now: WallMs) -> Result<(), StoreError> {
        self.run(
            "DELETE FROM access_token WHERE expires_at <= ?1",
            cells![now.0],
        )?;
        self.run(
            "DELETE FROM refresh_token WHERE expires_at <= ?1",
            cells![now.0],
        )?;
        self.run(
            "DELETE FROM sign_in WHERE row NOT IN (SELECT sign_in FROM refresh_token)
             AND row NOT IN (SELECT sign_in FROM access_token)",
            cells![],
        )
    }
}
