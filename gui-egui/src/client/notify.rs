//! Words on the desktop. A desktop that shows none costs a word in the log, nothing more.

use crate::model::Alert;

/// Shows it, on a thread of its own: a desktop may take its time.
pub(super) fn notify(alert: &Alert) {
    let Alert { title, body } = alert.clone();
    let thread = std::thread::Builder::new().name("desktop".to_owned());
    let started = thread.spawn(move || {
        let shown = notify_rust::Notification::new()
            .appname("StudioVault")
            .summary(&format!("StudioVault: {title}"))
            .body(&body)
            .show();
        if let Err(error) = shown {
            tracing::debug!(%error, "the desktop shows no notifications");
        }
    });
    if let Err(error) = started {
        tracing::debug!(%error, "no thread for a notification");
    }
}
