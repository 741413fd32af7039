//! `service install|status|remove`: the node as a service of the system, so that it runs without anybody thinking of it.
//!
//! What is told to the system is written here; how, the `service-manager` crate knows. Each data folder has a service of its own.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde_json::json;
use service_manager::{
    RestartPolicy, ServiceInstallCtx, ServiceLabel, ServiceLevel, ServiceManager,
    ServiceManagerKind, ServiceStartCtx, ServiceStatus, ServiceStatusCtx, ServiceStopCtx,
    ServiceUninstallCtx, TypedServiceManager, systemd_global_dir_path, systemd_user_dir_path,
};
use studiovault_node::config::{Folder, Machine, default_folder};

use super::failure::{Exit, Failure};
use super::folder::folder;
use super::output::say;
use super::{Call, Outcome};

/// A node that ended badly is started again after so many seconds.
const RESTART_S: u32 = 5;
/// What the log's file is called in the data folder.
const LOG: [&str; 2] = ["log", "studiovault.log"];

#[derive(Args)]
pub(crate) struct Service {
    #[command(subcommand)]
    action: Action,
    /// For the whole machine, started at boot, instead of for this user, started at login
    #[arg(long, global = true)]
    system: bool,
}

#[derive(Subcommand)]
enum Action {
    /// Make the node of the data folder a service and start it
    Install,
    /// Say whether the service is there and runs
    Status,
    /// Stop the service and take it away; the data folder stays as it is
    Remove,
}

/// `studiovault service`.
pub(crate) fn service(call: &Call, service: Service) -> Outcome {
    let folder = folder(call)?;
    let at = std::path::absolute(folder.path()).map_err(|error| failed(&error))?;
    let level = if service.system {
        ServiceLevel::System
    } else {
        ServiceLevel::User
    };
    let keeper = Keeper::native(level)?;
    let label = label(&at);
    match service.action {
        Action::Install => install(call, (&keeper, label), &at),
        Action::Status => status(call, (&keeper, label)),
        Action::Remove => remove(call, (&keeper, label)),
    }
}

/// The system's keeper of services.
struct Keeper {
    system: TypedServiceManager,
    level: ServiceLevel,
}

impl Keeper {
    fn native(level: ServiceLevel) -> Result<Self, Failure> {
        // A program that is no Windows service by itself needs the wrapper.
        let found = if cfg!(windows) {
            Ok(TypedServiceManager::target(ServiceManagerKind::WinSw))
        } else {
            TypedServiceManager::native()
        };
        let unknown = |error| {
            let text = format!(
                "this system has no keeper of services that is known: {error}\nStart `studiovault run` another way, such as at login."
            );
            Failure::new(Exit::Failed, text)
        };
        let mut system = found.map_err(unknown)?;
        let set = system.set_level(level);
        set.map_err(|error| failed(&error))?;
        Ok(Self { system, level })
    }

    /// systemd's unit as we want it; the others have the crate's own form.
    fn unit(&self, about: &str, words: &[String], user: Option<&str>) -> Option<String> {
        let is_systemd = matches!(self.system, TypedServiceManager::Systemd(_));
        is_systemd.then(|| unit(about, words, (self.level, user)))
    }

    /// Where systemd's unit stands.
    fn unit_path(&self, label: &ServiceLabel) -> Option<PathBuf> {
        let TypedServiceManager::Systemd(_) = self.system else {
            return None;
        };
        let folder = match self.level {
            ServiceLevel::System => systemd_global_dir_path(),
            ServiceLevel::User => systemd_user_dir_path().ok()?,
        };
        Some(folder.join(format!("{}.service", label.to_script_name())))
    }

    /// Whether the service is there; where no file says it, the system does.
    fn has(&self, label: &ServiceLabel) -> Result<bool, Failure> {
        if let Some(path) = self.unit_path(label) {
            return Ok(path.exists());
        }
        let label = label.clone();
        let status = self.system.status(ServiceStatusCtx { label });
        Ok(status.map_err(|error| failed(&error))? != ServiceStatus::NotInstalled)
    }

