//! The machines of the studio as a picture: where each stands and what ties it to this one.
//!
//! A pure layout in the unit square; how large and in which colours is the view's business.

use std::f32::consts::PI;

use studiovault_protocol::api::{NetworkState, Status};
use studiovault_protocol::id::DeviceId;
use studiovault_protocol::time::WallMs;

use super::machines_of;

/// Machines that fit the picture; the others are in the list of devices.
const SHOWN: usize = 20;
/// Machines on the outer ring before an inner one is used too.
const RING: usize = 12;

/// A point of the picture: 0 is left or top, 1 right or bottom.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Place {
    /// From the left.
    pub x: f32,
    /// From the top.
    pub y: f32,
}

/// Where this machine stands.
const MIDDLE: Place = Place { x: 0.5, y: 0.54 };

/// What ties a machine to this one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Link {
    /// It is this machine.
    Own,
    /// A link stands.
    Live {
        /// Round trip of the last beat, ms.
        round_trip_ms: Option<u32>,
        /// Commands that it lacks.
        behind: u64,
    },
    /// None stands; when one last did.
    LastSeen(Option<WallMs>),
}

/// One machine of the picture.
#[derive(Clone, PartialEq, Debug)]
pub struct MeshNode {
    /// Which.
    pub device: DeviceId,
    /// What people call it.
    pub name: String,
    /// Where it stands.
    pub place: Place,
    /// What ties it to this machine.
    pub link: Link,
    /// It carries logs to the cloud.
    pub is_gateway: bool,
}

/// The picture.
#[derive(Clone, PartialEq, Debug)]
pub struct MeshGraph {
    /// This machine first, the others around it.
    pub nodes: Vec<MeshNode>,
    /// Where the cloud stands, if the studio has one.
    pub cloud: Option<Place>,
    /// Machines that did not fit.
    pub left_out: usize,
}

impl MeshGraph {
    /// The machine that carries logs to the cloud, if it is in the picture.
    pub fn gateway(&self) -> Option<&MeshNode> {
        self.nodes.iter().find(|node| node.is_gateway)
    }
}

/// The picture of a status: this machine in the middle, the cloud above, the others on an arc that leaves the top free.
pub fn mesh_graph(status: &Status) -> MeshGraph {
    let mut machines = machines_of(status);
    let gateway = status.gateway.as_ref().map(|gateway| gateway.device);
    // The gateway takes the first place of the arc: from there its way to the cloud crosses nothing.
    let carrier = machines
        .iter()
        .position(|member| gateway == Some(member.device));
    if let Some(at) = carrier.filter(|at| *at > 0) {
        machines.swap(1, at);
    }
    let left_out = machines.len().saturating_sub(SHOWN + 1);
    let shown = &machines[..machines.len() - left_out];
    let others = shown.len().saturating_sub(1);
    let nodes = shown
        .iter()
        .enumerate()
        .map(|(at, member)| MeshNode {
            device: member.device,
            name: member.name.clone(),
            place: match at {
                0 if others == 1 => Place { x: 0.75, ..MIDDLE },
                0 => MIDDLE,
                at => around(at - 1, others),
            },
            link: link_to(status, member.device),
            is_gateway: gateway == Some(member.device),
        })
        .collect();
    MeshGraph {
        nodes,
        cloud: status.cloud.configured.then_some(Place { x: 0.5, y: 0.02 }),
        left_out,
    }
}

/// The place of machine `at` of `others` on the arc from the upper left over the bottom to the upper right.
fn around(at: usize, others: usize) -> Place {
    let on_outer = others.min(RING);
    let (at, of, reach) = if at < on_outer {
        (at, on_outer, 1.0)
    } else {
        (at - on_outer, others - on_outer, 0.55)
    };
    // Angles from the horizontal, positive downwards; a quarter turn at the top stays free for the cloud.
    let (from, to) = (1.15 * PI, -0.15 * PI);
    let share = match of {
        // It stands beside this machine, which makes room for it.
        1 => return Place { x: 0.25, ..MIDDLE },
        // Two would stand at the far ends of the arc: lower down they read better.
        2 => [0.15, 0.85][at],
        of => at as f32 / (of - 1) as f32,
    };
    let angle = from + (to - from) * share;
    Place {
        x: MIDDLE.x + 0.46 * reach * angle.cos(),
        y: MIDDLE.y + 0.43 * reach * angle.sin(),
    }
}

fn link_to(status: &Status, device: DeviceId) -> Link {
    if device == status.node.device {
        return Link::Own;
    }
    let peer = status.peers.iter().find(|peer| peer.device == device);
    if let Some(peer) = peer.filter(|_| status.network == NetworkState::Online) {
        return Link::Live {
            round_trip_ms: peer.round_trip_ms,
            behind: peer.behind,
        };
    }
    let member = status.members.iter().find(|member| member.device == device);
    Link::LastSeen(member.and_then(|member| member.last_seen))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::fixture::{machine_named, studio_of, three_machines};

    #[test]
    fn a_link_that_stands_is_live_and_one_that_fell_says_when() {
        let status = three_machines();
        let graph = mesh_graph(&status);
        let link = |name: &str| {
            let node = graph.nodes.iter().find(|node| node.name == name);
            node.expect("in the picture").link
        };
        assert_eq!(link("laptop"), Link::Own);
        assert!(matches!(link("front-desk"), Link::Live { .. }));
        assert!(matches!(link("editor"), Link::LastSeen(Some(_))));
        assert_eq!(
            graph.gateway().map(|node| node.name.as_str()),
            Some("front-desk")
        );
    }

    #[test]
    fn the_cloud_is_drawn_only_if_the_studio_has_one() {
        let mut status = three_machines();
        assert!(mesh_graph(&status).cloud.is_some());
        status.cloud.configured = false;
        assert!(mesh_graph(&status).cloud.is_none());
    }

    #[test]
    fn no_two_machines_stand_on_each_other_up_to_the_limit() {
        for machines in 1..40 {
            let graph = mesh_graph(&studio_of(machines));
            assert_eq!(graph.nodes.len() + graph.left_out, machines);
            for (at, one) in graph.nodes.iter().enumerate() {
                assert!((0.0..=1.0).contains(&one.place.x) && (0.0..=1.0).contains(&one.place.y));
                for other in &graph.nodes[..at] {
                    let (x, y) = (one.place.x - other.place.x, one.place.y - other.place.y);
                    assert!(
                        x.hypot(y) > 0.08,
                        "{machines}: {} and {}",
                        one.name,
                        other.name
                    );
                }
            }
        }
    }

    #[test]
    fn a_machine_taken_off_the_network_shows_no_live_link() {
        let mut status = three_machines();
        status.network = NetworkState::Offline;
        let graph = mesh_graph(&status);
        assert!(
            !graph
                .nodes
                .iter()
                .any(|node| matches!(node.link, Link::Live { .. }))
        );
        assert!(machine_named(&status, "front-desk").online);
    }
}
