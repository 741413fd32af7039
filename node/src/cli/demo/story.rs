//! What happens in the demo: import, a laptop away and back, a gateway killed and restarted.
//!
//! Every write is counted when it is acknowledged: that many commands the cloud must hold in the end.

use std::path::Path;

use serde::Deserialize;
use serde_json::json;
use studiovault_node::config::{CloudAccess, Folder, StudioFile};
use studiovault_node::uplink::CloudClient;
use studiovault_protocol::api::{NetworkState, Status};
use studiovault_protocol::id::{EntityId, StudioId};
use studiovault_protocol::policy::Policy;

use super::machine::{Machine, Wish, deadline, too_late};
use super::process::{LOOK, Process, run};
use super::{PURCHASES, Stage};
use crate::cli::failure::{Exit, Failure};
use crate::cli::import::{cents_of, plan_cdnow, send};
use crate::cli::output::say;

/// Everybody who takes part.
pub(super) struct Cast {
    /// front-desk, editor, laptop.
    pub machines: [Machine; 3],
    /// The cloud as whoever hosts it sees it.
    pub cloud: CloudClient,
    /// The studio.
    pub studio: StudioId,
    cloud_process: Process,
}

/// What was acknowledged, and what must be seen of it everywhere.
pub(super) struct Acknowledged {
    /// Commands.
    pub commands: u64,
    /// The client that both sides edited.
    pub client: EntityId,
    /// The tags that it was given, one by each side.
    pub tags: [&'static str; 2],
    /// Cents of the sale that was voided.
    pub voided_cents: i64,
    /// Cents of all sales of the file.
    pub gross_cents: i64,
}

/// What `studiovault cloud --json` prints once it answers.
#[derive(Deserialize)]
struct CloudReady {
    url: String,
    pin: String,
    token: String,
}

impl Cast {
    /// Starts the cloud, founds the studio, and starts its three machines.
    pub async fn assemble(stage: &Stage, root: &Path) -> Result<Self, Failure> {
        std::fs::create_dir_all(root).map_err(|error| {
            let text = format!(
                "{}: {error}\nName another folder with --data.",
                root.display()
            );
            Failure::new(Exit::Failed, text)
        })?;
        let mut cloud = Process::start(&root.join("cloud"), &["cloud", "--listen", "127.0.0.1:0"])?;
        let ready: CloudReady = cloud.ready().await?;
        stage.say(&format!("a cloud truth answers at {}", ready.url));
        let mut machines = ["front-desk", "editor", "laptop"].map(|name| Machine::new(root, name));
        let init = [
            "init",
            "--name",
            "front-desk",
            "--studio-name",
            "Demo",
            "--gateway-preference",
            "2",
            "--cloud",
            &ready.url,
            "--cloud-pin",
            &ready.pin,
            "--cloud-token",
            &ready.token,
        ];
        run(&machines[0].folder, &init).await?;
        let [first, others @ ..] = &mut machines;
        first.start().await?;
        for machine in others {
            machine.join(first).await?;
            machine.start().await?;
        }
        stage.say("front-desk let editor and laptop in by a spoken code; each has its own folder and database");
        let studio = StudioFile::load(&Folder::at(&machines[0].folder).studio_path())?;
        // Its tables are read as whoever hosts it reads them.
        let access = studio.cloud.clone().map(|access| CloudAccess {
            token: ready.token.clone(),
            ..access
        });
        let cloud_client = access.and_then(|access| CloudClient::new(access).ok());
        Ok(Self {
            machines,
            cloud: cloud_client.ok_or_else(|| too_late("a studio with a cloud"))?,
            studio: studio.studio,
            cloud_process: cloud,
        })
    }

    /// Ends every process.
    pub async fn end(mut self) {
        for machine in &mut self.machines {
            machine.kill().await;
        }
        self.cloud_process.kill().await;
    }