    /// Takes away what an installation left that did not end well.
    fn undo(&self, label: &ServiceLabel) {
        let asked = ServiceUninstallCtx {
            label: label.clone(),
        };
        if let Err(error) = self.system.uninstall(asked) {
            tracing::debug!(%error, "the service was not taken away by the system");
        }
        if let Some(path) = self.unit_path(label) {
            let _ = std::fs::remove_file(path);
        }
    }
}

/// One service for each data folder: the usual one has the plain name.
fn label(folder: &Path) -> ServiceLabel {
    let usual = default_folder().is_some_and(|usual| usual == folder);
    let application = if usual {
        "studiovault".to_owned()
    } else {
        let hash = blake3::hash(folder.as_os_str().as_encoded_bytes());
        format!("studiovault-{}", &hash.to_hex()[..8])
    };
    ServiceLabel {
        qualifier: None,
        organization: None,
        application,
    }
}

fn install(call: &Call, (keeper, label): (&Keeper, ServiceLabel), at: &Path) -> Outcome {
    let machine = Machine::load(Folder::at(at))?;
    let program = std::env::current_exe().map_err(|error| failed(&error))?;
    let log = LOG.iter().fold(at.to_owned(), |path, part| path.join(part));
    let mut args: Vec<OsString> = vec!["run".into(), "--data".into(), at.into()];
    args.extend(["--log".into(), log.clone().into_os_string()]);
    let words = std::iter::once(program.as_os_str()).chain(args.iter().map(OsString::as_os_str));
    let words: Vec<String> = words
        .map(|word| word.to_string_lossy().into_owned())
        .collect();
    let about = format!(
        "StudioVault, {} of {}",
        machine.identity.name, machine.studio.name
    );
    let owner = match keeper.level {
        ServiceLevel::System => owner(at)?,
        ServiceLevel::User => None,
    };
    let was_there = keeper.has(&label)?;
    let begun = keeper.system.install(ServiceInstallCtx {
        label: label.clone(),
        program,
        args,
        contents: keeper.unit(&about, &words, owner.as_deref()),
        // The others take a name, where systemd takes a number too: there the service runs as the system has it.
        username: None,
        working_directory: None,
        environment: None,
        autostart: true,
        restart_policy: RestartPolicy::OnFailure {
            delay_secs: Some(RESTART_S),
            max_retries: None,
            reset_after_secs: None,
        },
    });
    let name = label.to_qualified_name();
    let begun = begun.and_then(|()| {
        let label = label.clone();
        keeper.system.start(ServiceStartCtx { label })
    });
    if let Err(error) = begun {
        // One that was there before is the person's to take away.
        if !was_there {
            keeper.undo(&label);
        }
        return Err(failed(&error));
    }
    if call.json {
        say!(
            "{}",
            json!({"service": name, "installed": true, "log": log})
        );
        return Ok(());
    }
    say!(
        "{about} runs as the service {name}; its log is {}",
        log.display()
    );
    if keeper.level == ServiceLevel::User && cfg!(target_os = "linux") {
        say!("It runs while you are logged in; `loginctl enable-linger` lets it run from boot on.");
    }
    Ok(())
}

fn status(call: &Call, (keeper, label): (&Keeper, ServiceLabel)) -> Outcome {
    let name = label.to_qualified_name();
    let status = keeper.system.status(ServiceStatusCtx { label });
    let (state, words) = match status.map_err(|error| failed(&error))? {
        ServiceStatus::NotInstalled => ("not_installed", "is not there".to_owned()),
        ServiceStatus::Running => ("running", "runs".to_owned()),
        ServiceStatus::Stopped(None) => ("stopped", "is there and does not run".to_owned()),
        ServiceStatus::Stopped(Some(why)) => ("stopped", format!("does not run: {why}")),
    };
    if call.json {
        say!("{}", json!({"service": name, "state": state}));
    } else {
        say!("the service {name} {words}");
    }
    Ok(())
}

