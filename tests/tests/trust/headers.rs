//! Every way to ask the local API that is not a program of this machine with the token, over real sockets, byte by byte.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpStream};
use std::time::Duration;

use serde_json::json;
use studiovault_lab::served::Served;
use studiovault_protocol::limits::API_CONNECTIONS;

/// Sends these bytes and reads until the other side closes or answered whole; the first line's status, and everything.
fn asked(mut stream: impl std::io::Read + std::io::Write, request: &str) -> (u16, String) {
    stream.write_all(request.as_bytes()).expect("is sent");
    let mut answer = Vec::new();
    let mut part = [0; 4096];
    while let Ok(more @ 1..) = stream.read(&mut part) {
        answer.extend_from_slice(&part[..more]);
        let text = String::from_utf8_lossy(&answer);
        let Some((head, body)) = text.split_once("\r\n\r\n") else {
            continue;
        };
        let told = head.lines().find_map(|line| {
            let (name, value) = line.split_once(": ")?;
            name.eq_ignore_ascii_case("content-length").then_some(value)
        });
        if told.and_then(|length| length.parse().ok()) == Some(body.len()) {
            break;
        }
    }
    let text = String::from_utf8_lossy(&answer).into_owned();
    let status = text
        .split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok());
    (status.unwrap_or(0), text)
}

fn connect(served: &Served) -> TcpStream {
    let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, served.api.endpoint.port));
    let stream = stream.expect("connects");
    let patience = Some(Duration::from_secs(20));
    stream.set_read_timeout(patience).expect("a timeout");
    stream
}

/// One row: what is asked, and the status and code that must come.
struct Row(&'static str, String, u16, &'static str);

/// A request of a machine that has the token, with this line of the request and these headers in the place of the host's.
fn with_token(line: &str, host: &str, token: &str, more: &str) -> String {
    format!("{line}\r\n{host}Authorization: Bearer {token}\r\n{more}\r\n")
}

const STATUS: &str = "GET /local/v1/status HTTP/1.1";

/// Hosts: ours under each of its names, and everything that only looks like it.
fn hosts(port: u16, token: &str) -> Vec<Row> {
    let mut rows = Vec::new();
    for (host, status) in [
        (format!("127.0.0.1:{port}"), 200),
        (format!("localhost:{port}"), 200),
        (format!("LocalHost:{port}"), 200),
        (format!("[::1]:{port}"), 200),
        ("127.0.0.1".into(), 403),
        ("localhost".into(), 403),
        (format!("127.0.0.1:{}", port ^ 1), 403),
        (format!("localhost.:{port}"), 403),
        (format!("evil.example:{port}"), 403),
        (format!("127.0.0.1.evil.example:{port}"), 403),
        (format!("localhost.evil.example:{port}"), 403),
        (format!("7f000001.7f000001.rbndr.us:{port}"), 403),
        (format!("127.0.0.1:{port}.evil.example"), 403),
        (format!("evil.example@127.0.0.1:{port}"), 403),
        (format!("127.0.0.1:{port}@evil.example"), 403),
        (format!("0.0.0.0:{port}"), 403),
        (format!("127.1:{port}"), 403),
        (format!("2130706433:{port}"), 403),
        (format!("[::ffff:127.0.0.1]:{port}"), 403),
        (format!("[::]:{port}"), 403),
        (format!("127.0.0.1:{port}, evil.example"), 403),
        (String::new(), 403),
    ] {
        let code = if status == 200 { "" } else { "FOREIGN_HOST" };
        let request = with_token(STATUS, &format!("Host: {host}\r\n"), token, "");
        rows.push(Row("host", request, status, code));
    }
    let ours = format!("Host: 127.0.0.1:{port}\r\n");
    let twice = format!("{ours}Host: evil.example\r\n");
    for (what, line, host) in [
        ("no host", STATUS, String::new()),
        (
            "no host in 1.0",
            "GET /local/v1/status HTTP/1.0",
            String::new(),
        ),
        ("two hosts", STATUS, twice),
        ("our host twice", STATUS, format!("{ours}{ours}")),
        (
            "an address that names another host",
            "GET http://evil.example/local/v1/status HTTP/1.1",
            ours.clone(),
        ),
    ] {
        rows.push(Row(
            what,
            with_token(line, &host, token, ""),
            403,
            "FOREIGN_HOST",
        ));
    }
    rows
}

