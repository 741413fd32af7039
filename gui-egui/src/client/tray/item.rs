//! The sign as a StatusNotifierItem: title, tooltip, a painted figure, and a menu.
//!
//! The colour says what the figure and the words say too.

use std::sync::mpsc as blocking;

use ksni::blocking::TrayMethods;
use ksni::menu::StandardItem;
use ksni::{Icon, MenuItem, Status, ToolTip};
use tokio::sync::mpsc;

use crate::message::Message;
use crate::model::{Badge, Tab, Tone, count};

/// Width and height of the picture, pixels.
const SIDE: i32 = 32;
/// Of the disc.
const RADIUS: f32 = 16.0;
/// More does not fit into the picture.
const LARGEST: u64 = 99;
/// The figures, three dots wide and five high, a bit a dot from the left.
const FIGURES: [[u8; 5]; 10] = [
    [7, 5, 5, 5, 7],
    [2, 6, 2, 2, 7],
    [7, 1, 7, 4, 7],
    [7, 1, 3, 1, 7],
    [5, 5, 7, 1, 1],
    [7, 4, 7, 1, 7],
    [7, 4, 7, 5, 7],
    [7, 1, 2, 2, 2],
    [7, 5, 7, 5, 7],
    [7, 5, 7, 1, 7],
];

/// Shows one badge after the other until there are no more.
pub(super) fn keep(told: &blocking::Receiver<Badge>, chosen: mpsc::Sender<Message>) {
    let Ok(badge) = told.recv() else {
        return;
    };
    // A tray that comes up after the window is waited for.
    let item = Item { badge, chosen }.assume_sni_available(true);
    let item = match item.spawn() {
        Ok(item) => item,
        Err(error) => {
            tracing::debug!(%error, "the desktop has no tray");
            return;
        }
    };
    while let Ok(badge) = told.recv() {
        // An import tells many: the last one counts.
        let badge = told.try_iter().last().unwrap_or(badge);
        if item.update(|item| item.badge = badge).is_none() {
            return;
        }
    }
    item.shutdown().wait();
}

struct Item {
    badge: Badge,
    chosen: mpsc::Sender<Message>,
}

impl Item {
    fn choose(&self, tab: Option<Tab>) {
        // A window that takes nothing now is pressed once more.
        let _ = self.chosen.try_send(Message::Raise(tab));
    }

    fn entry(words: String, tab: Option<Tab>) -> MenuItem<Self> {
        MenuItem::Standard(StandardItem {
            label: words,
            activate: Box::new(move |item: &mut Self| item.choose(tab)),
            ..StandardItem::default()
        })
    }
}

impl ksni::Tray for Item {
    fn id(&self) -> String {
        "studiovault".to_owned()
    }

    fn title(&self) -> String {
        self.badge.title()
    }

    fn status(&self) -> Status {
        match self.badge.tone() {
            Tone::Attention => Status::NeedsAttention,
            _ => Status::Active,
        }
    }

    fn icon_pixmap(&self) -> Vec<Icon> {
        vec![picture(&self.badge)]
    }

    fn attention_icon_pixmap(&self) -> Vec<Icon> {
        self.icon_pixmap()
    }

    fn tool_tip(&self) -> ToolTip {
        ToolTip {
            title: self.badge.title(),
            description: self.badge.sentence(),
            ..ToolTip::default()
        }
    }

    fn activate(&mut self, _x: i32, _y: i32) {
        self.choose(None);
    }

    fn menu(&self) -> Vec<MenuItem<Self>> {
        let mut entries = vec![Self::entry("Show the window".to_owned(), None)];
        let waiting = [
            (self.badge.conflicts, Tab::Conflicts),
            (self.badge.letters, Tab::Fixing),
        ];
        for (number, tab) in waiting.into_iter().filter(|(number, _)| *number > 0) {
            let words = format!("{} ({})", tab.title(), count(number));
            entries.push(Self::entry(words, Some(tab)));
        }
        entries
    }
}

