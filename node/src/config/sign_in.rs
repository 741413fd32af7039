//! A sign-in at the cloud: `sign-in.json`, the access token in use and how the next one is had. It is newer than the token of the
//! studio file and goes before it.
//!
//! The provider gives each refresh token once, so it is written down before the access token that came with it is used.

use std::fmt;
use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};
use studiovault_protocol::api::Renewal;

use super::{ConfigError, pretty, secret};

/// What a sign-in holds.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignInFile {
    /// The access token.
    pub access: String,
    /// How the next one is had.
    pub renewal: Renewal,
    /// The provider said that it is over: a person signs in again.
    #[serde(default)]
    pub ended: bool,
}

impl fmt::Debug for SignInFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SignInFile(tokens hidden, ended: {})", self.ended)
    }
}

impl SignInFile {
    /// The sign-in that stands at `path`, if there is one.
    pub fn load(path: &Path) -> Result<Option<Self>, ConfigError> {
        if !path.exists() {
            return Ok(None);
        }
        let text = secret::read(path)?;
        let read = serde_json::from_str(&text);
        read.map(Some)
            .map_err(|error| ConfigError::damaged(path, error))
    }

    /// Writes it, for its owner only.
    pub fn save(&self, path: &Path) -> Result<(), ConfigError> {
        secret::write(path, pretty(self).as_bytes())
    }

    /// Forgets a sign-in.
    pub fn remove(path: &Path) -> Result<(), ConfigError> {
        match fs::remove_file(path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(ConfigError::disk(path)(error))
            }
            _ => Ok(()),
        }
    }
}
