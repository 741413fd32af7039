//! Studios made for a measurement: machines in folders, and rows of about 300 bytes.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context, Result};
use serde_json::{Map, Value, json};
use studiovault_node::config::{Admission, Folder, Founder, Kit, Machine};
use studiovault_node::node::{Announce, Node, NodeConfig, WriteRequest};
use studiovault_protocol::membership::Role;

use crate::writes::{create, object, transaction};

/// Makes `count` machines of one new studio without a cloud, each in a folder of its own below `root`.
pub fn machines(root: &Path, count: usize) -> Result<Vec<Machine>> {
    let founder = Founder {
        name: "Bench".into(),
        region: studiovault_node::config::Region::of_system(),
        cloud: None,
    };
    let mut kit = Kit::found(founder)?;
    let mut machines = Vec::new();
    for number in 0..count {
        let folder = Folder::at(root.join(format!("node{number}")));
        let admission = Admission {
            name: format!("node{number}"),
            role: Role::Admin,
            priority: 0,
            gateway_preference: 0,
        };
        let machine = Machine::make(folder, &mut kit, admission)?;
        machines.push(machine);
    }
    Ok(machines)
}

/// Starts a node that is found only by the given addresses.
pub async fn start_silent(machine: Machine, peers: Vec<SocketAddr>) -> Result<Node> {
    let listen = vec!["127.0.0.1:0".parse().context("an address")?];
    let config = NodeConfig {
        machine,
        listen,
        peers,
        announce: Announce::Silent,
    };
    Ok(Node::start(config).await?)
}

/// A number that no other row of this measurement has, whichever process writes it: two projects of one title are a conflict, and
/// conflicts are not what is measured.
fn serial() -> String {
    static ROWS: AtomicUsize = AtomicUsize::new(0);
    let row = ROWS.fetch_add(1, Ordering::Relaxed);
    format!("{:06}-{row:07}", std::process::id())
}

/// The fields of a row of about 300 bytes.
pub fn row(number: usize) -> Map<String, Value> {
    let notes = format!(
        "{number:08} two albums, forty proofs, delivery by the end of the month; the couple asks for black and white prints of the church and a slide show for the evening, see the call of Tuesday"
    );
    let fields = json!({
        "title": format!("Wedding {}", serial()),
        "status": "shooting",
        "shoot_date": "2026-11-20",
        "notes": notes,
    });
    object(fields)
}

/// A transaction that creates `count` new rows.
pub fn creates(from: usize, count: usize) -> WriteRequest {
    let rows = (from..from + count).map(|number| create("project", row(number)));
    transaction("bench", rows.collect())
}

/// Writes `count` rows in transactions of `size`.
pub async fn fill(node: &Node, count: usize, size: usize) -> Result<()> {
    let mut from = 0;
    while from < count {
        let size = size.min(count - from);
        node.write(creates(from, size)).await?;
        from += size;
    }
    Ok(())
}
