//! One machine of the lab: a namespace, a cable to the bridge, and the processes that run on it.
//! Its cable can be pulled, made lossy, or made deaf to one other host; its processes keep running meanwhile.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use anyhow::{Context, Result};

use super::fault::Faults;
use super::namespace::Namespace;
use super::{Api, Hearing, Network, Process, agent, run};

/// The host's end of the cable; the bridge's end is `port<n>`.
const CABLE: &str = "eth0";

pub struct Host {
    name: String,
    number: u8,
    /// On the bridge; changes with the LAN and when it is given another one.
    address: Mutex<Ipv4Addr>,
    namespace: Namespace,
    network: Arc<Network>,
    faults: Mutex<Faults>,
    spawned: AtomicU32,
}

impl Host {
    pub(super) fn create(network: &Arc<Network>, name: &str) -> Result<Self> {
        let number = network.hosts.fetch_add(1, Ordering::Relaxed) + 1;
        let namespace = Namespace::create(
            network
                .bridge
                .name()
                .replace("-bridge", &format!("-{name}")),
        )?;
        let host = Host {
            name: name.to_owned(),
            number,
            address: Mutex::new(Ipv4Addr::new(10, 77, network.subnet, number)),
            namespace,
            network: Arc::clone(network),
            faults: Mutex::default(),
            spawned: AtomicU32::new(0),
        };
        host.plug_in()
            .with_context(|| format!("connecting host {name}"))?;
        Ok(host)
    }

