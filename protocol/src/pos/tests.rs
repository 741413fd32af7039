//! What sales come to, whoever made the entries and in whatever order they came.

use proptest::prelude::*;

use super::*;
use crate::id::{Author, Epoch};

fn dot(device: u8, counter: u64) -> Dot {
    let device = DeviceId([device; 16]);
    Author {
        device,
        epoch: Epoch(1),
    }
    .at(counter)
}

fn id(n: u8) -> EntityId {
    EntityId([n; 16])
}

fn entry(n: u8, dot: Dot, says: Says) -> Entry {
    Entry {
        id: id(n),
        dot,
        day: "2026-11-22".into(),
        says,
    }
}

fn sale(n: u8, dot: Dot, amount_cents: i64) -> Entry {
    let currency = None;
    entry(
        n,
        dot,
        Says::Sale {
            amount_cents,
            currency,
        },
    )
}

fn correction(n: u8, dot: Dot, (of, amount_cents): (u8, i64)) -> Entry {
    let sale = id(of);
    entry(n, dot, Says::Correction { sale, amount_cents })
}

fn void(n: u8, dot: Dot, of: u8) -> Entry {
    entry(n, dot, Says::Void { sale: id(of) })
}

fn whys(totals: &Totals) -> Vec<Why> {
    totals.flags.iter().map(|flag| flag.why).collect()
}

#[test]
fn corrections_add_up_on_the_machine_of_their_sale() {
    let entries = [
        sale(1, dot(1, 1), 10_00),
        correction(2, dot(2, 1), (1, -2_50)),
        correction(3, dot(1, 2), (1, 50)),
        sale(4, dot(2, 2), 5_00),
    ];
    let totals = totals(&entries, "EUR", |_, _| false);
    assert_eq!(
        (totals.all.net_cents, totals.all.sales, totals.all.voided),
        (13_00, 2, 0)
    );
    assert_eq!(totals.devices[&DeviceId([1; 16])].net_cents, 8_00);
    assert_eq!(totals.devices[&DeviceId([2; 16])].net_cents, 5_00);
    assert!(totals.flags.is_empty());
}

#[test]
fn a_void_takes_its_sale_away_once_with_the_corrections_that_it_knew() {
    let entries = [
        sale(1, dot(1, 1), 10_00),
        correction(2, dot(1, 2), (1, -2_00)),
        void(3, dot(1, 3), 1),
        void(4, dot(2, 1), 1),
    ];
    // The first machine's void follows its correction; the second machine had seen both.
    let saw = |one: Dot, other: Dot| {
        one.author == other.author && one.counter > other.counter || one == dot(2, 1)
    };
    let totals = totals(&entries, "EUR", saw);
    let all = totals.all;
    assert_eq!(
        (all.gross_cents, all.corrections_cents, all.voids_cents),
        (10_00, -2_00, -8_00)
    );
    assert_eq!((all.net_cents, all.voided), (0, 1));
    assert_eq!(whys(&totals), [Why::VoidedAgain, Why::VoidedAgain]);
}

#[test]
fn a_correction_beside_or_after_a_void_counts_nothing_and_is_told() {
    let entries = [
        sale(1, dot(1, 1), 10_00),
        void(2, dot(1, 2), 1),
        correction(3, dot(1, 3), (1, 7_00)),
        correction(4, dot(2, 1), (1, 9_00)),
    ];
    let saw = |one: Dot, other: Dot| one.author == other.author && one.counter > other.counter;
    let totals = totals(&entries, "EUR", saw);
    assert_eq!((totals.all.net_cents, totals.all.corrections_cents), (0, 0));
    assert_eq!(
        whys(&totals),
        [Why::CorrectionAfterVoid, Why::CorrectionBesideVoid]
    );
}

