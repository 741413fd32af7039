//! What a person is about to do besides conflicts and letters: to machines, at sign-in, and before there is a node.
//!
//! It holds what was typed and what was asked back; nothing here is sent by itself.

use std::collections::BTreeMap;

use studiovault_protocol::api::{
    DoctorView, InviteRequest, InviteState, InviteView, RoleRequest, Status,
};
use studiovault_protocol::id::DeviceId;
use studiovault_protocol::membership::Role;

use super::checkup::Checkup;
use super::stick::Stick;
use crate::action::{DeviceAction, Entry, Grave, StickAction};
use crate::message::{Carried, Making, Request, SignInCode};

/// A page of the panel of devices.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum DevicesPage {
    /// Who belongs to the studio.
    #[default]
    Machines,
    /// What fails, and what to do.
    Doctor,
    /// Packs for a USB stick.
    Stick,
}

impl DevicesPage {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Machines, Self::Doctor, Self::Stick];

    /// What people call it.
    pub fn title(self) -> &'static str {
        match self {
            Self::Machines => "Machines",
            Self::Doctor => "Doctor",
            Self::Stick => "USB stick",
        }
    }
}

/// What is typed and asked.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Desk {
    typed: BTreeMap<Entry, String>,
    /// The machine looked at.
    device: Option<DeviceId>,
    /// What was pressed and cannot be taken back: asked once more.
    asked: Option<Grave>,
    invite: Option<InviteView>,
    /// How far a new machine has come.
    making: Option<Making>,
    /// The program that makes, joins or starts one is at work.
    busy: bool,
    /// Of the panel of devices.
    page: DevicesPage,
    checkup: Checkup,
    stick: Stick,
    signing_in: Option<SigningIn>,
}

/// A sign-in by a code that is under way.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum SigningIn {
    /// A code is asked for.
    Asking,
    /// Somebody is to approve it.
    Waiting(SignInCode),
}

impl Desk {
    /// What was typed into a field.
    pub fn text(&self, entry: &Entry) -> &str {
        self.typed.get(entry).map_or("", String::as_str)
    }

    /// Which page of the panel of devices is shown.
    pub fn page(&self) -> DevicesPage {
        self.page
    }

    /// What the doctor found.
    pub fn checkup(&self) -> &Checkup {
        &self.checkup
    }

    /// What is being done with packs.
    pub fn stick(&self) -> &Stick {
        &self.stick
    }

    /// The machine looked at.
    pub fn device(&self) -> Option<DeviceId> {
        self.device
    }

    /// What is asked once more.
    pub fn asked(&self) -> Option<Grave> {
        self.asked
    }

    /// The invite of this machine.
    pub fn invite(&self) -> Option<&InviteView> {
        self.invite.as_ref()
    }

    /// How far a new machine has come.
    pub fn making(&self) -> Option<&Making> {
        self.making.as_ref()
    }

    /// The sign-in that is under way.
    pub fn signing_in(&self) -> Option<&SigningIn> {
        self.signing_in.as_ref()
    }

    /// Whether the program that makes, joins or starts a machine is at work.
    pub fn is_busy(&self) -> bool {
        self.busy
    }

    pub(super) fn write(&mut self, entry: Entry, text: String) {
        match entry {
            Entry::PackTo => self.stick.write_to(text),
            Entry::PackFrom => self.stick.write_from(text),
            entry => drop(self.typed.insert(entry, text)),
        }
    }

    pub(super) fn forget(&mut self, entry: &Entry) {
        self.typed.remove(entry);
    }

    pub(super) fn open(&mut self, device: DeviceId) {
        (self.device, self.asked) = (Some(device), None);
    }

    pub(super) fn take_invite(&mut self, invite: Option<InviteView>) {
        let checking = |view: &Option<InviteView>| {
            view.as_ref()
                .is_some_and(|view| view.state == InviteState::Checking)
        };
        if checking(&self.invite) && !checking(&invite) {
            self.forget(&Entry::Words);
        }
        self.invite = invite;
    }

