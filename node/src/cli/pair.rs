//! `invite` and `join`: a machine is admitted by a spoken code, typed on one side, and two words, typed on the other.

use std::time::Duration;

use clap::Args;
use serde_json::json;
use studiovault_node::config::Machine;
use studiovault_node::pairing::{self, Greeting, JoinError, Wish};
use studiovault_node::wording::parted;
use studiovault_protocol::api::{InviteRequest, InviteState, InviteView, WordsRequest};
use studiovault_protocol::pairing::Code;

use super::client::Client;
use super::devices::RoleName;
use super::failure::{Exit, Failure};
use super::folder::client;
use super::keys::{KeyArgs, place_name, place_words};
use super::output::{print_json, say};
use super::{Call, Outcome, runtime};

/// How often the invite is looked at.
const LOOK: Duration = Duration::from_millis(250);

#[derive(Args)]
pub(crate) struct Invite {
    /// What the newcomer may do
    #[arg(long, value_enum, default_value_t = RoleName::Member)]
    role: RoleName,
    /// Of edits made at the same time, that of the machine with the higher number is shown
    #[arg(long, default_value_t = 0, allow_negative_numbers = true)]
    priority: i32,
    /// The machine with the higher number carries to the cloud first
    #[arg(long, default_value_t = 0, allow_negative_numbers = true)]
    gateway_preference: i32,
}

#[derive(Args)]
pub(crate) struct Join {
    /// The code that the other machine shows, such as 42-maple-orbit-velvet
    code: Code,
    /// What people shall call this machine
    #[arg(long)]
    name: String,
    /// Where the invite is, if the network does not show it
    #[arg(long, value_name = "HOST:PORT")]
    at: Option<String>,
    #[command(flatten)]
    keys: KeyArgs,
}

/// `studiovault invite`: shows the code until somebody was let in or the invite is over. Words come by the input, a line each.
pub(crate) fn invite(call: &Call, invite: Invite) -> Outcome {
    let client = client(call)?;
    let request = InviteRequest {
        role: invite.role.into(),
        priority: invite.priority,
        gateway_preference: invite.gateway_preference,
    };
    let runtime = runtime()?;
    let outcome = runtime.block_on(watch(call, &client, &request));
    // The thread that waits for a line of input does not end by itself.
    runtime.shutdown_background();
    outcome
}

async fn watch(call: &Call, client: &Client, request: &InviteRequest) -> Outcome {
    let mut shown: InviteView = client.post("/pairing", request).await?;
    tell(call, &shown);
    let mut lines = lines();
    let mut asked = false;
    loop {
        let view: InviteView = client.get("/pairing").await?;
        if (view.state, &view.code) != (shown.state, &shown.code) {
            tell(call, &view);
            asked = false;
        }
        shown = view;
        match shown.state {
            InviteState::Open => {}
            InviteState::Checking if asked => {}
            InviteState::Checking => asked = true,
            InviteState::Admitted => return Ok(()),
            InviteState::Expired | InviteState::Missed | InviteState::Withdrawn => {
                let text = format!(
                    "{}\nShow a new one with `studiovault invite`.",
                    sentence(&shown)
                );
                return Err(Failure::new(Exit::Failed, text));
            }
        }
        tokio::select! {
            Some(words) = words_for(shown.state, &mut lines) => {
                let request = WordsRequest { words };
                let answer: Result<InviteView, Failure> =
                    client.post("/pairing/words", &request).await;
                if let Err(failure) = answer {
                    eprintln!("{}", failure.text());
                }
            }
            () = tokio::time::sleep(LOOK) => {}
            _ = tokio::signal::ctrl_c() => {
                let _: InviteView = client.post("/pairing/withdraw", &json!({})).await?;
                return Err(Failure::new(Exit::Failed, "the invite was taken back\nShow a new one with `studiovault invite`."));
            }
        }
    }
}

/// The next line, once a newcomer waits for words: who types faster than the invite is looked at loses nothing.
async fn words_for(
    state: InviteState,
    lines: &mut tokio::sync::mpsc::Receiver<String>,
) -> Option<String> {
    if state != InviteState::Checking {
        std::future::pending::<()>().await;
    }
    lines.recv().await
}

/// The lines of the input as they are typed.
fn lines() -> tokio::sync::mpsc::Receiver<String> {
    let (sender, receiver) = tokio::sync::mpsc::channel(1);
    std::thread::spawn(move || {
        let lines = std::io::stdin().lines().map_while(Result::ok);
        for line in lines.filter(|line| !line.trim().is_empty()) {
            if sender.blocking_send(line).is_err() {
                return;
            }
        }
        // The input is over: the invite may still be answered through the API.
        loop {
            std::thread::park();
        }
    });
    receiver
}

