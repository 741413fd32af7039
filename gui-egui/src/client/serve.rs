//! What a person asks of a node that runs.
//!
//! A refusal is an answer; only a broken connection ends anything. After an answer everything is looked at anew.

use serde_json::{Value as Json, json};
use studiovault_protocol::api::{
    DiscardRequest, InviteState, InviteView, LoginRequest, NetworkRequest, TxAnswer, TxRequest,
    VerifyView, WordsRequest,
};

use studiovault_protocol::id::{DeviceId, EntityId};
use tokio::sync::mpsc;

use super::link::{Asked, Link};
use super::view::View;
use super::{Client, Ended, export, notify};
use crate::failure::Failure;
use crate::folder;
use crate::message::{Answer, Done, EntityFacts, Message, Request};

impl Client {
    pub(super) async fn serve(
        &mut self,
        link: &Link,
        request: Request,
        view: &mut View,
    ) -> Result<(), Ended> {
        match &request {
            Request::Reconnect | Request::Cancel => return Ok(()),
            Request::Keep(preferences) => {
                folder::keep(&self.folder, *preferences);
                return Ok(());
            }
            Request::Notify(alert) => {
                notify::notify(alert);
                return Ok(());
            }
            Request::Tray(badge) => {
                self.tray.show(badge.clone(), &self.later);
                return Ok(());
            }
            Request::LookAtLetter(dot) => {
                // One that was settled meanwhile is gone from the next list.
                if let Ok(letter) = link.letter(dot).await? {
                    self.tell(Message::Letter(Box::new(letter)))?;
                }
                return Ok(());
            }
            Request::LookAt(entity, entity_type) => {
                view.watch(*entity, entity_type.clone());
                return self.look_at_entity(link, view).await;
            }
            Request::Activity(before) => {
                view.follow_activity();
                let page = link.activity(*before).await?;
                return self.tell(Message::Activity(Box::new(page), *before));
            }
            Request::Verify | Request::Export(_) | Request::Examine => {
                self.serve_aside(link, request);
                return Ok(());
            }
            Request::Why(entity) => return self.look_at_why(link, *entity).await,
            Request::LookForSticks => return self.tell(Message::Sticks(folder::sticks())),
            Request::Carry(order) => {
                let order = order.clone();
                self.carry(request, order);
                return Ok(());
            }
            Request::KitKept => {
                self.forget_kit();
                return Ok(());
            }
            Request::DropPack => return self.drop_pack(),
            Request::SignInByCode => {
                self.sign_in_by_code();
                return Ok(());
            }
            Request::DropSignIn => return self.drop_sign_in(),
            _ => {}
        }
        let outcome = self.carry_out(link, &request, view).await?;
        self.tell(Message::Answered { request, outcome })?;
        view.want_all();
        Ok(())
    }

    /// What takes long goes on beside everything else.
    fn serve_aside(&self, link: &Link, request: Request) {
        let (link, later) = (link.clone(), self.later.clone());
        tokio::spawn(async move {
            let outcome = match &request {
                Request::Export(filter) => export::export(&link, filter).await,
                Request::Examine => examine(&link, &later).await,
                _ => verify(&link, &later).await,
            };
            let outcome = outcome.unwrap_or_else(|failure| Err(failure.to_string()));
            // The window may be gone meanwhile.
            let _ = later.send(Message::Answered { request, outcome }).await;
        });
    }

    async fn carry_out(
        &mut self,
        link: &Link,
        request: &Request,
        view: &mut View,
    ) -> Result<Asked<Done>, Ended> {
        let plain = |answer: Asked<Json>| answer.map(|_| Done::default());
        Ok(match request {
            Request::Resolve(answers) => Ok(resolve(link, answers).await?),
            Request::Undo { tx, .. } => undo(link, tx).await?,
            Request::Fix { dot, fix, .. } => {
                let path = format!("/dead-letters/{dot}/fix");
                link.post::<TxAnswer, _>(&path, fix).await?.map(written)
            }
            Request::Discard { dot, reason, .. } => {
                let body = DiscardRequest {
                    reason: reason.clone(),
                    actor: None,
                };
                let path = format!("/dead-letters/{dot}/discard");
                link.post::<TxAnswer, _>(&path, &body).await?.map(written)
            }
            Request::Network(network) => {
                let body = NetworkRequest { network: *network };
                plain(link.post("/network", &body).await?)
            }
            Request::Invite(invite) => self.invited(link.post("/pairing", invite).await?, view)?,
            Request::SayWords(words) => {
                let words = words.clone();
                let answer = link.post("/pairing/words", &WordsRequest { words }).await?;
                self.invited(answer, view)?
            }
            Request::Withdraw => {
                self.invited(link.post("/pairing/withdraw", &json!({})).await?, view)?
            }
            Request::SetRole(device, place) => {
                plain(link.post(&format!("/devices/{device}/role"), place).await?)
            }
            Request::Revoke(device) => plain(about(link, *device, "revoke").await?),
            Request::Lose(device) => plain(about(link, *device, "lost").await?),
            Request::Retire => plain(link.post("/retire", &json!({})).await?),
            Request::SignIn(token) => {
                let token = token.clone();
                plain(link.post("/login", &LoginRequest::of_token(token)).await?)
            }
            Request::Start | Request::KitKept | Request::Found { .. } | Request::Join { .. } => {
                Err("There is a machine here already, and its node runs.".to_owned())
            }
            Request::Reconnect
            | Request::Cancel
            | Request::Keep(_)
            | Request::Notify(_)
            | Request::Tray(_)
            | Request::SignInByCode
            | Request::DropSignIn
            | Request::LookAtLetter(_)
            | Request::LookAt(..)
            | Request::Activity(_)
            | Request::Export(_)
            | Request::Verify
            | Request::Examine
            | Request::Why(_)
            | Request::LookForSticks
            | Request::Carry(_)
            | Request::DropPack => Ok(Done::default()),
        })
    }

