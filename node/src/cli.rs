//! The command line: what can be asked, and how each answer ends.
//!
//! Every command prints JSON with `--json`; every error ends with the next step; the exit code says what kind it was.

// Doc comments of arguments are help texts for a terminal, not pages for rustdoc.
#![allow(
    rustdoc::broken_intra_doc_links,
    rustdoc::bare_urls,
    rustdoc::invalid_html_tags
)]

mod audit;
mod bootstrap;
mod client;
mod cloud;
mod conflicts;
mod demo;
mod devices;
mod doctor;
mod failure;
mod folder;
mod import;
mod keys;
mod lan;
mod letters;
mod login;
mod make;
mod output;
mod pack;
mod pair;
mod parse;
mod policy;
mod pos;
mod read;
mod run;
mod service;
mod telemetry;
mod upkeep;
mod watch;
mod why;
mod window;
mod write;

use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

use failure::{Exit, Failure};

/// What a command needs of the way it was called.
pub(crate) struct Call {
    /// The data folder's path, if one was named.
    pub data: Option<std::path::PathBuf>,
    /// Print JSON.
    pub json: bool,
}

/// What a command comes to.
pub(crate) type Outcome = Result<(), Failure>;

const EXIT_CODES: &str = "Exit codes:
  0  done
  1  failed, or a check was off
  2  wrong arguments
  3  no node runs with the data folder
  4  refused: the input or the policy says no; nothing was written
  5  no such thing";

/// The machines of one studio share one truth, with or without a network.
#[derive(Parser)]
#[command(name = "studiovault", version, after_help = EXIT_CODES, max_term_width = 100)]
struct Cli {
    /// The data folder of this machine [default: the platform's folder for a user's data]
    #[arg(long, global = true, env = "STUDIOVAULT_DATA", value_name = "FOLDER")]
    data: Option<std::path::PathBuf>,
    /// Print JSON
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Found a studio and make this its first machine
    Init(make::Init),
    /// Give a studio that worked without one a cloud truth; all that stands is accepted as it stands
    Enrol(make::Enrol),
    /// Begin again from the recovery kit: this becomes a machine of the studio, the data come from the others
    Recover(make::Recover),
    /// Let another machine in: show a code that is typed there
    Invite(pair::Invite),
    /// Make this a machine of a studio whose admin reads a code out
    Join(pair::Join),
    /// Run this machine's node until it is told to stop
    Run(run::Run),
    /// Make this machine's node a service of the system, look at it, or take it away
    Service(service::Service),
    /// Show what this machine knows and what is safe where
    Status(read::Shown),
    /// Create something, or change it if an id is given
    Put(write::Put),
    /// Delete something
    Delete(write::Named),
    /// Bring something deleted back
    Restore(write::Named),
    /// Show one thing
    Get(read::Get),
    /// List the things of a type
    List(read::List),
    /// Ask in SQL over the views app_<type> (read-only)
    Query(read::Query),
    /// Follow events, or an SQL question whose answer is told again when it changes
    Watch(watch::Watch),
    /// Take up a file; importing it again adds nothing
    Import(import::Import),
    /// Write what this machine holds into a file for a USB stick, sealed to the studio
    Export(pack::Export),
    /// Take such a file in; what is held already changes nothing, so it may be taken in again
    ImportPack(pack::ImportPack),
    /// Print what this machine holds, for `studiovault export --since` on another one
    Frontier,
    /// List the open conflicts
    Conflicts,
    /// Settle a conflict
    Resolve(conflicts::Resolve),
    /// Show everything that was ever done to one thing
    History(read::History),
    /// Show which machines hold a thing or a transaction, and of each that lacks it, and of the cloud, why
    Why(why::Why),
    /// List, show, send again or give up what the cloud did not take
    DeadLetters(letters::Letters),
    /// Show what the point of sale comes to
    Pos(pos::Pos),
    /// List what was set aside: it would rewrite a sale, or its machine no longer belonged
    Quarantine,
    /// List the machines of the studio
    Devices,
    /// Shut a machine out; what it wrote and is not held here is set aside
    Revoke(devices::Revoke),
    /// Take a machine back that was shut out or took its leave, with the recovery kit
    Readmit(devices::Readmit),
    /// Give a machine another role, priority or gateway preference
    Role(devices::Place),
    /// Wait no more for what a machine had written and took with it when it died
    Lost(devices::Lost),
    /// Take leave of the studio with this machine
    Retire(devices::Retire),
    /// Show where this machine's key is kept, or move it
    Keys(keys::Keys),
    /// Show what was done to the studio at this machine: who came in, who was shut out, who decided what
    Audit(audit::Audit),
    /// Show, check or set the rules of types and fields
    #[command(subcommand)]
    Policy(policy::PolicyCommand),
    /// Make this machine's store anew from the cloud truth's newest snapshot; what only this machine holds goes over
    Bootstrap(bootstrap::Asked),
    /// Give this machine a new token for the cloud truth
    Login(login::Login),
    /// Run a cloud truth on this machine
    Cloud(cloud::Cloud),
    /// Show it all on this computer: a cloud truth, three machines, real purchases
    Demo(demo::Demo),
    /// Take this machine off the network, cloud included, or bring it back; it accepts writes either way
    Network(write::Network),
    /// Hide this machine on its network: it announces nothing, and reaches those whom it knows
    Venue(lan::Venue),
    /// Give the LAN another key: whoever was shut out gets no further than the first byte
    Rekey,
    /// Say what works between this machine, the others and the cloud, what does not, and what to do
    Doctor,
    /// Show what this machine would tell of itself, and let it, or not
    #[command(subcommand)]
    Telemetry(telemetry::Telemetry),
    /// Check the whole log: chains, signatures, and the state that it folds to
    Verify,
    /// Fold the state anew from the log
    Rebuild,
    /// Print completions for a shell
    Completions(window::Completions),
    /// Open the window
    Window(window::Window),
}

