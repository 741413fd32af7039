//! Append-only entries: which create is the entry, and what is set aside because it would rewrite one.
//!
//! An entry is what its first create says. A bundle whose author knew an entry and rewrites it is set aside whole; of creates
//! that did not know each other one is the entry, and the others are set aside alone.

use std::collections::BTreeMap;

use super::{Context, Record};
use crate::bundle::Bundle;
use crate::command::{Command, Op};
use crate::id::{Dot, EntityId};
use crate::policy::Policy;

/// The create that makes an entity what it is: the first that the cloud accepted, else an append-only one, else one whose author
/// knew no other, else the one with the lowest dot.
pub(super) fn first_create<'r, 'a>(
    records: &'r [Record<'a>],
    policy: &Policy,
) -> Option<&'r Record<'a>> {
    let creates: Vec<&Record> = records
        .iter()
        .filter(|record| record.command.op == Op::Create && record.stands())
        .collect();
    let knew_another = |record: &Record| creates.iter().any(|other| record.ctx.covers(other.dot));
    creates.iter().copied().min_by_key(|record| {
        let position = record.verdict.map_or(u64::MAX, |verdict| verdict.position);
        let changeable = !is_append_only(&record.command.entity_type, policy);
        (position, changeable, knew_another(record), record.dot)
    })
}

/// The standing commands of an entry's history that would make something else of it.
pub fn set_aside(records: &[Record], policy: &Policy) -> Vec<Dot> {
    let Some(entry) = first_create(records, policy) else {
        return Vec::new();
    };
    if !is_append_only(&entry.command.entity_type, policy) {
        return Vec::new();
    }
    let known: BTreeMap<Dot, &Command> = records.iter().map(|r| (r.dot, r.command)).collect();
    let instead = |one: &Record, other: &Record| {
        replaced(one.command, |dot| known.get(&dot).copied()).contains(&other.dot)
    };
    let others = records
        .iter()
        .filter(|record| record.stands() && record.dot != entry.dot)
        .filter(|record| !repeats(record.command, entry.command))
        // A mended letter and what it stands for are one entry twice, of which the cloud takes at most one.
        .filter(|record| !instead(record, entry) && !instead(entry, record));
    others.map(|record| record.dot).collect()
}

/// The command of a bundle that rewrites an entry which its author knew, if there is one: then all of the bundle is set aside.
/// `context` is what the bundle's author had seen before it; `earlier` tells an entity's applied commands.
pub fn breach<E>(
    bundle: &Bundle,
    (context, policy): (&Context, &Policy),
    mut earlier: impl FnMut(&Command) -> Result<Vec<(Dot, Command)>, E>,
) -> Result<Option<Dot>, E> {
    let mut made: BTreeMap<EntityId, &Command> = BTreeMap::new();
    for (dot, command) in bundle.commands() {
        let append_only = is_append_only(&command.entity_type, policy);
        if append_only && command.op != Op::Create {
            return Ok(Some(dot));
        }
        let twin = made.get(&command.entity);
        if twin.is_some_and(|twin| !repeats(command, twin)) {
            return Ok(Some(dot));
        }
        if append_only {
            made.entry(command.entity).or_insert(command);
        }
        let earlier = earlier(command)?;
        let entry_at = |dot| {
            let entry = earlier.iter().find(|(at, _)| *at == dot);
            entry.map(|(_, entry)| entry)
        };
        let replaced = replaced(command, entry_at);
        let known = |(at, entry): &&(Dot, Command)| {
            let made = entry.op == Op::Create && is_append_only(&entry.entity_type, policy);
            made && context.covers(*at) && !replaced.contains(at)
        };
        let mut known = earlier.iter().filter(known).peekable();
        if known.peek().is_some() && !known.any(|(_, entry)| repeats(command, entry)) {
            return Ok(Some(dot));
        }
    }
    Ok(None)
}

