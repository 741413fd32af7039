//! What two machines say to each other while one admits the other: a password-authenticated exchange over the code (SPAKE2),
//! confirmed by both, then sealed under its key.
//!
//! The joiner confirms first, so a guesser learns nothing but that this one guess was wrong. Both keys and the studio are
//! signed over the transcript. The words that people compare are made of all that both sides say, and the inviter, who speaks
//! last, commits itself to its part before it hears the joiner's: whoever overheard the code and stands in between cannot
//! search for words that agree.

use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{ChaCha20Poly1305, KeyInit, Nonce};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use spake2::{Ed25519Group, Identity, Password, Spake2};

use super::code::{Code, spoken};
use super::drawn::{Drawn, share};
use crate::id::{DeviceId, Hash, PublicKey, Signature, StudioId};
use crate::keys::{Purpose, SecretKey, VerifyKey};
use crate::limits;
use crate::membership::SignedRecord;

/// The version of the exchange.
pub const PAIRING: u8 = 1;

/// One message of the exchange, in the order in which they are sent.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Message {
    /// Joiner: here I am.
    Offer {
        /// [`PAIRING`].
        version: u8,
        /// The plate of the code.
        plate: u8,
        /// The joiner's half of the exchange.
        half: Vec<u8>,
    },
    /// Inviter: my half, and what I shall say of myself, not shown yet.
    Answer {
        /// The inviter's half of the exchange.
        half: Vec<u8>,
        /// The hash of an `Opening`.
        commitment: Hash,
    },
    /// Joiner: I know the code, and this is who I am.
    Proof {
        /// Over the transcript, under the exchanged key.
        confirm: [u8; 32],
        /// An [`Introduction`].
        sealed: Vec<u8>,
    },
    /// Inviter: I know it too, and this is who I am.
    Reply {
        /// Over the transcript, under the exchanged key.
        confirm: [u8; 32],
        /// An `Opening` and a signature.
        sealed: Vec<u8>,
    },
    /// Inviter: a person compared the words and lets you in. A sealed [`Welcome`].
    Welcome(Vec<u8>),
    /// Joiner: it is kept.
    Kept,
    /// Inviter: no, and why, in words.
    Refuse(String),
}

/// Who asks to join.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Introduction {
    /// Its device id.
    pub device: DeviceId,
    /// Its key.
    pub key: PublicKey,
    /// What people shall call it.
    pub name: String,
    /// Its share in the words.
    nonce: [u8; 32],
}

/// Who lets in, and to what.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Host {
    /// The studio.
    pub studio: StudioId,
    /// Its name.
    pub studio_name: String,
    /// The admitting device.
    pub device: DeviceId,
    /// Its key.
    pub key: PublicKey,
    /// Its name.
    pub name: String,
}

/// What the inviter is committed to before it hears of the joiner.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct Opening {
    host: Host,
    /// Its share in the words.
    nonce: [u8; 32],
}

impl Opening {
    fn commitment(&self) -> Hash {
        let said = postcard::to_stdvec(&("studiovault pairing commitment v1", self));
        Hash::of(&said.expect("wire types always encode"))
    }
}

/// All that a machine needs to be one of a studio. Never printed.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Welcome {
    /// The studio's root key: its public half.
    pub root: PublicKey,
    /// The key under every handshake of the mesh.
    pub mesh_key: [u8; 32],
    /// Hides who is who in the announcements on the LAN.
    pub discovery_key: [u8; 32],
    /// IANA name of the studio's time zone.
    pub time_zone: String,
    /// ISO code of its currency.
    pub currency: String,
    /// Address, pin and token of the cloud truth, if there is one.
    pub cloud: Option<(String, Option<String>, String)>,
    /// The roster, the newcomer's own grant included, each record after those that it rests on.
    pub records: Vec<SignedRecord>,
    /// Where the admitting machine listens: ports of the mesh.
    pub port: u16,
}

/// Why an exchange ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PairingError {
    /// The joiner typed another code than is shown. A miss.
    #[error("the code is not the one that is shown")]
    WrongCode,
    /// The other side's: a message that does not belong here or makes no sense.
    #[error("the other side does not speak this pairing: update the older program")]
    Malformed,
}

/// The half of one side, waiting for the other.
struct Half {
    exchange: Spake2<Ed25519Group>,
    half: Vec<u8>,
}

const JOINER: &[u8] = b"studiovault joiner";
const INVITER: &[u8] = b"studiovault inviter";

fn secret_of(code: &Code) -> Password {
    Password::new(code.secret())
}

/// What crosses the wire in the open before anybody proves anything.
#[derive(Serialize)]
struct Said<'a> {
    plate: u8,
    offer: &'a [u8],
    answer: &'a [u8],
    commitment: Hash,
}

/// The keys of an exchange that both sides finished, and what was said so far.
#[derive(Clone)]
struct Keys {
    shared: [u8; 32],
    transcript: Hash,
}

