//! Where things are on this platform: the default data folder and the name of the system's user.
//!
//! The only file that knows platforms apart here; everything else is told a path.

use std::env;
use std::path::PathBuf;

use studiovault_protocol::api::{self, Platform};

/// The folder for a machine's data if none is named; `None` if the system does not say where a user's data belong.
pub fn default_folder() -> Option<PathBuf> {
    api::default_folder(Platform::CURRENT, |variable| {
        env::var_os(variable).map(PathBuf::from)
    })
}

/// Who acts if nobody is named.
pub fn system_user() -> String {
    let variable = if cfg!(windows) { "USERNAME" } else { "USER" };
    env::var(variable)
        .ok()
        .filter(|name| !name.is_empty() && name.len() <= studiovault_protocol::limits::ACTOR_BYTES)
        .unwrap_or_else(|| "unknown".to_owned())
}
