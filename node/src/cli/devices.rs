//! `devices`, `revoke`, `readmit`, `role`, `lost`, `retire`: who belongs, and what each machine may do.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use serde_json::json;
use studiovault_protocol::api::{DevicePage, MemberView, RoleRequest};
use studiovault_protocol::membership::{Role, Roster, SignedRecord, Standing};

use super::client::Client;
use super::failure::{Exit, Failure};
use super::folder::client;
use super::make::read_kit;
use super::output::{Table, moment, print_json, say};
use super::read::show;
use super::{Call, Outcome, runtime};

/// A role as it is typed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(crate) enum RoleName {
    /// Admits others, changes roles and the policy.
    Admin,
    /// Writes everything of the daily work.
    Member,
    /// Reads; writes only what the policy opens to guests.
    Guest,
}

impl From<RoleName> for Role {
    fn from(name: RoleName) -> Self {
        match name {
            RoleName::Admin => Self::Admin,
            RoleName::Member => Self::Member,
            RoleName::Guest => Self::Guest,
        }
    }
}

#[derive(Args)]
pub(crate) struct Revoke {
    /// Its name, or its id if two are called the same
    machine: String,
}

#[derive(Args)]
pub(crate) struct Readmit {
    /// Its name, or its id if two are called the same
    machine: String,
    /// The recovery kit as it was printed; `-` reads what is typed
    #[arg(long, value_name = "FILE")]
    kit: PathBuf,
}

#[derive(Args)]
pub(crate) struct Lost {
    /// Its name, or its id if two are called the same
    machine: String,
}

#[derive(Args)]
pub(crate) struct Place {
    /// Its name, or its id if two are called the same
    machine: String,
    /// What it may do from now on
    role: Option<RoleName>,
    /// Of edits made at the same time, that of the machine with the higher number is shown
    #[arg(long, allow_negative_numbers = true)]
    priority: Option<i32>,
    /// The machine with the higher number carries to the cloud first
    #[arg(long, allow_negative_numbers = true)]
    gateway_preference: Option<i32>,
}

#[derive(Args)]
pub(crate) struct Retire {
    /// Yes, this machine shall write nothing more in this studio
    #[arg(long, required = true)]
    for_good: bool,
}

/// `studiovault devices`.
pub(crate) fn devices(call: &Call) -> Outcome {
    show(call, "/devices", |page: &DevicePage| {
        let mut table = Table::new(["machine", "role", "standing", "link", "last seen", "id"]);
        for device in &page.devices {
            table.row(vec![
                device.name.clone(),
                device.role.word().to_owned(),
                device.standing.word().to_owned(),
                if device.online { "online" } else { "offline" }.to_owned(),
                if device.online {
                    "now".to_owned()
                } else {
                    device.last_seen.map_or("never".to_owned(), moment)
                },
                device.device.to_string(),
            ]);
        }
        table.print("no machines");
    })
}

/// `studiovault revoke`.
pub(crate) fn revoke(call: &Call, revoke: Revoke) -> Outcome {
    let text = "is shut out: no machine that hears of it takes anything from it any more. What it wrote and had not reached this machine is set aside; see it with `studiovault quarantine`.";
    order(call, (&revoke.machine, "revoke"), text)
}

/// `studiovault readmit`: the kit's key signs here; it goes nowhere.
pub(crate) fn readmit(call: &Call, readmit: Readmit) -> Outcome {
    let kit = read_kit(&readmit.kit)?;
    let client = client(call)?;
    let machine = runtime()?.block_on(async {
        let machine = named(&client, &readmit.machine).await?;
        let records: Vec<SignedRecord> = client.get("/roster").await?;
        let mut roster = Roster::new(kit.studio, kit.root_key().public()).ok_or_else(other_kit)?;
        roster.extend(records);
        if roster.members().next().is_none() {
            return Err(other_kit());
        }
        let Some(act) = roster.readmission(machine.device) else {
            let text = format!(
                "{} belongs to the studio\nThere is nothing to take back; `studiovault devices` lists all.",
                machine.name
            );
            return Err(Failure::new(Exit::Refused, text));
        };
        let record = SignedRecord::by_root(kit.studio, act, &kit.root_key());
        let _: DevicePage = client.post("/roster", &record).await?;
        Ok::<_, Failure>(machine)
    })?;
    let text = "belongs again: what was set aside of it counts from now on, on every machine that hears of it. What the cloud refused of it meanwhile stays refused: look at `studiovault dead-letters`, and send it again.";
    done(call, &machine, &format!("{} {text}", machine.name))
}

