//! Targets that read text: what people type, what applications send, and files that are brought along.

use serde_json::{Value, json};
use studiovault_node::config::{Currency, Kit, StudioFile, Zone};
use studiovault_node::uplink::PinSet;
use studiovault_protocol::api::{
    DiscardRequest, FixRequest, InviteRequest, LoginRequest, NetworkRequest, PolicyRequest,
    QueryRequest, ResolveRequest, RoleRequest, SubscribeRequest, TxRequest, WordsRequest,
    vv_from_text, vv_text,
};
use studiovault_protocol::id::{CommandId, DeviceId, Dot, EntityId, Hash};
use studiovault_protocol::pairing::Code;
use studiovault_protocol::policy::Policy;
use studiovault_protocol::receipt::Receipt;

use super::{Eater, Target};

const POLICY_WORDS: &[&str] = &[
    "[types.",
    "]",
    "rule = ",
    "\"set\"",
    "\"lww\"",
    "append_only = true",
    "natural_key = [",
    "version = ",
    "= [[",
    "'''",
    "\n",
];
const API_WORDS: &[&str] = &[
    "null",
    "[[[[",
    "{\"",
    "\":",
    "1e999",
    "\\ud800",
    "\"create\"",
    "\"type\"",
    "\"read\"",
    "\"fields\"",
    "-0",
];
const TYPED_WORDS: &[&str] = &[
    "-",
    ".",
    ":",
    ",",
    ";",
    "maple",
    "2027-02-29",
    "\u{130}",
    "A-",
    "#",
];
const KIT_WORDS: &[&str] = &[
    "Key: ",
    "Studio: ",
    "Pin: ",
    "Cloud: ",
    "Token: ",
    "Time zone: ",
    "\n",
    ": ",
];
const FILE_WORDS: &[&str] = &["\"records\":", "[]", "null", "\"version\":", "{", "}"];

pub(super) fn targets() -> Vec<Target> {
    let target = |name, make, seeds, words| Target {
        name,
        make,
        meals: usize::MAX,
        seeds,
        words,
    };
    vec![
        target("policy-text", || text(policy), policies, POLICY_WORDS),
        target("api", || text(api), bodies, API_WORDS),
        target("words", || text(words), typed, TYPED_WORDS),
        target("kit", || text(kit), kits, KIT_WORDS),
        target(
            "studio-file",
            || text(studio_file),
            studio_files,
            FILE_WORDS,
        ),
    ]
}

fn text(eat: fn(&str) -> String) -> Eater {
    Box::new(move |bytes| std::str::from_utf8(bytes).map_or("no text".to_owned(), eat))
}

fn class<T, E: std::fmt::Display>(outcome: &Result<T, E>) -> String {
    match outcome {
        Ok(_) => "taken".to_owned(),
        // What an error says of the input itself makes no class of its own.
        Err(error) => {
            let words = error.to_string();
            let letters = words
                .split(['`', '"', '\n', ':'])
                .next()
                .unwrap_or_default();
            letters
                .chars()
                .filter(|c| !c.is_ascii_digit())
                .take(60)
                .collect()
        }
    }
}

fn policy(text: &str) -> String {
    let parsed = Policy::parse(text);
    if let Ok(policy) = &parsed {
        assert_eq!(policy.text(), text);
        let again = Policy::parse(policy.text()).expect("what was read is read again");
        assert_eq!(again.hash(), policy.hash());
        let succeeds = Policy::default().check_successor(policy);
        return format!("{} {}", class(&parsed), class(&succeeds));
    }
    class(&parsed)
}

fn api(text: &str) -> String {
    fn read<T: serde::de::DeserializeOwned>(text: &str) -> char {
        if serde_json::from_str::<T>(text).is_ok() {
            'x'
        } else {
            '-'
        }
    }
    let all = [
        read::<TxRequest>(text),
        read::<ResolveRequest>(text),
        read::<FixRequest>(text),
        read::<DiscardRequest>(text),
        read::<InviteRequest>(text),
        read::<WordsRequest>(text),
        read::<RoleRequest>(text),
        read::<LoginRequest>(text),
        read::<NetworkRequest>(text),
        read::<PolicyRequest>(text),
        read::<QueryRequest>(text),
        read::<SubscribeRequest>(text),
    ];
    let is_json = serde_json::from_str::<Value>(text);
    format!("{} {}", all.iter().collect::<String>(), class(&is_json))
}

