//! From TOML to the rules it means. Everything that is not understood is refused: a misspelt word would otherwise lift a rule
//! without anybody noticing.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};

use super::{FieldRule, PolicyError, Rule, TypeRule};
use crate::limits;
use crate::membership::Role;

mod field;

/// Words that mean nothing yet and will: a document must not use them for something of its own.
const RESERVED: &[&str] = &["blob", "lockable"];

type Item<'a> = Spanned<DeValue<'a>>;
type Types = BTreeMap<String, TypeRule>;

/// Reads version and types.
pub(super) fn read(text: &str) -> Result<(u32, Types), PolicyError> {
    if text.len() > limits::POLICY_BYTES {
        let reason = format!(
            "a policy of {} bytes; at most {} are taken",
            text.len(),
            limits::POLICY_BYTES
        );
        return Err(PolicyError::at(text, 0..0, reason, "shorten it"));
    }
    let root = DeTable::parse(text).map_err(|error| {
        let span = error.span().unwrap_or(0..0);
        let reason = format!("this is no TOML: {}", error.message());
        PolicyError::at(text, span, reason, "correct the line")
    })?;
    Reader { text }.document(root.get_ref())
}

/// Where the key at a path stands, or the innermost table around it.
pub(super) fn place_of(text: &str, path: &[&str]) -> Range<usize> {
    let mut place = 0..0;
    let Ok(root) = DeTable::parse(text) else {
        return place;
    };
    let mut table = root.get_ref();
    for name in path {
        let Some((key, value)) = table.get_key_value(*name) else {
            break;
        };
        place = key.span();
        match value.get_ref() {
            DeValue::Table(inner) => table = inner,
            _ => break,
        }
    }
    place
}

/// What a name in the document stands for, in a sentence.
#[derive(Clone, Copy)]
struct Owner<'a> {
    type_name: &'a str,
    field: Option<&'a str>,
}

impl std::fmt::Display for Owner<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.field {
            Some(field) => write!(f, "field `{field}` of type `{}`", self.type_name),
            None => write!(f, "type `{}`", self.type_name),
        }
    }
}

struct Reader<'t> {
    text: &'t str,
}