fn tell(call: &Call, view: &InviteView) {
    if call.json {
        print_json(view);
    } else {
        say!("{}", sentence(view));
    }
}

fn sentence(view: &InviteView) -> String {
    let last = view.last.as_ref().map(|last| format!("{last}. "));
    let last = last.unwrap_or_default();
    let who = view.applicant.as_deref().unwrap_or("a machine");
    match view.state {
        InviteState::Open => format!(
            "{last}On the new machine, within {} s:\n\n  studiovault join {} --name NAME\n\n(If it does not find this one: --at ADDRESS-OF-THIS-MACHINE:{})",
            view.left_ms / 1000,
            view.code.as_deref().unwrap_or_default(),
            view.port
        ),
        InviteState::Checking => {
            format!("{who} knows the code and shows two words. Type them here:")
        }
        InviteState::Admitted => format!("{who} is a machine of the studio now"),
        InviteState::Expired => "the invite has expired".into(),
        InviteState::Missed => format!("{last}That was the third: the invite is closed"),
        InviteState::Withdrawn => "the invite was taken back".into(),
    }
}

/// `studiovault join`.
pub(crate) fn join(call: &Call, join: Join) -> Outcome {
    let folder = join.keys.folder(call)?;
    let machine = runtime()?.block_on(async {
        let at = match &join.at {
            None => Vec::new(),
            Some(place) => resolve(place).await?,
        };
        let wish = Wish {
            code: join.code,
            name: join.name,
            at,
        };
        let joined = pairing::join(folder, wish, |greeting| greet(call, &greeting)).await;
        joined.map_err(failed)
    })?;
    joined(call, &machine);
    Ok(())
}

async fn resolve(place: &str) -> Result<Vec<std::net::SocketAddr>, Failure> {
    let found = tokio::net::lookup_host(place).await;
    let found = found.map_err(|error| {
        let text = format!(
            "`{place:.100}` is no address: {error}\nGive --at HOST:PORT as the other machine shows it."
        );
        Failure::new(Exit::Usage, text)
    })?;
    Ok(found.collect())
}

fn greet(call: &Call, greeting: &Greeting) {
    if call.json {
        let line = json!({
            "words": greeting.words,
            "studio": greeting.studio,
            "host": greeting.host,
        });
        say!("{line}");
    } else {
        say!(
            "{} of {} knows the code. Read these two words out, to be typed there:\n\n  {}\n",
            greeting.host,
            greeting.studio,
            greeting.words.replace('-', " ")
        );
    }
}

fn joined(call: &Call, machine: &Machine) {
    let folder = machine.folder.path();
    if call.json {
        let line = json!({
            "device": machine.identity.device,
            "name": machine.identity.name,
            "studio": machine.studio.studio,
            "studio_name": machine.studio.name,
            "folder": folder,
            "keys": place_name(machine.key_place),
        });
        say!("{line}");
    } else {
        say!(
            "{} is a machine of {} now; its key is in {}. What the studio holds comes from the others once it runs, and it can be used from the first moment.\n\n  studiovault run --data {}\n\n`studiovault status --follow` shows how far it is.",
            machine.identity.name,
            machine.studio.name,
            place_words(machine.key_place),
            folder.display()
        );
    }
}

fn failed(error: JoinError) -> Failure {
    if let JoinError::Config(error) = error {
        return error.into();
    }
    let exit = match error {
        JoinError::Refused(_) | JoinError::Pairing(_) | JoinError::NotAdmitted => Exit::Refused,
        JoinError::NotFound => Exit::NotFound,
        _ => Exit::Failed,
    };
    let text = error.to_string();
    let (what, next_step) = parted(&text);
    let next_step = next_step.unwrap_or("ask for a new invite");
    Failure::stepped(exit, &format!("{what}; nothing was written; {next_step}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt as _;

    #[test]
    fn words_that_are_typed_before_the_newcomer_is_noticed_are_kept() {
        let (sender, mut lines) = tokio::sync::mpsc::channel(1);
        sender
            .try_send("maple orbit".to_owned())
            .expect("there is room");
        let early = words_for(InviteState::Open, &mut lines).now_or_never();
        assert_eq!(early, None);
        let words = words_for(InviteState::Checking, &mut lines).now_or_never();
        assert_eq!(words, Some(Some("maple orbit".to_owned())));
    }
}
