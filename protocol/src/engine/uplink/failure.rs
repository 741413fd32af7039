//! What a request that failed means: how long to wait, what people are told, and of which kind that is.

use super::{Engine, PROBE_MS};
use crate::event::{Effects, Moment, Notice, OrderKind, UplinkFailure};
use crate::fault::{Fault, FaultKind};

impl Engine {
    pub(super) fn uplink_failed(
        &mut self,
        moment: Moment,
        (order, failure): (OrderKind, UplinkFailure),
        fx: &mut Effects,
    ) {
        let uplink = &mut self.uplink;
        uplink.end(order);
        uplink.probe_at = moment.now.mono.plus(PROBE_MS);
        let is_probe = order == OrderKind::Probe;
        let kind = kind_of(&failure);
        let words = match failure {
            UplinkFailure::Unreachable(detail) | UplinkFailure::Portal(detail) => {
                uplink.view.reachable = false;
                if !is_probe {
                    uplink.line.lengthen(moment, 0);
                }
                detail
            }
            UplinkFailure::Busy {
                retry_after_ms,
                detail,
            } => {
                uplink.line.lengthen(moment, retry_after_ms);
                detail
            }
            UplinkFailure::Broken(detail) => {
                let undecided = self.feed.undecided();
                let narrowed = match order {
                    OrderKind::Batch => uplink.narrowing.broke(moment, &detail, undecided),
                    _ => None,
                };
                match narrowed {
                    Some(base_ms) => uplink.line.lengthen_from(base_ms, moment, 0),
                    None => uplink.line.lengthen(moment, 0),
                }
                detail
            }
            UplinkFailure::Unauthorised(detail) | UplinkFailure::ShutOut(detail) => {
                // The probe goes on and finds out when a new token is taken; people see it in the status.
                (uplink.view.reachable, uplink.view.authorised) = (true, false);
                (uplink.refused, uplink.ask_at_once) = (true, true);
                detail
            }
            UplinkFailure::TooLarge => {
                uplink.narrowing.limit = (uplink.narrowing.limit / 2).max(1);
                return;
            }
            UplinkFailure::Behind { held, detail } => {
                // What this machine cannot give back, another one may have.
                uplink.give_back = (held < self.feed.folded()).then_some(held);
                if uplink.give_back.is_none() {
                    uplink.line.lengthen(moment, 0);
                }
                detail
            }
            UplinkFailure::Nonsense(detail) => {
                uplink.line.lengthen(moment, 0);
                format!("the cloud answered nonsense: {detail}")
            }
        };
        let problem = Fault { kind, words };
        // Told once, however often it is tried again.
        if uplink.problem.as_ref() != Some(&problem) {
            fx.notices.push(Notice::Fault(problem.clone()));
            uplink.problem = Some(problem);
        }
    }
}

fn kind_of(failure: &UplinkFailure) -> FaultKind {
    match failure {
        UplinkFailure::Unreachable(_) => FaultKind::Unreachable,
        UplinkFailure::Portal(_) => FaultKind::Portal,
        UplinkFailure::Unauthorised(_) => FaultKind::SignIn,
        UplinkFailure::ShutOut(_) => FaultKind::ShutOut,
        UplinkFailure::Busy { .. }
        | UplinkFailure::Broken(_)
        | UplinkFailure::Behind { .. }
        | UplinkFailure::TooLarge
        | UplinkFailure::Nonsense(_) => FaultKind::Cloud,
    }
}
