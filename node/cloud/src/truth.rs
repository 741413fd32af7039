//! The cloud truth as a whole: its database, its key, its policy, and the studios that it has opened.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use studiovault_protocol::cloud::{EnrolAnswer, EnrolRequest};
use studiovault_protocol::command::Command;
use studiovault_protocol::feed::{Entry, Page, PageBody};
use studiovault_protocol::id::{Author, DeviceId, Dot, Epoch, Hash, StudioId};
use studiovault_protocol::keys::{SecretKey, VerifyKey};
use studiovault_protocol::limits;
use studiovault_protocol::merge::StateSum;
use studiovault_protocol::policy::Policy;
use studiovault_protocol::time::WallMs;

use crate::clock::wall_now;
use crate::error::CloudError;
use crate::heads::Heads;
use crate::objects::Objects;
use crate::secrets;
use crate::snapshots::Snapshots;
use crate::store::{Audit, Store, StoreError, StudioRow};
use crate::studio::Studio;
use crate::tokens;

/// Everything that requests are answered from.
pub struct Truth {
    /// The database.
    pub store: Store,
    /// Signs every studio's feed.
    pub key: SecretKey,
    /// The rules in force until a studio signs its own.
    pub policy: Policy,
    /// Only tests set it: commands on which the server breaks with the whole request.
    pub breaks_on: Option<fn(&Command) -> bool>,
    /// Where feeds end, as the folder knows it.
    pub heads: Heads,
    /// Where those begin who have nothing, or begin anew.
    pub snapshots: Snapshots,
    studios: Mutex<BTreeMap<StudioId, Arc<Studio>>>,
}

