//! The point of sale of real nodes: receipts without gaps, nothing that rewrites an entry, totals equal on every machine.

use reqwest::StatusCode;
use rusqlite::{Connection, OpenFlags};
use serde_json::{Value, json};

use studiovault_lab::served::{Served, answer, studio};

#[path = "../../node/examples/till.rs"]
mod till;

#[path = "pos/entries.rs"]
mod entries;

fn create(entity_type: &str, fields: Value) -> Value {
    json!({"mutations": [{"type": entity_type, "op": "create", "fields": fields}]})
}

fn sale(cents: i64) -> Value {
    create(
        "pos_order",
        json!({"sold_on": "2026-11-22", "items": 1, "amount_cents": cents}),
    )
}

/// Writes; the id and the receipt of the one entry that it makes, and the read token.
async fn write(served: &Served, body: &Value) -> (String, String, String) {
    let (status, written) = answer(served.post("/local/v1/tx", body)).await;
    assert_eq!(status, StatusCode::OK, "{written}");
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    (
        text(&written["ids"][0]),
        text(&written["receipts"][0]),
        text(&written["vv"]),
    )
}

/// The number of a receipt such as `A-000123-7f3c`.
fn number(receipt: &str) -> u64 {
    let mut parts = receipt.split('-');
    let (code, number, mark) = (parts.next(), parts.next(), parts.next());
    assert!(
        code.is_some_and(|code| code.bytes().all(|b| b.is_ascii_uppercase())),
        "{receipt}"
    );
    assert!(mark.is_some_and(|mark| mark.len() == 4), "{receipt}");
    number
        .and_then(|number| number.parse().ok())
        .expect("a number")
}