fn other_kit() -> Failure {
    let text = "this is the recovery kit of another studio\nGive the one that was printed when this studio was founded.";
    Failure::new(Exit::Refused, text)
}

/// `studiovault lost`.
pub(crate) fn lost(call: &Call, lost: Lost) -> Outcome {
    let text = "is waited for no more: what others wrote after seeing its lost writes shows from now on. If they turn up, they count as always.";
    order(call, (&lost.machine, "lost"), text)
}

/// Tells the node to do something with a machine, and says that it did.
fn order(call: &Call, (name, what): (&str, &str), text: &str) -> Outcome {
    let client = client(call)?;
    let machine = runtime()?.block_on(async {
        let machine = named(&client, name).await?;
        let path = format!("/devices/{}/{what}", machine.device);
        let _: DevicePage = client.post(&path, &json!({})).await?;
        Ok::<_, Failure>(machine)
    })?;
    done(call, &machine, &format!("{} {text}", machine.name))
}

/// `studiovault role`.
pub(crate) fn role(call: &Call, place: Place) -> Outcome {
    let request = RoleRequest {
        role: place.role.map(Role::from),
        priority: place.priority,
        gateway_preference: place.gateway_preference,
    };
    if (request.role, request.priority, request.gateway_preference) == (None, None, None) {
        let text = "nothing to change was named\nGive a role (admin, member, guest), --priority or --gateway-preference.";
        return Err(Failure::new(Exit::Usage, text));
    }
    let client = client(call)?;
    let machine = runtime()?.block_on(async {
        let machine = named(&client, &place.machine).await?;
        let path = format!("/devices/{}/role", machine.device);
        let _: DevicePage = client.post(&path, &request).await?;
        Ok::<_, Failure>(machine)
    })?;
    let role = request.role.unwrap_or(machine.role).word();
    done(call, &machine, &format!("{} is {role} now", machine.name))
}

/// `studiovault retire`.
pub(crate) fn retire(call: &Call, retire: Retire) -> Outcome {
    // The flag is the question; without it nothing comes here.
    let Retire { for_good: _ } = retire;
    let client = client(call)?;
    let page: DevicePage = runtime()?.block_on(client.post("/retire", &json!({})))?;
    if call.json {
        print_json(&page);
    } else {
        say!(
            "this machine has retired. Let `studiovault status` show that others hold all of it, then stop it and delete its folder."
        );
    }
    Ok(())
}

fn done(call: &Call, machine: &MemberView, text: &str) -> Outcome {
    if call.json {
        print_json(&json!({"device": machine.device, "name": machine.name}));
    } else {
        say!("{text}");
    }
    Ok(())
}

/// The machine of that name or id; of several with one name the one that belongs.
async fn named(client: &Client, name: &str) -> Result<MemberView, Failure> {
    let page: DevicePage = client.get("/devices").await?;
    let meant = |device: &&MemberView| device.name == name || device.device.to_string() == name;
    let mut found: Vec<&MemberView> = page.devices.iter().filter(meant).collect();
    if found.len() > 1 {
        found.retain(|device| device.standing == Standing::Active);
    }
    match found[..] {
        [one] => Ok(one.clone()),
        [] => {
            let text = format!(
                "no machine of the studio is called `{name:.64}`\n`studiovault devices` lists them."
            );
            Err(Failure::new(Exit::NotFound, text))
        }
        _ => {
            let text = format!(
                "several machines are called `{name:.64}`\nName one by its id; `studiovault devices` lists them."
            );
            Err(Failure::new(Exit::Usage, text))
        }
    }
}
