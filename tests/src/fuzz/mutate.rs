//! Bends an input into one that nobody wrote: bits, bytes, runs, numbers at their limits, pieces of other inputs, words.

use super::INPUT_BYTES;
use crate::sim::dice::Dice;

/// Bytes that end things: numbers at their limits as postcard writes them, lengths, terminators, the marks of zstd and of text.
const TOKENS: [&[u8]; 20] = [
    &[0],
    &[1],
    &[0x7f],
    &[0x80, 0],
    &[0x80, 1],
    &[0xff, 0x01],
    &[0xff, 0xff, 0x03],
    &[0x80, 0x80, 0x10],
    &[0xff, 0xff, 0xff, 0xff, 0x0f],
    &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01],
    &[0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01],
    &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x3f],
    &[
        0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80,
    ],
    &[0xff; 32],
    &[0; 64],
    &[0x28, 0xb5, 0x2f, 0xfd],
    b"\xf0\x9f\x92\xa9",
    b"\xe2\x80\xae",
    b"\xc3",
    b"-9223372036854775808",
];

/// One input of the pool, bent one to six times.
pub(super) fn mutated(pool: &[Vec<u8>], words: &[&str], dice: &mut Dice) -> Vec<u8> {
    let mut bytes = match pool {
        [] => Vec::new(),
        _ => pool[dice.place(pool.len())].clone(),
    };
    if dice.happens(5) {
        bytes = (0..dice.below(400)).map(|_| dice.number() as u8).collect();
    }
    for _ in 0..=dice.below(6) {
        bend(&mut bytes, pool, words, dice);
    }
    bytes.truncate(INPUT_BYTES);
    bytes
}

fn bend(bytes: &mut Vec<u8>, pool: &[Vec<u8>], words: &[&str], dice: &mut Dice) {
    let at = dice.place(bytes.len() + 1);
    let to = at + dice.place((bytes.len() - at).min(64) + 1);
    match dice.below(11) {
        0 => bytes.truncate(at),
        1 => drop(bytes.drain(at..to)),
        2 => bytes.insert(at, dice.number() as u8),
        3 => insert(bytes, at..to, TOKENS[dice.place(TOKENS.len())]),
        4 => insert(bytes, at..at, TOKENS[dice.place(TOKENS.len())]),
        5 if !words.is_empty() => insert(bytes, at..to, words[dice.place(words.len())].as_bytes()),
        6 if !pool.is_empty() => {
            let other = &pool[dice.place(pool.len())];
            let from = dice.place(other.len() + 1);
            let piece = other[from..].to_vec();
            insert(bytes, at..bytes.len(), &piece);
        }
        7 => {
            let piece = bytes[at..to].to_vec();
            let copies = dice.place(30) + 1;
            insert(bytes, at..at, &piece.repeat(copies));
        }
        8 => bytes[at..to].reverse(),
        _ => {
            if let Some(byte) = bytes.get_mut(at) {
                *byte ^= 1 << dice.below(8);
            }
        }
    }
}

fn insert(bytes: &mut Vec<u8>, place: std::ops::Range<usize>, piece: &[u8]) {
    if bytes.len() + piece.len() <= INPUT_BYTES {
        bytes.splice(place, piece.iter().copied());
    }
}
