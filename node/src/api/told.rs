//! What live queries have told, so that a client that was cut off goes on where it was instead of beginning anew.
//!
//! Every event is noted here before it is sent, together with the answer that it leads to; whoever comes back with an event's
//! id is told what came after it and then what changed meanwhile. What is kept is bounded; beyond, a client begins anew.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::Value as Json;
use studiovault_protocol::api::SubscribeRequest;

/// Streams remembered at most; the one that was opened first is forgotten first.
const STREAMS: usize = 32;
/// Events of one stream remembered at most.
const EVENTS: usize = 1000;
/// Bytes of JSON of one stream's answer, and of its events, remembered at most.
const BYTES: usize = 256 * 1024;

/// Names one event of one stream of one run of the node.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct EventId {
    /// Which stream.
    pub stream: u64,
    /// Which event of it.
    pub event: u64,
}

/// One event as it was told.
#[derive(Clone, Debug)]
pub(super) struct Told {
    /// Its place in the stream.
    pub event: u64,
    /// Its name.
    pub name: &'static str,
    /// What it says.
    pub data: String,
}

/// One stream: who tells it now, what it told last, and what that adds up to.
#[derive(Debug)]
pub(super) struct Stream {
    question: SubscribeRequest,
    /// Each client that takes the stream over is one more; the earlier ones fall silent.
    owner: u64,
    next: u64,
    /// The events that can be told again.
    events: VecDeque<Told>,
    bytes: usize,
    /// The answer that all events together give; `None` if it is too large to keep.
    answer: Option<Vec<Vec<Json>>>,
}

/// All streams of one served API.
#[derive(Debug)]
pub(super) struct Streams {
    run: String,
    held: Mutex<Held>,
}

#[derive(Debug, Default)]
struct Held {
    next: u64,
    streams: BTreeMap<u64, Arc<Mutex<Stream>>>,
}

/// One client's hold on a stream.
pub(super) struct Hold {
    id: u64,
    owner: u64,
    stream: Arc<Mutex<Stream>>,
}

/// What a client that comes back is told first.
pub(super) struct Return {
    /// Its hold.
    pub hold: Hold,
    /// What it missed of what was told.
    pub missed: Vec<Told>,
    /// The answer that it has then.
    pub answer: Vec<Vec<Json>>,
}

impl Streams {
    /// For one run of a node.
    pub fn new(run: String) -> Self {
        Self {
            run,
            held: Mutex::default(),
        }
    }

    /// A new stream for a question.
    pub fn begin(&self, question: SubscribeRequest) -> Hold {
        let mut held = lock(&self.held);
        let id = held.next;
        held.next += 1;
        let stream = Arc::new(Mutex::new(Stream {
            question,
            owner: 0,
            next: 0,
            events: VecDeque::new(),
            bytes: 0,
            answer: None,
        }));
        held.streams.insert(id, stream.clone());
        while held.streams.len() > STREAMS {
            held.streams.pop_first();
        }
        let owner = 0;
        Hold { id, owner, stream }
    }

    /// Takes a stream over after an event; `None` if that is no longer known, or was another question.
    pub fn resume(&self, last: &str, question: &SubscribeRequest) -> Option<Return> {
        let last = self.read(last)?;
        let shared = lock(&self.held).streams.get(&last.stream)?.clone();
        let mut stream = lock(&shared);
        let answer = stream.answer.clone()?;
        let first = stream.events.front().map_or(stream.next, |told| told.event);
        let known = (first..=stream.next).contains(&(last.event + 1));
        if stream.question != *question || !known {
            return None;
        }
        stream.owner += 1;
        let owner = stream.owner;
        let missed = stream.events.iter().filter(|told| told.event > last.event);
        let missed = missed.cloned().collect();
        drop(stream);
        let hold = Hold {
            id: last.stream,
            owner,
            stream: shared,
        };
        Some(Return {
            hold,
            missed,
            answer,
        })
    }

    /// An id as it stands in a stream.
    pub fn word(&self, id: EventId) -> String {
        format!("{}-{}-{}", self.run, id.stream, id.event)
    }

    fn read(&self, text: &str) -> Option<EventId> {
        let mut parts = text.split('-');
        let (run, stream, event) = (parts.next()?, parts.next()?, parts.next()?);
        let number = |text: &str| text.parse::<u64>().ok().filter(|n| *n < u64::MAX);
        (run == self.run && parts.next().is_none()).then_some(())?;
        Some(EventId {
            stream: number(stream)?,
            event: number(event)?,
        })
    }
}

