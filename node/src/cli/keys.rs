//! Where this machine's key is kept: wished for when the machine is made, shown and moved by `keys`.

use clap::{Args, ValueEnum};
use serde_json::json;
use studiovault_node::config::{Folder, KeyPlace, KeyWish, Machine};

use super::folder::folder;
use super::output::{print_json, say};
use super::{Call, Outcome};

/// A place as it is typed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(crate) enum PlaceName {
    /// A file in the data folder that only its owner reads
    File,
    /// The system's keychain
    Keychain,
}

/// The same, or whatever is safest here.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
enum WishName {
    /// The system's keychain if one answers, else the file
    Auto,
    /// A file in the data folder that only its owner reads
    File,
    /// The system's keychain, or the machine is not made
    Keychain,
}

/// What a command that makes a machine is told of its key.
#[derive(Args)]
pub(crate) struct KeyArgs {
    /// Where the key of this machine is kept
    #[arg(
        long,
        value_enum,
        default_value_t = WishName::Auto,
        env = "STUDIOVAULT_KEYS",
        value_name = "PLACE"
    )]
    keys: WishName,
}

impl KeyArgs {
    /// The folder of a machine that is to be made.
    pub fn folder(&self, call: &Call) -> Result<Folder, super::failure::Failure> {
        let wish = match self.keys {
            WishName::Auto => KeyWish::Safest,
            WishName::File => KeyWish::In(KeyPlace::File),
            WishName::Keychain => KeyWish::In(KeyPlace::Keychain),
        };
        Ok(folder(call)?.keeping_keys(wish))
    }
}

#[derive(Args)]
pub(crate) struct Keys {
    /// Move it there. A node that starts without anybody logging in needs the file
    #[arg(long, value_enum, value_name = "PLACE")]
    move_to: Option<PlaceName>,
}

/// `studiovault keys`.
pub(crate) fn keys(call: &Call, keys: Keys) -> Outcome {
    let mut machine = Machine::load(folder(call)?)?;
    if let Some(place) = keys.move_to {
        machine.move_key(match place {
            PlaceName::File => KeyPlace::File,
            PlaceName::Keychain => KeyPlace::Keychain,
        })?;
    }
    if call.json {
        print_json(
            &json!({"device": machine.identity.device, "keys": place_name(machine.key_place)}),
        );
        return Ok(());
    }
    say!(
        "The key of {} is in {}.",
        machine.identity.name,
        place_words(machine.key_place)
    );
    Ok(())
}

/// For JSON.
pub(super) fn place_name(place: KeyPlace) -> &'static str {
    match place {
        KeyPlace::File => "file",
        KeyPlace::Keychain => "keychain",
    }
}

/// For people.
pub(super) fn place_words(place: KeyPlace) -> &'static str {
    match place {
        KeyPlace::File => "a file that only you can read",
        KeyPlace::Keychain => "the system's keychain",
    }
}