/// Why a studio is not enrolled. The asker's fault or the disk's; nothing changed.
#[derive(Debug, thiserror::Error)]
pub enum EnrolError {
    /// Somebody else's studio, or a mix-up of backups.
    #[error(
        "this studio is enrolled with another root key: use the studio file that it was enrolled with"
    )]
    OtherRoot,
    /// Not a key, or a name that is too long.
    #[error(
        "the root key, the name or the genesis cannot be used: a name takes 1 to 64 bytes, a genesis at most 4096 authors"
    )]
    Malformed,
    /// The disk's.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Truth {
    /// Opens the folder. Makes the signing key at the first start only: a feed must go on with the key it began with.
    pub fn open(folder: &Path) -> Result<Self, CloudError> {
        let store = Store::open(folder)?;
        if store.is_moved()? {
            return Err(CloudError::Moved(folder.to_owned()));
        }
        Self::on(store, folder)
    }

    /// Opens a database that several servers share; every one of them has a folder with the same keys.
    pub fn open_shared(folder: &Path, address: &str) -> Result<Self, CloudError> {
        Self::on(Store::shared(address)?, folder)
    }

    fn on(store: Store, folder: &Path) -> Result<Self, CloudError> {
        let known = store.read(|session| session.setting("signing_key"))?;
        let path = folder.join("signing-key");
        if known.is_some() && !path.exists() {
            return Err(CloudError::WrongKey(path));
        }
        let text = secrets::load_or_create(&path, || secrets::hex(&secrets::random::<32>()))?;
        let seed: Hash = text.parse().map_err(|_| CloudError::Damaged {
            path: path.clone(),
            detail: "not 64 hexadecimal digits".into(),
            hint: "",
        })?;
        let key = SecretKey::from_seed(seed.0);
        match known {
            Some(bytes) if bytes == key.public().0 => {}
            Some(_) => return Err(CloudError::WrongKey(path)),
            None => store.write(|session| session.set_setting("signing_key", &key.public().0))?,
        }
        Ok(Self {
            store,
            key,
            policy: Policy::default(),
            breaks_on: None,
            heads: Heads::in_folder(folder),
            snapshots: Snapshots::new(Objects::in_folder(&folder.join("objects"))?),
            studios: Mutex::default(),
        })
    }

    /// A truth in memory with a given key.
    pub fn in_memory(key: SecretKey) -> Result<Self, StoreError> {
        Ok(Self {
            store: Store::in_memory()?,
            key,
            policy: Policy::default(),
            breaks_on: None,
            heads: Heads::default(),
            snapshots: Snapshots::new(Objects::in_memory()),
            studios: Mutex::default(),
        })
    }

    /// Forgets everything but the database, as a restart does.
    pub fn forget(&self) {
        self.opened().clear();
    }

    /// The admin token of the folder, made at the first start; the database keeps only its hash.
    pub fn admin_token(&self, folder: &Path) -> Result<String, CloudError> {
        let token = secrets::load_or_create(&folder.join("admin-token"), tokens::mint_admin)?;
        let hash = tokens::hash_of(&token);
        self.store
            .write(|session| session.set_setting("admin_token", &hash.0))?;
        Ok(token)
    }

    /// An enrolled studio, opened from the database at its first use.
    pub fn studio(&self, id: StudioId) -> Result<Option<Arc<Studio>>, StoreError> {
        let known = self.opened().get(&id).cloned();
        if let Some(studio) = known {
            studio.refresh(self)?;
            return Ok(Some(studio));
        }
        let Some(studio) = self
            .store
            .read(|session| Studio::load(session, (id, &self.policy)))?
        else {
            return Ok(None);
        };
        // Whoever was faster, there is one of it.
        let studio = self.opened().entry(id).or_insert(Arc::new(studio)).clone();
        Ok(Some(studio))
    }

    fn opened(&self) -> MutexGuard<'_, BTreeMap<StudioId, Arc<Studio>>> {
        self.studios.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes in what other servers write, until `ended` says so. Waits; returns at once if there can be no others.
    pub fn follow(&self, ended: impl Fn() -> bool) {
        self.store.follow(&mut |changed| {
            let opened: Vec<Arc<Studio>> = self.opened().values().cloned().collect();
            let touched = |studio: &&Arc<Studio>| changed.is_none_or(|row| row == studio.row);
            for studio in opened.iter().filter(touched) {
                if let Err(error) = studio.refresh(self) {
                    tracing::warn!(%error, "a studio cannot be looked up");
                }
            }
            if ended() {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        });
    }

    /// Enrols a studio: its feed begins. Asked again with the same root key it tells the same again.
    pub fn enrol(&self, request: &EnrolRequest) -> Result<EnrolAnswer, EnrolError> {
        let cloud = Author {
            device: DeviceId::from_random(secrets::random()),
            epoch: Epoch(u64::from_le_bytes(secrets::random())),
        };
        self.enrol_as(request, cloud, wall_now())
    }

    /// Like [`Self::enrol`], with a name and a time that the caller drew.
    pub fn enrol_as(
        &self,
        request: &EnrolRequest,
        fresh: Author,
        at: WallMs,
    ) -> Result<EnrolAnswer, EnrolError> {
        let named = (1..=limits::NAME_BYTES).contains(&request.name.len());
        let counted = |dot: &Dot| (1..=limits::COUNTER).contains(&dot.counter);
        let bounded = request.genesis.len() <= limits::GENESIS_AUTHORS;
        let sound = bounded && request.genesis.iter().all(counted);
        if !named || !sound || VerifyKey::new(&request.root).is_none() {
            return Err(EnrolError::Malformed);
        }
        self.store.write(|session| {
            let cloud = match session.studio(request.studio)? {
                Some(known) if known.root == request.root => known.cloud,
                Some(_) => return Err(EnrolError::OtherRoot),
                None => {
                    let (studio, page) = self.begin(request, fresh, at);
                    let row = session.enrol(&studio, at)?;
                    session.insert_page(row, &page)?;
                    let line = Audit {
                        studio: Some(row),
                        who: "admin".into(),
                        device: None,
                        what: format!("enrol {}", request.studio),
                        outcome: "enrolled".into(),
                    };
                    session.audit(&line, at)?;
                    studio.cloud
                }
            };
            Ok(EnrolAnswer {
                device: cloud.device,
                key: self.key.public(),
            })
        })
    }

    /// A new studio and the first page of its feed.
    fn begin(&self, request: &EnrolRequest, cloud: Author, at: WallMs) -> (StudioRow, Page) {
        let body = PageBody {
            studio: request.studio,
            author: cloud,
            first: 1,
            prev: Hash::default(),
            at,
            entries: vec![Entry::Genesis(request.genesis.clone())],
        };
        let page = Page::seal(body, &self.key);
        let studio = StudioRow {
            row: 0,
            id: request.studio,
            name: request.name.clone(),
            root: request.root,
            cloud,
            head: (page.last(), page.hash()),
            sum: StateSum::default(),
            genesis: request.genesis.clone(),
            revision: 0,
        };
        (studio, page)
    }
}
