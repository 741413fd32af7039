//! The feed as JSON, for clients that keep no logs: one object an entry, commands spelled out.

use serde::Serialize;
use serde_json::{Map, Value as Json, json};
use studiovault_protocol::bundle::Bundle;
use studiovault_protocol::command::{Change, Command};
use studiovault_protocol::feed::Entry;
use studiovault_protocol::id::{Author, Dot};
use studiovault_protocol::merge::Outcome;
use studiovault_protocol::value::Value;

use super::Studio;
use super::changes::ANSWER_BYTES;
use crate::store::{Reading, Session, StoreError};
use crate::truth::Truth;

/// A part of the feed as JSON.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct News {
    /// Entries in order.
    pub entries: Vec<Json>,
    /// The position up to which they tell.
    pub upto: u64,
    /// There is more after it.
    pub more: bool,
}

impl Studio {
    /// At most `limit` entries after `since`; at least one, if there is one.
    pub fn told(&self, truth: &Truth, since: u64, limit: usize) -> Result<News, StoreError> {
        let head = self.state().head.0;
        let mut news = News {
            entries: Vec::new(),
            upto: since,
            more: false,
        };
        let mut room = ANSWER_BYTES;
        truth.store.read(|session| {
            session.pages_after(self.row, since, |page| {
                if page.last() > head {
                    return Ok(Reading::Enough);
                }
                for (position, entry) in page.entries().filter(|(at, _)| *at > since) {
                    let (told, bytes) = self.tell(session, position, entry)?;
                    if news.entries.len() >= limit || (bytes > room && !news.entries.is_empty()) {
                        news.more = true;
                        return Ok(Reading::Enough);
                    }
                    room = room.saturating_sub(bytes);
                    news.entries.push(told);
                    news.upto = position;
                }
                Ok(Reading::More)
            })?;
            Ok::<_, StoreError>(())
        })?;
        Ok(news)
    }

    fn tell(
        &self,
        session: &Session<'_>,
        position: u64,
        entry: &Entry,
    ) -> Result<(Json, usize), StoreError> {
        Ok(match entry {
            Entry::Genesis(upto) => {
                let dots: Vec<String> = upto.iter().map(ToString::to_string).collect();
                let told = json!({ "position": position, "kind": "genesis", "upto": dots });
                (told, 64 + 64 * upto.len())
            }
            Entry::Stuck { dot, detail } => {
                let dot = dot.to_string();
                let told =
                    json!({ "position": position, "kind": "stuck", "dot": dot, "detail": detail });
                (told, 512)
            }
            Entry::Checkpoint(sum) => {
                let told =
                    json!({ "position": position, "kind": "checkpoint", "stateHash": sum.hex() });
                (told, 128)
            }
            Entry::Bundle { author, first, .. } => {
                let bytes = session.bundle_at(self.row, *author, *first)?;
                let bytes = bytes.ok_or(StoreError::Damaged("a page without its bundle"))?;
                let size = 2 * bytes.len();
                let bundle =
                    Bundle::decode(bytes).map_err(|_| StoreError::Damaged("a stored bundle"))?;
                (bundle_json(position, &bundle), size)
            }
            Entry::Verdicts { .. } | Entry::AsItStands { .. } => verdicts_json(position, entry),
        })
    }
}

/// What an entry decides; what stood before the feed began counts at position 0.
fn verdicts_json(position: u64, entry: &Entry) -> (Json, usize) {
    let (author, first, last) = entry.decided().expect("the entry decides");
    let exceptions = entry.exceptions();
    let told = json!({
        "position": position,
        "countsAt": entry.counts_at(position),
        "kind": "verdicts",
        "author": author_json(author),
        "first": first,
        "last": last,
        "exceptions": exceptions
            .iter()
            .map(|(at, outcome)| exception_json(author.at(*at), outcome))
            .collect::<Vec<_>>(),
    });
    (told, 256 + 256 * exceptions.len())
}

fn author_json(author: Author) -> Json {
    json!({ "device": author.device, "epoch": format!("{:016x}", author.epoch.0) })
}

fn bundle_json(position: u64, bundle: &Bundle) -> Json {
    json!({
        "position": position,
        "kind": "bundle",
        "author": author_json(bundle.author()),
        "actor": bundle.header().actor,
        "writtenAt": bundle.header().written_at,
        "hash": bundle.hash(),
        "commands": bundle
            .commands()
            .map(|(dot, command)| command_json(dot, command))
            .collect::<Vec<_>>(),
    })
}

fn command_json(dot: Dot, command: &Command) -> Json {
    let mut fields = Map::new();
    for write in &command.writes {
        match &write.change {
            Change::Write(value) => {
                fields.insert(write.field.clone(), value.to_json());
            }
            Change::Increment(by) => {
                fields.insert(write.field.clone(), json!({ "increment": by }));
            }
            Change::Add(elements) => part(&mut fields, &write.field, ("add", elements.iter())),
            Change::Remove(elements) => {
                let elements = elements.iter().map(|(element, _)| element);
                part(&mut fields, &write.field, ("remove", elements));
            }
        }
    }
    json!({
        "dot": dot.to_string(),
        "id": command.id,
        "entityType": command.entity_type,
        "entityId": command.entity,
        "operation": command.op.word(),
        "fields": fields,
        "ts": command.ts,
    })
}

/// A set may add and remove in one command.
fn part<'v>(
    fields: &mut Map<String, Json>,
    field: &str,
    (word, elements): (&str, impl Iterator<Item = &'v Value>),
) {
    let elements = elements.map(Value::to_json).collect();
    let parts = fields.entry(field).or_insert_with(|| json!({}));
    parts[word] = Json::Array(elements);
}

fn exception_json(dot: Dot, outcome: &Outcome) -> Json {
    let dot = dot.to_string();
    match outcome {
        Outcome::Accepted => json!({ "dot": dot, "outcome": "accepted" }),
        Outcome::Merged(lost) => {
            let lost: Vec<Json> = lost
                .iter()
                .map(|(field, code)| json!({ "field": field, "code": code }))
                .collect();
            json!({ "dot": dot, "outcome": "merged", "lost": lost })
        }
        Outcome::Rejected { code, detail } => {
            json!({ "dot": dot, "outcome": "rejected", "code": code, "detail": detail })
        }
    }
}
