//! `init`, `join` and `enrol`: a folder becomes a machine of a studio, and a studio gets its cloud.
//!
//! The cloud is asked before anything is written, so that a wrong address leaves no half-made folder.

use std::path::PathBuf;

use clap::Args;
use serde::Deserialize;
use serde_json::json;
use studiovault_node::config::{
    Admission, CloudAccess, Currency, Founder, Machine, Region, StudioFile, Zone,
};
use studiovault_node::upkeep;
use studiovault_node::uplink::{CloudClient, UplinkError};
use studiovault_protocol::cloud::EnrolRequest;
use studiovault_protocol::id::Dot;
use studiovault_protocol::membership::Role;

use super::failure::{Exit, Failure};
use super::folder::folder;
use super::output::{print_json, say};
use super::{Call, Outcome, runtime};

#[derive(Args)]
pub(crate) struct Init {
    /// What people call this machine
    #[arg(long)]
    name: String,
    /// What people call the studio
    #[arg(long)]
    studio_name: String,
    /// Where the studio counts its days, such as Europe/Lisbon [default: the system's time zone]
    #[arg(long, value_name = "ZONE")]
    time_zone: Option<Zone>,
    /// What it is paid in, such as EUR [default: EUR]
    #[arg(long, value_name = "CODE")]
    currency: Option<Currency>,
    /// Where the cloud truth is, such as https://cloud.example:8443; without one the studio works for good as well
    #[arg(long, value_name = "URL", requires = "cloud_token")]
    cloud: Option<String>,
    /// The pin that `studiovault cloud` printed; without it the web's authorities decide
    #[arg(long, value_name = "PIN", requires = "cloud")]
    cloud_pin: Option<String>,
    /// The admin token that `studiovault cloud` printed; the machines get one of their own
    #[arg(
        long,
        value_name = "TOKEN",
        requires = "cloud",
        env = "STUDIOVAULT_CLOUD_TOKEN",
        hide_env_values = true
    )]
    cloud_token: Option<String>,
    #[command(flatten)]
    place: Place,
}

#[derive(Args)]
pub(crate) struct Enrol {
    /// Where the cloud truth is, such as https://cloud.example:8443
    #[arg(long, value_name = "URL")]
    cloud: String,
    /// The pin that `studiovault cloud` printed; without it the web's authorities decide
    #[arg(long, value_name = "PIN")]
    cloud_pin: Option<String>,
    /// The admin token that `studiovault cloud` printed; the machines get one of their own
    #[arg(
        long,
        value_name = "TOKEN",
        env = "STUDIOVAULT_CLOUD_TOKEN",
        hide_env_values = true
    )]
    cloud_token: String,
}

#[derive(Args)]
pub(crate) struct Join {
    /// The studio's file: `studio.json` in the data folder of a machine that belongs to it
    #[arg(long, value_name = "FILE")]
    studio_file: PathBuf,
    /// What people call this machine
    #[arg(long)]
    name: String,
    #[command(flatten)]
    place: Place,
}

/// What a machine counts for.
#[derive(Args)]
struct Place {
    /// Of edits made at the same time, that of the machine with the higher number is shown
    #[arg(long, default_value_t = 0, allow_negative_numbers = true)]
    priority: i32,
    /// The machine with the higher number carries to the cloud first
    #[arg(long, default_value_t = 0, allow_negative_numbers = true)]
    gateway_preference: i32,
}

/// `studiovault init`.
pub(crate) fn init(call: &Call, init: Init) -> Outcome {
    let folder = folder(call)?;
    if folder.is_made() {
        return Err(
            studiovault_node::config::ConfigError::AlreadyMade(folder.path().into()).into(),
        );
    }
    let system = Region::of_system();
    let region = Region {
        time_zone: init.time_zone.unwrap_or(system.time_zone),
        currency: init.currency.unwrap_or(system.currency),
    };
    let mut studio = StudioFile::found(Founder {
        name: init.studio_name,
        region,
        cloud: None,
    })?;
    if let (Some(url), Some(token)) = (init.cloud, init.cloud_token) {
        let access = CloudAccess {
            url,
            pin: init.cloud_pin,
            token,
        };
        runtime()?.block_on(enrol(&mut studio, access, Vec::new()))?;
    }
    let admission = admission(init.name, Role::Admin, &init.place);
    let machine = Machine::make(folder, studio, admission)?;
    tell(call, &machine)
}

