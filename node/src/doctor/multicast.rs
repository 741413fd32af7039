//! One question by multicast DNS on every adapter: does it go out, does it come back, and who else is heard?
//!
//! It asks for machines of any studio and says nothing of this one.

use std::collections::BTreeSet;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use socket2::{Domain, Protocol, SockAddr, Socket, Type};

use super::{Adapter, Ask, Multicast};

/// The group and port of multicast DNS over IPv4.
const GROUP: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 251);
const PORT: u16 = 5353;
/// Answers come within 120 ms (RFC 6762, 6), on Wi-Fi a little later.
const LISTENS: Duration = Duration::from_millis(1_200);
/// Adapters asked at most, and others told.
const MOST: usize = 16;
/// The service's name as labels, and the rest of the question: PTR, IN.
const QUESTION: &[u8] = b"\x0c_studiovault\x04_tcp\x05local\x00\x00\x0c\x00\x01";

/// Asks on every IPv4 adapter and listens for a moment.
pub(super) fn ask(adapters: &[Adapter]) -> Multicast {
    let own: Vec<(String, Ipv4Addr)> = adapters
        .iter()
        .filter_map(|adapter| match adapter.address {
            IpAddr::V4(ip) if !ip.is_loopback() => Some((format!("{} {ip}", adapter.name), ip)),
            _ => None,
        })
        .take(MOST)
        .collect();
    if own.is_empty() {
        return Multicast::NotTried("no adapter has an IPv4 address".into());
    }
    let socket = match socket() {
        Ok(socket) => socket,
        Err(error) => {
            return Multicast::NotTried(format!("UDP port {PORT} cannot be opened: {error}"));
        }
    };
    let mut asked = Vec::new();
    let mut questions = Vec::new();
    for (adapter, ip) in &own {
        let question = question();
        let sent = send(&socket, *ip, &question).map_err(|error| error.to_string());
        questions.push(question);
        asked.push(Ask {
            adapter: adapter.clone(),
            sent,
            came_back: false,
        });
    }
    let mut heard = BTreeSet::new();
    let end = Instant::now() + LISTENS;
    let socket = UdpSocket::from(socket);
    let mut datagram = [0; 9_000];
    while let Some(left) = end.checked_duration_since(Instant::now()) {
        let waits = socket.set_read_timeout(Some(left.max(Duration::from_millis(1))));
        let Ok((length, from)) = waits.and_then(|()| socket.recv_from(&mut datagram)) else {
            break;
        };
        let said = &datagram[..length];
        if let Some(at) = questions.iter().position(|question| question == said) {
            asked[at].came_back = true;
        } else if !adapters.iter().any(|own| own.address == from.ip()) && heard.len() < MOST {
            heard.insert(from.ip());
        }
    }
    let heard = heard.into_iter().collect();
    Multicast::Tried { asked, heard }
}

/// A socket beside those that other programs have on the port.
fn socket() -> io::Result<Socket> {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_reuse_address(true)?;
    #[cfg(unix)]
    socket.set_reuse_port(true)?;
    socket.set_multicast_loop_v4(true)?;
    socket.set_multicast_ttl_v4(255)?;
    let any = SocketAddr::from((Ipv4Addr::UNSPECIFIED, PORT));
    socket.bind(&SockAddr::from(any))?;
    Ok(socket)
}

fn send(socket: &Socket, from: Ipv4Addr, question: &[u8]) -> io::Result<()> {
    match socket.join_multicast_v4(&GROUP, &from) {
        // An adapter with several addresses has joined by the first.
        Err(error) if error.kind() != io::ErrorKind::AddrInUse => return Err(error),
        _ => {}
    }
    socket.set_multicast_if_v4(&from)?;
    let to = SocketAddr::from((GROUP, PORT));
    socket.send_to(question, &SockAddr::from(to)).map(drop)
}

/// A question with a number of its own, by which it is known when it comes back.
fn question() -> Vec<u8> {
    let mut number = [0; 2];
    // Without chance every question is the same, and all count as one.
    let _ = getrandom::fill(&mut number);
    let flags_and_counts = [0, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    [&number[..], &flags_and_counts, QUESTION].concat()
}
