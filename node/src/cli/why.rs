//! `why`: who holds a thing, and why not everybody.

use clap::Args;
use studiovault_protocol::api::WhyView;

use super::client::escaped;
use super::output::say;
use super::read::show;
use super::{Call, Outcome};

#[derive(Args)]
pub(crate) struct Why {
    /// An entity's id, or the dot of a change as `history` shows it
    id: String,
}

/// `studiovault why`.
pub(crate) fn why(call: &Call, asked: Why) -> Outcome {
    let path = format!("/why/{}", escaped(&asked.id));
    show(call, &path, print)
}

fn print(view: &WhyView) {
    let what = view.entity_type.as_deref().unwrap_or("transaction");
    let stands = view.sync_state.map_or(String::new(), |s| format!("{s}, "));
    let (on, of) = (view.on, view.of);
    say!("{what} {}: {stands}on {on} of {of} machines", view.id);
    let cloud = ("cloud", &view.cloud.sentence, &view.cloud.next_step);
    let machines = view.machines.iter();
    let machines = machines.map(|m| (m.name.as_str(), &m.sentence, &m.next_step));
    let lines: Vec<_> = machines.chain([cloud]).collect();
    let width = lines.iter().map(|(name, ..)| name.chars().count()).max();
    let width = width.unwrap_or(0);
    for (name, sentence, next_step) in lines {
        say!("  {name:<width$}  {sentence}");
        if let Some(next_step) = next_step {
            say!("  {:<width$}  -> {next_step}", "");
        }
    }
}
