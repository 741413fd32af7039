//! How long a frame of long lists takes: layout and tessellation of 10,000 conflicts and of 100,000 changes.
//!
//! The limit is held to by the 99th of a hundred frames, in the processor's time of this thread: other work on the machine, and
//! what the harness does beside the window, do not move it. Filling the pixels, which a graphics card does, is told and not limited.

use std::time::Duration;

use eframe::egui::FullOutput;

use super::picture::{Picture, Textures};
use super::*;

/// Frames that are measured.
const FRAMES: usize = 300;
/// A frame takes at most this long.
const LIMIT: Duration = Duration::from_millis(4);
/// The size of the README's pictures.
const SIZE: [f32; 2] = [1024.0, 640.0];

/// How long this thread has been at work.
#[cfg(target_os = "linux")]
fn at_work() -> Duration {
    use nix::time::{ClockId, clock_gettime};
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID)
        .expect("Linux counts it")
        .into()
}

/// Elsewhere the time of the wall stands in.
#[cfg(not(target_os = "linux"))]
fn at_work() -> Duration {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.expect("after 1970")
}

/// A list that a hand goes down.
struct Hand {
    app: App,
    ctx: Context,
    textures: Textures,
}

impl Hand {
    /// One frame with a key pressed: what it shows, and how long layout and tessellation took.
    fn frame(&mut self, key: Option<(Modifiers, Key)>) -> (FullOutput, Duration) {
        let mut input = egui::RawInput {
            screen_rect: Some(egui::Rect::from_min_size(egui::Pos2::ZERO, SIZE.into())),
            ..egui::RawInput::default()
        };
        if let Some((modifiers, key)) = key {
            input.events.push(egui::Event::Key {
                key,
                physical_key: None,
                pressed: true,
                repeat: false,
                modifiers,
            });
        }
        let begun = at_work();
        let app = &mut self.app;
        let output = self.ctx.run_ui(input, |ui| {
            app.take_messages(ui.ctx());
            app.draw(ui);
        });
        let shapes = output.shapes.clone();
        let meshes = self.ctx.tessellate(shapes, output.pixels_per_point);
        let took = at_work() - begun;
        assert!(!meshes.is_empty());
        egui_kittest::TestRenderer::handle_delta(&mut self.textures, &output.textures_delta);
        (output, took)
    }

    /// The median and the 99th of a hundred frames.
    fn frames(&mut self, what: &str) -> (Duration, Duration) {
        let down = Some((Modifiers::NONE, Key::J));
        // Letters are drawn into the atlas once.
        for _ in 0..20 {
            self.frame(down);
        }
        let mut took: Vec<Duration> = (0..FRAMES).map(|_| self.frame(down).1).collect();
        took.sort_unstable();
        let (output, laid_out) = self.frame(down);
        let begun = at_work();
        let picture = Picture::of(&self.ctx, &output, &self.textures);
        let filled = at_work() - begun;
        assert_eq!(picture.width, 1024);
        let (p50, p99) = (took[FRAMES / 2], took[FRAMES * 99 / 100]);
        println!(
            "{what}: p50 {p50:?}, p99 {p99:?}; a whole frame with its pixels filled in software {:?}",
            laid_out + filled
        );
        (p50, p99)
    }
}

#[test]
fn ten_thousand_conflicts_and_a_hundred_thousand_changes_are_drawn_in_time() {
    let (tell, messages) = blocking::sync_channel(64);
    let (requests, _asked) = mpsc::channel(4096);
    let ctx = Context::default();
    let mut app = App::new(&ctx, Wires { requests, messages });
    app.clock = || NOW;
    let textures = Textures::default();
    let mut hand = Hand { app, ctx, textures };
    let many = (0..10_000).map(|at| {
        let mut row = two_dates();
        row.id = format!("c-{at}");
        row.entity.0[..4].copy_from_slice(&u32::to_be_bytes(at));
        row
    });
    tell.send(Message::Status(Box::new(three_machines())))
        .unwrap();
    tell.send(page(many.collect())).unwrap();
    tell.send(Message::Activity(Box::new(what_happened(100_000)), None))
        .unwrap();
    hand.frame(Some((CTRL, Key::Num2)));
    let conflicts = hand.frames("10,000 conflicts");
    hand.frame(Some((CTRL, Key::Num4)));
    let changes = hand.frames("100,000 changes");
    assert!(
        conflicts.1 <= LIMIT && changes.1 <= LIMIT,
        "{conflicts:?}, {changes:?}"
    );
}
