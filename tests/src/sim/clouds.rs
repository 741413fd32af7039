//! The cloud truth in the world: the real one in memory, behind a network that loses requests and answers.

use std::collections::BTreeMap;

use studiovault_cloud::{BareError, BareTruth, Founding};
use studiovault_node::driver::{Event, Request};
use studiovault_protocol::cloud::{BatchRequest, Changes, ChangesRequest, EnrolRequest, Known};
use studiovault_protocol::event::{OrderKind, UplinkEvent, UplinkFailure};
use studiovault_protocol::feed::Page;
use studiovault_protocol::frontier::Frontier;
use studiovault_protocol::id::{Author, DeviceId, PublicKey, StudioId};
use studiovault_protocol::keys::SecretKey;
use studiovault_protocol::time::WallMs;

use super::dice::Dice;
use super::world::{Happening, World, author_of};

/// A node gives a request up after this long, ms.
const GIVE_UP_MS: u64 = 3_000;

/// The cloud and who waits for news.
pub struct Cloud {
    /// The truth.
    pub truth: BareTruth,
    /// As an author.
    pub author: Author,
    /// Signs its feed.
    pub key: SecretKey,
    /// It does not answer.
    pub is_out: bool,
    /// It says that it is busy instead of nothing.
    pub is_busy: bool,
    waiting: Vec<(usize, u64, ChangesRequest)>,
}

impl Cloud {
    /// A fresh truth that has enrolled the studio.
    pub fn new((studio, root): (StudioId, PublicKey), dice: &mut Dice, at: WallMs) -> Self {
        let key = SecretKey::from_seed(dice.bytes());
        let author = author_of(dice);
        let request = EnrolRequest {
            studio,
            name: "Studio".into(),
            root,
            genesis: Vec::new(),
        };
        let founding = Founding {
            studio: request,
            key: key.clone(),
            cloud: author,
            at,
        };
        Self {
            truth: BareTruth::new(founding).expect("a truth in memory"),
            author,
            key,
            is_out: false,
            is_busy: false,
            waiting: Vec::new(),
        }
    }

    /// What is heard of it while it does not answer.
    fn silence(&self) -> UplinkFailure {
        if self.is_busy {
            let detail = "busy".into();
            UplinkFailure::Busy {
                retry_after_ms: 500,
                detail,
            }
        } else {
            UplinkFailure::Unreachable("connection refused".into())
        }
    }

    /// The last counter of every author that it holds, by its own feed.
    pub fn held(&self, at: WallMs) -> BTreeMap<Author, u64> {
        let mut held: BTreeMap<Author, u64> = BTreeMap::new();
        for bytes in self.feed(at).iter().flat_map(|part| &part.pages) {
            let page = Page::decode(&bytes.0[..]).expect("the truth's own page");
            for named in page.named() {
                let known = held.entry(named.author).or_default();
                *known = named.last.max(*known);
            }
        }
        held
    }

    /// What whoever asks hears instead of an answer, if it gets none.
    fn refuses(&self, device: DeviceId) -> Option<UplinkFailure> {
        if self.is_out {
            return Some(self.silence());
        }
        let is_out = self.truth.is_shut_out(device).expect("memory answers");
        is_out.then(shut_out)
    }

    /// Everything that it tells, from the beginning.
    pub fn feed(&self, at: WallMs) -> Vec<Changes> {
        let (mut parts, mut since) = (Vec::new(), 0);
        loop {
            let request = ChangesRequest {
                device: self.author.device,
                since,
                have: Frontier::default(),
                known: Known::default(),
                wait_s: 0,
            };
            let part = self.truth.changes(&request, at).expect("memory answers");
            let pages = part.pages.last().map(|bytes| {
                let page = Page::decode(&bytes.0[..]);
                page.expect("the truth's own page").last()
            });
            let Some(last) = pages else {
                return parts;
            };
            since = last;
            parts.push(part);
        }
    }
}

fn shut_out() -> UplinkFailure {
    UplinkFailure::ShutOut("shut out".into())
}

fn kind_of(request: &Request) -> OrderKind {
    match request {
        Request::Probe(_) => OrderKind::Probe,
        Request::Batch(_) => OrderKind::Batch,
        Request::Changes(_) => OrderKind::Changes,
        Request::Tail(_) => OrderKind::Tail,
    }
}

impl World {
    /// A machine sends a request.
    pub fn request(&mut self, at: usize, mut request: Request) {
        let (run, kind) = (self.nodes[at].run, kind_of(&request));
        self.trace.note(
            self.now,
            format_args!("node {at} asks the cloud: {kind:?}"),
            &[],
        );
        let healed = self.is_healed;
        if let Request::Batch(batch) = &request {
            let asks = batch.only.is_some() || !batch.stuck.is_empty();
            match batch.bundles.is_empty() && !asks {
                true => self.checks.tellings += 1,
                false => self.checks.batches += 1,
            }
            if let Some(cloud) = &mut self.cloud {
                cloud.waiting.retain(|(node, ..)| *node != at);
            }
        }
        if let Request::Batch(batch) = &request {
            batch
                .bundles
                .iter()
                .for_each(|bytes| self.checks.saw_bytes(&bytes.0));
        }
        if let Request::Batch(batch) = &mut request {
            self.bend(at, batch);
        }
        let loss = if healed {
            0
        } else {
            self.plan.request_loss_permille
        };
        if self.nodes[at].no_uplink || self.cloud.is_none() {
            self.fail(
                (at, run),
                kind,
                (20, UplinkFailure::Unreachable("no route".into())),
            );
        } else if self.dice.happens(loss) {
            self.checks.fault("request lost");
            self.fail(
                (at, run),
                kind,
                (GIVE_UP_MS, UplinkFailure::Unreachable("time-out".into())),
            );
        } else {
            let pause = self.dice.between(5, 150);
            self.after(pause, Happening::Ask(at, run, Box::new(request)));
        }
    }

