//! The engine: everything a node decides, as a plain state machine. [`Input`] in, [`Effects`] out.
//!
//! It keeps frontiers, sessions, election and timers; entity state stays in the store. It assumes that the writes of one
//! effect are durable before its sends go out; if a write fails, the engine is built anew from the store.

use std::collections::{BTreeMap, BTreeSet};

use crate::bundle::{Bundle, Header};
use crate::command::{Change, Command};
use crate::election::Election;
use crate::event::{Effects, Input, LinkId, Moment, Network, Notice, Transaction, Write};
use crate::feed::{FeedIndex, Page};
use crate::id::{Author, DeviceId, Dot, Epoch, Hash, PublicKey};
use crate::keys::SecretKey;
use crate::limits;
use crate::log::LogIndex;
use crate::membership::{Keyring, Rights, Roster};
use crate::policy::PolicyShelf;
use crate::sabotage::Bug;
use crate::session::Session;
use crate::time::{MonoMs, WallMs};
use crate::vector::Vector;

mod changes;
mod doubles;
mod heads;
mod hear;
mod intake;
mod links;
mod narrow;
mod records;
mod rekey;
mod relay;
mod repair;
mod spread;
mod uplink;

pub use changes::{ChangeRefused, Place, RosterChange};
pub use heads::FeedAlarm;
pub use uplink::UplinkView;

/// What makes this machine itself.
#[derive(Clone, Debug)]
pub struct Identity {
    /// Its device id.
    pub device: DeviceId,
    /// Its signing key.
    pub secret: SecretKey,
    /// Random for this run of the process.
    pub run: u64,
    /// The epoch that the first write of this run begins.
    pub fresh_epoch: Epoch,
}

/// What the store hands back at a start.
#[derive(Clone, Debug)]
pub struct Memory {
    /// The rebuilt index.
    pub log: LogIndex,
    /// The rebuilt feed index.
    pub feed: FeedIndex,
    /// All records held.
    pub roster: Roster,
    /// All signed policies held.
    pub policies: PolicyShelf,
}

/// One link and, once its hello checked out, its session.
#[derive(Clone, Debug)]
struct Link {
    key: PublicKey,
    opened_at: MonoMs,
    heard_at: MonoMs,
    session: Option<Session>,
    /// It was made under an earlier key: it serves the roster and the new key alone.
    under_earlier_key: bool,
    /// Who greeted on such a link belongs.
    greeted: bool,
}

/// A bundle or page that others may not have yet.
#[derive(Clone, Debug)]
struct Fresh<T> {
    item: T,
    /// The link that it came by; `None` if it began here or came from the cloud.
    from: Option<LinkId>,
}

/// What came since the last tick and goes out with it.
#[derive(Clone, Debug, Default)]
struct Outbox {
    bundles: Vec<Fresh<Bundle>>,
    pages: Vec<Fresh<Page>>,
}

/// The state machine of one node.
#[derive(Debug)]
pub struct Engine {
    me: Identity,
    law: Law,
    log: LogIndex,
    feed: FeedIndex,
    roster: Roster,
    own: Option<Author>,
    links: BTreeMap<LinkId, Link>,
    election: Election,
    gateway: Option<DeviceId>,
    uplink: uplink::Uplink,
    fresh: Outbox,
    heads: heads::Heads,
    network: Network,
    lan: Lan,
    asks: Asks,
}

/// What is asked of peers and of the cloud truth.
#[derive(Debug)]
struct Asks {
    next_transfer: u32,
    /// Authors of whom something came that does not go with what is held.
    doubts: BTreeSet<Author>,
    /// How far the feed was asked for once more. Its pages are no news then.
    reread: Option<u64>,
    relay: relay::Relay,
}

/// The signed policies, and what of the logs counts by them and the roster.
#[derive(Debug)]
struct Law {
    policies: PolicyShelf,
    rights: Rights,
}

impl Law {
    fn new(policies: PolicyShelf, roster: &Roster, log: &LogIndex) -> Self {
        let rights = Rights::default();
        let mut law = Self { policies, rights };
        law.judge(roster, log);
        law
    }

