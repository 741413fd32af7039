//! Starting and stopping: the folder, the listener, and the routes behind it.

use std::fmt;
use std::fs::{self, File};
use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum_server::Handle;
use axum_server::tls_rustls::RustlsConfig;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinHandle;

use crate::config::{CloudConfig, Transport};
use crate::connections::Bounded;
use crate::error::CloudError;
use crate::handlers::{App, STREAMS, router};
use crate::issuer::Issuer;
use crate::objects::Objects;
use crate::snapshots::Snapshots;
use crate::snapshots::upkeep::keep_up;
use crate::store::Store;
use crate::tls::{self, Identity};
use crate::truth::Truth;

/// How long requests under way may take to end at a stop.
const GRACE: Duration = Duration::from_secs(5);

/// A cloud truth that answers.
pub struct RunningCloud {
    /// Where it listens.
    pub address: SocketAddr,
    /// Hexadecimal SHA-256 of the certificate's SubjectPublicKeyInfo; `None` without TLS.
    pub pin: Option<String>,
    /// The same of the key that lies in reserve.
    pub backup_pin: Option<String>,
    /// Enrols studios and makes tokens.
    pub admin_token: String,
    handle: Handle<SocketAddr>,
    closing: watch::Sender<bool>,
    task: JoinHandle<std::io::Result<()>>,
    /// Held as long as the server runs: two servers on one folder would write two feeds.
    _lock: Option<File>,
}

impl fmt::Debug for RunningCloud {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RunningCloud({}, admin token hidden)", self.address)
    }
}

impl RunningCloud {
    /// Ends waiting requests, lets the others finish, and stops.
    pub async fn shutdown(self) {
        self.closing.send_replace(true);
        self.handle.graceful_shutdown(Some(GRACE));
        if let Ok(Err(error)) = self.task.await {
            tracing::warn!(%error, "the listener ended with an error");
        }
    }
}

/// Starts a cloud truth. Needs a tokio runtime.
pub async fn serve(config: CloudConfig) -> Result<RunningCloud, CloudError> {
    if config.transport == Transport::PlainLoopback && !config.listen.ip().is_loopback() {
        return Err(CloudError::PlainBeyondLoopback(config.listen));
    }
    let folder = config.folder.as_path();
    make_folder(folder)?;
    // Servers that share a database may share a folder as well.
    let lock = match config.database {
        None => Some(lock(folder)?),
        Some(_) => None,
    };
    let opening = config.clone();
    let opening = tokio::task::spawn_blocking(move || open(&opening));
    let (truth, admin_token) = match opening.await {
        Ok(opened) => opened?,
        Err(panic) => std::panic::resume_unwind(panic.into_panic()),
    };
    let truth = Arc::new(truth);
    let identity = match config.transport {
        Transport::Tls => Some(tls::load_or_create(folder, &config.names)?),
        Transport::PlainLoopback => None,
    };
    let issuer = config.issuer.clone().map(Issuer::new).transpose()?;
    let listener = listen(config.listen)?;
    let failed = |source| CloudError::Listen {
        address: config.listen,
        source,
    };
    let address = listener.local_addr().map_err(failed)?;
    let (closing, closed) = watch::channel(false);
    follow(truth.clone(), closed.clone());
    tokio::spawn(keep_up(truth.clone(), closed.clone()));
    let routes = router(App {
        truth,
        closing: closed,
        metrics: Arc::default(),
        streams: Arc::new(Semaphore::new(STREAMS)),
        issuer: issuer.map(Arc::new),
        scheme: match config.transport {
            Transport::Tls => "https",
            Transport::PlainLoopback => "http",
        },
    });
    let handle = Handle::new();
    let pin = identity.as_ref().map(|identity| identity.pin.clone());
    let backup_pin = identity
        .as_ref()
        .map(|identity| identity.backup_pin.clone());
    let task = spawn((listener, routes), identity, handle.clone()).map_err(failed)?;
    Ok(RunningCloud {
        address,
        pin,
        backup_pin,
        admin_token,
        handle,
        closing,
        task,
        _lock: lock,
    })
}

fn open(config: &CloudConfig) -> Result<(Truth, String), CloudError> {
    let folder = config.folder.as_path();
    let mut truth = match &config.database {
        None => Truth::open(folder)?,
        Some(address) => {
            if config.move_in {
                let _lock = lock(folder)?;
                let rows = Store::open(folder)?.move_into(&Store::shared(address)?)?;
                tracing::info!(rows, "moved into the shared database");
            }
            Truth::open_shared(folder, address)?
        }
    };
    if let Some(bucket) = &config.bucket {
        truth.snapshots = Snapshots::new(Objects::in_bucket(bucket)?);
    }
    let admin_token = truth.admin_token(folder)?;
    Ok((truth, admin_token))
}

/// Takes in what other servers write as long as this one runs.
fn follow(truth: Arc<Truth>, closed: watch::Receiver<bool>) {
    if truth.store.is_shared() {
        std::thread::spawn(move || truth.follow(|| *closed.borrow()));
    }
}

fn spawn(
    (listener, routes): (TcpListener, Router),
    identity: Option<Identity>,
    handle: Handle<SocketAddr>,
) -> std::io::Result<JoinHandle<std::io::Result<()>>> {
    let service = routes.into_make_service();
    Ok(match identity {
        Some(identity) => {
            let config = RustlsConfig::from_config(identity.config);
            let server = axum_server::from_tcp_rustls(listener, config)?.map(Bounded::new);
            let server = server.handle(handle);
            tokio::spawn(server.serve(service))
        }
        None => {
            let server = axum_server::from_tcp(listener)?.map(Bounded::new);
            let server = server.handle(handle);
            tokio::spawn(server.serve(service))
        }
    })
}

fn make_folder(folder: &Path) -> Result<(), CloudError> {
    let failed = |source| CloudError::Folder {
        path: folder.to_owned(),
        source,
    };
    fs::create_dir_all(folder).map_err(failed)?;
    owner_only(folder).map_err(failed)
}

#[cfg(unix)]
fn owner_only(folder: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(folder, fs::Permissions::from_mode(0o700))
}

/// Elsewhere a folder inherits who may read it.
#[cfg(not(unix))]
fn owner_only(_: &Path) -> std::io::Result<()> {
    Ok(())
}

fn lock(folder: &Path) -> Result<File, CloudError> {
    let path = folder.join("lock");
    let file = File::create(&path).map_err(|source| CloudError::Folder {
        path: path.clone(),
        source,
    })?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(_) => Err(CloudError::InUse(folder.to_owned())),
    }
}

fn listen(address: SocketAddr) -> Result<TcpListener, CloudError> {
    let listener = TcpListener::bind(address).map_err(|source| match source.kind() {
        ErrorKind::AddrInUse => CloudError::PortInUse(address),
        _ => CloudError::Listen { address, source },
    })?;
    listener
        .set_nonblocking(true)
        .map_err(|source| CloudError::Listen { address, source })?;
    Ok(listener)
}