#[tokio::test(flavor = "multi_thread")]
async fn receipts_run_on_over_refusals_and_restarts_and_are_shown_everywhere() {
    let mut served = Served::start().await;
    let mut next = 1;
    for _ in 0..3 {
        let (id, receipt, _) = write(&served, &sale(500)).await;
        assert_eq!(number(&receipt), next);
        let (_, shown) = answer(served.get(&format!("/local/v1/entities/pos_order/{id}"))).await;
        assert_eq!(shown["receipt"], json!(receipt));
        assert_eq!(shown["fields"]["receipt"], json!(receipt));
        let (_, history) = answer(served.get(&format!("/local/v1/history/{id}"))).await;
        assert_eq!(
            history["rows"][0]["fields"]["receipt"],
            json!(receipt),
            "{history}"
        );
        let found = format!("/local/v1/entities/pos_order?field.receipt={receipt}");
        let (_, found) = answer(served.get(&found)).await;
        assert_eq!(found["entities"][0]["fields"]["receipt"], json!(receipt));
        let asked = json!({"sql": "SELECT receipt FROM app_pos_order WHERE receipt = ?1", "params": [receipt]});
        let (_, rows) = answer(served.post("/local/v1/query", &asked)).await;
        assert_eq!(rows["rows"], json!([[receipt]]), "{rows}");
        // The second of two is refused, and with it the first.
        let two = json!({"mutations": [sale(1)["mutations"][0], {"type": "pos_order", "op": "create", "fields": {"items": "x"}}]});
        assert_eq!(
            answer(served.post("/local/v1/tx", &two)).await.0,
            StatusCode::UNPROCESSABLE_ENTITY
        );
        let own = create(
            "pos_order",
            json!({"items": 1, "amount_cents": 1, "receipt": "A-000777"}),
        );
        let (_, refused) = answer(served.post("/local/v1/tx", &own)).await;
        assert_eq!(refused["code"], json!("RECEIPT_IS_NUMBERED"));
        // Of several in one transaction each gets one; a void and a correction have one as well.
        let void =
            json!({"type": "pos_void", "op": "create", "fields": {"order": id, "reason": "wrong"}});
        let both = json!({"mutations": [sale(1)["mutations"][0], void]});
        let (_, written) = answer(served.post("/local/v1/tx", &both)).await;
        let receipts = written["receipts"].as_array().expect("receipts");
        let numbers = receipts
            .iter()
            .map(|receipt| number(receipt.as_str().expect("a receipt")));
        assert_eq!(numbers.collect::<Vec<_>>(), [next + 1, next + 2]);
        next += 3;
        served = Served::run(served.stop().await, Vec::new()).await;
    }
    let sql = json!({"sql": "SELECT _receipt FROM app_pos_order UNION ALL SELECT _receipt FROM app_pos_void"});
    let (_, held) = answer(served.post("/local/v1/query", &sql)).await;
    let rows = held["rows"].as_array().expect("rows").iter();
    let mut numbers: Vec<u64> = rows
        .map(|row| number(row[0].as_str().expect("a receipt")))
        .collect();
    numbers.sort();
    assert_eq!(numbers, (1..next).collect::<Vec<_>>());
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_call_of_the_api_rewrites_an_entry() {
    let served = Served::start().await;
    let (id, _, _) = write(&served, &sale(500)).await;
    let path = format!("/local/v1/entities/pos_order/{id}");
    let before = answer(served.get(&path)).await.1;
    let fields = json!({"sold_on": "2026-11-22", "items": 1, "amount_cents": 1});
    for entity_type in ["pos_order", "client", "pos_void"] {
        for op in ["update", "delete", "restore", "resolve", "create"] {
            let fields = match entity_type {
                "pos_order" => fields.clone(),
                "client" => json!({"name": "Silva"}),
                _ => json!({"order": id, "reason": "x"}),
            };
            let body =
                json!({"mutations": [{"type": entity_type, "id": id, "op": op, "fields": fields}]});
            let (status, refused) = answer(served.post("/local/v1/tx", &body)).await;
            assert!(status.is_client_error(), "{op} as {entity_type}: {refused}");
            assert!(
                refused["next_step"]
                    .as_str()
                    .is_some_and(|step| !step.is_empty()),
                "{refused}"
            );
        }
    }
    let twice = "0192b7a2-0000-4000-8000-000000000001";
    let one = json!({"type": "pos_order", "id": twice, "op": "create", "fields": fields});
    let (status, _) = answer(served.post("/local/v1/tx", &json!({"mutations": [one, one]}))).await;
    assert_eq!(status, StatusCode::CONFLICT, "twice in one transaction");
    let import = json!({"skip_existing": true, "mutations": [{"type": "pos_order", "id": id, "op": "create", "fields": fields}]});
    assert_eq!(
        answer(served.post("/local/v1/tx", &import)).await.1["skipped"],
        json!(1)
    );
    assert_eq!(answer(served.get(&path)).await.1, before);
    let (status, _) = answer(served.get("/local/v1/conflicts")).await;
    assert_eq!(status, StatusCode::OK);
    served.stop().await;
}

/// What a day comes to, in plain words, from the entities as one machine lists them.
async fn counted_by_hand(served: &Served) -> i64 {
    let mut rows = Vec::new();
    for entity_type in ["pos_order", "pos_correction", "pos_void"] {
        let (_, page) =
            answer(served.get(&format!("/local/v1/entities/{entity_type}?limit=1000"))).await;
        rows.extend(page["entities"].as_array().expect("entities").clone());
    }
    let of = |entity_type: &'static str| {
        let rows = rows.iter().filter(move |row| row["type"] == entity_type);
        rows.cloned().collect::<Vec<_>>().into_iter()
    };
    let voided: Vec<Value> = of("pos_void")
        .map(|void| void["fields"]["order"].clone())
        .collect();
    let stands = |id: &Value| !voided.contains(id);
    let cents = |row: &Value| row["fields"]["amount_cents"].as_i64().expect("cents");
    let sold: i64 = of("pos_order")
        .filter(|row| stands(&row["id"]))
        .map(|row| cents(&row))
        .sum();
    let corrected = of("pos_correction").filter(|row| stands(&row["fields"]["order"]));
    sold + corrected.map(|row| cents(&row)).sum::<i64>()
}

