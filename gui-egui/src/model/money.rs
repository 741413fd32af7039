//! Amounts of money: in the studio's currency unless something else is said, written as the system writes them.
//!
//! A field that ends with `_cents` holds an amount, as a whole number of the currency's smallest part.

use std::sync::RwLock;

use serde_json::Value as Json;
use studiovault_protocol::pos::minor_digits;

use super::locale::{Locale, Sign};

/// The studio's currency, once the node has told it.
static STUDIO: RwLock<Option<String>> = RwLock::new(None);
/// How the name of a field says that it holds an amount.
const AMOUNT: &str = "_cents";

/// Amounts are in this currency from now on, by the letters of ISO 4217.
pub fn use_currency(code: &str) {
    if let Ok(mut held) = STUDIO.write() {
        *held = Some(code.to_owned());
    }
}

/// Whether a field holds an amount.
pub fn is_amount(field: &str) -> bool {
    field.ends_with(AMOUNT)
}

/// What a field's value comes to in money, if it is an amount; in the studio's currency unless another one is named.
pub fn money_text(field: &str, value: &Json, currency: Option<&str>) -> Option<String> {
    let parts = value.as_i64().filter(|_| is_amount(field))?;
    let studio = STUDIO.read().ok().and_then(|held| held.clone());
    let code = currency.map(str::to_owned).or(studio);
    Some(amount_text(Locale::current(), parts, code.as_deref()))
}

/// What was typed into a field of amounts comes to this, if it is an amount.
pub fn typed_money((field, text): (&str, &str), currency: Option<&str>) -> Option<String> {
    let parts = typed_amount(text, currency).filter(|_| is_amount(field))?;
    money_text(field, &parts.into(), currency)
}

/// What was typed as an amount, in the smallest part of its currency: `1234.5`, `1,234.50`, as the system writes numbers.
/// Nothing if it is written otherwise: a comma is never taken for a point.
pub fn typed_amount(text: &str, currency: Option<&str>) -> Option<i64> {
    parts_of(Locale::current(), text.trim(), digits_of(currency))
}

/// A field's value as a person types it, if it is an amount: `1234.50`.
pub fn amount_to_type(field: &str, value: &Json, currency: Option<&str>) -> Option<String> {
    let parts = value.as_i64().filter(|_| is_amount(field))?;
    let (digits, mark) = (digits_of(currency), Locale::current().decimal);
    let minus = if parts < 0 { "-" } else { "" };
    let unit = 10_u64.pow(u32::try_from(digits).unwrap_or(0));
    let (whole, rest) = (parts.unsigned_abs() / unit, parts.unsigned_abs() % unit);
    Some(match digits {
        0 => format!("{minus}{whole}"),
        _ => format!("{minus}{whole}{mark}{rest:0digits$}"),
    })
}

/// How many digits stand behind the point, in the studio's currency unless another one is named.
fn digits_of(currency: Option<&str>) -> usize {
    let studio = STUDIO.read().ok().and_then(|held| held.clone());
    let code = currency.map(str::to_owned).or(studio);
    code.as_deref().map_or(2, minor_digits)
}

fn parts_of(locale: Locale, text: &str, digits: usize) -> Option<i64> {
    let (minus, number) = match text.strip_prefix('-') {
        Some(number) => ("-", number),
        None => ("", text),
    };
    let (whole, rest) = number.split_once(locale.decimal).unwrap_or((number, ""));
    let are_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let groups: Vec<&str> = whole.split(locale.is_between_thousands()).collect();
    let (first, others) = groups.split_first()?;
    let is_grouped = others.is_empty() || (1..=3).contains(&first.len());
    let is_whole = is_grouped && others.iter().all(|group| group.len() == 3);
    let is_number = is_whole && groups.iter().all(|group| are_digits(group)) && !first.is_empty();
    if !is_number || !are_digits(rest) || rest.len() > digits {
        return None;
    }
    format!("{minus}{}{rest:0<digits$}", groups.concat())
        .parse()
        .ok()
}

/// An amount with its currency: `€1,234.50`.
fn amount_text(locale: Locale, parts: i64, code: Option<&str>) -> String {
    let digits = code.map_or(2, minor_digits);
    let unit = 10_u64.pow(u32::try_from(digits).unwrap_or(0));
    let minus = if parts < 0 { "-" } else { "" };
    let parts = parts.unsigned_abs();
    let mut number = locale.number_text(parts / unit);
    if digits > 0 {
        number.push(locale.decimal);
        number.push_str(&format!("{:0digits$}", parts % unit));
    }
    let Some(code) = code else {
        return format!("{minus}{number}");
    };
    match (locale.sign, sign_of(code)) {
        (Sign::After, sign) => format!("{minus}{number}\u{a0}{sign}"),
        (Sign::Before, sign) if sign != code => format!("{minus}{sign}{number}"),
        (Sign::Before | Sign::Apart, sign) => format!("{sign}\u{a0}{minus}{number}"),
    }
}

