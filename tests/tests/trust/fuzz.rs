//! Mutations of the committed corpus against every reader of what others wrote, for half a minute in all. The same for hours:
//! `cargo campaign fuzz --seconds 3600`.

use std::sync::Mutex;
use std::time::Duration;

use studiovault_lab::fuzz::{Target, committed, line, run, targets};

/// For each target; two run beside each other.
const TIME: Duration = Duration::from_millis(2800);
/// Inputs of each at least, however slow the machine.
const LEAST: u64 = 300;

#[test]
fn no_mutated_input_breaks_what_reads_it() {
    let waiting = Mutex::new(targets());
    let work = || {
        while let Some(target) = next(&waiting) {
            let committed = committed(&target).expect("a corpus");
            assert!(
                !committed.is_empty(),
                "the corpus of {} is empty",
                target.name
            );
            let run = run(&target, 20_261_122, TIME, LEAST).expect("holds");
            println!("{}", line(&target, &run));
            assert!(run.classes.len() > 1, "{} tells nothing apart", target.name);
        }
    };
    std::thread::scope(|scope| {
        scope.spawn(work);
        scope.spawn(work);
    });
}

fn next(waiting: &Mutex<Vec<Target>>) -> Option<Target> {
    waiting.lock().expect("nobody broke").pop()
}
