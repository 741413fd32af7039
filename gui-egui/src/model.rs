//! What is on screen, as plain values: it takes what the client tells and what a person does, and says what to ask for.
//!
//! It knows no egui, no clock and no network, so everything the window shows can be tested without one.

mod board;
mod mesh;
mod sentence;
mod words;

#[cfg(test)]
pub mod fixture;
#[cfg(test)]
mod tests;

pub use board::{Board, Draft};
pub use mesh::{Link, MeshGraph, MeshNode, Place, mesh_graph};
pub use sentence::{Fact, Tone, attention_sentence, cloud_line, pending_facts, safety_sentence};
pub use words::{Age, conflict_title, count, counted, value_text};

use studiovault_protocol::api::{MemberView, NetworkState, PeerView, Status};
use studiovault_protocol::id::DeviceId;
use studiovault_protocol::membership::Role;

use crate::action::{Action, Step};
use crate::message::{Failure, Message, Request};

/// The panels.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Tab {
    /// What is safe where.
    #[default]
    Overview,
    /// What a person has to decide.
    Conflicts,
    /// The machines of the studio.
    Devices,
}

impl Tab {
    /// All of them, in their order on screen.
    pub const ALL: [Self; 3] = [Self::Overview, Self::Conflicts, Self::Devices];

    /// What people call it.
    pub fn title(self) -> &'static str {
        match self {
            Self::Overview => "Overview",
            Self::Conflicts => "Conflicts",
            Self::Devices => "Devices",
        }
    }

    fn turned(self, step: Step) -> Self {
        let by = match step {
            Step::Next => 1,
            Step::Back => Self::ALL.len() - 1,
        };
        let at = Self::ALL.iter().position(|tab| *tab == self).unwrap_or(0);
        Self::ALL[(at + by) % Self::ALL.len()]
    }
}

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

/// Everything on screen.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Model {
    /// Whether the node answers.
    pub connection: Connection,
    /// The panel shown.
    pub tab: Tab,
    /// What the node said of itself last.
    pub status: Option<Status>,
    /// The open questions.
    pub board: Board,
    /// The machine looked at among the devices.
    pub device: Option<DeviceId>,
    /// What came of the last thing.
    pub notice: Option<Notice>,
    /// The keys are shown.
    pub help: bool,
}

impl Model {
    /// Takes in what the client tells.
    pub fn handle_message(&mut self, message: Message) {
        match message {
            Message::Status(status) => {
                self.connection = Connection::Ready;
                self.status = Some(*status);
            }
            Message::Conflicts(page) => {
                if let Some(sentence) = self.board.replace(page.conflicts) {
                    self.tell(Tone::Waiting, sentence);
                }
            }
            Message::Lost(failure) => self.connection = Connection::Lost(failure),
            Message::Answered { request, outcome } => self.handle_answer(request, outcome),
            Message::Fault(sentence) => self.tell(Tone::Attention, sentence),
        }
    }

    /// Takes in what a person did; returns what is to be asked of the client.
    pub fn handle_action(&mut self, action: Action) -> Option<Request> {
        match action {
            Action::Show(tab) => self.tab = tab,
            Action::Turn(step) => self.tab = self.tab.turned(step),
            Action::Reconnect => {
                self.connection = Connection::Seeking;
                return Some(Request::Reconnect);
            }
            Action::OpenDevice(device) => {
                self.device = Some(device);
                self.tab = Tab::Devices;
            }
            Action::OpenConflict(id) => {
                self.board.open(&id);
                self.tab = Tab::Conflicts;
            }
            Action::StepConflict(step) => self.board.step(step),
            Action::FilterConflicts(text) => self.board.filter(text),
            Action::Draft(draft) => self.board.draft(draft),
            Action::Apply => return self.apply(),
            Action::Dismiss => self.notice = None,
            Action::ToggleHelp => self.help = !self.help,
            Action::Network(network) => return Some(Request::Network(network)),
        }
        None
    }

    /// Whether what is shown is what the node says now.
    pub fn is_current(&self) -> bool {
        self.connection == Connection::Ready
    }

    /// The members that are machines, this one first, then by name; the cloud is none.
    pub fn machines(&self) -> Vec<&MemberView> {
        let Some(status) = &self.status else {
            return Vec::new();
        };
        machines_of(status)
    }

    /// The link to a machine, if one stands.
    pub fn peer(&self, device: DeviceId) -> Option<&PeerView> {
        let status = self.status.as_ref()?;
        status.peers.iter().find(|peer| peer.device == device)
    }

    /// The title of the window: what waits for a person stands in front, so that it shows in a task bar.
    pub fn window_title(&self) -> String {
        let Some(status) = &self.status else {
            return "StudioVault".to_owned();
        };
        let open = self.open_conflicts();
        let badge = match (open, status.counts.pending) {
            (0, 0) => String::new(),
            (0, pending) => format!("({} pending) ", count(pending)),
            (open, _) => format!("({}) ", counted(open, "conflict")),
        };
        format!("{badge}StudioVault - {}", status.node.studio_name)
    }

    /// How many conflicts can be looked at here.
    pub fn open_conflicts(&self) -> u64 {
        self.board.rows().len() as u64
    }

    fn apply(&mut self) -> Option<Request> {
        if !self.is_current() {
            let sentence = "Nothing was sent: the node does not answer. Apply again once it runs.";
            self.tell(Tone::Attention, sentence.to_owned());
            return None;
        }
        match self.board.apply() {
            Ok(request) => request,
            Err(sentence) => {
                self.tell(Tone::Attention, sentence);
                None
            }
        }
    }

    fn handle_answer(&mut self, request: Request, outcome: Result<(), String>) {
        let done = match &request {
            Request::Reconnect => return,
            Request::Resolve { id, label, .. } => {
                self.board.answered(id, outcome.is_ok());
                format!(
                    "Resolved: {label}. The answer is a change like any other and can be changed again."
                )
            }
            Request::Network(NetworkState::Offline) => {
                "This machine is off the network. It keeps working, and its changes wait here."
                    .to_owned()
            }
            Request::Network(NetworkState::Online) => {
                "This machine is back on the network.".to_owned()
            }
        };
        match outcome {
            Ok(()) => self.tell(Tone::Good, done),
            Err(sentence) => self.tell(Tone::Attention, sentence),
        }
    }

    fn tell(&mut self, tone: Tone, sentence: String) {
        self.notice = Some(Notice { tone, sentence });
    }
}

/// The members that are machines, this one first, then by name.
fn machines_of(status: &Status) -> Vec<&MemberView> {
    let mut machines: Vec<&MemberView> = status
        .members
        .iter()
        .filter(|member| member.role != Role::Cloud)
        .collect();
    machines.sort_by_key(|member| {
        let elsewhere = member.device != status.node.device;
        (elsewhere, member.name.to_lowercase(), member.device)
    });
    machines
}
