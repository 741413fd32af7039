//! Where things are on this platform: the default data folder and the name of the system's user.
//!
//! The only file that knows platforms apart here; everything else is told a path.

use std::env;
use std::path::PathBuf;

/// The folder for a machine's data if none is named; `None` if the system does not say where a user's data belong.
pub fn default_folder() -> Option<PathBuf> {
    let from = |variable: &str| {
        env::var_os(variable)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
    };
    if cfg!(target_os = "macos") {
        return Some(from("HOME")?.join("Library/Application Support/StudioVault"));
    }
    if cfg!(windows) {
        return Some(from("LOCALAPPDATA")?.join("StudioVault"));
    }
    let data = from("XDG_DATA_HOME").or_else(|| Some(from("HOME")?.join(".local/share")))?;
    Some(data.join("studiovault"))
}

/// Who acts if nobody is named.
pub fn system_user() -> String {
    let variable = if cfg!(windows) { "USERNAME" } else { "USER" };
    env::var(variable)
        .ok()
        .filter(|name| !name.is_empty() && name.len() <= studiovault_protocol::limits::ACTOR_BYTES)
        .unwrap_or_else(|| "unknown".to_owned())
}
