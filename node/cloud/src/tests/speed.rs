//! Fast enough: far above what a studio's gateway can bring.

use std::time::Instant;

use studiovault_protocol::cloud::BatchRequest;
use studiovault_protocol::command::Op;

use super::fixture::{NOON, Says, a_sale, empty_request, entity, packed, three_machines};

#[test]
fn ten_thousand_commands_take_seconds_not_minutes() {
    let mut scene = three_machines();
    let mut bundles = Vec::new();
    for n in 0..100u64 {
        let commands = (0..100u64)
            .map(|k| {
                let id = entity(1 + n * 100 + k);
                let machine = &mut scene.machines[(n % 3) as usize];
                match k % 4 {
                    0 => machine
                        .command(Op::Create, "client", id)
                        .text("name", "A customer of the shop")
                        .text("email", "somebody@example.org"),
                    _ => a_sale(machine, id, 100 * k as i64).text("notes", "of the list"),
                }
            })
            .collect();
        bundles.push(scene.machines[(n % 3) as usize].write(commands));
    }
    let (studio, begun) = (scene.open(), Instant::now());
    for part in bundles.chunks(10) {
        let request = BatchRequest {
            since: studio.state().head.0,
            bundles: part.iter().map(packed).collect(),
            ..empty_request()
        };
        let answer = studio
            .take(&scene.truth, &request, NOON)
            .expect("an answer");
        assert!(answer.rejections.is_empty() && answer.gaps.is_empty());
    }
    let took = begun.elapsed();
    println!("{:.0} commands/s", 10_000.0 / took.as_secs_f64());
    // Ten times what a loaded machine of two cores was measured to need.
    assert!(took.as_secs() < 10, "{took:?}");
    assert_eq!(scene.stranger().sum(), studio.state().sum);
}
