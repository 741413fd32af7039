//! What is on screen, as plain values: it takes what the client tells and what a person does, and says what to ask for.
//!
//! It knows no egui, no clock and no network, so everything the window shows can be tested without one.

mod activity;
mod alert;
mod answer;
mod badge;
mod banner;
mod beginning;
mod board;
mod case;
mod checkup;
mod desk;
mod done;
mod lanes;
mod letters;
mod locale;
mod members;
mod mesh;
mod money;
mod sentence;
mod stick;
mod tab;
mod words;

#[cfg(test)]
pub mod fixture;
#[cfg(test)]
mod tests;

pub use activity::{Activity, ActivityFilter, Standing};
pub use alert::Alert;
pub use answer::{Draft, copy_as_new};
pub use badge::Badge;
pub use banner::Banner;
pub use board::Board;
pub use case::{Case, CaseKind, Column, side_in};
pub use checkup::{checkup_sentence, checkup_text, outcome_words};
pub use desk::{Desk, DevicesPage, SigningIn, role_words};
pub use lanes::{CLOUD, Lanes, MarkKind, Merged, command_words, lanes, merged};
pub use letters::{Letters, failing_field, fields_to_mend, is_sale};
pub use locale::{moment_text, use_system_locale};
use members::machines_of;
pub use mesh::{Link, MeshGraph, MeshNode, Place, mesh_graph};
pub use money::{amount_to_type, typed_money};
pub use sentence::{Fact, Tone, attention_sentence, cloud_line, pending_facts, safety_sentence};
pub use stick::UnderWay;
pub use tab::Tab;
pub use words::{
    Age, bytes_text, case_title, change_text, changes_text, code_words, count, counted, field_text,
    op_words, whole_sentence,
};

use studiovault_protocol::api::{PolicyView, Status, VerifyView};
use studiovault_protocol::id::EntityId;
use studiovault_protocol::policy::Policy;

use crate::action::{Action, ActivityAction, CaseAction, DeviceAction, Entry, LetterAction};
use crate::failure::Failure;
use crate::message::{EntityFacts, Message, Preferences, Request};

/// Whether the node answers.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum Connection {
    /// Nothing is known yet.
    #[default]
    Seeking,
    /// It answers; what is shown is what it said last.
    Ready,
    /// It does not; what is shown, if anything, is old.
    Lost(Failure),
}

/// What came of the last thing a person did, or a fault; stands until it is put away.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Notice {
    /// How it is meant.
    pub tone: Tone,
    /// What happened, with the next step if there is one.
    pub sentence: String,
}

/// The policy in force, as it is told and as it is read.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Rules {
    /// As the node tells it.
    pub view: Option<PolicyView>,
    /// What it means.
    pub policy: Policy,
}

/// Everything on screen.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Model {
    /// Whether the node answers.
    pub connection: Connection,
    /// The panel shown.
    pub tab: Tab,
    /// What the node said of itself last.
    pub status: Option<Status>,
    /// The policy in force.
    pub rules: Rules,
    /// The open questions.
    pub board: Board,
    /// The entity of the open question, and how it came to be.
    pub facts: Option<EntityFacts>,
    /// What the cloud did not take.
    pub letters: Letters,
    /// What happened.
    pub activity: Activity,
    /// What is typed and asked elsewhere.
    pub desk: Desk,
    /// What the last check of the store found.
    pub verified: Option<VerifyView>,
    /// What came of the last thing.
    pub notice: Option<Notice>,
    /// How the window is wanted.
    pub preferences: Preferences,
    /// The keys are shown.
    pub help: bool,
    watch: alert::Watch,
}

