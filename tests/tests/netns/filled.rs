//! A new laptop is filled by a machine on the LAN, with no internet: it says how far it is and how long that will take, and it is of
//! use before it is done.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::json;
use studiovault_lab::lab::machine::create;
use studiovault_lab::lab::{Lab, Machine, Studio, eventually};

use super::pairing::pair;

const SOON: Duration = Duration::from_secs(60);
/// Transactions of 500 clients at the desk.
const TRANSACTIONS: usize = 60;

fn commands(machine: &Machine) -> Option<u64> {
    Some(machine.status().ok()?.counts.commands)
}

/// The link takes 150 kB a second, as a bad Wi-Fi does.
fn slow(machine: &Machine) -> Result<()> {
    let script = "table inet slow { chain input { type filter hook input priority 0; \
                  limit rate over 150 kbytes/second burst 64 kbytes drop; }; }";
    let mut command = std::process::Command::new("nft");
    machine.host.run(command.arg(script)).map(drop)
}

/// What a person at the laptop saw while it was being filled.
#[derive(Default)]
struct Seen {
    took: Duration,
    /// Percent, one look after the other.
    shares: Vec<u64>,
    /// When it was said, and how many seconds were said to be left.
    estimates: Vec<(Duration, u64)>,
    written: u64,
    slowest: Duration,
}

impl Seen {
    fn look(&mut self, laptop: &Machine, at: Duration) -> Result<()> {
        if let Some(behind) = laptop.status()?.lan.catching_up {
            ensure!(
                behind.from == "desk" && behind.held <= behind.of,
                "{behind:?}"
            );
            self.shares.push(behind.held * 100 / behind.of);
            self.estimates.extend(behind.left_s.map(|left| (at, left)));
        }
        Ok(())
    }

    /// Somebody works on at the laptop.
    fn work(&mut self, laptop: &Machine) -> Result<()> {
        let began = Instant::now();
        let id = laptop.create(&format!("Written meanwhile {}", self.written))?;
        self.slowest = self.slowest.max(began.elapsed());
        ensure!(laptop.entity("client", id)?.is_some(), "it is not read");
        self.written += 1;
        Ok(())
    }

    /// By how much the middle one of the estimates was off, and the worst, seconds.
    fn off(&self) -> (f64, f64) {
        let off = self.estimates.iter().map(|(at, left)| {
            let said = *at + Duration::from_secs(*left);
            (said.as_secs_f64() - self.took.as_secs_f64()).abs()
        });
        let mut off: Vec<f64> = off.collect();
        off.sort_by(f64::total_cmp);
        let at = |place: usize| off.get(place).copied().unwrap_or_default();
        (at(off.len() / 2), at(off.len().saturating_sub(1)))
    }
}

/// Starts the laptop and works at it until it holds so many commands besides its own.
fn filled(laptop: &Machine, total: u64) -> Result<Seen> {
    let (began, mut seen) = (Instant::now(), Seen::default());
    laptop.start()?;
    while commands(laptop).context("a status")? < total + seen.written {
        ensure!(began.elapsed() < SOON, "it is not filled in time");
        seen.look(laptop, began.elapsed())?;
        seen.work(laptop)?;
        std::thread::sleep(Duration::from_millis(50));
    }
    seen.took = began.elapsed();
    Ok(seen)
}

#[test]
fn a_new_laptop_is_filled_from_the_lan_with_an_honest_estimate_and_usable_meanwhile() {
    Lab::test("filled", |lab| {
        let studio = Studio::without_cloud(lab, &["desk"])?;
        let desk = &studio.machines[0];
        for transaction in 0..TRANSACTIONS {
            let client = |number| {
                let name = format!("Client {number} of {transaction}");
                create(
                    "client",
                    json!({"name": name, "phone": format!("{number}")}),
                )
            };
            desk.write((0..500).map(client).collect())?;
        }
        let total = TRANSACTIONS as u64 * 500;
        let laptop = Machine::unmade(lab.host("laptop")?)?;
        pair(desk, &laptop)?;
        slow(&laptop)?;
        let seen = filled(&laptop, total)?;
        let (middle, worst) = seen.off();
        println!(
            "    {total} commands at 150 kB/s: filled in {:?}, {} writes meanwhile, the slowest {:?}; {} estimates, the middle one {middle:.1} s off and the worst {worst:.1} s",
            seen.took,
            seen.written,
            seen.slowest,
            seen.estimates.len()
        );
        ensure!(seen.shares.is_sorted(), "it went back: {:?}", seen.shares);
        ensure!(seen.written > 5, "it was full before anybody could use it");
        ensure!(
            seen.slowest < Duration::from_secs(2),
            "a write took {:?}",
            seen.slowest
        );
        ensure!(!seen.estimates.is_empty(), "nothing was estimated");
        let most = 2.0 + seen.took.as_secs_f64() / 3.0;
        ensure!(middle <= most, "{middle} s off: {:?}", seen.estimates);
        let done = || {
            let none_left = laptop.status().ok()?.lan.catching_up.is_none();
            none_left.then_some(())
        };
        eventually("it says nothing of it when it is done", SOON, done)?;
        eventually("both agree", SOON, || {
            let (one, other) = (desk.status().ok()?, laptop.status().ok()?);
            (one.state_hash == other.state_hash).then_some(())
        })
        .map(drop)
    });
}
