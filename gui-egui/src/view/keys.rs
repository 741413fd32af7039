//! The keys: what each does where, and the list that `?` shows.
//!
//! Keys without Ctrl do nothing while a text is being written.

use egui::{Context, Event, Grid, Key, Label, Modifiers, RichText, ScrollArea, Ui};

use super::card::card_ui;
use super::case::Open;
use super::life::offers;
use crate::action::{Action, ActivityAction, CaseAction, LetterAction, Step};
use crate::model::{CaseKind, Draft, Model, Tab};

/// All keys, for people.
pub const LIST: [(&str, &str); 13] = [
    ("Ctrl+1 to 6", "show a panel"),
    ("Ctrl+Tab", "next panel, with Shift the one before"),
    ("Tab, Space", "go from part to part, press"),
    ("J, K", "next or previous conflict, change or row"),
    (
        "Up, Down",
        "the field of the open conflict that keys speak to",
    ),
    (
        "1, 2, ...",
        "choose a machine's side of the field; the number after the last one the base",
    ),
    ("Shift+1, ...", "the same for all fields"),
    ("E", "write a value of your own; Enter takes it, Esc leaves"),
    ("Enter", "apply the chosen answers; send a mended change"),
    ("U", "take the last answer back"),
    ("B", "the same choice for all that are similar"),
    ("Ctrl+F or /", "filter, Esc leaves"),
    ("?", "show or hide these keys; Esc hides them, too"),
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
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Press {
    /// What is held with it.
    pub modifiers: Modifiers,
    /// What it says.
    pub key: Key,
    /// Where it stands, if that is known: with Shift a digit says something else.
    pub place: Option<Key>,
}

impl Press {
    /// Which digit, from 0 for the key 1.
    fn digit(self) -> Option<usize> {
        let of = |key: Key| DIGITS.iter().position(|digit| *digit == key);
        of(self.key).or_else(|| of(self.place.filter(|_| self.modifiers.shift)?))
    }
}

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
            physical_key,
            modifiers,
            pressed: true,
            ..
        } => Some(Press {
            modifiers: *modifiers,
            key: *key,
            place: *physical_key,
        }),
        _ => None,
    };
    ctx.input(|input| input.events.iter().filter_map(press).collect())
}

/// Takes a press away from the parts of the window.
pub fn consume(ctx: &Context, press: Press) {
    ctx.input_mut(|input| input.consume_key(press.modifiers, press.key));
}

/// What a press means as the window stands.
pub fn meaning(model: &Model, focus: Focus, press: Press) -> Option<Action> {
    let Press { modifiers, key, .. } = press;
    if modifiers.command || modifiers.ctrl {
        return match (key, press.digit()) {
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
    if key == Key::Questionmark || model.help && key == Key::Escape {
        return Some(Action::ToggleHelp);
    }
    if model.help {
        // They stand in the panel's place: nothing is pressed that is not seen.
        return None;
    }
    match model.tab {
        Tab::Conflicts => of_case(model, focus, press)
            .map(Action::Case)
            .or_else(|| (key == Key::U && !modifiers.any()).then_some(Action::Undo)),
        Tab::Fixing if !modifiers.any() => of_letter(model, focus, key).map(Action::Letter),
        Tab::Activity if !modifiers.any() => of_activity(model, key).map(Action::Activity),
        _ => None,
    }
}

fn of_case(model: &Model, focus: Focus, press: Press) -> Option<CaseAction> {
    let board = &model.board;
    if let Some(at) = press.digit() {
        if press.modifiers.shift {
            return Some(CaseAction::DraftAll(at));
        }
        let row = board.current()?;
        let draft = match board.opened()?.kind() {
            CaseKind::Life => life_offer(model, at)?,
            CaseKind::Fields | CaseKind::Name => model.column_draft(&row.id, at)?,
        };
        return Some(CaseAction::Draft(row.id.clone(), draft));
    }
    if press.modifiers.any() {
        return None;
    }
    match press.key {
        Key::J => Some(CaseAction::Step(Step::Next)),
        Key::K => Some(CaseAction::Step(Step::Back)),
        Key::ArrowDown if focus == Focus::Nowhere => Some(CaseAction::Field(Step::Next)),
        Key::ArrowUp if focus == Focus::Nowhere => Some(CaseAction::Field(Step::Back)),
        Key::E => Some(CaseAction::Edit(Some(board.current()?.id.clone()))),
        Key::B => (board.alike() > 0).then(|| CaseAction::Batch(!board.is_batch())),
        // With the focus on a button, Enter presses that button.
        Key::Enter if focus == Focus::Nowhere => board.has_drafts().then_some(CaseAction::Apply),
        _ => None,
    }
}

fn life_offer(model: &Model, at: usize) -> Option<Draft> {
    let case = model.board.opened()?;
    let open = Open {
        model,
        case,
        now: Default::default(),
    };
    offers(open).into_iter().nth(at).map(|(draft, _)| draft)
}

fn of_letter(model: &Model, focus: Focus, key: Key) -> Option<LetterAction> {
    match key {
        Key::J => Some(LetterAction::Step(Step::Next)),
        Key::K => Some(LetterAction::Step(Step::Back)),
        Key::Enter if focus == Focus::Nowhere => model.letters.opened().map(|_| LetterAction::Fix),
        _ => None,
    }
}

fn of_activity(model: &Model, key: Key) -> Option<ActivityAction> {
    match key {
        Key::J => Some(ActivityAction::Step(Step::Next)),
        Key::K => Some(ActivityAction::Step(Step::Back)),
        Key::Escape => model.activity.opened().map(|_| ActivityAction::Close),
        _ => None,
    }
}

/// The list of them, in the place of the panel.
pub fn keys_ui(ui: &mut Ui) {
    let scroll = ScrollArea::vertical().id_salt("keys").auto_shrink(false);
    scroll.show(ui, |ui| {
        card_ui(ui, "Keys", |ui| {
            let grid = Grid::new("keys").num_columns(2).spacing([24.0, 4.0]);
            grid.show(ui, |ui| {
                for (key, does) in LIST {
                    ui.label(RichText::new(key).monospace());
                    ui.add(Label::new(does).wrap());
                    ui.end_row();
                }
            });
        });
    });
}
