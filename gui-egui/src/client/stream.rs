//! Server-sent events out of a response that does not end.
//!
//! Bytes are cut into lines and lines into events; a line beyond the limit ends the connection, an event this version does
//! not know is skipped.

use std::collections::VecDeque;

use reqwest::Response;
use studiovault_protocol::api::Event;

/// Bytes of one event at most: one that names a thousand entities has some 40 kB.
const EVENT_BYTES: usize = 1024 * 1024;

/// The events of one connection.
pub(super) struct EventStream {
    response: Response,
    lines: Lines,
}

impl EventStream {
    pub(super) fn new(response: Response) -> Self {
        Self {
            response,
            lines: Lines::default(),
        }
    }

    /// The next event. May be dropped while it waits: nothing taken from the connection is lost.
    pub(super) async fn next(&mut self) -> Result<Event, Broken> {
        loop {
            if let Some(event) = self.lines.ready.pop_front() {
                return Ok(event);
            }
            match self.response.chunk().await {
                Ok(Some(chunk)) => self.lines.take_in(&chunk)?,
                Ok(None) | Err(_) => return Err(Broken::Gone),
            }
        }
    }
}

/// Why there are no more events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Broken {
    /// The node's end closed, as it does when it stops or dies.
    Gone,
    /// A line had no end.
    TooLong,
}

#[derive(Default)]
struct Lines {
    rest: Vec<u8>,
    data: String,
    ready: VecDeque<Event>,
}

impl Lines {
    fn take_in(&mut self, chunk: &[u8]) -> Result<(), Broken> {
        let mut from = 0;
        for (at, _) in chunk.iter().enumerate().filter(|(_, byte)| **byte == b'\n') {
            self.rest.extend_from_slice(&chunk[from..at]);
            from = at + 1;
            let line = std::mem::take(&mut self.rest);
            self.take_line(String::from_utf8_lossy(&line).trim_end_matches('\r'));
        }
        self.rest.extend_from_slice(&chunk[from..]);
        if self.rest.len() + self.data.len() > EVENT_BYTES {
            return Err(Broken::TooLong);
        }
        Ok(())
    }

    fn take_line(&mut self, line: &str) {
        if let Some(data) = line.strip_prefix("data:") {
            if !self.data.is_empty() {
                self.data.push('\n');
            }
            self.data.push_str(data.strip_prefix(' ').unwrap_or(data));
        } else if line.is_empty() && !self.data.is_empty() {
            let data = std::mem::take(&mut self.data);
            match serde_json::from_str(&data) {
                Ok(event) => self.ready.push_back(event),
                Err(error) => tracing::debug!(%error, "an event of another version"),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = concat!(
        ": keep-alive\n\n",
        "id: 1\nevent: status\ndata: {\"event\":\"status\"}\n\n",
        "event: tomorrow\ndata: {\"event\":\"tomorrow\"}\n\n",
        "event: conflicts\r\ndata: {\"event\":\"conflicts\",\ndata: \"open\":3}\r\n\r\n",
    );

    #[test]
    fn events_read_the_same_however_the_bytes_are_cut() {
        for size in 1..TEXT.len() {
            let mut lines = Lines::default();
            for chunk in TEXT.as_bytes().chunks(size) {
                lines.take_in(chunk).unwrap();
            }
            let events: Vec<Event> = lines.ready.into();
            assert_eq!(events, [Event::Status, Event::Conflicts { open: 3 }]);
        }
    }

    #[test]
    fn a_line_without_an_end_is_not_kept_for_ever() {
        let mut lines = Lines::default();
        let chunk = vec![b'x'; EVENT_BYTES / 2 + 1];
        assert_eq!(lines.take_in(&chunk), Ok(()));
        assert_eq!(lines.take_in(&chunk), Err(Broken::TooLong));
    }
}
