//! Secrets in the folder: files that only their owner may read, made once, never overwritten.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::path::Path;

use crate::error::CloudError;

/// Draws random bytes from the operating system.
pub fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("the operating system has randomness");
    bytes
}

/// Lower-case hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The text of a secret file, or the text that `make` gives, then stored so that only the owner reads it.
pub fn load_or_create(path: &Path, make: impl FnOnce() -> String) -> Result<String, CloudError> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(text.trim_end().to_owned()),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let text = make();
            create(path, &text)?;
            Ok(text)
        }
        Err(source) => Err(CloudError::Folder {
            path: path.to_owned(),
            source,
        }),
    }
}

/// Writes a secret file whole or not at all.
pub fn create(path: &Path, text: &str) -> Result<(), CloudError> {
    let failed = |source| CloudError::Folder {
        path: path.to_owned(),
        source,
    };
    let draft = path.with_extension("draft");
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    owner_only(&mut options);
    let mut file = options.open(&draft).map_err(failed)?;
    file.write_all(text.as_bytes()).map_err(failed)?;
    file.write_all(b"\n").map_err(failed)?;
    file.sync_all().map_err(failed)?;
    fs::rename(&draft, path).map_err(failed)?;
    sync_folder(path).map_err(failed)
}

#[cfg(unix)]
fn owner_only(options: &mut OpenOptions) {
    use std::os::unix::fs::OpenOptionsExt;
    options.mode(0o600);
}

/// Elsewhere the folder's own permissions protect it.
#[cfg(not(unix))]
fn owner_only(_: &mut OpenOptions) {}

/// Makes a rename durable where folders can be synced.
fn sync_folder(path: &Path) -> std::io::Result<()> {
    match path.parent() {
        Some(folder) if cfg!(unix) => File::open(folder)?.sync_all(),
        _ => Ok(()),
    }
}
