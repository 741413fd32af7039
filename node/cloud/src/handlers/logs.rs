//! Held ranges of a log, for whoever lost a part of it.

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use serde::Deserialize;
use studiovault_protocol::cloud::LogPart;
use studiovault_protocol::id::{Author, DeviceId, Epoch, IdError};
use studiovault_protocol::wire::Packed;

use super::App;
use super::access::{Asker, open};
use super::asked::{Asked, Named};
use crate::body;
use crate::problem::Problem;
use crate::store::Reading;
use crate::studio::ANSWER_BYTES;
use crate::tokens::Scope;

/// Which part.
#[derive(Deserialize)]
pub struct Part {
    /// Sixteen hexadecimal digits.
    epoch: String,
    /// The first counter that is wanted.
    #[serde(default)]
    from: u64,
}

/// Bundles of one epoch of a device that reach to `from` or beyond, at most 1 MiB of them.
pub async fn logs(
    State(app): State<App>,
    asker: Asker,
    (Named(device), Asked(part)): (Named, Asked<Part>),
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let id = asker.person(Scope::Read)?.studio;
    let device: DeviceId = device
        .parse()
        .map_err(|error: IdError| Problem::malformed(error.to_string()))?;
    let epoch = u64::from_str_radix(&part.epoch, 16)
        .map_err(|_| Problem::malformed("an epoch is 16 hexadecimal digits"))?;
    let author = Author {
        device,
        epoch: Epoch(epoch),
    };
    let answer = app
        .run(move |truth| {
            let studio = open(truth, id)?;
            let (mut bundles, mut room) = (Vec::new(), ANSWER_BYTES);
            let reading = truth.store.read(|session| {
                session.bundles_from(studio.row, (author, part.from), |bytes| {
                    if bytes.len() > room {
                        return Reading::Enough;
                    }
                    room -= bytes.len();
                    bundles.push(Packed(bytes));
                    Reading::More
                })
            })?;
            Ok(LogPart {
                bundles,
                more: reading == Reading::Enough,
            })
        })
        .await?;
    Ok(body::answer_signed(&headers, &answer))
}
