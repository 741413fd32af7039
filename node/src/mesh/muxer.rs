//! Yamux as a libp2p upgrade, with its window, stream count and goodbye bounded.
//!
//! The ready-made upgrade of libp2p exposes the stream count only and keeps a receive window of 1 GiB per connection.
//! Speaks the same `/yamux/1.0.0`. Knows nothing of links.

use std::{
    collections::VecDeque,
    future::{Ready, ready},
    io, iter,
    pin::Pin,
    task::{Context, Poll, Waker},
};

use futures::{AsyncRead, AsyncWrite, Future};
use libp2p::core::{
    muxing::{StreamMuxer, StreamMuxerEvent},
    upgrade::{InboundConnectionUpgrade, OutboundConnectionUpgrade, UpgradeInfo},
};
use tokio::time::Sleep;

use super::bounds::{CLOSE_GRACE, CONNECTION_WINDOW_BYTES, MAX_STREAMS, YAMUX_SPLIT_BYTES};

/// The upgrade: turns one encrypted connection into at most [`MAX_STREAMS`] streams.
#[derive(Clone)]
pub(super) struct BoundedYamux(yamux::Config);

impl BoundedYamux {
    pub(super) fn new() -> Self {
        let mut config = yamux::Config::default();
        // The order matters: the count first, since the window is checked against it.
        config.set_max_num_streams(MAX_STREAMS);
        config.set_max_connection_receive_window(Some(CONNECTION_WINDOW_BYTES));
        config.set_split_send_size(YAMUX_SPLIT_BYTES);
        Self(config)
    }

    fn upgrade<C>(self, socket: C, mode: yamux::Mode) -> Ready<io::Result<BoundedMuxer<C>>>
    where
        C: AsyncRead + AsyncWrite + Unpin,
    {
        ready(Ok(BoundedMuxer {
            connection: yamux::Connection::new(socket, self.0, mode),
            inbound: VecDeque::new(),
            inbound_waker: None,
            goodbye: None,
        }))
    }
}

impl UpgradeInfo for BoundedYamux {
    type Info = &'static str;
    type InfoIter = iter::Once<Self::Info>;

    fn protocol_info(&self) -> Self::InfoIter {
        iter::once("/yamux/1.0.0")
    }
}

impl<C> InboundConnectionUpgrade<C> for BoundedYamux
where
    C: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    type Output = BoundedMuxer<C>;
    type Error = io::Error;
    type Future = Ready<io::Result<Self::Output>>;

    fn upgrade_inbound(self, socket: C, _: Self::Info) -> Self::Future {
        self.upgrade(socket, yamux::Mode::Server)
    }
}

impl<C> OutboundConnectionUpgrade<C> for BoundedYamux
where
    C: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    type Output = BoundedMuxer<C>;
    type Error = io::Error;
    type Future = Ready<io::Result<Self::Output>>;

    fn upgrade_outbound(self, socket: C, _: Self::Info) -> Self::Future {
        self.upgrade(socket, yamux::Mode::Client)
    }
}

/// One multiplexed connection.
pub(super) struct BoundedMuxer<C> {
    connection: yamux::Connection<C>,
    /// Streams that arrived while libp2p was not asking; at most [`MAX_STREAMS`] can exist.
    inbound: VecDeque<yamux::Stream>,
    inbound_waker: Option<Waker>,
    /// Runs while closing: a peer that no longer reads must not keep a dead connection (and its place) alive.
    goodbye: Option<Pin<Box<Sleep>>>,
}

impl<C> BoundedMuxer<C>
where
    C: AsyncRead + AsyncWrite + Unpin,
{
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<yamux::Stream>> {
        self.connection
            .poll_next_inbound(cx)
            .map(|next| match next {
                Some(Ok(stream)) => Ok(stream),
                Some(Err(error)) => Err(into_io(error)),
                None => Err(into_io(yamux::ConnectionError::Closed)),
            })
    }
}

impl<C> StreamMuxer for BoundedMuxer<C>
where
    C: AsyncRead + AsyncWrite + Unpin + 'static,
{
    type Substream = yamux::Stream;
    type Error = io::Error;

    fn poll_inbound(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<yamux::Stream>> {
        if let Some(stream) = self.inbound.pop_front() {
            return Poll::Ready(Ok(stream));
        }
        if let Poll::Ready(next) = self.poll_next(cx) {
            return Poll::Ready(next);
        }
        self.inbound_waker = Some(cx.waker().clone());
        Poll::Pending
    }

    fn poll_outbound(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<yamux::Stream>> {
        self.connection.poll_new_outbound(cx).map_err(into_io)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let Poll::Ready(closed) = self.connection.poll_close(cx) {
            return Poll::Ready(closed.map_err(into_io));
        }
        let goodbye = self
            .goodbye
            .get_or_insert_with(|| Box::pin(tokio::time::sleep(CLOSE_GRACE)));
        goodbye.as_mut().poll(cx).map(Ok)
    }

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<StreamMuxerEvent>> {
        match self.poll_next(cx) {
            Poll::Pending => return Poll::Pending,
            Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
            Poll::Ready(Ok(stream)) if self.inbound.len() < MAX_STREAMS => {
                self.inbound.push_back(stream);
            }
            Poll::Ready(Ok(stream)) => drop(stream),
        }
        if let Some(waker) = self.inbound_waker.take() {
            waker.wake();
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

fn into_io(error: yamux::ConnectionError) -> io::Error {
    match error {
        yamux::ConnectionError::Io(error) => error,
        other => io::Error::other(other),
    }
}