    /// Works out anew what counts.
    fn judge(&mut self, roster: &Roster, log: &LogIndex) {
        self.rights = Rights {
            aside: log.aside().clone(),
            ..Rights::of(roster, &self.policies)
        };
    }
}

/// Where this machine listens on the LAN, what it knows of the keys under it, and when the next beats go out, to all peers.
#[derive(Clone, Debug)]
struct Lan {
    port: u16,
    keyring: Keyring,
    beat_at: MonoMs,
}

impl Engine {
    /// A node that has just started. It listens for a moment before it claims to be the gateway.
    pub fn new(me: Identity, memory: Memory, moment: Moment) -> Self {
        /// Long enough to hear a running gateway on a LAN, short enough for a lone machine.
        const QUIET_MS: u64 = 1_500;
        let now = moment.now;
        let election = Election::new(me.device, (now.wall, me.run), now.mono, QUIET_MS);
        let Memory {
            log,
            feed,
            roster,
            policies,
        } = memory;
        // After a write that failed the engine is built anew within a run: its epoch goes on, also where another branch of this
        // device is longer by now.
        let own = Author {
            device: me.device,
            epoch: me.fresh_epoch,
        };
        let mut engine = Self {
            own: log.chain(own).is_some().then_some(own),
            law: Law::new(policies, &roster, &log),
            log,
            feed,
            links: BTreeMap::new(),
            election,
            gateway: None,
            uplink: uplink::Uplink::new(roster.cloud().is_some(), now.mono),
            fresh: Outbox::default(),
            heads: heads::Heads::default(),
            network: Network::Online,
            lan: Lan {
                port: 0,
                keyring: Keyring::default(),
                beat_at: now.mono,
            },
            asks: Asks {
                next_transfer: 1,
                doubts: BTreeSet::new(),
                reread: None,
                relay: relay::Relay::default(),
            },
            roster,
            me,
        };
        engine.log.set_lost(engine.roster.lost());
        if engine.log.lacks_named() {
            engine.reread();
        }
        engine.prefer();
        engine
    }

    /// Handles one input. Effects are carried out in field order before the next input is handled, but for sends, which may
    /// wait for the commit.
    pub fn handle(&mut self, moment: Moment, input: Input) -> Effects {
        let mut fx = Effects::default();
        match input {
            Input::Tick => self.tick(moment, &mut fx),
            Input::Write(transaction) => self.write(moment, transaction, &mut fx),
            Input::Opened { link, key } => self.opened(moment, (link, key), &mut fx),
            Input::Closed(link) => self.closed(moment, link, &mut fx),
            Input::Restrict(link) => self.restrict(link),
            Input::Keyring(keyring) => self.lan.keyring = *keyring,
            Input::Rekey(rekey) => self.rekey(*rekey, None, &mut fx),
            Input::Frame { link, frame } => self.frame(moment, link, *frame, &mut fx),
            Input::Block {
                link,
                id,
                bundles,
                raw,
                done,
            } => {
                self.block(moment, (link, id), (bundles, raw, done), &mut fx);
            }
            Input::Malformed { link, reason } => self.close(link, reason, &mut fx),
            Input::Gossip(bundles) => self.take_all(bundles, None, &mut fx),
            Input::BlockSent {
                link,
                id,
                raw,
                cursor,
                done,
            } => {
                self.block_sent((link, id), (raw, cursor, done), &mut fx);
            }
            Input::Uplink(event) => self.uplink_event(moment, event, &mut fx),
            Input::Woke => self.election.resign(),
            Input::Network(network) => self.set_network(moment, network, &mut fx),
            Input::Record(record) => self.records(vec![*record], None, &mut fx),
            Input::Policy(record) => self.policy(*record, None, &mut fx),
            Input::Listening(port) => self.lan.port = port,
            Input::Part { ticket, part } => self.take_part((ticket, *part), &mut fx),
            Input::Offer(offer) => self.hold_snapshot(offer, &mut fx),
            Input::Obtain(wanted) => self.obtain(moment.now.mono, wanted, &mut fx),
            Input::Batched(bundles) => self.uplink.narrowing.batched(bundles),
            Input::Compared { ours, theirs, from } => {
                self.compared((&ours, &theirs), from, &mut fx);
            }
            Input::Misnamed(firsts) => self.misnamed(&firsts),
        }
        if &self.law.rights.aside != self.log.aside() {
            self.law.judge(&self.roster, &self.log);
        }
        self.fold(&mut fx);
        self.note_gateway(&mut fx);
        fx
    }

