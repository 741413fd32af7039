//! Opens the window on a data folder.

use std::path::PathBuf;

use anyhow::{Context, Result, anyhow};
use clap::{Parser, ValueEnum};
use studiovault_gui::{App, Place, start, use_system_locale, usual_folder};
use studiovault_protocol::api::DATA_VARIABLE;

/// Shows what of this machine's work is safe where, and what needs a person.
#[derive(Parser)]
#[command(name = "studiovault-window", version)]
struct Options {
    /// The data folder of the machine, as given to `studiovault run`.
    #[arg(long, env = DATA_VARIABLE, value_name = "FOLDER")]
    data: Option<PathBuf>,
    /// The colours, whatever was chosen in the window.
    #[arg(long, value_enum)]
    theme: Option<Theme>,
}

/// Which colours.
#[derive(Clone, Copy, ValueEnum)]
enum Theme {
    /// Those of the desktop.
    System,
    /// Dark ones.
    Dark,
    /// Light ones.
    Light,
}

impl From<Theme> for studiovault_gui::Theme {
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
        .or_else(usual_folder)
        .context("the system does not say where your data belong; name the folder with --data")?;
    use_system_locale();
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
            let wires = start(Place::of(folder), move || ctx.request_repaint())?;
            let app = App::new(&creation.egui_ctx, wires);
            Ok(Box::new(app.with_theme(options.theme.map(Theme::into))))
        }),
    );
    started.map_err(|error| {
        anyhow!("no window can be opened ({error}); on a machine without a display use `studiovault status`")
    })
}
