//! Random histories: whatever machines write, exchange and send, in whatever order, all end in one state.

use studiovault_protocol::bundle::Bundle;
use studiovault_protocol::command::{Change, Command, FieldWrite, Op};
use studiovault_protocol::value::Value;
use studiovault_protocol::vector::Vector;

use super::fixture::{Machine, Says, Scene, entity, three_machines};

/// A small generator, so that a seed names a history.
struct Draw(u64);

impl Draw {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}

fn a_command(machine: &mut Machine, draw: &mut Draw, read: &Vector) -> Command {
    let id = entity(1 + draw.below(3));
    let op = match draw.below(10) {
        0 | 1 => Op::Create,
        2 => Op::Delete,
        3 => Op::Restore,
        4 => Op::Resolve,
        _ => Op::Update,
    };
    let mut command = machine.command(op, "project", id);
    command.ts.0 += draw.below(400_000) as i64;
    if op != Op::Delete {
        if op != Op::Update || draw.below(2) == 0 {
            command = command.text("title", ["Wedding", "Portrait"][draw.below(2) as usize]);
        }
        if draw.below(2) == 0 {
            command = command.text("status", ["open", "done"][draw.below(2) as usize]);
        }
        if draw.below(3) == 0 {
            command = command.tag(["a", "b"][draw.below(2) as usize]);
        }
        if draw.below(4) == 0 {
            command.writes.push(FieldWrite {
                field: "print_credits".into(),
                change: Change::Increment(draw.below(5) as i64 - 2),
            });
        }
        if draw.below(12) == 0 {
            command = command.write("shoot_date", Value::Text("never".into()));
        }
        if draw.below(20) == 0 {
            command = command.text("weather", "rain");
        }
    }
    if draw.below(3) == 0 {
        command.ctx = Some(read.clone());
    }
    command
}

/// One round: somebody writes, somebody hears, somebody sends.
fn round(scene: &mut Scene, draw: &mut Draw, world: &mut Vec<Bundle>, reads: &mut [Vector]) {
    let who = draw.below(3) as usize;
    if draw.below(4) == 0 {
        reads[who] = scene.machines[who].log.applied().clone();
    }
    let commands: Vec<Command> = (0..1 + draw.below(3))
        .map(|_| a_command(&mut scene.machines[who], draw, &reads[who]))
        .collect();
    let bundle = match draw.below(5) {
        0 => scene.machines[who].write_together(commands),
        _ => scene.machines[who].write(commands),
    };
    world.push(bundle);
    let hears = draw.below(3) as usize;
    for bundle in world.iter() {
        if draw.below(2) == 0 {
            scene.machines[hears].receive(bundle);
        }
    }
    if draw.below(3) == 0 {
        let sent: Vec<&Bundle> = world.iter().collect();
        scene.send(&sent);
    }
}

#[test]
fn every_history_ends_in_one_state_everywhere() {
    for seed in 1..=100 {
        let (mut scene, mut draw, mut world) = (three_machines(), Draw(seed), Vec::new());
        let mut reads = vec![Vector::default(); 3];
        let creates = (1..=3)
            .map(|n| {
                scene.machines[0]
                    .command(Op::Create, "project", entity(n))
                    .text("title", "Baptism")
            })
            .collect();
        world.push(scene.machines[0].write(creates));
        for _ in 0..12 {
            round(&mut scene, &mut draw, &mut world, &mut reads);
        }
        // Gaps close within as many tries as there are machines in a chain.
        for _ in 0..3 {
            scene.send(&world.iter().collect::<Vec<_>>());
        }
        let truth = scene.open().state().sum;
        let changes = scene.whole_feed();
        assert_eq!(changes.bundles.len(), world.len(), "seed {seed}");
        let cloud = scene.cloud.clone();
        assert_eq!(scene.stranger().sum(), truth, "a stranger, seed {seed}");
        for (n, machine) in scene.machines.iter_mut().enumerate() {
            // Bundles first, pages later: verdicts meet commands that were applied long before.
            world
                .iter()
                .rev()
                .for_each(|bundle| machine.receive(bundle));
            machine.take_in_late(&changes, &cloud);
            assert_eq!(machine.sum(), truth, "machine {n}, seed {seed}");
        }
    }
}
