//! The uplink as the engine sees it: when to probe, forward and ask, and how long to wait after a failure.
//!
//! Network failures never count against a command: full-jitter backoff, for ever. A refused token pauses the uplink until a
//! probe finds it taken. Batches of which the cloud takes nothing pause by themselves, so that its news goes on coming.

use std::collections::BTreeMap;

use super::Engine;
use super::narrow::{Load, Narrowing};
use crate::cloud::{Changes, Known};
use crate::event::{Effects, Moment, Network, Notice, Order, OrderKind, UplinkEvent};
use crate::fault::{Fault, FaultKind};
use crate::feed::PageError;
use crate::frontier::Range;
use crate::id::Author;
use crate::limits;
use crate::sabotage::Bug;
use crate::time::MonoMs;
use crate::wire;

mod failure;

/// A probe goes out this often while nothing else proves the uplink, ms.
const PROBE_MS: u64 = 4_000;
/// The first and the longest pause after a failure, ms.
const BACKOFF_MS: (u64, u64) = (1_000, 300_000);
/// Seconds that a question for changes waits at the cloud.
const WAIT_S: u8 = 20;

/// The uplink for people.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct UplinkView {
    /// The studio has a cloud truth.
    pub configured: bool,
    /// The last probe or request came back.
    pub reachable: bool,
    /// The token is taken.
    pub authorised: bool,
    /// A batch is under way.
    pub forwarding: bool,
    /// This machine forwards its log, and what that rests on, past a gateway that makes no progress.
    pub escaped: bool,
}

/// The uplink's state. Orders that were given before a person took the machine off the network are void: what comes of them
/// is not heard.
#[derive(Clone, Debug)]
pub(super) struct Uplink {
    view: UplinkView,
    probing: bool,
    asking: bool,
    pub(super) ask_at_once: bool,
    /// The question under way does not wait for news: the feed is being caught up.
    catching_up: bool,
    probe_at: MonoMs,
    /// Of everything, after a failure of the network or the cloud.
    line: Pause,
    /// Of batches, after one of which the cloud took nothing.
    batches: Pause,
    /// Which records were held here at the last order, and which the cloud is known to hold as well.
    records: (Known, Known),
    /// What is wrong with it, for people: gone as soon as it no longer holds.
    problem: Option<Fault>,
    /// The token was refused: nothing is sent but probes.
    refused: bool,
    /// The cloud is behind its own feed, and gets back what comes after this.
    give_back: Option<u64>,
    /// The search for commands on which the cloud breaks.
    pub(super) narrowing: Narrowing,
    /// Since when something of ours has been waiting without the cloud holding more.
    waiting: Option<(MonoMs, BTreeMap<Author, u64>)>,
}

/// A pause that doubles from 1 s to 5 min with every failure in a row, with full jitter.
#[derive(Clone, Copy, Debug)]
struct Pause {
    until: MonoMs,
    failures: u32,
}

impl Pause {
    fn ended(now: MonoMs) -> Self {
        Self {
            until: now,
            failures: 0,
        }
    }

    fn lengthen(&mut self, moment: Moment, at_least_ms: u64) {
        self.lengthen_from(BACKOFF_MS.0, moment, at_least_ms);
    }

    fn lengthen_from(&mut self, base_ms: u64, moment: Moment, at_least_ms: u64) {
        let ceiling = (base_ms << self.failures.min(12)).min(BACKOFF_MS.1);
        self.failures = self.failures.saturating_add(1);
        let pause = moment.entropy % ceiling + 50;
        self.until = moment.now.mono.plus(pause.max(at_least_ms));
    }

    fn lasts(&self, now: MonoMs) -> bool {
        now < self.until
    }
}

