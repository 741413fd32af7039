//! Letters and the queue: what the feed says of a command, on its own machine and on others.

use studiovault_protocol::api::Counts;
use studiovault_protocol::command::{Command, Op};
use studiovault_protocol::feed::Entry;
use studiovault_protocol::id::Dot;
use studiovault_protocol::merge::{Code, Outcome};

use super::super::fixtures::*;
use super::super::*;

fn refused(code: Code) -> Outcome {
    Outcome::Rejected {
        code,
        detail: "`name` takes at most 64 bytes".into(),
    }
}

/// Two machines that hold one bundle of two clients and a page that refuses the first of them.
struct Office {
    machines: [Machine; 2],
    stores: [Store; 2],
    cloud: Cloud,
    dice: Dice,
    letter: Dot,
}

impl Office {
    fn with(code: Code) -> Self {
        let mut office = Self {
            machines: [Machine::new(1), Machine::new(2)],
            stores: [a_store(), a_store()],
            cloud: Cloud::default(),
            dice: Dice(3),
            letter: Machine::new(1).author.at(1),
        };
        let clients: Vec<Command> = (1..=2)
            .map(|n| a_client(entity(n), &mut office.dice))
            .collect();
        let bundle = office.write(0, clients);
        let entries = Cloud::decide(&bundle, vec![(1, refused(code))]);
        office.tell(entries);
        office
    }

    /// One machine writes, both hold it.
    fn write(&mut self, at: usize, commands: Vec<Command>) -> studiovault_protocol::bundle::Bundle {
        let (bundle, writes) = self.machines[at].author(commands);
        commit(&mut self.stores[at], &writes, &self.machines[at].rules()).expect("commits");
        let writes = self.machines[1 - at].take(&bundle);
        let rules = self.machines[1 - at].rules();
        commit(&mut self.stores[1 - at], &writes, &rules).expect("commits");
        bundle
    }

    fn tell(&mut self, entries: Vec<Entry>) {
        let page = self.cloud.page(entries);
        for (machine, store) in self.machines.iter_mut().zip(&mut self.stores) {
            let writes = machine.take_page(&page);
            commit(store, &writes, &machine.rules()).expect("commits");
        }
    }

    fn counts(&self) -> [Counts; 2] {
        [0, 1].map(|at| self.stores[at].counts().expect("reads"))
    }

    fn in_place(&mut self, op: Op) -> Command {
        Command {
            replaces: Some(self.letter),
            op,
            ..a_client(entity(1), &mut self.dice)
        }
    }

    fn discard(&mut self) -> Command {
        Command {
            writes: vec![text("reason", "written twice")],
            ..self.in_place(Op::Discard)
        }
    }
}

#[test]
fn every_machine_holds_the_same_letters_with_the_clouds_words() {
    let office = Office::with(Code::ValidationFailed);
    for store in &office.stores {
        let letters = store.view().dead_letters(10).expect("reads");
        let [letter] = &letters[..] else {
            panic!("one letter: {letters:?}")
        };
        assert_eq!((letter.dot, letter.entity), (office.letter, entity(1)));
        assert_eq!(letter.code, "VALIDATION_FAILED");
        assert_eq!(letter.detail, "`name` takes at most 64 bytes");
        assert_eq!(letter.fields["customer_number"], "C-000123");
        let row = store
            .view()
            .entity(entity(1))
            .expect("reads")
            .expect("a row");
        assert!(row.fixing && row.rejected && row.deleted);
        let row = store
            .view()
            .entity(entity(2))
            .expect("reads")
            .expect("a row");
        assert!(row.confirmed && !row.fixing && !row.rejected);
    }
    let queue = office.stores[0].view().queue(None, 10).expect("reads");
    let states: Vec<_> = queue.iter().map(|row| row.sync_status.as_str()).collect();
    assert_eq!(states, ["confirmed", "rejected"]);
}

#[test]
fn conflicts_and_what_was_withdrawn_are_no_letters() {
    for code in [
        Code::ConflictUpdateUpdate,
        Code::DuplicateKey,
        Code::Withdrawn,
    ] {
        let office = Office::with(code);
        assert_eq!(
            office.counts().map(|counts| counts.dead_letters),
            [0, 0],
            "{code:?}"
        );
    }
}

#[test]
fn a_letter_mended_on_any_machine_is_settled_on_all() {
    let mut office = Office::with(Code::ValidationFailed);
    let again = office.in_place(Op::Create);
    let fix = office.write(1, vec![again]);
    assert_eq!(office.counts().map(|counts| counts.dead_letters), [0, 0]);
    let letter = office.stores[0].view().dead_letter(office.letter);
    let letter = letter.expect("reads").expect("still there");
    assert_eq!(letter.settled.as_deref(), Some("fixed"));
    office.tell(Cloud::decide(&fix, Vec::new()));
    let row = office.stores[0].view().entity(entity(1)).expect("reads");
    assert!(row.is_some_and(|row| row.confirmed && !row.deleted && !row.fixing));
    assert_eq!(office.stores[0].state_sum(), office.stores[1].state_sum());
}

#[test]
fn a_letter_given_up_is_open_again_if_the_cloud_does_not_let_it_go() {
    let mut office = Office::with(Code::ValidationFailed);
    let discard = office.discard();
    let discard = office.write(1, vec![discard]);
    assert_eq!(office.counts().map(|counts| counts.dead_letters), [0, 0]);
    let counter = discard.first();
    office.tell(Cloud::decide(
        &discard,
        vec![(counter, refused(Code::Forbidden))],
    ));
    assert_eq!(office.counts().map(|counts| counts.dead_letters), [1, 1]);
}

