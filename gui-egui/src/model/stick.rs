//! Packs for a USB stick: where one goes or comes from, what it is to hold, and how far it is.
//!
//! One is under way at a time; what came of it is told like every other answer.

use crate::action::StickAction;
use crate::message::{Carried, PackOrder, Request};

/// What is being done with packs.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Stick {
    /// The places where sticks are mounted.
    found: Vec<String>,
    /// Where a pack is to be written.
    to: String,
    /// Which pack is to be taken in.
    from: String,
    /// Only what this machine lacks; else everything.
    lacking_at: Option<String>,
    /// A file that is there already is replaced.
    replace: bool,
    under_way: Option<UnderWay>,
}

/// A pack that is under way.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct UnderWay {
    /// What was asked for.
    pub order: PackOrder,
    /// How far it is.
    pub carried: Carried,
}

impl Stick {
    /// The places where sticks are mounted.
    pub fn found(&self) -> &[String] {
        &self.found
    }

    /// Where a pack is to be written.
    pub fn to(&self) -> &str {
        &self.to
    }

    /// Which pack is to be taken in.
    pub fn from(&self) -> &str {
        &self.from
    }

    /// The machine whose lacks alone are wanted.
    pub fn lacking_at(&self) -> Option<&str> {
        self.lacking_at.as_deref()
    }

    /// Whether a file that is there already is replaced.
    pub fn replaces(&self) -> bool {
        self.replace
    }

    /// The pack that is under way.
    pub fn under_way(&self) -> Option<&UnderWay> {
        self.under_way.as_ref()
    }

    pub(super) fn write_to(&mut self, text: String) {
        self.to = text;
    }

    pub(super) fn write_from(&mut self, text: String) {
        self.from = text;
    }

    pub(super) fn take_found(&mut self, found: Vec<String>) {
        self.found = found;
    }

    pub(super) fn take_carried(&mut self, carried: Carried) {
        if let Some(under_way) = &mut self.under_way {
            under_way.carried = carried;
        }
    }

    pub(super) fn ended(&mut self) {
        (self.under_way, self.replace) = (None, false);
    }

    /// What a press asks of the client; or what is missing, as a sentence.
    pub(super) fn handle(&mut self, action: StickAction) -> Result<Option<Request>, &'static str> {
        match action {
            StickAction::LackingAt(name) => self.lacking_at = name,
            StickAction::Replace(replace) => self.replace = replace,
            StickAction::Onto(place) => self.to = place,
            StickAction::Make if self.to.trim().is_empty() => {
                return Err("Say where the pack goes: a file, or the folder of a stick.");
            }
            StickAction::Make => {
                return Ok(self.begin(PackOrder::Make {
                    file: self.to.trim().to_owned(),
                    lacking_at: self.lacking_at.clone(),
                    replace: self.replace,
                }));
            }
            StickAction::Take if self.from.trim().is_empty() => {
                return Err("Say which pack: type its file, or drop it on the window.");
            }
            StickAction::Take => {
                let file = self.from.trim().to_owned();
                return Ok(self.begin(PackOrder::Take { file }));
            }
            StickAction::Stop => return Ok(Some(Request::DropPack)),
        }
        Ok(None)
    }

    fn begin(&mut self, order: PackOrder) -> Option<Request> {
        if self.under_way.is_some() {
            return None;
        }
        self.under_way = Some(UnderWay {
            order: order.clone(),
            carried: Carried::default(),
        });
        Some(Request::Carry(order))
    }
}