/// Waits until every machine holds so many commands.
async fn all_hold(machines: &[Served], commands: u64) {
    for machine in machines {
        let mut events = machine.node.events();
        while machine.node.status().counts.commands < commands {
            let _ = events.recv().await;
        }
    }
}

async fn switch(machines: &[Served], network: &str) {
    for machine in machines {
        let (status, _) =
            answer(machine.post("/local/v1/network", &json!({"network": network}))).await;
        assert_eq!(status, StatusCode::OK);
    }
}

/// Three machines that sold four times each and hold all of it, and the ids of the sales.
async fn three_machines() -> (Vec<Served>, Vec<String>) {
    let mut made = studio(&["till-1", "till-2", "office"]).into_iter();
    let mut machines = vec![Served::run(made.next().expect("made"), Vec::new()).await];
    for made in made {
        let first = machines[0].listening().await;
        machines.push(Served::run(made, vec![first]).await);
    }
    let mut sales = Vec::new();
    for machine in &machines {
        for n in 1..=4 {
            let (id, receipt, _) = write(machine, &sale(100 * n)).await;
            assert_eq!(
                number(&receipt),
                n as u64,
                "each machine has numbers of its own"
            );
            sales.push(id);
        }
    }
    all_hold(&machines, 12).await;
    (machines, sales)
}

