//! Documents that are policies, and every way in which one is not.

use super::*;

fn refused(text: &str) -> PolicyError {
    Policy::parse(text).expect_err("refused")
}

/// A document around one line of a type `thing`.
fn type_with(line: &str) -> String {
    format!("version = 1\n[type.thing]\n{line}\n[type.thing.field]\nname = {{ kind = \"text\" }}\n")
}

/// A document around one field of a type `thing`.
fn field_with(field: &str) -> String {
    format!("version = 1\n\n[type.thing.field]\nname = {field}\n")
}

#[test]
fn the_default_policy_covers_the_daily_work() {
    let policy = Policy::default();
    let names: Vec<&str> = policy.types().keys().map(String::as_str).collect();
    assert_eq!(
        names,
        [
            "booking",
            "client",
            "gallery",
            "invoice",
            "media_asset",
            "pos_correction",
            "pos_order",
            "pos_void",
            "project"
        ]
    );
    assert_eq!(policy.version(), 1);
    for name in ["pos_order", "pos_correction", "pos_void"] {
        let rules = &policy.types()[name];
        assert!(rules.append_only && rules.atomic, "{name}");
        assert!(
            rules
                .fields
                .values()
                .all(|field| field.rule == Rule::Immutable)
        );
    }
    assert_eq!(policy.types()["project"].natural_key, ["client", "title"]);
    assert_eq!(policy.types()["client"].fields["tags"].rule, Rule::Set);
    assert_eq!(policy.types()["media_asset"].fields["rating"].max, Some(5));
}

#[test]
fn a_policy_is_its_document_and_nothing_else() {
    let policy = Policy::default();
    let again = Policy::parse(policy.text()).expect("the text that it holds");
    assert_eq!(again.hash(), policy.hash());
    assert_eq!(again.types(), policy.types());
    let commented = format!("{}\n# a word\n", policy.text());
    assert_ne!(
        Policy::parse(&commented).expect("a policy").hash(),
        policy.hash()
    );
}

#[test]
fn every_bad_document_is_refused_with_its_line_reason_and_next_step() {
    let cases: &[(String, u32, &str)] = &[
        ("version = ".into(), 1, "this is no TOML"),
        ("version = 1\nversion = 2\n".into(), 2, "this is no TOML"),
        ("[type.a.field]\nb = { kind = \"int\" }\n".into(), 1, "no version"),
        ("version = 0\n".into(), 1, "version 0 is out of range"),
        ("version = \"1\"\n".into(), 1, "`version` takes a whole number"),
        ("version = 1\ncolour = 2\n".into(), 2, "a policy takes no `colour`"),
        ("version = 1\ntype = 2\n".into(), 2, "type takes a table"),
        ("version = 1\n[type.thing]\natomic = true\n".into(), 2, "type `thing` has no field"),
        ("version = 1\n[type.Thing.field]\na = { kind = \"int\" }".into(), 2, "`Thing` is no name of a type"),
        (type_with("append_only = 1"), 3, "`append_only` takes true or false"),
        (type_with("fields = 1"), 3, "type `thing` takes no `fields`"),
        (type_with("lockable = [\"name\"]"), 3, "`lockable` is reserved for later"),
        (type_with("natural_key = \"name\""), 3, "`natural_key` takes a list of words"),
        (type_with("natural_key = [\"title\"]"), 3, "names `title`, which is no field of it"),
        (type_with("natural_key = [\"name\", \"name\"]"), 3, "names a field twice"),
        (type_with("append_only = true\nnatural_key = [\"name\"]"), 4, "nothing of it could be renamed"),
        (type_with("writers = [\"boss\"]"), 3, "writers takes no `boss`"),
        (field_with("\"text\""), 4, "field `name` of type `thing` takes a table"),
        (field_with("{ rule = \"lww\" }"), 4, "field `name` of type `thing` has no kind"),
        (field_with("{ kind = \"float\" }"), 4, "kind takes no `float`"),
        (field_with("{ kind = \"blob\" }"), 4, "`blob` is reserved for later"),
        (field_with("{ kind = \"text\", rule = \"blob\" }"), 4, "`blob` is reserved for later"),
        (field_with("{ kind = \"text\", rule = \"newest\" }"), 4, "rule takes no `newest`"),
        (field_with("{ kind = \"text\", lockable = true }"), 4, "`lockable` is reserved for later"),
        (field_with("{ kind = \"text\", unique = true }"), 4, "takes no `unique`"),
        (field_with("{ kind = \"text\", rule = \"counter\" }"), 4, "a counter of another kind than int"),
        (field_with("{ kind = \"text\", rule = \"set\", required = true }"), 4, "begins empty"),
        (field_with("{ kind = \"int\", rule = \"counter\", min = 0 }"), 4, "a counter with a limit"),
        (field_with("{ kind = \"int\", max_bytes = 5 }"), 4, "has max_bytes and is no text"),
        (field_with("{ kind = \"text\", max_bytes = 0 }"), 4, "max_bytes 0 of field `name`"),
        (field_with("{ kind = \"text\", max_bytes = 65536 }"), 4, "max_bytes 65536 of field `name`"),
        (field_with("{ kind = \"text\", min = 1 }"), 4, "has min and is no int"),
        (field_with("{ kind = \"int\", min = 2, max = 1 }"), 4, "has a min over its max"),
        (
            "version = 1\n[type.thing]\nappend_only = true\n[type.thing.field]\nn = { kind = \"int\", rule = \"lww\" }\n".into(),
            5,
            "its type is append_only",
        ),
        ("version = 1\n[type.thing.field]\nid = { kind = \"text\" }\n".into(), 3, "every entity has already"),
        ("version = 1\n[type.thing.field]\n_vv = { kind = \"text\" }\n".into(), 3, "is no name of a field"),
        ("#".repeat(limits_bytes() + 1), 1, "bytes; at most"),
    ];
    for (text, line, reason) in cases {
        let error = refused(text);
        assert_eq!(error.line, *line, "{error}\n{text}");
        assert!(error.reason.contains(reason), "{error}\nexpected {reason}");
        assert!(!error.next_step.is_empty(), "{error}");
    }
}

