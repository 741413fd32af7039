//! Where a studio does its business: the time zone that its days are counted in and the currency of its sales.
//!
//! Chosen once, by the founder; the studio file carries both to every machine. The rules of all zones are built in, so that
//! every machine counts the same days, whatever its system knows.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};
use studiovault_protocol::time::WallMs;

/// The currency of a studio whose founder named none.
const CURRENCY: &str = "EUR";

/// A time zone by its name in the IANA database.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Zone(TimeZone);

/// An ISO 4217 code: three capital letters.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Currency(String);

/// Both.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Region {
    /// Its days.
    pub time_zone: Zone,
    /// Its money.
    pub currency: Currency,
}

/// The person's: a name that nobody knows. Nothing changed.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum RegionError {
    /// No such zone.
    #[error("`{0}` is no time zone; give a name of the IANA database, such as Europe/Lisbon")]
    Zone(String),
    /// No such code.
    #[error("`{0}` is no currency; give the three letters of ISO 4217, such as EUR")]
    Currency(String),
}

impl Default for Region {
    /// The same on every machine: UTC and the euro.
    fn default() -> Self {
        Self {
            time_zone: Zone(TimeZone::UTC),
            currency: Currency(CURRENCY.to_owned()),
        }
    }
}

impl Region {
    /// The system's time zone, or UTC if it does not say, and the euro.
    pub fn of_system() -> Self {
        let system = TimeZone::system();
        let named = system.iana_name().and_then(|name| name.parse().ok());
        Self {
            time_zone: named.unwrap_or(Zone(TimeZone::UTC)),
            currency: Currency(CURRENCY.to_owned()),
        }
    }

    /// The day on which a moment lies, as `YYYY-MM-DD`. A clock beyond all calendars is on the last day they have.
    pub fn day(&self, at: WallMs) -> String {
        let moment = match Timestamp::from_millisecond(at.0) {
            Ok(moment) => moment,
            Err(_) if at.0 < 0 => Timestamp::MIN,
            Err(_) => Timestamp::MAX,
        };
        self.time_zone.0.to_datetime(moment).date().to_string()
    }
}

impl FromStr for Zone {
    type Err = RegionError;

    fn from_str(text: &str) -> Result<Self, RegionError> {
        let unknown = || RegionError::Zone(text.chars().take(64).collect());
        if text == "UTC" {
            return Ok(Self(TimeZone::UTC));
        }
        let zone = TimeZone::get(text).map_err(|_| unknown())?;
        zone.iana_name()
            .is_some()
            .then_some(Self(zone))
            .ok_or_else(unknown)
    }
}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.iana_name().unwrap_or("UTC"))
    }
}

impl TryFrom<String> for Zone {
    type Error = RegionError;

    fn try_from(text: String) -> Result<Self, RegionError> {
        text.parse()
    }
}

impl From<Zone> for String {
    fn from(zone: Zone) -> Self {
        zone.to_string()
    }
}

impl FromStr for Currency {
    type Err = RegionError;

    fn from_str(text: &str) -> Result<Self, RegionError> {
        let code = text.to_ascii_uppercase();
        let fits = code.len() == 3 && code.bytes().all(|byte| byte.is_ascii_uppercase());
        let unknown = || RegionError::Currency(text.chars().take(64).collect());
        fits.then_some(Self(code)).ok_or_else(unknown)
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for Currency {
    type Error = RegionError;

    fn try_from(text: String) -> Result<Self, RegionError> {
        text.parse()
    }
}

impl From<Currency> for String {
    fn from(currency: Currency) -> Self {
        currency.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn region(time_zone: &str) -> Region {
        Region {
            time_zone: time_zone.parse().expect("a zone"),
            currency: "eur".parse().expect("a currency"),
        }
    }

    #[test]
    fn a_day_begins_at_midnight_of_the_studio_also_when_clocks_change() {
        // 2026-03-28 23:30 in Lisbon, and half an hour after midnight of the day on which summer time begins.
        assert_eq!(
            region("Europe/Lisbon").day(WallMs(1_774_740_600_000)),
            "2026-03-28"
        );
        assert_eq!(
            region("Europe/Lisbon").day(WallMs(1_774_744_200_000)),
            "2026-03-29"
        );
        assert_eq!(
            region("Pacific/Auckland").day(WallMs(1_774_740_600_000)),
            "2026-03-29"
        );
        assert_eq!(region("America/Los_Angeles").day(WallMs(0)), "1969-12-31");
        region("UTC").day(WallMs(i64::MAX));
        region("UTC").day(WallMs(i64::MIN));
    }

    #[test]
    fn zones_and_currencies_read_back_and_unknown_ones_are_refused() {
        let region = region("Europe/Lisbon");
        let text = serde_json::to_string(&region).expect("encodes");
        assert_eq!(text, r#"{"time_zone":"Europe/Lisbon","currency":"EUR"}"#);
        assert_eq!(
            serde_json::from_str::<Region>(&text).expect("reads"),
            region
        );
        assert!("Mars/Olympus".parse::<Zone>().is_err());
        for wrong in ["EURO", "E", "€uro", "12E"] {
            assert!(wrong.parse::<Currency>().is_err(), "{wrong}");
        }
    }
}
