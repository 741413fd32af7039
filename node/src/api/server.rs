//! The listeners of the local API: loopback and a Unix socket, found through `api.json` in the data folder.
//!
//! `api.json` and the token stand only while the process does; a stale pair names a port where the token is not taken.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

use axum::Router;
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::connections::{Bounded, Places};
use super::guard::Guard;
use super::routes;
use crate::config::{ConfigError, Folder, SecretBytes, beside, write_if_room};
use crate::node::Node;

/// How the API is to be served.
#[derive(Clone, Copy, Debug, Default)]
pub struct ApiOptions {
    /// The port on loopback; 0 takes a free one.
    pub port: u16,
}

/// Why the API is not served. Nothing changed.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// The machine's: something else has the port.
    #[error(
        "port {port} of the local API is in use ({source}); name another with --api-port, or leave it out for a free one"
    )]
    PortInUse {
        /// Which.
        port: u16,
        /// What the system said.
        source: io::Error,
    },
    /// The disk's.
    #[error(transparent)]
    Folder(#[from] ConfigError),
}

/// Where the API of a running node is: `api.json`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Endpoint {
    /// The port on 127.0.0.1 (and ::1 where there is one).
    pub port: u16,
    /// The process.
    pub pid: u32,
    /// The Unix socket, if there is one.
    pub socket: Option<PathBuf>,
}

/// The API while it is served.
#[derive(Debug)]
pub struct RunningApi {
    /// Where it is.
    pub endpoint: Endpoint,
    folder: Folder,
    stop: watch::Sender<bool>,
    servers: Vec<JoinHandle<()>>,
}

impl RunningApi {
    /// Ends streams, answers what is under way, and takes `api.json` away.
    pub async fn stop(self) {
        let _ = self.stop.send(true);
        for server in self.servers {
            // A server that panicked has nothing left to stop.
            let _ = server.await;
        }
        for path in [
            self.folder.api_path(),
            self.folder.token_path(),
            self.folder.socket_path(),
        ] {
            let _ = std::fs::remove_file(path);
        }
    }
}

/// Binds, writes `api.json` and the token, and serves until told to stop.
pub async fn serve(
    node: Node,
    folder: Folder,
    options: ApiOptions,
) -> Result<RunningApi, ApiError> {
    let in_use = |source| ApiError::PortInUse {
        port: options.port,
        source,
    };
    let first = TcpListener::bind((Ipv4Addr::LOCALHOST, options.port))
        .await
        .map_err(in_use)?;
    let port = first.local_addr().map_err(in_use)?.port();
    let token = SecretBytes::random().to_string();
    let (stop, stopped) = watch::channel(false);
    let state = routes::Shared::new(node, stopped.clone());
    let loopback = routes::router(state.clone(), Arc::new(Guard::loopback(&token, port)));
    let places = Places::new();
    let bounded = |inner| Bounded {
        inner,
        places: places.clone(),
    };
    let mut servers = vec![spawn(bounded(first), loopback.clone(), stopped.clone())];
    // A machine without IPv6, or with the port taken there, is served on IPv4 alone.
    if let Ok(second) = TcpListener::bind(SocketAddr::from((Ipv6Addr::LOCALHOST, port))).await {
        servers.push(spawn(bounded(second), loopback, stopped.clone()));
    }
    keep(&folder.token_path(), token.as_bytes())?;
    let over_socket = || routes::router(state.clone(), Arc::new(Guard::socket(&token)));
    // Whoever may open the socket is this user: what others do to the ports takes none of its places.
    let socket = serve_socket(&folder, over_socket, (Places::new(), stopped.clone()));
    let socket = socket.map(|(path, server)| {
        servers.push(server);
        // Whoever reads `api.json` was started in another folder.
        std::path::absolute(&path).unwrap_or(path)
    });
    let endpoint = Endpoint {
        port,
        pid: std::process::id(),
        socket,
    };
    let text = serde_json::to_string_pretty(&endpoint).expect("an endpoint always encodes");
    keep(&folder.api_path(), text.as_bytes())?;
    Ok(RunningApi {
        endpoint,
        folder,
        stop,
        servers,
    })
}

/// Writes what finds the API. A full disk keeps no node from starting: what others ask of it needs no room.
fn keep(path: &std::path::Path, bytes: &[u8]) -> Result<(), ConfigError> {
    if !write_if_room(path, bytes)? {
        tracing::warn!(
            path = %path.display(),
            "the disk is full: this file is not written, so no program on this machine finds the local API; make room and start the node anew"
        );
    }
    Ok(())
}

/// The Unix socket beside loopback. A path that is too long for one is no reason not to run.
#[cfg(unix)]
fn serve_socket(
    folder: &Folder,
    router: impl FnOnce() -> Router,
    (places, stopped): (Places, watch::Receiver<bool>),
) -> Option<(PathBuf, JoinHandle<()>)> {
    let path = folder.socket_path();
    let inner = match bind_socket(&path) {
        Ok(listener) => listener,
        Err(error) => {
            tracing::info!(%error, path = %path.display(), "no Unix socket for the local API; loopback serves it");
            return None;
        }
    };
    Some((path, spawn(Bounded { inner, places }, router(), stopped)))
}

/// Binds in a folder that only we enter and moves the socket to its place once nobody else may connect: a mode set on a socket that
/// is listening already comes a moment late.
#[cfg(unix)]
fn bind_socket(path: &std::path::Path) -> io::Result<tokio::net::UnixListener> {
    use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
    let aside = beside(path);
    let _ = std::fs::remove_dir_all(&aside);
    std::fs::DirBuilder::new().mode(0o700).create(&aside)?;
    let born = aside.join("s");
    let bound = tokio::net::UnixListener::bind(&born).and_then(|listener| {
        std::fs::set_permissions(&born, std::fs::Permissions::from_mode(0o600))?;
        std::fs::rename(&born, path)?;
        Ok(listener)
    });
    let _ = std::fs::remove_dir_all(&aside);
    bound
}

#[cfg(not(unix))]
fn serve_socket(
    _folder: &Folder,
    _router: impl FnOnce() -> Router,
    _bounds: (Places, watch::Receiver<bool>),
) -> Option<(PathBuf, JoinHandle<()>)> {
    None
}

fn spawn<L>(listener: L, router: Router, stopped: watch::Receiver<bool>) -> JoinHandle<()>
where
    L: axum::serve::Listener,
    L::Addr: std::fmt::Debug,
{
    tokio::spawn(async move {
        let served = axum::serve(listener, router).with_graceful_shutdown(until(stopped));
        if let Err(error) = served.await {
            tracing::error!(%error, "a listener of the local API ended");
        }
    })
}

/// Ends once the API stops.
pub(super) async fn until(mut stopped: watch::Receiver<bool>) {
    // The sender is gone only together with the API.
    let _ = stopped.wait_for(|stopped| *stopped).await;
}
