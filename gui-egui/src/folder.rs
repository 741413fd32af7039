//! The way from a data folder to the local API of the node that runs with it.
//!
//! Read anew at every try: a node that starts again has another port and another token.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::{env, fs};

use studiovault_protocol::api::{ADDRESS_FILE, ApiAddress, Platform, TOKEN_FILE, default_folder};

use crate::message::Failure;

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
