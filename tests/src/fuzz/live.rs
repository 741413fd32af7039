//! Targets that are alive: a whole machine behind a link, before and after the hello, and by gossip; and a cloud truth asked by a
//! gateway. Whatever is said, they neither break nor, before the hello, take or tell anything.

use studiovault_node::driver::{Driver, Event, Output};
use studiovault_protocol::cloud::{BatchAnswer, BatchRequest};
use studiovault_protocol::event::UplinkEvent;
use studiovault_protocol::wire::Frame;

use super::studio::{self, LINK, moment, recording};
use super::{Eater, Target};

/// Inputs that one machine takes before it is made anew: it keeps what was sound, and a store in memory costs milliseconds.
const MEALS: usize = 1000;

pub(super) fn targets() -> Vec<Target> {
    let target = |name, make, seeds| Target {
        name,
        make,
        meals: MEALS,
        seeds,
        words: &[],
    };
    vec![
        target("live-hello", before_the_hello, || {
            recording().frames.clone()
        }),
        target("live-link", after_the_hello, || recording().frames.clone()),
        target("live-gossip", by_gossip, || recording().bundles.clone()),
        target("live-answer", by_the_cloud, || recording().answers.clone()),
        target("live-batch", at_the_cloud, || recording().batches.clone()),
    ]
}

/// How a step ended, in few words.
fn class(output: &Output) -> String {
    let mut said: Vec<String> = output
        .notices
        .iter()
        .map(|notice| first(&format!("{notice:?}")))
        .collect();
    let words = output.closes.iter().map(|(_, reason)| first(reason));
    said.extend(words);
    said.sort();
    said.dedup();
    format!("{} sends {}", output.sends.len().min(3), said.join(" "))
}

fn first(words: &str) -> String {
    let plain = |c: &char| !c.is_ascii_digit();
    words.chars().filter(plain).take(40).collect()
}

/// The hello of the other machine, as it was recorded.
fn hello() -> Vec<u8> {
    let mut frames = recording().frames.iter();
    let is_hello = |bytes: &&Vec<u8>| matches!(Frame::decode(bytes), Ok(Frame::Hello(hello)) if hello.grant().is_some_and(|grant| grant.device == studio::device(3)));
    frames.find(is_hello).expect("a hello was recorded").clone()
}

/// Whoever holds the machine's word: each input is the first frame of a link of somebody who holds the editor's key, and of another
/// one of a stranger.
fn before_the_hello() -> Eater {
    let mut driver = studio::driver(2);
    let mut second = 0;
    Box::new(move |bytes| {
        second += 1;
        let strange = Driver::step(
            &mut driver,
            moment(second),
            vec![
                Event::Opened(LINK, studio::key(77).public()),
                Event::Frame(LINK, bytes.to_vec().into()),
            ],
        );
        for (_, frame) in &strange.sends {
            let told = Frame::decode(frame).expect("our own frames are sound");
            assert!(
                matches!(told, Frame::Hello(_) | Frame::Refuse(_)),
                "a stranger was told {told:?}"
            );
        }
        assert!(strange.gossip.is_empty() && strange.changed.is_empty());
        let held = driver.store().counts().expect("counts").commands;
        assert_eq!(held, 0, "a stranger's words were kept");
        let _ = driver.step(moment(second), vec![Event::Closed(LINK)]);
        let opened = Event::Opened(LINK, studio::key(3).public());
        let frame = Event::Frame(LINK, bytes.to_vec().into());
        let known = driver.step(moment(second), vec![opened, frame]);
        let _ = driver.step(moment(second), vec![Event::Closed(LINK)]);
        format!("{} | {}", class(&strange), class(&known))
    })
}

/// A member that says anything: the link is greeted, then comes the input.
fn after_the_hello() -> Eater {
    let mut driver = studio::driver(2);
    let mut second = 0;
    let hello = hello();
    Box::new(move |bytes| {
        second += 1;
        let events = vec![
            Event::Opened(LINK, studio::key(3).public()),
            Event::Frame(LINK, hello.clone().into()),
        ];
        let greeted = driver.step(moment(second), events);
        assert!(greeted.closes.is_empty(), "{:?}", greeted.closes);
        let frame = Event::Frame(LINK, bytes.to_vec().into());
        let output = driver.step(moment(second), vec![frame]);
        let _ = driver.step(moment(second), vec![Event::Closed(LINK)]);
        class(&output)
    })
}

fn by_gossip() -> Eater {
    let mut driver = studio::driver(2);
    let mut second = 0;
    Box::new(move |bytes| {
        second += 1;
        let event = Event::Gossip(bytes.to_vec().into());
        class(&driver.step(moment(second), vec![event]))
    })
}

/// A cloud, or whoever stands in its place, that answers anything.
fn by_the_cloud() -> Eater {
    let mut driver = studio::driver(2);
    let mut second = 0;
    Box::new(move |bytes| {
        second += 1;
        let Ok((answer, [])) = postcard::take_from_bytes::<BatchAnswer>(bytes) else {
            return "no answer".to_owned();
        };
        let event = Event::Uplink(UplinkEvent::Answered(Box::new(answer)));
        class(&driver.step(moment(second), vec![event]))
    })
}

/// A gateway that sends anything.
fn at_the_cloud() -> Eater {
    let truth = studio::truth();
    Box::new(move |bytes| {
        let Ok((request, [])) = postcard::take_from_bytes::<BatchRequest>(bytes) else {
            return "no batch".to_owned();
        };
        match truth.batch(&request, moment(0).now.wall) {
            Ok(answer) => format!("answered {}", answer.changes.pages.len().min(2)),
            Err(error) => first(&error.to_string()),
        }
    })
}
