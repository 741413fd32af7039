//! A machine of a studio, as far as a cloud truth can tell: it writes signed bundles that continue each other.

use studiovault_protocol::bundle::{Bundle, Header};
use studiovault_protocol::command::{Change, Command, FieldWrite, Op};
use studiovault_protocol::id::{
    Author, CommandId, DeviceId, EntityId, Epoch, Hash, Nonce, StudioId,
};
use studiovault_protocol::keys::SecretKey;
use studiovault_protocol::time::WallMs;
use studiovault_protocol::value::Value;
use studiovault_protocol::wire::Packed;
use uuid::Uuid;

/// When everything was written.
const WRITTEN_AT: WallMs = WallMs(1_790_000_000_000);

/// Writes for one studio.
pub struct Machine {
    /// Its key.
    pub key: SecretKey,
    author: Author,
    studio: StudioId,
    last: (u64, Option<Hash>),
}

impl Machine {
    /// A machine that nobody knows yet.
    pub fn new(studio: StudioId) -> Self {
        let drawn = Uuid::new_v4();
        let seed = *blake3::hash(drawn.as_bytes()).as_bytes();
        Self {
            key: SecretKey::from_seed(seed),
            author: Author {
                device: DeviceId(drawn.into_bytes()),
                epoch: Epoch(1),
            },
            studio,
            last: (0, None),
        }
    }

    /// Its id.
    pub fn device(&self) -> DeviceId {
        self.author.device
    }

    /// One command on a client in a bundle of its own.
    pub fn write(&mut self, op: Op, entity: EntityId, name: &str) -> Packed {
        self.seal(vec![Self::command(op, entity, name)])
    }

    /// A command on a client.
    pub fn command(op: Op, entity: EntityId, name: &str) -> Command {
        Command {
            id: CommandId(Uuid::new_v4().into_bytes()),
            entity_type: "client".into(),
            entity,
            op,
            writes: vec![FieldWrite {
                field: "name".into(),
                change: Change::Write(Value::Text(name.into())),
            }],
            ctx: None,
            ts: WRITTEN_AT,
            replaces: None,
            nonce: Nonce(Uuid::new_v4().into_bytes()),
        }
    }

    /// The next bundle: commands of one transaction.
    pub fn seal(&mut self, commands: Vec<Command>) -> Packed {
        let header = Header {
            studio: self.studio,
            author: self.author,
            first_counter: self.last.0 + 1,
            prev: self.last.1,
            written_at: WRITTEN_AT,
            actor: "conformance".into(),
            saw: Vec::new(),
            together: false,
        };
        let bundle = Bundle::seal(header, commands, &self.key).expect("they fit");
        self.last = (bundle.last(), Some(bundle.hash()));
        Packed(bundle.bytes().to_vec())
    }
}
