//! What machines tell of themselves, if their people let them: the newest report of each machine, for whoever runs the server.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use serde::Serialize;
use studiovault_protocol::api::TelemetryReport;
use studiovault_protocol::id::{DeviceId, StudioId};
use studiovault_protocol::time::WallMs;

use super::App;
use super::access::Asker;
use crate::body::{self, Raw};
use crate::clock::wall_now;
use crate::problem::Problem;
use crate::store::Told;
use crate::tokens::Scope;

/// Bytes of a report at most.
const REPORT_BYTES: usize = 4 * 1024;

/// The newest report of a machine.
#[derive(Serialize)]
pub struct Telling {
    studio: StudioId,
    device: DeviceId,
    at: WallMs,
    report: TelemetryReport,
}

/// Keeps a machine's report, as it came, in place of the one before.
pub async fn tell(
    State(app): State<App>,
    asker: Asker,
    headers: HeaderMap,
    raw: Raw,
) -> Result<StatusCode, Problem> {
    let person = asker.person(Scope::Carry)?;
    let device = person.device;
    let device = device.ok_or_else(|| Problem::forbidden("only a machine of the studio may"))?;
    let bytes = body::inflate(&headers, raw)?;
    if bytes.len() > REPORT_BYTES {
        return Err(Problem::too_large("a report over 4 KiB"));
    }
    let _: TelemetryReport = body::plain(&bytes)?;
    let told = Told {
        studio: person.studio,
        device,
        at: wall_now(),
        report: String::from_utf8_lossy(&bytes).into_owned(),
    };
    app.run(move |truth| Ok(truth.store.write(|session| session.keep_report(&told))?))
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The newest report of every machine that tells.
pub async fn told(State(app): State<App>, asker: Asker) -> Result<Json<Vec<Telling>>, Problem> {
    asker.admin()?;
    let told = app
        .run(|truth| Ok(truth.store.read(|session| session.reports())?))
        .await?;
    let read = |told: Told| {
        let report = serde_json::from_str(&told.report).map_err(|_| Problem::internal())?;
        Ok(Telling {
            studio: told.studio,
            device: told.device,
            at: told.at,
            report,
        })
    };
    told.into_iter()
        .map(read)
        .collect::<Result<_, _>>()
        .map(Json)
}
