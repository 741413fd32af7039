//! Everything a person can do in the window.
//!
//! Views return actions and change nothing themselves.

use studiovault_protocol::api::NetworkState;
use studiovault_protocol::id::{DeviceId, EntityId};
use studiovault_protocol::membership::Role;

use crate::message::Theme;
use crate::model::{DevicesPage, Draft, Standing, Tab};

/// One thing a person did.
#[derive(Clone, PartialEq, Debug)]
pub enum Action {
    /// Show another tab.
    Show(Tab),
    /// Show the next tab, or the one before.
    Turn(Step),
    /// Look for the node now.
    Reconnect,
    /// Put the last notice away.
    Dismiss,
    /// Show or hide the keys.
    ToggleHelp,
    /// Write into a field of the window.
    Write(Entry, String),
    /// Do something to the open conflicts.
    Case(CaseAction),
    /// Do something to a letter.
    Letter(LetterAction),
    /// Do something to the list of what happened.
    Activity(ActivityAction),
    /// Do something to the machines of the studio.
    Device(DeviceAction),
    /// Show a page of the panel of devices.
    Page(DevicesPage),
    /// Look at every stage from the adapter to the cloud's sign-in, and show what is found.
    Examine,
    /// Do something with packs for a USB stick.
    Stick(StickAction),
    /// A file was dropped on the window.
    Dropped(String),
    /// Take this machine off the network, or back on.
    Network(NetworkState),
    /// Take the last answer back.
    Undo,
    /// Hand the token that was typed to the node.
    SignIn,
    /// Sign in by a code that somebody approves elsewhere.
    SignInByCode,
    /// Wait no more for that.
    DropSignIn,
    /// Change the colours.
    Theme(Theme),
    /// Change the size of everything, in percent.
    Scale(u16),
    /// Say nothing on the desktop, or do.
    Quiet(bool),
    /// Show no sign in the tray, or do.
    HideTray(bool),
    /// Open a page in the browser.
    Browse(String),
    /// Start the node.
    StartNode,
    /// Found a studio with the names that were typed.
    Found,
    /// Join a studio with the code that was typed.
    Join,
    /// Join no more.
    CancelJoin,
    /// The recovery kit is kept.
    KitKept,
}

/// What is done to the open conflicts.
#[derive(Clone, PartialEq, Debug)]
pub enum CaseAction {
    /// Look at one, by the id of one of its conflicts.
    Open(String),
    /// Look at the next one shown, or the one before.
    Step(Step),
    /// Go to the next field, or the one before.
    Field(Step),
    /// Show only those that this machine has a side in, or all.
    Mine(bool),
    /// Prepare an answer to one conflict, by its id; nothing is sent yet.
    Draft(String, Draft),
    /// Prepare the answer of one column to every field.
    DraftAll(usize),
    /// Write a value of one's own for the field, by the conflict's id; or stop writing.
    Edit(Option<String>),
    /// Take the value that was written for a conflict, by its id.
    Take(String, String),
    /// Give the same answers to all that are alike, or not.
    Batch(bool),
    /// Send the prepared answers.
    Apply,
}

/// What is done to letters.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum LetterAction {
    /// Look at one, by its dot.
    Open(String),
    /// Look at the next one, or the one before.
    Step(Step),
    /// Send it again with the values that were typed.
    Fix,
    /// Give it up for the reason that was typed.
    Discard,
}

/// What is done to the list of what happened.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ActivityAction {
    /// Show those of one machine only, or of all.
    Of(Option<String>),
    /// Show those that stand so only, or all.
    Standing(Option<Standing>),
    /// Look at the history of an entity of a type.
    History(EntityId, String),
    /// Look at the next row, or the one before.
    Step(Step),
    /// Ask why the record of the open history is not everywhere.
    Why,
    /// Close the history.
    Close,
    /// Look further back.
    More,
    /// Write what is shown into a file.
    Export,
    /// Prove the store against itself.
    Verify,
}

/// What is done to the machines.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum DeviceAction {
    /// Look at one.
    Open(DeviceId),
    /// Give it another role.
    Role(DeviceId, Role),
    /// Let it win, or not, over edits made at the same time.
    Priority(DeviceId, i32),
    /// Let it carry to the cloud before the others.
    Prefer(DeviceId),
    /// Ask whether something that cannot be taken back is meant; or take the question back.
    Ask(Option<Grave>),
    /// It is meant.
    Confirm(Grave),
    /// Show an invite for a role.
    Invite(Role),
    /// Hand over the words that were heard.
    SayWords,
    /// Take the invite back.
    Withdraw,
}

/// What is done with packs for a USB stick.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum StickAction {
    /// Only what a machine of that name lacks, or everything.
    LackingAt(Option<String>),
    /// Replace a file that is there already, or not.
    Replace(bool),
    /// Write it there.
    Onto(String),
    /// Make the pack.
    Make,
    /// Take the pack in.
    Take,
    /// End what is under way.
    Stop,
}

/// What cannot be taken back.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Grave {
    /// A machine is shut out.
    Revoke(DeviceId),
    /// What a machine had written and took with it is waited for no more.
    Lose(DeviceId),
    /// This machine takes its leave.
    Retire,
}

/// A field of the window that is written into.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Entry {
    /// What narrows the conflicts down.
    ConflictFilter,
    /// What narrows the activity down.
    ActivityFilter,
    /// A field of the open letter.
    LetterField(String),
    /// Why the open letter is given up.
    Reason,
    /// The words that were heard.
    Words,
    /// The token for the cloud.
    Token,
    /// The code of an invite.
    Code,
    /// Where the machine that invites is.
    Address,
    /// What this machine will be called.
    MachineName,
    /// What the studio will be called.
    StudioName,
    /// Where a pack is to be written.
    PackTo,
    /// Which pack is to be taken in.
    PackFrom,
}

/// Forth or back in a list.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Step {
    /// To the next one.
    Next,
    /// To the one before.
    Back,
}
