//! `cloud show`, `cloud approve` and `cloud deny`: what a machine that wants to sign in asks for, and a person's word on its code.
//!
//! Nobody approves what they have not been shown: a name proves nothing, only a key of the studio does.

use std::fs;
use std::path::Path;

use clap::{Args, Subcommand};
use serde::{Deserialize, Serialize};
use serde_json::json;
use studiovault_node::config::CloudAccess;
use studiovault_node::uplink::{CloudClient, UplinkError};

use super::super::failure::{Exit, Failure};
use super::super::output::{print_json, say};
use super::super::{Call, Outcome, runtime};
use super::cloud_folder;

/// Where a cloud truth of this machine answers, for commands beside it.
const ADDRESS_FILE: &str = "address.json";

#[derive(Subcommand)]
pub(crate) enum Decide {
    /// Say who wants to sign in with this code, for what, and whether a key of the studio proves it
    Show(Named),
    /// Let the machine that shows this code sign in
    Approve {
        #[command(flatten)]
        named: Named,
        /// Also if no key of the studio has signed the request: you have seen this code on the machine's own screen
        #[arg(long)]
        unproven: bool,
    },
    /// Refuse the machine that shows this code
    Deny(Named),
}

#[derive(Args)]
pub(crate) struct Named {
    /// The code, as the machine shows it
    code: String,
    #[command(flatten)]
    place: Place,
}

/// Which cloud truth is asked; one that runs on this machine is found by its folder.
#[derive(Args)]
pub(crate) struct Place {
    /// The cloud truth, if it runs on another machine
    #[arg(long, value_name = "URL", requires = "cloud_token")]
    cloud: Option<String>,
    /// The pins of its key, as `studiovault cloud` printed them
    #[arg(long, value_name = "PIN,PIN", requires = "cloud")]
    cloud_pin: Option<String>,
    /// Its admin token
    #[arg(
        long,
        value_name = "TOKEN",
        env = "STUDIOVAULT_CLOUD_TOKEN",
        hide_env_values = true
    )]
    cloud_token: Option<String>,
}

/// What stands in [`ADDRESS_FILE`].
#[derive(Serialize, Deserialize)]
struct Address {
    url: String,
    pin: Option<String>,
}

/// Notes where the cloud truth that runs with a folder answers.
pub(super) fn note_address(folder: &Path, url: &str, pin: Option<&String>) -> Outcome {
    let address = Address {
        url: url.to_owned(),
        pin: pin.cloned(),
    };
    let text = serde_json::to_string(&address).expect("an address always encodes");
    let path = folder.join(ADDRESS_FILE);
    fs::write(&path, text).map_err(|error| {
        let text = format!(
            "{}: {error}\nCheck that the folder is writable.",
            path.display()
        );
        Failure::new(Exit::Failed, text)
    })
}

/// What a code is for, as the cloud tells it.
#[derive(Serialize, Deserialize)]
struct Wish {
    studio: String,
    device: Option<String>,
    name: String,
    scope: String,
    proven: bool,
}

impl Wish {
    fn words(&self) -> String {
        let may = match self.scope.as_str() {
            "carry" => "carry (bring this studio's writes up and its feed down)",
            "sync" => "sync (read and write this studio as a program)",
            "read" => "read (read this studio)",
            other => other,
        };
        let proven = if self.proven {
            "yes, by the key of a machine of the studio"
        } else {
            "NO: no key of the studio has signed the request; anybody can give any name"
        };
        let device = self.device.as_deref().unwrap_or("none");
        format!(
            "calls itself  {}\nmachine       {device}\nproven        {proven}\nasks for      {may}\nstudio        {}",
            self.name, self.studio
        )
    }
}

