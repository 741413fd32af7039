//! The keys: what each does where, and the list that `?` shows.
//!
//! Keys without Ctrl do nothing while a text is being written.

use egui::{Context, Event, Key, Modifiers};

use crate::action::{Action, Step};
use crate::model::{Draft, Model, Tab};

/// All keys, for people.
pub const LIST: [(&str, &str); 8] = [
    ("Ctrl+1 to 3", "show a panel"),
    ("Ctrl+Tab", "next panel, with Shift the one before"),
    ("Tab, Space", "go from part to part, press"),
    ("J, K", "next or previous conflict"),
    ("1 to 9", "choose a side of the open conflict"),
    ("Enter", "apply the chosen answer"),
    ("Ctrl+F or /", "filter the conflicts, Esc leaves"),
    ("?", "show or hide these keys"),
];

const DIGITS: [Key; 9] = [
    Key::Num1,
    Key::Num2,
    Key::Num3,
    Key::Num4,
    Key::Num5,
    Key::Num6,
    Key::Num7,
    Key::Num8,
    Key::Num9,
];

/// Where the keys go.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Focus {
    /// To no part of the window.
    Nowhere,
    /// To a button or the like.
    Part,
    /// Into a text.
    Text,
}

/// One press of a key.
pub type Press = (Modifiers, Key);

/// Where the keys go now.
pub fn focus(ctx: &Context) -> Focus {
    if ctx.text_edit_focused() {
        Focus::Text
    } else if ctx.memory(|memory| memory.focused().is_some()) {
        Focus::Part
    } else {
        Focus::Nowhere
    }
}

/// The presses of this frame, in their order: a quick hand gets several into one frame.
pub fn presses(ctx: &Context) -> Vec<Press> {
    let press = |event: &Event| match event {
        Event::Key {
            key,
            modifiers,
            pressed: true,
            ..
        } => Some((*modifiers, *key)),
        _ => None,
    };
    ctx.input(|input| input.events.iter().filter_map(press).collect())
}

/// Takes a press away from the parts of the window.
pub fn consume(ctx: &Context, (modifiers, key): Press) {
    ctx.input_mut(|input| input.consume_key(modifiers, key));
}

/// What a press means as the window stands.
pub fn meaning(model: &Model, focus: Focus, (modifiers, key): Press) -> Option<Action> {
    let digit = DIGITS.iter().position(|digit| *digit == key);
    if modifiers.command || modifiers.ctrl {
        return match (key, digit) {
            // Without the command flag (a Mac's Ctrl) egui moves the focus by this key itself, to a part that the other
            // panel does not have.
            (Key::Tab, _) if modifiers.shift => {
                modifiers.command.then_some(Action::Turn(Step::Back))
            }
            (Key::Tab, _) => Some(Action::Turn(Step::Next)),
            (_, Some(at)) => Tab::ALL.get(at).copied().map(Action::Show),
            _ => None,
        };
    }
    if focus == Focus::Text || modifiers.alt {
        return None;
    }
    if key == Key::Questionmark {
        return Some(Action::ToggleHelp);
    }
    if model.tab != Tab::Conflicts || modifiers.any() {
        return None;
    }
    let open = model.board.opened();
    match (key, digit) {
        (Key::J, _) => Some(Action::StepConflict(Step::Next)),
        (Key::K, _) => Some(Action::StepConflict(Step::Back)),
        (_, Some(at)) => {
            let side = open?.sides.get(at)?;
            Some(Action::Draft(Draft::Side(side.dot.clone())))
        }
        // With the focus on a button, Enter presses that button.
        (Key::Enter, _) if focus == Focus::Nowhere => model.board.drafted().map(|_| Action::Apply),
        _ => None,
    }
}
