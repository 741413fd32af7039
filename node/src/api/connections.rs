//! How many connections the local API holds at once, and for how long it holds one on which nothing moves.
//!
//! Who connects has its first request's head to show soon: half-open connections hold their places for seconds only. The bound is shared by the ports of loopback, and the socket has as many
//! places of its own; above it a new connection is closed before its first byte is read, so a program
//! that opens connections without end keeps out others only for as long as it goes on.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::serve::Listener;
use studiovault_protocol::limits;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, Sleep};

/// A connection on which no byte came or went for this long is closed. Streams say something every 15 s, and a client that
/// keeps a connection for its next question opens another one.
const QUIET: Duration = Duration::from_millis(limits::API_QUIET_MS);
/// Within this the head of the first request is there.
const HEAD: Duration = Duration::from_millis(limits::API_HEAD_MS);
/// What ends a head.
const HEAD_END: &[u8] = b"\r\n\r\n";

/// The places that the listeners share.
#[derive(Clone, Debug)]
pub(super) struct Places(Arc<Semaphore>);

impl Places {
    /// As many as the local API has.
    pub fn new() -> Self {
        Self(Arc::new(Semaphore::new(limits::API_CONNECTIONS)))
    }
}

/// A listener behind the bound.
#[derive(Debug)]
pub(super) struct Bounded<L> {
    pub inner: L,
    pub places: Places,
}

impl<L: Listener> Listener for Bounded<L> {
    type Io = Placed<L::Io>;
    type Addr = L::Addr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            let (stream, from) = self.inner.accept().await;
            if let Ok(place) = self.places.0.clone().try_acquire_owned() {
                return (Placed::new(stream, place), from);
            }
            tracing::debug!("all connections of the local API are taken");
        }
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        self.inner.local_addr()
    }
}

/// A connection with its place.
#[derive(Debug)]
pub(super) struct Placed<T> {
    stream: T,
    quiet: Pin<Box<Sleep>>,
    /// Until the head of the first request is there.
    head: Option<Head>,
    _place: OwnedSemaphorePermit,
}

/// The head of a first request that is on its way.
#[derive(Debug)]
struct Head {
    due: Pin<Box<Sleep>>,
    /// So many bytes of [`HEAD_END`] were the last ones.
    matched: usize,
}

impl Head {
    /// Whether it ends within these bytes.
    fn ends_in(&mut self, bytes: &[u8]) -> bool {
        bytes.iter().any(|byte| {
            self.matched = match *byte {
                byte if byte == HEAD_END[self.matched] => self.matched + 1,
                b'\r' => 1,
                _ => 0,
            };
            self.matched == HEAD_END.len()
        })
    }
}

impl<T> Placed<T> {
    fn new(stream: T, place: OwnedSemaphorePermit) -> Self {
        let due = Box::pin(tokio::time::sleep(HEAD));
        Self {
            stream,
            quiet: Box::pin(tokio::time::sleep(QUIET)),
            head: Some(Head { due, matched: 0 }),
            _place: place,
        }
    }

    fn moved(&mut self) {
        self.quiet.as_mut().reset(Instant::now() + QUIET);
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Placed<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if let Some(head) = &mut self.head
            && head.due.as_mut().poll(context).is_ready()
        {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        let before = into.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(context, into);
        if read.is_ready() {
            self.moved();
            let news = &into.filled()[before..];
            if self.head.as_mut().is_some_and(|head| head.ends_in(news)) {
                self.head = None;
            }
            return read;
        }
        match self.quiet.as_mut().poll(context) {
            Poll::Ready(()) => Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
            Poll::Pending => Poll::Pending,
        }
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Placed<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        if written.is_ready() {
            self.moved();
        }
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    /// A connection whose limits are these, and its other end.
    fn connection(head: Duration) -> (Placed<tokio::io::DuplexStream>, tokio::io::DuplexStream) {
        let (here, there) = tokio::io::duplex(1024);
        let place = Arc::new(Semaphore::new(1)).try_acquire_owned();
        let mut placed = Placed::new(here, place.expect("a place"));
        placed.head = placed.head.map(|mut before| {
            before.due = Box::pin(tokio::time::sleep(head));
            before
        });
        (placed, there)
    }

    #[tokio::test]
    async fn who_connects_and_shows_no_whole_head_is_closed_however_slowly_it_goes_on() {
        for said in ["", "GET / HTTP/1.1\r\nHost: x\r\n"] {
            let (mut placed, mut there) = connection(Duration::from_millis(30));
            there
                .write_all(said.as_bytes())
                .await
                .expect("there is room");
            let mut heard = Vec::new();
            let ended = placed.read_to_end(&mut heard).await;
            let kind = ended.expect_err("it is closed").kind();
            assert_eq!(
                (kind, &heard[..]),
                (io::ErrorKind::TimedOut, said.as_bytes())
            );
        }
    }

    #[tokio::test]
    async fn after_its_first_head_a_connection_may_be_quiet() {
        let (mut placed, mut there) = connection(Duration::from_millis(30));
        for part in ["GET / HTTP/1.1\r\nHost: x\r", "\n\r", "\n"] {
            there
                .write_all(part.as_bytes())
                .await
                .expect("there is room");
            let mut bytes = [0; 64];
            let read = placed.read(&mut bytes).await.expect("it is read");
            assert_eq!(&bytes[..read], part.as_bytes());
        }
        let mut byte = [0; 1];
        let waited = tokio::time::timeout(Duration::from_millis(90), placed.read(&mut byte));
        assert!(waited.await.is_err(), "it waits for the next question");
    }

    #[test]
    fn the_end_of_a_head_is_found_wherever_it_is_cut() {
        let ends = |parts: &[&str]| {
            let (due, matched) = (Duration::from_secs(1), 0);
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build();
            let _inside = runtime.as_ref().expect("a runtime").enter();
            let due = Box::pin(tokio::time::sleep(due));
            let mut head = Head { due, matched };
            parts.iter().any(|part| head.ends_in(part.as_bytes()))
        };
        assert!(ends(&["a\r\n\r\n"]) && ends(&["a\r\n\r", "\nb"]) && ends(&["\r\r\n", "\r\n"]));
        assert!(!ends(&["a\r\nb\r\n"]) && !ends(&["\n\n"]) && !ends(&["\r\n", "x\r\n"]));
    }
}
