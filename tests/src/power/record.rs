//! The recorder's log, parsed: one record per event, in the order in which they happened.
//! The format is described at the top of `recorder.c`; the bytes written stay in the log and are pointed at.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};

/// op, number, path length, data length.
const HEAD: usize = 1 + 8 + 4 + 4;
const ACK: u8 = 7;
const STRUCK: u8 = 8;
const LINK: u8 = 9;

/// Index into the table of paths.
pub(super) type PathNumber = usize;

#[derive(Clone)]
pub(super) enum Op {
    Create(PathNumber),
    Write {
        path: PathNumber,
        offset: u64,
        data: Range<usize>,
    },
    Truncate {
        path: PathNumber,
        size: u64,
    },
    /// Covers the records that begin before that place of the log.
    Sync {
        path: PathNumber,
        until: u64,
    },
    Unlink(PathNumber),
    Rename {
        from: PathNumber,
        to: PathNumber,
    },
    /// One more name of a file.
    Link {
        from: PathNumber,
        to: PathNumber,
    },
    Ack(String),
    /// A call of the disk went wrong on purpose.
    Struck,
}

#[derive(Clone)]
pub(super) struct Record {
    /// Where it begins in the log.
    pub(super) at: u64,
    pub(super) op: Op,
}

/// Reads the whole log; a torn last record, left by a killed process, is an error as any other.
pub(super) fn parse(bytes: &[u8], folder: &Path) -> Result<(Vec<Record>, Vec<PathBuf>)> {
    let mut paths = Paths {
        folder,
        numbers: BTreeMap::new(),
        list: Vec::new(),
    };
    let mut records = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let head = bytes
            .get(at..at + HEAD)
            .with_context(|| format!("the log ends inside a record at {at}"))?;
        let path_start = at + HEAD;
        let data_start = path_start + read_u32(&head[9..13]);
        let end = data_start + read_u32(&head[13..17]);
        ensure!(end <= bytes.len(), "the log ends inside a record at {at}");
        let number = u64::from_le_bytes(head[1..9].try_into().expect("eight bytes"));
        let path = &bytes[path_start..data_start];
        let op = match head[0] {
            1 => Op::Create(paths.number_of(path)?),
            2 => Op::Write {
                path: paths.number_of(path)?,
                offset: number,
                data: data_start..end,
            },
            3 => Op::Truncate {
                path: paths.number_of(path)?,
                size: number,
            },
            4 => Op::Sync {
                path: paths.number_of(path)?,
                until: number,
            },
            5 => Op::Unlink(paths.number_of(path)?),
            6 => Op::Rename {
                from: paths.number_of(path)?,
                to: paths.number_of(&bytes[data_start..end])?,
            },
            LINK => Op::Link {
                from: paths.number_of(path)?,
                to: paths.number_of(&bytes[data_start..end])?,
            },
            ACK => Op::Ack(
                String::from_utf8_lossy(&bytes[data_start..end])
                    .trim_end()
                    .to_owned(),
            ),
            STRUCK => Op::Struck,
            other => bail!("record at {at} has the unknown kind {other}"),
        };
        records.push(Record { at: at as u64, op });
        at = end;
    }
    Ok((records, paths.list))
}

/// An acknowledgement as the recorder would log it.
pub(super) fn encode_ack(what: &str) -> Vec<u8> {
    let length = u32::try_from(what.len()).expect("an acknowledgement is short");
    let mut bytes = vec![ACK];
    bytes.extend(0u64.to_le_bytes());
    bytes.extend(0u32.to_le_bytes());
    bytes.extend(length.to_le_bytes());
    bytes.extend(what.as_bytes());
    bytes
}

struct Paths<'a> {
    folder: &'a Path,
    numbers: BTreeMap<PathBuf, PathNumber>,
    list: Vec<PathBuf>,
}

impl Paths<'_> {
    fn number_of(&mut self, bytes: &[u8]) -> Result<PathNumber> {
        let full = PathBuf::from(std::str::from_utf8(bytes).context("a path that is not UTF-8")?);
        let short = full
            .strip_prefix(self.folder)
            .with_context(|| format!("{} is not watched", full.display()))?;
        let list = &mut self.list;
        let number = self.numbers.entry(short.to_owned()).or_insert_with(|| {
            list.push(short.to_owned());
            list.len() - 1
        });
        Ok(*number)
    }
}

fn read_u32(bytes: &[u8]) -> usize {
    u32::from_le_bytes(bytes.try_into().expect("four bytes")) as usize
}