impl Uplink {
    pub(super) fn new(configured: bool, now: MonoMs) -> Self {
        Self {
            view: UplinkView {
                configured,
                ..UplinkView::default()
            },
            probing: false,
            asking: false,
            ask_at_once: true,
            catching_up: false,
            probe_at: now,
            line: Pause::ended(now),
            batches: Pause::ended(now),
            records: <(Known, Known)>::default(),
            problem: None,
            refused: false,
            give_back: None,
            narrowing: Narrowing::new(),
            waiting: None,
        }
    }

    pub(super) fn configure(&mut self, configured: bool) {
        self.view.configured = configured;
        if !configured {
            self.problem = None;
        }
    }

    pub(super) fn configured(&self) -> bool {
        self.view.configured
    }

    pub(super) fn view(&self) -> UplinkView {
        self.view
    }

    pub(super) fn next_wake(&self, now: MonoMs) -> MonoMs {
        let mut wake = now.plus(1_000);
        if !self.probing {
            wake = wake.min(self.probe_at);
        }
        if let Some(due) = self.narrowing.next_due().filter(|due| *due > now) {
            wake = wake.min(due);
        }
        for pause in [self.line, self.batches] {
            if pause.lasts(now) {
                wake = wake.min(pause.until);
            }
        }
        wake
    }

    /// An order is under way no more.
    fn end(&mut self, order: OrderKind) {
        match order {
            OrderKind::Probe => self.probing = false,
            OrderKind::Batch => self.view.forwarding = false,
            OrderKind::Changes => {
                (self.asking, self.catching_up) = (false, false);
                self.ask_at_once = true;
            }
            OrderKind::Tail => {
                self.view.forwarding = false;
                self.give_back = None;
            }
        }
    }

    fn succeed(&mut self, now: MonoMs) {
        self.problem = None;
        self.line = Pause::ended(now);
        self.refused = false;
        self.probe_at = now.plus(PROBE_MS);
        (self.view.reachable, self.view.authorised) = (true, true);
    }
}

impl Engine {
    pub(super) fn uplink_tick(&mut self, moment: Moment, fx: &mut Effects) {
        if !self.uplink.view.configured || self.network == Network::Offline {
            return;
        }
        let now = moment.now.mono;
        if !self.uplink.probing && now >= self.uplink.probe_at {
            self.uplink.probing = true;
            fx.orders.push(Order::Probe);
        }
        let lacking = self.cloud_lacks();
        self.watch_progress(now, &lacking);
        let gateway = self.election.is_gateway();
        let carries = gateway || self.uplink.view.escaped;
        if !carries || self.uplink.line.lasts(now) || self.uplink.refused {
            return;
        }
        if self.gives_back(fx) {
            return;
        }
        // Pages that wait for bundles are asked for once more: who brought them may be gone before it brought the bundles.
        let (since, have) = (self.since(), self.have());
        let behind = self.uplink.ask_at_once || self.uplink.catching_up;
        let is_free = !self.uplink.view.forwarding && !behind;
        let narrowing = &mut self.uplink.narrowing;
        let narrowed = if is_free {
            narrowing.load = Load::All;
            narrowing.idle = lacking.is_empty();
            let next = gateway.then(|| narrowing.next(now, self.feed.undecided()));
            next.flatten()
        } else {
            None
        };
        let known = self.known();
        // A revocation must reach the cloud also when nobody writes anything after it.
        let has_news = !lacking.is_empty() || self.uplink.records.1 != known;
        let is_due = has_news && !self.uplink.batches.lasts(now);
        let whole = || (lacking, None, Vec::new());
        if let Some((ranges, only, stuck)) = narrowed.or_else(|| (is_free && is_due).then(whole)) {
            // A batch ends a question that waits for news: its answer would echo the batch.
            (self.uplink.view.forwarding, self.uplink.asking) = (true, false);
            self.uplink.records.0 = known;
            let term = self.election.own().claim;
            let limit = if only.is_some() {
                1
            } else {
                self.uplink.narrowing.limit
            };
            fx.orders.push(Order::Batch {
                term,
                since,
                have,
                ranges,
                limit,
                only,
                stuck,
            });
        } else if !self.uplink.view.forwarding && !self.uplink.asking && (gateway || behind) {
            self.uplink.asking = true;
            self.uplink.records.0 = known;
            self.uplink.catching_up = std::mem::take(&mut self.uplink.ask_at_once);
            let wait_s = if self.uplink.catching_up { 0 } else { WAIT_S };
            fx.orders.push(Order::Changes {
                since,
                have,
                wait_s,
            });
        }
    }

