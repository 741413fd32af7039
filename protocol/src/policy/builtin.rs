//! The default StudioVault policy, compiled in.

use std::collections::BTreeMap;

use super::{FieldRule, Policy, Rule, TypeRule};
use crate::value::ValueKind;

/// Bytes of a short text: names, numbers, tags.
const SHORT: u32 = 512;
/// Bytes of a long text: notes, reasons.
const LONG: u32 = 16 * 1024;

fn field(rule: Rule, kind: ValueKind) -> FieldRule {
    FieldRule {
        rule,
        kind,
        required: false,
        max_bytes: SHORT,
    }
}

fn required(rule: Rule, kind: ValueKind) -> FieldRule {
    FieldRule {
        required: true,
        ..field(rule, kind)
    }
}

fn long(rule: Rule) -> FieldRule {
    FieldRule {
        max_bytes: LONG,
        ..field(rule, ValueKind::Text)
    }
}

fn entity_type<const N: usize>(fields: [(&str, FieldRule); N]) -> TypeRule {
    TypeRule {
        append_only: false,
        atomic: false,
        natural_key: Vec::new(),
        fields: fields.map(|(name, rule)| (name.to_owned(), rule)).into(),
    }
}

fn append_only<const N: usize>(fields: [(&str, FieldRule); N]) -> TypeRule {
    TypeRule {
        append_only: true,
        atomic: true,
        ..entity_type(fields)
    }
}

impl Default for Policy {
    fn default() -> Self {
        use Rule::{Counter, Immutable, Lww, Set};
        use ValueKind::{Date, Int, Ref, Text};
        let types = [
            (
                "client",
                entity_type([
                    ("name", required(Lww, Text)),
                    ("email", field(Lww, Text)),
                    ("phone", field(Lww, Text)),
                    ("notes", long(Lww)),
                    ("tags", field(Set, Text)),
                    ("customer_number", field(Immutable, Text)),
                ]),
            ),
            (
                "project",
                entity_type([
                    ("title", required(Lww, Text)),
                    ("client", field(Lww, Ref)),
                    ("shoot_date", field(Lww, Date)),
                    ("status", field(Lww, Text)),
                    ("notes", long(Lww)),
                    ("tags", field(Set, Text)),
                    ("print_credits", field(Counter, Int)),
                ]),
            ),
            (
                "pos_order",
                append_only([
                    ("client", field(Immutable, Ref)),
                    ("sold_on", required(Immutable, Date)),
                    ("items", required(Immutable, Int)),
                    ("amount_cents", required(Immutable, Int)),
                    ("notes", long(Immutable)),
                ]),
            ),
            (
                "pos_void",
                append_only([
                    ("order", required(Immutable, Ref)),
                    (
                        "reason",
                        FieldRule {
                            required: true,
                            ..long(Immutable)
                        },
                    ),
                ]),
            ),
        ];
        let types: BTreeMap<_, _> = types.map(|(name, rules)| (name.to_owned(), rules)).into();
        Self { version: 1, types }
    }
}
