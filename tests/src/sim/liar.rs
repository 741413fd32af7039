//! A member that lies: what it says to its peers and, as a gateway, to the cloud is bent, forged, withheld or told again, until
//! the faults end. Then its machine starts anew and is honest, so that everybody must agree in the end, the liar too.
//!
//! Now and then it signs something else for one machine than for the others, under the same dot: a log that forks.

use bytes::Bytes;
use studiovault_protocol::bundle::{Bundle, Header};
use studiovault_protocol::cloud::{BatchRequest, Only};
use studiovault_protocol::command::{Change, Command, FieldWrite, Op};
use studiovault_protocol::frontier::{Frontier, Tip};
use studiovault_protocol::id::{
    Author, CommandId, DeviceId, EntityId, Epoch, Hash, Nonce, StudioId,
};
use studiovault_protocol::keys::SecretKey;
use studiovault_protocol::limits;
use studiovault_protocol::time::WallMs;
use studiovault_protocol::value::Value;
use studiovault_protocol::wire::{Frame, Gone, Packed, Status, Uplink};

use super::dice::Dice;
use super::gatekeeper::Trick;

/// Frames that it may tell again.
const MEMORY: usize = 64;

/// Of 1000 frames so many carry another bundle than the others get, if they carry one of its own.
const FORK_PERMILLE: u64 = 60;

/// The liar of a world.
#[derive(Debug)]
pub struct Liar {
    /// Which machine.
    pub at: usize,
    /// Its own chance, so that a world with a liar is the honest one but for the lies.
    dice: Dice,
    /// Of 1000 frames so many are lies.
    permille: u64,
    key: SecretKey,
    studio: StudioId,
    told: Vec<Bytes>,
    /// When its log forks: a chance of its own too.
    forking: Dice,
    /// It lies in this way and in no other.
    trick: Option<Trick>,
    /// The first pages that it passed on.
    kept: Option<Bytes>,
    /// The log beside its own: where it writes what its program would refuse.
    rogue: (Author, u64, Option<Hash>),
}

/// What the liar knows of whom it speaks to.
pub struct Hearer {
    /// All devices of the studio.
    pub devices: Vec<DeviceId>,
    /// What the hearer holds of the liar's logs: author, last counter.
    pub holds: Vec<(Author, u64)>,
    /// The logs that the liar holds.
    pub authors: Vec<Author>,
    /// The liar's clock.
    pub wall: WallMs,
}

impl Liar {
    /// One of the machines.
    pub fn draw(seed: u64, machines: &[(DeviceId, SecretKey)], studio: StudioId) -> Self {
        let mut dice = Dice::new(seed ^ 0x0011_a200_0011_a200);
        let at = dice.place(machines.len());
        let (device, key) = machines[at].clone();
        let rogue = Author {
            device,
            epoch: Epoch(dice.number()),
        };
        Self {
            at,
            permille: dice.between(20, 300),
            forking: Dice::new(seed ^ 0xf0f0_f0f0_1234_5678),
            dice,
            key,
            studio,
            told: Vec::new(),
            trick: None,
            kept: None,
            rogue: (rogue, 0, None),
        }
    }

    /// The machine at `at`, which has one trick.
    pub fn with_trick(
        trick: Trick,
        at: usize,
        machine: (DeviceId, SecretKey),
        studio: StudioId,
    ) -> Self {
        let mut liar = Self::draw(0, &[machine], studio);
        (liar.at, liar.trick) = (at, Some(trick));
        liar
    }

    /// What goes out in the place of an honest frame, and what kind of lie it is.
    pub fn twist(&mut self, honest: Bytes, hearer: &Hearer) -> (Vec<Bytes>, Option<&'static str>) {
        if self.told.len() < MEMORY {
            self.told.push(honest.clone());
        } else {
            let place = self.dice.place(MEMORY);
            self.told[place] = honest.clone();
        }
        if let Some(trick) = self.trick {
            return trick.play(honest, &mut self.kept);
        }
        if self.forking.happens(FORK_PERMILLE)
            && let Some(frame) = self.forked(&honest)
        {
            return (vec![frame.encode().into()], Some("forked"));
        }
        if !self.dice.happens(self.permille) {
            return (vec![honest], None);
        }
        let with = |lie: Frame| vec![honest.clone(), Bytes::from(lie.encode())];
        let (frames, kind) = match self.dice.below(13) {
            0 => (vec![self.bent(&honest)], "bent"),
            1 => {
                let end = self.dice.place(honest.len());
                (vec![honest.slice(..end)], "cut short")
            }
            2 => (vec![honest.clone(), self.garbage()], "garbage"),
            3 => (Vec::new(), "withheld"),
            4 => {
                let again = self.told[self.dice.place(self.told.len())].clone();
                (vec![honest, again], "told again")
            }
            5 => (with(self.forged(hearer)), "forged"),
            6 => match self.rewritten(hearer) {
                Some(lie) => (with(lie), "rewritten"),
                None => (vec![honest], "nothing"),
            },
            7 => (with(self.boast(hearer)), "boast"),
            8 => (with(self.crown(hearer)), "crown"),
            9 => (with(self.obituary(hearer)), "obituary"),
            10 => (self.feed(&honest), "feed"),
            11 => (with(self.wants(hearer)), "wants"),
            _ => (with(self.odd(hearer)), "odd bundle"),
        };
        (frames, Some(kind))
    }

