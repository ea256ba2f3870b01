//! A listener that cannot eat all file descriptors: the logs need them.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::serve::Listener;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, Sleep, sleep};

/// Accepts at most so many connections at a time and closes those that stay silent. Further ones wait in the
/// system's queue.
#[derive(Debug)]
pub(super) struct LimitedListener {
    inner: TcpListener,
    slots: Arc<Semaphore>,
    silence: Duration,
}

impl LimitedListener {
    /// `connections` at a time, each closed after `silence` without a byte from the client.
    pub(super) fn new(inner: TcpListener, connections: usize, silence: Duration) -> Self {
        Self { inner, slots: Arc::new(Semaphore::new(connections)), silence }
    }
}

impl Listener for LimitedListener {
    type Io = Connection;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Connection, SocketAddr) {
        let slot = Arc::clone(&self.slots).acquire_owned().await.expect("the semaphore is never closed");
        // The one of axum, which waits out errors like a lack of file descriptors.
        let (stream, from) = Listener::accept(&mut self.inner).await;
        let (silence, timer) = (self.silence, Box::pin(sleep(self.silence)));
        (Connection { stream, silence, timer, _slot: slot }, from)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.inner.local_addr()
    }
}

/// A connection that ends itself when the client is silent for too long.
#[derive(Debug)]
pub(super) struct Connection {
    stream: TcpStream,
    silence: Duration,
    timer: Pin<Box<Sleep>>,
    _slot: OwnedSemaphorePermit,
}

impl AsyncRead for Connection {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if let Poll::Ready(read) = Pin::new(&mut self.stream).poll_read(cx, buf) {
            let next = Instant::now() + self.silence;
            self.timer.as_mut().reset(next);
            return Poll::Ready(read);
        }
        ready!(self.timer.as_mut().poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::time::timeout;

    use super::*;

    async fn limited(connections: usize, silence: Duration) -> (LimitedListener, SocketAddr) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        (LimitedListener::new(listener, connections, silence), address)
    }

    #[tokio::test]
    async fn a_silent_client_is_put_out() {
        let (mut listener, address) = limited(1, Duration::from_millis(20)).await;
        let mut client = TcpStream::connect(address).await.unwrap();
        let (mut connection, _) = listener.accept().await;
        client.write_all(b"hi").await.unwrap();
        let mut said = [0; 2];
        connection.read_exact(&mut said).await.unwrap();
        let read = timeout(Duration::from_secs(10), connection.read_u8()).await.expect("it does not wait for ever");
        assert_eq!(read.unwrap_err().kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test]
    async fn one_too_many_waits_until_another_has_gone() {
        let (mut listener, address) = limited(1, Duration::from_mins(1)).await;
        let _first = TcpStream::connect(address).await.unwrap();
        let (connection, _) = listener.accept().await;
        let _second = TcpStream::connect(address).await.unwrap();
        timeout(Duration::from_millis(50), listener.accept()).await.expect_err("the one slot is taken");
        drop(connection);
        timeout(Duration::from_secs(10), listener.accept()).await.expect("the slot is free again");
    }
}
