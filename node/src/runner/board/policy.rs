//! What people should know about policies: who uses another one, and what cannot be read here.

use studiovault_protocol::api::{Counts, Warning};
use studiovault_protocol::engine::Engine;

/// The warnings about policies and what is unknown here.
pub(super) fn warnings(engine: &Engine, counts: &Counts) -> Vec<Warning> {
    let mut warnings = Vec::new();
    let policies = engine.policies();
    if let Some(newer) = policies.unreadable() {
        warnings.push(Warning {
            code: "POLICY_UNREADABLE".into(),
            sentence: format!(
                "Version {} of the policy needs a newer version of the program; version {} is in force here.",
                newer.version,
                policies.in_force().version()
            ),
            next_step: "Update StudioVault on this machine; nothing is lost meanwhile.".into(),
            kind: None,
        });
    }
    let ours = policies.in_force().hash().prefix();
    for (_, session) in engine.sessions().filter(|(_, s)| s.policy != ours) {
        let name = engine.roster().name(session.device);
        warnings.push(Warning {
            code: "POLICY_DIFFERS".into(),
            sentence: format!("{name} and this machine have different policies in force."),
            next_step:
                "Update StudioVault on the older of the two; both pass everything on meanwhile."
                    .into(),
            kind: None,
        });
    }
    let (opaque, bundles) = (counts.opaque, counts.newer_bundles);
    if opaque > 0 {
        warnings.push(Warning {
            code: "NEEDS_NEWER_VERSION".into(),
            sentence: format!(
                "{opaque} records hold something that this machine does not know: they are read-only here."
            ),
            next_step: "Update StudioVault on this machine, or let the studio's newest policy reach it.".into(),
            kind: None,
        });
    }
    if bundles > 0 {
        warnings.push(Warning {
            code: "NEWER_BUNDLES".into(),
            sentence: format!(
                "{bundles} transactions of others need a newer version of the program: they are kept and passed on, and do not show here."
            ),
            next_step: "Update StudioVault on this machine; its next start takes them up.".into(),
            kind: None,
        });
    }
    warnings
}
