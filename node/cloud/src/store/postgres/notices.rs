//! What other servers announce after their commits: the studios whose feed, roster or policy has changed.
//!
//! An announcement only wakes; what has changed is always read from the tables. So one that is lost costs a moment.

use std::ops::ControlFlow;
use std::time::Duration;

use tokio_postgres::Config;

use super::super::StoreError;
use super::link::Link;

/// The channel of all servers of one database.
pub const CHANNEL: &str = "studiovault_changed";
/// How long one wait takes; in between the follower may leave. Unheard changes are looked for as often.
const TURN: Duration = Duration::from_secs(1);

/// Follows until `changed` breaks. `None` means that anything may have changed.
pub fn follow(config: &Config, changed: &mut dyn FnMut(Option<i64>) -> ControlFlow<()>) {
    loop {
        if let Err(error) = listen(config, changed) {
            tracing::warn!(%error, "changes by other servers are asked for every second until they can be heard again");
            std::thread::sleep(TURN);
            if changed(None).is_break() {
                return;
            }
        } else {
            return;
        }
    }
}

fn listen(
    config: &Config,
    changed: &mut dyn FnMut(Option<i64>) -> ControlFlow<()>,
) -> Result<(), StoreError> {
    let link = Link::open(config)?;
    link.run(link.client.batch_execute(&format!("LISTEN {CHANNEL}")))?;
    // Whatever was announced before.
    if changed(None).is_break() {
        return Ok(());
    }
    loop {
        let heard = link.announced(TURN)?;
        if heard.is_empty() && changed(None).is_break() {
            return Ok(());
        }
        for notice in heard {
            if changed(notice.payload().parse().ok()).is_break() {
                return Ok(());
            }
        }
    }
}
