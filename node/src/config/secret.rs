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

/// What is said of anything else than a file.
const NOT_PLAIN: &str = "this is no plain file of a size that it could have";

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

/// The same on a disk that may be full: what is there is written over in its place, which takes no more room. For files of one run
/// alone, which a crash may leave torn. Says whether the file holds the bytes now.
pub fn write_if_room(path: &Path, bytes: &[u8]) -> Result<bool, ConfigError> {
    let full = |kind| {
        matches!(
            kind,
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
        )
    };
    match write(path, bytes) {
        Ok(()) => Ok(true),
        Err(ConfigError::Disk { source, .. }) if full(source.kind()) => {
            let _ = fs::remove_file(beside(path));
            Ok(write_over(path, bytes).is_ok())
        }
        Err(error) => Err(error),
    }
}

/// Writes over a file that is there and that only its owner reads.
fn write_over(path: &Path, bytes: &[u8]) -> io::Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let found = fs::symlink_metadata(path)?;
        if !found.is_file() || found.permissions().mode() & 0o077 != 0 {
            return Err(io::Error::other(NOT_PLAIN));
        }
    }
    let mut file = File::options().write(true).open(path)?;
    file.write_all(bytes)?;
    file.set_len(bytes.len() as u64)?;
    file.sync_all()
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
    let file = open_plain(path)?;
    if file.metadata()?.len() > TEXT_BYTES {
        return Err(io::Error::other(NOT_PLAIN));
    }
    let mut text = String::new();
    file.take(TEXT_BYTES).read_to_string(&mut text)?;
    Ok(text)
}

/// Opens a file that somebody named. Opening a pipe waits for whoever writes to it and a device may never end: both are refused
/// unopened.
pub fn open_plain(path: &Path) -> io::Result<File> {
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::other(NOT_PLAIN));
    }
    File::open(path)
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

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn a_file_of_ours_is_written_over_in_its_place_and_nobody_elses_is() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("api.token");
        assert!(write_over(&path, b"new").is_err(), "there is none");
        write(&path, b"an older and longer one").expect("writes");
        write_over(&path, b"new").expect("writes over");
        assert_eq!(fs::read(&path).expect("reads"), b"new");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).expect("sets");
        assert!(write_over(&path, b"secret").is_err(), "others read it");
        assert!(write_if_room(&path, b"whole").expect("there is room"));
        assert_eq!(fs::read(&path).expect("reads"), b"whole");
    }

    #[test]
    fn a_pipe_or_a_device_in_place_of_a_file_is_refused_unopened() {
        let folder = tempfile::tempdir().expect("a folder");
        let pipe = folder.path().join("pipe");
        let made = std::process::Command::new("mkfifo").arg(&pipe).status();
        assert!(made.expect("mkfifo runs").success());
        for path in [pipe.as_path(), Path::new("/dev/zero"), folder.path()] {
            assert!(open_plain(path).is_err(), "{}", path.display());
            assert!(read_text(path).is_err(), "{}", path.display());
        }
    }
}