impl Keys {
    fn new(shared: &[u8], said: Said<'_>) -> Self {
        let said = postcard::to_stdvec(&(PAIRING, said));
        let transcript = Hash::of(&said.expect("bytes always encode"));
        Self {
            shared: blake3::derive_key("studiovault pairing key v1", shared),
            transcript,
        }
    }

    fn key(&self, purpose: &str) -> [u8; 32] {
        let mut hasher = blake3::Hasher::new_derive_key("studiovault pairing part v1");
        hasher.update(&self.shared);
        hasher.update(&self.transcript.0);
        hasher.update(purpose.as_bytes());
        *hasher.finalize().as_bytes()
    }

    fn confirm(&self, side: &str) -> blake3::Hash {
        blake3::keyed_hash(&self.key("confirm"), side.as_bytes())
    }

    /// Every key seals one message, so the nonce may stand still.
    fn seal<T: Serialize>(&self, purpose: &str, value: &T) -> Vec<u8> {
        let plain = postcard::to_stdvec(value).expect("wire types always encode");
        let payload = Payload {
            msg: &plain,
            aad: purpose.as_bytes(),
        };
        ChaCha20Poly1305::new(&self.key(purpose).into())
            .encrypt(&Nonce::default(), payload)
            .expect("a short message is always sealed")
    }

    fn open<T: DeserializeOwned>(&self, purpose: &str, sealed: &[u8]) -> Result<T, PairingError> {
        let payload = Payload {
            msg: sealed,
            aad: purpose.as_bytes(),
        };
        let plain = ChaCha20Poly1305::new(&self.key(purpose).into())
            .decrypt(&Nonce::default(), payload)
            .map_err(|_| PairingError::Malformed)?;
        match postcard::take_from_bytes(&plain) {
            Ok((value, [])) => Ok(value),
            _ => Err(PairingError::Malformed),
        }
    }

    /// Seals what a side says of itself, signed over everything before.
    fn introduce<T: Serialize>(&self, purpose: &str, said: &T, key: &SecretKey) -> Vec<u8> {
        let signature = key.sign(Purpose::Pairing, &self.signed(purpose, said));
        self.seal(purpose, &(said, signature))
    }

    /// Takes what the other side says of itself, if the key that it names signed it.
    fn meet<T: Serialize + DeserializeOwned>(
        &self,
        purpose: &str,
        sealed: &[u8],
        key: impl Fn(&T) -> PublicKey,
    ) -> Result<T, PairingError> {
        let (said, signature): (T, Signature) = self.open(purpose, sealed)?;
        let key = VerifyKey::new(&key(&said)).ok_or(PairingError::Malformed)?;
        if !key.verify(Purpose::Pairing, &self.signed(purpose, &said), &signature) {
            return Err(PairingError::Malformed);
        }
        Ok(said)
    }

    fn signed(&self, purpose: &str, said: &impl Serialize) -> Hash {
        let all = postcard::to_stdvec(&(self.transcript, purpose, said));
        Hash::of(&all.expect("wire types always encode"))
    }

    /// The words that people compare: of the exchange, both sides and both shares. No signature is in them, since whoever
    /// signs last could choose among many.
    fn check(&self, joiner: &Introduction, opening: &Opening) -> String {
        let said = postcard::to_stdvec(&(joiner, opening)).expect("wire types always encode");
        let check = blake3::keyed_hash(&self.key("check"), &said);
        spoken(&check.as_bytes()[..2])
    }
}

/// Whether a name can be shown to a person as it is.
fn is_clean(name: &str) -> bool {
    (1..=limits::NAME_BYTES).contains(&name.len()) && !name.chars().any(char::is_control)
}

/// The joiner, after its offer.
pub struct Offered {
    half: Half,
    plate: u8,
    own: Introduction,
    key: SecretKey,
}

/// The joiner, after its proof.
pub struct Proved {
    keys: Keys,
    own: Introduction,
    commitment: Hash,
}

/// The joiner, while the admitting person compares the words.
pub struct Greeted {
    keys: Keys,
    /// Who lets in, and to what.
    pub host: Host,
    /// The words to be read out.
    pub check: String,
}

impl Offered {
    /// Begins with the code that was typed; the seed is 32 random bytes.
    pub fn begin(
        code: &Code,
        (device, key, name): (DeviceId, SecretKey, String),
        seed: [u8; 32],
    ) -> (Self, Message) {
        let (joiner, inviter) = (Identity::new(JOINER), Identity::new(INVITER));
        let (exchange, half) = Spake2::<Ed25519Group>::start_a_with_rng(
            &secret_of(code),
            &joiner,
            &inviter,
            Drawn::new(seed),
        );
        let plate = code.plate();
        let offer = Message::Offer {
            version: PAIRING,
            plate,
            half: half.clone(),
        };
        let own = Introduction {
            device,
            key: key.public(),
            name,
            nonce: share(&seed),
        };
        let begun = Self {
            half: Half { exchange, half },
            plate,
            own,
            key,
        };
        (begun, offer)
    }

