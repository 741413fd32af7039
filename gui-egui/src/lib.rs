//! The window of one machine of a studio: what is safe where, and what needs a person.
//!
//! It speaks the local API like any other application, so it can be closed, opened again, or never used at all.

mod action;
mod app;
mod client;
mod failure;
mod folder;
mod message;
mod model;
mod view;

pub use app::App;
pub use client::{Place, Wires, start};
pub use folder::usual_folder;
pub use message::Theme;
pub use model::use_system_locale;
