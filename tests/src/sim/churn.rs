//! Machines that come and go in a good world: each is let in, links, takes up all that the studio holds, writes, and retires or is shut
//! out. What one of them costs as the roster grows, and what a studio says whose roster is full.
//!
//! Frames and bytes are exact; the processor's time is that of the machine that simulates, for all machines together.

use std::fmt;
use std::time::{Duration, Instant};

use serde_json::json;
use studiovault_node::driver::Event;
use studiovault_protocol::engine::{ChangeRefused, Place, RosterChange};
use studiovault_protocol::id::DeviceId;
use studiovault_protocol::keys::SecretKey;
use studiovault_protocol::membership::{Grant, Role, SignedRecord};

use super::Cast;
use super::dice::Dice;
use super::keys::studio_file;
use super::large::run_until;
use super::machine::Node;
use super::plan::Plan;
use super::world::World;
use crate::writes::{create, transaction};

/// Machines that stay; the first two are admins.
const STAYING: usize = 3;
/// The place of whoever comes.
const GUEST: usize = STAYING;
/// Nothing of it takes longer, virtual ms.
const LIMIT_MS: u64 = 30_000;
/// How often it is looked whether something is done, virtual ms.
const LOOK_MS: u64 = 20;
/// Rosters of that many records have a row, and the full one.
const ROWS: [usize; 5] = [250, 500, 1_000, 2_000, 3_000];

/// What the machines cost that came since the row before.
#[derive(Clone, Debug, Default)]
pub struct Row {
    /// Records of the roster by then.
    pub records: usize,
    joins: u32,
    frames: u64,
    bytes: u64,
    busy: Duration,
    slowest_ms: u64,
    memory_kib: u64,
}

/// What a run came to.
#[derive(Clone, Debug, Default)]
pub struct Churned {
    /// Joins and leaves in all.
    pub events: u64,
    /// Studios that it took: a roster has room for so many.
    pub studios: u64,
    /// What the full studios said.
    pub refusal: Option<String>,
}

impl Row {
    /// The head of the table whose rows these are; each figure is that of one machine that comes, works and goes, as all see it.
    pub const HEADING: &str = "| records of the roster | came and went | each: frames | bytes | processor, all together | slowest to be one with the others | memory of the whole run |\n| --- | --- | --- | --- | --- | --- | --- |";
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let each = |of_all: f64| of_all / f64::from(self.joins.max(1));
        write!(
            f,
            "| {} | {} | {:.0} | {:.0} | {:.1} ms | {} ms | {} MiB |",
            self.records,
            self.joins,
            each(self.frames as f64),
            each(self.bytes as f64),
            each(self.busy.as_secs_f64()) * 1e3,
            self.slowest_ms,
            self.memory_kib >> 10
        )
    }
}

/// One studio whose machines come and go.
struct Studio {
    world: World,
    dice: Dice,
}

/// So many joins and leaves, in as many studios as they fill; `told` hears each row. An error says what was wrong.
pub fn measure(events: u64, told: &mut dyn FnMut(&Row)) -> Result<Churned, String> {
    let mut churned = Churned::default();
    while churned.events < events {
        churned.studios += 1;
        let mut studio = Studio::found(churned.studios)?;
        studio.fill((&mut churned, events), told)?;
    }
    Ok(churned)
}

/// The same, with every row printed.
pub fn campaign(events: u64) -> Result<(), String> {
    println!("{}", Row::HEADING);
    let churned = measure(events, &mut |row| println!("{row}"))?;
    println!(
        "{} joins and leaves in {} studios; a full one says: {}",
        churned.events,
        churned.studios,
        churned.refusal.as_deref().unwrap_or("none was full")
    );
    Ok(())
}

impl Studio {
    fn found(seed: u64) -> Result<Self, String> {
        let plan = Plan {
            safety_ms: u64::MAX,
            ..Plan::large(STAYING + 1, STAYING)
        };
        let mut world = World::of_plan((seed, Dice::new(seed)), plan, Cast::Honest, false);
        // Nobody writes but those who come.
        world.is_healed = true;
        let root = SecretKey::from_seed(Dice::new(seed).bytes());
        let mut studio = Self {
            dice: Dice::new(seed ^ 0x00c4_0012),
            world,
        };
        studio.leave();
        for at in 0..2 {
            let own = studio.world.records[studio.world.nodes[at].grant]
                .grant()
                .cloned();
            let grant = Grant {
                role: Role::Admin,
                version: 2,
                ..own.ok_or("a first record is a grant")?
            };
            let record = SignedRecord::by_root(studio.world.empty_roster.studio(), grant, &root);
            let signed = RosterChange::Signed(Box::new(record));
            studio.world.change_roster(0, signed);
        }
        studio.until("the first are linked", |world| {
            world.unlinked().is_none() && same(world, STAYING)
        })?;
        Ok(studio)
    }

