//! Packs as the local API takes them in, part by part, and frontiers as people carry them to another machine.

use serde::{Deserialize, Serialize};

use crate::frontier::{Frontier, Reach};
use crate::id::{DeviceId, Dot, StudioId};
use crate::limits;
use crate::pack::Label;
use crate::time::WallMs;

/// Takes in one part of a pack.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PackRequest {
    /// The part, opened and unpacked, as hexadecimal digits.
    #[serde(with = "hex")]
    pub part: Vec<u8>,
}

/// Notes that a pack is made of this machine's store.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExportRequest {
    /// What it holds.
    pub label: Label,
}

/// What a machine holds, as `studiovault frontier` prints it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct FrontierView {
    /// Which studio.
    pub studio: StudioId,
    /// Which machine.
    pub device: DeviceId,
    /// What people call it.
    pub name: String,
    /// When, by that machine's wall clock.
    pub at: WallMs,
    /// The last held position of the feed.
    pub feed: u64,
    /// Dots up to which logs are held, earlier epochs of each path among them.
    pub held: Vec<String>,
}

impl FrontierView {
    /// The dots of a frontier.
    pub fn dots(frontier: &Frontier) -> Vec<String> {
        let reach = Reach::of(frontier);
        let dots = reach.iter().map(|(author, counter)| author.at(counter));
        dots.map(|dot| dot.to_string()).collect()
    }

    /// How far it says that every log is held; `None` if it makes no sense.
    pub fn reach(&self) -> Option<Reach> {
        let fits = self.held.len() <= limits::TIPS * (limits::TRAIL + 1);
        if !fits || self.feed > limits::COUNTER {
            return None;
        }
        let mut reach = Reach::default();
        for dot in &self.held {
            let dot: Dot = dot.parse().ok()?;
            if dot.counter > limits::COUNTER {
                return None;
            }
            reach.extend(dot.author, dot.counter);
        }
        Some(reach)
    }
}

mod hex {
    //! Bytes as hexadecimal digits.
    use serde::{Deserialize, Deserializer, Serializer};

    pub fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        let digit = |nibble: u8| char::from(b"0123456789abcdef"[usize::from(nibble)]);
        let pair = |byte: &u8| [digit(byte >> 4), digit(byte & 15)];
        let text: String = bytes.iter().flat_map(pair).collect();
        serializer.serialize_str(&text)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        let text = String::deserialize(deserializer)?;
        let nibble = |digit: u8| char::from(digit).to_digit(16).map(|nibble| nibble as u8);
        let (pairs, rest) = text.as_bytes().as_chunks::<2>();
        let bytes = pairs
            .iter()
            .map(|[high, low]| Some((nibble(*high)? << 4) | nibble(*low)?));
        let bytes: Option<Vec<u8>> = bytes.collect();
        let bytes = bytes.filter(|_| rest.is_empty());
        bytes.ok_or_else(|| serde::de::Error::custom("expected pairs of hexadecimal digits"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_read_back_from_their_digits_and_nothing_else_is_read() {
        let request = PackRequest {
            part: (0..=255).collect(),
        };
        let text = serde_json::to_string(&request).expect("encodes");
        assert_eq!(
            serde_json::from_str::<PackRequest>(&text).ok(),
            Some(request)
        );
        for wrong in ["0", "0g", "é0", "+1"] {
            let text = serde_json::json!({ "part": wrong }).to_string();
            assert!(
                serde_json::from_str::<PackRequest>(&text).is_err(),
                "{wrong}"
            );
        }
    }

    #[test]
    fn a_frontier_that_makes_no_sense_is_no_reach() {
        let view = |held: &[&str], feed| FrontierView {
            studio: StudioId([1; 16]),
            device: DeviceId([2; 16]),
            name: "laptop".into(),
            at: WallMs(0),
            feed,
            held: held.iter().map(|dot| (*dot).to_owned()).collect(),
        };
        let dot = format!("{}.00000000000000ff.7", DeviceId([3; 16]));
        let reach = view(&[&dot], 0).reach().expect("sound");
        assert_eq!(reach.iter().map(|(_, counter)| counter).max(), Some(7));
        assert!(view(&["nonsense"], 0).reach().is_none());
        assert!(
            view(&[&format!("{dot}999999999999999999")], 0)
                .reach()
                .is_none()
        );
        assert!(view(&[], u64::MAX).reach().is_none());
    }
}
