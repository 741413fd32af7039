//! What people should know about the cloud's feed: that it is kept back, or that there are two of it.

use studiovault_protocol::api::Warning;
use studiovault_protocol::engine::{Engine, FeedAlarm};

/// The warnings about the feed.
pub(super) fn warnings(engine: &Engine) -> Vec<Warning> {
    let alarms = engine.feed_alarms().iter();
    alarms.map(|alarm| warning(engine, *alarm)).collect()
}

fn warning(engine: &Engine, alarm: FeedAlarm) -> Warning {
    let name = |device| engine.roster().name(device);
    match alarm {
        FeedAlarm::Forked { with, position } => {
            let other = with.map_or("the cloud itself", name);
            Warning {
                code: "FEED_FORKED".into(),
                sentence: format!(
                    "This machine and {other} have different feeds of the cloud, from position {position} at the latest. Each keeps its own; nothing of the other counts here."
                ),
                next_step: "Work on: nothing is lost. Whoever runs the cloud looks whether two servers use its key, or whether an older copy of its database runs; leave every machine as it is until that is known.".into(),
                kind: None,
            }
        }
        FeedAlarm::Withheld { by, told, known } => Warning {
            code: "FEED_WITHHELD".into(),
            sentence: format!(
                "The cloud's feed goes up to position {known}, and {} has passed on {told} of it for a while.",
                name(by)
            ),
            next_step: format!(
                "Look at `studiovault doctor` on {0}; if it finds nothing, take {0} off with `studiovault network off` there: another machine carries then.",
                name(by)
            ),
            kind: None,
        },
    }
}
