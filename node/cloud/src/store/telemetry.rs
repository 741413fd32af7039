//! The newest report of each machine that tells how it fares.

use studiovault_protocol::id::{DeviceId, StudioId};
use studiovault_protocol::time::WallMs;

use super::{Row, Session, StoreError, cell, cells};

/// A machine's newest report.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Told {
    /// Of which studio.
    pub studio: StudioId,
    /// By which machine.
    pub device: DeviceId,
    /// When it came.
    pub at: WallMs,
    /// As it came.
    pub report: String,
}

fn told(row: Row<'_>) -> Result<Told, StoreError> {
    Ok(Told {
        studio: StudioId(cell::bytes(row, 0)?),
        device: DeviceId(cell::bytes(row, 1)?),
        at: WallMs(row.get(2)?),
        report: row.get(3)?,
    })
}

impl Session<'_> {
    /// Keeps a report in place of the machine's one before.
    pub fn keep_report(&self, told: &Told) -> Result<(), StoreError> {
        let studio = self.studio(told.studio)?;
        let studio = studio.ok_or(StoreError::Damaged("a token for no studio"))?;
        self.run(
            "INSERT INTO telemetry (studio, device, at, report) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (studio, device) DO UPDATE SET at = excluded.at, report = excluded.report",
            cells![studio.row, told.device.0, told.at.0, told.report],
        )
    }

    /// The newest report of every machine.
    pub fn reports(&self) -> Result<Vec<Told>, StoreError> {
        self.all(
            "SELECT studio.id, telemetry.device, telemetry.at, telemetry.report
             FROM telemetry JOIN studio ON studio.row = telemetry.studio ORDER BY telemetry.row",
            cells![],
            told,
        )
    }
}
