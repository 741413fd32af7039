//! The data folder: where one machine keeps who it is, its keys, its studio and its store.
//!
//! `node.json` is written last, so a folder is either whole or not a machine at all; keys are readable by their owner
//! only; a folder of a newer version is refused untouched; one process at a time holds a folder.

mod addresses;
mod keychain;
mod kit;
mod place;
mod region;
mod secret;
mod sign_in;
mod studio;
mod telemetry;

pub use addresses::{AddressBook, Known};
pub use keychain::{KeyPlace, KeyWish};
pub use kit::{Kit, KitError, cloud_grant};
pub use place::{default_folder, system_user};
pub use region::{Currency, Region, RegionError, Zone};
pub use secret::{
    SecretBytes, beside, make_folder, open_plain, random_bytes, read_text, write as write_secret,
    write_if_room,
};
pub use sign_in::SignInFile;
pub use studio::{CloudAccess, Founder, StudioFile};
pub use telemetry::TelemetryFile;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use studiovault_protocol::api;
use studiovault_protocol::id::DeviceId;
use studiovault_protocol::keys::SecretKey;
use studiovault_protocol::limits;
use studiovault_protocol::membership::{Grant, Role};

use crate::lock::Lock;

/// The version of the folder's layout that this program writes.
const FOLDER_VERSION: u32 = 2;

/// Why a folder cannot be used or made. Nothing changed unless the variant says so.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The person's: there is no machine in it.
    #[error(
        "{0} is not a StudioVault folder; run `studiovault init` or `studiovault join` first, or name another with --data"
    )]
    NoMachine(PathBuf),
    /// The person's: there is one already.
    #[error(
        "{0} holds a machine of a studio already; name another folder with --data, or run this one with `studiovault run`"
    )]
    AlreadyMade(PathBuf),
    /// The person's: written by a newer program.
    #[error(
        "{path} was written by a newer StudioVault (folder version {found}, this program knows {FOLDER_VERSION}); update this program, nothing was changed"
    )]
    Newer {
        /// Which file.
        path: PathBuf,
        /// Its version.
        found: u32,
    },
    /// The person's: another process has it.
    #[error(
        "another StudioVault process runs with {0}; use its API (`studiovault status`), or stop it first"
    )]
    Busy(PathBuf),
    /// The person's or the disk's: a file that is not what it should be.
    #[error("{path} cannot be read: {reason}; restore it from a backup, or join the studio anew")]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The person's or the disk's: nobody can tell any more that this is the machine that it was.
    #[error(
        "{0} is missing, the key that makes this folder the machine that it is; put it back from a backup of the folder, or shut this machine out on another one with `studiovault revoke` and join anew into an empty folder. Nothing was changed"
    )]
    NoKey(PathBuf),
    /// There is no store: the machine never ran, or somebody took it away.
    #[error(
        "{0} is not there or empty, so there is nothing to check; if this machine never ran, start it with `studiovault run`, else fill it anew with `studiovault bootstrap` (with `--lan` from the other machines): what only it held is gone unless a backup has it"
    )]
    NoStore(PathBuf),
    /// The store of a machine that ran here is gone: beginning with nothing would give receipt numbers a second time.
    #[error(
        "{0} is gone or empty, though this machine ran in this folder before; put it back from a backup, or fill it anew with `studiovault bootstrap` (with `--lan` from the other machines), so that receipt numbers go on where they ended. To begin with nothing all the same, remove {1} first. Nothing was changed"
    )]
    StoreGone(PathBuf, PathBuf),
    /// The person's: others can read a secret.
    #[error("{path} can be read by others (mode {mode:o}); run `chmod 600 {path}` and start again")]
    Exposed {
        /// Which file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The person's or the system's: the keychain does not do its part.
    #[error(
        "the system's keychain does not serve this machine's key: {0}; unlock it, as logging in does, and try again"
    )]
    Keychain(String),
    /// The person's: an unusable name.
    #[error("`{0}` cannot be a name: use 1 to 64 bytes of text without control characters")]
    Name(String),
    /// The disk's. A folder that was being made may hold a part; making it again replaces that part.
    #[error(
        "{path}: {source}; check that the disk has room and that you may write there, then try again"
    )]
    Disk {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl ConfigError {
    fn disk(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Disk { path, source }
    }

    fn damaged(path: &Path, reason: impl ToString) -> Self {
        Self::Damaged {
            path: path.to_owned(),
            reason: reason.to_string(),
        }
    }
}

/// Who this machine is: `node.json`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Identity {
    /// The layout's version.
    pub version: u32,
    /// The machine's id.
    pub device: DeviceId,
    /// What people call it.
    pub name: String,
}

