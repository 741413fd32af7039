//! How far a pack is: a bar for people, or lines of JSON for a program that draws a bar of its own.

use std::time::{Duration, Instant};

use clap::Args;
use indicatif::ProgressBar;
use serde_json::json;

use super::super::import::progress_bar;
use super::super::output::say;

/// Lines follow each other no sooner than this.
const APART: Duration = Duration::from_millis(100);

/// Who follows it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Follower {
    /// A person at a terminal.
    Person,
    /// A program that reads the output.
    Program,
}

/// Who follows it, as a command is asked.
#[derive(Clone, Copy, Args)]
pub(crate) struct Following {
    /// Print how far it is, as lines of JSON before the report
    #[arg(long)]
    progress: bool,
}

impl Following {
    /// A program if lines were asked for, else a person.
    pub fn follower(self) -> Follower {
        if self.progress {
            Follower::Program
        } else {
            Follower::Person
        }
    }
}

/// How far it is.
pub(crate) struct Progress {
    follower: Follower,
    bar: ProgressBar,
    length: u64,
    done: u64,
    told: Option<Instant>,
}

impl Progress {
    /// Nothing of it is done.
    pub fn new(follower: Follower, length: u64, what: &str) -> Self {
        let bar = match follower {
            Follower::Person => progress_bar(length, what),
            Follower::Program => ProgressBar::hidden(),
        };
        let mut progress = Self {
            follower,
            bar,
            length,
            done: 0,
            told: None,
        };
        progress.reach(0);
        progress
    }

    /// So much more is done.
    pub fn add(&mut self, more: u64) {
        self.reach(self.done.saturating_add(more));
    }

    /// So much is done of what is more or less than it was.
    pub fn reach_of(&mut self, done: u64, length: u64) {
        self.length = length;
        self.bar.set_length(length);
        self.reach(done);
    }

    /// So much is done.
    pub fn reach(&mut self, done: u64) {
        self.done = done.min(self.length);
        self.bar.set_position(self.done);
        let due = self.told.is_none_or(|then| then.elapsed() >= APART);
        if self.follower == Follower::Program && due {
            self.told = Some(Instant::now());
            say!("{}", json!({"done": self.done, "of": self.length}));
        }
    }

    /// The bar goes.
    pub fn finish(self) {
        self.bar.finish_and_clear();
    }
}
