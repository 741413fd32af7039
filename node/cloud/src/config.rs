//! How a cloud truth is started: its folder, its address, and how it is reached.

use std::net::SocketAddr;
use std::path::PathBuf;

/// How clients reach the server.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Transport {
    /// TLS 1.2 or newer with the certificate of the folder.
    #[default]
    Tls,
    /// Plain HTTP, on a loopback address only.
    PlainLoopback,
}

/// An identity provider whose access tokens are taken.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct IssuerConfig {
    /// Its address, as it calls itself; plain http only to loopback.
    pub url: String,
    /// What its tokens for this server name as their audience.
    pub audience: String,
    /// The public client that machines sign in as.
    pub client: String,
}

/// A bucket over the S3 protocol.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BucketConfig {
    /// As `s3://BUCKET` or `s3://BUCKET/FOLDER`.
    pub url: String,
    /// Its server; Amazon's if none is named. Plain http only to this machine.
    pub endpoint: Option<String>,
}

/// Everything a start needs.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CloudConfig {
    /// Where database, keys and certificate stand; made if missing.
    pub folder: PathBuf,
    /// A PostgreSQL that several servers share, instead of the folder's own database.
    pub database: Option<String>,
    /// Moves what the folder's own database holds into the shared one first, which must be empty.
    pub move_in: bool,
    /// The address to listen on; port 0 takes a free one.
    pub listen: SocketAddr,
    /// How clients reach it.
    pub transport: Transport,
    /// Names and addresses for the certificate beside `localhost`, `127.0.0.1` and `::1`. Used when it is made.
    pub names: Vec<String>,
    /// An identity provider, beside the server's own tokens.
    pub issuer: Option<IssuerConfig>,
    /// Where snapshots are kept, instead of the folder.
    pub bucket: Option<BucketConfig>,
}

impl CloudConfig {
    /// With TLS and no further names.
    pub fn new(folder: impl Into<PathBuf>, listen: SocketAddr) -> Self {
        Self {
            folder: folder.into(),
            database: None,
            move_in: false,
            listen,
            transport: Transport::Tls,
            names: Vec::new(),
            issuer: None,
            bucket: None,
        }
    }
}
