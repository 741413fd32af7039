//! A cloud truth that is killed in the middle of a request: what it had decided stands, what it had not is decided when the request
//! comes again, and no command gets two verdicts. On both databases.
#![cfg(target_os = "linux")]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use studiovault_lab::cluster::Cluster;
use studiovault_lab::conformance::Client;
use studiovault_lab::processes::Running;
use studiovault_protocol::cloud::{BatchAnswer, BatchRequest, Changes, ChangesRequest, Known};
use studiovault_protocol::command::Op;
use studiovault_protocol::feed::{Entry, Page};
use studiovault_protocol::frontier::Frontier;
use studiovault_protocol::id::EntityId;
use studiovault_protocol::merge::Outcome;
use tokio::runtime::Runtime;
use uuid::Uuid;

/// Commands of one request; every tenth asks for what is not there.
const COMMANDS: u64 = 1_200;

/// When the server is killed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Moment {
    /// It has begun to work on the request, and decides.
    Deciding,
    /// Its transaction has begun to write.
    Writing,
    /// Its transaction stands; nobody has read the answer.
    Committed,
}

/// Where a server keeps what it decides.
enum Database {
    Folder,
    Shared(String),
}

impl Database {
    fn arguments(&self) -> Vec<&str> {
        let mut arguments = vec!["cloud", "--plain", "--listen", "127.0.0.1:0"];
        if let Self::Shared(url) = self {
            arguments.extend(["--database", url]);
        }
        arguments
    }

    fn head(&self, folder: &Path) -> i64 {
        let sql = "SELECT coalesce(max(last), 0) FROM feed_page";
        match self {
            Self::Folder => {
                let open = rusqlite::Connection::open(folder.join("cloud.db")).expect("opens");
                open.query_row(sql, [], |row| row.get(0)).expect("a row")
            }
            Self::Shared(url) => {
                let told = Cluster::shared().run(url, sql);
                told.parse().expect("a number")
            }
        }
    }

    /// Whether a transaction of the server writes.
    fn writes(&self, folder: &Path, log_bytes: u64) -> bool {
        match self {
            Self::Folder => log_of(folder) > log_bytes,
            Self::Shared(url) => {
                let sql = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()
                    AND application_name = 'studiovault cloud' AND backend_xid IS NOT NULL";
                Cluster::shared().run(url, sql) != "0"
            }
        }
    }
}

/// Bytes of SQLite's write-ahead log.
fn log_of(folder: &Path) -> u64 {
    fs::metadata(folder.join("cloud.db-wal")).map_or(0, |log| log.len())
}

/// What a process has worked, in hundredths of a second.
fn worked(process: u32) -> u64 {
    let told = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    let figures = told.rsplit(')').next().unwrap_or_default();
    let figure = |at: usize| figures.split_whitespace().nth(at)?.parse::<u64>().ok();
    figure(11).unwrap_or(0) + figure(12).unwrap_or(0)
}

fn a_batch(client: &mut Client) -> BatchRequest {
    let bundles = (0..COMMANDS).map(|number| {
        let entity = EntityId(Uuid::new_v4().into_bytes());
        let op = if number % 10 == 9 {
            Op::Update
        } else {
            Op::Create
        };
        client.machine.write(op, entity, "Silva")
    });
    let bundles = bundles.collect();
    client.request(bundles)
}

/// Sends the request and kills the server at that moment; nobody reads the answer.
fn killed(
    (server, folder): (&Running, &Path),
    (database, moment): (&Database, Moment),
    (runtime, client, request): (&Runtime, &Client, &BatchRequest),
) {
    let body = postcard::to_stdvec(request).expect("encodes");
    let before = worked(server.id());
    let (log, head) = (log_of(folder), database.head(folder));
    let sent = runtime.spawn(client.signed("/sync/batch").body(body).send());
    let reached = || match moment {
        Moment::Deciding => worked(server.id()) >= before + 2,
        Moment::Writing => database.writes(folder, log),
        Moment::Committed => database.head(folder) > head,
    };
    // A server that is faster than the looks at it has answered: then it dies right after.
    while !reached() && !sent.is_finished() {
        std::thread::yield_now();
    }
    server.signal("KILL");
    drop(sent);
}

