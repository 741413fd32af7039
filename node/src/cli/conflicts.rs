//! `conflicts` and `resolve`: open questions with all that a person decides by, and the person's answer.
//!
//! An answer says what came of it: it is told as settled only once the node lists the question no more.

use clap::{ArgGroup, Args};
use serde_json::Value as Json;
use studiovault_protocol::api::{
    Choice, ConflictPage, ConflictView, ResolveRequest, SideView, TxAnswer,
};
use studiovault_protocol::command::Op;
use studiovault_protocol::merge::ConflictKind;
use studiovault_protocol::policy::Policy;
use studiovault_protocol::value::ValueKind;

use super::client::{Client, escaped};
use super::failure::{Exit, Failure};
use super::folder::client;
use super::output::{moment, plain, print_json, say};
use super::policy::in_force;
use super::read::show;
use super::{Call, Outcome, parse, runtime};

/// What settles a conflict; exactly one of them.
const CHOICES: [&str; 6] = [
    "suggested",
    "side",
    "value",
    "value_json",
    "restore",
    "accept_delete",
];

#[derive(Args)]
#[command(group(ArgGroup::new("choice").required(true).args(CHOICES)))]
pub(crate) struct Resolve {
    /// The conflict, as `studiovault conflicts` shows it
    id: String,
    /// Take the suggested side
    #[arg(long)]
    suggested: bool,
    /// Take the side of this write
    #[arg(long, value_name = "DOT")]
    side: Option<String>,
    /// Take another value, as `put` takes it: text as it is, a number for a number
    #[arg(long)]
    value: Option<String>,
    /// Take another value as JSON; `null` empties the field
    #[arg(long, value_name = "JSON")]
    value_json: Option<String>,
    /// Bring the deleted thing back, with the edits
    #[arg(long)]
    restore: bool,
    /// Let the delete stand
    #[arg(long)]
    accept_delete: bool,
    /// What was read before, as `conflicts` shows it: what changed since stops the answer
    #[arg(long, value_name = "VV")]
    read: Option<String>,
    /// Who acts [default: the system's user]
    #[arg(long, value_name = "PERSON")]
    actor: Option<String>,
}

/// `studiovault conflicts`.
pub(crate) fn conflicts(call: &Call) -> Outcome {
    show(call, "/conflicts", |page: &ConflictPage| {
        if page.conflicts.is_empty() {
            say!("no open conflicts");
        }
        for conflict in &page.conflicts {
            lines(conflict).iter().for_each(|line| say!("{line}"));
        }
    })
}

/// A conflict as people read it, with the words that settle it.
fn lines(conflict: &ConflictView) -> Vec<String> {
    let field = conflict.field.as_deref().unwrap_or("deleted or not");
    let mut lines = vec![format!(
        "{}  {} \"{}\": {field}",
        conflict.id, conflict.entity_type, conflict.label
    )];
    for side in &conflict.sides {
        let mark = if side.dot == conflict.suggested {
            "*"
        } else {
            " "
        };
        lines.push(format!(
            "  {mark} {:<14} {}  {}  ({})",
            side.device,
            moment(side.ts),
            said(side),
            side_state(side)
        ));
        lines.push(format!("      {}", side.dot));
        if let Some(name) = &side.proposed {
            lines.push(format!("      called \"{name}\" until it is settled"));
        }
    }
    lines.extend(conflict.deletion.iter().map(|told| format!("    {told}")));
    let base = conflict.base.iter().map(|base| match base {
        serde_json::Value::Object(fields) => field_list(fields),
        value => plain(value),
    });
    lines.extend(base.map(|base| format!("    before: {base}")));
    if conflict.clock_suspect {
        let text = "    clock suspect: one of the clocks is more than a day ahead";
        lines.push(text.to_owned());
    }
    lines.push(format!("    suggested: {}", conflict.rule));
    lines.push(format!("    settle it: {}", words(conflict)));
    lines.push(format!(
        "    only if nothing changes meanwhile: add --read {}",
        conflict.vv
    ));
    lines
}

/// What a side wrote: a value, or of a thing's life who did what to it.
fn said(side: &SideView) -> String {
    let Some(deed) = &side.deed else {
        return plain(&side.value);
    };
    let did = match deed.op {
        Op::Delete => "deleted it".to_owned(),
        Op::Restore => "brought it back".to_owned(),
        _ if deed.fields.is_empty() => "edited it".to_owned(),
        _ => format!("edited {}", field_list(&deed.fields)),
    };
    format!("{} {did}", deed.actor)
}

fn field_list(fields: &serde_json::Map<String, serde_json::Value>) -> String {
    let fields = fields.iter();
    let fields: Vec<String> = fields
        .map(|(name, value)| format!("{name} = {}", plain(value)))
        .collect();
    fields.join(", ")
}

/// How this kind of conflict is settled.
fn words(conflict: &ConflictView) -> String {
    let begin = format!("studiovault resolve {}", conflict.id);
    if conflict.field.is_none() {
        return format!(
            "{begin} --restore (it comes back, with the edits) or --accept-delete (it stays deleted)"
        );
    }
    if conflict.kind == ConflictKind::CreateCreate {
        let other = match conflict.sides.len() {
            2 => ", or --value NAME for the other one",
            _ => "",
        };
        return format!("{begin} --suggested or --side DOT (who keeps the name){other}");
    }
    format!("{begin} --suggested, --side DOT or --value VALUE")
}

fn side_state(side: &SideView) -> String {
    let state = plain(&serde_json::json!(side.state));
    match &side.code {
        Some(code) => format!("{state}: {code}"),
        None => state,
    }
}

