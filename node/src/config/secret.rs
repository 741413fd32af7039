//! Secrets on disk: files that only their owner reads, replaced whole or not at all.
//!
//! On Windows a user's data folder is private by its access list; on Unix the mode is set and checked.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::ConfigError;

/// Bytes of a file of ours that is read whole: a studio file with the longest roster is a third of this.
const TEXT_BYTES: u64 = 64 * 1024 * 1024;

/// Thirty-two secret bytes, as 64 hexadecimal digits in a file. `Debug` never shows them.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct SecretBytes(pub [u8; 32]);

impl SecretBytes {
    /// Fresh ones.
    pub fn random() -> Self {
        Self(random_bytes())
    }
}

impl fmt::Display for SecretBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for SecretBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretBytes(hidden)")
    }
}

impl FromStr for SecretBytes {
    type Err = &'static str;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bad = "expected 64 hexadecimal digits";
        if text.len() != 64 || !text.is_ascii() {
            return Err(bad);
        }
        let mut bytes = [0u8; 32];
        for (at, byte) in bytes.iter_mut().enumerate() {
            *byte = u8::from_str_radix(&text[2 * at..2 * at + 2], 16).map_err(|_| bad)?;
        }
        Ok(Self(bytes))
    }
}

impl Serialize for SecretBytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for SecretBytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

/// Bytes from the system's source of chance.
pub fn random_bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("the system's random source works");
    bytes
}

/// Makes a folder, and those above it, that only its owner enters.
pub fn make_folder(path: &Path) -> Result<(), ConfigError> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path).map_err(ConfigError::disk(path))
}

/// Writes a file that only its owner reads: beside it first, made durable, then put in its place.
pub fn write(path: &Path, bytes: &[u8]) -> Result<(), ConfigError> {
    let beside = beside(path);
    let _ = fs::remove_file(&beside);
    let mut options = File::options();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&beside).map_err(ConfigError::disk(&beside))?;
    file.write_all(bytes)
        .and_then(|()| file.sync_all())
        .map_err(ConfigError::disk(&beside))?;
    fs::rename(&beside, path).map_err(ConfigError::disk(path))?;
    #[cfg(unix)]
    {
        // A bare name lies in the folder that the program was started in.
        let parent = path.parent().filter(|name| !name.as_os_str().is_empty());
        let folder = parent.unwrap_or(Path::new("."));
        File::open(folder)
            .and_then(|folder| folder.sync_all())
            .map_err(ConfigError::disk(folder))?;
    }
    Ok(())
}

/// Where something is made before it is put in its place: a name that nothing else is made under, since whatever a crash
/// leaves there must be in nobody's way but its own.
pub fn beside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    name.into()
}

/// Reads a text that somebody gave or wrote. A pipe or a device in its place would never end, and is refused unread.
pub fn read_text(path: &Path) -> io::Result<String> {
    let found = fs::metadata(path)?;
    if !found.is_file() || found.len() > TEXT_BYTES {
        let what = "this is no plain file of a size that it could have";
        return Err(io::Error::other(what));
    }
    let mut text = String::new();
    File::open(path)?
        .take(TEXT_BYTES)
        .read_to_string(&mut text)?;
    Ok(text)
}

/// Reads a secret; one that others can read is refused, as SSH does.
pub fn read(path: &Path) -> Result<String, ConfigError> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = fs::metadata(path)
            .map_err(ConfigError::disk(path))?
            .permissions()
            .mode();
        if mode & 0o077 != 0 {
            return Err(ConfigError::Exposed {
                path: path.to_owned(),
                mode: mode & 0o777,
            });
        }
    }
    read_text(path).map_err(ConfigError::disk(path))
}
