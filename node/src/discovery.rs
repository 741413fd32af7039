//! Finding the studio's other nodes on the local network by multicast DNS.
//!
//! The only place that names mdns-sd. A finding is a hint where to dial and nothing more: names are random for every run,
//! members recognise each other by a tag that strangers can neither make nor link, and whoever answers must still pass
//! the handshake. A killed node's record lingers for up to 2 minutes, so `Lost` says little and silence says nothing.

mod announcement;
mod table;

#[cfg(test)]
mod tests;

use std::{net::SocketAddr, time::Duration};

use mdns_sd::{
    DaemonEvent, Receiver, RecvError, ServiceDaemon, ServiceEvent, ServiceInfo, UnregisterStatus,
};
use thiserror::Error;
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinHandle,
};

use announcement::Announcement;
use table::{Sighting, Table};

/// Our own service type: libp2p's is shared by every program that uses it.
const SERVICE: &str = "_studiovault._tcp.local.";

/// Seconds between looks at the machine's addresses: a cable or Wi-Fi that returns is used within this time.
const ADDRESS_CHECK_SECONDS: u32 = 1;

/// Events waiting for the caller. Beyond it discovery waits; what it misses meanwhile it asks for again.
const EVENT_QUEUE: usize = 64;

/// For each half of the goodbye: taking the record back, and ending the mDNS thread.
const GOODBYE_STEP: Duration = Duration::from_millis(500);
/// Between the two: the mDNS thread says it a second time 120 ms after the first.
const GOODBYE_AGAIN: Duration = Duration::from_millis(150);

/// What discovery needs to start.
#[derive(Clone)]
pub struct DiscoveryConfig {
    /// The studio's discovery keys, the newest first. The last is the one to announce under: whoever has not moved on knows no other.
    pub keys: Vec<[u8; 32]>,
    /// Port to be announced; `None` only looks for others.
    pub port: Option<u16>,
}

/// What discovery tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DiscoveryEvent {
    /// A member announces itself, or its addresses changed, or our interfaces did. Addresses: the likeliest first.
    Found {
        /// Random name of that run of the peer; says nothing about who it is.
        instance: String,
        addresses: Vec<SocketAddr>,
        /// True on one side of each pair: this one dials at once, the other after 2 s without a link.
        dial_first: bool,
    },
    /// A member said goodbye, or its record ran out, or the interface on which it was seen went away.
    Lost { instance: String },
    /// Addresses of this machine came or went. Every known member is told again by `Found` right after.
    InterfacesChanged,
}

