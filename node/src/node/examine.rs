//! The doctor's round: everything is looked at side by side, then judged.
//!
//! Without a running node what can be seen of the machine and of the way to the cloud is looked at all the same.

use std::net::SocketAddr;

use studiovault_protocol::api::{DoctorView, NetworkState, VenueState};
use tokio::sync::oneshot;

use super::{Node, cloud_client, url_of};
use crate::config::Machine;
use crate::doctor::{self, CloudAnswer, CloudFacts, Door, Facts, Running};
use crate::runner::{Local, Neighbourhood};
use crate::uplink::CloudClient;

const HIDES: &str = "nothing was asked: this machine hides on this network (venue, or --silent)";
const OFF: &str = "a person took this machine off the network";

impl Node {
    /// Looks at everything from the adapter to the cloud's token, and says what works.
    pub async fn examine(&self) -> DoctorView {
        let status = self.status();
        let neighbourhood = self.neighbourhood().await;
        let is_off = status.network == NetworkState::Offline;
        let may_ask = match (is_off, status.node.venue) {
            (true, _) => Err(OFF.to_owned()),
            (_, true) => Err(HIDES.to_owned()),
            _ => Ok(()),
        };
        let folder = self.inner.folder.path().to_owned();
        let machine = tokio::task::spawn_blocking(move || doctor::at_machine(&folder, may_ask));
        let unlinked = neighbourhood.candidates.iter().filter(|c| !c.linked);
        let met = neighbourhood.contacts.iter().map(|contact| contact.address);
        let known = unlinked.flat_map(|c| c.addresses.clone()).chain(met);
        let known: Vec<SocketAddr> = known.filter(|at| !is_off && at.port() > 0).collect();
        let (machine, cloud, doors, tried) = tokio::join!(
            machine,
            way(self.inner.cloud.as_ref(), is_off.then_some(OFF), || {
                status.cloud.url.clone().unwrap_or_default()
            }),
            doctor::at_ports(doors(&status.node.listening)),
            doctor::at_ports(known),
        );
        let mut facts = machine.unwrap_or_else(|error| {
            tracing::error!(%error, "a look at the machine broke off");
            Facts::unseen(self.inner.folder.path())
        });
        facts.cloud = cloud;
        let door = |(address, reached)| Door { address, reached };
        facts.node = Some(Running {
            // What changed meanwhile is judged with what was seen meanwhile.
            status: self.status(),
            neighbourhood,
            doors: doors.into_iter().map(door).collect(),
            tried,
        });
        doctor::judge(&facts)
    }

    async fn neighbourhood(&self) -> Neighbourhood {
        let (answer, answered) = oneshot::channel();
        let sent = self.inner.local.send(Local::Neighbourhood(answer)).await;
        match sent {
            Ok(()) => answered.await.unwrap_or_default(),
            Err(_) => Neighbourhood::default(),
        }
    }
}

/// Looks at a machine whose node does not run.
pub async fn examine_at_rest(machine: &Machine) -> DoctorView {
    // Another installation of the same provider is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let may_ask = match machine.folder.venue() {
        VenueState::On => Err(HIDES.to_owned()),
        VenueState::Off => Ok(()),
    };
    let folder = machine.folder.path().to_owned();
    let look = tokio::task::spawn_blocking(move || doctor::at_machine(&folder, may_ask));
    let client = cloud_client(machine);
    let unusable = client.as_ref().err().map(ToString::to_string);
    let client = client.ok().flatten();
    let way = way(client.as_ref(), unusable.as_deref(), || {
        url_of(machine).unwrap_or_default()
    });
    let (look, cloud) = tokio::join!(look, way);
    let mut facts = look.unwrap_or_else(|_| Facts::unseen(machine.folder.path()));
    facts.cloud = cloud;
    doctor::judge(&facts)
}

/// The way to the cloud, or why it is not looked at; `None` if there is no cloud.
async fn way(
    client: Option<&CloudClient>,
    not_now: Option<&str>,
    url: impl Fn() -> String,
) -> Option<CloudFacts> {
    match (client, not_now) {
        (Some(client), None) => Some(client.examine().await),
        (None, None) => None,
        (None, Some(OFF)) => None,
        (_, Some(why)) => Some(CloudFacts {
            url: url(),
            dns: Err(why.to_owned()),
            tcp: Err(why.to_owned()),
            answer: CloudAnswer::NotAsked,
            impostor: None,
        }),
    }
}

/// The mesh's own ports: where others could come in, else on loopback.
fn doors(listening: &[String]) -> Vec<SocketAddr> {
    let all = listening.iter().filter_map(|address| address.parse().ok());
    let all: Vec<SocketAddr> = all.filter(doctor::is_own_door).collect();
    let outside: Vec<SocketAddr> = all
        .iter()
        .filter(|address| !address.ip().is_loopback())
        .copied()
        .collect();
    if outside.is_empty() { all } else { outside }
}
