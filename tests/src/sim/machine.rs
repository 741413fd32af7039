//! One machine of the world: its place in the studio, its process or its disk, and what its people remember.

use std::collections::BTreeMap;

use studiovault_node::config::StudioFile;
use studiovault_node::driver::{Driver, Event};
use studiovault_node::store::{Location, Store};
use studiovault_protocol::id::{Author, DeviceId};
use studiovault_protocol::keys::SecretKey;
use studiovault_protocol::policy::Policy;
use studiovault_protocol::vector::Vector;

/// A machine's process, or what is left of it.
pub enum Process {
    /// It runs.
    Up(Box<Driver>),
    /// Its disk.
    Down(Box<Store>),
    /// Nothing: machine and disk are gone for good.
    Gone,
    /// Between two lines of this file.
    Moving,
}

/// One machine.
pub struct Node {
    /// Its id.
    pub device: DeviceId,
    /// Its key.
    pub secret: SecretKey,
    /// Which of the first grants is its own.
    pub grant: usize,
    /// What it keeps of its studio: the keys under the mesh.
    pub studio: StudioFile,
    /// Its process.
    pub process: Process,
    /// Which run of it.
    pub run: u64,
    /// When that began.
    pub boot_at: u64,
    /// Its wall clock, ms off.
    pub skew: i64,
    /// When its next step is due, if one is.
    pub step_at: Option<u64>,
    /// What it has not looked at yet.
    pub inbox: Vec<Event>,
    /// What people had read here some time ago.
    pub reads: Vec<Vector>,
    /// A person took it off the network.
    pub is_offline: bool,
    /// The internet is gone.
    pub no_uplink: bool,
}

impl Node {
    /// A machine that was never switched on.
    pub fn asleep(
        own: (DeviceId, SecretKey),
        grant: usize,
        (policy, studio): (&Policy, StudioFile),
    ) -> Self {
        let store = Store::open(Location::Memory, policy).expect("memory always opens");
        Self::over(own, grant, (store, studio))
    }

    /// A machine with that disk, switched off.
    pub fn over(
        (device, secret): (DeviceId, SecretKey),
        grant: usize,
        (store, studio): (Store, StudioFile),
    ) -> Self {
        Self {
            device,
            secret,
            grant,
            studio,
            process: Process::Down(Box::new(store)),
            run: 0,
            boot_at: 0,
            skew: 0,
            step_at: None,
            inbox: Vec::new(),
            reads: Vec::new(),
            is_offline: false,
            no_uplink: false,
        }
    }

    /// The driver, if the process runs.
    pub fn driver(&self) -> Option<&Driver> {
        match &self.process {
            Process::Up(driver) => Some(driver),
            _ => None,
        }
    }

    /// Its disk, whether the process runs or not; `None` if it is gone.
    pub fn disk(&self) -> Option<&Store> {
        match &self.process {
            Process::Up(driver) => Some(driver.store()),
            Process::Down(store) => Some(store),
            Process::Gone | Process::Moving => None,
        }
    }

    /// Whether there is nothing left of it.
    pub fn is_gone(&self) -> bool {
        matches!(self.process, Process::Gone)
    }
}

/// The last counter of every author that a disk holds.
pub fn held_on(disk: &Store) -> BTreeMap<Author, u64> {
    let restored = disk.restore().expect("memory reads");
    let chains = restored.chains.iter();
    chains.map(|row| (row.author, row.chain.held.0)).collect()
}