/// Discovery could not start. The machine's fault; nothing was changed.
#[derive(Debug, Error)]
pub enum DiscoveryError {
    #[error("multicast DNS cannot start: {0}; use --peer HOST:PORT meanwhile")]
    Multicast(#[from] mdns_sd::Error),
    #[error("the system gives no random numbers: {0}; restart the machine")]
    Randomness(getrandom::Error),
}

/// A running discovery. Dropping it says goodbye in the background; [`DiscoveryHandle::stop`] waits for it.
pub struct DiscoveryHandle {
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl DiscoveryHandle {
    /// Takes our record back and ends; waits 1 s at most. Discovery can then be started anew.
    pub async fn stop(self) {
        drop(self.stop);
        if self.task.await.is_err() {
            tracing::warn!("discovery ended badly; peers keep our record for up to 2 minutes");
        }
    }
}

/// Announces this node and looks for others. To be called inside a tokio runtime. The receiver ends when the mDNS thread
/// has failed; starting again is then up to the caller.
pub fn start(
    config: DiscoveryConfig,
) -> Result<(DiscoveryHandle, mpsc::Receiver<DiscoveryEvent>), DiscoveryError> {
    let announced_under = config.keys.last().copied().unwrap_or_default();
    let own = Announcement::random(&announced_under).map_err(DiscoveryError::Randomness)?;
    let host = Announcement::host().map_err(DiscoveryError::Randomness)?;
    let daemon = ServiceDaemon::new()?;
    daemon.set_ip_check_interval(ADDRESS_CHECK_SECONDS)?;
    let changes = daemon.monitor()?;
    let mut service = ServiceInfo::new(
        SERVICE,
        own.instance(),
        &host,
        "",
        config.port.unwrap_or_default(),
        own.text().as_slice(),
    )?
    .enable_addr_auto();
    // Names of 128 random bits need no asking whether they are taken, and are found 750 ms earlier without.
    service.set_requires_probe(false);
    let full_name = service.get_fullname().to_owned();
    let sightings = daemon.browse(SERVICE)?;
    if config.port.is_some() {
        daemon.register(service)?;
    }

    let (events, receiver) = mpsc::channel(EVENT_QUEUE);
    let (stop, stopped) = oneshot::channel();
    let search = Search {
        table: Table::new(own.instance().to_owned()),
        keys: config.keys,
        daemon: daemon.clone(),
        events,
    };
    let task = tokio::spawn(async move {
        tokio::select! {
            // The handle was stopped or dropped.
            _ = stopped => {}
            ended = search.run(sightings, changes) => {
                if let Err(error) = ended {
                    tracing::warn!(%error, "multicast DNS failed; known addresses are still dialled");
                }
            }
        }
        say_goodbye(&daemon, &full_name).await;
    });
    Ok((DiscoveryHandle { stop, task }, receiver))
}

/// Takes the record back, then ends the mDNS thread, each within [`GOODBYE_STEP`].
async fn say_goodbye(daemon: &ServiceDaemon, full_name: &str) {
    if let Ok(done) = daemon.unregister(full_name) {
        // On a timeout the record runs out by itself.
        let said = tokio::time::timeout(GOODBYE_STEP, done.recv_async()).await;
        if let Ok(Ok(UnregisterStatus::OK)) = said {
            // The mDNS thread says it once more, for whoever missed the packet, unless it is ended before.
            tokio::time::sleep(GOODBYE_AGAIN).await;
        }
    }
    if let Ok(done) = daemon.shutdown() {
        let _ = tokio::time::timeout(GOODBYE_STEP, done.recv_async()).await;
    }
}

/// The searching half: what it knows and whom it tells.
struct Search {
    table: Table,
    keys: Vec<[u8; 32]>,
    daemon: ServiceDaemon,
    events: mpsc::Sender<DiscoveryEvent>,
}

impl Search {
    /// Ends well when nobody listens any more, badly when the mDNS thread is gone.
    async fn run(
        mut self,
        mut sightings: Receiver<ServiceEvent>,
        mut changes: Receiver<DaemonEvent>,
    ) -> Result<(), mdns_sd::Error> {
        loop {
            let told = tokio::select! {
                // A receiver that fell behind is cut off by the daemon without a word: then ask anew.
                sighting = sightings.recv_async() => match sighting {
                    Ok(event) => self.handle_sighting(event),
                    Err(RecvError::Disconnected) => {
                        sightings = self.daemon.browse(SERVICE)?;
                        continue;
                    }
                },
                change = changes.recv_async() => match change {
                    Ok(event) => self.handle_change(&event, &changes),
                    Err(RecvError::Disconnected) => {
                        changes = self.daemon.monitor()?;
                        self.interfaces_changed()
                    }
                },
            };
            for event in told {
                if self.events.send(event).await.is_err() {
                    return Ok(());
                }
            }
        }
    }

    fn handle_sighting(&mut self, event: ServiceEvent) -> Vec<DiscoveryEvent> {
        match event {
            ServiceEvent::ServiceResolved(service) => {
                let instance = instance_of(service.get_fullname());
                let nonce = service.get_property_val_str("n").unwrap_or_default();
                let tag = service.get_property_val_str("t").unwrap_or_default();
                let genuine = |key| announcement::is_genuine(key, instance, nonce, tag);
                if !self.keys.iter().any(genuine) {
                    return Vec::new();
                }
                let sighting = Sighting {
                    port: service.get_port(),
                    addresses: service
                        .get_addresses()
                        .iter()
                        .map(|address| address.to_ip_addr())
                        .collect(),
                };
                self.table.seen(instance, sighting).into_iter().collect()
            }
            ServiceEvent::ServiceRemoved(_, full_name) => {
                let lost = self.table.lost(instance_of(&full_name));
                lost.into_iter().collect()
            }
            _ => Vec::new(),
        }
    }

    fn handle_change(
        &self,
        event: &DaemonEvent,
        more: &Receiver<DaemonEvent>,
    ) -> Vec<DiscoveryEvent> {
        let concerns =
            |event: &DaemonEvent| matches!(event, DaemonEvent::IpAdd(_) | DaemonEvent::IpDel(_));
        // One cable changes several addresses: all that wait are one change.
        let others = more.try_iter().filter(concerns).count();
        if concerns(event) || others > 0 {
            return self.interfaces_changed();
        }
        if let DaemonEvent::Error(error) = event {
            tracing::debug!(%error, "multicast DNS");
        }
        Vec::new()
    }

    fn interfaces_changed(&self) -> Vec<DiscoveryEvent> {
        let mut told = vec![DiscoveryEvent::InterfacesChanged];
        told.extend(self.table.all());
        told
    }
}

/// The instance label in front of a full name.
fn instance_of(full_name: &str) -> &str {
    full_name.split('.').next().unwrap_or_default()
}
