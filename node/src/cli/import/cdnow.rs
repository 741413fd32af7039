//! The CDNOW purchases: customer id, its number in the sample, day, items, dollars, in columns parted by blanks.
//!
//! Rows may repeat exactly (two equal purchases on one day), so a purchase is named by customer, day and its place among
//! the file's rows of that customer and day.

use std::collections::HashMap;

use serde_json::{Map, json};

use studiovault_protocol::policy::Policy;

use super::identity::entity_id;
use super::money::cents;
use super::plan::{Plan, Row};

/// Reads the whole file: each customer becomes a `client` before its first `pos_order`.
pub(crate) fn plan(text: &str, policy: &Policy) -> Plan {
    let mut plan = Plan::by(policy.clone());
    let mut places: HashMap<(&str, &str), u64> = HashMap::new();
    for (at, line) in text.lines().enumerate() {
        if line.trim().is_empty() {
            continue;
        }
        plan.lines += 1;
        let number = at as u64 + 1;
        let taken = purchase(line).and_then(|purchase| {
            let place = places.entry((purchase.customer, purchase.day)).or_default();
            *place += 1;
            take(&mut plan, &purchase, *place)
        });
        if let Err(reason) = taken {
            plan.refuse(number, reason);
        }
    }
    plan
}

/// Cents of a row that is a sale.
pub(crate) fn cents_of(row: &Row) -> Option<i64> {
    row.mutation.fields.get("amount_cents")?.as_i64()
}

struct Purchase<'a> {
    customer: &'a str,
    day: &'a str,
    items: i64,
    amount_cents: i64,
}

fn purchase(line: &str) -> Result<Purchase<'_>, String> {
    let columns: Vec<&str> = line.split_whitespace().collect();
    let [customer, _in_sample, day, items, dollars] = columns[..] else {
        return Err(format!("expected 5 columns, got {}", columns.len()));
    };
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(customer) {
        return Err("the first column is no customer number".into());
    }
    if day.len() != 8 || !digits(day) {
        return Err("the third column is no day such as 19970118".into());
    }
    Ok(Purchase {
        customer,
        day,
        items: items
            .parse()
            .map_err(|_| "the fourth column is no whole number")?,
        amount_cents: cents(dollars).ok_or("the fifth column is no amount such as 29.33")?,
    })
}

fn take(plan: &mut Plan, purchase: &Purchase<'_>, place: u64) -> Result<(), String> {
    let client = entity_id("client", &["cdnow", purchase.customer]);
    let (year, rest) = purchase.day.split_at(4);
    let (month, day) = rest.split_at(2);
    let mut sale = Map::new();
    sale.insert("client".into(), json!(client));
    sale.insert("sold_on".into(), format!("{year}-{month}-{day}").into());
    sale.insert("items".into(), purchase.items.into());
    sale.insert("amount_cents".into(), purchase.amount_cents.into());
    let mut person = Map::new();
    person.insert(
        "name".into(),
        format!("Customer {}", purchase.customer).into(),
    );
    person.insert("customer_number".into(), purchase.customer.into());
    plan.create("client", client, person)?;
    let key = ["cdnow", purchase.customer, purchase.day, &place.to_string()];
    plan.create("pos_order", entity_id("pos_order", &key), sale)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAMPLE: &str = include_str!("../../../../tests/data/cdnow_sample.txt");

    #[test]
    fn the_sample_comes_to_its_customers_purchases_and_total() {
        let plan = plan(SAMPLE, &Policy::default());
        assert!(plan.bad.is_empty(), "{:?}", plan.bad);
        let of = |name: &str| {
            let rows = plan.rows.iter();
            rows.filter(|row| row.mutation.entity_type == name).count()
        };
        assert_eq!((of("client"), of("pos_order")), (2_357, 6_919));
        let cents = plan
            .rows
            .iter()
            .filter_map(|row| row.mutation.fields.get("amount_cents"));
        assert_eq!(
            cents.filter_map(|cents| cents.as_i64()).sum::<i64>(),
            24_409_194
        );
    }

    #[test]
    fn equal_purchases_of_one_day_are_two_and_keep_their_ids() {
        let line = " 00004 0001 19970101  2   29.33\r\n";
        let text = line.repeat(2);
        let twice = plan(&text, &Policy::default());
        assert_eq!(twice.rows.len(), 3, "one client, two purchases");
        let ids = |plan: &Plan| {
            plan.rows
                .iter()
                .map(|row| row.mutation.id)
                .collect::<Vec<_>>()
        };
        assert_eq!(ids(&plan(line, &Policy::default()))[..], ids(&twice)[..2]);
    }

    #[test]
    fn every_bad_line_is_told_by_number_and_reason() {
        let text = "x 1 19970101 2 3.00\n\n00004 1 19970101 2\n00004 1 1997011 2 3.00\n00004 1 19971301 2 3.00\n00004 1 19970101 2 3.333\n00004 1 19970101 two 3\n";
        let plan = plan(text, &Policy::default());
        let lines: Vec<u64> = plan.bad.iter().map(|bad| bad.line).collect();
        assert_eq!(lines, [1, 3, 4, 5, 6, 7]);
        assert!(
            plan.bad[1].reason.contains("5 columns"),
            "{:?}",
            plan.bad[1]
        );
        assert!(plan.bad[4].reason.contains("amount"), "{:?}", plan.bad[4]);
    }
}