/// What reads back as it is shown.
fn shown<T: std::str::FromStr + std::fmt::Display>(text: &str) -> char
where
    T::Err: std::fmt::Debug,
{
    let Ok(value) = text.parse::<T>() else {
        return '-';
    };
    let again = value.to_string();
    let read = again.parse::<T>().expect("what is shown reads back");
    assert_eq!(read.to_string(), again);
    'x'
}

fn words(text: &str) -> String {
    let vv = vv_from_text(text).map_or('-', |vv| {
        let again = vv_from_text(&vv_text(&vv)).expect("what is shown reads back");
        assert_eq!(again, vv);
        'x'
    });
    let all = [
        shown::<Dot>(text),
        shown::<DeviceId>(text),
        shown::<EntityId>(text),
        shown::<CommandId>(text),
        shown::<Hash>(text),
        shown::<Receipt>(text),
        shown::<Zone>(text),
        shown::<Currency>(text),
        shown::<PinSet>(text),
        if text.parse::<Code>().is_ok() {
            'x'
        } else {
            '-'
        },
        vv,
    ];
    all.iter().collect()
}

fn kit(text: &str) -> String {
    class(&text.parse::<Kit>())
}

fn studio_file(text: &str) -> String {
    match serde_json::from_str::<StudioFile>(text) {
        Ok(file) => format!("file {}", class(&file.roster())),
        Err(error) => format!("{:?}", error.classify()),
    }
}

fn policies() -> Vec<Vec<u8>> {
    let small = "version = 2\n[types.client]\nnatural_key = [\"name\"]\n[types.client.fields.name]\nkind = \"text\"\nrequired = true\n";
    vec![Policy::default().text().into(), small.into()]
}

fn bodies() -> Vec<Vec<u8>> {
    let id = "11111111-1111-4111-8111-111111111111";
    let all = [
        json!({"mutations": [{"type": "client", "op": "create", "fields": {"name": "Silva", "tags": ["vip"]}}]}),
        json!({"mutations": [{"type": "client", "id": id, "op": "update", "fields": {"name": null}, "read": "x"}], "together": true, "skip_existing": true, "actor": "mara"}),
        json!({"choice": {"side": "d"}, "read": "x"}),
        json!({"choice": {"value": 1.5}}),
        json!({"choice": "restore"}),
        json!({"fields": {"name": "x"}, "new_id": true}),
        json!({"reason": "no"}),
        json!({"role": "member", "priority": -1, "gateway_preference": 3}),
        json!({"words": "maple orbit"}),
        json!({"token": "t"}),
        json!({"network": "offline"}),
        json!({"document": "version = 2"}),
        json!({"sql": "SELECT 1", "params": [1, "a", null]}),
    ];
    all.iter()
        .map(|body| body.to_string().into_bytes())
        .collect()
}

fn typed() -> Vec<Vec<u8>> {
    let id = "11111111-1111-4111-8111-111111111111";
    let pin = "ab".repeat(32);
    let all = [
        id.to_owned(),
        format!("{id}.000000000000000b.17"),
        pin.clone(),
        format!("{pin},{};2027-11-22", "cd".repeat(32)),
        "A-000123".into(),
        "Europe/Lisbon".into(),
        "EUR".into(),
        "42-maple-orbit-velvet".into(),
        Code::from_random([9, 8, 7, 6]).to_string(),
        format!("{id}.000000000000000b.17,{id}.000000000000000c.4"),
    ];
    all.map(String::into_bytes).into()
}

fn kits() -> Vec<Vec<u8>> {
    let id = "07070707-0707-4707-8707-070707070707";
    let key = "x".repeat(40);
    vec![format!(
        "StudioVault recovery kit.\nStudio: Lisbon\nTime zone: Europe/Lisbon\nCurrency: EUR\nCloud: https://cloud.example\nPin: a,b\nToken: t\nKey: {id} {key}\n"
    )
    .into_bytes()]
}

fn studio_files() -> Vec<Vec<u8>> {
    use super::studio;
    let root = studio::root().public();
    let file = json!({
        "version": 2,
        "studio": studio::STUDIO,
        "name": "Lisbon",
        "region": {"time_zone": "Europe/Lisbon", "currency": "EUR"},
        "root": root,
        "mesh_key": "00".repeat(32),
        "discovery_key": "11".repeat(32),
        "cloud": null,
        "records": studio::records(),
    });
    vec![file.to_string().into_bytes()]
}
