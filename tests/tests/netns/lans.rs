//! LANs as they are: several adapters that come and go, virtual ones with the same address everywhere, IPv6 alone, several studios
//! and several nodes on one machine, and networks that swallow multicast.

use std::collections::BTreeSet;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use studiovault_lab::lab::{Host, Lab, Machine, Studio, eventually, within};

/// Longer than a machine takes between two looks at its adapters.
const ROUND: Duration = Duration::from_millis(2_500);
const SOON: Duration = Duration::from_secs(20);

/// Runs `ip` on a host; the arguments are split at spaces.
fn ip(host: &Host, arguments: &str) -> Result<()> {
    let mut command = Command::new("ip");
    host.run(command.args(arguments.split(' '))).map(drop)
}

/// An adapter that leads nowhere, as containers and VPNs make them.
fn virtual_adapter(host: &Host, name: &str, address: &str) -> Result<()> {
    let far = format!("{name}-far");
    ip(host, &format!("link add {name} type veth peer name {far}"))?;
    ip(host, &format!("address add {address} dev {name}"))?;
    ip(host, &format!("link set {name} up"))?;
    ip(host, &format!("link set {far} up"))
}

/// Multicast DNS neither leaves these hosts nor comes in.
fn swallow_multicast(hosts: &[&Host]) -> Result<()> {
    for host in hosts {
        let chain = |hook: &str| {
            format!("chain {hook} {{ type filter hook {hook} priority 0; udp dport 5353 drop; }};")
        };
        let script = format!(
            "table inet deaf {{ {} {} }}",
            chain("input"),
            chain("output")
        );
        host.run(Command::new("nft").arg(script))?;
    }
    Ok(())
}

/// Over which address a machine is linked with its only peer.
fn over(machine: &Machine) -> Result<String> {
    let peers = machine.status()?.peers;
    ensure!(peers.len() == 1, "{peers:?}");
    Ok(peers[0].address.clone())
}

/// Where a machine listens, on its own loopback.
fn port(machine: &Machine) -> Result<String> {
    let listening = || machine.status().ok()?.node.listening.first().cloned();
    let (first, _) = eventually("it listens", SOON, listening)?;
    let port = first.rsplit(':').next().context("a port")?;
    Ok(port.to_owned())
}

#[test]
fn virtual_adapters_and_a_second_cable_come_and_go_and_the_link_stays_or_is_back() {
    Lab::test("adapters", |lab| {
        let studio = Studio::without_cloud(lab, &["front", "laptop"])?;
        let [front, laptop] = &studio.machines[..] else {
            unreachable!("two machines")
        };
        // The same address on both, as containers and VPNs have them.
        for machine in [front, laptop] {
            machine.quit()?;
            virtual_adapter(&machine.host, "docker0", "172.17.0.1/16")?;
            virtual_adapter(&machine.host, "tun0", "10.8.0.2/24")?;
        }
        for machine in [front, laptop] {
            machine.spawn()?;
        }
        front.ready()?;
        laptop.ready()?;
        let took = studio.linked(SOON)?;
        within(
            "among virtual adapters, linked",
            took,
            Duration::from_secs(5),
        )?;
        let wire = laptop.host.address().to_string();
        ensure!(over(front)?.starts_with(&wire), "{}", over(front)?);
        // Both dialled at their start: of links that crossed one is closed by now.
        std::thread::sleep(ROUND);
        let opened = studio.links_opened()?;
        for machine in [front, laptop] {
            ip(&machine.host, "link del docker0")?;
            virtual_adapter(&machine.host, "wg0", "10.9.0.7/32")?;
            machine.host.second_cable(2)?;
        }
        front.create("While adapters come and go")?;
        studio.together(1, SOON)?;
        std::thread::sleep(ROUND);
        let more = studio.links_opened()? - opened;
        ensure!(more == 0, "the link stood, and {more} ends of others came");
        front.host.cut()?;
        laptop.host.cut()?;
        let pulled = Instant::now();
        let second = || {
            let address = over(front).ok()?;
            (!address.starts_with(&wire)).then_some(address)
        };
        let (address, _) = eventually("the second cable is used", SOON, second)?;
        println!("    first cable pulled: linked over {address}");
        within(
            "first cable pulled, dead link noticed and linked over the second",
            pulled.elapsed(),
            Duration::from_secs(5),
        )
    });
}

#[test]
fn ipv6_alone_links_over_a_routable_address_and_never_over_link_local() {
    Lab::test("ipv6", |lab| {
        let studio = Studio::without_cloud(lab, &["desk", "laptop"])?;
        for (number, machine) in (1..).zip(&studio.machines) {
            machine.quit()?;
            let old = machine.host.address();
            ip(&machine.host, &format!("address del {old}/24 dev eth0"))?;
            let new = format!("address add 2001:db8:77::{number}/64 dev eth0 nodad");
            ip(&machine.host, &new)?;
            std::fs::remove_file(machine.folder().join("addresses.json"))?;
        }
        for machine in &studio.machines {
            machine.spawn()?;
        }
        for machine in &studio.machines {
            machine.ready()?;
        }
        let took = studio.linked(SOON)?;
        within("with IPv6 alone, linked", took, Duration::from_secs(5))?;
        for machine in &studio.machines {
            let address = over(machine)?;
            println!("    {} is linked over {address}", machine.name());
            ensure!(address.starts_with("[2001:db8:77::"), "{address}");
        }
        studio.machines[0].create("Silva")?;
        studio.together(1, SOON).map(drop)
    });
}

