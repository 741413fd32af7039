//! Signing in at the cloud: what is kept of it, and the way there with it.

use studiovault_protocol::api;
use studiovault_protocol::cloud::Prover;

use super::{Node, NodeError};
use crate::config::{ConfigError, Folder, Machine, SignInFile, StudioFile};
use crate::store::AuditKind;
use crate::uplink::CloudClient;

impl Node {
    /// Keeps a new token for the cloud and uses it from now on; the next probe finds out whether it is taken.
    pub async fn login(&self, request: api::LoginRequest) -> Result<(), NodeError> {
        let Some(cloud) = &self.inner.cloud else {
            return Err(NodeError::NoCloud);
        };
        let sign_in = keep_login(&self.inner.folder, &request)?;
        let sign_in = sign_in.map(|file| (file, self.inner.folder.sign_in_path()));
        cloud.sign_in(request.token, sign_in).await;
        let what = "a new token for the cloud was kept";
        self.inner.journal.note(AuditKind::SignIn, what);
        Ok(())
    }
}

/// Writes a login down: one that is renewed beside the studio file, another in it.
pub fn keep_login(
    folder: &Folder,
    request: &api::LoginRequest,
) -> Result<Option<SignInFile>, ConfigError> {
    let path = folder.sign_in_path();
    if let Some(renewal) = &request.renewal {
        let file = SignInFile {
            access: request.token.clone(),
            renewal: renewal.clone(),
            ended: false,
        };
        file.save(&path)?;
        return Ok(Some(file));
    }
    let mut studio = StudioFile::load(&folder.studio_path())?;
    if let Some(access) = &mut studio.cloud {
        access.token.clone_from(&request.token);
    }
    studio.save(&folder.studio_path())?;
    SignInFile::remove(&path)?;
    Ok(None)
}

/// The way to the cloud, if the studio has one; every request proves that it is this machine's.
pub fn cloud_client(machine: &Machine) -> Result<Option<CloudClient>, NodeError> {
    let Some(access) = machine.studio.cloud.clone() else {
        return Ok(None);
    };
    let prover = Prover::Device(machine.identity.device);
    let client = CloudClient::new(access)?.proving(prover, machine.key.clone());
    let path = machine.folder.sign_in_path();
    Ok(Some(match SignInFile::load(&path)? {
        Some(sign_in) => client.signed_in((sign_in, path)),
        None => client,
    }))
}
