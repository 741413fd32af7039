//! People and programs at the machines: they create, edit from old readings, delete, restore, sell, void and settle.

use serde_json::{Value as Json, json};
use studiovault_node::driver::{Event, WriteError, WriteRequest, Written};
use studiovault_protocol::author::Mutation;
use studiovault_protocol::command::Op;
use studiovault_protocol::id::EntityId;
use studiovault_protocol::merge::{Entity, Priorities};
use studiovault_protocol::vector::Vector;

use super::world::{Happening, World};
use crate::writes::mutation;

/// Readings that a machine's people remember.
const READS: usize = 6;

impl World {
    /// Somebody somewhere writes.
    pub fn person(&mut self) {
        if self.is_healed {
            return;
        }
        let at = self.dice.place(self.nodes.len());
        if let Some(driver) = self.nodes[at].driver() {
            let applied = driver.engine().log().applied().clone();
            self.remember(at, applied);
            let request = self.wish(at);
            self.ticket += 1;
            let ticket = self.ticket;
            self.tell(at, Event::Write(ticket, request));
        }
        let pause = self.dice.around(self.plan.write_every_ms);
        self.after(pause, Happening::Person);
    }

    fn remember(&mut self, at: usize, applied: Vector) {
        if self.dice.happens(400) {
            let reads = &mut self.nodes[at].reads;
            if reads.len() >= READS {
                reads.remove(0);
            }
            reads.push(applied);
        }
    }

    fn wish(&mut self, at: usize) -> WriteRequest {
        let count = if self.dice.happens(700) {
            1
        } else {
            self.dice.between(2, 4)
        };
        let mut mutations: Vec<Mutation> = Vec::new();
        for _ in 0..count {
            let mut wanted = match self.dice.below(20) {
                0..=12 => self.edit(at),
                13..=15 => self.anew(),
                16..=17 => self.sale(),
                _ => self.void(),
            };
            let twice = |other: &Mutation| wanted.entity.is_some() && other.entity == wanted.entity;
            if mutations.iter().any(twice) {
                continue;
            }
            wanted.read = self.reading(at);
            mutations.push(wanted);
        }
        WriteRequest {
            actor: format!("person {at}"),
            mutations,
            together: self.dice.happens(100),
            skip_existing: self.dice.happens(50),
        }
    }

    /// What the person had read: mostly what is shown now, sometimes something old, now and then from another machine.
    fn reading(&mut self, at: usize) -> Option<Vector> {
        match self.dice.below(20) {
            0..=4 => {
                let reads = &self.nodes[at].reads;
                let place = self.dice.place(reads.len().max(1));
                reads.get(place).cloned()
            }
            5 => {
                let other = self.dice.place(self.nodes.len());
                let driver = self.nodes[other].driver()?;
                Some(driver.engine().log().applied().clone())
            }
            _ => None,
        }
    }

    /// A change of something that others like to change too.
    fn edit(&mut self, at: usize) -> Mutation {
        let hot = self.dice.place(self.plan.hot) as u8;
        let id = EntityId::from_random([hot + 1; 16]);
        let driver = self.nodes[at].driver().expect("only at machines that run");
        let state = driver.store().entity(id).expect("memory reads");
        let priorities = driver.engine().roster().priorities();
        match state.filter(|state| state.life.exists()) {
            None if self.dice.happens(60) => {
                mutation("client", Some(id), Op::Create, json!({"name": "Silva"}))
            }
            None => mutation(
                "project",
                Some(id),
                Op::Create,
                json!({"title": self.word(), "tags": [self.word()]}),
            ),
            Some(state) => self.change(&state, &priorities),
        }
    }

