//! Tables and JSON lines: a column becomes a field by its name, a cell a value by the policy's kind.
//!
//! A column `id` holds entity ids; a column `X` of a type that has only `X_cents` holds amounts such as 29.33; days may be
//! written 19970118 or 1997-01-18; elements of a set are parted by `;`.

use std::collections::{HashMap, HashSet};

use serde_json::{Map, Value as Json, json};
use studiovault_protocol::id::EntityId;
use studiovault_protocol::policy::{Policy, Rule, TypeRule};
use studiovault_protocol::value::ValueKind;

use super::identity::entity_id;
use super::money::cents;
use super::plan::Plan;
use super::{Exit, Failure, Format};
use crate::cli::parse;

/// How a file is to be read.
pub(super) struct Shape<'a> {
    /// What its rows become.
    pub entity_type: &'a str,
    /// How it is written.
    pub format: Format,
    /// The columns' names, if its first line does not give them.
    pub columns: &'a [String],
    /// The column that tells rows apart.
    pub key: Option<&'a str>,
    /// Whether the replacement character stands where the file holds no UTF-8 text.
    pub is_patched: bool,
}

/// One row before its id is known: its line, named cells.
type NamedRow = (u64, Vec<(String, Json)>);

/// Reads the whole file.
pub(super) fn plan(shape: &Shape<'_>, text: &str, policy: &Policy) -> Result<Plan, Failure> {
    let rules = policy.entity_type(shape.entity_type).ok_or_else(|| {
        let known: Vec<&str> = policy.types().keys().map(String::as_str).collect();
        let text = format!(
            "the policy has no type `{}`\nUse one of {}.",
            shape.entity_type,
            known.join(", ")
        );
        Failure::new(Exit::Refused, text)
    })?;
    let mut plan = Plan::by(policy.clone());
    let rows = match shape.format {
        Format::Jsonl => json_lines(&mut plan, text),
        _ => cells(&mut plan, shape, text)?,
    };
    let mut places = HashMap::new();
    for (line, row) in rows {
        if shape.is_patched && row.iter().any(is_patched) {
            plan.refuse(line, "it is not UTF-8 text");
            continue;
        }
        let taken = fields(rules, &row).and_then(|(explicit, fields)| {
            let id = match explicit {
                Some(id) => id,
                None => derived(shape, &row, &mut places)?,
            };
            plan.create(shape.entity_type, id, fields)
        });
        if let Err(reason) = taken {
            plan.refuse(line, reason);
        }
    }
    plan.bad.sort_by_key(|bad| bad.line);
    Ok(plan)
}

fn is_patched((name, cell): &(String, Json)) -> bool {
    let mark = char::REPLACEMENT_CHARACTER;
    name.contains(mark) || cell.to_string().contains(mark)
}

fn json_lines(plan: &mut Plan, text: &str) -> Vec<NamedRow> {
    let mut rows = Vec::new();
    for (at, line) in text.lines().enumerate() {
        if line.trim().is_empty() {
            continue;
        }
        plan.lines += 1;
        match serde_json::from_str::<Map<String, Json>>(line) {
            Ok(object) => rows.push((at as u64 + 1, object.into_iter().collect())),
            Err(error) => plan.refuse(at as u64 + 1, format!("no JSON object: {error}")),
        }
    }
    rows
}

