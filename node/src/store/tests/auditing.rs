//! The audit log takes lines and lets none go.

use studiovault_protocol::time::WallMs;

use super::*;

fn line(kind: AuditKind, what: &str) -> AuditLine {
    AuditLine {
        kind,
        device: Some(device(1)),
        actor: "mara".into(),
        what: what.into(),
    }
}

fn add(store: &mut Store, lines: &[AuditLine]) {
    let mut batch = store.begin().expect("begins");
    for line in lines {
        batch.audit(line, WallMs(7)).expect("is added");
    }
    batch.commit().expect("commits");
}

fn question(kind: Option<AuditKind>) -> AuditQuestion {
    AuditQuestion {
        kind: kind.map(|kind| kind.word().to_owned()),
        before: None,
        limit: 20_000,
    }
}

#[test]
fn no_statement_changes_replaces_or_removes_a_line() {
    let mut store = a_store();
    add(
        &mut store,
        &[line(AuditKind::Revocation, "Laptop-2 was shut out")],
    );
    let before = store.view().audit(&question(None)).expect("reads");
    assert_eq!(before.len(), 1);
    for sql in [
        "UPDATE audit_log SET what = 'nothing'",
        "UPDATE OR REPLACE audit_log SET id = 9",
        "DELETE FROM audit_log",
        "INSERT OR REPLACE INTO audit_log (id, at, kind, actor, what) VALUES (1, 0, 'role', '', '')",
        "INSERT INTO audit_log (id, at, kind, actor, what) VALUES (0, 0, 'role', '', 'earlier')",
    ] {
        let refused = store.connection.execute(sql, []).expect_err(sql);
        assert!(
            refused.to_string().contains("append-only"),
            "{sql}: {refused}"
        );
    }
    assert_eq!(store.view().audit(&question(None)).expect("reads"), before);
}

#[test]
fn a_flood_of_one_kind_pushes_out_its_own_oldest_and_nothing_else() {
    let mut store = a_store();
    add(
        &mut store,
        &[line(AuditKind::Revocation, "Laptop-2 was shut out")],
    );
    let crowns: Vec<AuditLine> = (0..5_100)
        .map(|n| line(AuditKind::Crown, &format!("crown {n}")))
        .collect();
    add(&mut store, &crowns);
    let kept = store
        .view()
        .audit(&question(Some(AuditKind::Crown)))
        .expect("reads");
    assert_eq!(kept.len(), 5_000);
    assert_eq!(
        (&*kept[0].what, &*kept[4_999].what),
        ("crown 5099", "crown 100")
    );
    let revoked = store.view().audit(&question(Some(AuditKind::Revocation)));
    assert_eq!(revoked.expect("reads").len(), 1);
}

#[test]
fn a_line_of_a_transaction_that_failed_was_never_written() {
    let mut store = a_store();
    let mut batch = store.begin().expect("begins");
    batch
        .audit(&line(AuditKind::Policy, "a policy"), WallMs(7))
        .expect("is added");
    drop(batch);
    assert_eq!(store.view().audit(&question(None)).expect("reads"), []);
}

#[test]
fn a_sentence_is_cut_between_its_letters_and_pages_go_on_before_a_line() {
    let mut store = a_store();
    let long = "ß".repeat(300);
    add(
        &mut store,
        &[line(AuditKind::Role, "first"), line(AuditKind::Role, &long)],
    );
    let page = AuditQuestion {
        limit: 1,
        ..AuditQuestion::default()
    };
    let newest = store.view().audit(&page).expect("reads");
    assert_eq!(newest[0].what, "ß".repeat(200));
    let next = AuditQuestion {
        before: Some(newest[0].id),
        ..page
    };
    assert_eq!(store.view().audit(&next).expect("reads")[0].what, "first");
}
