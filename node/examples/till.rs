//! A till against the local API, with nothing but a socket: it sells, prints the receipt and shows what the day came to.
//!
//! `cargo run --example till -- FOLDER CENTS` beside a running `studiovault run --data FOLDER`. A sale is durable when the
//! answer comes, with or without a network; day, currency and receipt number are the node's.

use std::error::Error;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;

use serde_json::{Value, json};

/// A node as its data folder tells of it.
pub struct Till {
    address: String,
    token: String,
}

impl Till {
    pub fn open(folder: &Path) -> Result<Self, Box<dyn Error>> {
        let api: Value = serde_json::from_slice(&std::fs::read(folder.join("api.json"))?)?;
        let address = format!("127.0.0.1:{}", api["port"]);
        let token = std::fs::read_to_string(folder.join("api.token"))?;
        Ok(Self { address, token })
    }

    /// Sells and gives the number to print on the receipt.
    pub fn sell(&self, amount_cents: i64, items: i64) -> Result<String, Box<dyn Error>> {
        let fields = json!({"amount_cents": amount_cents, "items": items});
        let sale = json!({"type": "pos_order", "op": "create", "fields": fields});
        let sold = self.ask(
            "POST",
            "/tx",
            &json!({"actor": "till", "mutations": [sale]}).to_string(),
        )?;
        Ok(sold["receipts"][0].as_str().unwrap_or("-").to_owned())
    }

    pub fn totals(&self) -> Result<Value, Box<dyn Error>> {
        self.ask("GET", "/pos/totals", "")
    }

    fn ask(&self, method: &str, path: &str, body: &str) -> Result<Value, Box<dyn Error>> {
        let Self { address, token } = self;
        let mut socket = TcpStream::connect(address)?;
        write!(
            socket,
            "{method} /local/v1{path} HTTP/1.0\r\nHost: {address}\r\nAuthorization: Bearer {token}\r\n"
        )?;
        write!(
            socket,
            "Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )?;
        let mut answer = String::new();
        socket.read_to_string(&mut answer)?;
        let (head, body) = answer.split_once("\r\n\r\n").ok_or("no answer")?;
        let body: Value = serde_json::from_str(body)?;
        let done = head.split(' ').nth(1) == Some("200");
        if done {
            Ok(body)
        } else {
            Err(format!("{} {}", body["detail"], body["next_step"]).into())
        }
    }
}

pub fn main() -> Result<(), Box<dyn Error>> {
    let mut words = std::env::args().skip(1);
    let (Some(folder), Some(cents)) = (words.next(), words.next()) else {
        return Err("usage: till FOLDER CENTS".into());
    };
    let till = Till::open(Path::new(&folder))?;
    println!("receipt {}", till.sell(cents.parse()?, 1)?);
    println!("today   {} cents", till.totals()?["all"]["net_cents"]);
    Ok(())
}
