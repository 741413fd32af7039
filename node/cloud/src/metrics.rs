//! What the server counts of itself since its start, as Prometheus reads it. Numbers only: no name, no id, no field.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::Response;

use crate::handlers::App;

/// Counters since the start.
#[derive(Debug, Default)]
pub struct Metrics {
    /// By route and status.
    requests: Mutex<BTreeMap<(String, u16), Tally>>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    count: u64,
    time: Duration,
}

impl Metrics {
    fn note(&self, key: (String, u16), time: Duration) {
        let mut requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        let tally = requests.entry(key).or_default();
        tally.count += 1;
        tally.time += time;
    }

    /// The counters in Prometheus' text form.
    pub fn text(&self) -> String {
        let mut text = String::new();
        let requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        let names = [
            (
                "studiovault_cloud_requests_total",
                "Requests by route and status",
            ),
            (
                "studiovault_cloud_request_seconds_total",
                "Seconds spent on them, waiting included",
            ),
        ];
        for (at, (name, help)) in names.into_iter().enumerate() {
            let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} counter");
            for ((route, status), tally) in requests.iter() {
                let labels = format!("{{route=\"{route}\",status=\"{status}\"}}");
                let _ = match at {
                    0 => writeln!(text, "{name}{labels} {}", tally.count),
                    _ => writeln!(text, "{name}{labels} {:.6}", tally.time.as_secs_f64()),
                };
            }
        }
        text
    }
}

/// Counts a request under its route, never under its address.
pub async fn count(State(app): State<App>, request: Request, next: Next) -> Response {
    let route = request.extensions().get::<MatchedPath>();
    let route = route.map_or("none", |route| route.as_str()).to_owned();
    let begun = Instant::now();
    let response = next.run(request).await;
    let key = (route, response.status().as_u16());
    app.metrics.note(key, begun.elapsed());
    response
}
