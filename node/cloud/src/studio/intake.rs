//! Which bundles the truth takes: members' only, signed, in their chain's order, after everything that they saw.

use studiovault_protocol::bundle::Bundle;
use studiovault_protocol::cloud::CausalGap;
use studiovault_protocol::id::{Author, Dot, StudioId};
use studiovault_protocol::log::{Admission, LogIndex};
use studiovault_protocol::membership::{Role, Roster};
use studiovault_protocol::wire::Packed;

/// A bundle whose author is a member and whose signature holds.
#[derive(Clone, Debug)]
pub struct Arrival {
    /// Its place in the request.
    pub index: u32,
    /// The bundle.
    pub bundle: Bundle,
    /// Its author's role.
    pub role: Role,
}

/// Checks form, membership and signature; the words are for a person.
pub fn verify(packed: &Packed, index: u32, roster: &Roster) -> Result<Arrival, String> {
    let bundle = Bundle::decode(&packed.0[..]).map_err(|error| error.to_string())?;
    if bundle.header().studio != roster.studio() {
        return Err(of_other_studio(bundle.header().studio));
    }
    let member = roster.member(bundle.author().device).ok_or_else(|| {
        format!(
            "device {} is not in the roster: send its record along",
            bundle.author().device
        )
    })?;
    bundle
        .verify(&member.key)
        .map_err(|error| error.to_string())?;
    Ok(Arrival {
        index,
        role: member.grant.role,
        bundle,
    })
}

fn of_other_studio(studio: StudioId) -> String {
    format!("it belongs to studio {studio}, not to the token's")
}

/// What the truth does with a verified bundle.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Judgement {
    /// Holds and applies it.
    Take,
    /// Holds it already.
    Known,
    /// Waits for something before it.
    Wait(CausalGap),
    /// Never holds it.
    Refuse(String),
}

/// Judges a bundle against what is held; all that is held is applied.
pub fn judge(log: &LogIndex, bundle: &Bundle, cloud: Author) -> Judgement {
    match log.judge(bundle) {
        Admission::Duplicate => Judgement::Known,
        Admission::Evidence if bundle.last() <= log.held(bundle.author()) => Judgement::Known,
        Admission::Evidence => Judgement::Refuse("its author's log splits before it".to_owned()),
        Admission::Contradiction(reason) => Judgement::Refuse(reason.to_owned()),
        _ if bundle.author().device == cloud.device => {
            Judgement::Refuse("the cloud truth's own log goes on only at the cloud truth".into())
        }
        Admission::Gap => Judgement::Wait(gap(log, bundle)),
        Admission::Fresh if unmet(log, bundle).next().is_some() => {
            Judgement::Wait(gap(log, bundle))
        }
        Admission::Fresh => Judgement::Take,
    }
}

/// What a bundle saw and the truth does not hold.
fn unmet<'a>(log: &'a LogIndex, bundle: &'a Bundle) -> impl Iterator<Item = Dot> + 'a {
    let saw = bundle.header().saw.iter().map(|seen| seen.dot);
    saw.filter(|dot| !log.is_met(*dot))
}

fn gap(log: &LogIndex, bundle: &Bundle) -> CausalGap {
    let author = bundle.author();
    let held = log.held(author);
    let mut missing: Vec<Dot> = unmet(log, bundle).collect();
    let chain_broken = log.chain(author).is_some() && bundle.first() > held + 1;
    if chain_broken || missing.is_empty() {
        missing.push(author.at(bundle.first() - 1));
    }
    let first = if chain_broken {
        held + 1
    } else {
        bundle.first()
    };
    CausalGap {
        author,
        first,
        missing,
    }
}
