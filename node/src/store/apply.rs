//! Applying a stored bundle to the entities, one command at a time, and showing picks anew when priorities change.
//!
//! Keeps the contract of the merge: what stands here afterwards is what [`fold`](studiovault_protocol::merge::fold) over each
//! entity's whole history gives.

use studiovault_protocol::bundle::Bundle;
use studiovault_protocol::command::Op;
use studiovault_protocol::id::EntityId;
use studiovault_protocol::merge::{Context, Record};
use studiovault_protocol::receipt::shown;
use studiovault_protocol::vector::Vector;

use super::batch::{Applied, Batch};
use super::history::{self, Pieces};
use super::ledger::{self, Decider};
use super::{Rules, StoreError, put_encoded, receipt, touched};

impl Batch<'_> {
    /// Applies a bundle; one that was applied before changes nothing.
    pub(super) fn apply(
        &mut self,
        bundle: &Bundle,
        past: &Vector,
        (rules, applied): (&Rules<'_>, &mut Applied),
    ) -> Result<(), StoreError> {
        let Some(position) = self.mark_applied(bundle, past)? else {
            return Ok(());
        };
        if self.sets_aside(bundle, past, rules)? {
            return Ok(());
        }
        self.note_barred(bundle, rules)?;
        let mut stale = Vec::new();
        for (dot, command) in bundle.commands() {
            let receipt = receipt::given(command, rules);
            if let Some(number) = receipt {
                self.store.note_receipt((dot, command), number)?;
            }
            let touched = &mut self.touched;
            let loaded =
                touched
                    .entities
                    .load_or_begin(self.store, command.entity, &command.entity_type)?;
            if loaded.logged != position {
                loaded.logged = position;
                touched.history.push((loaded.row, position));
                applied
                    .entities
                    .push((command.entity, loaded.type_name.clone()));
            }
            loaded.dirty = true;
            loaded.single = loaded.vv.tips().is_empty() && command.op == Op::Create;
            loaded.vv.join(rules.epochs, dot);
            if loaded.stale {
                continue;
            }
            if loaded.entity.must_fold_to_apply(command) || rules.rights.bar(dot, command).is_some()
            {
                loaded.stale = true;
                stale.push((command.entity, Decider::Command(dot, command.ts)));
                continue;
            }
            let ctx = Context::new(rules.epochs, (past, dot), command.ctx.as_ref());
            loaded.entity.apply(
                &Record {
                    command,
                    dot,
                    ctx,
                    verdict: None,
                },
                rules.policy,
            );
            if let Some(number) = receipt {
                loaded.receipt = Some(shown(number, command.hash(dot)));
            }
            let decider = Decider::Command(dot, command.ts);
            ledger::note(
                loaded,
                &mut touched.ledger,
                (decider, rules.priorities),
                applied,
            );
        }
        self.refold(stale, (rules, applied))?;
        self.settle_letters(bundle)?;
        Ok(())
    }

    /// Folds entities anew, each from its whole history. What they were written in together is read once.
    pub(super) fn refold(
        &mut self,
        stale: impl IntoIterator<Item = (EntityId, Decider)>,
        (rules, applied): (&Rules<'_>, &mut Applied),
    ) -> Result<(), StoreError> {
        let mut pieces = Pieces::default();
        for (id, decider) in stale {
            self.refold_one((id, decider), &mut pieces, (rules, applied))?;
        }
        Ok(())
    }

    fn refold_one(
        &mut self,
        (id, decider): (EntityId, Decider),
        pieces: &mut Pieces,
        (rules, applied): (&Rules<'_>, &mut Applied),
    ) -> Result<(), StoreError> {
        self.write_waiting()?;
        self.touched.flush_history(self.store)?;
        let touched = &mut self.touched;
        let loaded = touched
            .entities
            .peek(id)
            .expect("only a loaded entity is folded anew");
        let log = (&self.store.connection, &self.store.authors);
        let history = history::read_with(pieces, log, loaded.row)?;
        loaded.entity = history.fold(&loaded.type_name, id, rules);
        loaded.receipt = history.receipt(&loaded.entity, rules);
        let entity_type = rules.policy.entity_type(&loaded.entity.entity_type);
        if entity_type.is_some_and(|entity_type| entity_type.append_only) {
            self.store.note_rivals(id, &history, rules)?;
        }
        if loaded.entity.entity_type != *loaded.type_name {
            // Authors disagreed about the type, and the fold names another than the command that came first.
            loaded.type_name =
                (self.store.types).intern(&self.store.connection, &loaded.entity.entity_type)?;
        }
        loaded.stale = false;
        loaded.dirty = true;
        ledger::note(
            loaded,
            &mut touched.ledger,
            (decider, rules.priorities),
            applied,
        );
        Ok(())
    }

    /// Shows anew what a changed priority table may pick otherwise: entities with an open conflict, and no others.
    pub(super) fn repick(
        &mut self,
        rules: &Rules<'_>,
        applied: &mut Applied,
    ) -> Result<(), StoreError> {
        self.flush()?;
        let disputed: Vec<[u8; 16]> = self
            .store
            .connection
            .prepare_cached("SELECT uuid FROM entity WHERE conflict = 1")?
            .query_map([], |row| row.get(0))?
            .collect::<Result<_, _>>()?;
        let disputed: Vec<_> = disputed.into_iter().map(EntityId).collect();
        for id in &disputed {
            if let Some(mut loaded) = touched::read(self.store, *id)? {
                loaded.decider = Some(Decider::Roster);
                self.store.forget_claim(&loaded)?;
            }
        }
        self.store.made_by.priorities = Some(rules.priorities.clone());
        let table: Vec<_> = rules.priorities.0.iter().collect();
        put_encoded(&self.store.connection, "priorities", &table)?;
        for id in disputed {
            let touched = &mut self.touched;
            if let Some(loaded) = touched.entities.load(self.store, id)? {
                loaded.dirty = true;
                applied.entities.push((id, loaded.type_name.clone()));
                ledger::note(
                    loaded,
                    &mut touched.ledger,
                    (Decider::Roster, rules.priorities),
                    applied,
                );
            }
        }
        Ok(())
    }
}