/// What a command stands in the place of, and what that stood in the place of: of all these at most one ever counts, so it
/// rewrites none of them.
fn replaced<'a>(command: &Command, earlier: impl Fn(Dot) -> Option<&'a Command>) -> Vec<Dot> {
    let mut chain = Vec::new();
    let mut next = command.replaces;
    while let Some(dot) = next.filter(|dot| !chain.contains(dot)) {
        chain.push(dot);
        next = earlier(dot).and_then(|entry| entry.replaces);
    }
    chain
}

/// Whether a type's entries are never rewritten.
fn is_append_only(entity_type: &str, policy: &Policy) -> bool {
    let rules = policy.entity_type(entity_type);
    rules.is_some_and(|rules| rules.append_only)
}

/// The same entry once more changes nothing: two machines that take up one file.
fn repeats(command: &Command, entry: &Command) -> bool {
    command.op == Op::Create
        && command.entity_type == entry.entity_type
        && command.writes == entry.writes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bundle::Header;
    use crate::command::{Change, FieldWrite};
    use crate::id::{Author, CommandId, DeviceId, Epoch, Nonce, StudioId};
    use crate::keys::SecretKey;
    use crate::merge::{Entity, Outcome, Verdict, fold};
    use crate::time::WallMs;
    use crate::value::Value;
    use crate::vector::{Epochs, Vector};

    const SALE: EntityId = EntityId([5; 16]);

    fn author(device: u8) -> Author {
        Author {
            device: DeviceId([device; 16]),
            epoch: Epoch(1),
        }
    }

    fn epochs() -> Epochs {
        let mut epochs = Epochs::default();
        (1..4).for_each(|device| epochs.insert(author(device), None));
        epochs
    }

    fn command(op: Op, entity_type: &str, cents: i64) -> Command {
        Command {
            id: CommandId([cents as u8; 16]),
            entity_type: entity_type.into(),
            entity: SALE,
            op,
            writes: vec![FieldWrite {
                field: if entity_type == "client" {
                    "name"
                } else {
                    "amount_cents"
                }
                .into(),
                change: Change::Write(match entity_type {
                    "client" => Value::Text("Silva".into()),
                    _ => Value::Int(cents),
                }),
            }],
            ctx: None,
            ts: WallMs(0),
            replaces: None,
            nonce: Nonce([1; 16]),
        }
    }

    fn sale(cents: i64) -> Command {
        command(Op::Create, "pos_order", cents)
    }

    /// Commands each by a device of its own, and which of them each had seen.
    struct Told {
        epochs: Epochs,
        commands: Vec<(Command, Vector, Option<Verdict>)>,
    }

    impl Told {
        fn new(commands: Vec<(Command, &[u8])>) -> Self {
            let seen = |devices: &[u8]| {
                let tips = devices.iter().map(|device| author(*device).at(1)).collect();
                Vector::from_tips(tips).expect("sorted")
            };
            let commands = commands
                .into_iter()
                .map(|(c, devices)| (c, seen(devices), None));
            Self {
                epochs: epochs(),
                commands: commands.collect(),
            }
        }

        fn decide(mut self, at: usize, position: u64) -> Self {
            let outcome = Outcome::Accepted;
            self.commands[at].2 = Some(Verdict { position, outcome });
            self
        }

        fn records(&self) -> Vec<Record<'_>> {
            let numbered = self.commands.iter().enumerate();
            numbered
                .map(|(at, (command, vector, verdict))| {
                    let dot = author(at as u8 + 1).at(1);
                    Record {
                        command,
                        dot,
                        ctx: Context::new(&self.epochs, (vector, dot), None),
                        verdict: verdict.as_ref(),
                    }
                })
                .collect()
        }

        /// The state, the same from both orders, stepped as far as stepping goes.
        fn state(&self) -> Entity {
            let (policy, records) = (Policy::default(), self.records());
            let folded = fold("pos_order", SALE, records.iter().copied(), &policy);
            let backwards = fold("pos_order", SALE, records.iter().rev().copied(), &policy);
            assert_eq!(folded, backwards);
            folded
        }

        fn cents(&self) -> Option<Value> {
            let state = self.state();
            assert!(!state.opaque && state.conflicts(&Default::default()).is_empty());
            state.value("amount_cents", &Default::default()).cloned()
        }

        fn aside(&self) -> usize {
            set_aside(&self.records(), &Policy::default()).len()
        }
    }

    #[test]
    fn a_second_create_of_a_sale_makes_nothing_of_it() {
        // The author of the higher dot, who knew the sale, and one who says that it did not.
        for seen in [&[1][..], &[]] {
            let told = Told::new(vec![(sale(10), &[]), (sale(99), seen)]);
            assert_eq!((told.cents(), told.aside()), (Some(Value::Int(10)), 1));
        }
        let told = Told::new(vec![(sale(99), &[2]), (sale(10), &[])]);
        assert_eq!(
            (told.cents(), told.aside()),
            (Some(Value::Int(10)), 1),
            "whoever knew it comes second"
        );
        let told = Told::new(vec![(sale(99), &[]), (sale(10), &[])]).decide(1, 7);
        assert_eq!(
            (told.cents(), told.aside()),
            (Some(Value::Int(10)), 1),
            "the cloud's word goes first"
        );
    }

    #[test]
    fn the_same_sale_from_two_machines_is_one_sale_and_no_fault() {
        let told = Told::new(vec![(sale(10), &[]), (sale(10), &[])]);
        assert_eq!((told.cents(), told.aside()), (Some(Value::Int(10)), 0));
    }

    #[test]
    fn nothing_under_another_name_makes_something_else_of_a_sale() {
        for op in [Op::Create, Op::Update, Op::Delete, Op::Restore, Op::Resolve] {
            for seen in [&[2][..], &[]] {
                let told = Told::new(vec![(command(op, "client", 1), seen), (sale(10), &[])]);
                assert_eq!(
                    (told.cents(), told.aside()),
                    (Some(Value::Int(10)), 1),
                    "{op:?}"
                );
            }
        }
    }

    /// Whether a bundle of device 2 is set aside whole, given a sale of device 1.
    fn is_breach(commands: Vec<Command>, knows_it: bool) -> bool {
        let header = Header {
            studio: StudioId([9; 16]),
            author: author(2),
            first_counter: 1,
            prev: None,
            written_at: WallMs(0),
            actor: "liar".into(),
            saw: Vec::new(),
            together: false,
        };
        let bundle = Bundle::seal(header, commands, &SecretKey::from_seed([2; 32]));
        let tips = if knows_it {
            vec![author(1).at(1)]
        } else {
            Vec::new()
        };
        let (epochs, vector) = (epochs(), Vector::from_tips(tips).expect("sorted"));
        let context = Context::new(&epochs, (&vector, author(2).at(1)), None);
        let held = |_: &Command| Ok::<_, ()>(vec![(author(1).at(1), sale(10))]);
        let found = breach(
            &bundle.expect("a bundle"),
            (&context, &Policy::default()),
            held,
        );
        found.expect("reads").is_some()
    }

    #[test]
    fn a_bundle_that_rewrites_a_known_sale_is_set_aside_whole() {
        for op in [Op::Update, Op::Delete, Op::Restore, Op::Resolve] {
            assert!(
                is_breach(vec![command(op, "pos_order", 99)], true),
                "{op:?}"
            );
            assert!(
                is_breach(vec![command(op, "pos_order", 99)], false),
                "{op:?} of an unknown one"
            );
            assert!(
                is_breach(vec![command(op, "client", 99)], true),
                "{op:?} under another name"
            );
        }
        assert!(is_breach(vec![sale(99)], true));
        assert!(
            is_breach(vec![sale(98), sale(99)], false),
            "two in one bundle"
        );
        assert!(!is_breach(vec![sale(10)], true), "the same once more");
        assert!(
            !is_breach(vec![sale(99)], false),
            "it says that it did not know"
        );
    }
}
