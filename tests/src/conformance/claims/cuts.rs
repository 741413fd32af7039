//! Requests whose connection is cut.

use anyhow::{Context, Result, ensure};
use studiovault_protocol::cloud::{MEDIA_TYPE, PROOF_HEADER};
use studiovault_protocol::command::Op;
use studiovault_protocol::id::EntityId;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use uuid::Uuid;

use crate::conformance::Client;

/// Cuts requests at many points and sends each of them whole at last: everything is there, once. Over plain HTTP, since the
/// runner cuts the connection itself.
pub async fn cut(client: &mut Client) -> Result<()> {
    let Some(host) = client.base.strip_prefix("http://").map(str::to_owned) else {
        return Ok(());
    };
    for number in 0..10_u64 {
        let entity = EntityId(Uuid::new_v4().into_bytes());
        let bundle = client
            .machine
            .write(Op::Create, entity, &format!("Client {number}"));
        let request = client.request(vec![bundle]);
        let body = postcard::to_stdvec(&request)?;
        let head = format!(
            "POST /v1/sync/batch HTTP/1.1\r\nhost: {host}\r\nauthorization: Bearer {}\r\n{PROOF_HEADER}: {}\r\ncontent-type: {MEDIA_TYPE}\r\ncontent-length: {}\r\n\r\n",
            client.machine_token,
            client.proof("/sync/batch"),
            body.len()
        );
        let whole = [head.as_bytes(), &body].concat();
        // From the first byte to the whole request without an answer read.
        let upto = whole.len() * usize::try_from(number + 1)? / 10;
        let mut stream = TcpStream::connect(&host).await.context("connects")?;
        stream.write_all(&whole[..upto]).await?;
        drop(stream);
        let answer = client.send(&request).await?;
        ensure!(
            answer.refused.is_empty() && answer.gaps.is_empty(),
            "{answer:?}"
        );
    }
    let summary = client.summary().await?;
    ensure!(
        summary["commands"] == 10 && summary["confirmed"] == 10,
        "{summary}"
    );
    Ok(())
}
