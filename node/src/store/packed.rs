//! The stored form of an entity: every (dot, clock, verdict) stands once a row, whatever number of fields it wrote.
//!
//! Lossless: what is unpacked equals what was packed. The type and the id are columns of their own.

use std::collections::BTreeMap;

use studiovault_protocol::id::{Dot, EntityId};
use studiovault_protocol::merge::{
    Code, ElementSet, Entity, Field, Life, LifeKind, LifeWrite, LostLife, LostSide, Register,
    Sibling, Survivor, Top,
};
use studiovault_protocol::time::WallMs;
use studiovault_protocol::value::Value;

use super::StoreError;
use super::authors::Authors;

/// What a row's stamp table holds: a dot, its author's clock, and the position of its verdict.
type Stamp = (Dot, WallMs, Option<u64>);

struct Writer<'a> {
    authors: &'a Authors,
    stamps: Vec<Stamp>,
    body: Vec<u8>,
}

/// The row bytes of `entity`.
pub(super) fn pack(entity: &Entity, authors: &Authors) -> Vec<u8> {
    let (stamps, body) = (Vec::with_capacity(4), Vec::with_capacity(256));
    let mut writer = Writer {
        authors,
        stamps,
        body,
    };
    writer.life(&entity.life);
    writer.number(entity.fields.len() as u64);
    for (name, field) in &entity.fields {
        writer.number(name.len() as u64);
        writer.body.extend_from_slice(name.as_bytes());
        writer.field(field);
    }
    writer.finish(entity.opaque)
}

impl Writer<'_> {
    fn finish(self, opaque: bool) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.body.len() + 24 * self.stamps.len() + 4);
        put(&mut out, self.stamps.len() as u64 * 2 + u64::from(opaque));
        for (dot, ts, accepted) in &self.stamps {
            let author = self.authors.number(dot.author);
            let author = author.expect("the author of an applied command has a number");
            put(&mut out, author.cast_unsigned());
            put(&mut out, dot.counter);
            put(&mut out, zigzag(ts.0));
            // Position 0 is what stood before the feed began, so a missing one is written as 0 and all others one higher.
            put(&mut out, accepted.map_or(0, |position| position + 1));
        }
        out.extend_from_slice(&self.body);
        out
    }

    fn number(&mut self, number: u64) {
        put(&mut self.body, number);
    }

    fn value(&mut self, value: &Value) {
        let body = std::mem::take(&mut self.body);
        self.body = postcard::to_extend(value, body).expect("values always encode");
    }

    /// The place of a whole stamp.
    fn stamp(&mut self, stamp: Stamp) -> u64 {
        let found = self.stamps.iter().position(|other| *other == stamp);
        self.place(found, stamp)
    }

    /// The place of any stamp of that dot.
    fn dot(&mut self, dot: Dot) -> u64 {
        let found = self.stamps.iter().position(|(other, ..)| *other == dot);
        self.place(found, (dot, WallMs(0), None))
    }

    fn place(&mut self, found: Option<usize>, stamp: Stamp) -> u64 {
        let at = found.unwrap_or_else(|| {
            self.stamps.push(stamp);
            self.stamps.len() - 1
        });
        at as u64
    }

    fn life(&mut self, life: &Life) {
        self.number(life.writes.len() as u64);
        for write in &life.writes {
            let at = self.stamp((write.dot, write.ts, write.accepted));
            self.number(at * 4 + write.kind as u64);
            self.number(write.survivors.len() as u64);
            for survivor in &write.survivors {
                let at = self.stamp((survivor.dot, survivor.ts, None));
                self.number(at * 2 + u64::from(survivor.accepted));
            }
        }
        self.number(life.lost.len() as u64);
        for lost in &life.lost {
            let at = self.stamp((lost.dot, lost.ts, None));
            self.number(at);
            let body = std::mem::take(&mut self.body);
            self.body = postcard::to_extend(&lost.code, body).expect("codes always encode");
        }
    }

    fn field(&mut self, field: &Field) {
        match field {
            Field::Register(register) => {
                self.number(0);
                self.register(register);
            }
            Field::Set(set) => {
                self.number(1);
                self.number(set.elements.len() as u64);
                for (element, dots) in &set.elements {
                    self.value(element);
                    self.number(dots.len() as u64);
                    for dot in dots {
                        let at = self.dot(*dot);
                        self.number(at);
                    }
                }
            }
            Field::Counter(sum) => {
                self.number(2);
                self.number(zigzag(*sum));
            }
        }
    }

    fn register(&mut self, register: &Register) {
        self.number(register.siblings.len() as u64);
        for sibling in &register.siblings {
            let at = self.stamp((sibling.dot, sibling.ts, sibling.accepted));
            self.number(at * 2 + u64::from(sibling.leads));
            self.value(&sibling.value);
        }
        self.number(register.lost.len() as u64);
        for lost in &register.lost {
            let at = self.stamp((lost.dot, lost.ts, None));
            self.number(at * 2 + u64::from(lost.rejected));
            let body = std::mem::take(&mut self.body);
            self.body = postcard::to_extend(&lost.code, body).expect("codes always encode");
            self.value(&lost.value);
        }
        match &register.top {
            None => self.number(0),
            Some(top) => {
                self.number(top.position + 1);
                self.number(1 + top.beside.len() as u64);
                for dot in top.dots() {
                    let at = self.dot(dot);
                    self.number(at);
                }
            }
        }
    }
}

struct Reader<'a> {
    stamps: Vec<Stamp>,
    rest: &'a [u8],
}

