//! Which machines hold what, as far as they told: how a record knows on how many machines it is.

use studiovault_protocol::engine::Engine;
use studiovault_protocol::frontier::Reach;
use studiovault_protocol::id::{DeviceId, Dot};
use studiovault_protocol::vector::{Epochs, Vector};

/// What the linked machines said that they hold, of one moment.
#[derive(Clone, Debug, Default)]
pub struct Holders {
    epochs: Epochs,
    peers: Vec<(DeviceId, Reach)>,
}

impl Holders {
    /// As the engine knows it now.
    pub fn of_engine(engine: &Engine) -> Self {
        let peers = engine.sessions();
        let peers: Vec<_> = peers.map(|(_, s)| (s.device, s.told.clone())).collect();
        if peers.is_empty() {
            return Self::default();
        }
        Self {
            epochs: engine.log().epochs().clone(),
            peers,
        }
    }

    /// The machines, besides this one, that hold everything up to `upto`.
    pub fn of(&self, upto: &Vector) -> impl Iterator<Item = DeviceId> {
        let covers = |reach: &Reach, dot: Dot| {
            let mut tips = reach.of_device(dot.author.device);
            tips.any(|(author, counter)| self.epochs.reaches(author.at(counter), dot))
        };
        self.peers
            .iter()
            .filter(move |(_, reach)| upto.tips().iter().all(|dot| covers(reach, *dot)))
            .map(|(device, _)| *device)
    }

    /// Which of these dots a linked machine did not say that it holds.
    pub fn lacked(&self, device: DeviceId, dots: &[Dot]) -> Vec<Dot> {
        let lacks = |dot: &&Dot| {
            let upto = Vector::from_tips(vec![**dot]).expect("one tip is in order");
            !self.of(&upto).any(|holder| holder == device)
        };
        dots.iter().filter(lacks).copied().collect()
    }
}
