//! One studio behind several servers: what another one has written is taken in before anything is built on it.
//!
//! A server that is alone with its database asks nothing here.

use super::{State, Studio};
use crate::store::{Session, StoreError};
use crate::truth::Truth;

impl Studio {
    /// Takes in what other servers have written since.
    pub fn refresh(&self, truth: &Truth) -> Result<(), StoreError> {
        if !truth.store.is_shared() {
            return Ok(());
        }
        let newer = truth.store.read(|session| {
            if session.revision(self.row)? == self.state().revision {
                return Ok(None);
            }
            self.reload((truth, session)).map(Some)
        })?;
        if let Some(state) = newer {
            self.publish(state);
        }
        Ok::<_, StoreError>(())
    }

    /// Holds the studio until the transaction ends. The newer state, if another server has written since `known` was read.
    pub(super) fn hold(
        &self,
        (truth, session): (&Truth, &Session<'_>),
        known: &State,
    ) -> Result<Option<State>, StoreError> {
        if !truth.store.is_shared() || session.lock(self.row)? == known.revision {
            return Ok(None);
        }
        self.reload((truth, session)).map(Some)
    }

    /// Counts the change that this transaction makes.
    pub(super) fn announce(
        &self,
        (truth, session): (&Truth, &Session<'_>),
        state: &mut State,
    ) -> Result<(), StoreError> {
        if truth.store.is_shared() {
            state.revision = session.announce(self.row)?;
        }
        Ok(())
    }

    fn reload(&self, (truth, session): (&Truth, &Session<'_>)) -> Result<State, StoreError> {
        let row = session.studio(self.id)?;
        let row = row.ok_or(StoreError::Damaged("a studio that is gone"))?;
        State::load(session, (&row, &truth.policy))
    }
}