/// `studiovault enrol`: a studio that worked without a cloud gets one. All that stands here is accepted as it stands.
pub(crate) fn enrol_late(call: &Call, late: Enrol) -> Outcome {
    let mut machine = Machine::load(folder(call)?)?;
    if machine.studio.cloud.is_some() {
        let text = "this studio has a cloud truth already\nGive it a new token with `studiovault login --token TOKEN`.";
        return Err(Failure::new(Exit::Refused, text));
    }
    let genesis =
        upkeep::genesis(&machine).map_err(|error| Failure::new(Exit::Failed, error.to_string()))?;
    let access = CloudAccess {
        url: late.cloud,
        pin: late.cloud_pin,
        token: late.cloud_token,
    };
    runtime()?.block_on(enrol(&mut machine.studio, access, genesis))?;
    machine.studio.save(&machine.folder.studio_path())?;
    if call.json {
        print_json(
            &json!({"studio": machine.studio.studio, "cloud": machine.studio.cloud.map(|access| access.url)}),
        );
        return Ok(());
    }
    say!(
        "{} has a cloud truth now. Start the node again: what stands here is carried there and accepted as it stands.\nThe other machines hear of it from this one; a machine that shall carry to the cloud as well needs a copy of {}.",
        machine.studio.name,
        machine.folder.studio_path().display()
    );
    Ok(())
}

/// `studiovault join`.
pub(crate) fn join(call: &Call, join: Join) -> Outcome {
    let studio = StudioFile::load(&join.studio_file)?;
    let admission = admission(join.name, Role::Member, &join.place);
    let machine = Machine::make(folder(call)?, studio, admission)?;
    tell(call, &machine)
}

fn admission(name: String, role: Role, place: &Place) -> Admission {
    Admission {
        name,
        role,
        priority: place.priority,
        gateway_preference: place.gateway_preference,
    }
}

/// The studio becomes known to the cloud, and the machines get a token that carries for this studio alone.
async fn enrol(
    studio: &mut StudioFile,
    access: CloudAccess,
    genesis: Vec<Dot>,
) -> Result<(), Failure> {
    #[derive(Deserialize)]
    struct Minted {
        token: String,
    }
    // Another provider that is installed already is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let cloud = CloudClient::new(access.clone()).map_err(refused)?;
    let request = EnrolRequest {
        studio: studio.studio,
        name: studio.name.clone(),
        root: studio.root(),
        genesis,
    };
    let answer = cloud.enrol(&request).await.map_err(refused)?;
    let wish = json!({"studio": studio.studio, "scopes": ["sync", "read"]});
    let minted: Minted = cloud.post_json("tokens", &wish).await.map_err(refused)?;
    studio.admit_cloud(answer);
    studio.cloud = Some(CloudAccess {
        token: minted.token,
        ..access
    });
    Ok(())
}

fn refused(error: UplinkError) -> Failure {
    let next_step = match error {
        UplinkError::Unauthorised(_) => {
            "Give the admin token that `studiovault cloud` printed with --cloud-token."
        }
        UplinkError::Address(_) => {
            "Give --cloud as https://host:port and --cloud-pin as it was printed."
        }
        _ => {
            "Check that the cloud runs and that --cloud and --cloud-pin are what it printed, then try again."
        }
    };
    Failure::new(
        Exit::Failed,
        format!(
            "the studio was not enrolled at the cloud: {error}\n{next_step} Nothing was written."
        ),
    )
}

fn tell(call: &Call, machine: &Machine) -> Outcome {
    let folder = machine.folder.path().display();
    if call.json {
        print_json(&json!({
            "device": machine.identity.device,
            "name": machine.identity.name,
            "studio": machine.studio.studio,
            "studio_name": machine.studio.name,
            "time_zone": machine.studio.region.time_zone,
            "currency": machine.studio.region.currency,
            "folder": machine.folder.path(),
            "studio_file": machine.folder.studio_path(),
            "cloud": machine.studio.cloud.as_ref().map(|access| &access.url),
        }));
        return Ok(());
    }
    say!(
        "{} is a machine of {} now (time zone {}, currency {}).\n\n  studiovault run --data {folder}\n\nAnother machine joins with a copy of {}, which holds the studio's keys:\n\n  studiovault join --studio-file studio.json --name NAME",
        machine.identity.name,
        machine.studio.name,
        machine.studio.region.time_zone,
        machine.studio.region.currency,
        machine.folder.studio_path().display(),
    );
    Ok(())
}
