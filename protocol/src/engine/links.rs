//! Links: greeting, authentication, beats, and which of two links to one peer stays.

use std::collections::BTreeSet;

use super::{Engine, Link};
use crate::event::{Effects, LinkId, Moment, Network, Notice};
use crate::id::{DeviceId, PublicKey};
use crate::limits;
use crate::membership::{Member, Standing};
use crate::refusal::{Refusal, RefusalKind, RefusedBy};
use crate::session::Session;
use crate::time::MonoMs;
use crate::wire::{Beat, Frame, Hello, OLDEST_PROTOCOL, PROTOCOL};

impl Engine {
    pub(super) fn opened(
        &mut self,
        moment: Moment,
        (link, key): (LinkId, PublicKey),
        fx: &mut Effects,
    ) {
        let now = moment.now.mono;
        if self.network == Network::Offline || self.links.len() >= limits::PEERS * 2 {
            fx.closes
                .push((link, "this machine takes no more links now".into()));
            return;
        }
        let state = Link {
            key,
            opened_at: now,
            heard_at: now,
            session: None,
            under_earlier_key: false,
            greeted: false,
        };
        self.links.insert(link, state);
        let hello = Hello {
            protocol: (OLDEST_PROTOCOL, PROTOCOL),
            studio: self.roster.studio(),
            chain: self.roster.chain_of(self.me.device),
            run: self.me.run,
            roster: self.roster.digest(),
            policy: self.law.policies.in_force().hash(),
            policies: self.law.policies.digest(),
            frontier: self.log.frontier(self.feed.held()),
            wall: moment.now.wall,
            port: self.lan.port,
        };
        fx.sends.push((link, Frame::Hello(Box::new(hello))));
    }

    pub(super) fn closed(&mut self, moment: Moment, link: LinkId, fx: &mut Effects) {
        self.forget_offer(link);
        let Some(state) = self.links.remove(&link) else {
            return;
        };
        if self.heads.asked.is_some_and(|(asked, _)| asked == link) {
            self.heads.asked = None;
        }
        let Some(session) = state.session else {
            return;
        };
        if self.link_of(session.device).is_some() {
            // A transfer under way on the link that went is asked for again on the one that stays.
            self.plan(moment.now.mono, fx);
            return;
        }
        fx.notices.push(Notice::PeerGone(session.device));
        let linked = self.sessions().map(|(_, session)| session.device).collect();
        for gone in self.election.handle_lost(session.device, &linked) {
            self.broadcast(None, &Frame::Gone(gone), fx);
        }
        self.tell_links(fx);
        self.plan(moment.now.mono, fx);
    }

    pub(super) fn close(&mut self, link: LinkId, reason: &str, fx: &mut Effects) {
        if self.links.contains_key(&link) {
            fx.closes.push((link, reason.to_owned()));
        }
    }

    pub(super) fn set_network(&mut self, moment: Moment, network: Network, fx: &mut Effects) {
        self.network = network;
        if network == Network::Offline {
            let links: Vec<LinkId> = self.links.keys().copied().collect();
            for link in links {
                self.close(link, "taken off the network", fx);
            }
        }
        self.switch_uplink(moment.now.mono, fx);
    }

    /// The link on which `device` is authenticated.
    pub(super) fn link_of(&self, device: DeviceId) -> Option<LinkId> {
        self.sessions()
            .find(|(_, session)| session.device == device)
            .map(|(link, _)| link)
    }

    pub(super) fn session_mut(&mut self, link: LinkId) -> Option<&mut Session> {
        self.links.get_mut(&link)?.session.as_mut()
    }

    pub(super) fn ready_links(&self) -> Vec<LinkId> {
        self.sessions().map(|(link, _)| link).collect()
    }

    /// Sends to all peers; what came by a link goes on only to those that its sender does not reach itself.
    pub(super) fn broadcast(&self, from: Option<LinkId>, frame: &Frame, fx: &mut Effects) {
        let sender = from.and_then(|link| self.links.get(&link)?.session.as_ref());
        for (link, session) in self.sessions() {
            let reached = sender
                .is_some_and(|sender| sender.device == session.device || sender.reaches(session));
            if !reached {
                fx.sends.push((link, frame.clone()));
            }
        }
    }

    fn tell_links(&self, fx: &mut Effects) {
        let devices: BTreeSet<DeviceId> =
            self.sessions().map(|(_, session)| session.device).collect();
        self.broadcast(None, &Frame::Links(devices.into_iter().collect()), fx);
    }

