//! The keys: what each does where, and the list that `?` shows.
//!
//! Keys without Ctrl do nothing while a text is being written.

use egui::{Context, Key, Modifiers};

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

/// What the keys of this frame mean.
pub fn pressed(ctx: &Context, model: &Model) -> Option<Action> {
    let taken = |modifiers, key| ctx.input_mut(|input| input.consume_key(modifiers, key));
    if taken(Modifiers::CTRL | Modifiers::SHIFT, Key::Tab) {
        return Some(Action::Turn(Step::Back));
    }
    if taken(Modifiers::CTRL, Key::Tab) {
        return Some(Action::Turn(Step::Next));
    }
    for (tab, key) in Tab::ALL.into_iter().zip(DIGITS) {
        if taken(Modifiers::COMMAND, key) {
            return Some(Action::Show(tab));
        }
    }
    if ctx.text_edit_focused() {
        return None;
    }
    if ctx.input(|input| input.events.contains(&egui::Event::Text("?".to_owned()))) {
        return Some(Action::ToggleHelp);
    }
    (model.tab == Tab::Conflicts).then(|| in_conflicts(ctx, model))?
}

fn in_conflicts(ctx: &Context, model: &Model) -> Option<Action> {
    let taken = |key| ctx.input_mut(|input| input.consume_key(Modifiers::NONE, key));
    if taken(Key::J) {
        return Some(Action::StepConflict(Step::Next));
    }
    if taken(Key::K) {
        return Some(Action::StepConflict(Step::Back));
    }
    let open = model.board.opened()?;
    for (side, key) in open.sides.iter().zip(DIGITS) {
        if taken(key) {
            return Some(Action::Draft(Draft::Side(side.dot.clone())));
        }
    }
    // With the focus on a button, Enter presses that button.
    let nothing_focused = ctx.memory(|memory| memory.focused().is_none());
    (nothing_focused && model.board.drafted().is_some() && taken(Key::Enter))
        .then_some(Action::Apply)
}
