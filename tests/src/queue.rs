//! One machine and a cloud truth that refuses some commands, breaks on others, or answers 503: what that costs everybody else.
//!
//! The real driver, store and truth in virtual time: a request takes 20 ms, pauses cost nothing, and work is measured by the
//! wall clock.

use std::time::Duration;

use anyhow::{Result, ensure};
use studiovault_cloud::{BareError, BareTruth, Founding};
use studiovault_node::config::Region;
use studiovault_node::driver::{Driver, Event, Random, Request, Setup};
use studiovault_node::store::{Location, Store};
use studiovault_protocol::api::Counts;
use studiovault_protocol::cloud::EnrolRequest;
use studiovault_protocol::command::{Change, Command};
use studiovault_protocol::engine::Identity;
use studiovault_protocol::event::{Moment, OrderKind, UplinkEvent, UplinkFailure};
use studiovault_protocol::id::{Author, DeviceId, Epoch, StudioId};
use studiovault_protocol::keys::SecretKey;
use studiovault_protocol::membership::{Grant, Role, Roster, SignedRecord};
use studiovault_protocol::policy::Policy;
use studiovault_protocol::time::{MonoMs, Now, WallMs};
use studiovault_protocol::value::Value;

use crate::writes::{create, transaction};

/// Virtual ms from a request to its answer.
const ROUND_TRIP_MS: u64 = 20;
/// Commands of one transaction.
const TRANSACTION: u64 = 100;
/// Virtual time 0 on the wall.
const NOON: i64 = 1_790_000_000_000;
/// Bytes of `notes` that this truth takes; the machine's policy takes more.
const NOTES_BYTES: &str = "15";

/// What is written, and what the cloud thinks of it.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    /// All commands.
    pub commands: u64,
    /// Of these the cloud refuses so many, evenly spread.
    pub refused: u64,
    /// On so many of these the cloud breaks, evenly spread.
    pub poison: u64,
    /// Virtual ms at the beginning in which the cloud answers 503.
    pub busy_ms: u64,
}

/// What came of it.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The machine's figures at the end.
    pub counts: Counts,
    /// Requests sent to the cloud.
    pub requests: u64,
    /// Requests on which the cloud broke.
    pub broken: u64,
    /// Virtual ms until nothing moved any more.
    pub virtual_ms: u64,
    /// Time that driver and store worked from the first batch on until every good command was confirmed.
    pub at_machine: Duration,
    /// Time that the truth worked meanwhile.
    pub at_cloud: Duration,
    /// Rows of the queue that count an attempt without being stuck.
    pub blamed: u64,
}

impl Outcome {
    /// Confirmed commands per second of work.
    pub fn confirmed_per_second(&self) -> f64 {
        self.counts.confirmed as f64 / (self.at_machine + self.at_cloud).as_secs_f64()
    }
}

fn is_poison(command: &Command) -> bool {
    let poison = |change: &Change| *change == Change::Write(Value::Text("poison".into()));
    command.writes.iter().any(|write| poison(&write.change))
}

/// Writes everything, then lets the uplink work until it rests.
pub fn run(load: Load) -> Outcome {
    let mut world = World::new();
    for first in (0..load.commands).step_by(TRANSACTION as usize) {
        world.write(load, first..(first + TRANSACTION).min(load.commands));
    }
    world.busy_until = world.now + load.busy_ms;
    world.settle(load)
}

