//! What an entry may say whatever the policy is: a sale is of something, for an amount that a till can take, in a currency.
//!
//! Asked by the author and by the cloud truth, never by the fold: what stands in a log counts as it stands. A policy that sets
//! a limit of its own for a field knows better.

use super::{AMOUNT, CORRECTION, CURRENCY, SALE};
use crate::policy::FieldRule;
use crate::value::Value;

/// The type of a bill, whose currency is written as a sale's.
pub const INVOICE: &str = "invoice";
/// The field of a sale that says of how many things it is.
pub const ITEMS: &str = "items";
/// Items of one sale at most: beyond it somebody held a key down, or scanned an article number into the wrong field.
const ITEMS_MAX: i64 = 100_000;
/// Smallest parts of a currency that one entry is about at most: ten thousand million of most, well within what sums take.
const AMOUNT_MAX: i64 = 1_000_000_000_000;

/// What is wrong with the value of a type's field, as the end of a sentence that begins with the field; `None` if nothing is.
pub fn value_broken(
    (entity_type, field): (&str, &str),
    value: &Value,
    rule: &FieldRule,
) -> Option<String> {
    match (entity_type, field, value) {
        (SALE, ITEMS, Value::Int(items)) => {
            outside(*items, (1, ITEMS_MAX), rule, "a sale is of something")
        }
        (SALE, AMOUNT, Value::Int(amount)) => {
            let why = "money goes back with a correction or a void of the sale";
            outside(*amount, (0, AMOUNT_MAX), rule, why)
        }
        (CORRECTION, AMOUNT, Value::Int(amount)) => {
            let why = "no sale is for so much";
            outside(*amount, (-AMOUNT_MAX, AMOUNT_MAX), rule, why)
        }
        (SALE | INVOICE, CURRENCY, Value::Text(code)) if !is_code(code) => Some(
            "takes the three capital letters of a currency, such as EUR; correct it".to_owned(),
        ),
        _ => None,
    }
}

/// Says what the bounds are, unless the policy has its own.
fn outside(number: i64, (min, max): (i64, i64), rule: &FieldRule, why: &str) -> Option<String> {
    if rule.min.is_none() && number < min {
        Some(format!("takes {min} or more: {why}; correct it"))
    } else if rule.max.is_none() && number > max {
        Some(format!("takes {max} or less; correct it"))
    } else {
        None
    }
}

/// As ISO 4217 writes them.
fn is_code(text: &str) -> bool {
    text.len() == 3 && text.bytes().all(|byte| byte.is_ascii_uppercase())
}
