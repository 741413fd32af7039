//! Dates, times and numbers as the system writes them, and the studio's time zone.
//!
//! Set once when the program starts; until then, and in tests, dates are ISO 8601 and thousands stand apart by commas.

use std::sync::{OnceLock, RwLock};

use jiff::Timestamp;
use jiff::tz::TimeZone;
use studiovault_protocol::time::WallMs;

/// In which order a date is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum DateOrder {
    /// `2026-11-20`
    Iso,
    /// `20/11/2026`
    DayFirst(char),
    /// `11/20/2026`
    MonthFirst,
}

/// How a system writes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Locale {
    thousands: char,
    pub(super) decimal: char,
    pub(super) sign: Sign,
    date: DateOrder,
    half_days: bool,
}

/// Where the sign of a currency stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Sign {
    /// `€1,234.50`
    Before,
    /// `€ 1.234,50`
    Apart,
    /// `1.234,50 €`
    After,
}

const PLAIN: Locale = Locale {
    thousands: ',',
    decimal: '.',
    sign: Sign::Before,
    date: DateOrder::Iso,
    half_days: false,
};

static SYSTEM: OnceLock<Locale> = OnceLock::new();
static ZONE: RwLock<Option<TimeZone>> = RwLock::new(None);

impl Locale {
    /// What the environment says; first of `LC_ALL`, the kind's own variable (`LC_TIME`, `LC_NUMERIC`, `LC_MONETARY`), and `LANG`.
    pub fn of_environment(read: impl Fn(&str) -> Option<String>) -> Self {
        let named = |variable: &str| {
            let said = |name: &str| read(name).filter(|value| !value.is_empty());
            said("LC_ALL")
                .or_else(|| said(variable))
                .or_else(|| said("LANG"))
        };
        let (numbers, dates) = (named("LC_NUMERIC"), named("LC_TIME"));
        let (thousands, decimal) = separators(numbers.as_deref().unwrap_or_default());
        let (date, half_days) = order(dates.as_deref().unwrap_or_default());
        let money = named("LC_MONETARY");
        Self {
            thousands,
            decimal,
            sign: sign(money.as_deref().unwrap_or_default()),
            date,
            half_days,
        }
    }

    pub(super) fn current() -> Self {
        SYSTEM.get().copied().unwrap_or(PLAIN)
    }

    fn date_text(self, (year, month, day): (i16, i8, i8)) -> String {
        match self.date {
            DateOrder::Iso => format!("{year:04}-{month:02}-{day:02}"),
            DateOrder::DayFirst(between) => {
                format!("{day:02}{between}{month:02}{between}{year:04}")
            }
            DateOrder::MonthFirst => format!("{month:02}/{day:02}/{year:04}"),
        }
    }

    /// Whether a sign may stand between thousands; who types takes any blank for a blank.
    pub(super) fn is_between_thousands(self) -> impl Fn(char) -> bool {
        move |sign| {
            sign == self.thousands || (sign.is_whitespace() && self.thousands.is_whitespace())
        }
    }

    pub(super) fn number_text(self, number: u64) -> String {
        let digits = number.to_string();
        let mut text = String::with_capacity(digits.len() + digits.len() / 3);
        for (at, digit) in digits.chars().enumerate() {
            if at > 0 && (digits.len() - at).is_multiple_of(3) {
                text.push(self.thousands);
            }
            text.push(digit);
        }
        text
    }
}

/// Writes as the system does, from now on.
pub fn use_system_locale() {
    // Set by main alone, once.
    let _ = SYSTEM.set(Locale::of_environment(|name| std::env::var(name).ok()));
}

/// Tells times in a zone, by its IANA name; one that is not known changes nothing.
pub fn use_zone(name: &str) {
    if let (Ok(zone), Ok(mut held)) = (TimeZone::get(name), ZONE.write()) {
        *held = Some(zone);
    }
}

/// A number with its thousands apart.
pub fn number_text(number: u64) -> String {
    Locale::current().number_text(number)
}

/// What stands before a fraction.
pub fn decimal_mark() -> char {
    Locale::current().decimal
}

/// A day as the API writes it, as the system would; anything else as it is.
pub fn day_text(text: &str) -> Option<String> {
    let date: jiff::civil::Date = (text.len() == 10).then(|| text.parse().ok())??;
    Some(Locale::current().date_text((date.year(), date.month(), date.day())))
}

