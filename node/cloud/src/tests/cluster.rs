//! A PostgreSQL of the tests' own: Debian's package, in a temporary folder, run as a user that is not root.
//!
//! It ends with the process that started it, however that ends: a shell waits at a pipe for it.

use std::fs::Permissions;
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

/// Waits for the end of its input, then stops the server and removes its folder.
const KEEPER: &str = r#"
  "$@" >"$KEPT.log" 2>&1 </dev/null & server=$!
  cat >/dev/null
  kill -INT $server; wait $server; rm -rf "$KEPT" "$KEPT.log"
"#;

/// A running server.
pub struct Cluster {
    folder: PathBuf,
    keeper: Child,
    made: AtomicU32,
}

impl Cluster {
    /// The one that all tests of a process share.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<Cluster> = OnceLock::new();
        SHARED.get_or_init(Self::start)
    }

    /// Starts a server.
    pub fn start() -> Self {
        // A test ends processes, never the machine.
        Self::start_with(None, "fsync=off")
    }

    #[allow(dead_code)] // The lab starts it.
    /// Starts one whose commits are on the disk when they are answered.
    pub fn durable() -> Self {
        Self::start_with(None, "fsync=on")
    }

    #[allow(dead_code)] // As above.
    /// Starts one that is reached by TLS alone, at an address of this machine and with a certificate and its key.
    pub fn over_tls(address: &str, (certificate, key): (&str, &str)) -> Self {
        Self::start_with(Some((address, certificate, key)), "fsync=off")
    }

    fn start_with(tls: Option<(&str, &str, &str)>, fsync: &str) -> Self {
        let folder = tempfile::Builder::new()
            .prefix("studiovault-pg-")
            .tempdir()
            .expect("a folder")
            .keep();
        own(&folder);
        let data = folder.join("data");
        let made = command("initdb")
            .args(["-U", "truth", "-A", "trust", "-E", "UTF8", "--locale=C"])
            .args(["--no-sync", "-D"])
            .arg(&data)
            .output();
        let made = made.expect("initdb runs; install Debian's package postgresql");
        assert!(
            made.status.success(),
            "{}",
            String::from_utf8_lossy(&made.stderr)
        );
        let server = command("postgres");
        let listen = match tls {
            Some((address, ..)) => format!("listen_addresses={address}"),
            None => "listen_addresses=".to_owned(),
        };
        if let Some((_, certificate, key)) = tls {
            keep_tls(&data, (certificate, key));
        }
        let ssl = if tls.is_some() { "ssl=on" } else { "ssl=off" };
        let keeper = Command::new("sh")
            .args(["-c", KEEPER, "keeper"])
            .arg(server.get_program())
            .args(server.get_args())
            .args(["-c", &listen, "-c", ssl, "-c", "max_connections=300"])
            .args(["-c", fsync])
            .arg("-k")
            .arg(&folder)
            .arg("-D")
            .arg(&data)
            .env("KEPT", &folder)
            .stdin(Stdio::piped())
            .spawn()
            .expect("a shell");
        let cluster = Self {
            folder,
            keeper,
            made: AtomicU32::new(0),
        };
        cluster.wait();
        cluster
    }

    fn wait(&self) {
        let mut ready = Command::new(program("pg_isready"));
        ready.args(["-q", "-t", "60", "-h"]).arg(&self.folder);
        for _ in 0..600 {
            if ready.status().is_ok_and(|status| status.success()) {
                return;
            }
            // The server tells nobody when it begins to listen.
            std::thread::park_timeout(std::time::Duration::from_millis(50));
        }
        let log = std::fs::read_to_string(self.folder.with_extension("log"));
        panic!("PostgreSQL does not start: {}", log.unwrap_or_default());
    }

    /// A fresh database's address.
    pub fn database(&self) -> String {
        let name = format!("truth_{}", self.made.fetch_add(1, Ordering::Relaxed));
        self.run("postgres", &format!("CREATE DATABASE {name}"));
        self.address(&name)
    }

    /// A copy of a database as it is now, made as a backup is.
    pub fn copy(&self, address: &str) -> String {
        let copy = self.database();
        let dump = Command::new(program("pg_dump"))
            .args(["-d", address])
            .output();
        let dump = dump.expect("pg_dump runs");
        assert!(dump.status.success());
        let mut load = Command::new(program("psql"))
            .args(["-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", &copy])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .expect("psql runs");
        let mut pipe = load.stdin.take().expect("piped");
        pipe.write_all(&dump.stdout).expect("psql reads");
        drop(pipe);
        assert!(load.wait().expect("psql ends").success());
        copy
    }

    #[allow(dead_code)] // As above.
    /// A fresh database's name.
    pub fn named_database(&self) -> String {
        let address = self.database();
        let name = address.rsplit('/').next().unwrap_or_default();
        name.split('?').next().unwrap_or_default().to_owned()
    }

    fn address(&self, name: &str) -> String {
        let folder = self.folder.to_str().expect("a plain path");
        format!(
            "postgresql://truth@{}/{name}?sslmode=disable",
            folder.replace('/', "%2F")
        )
    }

    /// Runs statements and tells what they print, one line a row.
    pub fn run(&self, database: &str, statements: &str) -> String {
        let told = Command::new(program("psql"))
            .args(["-X", "-q", "-At", "-v", "ON_ERROR_STOP=1", "-U", "truth"])
            .args(["-d", database, "-c", statements, "-h"])
            .arg(&self.folder)
            .output()
            .expect("psql runs");
        let error = String::from_utf8_lossy(&told.stderr);
        assert!(told.status.success(), "{error}");
        String::from_utf8_lossy(&told.stdout).trim().to_owned()
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        drop(self.keeper.stdin.take());
        let _ = self.keeper.wait();
    }
}

/// What a server needs to speak TLS, and no other way in over the network.
fn keep_tls(data: &Path, (certificate, key): (&str, &str)) {
    for (name, text) in [("server.crt", certificate), ("server.key", key)] {
        let path = data.join(name);
        std::fs::write(&path, text).expect("writes");
        std::fs::set_permissions(&path, Permissions::from_mode(0o600)).expect("is ours");
        own(&path);
    }
    let rules = "local all all trust\nhostssl all all 127.0.0.0/8 trust\n";
    std::fs::write(data.join("pg_hba.conf"), rules).expect("writes");
}

/// A program of PostgreSQL's, as a user that is not root.
fn command(name: &str) -> Command {
    let program = program(name);
    if !is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command
        .args(["--reuid=postgres", "--regid=postgres", "--clear-groups"])
        .arg(program);
    command
}

/// Debian keeps them in a folder of their version.
fn program(name: &str) -> PathBuf {
    let versions = std::fs::read_dir("/usr/lib/postgresql");
    let versions = versions.into_iter().flatten().flatten();
    let programs = versions.map(|version| version.path().join("bin").join(name));
    programs
        .filter(|path| path.exists())
        .max()
        .unwrap_or_else(|| PathBuf::from(name))
}

fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0)
}

/// Gives a folder to the user that the server runs as.
fn own(folder: &Path) {
    if !is_root() {
        return;
    }
    let id = |flag| {
        let told = Command::new("id").args([flag, "postgres"]).output();
        let told = told.expect("id runs").stdout;
        let text = String::from_utf8_lossy(&told).trim().to_owned();
        text.parse::<u32>()
            .expect("there is a user postgres; install Debian's package postgresql")
    };
    chown(folder, Some(id("-u")), Some(id("-g"))).expect("root gives folders away");
}