    /// The first frame of a link: who is there?
    pub(super) fn greet(&mut self, moment: Moment, link: LinkId, hello: Hello, fx: &mut Effects) {
        let device = match self.check_hello(link, &hello) {
            Ok(device) => device,
            Err(refusal) => {
                self.tell_cut(link, &hello, fx);
                self.turn_away(link, refusal, fx);
                return;
            }
        };
        if self.serve_restricted((link, device), fx) {
            return;
        }
        self.settle_twins((device, hello.run), fx);
        self.records(hello.chain.clone(), Some(link), fx);
        let offset = hello.wall.0.saturating_sub(moment.now.wall.0);
        let session = Session::new(device, &hello, offset);
        if let Some(state) = self.links.get_mut(&link) {
            state.session = Some(session);
        }
        if hello.roster != self.roster.digest() {
            self.tell_roster((link, moment.now.mono), fx);
        }
        if hello.policies != self.law.policies.digest() {
            let documents = self.law.policies.documents().cloned().map(Box::new);
            fx.sends
                .extend(documents.map(|record| (link, Frame::Policy(record))));
        }
        self.tell_key((link, device), fx);
        self.doubt_tips(link, &hello.frontier);
        self.election.speak_up();
        let statuses: Vec<_> = self.election.statuses().cloned().collect();
        fx.sends.push((link, Frame::Statuses(statuses)));
        self.tell_links(fx);
        self.tell_offer(link, fx);
        fx.notices.push(Notice::PeerReady(device));
        self.plan(moment.now.mono, fx);
        self.want_feed(moment.now.mono, fx);
    }

    fn turn_away(&mut self, link: LinkId, refusal: Refusal, fx: &mut Effects) {
        fx.sends.push((link, Frame::Refuse(refusal.clone())));
        self.close(link, &refusal.words, fx);
        let by = RefusedBy::Us;
        fx.notices.push(Notice::Turned { link, by, refusal });
    }

    /// The device that greets, or why it is not served.
    fn check_hello(&self, link: LinkId, hello: &Hello) -> Result<DeviceId, Refusal> {
        use RefusalKind::{Certificate, Full, Itself, Other, ShutOut, Studio, Version};
        let no = |kind, words: &str| Refusal::new(kind, words);
        let state = self.links.get(&link);
        let state = state.ok_or_else(|| no(Other(0), "no such link"))?;
        let (low, high) = hello.protocol;
        if low > PROTOCOL || high < OLDEST_PROTOCOL || low > high {
            let words = format!(
                "this machine speaks protocol {OLDEST_PROTOCOL} to {PROTOCOL}, the other {low} to {high}: update the older one"
            );
            return Err(no(Version, &words));
        }
        if hello.studio != self.roster.studio() {
            return Err(no(Studio, "this machine belongs to another studio"));
        }
        let grant = hello.grant();
        let grant = grant.ok_or_else(|| no(Certificate, "no certificate was shown"))?;
        if grant.key != state.key {
            let words = "the certificate is not of the key that the link proved";
            return Err(no(Certificate, words));
        }
        if grant.device == self.me.device && hello.run == self.me.run {
            return Err(no(Itself, "this machine reached itself"));
        }
        let mut roster = self.roster.clone();
        for record in &hello.chain {
            roster
                .insert(record.clone())
                .map_err(|error| no(Certificate, &error.to_string()))?;
        }
        let member = roster.member(grant.device);
        let member = member
            .filter(|member| member.grant.key == state.key)
            .ok_or_else(|| {
                let words = "a newer record of the studio names another key for this device";
                no(Certificate, words)
            })?;
        if let Some(words) = shut_out(member) {
            return Err(no(ShutOut, words));
        }
        let ready = self.sessions().count();
        if ready >= limits::PEERS {
            return Err(no(Full, "this machine has 64 peers already"));
        }
        Ok(member.grant.device)
    }

