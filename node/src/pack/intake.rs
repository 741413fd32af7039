//! Taking a pack into a folder with which no node runs: the node's own driver over the folder's store, off the network.

use studiovault_protocol::event::Network;
use studiovault_protocol::pack::{Part, Taken};
use studiovault_protocol::policy::Policy;

use crate::clock::Clock;
use crate::config::{FolderLock, Machine};
use crate::driver::{Driver, Event};
use crate::node::{NodeError, PackRefused, open_store, setup};
use crate::store::Store;

/// Names the answer; only one is asked for at a time.
const TICKET: u64 = 1;

/// A folder that is taken for as long as this lives.
pub struct Intake {
    driver: Driver,
    clock: Clock,
    _lock: Option<FolderLock>,
}

impl Intake {
    /// Opens a folder with which no node runs.
    pub fn open(machine: &Machine) -> Result<Self, NodeError> {
        let lock = machine.folder.lock()?;
        let store = open_store(machine, &Policy::default())?;
        Self::over(machine, store, Some(lock))
    }

    /// Takes parts into another store than the folder's own, beside which whoever asks holds the folder.
    pub fn beside(machine: &Machine, store: Store) -> Result<Self, NodeError> {
        Self::over(machine, store, None)
    }

    fn over(machine: &Machine, store: Store, lock: Option<FolderLock>) -> Result<Self, NodeError> {
        let clock = Clock::default();
        let setup = setup(machine, Policy::default())?;
        let mut driver = Driver::new(setup, store, clock.moment())?;
        // So that it asks neither peers nor the cloud for anything.
        let offline = vec![Event::Network(Network::Offline)];
        let _ = driver.step(clock.moment(), offline);
        Ok(Self {
            driver,
            clock,
            _lock: lock,
        })
    }

    /// What was taken in, as the driver has it.
    pub fn driver(&self) -> &Driver {
        &self.driver
    }

    /// The store alone.
    pub fn into_store(self) -> Store {
        self.driver.into_store()
    }

    /// Takes one part in; durable when it returns.
    pub fn take(&mut self, part: Part) -> Result<Taken, PackRefused> {
        let studio = self.driver.engine().roster().studio();
        if matches!(&part, Part::Label(label) if label.studio != studio) {
            return Err(PackRefused::OtherStudio);
        }
        let events = vec![Event::Pack(TICKET, Box::new(part))];
        let output = self.driver.step(self.clock.moment(), events);
        let mut answers = output.packs.into_iter();
        let answer = answers.find(|(ticket, _)| *ticket == TICKET);
        answer.map(|(_, taken)| taken).ok_or(PackRefused::NotKept)
    }
}
