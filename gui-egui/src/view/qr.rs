//! An address as a picture that a telephone reads.

use egui::{Color32, Rect, Sense, Ui, WidgetInfo, WidgetType, pos2, vec2};
use qrcodegen::{QrCode, QrCodeEcc};

/// Width and height with the quiet zone, points.
const SIDE: f32 = 168.0;
/// Modules of white around it, as the standard asks for.
const QUIET: i32 = 4;

/// Paints it, dark on white in every theme; nothing if it is too long for one.
pub fn qr_ui(ui: &mut Ui, address: &str) {
    let Ok(code) = QrCode::encode_text(address, QrCodeEcc::Medium) else {
        return;
    };
    let (place, response) = ui.allocate_exact_size(vec2(SIDE, SIDE), Sense::hover());
    let words = format!("The address as a picture for a telephone: {address}");
    response.widget_info(|| WidgetInfo::labeled(WidgetType::Image, true, &words));
    let painter = ui.painter();
    painter.rect_filled(place, 4.0, Color32::WHITE);
    let modules = code.size() + 2 * QUIET;
    // Whole pixels, so that no line stands between two of them.
    let pixels = ui.ctx().pixels_per_point();
    let unit = (SIDE * pixels / modules as f32).floor().max(1.0) / pixels;
    let margin = (SIDE - unit * code.size() as f32) / 2.0;
    let snap = |point: f32| (point * pixels).round() / pixels;
    let origin = pos2(snap(place.min.x + margin), snap(place.min.y + margin));
    for y in 0..code.size() {
        for x in (0..code.size()).filter(|x| code.get_module(*x, y)) {
            let corner = origin + vec2(x as f32, y as f32) * unit;
            let module = Rect::from_min_size(corner, vec2(unit, unit));
            painter.rect_filled(module, 0.0, Color32::BLACK);
        }
    }
}
