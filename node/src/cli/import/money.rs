//! Amounts as people write them, into cents, digit by digit: a float would lose some.

/// Cents of a decimal text such as `29.33`, `-5` or `1250.5`; `None` if it is no amount with at most two decimals.
pub(crate) fn cents(text: &str) -> Option<i64> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let is_number = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    let lone_dot = digits.contains('.') && fraction.is_empty();
    if whole.is_empty() || lone_dot || fraction.len() > 2 {
        return None;
    }
    if !is_number(whole) || !is_number(fraction) {
        return None;
    }
    let cents: i64 = format!("{fraction:0<2}").parse().ok()?;
    let total = whole
        .parse::<i64>()
        .ok()?
        .checked_mul(100)?
        .checked_add(cents)?;
    Some(if negative { -total } else { total })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_exact_to_the_cent() {
        let pairs = [
            ("29.33", 2933),
            ("0.00", 0),
            ("5", 500),
            ("5.5", 550),
            ("-0.01", -1),
            ("0.29", 29),
            ("1001.10", 100_110),
        ];
        for (text, expected) in pairs {
            assert_eq!(cents(text), Some(expected), "{text}");
        }
    }

    #[test]
    fn what_is_no_amount_is_refused() {
        let texts = [
            "",
            "-",
            ".5",
            "5.",
            "1.234",
            "1,50",
            "1e3",
            "+5",
            "--5",
            "$5",
            "99999999999999999999",
            " 5",
        ];
        for text in texts {
            assert_eq!(cents(text), None, "{text:?}");
        }
    }
}
