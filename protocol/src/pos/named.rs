//! The sale that a correction or a void names: it must be there when the entry is written, and must be a sale.
//!
//! Asked of the author alone. What others hold is never judged by it: there an entry without its sale counts nothing and is
//! flagged.

use super::{CORRECTION, NAMED, SALE, VOID};
use crate::author::Refusal;
use crate::command::{Change, Command, Op};
use crate::id::EntityId;
use crate::merge::Entity;
use crate::value::Value;

/// The sale that a new correction or void names.
pub fn named_sale(command: &Command) -> Option<EntityId> {
    let names = matches!(command.entity_type.as_str(), CORRECTION | VOID);
    if !names || command.op != Op::Create {
        return None;
    }
    let mut writes = command.writes.iter();
    let write = writes.find(|write| write.field == NAMED)?;
    match write.change {
        Change::Write(Value::Ref(sale)) => Some(sale),
        _ => None,
    }
}

/// Refuses a correction or a void of what is no sale here. `named` is the entity that [`named_sale`] told.
pub fn check_named(
    command: &Command,
    (id, named): (EntityId, Option<&Entity>),
) -> Result<(), Refusal> {
    let (name, next_step) = (
        &command.entity_type,
        "look the sale up with `studiovault list pos_order`",
    );
    let detail = match named.filter(|entity| entity.life.exists()) {
        Some(entity) if entity.entity_type == SALE => return Ok(()),
        Some(entity) => format!(
            "`{NAMED}` of a {name} names a sale, and {id} is a {}; {next_step}",
            entity.entity_type
        ),
        None => {
            format!("`{NAMED}` of a {name} names a sale, and there is no {id} here; {next_step}")
        }
    };
    Err(Refusal {
        code: "UNKNOWN_SALE",
        field: Some(NAMED.to_owned()),
        detail,
    })
}