impl Model {
    /// Takes in what the client tells; returns what is to be asked of it.
    pub fn handle_message(&mut self, message: Message) -> Option<Request> {
        match message {
            Message::Preferences(preferences) => self.preferences = preferences,
            Message::Status(status) => {
                self.connection = Connection::Ready;
                self.board.set_own(&status.node.name);
                locale::use_zone(&status.node.time_zone);
                money::use_currency(&status.node.currency);
                self.status = Some(*status);
                self.desk.set_busy(false);
                self.desk.take_making(None);
                self.drop_told_fault();
            }
            Message::Conflicts(page) => {
                self.watch.see_conflicts(&page.conflicts, self.board.own());
                if let Some(sentence) = self.board.replace(page.conflicts) {
                    self.tell(Tone::Waiting, sentence);
                }
                return self.look_at_case();
            }
            Message::Letters(rows) => {
                self.watch.see_letters(&rows, self.board.own());
                return self.letters.replace(rows).map(Request::LookAtLetter);
            }
            Message::Letter(letter) => self.letters.take(*letter),
            Message::Activity(page, before) => return self.activity.take(*page, before),
            Message::Entity(facts) => {
                self.activity.take_facts(&facts);
                if self.wanted_entity() == Some(facts.history.entity) {
                    self.facts = Some(*facts);
                }
            }
            Message::Policy(view) => {
                if let Ok(policy) = Policy::parse(&view.document) {
                    self.rules.policy = policy;
                }
                self.rules.view = Some(*view);
            }
            Message::Invite(invite) => self.desk.take_invite(invite.map(|invite| *invite)),
            Message::Verified(found) => self.verified = Some(*found),
            Message::Doctor(view) => self.desk.take_checkup(*view),
            Message::Why(entity, view) => self.activity.take_why(entity, *view),
            Message::Sticks(found) => self.desk.take_sticks(found),
            Message::Carried(carried) => self.desk.take_carried(carried),
            Message::Making(making) => self.desk.take_making(Some(making)),
            Message::Lost(failure) => self.connection = Connection::Lost(failure),
            Message::Answered { request, outcome } => self.handle_answer(request, outcome),
            // The state of the cloud tells of its own for as long as they hold.
            Message::Fault(kind, _) if kind.is_of_uplink() => {}
            Message::Fault(_, sentence) if self.tells_of(&sentence) => {}
            Message::Fault(_, sentence) => self.tell(Tone::Attention, sentence),
            Message::Raise(tab) => return tab.and_then(|tab| self.show(tab)),
            Message::Code(code) => self.desk.take_code(code),
        }
        None
    }

    /// Takes in what a person did; returns what is to be asked of the client.
    pub fn handle_action(&mut self, action: Action) -> Option<Request> {
        match action {
            Action::Show(tab) => return self.show(tab),
            Action::Turn(step) => return self.show(self.tab.turned(step)),
            Action::Reconnect => {
                self.connection = Connection::Seeking;
                return Some(Request::Reconnect);
            }
            Action::Dismiss => self.notice = None,
            Action::ToggleHelp => self.help = !self.help,
            Action::Write(entry, text) => return self.write(entry, text),
            Action::Case(action) => return self.handle_case(action),
            Action::Letter(action) => return self.handle_letter(action),
            Action::Activity(action) => return self.handle_activity(action),
            Action::Device(action) => {
                if matches!(action, DeviceAction::Open(_)) {
                    let _nothing = self.turn_to(DevicesPage::Machines);
                }
                return self.desk.handle(action, self.status.as_ref());
            }
            Action::Page(page) => return self.turn_to(page),
            Action::Examine => {
                self.turn(Tab::Devices);
                return self.desk.examine();
            }
            Action::Stick(action) => match self.desk.handle_stick(action) {
                Ok(request) => return request,
                Err(sentence) => self.tell(Tone::Attention, sentence.to_owned()),
            },
            Action::Dropped(file) => {
                self.desk.write(Entry::PackFrom, file);
                return self.turn_to(DevicesPage::Stick);
            }
            Action::Network(network) => return Some(Request::Network(network)),
            Action::Undo => return self.undo(),
            Action::SignIn => {
                let token = self.desk.text(&Entry::Token).trim().to_owned();
                return (!token.is_empty()).then_some(Request::SignIn(token));
            }
            Action::SignInByCode => return self.desk.sign_in_by_code(),
            Action::DropSignIn => return Some(Request::DropSignIn),
            Action::Theme(theme) => return self.prefer(|wanted| wanted.theme = theme),
            Action::Scale(scale) => return self.prefer(|wanted| wanted.scale = scale),
            Action::Quiet(quiet) => return self.prefer(|wanted| wanted.quiet = quiet),
            Action::HideTray(hidden) => return self.prefer(|wanted| wanted.hide_tray = hidden),
            // The window itself opens it.
            Action::Browse(_) => {}
            Action::StartNode => return self.begin(Request::Start),
            Action::Found => return self.found(),
            Action::Join => return self.join(),
            Action::CancelJoin => {
                self.desk.set_busy(false);
                self.desk.take_making(None);
                return Some(Request::Cancel);
            }
            Action::KitKept => {
                self.desk.take_making(None);
                return self.begin(Request::KitKept);
            }
        }
        None
    }