/// Runs what was asked for.
pub(crate) fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return misused(&error),
    };
    let call = Call {
        data: cli.data,
        json: cli.json,
    };
    match dispatch(&call, cli.command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) if call.json => failure.tell_in_json(),
        Err(failure) => failure.tell(),
    }
}

/// Tells of arguments that are none, or what `--help` asks for. Which of the words are arguments is what was not understood, so whoever
/// wrote `--json` anywhere is told in JSON.
fn misused(error: &clap::Error) -> ExitCode {
    let in_json = std::env::args_os().any(|word| word == "--json");
    if in_json && error.use_stderr() {
        return Failure::misused(error).tell_in_json();
    }
    error.exit()
}

fn dispatch(call: &Call, command: Command) -> Outcome {
    match command {
        Command::Init(init) => make::init(call, init),
        Command::Enrol(late) => make::enrol_late(call, late),
        Command::Recover(recover) => make::recover(call, recover),
        Command::Invite(invite) => pair::invite(call, invite),
        Command::Join(join) => pair::join(call, join),
        Command::Run(run) => run::run(call, run),
        Command::Service(asked) => service::service(call, asked),
        Command::Status(shown) => read::status(call, shown),
        Command::Put(put) => write::put(call, put),
        Command::Delete(named) => write::delete(call, named),
        Command::Restore(named) => write::restore(call, named),
        Command::Get(get) => read::entity(call, get),
        Command::List(list) => read::list(call, list),
        Command::Query(query) => read::query(call, query),
        Command::Watch(watch) => watch::watch(call, watch),
        Command::Import(import) => import::import(call, import),
        Command::Export(export) => pack::export(call, export),
        Command::ImportPack(import) => pack::import(call, import),
        Command::Frontier => pack::frontier(call),
        Command::Conflicts => conflicts::conflicts(call),
        Command::Resolve(resolve) => conflicts::resolve(call, resolve),
        Command::History(history) => read::history(call, history),
        Command::Why(asked) => why::why(call, asked),
        Command::Pos(pos) => pos::pos(call, pos),
        Command::Quarantine => pos::quarantine(call),
        Command::DeadLetters(asked) => letters::letters(call, asked),
        Command::Bootstrap(asked) => bootstrap::bootstrap(call, asked),
        Command::Login(login) => login::login(call, login),
        Command::Devices => devices::devices(call),
        Command::Revoke(revoke) => devices::revoke(call, revoke),
        Command::Role(place) => devices::role(call, place),
        Command::Lost(lost) => devices::lost(call, lost),
        Command::Readmit(readmit) => devices::readmit(call, readmit),
        Command::Retire(retire) => devices::retire(call, retire),
        Command::Keys(keys) => keys::keys(call, keys),
        Command::Audit(asked) => audit::audit(call, asked),
        Command::Policy(command) => policy::policy(call, command),
        Command::Cloud(cloud) => cloud::cloud(call, cloud),
        Command::Demo(demo) => demo::demo(call, demo),
        Command::Network(network) => write::network(call, network),
        Command::Venue(venue) => lan::venue(call, venue),
        Command::Rekey => lan::rekey(call),
        Command::Doctor => doctor::doctor(call),
        Command::Telemetry(what) => telemetry::telemetry(call, what),
        Command::Verify => upkeep::verify(call),
        Command::Rebuild => upkeep::rebuild(call),
        Command::Completions(completions) => window::completions(completions, Cli::command()),
        Command::Window(window) => window::window(call, window),
    }
}

/// A runtime for a command that waits for answers.
pub(crate) fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| {
            let text =
                format!("no thread can be started: {error}\nClose other programs and try again.");
            Failure::new(Exit::Failed, text)
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_parses_and_documents_itself() {
        Cli::command().debug_assert();
        for command in Cli::command().get_subcommands() {
            assert!(command.get_about().is_some(), "{}", command.get_name());
        }
    }

    #[test]
    fn a_conflict_is_settled_by_exactly_one_choice() {
        let parsed = |words: &[&str]| {
            let line = ["studiovault", "resolve", "c1"].iter().chain(words);
            Cli::try_parse_from(line).is_ok()
        };
        for one in [
            &["--suggested"][..],
            &["--side", "d"],
            &["--value", "v"],
            &["--value-json", "null"],
            &["--suggested", "--read", "vv"],
            &["--restore"],
        ] {
            assert!(parsed(one), "{one:?}");
        }
        assert!(!parsed(&[]));
        assert!(!parsed(&["--suggested", "--restore"]));
    }

    #[test]
    fn every_command_takes_json_and_a_folder() {
        for command in Cli::command().get_subcommands() {
            let words = match command.get_name() {
                "join" => vec!["join", "42-maple-orbit-velvet", "--name", "n"],
                "init" => vec!["init", "--name", "n", "--studio-name", "s"],
                "status" | "conflicts" | "quarantine" | "dead-letters" | "devices" | "verify"
                | "rebuild" | "audit" => {
                    vec![command.get_name()]
                }
                _ => continue,
            };
            let line = ["studiovault"]
                .into_iter()
                .chain(words)
                .chain(["--json", "--data", "here"]);
            let cli = Cli::try_parse_from(line).expect("parses");
            assert!(cli.json && cli.data.is_some());
        }
    }
}