    /// Gives the cloud its own feed back, if it lost the end of it; nothing else goes there meanwhile.
    fn gives_back(&mut self, fx: &mut Effects) -> bool {
        let Some(after) = self.uplink.give_back else {
            return false;
        };
        if !self.uplink.view.forwarding {
            self.uplink.view.forwarding = true;
            let upto = self.feed.folded();
            fx.orders.push(Order::Tail { after, upto });
        }
        true
    }

    /// Which signed records are held here.
    pub fn known(&self) -> Known {
        Known::of(&self.roster, &self.law.policies)
    }

    /// What is wrong with the uplink; `None` if it works.
    pub fn uplink_problem(&self) -> Option<&Fault> {
        self.uplink.problem.as_ref()
    }

    /// A person took the machine off the network, or put it back.
    pub(super) fn switch_uplink(&mut self, now: MonoMs, fx: &mut Effects) {
        self.uplink = Uplink::new(self.uplink.view.configured, now);
        self.tell_uplink();
        fx.notices.push(Notice::UplinkChanged);
    }

    /// The election hears how this machine reaches the cloud.
    fn tell_uplink(&mut self) {
        let view = self.uplink.view;
        self.election.set_uplink(wire::Uplink {
            reachable: view.reachable,
            authorised: view.authorised,
            metered: false,
            battery: false,
            shaky: false,
        });
    }

    /// What is applied here and the cloud has not said that it holds.
    fn cloud_lacks(&self) -> Vec<Range> {
        let chains = self.log.chains();
        chains
            .filter(|(author, _)| {
                self.roster
                    .cloud()
                    .is_none_or(|c| c.grant.device != author.device)
            })
            .filter_map(|(author, chain)| {
                let (upto, _) = chain.applied?;
                let after = self.feed.cloud_holds(author).max(chain.start - 1);
                (upto > after).then_some(Range {
                    author,
                    after,
                    upto,
                })
            })
            .collect()
    }

    /// The escape: an own command over 30 s old, an uplink that works, and a cloud that does not move.
    fn watch_progress(&mut self, now: MonoMs, lacking: &[Range]) {
        let own: BTreeMap<Author, u64> = lacking
            .iter()
            .filter(|range| range.author.device == self.me.device)
            .map(|range| (range.author, range.after))
            .collect();
        if own.is_empty() {
            self.uplink.waiting = None;
            self.uplink.view.escaped = false;
            return;
        }
        match &self.uplink.waiting {
            Some((_, before)) if *before == own => {}
            _ => self.uplink.waiting = Some((now, own)),
        }
        let stuck = self.uplink.waiting.as_ref();
        let stuck = stuck.is_some_and(|(since, _)| now.since(*since) >= limits::ESCAPE_MS);
        let view = self.uplink.view;
        self.uplink.view.escaped =
            stuck && view.reachable && view.authorised && !self.election.is_gateway();
        self.uplink.view.escaped &= !Bug::NoEscape.is_on();
    }