/// `studiovault cloud show CODE`, `studiovault cloud approve CODE`, `studiovault cloud deny CODE`.
pub(super) fn decide(call: &Call, decide: Decide) -> Outcome {
    let (named, decision, unproven) = match decide {
        Decide::Show(named) => (named, None, false),
        Decide::Approve { named, unproven } => (named, Some("approve"), unproven),
        Decide::Deny(named) => (named, Some("deny"), false),
    };
    let code = named.code.clone();
    // Another provider that is installed already is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client =
        CloudClient::new(access(call, named.place)?).map_err(|error| failed(&code, error))?;
    let runtime = runtime()?;
    let body = json!({"code": code});
    let asked = client.post_json::<Wish>("oauth/codes", &body);
    let wish = runtime
        .block_on(asked)
        .map_err(|error| failed(&code, error))?;
    if decision.is_none() && call.json {
        print_json(&wish);
    }
    if !call.json {
        say!("{}", wish.words());
    }
    let Some(decision) = decision else {
        return Ok(());
    };
    if decision == "approve" && !wish.proven && !unproven {
        return Err(unproven_wish(&wish));
    }
    let body = json!({"code": code, "decision": decision, "unproven": unproven});
    let decided = client.post_json::<Wish>("oauth/decisions", &body);
    let decided = runtime
        .block_on(decided)
        .map_err(|error| failed(&code, error))?;
    if call.json {
        print_json(&decided);
    } else if decision == "approve" {
        say!("\nit may sign in");
    } else {
        say!("\nit was refused");
    }
    Ok(())
}

fn unproven_wish(wish: &Wish) -> Failure {
    let text = format!(
        "`{:.64}` was not approved: no key of a machine of the studio has signed the request, and whoever knows the studio's id can send it under any name\nLook whether the screen of that very machine shows this code, then approve it with --unproven; else refuse it with `studiovault cloud deny`.",
        wish.name
    );
    Failure::new(Exit::Refused, text)
}

pub(super) fn access(call: &Call, place: Place) -> Result<CloudAccess, Failure> {
    if let (Some(url), Some(token)) = (place.cloud, &place.cloud_token) {
        return Ok(CloudAccess {
            url,
            pin: place.cloud_pin,
            token: token.clone(),
        });
    }
    let folder = cloud_folder(call)?;
    let read = |name: &str| fs::read_to_string(folder.join(name)).ok();
    let address = read(ADDRESS_FILE).and_then(|text| serde_json::from_str::<Address>(&text).ok());
    let token = read("admin-token").map(|token| token.trim().to_owned());
    let (Some(address), Some(token)) = (address, token) else {
        let text = format!(
            "no cloud truth has run with {}\nName its folder with --data, or give --cloud, --cloud-pin and --cloud-token.",
            folder.display()
        );
        return Err(Failure::new(Exit::NotRunning, text));
    };
    Ok(CloudAccess {
        url: address.url,
        pin: address.pin,
        token,
    })
}

fn failed(code: &str, error: UplinkError) -> Failure {
    let next_step = match error {
        UplinkError::Missing(_) => {
            let text = format!(
                "no code `{code:.40}` is open at this cloud\nType it as the machine shows it; it is open for ten minutes, and takes one word."
            );
            return Failure::new(Exit::NotFound, text);
        }
        UplinkError::Unauthorised(_) => "Give the admin token with --cloud-token.",
        _ => "Check that the cloud truth runs, then try again.",
    };
    Failure::new(Exit::Failed, format!("{error}\n{next_step}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wish(proven: bool) -> Wish {
        Wish {
            studio: "s".into(),
            device: None,
            name: "front".into(),
            scope: "carry".into(),
            proven,
        }
    }

    #[test]
    fn what_is_asked_for_is_told_with_scope_studio_and_proof() {
        let words = wish(false).words();
        assert!(words.contains("carry (bring"), "{words}");
        assert!(words.contains("studio        s"), "{words}");
        assert!(words.contains("NO: no key"), "{words}");
        assert!(wish(true).words().contains("yes, by the key"));
        assert!(unproven_wish(&wish(false)).text().contains("--unproven"));
    }

    #[test]
    fn a_code_that_is_not_open_is_told_as_such() {
        let failure = failed("BCDF-GHJK", UplinkError::Missing("x".into()));
        assert!(failure.text().starts_with("no code `BCDF-GHJK` is open"));
    }
}
