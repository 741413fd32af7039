//! Signing in at the window by a code: approved, refused, stopped, and with a cloud that is gone.

use std::collections::BTreeSet;

use egui_kittest::kittest::NodeT;

use super::*;

impl Pane {
    /// The code that is shown: two times four letters.
    fn code(&mut self) -> String {
        self.sees("Waiting until somebody approves it");
        let is_code = |text: &str| {
            let parts: Vec<&str> = text.split('-').collect();
            let plain =
                |part: &&str| part.len() == 4 && part.chars().all(|c| c.is_ascii_uppercase());
            parts.len() == 2 && parts.iter().all(plain)
        };
        let nodes = self.harness.root().children_recursive();
        let texts = nodes.filter_map(|node| {
            let node = node.accesskit_node();
            node.label().or_else(|| node.value())
        });
        let found: BTreeSet<String> = texts.filter(|text| is_code(text)).collect();
        assert_eq!(found.len(), 1, "{found:?}");
        found.into_iter().next().expect("one")
    }
}

#[test]
fn one_signs_in_by_a_code_and_what_waited_goes_up_and_every_other_end_is_said() {
    let mut studio = Studio::open();
    let desk = studio.front_desk.clone();
    // Alone, so that no other machine carries to the cloud for it.
    studio.running.truncate(2);
    give_token(&desk, "svp_of_yesterday");
    put(&desk, &["put", "client", "name=Silva"]);
    let mut pane = Pane::on(&desk);
    pane.sees("The cloud no longer takes this studio's sign-in.");
    pane.panel(egui::Key::Num6);
    pane.sees("Not signed in: the cloud refuses the token. Sign in again.");

    pane.click("Sign in by a code");
    let code = pane.code();
    let decide = |word: &str, code: &str| done(&studio.cloud, &["cloud", word, code]);
    decide("deny", &code);
    pane.sees("Not signed in: somebody refused the code");

    pane.click("Sign in by a code");
    pane.code();
    pane.click("Stop signing in");
    pane.sees("Stopped: nothing was changed.");

    pane.click("Sign in by a code");
    let code = pane.code();
    decide("approve", &code);
    pane.sees("Signed in. What waits for the cloud goes up by itself.");
    pane.sees("Signed in: the cloud takes");
    until(&desk, "what waited is confirmed", || {
        status(&desk)["counts"]["pending"] == 0
    });

    // The first is the cloud.
    drop(studio.running.remove(0));
    pane.click("Sign in anew by a code");
    pane.sees("the doctor, among the devices, looks at the way to the cloud.");
}