fn remove(call: &Call, (keeper, label): (&Keeper, ServiceLabel)) -> Outcome {
    let name = label.to_qualified_name();
    if !keeper.has(&label)? {
        let text = format!(
            "there is no service {name}\nName its folder with --data; one for the whole machine is meant with --system."
        );
        return Err(Failure::new(Exit::NotFound, text));
    }
    let stop = ServiceStopCtx {
        label: label.clone(),
    };
    if let Err(error) = keeper.system.stop(stop) {
        let asked = ServiceStatusCtx {
            label: label.clone(),
        };
        // One that does not run is stopped already; any other would go on without anybody who keeps it.
        match keeper.system.status(asked) {
            Ok(ServiceStatus::Stopped(_) | ServiceStatus::NotInstalled) => {}
            _ => return Err(failed(&error)),
        }
    }
    let removed = keeper.system.uninstall(ServiceUninstallCtx { label });
    removed.map_err(|error| failed(&error))?;
    if call.json {
        say!("{}", json!({"service": name, "installed": false}));
    } else {
        say!("the service {name} is gone; the data folder stays as it is");
    }
    Ok(())
}

fn failed(error: &std::io::Error) -> Failure {
    let text = format!(
        "the system did not take it: {error}\nLook at what it says above; with --system it may need an administrator."
    );
    Failure::new(Exit::Failed, text)
}

/// Whose the folder is, as a number, which systemd takes as well as a name: a service of the whole machine runs as them.
#[cfg(unix)]
fn owner(folder: &Path) -> Result<Option<String>, Failure> {
    use std::os::unix::fs::MetadataExt as _;
    let facts = std::fs::metadata(folder).map_err(|error| failed(&error))?;
    Ok(Some(facts.uid().to_string()))
}

/// There the wrapper runs as the system's own account.
#[cfg(not(unix))]
fn owner(_: &Path) -> Result<Option<String>, Failure> {
    Ok(None)
}

/// A unit of systemd: restarted when it ends badly, given time for its goodbye.
fn unit(about: &str, words: &[String], (level, user): (ServiceLevel, Option<&str>)) -> String {
    let line: Vec<String> = words.iter().map(|word| quoted(word)).collect();
    let wanted_by = match level {
        ServiceLevel::System => "multi-user.target",
        ServiceLevel::User => "default.target",
    };
    let user = user.map_or_else(String::new, |user| format!("User={user}\n"));
    format!(
        "[Unit]\nDescription={}\n\n[Service]\nType=exec\n{user}ExecStart={}\nRestart=on-failure\nRestartSec={RESTART_S}\nTimeoutStopSec=20\nNoNewPrivileges=yes\nUMask=0077\n\n[Install]\nWantedBy={wanted_by}\n",
        about.replace('%', "%%"),
        line.join(" ")
    )
}

/// A word of a command line as systemd reads it: no space, variable or specifier of a path means anything.
fn quoted(word: &str) -> String {
    let escaped = word.replace('\\', "\\\\").replace('"', "\\\"");
    format!("\"{}\"", escaped.replace('%', "%%").replace('$', "$$"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_with_spaces_and_signs_is_one_word_of_the_unit() {
        let words = ["/opt/a b/sv".to_owned(), "100% \"$HOME\" \\".to_owned()];
        let text = unit("Desk, 50%", &words, (ServiceLevel::User, None));
        let line = "ExecStart=\"/opt/a b/sv\" \"100%% \\\"$$HOME\\\" \\\\\"\n";
        assert!(text.contains(line), "{text}");
        assert!(text.contains("Description=Desk, 50%%\n"), "{text}");
        assert!(text.ends_with("WantedBy=default.target\n"), "{text}");
    }

    #[test]
    fn a_service_of_the_whole_machine_runs_as_whoever_owns_the_folder() {
        let text = unit("Desk", &[], (ServiceLevel::System, Some("ines")));
        assert!(text.contains("\nUser=ines\n"), "{text}");
        let text = unit("Desk", &[], (ServiceLevel::User, None));
        assert!(!text.contains("User="), "{text}");
    }

    #[cfg(unix)]
    #[test]
    fn the_owner_of_a_folder_is_told() {
        use std::os::unix::fs::MetadataExt as _;
        let folder = tempfile::tempdir().expect("a folder");
        let uid = std::fs::metadata(folder.path()).expect("is there").uid();
        let told = owner(folder.path()).expect("is told");
        assert_eq!(told, Some(uid.to_string()));
    }

    #[test]
    fn each_folder_has_a_service_of_its_own() {
        let (one, other) = (label(Path::new("/a")), label(Path::new("/b")));
        assert_ne!(one, other);
        assert_eq!(one, label(Path::new("/a")));
    }
}
