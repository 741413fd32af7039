//! What a file comes to: checked creates in the file's order, and the lines that cannot be taken.
//!
//! A row is checked by the very rules that the node checks a write with, so a plan without bad lines is not refused later.

use std::collections::HashSet;

use serde::Serialize;
use serde_json::{Map, Value as Json};
use studiovault_protocol::api::MutationRequest;
use studiovault_protocol::author::{self, Draw, Mutation};
use studiovault_protocol::command::Op;
use studiovault_protocol::id::{CommandId, DeviceId, EntityId, Nonce};
use studiovault_protocol::policy::Policy;
use studiovault_protocol::time::WallMs;

/// A line that cannot be taken.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub(crate) struct BadLine {
    /// Which, from 1.
    pub line: u64,
    /// Why.
    pub reason: String,
}

/// One row on its way.
#[derive(Debug)]
pub(crate) struct Row {
    /// What is written.
    pub mutation: MutationRequest,
    /// Bytes of its command.
    pub bytes: usize,
}

/// What a file comes to.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    /// Creates, in the file's order.
    pub rows: Vec<Row>,
    /// Lines that cannot be taken.
    pub bad: Vec<BadLine>,
    /// Lines with something on them.
    pub lines: u64,
    seen: HashSet<EntityId>,
    policy: Policy,
}

impl Plan {
    /// Nothing yet, to be checked by this policy.
    pub fn by(policy: Policy) -> Self {
        Self {
            policy,
            ..Self::default()
        }
    }

    /// Takes a create in, unless the plan has that entity already; an error says what is wrong with the row.
    pub fn create(
        &mut self,
        entity_type: &str,
        id: EntityId,
        fields: Map<String, Json>,
    ) -> Result<(), String> {
        let mutation = Mutation {
            entity_type: entity_type.to_owned(),
            entity: Some(id),
            op: Op::Create,
            fields,
            read: None,
            replaces: None,
        };
        // Only the size of what the node will draw matters here.
        let draw = Draw {
            device: DeviceId([0; 16]),
            id: CommandId([0; 16]),
            nonce: Nonce([0; 16]),
            ts: WallMs(i64::MAX),
        };
        let command = author::command(&mutation, None, &self.policy, draw)
            .map_err(|refusal| refusal.detail)?;
        if !self.seen.insert(id) {
            return Ok(());
        }
        let bytes = postcard::to_stdvec(&command)
            .expect("wire types always encode")
            .len();
        self.rows.push(Row {
            mutation: MutationRequest {
                entity_type: mutation.entity_type,
                id: Some(id),
                op: Op::Create,
                fields: mutation.fields,
                read: None,
            },
            bytes,
        });
        Ok(())
    }

    /// Notes a line that cannot be taken.
    pub fn refuse(&mut self, line: u64, reason: impl Into<String>) {
        let reason = reason.into();
        self.bad.push(BadLine { line, reason });
    }
}
