//! Fields as people type them on a command line, read by the policy's kinds.
//!
//! `name=Silva` writes, `tags+=vip` and `tags-=vip` add and remove, `print_credits+=3` counts, `notes:={"json"}` takes JSON
//! as it is. Unknown fields go to the node as text, which refuses them with the fields there are.

use std::num::{IntErrorKind, ParseIntError};

use serde_json::{Map, Value as Json, json};
use studiovault_protocol::policy::{Policy, Rule, TypeRule};
use studiovault_protocol::value::ValueKind;

use super::failure::{Exit, Failure};

/// The fields of one write.
pub(crate) fn fields(
    policy: &Policy,
    entity_type: &str,
    words: &[String],
) -> Result<Map<String, Json>, Failure> {
    let rules = policy.entity_type(entity_type);
    let mut fields = Map::new();
    for word in words {
        let Some((name, sign, text)) = split(word) else {
            let text = format!(
                "`{word}` names no field and value\nWrite name=value, tags+=element, tags-=element or name:=JSON."
            );
            return Err(Failure::new(Exit::Usage, text));
        };
        add(&mut fields, rules, (name, sign, text))?;
    }
    Ok(fields)
}

fn add(
    fields: &mut Map<String, Json>,
    rules: Option<&TypeRule>,
    (name, sign, text): (&str, Sign, &str),
) -> Result<(), Failure> {
    let rule = rules.and_then(|rules| rules.field(name));
    let kind = rule.map_or(ValueKind::Text, |rule| rule.kind);
    let is_set = rule.is_some_and(|rule| rule.rule == Rule::Set);
    let is_counter = rule.is_some_and(|rule| rule.rule == Rule::Counter);
    let value = match sign {
        Sign::Json => serde_json::from_str(text).map_err(|error| {
            let text = format!(
                "`{name}:=` takes JSON: {error}\nQuote it for the shell, or write {name}=value."
            );
            Failure::new(Exit::Usage, text)
        })?,
        Sign::Write if is_set => {
            json!(
                text.split(',')
                    .filter(|part| !part.is_empty())
                    .collect::<Vec<_>>()
            )
        }
        Sign::Write => value(name, kind, text)?,
        Sign::Plus if is_counter => json!({"increment": value(name, kind, text)?}),
        Sign::Minus if is_counter => {
            let by = value(name, kind, text)?.as_i64().and_then(i64::checked_neg);
            json!({"increment": by})
        }
        Sign::Plus | Sign::Minus => {
            let key = if sign == Sign::Plus { "add" } else { "remove" };
            let held = fields.entry(name).or_insert_with(|| json!({}));
            let Some(held) = held.as_object_mut() else {
                let text =
                    format!("`{name}` is written and changed in one command\nUse one of the two.");
                return Err(Failure::new(Exit::Usage, text));
            };
            let list = held.entry(key).or_insert_with(|| json!([]));
            let element = value(name, kind, text)?;
            list.as_array_mut()
                .expect("made as a list above")
                .push(element);
            return Ok(());
        }
    };
    if fields.insert(name.to_owned(), value).is_some() {
        let text = format!("`{name}` is given twice\nGive each field once.");
        return Err(Failure::new(Exit::Usage, text));
    }
    Ok(())
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Sign {
    Write,
    Plus,
    Minus,
    Json,
}

fn split(word: &str) -> Option<(&str, Sign, &str)> {
    let (left, text) = word.split_once('=')?;
    let (name, sign) = match left.chars().next_back()? {
        '+' => (&left[..left.len() - 1], Sign::Plus),
        '-' => (&left[..left.len() - 1], Sign::Minus),
        ':' => (&left[..left.len() - 1], Sign::Json),
        _ => (left, Sign::Write),
    };
    (!name.is_empty()).then_some((name, sign, text))
}

/// One value as text says it.
pub(crate) fn value(name: &str, kind: ValueKind, text: &str) -> Result<Json, Failure> {
    let wrong = |wanted: &str| {
        let text = format!("`{name}` takes {wanted}; got `{text}`\nCorrect it and try again.");
        Failure::new(Exit::Refused, text)
    };
    let number = |error: ParseIntError| match error.kind() {
        IntErrorKind::PosOverflow | IntErrorKind::NegOverflow => {
            wrong(&format!("{} to {}", i64::MIN, i64::MAX))
        }
        _ => wrong(kind.word()),
    };
    match kind {
        ValueKind::Int => text.parse::<i64>().map(Json::from).map_err(number),
        ValueKind::Bool => text
            .parse::<bool>()
            .map(Json::from)
            .map_err(|_| wrong(kind.word())),
        ValueKind::Text | ValueKind::Date | ValueKind::Ref => Ok(text.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(entity_type: &str, words: &[&str]) -> Result<Json, Failure> {
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        fields(&Policy::default(), entity_type, &words).map(Json::Object)
    }

    #[test]
    fn fields_follow_the_kinds_of_the_policy() {
        let fields = read(
            "client",
            &[
                "name=Ana=Maria",
                "phone=00351",
                "tags+=vip",
                "tags+=b",
                "tags-=old",
            ],
        );
        let expected = json!({"name": "Ana=Maria", "phone": "00351", "tags": {"add": ["vip", "b"], "remove": ["old"]}});
        assert_eq!(fields.expect("reads"), expected);
        let fields = read("project", &["print_credits-=3", "tags=a,b", "title:=\"x\""]);
        let expected =
            json!({"print_credits": {"increment": -3}, "tags": ["a", "b"], "title": "x"});
        assert_eq!(fields.expect("reads"), expected);
    }

    #[test]
    fn a_word_without_a_field_or_with_the_wrong_kind_is_refused() {
        for words in [
            &["Silva"][..],
            &["=x"],
            &["+=x"],
            &["name:=nope"],
            &["tags=a", "tags+=b"],
            &["tags+=b", "tags=a"],
            &["name=a", "name=b"],
        ] {
            assert!(read("client", words).is_err(), "{words:?}");
        }
        let twice = ["print_credits+=1", "print_credits+=2"];
        assert!(read("project", &twice).is_err());
        let items = |text| read("pos_order", &[text]).expect_err("no number").text();
        assert!(items("items=two").contains("takes a whole number"));
        let large = items("items=99999999999999999999");
        assert!(large.contains("to 9223372036854775807"), "{large}");
    }
}
