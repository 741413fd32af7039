//! Fuzzing on any toolchain: targets for everything that reads what others wrote, a mutator over a committed corpus, and a loop that
//! goes on from whatever the target told apart.
//!
//! A target must never panic, must say the same of the same bytes, and what it takes must be what it would write. It answers with the
//! class of the input (taken as what, or refused why); inputs of a new class join the pool, which stands in for coverage.

mod forms;
mod live;
mod mutate;
mod snapshots;
mod studio;
mod texts;

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::sim::dice::Dice;

/// Bytes of a mutated input at most: longer than the longest frame.
const INPUT_BYTES: usize = 300 * 1024;
/// Inputs of one target's pool at most.
const POOL: usize = 512;
/// Inputs of a target in the committed corpus at most, and bytes of one.
const KEPT: usize = 24;
const KEPT_BYTES: usize = 2048;
/// An input that takes longer than this is a fault, as a panic is.
const SLOW: Duration = Duration::from_secs(2);

/// Reads one input and says what it was.
pub type Eater = Box<dyn FnMut(&[u8]) -> String>;

/// One thing that reads what others wrote.
pub struct Target {
    /// Its name, and that of its folder in the corpus.
    pub name: &'static str,
    /// Makes what eats the inputs; made anew after [`Self::meals`] of them.
    pub make: fn() -> Eater,
    /// Inputs after which it is made anew, for targets that keep what they took.
    pub meals: usize,
    /// Sound inputs, to begin with.
    pub seeds: fn() -> Vec<Vec<u8>>,
    /// Words that mean something to it.
    pub words: &'static [&'static str],
}

/// All of them.
pub fn targets() -> Vec<Target> {
    let mut all = forms::targets();
    all.extend(texts::targets());
    all.extend(snapshots::targets());
    all.extend(live::targets());
    all
}

/// What a campaign leaves in the corpus.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Keep {
    /// Nothing but what broke a target.
    Nothing,
    /// Small inputs of classes that it lacked.
    NewClasses,
}

/// What a run of one target came to.
#[derive(Debug)]
pub struct Run {
    /// Inputs eaten.
    pub inputs: u64,
    /// Classes told apart.
    pub classes: BTreeSet<String>,
    /// Of each class the first input found, for the corpus.
    pub found: Vec<Vec<u8>>,
    /// The longest time that one input took.
    pub slowest: Duration,
}

/// The committed corpus.
pub fn corpus() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("data/corpus")
}

/// The committed inputs of a target, in order of their names.
pub fn committed(target: &Target) -> Result<Vec<Vec<u8>>> {
    let folder = corpus().join(target.name);
    let entries = std::fs::read_dir(&folder).with_context(|| folder.display().to_string())?;
    let mut paths = Vec::new();
    for entry in entries {
        paths.push(entry?.path());
    }
    paths.sort();
    let read = |path: &PathBuf| std::fs::read(path).with_context(|| path.display().to_string());
    paths.iter().map(read).collect()
}

/// Feeds the committed corpus, then mutations of it, for `time` and at least `least` inputs. An input that breaks the target is
/// written beside the corpus and named.
pub fn run(target: &Target, seed: u64, time: Duration, least: u64) -> Result<Run> {
    let mut dice = Dice::new(seed);
    let mut pool = committed(target).unwrap_or_default();
    pool.extend((target.seeds)());
    let mut fed = Feeding::new(target);
    for input in pool.clone() {
        fed.feed(&input)?;
    }
    let until = Instant::now() + time;
    while Instant::now() < until || fed.run.inputs < least {
        let input = mutate::mutated(&pool, target.words, &mut dice);
        if fed.feed(&input)? && pool.len() < POOL {
            pool.push(input);
        }
    }
    Ok(fed.run)
}

/// Runs targets one after the other and prints what each came to; what is asked for joins the corpus.
pub fn campaign(only: &[String], seed: u64, time: Duration, keep: Keep) -> Result<()> {
    let all = targets();
    let unknown = only
        .iter()
        .find(|name| all.iter().all(|target| target.name != **name));
    if let Some(name) = unknown {
        let names: Vec<&str> = all.iter().map(|target| target.name).collect();
        bail!("no target is called {name}; there are {}", names.join(", "));
    }
    for target in &all {
        if !only.is_empty() && only.iter().all(|name| name != target.name) {
            continue;
        }
        let run = run(target, seed, time, 0)?;
        println!("{}", line(target, &run));
        if keep == Keep::NewClasses {
            store(target, &run)?;
        }
    }
    Ok(())
}

/// What a run came to, in a line.
pub fn line(target: &Target, run: &Run) -> String {
    format!(
        "{:<12} {:>9} inputs, {:>4} classes, slowest {:.1} ms",
        target.name,
        run.inputs,
        run.classes.len(),
        run.slowest.as_secs_f64() * 1000.0
    )
}

/// Writes the first seeds, and of each class what was found first, as long as there is room.
fn store(target: &Target, run: &Run) -> Result<()> {
    let folder = corpus().join(target.name);
    std::fs::create_dir_all(&folder)?;
    let mut left = KEPT.saturating_sub(committed(target)?.len());
    let seeds = (target.seeds)();
    for input in seeds.iter().take(KEPT / 3).chain(&run.found) {
        let path = folder.join(&blake3::hash(input).to_hex()[..16]);
        if input.len() <= KEPT_BYTES && left > 0 && !path.exists() {
            std::fs::write(path, input)?;
            left -= 1;
        }
    }
    Ok(())
}

struct Feeding<'t> {
    target: &'t Target,
    eater: Eater,
    meals: usize,
    run: Run,
}

impl<'t> Feeding<'t> {
    fn new(target: &'t Target) -> Self {
        Self {
            target,
            eater: (target.make)(),
            meals: 0,
            run: Run {
                inputs: 0,
                classes: BTreeSet::new(),
                found: Vec::new(),
                slowest: Duration::ZERO,
            },
        }
    }

    /// Whether the input was of a new class.
    fn feed(&mut self, input: &[u8]) -> Result<bool> {
        if self.meals >= self.target.meals {
            (self.eater, self.meals) = ((self.target.make)(), 0);
        }
        self.meals += 1;
        self.run.inputs += 1;
        let began = Instant::now();
        let eater = &mut self.eater;
        let eaten = catch_unwind(AssertUnwindSafe(|| eater(input)));
        let took = began.elapsed();
        self.run.slowest = self.run.slowest.max(took);
        let class = match eaten {
            Ok(class) if took < SLOW => class,
            Ok(_) => bail!(
                "{} took {took:?} on {}",
                self.target.name,
                self.keep(input)?
            ),
            Err(_) => bail!("{} broke on {}", self.target.name, self.keep(input)?),
        };
        let is_new = self.run.classes.insert(class);
        if is_new {
            self.run.found.push(input.to_vec());
        }
        Ok(is_new)
    }

    /// Writes a bad input down; where, and how to look at it.
    fn keep(&self, input: &[u8]) -> Result<String> {
        let name = format!("broke-{}", &blake3::hash(input).to_hex()[..12]);
        let folder = corpus().join(self.target.name);
        std::fs::create_dir_all(&folder)?;
        std::fs::write(folder.join(&name), input)?;
        let target = self.target.name;
        Ok(format!(
            "tests/data/corpus/{target}/{name} ({} bytes); it alone: cargo campaign fuzz --only {target} --seconds 0",
            input.len()
        ))
    }
}