/// `studiovault resolve`.
pub(crate) fn resolve(call: &Call, resolve: Resolve) -> Outcome {
    let client = client(call)?;
    let (answer, is_open) = runtime()?.block_on(answered(&client, resolve))?;
    if is_open {
        let text = "the answer was written, but the conflict is still open: it does not settle every side\nLook at it again with `studiovault conflicts`.";
        return Err(Failure::new(Exit::Failed, text));
    }
    if call.json {
        print_json(&answer);
    } else {
        say!("settled");
    }
    Ok(())
}

/// Gives the answer, and looks whether the question is still open.
async fn answered(client: &Client, resolve: Resolve) -> Result<(TxAnswer, bool), Failure> {
    let path = format!("/conflicts/{}", escaped(&resolve.id));
    let conflict: ConflictView = client.get(&path).await?;
    let policy = in_force(client).await?;
    let request = ResolveRequest {
        choice: choice(&resolve, &conflict, &policy)?,
        actor: resolve.actor,
        read: Some(resolve.read.unwrap_or(conflict.vv)),
    };
    let answer = client.post(&format!("{path}/resolve"), &request).await?;
    match client.get::<ConflictView>(&path).await {
        Ok(_) => Ok((answer, true)),
        Err(failure) if failure.is_not_found() => Ok((answer, false)),
        Err(failure) => Err(failure),
    }
}

/// A value is read by the field's kind, as `put` reads it.
fn choice(resolve: &Resolve, conflict: &ConflictView, policy: &Policy) -> Result<Choice, Failure> {
    if resolve.restore {
        return Ok(Choice::Restore);
    }
    if resolve.accept_delete {
        return Ok(Choice::AcceptDelete);
    }
    if let Some(side) = &resolve.side {
        return Ok(Choice::Side(side.clone()));
    }
    if let Some(text) = &resolve.value_json {
        let value: Json = serde_json::from_str(text).map_err(|error| {
            let text = format!(
                "--value-json takes JSON: {error}\nQuote it for the shell, or use --value."
            );
            Failure::new(Exit::Usage, text)
        })?;
        return Ok(Choice::Value(value));
    }
    let Some(text) = &resolve.value else {
        return Ok(Choice::Side(conflict.suggested.clone()));
    };
    let name = conflict.field.as_deref().unwrap_or("value");
    let rules = policy.entity_type(&conflict.entity_type);
    let rule = rules.and_then(|rules| rules.field(name));
    let kind = rule.map_or(ValueKind::Text, |rule| rule.kind);
    Ok(Choice::Value(parse::value(name, kind, text)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn a_conflict(kind: &str, field: Option<&str>, sides: Json) -> ConflictView {
        let view = json!({
            "id": "c1",
            "entity": "09090909-0909-0909-0909-090909090909",
            "entity_type": "pos_order",
            "label": "Silva",
            "field": field,
            "kind": kind,
            "base": null,
            "sides": sides,
            "suggested": "a",
            "rule": "Because.",
            "clock_suspect": false,
            "vv": "v1",
        });
        serde_json::from_value(view).expect("a conflict")
    }

    fn side(dot: &str, deed: Json) -> Json {
        json!({
            "dot": dot, "device": "desk", "ts": 0, "value": null, "state": "tentative", "code": null,
            "entity": "09090909-0909-0909-0909-090909090909", "deed": deed,
        })
    }

    fn answer(words: &[&str]) -> Resolve {
        #[derive(clap::Parser)]
        struct Line {
            #[command(flatten)]
            resolve: Resolve,
        }
        let line = ["resolve", "c1"].iter().chain(words);
        let line: Line = clap::Parser::try_parse_from(line).expect("parses");
        line.resolve
    }

    #[test]
    fn a_question_of_life_shows_who_did_what_and_the_words_that_settle_it() {
        let sides = json!([
            side("a", json!({"op": "delete", "actor": "Ines", "fields": {}})),
            side(
                "b",
                json!({"op": "update", "actor": "Rui", "fields": {"phone": "912"}})
            ),
        ]);
        let question = ConflictView {
            base: Some(json!({"email": "a@b", "phone": "911"})),
            ..a_conflict("delete_update", None, sides)
        };
        let text = lines(&question).join("\n");
        assert!(text.contains("before: email = a@b, phone = 911"), "{text}");
        assert!(text.contains("Ines deleted it"), "{text}");
        assert!(text.contains("Rui edited phone = 912"), "{text}");
        assert!(text.contains("--restore") && text.contains("--accept-delete"));
        assert!(!text.contains("--suggested") && !text.contains("--value"));
        assert!(text.contains("--read v1"), "{text}");
    }

    #[test]
    fn a_value_is_read_by_the_kind_of_its_field() {
        let policy = Policy::default();
        let of = |field, words: &[&str]| {
            let view = a_conflict("update_update", Some(field), json!([]));
            choice(&answer(words), &view, &policy).map_err(|failure| failure.text())
        };
        let value = |json| Ok(Choice::Value(json));
        assert_eq!(of("number", &["--value", "9"]), value(json!("9")));
        assert_eq!(of("number", &["--value", "\"1\""]), value(json!("\"1\"")));
        assert_eq!(of("items", &["--value", "9"]), value(json!(9)));
        assert!(of("items", &["--value", "nine"]).is_err());
        assert_eq!(of("number", &["--value-json", "null"]), value(Json::Null));
        assert_eq!(of("number", &["--suggested"]), Ok(Choice::Side("a".into())));
    }

    #[test]
    fn what_was_read_is_the_persons_to_say() {
        assert_eq!(answer(&["--suggested"]).read, None);
        let read = answer(&["--suggested", "--read", "v0"]).read;
        assert_eq!(read.as_deref(), Some("v0"));
    }
}