impl Reader<'_> {
    fn fail<T>(
        &self,
        span: Range<usize>,
        reason: impl Into<String>,
        next_step: impl Into<String>,
    ) -> Result<T, PolicyError> {
        Err(PolicyError::at(self.text, span, reason, next_step))
    }

    fn document(&self, root: &DeTable<'_>) -> Result<(u32, Types), PolicyError> {
        let (mut version, mut types) = (None, Types::new());
        for (key, value) in in_order(root) {
            match key.get_ref().as_ref() {
                "version" => version = Some(self.version(value)?),
                "type" => types = self.types(value)?,
                other => return self.unknown_word(key.span(), other, "a policy", "version, type"),
            }
        }
        let Some(version) = version else {
            return self.fail(
                0..0,
                "no version",
                "begin with `version = 1`, and count up with every change",
            );
        };
        Ok((version, types))
    }

    fn version(&self, value: &Item<'_>) -> Result<u32, PolicyError> {
        let number = self.int(value, "version")?;
        match u32::try_from(number) {
            Ok(version) if version > 0 && version < u32::MAX => Ok(version),
            _ => self.fail(
                value.span(),
                format!("version {number} is out of range"),
                "count from 1 up by one with every change",
            ),
        }
    }

    fn types(&self, value: &Item<'_>) -> Result<Types, PolicyError> {
        let table = self.table(value, "type")?;
        let mut types = Types::new();
        for (key, value) in in_order(table) {
            let name = key.get_ref().as_ref();
            self.name(key.span(), name, "type")?;
            if types.len() >= limits::POLICY_TYPES {
                let reason = format!("more than {} types", limits::POLICY_TYPES);
                return self.fail(key.span(), reason, "leave some out");
            }
            types.insert(
                name.to_owned(),
                self.entity_type(name, (key.span(), value))?,
            );
        }
        Ok(types)
    }

    fn entity_type(
        &self,
        name: &str,
        (place, value): (Range<usize>, &Item<'_>),
    ) -> Result<TypeRule, PolicyError> {
        let owner = Owner {
            type_name: name,
            field: None,
        };
        let table = self.table(value, &owner.to_string())?;
        let mut rules = TypeRule {
            writers: [Role::Admin, Role::Member].into(),
            ..TypeRule::default()
        };
        // Before the fields: an append-only type has other defaults.
        if let Some(value) = table.get("append_only") {
            rules.append_only = self.flag(value, "append_only")?;
        }
        let mut key_place = None;
        for (key, value) in in_order(table) {
            match key.get_ref().as_ref() {
                "append_only" => {}
                "atomic" => rules.atomic = self.flag(value, "atomic")?,
                "natural_key" => {
                    rules.natural_key = self.words(value, "natural_key")?;
                    key_place = Some(value.span());
                }
                "writers" => rules.writers = self.writers(value)?,
                "field" => rules.fields = self.fields(owner, rules.append_only, value)?,
                other => {
                    let known = "append_only, atomic, natural_key, writers, field";
                    return self.unknown_word(key.span(), other, &owner.to_string(), known);
                }
            }
        }
        if rules.fields.is_empty() {
            let next = format!("give it one in [type.{name}.field]");
            return self.fail(place, format!("{owner} has no field"), next);
        }
        if let Some(place) = key_place {
            self.natural_key(owner, &rules, place)?;
        }
        Ok(rules)
    }

    fn natural_key(
        &self,
        owner: Owner<'_>,
        rules: &TypeRule,
        place: Range<usize>,
    ) -> Result<(), PolicyError> {
        if rules.append_only {
            let reason = format!(
                "{owner} is append_only and has a natural_key; nothing of it could be renamed"
            );
            return self.fail(place, reason, "leave one of the two out");
        }
        let key = &rules.natural_key;
        if key.iter().collect::<BTreeSet<_>>().len() != key.len() {
            return self.fail(
                place,
                format!("the natural_key of {owner} names a field twice"),
                "name it once",
            );
        }
        for name in key {
            match rules.field(name).map(|field| field.rule) {
                Some(Rule::Lww | Rule::Immutable) => {}
                Some(_) => {
                    let reason =
                        format!("`{name}` in the natural_key of {owner} holds more than one value");
                    return self.fail(place, reason, "use fields of the rule lww or immutable");
                }
                None => {
                    let reason = format!(
                        "the natural_key of {owner} names `{name}`, which is no field of it"
                    );
                    return self.fail(
                        place,
                        reason,
                        format!("use some of {}", names(&rules.fields)),
                    );
                }
            }
        }
        Ok(())
    }

    fn writers(&self, value: &Item<'_>) -> Result<BTreeSet<Role>, PolicyError> {
        let words = self.words(value, "writers")?;
        let roles = words.iter().map(|word| match word.as_str() {
            "admin" => Ok(Role::Admin),
            "member" => Ok(Role::Member),
            "guest" => Ok(Role::Guest),
            other => self.unknown_word(value.span(), other, "writers", "admin, member, guest"),
        });
        roles.collect()
    }

    fn name(&self, span: Range<usize>, name: &str, what: &str) -> Result<(), PolicyError> {
        let well_formed = name.starts_with(|c: char| c.is_ascii_lowercase())
            && name
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
            && name.len() <= limits::NAME_BYTES;
        if RESERVED.contains(&name) {
            return self.unknown_word(span, name, what, "");
        }
        if well_formed {
            return Ok(());
        }
        let reason = format!("`{}` is no name of a {what}", shorten(name));
        let next = "use a lower-case letter, then lower-case letters, digits and _, 64 at most";
        self.fail(span, reason, next)
    }

    fn unknown_word<T>(
        &self,
        span: Range<usize>,
        word: &str,
        within: &str,
        known: &str,
    ) -> Result<T, PolicyError> {
        let word = shorten(word);
        if RESERVED.contains(&word.as_str()) {
            let reason = format!("`{word}` is reserved for later");
            return self.fail(span, reason, "leave it out");
        }
        let reason = format!("{within} takes no `{word}`");
        self.fail(span, reason, format!("use one of {known}"))
    }

    fn table<'v, 'i>(
        &self,
        value: &'v Item<'i>,
        what: &str,
    ) -> Result<&'v DeTable<'i>, PolicyError> {
        match value.get_ref() {
            DeValue::Table(table) => Ok(table),
            _ => self.fail(
                value.span(),
                format!("{what} takes a table"),
                "see `studiovault policy show`",
            ),
        }
    }

    fn int(&self, value: &Item<'_>, what: &str) -> Result<i64, PolicyError> {
        let number = match value.get_ref() {
            DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix()).ok(),
            _ => None,
        };
        match number {
            Some(number) => Ok(number),
            None => self.fail(
                value.span(),
                format!("`{what}` takes a whole number"),
                "correct it",
            ),
        }
    }

    fn flag(&self, value: &Item<'_>, what: &str) -> Result<bool, PolicyError> {
        match value.get_ref() {
            DeValue::Boolean(flag) => Ok(*flag),
            _ => self.fail(
                value.span(),
                format!("`{what}` takes true or false"),
                "correct it",
            ),
        }
    }

    fn word<'v>(&self, value: &'v Item<'_>, what: &str) -> Result<&'v str, PolicyError> {
        match value.get_ref() {
            DeValue::String(word) => Ok(word),
            _ => self.fail(
                value.span(),
                format!("`{what}` takes a word in quotes"),
                "correct it",
            ),
        }
    }

    fn words(&self, value: &Item<'_>, what: &str) -> Result<Vec<String>, PolicyError> {
        match value.get_ref() {
            DeValue::Array(items) if !items.is_empty() => items
                .iter()
                .map(|item| self.word(item, what).map(str::to_owned))
                .collect(),
            _ => {
                let reason = format!("`{what}` takes a list of words with at least one");
                self.fail(value.span(), reason, "correct it or leave it out")
            }
        }
    }
}

/// The entries as they stand in the document, so that the first error named is the first that a person meets.
fn in_order<'v, 'i>(table: &'v DeTable<'i>) -> Vec<(&'v Spanned<DeString<'i>>, &'v Item<'i>)> {
    let mut entries: Vec<_> = table.iter().collect();
    entries.sort_by_key(|(key, _)| key.span().start);
    entries
}

fn names(fields: &BTreeMap<String, FieldRule>) -> String {
    let names: Vec<&str> = fields.keys().map(String::as_str).collect();
    names.join(", ")
}

fn shorten(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(40).collect()
}
