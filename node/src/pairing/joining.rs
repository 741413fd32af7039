//! The joiner's side: a folder without a machine becomes one of a studio by a code that somebody reads out.
//!
//! Nothing is written before the admitting person has compared the words; then the folder is made whole or not at all.

use std::net::SocketAddr;
use std::time::Duration;

use studiovault_protocol::id::DeviceId;
use studiovault_protocol::keys::SecretKey;
use studiovault_protocol::membership::Role;
use studiovault_protocol::pairing::{
    Code, Greeted, LONG_MESSAGE, Message, Offered, PairingError, SHORT_MESSAGE, Welcome,
};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::channel::{Channel, ChannelError};
use crate::config::{
    CloudAccess, ConfigError, Folder, Machine, Region, SecretBytes, StudioFile, check_name,
    random_bytes,
};
use crate::discovery::{self, DiscoveryConfig, DiscoveryError, DiscoveryEvent};

/// An invite that is not seen on the network by then is not there, s.
const SEARCH_S: u64 = 30;
/// An address that does not answer by then does not, s.
const CONNECT_S: u64 = 3;
/// The other person takes at most this long to compare words, s: as long as an invite stands.
const COMPARE_S: u64 = 120;

/// What a person who joins says.
#[derive(Debug, Clone)]
pub struct Wish {
    /// The code as it was heard.
    pub code: Code,
    /// What people shall call this machine.
    pub name: String,
    /// Where the invite is, if the network does not tell: the first that answers.
    pub at: Vec<SocketAddr>,
}

/// What is to be read out to the admitting person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Greeting {
    /// The words.
    pub words: String,
    /// The studio that lets in.
    pub studio: String,
    /// The machine that lets in.
    pub host: String,
}