fn limits_bytes() -> usize {
    crate::limits::POLICY_BYTES
}

#[test]
fn a_column_counts_characters() {
    let error =
        refused("version = 1\n[type.thing.field]\n\"ä\" = 1\nb = { kind = \"ä\", x = 1 }\n");
    assert_eq!((error.line, error.column), (3, 1));
    let error = refused("version = 1\n'ä' = \"ä\" b\n");
    assert_eq!((error.line, error.column), (2, 11));
}

/// The default policy of the next version with one piece of its text replaced.
fn next_with(from: &str, to: &str) -> Policy {
    let text = Policy::default()
        .text()
        .replacen("version = 1", "version = 2", 1);
    assert!(text.contains(from), "{from}");
    Policy::parse(&text.replacen(from, to, 1)).expect("a policy")
}

#[test]
fn a_next_version_may_add_types_fields_and_limits() {
    let added = "[type.client.field]\nshoe_size = { kind = \"int\", max = 60 }";
    let held = Policy::default();
    assert_eq!(
        held.check_successor(&next_with("[type.client.field]", added)),
        Ok(())
    );
    let limited = "rating = { kind = \"int\", min = 1, max = 3 }";
    let next = next_with("rating = { kind = \"int\", min = 0, max = 5 }", limited);
    assert_eq!(held.check_successor(&next), Ok(()));
    let typed = "[type.prop.field]\nname = { kind = \"text\" }\n\n[type.client.field]";
    assert_eq!(
        held.check_successor(&next_with("[type.client.field]", typed)),
        Ok(())
    );
}

#[test]
fn a_next_version_never_changes_what_was_merged_by() {
    let cases = [
        (
            "tags = { kind = \"text\", rule = \"set\" }",
            "tags = { kind = \"text\" }",
            "never change",
        ),
        (
            "shoot_date = { kind = \"date\" }",
            "shoot_date = { kind = \"text\" }",
            "never change",
        ),
        (
            "phone = { kind = \"text\" }\n",
            "",
            "field `phone` of type `client` is gone",
        ),
        (
            "[type.pos_void]\nappend_only = true\n",
            "[type.pos_void]\n",
            "append_only of type `pos_void`",
        ),
        (
            "version = 2",
            "version = 1",
            "version 1 does not come after version 1",
        ),
    ];
    for (from, to, reason) in cases {
        let next = next_with(from, to);
        let error = Policy::default()
            .check_successor(&next)
            .expect_err("refused");
        assert!(error.reason.contains(reason), "{error}");
        assert!(error.line > 1, "{error}");
    }
    let only =
        Policy::parse("version = 2\n[type.a.field]\nb = { kind = \"int\" }\n").expect("a policy");
    let error = Policy::default()
        .check_successor(&only)
        .expect_err("refused");
    assert!(error.reason.contains("is gone"), "{error}");
}
