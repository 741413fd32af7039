//! The product's merge against a second, naive one that was written from the model alone and shares no code with it.

use studiovault_lab::histories;

#[test]
fn the_merge_agrees_with_a_naive_one_on_a_hundred_thousand_random_histories() {
    let tally = histories::compare(0, 100_000).unwrap_or_else(|difference| panic!("{difference}"));
    println!("{tally:#?}");
    assert_eq!(tally.histories, 100_000);
    assert!(tally.commands >= tally.histories * histories::COMMANDS);
    assert!(
        tally.concurrent * 10 >= tally.commands * 3,
        "three in ten commands are concurrent with another one"
    );
    assert!(tally.conflicts > tally.histories && tally.twins > tally.histories / 10);
    for word in [
        "create",
        "update",
        "delete",
        "restore",
        "resolve",
        "add to a set",
        "remove from a set",
        "increment",
        "accepted",
        "merged",
        "rejected",
        "undecided",
    ] {
        let count = tally.words.get(word).copied().unwrap_or(0);
        assert!(count > tally.histories, "{word} came {count} times");
    }
}

#[test]
fn a_clock_that_is_a_year_off_changes_which_value_is_shown_and_nothing_else() {
    let picks = histories::clock::compare(0, 1_000).unwrap_or_else(|why| panic!("{why}"));
    println!("of 2,000 histories {picks} suggest another side");
    assert!(picks > 100, "the clocks were not off: {picks}");
}