    /// Takes the inviter's half and what it is committed to.
    pub fn handle_answer(
        self,
        answer: &[u8],
        commitment: Hash,
    ) -> Result<(Proved, Message), PairingError> {
        let shared = self.half.exchange.finish(answer);
        let shared = shared.map_err(|_| PairingError::Malformed)?;
        let said = Said {
            plate: self.plate,
            offer: &self.half.half,
            answer,
            commitment,
        };
        let (keys, own) = (Keys::new(&shared, said), self.own);
        let proof = Message::Proof {
            confirm: *keys.confirm("joiner").as_bytes(),
            sealed: keys.introduce("joiner", &own, &self.key),
        };
        let proved = Proved {
            keys,
            own,
            commitment,
        };
        Ok((proved, proof))
    }
}

impl Proved {
    /// Takes the inviter's word that it knows the code, and who it is: what it was committed to and nothing else.
    pub fn handle_reply(self, confirm: [u8; 32], sealed: &[u8]) -> Result<Greeted, PairingError> {
        if self.keys.confirm("inviter") != blake3::Hash::from_bytes(confirm) {
            return Err(PairingError::WrongCode);
        }
        let key = |opening: &Opening| opening.host.key;
        let opening: Opening = self.keys.meet("inviter", sealed, key)?;
        let clean = is_clean(&opening.host.name) && is_clean(&opening.host.studio_name);
        if !clean || opening.commitment() != self.commitment {
            return Err(PairingError::Malformed);
        }
        Ok(Greeted {
            check: self.keys.check(&self.own, &opening),
            keys: self.keys,
            host: opening.host,
        })
    }
}

impl Greeted {
    /// Takes what makes this machine one of the studio.
    pub fn handle_welcome(&self, sealed: &[u8]) -> Result<Welcome, PairingError> {
        self.keys.open("welcome", sealed)
    }
}

/// The inviter, after its answer.
pub struct Answered {
    keys: Keys,
    opening: Opening,
}

/// The inviter, while its person compares the words.
pub struct Checking {
    keys: Keys,
    /// Who asks to join.
    pub applicant: Introduction,
    /// The words that the other side reads out.
    pub check: String,
}

impl Answered {
    /// Answers an offer with the code that is shown; the seed is 32 random bytes.
    pub fn begin(
        code: &Code,
        offer: &Message,
        host: Host,
        seed: [u8; 32],
    ) -> Result<(Self, Message), PairingError> {
        let Message::Offer {
            version: PAIRING,
            plate,
            half: theirs,
        } = offer
        else {
            return Err(PairingError::Malformed);
        };
        if *plate != code.plate() {
            return Err(PairingError::Malformed);
        }
        let (joiner, inviter) = (Identity::new(JOINER), Identity::new(INVITER));
        let (exchange, half) = Spake2::<Ed25519Group>::start_b_with_rng(
            &secret_of(code),
            &joiner,
            &inviter,
            Drawn::new(seed),
        );
        let shared = exchange.finish(theirs);
        let shared = shared.map_err(|_| PairingError::Malformed)?;
        let opening = Opening {
            host,
            nonce: share(&seed),
        };
        let commitment = opening.commitment();
        let said = Said {
            plate: *plate,
            offer: theirs,
            answer: &half,
            commitment,
        };
        let keys = Keys::new(&shared, said);
        let answer = Message::Answer { half, commitment };
        Ok((Self { keys, opening }, answer))
    }

    /// Takes the joiner's proof. [`PairingError::WrongCode`] is a miss.
    pub fn handle_proof(
        self,
        proof: &Message,
        key: &SecretKey,
    ) -> Result<(Checking, Message), PairingError> {
        let Message::Proof { confirm, sealed } = proof else {
            return Err(PairingError::Malformed);
        };
        // Compared in constant time by the type.
        if self.keys.confirm("joiner") != blake3::Hash::from_bytes(*confirm) {
            return Err(PairingError::WrongCode);
        }
        let named = |applicant: &Introduction| applicant.key;
        let applicant: Introduction = self.keys.meet("joiner", sealed, named)?;
        if !is_clean(&applicant.name) {
            return Err(PairingError::Malformed);
        }
        let reply = Message::Reply {
            confirm: *self.keys.confirm("inviter").as_bytes(),
            sealed: self.keys.introduce("inviter", &self.opening, key),
        };
        let checking = Checking {
            check: self.keys.check(&applicant, &self.opening),
            keys: self.keys,
            applicant,
        };
        Ok((checking, reply))
    }
}

impl Checking {
    /// Whether that is what the other side reads out.
    pub fn says(&self, typed: &str) -> bool {
        super::code::says(typed, &self.check)
    }

    /// Lets the applicant in.
    pub fn welcome(&self, welcome: &Welcome) -> Message {
        Message::Welcome(self.keys.seal("welcome", welcome))
    }
}

#[cfg(test)]
mod tests;
