//! `init`, `recover` and `enrol`: a studio begins, begins again from its recovery kit, and gets its cloud.
//!
//! The cloud is asked before anything is written, so that a wrong address leaves no half-made folder. The root key leaves in
//! the kit and stays nowhere.

use std::path::{Path, PathBuf};

use clap::Args;
use serde::Deserialize;
use serde_json::json;
use studiovault_node::config::{
    Admission, CloudAccess, Currency, Founder, Kit, KitError, Machine, Region, StudioFile, Zone,
    check_name, cloud_grant, make_folder, read_text, write_secret,
};
use studiovault_node::upkeep;
use studiovault_node::uplink::{CloudClient, UplinkError};
use studiovault_protocol::cloud::{CARRY, EnrolAnswer, EnrolRequest, Prover};
use studiovault_protocol::id::{Dot, StudioId};
use studiovault_protocol::membership::{Role, SignedRecord};

use super::devices::RoleName;
use super::failure::{Exit, Failure};
use super::folder::folder;
use super::keys::{KeyArgs, place_name, place_words};
use super::output::{print_json, say, written};
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
    /// The pins that `studiovault cloud` printed, `;DATE` after them to end them; without pins the web's authorities decide
    #[arg(long, value_name = "PIN,PIN", requires = "cloud")]
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
    /// Write the recovery kit to this file, for its owner only, instead of printing it
    #[arg(long, value_name = "FILE")]
    kit: Option<PathBuf>,
    #[command(flatten)]
    keys: KeyArgs,
    #[command(flatten)]
    place: Place,
}

