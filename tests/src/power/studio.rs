//! The studio of the power test: two machines and a cloud truth whose ids and keys are the same in every process.
//! Who writes, who checks and who writes on after the cut are different processes that must agree on who is who.

use studiovault_node::config::Region;
use studiovault_node::driver::{Random, Setup};
use studiovault_protocol::engine::Identity;
use studiovault_protocol::event::Moment;
use studiovault_protocol::id::{DeviceId, Epoch, StudioId};
use studiovault_protocol::keys::SecretKey;
use studiovault_protocol::membership::{Grant, Role, Roster, SignedRecord};
use studiovault_protocol::policy::Policy;
use studiovault_protocol::time::{MonoMs, Now, WallMs};

/// Any day will do; the wall clock of the test starts there.
const STARTED: i64 = 1_790_000_000_000;

/// Who is in the studio.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Member {
    /// Its store lies on the disk whose power is cut.
    Disk,
    /// Keeps everything in memory.
    Memory,
    /// Never answers: what is written waits for it in the queue.
    Cloud,
}

impl Member {
    const ALL: [Member; 3] = [Member::Disk, Member::Memory, Member::Cloud];

    pub fn device(self) -> DeviceId {
        DeviceId([self.number(); 16])
    }

    pub fn key(self) -> SecretKey {
        SecretKey::from_seed([self.number(); 32])
    }

    fn number(self) -> u8 {
        match self {
            Member::Disk => 1,
            Member::Memory => 2,
            Member::Cloud => 3,
        }
    }

    fn grant(self) -> SignedRecord {
        let grant = Grant {
            device: self.device(),
            key: self.key().public(),
            name: format!("{self:?}"),
            role: match self {
                Member::Cloud => Role::Cloud,
                Member::Disk | Member::Memory => Role::Member,
            },
            priority: 0,
            gateway_preference: 0,
            version: 1,
        };
        SignedRecord::by_root(STUDIO, grant, &root())
    }

    /// What a driver is made with; each run of a machine has its own epoch.
    pub fn setup(self, run: u64) -> Setup {
        let mut roster = Roster::new(STUDIO, root().public()).expect("a derived key is a key");
        for member in Member::ALL {
            roster
                .insert(member.grant())
                .expect("the root key signed it");
        }
        Setup {
            identity: Identity {
                device: self.device(),
                secret: self.key(),
                run,
                fresh_epoch: Epoch(run),
            },
            roster,
            policy: Policy::default(),
            region: Region::default(),
            random: Random::seeded(run),
        }
    }
}

const STUDIO: StudioId = StudioId([7; 16]);

fn root() -> SecretKey {
    SecretKey::from_seed([9; 32])
}

/// The moment so many milliseconds after the start.
pub fn moment(ms: u64) -> Moment {
    let wall = WallMs(STARTED + i64::try_from(ms).expect("a test takes less than an age"));
    let mono = MonoMs(ms);
    Moment {
        now: Now { wall, mono },
        entropy: ms,
    }
}