/// The proofs at full size, with their figures.
pub fn campaign(commands: u64, rounds: u32) -> Result<()> {
    let quiet = Load {
        commands,
        refused: 0,
        poison: 0,
        busy_ms: 0,
    };
    let (refused, poison) = (commands / 10, commands / 1_000);
    let share = beside_refused((commands, refused), rounds)?;
    let outcome = run(Load { poison, ..quiet });
    let counts = outcome.counts;
    ensure!(counts.confirmed == commands - poison, "{outcome:?}");
    ensure!(
        counts.stuck == poison && counts.dead_letters == 0,
        "{outcome:?}"
    );
    println!(
        "{poison} that break the cloud among {commands}: all good ones confirmed, {poison} stuck; {} requests, {} of them broken, {:.0} s of virtual time, {:.0} good ones a second of work",
        outcome.requests,
        outcome.broken,
        outcome.virtual_ms as f64 / 1e3,
        outcome.confirmed_per_second()
    );
    let outcome = run(Load {
        busy_ms: 3_600_000,
        ..quiet
    });
    let counts = outcome.counts;
    ensure!(counts.confirmed == commands, "{outcome:?}");
    ensure!(
        counts.dead_letters + counts.stuck + outcome.blamed == 0,
        "{outcome:?}"
    );
    println!(
        "an hour of 503: {} requests, probes included; nothing in the bin, all {commands} confirmed after {:.0} s",
        outcome.requests,
        outcome.virtual_ms as f64 / 1e3
    );
    ensure!(share >= 0.9, "refused commands slow the good ones down");
    Ok(())
}

/// The share of their rate that good commands keep among refused ones: the median over pairs of runs, one right after the other.
fn beside_refused((commands, refused): (u64, u64), rounds: u32) -> Result<f64> {
    let load = |commands, refused| Load {
        commands,
        refused,
        poison: 0,
        busy_ms: 0,
    };
    let good = commands - refused;
    let mut pairs = Vec::new();
    for _ in 0..rounds.max(1) {
        let alone = run(load(good, 0));
        ensure!(alone.counts.confirmed == good, "{alone:?}");
        let among = run(load(commands, refused));
        let counts = among.counts;
        ensure!(counts.confirmed == good, "{among:?}");
        ensure!(counts.dead_letters == refused, "{among:?}");
        let share = among.confirmed_per_second() / alone.confirmed_per_second();
        pairs.push((share, alone, among));
    }
    pairs.sort_by(|one, other| one.0.total_cmp(&other.0));
    let (low, high) = (pairs[0].0, pairs[pairs.len() - 1].0);
    let (share, alone, among) = pairs.swap_remove(pairs.len() / 2);
    println!(
        "{refused} refused among {commands}: all good ones confirmed, {refused} in the bin; {} good ones a second of work beside {} without the refused ones: {:.1} % ({:.1} to {:.1} in {rounds} pairs of runs)",
        rate_of(&among),
        rate_of(&alone),
        100.0 * share,
        100.0 * low,
        100.0 * high
    );
    let each = |work: Duration, commands: u64| 1e6 * work.as_secs_f64() / commands as f64;
    println!(
        "a good one costs the machine {:.1} us and the cloud {:.1}; a refused one {:.1} and {:.1}",
        each(alone.at_machine, good),
        each(alone.at_cloud, good),
        each(among.at_machine.saturating_sub(alone.at_machine), refused),
        each(among.at_cloud.saturating_sub(alone.at_cloud), refused)
    );
    Ok(share)
}

/// The rate, and where the time went.
fn rate_of(outcome: &Outcome) -> String {
    format!(
        "{:.0} ({:.2} s at the machine, {:.2} s at the cloud)",
        outcome.confirmed_per_second(),
        outcome.at_machine.as_secs_f64(),
        outcome.at_cloud.as_secs_f64()
    )
}

fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let began = spent();
    (work(), spent().saturating_sub(began))
}

/// The processor's time that this thread took so far: what else runs on the machine is no work of the queue.
#[cfg(unix)]
fn spent() -> Duration {
    let clock = nix::time::ClockId::CLOCK_THREAD_CPUTIME_ID;
    nix::time::clock_gettime(clock).map_or(Duration::ZERO, Duration::from)
}

/// The time on the clock.
#[cfg(not(unix))]
fn spent() -> Duration {
    static BEGAN: std::sync::OnceLock<std::time::Instant> = std::sync::OnceLock::new();
    BEGAN.get_or_init(std::time::Instant::now).elapsed()
}

struct World {
    driver: Driver,
    truth: BareTruth,
    now: u64,
    busy_until: u64,
    random: Random,
    requests: u64,
    broken: u64,
    tickets: u64,
}