fn cells(plan: &mut Plan, shape: &Shape<'_>, text: &str) -> Result<Vec<NamedRow>, Failure> {
    let mut records = match shape.format {
        Format::Columns => blank_parted(text),
        format => parted(plan, format, text),
    }
    .into_iter();
    let names: Vec<String> = if shape.columns.is_empty() {
        let first = records.next().map(|(_, cells)| cells).unwrap_or_default();
        first.iter().map(|name| name.trim().to_owned()).collect()
    } else {
        shape.columns.to_vec()
    };
    if let Some(key) = shape
        .key
        .filter(|key| !names.iter().any(|name| name == key))
    {
        let text = format!(
            "there is no column `{key}`\nThe file has {}; give --key one of them.",
            names.join(", ")
        );
        return Err(Failure::new(Exit::Usage, text));
    }
    if let Some(name) = twice(&names) {
        let text = format!("two columns are called `{name}`\nRename one of them, or take it out.");
        return Err(Failure::new(Exit::Refused, text));
    }
    let mut rows = Vec::new();
    for (line, record) in records {
        plan.lines += 1;
        if record.len() == names.len() {
            let cells = names
                .iter()
                .cloned()
                .zip(record.into_iter().map(Json::String));
            rows.push((line, cells.filter(|(_, cell)| cell != "").collect()));
        } else {
            let reason = format!("expected {} columns, got {}", names.len(), record.len());
            plan.refuse(line, reason);
        }
    }
    Ok(rows)
}

/// A name that comes twice.
fn twice(names: &[String]) -> Option<&String> {
    let mut seen = HashSet::new();
    let mut names = names.iter().filter(|name| !name.is_empty());
    names.find(|name| !seen.insert(*name))
}

fn blank_parted(text: &str) -> Vec<(u64, Vec<String>)> {
    let words = |line: &str| line.split_whitespace().map(str::to_owned).collect();
    let lines = text.lines().enumerate();
    lines
        .filter(|(_, line)| !line.trim().is_empty())
        .map(|(at, line)| (at as u64 + 1, words(line)))
        .collect()
}

fn parted(plan: &mut Plan, format: Format, text: &str) -> Vec<(u64, Vec<String>)> {
    let delimiter = if format == Format::Tsv { b'\t' } else { b',' };
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .delimiter(delimiter)
        .from_reader(text.as_bytes());
    let (mut rows, mut last) = (Vec::new(), None);
    for record in reader.records() {
        match record {
            Ok(record) => {
                let line = record.position().map_or(0, csv::Position::line);
                last = record.position().cloned();
                rows.push((line, record.iter().map(str::to_owned).collect()));
            }
            Err(error) => {
                let line = error.position().map_or(0, csv::Position::line);
                plan.refuse(line, error.to_string());
            }
        }
    }
    // An open quote takes everything after it into one cell, and the reader thinks nothing of it.
    let begins = last.map(|last| (usize::try_from(last.byte()).unwrap_or(0), last.line()));
    if let Some((_, line)) = begins.filter(|(byte, _)| ends_in_quotes(&text[*byte..], delimiter)) {
        rows.pop();
        let reason = "a quote is opened here and never closed: close it, or write it twice";
        plan.refuse(line, reason.to_owned());
    }
    rows
}

/// Whether a record ends within quotes (RFC 4180).
fn ends_in_quotes(record: &str, delimiter: u8) -> bool {
    #[derive(Clone, Copy, PartialEq)]
    enum At {
        Begin,
        Plain,
        Quoted,
        Quote,
    }
    let parts = |byte: u8| byte == delimiter || byte == b'\n' || byte == b'\r';
    let end = record.bytes().fold(At::Begin, |at, byte| match (at, byte) {
        (At::Begin | At::Quote, b'"') => At::Quoted,
        (At::Quoted, b'"') => At::Quote,
        (At::Quoted, _) => At::Quoted,
        (_, byte) if parts(byte) => At::Begin,
        _ => At::Plain,
    });
    end == At::Quoted
}

/// The fields of a row, and its id if the row gives one.
fn fields(
    rules: &TypeRule,
    row: &[(String, Json)],
) -> Result<(Option<EntityId>, Map<String, Json>), String> {
    let mut explicit = None;
    let mut fields = Map::new();
    for (name, cell) in row {
        match cell {
            Json::String(text) if name == "id" => {
                explicit = Some(text.parse().map_err(|error| format!("{error}"))?);
            }
            Json::String(text) => {
                let (name, value) = value(rules, name, text.trim())?;
                fields.insert(name, value);
            }
            other => {
                fields.insert(name.clone(), other.clone());
            }
        }
    }
    Ok((explicit, fields))
}