    /// Ends the links of whoever no longer belongs, and tells it why.
    pub(super) fn shut_out(&mut self, fx: &mut Effects) {
        let gone: Vec<(LinkId, &'static str)> = self
            .sessions()
            .filter_map(|(link, session)| {
                let member = self.roster.member(session.device)?;
                Some((link, shut_out(member)?))
            })
            .collect();
        for (link, words) in gone {
            self.turn_away(link, Refusal::new(RefusalKind::ShutOut, words), fx);
        }
    }

    /// Shows a machine that was shut out the records that say so: it served this link before it knew, and takes them in.
    fn tell_cut(&self, link: LinkId, hello: &Hello, fx: &mut Effects) {
        let key = self.links.get(&link).map(|state| state.key);
        let device = hello.grant().map(|grant| grant.device);
        let member = device.and_then(|device| self.roster.member(device));
        let Some(member) = member.filter(|member| Some(member.grant.key) == key) else {
            return;
        };
        let mut records = Vec::new();
        for record in self.roster.cuts_of(member.grant.device) {
            records.extend(self.roster.chain_to(record.by));
            records.push(record.clone());
        }
        if !records.is_empty() {
            fx.sends.push((link, Frame::Roster(records)));
        }
    }

    /// Sends a peer all records, each after those that it rests on.
    pub(super) fn tell_roster(&mut self, (link, now): (LinkId, MonoMs), fx: &mut Effects) {
        if let Some(session) = self.session_mut(link) {
            session.sent.roster_at = Some(now);
        }
        let (mut records, mut bytes) = (Vec::new(), 0);
        for record in self.roster.records() {
            let length = postcard::to_stdvec(record).map_or(0, |bytes| bytes.len());
            if bytes + length > limits::ROSTER_FRAME_BYTES && !records.is_empty() {
                fx.sends
                    .push((link, Frame::Roster(std::mem::take(&mut records))));
                bytes = 0;
            }
            records.push(record.clone());
            bytes += length;
        }
        fx.sends.push((link, Frame::Roster(records)));
    }

    /// Of several links to one device the newest stays. Within one run only the lower device decides which that is, or two
    /// dials that cross would leave none; after a restart the older link is deaf, whoever notices.
    fn settle_twins(&mut self, (device, run): (DeviceId, u64), fx: &mut Effects) {
        let is_mine_to_say = self.me.device < device;
        let twins: Vec<LinkId> = self
            .sessions()
            .filter(|(_, twin)| twin.device == device)
            .filter(|(_, twin)| is_mine_to_say || twin.greeting.run != run)
            .map(|(link, _)| link)
            .collect();
        for twin in twins {
            self.close(twin, "another link to the same device stays", fx);
            self.links.remove(&twin);
        }
    }

    /// Beats, dead links, late greetings.
    pub(super) fn beat(&mut self, moment: Moment, fx: &mut Effects) {
        let now = moment.now.mono;
        let dead = self.links.iter().filter_map(|(id, link)| {
            let open_for = now.since(link.opened_at);
            let silent_for = now.since(link.heard_at);
            match link.session {
                Some(_) => (silent_for >= limits::LINK_DEAD_MS)
                    .then_some((*id, "nothing was heard for three beats")),
                None if link.greeted && open_for >= limits::EARLIER_KEY_MS => {
                    Some((*id, "the network has another key now"))
                }
                None => (open_for >= limits::HELLO_MS).then_some((*id, "no hello came")),
            }
        });
        let dead: Vec<(LinkId, &str)> = dead.collect();
        if now >= self.lan.beat_at && self.links.values().any(|link| link.session.is_some()) {
            self.send_beats(moment, fx);
        }
        for (link, reason) in dead {
            self.close(link, reason, fx);
        }
    }

    /// One to each peer that was heard lately.
    fn send_beats(&mut self, moment: Moment, fx: &mut Effects) {
        let now = moment.now.mono;
        let beat = Beat {
            frontier: self.log.digest().prefix(),
            feed: self.feed.head(),
            claim: self.election.own().claim,
            policy: self.law.policies.in_force().hash().prefix(),
            roster: self.roster.digest().prefix(),
        };
        let peers = self.links.iter().filter(|(_, link)| {
            link.session.is_some() && now.since(link.heard_at) < limits::LINK_DEAD_MS
        });
        let before = fx.sends.len();
        let beats = peers.map(|(id, _)| (*id, Frame::Beat(beat.clone())));
        fx.sends.extend(beats);
        let pause_ms = beat_pause_ms(fx.sends.len() - before);
        self.lan.beat_at = now.plus(pause_ms - 50 + moment.entropy % 100);
    }
}

/// How often a machine with that many peers sends beats, ms.
fn beat_pause_ms(peers: usize) -> u64 {
    let beyond = peers.saturating_sub(limits::BEAT_PEERS) as u64;
    let stretched = limits::BEAT_MS + beyond * limits::BEAT_STRETCH_MS;
    stretched.min(limits::BEAT_MOST_MS)
}

/// Why a device that does not belong is not served.
fn shut_out(member: &Member) -> Option<&'static str> {
    match member.standing {
        Standing::Active => None,
        Standing::Retired => Some("this machine has retired from the studio: join it anew"),
        Standing::Revoked => {
            Some("this machine was shut out of the studio: ask an admin, then join it anew")
        }
        Standing::Void => {
            Some("whoever admitted this machine had no right to: ask an admin to invite it anew")
        }
    }
}
