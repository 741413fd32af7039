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

/// Everything a start needs.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CloudConfig {
    /// Where database, keys and certificate stand; made if missing.
    pub folder: PathBuf,
    /// The address to listen on; port 0 takes a free one.
    pub listen: SocketAddr,
    /// How clients reach it.
    pub transport: Transport,
    /// Names and addresses for the certificate beside `localhost`, `127.0.0.1` and `::1`. Used when it is made.
    pub names: Vec<String>,
}

impl CloudConfig {
    /// With TLS and no further names.
    pub fn new(folder: impl Into<PathBuf>, listen: SocketAddr) -> Self {
        Self {
            folder: folder.into(),
            listen,
            transport: Transport::Tls,
            names: Vec::new(),
        }
    }
}
