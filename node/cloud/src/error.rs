//! Why a cloud truth does not start.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use crate::objects::ObjectsError;
use crate::store::StoreError;

/// A start that failed. Nothing listens.
#[derive(Debug, thiserror::Error)]
pub enum CloudError {
    /// The person's: plain HTTP would be readable by everybody on the way.
    #[error(
        "plain HTTP is only for this machine, and {0} is not: listen on 127.0.0.1 or [::1], or use TLS"
    )]
    PlainBeyondLoopback(SocketAddr),
    /// The person's: somebody else listens there.
    #[error("port {} is taken on {}: stop the other program, or choose another port with --listen", .0.port(), .0.ip())]
    PortInUse(SocketAddr),
    /// The system refuses the address.
    #[error("cannot listen on {address} ({source}): choose an address of this machine")]
    Listen {
        /// Which.
        address: SocketAddr,
        /// What the system says.
        source: io::Error,
    },
    /// The disk's or the permissions'.
    #[error("cannot use {path} ({source}): check that the folder is writable and not full", path = .path.display())]
    Folder {
        /// Which file or folder.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A key or certificate file that cannot be read as one.
    #[error("{path} is damaged ({detail}): restore it from a backup{hint}", path = .path.display())]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        detail: String,
        /// What else helps.
        hint: &'static str,
    },
    /// The database holds a feed that another key signed.
    #[error("the signing key in {} is not the one that signed this folder's feed: restore it from a backup", .0.display())]
    WrongKey(PathBuf),
    /// The person's: what the folder holds goes on elsewhere.
    #[error("what {} holds was moved into a shared database: start it with --database and that address", .0.display())]
    Moved(PathBuf),
    /// The person's: one folder, one server.
    #[error("another cloud truth runs on {}: stop it, or choose another folder", .0.display())]
    InUse(PathBuf),
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The place of the snapshots.
    #[error(transparent)]
    Objects(#[from] ObjectsError),
    /// The person's: an identity provider that cannot be one.
    #[error(
        "the identity provider {0} cannot be used ({1}): correct --issuer and what belongs to it"
    )]
    Issuer(String, String),
    /// A bug or a broken system.
    #[error(
        "cannot prepare TLS ({0}): delete cert.pem and cert-key.pem in the folder to have them made again"
    )]
    Tls(String),
}