#[test]
fn a_stuck_command_is_shown_beside_the_queue_until_it_is_decided() {
    let mut office = Office::with(Code::ValidationFailed);
    let client = a_client(entity(3), &mut office.dice);
    let bundle = office.write(0, vec![client]);
    let held = Cloud::decide(&bundle, Vec::new());
    let stuck = Entry::Stuck {
        dot: bundle.tip(),
        detail: "it broke".into(),
    };
    office.tell(vec![held[0].clone(), stuck]);
    assert_eq!(
        office.counts().map(|c| (c.stuck, c.dead_letters)),
        [(1, 1); 2]
    );
    let row = &office.stores[0].view().queue(None, 1).expect("reads")[0];
    assert_eq!((row.sync_status.as_str(), row.stuck), ("sent", true));
    let restored = office.stores[1].restore().expect("reads");
    assert!(restored.undecided.is_stuck(bundle.tip()));
    assert!(restored.undecided.meets(bundle.tip(), bundle.last()));
    office.tell(vec![held[1].clone()]);
    assert_eq!(
        office.counts().map(|c| (c.stuck, c.dead_letters)),
        [(0, 1); 2]
    );
    let row = &office.stores[0].view().queue(None, 1).expect("reads")[0];
    assert_eq!((row.sync_status.as_str(), row.stuck), ("confirmed", false));
    assert!(
        office.stores[1]
            .restore()
            .expect("reads")
            .undecided
            .is_empty()
    );
}

/// What a command rests on was applied before it; it is asked for in that order.
#[test]
fn what_the_cloud_has_not_decided_is_known_in_the_order_of_application_after_a_restart() {
    let mut office = Office::with(Code::ValidationFailed);
    let mut written = |at, n| {
        let client = a_client(entity(n), &mut office.dice);
        let bundle = office.write(at, vec![client]);
        let held = Cloud::decide(&bundle, Vec::new()).swap_remove(0);
        (bundle, held)
    };
    let (one, held) = written(1, 3);
    let (other, held_too) = written(0, 4);
    office.tell(vec![held, held_too]);
    for store in &office.stores {
        let undecided = store.restore().expect("reads").undecided;
        assert!(undecided.place(one.tip()) < undecided.place(other.tip()));
    }
}

#[test]
fn a_verdict_that_comes_before_its_command_waits_for_it() {
    let mut writer = Machine::new(1);
    let mut dice = Dice(4);
    let (bundle, _) = writer.author(vec![a_client(entity(1), &mut dice)]);
    let (mut machine, mut store) = (Machine::new(2), a_store());
    let page = Cloud::default().page(Cloud::decide(&bundle, vec![(1, refused(Code::Forbidden))]));
    let writes = machine.take_page(&page);
    commit(&mut store, &writes, &machine.rules()).expect("commits");
    assert_eq!(store.counts().expect("reads").dead_letters, 0);
    let writes = machine.take(&bundle);
    commit(&mut store, &writes, &machine.rules()).expect("commits");
    let counts = store.counts().expect("reads");
    assert_eq!(
        (counts.dead_letters, counts.rejected, counts.entities),
        (1, 1, 0)
    );
}

#[test]
fn what_stood_before_the_feed_is_confirmed_as_it_stands() {
    let mut writer = Machine::new(1);
    let mut dice = Dice(5);
    let (bundle, writes) = writer.author(vec![a_client(entity(1), &mut dice)]);
    let mut store = a_store();
    commit(&mut store, &writes, &writer.rules()).expect("commits");
    let held = Cloud::decide(&bundle, Vec::new());
    let stands = Entry::AsItStands {
        author: bundle.author(),
        first: bundle.first(),
        last: bundle.last(),
        hash: bundle.hash(),
    };
    let page = Cloud::default().page(vec![held[0].clone(), stands]);
    let writes = writer.take_page(&page);
    commit(&mut store, &writes, &writer.rules()).expect("commits");
    let counts = store.counts().expect("reads");
    assert_eq!((counts.confirmed, counts.pending), (1, 0));
    let row = store
        .view()
        .entity(entity(1))
        .expect("reads")
        .expect("a row");
    assert!(row.confirmed);
    let state = store.entity(entity(1)).expect("reads").expect("an entity");
    assert_eq!(state.life.writes[0].accepted, Some(0));
}

#[test]
fn of_an_epoch_that_only_the_feed_names_nothing_but_what_it_names_is_undecided() {
    let (mut machine, mut store) = (Machine::new(1), a_store());
    let elsewhere = Machine::new(2).author;
    let named = Entry::Bundle {
        author: elsewhere,
        first: 16,
        last: 18,
        hash: studiovault_protocol::id::Hash::of(b"not here yet"),
    };
    let writes = machine.take_page(&Cloud::default().page(vec![named]));
    commit(&mut store, &writes, &machine.rules()).expect("commits");
    let restored = store.restore().expect("reads");
    let runs: Vec<_> = restored.undecided.runs().collect();
    assert_eq!(runs, [(elsewhere.at(16), 18)]);
    assert_eq!(restored.cloud_holds[&elsewhere], 18);
}