    fn change(&mut self, state: &Entity, priorities: &Priorities) -> Mutation {
        let (id, kind) = (Some(state.id), state.entity_type.clone());
        let main = if kind == "client" { "name" } else { "title" };
        if state.in_conflict() && self.dice.happens(300) {
            return self.settle(state, priorities);
        }
        if state.life.is_deleted() {
            let op = if self.dice.happens(700) {
                Op::Restore
            } else {
                Op::Update
            };
            return mutation(&kind, id, op, json!({ main: self.word() }));
        }
        match self.dice.below(20) {
            0 => mutation(&kind, id, Op::Delete, json!({})),
            1 => mutation(&kind, id, Op::Restore, json!({ main: self.word() })),
            2..=5 => mutation(
                &kind,
                id,
                Op::Update,
                json!({"tags": {"add": [self.word()]}}),
            ),
            6..=8 => mutation(
                &kind,
                id,
                Op::Update,
                json!({"tags": {"remove": [self.word(), self.word()], "add": [self.word()]}}),
            ),
            9..=11 if kind == "project" => {
                let by = self.dice.below(9) as i64 - 4;
                mutation(
                    &kind,
                    id,
                    Op::Update,
                    json!({"print_credits": {"increment": by}}),
                )
            }
            12..=13 => mutation(
                &kind,
                id,
                Op::Update,
                json!({ main: self.word(), "notes": self.word() }),
            ),
            _ => mutation(&kind, id, Op::Update, json!({ main: self.word() })),
        }
    }

    /// Answers an open conflict the way a person would: with the suggestion, or not.
    fn settle(&mut self, state: &Entity, priorities: &Priorities) -> Mutation {
        let conflicts = state.conflicts(priorities);
        let conflict = &conflicts[self.dice.place(conflicts.len())];
        let main = if state.entity_type == "client" {
            "name"
        } else {
            "title"
        };
        let Some(field) = &conflict.field else {
            let op = if self.dice.happens(500) {
                Op::Restore
            } else {
                Op::Delete
            };
            let fields = if op == Op::Delete {
                json!({})
            } else {
                json!({ main: self.word() })
            };
            return mutation(&state.entity_type, Some(state.id), op, fields);
        };
        let side = &conflict.sides[self.dice.place(conflict.sides.len())];
        let value = side
            .value
            .as_ref()
            .map_or(Json::Null, |value| value.to_json());
        mutation(
            &state.entity_type,
            Some(state.id),
            Op::Resolve,
            json!({ field.as_str(): value }),
        )
    }

    fn anew(&mut self) -> Mutation {
        if self.dice.happens(500) {
            mutation(
                "client",
                None,
                Op::Create,
                json!({"name": self.word(), "customer_number": self.word()}),
            )
        } else {
            mutation(
                "project",
                None,
                Op::Create,
                json!({"title": self.word(), "print_credits": 3}),
            )
        }
    }

    fn sale(&mut self) -> Mutation {
        let id = EntityId::from_random(self.dice.bytes());
        self.checks.sales.push(id);
        let cents = self.dice.between(100, 100_000);
        let fields = json!({"sold_on": "2026-11-22", "items": self.dice.between(1, 9), "amount_cents": cents});
        mutation("pos_order", Some(id), Op::Create, fields)
    }

    fn void(&mut self) -> Mutation {
        if self.checks.sales.is_empty() {
            return self.sale();
        }
        let sale = self.checks.sales[self.dice.place(self.checks.sales.len())];
        mutation(
            "pos_void",
            None,
            Op::Create,
            json!({"order": sale.to_string(), "reason": "typed wrong"}),
        )
    }

    fn word(&mut self) -> String {
        const WORDS: [&str; 7] = ["ash", "birch", "cedar", "elm", "fir", "hazel", "oak"];
        WORDS[self.dice.place(WORDS.len())].to_owned()
    }

    /// A write was answered: what is acknowledged now may never be lost.
    pub fn answered(&mut self, at: usize, ticket: u64, answer: Result<Written, WriteError>) {
        match answer {
            Ok(Written {
                bundle: Some((author, first, last)),
                ..
            }) => {
                self.trace.note(
                    self.now,
                    format_args!("node {at} wrote {first}..={last} for {ticket}"),
                    &[],
                );
                self.checks.promises.acknowledged(author, last);
            }
            Ok(_) => {}
            Err(error) => {
                self.checks.refused += 1;
                self.trace.note(
                    self.now,
                    format_args!("node {at} refused {ticket}: {error}"),
                    &[],
                );
            }
        }
    }
}
