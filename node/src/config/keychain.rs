//! Where a machine's device key lies: in the system's keychain if there is one that answers, else in a file of its owner's.
//!
//! `device.key` always says where: it holds the key itself, or the word `keychain`. A key leaves a place only after it was read
//! back from the other one.

use std::sync::mpsc;
use std::time::Duration;

use keyring::Entry;
use studiovault_protocol::id::DeviceId;
use studiovault_protocol::keys::SecretKey;

use super::{ConfigError, Folder, SecretBytes, secret};

/// Under which name the keychain lists the keys; each one's user is its machine's id.
const SERVICE: &str = "StudioVault device key";
/// What `device.key` says of a key that is not in it.
const ELSEWHERE: &str = "keychain";
/// A keychain that is only hoped for answers within this time, or is done without.
const HOPED: Duration = Duration::from_secs(15);
/// A person unlocks a keychain within this time.
const UNLOCKED: Duration = Duration::from_secs(120);

/// Where a key is, or shall be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum KeyPlace {
    /// A file that only its owner reads.
    File,
    /// The system's keychain.
    Keychain,
}

/// Where the key of a new machine shall be.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum KeyWish {
    /// There, or the machine is not made.
    In(KeyPlace),
    /// The keychain if there is one that answers, else the file.
    #[default]
    Safest,
}

/// Puts the key of a new machine in its place.
pub(super) fn keep(
    folder: &Folder,
    device: DeviceId,
    key: &SecretKey,
) -> Result<KeyPlace, ConfigError> {
    let place = match folder.keys {
        KeyWish::In(KeyPlace::File) => KeyPlace::File,
        KeyWish::In(KeyPlace::Keychain) => {
            store(device, key, UNLOCKED).map_err(ConfigError::Keychain)?;
            KeyPlace::Keychain
        }
        KeyWish::Safest if store(device, key, HOPED).is_ok() => KeyPlace::Keychain,
        KeyWish::Safest => KeyPlace::File,
    };
    say(folder, place, key)?;
    Ok(place)
}

/// The key, wherever it is, and where that is.
pub(super) fn find(
    folder: &Folder,
    device: DeviceId,
) -> Result<(SecretKey, KeyPlace), ConfigError> {
    let path = folder.key_path();
    if !path.exists() {
        return Err(ConfigError::NoKey(path));
    }
    let text = secret::read(&path)?;
    if text.trim() == ELSEWHERE {
        let key = fetch(device, UNLOCKED).map_err(ConfigError::Keychain)?;
        return Ok((key, KeyPlace::Keychain));
    }
    let seed: Result<SecretBytes, _> = text.trim().parse();
    let seed = seed.map_err(|error| ConfigError::damaged(&path, error))?;
    Ok((SecretKey::from_seed(seed.0), KeyPlace::File))
}

/// Moves the key; where it is already nothing happens.
pub(super) fn put(folder: &Folder, device: DeviceId, to: KeyPlace) -> Result<(), ConfigError> {
    let (key, from) = find(folder, device)?;
    match (from, to) {
        (KeyPlace::File, KeyPlace::Keychain) => {
            store(device, &key, UNLOCKED).map_err(ConfigError::Keychain)?;
            say(folder, to, &key)
        }
        (KeyPlace::Keychain, KeyPlace::File) => {
            say(folder, to, &key)?;
            ask(device, UNLOCKED, |entry| entry.delete_credential()).map_err(ConfigError::Keychain)
        }
        _ => Ok(()),
    }
}

fn say(folder: &Folder, place: KeyPlace, key: &SecretKey) -> Result<(), ConfigError> {
    let text = match place {
        KeyPlace::File => SecretBytes(key.seed()).to_string(),
        KeyPlace::Keychain => ELSEWHERE.to_owned(),
    };
    secret::write(&folder.key_path(), text.as_bytes())
}

/// Writes the key to the keychain and reads it back; else says why not.
fn store(device: DeviceId, key: &SecretKey, within: Duration) -> Result<(), String> {
    let seed = key.seed();
    let read = ask(device, within, move |entry| {
        entry.set_secret(&seed)?;
        entry.get_secret()
    })?;
    if read == seed {
        return Ok(());
    }
    Err("it gave back something else than it was given".into())
}

fn fetch(device: DeviceId, within: Duration) -> Result<SecretKey, String> {
    let read = ask(device, within, |entry| entry.get_secret())?;
    let seed = <[u8; 32]>::try_from(read).map_err(|_| "what it holds is no key".to_owned())?;
    Ok(SecretKey::from_seed(seed))
}

/// Asks the keychain in a thread of its own: it may wait for a person, or for ever, and it may not block a runtime.
fn ask<A: Send + 'static>(
    device: DeviceId,
    within: Duration,
    question: impl FnOnce(&Entry) -> keyring::Result<A> + Send + 'static,
) -> Result<A, String> {
    let (answer, answered) = mpsc::channel();
    std::thread::spawn(move || {
        let said = match Entry::store_status() {
            Err(error) => Err(error.to_string()),
            Ok(()) => Entry::new(SERVICE, &device.to_string())
                .and_then(|entry| question(&entry))
                .map_err(|error| error.to_string()),
        };
        // Nobody waits any more if it took too long.
        let _ = answer.send(said);
    });
    let waited = answered.recv_timeout(within);
    waited.unwrap_or_else(|_| Err(format!("it did not answer in {} s", within.as_secs())))
}
