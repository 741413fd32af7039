//! What a screen reader is told: every part that can be pressed or written into has a name, on every panel; and in a window of
//! the smallest promised size, or at twice the size, no part lies beyond its sides, but for tables that are moved sideways.

use egui::accesskit::Role;
use egui_kittest::kittest::NodeT;

use super::*;

/// The sizes in points: the smallest promised, and the same at twice the scale.
const SIZES: [[f32; 2]; 2] = [[1024.0, 640.0], [512.0, 320.0]];

/// The window on something of everything, on each panel and page in turn.
fn on_every_page(size: [f32; 2], mut look: impl FnMut(&Stage, &str)) {
    let mut stage = Stage::painted(Textures::default(), egui::Theme::Dark, size);
    stage.tell(Message::Status(Box::new(three_machines())));
    let mut rows = two_fields_three_machines();
    rows.extend([two_prices(), deleted_and_edited()]);
    stage.tell(page(rows));
    stage.tell(Message::Letters(vec![a_bad_day(), a_stuck_sale()]));
    stage.tell(Message::Activity(Box::new(what_happened(300)), None));
    stage.tell(Message::Doctor(Box::new(a_checkup())));
    for (key, name) in [
        (Key::Num1, "overview"),
        (Key::Num2, "conflicts"),
        (Key::Num3, "needs fixing"),
        (Key::Num4, "activity"),
        (Key::Num6, "settings"),
        (Key::Num5, "devices"),
    ] {
        stage.press(Modifiers::COMMAND, key);
        look(&stage, name);
    }
    for name in ["Doctor", "USB stick"] {
        stage.click(name);
        look(&stage, name);
    }
    stage.press(Modifiers::COMMAND, Key::Num6);
    stage.click("Sign in anew by a code");
    stage.tell(Message::Code(a_code()));
    look(&stage, "a code to sign in with");
}

fn is_a_part(role: Role) -> bool {
    matches!(
        role,
        Role::Button
            | Role::CheckBox
            | Role::ComboBox
            | Role::Link
            | Role::MultilineTextInput
            | Role::PasswordInput
            | Role::RadioButton
            | Role::Slider
            | Role::TextInput
    )
}

/// Whether a part is of a conflict's table: with three machines it is moved sideways at twice the size.
fn is_a_cell(label: &str) -> bool {
    let cells = [
        "Use the ",
        "Edit ",
        "Rename the other one ",
        "Own value of ",
    ];
    cells.iter().any(|cell| label.starts_with(cell))
}

#[test]
fn every_part_has_a_name_for_a_screen_reader() {
    on_every_page(SIZES[0], |stage, name| {
        let parts = stage.harness.root().children_recursive();
        let mut seen = 0;
        for part in parts {
            let part = part.accesskit_node();
            if !is_a_part(part.role()) {
                continue;
            }
            seen += 1;
            let label = part.label().unwrap_or_default();
            assert!(!label.trim().is_empty(), "{name}: {part:?} has no name");
        }
        assert!(seen >= 7, "{name}: only {seen} parts");
    });
}

#[test]
fn no_part_lies_beyond_the_sides_of_a_small_window_nor_at_twice_the_size() {
    for size in SIZES {
        on_every_page(size, |stage, name| {
            for part in stage.harness.root().children_recursive() {
                if !is_a_part(part.accesskit_node().role()) {
                    continue;
                }
                let rect = part.rect();
                let inside = rect.left() >= -1.0 && rect.right() <= size[0] + 1.0;
                let label = part.accesskit_node().label().unwrap_or_default();
                let scrolls = is_a_cell(&label) && size != SIZES[0];
                assert!(
                    inside || scrolls,
                    "{name} at {size:?}: {label} stands at {rect:?}"
                );
            }
        });
    }
}
