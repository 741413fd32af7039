//! What passes between the client's thread and the window: told one way, asked the other.
//!
//! Plain values; neither side knows how the other works.

use serde::{Deserialize, Serialize};
use studiovault_protocol::api::{
    ActivityPage, Choice, ConflictPage, ConflictView, DeadLetter, DoctorView, EntityView,
    FixRequest, HistoryPage, InviteRequest, InviteView, NetworkState, PolicyView, RoleRequest,
    Status, TxRequest, VerifyView, WhyView,
};
use studiovault_protocol::fault::FaultKind;
use studiovault_protocol::id::{DeviceId, EntityId};
use studiovault_protocol::time::WallMs;

use crate::failure::Failure;
use crate::model::{ActivityFilter, Alert, Badge, Tab};

/// What the client tells the window.
#[derive(Clone, PartialEq, Debug)]
pub enum Message {
    /// How a person wants the window, as it was kept.
    Preferences(Preferences),
    /// The node answers and says this of itself.
    Status(Box<Status>),
    /// All open questions.
    Conflicts(Box<ConflictPage>),
    /// All open letters.
    Letters(Vec<DeadLetter>),
    /// One letter, with what waits behind it.
    Letter(Box<DeadLetter>),
    /// A page of what happened; after the position if one was named, else the newest.
    Activity(Box<ActivityPage>, Option<u64>),
    /// One entity and its history.
    Entity(Box<EntityFacts>),
    /// The policy in force.
    Policy(Box<PolicyView>),
    /// The invite of this machine; `None` if there is none.
    Invite(Option<Box<InviteView>>),
    /// What a check of the store found.
    Verified(Box<VerifyView>),
    /// What the doctor found.
    Doctor(Box<DoctorView>),
    /// Who holds a record, and of each that does not, why.
    Why(EntityId, Box<WhyView>),
    /// Where sticks are mounted.
    Sticks(Vec<String>),
    /// How far the pack that is under way is.
    Carried(Carried),
    /// What the program that makes or joins a studio says.
    Making(Making),
    /// The node does not answer as it should; another try follows by itself.
    Lost(Failure),
    /// A request came to an end.
    Answered {
        /// Which.
        request: Request,
        /// What came of it; or why it was not taken, as sentences with the next step.
        outcome: Result<Done, String>,
    },
    /// The node reports a fault that nobody can mend here: of what kind, and in words.
    Fault(FaultKind, String),
    /// The window is wanted in front, with this panel if one is named.
    Raise(Option<Tab>),
    /// A code to sign in with, which somebody approves elsewhere.
    Code(SignInCode),
}

/// A code that somebody approves elsewhere.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SignInCode {
    /// What is given there, or read out.
    pub code: String,
    /// The page where.
    pub page: String,
    /// How long it is open.
    pub until: WallMs,
}

/// What came of a request that was taken.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Done {
    /// The read token after the last write: what an undo has seen.
    pub vv: Option<String>,
    /// Of several answers those that were refused, by their place, and why.
    pub refusals: Vec<(usize, String)>,
    /// What a person should know of it.
    pub note: Option<String>,
}

/// How far a pack is: of so many, in the command's own measure.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize)]
pub struct Carried {
    /// Done.
    pub done: u64,
    /// Of so many; 0 while that is not known.
    pub of: u64,
}

/// What is done with a pack for a USB stick.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum PackOrder {
    /// It is made.
    Make {
        /// The file, or the folder that it goes into.
        file: String,
        /// The machine whose lacks alone are wanted; else everything.
        lacking_at: Option<String>,
        /// A file that is there already is replaced.
        replace: bool,
    },
    /// It is taken in.
    Take {
        /// The file.
        file: String,
    },
}

/// How far a new machine has come.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Making {
    /// These two words are read out at the machine that invites.
    Words {
        /// The words.
        words: String,
        /// The machine that invites.
        host: String,
        /// What people call the studio.
        studio: String,
    },
    /// A studio was founded: what is kept in the machine's folder until a person says that it is kept elsewhere.
    Kit(String),
}