#[tokio::test(flavor = "multi_thread")]
async fn three_machines_come_to_the_same_totals() {
    let (machines, sales) = three_machines().await;
    let (one, two, three) = (&sales[0], &sales[5], &sales[9]);
    let void = |order: &str| create("pos_void", json!({"order": order, "reason": "a slip"}));
    let correction = |order: &str, cents: i64| {
        let fields = json!({"order": order, "amount_cents": cents, "reason": "a slip"});
        create("pos_correction", fields)
    };
    // Apart: one machine corrects what another voids, two void the same sale, and one corrects twice.
    switch(&machines, "offline").await;
    let written = [
        (0, void(one)),
        (1, correction(one, -30)),
        (0, void(two)),
        (2, void(two)),
        (1, correction(three, 25)),
        (1, correction(three, -5)),
    ];
    for (at, body) in &written {
        write(&machines[*at], body).await;
    }
    switch(&machines, "online").await;
    all_hold(&machines, 18).await;
    let mut told = Vec::new();
    for machine in &machines {
        let day = "/local/v1/pos/totals?day=2026-11-22";
        let (status, totals) = answer(machine.get(day)).await;
        assert_eq!(status, StatusCode::OK, "{totals}");
        let by_hand = counted_by_hand(machine).await;
        assert_eq!(totals["all"]["net_cents"], json!(by_hand));
        told.push(
            ["all", "devices", "flagged", "time_zone", "currency"].map(|part| totals[part].clone()),
        );
    }
    assert_eq!(told[0], told[1]);
    assert_eq!(told[0], told[2]);
    let [all, devices, flagged, time_zone, currency] = &told[0];
    let expected = json!({"sales": 12, "voided": 2, "gross_cents": 3000, "corrections_cents": 20,
        "voids_cents": -300, "net_cents": 2720});
    assert_eq!(*all, expected);
    assert_eq!(devices.as_array().map(Vec::len), Some(3));
    let flags = flagged.as_array().expect("flags").iter();
    let mut whys: Vec<&str> = flags.filter_map(|flag| flag["why"].as_str()).collect();
    whys.sort();
    assert_eq!(
        whys,
        ["correction_beside_void", "voided_again", "voided_again"]
    );
    assert_eq!(
        (time_zone, currency),
        (&json!("Europe/Lisbon"), &json!("EUR"))
    );
    let (status, _) = answer(machines[0].get("/local/v1/pos/totals?day=yesterday")).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    for machine in machines {
        machine.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_till_in_fifty_lines_sells_and_shows_the_day() {
    let served = Served::start().await;
    let folder = served.folder().path().to_owned();
    let day = tokio::task::spawn_blocking(move || {
        let till = till::Till::open(&folder).expect("a node runs");
        let receipts = [1250, 990].map(|cents| till.sell(cents, 1).expect("sells"));
        assert_eq!(receipts.map(|receipt| number(&receipt)), [1, 2]);
        for (cents, items) in [(i64::MAX, 1), (990, 0), (-990, 1)] {
            let refused = till.sell(cents, items).expect_err("the node decides");
            assert!(refused.to_string().contains("takes"), "{refused}");
        }
        till.totals().expect("totals")
    });
    let day = day.await.expect("the till ends");
    assert_eq!(day["all"]["sales"], json!(2));
    assert_eq!(day["currency"], json!("EUR"), "the studio's");
    assert!(
        till::main().is_err(),
        "without a folder it says how it is called"
    );
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sale_shows_that_it_was_corrected_and_voided_wherever_it_is_read() {
    let served = Served::start().await;
    let (id, _, _) = write(&served, &sale(2_000)).await;
    let (other, _, _) = write(&served, &sale(700)).await;
    let shown = async |id: &str| {
        let path = format!("/local/v1/entities/pos_order/{id}");
        let (one, page) = (
            answer(served.get(&path)).await.1,
            answer(served.get("/local/v1/entities/pos_order")).await.1,
        );
        let rows = page["entities"].as_array().cloned().unwrap_or_default();
        let listed = rows.into_iter().find(|row| row["id"] == *id);
        assert_eq!(Some(&one), listed.as_ref(), "alone and in a list");
        let sql = json!({"sql": "SELECT _voided, _corrections_cents FROM app_pos_order WHERE id = ?1", "params": [id]});
        let (_, view) = answer(served.post("/local/v1/query", &sql)).await;
        (
            (one["voided"].clone(), one["corrections_cents"].clone()),
            view["rows"][0].clone(),
        )
    };
    let untouched = ((json!(null), json!(null)), json!([0, 0]));
    assert_eq!(shown(&id).await, untouched);
    let correction = |cents: i64| {
        let fields = json!({"order": id, "amount_cents": cents, "reason": "discount"});
        create("pos_correction", fields)
    };
    write(&served, &correction(-300)).await;
    write(&served, &correction(-200)).await;
    let corrected = ((json!(null), json!(-500)), json!([0, -500]));
    assert_eq!(shown(&id).await, corrected);
    let void = create("pos_void", json!({"order": id, "reason": "typed twice"}));
    write(&served, &void).await;
    // It counts nothing, and neither does what corrected it.
    let voided = ((json!(true), json!(null)), json!([1, 0]));
    assert_eq!(shown(&id).await, voided);
    assert_eq!(shown(&other).await, untouched, "and no other sale");
    let path = format!("/local/v1/history/{id}");
    let (_, history) = answer(served.get(&path)).await;
    let rows = history["rows"].as_array().map(Vec::len);
    assert_eq!(rows, Some(1), "nothing was written to the sale");
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn any_sqlite_program_reads_the_views_while_the_node_runs() {
    let served = Served::start().await;
    let file = served.folder().path().join("studio.db");
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY;
    let reader = Connection::open_with_flags(file, flags).expect("opens read-only");
    let sum = || -> (i64, i64) {
        let sql = "SELECT count(*), coalesce(sum(amount_cents), 0) FROM app_pos_order WHERE _conflict = 0";
        reader
            .query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?)))
            .expect("a plain program asks")
    };
    assert_eq!(sum(), (0, 0));
    let (_, receipt, vv) = write(&served, &sale(700)).await;
    assert_eq!(sum(), (1, 700), "what was answered is there");
    let row = |column: &str| -> String {
        let sql = format!("SELECT {column} FROM app_pos_order");
        reader.query_row(&sql, [], |row| row.get(0)).expect("reads")
    };
    assert_eq!(
        (row("_receipt"), row("_vv")),
        (receipt, vv),
        "the read token is in the row"
    );
    assert!(
        reader
            .execute("UPDATE entity SET shown = '{}'", [])
            .is_err(),
        "it can change nothing"
    );
    served.stop().await;
}
