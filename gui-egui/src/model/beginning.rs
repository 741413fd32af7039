//! The first steps of a machine: founding a studio, joining one, and starting the node.

use super::{Model, Tone};
use crate::action::Entry;
use crate::message::Request;

impl Model {
    pub(super) fn found(&mut self) -> Option<Request> {
        let text = |entry| self.desk.text(&entry).trim().to_owned();
        let (name, studio) = (text(Entry::MachineName), text(Entry::StudioName));
        if name.is_empty() || studio.is_empty() {
            let sentence = "Give this machine and the studio a name first.";
            self.tell(Tone::Attention, sentence.to_owned());
            return None;
        }
        self.begin(Request::Found { name, studio })
    }

    pub(super) fn join(&mut self) -> Option<Request> {
        let text = |entry| self.desk.text(&entry).trim().to_owned();
        let (name, code) = (text(Entry::MachineName), text(Entry::Code));
        if name.is_empty() || code.is_empty() {
            let sentence = "Give this machine a name, and the code that the other one shows.";
            self.tell(Tone::Attention, sentence.to_owned());
            return None;
        }
        let at = text(Entry::Address);
        self.begin(Request::Join { code, name, at })
    }

    pub(super) fn begin(&mut self, request: Request) -> Option<Request> {
        self.desk.set_busy(true);
        self.notice = None;
        Some(request)
    }
}
