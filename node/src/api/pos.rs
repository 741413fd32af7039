//! The point of sale: totals of a day, and what was set aside because it would rewrite an entry.

use axum::Json;
use axum::extract::State;
use studiovault_protocol::api::{
    PosDevice, PosFlag, PosTotals, QuarantinePage, Quarantined, SetAside, Status,
};
use studiovault_protocol::author::Mutation;
use studiovault_protocol::command::Op;
use studiovault_protocol::pos::{self, Flag, Totals};
use studiovault_protocol::value::{Value, ValueKind};

use super::answer::{Answer, Asked, Refused};
use super::reads::{Parameters, device_name};
use super::routes::Shared;
use crate::store::{QuarantineRow, StoreError, View};

/// Rows of one answer at most.
const ROWS: usize = 10_000;

/// `GET /pos/totals?day=`; today in the studio's time zone if no day is named.
pub(super) async fn totals(
    State(shared): State<Shared>,
    Asked(parameters): Asked<Parameters>,
) -> Answer<PosTotals> {
    let region = shared.node.region().clone();
    let day = day(&parameters)?.unwrap_or_else(|| region.day(crate::clock::wall()));
    let status = shared.node.status();
    let asked = (day.clone(), region.clone());
    let read = move |view: View<'_>| {
        let totals = view.pos_totals(&asked.0, &asked.1)?;
        let flags = totals
            .flags
            .iter()
            .map(|flag| flagged(&view, &status, flag));
        let flagged = flags.collect::<Result<Vec<_>, _>>()?;
        let devices = devices(&status, &totals);
        Ok((totals.all, devices, flagged, status.applied.clone()))
    };
    let (all, devices, flagged, vv) = shared.read(read).await?;
    Ok(Json(PosTotals {
        day,
        time_zone: region.time_zone.to_string(),
        currency: region.currency.to_string(),
        all,
        devices,
        flagged,
        vv,
    }))
}

/// `GET /quarantine`.
pub(super) async fn quarantine(State(shared): State<Shared>) -> Answer<QuarantinePage> {
    let status = shared.node.status();
    let rows = shared.read(|view| view.quarantine(ROWS)).await?;
    let policies = shared.node.policies();
    let quarantined = rows.into_iter().map(|row| {
        let rules = policies.in_force().entity_type(&row.entity_type);
        set_aside(&status, row, rules.is_some_and(|rules| rules.append_only))
    });
    Ok(Json(QuarantinePage {
        quarantined: quarantined.collect(),
    }))
}

fn day(parameters: &Parameters) -> Result<Option<String>, Refused> {
    if let Some(name) = parameters.keys().find(|name| *name != "day") {
        let detail = format!("`{name:.64}` is no parameter");
        return Err(Refused::bad_request("UNKNOWN_PARAMETER", detail, "use day"));
    }
    let Some(day) = parameters.get("day") else {
        return Ok(None);
    };
    if ValueKind::Date.admits(&Value::Text(day.clone())) {
        return Ok(Some(day.clone()));
    }
    let detail = format!("`day` takes {}", ValueKind::Date.word());
    Err(Refused::bad_request(
        "VALIDATION_FAILED",
        detail,
        "correct the day",
    ))
}

fn devices(status: &Status, totals: &Totals) -> Vec<PosDevice> {
    let named = |device| {
        let member = status.members.iter().find(|member| member.device == device);
        member.map_or_else(|| device.to_string(), |member| member.name.clone())
    };
    let devices = totals.devices.iter();
    let devices = devices.map(|(device, sums)| PosDevice::new((*device, named(*device)), *sums));
    devices.collect()
}

fn flagged(view: &View<'_>, status: &Status, flag: &Flag) -> Result<PosFlag, StoreError> {
    Ok(PosFlag {
        sale: flag.sale,
        sale_receipt: view.receipt(flag.sale)?,
        entry: flag.entry,
        receipt: view.receipt(flag.entry)?,
        device: device_name(status, flag.dot),
        why: flag.why,
        sentence: flag.why.sentence().to_owned(),
    })
}

/// Whether a mutation is an entry about a sale.
pub(super) fn follows(mutation: &Mutation) -> bool {
    mutation.op == Op::Create && [pos::CORRECTION, pos::VOID].contains(&&*mutation.entity_type)
}

/// What is to be said of entries about sales that are void already: nothing forbids them, since the void may have come from
/// elsewhere a moment ago.
pub(super) fn notes(view: &View<'_>, entries: &[Mutation]) -> Result<Vec<String>, StoreError> {
    let mut notes = Vec::new();
    for entry in entries {
        let sale = entry
            .fields
            .get(pos::NAMED)
            .and_then(serde_json::Value::as_str);
        let Some(sale) = sale.and_then(|sale| sale.parse().ok()) else {
            continue;
        };
        if view.entity(sale)?.is_some_and(|row| row.voided) {
            let sale = view.receipt(sale)?.unwrap_or_else(|| sale.to_string());
            notes.push(match entry.entity_type == pos::VOID {
                true => format!("the sale {sale} was void already; it is taken away once"),
                false => format!("the sale {sale} is void; the correction counts nothing"),
            });
        }
    }
    Ok(notes)
}

/// What a person does about a command that was set aside, or did.
fn look_at(row: &QuarantineRow, append_only: bool) -> String {
    let dot = row.dot;
    match row.settled.as_deref() {
        Some("discarded") => "It was given up since; nothing is left to do.".to_owned(),
        Some(_) => "It was taken over since; nothing is left to do.".to_owned(),
        None if append_only => {
            format!("Take it over with `studiovault dead-letters fix {dot}`.")
        }
        None => format!(
            "Take it over with `studiovault dead-letters fix {dot}`, or give it up with `studiovault dead-letters discard`."
        ),
    }
}

fn set_aside(status: &Status, row: QuarantineRow, append_only: bool) -> Quarantined {
    let device = device_name(status, row.dot);
    let rest = if row.whole {
        "; everything written with it is set aside as well"
    } else {
        ""
    };
    let act = format!("{} {} {}", row.operation, row.entity_type, row.entity);
    let to_do = look_at(&row, append_only);
    let sentence = match row.reason {
        SetAside::Cut => {
            format!("{device} no longer belonged when it wrote: {act}. {to_do}")
        }
        SetAside::Split => format!(
            "{device} signed two different things at one place of its log, and this comes after it: {act}. {to_do}"
        ),
        SetAside::Evidence => format!(
            "{device} signed two different things at one place of its log; this is none of what counts, and is kept as evidence: {act}."
        ),
        SetAside::Role => format!(
            "{device} has no role in which it may write a {}: {act}. {to_do}",
            row.entity_type,
        ),
        SetAside::Rewrites => {
            format!("{device} tried to {act}, an entry that is never rewritten{rest}.")
        }
    };
    Quarantined {
        sentence,
        reason: row.reason,
        beyond_cut: row.reason == SetAside::Cut,
        dot: row.dot.to_string(),
        device,
        actor: row.actor,
        entity: row.entity,
        entity_type: row.entity_type,
        op: row.operation,
        whole_bundle: row.whole,
        settled: row.settled,
        ts: row.written_at,
    }
}
