//! A truth whose database was put back to an earlier point takes its own feed back from whoever holds it.
//!
//! Only pages that it signed itself and that continue what it holds are taken, whole and in order.

use std::collections::BTreeMap;

use studiovault_protocol::bundle::Bundle;
use studiovault_protocol::cloud::{TailAnswer, TailRequest};
use studiovault_protocol::feed::{Entry, Page};
use studiovault_protocol::id::Author;
use studiovault_protocol::keys::VerifyKey;
use studiovault_protocol::log::Admission;
use studiovault_protocol::time::WallMs;

use super::sitting::Sitting;
use super::{State, Studio};
use crate::store::{Audit, Session, StoreError};
use crate::truth::Truth;

/// Why a tail is not taken. Nothing changed.
#[derive(Debug, thiserror::Error)]
pub enum TailError {
    /// The asker's: no page of this feed.
    #[error("a page that this cloud truth has not signed")]
    Foreign,
    /// The asker's, or another one was faster.
    #[error("pages that do not continue what is held, which ends at {0}")]
    Elsewhere(u64),
    /// The asker's: a page names a bundle that does not come with it, or not as the page names it.
    #[error("a page without the bundles that it names")]
    Incomplete,
    /// The entities do not come to what the page says. A bug, or damage to what was put back.
    #[error(
        "what these pages come to is not what they say: the backup is damaged; restore another one"
    )]
    Mismatch,
    /// The asker's: its device no longer belongs to the studio.
    #[error("this machine no longer belongs to the studio")]
    ShutOut,
    /// The disk's.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Studio {
    /// Takes pages of its own feed back.
    pub fn take_back(
        &self,
        truth: &Truth,
        request: &TailRequest,
        at: WallMs,
    ) -> Result<TailAnswer, TailError> {
        self.refresh(truth)?;
        let _turn = self.turn();
        let known = self.state();
        let pages = own_pages(self, truth, request)?;
        let bundles = bundles_of(request);
        let state = truth.store.write(|session| {
            let newer = self.hold((truth, session), &known)?;
            let mut state = newer.unwrap_or_else(|| State::clone(&known));
            let fresh: Vec<Page> = pages
                .into_iter()
                .filter(|page| page.last() > state.head.0)
                .collect();
            self.take_records(session, request, &mut state)?;
            if state.is_shut_out(request.device) {
                return Err(TailError::ShutOut);
            }
            let mut sitting = Sitting::new(self, (truth, session), state, at)?;
            let mut head = sitting.state().head;
            for page in &fresh {
                if page.body().first != head.0 + 1 || page.body().prev != head.1 {
                    return Err(TailError::Elsewhere(head.0));
                }
                head = (page.last(), page.hash());
                sitting.state.log.note_named(page);
                for (position, entry) in page.entries() {
                    self.take_again((truth, &mut sitting), (position, entry), &bundles)?;
                }
            }
            let mut state = sitting.close_again(&fresh)?;
            let told = fresh.last().and_then(|page| page.body().entries.last());
            if matches!(told, Some(Entry::Checkpoint(sum)) if *sum != state.sum) {
                return Err(TailError::Mismatch);
            }
            let line = Audit {
                studio: Some(self.row),
                who: String::new(),
                device: Some(request.device),
                what: format!("the feed up to {} given back", state.head.0),
                outcome: "taken".into(),
            };
            session.audit(&line, at)?;
            self.announce((truth, session), &mut state)?;
            Ok(state)
        })?;
        let answer = TailAnswer { head: state.head.0 };
        truth.heads.note(self.id, state.head.0);
        self.publish(state);
        Ok(answer)
    }

    /// The position that the feed is known to have had, if that is beyond what is held. `state` must be the newest: other
    /// servers may keep their heads in the same folder.
    pub(super) fn lost(&self, truth: &Truth, state: &State) -> Option<u64> {
        let known = truth.heads.of(self.id);
        (known > state.head.0).then_some(known)
    }

    fn take_records(
        &self,
        session: &Session<'_>,
        request: &TailRequest,
        state: &mut State,
    ) -> Result<(), StoreError> {
        for record in &request.roster {
            if matches!(state.roster.insert(record.clone()), Ok(true)) {
                session.insert_grant(self.row, record)?;
            }
        }
        state.log.set_lost(state.roster.lost());
        state.log.set_forks(state.roster.forks());
        for policy in &request.policies {
            if let Err(error) = state.policies.insert(policy.clone(), &state.roster) {
                tracing::warn!(%error, "a policy is not taken");
            }
        }
        session.set_policies(self.row, state.policies.documents())
    }

    fn take_again(
        &self,
        (truth, sitting): (&Truth, &mut Sitting<'_>),
        (position, entry): (u64, &Entry),
        bundles: &BTreeMap<(Author, u64), Bundle>,
    ) -> Result<(), TailError> {
        match entry {
            Entry::Bundle {
                author,
                first,
                last,
                hash,
            } => {
                let bundle = bundles.get(&(*author, *first));
                let bundle = bundle.ok_or(TailError::Incomplete)?;
                let key = match sitting.state().roster.member(author.device) {
                    _ if *author == self.cloud => VerifyKey::new(&truth.key.public()),
                    member => member.map(|member| member.key.clone()),
                };
                let signed = key.is_some_and(|key| bundle.verify(&key).is_ok());
                let fits = bundle.hash() == *hash && bundle.last() == *last;
                let fresh = sitting.state().log.judge(bundle) == Admission::Fresh;
                if !signed || !fits || !fresh {
                    return Err(TailError::Incomplete);
                }
                Ok(sitting.hold_again(bundle, position)?)
            }
            Entry::Verdicts { .. } | Entry::AsItStands { .. } => {
                Ok(sitting.rule_again(position, entry)?)
            }
            Entry::Stuck { dot, detail } => Ok(sitting.stuck_again(*dot, detail)?),
            Entry::Genesis(_) | Entry::Checkpoint(_) => Ok(()),
        }
    }
}

fn own_pages(
    studio: &Studio,
    truth: &Truth,
    request: &TailRequest,
) -> Result<Vec<Page>, TailError> {
    let key = VerifyKey::new(&truth.key.public()).ok_or(TailError::Foreign)?;
    let own = |packed: &studiovault_protocol::wire::Packed| {
        let page = Page::decode(&packed.0[..]).ok()?;
        let ours = page.body().studio == studio.id && page.body().author == studio.cloud;
        (ours && page.verify(&key).is_ok()).then_some(page)
    };
    let pages = request
        .pages
        .iter()
        .map(|packed| own(packed).ok_or(TailError::Foreign));
    pages.collect()
}

fn bundles_of(request: &TailRequest) -> BTreeMap<(Author, u64), Bundle> {
    let bundles = request.bundles.iter();
    let bundles = bundles.filter_map(|packed| Bundle::decode(&packed.0[..]).ok());
    bundles
        .map(|bundle| ((bundle.author(), bundle.first()), bundle))
        .collect()
}
