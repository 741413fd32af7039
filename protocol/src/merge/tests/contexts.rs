//! Contexts that no honest program writes: they change what the liar's own command supersedes, and never what others come to.

use super::machine::{IT, Machine, deed, machines, title, write};
use crate::command::{Change, Op};
use crate::id::Dot;
use crate::merge::{Entity, Outcome, Priorities};
use crate::value::Value;
use crate::vector::Vector;

/// One hears the first's news before the second's, the other the other way round; both come to the same.
fn told_both_ways(by: [&Machine; 2], of: &Machine) -> Entity {
    let hear = |order: [&Machine; 2]| {
        let mut listener = Machine::new(9);
        listener.verdicts.clone_from(&of.verdicts);
        order.into_iter().for_each(|from| listener.learn(from));
        listener.it()
    };
    let (one, other) = (hear([by[0], by[1]]), hear([by[1], by[0]]));
    assert_eq!(one, other, "the order of arrival shows");
    one
}

fn title_of(entity: &Entity) -> Option<&Value> {
    entity.value("title", &Priorities::default())
}

fn tips(mut dots: Vec<Dot>) -> Option<Vector> {
    dots.sort_unstable();
    Vector::from_tips(dots)
}

#[test]
fn a_context_with_a_hole_leads_by_what_it_names_whatever_was_superseded_by_then() {
    let [mut ana, mut rui, mut eva] = machines::<3>();
    // The cloud took the title of the create. Rui supersedes it, and goes on; Eva has read Rui's, and names the create nowhere.
    let create = ana.held().next().expect("the create").author().at(1);
    ana.decide(create, Outcome::Accepted);
    let edit = rui.write(deed(Op::Update, vec![title("Rui's")], 10));
    eva.learn(&rui);
    rui.write(deed(Op::Update, vec![title("Rui's second")], 20));
    let mut late = deed(Op::Update, vec![title("Eva's")], 900);
    late.ctx = tips(vec![edit.author().at(edit.first())]);
    eva.write(late);
    let entity = told_both_ways([&rui, &eva], &ana);
    let shown = Value::Text("Rui's second".into());
    assert_eq!(title_of(&entity), Some(&shown), "it alone had seen it all");
    assert!(entity.in_conflict());
}

#[test]
fn a_context_that_names_what_nobody_wrote_yet_supersedes_nothing_that_comes() {
    let [_, mut rui, mut eva] = machines::<3>();
    let mut greedy = deed(Op::Update, vec![title("Eva's")], 0);
    greedy.ctx = tips(vec![rui.author.at(1_000), eva.author.at(1_000)]);
    eva.write(greedy);
    rui.write(deed(Op::Update, vec![title("Rui's")], 10));
    let entity = told_both_ways([&rui, &eva], &rui);
    assert_eq!(entity.conflicts(&Priorities::default()).len(), 1);
}

#[test]
fn a_remove_that_names_an_add_that_is_still_to_come_takes_nothing_out() {
    let [_, mut rui, mut eva] = machines::<3>();
    let tag = || Value::Text("wedding".into());
    let to_come = rui.author.at(1);
    let remove = Change::Remove(vec![(tag(), vec![to_come])]);
    eva.write(deed(Op::Update, vec![write("tags", remove)], 0));
    rui.write(deed(
        Op::Update,
        vec![write("tags", Change::Add(vec![tag()]))],
        10,
    ));
    let entity = told_both_ways([&rui, &eva], &rui);
    let crate::merge::Field::Set(tags) = &entity.fields["tags"] else {
        panic!("tags are a set");
    };
    assert_eq!((entity.id, tags.dots_of(&tag())), (IT, &[to_come][..]));
}

#[test]
fn what_stood_when_the_feed_began_leads_but_for_what_was_superseded_even_then() {
    let [mut ana, mut rui, mut eva] = machines::<3>();
    let create = ana.held().next().expect("the create").author().at(1);
    let edit = ana.write(deed(Op::Update, vec![title("Ana's")], 10));
    let other = rui.write(deed(Op::Update, vec![title("Rui's")], 20));
    // Of the two, Eva has read the create only.
    eva.write(deed(Op::Update, vec![title("Eva's")], 900));
    for dot in [create, edit.author().at(edit.first()), other.author().at(1)] {
        ana.stood(dot);
    }
    rui.learn(&ana);
    let entity = told_both_ways([&rui, &eva], &ana);
    let shown = Value::Text("Rui's".into());
    assert_eq!(title_of(&entity), Some(&shown), "the newer of what stood");
}
