//! How many connections the local API holds at once, and for how long it holds one on which nothing moves.
//!
//! The bound is shared by all of its listeners; above it a new connection is closed before its first byte is read, so a program
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
                let quiet = Box::pin(tokio::time::sleep(QUIET));
                return (
                    Placed {
                        stream,
                        quiet,
                        _place: place,
                    },
                    from,
                );
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
    _place: OwnedSemaphorePermit,
}

impl<T> Placed<T> {
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
        let read = Pin::new(&mut self.stream).poll_read(context, into);
        if read.is_ready() {
            self.moved();
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