/// One entity, as it is shown and how it came to be.
#[derive(Clone, PartialEq, Debug)]
pub struct EntityFacts {
    /// As it is shown; `None` if nothing of it is.
    pub view: Option<EntityView>,
    /// How it came to be.
    pub history: HistoryPage,
}

/// How a person wants the window.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Preferences {
    /// The colours.
    pub theme: Theme,
    /// How large everything is, in percent of what the desktop says; 0 counts as 100.
    pub scale: u16,
    /// Nothing is said on the desktop.
    pub quiet: bool,
    /// There is no sign in the tray.
    pub hide_tray: bool,
}

/// Which colours.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Theme {
    /// Those of the desktop.
    #[default]
    System,
    /// Dark ones.
    Dark,
    /// Light ones.
    Light,
}

/// One answer to one conflict.
#[derive(Clone, PartialEq, Debug)]
pub struct Answer {
    /// The conflict as the person saw it.
    pub conflict: ConflictView,
    /// What they chose.
    pub choice: Choice,
    /// What is written before: the edits as something new.
    pub copy: Option<TxRequest>,
}

/// What the window asks of the client.
#[derive(Clone, PartialEq, Debug)]
pub enum Request {
    /// Look for the node now instead of after the pause.
    Reconnect,
    /// Keep how the window is wanted.
    Keep(Preferences),
    /// Say this on the desktop.
    Notify(Alert),
    /// Show this in the tray, where there is one; or nothing.
    Tray(Option<Badge>),
    /// Answer conflicts.
    Resolve(Vec<Answer>),
    /// Take answers back.
    Undo {
        /// The commands that do.
        tx: TxRequest,
        /// What people call what it is about.
        label: String,
    },
    /// Send a letter again.
    Fix {
        /// Which.
        dot: String,
        /// What people call what it is about.
        label: String,
        /// What changes.
        fix: FixRequest,
    },
    /// Give a letter up.
    Discard {
        /// Which.
        dot: String,
        /// What people call what it is about.
        label: String,
        /// Why.
        reason: String,
    },
    /// Look at one letter.
    LookAtLetter(String),
    /// Look at one entity of a type, and go on doing so when it changes.
    LookAt(EntityId, String),
    /// More of what happened; the newest if no position is named.
    Activity(Option<u64>),
    /// Write what the filter lets through into a file.
    Export(ActivityFilter),
    /// Prove the store against itself.
    Verify,
    /// Look at every stage from the adapter to the cloud's sign-in.
    Examine,
    /// Say who holds a record, and of each that does not, why.
    Why(EntityId),
    /// Say where sticks are mounted.
    LookForSticks,
    /// Make a pack, or take one in.
    Carry(PackOrder),
    /// End the pack that is under way.
    DropPack,
    /// Take this machine off the network, or back on.
    Network(NetworkState),
    /// Show an invite.
    Invite(InviteRequest),
    /// The words that the other machine's person read out.
    SayWords(String),
    /// Take the invite back.
    Withdraw,
    /// Give a machine another place.
    SetRole(DeviceId, RoleRequest),
    /// Shut a machine out.
    Revoke(DeviceId),
    /// Wait no more for what a machine had written and took with it.
    Lose(DeviceId),
    /// This machine takes its leave.
    Retire,
    /// A new token for the cloud.
    SignIn(String),
    /// Sign in by a code that somebody approves elsewhere.
    SignInByCode,
    /// Wait no more for that.
    DropSignIn,
    /// Start the node of the folder.
    Start,
    /// The recovery kit is kept elsewhere: take it away here, and start the node.
    KitKept,
    /// Found a studio in the folder.
    Found {
        /// What people call this machine.
        name: String,
        /// What people call the studio.
        studio: String,
    },
    /// Join a studio.
    Join {
        /// The code that the other machine shows.
        code: String,
        /// What people call this machine.
        name: String,
        /// Where the other machine is, if it is not found by itself.
        at: String,
    },
    /// Join no more.
    Cancel,
}
