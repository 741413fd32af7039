//! The colours, dark and light, and the style that widgets take from them.
//!
//! A colour never carries a meaning alone; text on its ground keeps a contrast of at least 4.5 to 1.

use egui::{Color32, Context, CornerRadius, FontId, Stroke, TextStyle, Theme, Ui, Visuals};

use crate::model::Tone;

/// One set of colours.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Palette {
    /// Behind everything.
    pub page: Color32,
    /// Behind the header and the sentence at the bottom.
    pub bar: Color32,
    /// Behind a card.
    pub card: Color32,
    /// Between things.
    pub line: Color32,
    /// Text.
    pub text: Color32,
    /// Text of lesser weight.
    pub weak: Color32,
    /// What can be chosen, and what is chosen.
    pub accent: Color32,
    /// Behind what is chosen.
    pub chosen: Color32,
    /// All is well.
    pub good: Color32,
    /// Something waits by itself.
    pub waiting: Color32,
    /// A person should look.
    pub attention: Color32,
}

const DARK: Palette = Palette {
    page: Color32::from_rgb(0x14, 0x17, 0x1c),
    bar: Color32::from_rgb(0x1b, 0x1f, 0x26),
    card: Color32::from_rgb(0x1f, 0x24, 0x2c),
    line: Color32::from_rgb(0x34, 0x3c, 0x48),
    text: Color32::from_rgb(0xe8, 0xeb, 0xf0),
    weak: Color32::from_rgb(0xa2, 0xad, 0xbb),
    accent: Color32::from_rgb(0x5c, 0xc4, 0xb4),
    chosen: Color32::from_rgb(0x1e, 0x40, 0x3e),
    good: Color32::from_rgb(0x62, 0xc9, 0x8f),
    waiting: Color32::from_rgb(0xe6, 0xb4, 0x55),
    attention: Color32::from_rgb(0xf4, 0x84, 0x72),
};

const LIGHT: Palette = Palette {
    page: Color32::from_rgb(0xf3, 0xf4, 0xf6),
    bar: Color32::from_rgb(0xff, 0xff, 0xff),
    card: Color32::from_rgb(0xff, 0xff, 0xff),
    line: Color32::from_rgb(0xd3, 0xd9, 0xe1),
    text: Color32::from_rgb(0x1b, 0x21, 0x29),
    weak: Color32::from_rgb(0x53, 0x5e, 0x6b),
    accent: Color32::from_rgb(0x0d, 0x74, 0x69),
    chosen: Color32::from_rgb(0xd6, 0xee, 0xea),
    good: Color32::from_rgb(0x10, 0x6e, 0x3c),
    waiting: Color32::from_rgb(0x8f, 0x5a, 0x00),
    attention: Color32::from_rgb(0xbd, 0x34, 0x24),
};

impl Palette {
    /// The one for what is drawn now.
    pub fn of(ui: &Ui) -> Self {
        if ui.visuals().dark_mode { DARK } else { LIGHT }
    }

    /// The colour of a statement.
    pub fn tone(&self, tone: Tone) -> Color32 {
        match tone {
            Tone::Good => self.good,
            Tone::Waiting => self.waiting,
            Tone::Attention => self.attention,
            Tone::Quiet => self.weak,
        }
    }
}

/// Sets both styles; which one holds follows the system.
pub fn install_style(ctx: &Context) {
    ctx.all_styles_mut(|style| {
        style.text_styles = [
            (TextStyle::Small, FontId::proportional(12.5)),
            (TextStyle::Body, FontId::proportional(14.5)),
            (TextStyle::Button, FontId::proportional(14.5)),
            (TextStyle::Heading, FontId::proportional(19.0)),
            (TextStyle::Monospace, FontId::monospace(13.0)),
        ]
        .into();
        style.spacing.item_spacing = egui::vec2(8.0, 6.0);
        style.spacing.button_padding = egui::vec2(10.0, 5.0);
        style.spacing.interact_size.y = 26.0;
    });
    ctx.set_visuals_of(Theme::Dark, visuals(Visuals::dark(), &DARK));
    ctx.set_visuals_of(Theme::Light, visuals(Visuals::light(), &LIGHT));
}

fn visuals(mut visuals: Visuals, palette: &Palette) -> Visuals {
    visuals.override_text_color = None;
    visuals.weak_text_color = Some(palette.weak);
    visuals.panel_fill = palette.page;
    visuals.window_fill = palette.card;
    visuals.faint_bg_color = palette.bar;
    visuals.extreme_bg_color = palette.page;
    visuals.hyperlink_color = palette.accent;
    visuals.warn_fg_color = palette.waiting;
    visuals.error_fg_color = palette.attention;
    visuals.selection.bg_fill = palette.chosen;
    visuals.selection.stroke = Stroke::new(1.5, palette.accent);
    let widgets = &mut visuals.widgets;
    widgets.noninteractive.bg_stroke = Stroke::new(1.0, palette.line);
    for state in [
        &mut widgets.noninteractive,
        &mut widgets.inactive,
        &mut widgets.hovered,
        &mut widgets.active,
        &mut widgets.open,
    ] {
        state.fg_stroke.color = palette.text;
        state.corner_radius = CornerRadius::same(6);
        state.expansion = 0.0;
    }
    widgets.inactive.weak_bg_fill = palette.card;
    widgets.inactive.bg_stroke = Stroke::new(1.0, palette.line);
    widgets.hovered.weak_bg_fill = palette.chosen;
    widgets.hovered.bg_stroke = Stroke::new(1.0, palette.accent);
    widgets.active.weak_bg_fill = palette.chosen;
    widgets.active.bg_stroke = Stroke::new(1.5, palette.accent);
    visuals
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Relative luminance (WCAG 2.2).
    fn luminance(color: Color32) -> f32 {
        let linear = |channel: u8| {
            let share = f32::from(channel) / 255.0;
            if share <= 0.040_45 {
                share / 12.92
            } else {
                ((share + 0.055) / 1.055).powf(2.4)
            }
        };
        0.2126 * linear(color.r()) + 0.7152 * linear(color.g()) + 0.0722 * linear(color.b())
    }

    #[test]
    fn every_text_can_be_read_on_every_ground() {
        for palette in [DARK, LIGHT] {
            let grounds = [palette.page, palette.bar, palette.card, palette.chosen];
            let inks = [
                palette.text,
                palette.weak,
                palette.accent,
                palette.good,
                palette.waiting,
                palette.attention,
            ];
            for ground in grounds {
                for ink in inks {
                    let (one, other) = (luminance(ground), luminance(ink));
                    let contrast = (one.max(other) + 0.05) / (one.min(other) + 0.05);
                    assert!(contrast >= 4.5, "{ink:?} on {ground:?}: {contrast}");
                }
            }
        }
    }
}