/// What browsers send, with the right host and even the right token.
fn browsers(port: u16, token: &str) -> Vec<Row> {
    let host = format!("Host: 127.0.0.1:{port}\r\n");
    let mut rows = Vec::new();
    for header in [
        "Origin: http://evil.example".to_owned(),
        format!("Origin: http://127.0.0.1:{port}"),
        format!("Origin: http://localhost:{port}"),
        "Origin: null".to_owned(),
        "Origin: ".to_owned(),
        "Origin: file://".to_owned(),
        "Origin: chrome-extension://abcdef".to_owned(),
        "Sec-Fetch-Site: cross-site".to_owned(),
        "Sec-Fetch-Site: same-origin".to_owned(),
        "Sec-Fetch-Site: none".to_owned(),
        "Upgrade: websocket\r\nConnection: Upgrade\r\nOrigin: http://evil.example".to_owned(),
    ] {
        let request = with_token(STATUS, &host, token, &format!("{header}\r\n"));
        rows.push(Row("a browser's header", request, 403, "WEB_PAGE"));
    }
    let preflight = "Access-Control-Request-Method: POST\r\nAccess-Control-Request-Headers: authorization,content-type\r\nAccess-Control-Request-Private-Network: true\r\n";
    for (line, origin) in [
        (
            "OPTIONS /local/v1/tx HTTP/1.1",
            "Origin: http://evil.example\r\n",
        ),
        ("OPTIONS /local/v1/tx HTTP/1.1", ""),
        ("OPTIONS * HTTP/1.1", "Origin: http://evil.example\r\n"),
    ] {
        let request = format!("{line}\r\n{host}{origin}{preflight}\r\n");
        rows.push(Row("a preflight", request, 403, "WEB_PAGE"));
    }
    rows
}

/// Tokens that are none, wherever they stand.
fn tokens(port: u16, token: &str) -> Vec<Row> {
    let host = format!("Host: localhost:{port}\r\n");
    let half = &token[..token.len() / 2];
    let ask = |line: &str, headers: &str| format!("{line}\r\n{host}{headers}\r\n");
    let mut rows = Vec::new();
    for header in [
        String::new(),
        "Authorization: Bearer \r\n".into(),
        format!("Authorization: Bearer {half}\r\n"),
        format!("Authorization: Bearer {token}0\r\n"),
        format!("Authorization: Bearer  {token}\r\n"),
        format!(
            "Authorization: Bearer {}\r\n",
            token.replace(&token[..1], "x")
        ),
        format!("Authorization: Basic {token}\r\n"),
        format!("Authorization: {token}\r\n"),
        format!("Authorization: Bearer guess\r\nAuthorization: Bearer {token}\r\n"),
        format!("Authorization: Bearer {token}\r\nAuthorization: Bearer {token}\r\n"),
        format!("X-Api-Token: {token}\r\n"),
        format!("Cookie: token={token}\r\n"),
        format!("Proxy-Authorization: Bearer {token}\r\n"),
    ] {
        rows.push(Row("no token", ask(STATUS, &header), 401, "NO_TOKEN"));
    }
    for name in ["token", "access_token", "authorization"] {
        let line = format!("GET /local/v1/status?{name}={token} HTTP/1.1");
        rows.push(Row(
            "a token in the address",
            ask(&line, ""),
            401,
            "NO_TOKEN",
        ));
    }
    for path in [
        "/metrics",
        "/openapi.json",
        "/local/v1/nowhere",
        "/",
        "//local/v1/status",
    ] {
        let line = format!("GET {path} HTTP/1.1");
        rows.push(Row("nothing is open", ask(&line, ""), 401, "NO_TOKEN"));
    }
    rows
}

/// Bodies that a form of a web page could send, and methods that are not there.
fn bodies(port: u16, token: &str) -> Vec<Row> {
    let host = format!("Host: [::1]:{port}\r\n");
    let mut rows = Vec::new();
    for kind in [
        "",
        "Content-Type: text/plain\r\n",
        "Content-Type: application/x-www-form-urlencoded\r\n",
        "Content-Type: multipart/form-data; boundary=x\r\n",
        "Content-Type: application/jsonp\r\n",
        "Content-Type: text/plain, application/json\r\n",
        "Content-Type: application/json\r\nContent-Type: text/plain\r\n",
    ] {
        for line in [
            "POST /local/v1/tx HTTP/1.1",
            "PUT /local/v1/policy HTTP/1.1",
        ] {
            let request = with_token(line, &host, token, &format!("{kind}Content-Length: 0\r\n"));
            rows.push(Row("a form", request, 415, "NOT_JSON"));
        }
    }
    let json = "Content-Type: application/json\r\nContent-Length: 0\r\n";
    for method in ["DELETE", "PATCH", "PUT"] {
        let line = format!("{method} /local/v1/tx HTTP/1.1");
        let request = with_token(&line, &host, token, json);
        rows.push(Row("another method", request, 405, "WRONG_METHOD"));
    }
    let line = "OPTIONS /local/v1/tx HTTP/1.1";
    let request = with_token(line, &host, token, "");
    rows.push(Row("a program's OPTIONS", request, 405, "WRONG_METHOD"));
    rows
}

