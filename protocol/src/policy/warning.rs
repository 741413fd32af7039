//! What a shown value breaks of the policy in force: a warning beside it, the same on every machine, and no more.
//!
//! The fold never asks for limits and required fields: they change with the policy, and what stands does not. An honest author is
//! refused before its log; what a lying one wrote all the same, and what is older than a limit, is told here.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};

use super::{FieldRule, Rule, TypeRule};

/// One field that is not as the policy in force wants it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Warning {
    /// Which.
    pub field: String,
    /// The rule that its value breaks, and the next step.
    pub detail: String,
}

impl TypeRule {
    /// What shown fields break, by field.
    pub fn warnings(&self, shown: &Map<String, Json>) -> Vec<Warning> {
        let broken = |(name, rule): (&String, &FieldRule)| {
            let value = shown.get(name).unwrap_or(&Json::Null);
            let detail = rule.broken(value)?;
            Some(Warning {
                field: name.clone(),
                detail: format!("`{name}` {detail}"),
            })
        };
        self.fields.iter().filter_map(broken).collect()
    }
}

impl FieldRule {
    fn broken(&self, shown: &Json) -> Option<String> {
        match (self.rule, shown) {
            // A sum has no limit: those of a counter are for one increment.
            (Rule::Counter, _) => None,
            (Rule::Set, Json::Array(elements)) => elements.iter().find_map(|one| self.of(one)),
            _ => self.of(shown),
        }
    }

    fn of(&self, shown: &Json) -> Option<String> {
        self.limit_broken(&self.kind.from_json(shown)?)
    }
}

#[cfg(test)]
mod tests {
    use crate::policy::Policy;
    use serde_json::{Value, json};

    fn fields(entity_type: &str, shown: Value) -> Vec<String> {
        let Value::Object(shown) = shown else {
            unreachable!("an object")
        };
        let policy = Policy::default();
        let rules = policy.entity_type(entity_type).expect("a type");
        let warnings = rules.warnings(&shown).into_iter();
        warnings.map(|warning| warning.detail).collect()
    }

    #[test]
    fn shown_values_beyond_a_limit_and_missing_required_ones_are_told_with_the_rule() {
        let fine = json!({"file_name": "a.jpg", "rating": 5, "tags": ["vip"]});
        assert!(fields("media_asset", fine).is_empty());
        let wrong = json!({"file_name": "a.jpg", "rating": 9, "tags": ["x".repeat(600)]});
        assert_eq!(
            fields("media_asset", wrong),
            [
                "`rating` takes 5 or less; correct it",
                "`tags` takes at most 512 bytes; shorten it"
            ]
        );
        let told = fields("client", json!({"print_credits": 1}));
        assert_eq!(told, ["`name` may not be empty; give it"]);
        assert!(
            fields("project", json!({"title": "x", "print_credits": i64::MIN})).is_empty(),
            "a sum has no limit"
        );
    }
}
