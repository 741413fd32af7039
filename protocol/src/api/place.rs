//! Where a node and its surfaces meet: the data folder, and the two files in it that lead to the local API.
//!
//! A pure function of what the environment says; who calls it reads the environment and the files.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// Names the data folder if `--data` does not.
pub const DATA_VARIABLE: &str = "STUDIOVAULT_DATA";
/// Where the running node's API is, in the data folder: an [`ApiAddress`].
pub const ADDRESS_FILE: &str = "api.json";
/// The bearer token of the running node's API, in the data folder; readable by its owner only.
pub const TOKEN_FILE: &str = "api.token";

/// What leads to a running node's API. The file may say more; this is what a surface needs.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ApiAddress {
    /// The port on the loopback addresses.
    pub port: u16,
}

/// The kinds of system that keep a user's data in different places.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Platform {
    /// Linux and what resembles it.
    Unix,
    /// macOS.
    MacOs,
    /// Windows.
    Windows,
}

impl Platform {
    /// The one this program was built for.
    pub const CURRENT: Self = if cfg!(windows) {
        Self::Windows
    } else if cfg!(target_os = "macos") {
        Self::MacOs
    } else {
        Self::Unix
    };
}

/// The folder for a machine's data if none is named; `None` if the system does not say where a user's data belong.
/// `variable` reads an environment variable.
pub fn default_folder(
    platform: Platform,
    variable: impl Fn(&str) -> Option<PathBuf>,
) -> Option<PathBuf> {
    let from = |name: &str| variable(name).filter(|path| path.is_absolute());
    Some(match platform {
        Platform::MacOs => from("HOME")?.join("Library/Application Support/StudioVault"),
        Platform::Windows => from("LOCALAPPDATA")?.join("StudioVault"),
        Platform::Unix => from("XDG_DATA_HOME")
            .or_else(|| Some(from("HOME")?.join(".local/share")))?
            .join("studiovault"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(platform: Platform, set: &[(&str, &str)]) -> Option<PathBuf> {
        default_folder(platform, |name| {
            let found = set.iter().find(|(key, _)| *key == name);
            found.map(|(_, value)| PathBuf::from(value))
        })
    }

    #[test]
    fn an_explicit_data_home_goes_before_the_usual_one() {
        let both = [("XDG_DATA_HOME", "/data"), ("HOME", "/ana")];
        assert_eq!(
            folder(Platform::Unix, &both),
            Some("/data/studiovault".into())
        );
        assert_eq!(
            folder(Platform::Unix, &both[1..]),
            Some("/ana/.local/share/studiovault".into())
        );
    }

    #[test]
    fn without_a_home_there_is_no_folder_to_guess() {
        assert_eq!(folder(Platform::Unix, &[]), None);
        assert_eq!(folder(Platform::Unix, &[("HOME", "relative")]), None);
        assert_eq!(folder(Platform::MacOs, &[]), None);
    }
}
