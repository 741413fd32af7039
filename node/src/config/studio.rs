//! The studio file: everything that makes a machine one of a studio, pre-shared until pairing exists.
//!
//! It holds the root key and the mesh key, so whoever has the file is the studio: it is written 0600 and never sent.

use std::fmt;
use std::path::Path;

use serde::{Deserialize, Serialize};
use studiovault_protocol::cloud::EnrolAnswer;
use studiovault_protocol::id::{PublicKey, StudioId};
use studiovault_protocol::keys::SecretKey;
use studiovault_protocol::membership::{Grant, Role, Roster, SignedRecord};

use super::{ConfigError, FOLDER_VERSION, Region, SecretBytes, check_name, pretty, random_bytes};
use super::{read_version, secret};

/// How the cloud truth is reached.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CloudAccess {
    /// Where it is; plain http only to loopback.
    pub url: String,
    /// The SHA-256 of its public key, if the certificate is its own; `None`: the web's authorities decide.
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
    /// The root key's seed: signs every grant.
    pub root_seed: SecretBytes,
    /// The key under every handshake of the mesh.
    pub mesh_key: SecretBytes,
    /// Hides who is who in the announcements on the LAN.
    pub discovery_key: SecretBytes,
    /// The cloud truth, if there is one.
    pub cloud: Option<CloudAccess>,
    /// The signed grants known when the file was written.
    pub grants: Vec<SignedRecord>,
}

impl StudioFile {
    /// A new studio without members.
    pub fn found(founder: Founder) -> Result<Self, ConfigError> {
        check_name(&founder.name)?;
        Ok(Self {
            version: FOLDER_VERSION,
            studio: StudioId::from_random(random_bytes()),
            name: founder.name,
            region: founder.region,
            root_seed: SecretBytes::random(),
            mesh_key: SecretBytes::random(),
            discovery_key: SecretBytes::random(),
            cloud: founder.cloud,
            grants: Vec::new(),
        })
    }

    /// The root key.
    pub fn root_key(&self) -> SecretKey {
        SecretKey::from_seed(self.root_seed.0)
    }

    /// The root key's public half.
    pub fn root(&self) -> PublicKey {
        self.root_key().public()
    }

    /// Admits the cloud truth as the member that enrolment told us of.
    pub fn admit_cloud(&mut self, answer: EnrolAnswer) {
        let grant = Grant {
            device: answer.device,
            key: answer.key,
            name: "cloud".to_owned(),
            role: Role::Cloud,
            priority: 0,
            gateway_preference: 0,
            version: 1,
        };
        let sealed = SignedRecord::by_root(self.studio, grant, &self.root_key());
        self.grants.push(sealed);
    }

    /// The roster that the file's grants make.
    pub fn roster(&self) -> Result<Roster, String> {
        let mut roster =
            Roster::new(self.studio, self.root()).ok_or("the root key is not a usable key")?;
        for grant in &self.grants {
            roster
                .insert(grant.clone())
                .map_err(|error| error.to_string())?;
        }
        Ok(roster)
    }

    /// Reads and checks a studio file: every grant must carry the root key's signature.
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