    /// What is to be told on the desktop, once.
    pub fn take_alerts(&mut self) -> Vec<Alert> {
        let alerts = self.watch.take();
        if self.preferences.quiet {
            return Vec::new();
        }
        alerts
    }

    /// Whether what is shown is what the node says now.
    pub fn is_current(&self) -> bool {
        self.connection == Connection::Ready
    }

    /// What waits, for the title of the window and the tray.
    pub fn badge(&self) -> Badge {
        let status = self.status.as_ref();
        Badge {
            studio: status.map(|status| status.node.studio_name.clone()),
            answers: self.is_current(),
            conflicts: self.open_conflicts(),
            letters: self.letters.rows().len() as u64,
            pending: status.map_or(0, |status| status.counts.pending),
        }
    }

    /// How many conflicts can be looked at here.
    pub fn open_conflicts(&self) -> u64 {
        self.board.conflicts() as u64
    }

    /// Shows a panel; the keys would cover it.
    fn turn(&mut self, tab: Tab) {
        (self.tab, self.help) = (tab, false);
    }

    fn show(&mut self, tab: Tab) -> Option<Request> {
        self.turn(tab);
        match tab {
            Tab::Activity => self.activity.first(),
            Tab::Conflicts => self.look_at_case(),
            _ => None,
        }
    }

    /// Shows a page of the devices, and asks for what it shows.
    fn turn_to(&mut self, page: DevicesPage) -> Option<Request> {
        self.turn(Tab::Devices);
        self.desk.turn_to(page)
    }

    fn write(&mut self, entry: Entry, text: String) -> Option<Request> {
        match entry {
            Entry::ConflictFilter => {
                self.board.set_filter(text);
                return self.look_at_case();
            }
            Entry::ActivityFilter => return self.activity.write(text),
            Entry::LetterField(field) => self.letters.write(field, text),
            Entry::Reason => self.letters.write_reason(text),
            entry => self.desk.write(entry, text),
        }
        None
    }

    fn handle_case(&mut self, action: CaseAction) -> Option<Request> {
        match action {
            CaseAction::Open(id) => {
                self.board.open(&id);
                self.turn(Tab::Conflicts);
            }
            CaseAction::Step(step) => self.board.step(step),
            CaseAction::Field(step) => self.board.field(step),
            CaseAction::Mine(only_mine) => self.board.set_mine(only_mine),
            CaseAction::Draft(id, draft) => self.board.draft(&id, draft),
            CaseAction::DraftAll(column) => self.draft_all(column),
            CaseAction::Edit(id) => self.board.edit(id),
            CaseAction::Take(id, text) => {
                self.board.draft(&id, Draft::Value(text));
                self.board.edit(None);
            }
            CaseAction::Batch(batch) => self.board.set_batch(batch),
            CaseAction::Apply => return self.apply(),
        }
        self.look_at_case()
    }

    /// The answer that a column stands for, of one conflict: a side, or what stood before.
    pub fn column_draft(&self, id: &str, column: usize) -> Option<Draft> {
        let case = self.board.opened()?;
        let row = case.row(id)?;
        let columns = case.columns(self.board.own());
        match columns.get(column) {
            Some(column) => Some(Draft::Side(side_in(row, column)?.dot.clone())),
            None if column == columns.len() => row.base.is_some().then_some(Draft::Base),
            None => None,
        }
    }