fn value(rules: &TypeRule, name: &str, text: &str) -> Result<(String, Json), String> {
    let in_cents = format!("{name}_cents");
    if rules.field(name).is_none() && rules.field(&in_cents).is_some() {
        let cents = cents(text)
            .ok_or_else(|| format!("`{name}` takes an amount such as 29.33; got `{text}`"))?;
        return Ok((in_cents, cents.into()));
    }
    let Some(rule) = rules.field(name) else {
        // Unknown: the policy's own words say which fields there are.
        return Ok((name.to_owned(), text.into()));
    };
    let is_bare_day = text.len() == 8 && text.bytes().all(|byte| byte.is_ascii_digit());
    let value = match (rule.rule, rule.kind) {
        (Rule::Set, _) => {
            let elements = text.split(';').map(str::trim);
            json!(
                elements
                    .filter(|element| !element.is_empty())
                    .collect::<Vec<_>>()
            )
        }
        (_, ValueKind::Date) if is_bare_day => {
            format!("{}-{}-{}", &text[..4], &text[4..6], &text[6..]).into()
        }
        (_, kind) => parse::value(name, kind, text).map_err(|failure| {
            let text = failure.text();
            text.lines().next().unwrap_or_default().to_owned()
        })?,
    };
    Ok((name.to_owned(), value))
}