/// The entity of row bytes.
pub(super) fn unpack(
    entity_type: &str,
    id: EntityId,
    bytes: &[u8],
    authors: &Authors,
) -> Result<Entity, StoreError> {
    let read = || -> Option<Entity> {
        let mut rest = bytes;
        let head = take(&mut rest)?;
        let mut stamps = Vec::new();
        for _ in 0..head / 2 {
            let author = authors.author(take(&mut rest)?.cast_signed())?;
            let dot = author.at(take(&mut rest)?);
            let ts = WallMs(unzigzag(take(&mut rest)?));
            let accepted = take(&mut rest)?.checked_sub(1);
            stamps.push((dot, ts, accepted));
        }
        let mut reader = Reader { stamps, rest };
        let life = reader.life()?;
        let mut fields = BTreeMap::new();
        for _ in 0..reader.number()? {
            let name = reader.name()?;
            fields.insert(name, reader.field()?);
        }
        let entity_type = entity_type.to_owned();
        let opaque = head % 2 == 1;
        reader.rest.is_empty().then_some(Entity {
            entity_type,
            id,
            life,
            fields,
            opaque,
        })
    };
    read().ok_or_else(|| StoreError::corrupt(format!("the state of entity {id}")))
}

impl Reader<'_> {
    fn number(&mut self) -> Option<u64> {
        take(&mut self.rest)
    }

    fn decoded<T: serde::de::DeserializeOwned>(&mut self) -> Option<T> {
        let (value, rest) = postcard::take_from_bytes(self.rest).ok()?;
        self.rest = rest;
        Some(value)
    }

    fn stamp(&self, at: u64) -> Option<Stamp> {
        self.stamps.get(usize::try_from(at).ok()?).copied()
    }

    fn name(&mut self) -> Option<String> {
        let length = usize::try_from(self.number()?).ok()?;
        let (name, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest;
        String::from_utf8(name.to_vec()).ok()
    }

    fn life(&mut self) -> Option<Life> {
        let mut life = Life::default();
        for _ in 0..self.number()? {
            let word = self.number()?;
            let (dot, ts, accepted) = self.stamp(word / 4)?;
            let kind = match word % 4 {
                0 => LifeKind::Created,
                1 => LifeKind::Deleted,
                2 => LifeKind::Restored,
                _ => return None,
            };
            let mut survivors = Vec::new();
            for _ in 0..self.number()? {
                let word = self.number()?;
                let (dot, ts, _) = self.stamp(word / 2)?;
                survivors.push(Survivor {
                    dot,
                    ts,
                    accepted: word % 2 == 1,
                });
            }
            life.writes.push(LifeWrite {
                dot,
                ts,
                kind,
                accepted,
                survivors,
            });
        }
        for _ in 0..self.number()? {
            let at = self.number()?;
            let (dot, ts, _) = self.stamp(at)?;
            let code = self.decoded()?;
            life.lost.push(LostLife { dot, ts, code });
        }
        Some(life)
    }

    fn field(&mut self) -> Option<Field> {
        Some(match self.number()? {
            0 => Field::Register(self.register()?),
            1 => {
                let mut set = ElementSet::default();
                for _ in 0..self.number()? {
                    let element = self.decoded()?;
                    let mut dots = Vec::new();
                    for _ in 0..self.number()? {
                        let at = self.number()?;
                        dots.push(self.stamp(at)?.0);
                    }
                    set.elements.push((element, dots));
                }
                Field::Set(set)
            }
            2 => Field::Counter(unzigzag(self.number()?)),
            _ => return None,
        })
    }

    fn register(&mut self) -> Option<Register> {
        let mut register = Register::default();
        for _ in 0..self.number()? {
            let word = self.number()?;
            let (dot, ts, accepted) = self.stamp(word / 2)?;
            let (leads, value) = (word % 2 == 1, self.decoded()?);
            register.siblings.push(Sibling {
                dot,
                ts,
                value,
                accepted,
                leads,
            });
        }
        for _ in 0..self.number()? {
            let word = self.number()?;
            let (dot, ts, _) = self.stamp(word / 2)?;
            let code: Code = self.decoded()?;
            register.lost.push(LostSide {
                dot,
                ts,
                value: self.decoded()?,
                code,
                rejected: word % 2 == 1,
            });
        }
        if let Some(position) = self.number()?.checked_sub(1) {
            let mut dots = Vec::new();
            for _ in 0..self.number()? {
                let at = self.number()?;
                dots.push(self.stamp(at)?.0);
            }
            register.top = Some(Top::of(position, dots)?);
        }
        Some(register)
    }
}

/// Seven bits a byte, low ones first, as postcard does it.
fn put(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

fn take(bytes: &mut &[u8]) -> Option<u64> {
    let (mut number, mut shift) = (0u64, 0u32);
    loop {
        let (first, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= u64::from(first & 0x7f).checked_shl(shift)?;
        if first & 0x80 == 0 {
            return Some(number);
        }
        shift += 7;
    }
}

fn zigzag(number: i64) -> u64 {
    (number.cast_unsigned() << 1) ^ (number >> 63).cast_unsigned()
}

fn unzigzag(number: u64) -> i64 {
    (number >> 1).cast_signed() ^ -((number & 1).cast_signed())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_every_size_read_back() {
        for number in [0, 1, 127, 128, 1 << 40, u64::MAX] {
            let mut bytes = Vec::new();
            put(&mut bytes, number);
            assert_eq!(take(&mut &bytes[..]), Some(number));
        }
        for number in [0, -1, 1, i64::MIN, i64::MAX] {
            assert_eq!(unzigzag(zigzag(number)), number);
        }
        assert_eq!(take(&mut &[0x80u8, 0x80][..]), None);
    }
}