/// The paths of a data folder.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Folder {
    path: PathBuf,
    /// Where the key goes if a machine is made here.
    keys: KeyWish,
}

impl Folder {
    /// The folder at `path`, whether it exists or not.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            keys: KeyWish::In(KeyPlace::File),
        }
    }
    /// The same, where a machine that is made gets its key as wished.
    pub fn keeping_keys(self, keys: KeyWish) -> Self {
        Self { keys, ..self }
    }
    /// The folder itself.
    pub fn path(&self) -> &Path {
        &self.path
    }
    /// Who this machine is.
    pub fn identity_path(&self) -> PathBuf {
        self.path.join("node.json")
    }
    /// The device key, 0600, or that it is in the system's keychain.
    pub fn key_path(&self) -> PathBuf {
        self.path.join("device.key")
    }
    /// The studio, 0600.
    pub fn studio_path(&self) -> PathBuf {
        self.path.join("studio.json")
    }
    /// The sign-in at the cloud, 0600.
    pub fn sign_in_path(&self) -> PathBuf {
        self.path.join("sign-in.json")
    }
    /// Where the running node's API is.
    pub fn api_path(&self) -> PathBuf {
        self.path.join(api::ADDRESS_FILE)
    }
    /// The token of the running node's API, 0600.
    pub fn token_path(&self) -> PathBuf {
        self.path.join(api::TOKEN_FILE)
    }
    /// Stands there while this machine hides on its network.
    fn venue_path(&self) -> PathBuf {
        self.path.join("venue")
    }
    /// Whether this machine hides on its network.
    pub fn venue(&self) -> api::VenueState {
        if self.venue_path().exists() {
            api::VenueState::On
        } else {
            api::VenueState::Off
        }
    }
    /// Hides this machine from its next start on, or no longer.
    pub fn set_venue(&self, state: api::VenueState) -> Result<(), ConfigError> {
        let path = self.venue_path();
        match state {
            api::VenueState::On => secret::write(&path, b""),
            api::VenueState::Off if !path.exists() => Ok(()),
            api::VenueState::Off => fs::remove_file(&path).map_err(ConfigError::disk(&path)),
        }
    }
    /// Whether this machine tells how it fares, 0600.
    pub fn telemetry_path(&self) -> PathBuf {
        self.path.join("telemetry.json")
    }
    /// Where peers were last reached, 0600.
    pub fn addresses_path(&self) -> PathBuf {
        self.path.join("addresses.json")
    }
    /// Stands there once the machine has had a store.
    pub fn ran_path(&self) -> PathBuf {
        self.path.join("ran")
    }
    /// The Unix socket of the running node's API.
    pub fn socket_path(&self) -> PathBuf {
        self.path.join("api.sock")
    }

    /// Whether a whole machine lives here.
    pub fn is_made(&self) -> bool {
        self.identity_path().exists()
    }

    /// Takes the folder for this process; held until dropped.
    pub fn lock(&self) -> Result<FolderLock, ConfigError> {
        let path = self.path.join("lock");
        match Lock::take(&path) {
            Ok(lock) => Ok(FolderLock { _lock: lock }),
            Err(fs::TryLockError::WouldBlock) => Err(ConfigError::Busy(self.path.clone())),
            Err(fs::TryLockError::Error(source)) => Err(ConfigError::Disk { path, source }),
        }
    }
}

/// Keeps every other process out of a folder; the system lets go of it even after kill -9.
#[derive(Debug)]
pub struct FolderLock {
    _lock: Lock,
}