    /// A stored bundle, by author and first counter, that can be applied now. The driver loads it and calls
    /// [`Self::apply_stored`], until there is none.
    pub fn next_ready(&self) -> Option<(Author, u64)> {
        self.log.next_ready()
    }

    /// Applies the bundle that [`Self::next_ready`] named.
    pub fn apply_stored(&mut self, bundle: Bundle) -> Effects {
        let mut fx = Effects::default();
        self.apply(bundle, &mut fx);
        self.fold(&mut fx);
        fx
    }

    /// When [`Input::Tick`] is due at the latest.
    pub fn next_wake(&self, now: MonoMs) -> MonoMs {
        let links = self.links.values().map(|link| match link.session {
            Some(_) => self
                .lan
                .beat_at
                .min(link.heard_at.plus(limits::LINK_DEAD_MS)),
            None => link.opened_at.plus(limits::HELLO_MS),
        });
        let mut wake = links.min().unwrap_or(now.plus(5_000));
        if self.uplink.configured() {
            wake = wake.min(self.uplink.next_wake(now));
        }
        wake.clamp(now, now.plus(5_000))
    }

    /// The log index.
    pub fn log(&self) -> &LogIndex {
        &self.log
    }
    /// The feed index.
    pub fn feed(&self) -> &FeedIndex {
        &self.feed
    }
    /// The roster.
    pub fn roster(&self) -> &Roster {
        &self.roster
    }
    /// What of the logs counts.
    pub fn rights(&self) -> &Rights {
        &self.law.rights
    }
    /// The signed policies and the one in force.
    pub fn policies(&self) -> &PolicyShelf {
        &self.law.policies
    }
    /// This machine.
    pub fn identity(&self) -> &Identity {
        &self.me
    }
    /// The election as seen here.
    pub fn election(&self) -> &Election {
        &self.election
    }
    /// The uplink as seen here.
    pub fn uplink(&self) -> UplinkView {
        self.uplink.view()
    }
    /// The sessions of authenticated peers.
    pub fn sessions(&self) -> impl Iterator<Item = (LinkId, &Session)> {
        self.links
            .iter()
            .filter_map(|(id, link)| Some((*id, link.session.as_ref()?)))
    }
    /// Grows whenever a peer says that it holds something else than it had said.
    pub fn moves(&self) -> u64 {
        self.sessions().map(|(_, session)| session.moves()).sum()
    }
    /// A digest of all that is held.
    pub fn digest(&mut self) -> Hash {
        self.log.digest()
    }
    /// The end of this machine's own path: what its next bundle comes after.
    pub fn path_end(&self) -> Option<Dot> {
        self.place().1.map(|(dot, _)| dot)
    }
    /// Whether this machine has written anything in this run.
    pub fn own_author(&self) -> Option<Author> {
        self.own
    }

    fn write(&mut self, moment: Moment, transaction: Transaction, fx: &mut Effects) {
        let ticket = transaction.ticket;
        match self.seal(moment.now.wall, transaction) {
            Ok(bundle) => {
                let author = bundle.author();
                let (first, last) = (bundle.first(), bundle.last());
                self.own = Some(author);
                self.log.hold(&bundle);
                fx.writes.push(Write::Store {
                    bundle: bundle.clone(),
                    own: true,
                });
                self.apply(bundle.clone(), fx);
                self.fresh.bundles.push(Fresh {
                    item: bundle,
                    from: None,
                });
                let applied = self.log.applied().clone();
                fx.notices.push(Notice::Written {
                    ticket,
                    author,
                    first,
                    last,
                    applied,
                });
            }
            Err(detail) => fx.notices.push(Notice::Refused { ticket, detail }),
        }
    }