    fn plug_in(&self) -> Result<()> {
        let (bridge, port) = (&self.network.bridge, self.port());
        let (own, hardware, address) = (self.namespace.name(), self.hardware(), self.address());
        bridge.ip(&format!(
            "link add {port} type veth peer name {CABLE} address {hardware} netns {own}"
        ))?;
        bridge.ip(&format!("link set {port} master br0 up"))?;
        self.namespace
            .ip(&format!("address add {address}/24 dev {CABLE}"))?;
        self.namespace.ip(&format!("link set {CABLE} up"))?;
        // There is no router, but without a default route multicast has no way out either.
        self.namespace
            .ip(&format!("route add default dev {CABLE}"))
            .map(drop)
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// The host's address on the bridge.
    pub fn address(&self) -> Ipv4Addr {
        *self.address.lock().expect("no holder of the lock panics")
    }

    /// Takes the address away and gives it another one, as a DHCP server may whose lease ran out.
    pub fn readdress(&self, last_byte: u8) -> Result<()> {
        let old = self.address();
        let [first, second, third, _] = old.octets();
        let new = Ipv4Addr::new(first, second, third, last_byte);
        self.namespace
            .ip(&format!("address del {old}/24 dev {CABLE}"))?;
        self.take_address(new)
    }

    /// Carries the machine to another LAN: another bridge, another subnet, no way back to the first.
    pub fn move_to(&self, lan: u8) -> Result<()> {
        let bridge = &self.network.bridge;
        self.make_lan(lan)?;
        self.cut()?;
        let old = self.address();
        self.namespace
            .ip(&format!("address del {old}/24 dev {CABLE}"))?;
        bridge.ip(&format!("link set {} master br{lan}", self.port()))?;
        self.restore()?;
        let subnet = self.network.subnet;
        self.take_address(Ipv4Addr::new(10, 77 + lan, subnet, self.number))
    }

    /// Plugs a second cable in, `eth1`, which leads to another LAN; the first one stays as it is.
    pub fn second_cable(&self, lan: u8) -> Result<()> {
        let (bridge, own) = (&self.network.bridge, self.namespace.name());
        self.make_lan(lan)?;
        let port = format!("second{}", self.number);
        bridge.ip(&format!(
            "link add {port} type veth peer name eth1 netns {own}"
        ))?;
        bridge.ip(&format!("link set {port} master br{lan} up"))?;
        let address = Ipv4Addr::new(10, 77 + lan, self.network.subnet, self.number);
        self.namespace
            .ip(&format!("address add {address}/24 dev eth1"))?;
        self.namespace.ip("link set eth1 up").map(drop)
    }

    fn make_lan(&self, lan: u8) -> Result<()> {
        let bridge = &self.network.bridge;
        if bridge.ip(&format!("link show br{lan}")).is_err() {
            bridge.ip(&format!("link add br{lan} type bridge mcast_snooping 0"))?;
            bridge.ip(&format!("link set br{lan} up"))?;
        }
        Ok(())
    }

    fn take_address(&self, address: Ipv4Addr) -> Result<()> {
        self.namespace
            .ip(&format!("address add {address}/24 dev {CABLE}"))?;
        // The route went with the address before.
        self.namespace
            .ip(&format!("route replace default dev {CABLE}"))?;
        *self.address.lock().expect("no holder of the lock panics") = address;
        Ok(())
    }

    /// A folder of the host's own, for the data of its processes.
    pub fn folder(&self) -> Result<PathBuf> {
        let folder = self.network.folder.join(&self.name);
        std::fs::create_dir_all(&folder)
            .with_context(|| format!("creating {}", folder.display()))?;
        Ok(folder)
    }

    /// Starts a process on this host; its output goes to a log file, and it is killed when the `Process` is dropped.
    pub fn spawn(&self, command: &Command) -> Result<Process> {
        let number = self.spawned.fetch_add(1, Ordering::Relaxed);
        let program = Path::new(command.get_program())
            .file_name()
            .unwrap_or_default();
        let log = format!("{}-{number}-{}.log", self.name, program.to_string_lossy());
        Process::start(self.inside(command), self.network.folder.join(log))
    }

    /// Runs a process on this host to its end and returns what it printed; an error if it failed.
    pub fn run(&self, command: &Command) -> Result<String> {
        run(&mut self.inside(command))
    }

    /// The command as it runs on this host, for those who start it themselves.
    pub fn inside(&self, command: &Command) -> Command {
        let mut inside = self.namespace.command(command.get_program());
        inside.args(command.get_args());
        for (key, value) in command.get_envs() {
            match value {
                Some(value) => inside.env(key, value),
                None => inside.env_remove(key),
            };
        }
        if let Some(folder) = command.get_current_dir() {
            inside.current_dir(folder);
        }
        inside
    }

    /// A client for what listens on a port of this host's loopback.
    pub fn api(&self, port: u16) -> Result<Api> {
        let socket = self
            .network
            .folder
            .join(format!("{}-{port}.sock", self.name));
        Api::new(
            agent::Forwarder::start(&self.namespace, socket, port)?,
            port,
        )
    }

    /// Sends `count` datagrams to an address or multicast group.
    pub fn say(&self, to: (Ipv4Addr, u16), count: u32) -> Result<()> {
        agent::say(&self.namespace, (self.address(), to), count)
    }

    /// Sends one datagram that says these words, for whoever listens on the way.
    pub fn tell(&self, to: (Ipv4Addr, u16), words: &str) -> Result<()> {
        let mut command = Command::new(super::lab_agent()?);
        command.args(["tell", &format!("{}:{}", to.0, to.1), words]);
        self.run(&command).map(drop)
    }

    /// Listens for datagrams at this host's address or at a multicast group; ready when this returns.
    pub fn hear(&self, on: (Ipv4Addr, u16)) -> Result<Hearing> {
        Hearing::start(&self.namespace, self.address(), on)
    }

    /// Pulls the cable: both ends see the link go down.
    pub fn cut(&self) -> Result<()> {
        self.network
            .bridge
            .ip(&format!("link set {} down", self.port()))
            .map(drop)
    }

    /// Plugs the cable in again.
    pub fn restore(&self) -> Result<()> {
        self.network
            .bridge
            .ip(&format!("link set {} up", self.port()))
            .map(drop)
    }

    /// Loses that share of the frames, in each direction; 0 heals.
    pub fn loss(&self, percent: u8) -> Result<()> {
        let mut faults = self.faults.lock().expect("no holder of the lock panics");
        faults.loss_percent = percent;
        self.namespace.nft(&faults.script(CABLE))?;
        let outward = Faults {
            loss_percent: percent,
            ..Faults::default()
        };
        self.network.bridge.nft(&outward.script(&self.port()))
    }

    /// Drops whatever this host sends to `other`, multicast too; what `other` sends still arrives.
    pub fn drop_to(&self, other: &Host) -> Result<()> {
        other.change_deafness(|deaf_to| deaf_to.push(self.hardware()))
    }

    /// Ends what [`Host::drop_to`] began.
    pub fn deliver_to(&self, other: &Host) -> Result<()> {
        other.change_deafness(|deaf_to| deaf_to.retain(|hardware| *hardware != self.hardware()))
    }

    fn change_deafness(&self, change: impl FnOnce(&mut Vec<String>)) -> Result<()> {
        let mut faults = self.faults.lock().expect("no holder of the lock panics");
        change(&mut faults.deaf_to);
        self.namespace.nft(&faults.script(CABLE))
    }

    /// Bytes this host has put on its cable since it exists, frames and headers included.
    pub fn bytes_sent(&self) -> Result<u64> {
        let text = self.namespace.ip(&format!("-s -j link show {CABLE}"))?;
        let links: serde_json::Value = serde_json::from_str(&text)?;
        links[0]["stats64"]["tx"]["bytes"]
            .as_u64()
            .context("ip shows no counter of sent bytes")
    }

    /// The bridge's end of the cable.
    fn port(&self) -> String {
        format!("port{}", self.number)
    }

    fn hardware(&self) -> String {
        format!(
            "02:77:00:00:{:02x}:{:02x}",
            self.network.subnet, self.number
        )
    }
}