fn founded() -> (Driver, BareTruth) {
    let (root, key) = (SecretKey::from_seed([1; 32]), SecretKey::from_seed([2; 32]));
    let (studio, secret) = (StudioId([3; 16]), SecretKey::from_seed([4; 32]));
    let (device, cloud) = (DeviceId([5; 16]), DeviceId([6; 16]));
    let founding = Founding {
        studio: EnrolRequest {
            studio,
            name: "Lumen".into(),
            root: root.public(),
            genesis: Vec::new(),
        },
        key: key.clone(),
        cloud: Author {
            device: cloud,
            epoch: Epoch(7),
        },
        at: WallMs(NOON),
    };
    let mut truth = BareTruth::new(founding).expect("a truth in memory");
    let text = Policy::default().text().to_owned();
    let strict = text.replacen("16384", NOTES_BYTES, 1);
    assert_ne!(text, strict, "a client's notes come first");
    truth.decide_by(Policy::parse(&strict).expect("a policy"));
    truth.break_on(is_poison);
    let grant = |device, key, role| {
        let grant = Grant {
            device,
            key,
            name: "machine".into(),
            role,
            priority: 0,
            gateway_preference: 0,
            version: 1,
        };
        SignedRecord::by_root(studio, grant, &root)
    };
    let own = grant(device, secret.public(), Role::Member);
    let mut roster = Roster::new(studio, root.public()).expect("a usable key");
    for record in [own, grant(cloud, key.public(), Role::Cloud)] {
        roster.insert(record).expect("our own record");
    }
    let policy = Policy::default();
    let store = Store::open(Location::Memory, &policy).expect("memory opens");
    let setup = Setup {
        identity: Identity {
            device,
            secret,
            run: 8,
            fresh_epoch: Epoch(9),
        },
        roster,
        policy,
        random: Random::seeded(10),
        region: Region::default(),
    };
    let driver = Driver::new(setup, store, moment_at(0, 0)).expect("a fresh driver");
    (driver, truth)
}

fn moment_at(now: u64, entropy: u64) -> Moment {
    let now = Now {
        wall: WallMs(NOON + now.cast_signed()),
        mono: MonoMs(now),
    };
    Moment { now, entropy }
}

impl World {
    fn new() -> Self {
        let (driver, truth) = founded();
        Self {
            driver,
            truth,
            now: 0,
            busy_until: 0,
            random: Random::seeded(11),
            requests: 0,
            broken: 0,
            tickets: 0,
        }
    }

    fn step(&mut self, events: Vec<Event>) -> Vec<Request> {
        let moment = moment_at(self.now, self.random.number());
        let mut output = self.driver.step(moment, events);
        let mut requests = std::mem::take(&mut output.requests);
        for (_, answer) in output.answers {
            answer.expect("the machine takes every write");
        }
        if output.again {
            requests.extend(self.step(Vec::new()));
        }
        requests
    }

    /// One transaction, a millisecond after the one before, and before the machine has found out whether it is the gateway.
    fn write(&mut self, load: Load, numbers: std::ops::Range<u64>) {
        let every = |count: u64| load.commands.checked_div(count).unwrap_or(u64::MAX);
        let mutation = |number: u64| {
            let poison = number % every(load.poison) == every(load.poison) / 2;
            let refused = number % every(load.refused) == every(load.refused) / 2;
            let notes = if poison {
                "poison".to_owned()
            } else if refused {
                "as it may not be".to_owned()
            } else {
                "as it should be".to_owned()
            };
            let fields = serde_json::json!({"name": format!("Customer {number}"), "notes": notes});
            create("client", fields)
        };
        self.tickets += 1;
        self.now += 1;
        let request = transaction("ines", numbers.map(mutation).collect());
        let requests = self.step(vec![Event::Write(self.tickets, request)]);
        let probes = requests
            .iter()
            .all(|request| matches!(request, Request::Probe(_)));
        assert!(probes, "writing comes first");
    }

