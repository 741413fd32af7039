//! Why something is not everywhere: what is known of it is gathered here, from the rows and the snapshot that every list shows.
//!
//! What follows from it is judged in `judgement` alone.

mod judgement;

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use studiovault_protocol::api::{SyncState, WhyView};
use studiovault_protocol::id::{Author, Dot, EntityId};
use studiovault_protocol::vector::Vector;

use super::answer::{Answer, Refused};
use super::reads::{Standing, entity_id};
use super::routes::Shared;
use crate::clock;
use crate::store::{BundleRow, EntityRow, HistoryEntry, Ruling, StoreError, View};
use judgement::{Here, Known, Said, Subject};

/// The code of a letter that the cloud breaks on.
const STUCK: &str = "STUCK";

/// What was found of an entity.
struct Found {
    subject: Subject,
    row: Option<EntityRow>,
}

/// `GET /why/{id}`.
pub(super) async fn why(State(shared): State<Shared>, Path(id): Path<String>) -> Answer<WhyView> {
    // Before the rows: what it says must not be newer than they are.
    let standing = Standing::of(&shared);
    let lost = shared.node.roster().lost();
    let found = if id.contains('.') {
        let dot: Dot = id.parse().map_err(|_| bad_dot())?;
        let read = move |view: View<'_>| bundle(&view, dot, &lost);
        let (subject, named) = shared.read(read).await?;
        if !named && standing.holders.of(&subject.vv).next().is_none() {
            return Err(never_heard_of(dot));
        }
        Found { subject, row: None }
    } else {
        let entity = entity_id(&id)?;
        let found = shared.read(move |view| whole(&view, entity, &lost)).await?;
        found.ok_or_else(|| {
            let next_step = "check the id, or ask on the machine where it was written; what is still to come shows in `studiovault status`";
            Refused::not_found("entity", next_step)
        })?
    };
    let sync_state = found.row.as_ref().map(|row| standing.sync_state(row));
    Ok(Json(view((id, sync_state), &standing, &found)))
}

fn view(
    (id, sync_state): (String, Option<SyncState>),
    standing: &Standing,
    found: &Found,
) -> WhyView {
    let status = &standing.status;
    let subject = &found.subject;
    let holders: Vec<_> = standing.holders.of(&subject.vv).collect();
    let waiting = holders.iter().map(|device| {
        let lacked = standing.holders.lacked(*device, &subject.saw);
        (*device, lacked)
    });
    let known = Known {
        status,
        waiting: waiting.filter(|(_, dots)| !dots.is_empty()).collect(),
        holders: holders.iter().copied().collect(),
        now: clock::wall(),
    };
    let here = usize::from(subject.here != Here::Absent);
    WhyView {
        id,
        entity_type: found.row.as_ref().map(|row| row.entity_type.clone()),
        sync_state,
        on: u32::try_from(known.holders.len() + here).unwrap_or(u32::MAX),
        of: status.copies.machines,
        machines: judgement::machines(subject, &known),
        cloud: judgement::cloud(subject, &known),
        at: known.now,
    }
}

fn bad_dot() -> Refused {
    let detail = "this names no transaction";
    let next_step =
        "give an entity's id, or a dot as `studiovault history` shows it: device.epoch.counter";
    Refused::bad_request("BAD_ID", detail, next_step)
}

fn never_heard_of(dot: Dot) -> Refused {
    let detail = format!(
        "there is no such transaction as {dot} here, and neither a linked machine nor the cloud tells of it"
    );
    let next_step =
        "check the dot with `studiovault history`, or ask on the machine where it was written";
    Refused::new(StatusCode::NOT_FOUND, "NOT_FOUND", detail, next_step)
}

/// What is known of the bundle that holds a dot, and whether anything here names the dot.
fn bundle(
    view: &View<'_>,
    dot: Dot,
    lost: &BTreeMap<Author, u64>,
) -> Result<(Subject, bool), StoreError> {
    let Some(row) = view.bundle_of(dot)? else {
        let absent = Subject {
            vv: one(dot),
            here: Here::Absent,
            saw: Vec::new(),
            said: Said::Nothing,
        };
        return Ok((absent, view.is_named(dot)?));
    };
    let here = match (row.applied, row.set_aside) {
        (true, true) => Here::SetAside,
        (true, false) => Here::Shown,
        (false, _) => Here::Parked(awaited(view, row.tip, lost)?),
    };
    let subject = Subject {
        vv: one(row.tip),
        here,
        said: said_of(view, &row)?,
        saw: row.saw,
    };
    Ok((subject, true))
}