/// What a person decides when a machine is made.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Admission {
    /// What people call the machine.
    pub name: String,
    /// What it may do.
    pub role: Role,
    /// Decides the pick within the tolerance; higher wins.
    pub priority: i32,
    /// Who carries logs to the cloud first; higher goes first.
    pub gateway_preference: i32,
}

/// One machine of a studio as its folder holds it.
#[derive(Clone, Debug)]
pub struct Machine {
    /// Where it lives.
    pub folder: Folder,
    /// Who it is.
    pub identity: Identity,
    /// What it signs with.
    pub key: SecretKey,
    /// Where that is kept.
    pub key_place: KeyPlace,
    /// Its studio.
    pub studio: StudioFile,
}

impl Machine {
    /// Makes a machine in a folder that holds none, with a grant signed by the root key of a kit.
    pub fn make(folder: Folder, kit: &mut Kit, admission: Admission) -> Result<Self, ConfigError> {
        check_name(&admission.name)?;
        let key = SecretKey::from_seed(random_bytes());
        let device = DeviceId::from_random(random_bytes());
        kit.grant(Grant {
            device,
            key: key.public(),
            name: admission.name.clone(),
            role: admission.role,
            priority: admission.priority,
            gateway_preference: admission.gateway_preference,
            version: 1,
        });
        let studio = kit.studio_file();
        Self::keep(folder, (device, admission.name), key, studio)
    }

    /// Writes a machine that was admitted to a studio into a folder that holds none.
    pub fn keep(
        folder: Folder,
        (device, name): (DeviceId, String),
        key: SecretKey,
        studio: StudioFile,
    ) -> Result<Self, ConfigError> {
        if folder.is_made() {
            return Err(ConfigError::AlreadyMade(folder.path));
        }
        secret::make_folder(folder.path())?;
        let _lock = folder.lock()?;
        let identity = Identity {
            version: FOLDER_VERSION,
            device,
            name,
        };
        let key_place = keychain::keep(&folder, device, &key)?;
        studio.save(&folder.studio_path())?;
        secret::write(&folder.identity_path(), pretty(&identity).as_bytes())?;
        Ok(Self {
            folder,
            identity,
            key,
            key_place,
            studio,
        })
    }

    /// Moves this machine's key, for a keychain that opens only when somebody logs in, or from a file into one.
    pub fn move_key(&mut self, to: KeyPlace) -> Result<(), ConfigError> {
        keychain::put(&self.folder, self.identity.device, to)?;
        self.key_place = to;
        Ok(())
    }

    /// Reads the machine that lives in a folder.
    pub fn load(folder: Folder) -> Result<Self, ConfigError> {
        let path = folder.identity_path();
        if !path.exists() {
            return Err(ConfigError::NoMachine(folder.path));
        }
        let text = read_text(&path).map_err(ConfigError::disk(&path))?;
        let version = read_version(&path, &text)?;
        if version > FOLDER_VERSION {
            return Err(ConfigError::Newer {
                path,
                found: version,
            });
        }
        let identity: Identity =
            serde_json::from_str(&text).map_err(|error| ConfigError::damaged(&path, error))?;
        let (key, key_place) = keychain::find(&folder, identity.device)?;
        let studio = StudioFile::load(&folder.studio_path())?;
        Ok(Self {
            folder,
            identity,
            key,
            key_place,
            studio,
        })
    }
}

/// The `version` of a JSON file, read before anything else of it is understood.
fn read_version(path: &Path, text: &str) -> Result<u32, ConfigError> {
    #[derive(Deserialize)]
    struct Versioned {
        version: u32,
    }
    serde_json::from_str::<Versioned>(text)
        .map(|file| file.version)
        .map_err(|error| ConfigError::damaged(path, error))
}

/// Names of machines and studios.
pub fn check_name(name: &str) -> Result<(), ConfigError> {
    let fits = !name.trim().is_empty() && name.len() <= limits::NAME_BYTES;
    if fits && !name.chars().any(char::is_control) {
        return Ok(());
    }
    Err(ConfigError::Name(name.chars().take(64).collect()))
}

fn pretty<T: Serialize>(value: &T) -> String {
    serde_json::to_string_pretty(value).expect("configuration always encodes") + "\n"
}

#[cfg(test)]
mod tests;