#[tokio::test(flavor = "multi_thread")]
async fn the_whole_matrix_of_hosts_origins_tokens_and_bodies_ends_as_it_must() {
    let served = Served::start().await;
    let (port, token) = (served.api.endpoint.port, served.token.clone());
    let mut rows = hosts(port, &token);
    rows.extend(browsers(port, &token));
    rows.extend(tokens(port, &token));
    rows.extend(bodies(port, &token));
    assert!(rows.len() >= 80, "{} rows", rows.len());
    for Row(what, request, status, code) in rows {
        let (told, answer) = asked(connect(&served), &request);
        assert_eq!(told, status, "{what}: {request}\n{answer}");
        let lower = answer.to_lowercase();
        assert!(!lower.contains("access-control-allow"), "{what}: {answer}");
        assert!(answer.contains(code), "{what}: {request}\n{answer}");
        assert!(
            !answer.contains(&token),
            "{what}: the token comes back\n{answer}"
        );
    }
    println!("the matrix holds");
    served.stop().await;
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn the_socket_is_its_owners_alone_and_asks_for_the_token_as_well() {
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::net::UnixStream;
    let served = Served::start().await;
    let path = served.api.endpoint.socket.clone().expect("a socket");
    let mode = std::fs::metadata(&path)
        .expect("is there")
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600, "{mode:o}");
    let connect = || {
        let stream = UnixStream::connect(&path).expect("connects");
        let patience = Some(Duration::from_secs(20));
        stream.set_read_timeout(patience).expect("a timeout");
        stream
    };
    let bearer = format!("Authorization: Bearer {}\r\n", served.token);
    for (headers, status) in [
        (format!("Host: studio\r\n{bearer}"), 200),
        ("Host: studio\r\n".into(), 401),
        (format!("Host: studio\r\n{bearer}Origin: null\r\n"), 403),
    ] {
        let (told, answer) = asked(connect(), &format!("{STATUS}\r\n{headers}\r\n"));
        assert_eq!(told, status, "{headers}\n{answer}");
    }
    served.stop().await;
    assert!(!path.exists(), "a socket that nobody serves stays");
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_above_the_bound_are_closed_unread_and_leave_what_stands_alone() {
    let served = Served::start().await;
    let host = format!("Host: 127.0.0.1:{}\r\n", served.api.endpoint.port);
    let question = with_token(STATUS, &host, &served.token, "");
    let mut first = connect(&served);
    assert_eq!(asked(&mut first, &question).0, 200);
    let idle: Vec<TcpStream> = (1..API_CONNECTIONS).map(|_| connect(&served)).collect();
    // The last of them has its place once it is answered.
    assert_eq!(asked(idle.last().expect("some"), &question).0, 200);
    for _ in 0..50 {
        assert_eq!(
            asked_or_closed(&served, &question),
            0,
            "one too many is served"
        );
    }
    assert_eq!(
        asked(&mut first, &question).0,
        200,
        "who was there first is cut off"
    );
    drop(idle);
    let mut status = 0;
    while status != 200 {
        status = asked_or_closed(&served, &question);
    }
    let (_, note) = asked(
        &mut first,
        &with_token("POST /local/v1/tx HTTP/1.1", &host, &served.token, &write()),
    );
    assert!(note.contains("\"ids\""), "{note}");
    served.stop().await;
}

/// The status, or 0 if the connection is closed unread.
fn asked_or_closed(served: &Served, question: &str) -> u16 {
    let mut stream = connect(served);
    if stream.write_all(question.as_bytes()).is_err() {
        return 0;
    }
    let mut part = [0; 64];
    let read = stream.read(&mut part).unwrap_or(0);
    let text = String::from_utf8_lossy(&part[..read]).into_owned();
    text.split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok())
        .unwrap_or(0)
}

fn write() -> String {
    let body =
        json!({"mutations": [{"type": "client", "op": "create", "fields": {"name": "Silva"}}]});
    let body = body.to_string();
    // The blank line that ends the headers comes before the body.
    format!(
        "Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}