#[test]
fn a_sale_in_another_currency_and_a_void_of_nothing_are_told_and_not_summed() {
    let mut dollars = sale(1, dot(1, 1), 10_00);
    dollars.says = Says::Sale {
        amount_cents: 10_00,
        currency: Some("USD".into()),
    };
    let entries = [dollars, void(2, dot(1, 2), 9), sale(3, dot(1, 3), 1_00)];
    let totals = totals(&entries, "EUR", |_, _| false);
    assert_eq!((totals.all.net_cents, totals.all.sales), (1_00, 1));
    assert_eq!(whys(&totals), [Why::OtherCurrency, Why::UnknownSale]);
}

#[test]
fn sums_beyond_64_bits_are_told_to_the_cent() {
    let most = i128::from(i64::MAX);
    let entries = [
        sale(1, dot(1, 1), i64::MAX),
        sale(2, dot(1, 2), i64::MAX),
        sale(3, dot(2, 1), i64::MAX),
        correction(4, dot(1, 3), (1, i64::MAX)),
        void(5, dot(1, 4), 1),
    ];
    let totals = totals(&entries, "EUR", |void, correction| void > correction);
    assert_eq!(totals.all.gross_cents, 3 * most);
    assert_eq!(totals.all.voids_cents, -2 * most);
    assert_eq!(totals.all.net_cents, 2 * most);
    let device = totals.devices[&DeviceId([1; 16])];
    assert_eq!((device.gross_cents, device.net_cents), (2 * most, most));
}

/// A made-up day: sales of 3 machines, corrections and voids of them, and who had seen what.
fn a_day() -> impl Strategy<Value = (Vec<Entry>, Vec<(usize, usize)>)> {
    let says = (0..3u8, 0..8u8, 0..4u8, -500..500i64);
    let pairs = proptest::collection::vec((0..12usize, 0..12usize), 0..40);
    (proptest::collection::vec(says, 1..12), pairs).prop_map(|(drawn, pairs)| {
        let made = drawn
            .into_iter()
            .enumerate()
            .map(|(at, (device, kind, of, cents))| {
                let (n, dot) = (at as u8 + 10, dot(device, at as u64 + 1));
                match kind {
                    0..=2 => sale(at as u8 % 4, dot, cents),
                    3..=5 => correction(n, dot, (of, cents)),
                    _ => void(n, dot, of),
                }
            });
        (made.collect(), pairs)
    })
}

proptest! {
    #[test]
    fn every_order_of_arrival_gives_the_same_totals(
        ((day, seen), shuffled) in a_day().prop_flat_map(|day| {
            let mut sales = BTreeSet::new();
            let entries: Vec<Entry> = day.0.iter().filter(|e| e.named_sale().is_some() || sales.insert(e.id)).cloned().collect();
            (Just((entries.clone(), day.1)), Just(entries).prop_shuffle())
        })
    ) {
        let saw = |one: Dot, other: Dot| {
            seen.contains(&(one.counter as usize, other.counter as usize)) && one.counter > other.counter
        };
        let told = totals(&day, "EUR", saw);
        prop_assert_eq!(&told, &totals(&shuffled, "EUR", saw));
        prop_assert_eq!(&told, &totals(day.iter().chain(&day), "EUR", saw), "told twice, counted once");
        // The rule in plain words: a voided sale is nothing, any other its amount and all its corrections.
        let mut net = 0;
        for entry in &day {
            let Says::Sale { amount_cents, .. } = entry.says else { continue };
            let naming = || day.iter().filter(|other| other.named_sale() == Some(entry.id));
            if naming().any(|other| matches!(other.says, Says::Void { .. })) {
                continue;
            }
            net += i128::from(amount_cents);
            net += naming().map(|other| match other.says {
                Says::Correction { amount_cents, .. } => i128::from(amount_cents),
                _ => 0,
            }).sum::<i128>();
        }
        prop_assert_eq!(told.all.net_cents, net);
        let devices = told.devices.values().map(|sums| sums.net_cents).sum::<i128>();
        prop_assert_eq!(devices, net);
    }
}