/// The id that a row's content gives: by the key column, else by all cells and the place among equal rows.
fn derived(
    shape: &Shape<'_>,
    row: &[(String, Json)],
    places: &mut HashMap<String, u64>,
) -> Result<EntityId, String> {
    if let Some(key) = shape.key {
        let cell = row.iter().find(|(name, _)| name == key);
        let (_, cell) = cell.ok_or_else(|| format!("`{key}`, the key, is empty"))?;
        let text = crate::cli::output::plain(cell);
        return Ok(entity_id(shape.entity_type, &["key", key, &text]));
    }
    let mut parts: Vec<String> = row
        .iter()
        .map(|(name, cell)| format!("{name}={cell}"))
        .collect();
    parts.sort();
    let content = parts.join("\n");
    let place = places.entry(content.clone()).or_default();
    *place += 1;
    let key = ["row", &content, &place.to_string()];
    Ok(entity_id(shape.entity_type, &key))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(entity_type: &str, format: Format, key: Option<&str>, text: &str) -> Plan {
        let shape = Shape {
            entity_type,
            format,
            columns: &[],
            key,
            is_patched: false,
        };
        plan(&shape, text, &Policy::default())
            .unwrap_or_else(|failure| panic!("{}", failure.text()))
    }

    #[test]
    fn cells_become_values_of_the_fields_kinds() {
        let text = "client,sold_on,items,amount,notes\n6f1c0d0e-6a1b-4c58-9a55-0e1a5a3f7d11,19970118,2,29.33,\"a, \"\"b\"\"\nsecond line\"\n";
        let plan = read("pos_order", Format::Csv, None, text);
        assert!(plan.bad.is_empty(), "{:?}", plan.bad);
        let fields = &plan.rows[0].mutation.fields;
        assert_eq!(fields["amount_cents"], json!(2933));
        assert_eq!(fields["sold_on"], json!("1997-01-18"));
        assert_eq!(fields["notes"], json!("a, \"b\"\nsecond line"));
        let text = "name\ttags\tphone\nAna\tvip; wedding\t\n";
        let plan = read("client", Format::Tsv, None, text);
        let fields = &plan.rows[0].mutation.fields;
        assert_eq!(fields["tags"], json!(["vip", "wedding"]));
        assert!(!fields.contains_key("phone"), "an empty cell is no value");
    }

    #[test]
    fn a_quote_that_is_never_closed_takes_no_rows_with_it_unsaid() {
        let text = "name,notes\nAna,ok\nRui,\"unclosed\nEva,lost\nIda,lost\n";
        let plan = read("client", Format::Csv, None, text);
        assert_eq!(plan.rows.len(), 1);
        let (bad, reason) = (plan.bad[0].line, &plan.bad[0].reason);
        assert!(
            bad == 3 && reason.contains("never closed"),
            "{bad} {reason}"
        );
        for whole in [
            "name,notes\nAna,\"a \"\"word\"\"\"\n",
            "name,notes\nAna,5\" print\n",
            "name,notes\nAna,\"\"",
        ] {
            let plan = read("client", Format::Csv, None, whole);
            assert!(plan.bad.is_empty(), "{whole}: {:?}", plan.bad);
        }
    }

    #[test]
    fn the_same_rows_have_the_same_ids_and_equal_rows_stay_two() {
        let text = "name,email\nAna,a@x\nAna,a@x\nRui,r@x\n";
        let ids = |key, text| {
            let plan = read("client", Format::Csv, key, text);
            let ids = plan.rows.iter().filter_map(|row| row.mutation.id);
            ids.collect::<Vec<_>>()
        };
        let first = ids(None, text);
        assert_eq!(first, ids(None, text));
        assert_eq!(first.len(), 3);
        assert_eq!(ids(Some("email"), text).len(), 2, "one a key");
        let swapped = ids(None, "email,name\na@x,Ana\n");
        assert_eq!(swapped[0], first[0], "whatever the order of columns");
    }

    #[test]
    fn bad_lines_are_told_in_order_and_the_good_ones_kept() {
        let text = "{\"name\":\"Ana\"}\nnot json\n{\"shoe\":1}\n[]\n{\"name\":\"Rui\",\"tags\":[\"vip\"]}\n";
        let plan = read("client", Format::Jsonl, None, text);
        let lines: Vec<u64> = plan.bad.iter().map(|bad| bad.line).collect();
        assert_eq!((lines, plan.rows.len()), (vec![2, 3, 4], 2));
        let text = "name phone\nAna 1\nRui\nEva 2 3\n";
        let plan = read("client", Format::Columns, None, text);
        let lines: Vec<u64> = plan.bad.iter().map(|bad| bad.line).collect();
        assert_eq!((lines, plan.rows.len()), (vec![3, 4], 1));
    }

    #[test]
    fn a_column_that_comes_twice_is_refused_by_its_name() {
        let shape = Shape {
            entity_type: "client",
            format: Format::Csv,
            columns: &[],
            key: None,
            is_patched: false,
        };
        let text = "name,email,name\nAna,a@x,Eva\n";
        let Err(failure) = plan(&shape, text, &Policy::default()) else {
            panic!("it is refused");
        };
        assert!(failure.text().contains("two columns are called `name`"));
    }

    #[test]
    fn a_record_that_is_no_utf8_text_is_a_bad_line_and_the_others_stay() {
        let text = "name,notes\nAna,\"first\nJos\u{fffd}\"\nRui,x\n";
        let shape = |is_patched| Shape {
            entity_type: "client",
            format: Format::Csv,
            columns: &[],
            key: None,
            is_patched,
        };
        let plan = |patched| plan(&shape(patched), text, &Policy::default()).expect("a plan");
        let patched = plan(true);
        assert_eq!((patched.bad.len(), patched.rows.len()), (1, 1));
        assert_eq!(patched.bad[0].line, 2);
        assert_eq!(plan(false).rows.len(), 2, "such a letter may be meant");
    }

    #[test]
    fn a_field_of_the_wrong_kind_is_a_bad_line() {
        let text = "sold_on,items,amount_cents\n1997-01-18,two,1\n1997-02-31x,2,1\n1997-01-18,2,1.5\n1997-01-18,2,150\n";
        let plan = read("pos_order", Format::Csv, None, text);
        let lines: Vec<u64> = plan.bad.iter().map(|bad| bad.line).collect();
        assert_eq!((lines, plan.rows.len()), (vec![2, 3, 4], 1));
        assert!(plan.bad[0].reason.contains("items"), "{:?}", plan.bad);
    }
}
