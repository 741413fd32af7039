//! Who forwards for a studio: told to gateways so that two of them notice each other. Advice only; nothing is refused.

use studiovault_protocol::cloud::GatewayStatus;
use studiovault_protocol::id::DeviceId;
use studiovault_protocol::time::WallMs;

/// Another gateway counts for this long after its last batch, ms.
const RECENT_MS: i64 = 60_000;

/// The newest gateways of a studio. Forgotten at a restart.
#[derive(Clone, Debug, Default)]
pub struct Carriers {
    /// Term, device, and when it last came; of each device the newest.
    seen: Vec<(u64, DeviceId, WallMs)>,
}

impl Carriers {
    /// Notes a batch of `device`, in its term if it is the gateway.
    pub fn note(&mut self, device: DeviceId, term: Option<u64>, now: WallMs) -> GatewayStatus {
        let Some(term) = term else {
            return GatewayStatus::Only;
        };
        let highest = self.seen.iter().map(|(term, ..)| *term).max();
        self.seen
            .retain(|(_, other, at)| *other != device && now.0.saturating_sub(at.0) <= RECENT_MS);
        let status = if highest.is_some_and(|highest| highest > term) {
            GatewayStatus::Stale
        } else if self.seen.is_empty() {
            GatewayStatus::Only
        } else {
            GatewayStatus::Shared
        };
        self.seen.push((term, device, now));
        status
    }
}