    pub(super) fn uplink_event(&mut self, moment: Moment, event: UplinkEvent, fx: &mut Effects) {
        if self.network == Network::Offline {
            return;
        }
        let before = self.uplink.view;
        let had_problem = self.uplink.problem.is_some();
        let now = moment.now.mono;
        match event {
            UplinkEvent::Probed { head } => {
                if let Some(head) = head {
                    self.hear_cloud_head(head, now);
                }
                self.uplink.probing = false;
                self.uplink.probe_at = now.plus(PROBE_MS);
                self.uplink.refused = false;
                (self.uplink.view.reachable, self.uplink.view.authorised) = (true, true);
                if !before.reachable {
                    self.uplink.line.until = now;
                }
                // It was reached and took the token. What it did to a batch holds for whoever carries one.
                let carries = self.election.is_gateway() || self.uplink.view.escaped;
                let lasts = |fault: &mut Fault| carries && fault.kind == FaultKind::Cloud;
                self.uplink.problem = self.uplink.problem.take_if(lasts);
            }
            UplinkEvent::Answered(answer) => {
                self.uplink.view.forwarding = false;
                self.uplink.succeed(now);
                self.uplink.records.1 = self.uplink.records.0;
                for what in answer.not_taken() {
                    fx.notices.push(Notice::fault(FaultKind::Record, what));
                }
                let brought = self.take_changes(answer.changes, now, fx);
                let narrowing = &mut self.uplink.narrowing;
                let was_whole = narrowing.answered(moment, self.feed.undecided());
                // A batch that only told of records may bring nothing back.
                if brought || self.cloud_lacks().is_empty() {
                    self.uplink.batches = Pause::ended(now);
                } else if was_whole {
                    self.uplink.batches.lengthen(moment, 0);
                }
            }
            UplinkEvent::Changed(changes) => self.changed(moment, *changes, fx),
            UplinkEvent::Returned { head } => {
                self.uplink.view.forwarding = false;
                self.uplink.succeed(now);
                let moved = self.uplink.give_back.is_some_and(|after| after < head);
                self.uplink.give_back = (moved && head < self.feed.folded()).then_some(head);
                self.uplink.ask_at_once = true;
            }
            UplinkEvent::Failed { order, failure } => {
                self.uplink_failed(moment, (order, failure), fx)
            }
        }
        self.tell_uplink();
        if self.uplink.view != before || self.uplink.problem.is_some() != had_problem {
            fx.notices.push(Notice::UplinkChanged);
        }
    }

    /// The cloud answered a question about what is new.
    fn changed(&mut self, moment: Moment, changes: Changes, fx: &mut Effects) {
        // It answers with records only where its own are others. A question that a batch ended says nothing any more.
        let is_same = changes.roster.is_empty() && changes.policies.is_empty();
        if !is_same {
            // What it was told did not reach it, or it lost that since: it is told again.
            self.uplink.records.1 = Known::default();
        } else if self.uplink.asking {
            self.uplink.records.1 = self.uplink.records.0;
        }
        (self.uplink.asking, self.uplink.catching_up) = (false, false);
        let now = moment.now.mono;
        self.uplink.succeed(now);
        let news = !changes.pages.is_empty() && self.asks.reread.is_none();
        if !self.take_changes(changes, now, fx) && news {
            self.uplink.line.lengthen(moment, 0);
        }
    }

    /// Takes the cloud's news in; whether anything of it was new here.
    fn take_changes(&mut self, changes: Changes, now: MonoMs, fx: &mut Effects) -> bool {
        let before = (self.feed.held(), self.log.digest(), self.known());
        // What it brings may rest on a machine that nobody here has heard of yet.
        self.records(changes.roster, None, fx);
        for policy in changes.policies {
            self.policy(policy, None, fx);
        }
        let bundles = changes
            .bundles
            .into_iter()
            .map(|bytes| bytes.0.into())
            .collect();
        self.take_all(bundles, None, fx);
        self.note_reread(&changes.pages);
        for bytes in changes.pages {
            if let Err(error) = self.take_page(bytes.0.into(), None, fx) {
                if let PageError::Broken { position } = error {
                    self.note_fork(None, position, now);
                }
                let words = format!("the cloud's feed: {error}");
                fx.notices.push(Notice::fault(FaultKind::Feed, words));
                return false;
            }
        }
        self.uplink.ask_at_once |= changes.more;
        (self.feed.held(), self.log.digest(), self.known()) != before
    }
}
