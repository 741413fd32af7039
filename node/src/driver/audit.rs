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
use studiovault_protocol::pack::Label;
use studiovault_protocol::policy::SignedPolicy;

use crate::config::system_user;
use crate::store::{AuditKind, AuditLine, AuditQuestion, Store, StoreError};

/// The lines that a write of the engine is worth.
pub(super) fn lines(write: &Write, engine: &Engine) -> Vec<AuditLine> {
    match write {
        Write::Record(record) => vec![record_line(record, engine.roster())],
        Write::Policy(policy) => vec![policy_line(policy)],
        Write::Store { bundle, own: true } => decisions(bundle),
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

/// What a person decided in a transaction of this machine.
fn decisions(bundle: &Bundle) -> Vec<AuditLine> {
    let author = bundle.author().device;
    let of_commands = bundle.commands().filter_map(|(_, command)| {
        let (kind, did) = match command.op {
            Op::Resolve => (AuditKind::Resolution, "a conflict was settled"),
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

/// What a person decided about a deletion, if the commands of an applied transaction of this machine ended conflicts.
pub(super) fn life_decisions(bundle: &Bundle) -> Vec<AuditLine> {
    let commands = bundle.commands().map(|(_, command)| command);
    let lines = commands.filter_map(|command| {
        let what = match command.op {
            Op::Restore => "a conflict was settled, it came back",
            Op::Delete => "a conflict was settled, it stays deleted",
            _ => return None,
        };
        Some(AuditLine {
            kind: AuditKind::Resolution,
            device: Some(bundle.author().device),
            actor: bundle.header().actor.clone(),
            what: format!("{what}: {} {}", command.entity_type, command.entity),
        })
    });
    lines.collect()
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