    fn draft_all(&mut self, column: usize) {
        let rows = self.board.opened().map_or(&[][..], Case::rows);
        let ids: Vec<String> = rows.iter().map(|row| row.id.clone()).collect();
        for id in ids {
            if let Some(draft) = self.column_draft(&id, column) {
                self.board.draft(&id, draft);
            }
        }
    }

    fn handle_letter(&mut self, action: LetterAction) -> Option<Request> {
        let asked = match action {
            LetterAction::Open(dot) => return self.letters.open(&dot).map(Request::LookAtLetter),
            LetterAction::Step(step) => return self.letters.step(step).map(Request::LookAtLetter),
            LetterAction::Fix if self.is_current() => self.letters.fix(&self.rules.policy),
            LetterAction::Discard if self.is_current() => self.letters.discard(&self.rules.policy),
            LetterAction::Fix | LetterAction::Discard => Err(silent()),
        };
        asked.unwrap_or_else(|sentence| {
            self.tell(Tone::Attention, sentence);
            None
        })
    }

    fn handle_activity(&mut self, action: ActivityAction) -> Option<Request> {
        match action {
            ActivityAction::Of(device) => self.activity.set_device(device),
            ActivityAction::Standing(standing) => self.activity.set_standing(standing),
            ActivityAction::History(entity, entity_type) => {
                self.turn(Tab::Activity);
                let _first = self.activity.first();
                Some(self.activity.open(entity, entity_type))
            }
            ActivityAction::Step(step) => self.activity.step(step),
            ActivityAction::Why => self.activity.ask_why(),
            ActivityAction::Close => {
                self.activity.close();
                None
            }
            ActivityAction::More => self.activity.more(),
            ActivityAction::Export => Some(Request::Export(self.activity.filter().clone())),
            ActivityAction::Verify => {
                self.verified = None;
                let sentence =
                    "The store is being proved against itself, on a copy. Work goes on meanwhile.";
                self.tell(Tone::Waiting, sentence.to_owned());
                Some(Request::Verify)
            }
        }
    }

    fn apply(&mut self) -> Option<Request> {
        if !self.is_current() {
            self.tell(Tone::Attention, silent());
            return None;
        }
        match self.board.apply() {
            Ok(answers) => answers.map(Request::Resolve),
            Err(sentence) => {
                self.tell(Tone::Attention, sentence);
                None
            }
        }
    }

    fn undo(&mut self) -> Option<Request> {
        let Some(given) = self.board.take_given() else {
            self.tell(
                Tone::Quiet,
                "There is no answer of this window to take back.".to_owned(),
            );
            return None;
        };
        Some(Request::Undo {
            tx: answer::undo(&given),
            label: done::label_of(&given.answers),
        })
    }

    fn prefer(&mut self, change: impl FnOnce(&mut Preferences)) -> Option<Request> {
        change(&mut self.preferences);
        Some(Request::Keep(self.preferences))
    }

    /// The entity of the open question, as the facts on it are wanted.
    fn wanted_entity(&self) -> Option<EntityId> {
        self.board.opened().map(|case| case.head().entity)
    }

    /// Asks for the facts on the open question, unless they are here or another panel is shown.
    fn look_at_case(&mut self) -> Option<Request> {
        let wanted = self.wanted_entity();
        let held = self.facts.as_ref().map(|facts| facts.history.entity);
        if wanted != held {
            self.facts = None;
        }
        let case = self.board.opened().filter(|_| self.tab == Tab::Conflicts)?;
        let ask = self.facts.is_none();
        ask.then(|| Request::LookAt(case.head().entity, case.head().entity_type.clone()))
    }

    /// A fault that the status tells by now is no notice beside it.
    fn drop_told_fault(&mut self) {
        let notice = self.notice.take();
        self.notice = notice.filter(|notice| !self.tells_of(&notice.sentence));
    }

    fn tell(&mut self, tone: Tone, sentence: String) {
        self.notice = Some(Notice { tone, sentence });
    }
}

fn silent() -> String {
    "Nothing was sent: the node does not answer. Try again once it runs.".to_owned()
}