    fn invited(
        &mut self,
        answer: Asked<InviteView>,
        view: &mut View,
    ) -> Result<Asked<Done>, Ended> {
        match answer {
            Ok(invite) => {
                view.follow_invite(is_open(&invite));
                self.tell(Message::Invite(Some(Box::new(invite))))?;
                Ok(Ok(Done::default()))
            }
            Err(sentence) => Ok(Err(sentence)),
        }
    }

    pub(super) async fn look_at_invite(
        &mut self,
        link: &Link,
        view: &mut View,
    ) -> Result<(), Ended> {
        let invite = link.invite().await?;
        view.follow_invite(invite.as_ref().is_some_and(is_open));
        self.tell(Message::Invite(invite.map(Box::new)))
    }

    /// Why a record is not everywhere; a refusal is told as one.
    async fn look_at_why(&mut self, link: &Link, entity: EntityId) -> Result<(), Ended> {
        match link.why(entity).await? {
            Ok(view) => self.tell(Message::Why(entity, Box::new(view))),
            Err(sentence) => self.tell(Message::Answered {
                request: Request::Why(entity),
                outcome: Err(sentence),
            }),
        }
    }

    pub(super) async fn look_at_entity(&mut self, link: &Link, view: &View) -> Result<(), Ended> {
        let Some((entity, entity_type)) = view.watched() else {
            return Ok(());
        };
        let Ok(history) = link.history(entity).await? else {
            return Ok(());
        };
        let shown = link.entity(&entity_type, entity).await?.ok();
        self.tell(Message::Entity(Box::new(EntityFacts {
            view: shown,
            history,
        })))
    }
}

/// A word about a machine that needs no more.
async fn about(link: &Link, device: DeviceId, word: &str) -> Result<Asked<Json>, Failure> {
    link.post(&format!("/devices/{device}/{word}"), &json!({}))
        .await
}

fn is_open(invite: &InviteView) -> bool {
    matches!(invite.state, InviteState::Open | InviteState::Checking)
}

fn written(answer: TxAnswer) -> Done {
    Done {
        vv: Some(answer.vv),
        ..Done::default()
    }
}

/// One command after the other, each a transaction: in one they would have seen each other, and two values of one field would
/// not stand beside each other again.
async fn undo(link: &Link, tx: &TxRequest) -> Result<Asked<Done>, Ended> {
    let mut done = Done::default();
    for mutation in &tx.mutations {
        let one = TxRequest {
            mutations: vec![mutation.clone()],
            ..TxRequest::default()
        };
        match link.post::<TxAnswer, _>("/tx", &one).await? {
            Ok(answer) => done.vv = Some(answer.vv),
            Err(sentence) => return Ok(Err(sentence)),
        }
    }
    Ok(Ok(done))
}

/// One answer after the other; each stands by itself.
async fn resolve(link: &Link, answers: &[Answer]) -> Result<Done, Ended> {
    let mut done = Done::default();
    for (at, answer) in answers.iter().enumerate() {
        if let Some(copy) = &answer.copy
            && let Err(sentence) = link.post::<TxAnswer, _>("/tx", copy).await?
        {
            done.refusals.push((at, sentence));
            continue;
        }
        match link.resolve(&answer.conflict.id, &answer.request()).await? {
            Ok(written) => done.vv = Some(written.vv),
            Err(sentence) => done.refusals.push((at, sentence)),
        }
    }
    Ok(done)
}

async fn examine(link: &Link, later: &mpsc::Sender<Message>) -> Result<Asked<Done>, Failure> {
    Ok(match link.doctor().await? {
        Ok(found) => {
            // As above.
            let _ = later.send(Message::Doctor(Box::new(found))).await;
            Ok(Done::default())
        }
        Err(sentence) => Err(sentence),
    })
}

async fn verify(link: &Link, later: &mpsc::Sender<Message>) -> Result<Asked<Done>, Failure> {
    Ok(match link.verify().await? {
        Ok(found) => {
            let outcome = verified(&found);
            // As above.
            let _ = later.send(Message::Verified(Box::new(found))).await;
            outcome
        }
        Err(sentence) => Err(sentence),
    })
}

fn verified(found: &VerifyView) -> Asked<Done> {
    if found.fault_count == 0 {
        let note = Some("The store is what it claims to be: every chain, signature and record was worked out anew and agrees.".to_owned());
        return Ok(Done {
            note,
            ..Done::default()
        });
    }
    let first = found.faults.first().map_or("", String::as_str);
    Err(format!(
        "The store is not what it claims to be: {first}. Stop the node and fold the state anew with `studiovault rebuild`."
    ))
}