#[test]
fn several_studios_and_several_nodes_of_one_machine_do_not_mix_and_each_pair_has_one_link() {
    Lab::test("crossed", |lab| {
        let studio = Studio::without_cloud(lab, &["desk", "laptop"])?;
        let [desk, laptop] = &studio.machines[..] else {
            unreachable!("two machines")
        };
        let till = desk.beside("till")?;
        till.recover(&studio.kit)?;
        let (theirs, kit) = (desk.beside("other-desk")?, lab.folder().join("other.kit"));
        let kit_path = kit.to_string_lossy().into_owned();
        theirs.command(&[
            "init",
            "--name",
            "other-desk",
            "--studio-name",
            "Other",
            "--kit",
            &kit_path,
        ])?;
        let visitor = laptop.beside("visitor")?;
        visitor.recover(&kit)?;
        for machine in [&till, &theirs, &visitor] {
            machine.spawn()?;
        }
        let linked = |machine: &Machine, expected: &[&str]| {
            let peers = machine.status().ok()?.peers;
            let names: BTreeSet<&str> = peers.iter().map(|peer| peer.name.as_str()).collect();
            let only = peers.len() == expected.len() && names.iter().eq(expected);
            only.then_some(())
        };
        let apart = || {
            linked(desk, &["laptop", "till"])?;
            linked(laptop, &["desk", "till"])?;
            linked(&till, &["desk", "laptop"])?;
            linked(&theirs, &["visitor"])?;
            linked(&visitor, &["other-desk"])
        };
        let (_, took) = eventually("each has its own studio's machines", SOON, apart)?;
        println!("    five nodes of two studios on two hosts, linked after {took:?}");
        desk.create("Ours")?;
        visitor.create("Theirs")?;
        let commands = |machine: &Machine| Some(machine.status().ok()?.counts.commands);
        let nodes = [desk, laptop, &till, &theirs, &visitor];
        eventually("each holds its own studio's", SOON, || {
            let all = nodes.iter().all(|machine| commands(machine) == Some(1));
            all.then_some(())
        })?;
        let opened: Result<u64> = nodes.iter().map(|m| Ok(m.status()?.lan.links_opened)).sum();
        println!("    4 pairs: {} ends of links opened", opened?);
        ensure!(apart().is_some(), "it did not stay so");
        Ok(())
    });
}

#[test]
fn where_multicast_is_swallowed_a_restarted_machine_dials_those_it_met_last() {
    Lab::test("remembered", |lab| {
        let studio = Studio::without_cloud(lab, &["desk", "laptop"])?;
        studio.linked(SOON)?;
        let [desk, laptop] = &studio.machines[..] else {
            unreachable!("two machines")
        };
        swallow_multicast(&[&desk.host, &laptop.host])?;
        let asked = Instant::now();
        laptop.quit()?;
        eventually("the goodbye is heard", SOON, || {
            desk.status().ok()?.peers.is_empty().then_some(())
        })?;
        within(
            "asked to end, and missed by the other",
            asked.elapsed(),
            Duration::from_secs(1),
        )?;
        laptop.start()?;
        let limit = Duration::from_secs(2);
        within("one restarted, linked", studio.linked(SOON)?, limit)?;
        for machine in [desk, laptop] {
            machine.kill()?;
        }
        for machine in [desk, laptop] {
            machine.start()?;
        }
        within(
            "both killed and restarted, linked",
            studio.linked(SOON)?,
            limit,
        )?;
        laptop.host.readdress(203)?;
        let moved = Instant::now();
        desk.create("Written after the move")?;
        studio.together(1, SOON)?;
        within(
            "another address, together",
            moved.elapsed(),
            Duration::from_secs(3),
        )
    });
}

#[test]
fn without_any_adapter_two_nodes_of_one_machine_meet_and_a_peer_is_named_by_host_name() {
    Lab::test("loopback", |lab| {
        let studio = Studio::without_cloud(lab, &["desk"])?;
        let desk = &studio.machines[0];
        desk.quit()?;
        ip(&desk.host, "link del eth0")?;
        desk.start()?;
        let mut till = desk.beside("till")?;
        till.recover(&studio.kit)?;
        till.with_argument("--peer");
        till.with_argument(&format!("localhost:{}", port(desk)?));
        till.start()?;
        let met = || (till.status().ok()?.peers.len() == 1).then_some(());
        let (_, took) = eventually("they are linked", SOON, met)?;
        within("over loopback, linked", took, Duration::from_secs(3))?;
        let id = till.create("Over loopback")?;
        eventually("it is there", SOON, || desk.entity("client", id).ok()?).map(drop)
    });
}