    /// Shows a page; the doctor is asked when he is first looked at.
    pub(super) fn turn_to(&mut self, page: DevicesPage) -> Option<Request> {
        self.page = page;
        match page {
            DevicesPage::Doctor if self.checkup.view().is_none() => self.examine(),
            DevicesPage::Stick => Some(Request::LookForSticks),
            DevicesPage::Machines | DevicesPage::Doctor => None,
        }
    }

    /// Asks the doctor, and shows his page.
    pub(super) fn examine(&mut self) -> Option<Request> {
        self.page = DevicesPage::Doctor;
        let ask = !self.checkup.is_busy();
        self.checkup.begin();
        ask.then_some(Request::Examine)
    }

    pub(super) fn take_checkup(&mut self, view: DoctorView) {
        self.checkup.take(view);
    }

    pub(super) fn checkup_ended(&mut self) {
        self.checkup.failed();
    }

    pub(super) fn handle_stick(
        &mut self,
        action: StickAction,
    ) -> Result<Option<Request>, &'static str> {
        self.stick.handle(action)
    }

    pub(super) fn take_sticks(&mut self, found: Vec<String>) {
        self.stick.take_found(found);
    }

    pub(super) fn take_carried(&mut self, carried: Carried) {
        self.stick.take_carried(carried);
    }

    pub(super) fn carried(&mut self) {
        self.stick.ended();
    }

    /// Asks for a code, unless one is waited for already.
    pub(super) fn sign_in_by_code(&mut self) -> Option<Request> {
        if self.signing_in.is_some() {
            return None;
        }
        self.signing_in = Some(SigningIn::Asking);
        Some(Request::SignInByCode)
    }

    pub(super) fn take_code(&mut self, code: SignInCode) {
        if self.signing_in.is_some() {
            self.signing_in = Some(SigningIn::Waiting(code));
        }
    }

    pub(super) fn sign_in_ended(&mut self) {
        self.signing_in = None;
    }

    pub(super) fn take_making(&mut self, making: Option<Making>) {
        self.making = making;
    }

    pub(super) fn set_busy(&mut self, busy: bool) {
        self.busy = busy;
    }

    /// What a press among the machines asks of the node.
    pub(super) fn handle(
        &mut self,
        action: DeviceAction,
        status: Option<&Status>,
    ) -> Option<Request> {
        let nothing = RoleRequest {
            role: None,
            priority: None,
            gateway_preference: None,
        };
        match action {
            DeviceAction::Open(device) => self.open(device),
            DeviceAction::Ask(asked) => self.asked = asked,
            DeviceAction::Role(device, role) => {
                let role = Some(role);
                return Some(Request::SetRole(device, RoleRequest { role, ..nothing }));
            }
            DeviceAction::Priority(device, priority) => {
                let priority = Some(priority);
                return Some(Request::SetRole(
                    device,
                    RoleRequest {
                        priority,
                        ..nothing
                    },
                ));
            }
            DeviceAction::Prefer(device) => {
                let others = status?
                    .members
                    .iter()
                    .filter(|member| member.device != device);
                let highest = others.map(|member| member.gateway_preference).max();
                let gateway_preference = Some(highest.unwrap_or(0).saturating_add(1));
                let request = RoleRequest {
                    gateway_preference,
                    ..nothing
                };
                return Some(Request::SetRole(device, request));
            }
            DeviceAction::Confirm(grave) => {
                self.asked = None;
                return Some(match grave {
                    Grave::Revoke(device) => Request::Revoke(device),
                    Grave::Lose(device) => Request::Lose(device),
                    Grave::Retire => Request::Retire,
                });
            }
            DeviceAction::Invite(role) => {
                return Some(Request::Invite(InviteRequest {
                    role,
                    ..InviteRequest::default()
                }));
            }
            DeviceAction::SayWords => {
                let words = self.text(&Entry::Words).trim().to_owned();
                return (!words.is_empty()).then_some(Request::SayWords(words));
            }
            DeviceAction::Withdraw => return Some(Request::Withdraw),
        }
        None
    }
}

/// What people call a role.
pub fn role_words(role: Role) -> &'static str {
    match role {
        Role::Admin => "admin",
        Role::Member => "member",
        Role::Cloud => "cloud",
        Role::Guest => "guest",
    }
}
