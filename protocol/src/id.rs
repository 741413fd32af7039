//! Identifiers: a newtype per kind of name, so that no two kinds can be mixed up.
//!
//! Encoded as their bare bytes on the wire and as text (UUID, hex) in JSON. Order is byte order, which every device shares.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use uuid::Uuid;

use crate::time::WallMs;

/// Serializes a fixed array without a length prefix.
fn serialize_bytes<S: Serializer, const N: usize>(
    bytes: &[u8; N],
    serializer: S,
) -> Result<S::Ok, S::Error> {
    use serde::ser::SerializeTuple;
    let mut tuple = serializer.serialize_tuple(N)?;
    for byte in bytes {
        tuple.serialize_element(byte)?;
    }
    tuple.end()
}

/// Reads a fixed array without a length prefix.
fn deserialize_bytes<'de, D: Deserializer<'de>, const N: usize>(
    deserializer: D,
) -> Result<[u8; N], D::Error> {
    struct Visitor<const N: usize>;
    impl<'de, const N: usize> serde::de::Visitor<'de> for Visitor<N> {
        type Value = [u8; N];
        fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
            write!(formatter, "{N} bytes")
        }
        fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut seq: A) -> Result<[u8; N], A::Error> {
            let mut bytes = [0u8; N];
            for (at, byte) in bytes.iter_mut().enumerate() {
                *byte = seq
                    .next_element()?
                    .ok_or_else(|| serde::de::Error::invalid_length(at, &self))?;
            }
            Ok(bytes)
        }
    }
    deserializer.deserialize_tuple(N, Visitor::<N>)
}

macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub [u8; 16]);

        impl $name {
            /// From any UUID.
            pub fn from_uuid(uuid: Uuid) -> Self {
                Self(*uuid.as_bytes())
            }
            /// A version 4 UUID of 16 random bytes that the caller drew.
            pub fn from_random(bytes: [u8; 16]) -> Self {
                Self(*uuid::Builder::from_random_bytes(bytes).as_uuid().as_bytes())
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                Uuid::from_bytes(self.0).hyphenated().fmt(f)
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self)
            }
        }
        impl FromStr for $name {
            type Err = IdError;
            fn from_str(text: &str) -> Result<Self, IdError> {
                Uuid::parse_str(text)
                    .map(Self::from_uuid)
                    .map_err(|_| IdError::NotAUuid(text.chars().take(64).collect()))
            }
        }
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                if serializer.is_human_readable() {
                    serializer.collect_str(self)
                } else {
                    serialize_bytes(&self.0, serializer)
                }
            }
        }
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                if deserializer.is_human_readable() {
                    String::deserialize(deserializer)?
                        .parse()
                        .map_err(serde::de::Error::custom)
                } else {
                    deserialize_bytes(deserializer).map(Self)
                }
            }
        }
    };
}

macro_rules! hex_bytes {
    ($(#[$doc:meta])* $name:ident, $length:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub [u8; $length]);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self)
            }
        }
        impl FromStr for $name {
            type Err = IdError;
            fn from_str(text: &str) -> Result<Self, IdError> {
                let bad = || IdError::NotHex { expected: $length };
                let digits = text.as_bytes();
                if digits.len() != 2 * $length {
                    return Err(bad());
                }
                let mut bytes = [0u8; $length];
                for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
                    let pair = std::str::from_utf8(pair).map_err(|_| bad())?;
                    *byte = u8::from_str_radix(pair, 16).map_err(|_| bad())?;
                }
                Ok(Self(bytes))
            }
        }
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                if serializer.is_human_readable() {
                    serializer.collect_str(self)
                } else {
                    serialize_bytes(&self.0, serializer)
                }
            }
        }
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                if deserializer.is_human_readable() {
                    String::deserialize(deserializer)?
                        .parse()
                        .map_err(serde::de::Error::custom)
                } else {
                    deserialize_bytes(deserializer).map(Self)
                }
            }
        }
    };
}

uuid_id!(
    /// One business: its devices share one truth.
    StudioId
);
uuid_id!(
    /// One machine of a studio.
    DeviceId
);
uuid_id!(
    /// One thing that people name: a client, a sale, a project.
    EntityId
);
uuid_id!(
    /// The name a command keeps when it is sent again.
    CommandId
);

impl CommandId {
    /// A version 7 UUID (RFC 9562) of a moment by its author's clock and of 10 random bytes that the caller drew.
    ///
    /// What is written one after the other stands side by side in every index. Nothing reads the moment back: clocks lie.
    pub fn at(moment: WallMs, random: [u8; 10]) -> Self {
        let millis = moment.0.max(0).unsigned_abs();
        let built = uuid::Builder::from_unix_timestamp_millis(millis, &random);
        Self(*built.as_uuid().as_bytes())
    }
}