    /// Leaves every process running and says how to look around.
    pub fn leave_running(mut self, root: &Path) {
        let stays = self
            .machines
            .iter_mut()
            .map(Machine::stay)
            .chain([self.cloud_process.stay()]);
        let ids: Vec<String> = stays.flatten().map(|id| id.to_string()).collect();
        let program = std::env::current_exe().unwrap_or_else(|_| "studiovault".into());
        let (program, laptop) = (program.display(), root.join("laptop"));
        say!("\nEverything runs on. Look around, for example:\n");
        for words in ["status", "conflicts", "list client --limit 5", "window"] {
            say!("  {program} --data {} {words}", laptop.display());
        }
        say!(
            "\nStop it with `kill {}`, then delete {}.",
            ids.join(" "),
            root.display()
        );
    }
}

/// Plays it; what was acknowledged on the way.
pub(super) async fn tell(stage: &Stage, cast: &mut Cast) -> Result<Acknowledged, Failure> {
    find_each_other(stage, cast).await?;
    let mut told = import(stage, cast).await?;
    part(stage, cast, &mut told).await?;
    kill_the_gateway(stage, cast, &mut told).await?;
    Ok(told)
}

async fn find_each_other(stage: &Stage, cast: &Cast) -> Result<(), Failure> {
    for machine in &cast.machines {
        let all = |status: &Status| status.peers.len() == 2;
        machine.until("a link to both others", all).await?;
    }
    stage.say("they found each other on the LAN with no configuration");
    Ok(())
}

async fn import(stage: &Stage, cast: &Cast) -> Result<Acknowledged, Failure> {
    let plan = plan_cdnow(PURCHASES, &Policy::default());
    let bar = stage.bar(plan.rows.len() as u64, "written at front-desk");
    let client = cast.machines[0].client()?;
    let sent = send(client, &plan, Some("import"), |rows| bar.inc(rows)).await?;
    bar.finish_and_clear();
    stage.say(&format!(
        "{} clients and sales imported at front-desk",
        sent.written
    ));
    let bar = stage.bar(sent.written, "confirmed on all machines");
    settle(cast, sent.written, |status| {
        bar.set_position(status.counts.confirmed)
    })
    .await?;
    bar.finish_and_clear();
    stage.say("every machine holds them, and the cloud has confirmed every one");
    let of_type = |name: &str| {
        let row = plan
            .rows
            .iter()
            .find(|row| row.mutation.entity_type == name);
        row.and_then(|row| row.mutation.id)
            .ok_or_else(|| too_late("a file with sales"))
    };
    Ok(Acknowledged {
        commands: sent.written,
        client: of_type("client")?,
        tags: ["wedding", "vip"],
        voided_cents: 0,
        gross_cents: plan.rows.iter().filter_map(cents_of).sum(),
    })
}

/// The laptop leaves, both sides work, and it comes back.
async fn part(stage: &Stage, cast: &Cast, told: &mut Acknowledged) -> Result<(), Failure> {
    let [front_desk, editor, laptop] = &cast.machines;
    laptop.network(NetworkState::Offline).await?;
    laptop
        .until("no link", |status| status.peers.is_empty())
        .await?;
    editor
        .until("the laptop gone", |status| status.peers.len() == 1)
        .await?;
    stage.say("the laptop is off the network; its process goes on and takes writes");
    let plan = plan_cdnow(PURCHASES, &Policy::default());
    let sale = plan
        .rows
        .iter()
        .find(|row| cents_of(row).is_some_and(|cents| cents > 0));
    let sale = sale.ok_or_else(|| too_late("a file with sales"))?;
    let void = json!({"order": sale.mutation.id, "reason": "rung up twice"});
    let client = told.client;
    told.voided_cents = cents_of(sale).unwrap_or_default();
    told.commands += editor
        .write(vec![
            Wish::update("client", client, json!({"notes": "wants two albums"})),
            Wish::tag("client", client, told.tags[0]),
        ])
        .await?;
    told.commands += front_desk
        .write(vec![Wish::create("pos_void", void)])
        .await?;
    told.commands += laptop
        .write(vec![
            Wish::update(
                "client",
                client,
                json!({"notes": "wants one album and prints"}),
            ),
            Wish::tag("client", client, told.tags[1]),
        ])
        .await?;
    stage.say("both sides wrote: the same note differently, a tag each, and one sale voided");
    laptop.network(NetworkState::Online).await?;
    settle(cast, told.commands, |_| ()).await?;
    stage.say("the laptop is back: all agree again, and the two notes wait as one conflict");
    Ok(())
}

/// The gateway dies, another carries on, and it comes back.
async fn kill_the_gateway(
    stage: &Stage,
    cast: &mut Cast,
    told: &mut Acknowledged,
) -> Result<(), Failure> {
    let status = cast.machines[1]
        .until("a gateway", |status| status.gateway.is_some())
        .await?;
    let name = status
        .gateway
        .map(|gateway| gateway.name)
        .unwrap_or_default();
    let at = cast
        .machines
        .iter()
        .position(|machine| machine.name == name);
    let at = at.ok_or_else(|| too_late("a gateway among the machines"))?;
    cast.machines[at].kill().await;
    stage.say(&format!("{name}, the gateway, is killed with -9"));
    let others: Vec<&Machine> = cast
        .machines
        .iter()
        .filter(|machine| machine.name != name)
        .collect();
    for machine in &others {
        let title = format!("Album begun at {}", machine.name);
        let wish = Wish::create("project", json!({"title": title, "client": told.client}));
        told.commands += machine.write(vec![wish]).await?;
    }
    let commands = told.commands;
    for machine in &others {
        let confirmed = |status: &Status| status.counts.confirmed == commands;
        machine
            .until("what was written meanwhile confirmed", confirmed)
            .await?;
    }
    let next = others[0]
        .status()
        .await?
        .gateway
        .map(|gateway| gateway.name);
    let next = next.unwrap_or_else(|| "another machine".to_owned());
    stage.say(&format!(
        "{next} took over and carried what was written meanwhile to the cloud"
    ));
    cast.machines[at].start().await?;
    settle(cast, told.commands, |_| ()).await?;
    stage.say(&format!("{name} is restarted and has what it missed"));
    Ok(())
}

/// Waits until every machine holds that many commands, all of them confirmed, and shows the same state.
async fn settle(cast: &Cast, commands: u64, look: impl Fn(&Status)) -> Result<(), Failure> {
    let deadline = deadline();
    loop {
        let mut statuses = Vec::new();
        for machine in &cast.machines {
            statuses.push(machine.status().await?);
        }
        let slowest = statuses.iter().min_by_key(|status| status.counts.confirmed);
        slowest.into_iter().for_each(&look);
        let settled = statuses.iter().all(|status| {
            status.counts.commands == commands
                && status.counts.confirmed == commands
                && status.counts.pending == 0
                && status.state_hash == statuses[0].state_hash
        });
        if settled {
            return Ok(());
        }
        if tokio::time::Instant::now() > deadline {
            let held: Vec<String> = statuses
                .iter()
                .map(|status| {
                    let counts = &status.counts;
                    format!(
                        "{} holds {} ({} confirmed)",
                        status.node.name, counts.commands, counts.confirmed
                    )
                })
                .collect();
            return Err(too_late(&format!(
                "{commands} confirmed commands everywhere ({})",
                held.join(", ")
            )));
        }
        tokio::time::sleep(LOOK).await;
    }
}