    /// A lying gateway brings something else.
    fn bend(&mut self, at: usize, batch: &mut BatchRequest) {
        let lies = self.liar.as_ref().is_some_and(|liar| liar.at == at) && !self.is_healed;
        if !lies {
            return;
        }
        let hearer = self.hearer(at, None);
        let liar = self.liar.as_mut().expect("it was just there");
        if let Some(kind) = liar.bend_batch(batch, &hearer) {
            self.checks.fault("lie");
            self.trace.note(
                self.now,
                format_args!("LIE of {at} to the cloud: {kind}"),
                &[],
            );
        }
    }

    fn fail(
        &mut self,
        (at, run): (usize, u64),
        kind: OrderKind,
        (ms, failure): (u64, UplinkFailure),
    ) {
        let event = UplinkEvent::Failed {
            order: kind,
            failure,
        };
        self.after(ms, Happening::Answer(at, run, Box::new(event)));
    }

    /// A request arrives at the cloud.
    pub fn asked(&mut self, at: usize, run: u64, request: Request) {
        let wall = self.wall(None);
        let is_twice = !self.is_healed && self.dice.happens(self.plan.request_twice_permille);
        let kind = kind_of(&request);
        let Some(cloud) = &mut self.cloud else {
            return;
        };
        if let Some(failure) = cloud.refuses(self.nodes[at].device) {
            self.fail((at, run), kind, (30, failure));
            return;
        }
        let answer = match request {
            Request::Probe(_) => UplinkEvent::Probed {
                head: Some(cloud.truth.head().expect("memory answers")),
            },
            Request::Batch(batch) => {
                let mut answer = cloud.truth.batch(&batch, wall);
                if is_twice {
                    answer = cloud.truth.batch(&batch, wall);
                }
                match answer {
                    Ok(answer) => {
                        let may_fork = self.liar.is_some();
                        if let Some(sentence) = answer.not_taken().first().filter(|_| !may_fork) {
                            self.checks
                                .violated(format!("a gateway's batch: {sentence}"));
                        }
                        UplinkEvent::Answered(Box::new(answer))
                    }
                    Err(error) if self.liar.as_ref().is_some_and(|liar| liar.at == at) => {
                        let failure = UplinkFailure::Nonsense(error.to_string());
                        self.fail((at, run), kind, (30, failure));
                        return;
                    }
                    // It brought the record that shuts it out.
                    Err(BareError::ShutOut) => {
                        return self.fail((at, run), kind, (30, shut_out()));
                    }
                    Err(error) => {
                        self.checks
                            .violated(format!("the cloud does not take a batch: {error}"));
                        return;
                    }
                }
            }
            Request::Tail(_) => {
                let told = "a cloud that was never put back is given its feed back";
                self.checks.violated(told.into());
                return;
            }
            Request::Changes(question) => {
                let changes = cloud
                    .truth
                    .changes(&question, wall)
                    .expect("memory answers");
                if changes.pages.is_empty() && question.wait_s > 0 {
                    let wait = u64::from(question.wait_s) * 1_000;
                    cloud.waiting.push((at, run, *question));
                    self.after(wait, Happening::PollEnd(at, run));
                    return;
                }
                UplinkEvent::Changed(Box::new(changes))
            }
        };
        if is_twice {
            self.checks.fault("request twice");
        }
        self.reply((at, run), kind, answer);
        self.spread_news();
    }

    fn reply(&mut self, (at, run): (usize, u64), kind: OrderKind, answer: UplinkEvent) {
        let loss = if self.is_healed {
            0
        } else {
            self.plan.request_loss_permille
        };
        if self.dice.happens(loss) {
            self.checks.fault("answer lost");
            self.fail(
                (at, run),
                kind,
                (GIVE_UP_MS, UplinkFailure::Unreachable("time-out".into())),
            );
        } else {
            let pause = self.dice.between(5, 150);
            self.after(pause, Happening::Answer(at, run, Box::new(answer)));
        }
    }

    /// Those who wait for news get them.
    fn spread_news(&mut self) {
        let wall = self.wall(None);
        let Some(cloud) = &mut self.cloud else {
            return;
        };
        let mut told = Vec::new();
        cloud.waiting.retain(|(at, run, question)| {
            let changes = cloud.truth.changes(question, wall).expect("memory answers");
            let is_news = !changes.pages.is_empty();
            if is_news {
                told.push((*at, *run, changes));
            }
            !is_news
        });
        for (at, run, changes) in told {
            self.reply(
                (at, run),
                OrderKind::Changes,
                UplinkEvent::Changed(Box::new(changes)),
            );
        }
    }

    /// A question has waited long enough.
    pub fn poll_end(&mut self, at: usize, run: u64) {
        let wall = self.wall(None);
        let Some(cloud) = &mut self.cloud else {
            return;
        };
        let is_meant = |(node, asker, _): &(usize, u64, _)| (*node, *asker) == (at, run);
        let Some(place) = cloud.waiting.iter().position(is_meant) else {
            return;
        };
        let (.., question) = cloud.waiting.remove(place);
        cloud.waiting.retain(|waiting| !is_meant(waiting));
        let changes = cloud.truth.changes(&question, wall);
        let answer = UplinkEvent::Changed(Box::new(changes.expect("memory answers")));
        self.reply((at, run), OrderKind::Changes, answer);
    }

    /// An answer arrives.
    pub fn answer(&mut self, at: usize, run: u64, event: UplinkEvent) {
        if self.nodes[at].run == run {
            self.tell(at, Event::Uplink(event));
        }
    }
}