    /// Steps, and answers every request after a round trip, until nothing is to be expected any more.
    fn settle(mut self, load: Load) -> Outcome {
        let mut under_way: Vec<(u64, UplinkEvent)> =
            vec![(self.now, UplinkEvent::Probed { head: None })];
        let mut calm_since = None;
        let good = load.commands - load.refused - load.poison;
        let (mut at_machine, mut at_cloud, mut works) = (Duration::ZERO, Duration::ZERO, true);
        loop {
            let due: Vec<UplinkEvent> = under_way
                .extract_if(.., |(at, _)| *at <= self.now)
                .map(|(_, event)| event)
                .collect();
            let moved = due
                .iter()
                .any(|event| !matches!(event, UplinkEvent::Probed { .. }));
            let (requests, took) =
                timed(|| self.step(due.into_iter().map(Event::Uplink).collect()));
            at_machine += if works { took } else { Duration::ZERO };
            for request in requests {
                if matches!(request, Request::Batch(_)) {
                    // It ends a waiting question unanswered.
                    under_way.retain(|(_, event)| !matches!(event, UplinkEvent::Changed(_)));
                }
                let (answer, took) = timed(|| self.answer(request));
                at_cloud += if works { took } else { Duration::ZERO };
                under_way.push(answer);
            }
            let counts = self.driver.store().counts().expect("memory reads");
            works &= counts.confirmed < good;
            if moved || calm_since.is_none() {
                let done = counts.confirmed == good
                    && counts.dead_letters == load.refused
                    && counts.stuck == load.poison;
                calm_since = done.then_some(self.now);
            }
            let calm = calm_since.is_some_and(|since| self.now > since + 5_000);
            if calm || self.now > 48 * 3_600_000 {
                let queue = self.driver.store().view().queue(None, usize::MAX >> 1);
                let blamed = queue.expect("memory reads").into_iter();
                return Outcome {
                    blamed: blamed.filter(|row| row.attempts > 0).count() as u64 - counts.stuck,
                    counts,
                    requests: self.requests,
                    broken: self.broken,
                    virtual_ms: calm_since.unwrap_or(self.now),
                    at_machine,
                    at_cloud,
                };
            }
            let wake = self.driver.next_wake(MonoMs(self.now)).0;
            let next = under_way.iter().map(|(at, _)| *at).min();
            self.now = next.map_or(wake, |at| at.min(wake)).max(self.now + 1);
        }
    }

    fn answer(&mut self, request: Request) -> (u64, UplinkEvent) {
        self.requests += 1;
        let (at, wall) = (self.now + ROUND_TRIP_MS, moment_at(self.now, 0).now.wall);
        let is_busy = self.now < self.busy_until;
        let busy = |order| {
            let failure = UplinkFailure::Busy {
                retry_after_ms: 0,
                detail: "503".into(),
            };
            (at, UplinkEvent::Failed { order, failure })
        };
        match request {
            Request::Probe(_) => (at, UplinkEvent::Probed { head: None }),
            Request::Tail(_) => panic!("this cloud was never put back"),
            Request::Batch(_) if is_busy => busy(OrderKind::Batch),
            Request::Changes(_) if is_busy => busy(OrderKind::Changes),
            Request::Batch(batch) => match self.truth.batch(&batch, wall) {
                Ok(answer) => (at, UplinkEvent::Answered(Box::new(answer))),
                Err(BareError::Store(error)) => {
                    self.broken += 1;
                    let (order, failure) =
                        (OrderKind::Batch, UplinkFailure::Broken(error.to_string()));
                    (at, UplinkEvent::Failed { order, failure })
                }
                Err(error) => panic!("the batch is not taken: {error}"),
            },
            Request::Changes(question) => {
                let changes = self.truth.changes(&question, wall).expect("memory answers");
                let wait_ms = match changes.pages.is_empty() {
                    true => u64::from(question.wait_s) * 1_000,
                    false => 0,
                };
                (at + wait_ms, UplinkEvent::Changed(Box::new(changes)))
            }
        }
    }
}