    /// Machines come and go until there were enough or the roster is full.
    fn fill(
        &mut self,
        (churned, events): (&mut Churned, u64),
        told: &mut dyn FnMut(&Row),
    ) -> Result<(), String> {
        let mut rows = ROWS.into_iter().peekable();
        let mut row = Row::default();
        loop {
            let (began, before) = (Instant::now(), self.world.trace.carried);
            let joined = self.join()?;
            if let Some(took_ms) = joined {
                self.goes(churned.events.is_multiple_of(4))?;
                churned.events += 2;
                let after = self.world.trace.carried;
                row.joins += 1;
                row.frames += after.0 - before.0;
                row.bytes += after.1 - before.1;
                row.busy += began.elapsed();
                row.slowest_ms = row.slowest_ms.max(took_ms);
            }
            let records = self.records();
            let is_over = joined.is_none() || churned.events >= events;
            if is_over || rows.next_if(|due| records >= *due).is_some() {
                row.records = records;
                row.memory_kib = memory_kib();
                told(&row);
                row = Row::default();
            }
            if joined.is_none() {
                let refused = self.world.checks.refused_change.take();
                churned.refusal = refused.map(|refused| refused.to_string());
            }
            if is_over {
                return Ok(());
            }
        }
    }

    fn records(&self) -> usize {
        let driver = self.world.nodes[0].driver();
        driver.map_or(0, |driver| driver.engine().roster().records().count())
    }

    /// A machine is let in and becomes one with the others, in so many virtual ms; `None` if there is no room for it.
    fn join(&mut self) -> Result<Option<u64>, String> {
        let secret = SecretKey::from_seed(self.dice.bytes());
        let device = DeviceId::from_random(self.dice.bytes());
        let began = self.world.now;
        let change = RosterChange::Admit {
            device,
            key: secret.public(),
            name: format!("guest {}", self.records()),
            place: Place {
                role: Role::Member,
                priority: 0,
                gateway_preference: 0,
            },
        };
        self.world.change_roster(0, change);
        self.until("it is let in", |world| {
            stands(world, 0, device) || world.checks.refused_change.is_some()
        })?;
        match self.world.checks.refused_change {
            None => {}
            Some(ChangeRefused::Full) => return Ok(None),
            Some(ref other) => return Err(other.to_string()),
        }
        let world = &mut self.world;
        let first = world.nodes[0].driver().ok_or("it runs")?.engine();
        let chain = first.roster().chain_of(device);
        let studio = studio_file(&world.empty_roster);
        let mut guest = Node::asleep((device, secret), 0, (&world.policy, studio));
        guest.no_uplink = true;
        world.nodes[GUEST] = guest;
        // What it is given when it is paired.
        let kept = std::mem::replace(&mut world.records, chain);
        world.boot(GUEST);
        world.records = kept;
        self.until("it holds all", |world| {
            world.unlinked().is_none() && same(world, STAYING + 1)
        })?;
        let held = applied(&self.world, GUEST);
        self.write();
        self.until("all hold what it wrote", |world| {
            applied(world, GUEST) > held && same(world, STAYING + 1)
        })?;
        Ok(Some(self.world.now - began))
    }

    fn write(&mut self) {
        let client = create("client", json!({"name": "Silva"}));
        let request = transaction("guest", vec![client]);
        self.world.ticket += 1;
        let write = Event::Write(self.world.ticket, request);
        self.world.tell(GUEST, write);
    }

    /// It takes its leave, or is shut out.
    fn goes(&mut self, retires: bool) -> Result<(), String> {
        let device = self.world.nodes[GUEST].device;
        match retires {
            true => self.world.change_roster(GUEST, RosterChange::Retire),
            false => self.world.change_roster(1, RosterChange::Revoke(device)),
        }
        self.until("it is gone", |world| {
            (0..STAYING).all(|at| !stands(world, at, device)) && same(world, STAYING)
        })?;
        self.leave();
        Ok(())
    }

    /// Switches the guest off, and forgets what only a test remembers of it.
    fn leave(&mut self) {
        self.world.switch_off(GUEST);
        self.world.checks.leaves(GUEST);
        let soon = self.world.now + LOOK_MS;
        run_until(&mut self.world, soon);
    }

    fn until(&mut self, what: &str, is_so: impl Fn(&World) -> bool) -> Result<(), String> {
        let began = self.world.now;
        while !is_so(&self.world) {
            let records = self.records();
            let world = &mut self.world;
            if let Some(violation) = &world.checks.violation {
                return Err(violation.clone());
            }
            if world.now - began > LIMIT_MS {
                return Err(format!(
                    "not so after {LIMIT_MS} ms, {records} records: {what}"
                ));
            }
            let end = world.now + LOOK_MS;
            run_until(world, end);
        }
        Ok(())
    }
}

/// Whether a machine takes that device for one of the studio.
fn stands(world: &World, at: usize, device: DeviceId) -> bool {
    let driver = world.nodes[at].driver();
    let member = driver.and_then(|driver| driver.engine().roster().member(device));
    member.is_some_and(|member| member.is_active())
}

/// How many commands a machine has applied.
fn applied(world: &World, at: usize) -> u64 {
    let log = world.nodes[at].driver().map(|driver| driver.engine().log());
    log.map_or(0, |log| {
        log.chains()
            .filter_map(|(_, chain)| Some(chain.applied?.0))
            .sum()
    })
}

/// Whether the first so many machines know the same records and have applied the same.
fn same(world: &World, count: usize) -> bool {
    let state = |at: usize| {
        let engine = world.nodes[at].driver()?.engine();
        Some((engine.roster().digest(), applied(world, at)))
    };
    let first = state(0);
    first.is_some() && (1..count).all(|at| state(at) == first)
}

/// What this process holds in memory, KiB; 0 where the system does not say.
fn memory_kib() -> u64 {
    #[cfg(target_os = "linux")]
    return crate::system::resident_kib(std::process::id()).unwrap_or(0);
    #[cfg(not(target_os = "linux"))]
    return 0;
}
