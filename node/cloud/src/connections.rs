//! How many connections stand at once: above the bound a new one is closed before its first byte is read.
//!
//! Every place taken is given back when its connection ends, however it ends.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum_server::accept::Accept;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Connections that stand at most. A studio keeps one or two open, so this is some hundreds of studios.
const CONNECTIONS: usize = 1024;

/// An acceptor behind the bound.
#[derive(Clone, Debug)]
pub struct Bounded<A> {
    inner: A,
    places: Arc<Semaphore>,
}

impl<A> Bounded<A> {
    /// With the bound of the service.
    pub fn new(inner: A) -> Self {
        Self::with_places(inner, CONNECTIONS)
    }

    fn with_places(inner: A, places: usize) -> Self {
        let places = Arc::new(Semaphore::new(places));
        Self { inner, places }
    }
}

impl<A, I, S> Accept<I, S> for Bounded<A>
where
    A: Accept<I, S>,
    A::Future: Send + 'static,
{
    type Stream = Placed<A::Stream>;
    type Service = A::Service;
    type Future = futures::future::BoxFuture<'static, io::Result<(Self::Stream, Self::Service)>>;

    fn accept(&self, stream: I, service: S) -> Self::Future {
        let taken = self.places.clone().try_acquire_owned();
        let taken = taken.map(|place| (place, self.inner.accept(stream, service)));
        Box::pin(async move {
            let full = |_| io::Error::other("all connections are taken; try again in a moment");
            let (_place, accepted) = taken.map_err(full)?;
            let (stream, service) = accepted.await?;
            Ok((Placed { stream, _place }, service))
        })
    }
}

/// A connection and its place.
#[derive(Debug)]
pub struct Placed<T> {
    stream: T,
    _place: OwnedSemaphorePermit,
}

impl<T: AsyncRead + Unpin> AsyncRead for Placed<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, into)
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Placed<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
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
    use axum_server::accept::DefaultAcceptor;

    use super::*;

    #[tokio::test]
    async fn a_connection_above_the_bound_is_refused_until_another_ends() {
        let bounded = Bounded::with_places(DefaultAcceptor::new(), 2);
        let connect = || bounded.accept(tokio::io::duplex(8).0, ());
        let first = connect().await.expect("a place");
        let _second = connect().await.expect("a place");
        assert!(connect().await.is_err());
        drop(first);
        assert!(connect().await.is_ok());
    }
}
