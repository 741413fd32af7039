//! Clocks that differ by more than the tolerance, and which of them is probably the wrong one.

use studiovault_protocol::api::Warning;
use studiovault_protocol::limits::TOLERANCE_MS;

/// By how much, in words.
fn apart(offset_ms: i64) -> String {
    let minutes = offset_ms.abs() / 60_000;
    match minutes {
        0..120 => format!("{minutes} minutes"),
        120..2_880 => format!("{} hours", minutes / 60),
        _ => format!("{} days", minutes / 1_440),
    }
}

/// A warning for each clock that is off; one alone if this machine's is off from all of several others. Each peer with its clock minus
/// this machine's, ms.
pub(super) fn warnings(peers: &[(&str, i64)]) -> Vec<Warning> {
    let is_off = |offset: i64| offset.abs() > TOLERANCE_MS;
    let warning = |sentence, next_step: &str| Warning {
        code: "CLOCK_OFF".into(),
        sentence,
        next_step: next_step.into(),
        kind: None,
    };
    // The many are believed, if they agree.
    let ahead = peers.iter().filter(|(_, offset)| *offset > TOLERANCE_MS);
    let behind = peers.iter().filter(|(_, offset)| *offset < -TOLERANCE_MS);
    let most = ahead.clone().count().max(behind.count());
    if peers.len() > 1 && most == peers.len() {
        let least = peers.iter().map(|(_, offset)| offset.abs()).min();
        let off = apart(least.unwrap_or_default());
        let way = if ahead.count() > 0 {
            "behind"
        } else {
            "ahead of"
        };
        return vec![warning(
            format!("This machine's clock is {off} {way} those of all others in reach."),
            "Set this machine's clock; nothing is lost meanwhile.",
        )];
    }
    let off = peers.iter().filter(|(_, offset)| is_off(*offset));
    let told = off.map(|(name, offset)| {
        let off = apart(*offset);
        warning(
            format!("The clocks of {name} and this machine differ by {off}."),
            "Set the clock of the one that is wrong; nothing is lost meanwhile.",
        )
    });
    told.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3_600_000;

    fn told(peers: &[(&str, i64)]) -> Vec<String> {
        let warnings = warnings(peers).into_iter();
        warnings.map(|warning| warning.sentence).collect()
    }

    #[test]
    fn a_clock_is_named_where_it_is_wrong() {
        assert!(told(&[("desk", TOLERANCE_MS), ("till", -TOLERANCE_MS)]).is_empty());
        assert_eq!(
            told(&[("desk", HOUR), ("till", 0)]),
            ["The clocks of desk and this machine differ by 60 minutes."]
        );
        assert_eq!(
            told(&[("desk", 365 * 24 * HOUR), ("till", 365 * 24 * HOUR + 1)]),
            ["This machine's clock is 365 days behind those of all others in reach."]
        );
        assert_eq!(
            told(&[("desk", -3 * HOUR), ("till", -4 * HOUR)]),
            ["This machine's clock is 3 hours ahead of those of all others in reach."]
        );
        assert_eq!(
            told(&[("desk", HOUR), ("till", -HOUR)]).len(),
            2,
            "who knows"
        );
    }
}
