//! The failure states that people meet: each is met here with its sentence on screen and its button pressed.

use studiovault_protocol::api::Warning;
use studiovault_protocol::fault::FaultKind;
use studiovault_protocol::membership::Standing;

use super::*;
use crate::model::fixture::seconds_ago;

/// What a press of the button does.
#[derive(PartialEq, Debug)]
enum Does {
    /// It asks the client for this.
    Asks(Request),
    /// This is on screen then.
    Shows(&'static str),
    /// A page is opened in the browser.
    Browses,
}

/// One state: how it comes about, what is said, the button, and what that does.
type State = (fn(&mut Status), &'static str, &'static str, Does);

fn warned(status: &mut Status, code: &str, sentence: &str, next_step: &str) {
    status.warnings.push(Warning {
        code: code.to_owned(),
        sentence: sentence.to_owned(),
        next_step: next_step.to_owned(),
        kind: None,
    });
}

/// Of the network and the cloud.
fn states_of_the_way() -> [State; 5] {
    [
        (
            |status| status.peers.clear(),
            "No other machine of the studio is reached.",
            "Find out why",
            Does::Asks(Request::Examine),
        ),
        (
            |status| {
                status.cloud.reachable = false;
                status.cloud.oldest_pending = Some(seconds_ago(5 * 3600));
            },
            "Offline for 5 h: 8 changes are safe on 3 machines, sent when any machine is online.",
            "Find out why",
            Does::Asks(Request::Examine),
        ),
        (
            |status| status.cloud.problem_kind = Some(FaultKind::Portal),
            "the sign-in page of this network. Sign in there",
            "Open the network's page",
            Does::Browses,
        ),
        (
            |status| {
                let editor = status.members[2].device;
                status.gateway.as_mut().expect("a gateway").device = editor;
            },
            "The network is split",
            "Find out why",
            Does::Asks(Request::Examine),
        ),
        (
            |status| status.cloud.authorised = false,
            "The cloud no longer takes this studio's sign-in. Everything is kept",
            "Sign in",
            Does::Shows("Sign in by a code"),
        ),
    ]
}

/// Of machines.
fn states_of_machines() -> [State; 6] {
    [
        (
            |status| {
                warned(
                    status,
                    "CLOCK_OFF",
                    "The clocks of front-desk and this machine differ by 9 minutes.",
                    "Set the clock of the one that is wrong; nothing is lost meanwhile.",
                );
            },
            "differ by 9 minutes. Set the clock of the one that is wrong",
            "See the machines",
            Does::Shows("3 machines of Lisbon"),
        ),
        (
            |status| {
                warned(
                    status,
                    "DISK_LOW",
                    "The disk of this machine is nearly full: 120 MiB are left.",
                    "Make room on the disk that holds the data folder.",
                );
            },
            "nearly full: 120 MiB are left. Make room",
            "Examine this machine",
            Does::Asks(Request::Examine),
        ),
        (
            |status| status.members[0].standing = Standing::Revoked,
            "This machine was shut out of the studio.",
            "See the machines",
            Does::Shows("3 machines of Lisbon"),
        ),
        (
            |status| {
                let id = status.members[0].device;
                status.applied = format!("{id}.0000000000000001.4,{id}.0000000000000002.5");
            },
            "laptop exists twice: its folder was copied, or an old backup runs beside it.",
            "See the machines",
            Does::Shows("3 machines of Lisbon"),
        ),
        (
            |status| {
                warned(
                    status,
                    "NEEDS_NEWER_VERSION",
                    "3 records hold something that this machine does not know: they are read-only here.",
                    "Update StudioVault on this machine.",
                );
            },
            "they are read-only here. Update StudioVault",
            "See the settings",
            Does::Shows("This window"),
        ),
        (
            |status| status.network = NetworkState::Offline,
            "This machine is off the network by hand.",
            "Put it back on",
            Does::Asks(Request::Network(NetworkState::Online)),
        ),
    ]
}

#[test]
fn every_state_of_the_studio_says_what_is_the_matter_and_its_button_does_something_about_it() {
    for (change, sentence, button, does) in
        states_of_the_way().into_iter().chain(states_of_machines())
    {
        let mut status = three_machines();
        change(&mut status);
        let mut stage = Stage::showing(status, Vec::new());
        assert!(stage.shows(sentence), "not on screen: {sentence}");
        stage.harness.get_by_label(button).click();
        stage.harness.step();
        let opened = stage.harness.output().platform_output.commands.clone();
        let browses = opened
            .iter()
            .any(|command| matches!(command, egui::OutputCommand::OpenUrl(_)));
        stage.harness.run();
        match does {
            Does::Asks(request) => assert_eq!(stage.asked(), Some(request), "{sentence}"),
            Does::Shows(part) => assert!(stage.shows(part), "{sentence}: not on screen: {part}"),
            Does::Browses => assert!(browses, "{sentence}: no page is opened"),
        }
    }
}

#[test]
fn every_way_to_have_no_node_says_so_and_has_its_button() {
    let folder = || "/data/lisbon".to_owned();
    let states = [
        (
            Failure::NotRunning { folder: folder() },
            "The node of this machine is not running.",
            "Start the node",
            Request::Start,
        ),
        (
            Failure::WrongVersion {
                node: "9.4.1".to_owned(),
                window: "0.1.0".to_owned(),
            },
            "The node runs version 9.4.1, this window is version 0.1.0",
            "Look again now",
            Request::Reconnect,
        ),
        (
            Failure::TokenRefused { file: folder() },
            "The node refuses this window's token.",
            "Look again now",
            Request::Reconnect,
        ),
    ];
    for (failure, sentence, button, request) in states {
        for known in [false, true] {
            let mut stage = Stage::new();
            if known {
                stage.tell(Message::Status(Box::new(three_machines())));
            }
            stage.tell(Message::Lost(failure.clone()));
            assert!(stage.shows(sentence), "not on screen: {sentence}");
            stage.click(button);
            assert_eq!(stage.asked(), Some(request.clone()), "{sentence}");
        }
    }
}
