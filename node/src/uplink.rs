//! The uplink: the only place of the node that speaks to the cloud truth. It carries requests and judges answers; when to
//! ask and what an answer means is the engine's.
//!
//! A request that fails changes nothing: everything that waits stays in the log.

mod client;
mod clock;
mod credentials;
mod device_flow;
mod pins;
mod tls;

use std::sync::Arc;
use std::time::{Duration, Instant};

use studiovault_protocol::cloud::{Pong, PongHead};
use studiovault_protocol::event::{OrderKind, UplinkEvent, UplinkFailure};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

pub use client::{CloudClient, UplinkError};
pub use clock::CloudClock;
pub use device_flow::{Code, DeviceFlow, Progress, may_be_asked};
pub use pins::{PinError, PinSet};

use crate::driver::{Introduction, Request};
use crate::telemetry::Recorder;

/// Runs requests until the sender is gone. Batch and question run beside each other; a batch ends a waiting question.
pub fn spawn(
    (client, recorder): (CloudClient, Arc<Recorder>),
    mut requests: mpsc::Receiver<Request>,
    events: mpsc::Sender<UplinkEvent>,
) -> JoinHandle<()> {
    tokio::spawn(async move {
        let mut question: Option<JoinHandle<()>> = None;
        let mut others: Vec<JoinHandle<()>> = Vec::new();
        while let Some(request) = requests.recv().await {
            others.retain(|task| !task.is_finished());
            let waits = matches!(request, Request::Changes(_));
            if matches!(request, Request::Batch(_))
                && let Some(question) = question.take()
            {
                question.abort();
            }
            let (client, recorder, events) = (client.clone(), recorder.clone(), events.clone());
            let task = tokio::spawn(async move {
                let event = carry((&client, &recorder), request).await;
                // The receiver is gone only when the node stops.
                let _ = events.send(event).await;
            });
            if waits {
                question = Some(task);
            } else {
                others.push(task);
            }
        }
        question
            .into_iter()
            .chain(others)
            .for_each(|task| task.abort());
    })
}

/// Carries one request and words what came of it.
async fn carry((client, recorder): (&CloudClient, &Recorder), request: Request) -> UplinkEvent {
    let begun = Instant::now();
    let failed = |order, error: UplinkError| {
        tracing::debug!(?order, %error, "a request to the cloud failed");
        UplinkEvent::Failed {
            order,
            failure: failure_of(error),
        }
    };
    match request {
        Request::Probe(introduction) => match probe(client, introduction).await {
            Ok(pong) => UplinkEvent::Probed {
                head: pong.head.map(PongHead::brief),
            },
            Err(error) => failed(OrderKind::Probe, error),
        },
        Request::Batch(batch) => match client.batch(&batch).await {
            Ok(answer) => {
                recorder.batches.note(begun.elapsed());
                UplinkEvent::Answered(Box::new(answer))
            }
            Err(error) => failed(OrderKind::Batch, error),
        },
        Request::Tail(tail) => match client.tail(&tail).await {
            Ok(answer) => UplinkEvent::Returned { head: answer.head },
            Err(error) => failed(OrderKind::Tail, error),
        },
        Request::Changes(question) => match client.changes(&question).await {
            Ok(changes) => UplinkEvent::Changed(Box::new(changes)),
            Err(error) => failed(OrderKind::Changes, error),
        },
    }
}

/// Asks whether the cloud is there; a machine that it does not know yet brings the roster.
async fn probe(client: &CloudClient, introduction: Introduction) -> Result<Pong, UplinkError> {
    match client.ping().await {
        Err(UplinkError::Unknown(_)) => {
            let (studio, records) = (introduction.studio, &introduction.records);
            client.introduce(studio, records).await?;
            client.ping().await
        }
        answer => answer,
    }
}

fn failure_of(error: UplinkError) -> UplinkFailure {
    let detail = error.to_string();
    match error {
        UplinkError::Unauthorised(_) | UplinkError::Unknown(_) => {
            UplinkFailure::Unauthorised(detail)
        }
        UplinkError::ShutOut => UplinkFailure::ShutOut(detail),
        UplinkError::Impostor => UplinkFailure::Portal(detail),
        UplinkError::TooLarge => UplinkFailure::TooLarge,
        UplinkError::Broken(_) => UplinkFailure::Broken(detail),
        UplinkError::Busy { retry_after, .. } => {
            let retry_after_ms = retry_after.as_millis().try_into().unwrap_or(u64::MAX);
            UplinkFailure::Busy {
                retry_after_ms,
                detail,
            }
        }
        UplinkError::Behind { held, .. } => UplinkFailure::Behind { held, detail },
        UplinkError::Nonsense(_) | UplinkError::Missing(_) => UplinkFailure::Nonsense(detail),
        UplinkError::Unreachable(_) | UplinkError::Address(_) => UplinkFailure::Unreachable(detail),
    }
}

/// A request that takes longer than this is given up; the cloud's answer to a repeat is the same.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(60);