/// A disc in the colour of what waits, with its figure; a keyhole if nothing does.
fn picture(badge: &Badge) -> Icon {
    let [red, green, blue] = match badge.tone() {
        Tone::Attention => [0xc4, 0x2b, 0x1c],
        Tone::Waiting => [0x8f, 0x5a, 0x00],
        Tone::Good => [0x0d, 0x74, 0x69],
        Tone::Quiet => [0x53, 0x5e, 0x6b],
    };
    let figure = badge.figure().min(LARGEST);
    let mut data = Vec::with_capacity((SIDE * SIDE * 4) as usize);
    for y in 0..SIDE {
        for x in 0..SIDE {
            let ink = match figure {
                0 => is_keyhole(x, y),
                figure => is_figure((x, y), figure),
            };
            // How much of the pixel lies in the disc.
            let alpha = (RADIUS - distance(x, y, RADIUS)).clamp(0.0, 1.0) * 255.0;
            let colour = if ink { [0xff; 3] } else { [red, green, blue] };
            data.push(alpha as u8);
            data.extend(colour);
        }
    }
    Icon {
        width: SIDE,
        height: SIDE,
        data,
    }
}

/// From the middle of a pixel to the upright through the middle, at this height.
fn distance(x: i32, y: i32, height: f32) -> f32 {
    (x as f32 + 0.5 - RADIUS).hypot(y as f32 + 0.5 - height)
}

fn is_keyhole(x: i32, y: i32) -> bool {
    distance(x, y, 13.0) < 4.6 || ((13..24).contains(&y) && (14..18).contains(&x))
}

/// Whether a pixel belongs to a number of one figure, large, or of two.
fn is_figure((x, y): (i32, i32), number: u64) -> bool {
    let digits = number.to_string().into_bytes();
    let dot = if digits.len() == 1 { 4 } else { 3 };
    let wide = (digits.len() as i32 * 4 - 1) * dot;
    let (left, top) = ((SIDE - wide) / 2, (SIDE - 5 * dot) / 2);
    let (column, row) = ((x - left).div_euclid(dot), (y - top).div_euclid(dot));
    if column < 0 || !(0..5).contains(&row) || column % 4 == 3 {
        return false;
    }
    let digit = digits.get((column / 4) as usize);
    digit.is_some_and(|digit| {
        let figure = FIGURES[usize::from(digit - b'0')];
        (figure[row as usize] >> (2 - column % 4)) & 1 == 1
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn badge(conflicts: u64, pending: u64) -> Badge {
        Badge {
            studio: Some("Lisbon".to_owned()),
            answers: true,
            conflicts,
            pending,
            ..Badge::default()
        }
    }

    /// The pixels that are white, row by row.
    fn white(badge: &Badge) -> Vec<String> {
        let icon = picture(badge);
        let rows = icon.data.chunks(SIDE as usize * 4);
        let text = rows.map(|row| {
            let dots = row.chunks(4).map(|dot| dot[1..] == [0xff; 3]);
            dots.map(|white| if white { '#' } else { '.' }).collect()
        });
        text.collect()
    }

    #[test]
    fn the_figure_stands_in_the_middle_and_nothing_is_a_keyhole() {
        let four = white(&badge(4, 0));
        assert_eq!(four[6], "..........####....####..........");
        assert_eq!(four[14], "..........############..........");
        assert_eq!(four[25], "..................####..........");
        let twelve = white(&badge(12, 0));
        assert_eq!(twelve[8], "........###......#########......");
        assert_eq!(white(&badge(1_000, 0)), white(&badge(99, 0)));
        assert_eq!(white(&badge(0, 0))[20], "..............####..............");
    }

    #[test]
    fn what_needs_a_person_has_another_colour_than_what_waits_for_the_cloud() {
        let ground = |badge: &Badge| picture(badge).data[16 * 4..17 * 4].to_vec();
        assert_ne!(ground(&badge(1, 0)), ground(&badge(0, 1)));
        assert_ne!(ground(&badge(0, 1)), ground(&badge(0, 0)));
        assert_eq!(picture(&badge(1, 0)).data[0], 0, "the corners are clear");
    }
}
