//! Whether this machine tells how it fares, and what it told last: `telemetry.json`.
//!
//! A file that is missing or cannot be read means no.

use std::path::Path;

use serde::{Deserialize, Serialize};
use studiovault_protocol::api::{TelemetrySent, TelemetryState};

use super::{ConfigError, pretty, secret};

/// What a person said, and what came of it.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct TelemetryFile {
    /// May it tell?
    pub state: TelemetryState,
    /// What was sent last.
    #[serde(default)]
    pub sent: Option<TelemetrySent>,
}

impl TelemetryFile {
    /// What stands at `path`.
    pub fn load(path: &Path) -> Self {
        let text = secret::read_text(path).unwrap_or_default();
        serde_json::from_str(&text).unwrap_or_default()
    }

    /// Writes it.
    pub fn save(&self, path: &Path) -> Result<(), ConfigError> {
        secret::write(path, pretty(self).as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn what_cannot_be_read_means_no() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("telemetry.json");
        assert_eq!(TelemetryFile::load(&path).state, TelemetryState::Off);
        let on = TelemetryFile {
            state: TelemetryState::On,
            sent: None,
        };
        on.save(&path).expect("writes");
        assert_eq!(TelemetryFile::load(&path), on);
        fs::write(&path, "{\"state\": \"on\"").expect("writes");
        assert_eq!(TelemetryFile::load(&path).state, TelemetryState::Off);
    }
}
