//! The window of one machine of a studio: what is safe where, and what needs a person.
//!
//! It speaks the local API like any other application, so it can be closed, opened again, or never used at all.

mod action;
mod app;
mod client;
mod folder;
mod message;
mod model;
mod view;

use std::path::PathBuf;

use anyhow::{Context, Result, anyhow};
use clap::{Parser, ValueEnum};
use egui::ThemePreference;
use studiovault_protocol::api::DATA_VARIABLE;

/// Shows what of this machine's work is safe where, and what needs a person.
#[derive(Parser)]
#[command(name = "studiovault-window", version)]
struct Options {
    /// The data folder of the machine, as given to `studiovault run`.
    #[arg(long, env = DATA_VARIABLE, value_name = "FOLDER")]
    data: Option<PathBuf>,
    /// The colours.
    #[arg(long, value_enum, default_value_t)]
    theme: Theme,
}

/// Which colours.
#[derive(Clone, Copy, Default, ValueEnum)]
enum Theme {
    /// Those of the desktop.
    #[default]
    System,
    /// Dark ones.
    Dark,
    /// Light ones.
    Light,
}

impl From<Theme> for ThemePreference {
    fn from(theme: Theme) -> Self {
        match theme {
            Theme::System => Self::System,
            Theme::Dark => Self::Dark,
            Theme::Light => Self::Light,
        }
    }
}

fn main() -> Result<()> {
    let options = Options::parse();
    // A second provider cannot be there: this is the first line of the only main.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let folder = options
        .data
        .or_else(folder::usual_folder)
        .context("the system does not say where your data belong; name the folder with --data")?;
    let viewport = egui::ViewportBuilder::default()
        .with_title("StudioVault")
        .with_app_id("studiovault")
        .with_inner_size([1080.0, 700.0])
        .with_min_inner_size([560.0, 420.0]);
    let native = eframe::NativeOptions {
        viewport,
        ..Default::default()
    };
    let started = eframe::run_native(
        "studiovault",
        native,
        Box::new(move |creation| {
            let ctx = creation.egui_ctx.clone();
            ctx.set_theme(ThemePreference::from(options.theme));
            let wires = client::start(folder, move || ctx.request_repaint())?;
            Ok(Box::new(app::App::new(&creation.egui_ctx, wires)))
        }),
    );
    started.map_err(|error| {
        anyhow!("no window can be opened ({error}); on a machine without a display use `studiovault status`")
    })
}