    /// Words a transaction as this machine's next bundle.
    fn seal(&self, wall: WallMs, transaction: Transaction) -> Result<Bundle, String> {
        let Transaction {
            actor,
            mut commands,
            together,
            ..
        } = transaction;
        let count = commands.len();
        if count == 0 || count > limits::BUNDLE_COMMANDS {
            return Err(format!(
                "a transaction of {count} changes; 1 to 1000 fit: split it (TRANSACTION_TOO_LARGE)"
            ));
        }
        if actor.len() > limits::ACTOR_BYTES {
            return Err("the actor's name is over 128 bytes; shorten it".into());
        }
        for command in &mut commands {
            self.fit_context(command);
        }
        let (author, parent, since) = self.place();
        let header = Header {
            studio: self.roster.studio(),
            author,
            first_counter: parent.map_or(1, |(dot, _)| dot.counter + 1),
            prev: parent.map(|(_, hash)| hash),
            written_at: wall,
            actor,
            saw: self.log.seen_since(&since, author),
            together,
        };
        Bundle::seal(header, commands, &self.me.secret)
            .map_err(|error| format!("{error}: split the transaction (TRANSACTION_TOO_LARGE)"))
    }

    /// A context may name only what is applied here: one that was read elsewhere could name what this bundle's readers do not
    /// hold yet. What is current goes without saying, and a remove takes only what its author had read.
    fn fit_context(&self, command: &mut Command) {
        let (epochs, applied) = (self.log.epochs(), self.log.applied());
        let Some(read) = command.ctx.take() else {
            return;
        };
        if read.covers_all(epochs, applied) {
            return;
        }
        let ctx = read.meet(epochs, applied);
        for write in &mut command.writes {
            if let Change::Remove(elements) = &mut write.change {
                for (_, dots) in elements.iter_mut() {
                    dots.retain(|dot| ctx.covers(epochs, *dot));
                }
            }
        }
        command.ctx = Some(ctx);
    }

    /// Where the next own bundle goes: its author, the end of the path before it, and what its author had seen so far.
    fn place(&self) -> (Author, Option<(Dot, Hash)>, Vector) {
        if let Some(author) = self.own {
            let chain = self
                .log
                .chain(author)
                .expect("an author that wrote has a chain");
            let (counter, hash) = chain.applied.expect("own bundles are applied at once");
            return (author, Some((author.at(counter), hash)), chain.past.clone());
        }
        let author = Author {
            device: self.me.device,
            epoch: self.me.fresh_epoch,
        };
        let tips = self.log.applied().tips().iter();
        let parent = tips
            .filter(|tip| tip.author.device == self.me.device && !self.log.is_aside(**tip))
            .max_by_key(|tip| (tip.counter, tip.author.epoch))
            .map(|tip| {
                let chain = self.log.chain(tip.author).expect("a tip has a chain");
                (*tip, chain.applied.expect("an applied tip has a bundle").1)
            });
        if let Some((tip, _)) = parent.filter(|_| Bug::EpochKept.is_on()) {
            let chain = self.log.chain(tip.author).expect("a tip has a chain");
            return (tip.author, parent, chain.past.clone());
        }
        (author, parent, Vector::EMPTY)
    }

    fn apply(&mut self, bundle: Bundle, fx: &mut Effects) {
        let past = self.log.apply(&bundle).clone();
        fx.writes.push(Write::Apply { bundle, past });
    }

    /// Takes up the verdicts of pages whose bundles are all applied.
    fn fold(&mut self, fx: &mut Effects) {
        while let Some(page) = self.feed.next_foldable(&self.log) {
            fx.notices.push(Notice::Folded(page.last()));
            fx.writes.push(Write::Fold(page));
        }
    }

    fn note_gateway(&mut self, fx: &mut Effects) {
        let gateway = self.election.gateway();
        if gateway != self.gateway {
            self.gateway = gateway;
            fx.notices.push(Notice::Gateway(gateway));
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