#[derive(Args)]
pub(crate) struct Enrol {
    /// Where the cloud truth is, such as https://cloud.example:8443
    #[arg(long, value_name = "URL")]
    cloud: String,
    /// The pins that `studiovault cloud` printed, `;DATE` after them to end them; without pins the web's authorities decide
    #[arg(long, value_name = "PIN,PIN")]
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
pub(crate) struct Recover {
    /// The recovery kit as it was printed; `-` reads what is typed
    #[arg(long, value_name = "FILE")]
    kit: PathBuf,
    /// What people call this machine
    #[arg(long)]
    name: String,
    /// What this machine may do
    #[arg(long, value_enum, default_value_t = RoleName::Admin)]
    role: RoleName,
    #[command(flatten)]
    keys: KeyArgs,
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
    let folder = init.keys.folder(call)?;
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
    let mut kit = Kit::found(Founder {
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
        let (access, answer) =
            runtime()?.block_on(enrol((&kit.studio_file(), kit.studio), access, Vec::new()))?;
        kit.cloud = Some(access);
        kit.admit_cloud(answer);
    }
    let admission = admission(init.name, Role::Admin, &init.place);
    check_name(&admission.name)?;
    if let Some(path) = &init.kit {
        if path.symlink_metadata().is_ok() {
            let text = format!(
                "{} is there already, and may be the kit of another studio\nName a file that is not there yet.",
                path.display()
            );
            return Err(Failure::new(Exit::Usage, text));
        }
        if path.parent() == Some(folder.path()) {
            make_folder(folder.path())?;
        }
        // Before anything else is written: a studio without its kit could never be recovered.
        write_secret(path, kit.to_string().as_bytes())?;
    }
    let made = Machine::make(folder, &mut kit, admission);
    if let (Err(_), Some(path)) = (&made, &init.kit) {
        // Of a studio that does not exist.
        let _ = std::fs::remove_file(path);
    }
    tell(call, &made?, init.kit.is_none().then_some(&kit))
}

/// `studiovault recover`: this machine is one of the studio by the word of the root key.
pub(crate) fn recover(call: &Call, recover: Recover) -> Outcome {
    let mut kit = read_kit(&recover.kit)?;
    if let Some(access) = kit.cloud.clone() {
        match runtime()?.block_on(roster_at_cloud(access, &kit)) {
            Ok(records) => kit.records = records,
            // The other machines bring it.
            Err(error) => eprintln!("the cloud truth was not asked for the roster: {error}"),
        }
    }
    let admission = admission(recover.name, recover.role.into(), &recover.place);
    let machine = Machine::make(recover.keys.folder(call)?, &mut kit, admission)?;
    tell(call, &machine, None)
}

/// The kit in a file, or as it is typed.
pub(super) fn read_kit(path: &Path) -> Result<Kit, Failure> {
    let text = if path.as_os_str() == "-" {
        std::io::read_to_string(std::io::stdin())
    } else {
        read_text(path)
    };
    let text = text.map_err(|error| {
        let text = format!(
            "{}: {error}\nName the file that holds the kit, or `-` to type it.",
            path.display()
        );
        Failure::new(Exit::Usage, text)
    })?;
    text.parse()
        .map_err(|error: KitError| Failure::stepped(Exit::Refused, &error.to_string()))
}

async fn roster_at_cloud(access: CloudAccess, kit: &Kit) -> Result<Vec<SignedRecord>, UplinkError> {
    // Another provider that is installed already is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let cloud = CloudClient::new(access)?.proving(Prover::Root, kit.root_key());
    let path = format!("studios/{}/roster", kit.studio);
    cloud.read_json(&path).await
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
    let (roster, authority) = upkeep::authority(&machine)
        .map_err(|error| Failure::new(Exit::Failed, error.to_string()))?;
    let Some(authority) = authority else {
        let text = "this machine is no admin of the studio\nEnrol on one that is; `studiovault devices` lists them.";
        return Err(Failure::new(Exit::Refused, text));
    };
    let place = (&machine.studio, machine.studio.studio);
    let (access, answer) = runtime()?.block_on(enrol(place, access, genesis))?;
    let record = SignedRecord::seal(machine.studio.studio, cloud_grant(answer), &authority);
    machine.studio.cloud = Some(access);
    machine.studio.records = roster.records().cloned().chain([record]).collect();
    machine.studio.save(&machine.folder.studio_path())?;
    if call.json {
        print_json(
            &json!({"studio": machine.studio.studio, "cloud": machine.studio.cloud.map(|access| access.url)}),
        );
        return Ok(());
    }
    say!(
        "{} has a cloud truth now. Start the node again: what stands here is carried there and accepted as it stands.\nThe other machines hear of it from this one; a machine that shall carry to the cloud as well joins anew.",
        machine.studio.name
    );
    Ok(())
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
    (file, studio): (&StudioFile, StudioId),
    access: CloudAccess,
    genesis: Vec<Dot>,
) -> Result<(CloudAccess, EnrolAnswer), Failure> {
    #[derive(Deserialize)]
    struct Minted {
        token: String,
    }
    // Another provider that is installed already is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let cloud = CloudClient::new(access.clone()).map_err(refused)?;
    let request = EnrolRequest {
        studio,
        name: file.name.clone(),
        root: file.root,
        genesis,
    };
    let answer = cloud.enrol(&request).await.map_err(refused)?;
    let wish = json!({"studio": studio, "scopes": [CARRY]});
    let minted: Minted = cloud.post_json("tokens", &wish).await.map_err(refused)?;
    let access = CloudAccess {
        token: minted.token,
        ..access
    };
    Ok((access, answer))
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

/// Says what was made; with the kit, if it goes to no file.
fn tell(call: &Call, machine: &Machine, kit: Option<&Kit>) -> Outcome {
    let text = match call.json {
        true => as_json(machine, kit),
        false => in_words(machine, kit),
    };
    match (written(format_args!("{text}")), kit) {
        (Ok(()), _) => Ok(()),
        (Err(error), Some(kit)) => Err(unread(machine, kit, &error)),
        (Err(error), None) => {
            let text = format!("the machine is made; the output could not be written: {error}");
            Err(Failure::new(Exit::Failed, text))
        }
    }
}

/// The kit was not read by anybody, and there is no other.
fn unread(machine: &Machine, kit: &Kit, error: &std::io::Error) -> Failure {
    let path = machine.folder.path().join("recovery-kit");
    let kept = write_secret(&path, kit.to_string().as_bytes());
    let what = format!("the machine is made; the output could not be written: {error}");
    let next_step = match kept {
        Ok(()) => format!(
            "The recovery kit is in {}: print it, keep it elsewhere, and remove the file.",
            path.display()
        ),
        Err(_) => format!(
            "Remove {} and make the studio again: its recovery kit is lost.",
            machine.folder.path().display()
        ),
    };
    Failure::new(Exit::Failed, format!("{what}\n{next_step}"))
}

fn as_json(machine: &Machine, kit: Option<&Kit>) -> String {
    let made = json!({
        "device": machine.identity.device,
        "name": machine.identity.name,
        "studio": machine.studio.studio,
        "studio_name": machine.studio.name,
        "time_zone": machine.studio.region.time_zone,
        "currency": machine.studio.region.currency,
        "folder": machine.folder.path(),
        "keys": place_name(machine.key_place),
        "recovery_kit": kit.map(ToString::to_string),
        "cloud": machine.studio.cloud.as_ref().map(|access| &access.url),
    });
    serde_json::to_string_pretty(&made).expect("answers always encode")
}

fn in_words(machine: &Machine, kit: Option<&Kit>) -> String {
    let folder = machine.folder.path().display();
    let mut text = format!(
        "{} is a machine of {} now (time zone {}, currency {}); its key is in {}.\n\n  studiovault run --data {folder}\n\nAnother machine joins by a code that this one shows while it runs:\n\n  studiovault invite --data {folder}",
        machine.identity.name,
        machine.studio.name,
        machine.studio.region.time_zone,
        machine.studio.region.currency,
        place_words(machine.key_place),
    );
    if let Some(kit) = kit {
        text += &format!("\n\nPrint this and keep it; it is shown once and kept nowhere:\n\n{kit}");
    }
    text
}
