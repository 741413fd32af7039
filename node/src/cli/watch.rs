//! `watch`: events, or an SQL question followed live, until it is interrupted.

use clap::Args;
use serde_json::Value as Json;
use studiovault_protocol::api::SubscribeRequest;

use super::failure::{Exit, Failure};
use super::folder::client;
use super::output::say;
use super::{Call, Outcome, runtime};

#[derive(Args)]
pub(crate) struct Watch {
    /// One SELECT over the views app_<type>; events if left out
    sql: Option<String>,
}

/// `studiovault watch`: one line an event.
pub(crate) fn watch(call: &Call, watch: Watch) -> Outcome {
    let client = client(call)?;
    runtime()?.block_on(async {
        let question = watch.sql.map(|sql| SubscribeRequest {
            sql,
            params: Vec::new(),
        });
        let path = if question.is_some() {
            "/subscribe"
        } else {
            "/events"
        };
        let mut stream = client.stream(path, question.as_ref()).await?;
        while let Some(told) = stream.next().await {
            if call.json {
                let data: Json = serde_json::from_str(&told.data).unwrap_or_default();
                say!("{}", serde_json::json!({"name": told.name, "data": data}));
            } else {
                say!("{:<14} {}", told.name, told.data);
            }
        }
        let text = "the node has stopped\nStart it with `studiovault run`, then watch again.";
        Err(Failure::new(Exit::NotRunning, text))
    })
}
