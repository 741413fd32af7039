//! The pins of a cloud's key: which keys are taken, with a backup, and until when.
//!
//! Written as `PIN,PIN[,PIN...][;DATE]`: each pin the SHA-256 of a SubjectPublicKeyInfo in hexadecimal. A set without a backup is
//! refused: the day its one key is lost, every machine would be locked out of its cloud.

use std::fmt;
use std::str::FromStr;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use rustls::pki_types::UnixTime;
use sha2::{Digest, Sha256};
use studiovault_protocol::id::Hash;

/// Pins of one set at most: the key in use, its backup, and room for a change of both.
const PINS: usize = 8;

/// A set of pins.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PinSet {
    pins: Vec<Hash>,
    until: Option<Date>,
}

/// Why a text is no set of pins. The person's fault.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum PinError {
    /// Not one of hexadecimal digits.
    #[error("a pin has 64 hexadecimal digits; give them as `studiovault cloud` printed them")]
    NotHexadecimal,
    /// Fewer than two different ones, or too many.
    #[error("a set has 2 to 8 different pins, one of them a backup; give `PIN,PIN`")]
    Backup,
    /// Not a day.
    #[error("what follows `;` is the last day of the pins; give it as 2027-11-22")]
    Day,
}

impl FromStr for PinSet {
    type Err = PinError;
    fn from_str(text: &str) -> Result<Self, PinError> {
        let (pins, until) = match text.trim().split_once(';') {
            Some((pins, day)) => (pins, Some(day.trim().parse().map_err(|_| PinError::Day)?)),
            None => (text, None),
        };
        let mut found: Vec<Hash> = Vec::new();
        for pin in pins.split(',') {
            let pin = pin.trim().parse().map_err(|_| PinError::NotHexadecimal)?;
            if found.contains(&pin) {
                return Err(PinError::Backup);
            }
            found.push(pin);
        }
        if !(2..=PINS).contains(&found.len()) {
            return Err(PinError::Backup);
        }
        Ok(Self { pins: found, until })
    }
}

impl fmt::Display for PinSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, pin) in self.pins.iter().enumerate() {
            write!(f, "{}{pin}", if at == 0 { "" } else { "," })?;
        }
        self.until.map_or(Ok(()), |day| write!(f, ";{day}"))
    }
}

impl PinSet {
    /// Whether a key, as its SubjectPublicKeyInfo, is one of them.
    pub fn takes(&self, key: &[u8]) -> bool {
        let pin: [u8; 32] = Sha256::digest(key).into();
        self.pins.contains(&Hash(pin))
    }

    /// Whether the set has no last day.
    pub fn is_open(&self) -> bool {
        self.until.is_none()
    }

    /// The last day of the set if it is over: the whole day counts, in UTC.
    pub fn ended(&self, now: UnixTime) -> Option<Date> {
        let day = self.until?;
        let next = day.tomorrow().ok()?.to_zoned(TimeZone::UTC).ok()?;
        let over =
            i64::try_from(now.as_secs()).is_ok_and(|now| now >= next.timestamp().as_second());
        over.then_some(day)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pin(n: u8) -> String {
        format!("{n:02x}").repeat(32)
    }

    #[test]
    fn a_set_reads_back_as_it_was_written_and_needs_a_backup() {
        for text in [
            format!("{},{}", pin(1), pin(2)),
            format!("{},{},{};2027-11-22", pin(1), pin(2), pin(3)),
        ] {
            let set: PinSet = text.parse().expect("a set");
            assert_eq!(set.to_string(), text);
        }
        let cases = [
            (pin(1), PinError::Backup),
            (format!("{},{}", pin(1), pin(1)), PinError::Backup),
            (vec![pin(1); 9].join(","), PinError::Backup),
            (
                (0..9).map(pin).collect::<Vec<_>>().join(","),
                PinError::Backup,
            ),
            (format!("{},abc", pin(1)), PinError::NotHexadecimal),
            (String::new(), PinError::NotHexadecimal),
            (format!("{},{};soon", pin(1), pin(2)), PinError::Day),
            (format!("{},{};2027-02-30", pin(1), pin(2)), PinError::Day),
        ];
        for (text, error) in cases {
            assert_eq!(text.parse::<PinSet>(), Err(error), "{text}");
        }
    }

    #[test]
    fn the_last_day_counts_whole_and_the_next_second_does_not() {
        let set = format!("{},{};1970-01-01", pin(1), pin(2));
        let set: PinSet = set.parse().expect("a set");
        let at = |s| UnixTime::since_unix_epoch(std::time::Duration::from_secs(s));
        assert_eq!(set.ended(at(86_399)), None);
        assert_eq!(set.ended(at(86_400)), set.until);
        let open: PinSet = format!("{},{}", pin(1), pin(2)).parse().expect("a set");
        assert_eq!(open.ended(at(u64::from(u32::MAX))), None);
    }
}
