//! Where every feed ended at last, kept outside of the database: a database that was put back to an earlier point is noticed
//! before anything is decided on it.
//!
//! One small file a studio. It is no part of a backup's restore; one that is missing or old only notices less.

use std::fs;
use std::path::{Path, PathBuf};

use studiovault_protocol::id::StudioId;

/// The folder of the files; `None`: nothing is kept.
#[derive(Debug, Default)]
pub struct Heads(Option<PathBuf>);

impl Heads {
    /// Beside the keys of a folder.
    pub fn in_folder(folder: &Path) -> Self {
        let place = folder.join("heads");
        match fs::create_dir_all(&place) {
            Ok(()) => Self(Some(place)),
            Err(error) => {
                tracing::warn!(%error, "where the feeds end is not kept outside of the database");
                Self(None)
            }
        }
    }

    /// The last position that a studio's feed is known to have had, 0 if none.
    pub fn of(&self, studio: StudioId) -> u64 {
        let path = self
            .0
            .as_ref()
            .map(|folder| folder.join(studio.to_string()));
        let text = path.and_then(|path| fs::read_to_string(path).ok());
        text.and_then(|text| text.trim().parse().ok()).unwrap_or(0)
    }

    /// Notes where a studio's feed ends now.
    pub fn note(&self, studio: StudioId, head: u64) {
        let Some(folder) = &self.0 else {
            return;
        };
        if self.of(studio) >= head {
            return;
        }
        let draft = folder.join(format!("{studio}.draft"));
        let written = fs::write(&draft, head.to_string())
            .and_then(|()| fs::rename(&draft, folder.join(studio.to_string())));
        if let Err(error) = written {
            tracing::warn!(%error, "where a feed ends could not be kept outside of the database");
        }
    }
}
