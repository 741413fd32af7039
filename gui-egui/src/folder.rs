//! The way from a data folder to the local API of the node that runs with it.
//!
//! Beside it stands how a person wants the window. Read anew at every try: a node that starts again has another port and another token.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::{env, fs};

use studiovault_protocol::api::{ADDRESS_FILE, ApiAddress, Platform, TOKEN_FILE, default_folder};

use crate::failure::Failure;
use crate::message::Preferences;

/// Where an API is and what opens it.
#[derive(Clone, PartialEq, Eq)]
pub struct Entrance {
    /// `http://127.0.0.1:port`.
    pub origin: String,
    /// The bearer token.
    pub token: String,
    /// Where the token stands, for people.
    pub token_file: String,
}

/// The folder of this user's machine if none is named.
pub fn usual_folder() -> Option<PathBuf> {
    default_folder(Platform::CURRENT, |variable| {
        env::var_os(variable).map(PathBuf::from)
    })
}

/// Where how the window is wanted stands, in the data folder.
const PREFERENCES_FILE: &str = "window.json";

/// The person's own folder.
pub fn home() -> Option<PathBuf> {
    let named = env::var_os("HOME").or_else(|| env::var_os("USERPROFILE"));
    named.map(PathBuf::from).filter(|folder| folder.is_dir())
}

/// Places told at most.
const STICKS: usize = 8;

/// Where sticks are mounted, as the desktops of Linux and macOS do it; none elsewhere.
pub fn sticks() -> Vec<String> {
    let user = env::var("USER").unwrap_or_default();
    let roots = ["/media", "/run/media"].map(|root| Path::new(root).join(&user));
    let roots = roots.into_iter().filter(|_| !user.is_empty());
    let roots = roots.chain([PathBuf::from("/Volumes")]);
    let listed = roots.filter_map(|root| fs::read_dir(root).ok()).flatten();
    let places = listed.filter_map(|entry| Some(entry.ok()?.path()));
    let places = places.filter(|place| place.is_dir()).take(STICKS);
    places.map(|place| place.display().to_string()).collect()
}

/// How the window is wanted, as it was kept; as usual if it never was or cannot be read.
pub fn preferences(folder: &Path) -> Preferences {
    let text = fs::read_to_string(folder.join(PREFERENCES_FILE)).unwrap_or_default();
    serde_json::from_str(&text).unwrap_or_default()
}

/// Keeps how the window is wanted. A folder that takes no file costs a habit, nothing more.
pub fn keep(folder: &Path, preferences: Preferences) {
    let text = serde_json::to_string(&preferences).unwrap_or_default();
    if let Err(error) = fs::write(folder.join(PREFERENCES_FILE), text) {
        tracing::debug!(%error, "how the window is wanted was not kept");
    }
}

/// What the files of a folder say.
pub fn entrance(folder: &Path) -> Result<Entrance, Failure> {
    let shown = folder.display().to_string();
    if !folder.is_dir() {
        return Err(Failure::NoMachine { folder: shown });
    }
    let token_file = folder.join(TOKEN_FILE);
    let read = |path: &Path| {
        fs::read_to_string(path).map_err(|error| match error.kind() {
            ErrorKind::PermissionDenied => Failure::TokenRefused {
                file: path.display().to_string(),
            },
            _ => Failure::NotRunning {
                folder: shown.clone(),
            },
        })
    };
    let text = read(&folder.join(ADDRESS_FILE))?;
    let address: ApiAddress = serde_json::from_str(&text).map_err(|_| Failure::Unwell {
        reason: format!("{ADDRESS_FILE} in {shown} does not name a port"),
    })?;
    let token = read(&token_file)?;
    Ok(Entrance {
        origin: format!("http://127.0.0.1:{}", address.port),
        token: token.trim().to_owned(),
        token_file: token_file.display().to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_without_a_running_node_says_so_and_a_missing_one_says_that() {
        let folder = env::temp_dir().join(format!("studiovault-window-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        assert!(matches!(entrance(&folder), Err(Failure::NotRunning { .. })));
        fs::write(folder.join(ADDRESS_FILE), r#"{"port":4017,"pid":1}"#).unwrap();
        fs::write(folder.join(TOKEN_FILE), "secret\n").unwrap();
        let found = entrance(&folder).ok().unwrap();
        assert_eq!(found.origin, "http://127.0.0.1:4017");
        assert_eq!(found.token, "secret");
        fs::write(folder.join(ADDRESS_FILE), "half").unwrap();
        assert!(matches!(entrance(&folder), Err(Failure::Unwell { .. })));
        fs::remove_dir_all(&folder).unwrap();
        assert!(matches!(entrance(&folder), Err(Failure::NoMachine { .. })));
    }
}
