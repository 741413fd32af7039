//! Where things are on this platform: the default data folder and the name of the system's user.
//!
//! The only file that knows platforms apart here; everything else is told a path.

use std::env;
use std::path::PathBuf;

use studiovault_protocol::api::{self, Platform};

/// The folder for a machine's data if none is named; `None` if the system does not say where a user's data belong.
pub fn default_folder() -> Option<PathBuf> {
    api::default_folder(Platform::CURRENT, |variable| {
        env::var_os(variable).map(PathBuf::from)
    })
}

/// Who acts if nobody is named: whom the environment names, else whoever the system runs this as (a service has no `USER`).
pub fn system_user() -> String {
    let variable = if cfg!(windows) { "USERNAME" } else { "USER" };
    let named = env::var(variable).ok();
    let fits = |name: &String| {
        !name.trim().is_empty() && name.len() <= studiovault_protocol::limits::ACTOR_BYTES
    };
    named
        .filter(fits)
        .or_else(|| running_as().filter(fits))
        .unwrap_or_else(|| "unknown".to_owned())
}

/// The name that belongs to the user of this process, or `uid 1000` if there is none.
fn running_as() -> Option<String> {
    #[cfg(target_os = "linux")]
    {
        use std::os::unix::fs::MetadataExt as _;
        // The folder of a process belongs to whoever it runs as.
        let uid = std::fs::metadata("/proc/self").ok()?.uid();
        let users = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
        Some(name_of(&users, uid).unwrap_or_else(|| format!("uid {uid}")))
    }
    #[cfg(not(target_os = "linux"))]
    None
}

/// The name of a user by the lines of `/etc/passwd`.
#[cfg(target_os = "linux")]
fn name_of(users: &str, uid: u32) -> Option<String> {
    let mut lines = users.lines().map(|line| line.split(':'));
    lines.find_map(|mut parts| {
        let (name, _, number) = (parts.next()?, parts.next()?, parts.next()?);
        (number.parse() == Ok(uid) && !name.is_empty()).then(|| name.to_owned())
    })
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn whoever_no_variable_names_has_the_name_that_the_system_knows() {
        let users =
            "root:x:0:0:root:/root:/bin/sh\n+nis\n:x:7:7::/:\nmara:x:1000:1000:Mara:/:/bin/bash\n";
        assert_eq!(name_of(users, 1000).as_deref(), Some("mara"));
        assert_eq!(name_of(users, 0).as_deref(), Some("root"));
        assert_eq!((name_of(users, 7), name_of(users, 10)), (None, None));
        let running = running_as().expect("somebody runs this");
        assert_ne!(running, "unknown");
    }
}