/// Why a machine did not join. Nothing was written.
#[derive(Debug, thiserror::Error)]
pub enum JoinError {
    /// The folder or the name.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The network.
    #[error(transparent)]
    Discovery(#[from] DiscoveryError),
    /// Nobody there.
    #[error(
        "no invite with the number of that code was found on this network; look whether it is still shown, or give --at HOST:PORT as the other machine shows it"
    )]
    NotFound,
    /// The address.
    #[error(
        "nobody answers at the address of the invite; look whether it is still shown, and whether a firewall stands between"
    )]
    Unreachable,
    /// The connection.
    #[error("{0}; ask for a new invite")]
    Channel(#[from] ChannelError),
    /// The other side, or somebody in between.
    #[error("{0}; ask for a new invite")]
    Pairing(#[from] PairingError),
    /// The other side, in its words.
    #[error("the other machine says: {0}")]
    Refused(String),
    /// What was sent does not make this a machine of that studio.
    #[error("what the other machine sent does not admit this one; ask for a new invite")]
    NotAdmitted,
}

/// Joins. `greet` is called once, when the words are to be read out.
pub async fn join(
    folder: Folder,
    wish: Wish,
    greet: impl FnOnce(Greeting),
) -> Result<Machine, JoinError> {
    if folder.is_made() {
        return Err(ConfigError::AlreadyMade(folder.path().into()).into());
    }
    check_name(&wish.name)?;
    let mut channel = Channel::new(reach(&wish).await?);
    let key = SecretKey::from_seed(random_bytes());
    let device = DeviceId::from_random(random_bytes());
    let greeted = exchange(&mut channel, &wish, (device, &key)).await?;
    greet(Greeting {
        words: greeted.check.clone(),
        studio: greeted.host.studio_name.clone(),
        host: greeted.host.name.clone(),
    });
    let welcome = match channel.receive(LONG_MESSAGE, COMPARE_S).await? {
        Message::Welcome(sealed) => greeted.handle_welcome(&sealed)?,
        Message::Refuse(words) => return Err(refused(&words)),
        _ => return Err(PairingError::Malformed.into()),
    };
    let studio = studio_file(&greeted, welcome)?;
    let roster = studio.roster().map_err(|_| JoinError::NotAdmitted)?;
    let own = roster.member(device).filter(|member| member.is_active());
    if own.is_none_or(|member| member.grant.key != key.public()) {
        return Err(JoinError::NotAdmitted);
    }
    // Who was heard over this exchange must be an admin of the studio that came through it.
    let host = roster.member(greeted.host.device);
    let host = host.filter(|member| member.is_active() && member.grant.role == Role::Admin);
    if roster.studio() != greeted.host.studio
        || host.is_none_or(|member| member.grant.key != greeted.host.key)
    {
        return Err(JoinError::NotAdmitted);
    }
    let machine = Machine::keep(folder, (device, wish.name), key, studio)?;
    // Only for the other side's peace of mind: the machine is made.
    let _ = channel.send(&Message::Kept).await;
    Ok(machine)
}

/// Offer, answer, proof, reply.
async fn exchange(
    channel: &mut Channel,
    wish: &Wish,
    (device, key): (DeviceId, &SecretKey),
) -> Result<Greeted, JoinError> {
    let own = (device, key.clone(), wish.name.clone());
    let (offered, offer) = Offered::begin(&wish.code, own, random_bytes());
    channel.send(&offer).await?;
    let (proved, proof) = match channel.receive(SHORT_MESSAGE, 10).await? {
        Message::Answer { half, commitment } => offered.handle_answer(&half, commitment)?,
        Message::Refuse(words) => return Err(refused(&words)),
        _ => return Err(PairingError::Malformed.into()),
    };
    channel.send(&proof).await?;
    match channel.receive(SHORT_MESSAGE, 10).await? {
        Message::Reply { confirm, sealed } => Ok(proved.handle_reply(confirm, &sealed)?),
        Message::Refuse(words) => Err(refused(&words)),
        _ => Err(PairingError::Malformed.into()),
    }
}

fn refused(words: &str) -> JoinError {
    let clean = words.chars().filter(|c| !c.is_control()).take(200);
    JoinError::Refused(clean.collect())
}

/// A connection to the invite: at the address that was given, else wherever the network shows it.
async fn reach(wish: &Wish) -> Result<TcpStream, JoinError> {
    if !wish.at.is_empty() {
        return dial(&wish.at).await.ok_or(JoinError::Unreachable);
    }
    let key = wish.code.announcement_key();
    let (search, mut found) = discovery::start(DiscoveryConfig {
        keys: vec![key],
        port: None,
    })?;
    let search_on = async {
        while let Some(event) = found.recv().await {
            if let DiscoveryEvent::Found { addresses, .. } = event
                && let Some(stream) = dial(&addresses).await
            {
                return Some(stream);
            }
        }
        None
    };
    let reached = timeout(Duration::from_secs(SEARCH_S), search_on).await;
    search.stop().await;
    reached.ok().flatten().ok_or(JoinError::NotFound)
}

async fn dial(addresses: &[SocketAddr]) -> Option<TcpStream> {
    for address in addresses {
        let connected = timeout(Duration::from_secs(CONNECT_S), TcpStream::connect(address)).await;
        if let Ok(Ok(stream)) = connected {
            return Some(stream);
        }
    }
    None
}

fn studio_file(greeted: &Greeted, welcome: Welcome) -> Result<StudioFile, JoinError> {
    let region = Region {
        time_zone: welcome
            .time_zone
            .parse()
            .map_err(|_| JoinError::NotAdmitted)?,
        currency: welcome
            .currency
            .parse()
            .map_err(|_| JoinError::NotAdmitted)?,
    };
    let access = |(url, pin, token)| CloudAccess { url, pin, token };
    Ok(StudioFile::of_pairing(
        (
            greeted.host.studio,
            greeted.host.studio_name.clone(),
            region,
        ),
        (
            welcome.root,
            SecretBytes(welcome.mesh_key),
            SecretBytes(welcome.discovery_key),
        ),
        (welcome.cloud.map(access), welcome.records),
    ))
}
