//! The fields of a type: kind, rule and limits, and whether these go together.

use std::collections::BTreeMap;
use std::ops::Range;

use super::{Item, Owner, Reader, in_order};
use crate::limits;
use crate::policy::{FieldRule, PolicyError, Rule};
use crate::value::ValueKind;

/// Bytes of a text whose field names no limit: names, numbers, tags.
const TEXT_BYTES: u32 = 512;

impl Reader<'_> {
    pub(super) fn fields(
        &self,
        owner: Owner<'_>,
        append_only: bool,
        value: &Item<'_>,
    ) -> Result<BTreeMap<String, FieldRule>, PolicyError> {
        let table = self.table(value, "field")?;
        let mut fields = BTreeMap::new();
        for (key, value) in in_order(table) {
            let name = key.get_ref().as_ref();
            self.name(key.span(), name, "field")?;
            if name == "id" {
                let reason = format!("{owner} has a field `id`, which every entity has already");
                return self.fail(key.span(), reason, "call it otherwise");
            }
            if fields.len() >= limits::POLICY_FIELDS {
                let reason = format!("{owner} has more than {} fields", limits::POLICY_FIELDS);
                return self.fail(key.span(), reason, "split the type");
            }
            let owner = Owner {
                field: Some(name),
                ..owner
            };
            let rule = self.field(owner, append_only, (key.span(), value))?;
            fields.insert(name.to_owned(), rule);
        }
        Ok(fields)
    }

    fn field(
        &self,
        owner: Owner<'_>,
        append_only: bool,
        (place, value): (Range<usize>, &Item<'_>),
    ) -> Result<FieldRule, PolicyError> {
        let table = self.table(value, &owner.to_string())?;
        let Some(kind) = table.get("kind") else {
            let next = "add kind = \"text\" (or bool, int, date, ref)";
            return self.fail(place, format!("{owner} has no kind"), next);
        };
        let rule = if append_only {
            Rule::Immutable
        } else {
            Rule::Lww
        };
        let mut field = FieldRule {
            rule,
            kind: self.kind(kind)?,
            required: false,
            max_bytes: TEXT_BYTES,
            min: None,
            max: None,
        };
        for (key, value) in in_order(table) {
            match key.get_ref().as_ref() {
                "kind" => {}
                "rule" => field.rule = self.rule(value)?,
                "required" => field.required = self.flag(value, "required")?,
                "max_bytes" => field.max_bytes = self.max_bytes(owner, field.kind, value)?,
                "min" => field.min = Some(self.bound(owner, field.kind, (value, "min"))?),
                "max" => field.max = Some(self.bound(owner, field.kind, (value, "max"))?),
                other => {
                    let known = "kind, rule, required, max_bytes, min, max";
                    return self.unknown_word(key.span(), other, &owner.to_string(), known);
                }
            }
        }
        self.sensible(owner, append_only, (place, &field))?;
        Ok(field)
    }

    /// Whether rule, kind and limits of a field go together.
    fn sensible(
        &self,
        owner: Owner<'_>,
        append_only: bool,
        (place, field): (Range<usize>, &FieldRule),
    ) -> Result<(), PolicyError> {
        let gathers = matches!(field.rule, Rule::Set | Rule::Counter);
        if append_only && field.rule != Rule::Immutable {
            let reason =
                format!("{owner} has another rule than immutable, and its type is append_only");
            return self.fail(place, reason, "leave its rule out");
        }
        if field.rule == Rule::Counter && field.kind != ValueKind::Int {
            let reason = format!("{owner} is a counter of another kind than int");
            return self.fail(place, reason, "give it kind = \"int\"");
        }
        if gathers && field.required {
            let reason = format!("{owner} is required; a set or a counter begins empty");
            return self.fail(place, reason, "leave `required` out");
        }
        if field.rule == Rule::Counter && (field.min.is_some() || field.max.is_some()) {
            let reason =
                format!("{owner} is a counter with a limit; concurrent increments could pass any");
            return self.fail(place, reason, "leave `min` and `max` out");
        }
        match (field.min, field.max) {
            (Some(min), Some(max)) if min > max => self.fail(
                place,
                format!("{owner} has a min over its max"),
                "correct one of them",
            ),
            _ => Ok(()),
        }
    }

    fn kind(&self, value: &Item<'_>) -> Result<ValueKind, PolicyError> {
        Ok(match self.word(value, "kind")? {
            "bool" => ValueKind::Bool,
            "int" => ValueKind::Int,
            "text" => ValueKind::Text,
            "date" => ValueKind::Date,
            "ref" => ValueKind::Ref,
            other => {
                return self.unknown_word(
                    value.span(),
                    other,
                    "kind",
                    "bool, int, text, date, ref",
                );
            }
        })
    }

    fn rule(&self, value: &Item<'_>) -> Result<Rule, PolicyError> {
        Ok(match self.word(value, "rule")? {
            "lww" => Rule::Lww,
            "immutable" => Rule::Immutable,
            "set" => Rule::Set,
            "counter" => Rule::Counter,
            other => {
                return self.unknown_word(
                    value.span(),
                    other,
                    "rule",
                    "lww, immutable, set, counter",
                );
            }
        })
    }

    fn max_bytes(
        &self,
        owner: Owner<'_>,
        kind: ValueKind,
        value: &Item<'_>,
    ) -> Result<u32, PolicyError> {
        if kind != ValueKind::Text {
            let reason = format!("{owner} has max_bytes and is no text");
            return self.fail(value.span(), reason, "leave `max_bytes` out");
        }
        let number = self.int(value, "max_bytes")?;
        match u32::try_from(number) {
            Ok(bytes) if bytes > 0 && bytes <= limits::TEXT_BYTES => Ok(bytes),
            _ => {
                let reason = format!("max_bytes {number} of {owner} is out of range");
                self.fail(
                    value.span(),
                    reason,
                    format!("use 1 to {}", limits::TEXT_BYTES),
                )
            }
        }
    }

    fn bound(
        &self,
        owner: Owner<'_>,
        kind: ValueKind,
        (value, word): (&Item<'_>, &str),
    ) -> Result<i64, PolicyError> {
        if kind != ValueKind::Int {
            let reason = format!("{owner} has {word} and is no int");
            return self.fail(value.span(), reason, format!("leave `{word}` out"));
        }
        self.int(value, word)
    }
}
