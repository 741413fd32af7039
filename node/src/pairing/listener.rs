//! The listener of one invite: it ends with the invite, and every connection with it.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use studiovault_protocol::limits::INVITE_CONNECTIONS;
use studiovault_protocol::pairing::{
    Answered, Closed, Message, PairingError, SHORT_MESSAGE, TurnedAway,
};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, oneshot};

use super::channel::{Channel, ChannelError};
use super::{Desk, Visitor};
use crate::config::random_bytes;
use crate::discovery::{self, DiscoveryConfig};
use crate::node::Announce;

/// How often the listener looks whether its invite still stands.
const LOOK: Duration = Duration::from_millis(100);
/// A message of the exchange comes within this time, s.
const MESSAGE_S: u64 = 5;

/// Accepts until the invite is closed or another one is shown.
pub(super) async fn run(
    desk: Arc<Desk>,
    listener: TcpListener,
    (number, port): (u64, u16),
    (announce, key): (Announce, [u8; 32]),
) {
    let announced = match announce {
        Announce::Silent => None,
        Announce::Mdns => discovery::start(DiscoveryConfig {
            keys: vec![key],
            port: Some(port),
        })
        .inspect_err(|error| tracing::warn!(%error, "the invite is not announced"))
        .ok(),
    };
    let places = Arc::new(Semaphore::new(INVITE_CONNECTIONS));
    let mut look = tokio::time::interval(LOOK);
    let mut served = tokio::task::JoinSet::new();
    loop {
        tokio::select! {
            _ = look.tick() => {
                if !desk.is_open(number) {
                    break;
                }
                while served.try_join_next().is_some() {}
            }
            accepted = listener.accept() => {
                let Ok((stream, from)) = accepted else {
                    // Out of descriptors, most likely: the next try comes with the next look.
                    look.tick().await;
                    continue;
                };
                if let Ok(place) = places.clone().try_acquire_owned() {
                    let desk = desk.clone();
                    served.spawn(async move {
                        let ended = serve(&desk, stream, number).await;
                        note(from.ip(), &ended);
                        drop(place);
                    });
                }
            }
        }
    }
    drop(listener);
    if let Some((handle, _events)) = announced {
        handle.stop().await;
    }
    // Whoever is being told how it ended may still hear it.
    let told = async { while served.join_next().await.is_some() {} };
    let _ = tokio::time::timeout(Duration::from_secs(MESSAGE_S), told).await;
    tracing::info!(port, "the invite is closed");
}

fn note(from: IpAddr, ended: &Result<(), ChannelError>) {
    if let Err(error) = ended {
        tracing::debug!(%from, %error, "a connection to the invite ended");
    }
}

/// One connection, from the offer to the welcome.
async fn serve(desk: &Desk, stream: TcpStream, number: u64) -> Result<(), ChannelError> {
    let mut channel = Channel::new(stream);
    let offer = channel.receive(SHORT_MESSAGE, MESSAGE_S).await?;
    let begun = desk.offered(&offer, number);
    let (answered, answer, round) = match begun {
        Ok(begun) => begun,
        Err(words) => return channel.send(&Message::Refuse(words)).await,
    };
    channel.send(&answer).await?;
    let proof = channel.receive(SHORT_MESSAGE, MESSAGE_S).await?;
    let (reply, decided) = match desk.proved(answered, &proof, (number, round)) {
        Ok(proved) => proved,
        Err(words) => return channel.send(&Message::Refuse(words)).await,
    };
    channel.send(&reply).await?;
    tokio::select! {
        message = decided => {
            let closed = || Message::Refuse(TurnedAway::Closed.to_string());
            channel.send(&message.unwrap_or_else(|_| closed())).await?;
            if !matches!(channel.receive(SHORT_MESSAGE, MESSAGE_S).await, Ok(Message::Kept)) {
                desk.unconfirmed(number);
            }
            Ok(())
        }
        () = channel.gone() => {
            desk.left(number);
            Ok(())
        }
    }
}

impl Desk {
    /// Whether this invite still stands.
    fn is_open(&self, number: u64) -> bool {
        let now = self.clock.now().mono;
        let mut state = self.state();
        let Some(shown) = state.as_mut().filter(|shown| shown.number == number) else {
            return false;
        };
        shown.invite.tick(now);
        if shown.invite.closed().is_some() {
            shown.visitor = None;
            return false;
        }
        true
    }

    fn offered(&self, offer: &Message, number: u64) -> Result<(Answered, Message, u32), String> {
        let now = self.clock.now().mono;
        let (code, round) = {
            let mut state = self.state();
            let shown = state.as_mut().filter(|shown| shown.number == number);
            let shown = shown.ok_or_else(|| TurnedAway::Closed.to_string())?;
            let offered = shown.invite.offered(now);
            offered.map_err(|away| away.to_string())?
        };
        let begun = Answered::begin(&code, offer, self.inviter.host.clone(), random_bytes());
        let (answered, answer) = begun.map_err(|error| error.to_string())?;
        Ok((answered, answer, round))
    }

    /// Looks at a proof; one at a time, so that no two are looked at under one code.
    fn proved(
        &self,
        answered: Answered,
        proof: &Message,
        (number, round): (u64, u32),
    ) -> Result<(Message, oneshot::Receiver<Message>), String> {
        let now = self.clock.now().mono;
        let mut state = self.state();
        let shown = state.as_mut().filter(|shown| shown.number == number);
        let shown = shown.ok_or_else(|| TurnedAway::Closed.to_string())?;
        let heard = shown.invite.hears(round, now);
        heard.map_err(|away| away.to_string())?;
        match answered.handle_proof(proof, &self.inviter.key) {
            Ok((checking, reply)) => {
                shown.invite.proved();
                shown.applicant = Some(checking.applicant.name.clone());
                shown.last = None;
                let (answer, decided) = oneshot::channel();
                shown.visitor = Some(Visitor { checking, answer });
                Ok((reply, decided))
            }
            Err(error) => {
                if error == PairingError::WrongCode {
                    let why = "a machine tried with another code than is shown";
                    shown.missed(why, &self.journal);
                    return Err(format!("{error}; ask for the new one"));
                }
                Err(error.to_string())
            }
        }
    }

    /// Who was let in did not say that it has kept what makes it a member.
    fn unconfirmed(&self, number: u64) {
        let mut state = self.state();
        let shown = state.as_mut().filter(|shown| shown.number == number);
        if let Some(shown) = shown.filter(|shown| shown.invite.closed() == Some(Closed::Admitted)) {
            shown.last = Some(
                "the machine was let in and went away before it said that it has joined: if it does not appear among the \
                 devices, revoke it and invite it again"
                    .into(),
            );
        }
    }

    /// Who was being looked at has gone.
    fn left(&self, number: u64) {
        let mut state = self.state();
        if let Some(shown) = state.as_mut().filter(|shown| shown.number == number)
            && shown.visitor.take().is_some()
        {
            shown.invite.left(random_bytes());
            shown.applicant = None;
            shown.last = Some("the machine that was joining has gone".into());
        }
    }
}
