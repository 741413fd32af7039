//! The spoken code of an invite: two digits that anybody may hear, and three words that are the secret.

use std::fmt;
use std::str::FromStr;

use super::words::WORDS;

/// A code, as `42-maple-orbit-velvet`. The words are 24 bits: with three tries an invite falls to one guesser in five million.
#[derive(Clone, PartialEq, Eq)]
pub struct Code {
    plate: u8,
    words: [u8; 3],
}

/// What a person typed is no code. Theirs; nothing was sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CodeError {
    /// Not two digits and three words.
    #[error("a code is two digits and three words, such as 42-maple-orbit-velvet")]
    Shape,
    /// A word that no code has.
    #[error("`{0}` is no word of any code; listen again how it is spelt")]
    Word(String),
}

impl Code {
    /// From random bytes that the caller drew.
    pub fn from_random([plate, words @ ..]: [u8; 4]) -> Self {
        Self {
            plate: plate % 100,
            words,
        }
    }

    /// The public part: which of several invites on one network is meant.
    pub fn plate(&self) -> u8 {
        self.plate
    }

    /// The key of the announcement on the LAN: whoever knows the plate finds the listener, and learns nothing else.
    pub fn announcement_key(&self) -> [u8; 32] {
        blake3::derive_key("studiovault pairing announcement v1", &[self.plate])
    }

    /// The secret part.
    pub(super) fn secret(&self) -> [u8; 3] {
        self.words
    }

    /// Another code under the same plate: whoever is looking for the invite still finds it.
    pub fn renewed(&self, words: [u8; 3]) -> Self {
        Self {
            plate: self.plate,
            words,
        }
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}-{}", self.plate, spoken(&self.words))
    }
}

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Code({:02}, words hidden)", self.plate)
    }
}

impl FromStr for Code {
    type Err = CodeError;
    fn from_str(text: &str) -> Result<Self, CodeError> {
        let parts = parts(text);
        let [plate, words @ ..] = &parts[..] else {
            return Err(CodeError::Shape);
        };
        let is_plate = plate.len() == 2 && plate.bytes().all(|digit| digit.is_ascii_digit());
        if !is_plate || words.len() != 3 {
            return Err(CodeError::Shape);
        }
        let mut bytes = [0; 3];
        for (byte, word) in bytes.iter_mut().zip(words) {
            *byte = number(word).ok_or_else(|| CodeError::Word(word.chars().take(20).collect()))?;
        }
        Ok(Self {
            plate: plate.parse().map_err(|_| CodeError::Shape)?,
            words: bytes,
        })
    }
}

/// Bytes as words.
pub(super) fn spoken(bytes: &[u8]) -> String {
    let words: Vec<&str> = bytes.iter().map(|at| WORDS[usize::from(*at)]).collect();
    words.join("-")
}

/// Whether what a person typed are these words, however they are parted and in whatever case.
pub(super) fn says(typed: &str, words: &str) -> bool {
    parts(typed).join("-") == words
}

fn parts(text: &str) -> Vec<String> {
    text.split(|c: char| c.is_whitespace() || c == '-' || c == ',')
        .filter(|part| !part.is_empty())
        .take(8)
        .map(str::to_lowercase)
        .collect()
}

fn number(word: &str) -> Option<u8> {
    let at = WORDS.iter().position(|known| *known == word)?;
    u8::try_from(at).ok()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_code_is_read_back_however_it_is_typed() {
        let code = Code::from_random([142, 0, 255, 7]);
        assert_eq!(code.to_string(), "42-acorn-walnut-anchor");
        for typed in ["42-acorn-walnut-anchor", " 42 Acorn  walnut ANCHOR "] {
            assert_eq!(typed.parse(), Ok(code.clone()));
        }
        for wrong in [
            "",
            "42",
            "4-acorn-walnut-anchor",
            "42-acorn-walnut",
            "x2-acorn-walnut-anchor",
        ] {
            assert_eq!(wrong.parse::<Code>(), Err(CodeError::Shape), "{wrong}");
        }
        let unknown = "42-acorn-walrus-anchor".parse::<Code>();
        assert_eq!(unknown, Err(CodeError::Word("walrus".into())));
        assert!(!format!("{code:?}").contains("acorn"));
    }

    #[test]
    fn no_two_words_begin_with_the_same_three_letters_and_end_alike() {
        let words: BTreeSet<&str> = WORDS.into_iter().collect();
        assert_eq!(words.len(), 256);
        let plain = |word: &&str| word.bytes().all(|b| b.is_ascii_lowercase()) && word.len() <= 8;
        assert!(WORDS.iter().all(plain));
    }
}
