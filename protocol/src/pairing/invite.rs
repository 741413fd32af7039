//! One invite: how long it stands, how many misses it forgives, and who is being looked at.
//!
//! Every miss mints new words, so what was offered under the old ones is void, however many tried at once; the third miss
//! closes the invite.

use super::code::Code;
use crate::time::MonoMs;

/// Misses after which an invite closes.
pub const MISSES: u8 = 3;
/// An invite stands this long, ms.
pub const INVITE_MS: u64 = 120_000;
/// Offers that one invite answers; a flood ends there.
pub const OFFERS: u32 = 64;

/// How an invite ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Closed {
    /// Somebody was let in.
    Admitted,
    /// Its time is over.
    Expired,
    /// Three wrong codes or words, or a flood of offers.
    Missed,
    /// The person took it back.
    Withdrawn,
}

/// Why somebody who offers or proves is turned away. No miss.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TurnedAway {
    /// Nothing is open any more.
    #[error("the invite is closed; ask for a new one")]
    Closed,
    /// Another machine is being looked at.
    #[error("another machine is joining just now; ask for a new invite")]
    Busy,
    /// The words changed meanwhile.
    #[error("the code has changed; ask for the new one")]
    Stale,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Stage {
    Shown,
    Checking,
    Closed(Closed),
}

/// An invite.
#[derive(Clone, Debug)]
pub struct Invite {
    code: Code,
    until: MonoMs,
    misses: u8,
    offers: u32,
    /// Grows with every change of the words.
    round: u32,
    stage: Stage,
}

impl Invite {
    /// Shows a code from now on.
    pub fn open(code: Code, now: MonoMs) -> Self {
        Self {
            code,
            until: now.plus(INVITE_MS),
            misses: 0,
            offers: 0,
            round: 0,
            stage: Stage::Shown,
        }
    }

    /// The code that is shown; `None` once it is closed.
    pub fn code(&self) -> Option<&Code> {
        matches!(self.stage, Stage::Shown).then_some(&self.code)
    }
    /// How it ended, if it has.
    pub fn closed(&self) -> Option<Closed> {
        match self.stage {
            Stage::Closed(how) => Some(how),
            _ => None,
        }
    }
    /// Whether somebody is being looked at.
    pub fn is_checking(&self) -> bool {
        self.stage == Stage::Checking
    }
    /// Misses that it still forgives.
    pub fn misses_left(&self) -> u8 {
        MISSES - self.misses
    }
    /// What is left of its time, ms.
    pub fn left_ms(&self, now: MonoMs) -> u64 {
        self.until.since(now)
    }

    /// Closes it when its time is over.
    pub fn tick(&mut self, now: MonoMs) {
        if self.closed().is_none() && now >= self.until {
            self.stage = Stage::Closed(Closed::Expired);
        }
    }

    /// The person takes it back.
    pub fn withdraw(&mut self) {
        if self.closed().is_none() {
            self.stage = Stage::Closed(Closed::Withdrawn);
        }
    }

    /// An offer came: it is answered under the code of this round.
    pub fn offered(&mut self, now: MonoMs) -> Result<(Code, u32), TurnedAway> {
        self.tick(now);
        match self.stage {
            Stage::Closed(_) => Err(TurnedAway::Closed),
            Stage::Checking => Err(TurnedAway::Busy),
            Stage::Shown if self.offers >= OFFERS => {
                self.stage = Stage::Closed(Closed::Missed);
                Err(TurnedAway::Closed)
            }
            Stage::Shown => {
                self.offers += 1;
                Ok((self.code.clone(), self.round))
            }
        }
    }

    /// Whether a proof that came in this round may be looked at; one of an earlier round tells its sender nothing.
    pub fn hears(&mut self, round: u32, now: MonoMs) -> Result<(), TurnedAway> {
        self.tick(now);
        match self.stage {
            Stage::Closed(_) => Err(TurnedAway::Closed),
            _ if round != self.round => Err(TurnedAway::Stale),
            Stage::Checking => Err(TurnedAway::Busy),
            Stage::Shown => Ok(()),
        }
    }

    /// The proof holds: from here on people compare words.
    pub fn proved(&mut self) {
        if self.stage == Stage::Shown {
            self.stage = Stage::Checking;
        }
    }

    /// A wrong code, or wrong words: new ones, or the end.
    pub fn missed(&mut self, words: [u8; 3]) {
        if self.closed().is_some() {
            return;
        }
        self.misses += 1;
        self.renew(words);
        if self.misses >= MISSES {
            self.stage = Stage::Closed(Closed::Missed);
        }
    }

    /// Who was being looked at has gone: new words, no miss.
    pub fn left(&mut self, words: [u8; 3]) {
        if self.stage == Stage::Checking {
            self.renew(words);
        }
    }

    /// The words were right: it has done its work.
    pub fn admitted(&mut self) {
        if self.stage == Stage::Checking {
            self.stage = Stage::Closed(Closed::Admitted);
        }
    }

    fn renew(&mut self, words: [u8; 3]) {
        self.code = self.code.renewed(words);
        self.round += 1;
        self.stage = Stage::Shown;
    }
}
