//! What of a step stands in the audit log, and in which words.
//!
//! A line is written in the transaction of what it tells of, on every machine that takes it in: so a revocation that came from
//! another machine is in the log of this one too. Names are those of the moment; a line never changes with the roster.

use studiovault_protocol::bundle::Bundle;
use studiovault_protocol::command::Op;
use studiovault_protocol::engine::Engine;
use studiovault_protocol::event::Write;
use studiovault_protocol::id::DeviceId;
use studiovault_protocol::membership::{Act, Grant, Roster, SignedRecord, Signer};
use studiovault_protocol::merge::conflict_id;
use studiovault_protocol::pack::Label;
use studiovault_protocol::policy::SignedPolicy;

use crate::config::system_user;
use crate::store::{AuditKind, AuditLine, AuditQuestion, Store, StoreError};

/// The lines that a write of the engine is worth, which ended the questions with these ids.
pub(super) fn lines(write: &Write, closed: &[String], engine: &Engine) -> Vec<AuditLine> {
    match write {
        Write::Record(record) => vec![record_line(record, engine.roster())],
        Write::Policy(policy) => vec![policy_line(policy)],
        // Of this run alone: what comes back after a loss was told when it was decided.
        Write::Apply { bundle, .. } if engine.own_author() == Some(bundle.author()) => {
            decisions(bundle, closed)
        }
        Write::Store { .. }
        | Write::Apply { .. }
        | Write::Page(_)
        | Write::Fold(_)
        | Write::Evidence(_) => Vec::new(),
    }
}

/// What the first start of a folder is worth: nothing at any later one.
pub(super) fn beginning(
    store: &Store,
    (device, roster): (DeviceId, &Roster),
) -> Result<Vec<AuditLine>, StoreError> {
    let any = AuditQuestion {
        limit: 1,
        ..AuditQuestion::default()
    };
    if !store.view().audit(&any)?.is_empty() {
        return Ok(Vec::new());
    }
    let name = roster.name(device);
    Ok(vec![AuditLine {
        kind: AuditKind::Bootstrap,
        device: Some(device),
        actor: system_user(),
        what: format!("this folder became the machine {name}"),
    }])
}

/// A record of the roster, in words.
pub(super) fn record_line(record: &SignedRecord, roster: &Roster) -> AuditLine {
    let (kind, what) = match &record.act {
        Act::Grant(grant) if grant.version == 1 => (
            AuditKind::Role,
            format!("{} was admitted {}", grant.name, place(grant)),
        ),
        Act::Grant(grant) => (
            AuditKind::Role,
            format!("{} works {} now", grant.name, place(grant)),
        ),
        Act::Lower(grant, _) => (
            AuditKind::Role,
            format!(
                "{} is no admin any more and works {}",
                grant.name,
                place(grant)
            ),
        ),
        Act::Readmit(grant, _) => (
            AuditKind::Role,
            format!("{} was taken back {}", grant.name, place(grant)),
        ),
        Act::Revoke(cut) => (
            AuditKind::Revocation,
            format!("{} was shut out", roster.name(cut.device)),
        ),
        Act::Retire(cut) => (
            AuditKind::Revocation,
            format!("{} retired", roster.name(cut.device)),
        ),
        Act::Double(double) => (
            AuditKind::Revocation,
            format!(
                "{} signed two different things at {}: what it wrote from there on is set aside",
                roster.name(double.author().device),
                double.author().at(double.split().from)
            ),
        ),
        Act::Lost(lost) => {
            let mut names: Vec<&str> = lost
                .iter()
                .map(|(author, _)| roster.name(author.device))
                .collect();
            names.dedup();
            let what = format!("what {} had not passed on was given up", names.join(", "));
            (AuditKind::Revocation, what)
        }
    };
    AuditLine {
        kind,
        device: signer(record.by, roster),
        actor: String::new(),
        what,
    }
}

fn place(grant: &Grant) -> String {
    format!(
        "as {}, priority {}, gateway preference {}",
        grant.role.word(),
        grant.priority,
        grant.gateway_preference
    )
}

fn policy_line(policy: &SignedPolicy) -> AuditLine {
    AuditLine {
        kind: AuditKind::Policy,
        device: Some(policy.by),
        actor: String::new(),
        what: format!("policy version {} was signed", policy.version),
    }
}

/// What a person decided in an applied transaction of this machine: whatever ended a question is one, but a deletion and what brings
/// back only if the question was about the entity's own life.
fn decisions(bundle: &Bundle, closed: &[String]) -> Vec<AuditLine> {
    let author = bundle.author().device;
    let of_commands = bundle.commands().filter_map(|(_, command)| {
        let settles = || closed.contains(&conflict_id(command.entity, None));
        let (kind, did) = match command.op {
            Op::Resolve => (AuditKind::Resolution, "a conflict was settled"),
            Op::Restore if settles() => (
                AuditKind::Resolution,
                "a conflict was settled, it came back",
            ),
            Op::Delete if settles() => (
                AuditKind::Resolution,
                "a conflict was settled, it stays deleted",
            ),
            Op::Discard => (AuditKind::Discard, "a letter was given up"),
            _ => return None,
        };
        Some(AuditLine {
            kind,
            device: Some(author),
            actor: bundle.header().actor.clone(),
            what: format!("{did}: {} {}", command.entity_type, command.entity),
        })
    });
    of_commands.collect()
}

/// A pack came as a file.
pub(super) fn pack_line(label: &Label) -> AuditLine {
    AuditLine {
        kind: AuditKind::Export,
        device: Some(label.device),
        actor: system_user(),
        what: format!(
            "a pack that {} made was taken in, {}",
            label.name,
            label.words()
        ),
    }
}

/// Who carries to the cloud from here on.
pub(super) fn crown_line(holder: Option<DeviceId>, roster: &Roster) -> AuditLine {
    let what = match holder {
        Some(device) => format!("{} carries to the cloud", roster.name(device)),
        None => "nobody carries to the cloud".to_owned(),
    };
    AuditLine {
        kind: AuditKind::Crown,
        device: holder,
        actor: String::new(),
        what,
    }
}

fn signer(by: Signer, roster: &Roster) -> Option<DeviceId> {
    match by {
        Signer::Root => None,
        Signer::Holder(grant) => Some(roster.record(grant)?.grant()?.device),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::fixtures::{Dice, Machine, command, entity};

    #[test]
    fn a_decision_about_a_deletion_has_a_line_only_where_it_ended_a_question() {
        let (mut machine, mut dice) = (Machine::new(1), Dice(1));
        let ops = [Op::Restore, Op::Delete, Op::Delete, Op::Resolve, Op::Update];
        let ops = (1..).zip(ops);
        let commands = ops
            .map(|(n, op)| command(op, entity(n), &mut dice))
            .collect();
        let (bundle, _) = machine.author(commands);
        let told = |closed: &[String]| -> Vec<String> {
            let lines = decisions(&bundle, closed).into_iter();
            lines.map(|line| line.what).collect()
        };
        let settled = |n| format!("a conflict was settled: project {}", entity(n));
        assert_eq!(told(&[]), [settled(4)]);
        // A question about a field of the third is none about its life.
        let closed = [
            conflict_id(entity(1), None),
            conflict_id(entity(2), None),
            conflict_id(entity(3), Some("title")),
        ];
        let wanted = [
            format!(
                "a conflict was settled, it came back: project {}",
                entity(1)
            ),
            format!(
                "a conflict was settled, it stays deleted: project {}",
                entity(2)
            ),
            settled(4),
        ];
        assert_eq!(told(&closed), wanted);
    }
}
