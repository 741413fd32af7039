//! Which data folder a command means.

use studiovault_node::config::{Folder, default_folder};

use super::failure::{Exit, Failure};
use super::{Call, client::Client};

/// The folder that was named, else the platform's.
pub(crate) fn folder(call: &Call) -> Result<Folder, Failure> {
    if let Some(path) = &call.data {
        return Ok(Folder::at(path));
    }
    default_folder().map(Folder::at).ok_or_else(|| {
        let text = "the system does not say where a user's data belong\nName a folder with --data or STUDIOVAULT_DATA.";
        Failure::new(Exit::Usage, text)
    })
}

/// The node that runs with the folder.
pub(crate) fn client(call: &Call) -> Result<Client, Failure> {
    Client::connect(&folder(call)?)
}
