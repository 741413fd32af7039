//! A deletion that was taken back: what came with it, and what people are told of it.

use super::*;

fn settled(folder: &Path, what: &str) {
    until(folder, what, || {
        json(folder, &["status"])["counts"]["pending"] == 0
    });
}

#[test]
fn a_plain_restore_brings_back_the_edits_that_the_cloud_refused_for_the_deletion() {
    let place = Place::new();
    let cloud = Running::cloud(&place.path("cloud"));
    let desk = place.found("front-desk", Some(&cloud));
    let node = Running::node(&desk, &[]);
    let id = put(
        &desk,
        &[
            "project",
            "title=Wedding",
            "notes=old",
            "print_credits=2",
            "tags=a",
        ],
    );
    stands(&desk, ("project", &id), "confirmed");
    let laptop = place.join("laptop", &desk);
    let text_of = |value: &Value| text(value).to_owned();
    let address = text_of(&json(&desk, &["status"])["node"]["listening"][0]);
    let other = Running::node(&laptop, &[&address]);
    until(&laptop, "it has the project", || {
        say(&laptop, &["get", "project", &id]).code == 0
            && standing(&laptop, "project", &id) == "confirmed"
    });
    done(&laptop, &["network", "off"]);
    done(
        &laptop,
        &[
            "put",
            "project",
            &id,
            "notes=new",
            "print_credits+=3",
            "tags+=b",
            "tags-=a",
        ],
    );
    done(&desk, &["delete", "project", &id]);
    settled(&desk, "the deletion is decided");
    done(&laptop, &["network", "on"]);
    until(&laptop, "the edit is refused", || {
        json(&laptop, &["status"])["counts"]["rejected"] == 1
    });
    let told = done(&laptop, &["status"]);
    assert!(!told.contains("confirmed by the cloud"), "{told}");
    done(&laptop, &["restore", "project", &id]);
    for folder in [&laptop, &desk] {
        until(folder, "it is back", || {
            let shown = json(folder, &["get", "project", &id]);
            shown["deleted"] == json!(false) && shown["sync_state"]["state"] == "confirmed"
        });
        let shown = json(folder, &["get", "project", &id]);
        let wanted = json!({"title": "Wedding", "notes": "new", "print_credits": 5, "tags": ["b"]});
        assert_eq!(shown["fields"], wanted);
        assert_eq!(json(folder, &["conflicts"])["conflicts"], json!([]));
        let told = done(folder, &["status"]);
        assert!(!told.contains("confirmed by the cloud"), "{told}");
    }
    let lines = done(&laptop, &["audit"]);
    assert!(
        lines.contains("a conflict was settled, it came back"),
        "{lines}"
    );
    other.stop();
    node.stop();
}
