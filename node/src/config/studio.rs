//! The studio file: what a machine's folder holds of its studio.
//!
//! It holds the mesh key and the token for the cloud, never the root key: it is written 0600 and never sent.

use std::fmt;
use std::path::Path;

use serde::{Deserialize, Serialize};
use studiovault_protocol::id::{PublicKey, StudioId};
use studiovault_protocol::limits::mesh::MESH_KEYS;
use studiovault_protocol::membership::{KeyState, Keyring, Roster, SignedRecord};

use super::{ConfigError, FOLDER_VERSION, Region, SecretBytes, pretty};
use super::{read_version, secret};

/// How the cloud truth is reached.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CloudAccess {
    /// Where it is; plain http only to loopback.
    pub url: String,
    /// The pins of its public key, as [`PinSet`](crate::uplink::PinSet) writes them; `None`: the web's authorities decide.
    pub pin: Option<String>,
    /// The personal access token.
    pub token: String,
}

impl fmt::Debug for CloudAccess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CloudAccess({}, token hidden)", self.url)
    }
}

/// What the founder of a studio decides.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Founder {
    /// What people call the studio.
    pub name: String,
    /// Its time zone and currency.
    pub region: Region,
    /// Its cloud truth, if it has one.
    pub cloud: Option<CloudAccess>,
}

/// One studio: `studio.json`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct StudioFile {
    /// The layout's version.
    pub version: u32,
    /// Which studio.
    pub studio: StudioId,
    /// What people call it.
    pub name: String,
    /// Its time zone and currency.
    pub region: Region,
    /// The root key's public half.
    pub root: PublicKey,
    /// The key under every handshake of the mesh.
    pub mesh_key: SecretBytes,
    /// The keys before it, the newest first, until every machine has moved on.
    #[serde(default)]
    pub earlier_keys: Vec<SecretBytes>,
    /// The keys before it once every machine had moved on: in use again while one that had gone is back and knows no other.
    #[serde(default)]
    pub rested_keys: Vec<SecretBytes>,
    /// The change that brought the key, and who uses it.
    #[serde(default)]
    pub keyring: Keyring,
    /// Hides who is who in the announcements on the LAN.
    pub discovery_key: SecretBytes,
    /// The cloud truth, if there is one.
    pub cloud: Option<CloudAccess>,
    /// The signed records known when the file was written, each after those that it rests on.
    pub records: Vec<SignedRecord>,
}

impl StudioFile {
    /// The roster that the file's records make.
    pub fn roster(&self) -> Result<Roster, String> {
        let mut roster =
            Roster::new(self.studio, self.root).ok_or("the root key is not a usable key")?;
        let taken = roster.take_in(&self.records);
        match taken.into_iter().find_map(Result::err) {
            Some(error) => Err(error.to_string()),
            None => Ok(roster),
        }
    }

    /// The keys of the mesh, the newest first.
    pub fn mesh_keys(&self) -> Vec<[u8; 32]> {
        let earlier = self.earlier_keys.iter().map(|key| key.0);
        std::iter::once(self.mesh_key.0).chain(earlier).collect()
    }

    /// What announcements on the LAN are tagged with, for each key of the mesh: who does not know that key cannot tell them from others.
    pub fn discovery_keys(&self) -> Vec<[u8; 32]> {
        let tagged = |key: [u8; 32]| {
            let mut hasher = blake3::Hasher::new_keyed(&self.discovery_key.0);
            hasher.update(b"studiovault announcement v1").update(&key);
            *hasher.finalize().as_bytes()
        };
        self.mesh_keys().into_iter().map(tagged).collect()
    }

    /// Takes up a change of the mesh key, or that one fell with its signer's right; once all use it, the keys before rest.
    pub fn rekey(&mut self, keyring: &Keyring, roster: &Roster) {
        self.wake_earlier();
        let fallen = keyring.fallen(roster);
        let stands = |key: &&SecretBytes| fallen.iter().all(|fallen| fallen.0 != key.0);
        let changed = keyring.in_force(roster);
        let key = match changed {
            Some(rekey) => Some(SecretBytes(rekey.key.0)),
            // What was in use before any change.
            None => {
                let mut known = std::iter::once(&self.mesh_key).chain(&self.earlier_keys);
                known.find(stands).copied()
            }
        };
        if let Some(key) = key.filter(|key| *key != self.mesh_key) {
            self.change_key(key);
        }
        if keyring.state(roster) == KeyState::Settled {
            self.rested_keys = std::mem::take(&mut self.earlier_keys);
        }
        self.keyring = keyring.clone();
    }

    fn change_key(&mut self, key: SecretBytes) {
        let before = std::mem::replace(&mut self.mesh_key, key);
        self.earlier_keys.retain(|earlier| *earlier != key);
        self.earlier_keys.insert(0, before);
        self.earlier_keys.truncate(MESH_KEYS - 1);
    }

    fn wake_earlier(&mut self) {
        let rested = std::mem::take(&mut self.rested_keys);
        let unknown = |key: &SecretBytes| *key != self.mesh_key && !self.earlier_keys.contains(key);
        let woken: Vec<SecretBytes> = rested.into_iter().filter(unknown).collect();
        self.earlier_keys.extend(woken);
        self.earlier_keys.truncate(MESH_KEYS - 1);
    }

    /// What a machine that was paired keeps of its studio.
    pub fn of_pairing(
        (studio, name, region): (StudioId, String, Region),
        (root, mesh_key, discovery_key): (PublicKey, SecretBytes, SecretBytes),
        (cloud, records): (Option<CloudAccess>, Vec<SignedRecord>),
    ) -> Self {
        Self {
            version: FOLDER_VERSION,
            studio,
            name,
            region,
            root,
            mesh_key,
            earlier_keys: Vec::new(),
            rested_keys: Vec::new(),
            keyring: Keyring::default(),
            discovery_key,
            cloud,
            records,
        }
    }

    /// Reads and checks a studio file: every record must carry the signature of somebody who may.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let text = secret::read(path)?;
        let found = read_version(path, &text)?;
        if found > FOLDER_VERSION {
            return Err(ConfigError::Newer {
                path: path.to_owned(),
                found,
            });
        }
        let file: Self =
            serde_json::from_str(&text).map_err(|error| ConfigError::damaged(path, error))?;
        file.roster()
            .map_err(|error| ConfigError::damaged(path, error))?;
        Ok(file)
    }

    /// Writes the file, for its owner only.
    pub fn save(&self, path: &Path) -> Result<(), ConfigError> {
        secret::write(path, pretty(self).as_bytes())
    }
}