/// The sign of a currency where only one has it; else its letters.
fn sign_of(code: &str) -> &str {
    match code {
        "EUR" => "\u{20ac}",
        "GBP" => "\u{a3}",
        "JPY" => "\u{a5}",
        "USD" => "$",
        code => code,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(lang: &str, parts: i64, code: &str) -> String {
        let named = |name: &str| (name == "LANG").then(|| lang.to_owned());
        let text = amount_text(Locale::of_environment(named), parts, Some(code));
        text.replace('\u{a0}', " ")
    }

    #[test]
    fn an_amount_stands_with_its_currency_as_the_system_writes_it() {
        assert_eq!(shown("C", 123_450, "EUR"), "\u{20ac}1,234.50");
        assert_eq!(shown("en_US.UTF-8", -5, "USD"), "-$0.05");
        assert_eq!(shown("de_DE.UTF-8", 123_450, "EUR"), "1.234,50 \u{20ac}");
        assert_eq!(shown("pt_PT.UTF-8", -123_450, "EUR"), "-1 234,50 \u{20ac}");
        assert_eq!(shown("nl_NL.UTF-8", -250, "EUR"), "\u{20ac} -2,50");
        assert_eq!(shown("de_CH.UTF-8", 250, "CHF"), "CHF 2.50");
        assert_eq!(shown("en_GB.UTF-8", 250, "BRL"), "BRL 2.50");
    }

    #[test]
    fn an_amount_has_as_many_digits_behind_the_point_as_its_currency() {
        assert_eq!(shown("C", 1250, "JPY"), "\u{a5}1,250");
        assert_eq!(shown("C", 1250, "KWD"), "KWD 1.250");
        assert_eq!(
            amount_text(Locale::of_environment(|_| None), 1250, None),
            "12.50"
        );
    }

    fn typed(lang: &str, text: &str, code: &str) -> Option<i64> {
        let named = |name: &str| (name == "LANG").then(|| lang.to_owned());
        let locale = Locale::of_environment(named);
        parts_of(locale, text, minor_digits(code))
    }

    #[test]
    fn an_amount_is_typed_as_the_system_writes_it_and_nothing_else_is_guessed() {
        for (lang, text, code, parts) in [
            ("C", "12", "EUR", 1_200),
            ("C", "12.5", "EUR", 1_250),
            ("C", "1,234.50", "EUR", 123_450),
            ("C", "-0.05", "USD", -5),
            ("C", "1250", "JPY", 1_250),
            ("C", "1.250", "KWD", 1_250),
            ("de_DE.UTF-8", "1.234,50", "EUR", 123_450),
            ("pt_PT.UTF-8", "1234,5", "EUR", 123_450),
            ("pt_PT.UTF-8", "1 234,50", "EUR", 123_450),
            ("C", "92233720368547758.07", "EUR", i64::MAX),
        ] {
            assert_eq!(typed(lang, text, code), Some(parts), "{lang} {text}");
        }
        for (lang, text, code) in [
            ("C", "", "EUR"),
            ("C", ".", "EUR"),
            ("C", "-", "EUR"),
            ("C", "+5", "EUR"),
            ("C", "--5", "EUR"),
            ("C", "12.505", "EUR"),
            ("C", "12.5.0", "EUR"),
            ("C", "12,50", "EUR"),
            ("C", "1,2345.00", "EUR"),
            ("C", "1234,567.00", "EUR"),
            ("C", "12.5", "JPY"),
            ("C", "cheap", "EUR"),
            ("de_DE.UTF-8", "12.50", "EUR"),
            ("pt_PT.UTF-8", "12.50", "EUR"),
            ("C", "92233720368547758.08", "EUR"),
        ] {
            assert_eq!(typed(lang, text, code), None, "{lang} {text}");
        }
    }

    #[test]
    fn what_is_written_to_be_typed_is_read_as_the_same_amount() {
        for parts in [0, 5, -5, 12_345, -100, i64::MAX, i64::MIN] {
            for code in ["EUR", "JPY", "KWD"] {
                let text = amount_to_type("price_cents", &parts.into(), Some(code));
                let text = text.expect("an amount");
                assert_eq!(typed_amount(&text, Some(code)), Some(parts), "{text}");
            }
        }
        assert_eq!(amount_to_type("albums", &5.into(), None), None);
    }

    #[test]
    fn only_a_whole_number_of_a_field_of_amounts_is_money() {
        let money = |field, value: Json| money_text(field, &value, Some("GBP"));
        assert_eq!(
            money("price_cents", 199.into()).as_deref(),
            Some("\u{a3}1.99")
        );
        assert_eq!(money("albums", 199.into()), None);
        assert_eq!(money("price_cents", "199".into()), None);
    }
}
