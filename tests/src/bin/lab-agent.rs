//! What the lab runs inside a network namespace: a forwarder to a port there, and a datagram speaker and listener.
//! It ends when its standard input does, so it never outlives the lab that started it.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, SocketAddrV4, TcpListener, TcpStream, UdpSocket};
use std::path::PathBuf;

use clap::Parser;
use studiovault_lab::flood;

#[derive(Parser)]
enum Task {
    /// Forward every connection to a Unix socket to a port of this namespace's loopback.
    Forward { socket: PathBuf, port: u16 },
    /// Send numbered datagrams from one of this namespace's addresses.
    Say {
        from: Ipv4Addr,
        to: SocketAddrV4,
        count: u32,
    },
    /// Send one datagram with these words.
    Tell { to: SocketAddrV4, words: String },
    /// Flood a machine's mesh with what makes no sense; past the handshake if a member's folder is given.
    Flood {
        victim: SocketAddr,
        count: u64,
        #[arg(long)]
        member: Option<PathBuf>,
    },
    /// Print one line for every datagram that arrives at an address or a multicast group.
    Hear { at: Ipv4Addr, on: SocketAddrV4 },
    /// Answer every HTTP request on a loopback port with what it asked, for the lab's own tests.
    Echo {
        port: u16,
        /// At every address, not on loopback alone.
        #[arg(long)]
        everywhere: bool,
    },
}

fn main() -> io::Result<()> {
    match Task::parse() {
        Task::Forward { socket, port } => {
            std::thread::spawn(end_with_the_lab);
            forward(&socket, port)
        }
        Task::Hear { at, on } => {
            std::thread::spawn(end_with_the_lab);
            hear(at, on)
        }
        Task::Echo { port, everywhere } => {
            let loopback = (!everywhere).then_some(Ipv4Addr::LOCALHOST);
            echo(loopback.unwrap_or(Ipv4Addr::UNSPECIFIED), port)
        }
        Task::Say { from, to, count } => say(from, to, count),
        Task::Tell { to, words } => {
            let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
            socket.send_to(words.as_bytes(), to).map(drop)
        }
        Task::Flood {
            victim,
            count,
            member,
        } => flood(victim, count, member.as_deref()).map_err(io::Error::other),
    }
}

fn end_with_the_lab() {
    let _ended_or_broken = io::copy(&mut io::stdin(), &mut io::sink());
    std::process::exit(0);
}

fn report(line: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{line}")?;
    out.flush()
}

fn flood(victim: SocketAddr, count: u64, member: Option<&std::path::Path>) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let flooded = match member {
        None => runtime.block_on(flood::before_the_handshake(victim, count))?,
        Some(folder) => {
            let keys = flood::keys_of(folder)?;
            runtime.block_on(flood::past_the_handshake(victim, keys, count))?
        }
    };
    report(&serde_json::to_string(&flooded)?)?;
    Ok(())
}

fn say(from: Ipv4Addr, to: SocketAddrV4, count: u32) -> io::Result<()> {
    let socket = UdpSocket::bind((from, 0))?;
    for number in 0..count {
        socket.send_to(&number.to_le_bytes(), to)?;
        if number % 50 == 49 {
            // A receiver's queue holds a few hundred datagrams; what it drops would be counted as loss.
            std::thread::sleep(std::time::Duration::from_millis(2));
        }
    }
    Ok(())
}

fn hear(at: Ipv4Addr, on: SocketAddrV4) -> io::Result<()> {
    let socket = UdpSocket::bind(on)?;
    if on.ip().is_multicast() {
        socket.join_multicast_v4(on.ip(), &at)?;
    }
    report("ready")?;
    let mut datagram = [0; 4];
    loop {
        socket.recv_from(&mut datagram)?;
        report(&u32::from_le_bytes(datagram).to_string())?;
    }
}

#[cfg(unix)]
fn forward(socket: &std::path::Path, port: u16) -> io::Result<()> {
    let listener = std::os::unix::net::UnixListener::bind(socket)?;
    report("ready")?;
    for incoming in listener.incoming() {
        let near = incoming?;
        std::thread::spawn(move || {
            // Nobody listens: dropping `near` closes the connection, which the caller reports.
            let Ok(far) = TcpStream::connect((Ipv4Addr::LOCALHOST, port)) else {
                return;
            };
            let Ok((near_too, far_too)) = near
                .try_clone()
                .and_then(|near| Ok((near, far.try_clone()?)))
            else {
                return;
            };
            let back = std::thread::spawn(move || {
                pour(far_too, &near_too);
                let _closed_already = near_too.shutdown(Shutdown::Write);
            });
            pour(near, &far);
            let _closed_already = far.shutdown(Shutdown::Write);
            let _panicked = back.join();
        });
    }
    Ok(())
}

#[cfg(not(unix))]
fn forward(_socket: &std::path::Path, _port: u16) -> io::Result<()> {
    Err(io::Error::other("the lab needs Linux"))
}

/// Copies until one side ends, without waiting for a buffer to fill.
fn pour(mut from: impl Read, mut to: impl Write) {
    let mut buffer = [0; 16 * 1024];
    while let Ok(length) = from.read(&mut buffer) {
        if length == 0 || to.write_all(&buffer[..length]).is_err() {
            return;
        }
    }
}

fn echo(at: Ipv4Addr, port: u16) -> io::Result<()> {
    for incoming in TcpListener::bind((at, port))?.incoming() {
        let stream = incoming?;
        std::thread::spawn(move || {
            let mut requests = BufReader::new(&stream);
            // A request that is cut short ends its connection, and nothing else.
            while let Ok(Some(request)) = read_request(&mut requests) {
                let text = request.to_string() + "\n";
                let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", text.len());
                let _reader_gone = (&stream).write_all((head + &text).as_bytes());
            }
        });
    }
    Ok(())
}

/// The next request of a connection as JSON; `None` when the connection is over.
fn read_request(from: &mut impl BufRead) -> io::Result<Option<serde_json::Value>> {
    let mut line = String::new();
    if from.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let path = line.split(' ').nth(1).unwrap_or_default().to_owned();
    let (mut length, mut authorization) = (0, String::new());
    loop {
        line.clear();
        from.read_line(&mut line)?;
        match line.trim().split_once(": ") {
            None => break,
            Some(("content-length", value)) => length = value.parse().unwrap_or(0),
            Some(("authorization", value)) => authorization = value.to_owned(),
            Some(_) => {}
        }
    }
    let mut body = vec![0; length];
    from.read_exact(&mut body)?;
    let body = String::from_utf8_lossy(&body);
    Ok(Some(
        serde_json::json!({ "path": path, "authorization": authorization, "body": body }),
    ))
}