/// A moment: the time alone if it is of today, else with its day.
pub fn moment_text(then: WallMs, now: WallMs) -> String {
    let zone = ZONE.read().ok().and_then(|zone| zone.clone());
    let zone = zone.unwrap_or_else(TimeZone::system);
    let read = |at: WallMs| {
        Some(
            Timestamp::from_millisecond(at.0)
                .ok()?
                .to_zoned(zone.clone()),
        )
    };
    let (Some(then), Some(now)) = (read(then), read(now)) else {
        return "at no time".to_owned();
    };
    let locale = Locale::current();
    let (hour, minute) = (then.hour(), then.minute());
    let time = if locale.half_days {
        let half = if hour < 12 { "am" } else { "pm" };
        format!("{}:{minute:02} {half}", (hour + 11) % 12 + 1)
    } else {
        format!("{hour:02}:{minute:02}")
    };
    if then.date() == now.date() {
        return time;
    }
    let day = locale.date_text((then.year(), then.month(), then.day()));
    format!("{day} {time}")
}

fn language(name: &str) -> &str {
    name.split(['_', '.', '@', '-']).next().unwrap_or_default()
}

/// What stands between thousands, and before the fraction.
fn separators(name: &str) -> (char, char) {
    match language(name) {
        "de" if name.starts_with("de_CH") => ('\u{2019}', '.'),
        "de" | "da" | "nl" | "it" | "es" | "el" | "tr" | "id" | "sl" | "hr" | "ro" => ('.', ','),
        "pt" if name.starts_with("pt_BR") => ('.', ','),
        "pt" | "fr" | "sv" | "nb" | "nn" | "no" | "fi" | "pl" | "cs" | "sk" | "ru" | "uk"
        | "hu" | "bg" => ('\u{a0}', ','),
        _ => (',', '.'),
    }
}

/// Where the sign of a currency stands; before the number where nothing is said.
fn sign(name: &str) -> Sign {
    match language(name) {
        "nl" | "tr" => Sign::Apart,
        "de" if name.starts_with("de_CH") || name.starts_with("de_AT") => Sign::Apart,
        "pt" if name.starts_with("pt_BR") => Sign::Apart,
        "de" | "fr" | "es" | "it" | "pt" | "el" | "da" | "sv" | "nb" | "nn" | "no" | "fi"
        | "pl" | "cs" | "sk" | "ru" | "uk" | "hu" | "bg" | "sl" | "hr" | "ro" => Sign::After,
        _ => Sign::Before,
    }
}

/// The order of a date, and whether the day has two halves.
fn order(name: &str) -> (DateOrder, bool) {
    match language(name) {
        "en" if name.starts_with("en_US") => (DateOrder::MonthFirst, true),
        "en" if name.starts_with("en_") && name.len() > 3 => (DateOrder::DayFirst('/'), false),
        "pt" | "fr" | "es" | "it" | "el" => (DateOrder::DayFirst('/'), false),
        "nl" => (DateOrder::DayFirst('-'), false),
        "de" | "da" | "nb" | "nn" | "no" | "fi" | "pl" | "cs" | "sk" | "ru" | "uk" | "tr"
        | "ro" | "bg" | "sl" | "hr" => (DateOrder::DayFirst('.'), false),
        _ => (DateOrder::Iso, false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn locale(lang: &'static str) -> Locale {
        Locale::of_environment(|name| (name == "LANG").then(|| lang.to_owned()))
    }

    #[test]
    fn dates_and_numbers_follow_the_system() {
        let day = (2026, 11, 20);
        let shown = |lang| {
            (
                locale(lang).date_text(day),
                locale(lang).number_text(1_234_567),
            )
        };
        assert_eq!(shown("C"), ("2026-11-20".into(), "1,234,567".into()));
        assert_eq!(
            shown("de_DE.UTF-8"),
            ("20.11.2026".into(), "1.234.567".into())
        );
        assert_eq!(
            shown("en_US.UTF-8"),
            ("11/20/2026".into(), "1,234,567".into())
        );
        assert_eq!(shown("pt_PT").0, "20/11/2026");
        assert_eq!(locale("de_DE.UTF-8").decimal, ',');
    }

    #[test]
    fn each_kind_of_text_follows_its_own_variable() {
        let mixed = Locale::of_environment(|name| match name {
            "LC_TIME" => Some("de_DE.UTF-8".into()),
            "LANG" => Some("en_US.UTF-8".into()),
            _ => None,
        });
        assert_eq!(mixed.date_text((2026, 11, 20)), "20.11.2026");
        assert_eq!(mixed.number_text(1000), "1,000");
    }

    #[test]
    fn a_day_of_the_api_is_written_as_the_system_does_and_nothing_else_is_one() {
        assert_eq!(day_text("2026-11-20").as_deref(), Some("2026-11-20"));
        assert_eq!(day_text("yesterday!"), None);
    }
}