/// The whole feed and every verdict in it, by counter.
fn feed(runtime: &Runtime, client: &Client) -> (Vec<Vec<u8>>, BTreeMap<u64, Option<Outcome>>) {
    let (mut pages, mut verdicts, mut since) = (Vec::new(), BTreeMap::new(), 0);
    loop {
        let question = ChangesRequest {
            device: client.machine.device(),
            since,
            have: Frontier::default(),
            known: Known::default(),
            wait_s: 0,
        };
        let body = postcard::to_stdvec(&question).expect("encodes");
        let told: Changes = runtime.block_on(async {
            let answer = client.signed("/sync/changes").body(body).send().await;
            let bytes = answer.expect("answers").bytes().await.expect("reads");
            postcard::from_bytes(&bytes).expect("changes")
        });
        for page in told.pages {
            let read = Page::decode(&page.0[..]).expect("a page");
            assert_eq!(read.body().first, since + 1, "a hole in the feed");
            since = read.last();
            for entry in &read.body().entries {
                let Entry::Verdicts {
                    first,
                    last,
                    exceptions,
                    ..
                } = entry
                else {
                    continue;
                };
                for counter in *first..=*last {
                    let other = exceptions.iter().find(|(at, _)| *at == counter);
                    let outcome = other.map(|(_, outcome)| outcome.clone());
                    let before = verdicts.insert(counter, outcome);
                    assert!(before.is_none(), "two verdicts on command {counter}");
                }
            }
            pages.push(page.0.to_vec());
        }
        if !told.more {
            return (pages, verdicts);
        }
    }
}

fn sent(runtime: &Runtime, client: &Client, request: &BatchRequest) -> BatchAnswer {
    let answer = runtime.block_on(client.send(request)).expect("answers");
    assert!(
        answer.refused.is_empty() && answer.gaps.is_empty(),
        "{:?}",
        answer.refused
    );
    answer
}

fn survives(database: &Database) {
    let folder = tempfile::tempdir().expect("a folder");
    let runtime = Runtime::new().expect("a runtime");
    let mut server = Running::start(folder.path(), &database.arguments());
    let text = |server: &Running, name: &str| server.ready[name].as_str().expect("text").to_owned();
    let (url, token) = (text(&server, "url"), text(&server, "token"));
    let mut client = runtime
        .block_on(Client::enrol(&url, &token))
        .expect("enrols");
    let mut all = 0;
    for moment in [
        Moment::Deciding,
        Moment::Writing,
        Moment::Committed,
        Moment::Writing,
    ] {
        let request = a_batch(&mut client);
        killed(
            (&server, folder.path()),
            (database, moment),
            (&runtime, &client, &request),
        );
        assert_ne!(server.ended(), 0);
        server = Running::start(folder.path(), &database.arguments());
        client.base = text(&server, "url");
        let (before, decided) = feed(&runtime, &client);
        let stands = decided.len() as u64 == all + COMMANDS;
        assert!(
            stands || decided.len() as u64 == all,
            "a part of a request stands"
        );
        if moment == Moment::Committed {
            assert!(stands, "what was committed is lost");
        }
        all += COMMANDS;
        sent(&runtime, &client, &request);
        let (after, verdicts) = feed(&runtime, &client);
        assert_eq!(verdicts.len() as u64, all);
        assert_eq!(
            after[..before.len()],
            before,
            "the feed goes on where it was"
        );
        assert!(
            decided
                .iter()
                .all(|(counter, outcome)| verdicts[counter] == *outcome)
        );
        if stands {
            assert_eq!(after, before, "decided once, and not again");
        }
        sent(&runtime, &client, &request);
        assert_eq!(
            feed(&runtime, &client).0,
            after,
            "asked again, it answers the same"
        );
        let rejected = verdicts
            .values()
            .filter(|outcome| outcome.is_some())
            .count() as u64;
        assert_eq!(rejected, all / 10);
    }
    let summary = runtime.block_on(client.summary()).expect("tells");
    assert_eq!(summary["commands"].as_u64(), Some(all));
    assert_eq!(summary["confirmed"].as_u64(), Some(all - all / 10));
    assert_eq!(summary["entities"].as_u64(), Some(all - all / 10));
}

#[test]
fn a_server_on_sqlite_that_is_killed_in_the_middle_of_a_request_loses_nothing() {
    survives(&Database::Folder);
}

#[test]
fn a_server_on_postgresql_that_is_killed_in_the_middle_of_a_request_loses_nothing() {
    survives(&Database::Shared(Cluster::shared().database()));
}