hex_bytes!(
    /// A BLAKE3 digest.
    Hash,
    32
);
hex_bytes!(
    /// An Ed25519 public key.
    PublicKey,
    32
);
hex_bytes!(
    /// An Ed25519 signature.
    Signature,
    64
);
hex_bytes!(
    /// Sixteen random bytes that hide a command's values behind its hash.
    Nonce,
    16
);

impl Default for Hash {
    /// Zeros: the hash before the first.
    fn default() -> Self {
        Self([0; 32])
    }
}

impl Default for HashPrefix {
    /// Zeros: of nothing.
    fn default() -> Self {
        Self([0; 8])
    }
}

impl Hash {
    /// BLAKE3 of `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        Self(*blake3::hash(bytes).as_bytes())
    }
    /// The first eight bytes, enough to notice an accident (never to prove anything).
    pub fn prefix(&self) -> HashPrefix {
        let mut prefix = [0; 8];
        prefix.copy_from_slice(&self.0[..8]);
        HashPrefix(prefix)
    }
}

hex_bytes!(
    /// The first eight bytes of a [`struct@Hash`].
    HashPrefix,
    8
);

/// Text that is no identifier. The person's or the peer's fault; nothing changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// Not a UUID.
    #[error("`{0}` is not an id: expected a UUID such as 6f1c0d0e-6a1b-4c58-9a55-0e1a5a3f7d11")]
    NotAUuid(String),
    /// Not hexadecimal of the right length.
    #[error("expected {expected} bytes as {} hexadecimal digits", expected * 2)]
    NotHex {
        /// How many bytes were expected.
        expected: usize,
    },
}

/// Random `u64` minted at the first write after each start of a node's process.
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize, Default,
)]
#[serde(transparent)]
pub struct Epoch(pub u64);

/// One writer of one chain of bundles.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct Author {
    /// The machine.
    pub device: DeviceId,
    /// Which run of it.
    pub epoch: Epoch,
}

/// The name of one command: its author and its place in the author's path, from 1, without gaps.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct Dot {
    /// Who wrote it.
    pub author: Author,
    /// Which of the author's commands; goes on from one epoch of a device to the next.
    pub counter: u64,
}

impl Author {
    /// The dot of this author at `counter`.
    pub fn at(self, counter: u64) -> Dot {
        Dot {
            author: self,
            counter,
        }
    }
}

impl fmt::Display for Dot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}.{:016x}.{}",
            self.author.device, self.author.epoch.0, self.counter
        )
    }
}

impl FromStr for Dot {
    type Err = IdError;
    fn from_str(text: &str) -> Result<Self, IdError> {
        let bad = || IdError::NotAUuid(text.chars().take(80).collect());
        let mut parts = text.split('.');
        let (Some(device), Some(epoch), Some(counter), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(bad());
        };
        let epoch = u64::from_str_radix(epoch, 16).map_err(|_| bad())?;
        Ok(Author {
            device: device.parse()?,
            epoch: Epoch(epoch),
        }
        .at(counter.parse().map_err(|_| bad())?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_read_back_as_written() {
        let id = DeviceId::from_random([7; 16]);
        assert_eq!(id.to_string().parse::<DeviceId>(), Ok(id));
        let bytes = postcard::to_stdvec(&id).expect("encodes");
        assert_eq!(bytes.len(), 16, "no length prefix on the wire");
        let dot = Author {
            device: id,
            epoch: Epoch(0xfeed),
        }
        .at(42);
        assert_eq!(dot.to_string().parse::<Dot>(), Ok(dot));
    }

    #[test]
    fn the_ids_of_commands_are_in_the_order_of_their_moments() {
        let ids = [i64::MIN, 1, 2, i64::MAX >> 16].map(|ms| CommandId::at(WallMs(ms), [9; 10]));
        assert!(ids.is_sorted_by(|one, next| one < next), "{ids:?}");
        let same = CommandId::at(WallMs(2), [8; 10]);
        assert!(same != ids[2] && same.0[..6] == ids[2].0[..6]);
        assert_eq!(Uuid::from_bytes(same.0).get_version_num(), 7);
    }

    #[test]
    fn text_that_is_no_id_is_refused() {
        assert!("till".parse::<DeviceId>().is_err());
        assert!("zz".parse::<Hash>().is_err());
        assert!("a.b".parse::<Dot>().is_err());
    }
}
