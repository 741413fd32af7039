//! Messages of a pairing over one TCP connection: a length, then the message; each with a limit of bytes and of time.

use std::time::Duration;

use studiovault_protocol::pairing::Message;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Why nothing more comes: the other side's, or the network's.
#[derive(Debug, thiserror::Error)]
pub enum ChannelError {
    /// The connection.
    #[error("the connection broke: {0}")]
    Broken(#[from] std::io::Error),
    /// Nothing came in time.
    #[error("nothing came for {0} s")]
    Silent(u64),
    /// Not a message of ours.
    #[error("the other side does not speak this pairing: update the older program")]
    Malformed,
}

/// One connection.
pub struct Channel(TcpStream);

impl Channel {
    /// Over an open connection.
    pub fn new(stream: TcpStream) -> Self {
        // Small messages, each waited for; without it they would still come.
        let _ = stream.set_nodelay(true);
        Self(stream)
    }

    /// Sends a message within 10 s.
    pub async fn send(&mut self, message: &Message) -> Result<(), ChannelError> {
        let bytes = postcard::to_stdvec(message).expect("wire types always encode");
        let length = u32::try_from(bytes.len()).map_err(|_| ChannelError::Malformed)?;
        let whole = [&length.to_le_bytes()[..], &bytes].concat();
        let sent = timeout(Duration::from_secs(10), self.0.write_all(&whole)).await;
        Ok(sent.map_err(|_| ChannelError::Silent(10))??)
    }

    /// The next message of at most `limit` bytes, within `seconds`.
    pub async fn receive(&mut self, limit: usize, seconds: u64) -> Result<Message, ChannelError> {
        let received = timeout(Duration::from_secs(seconds), self.read(limit)).await;
        received.map_err(|_| ChannelError::Silent(seconds))?
    }

    /// Ends when the other side is gone or speaks out of turn.
    pub async fn gone(&mut self) {
        // Nothing is due, so whatever comes ends the wait.
        let _ = self.0.read_u8().await;
    }

    async fn read(&mut self, limit: usize) -> Result<Message, ChannelError> {
        let length = self.0.read_u32_le().await? as usize;
        if length > limit {
            return Err(ChannelError::Malformed);
        }
        let mut bytes = vec![0; length];
        self.0.read_exact(&mut bytes).await?;
        match postcard::take_from_bytes(&bytes) {
            Ok((message, [])) => Ok(message),
            _ => Err(ChannelError::Malformed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::TcpListener;

    /// Golden vectors: how messages stand on the connection. What is in them has its own, in the protocol.
    #[tokio::test]
    async fn a_message_goes_out_behind_its_length_in_four_bytes_the_lowest_first() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("binds");
        let address = listener.local_addr().expect("has an address");
        let (near, far) = tokio::join!(TcpStream::connect(address), listener.accept());
        let mut sender = Channel::new(near.expect("connects"));
        let (mut far, _) = far.expect("is asked");
        let offer = Message::Offer {
            version: 1,
            plate: 7,
            half: vec![0xab; 258],
        };
        sender.send(&offer).await.expect("is sent");
        drop(sender);
        let mut bytes = Vec::new();
        far.read_to_end(&mut bytes).await.expect("is read");
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        // A length of 263, then the variant, the version, the plate, and 258 bytes behind their number.
        assert_eq!(hex, format!("070100000001078202{}", "ab".repeat(258)));
    }
}