    /// What a lying gateway brings to the cloud.
    pub fn bend_batch(
        &mut self,
        batch: &mut BatchRequest,
        hearer: &Hearer,
    ) -> Option<&'static str> {
        if !self.dice.happens(self.permille) {
            return None;
        }
        let count = batch.bundles.len();
        Some(match self.dice.below(6) {
            0 if count > 0 => {
                batch.bundles.remove(self.dice.place(count));
                "a bundle kept from the cloud"
            }
            1 if count > 1 => {
                let (a, b) = (self.dice.place(count), self.dice.place(count));
                batch.bundles.swap(a, b);
                "bundles in another order"
            }
            2 if count > 0 => {
                let place = self.dice.place(count);
                let bytes = Bytes::copy_from_slice(&batch.bundles[place].0);
                batch.bundles[place] = Packed(self.bent(&bytes).to_vec());
                "a bundle bent for the cloud"
            }
            3 => {
                let Frame::Push(forged) = self.forged(hearer) else {
                    return None;
                };
                batch.bundles.extend(forged);
                "a bundle forged for the cloud"
            }
            4 if !hearer.authors.is_empty() => {
                let author = hearer.authors[self.dice.place(hearer.authors.len())];
                let first = self.dice.between(1, 20);
                let counters = (first..first + 3).collect();
                batch.only = Some(Only { author, counters });
                "a question about a part"
            }
            _ => {
                batch.term = Some(self.dice.number());
                "a false term"
            }
        })
    }

    fn bent(&mut self, honest: &Bytes) -> Bytes {
        let mut bytes = honest.to_vec();
        if !bytes.is_empty() {
            let place = self.dice.place(bytes.len());
            bytes[place] ^= 1 << self.dice.below(8);
        }
        bytes.into()
    }

    fn garbage(&mut self) -> Bytes {
        let length = self.dice.between(0, 300);
        let bytes: Vec<u8> = (0..length).map(|_| self.dice.number() as u8).collect();
        bytes.into()
    }

    fn other(&mut self, hearer: &Hearer) -> DeviceId {
        hearer.devices[self.dice.place(hearer.devices.len())]
    }

    /// A command that no program of ours writes.
    fn command(&mut self) -> Command {
        // Of types and fields that everybody knows: what nobody knows waits for a policy, and is never calm.
        let types = [
            ("client", ["name", "notes"]),
            ("project", ["title", "notes"]),
            ("pos_order", ["amount_cents", "notes"]),
        ];
        let (entity_type, fields) = types[self.dice.place(types.len())];
        let values = [
            Value::Text("x".repeat(self.dice.between(0, 20_000) as usize)),
            Value::Int(i64::MIN),
            Value::Null,
            Value::Bool(true),
        ];
        let value = values[self.dice.place(values.len())].clone();
        Command {
            id: CommandId::from_random(self.dice.bytes()),
            entity_type: entity_type.into(),
            entity: EntityId::from_random(self.dice.bytes()),
            op: Op::Create,
            writes: vec![FieldWrite {
                field: fields[self.dice.place(fields.len())].into(),
                change: Change::Write(value),
            }],
            ctx: None,
            ts: WallMs(self.dice.number().cast_signed() >> 20),
            replaces: None,
            nonce: Nonce(self.dice.bytes()),
        }
    }

    fn sealed(
        &mut self,
        (author, first): (Author, u64),
        prev: Option<Hash>,
        wall: WallMs,
    ) -> Bundle {
        let header = Header {
            studio: self.studio,
            author,
            first_counter: first,
            prev,
            written_at: wall,
            actor: "nobody".into(),
            saw: Vec::new(),
            together: self.dice.happens(100),
        };
        let command = self.command();
        Bundle::seal(header, vec![command], &self.key).expect("one command fits")
    }

    /// In another's name.
    fn forged(&mut self, hearer: &Hearer) -> Frame {
        let author = Author {
            device: self.other(hearer),
            epoch: Epoch(self.dice.number()),
        };
        let mut author = hearer
            .authors
            .iter()
            .find(|known| known.device == author.device)
            .copied()
            .unwrap_or(author);
        if author.device == self.rogue.0.device {
            author.device = DeviceId::from_random(self.dice.bytes());
        }
        let first = self.dice.between(1, 40);
        let prev = Some(Hash(self.dice.bytes()));
        push(&self.sealed((author, first), prev, hearer.wall))
    }

    /// What the hearer holds, once more and different.
    fn rewritten(&mut self, hearer: &Hearer) -> Option<Frame> {
        if hearer.holds.is_empty() {
            return None;
        }
        let (author, held) = hearer.holds[self.dice.place(hearer.holds.len())];
        let first = self.dice.between(1, held);
        let prev = (first > 1).then(|| Hash(self.dice.bytes()));
        Some(push(&self.sealed((author, first), prev, hearer.wall)))
    }

    /// Its own newest bundle with other words, in its place.
    fn forked(&mut self, honest: &Bytes) -> Option<Frame> {
        let Ok(Frame::Push(mut bundles)) = Frame::decode(honest) else {
            return None;
        };
        let last = bundles.last_mut()?;
        let bundle = Bundle::decode(&last.0[..]).ok()?;
        if bundle.author().device != self.rogue.0.device {
            return None;
        }
        let mut commands: Vec<Command> = bundle.commands().map(|(_, c)| c.clone()).collect();
        let command = commands.first_mut()?;
        command.id = CommandId::from_random(self.forking.bytes());
        command.nonce = Nonce(self.forking.bytes());
        if self.forking.happens(500) {
            let id = CommandId::from_random(self.forking.bytes());
            let more = commands[0].clone();
            commands.push(Command { id, ..more });
        }
        let header = bundle.header().clone();
        let other = Bundle::seal(header, commands, &self.key).ok()?;
        last.0 = other.bytes().to_vec();
        Some(Frame::Push(bundles))
    }

    /// It holds everything, and far more than there is.
    fn boast(&mut self, hearer: &Hearer) -> Frame {
        let mut authors = hearer.authors.clone();
        authors.sort_unstable();
        authors.dedup();
        let counter = self.dice.between(1, limits::COUNTER);
        if self.dice.happens(500) {
            return Frame::Held(authors.iter().map(|author| author.at(counter)).collect());
        }
        let tip = |author: &Author| Tip {
            author: *author,
            counter,
            hash: Hash([7; 32]).prefix(),
            trail: Vec::new(),
        };
        Frame::Frontier(Frontier {
            tips: authors.iter().map(tip).collect(),
            feed: counter,
        })
    }

    /// Whoever it names is the gateway, in a term beyond all terms.
    fn crown(&mut self, hearer: &Hearer) -> Frame {
        let device = self.other(hearer);
        let claims = [u64::MAX, 1 << 40, 7];
        Frame::Statuses(vec![Status {
            device,
            run: (WallMs(i64::MAX - 1), self.dice.number()),
            sequence: u64::MAX - 1,
            uplink: Uplink {
                reachable: true,
                authorised: true,
                ..Uplink::default()
            },
            claim: Some(claims[self.dice.place(claims.len())]),
        }])
    }

    /// Somebody is dead.
    fn obituary(&mut self, hearer: &Hearer) -> Frame {
        Frame::Gone(Gone {
            device: self.other(hearer),
            run: (WallMs(i64::MAX - 1), self.dice.number()),
            sequence: u64::MAX - 1,
        })
    }

    /// The cloud's pages, flipped, out of order, again or not at all.
    fn feed(&mut self, honest: &Bytes) -> Vec<Bytes> {
        let Ok(Frame::Pages(mut pages)) = Frame::decode(honest) else {
            return vec![honest.clone()];
        };
        let count = pages.len();
        if count > 0 {
            let place = self.dice.place(count);
            match self.dice.below(4) {
                0 => drop(pages.remove(place)),
                1 => pages.reverse(),
                2 => pages.push(pages[place].clone()),
                _ => {
                    let bytes = Bytes::copy_from_slice(&pages[place].0);
                    pages[place] = Packed(self.bent(&bytes).to_vec());
                }
            }
        }
        vec![Frame::Pages(pages).encode().into()]
    }

    fn wants(&mut self, hearer: &Hearer) -> Frame {
        let id = self.dice.number() as u32;
        match self.dice.below(3) {
            0 => Frame::WantFeed(self.dice.below(1 << 50)),
            1 => Frame::Credit {
                id,
                bytes: u32::MAX,
            },
            _ => Frame::Want {
                id,
                frontier: Frontier::default(),
                devices: hearer.devices.clone(),
            },
        }
    }

    /// A bundle that is signed and in order, with what its program would never have written.
    fn odd(&mut self, hearer: &Hearer) -> Frame {
        let (author, last, prev) = self.rogue;
        let bundle = self.sealed((author, last + 1), prev, hearer.wall);
        self.rogue = (author, bundle.last(), Some(bundle.hash()));
        push(&bundle)
    }
}

fn push(bundle: &Bundle) -> Frame {
    Frame::Push(vec![Packed(bundle.bytes().to_vec())])
}
