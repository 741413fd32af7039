//! `studiovault dead-letters`: what the cloud did not take, and the ways out of it.

use clap::{Args, Subcommand};
use serde_json::{Map, Value as Json};
use studiovault_protocol::api::{DeadLetter, DeadLetterPage, DiscardRequest, FixRequest, TxAnswer};

use super::client::escaped;
use super::folder::client;
use super::output::{Table, moment, plain, print_json, say};
use super::policy::in_force;
use super::{Call, Outcome, parse, runtime};

#[derive(Args)]
pub(crate) struct Letters {
    #[command(subcommand)]
    what: Option<What>,
}

#[derive(Subcommand)]
enum What {
    /// List the open ones, of all machines
    List,
    /// Show one with all its fields and the cloud's words
    Show {
        /// The command, as the list shows it
        #[arg(value_name = "DOT")]
        dot: String,
    },
    /// Send it again with other values, in its place: of the two at most one takes effect
    Fix(Fix),
    /// Give it up, with a reason that stays in the history; a sale is never given up
    Discard {
        /// The command, as the list shows it
        #[arg(value_name = "DOT")]
        dot: String,
        /// Why
        #[arg(long)]
        reason: String,
        /// Who acts [default: the system's user]
        #[arg(long, value_name = "PERSON")]
        actor: Option<String>,
    },
}

#[derive(Args)]
struct Fix {
    /// The command, as the list shows it
    #[arg(value_name = "DOT")]
    dot: String,
    /// What changes: name=value tags+=element credits+=3 notes:="JSON"; notes:=null leaves a field out
    #[arg(value_name = "FIELD")]
    words: Vec<String>,
    /// Create it under another id: the first one is taken
    #[arg(long)]
    new_id: bool,
    /// Who acts [default: the system's user]
    #[arg(long, value_name = "PERSON")]
    actor: Option<String>,
}

/// `studiovault dead-letters`.
pub(crate) fn letters(call: &Call, letters: Letters) -> Outcome {
    match letters.what.unwrap_or(What::List) {
        What::List => list(call),
        What::Show { dot } => show(call, &dot),
        What::Fix(asked) => fix(call, asked),
        What::Discard { dot, reason, actor } => {
            let request = DiscardRequest { reason, actor };
            let path = format!("/dead-letters/{}/discard", escaped(&dot));
            let answer: TxAnswer = runtime()?.block_on(client(call)?.post(&path, &request))?;
            done(call, &answer, "given up; the reason stays in the history")
        }
    }
}

fn list(call: &Call) -> Outcome {
    let page: DeadLetterPage = runtime()?.block_on(client(call)?.get("/dead-letters"))?;
    if call.json {
        print_json(&page);
        return Ok(());
    }
    let mut table = Table::new(["when", "machine", "what", "code", "the cloud says", "dot"]);
    for letter in &page.dead_letters {
        table.row(vec![
            moment(letter.ts),
            letter.device.clone(),
            format!("{} {}", letter.op.word(), letter.entity_type),
            letter.code.clone(),
            letter.detail.clone(),
            letter.dot.clone(),
        ]);
    }
    table.print("nothing needs fixing");
    if !page.dead_letters.is_empty() {
        say!(
            "\nSend one again with `studiovault dead-letters fix DOT name=value`, or give it up with `discard DOT --reason TEXT`."
        );
    }
    Ok(())
}

fn show(call: &Call, dot: &str) -> Outcome {
    let path = format!("/dead-letters/{}", escaped(dot));
    let letter: DeadLetter = runtime()?.block_on(client(call)?.get(&path))?;
    if call.json {
        print_json(&letter);
        return Ok(());
    }
    say!(
        "{} {} {}",
        letter.op.word(),
        letter.entity_type,
        letter.entity
    );
    say!(
        "written on {}, answered {}",
        letter.device,
        moment(letter.ts)
    );
    say!("{}: {}", letter.code, letter.detail);
    if let Some(settled) = &letter.settled {
        say!("{settled} meanwhile");
    }
    let mut table = Table::new(["field", "value"]);
    for (name, value) in &letter.fields {
        table.row(vec![name.clone(), plain(value)]);
    }
    table.print("it names no field");
    Ok(())
}

fn fix(call: &Call, asked: Fix) -> Outcome {
    let client = client(call)?;
    let path = format!("/dead-letters/{}", escaped(&asked.dot));
    let runtime = runtime()?;
    let letter: DeadLetter = runtime.block_on(client.get(&path))?;
    let mut fields: Map<String, Json> = Map::new();
    let (left_out, words): (Vec<String>, Vec<String>) = asked
        .words
        .into_iter()
        .partition(|word| word.ends_with(":=null"));
    for word in left_out {
        fields.insert(word.trim_end_matches(":=null").to_owned(), Json::Null);
    }
    let policy = runtime.block_on(in_force(&client))?;
    fields.extend(parse::fields(&policy, &letter.entity_type, &words)?);
    let request = FixRequest {
        fields,
        new_id: asked.new_id,
        actor: asked.actor,
    };
    let answer: TxAnswer = runtime.block_on(client.post(&format!("{path}/fix"), &request))?;
    done(call, &answer, "sent again in its place")
}

fn done(call: &Call, answer: &TxAnswer, words: &str) -> Outcome {
    if call.json {
        print_json(answer);
    } else {
        say!("{words}");
    }
    Ok(())
}
