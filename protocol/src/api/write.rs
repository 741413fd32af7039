//! What is written: a list of mutations that become durable together, and the read token that goes with them.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};

use super::NetworkState;
use crate::command::Op;
use crate::id::EntityId;
use crate::vector::Vector;

/// One mutation of one entity.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MutationRequest {
    /// The type's name.
    #[serde(rename = "type")]
    pub entity_type: String,
    /// Which entity; left out for a create, which then gets a new id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<EntityId>,
    /// What happens.
    pub op: Op,
    /// Field name to value; a set takes `{"add": [...], "remove": [...]}`, a counter `{"increment": n}`.
    #[serde(default)]
    pub fields: Map<String, Json>,
    /// The read token of what the person had before them; what is applied now if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read: Option<String>,
}

/// `POST /local/v1/tx`.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TxRequest {
    /// The person; the system's user if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor: Option<String>,
    /// 1 to 1000, all or none.
    pub mutations: Vec<MutationRequest>,
    /// The cloud takes all of them or none.
    #[serde(default)]
    pub together: bool,
    /// Leave out every create whose entity exists already: what an import does that is run again. Entries of the point of sale get
    /// no receipt by it: what an import takes up had one elsewhere, and two machines that take up one file must write the same.
    #[serde(default)]
    pub skip_existing: bool,
}

/// The answer to a transaction. It is durable.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct TxAnswer {
    /// The bundle: its author's first and last command, as dots; `None` if every create was left out.
    pub bundle: Option<BundleName>,
    /// The entity of each mutation, in order.
    pub ids: Vec<EntityId>,
    /// Of each entity that got a receipt here, the receipt as it is printed, in the order of `ids`.
    #[serde(default)]
    pub receipts: Vec<Option<String>>,
    /// How many creates were left out because their entity exists already.
    pub skipped: u64,
    /// What stands as it was written and may be another than its author thinks: sentences for that person.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// The read token after the write: `?at_least=` reads it back.
    pub vv: String,
}

/// Names a bundle by its commands.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct BundleName {
    /// Its first command.
    pub first: String,
    /// Its last command.
    pub last: String,
}

/// `POST /local/v1/login`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoginRequest {
    /// The new token for the cloud truth.
    pub token: String,
    /// How the next one is had; without it the token is good until it is not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub renewal: Option<Renewal>,
}

impl LoginRequest {
    /// A token that nothing renews.
    pub fn of_token(token: String) -> Self {
        Self {
            token,
            renewal: None,
        }
    }
}

impl fmt::Debug for LoginRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LoginRequest(tokens hidden)")
    }
}

/// How the next access token is had (RFC 6749, 6).
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Renewal {
    /// Good once.
    pub refresh_token: String,
    /// Where it is exchanged; `None`: at the cloud truth itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    /// As whom.
    pub client_id: String,
    /// What the tokens are for, where the provider wants to know.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource: Option<String>,
}

impl fmt::Debug for Renewal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Renewal(token hidden)")
    }
}

/// `POST /local/v1/network`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NetworkRequest {
    /// Take part in the LAN, or not.
    pub network: NetworkState,
}

/// Whether a machine hides on its network.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum VenueState {
    /// It announces nothing and looks for nobody.
    On,
    /// It announces itself under random names.
    Off,
}

/// `POST /local/v1/venue`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VenueRequest {
    /// Hide, or not.
    pub venue: VenueState,
}

/// A vector as the read token of the API: its tips joined by commas, `0` for the empty one.
pub fn vv_text(vector: &Vector) -> String {
    if vector.is_empty() {
        return "0".to_owned();
    }
    let tips: Vec<String> = vector.tips().iter().map(ToString::to_string).collect();
    tips.join(",")
}

/// Reads a read token; `None` if it is none that a node handed out.
pub fn vv_from_text(text: &str) -> Option<Vector> {
    if text == "0" {
        return Some(Vector::EMPTY);
    }
    let tips: Result<Vec<_>, _> = text
        .split(',')
        .take(crate::limits::TIPS + 1)
        .map(str::parse)
        .collect();
    Vector::from_tips(tips.ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::{Author, DeviceId, Epoch};

    #[test]
    fn a_read_token_reads_back_and_a_made_up_one_is_refused() {
        let author = |device| Author {
            device: DeviceId([device; 16]),
            epoch: Epoch(9),
        };
        let vector = Vector::from_tips(vec![author(1).at(4), author(2).at(1)]).expect("sorted");
        assert_eq!(vv_from_text(&vv_text(&vector)), Some(vector));
        assert_eq!(vv_from_text(&vv_text(&Vector::EMPTY)), Some(Vector::EMPTY));
        let backwards = format!("{},{}", author(2).at(1), author(1).at(4));
        assert_eq!(vv_from_text(&backwards), None);
        assert_eq!(vv_from_text("yesterday"), None);
        assert_eq!(vv_from_text(""), None);
    }

    #[test]
    fn a_transaction_needs_no_more_than_its_mutations() {
        let text = r#"{"mutations":[{"type":"client","op":"create","fields":{"name":"Silva"}}]}"#;
        let request: TxRequest = serde_json::from_str(text).expect("a request");
        assert!(request.actor.is_none() && !request.together && !request.skip_existing);
        assert_eq!(request.mutations[0].op, Op::Create);
    }
}
