//! Commands that write: each one transaction, durable when it returns.

use clap::{Args, ValueEnum};
use serde_json::json;
use studiovault_protocol::api::{
    ConflictPage, ConflictView, EntityView, MutationRequest, NetworkRequest, NetworkState, Status,
    TxAnswer, TxRequest,
};
use studiovault_protocol::command::Op;
use studiovault_protocol::id::EntityId;

use super::client::escaped;
use super::failure::{Exit, Failure};
use super::folder::client;
use super::output::{plain, print_json, say};
use super::policy::in_force;
use super::{Call, Outcome, parse, runtime};

#[derive(Args)]
pub(crate) struct Put {
    /// The type, such as client or pos_order
    #[arg(value_name = "TYPE")]
    entity_type: String,
    /// [ID] name=value tags+=element tags-=element credits+=3 notes:="JSON"
    #[arg(value_name = "FIELD", required = true)]
    words: Vec<String>,
    /// Create it with the given id
    #[arg(long)]
    new: bool,
    /// What was read before: the `vv` of `get --json`
    #[arg(long, value_name = "VV")]
    read: Option<String>,
    /// Who acts [default: the system's user]
    #[arg(long, value_name = "PERSON")]
    actor: Option<String>,
}

#[derive(Args)]
pub(crate) struct Named {
    /// The type
    #[arg(value_name = "TYPE")]
    entity_type: String,
    /// Which
    id: EntityId,
    /// Who acts [default: the system's user]
    #[arg(long, value_name = "PERSON")]
    actor: Option<String>,
}

#[derive(Args)]
pub(crate) struct Network {
    /// On or off
    state: Switch,
}

#[derive(Clone, Copy, ValueEnum)]
enum Switch {
    On,
    Off,
}

/// `studiovault put`.
pub(crate) fn put(call: &Call, put: Put) -> Outcome {
    let (id, words) = match put.words.split_first() {
        Some((first, rest)) if !first.contains('=') => {
            let id: EntityId = first.parse().map_err(|error| {
                let text =
                    format!("{error}\nGive fields as name=value, before them at most an id.");
                Failure::new(Exit::Usage, text)
            })?;
            (Some(id), rest)
        }
        _ => (None, &put.words[..]),
    };
    if put.new && id.is_none() {
        let text = "--new creates with a given id\nGive the id before the fields, or leave --new out for a fresh one.";
        return Err(Failure::new(Exit::Usage, text));
    }
    let policy = runtime()?.block_on(in_force(&client(call)?))?;
    let mutation = MutationRequest {
        op: if id.is_none() || put.new {
            Op::Create
        } else {
            Op::Update
        },
        fields: parse::fields(&policy, &put.entity_type, words)?,
        entity_type: put.entity_type,
        id,
        read: put.read,
    };
    let settled = settled_unread(call, &mutation)?;
    let answer = write(call, put.actor, mutation)?;
    let settled = settled.iter().map(words_of_settled);
    for words in settled.chain(answer.notes.iter().cloned()) {
        eprintln!("{words}");
    }
    if call.json {
        print_json(&answer);
    } else {
        let receipts = answer.receipts.iter().map(Option::as_ref);
        for (id, receipt) in answer
            .ids
            .iter()
            .zip(receipts.chain(std::iter::repeat(None)))
        {
            match receipt {
                Some(receipt) => say!("{id} {receipt}"),
                None => say!("{id}"),
            }
        }
    }
    Ok(())
}

/// The conflicts that a write settles whose author read nothing before: by the rule, it stands for all that is here.
fn settled_unread(call: &Call, mutation: &MutationRequest) -> Result<Vec<ConflictView>, Failure> {
    let Some(id) = mutation
        .id
        .filter(|_| mutation.op == Op::Update && mutation.read.is_none())
    else {
        return Ok(Vec::new());
    };
    let (client, runtime) = (client(call)?, runtime()?);
    let path = format!("/entities/{}/{id}", escaped(&mutation.entity_type));
    let entity: Result<EntityView, Failure> = runtime.block_on(client.get(&path));
    // What is not there is said by the write itself.
    if !entity.is_ok_and(|entity| entity.conflict) {
        return Ok(Vec::new());
    }
    let page: ConflictPage = runtime.block_on(client.get("/conflicts"))?;
    let written = |conflict: &ConflictView| {
        let field = conflict.field.as_deref();
        conflict.entity == id && field.is_some_and(|field| mutation.fields.contains_key(field))
    };
    Ok(page.conflicts.into_iter().filter(written).collect())
}

fn words_of_settled(conflict: &ConflictView) -> String {
    let sides = conflict.sides.iter();
    let sides: Vec<String> = sides
        .map(|side| format!("{} of {}", plain(&side.value), side.device))
        .collect();
    format!(
        "this settled the conflict over {}: {}. It stays in `studiovault history`; with --read only what was read is written over",
        conflict.field.as_deref().unwrap_or_default(),
        sides.join(", ")
    )
}

/// `studiovault delete`.
pub(crate) fn delete(call: &Call, named: Named) -> Outcome {
    life(call, named, Op::Delete, "deleted")
}

/// `studiovault restore`: the whole entity comes back as it was last shown.
pub(crate) fn restore(call: &Call, named: Named) -> Outcome {
    life(call, named, Op::Restore, "restored")
}

fn life(call: &Call, named: Named, op: Op, done: &str) -> Outcome {
    let mutation = MutationRequest {
        entity_type: named.entity_type,
        id: Some(named.id),
        op,
        fields: Default::default(),
        read: None,
    };
    let answer = write(call, named.actor, mutation)?;
    if call.json {
        print_json(&answer);
    } else {
        say!("{} {done}", named.id);
    }
    Ok(())
}

fn write(
    call: &Call,
    actor: Option<String>,
    mutation: MutationRequest,
) -> Result<TxAnswer, Failure> {
    let client = client(call)?;
    let request = TxRequest {
        actor,
        mutations: vec![mutation],
        ..TxRequest::default()
    };
    runtime()?.block_on(client.post("/tx", &request))
}

/// `studiovault network on|off`.
pub(crate) fn network(call: &Call, network: Network) -> Outcome {
    let client = client(call)?;
    let request = NetworkRequest {
        network: match network.state {
            Switch::On => NetworkState::Online,
            Switch::Off => NetworkState::Offline,
        },
    };
    let status: Status = runtime()?.block_on(client.post("/network", &request))?;
    if call.json {
        print_json(&json!({"network": status.network}));
    } else if status.network == NetworkState::Online {
        say!("{} takes part in the LAN", status.node.name);
    } else {
        say!(
            "{} is off the network, cloud included; it accepts writes and sends them once it is back",
            status.node.name
        );
    }
    Ok(())
}