impl Hold {
    /// The stream's name.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// Notes events, the next answer with them, and numbers them; `None` if another client has taken the stream over. Before the
    /// first whole answer nothing can be told again.
    pub fn note(
        &self,
        events: Vec<(&'static str, String)>,
        answer: Option<&[Vec<Json>]>,
    ) -> Option<Vec<Told>> {
        let mut stream = lock(&self.stream);
        if stream.owner != self.owner {
            return None;
        }
        let told = events.into_iter().map(|(name, data)| {
            let event = stream.next;
            stream.next += 1;
            Told { event, name, data }
        });
        let told: Vec<Told> = told.collect();
        if let Some(answer) = answer {
            if stream.answer.is_some() {
                told.iter().for_each(|told| stream.keep(told.clone()));
            }
            let size: usize = answer
                .iter()
                .flatten()
                .map(|cell| cell.to_string().len())
                .sum();
            stream.answer = (size <= BYTES).then(|| answer.to_vec());
        }
        Some(told)
    }
}

impl Stream {
    fn keep(&mut self, told: Told) {
        self.bytes += told.data.len();
        self.events.push_back(told);
        while self.events.len() > EVENTS || self.bytes > BYTES {
            let Some(oldest) = self.events.pop_front() else {
                return;
            };
            self.bytes -= oldest.data.len();
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What stands here is whole whatever a panicking holder did: at worst a client begins anew.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn question(sql: &str) -> SubscribeRequest {
        SubscribeRequest {
            sql: sql.into(),
            params: Vec::new(),
        }
    }

    fn changes(n: usize) -> Vec<(&'static str, String)> {
        (0..n).map(|at| ("change", at.to_string())).collect()
    }

    /// A stream that told its first answer (3 events) and two changes.
    fn a_stream() -> (Streams, Hold) {
        let streams = Streams::new("ab".into());
        let hold = streams.begin(question("q"));
        hold.note(changes(3), Some(&[vec![json!(1)]]))
            .expect("told");
        hold.note(changes(2), Some(&[vec![json!(2)]]))
            .expect("told");
        (streams, hold)
    }

    #[test]
    fn a_client_that_comes_back_is_told_what_it_missed() {
        let (streams, hold) = a_stream();
        let back = streams.resume("ab-0-2", &question("q")).expect("goes on");
        assert_eq!(
            back.missed
                .iter()
                .map(|told| told.event)
                .collect::<Vec<_>>(),
            [3, 4]
        );
        assert_eq!(back.answer, [[json!(2)]]);
        assert!(
            hold.note(changes(1), None).is_none(),
            "the earlier client falls silent"
        );
        let next = back.hold.note(changes(1), Some(&[])).expect("told");
        assert_eq!(next[0].event, 5);
        assert!(
            streams
                .resume("ab-0-5", &question("q"))
                .expect("goes on")
                .missed
                .is_empty()
        );
    }

    #[test]
    fn what_is_not_known_begins_anew() {
        let (streams, _hold) = a_stream();
        for (last, sql) in [
            ("ab-0-1", "q"),
            ("ab-0-9", "q"),
            ("ab-1-3", "q"),
            ("cd-0-3", "q"),
            ("ab-0-3", "other"),
            ("ab-0", "q"),
            ("nonsense", "q"),
        ] {
            assert!(
                streams.resume(last, &question(sql)).is_none(),
                "{last} {sql}"
            );
        }
        assert!(streams.resume("ab-0-3", &question("q")).is_some());
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let (streams, hold) = a_stream();
        for _ in 0..3 {
            hold.note(changes(600), Some(&[])).expect("told");
        }
        assert!(
            streams.resume("ab-0-4", &question("q")).is_none(),
            "too long ago"
        );
        let large = vec![vec![json!("x".repeat(BYTES + 1))]];
        hold.note(changes(1), Some(&large)).expect("told");
        assert!(
            streams.resume("ab-0-1805", &question("q")).is_none(),
            "too large"
        );
        for _ in 0..STREAMS {
            streams.begin(question("q"));
        }
        assert_eq!(lock(&streams.held).streams.len(), STREAMS);
    }
}