fn said_of(view: &View<'_>, row: &BundleRow) -> Result<Said, StoreError> {
    let rulings = row.rulings.iter();
    let rulings = rulings.filter_map(|(dot, ruling)| Some((*dot, ruling.as_ref()?)));
    if let Some(said) = rejection(view, rulings)? {
        return Ok(said);
    }
    Ok(if row.rulings.values().all(Option::is_some) {
        Said::Confirmed
    } else if row.cloud_holds {
        Said::HeldThere
    } else {
        Said::Nothing
    })
}

/// The first of these that is a rejection, and what settled it since.
fn rejection<'r>(
    view: &View<'_>,
    mut rulings: impl Iterator<Item = (Dot, &'r Ruling)>,
) -> Result<Option<Said>, StoreError> {
    let Some((dot, ruling)) = rulings.find(|(_, ruling)| ruling.word == "rejected") else {
        return Ok(None);
    };
    Ok(Some(Said::Rejected {
        code: ruling.code.map_or("", |code| code.word()).to_owned(),
        detail: ruling.why.clone(),
        settled: view.settled(dot)?,
    }))
}

/// What is known of an entity; `None` if nothing of it is held.
fn whole(
    view: &View<'_>,
    entity: EntityId,
    lost: &BTreeMap<Author, u64>,
) -> Result<Option<Found>, StoreError> {
    let row = view.entity(entity)?;
    let parked = view.parked_changes(entity)?;
    let mut waits_for = Vec::new();
    for tip in &parked {
        waits_for.extend(awaited(view, *tip, lost)?);
    }
    waits_for.sort_unstable();
    waits_for.dedup();
    let aside = view.set_aside_of(entity)?;
    let vv = match &row {
        Some(row) => row.vv.clone(),
        None => all(parked.iter().chain(&aside)),
    };
    if vv.is_empty() && row.is_none() {
        return Ok(None);
    }
    let here = match &row {
        _ if !parked.is_empty() => Here::Parked(waits_for),
        Some(row) if aside.is_empty() || !row.vv.is_empty() => Here::Shown,
        _ => Here::SetAside,
    };
    let said = match &row {
        Some(row) => said_of_entity(view, row)?,
        None => Said::Nothing,
    };
    let subject = Subject {
        vv,
        here,
        saw: Vec::new(),
        said,
    };
    Ok(Some(Found { subject, row }))
}

fn said_of_entity(view: &View<'_>, row: &EntityRow) -> Result<Said, StoreError> {
    if let Some((code, detail)) = view.open_letter_of(row.id)? {
        return Ok(match code == STUCK {
            true => Said::Stuck { detail },
            false => Said::Rejected {
                code,
                detail,
                settled: None,
            },
        });
    }
    if row.confirmed && !row.rejected {
        return Ok(Said::Confirmed);
    }
    let history = view.history(row.id)?;
    let newest_first = history.iter().rev();
    let mut rulings = newest_first.filter_map(|e| Some((e.dot, e.ruling.as_ref()?)));
    if row.rejected {
        // Whatever was decided after it, such as that a person gave it up.
        return Ok(rejection(view, rulings)?.unwrap_or(Said::Nothing));
    }
    let undecided = |entry: &&HistoryEntry| entry.ruling.is_none();
    let open: Vec<Dot> = history.iter().filter(undecided).map(|e| e.dot).collect();
    if open.is_empty() {
        let newest = rejection(view, rulings.next().into_iter())?;
        return Ok(newest.unwrap_or(Said::Confirmed));
    }
    for dot in open {
        if view.bundle_of(dot)?.is_none_or(|row| !row.cloud_holds) {
            return Ok(Said::Nothing);
        }
    }
    Ok(Said::HeldThere)
}

/// What a bundle waits for, but for what will never come.
fn awaited(
    view: &View<'_>,
    tip: Dot,
    lost: &BTreeMap<Author, u64>,
) -> Result<Vec<Dot>, StoreError> {
    let gone = |dot: &Dot| {
        lost.get(&dot.author)
            .is_some_and(|from| dot.counter >= *from)
    };
    let mut dots = view.waits_for(tip)?;
    dots.retain(|dot| !gone(dot));
    Ok(dots)
}

fn one(dot: Dot) -> Vector {
    Vector::from_tips(vec![dot]).expect("one tip is in order")
}

/// The newest of these dots of each author.
fn all<'d>(dots: impl Iterator<Item = &'d Dot>) -> Vector {
    let mut newest: BTreeMap<Author, u64> = BTreeMap::new();
    for dot in dots {
        let counter = newest.entry(dot.author).or_default();
        *counter = dot.counter.max(*counter);
    }
    let tips = newest
        .into_iter()
        .map(|(author, counter)| author.at(counter));
    Vector::from_tips(tips.collect()).unwrap_or(Vector::EMPTY)
}
