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

/// How long a connection may take for what.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patience {
    /// From an answer to the first byte of the next request, and for a client to take an answer.
    pub(super) idle: Duration,
    /// From the connect to the first byte of a request: browsers connect ahead, and then perhaps never ask.
    pub(super) first: Duration,
    /// From the first byte of a request to its answer, however the bytes drip in.
    pub(super) request: Duration,
    /// In place of the first two while all connections are taken: an idle one shall not keep a probe waiting.
    pub(super) crowded: Duration,
}

/// Accepts at most so many connections at a time and closes those that take too long. Further ones wait in the
/// system's queue.
#[derive(Debug)]
pub(super) struct LimitedListener {
    inner: TcpListener,
    slots: Arc<Semaphore>,
    patience: Patience,
}

impl LimitedListener {
    /// `connections` at a time.
    pub(super) fn new(inner: TcpListener, connections: usize, patience: Patience) -> Self {
        Self { inner, slots: Arc::new(Semaphore::new(connections)), patience }
    }
}

impl Listener for LimitedListener {
    type Io = Connection;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Connection, SocketAddr) {
        let slot = Arc::clone(&self.slots).acquire_owned().await.expect("the semaphore is never closed");
        // The one of axum, which waits out errors like a lack of file descriptors.
        let (stream, from) = Listener::accept(&mut self.inner).await;
        let patience = self.patience;
        let timer = Box::pin(sleep(patience.crowded.min(patience.first)));
        let (slots, deadline) = (Arc::clone(&self.slots), Instant::now() + patience.first);
        (Connection { stream, patience, slots, deadline, timer, asking: false, _slot: slot }, from)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.inner.local_addr()
    }
}

/// A connection that ends itself when the client takes too long.
#[derive(Debug)]
pub(super) struct Connection {
    stream: TcpStream,
    patience: Patience,
    /// All there are: whether one is left tells whether it is crowded.
    slots: Arc<Semaphore>,
    /// When patience ends where it is not crowded.
    deadline: Instant,
    /// The next look at both.
    timer: Pin<Box<Sleep>>,
    /// Whether bytes came since the last answer.
    asking: bool,
    _slot: OwnedSemaphorePermit,
}

impl Connection {
    fn wait_at_most(&mut self, patience: Duration) {
        self.deadline = Instant::now() + patience;
        self.look_again();
    }

    fn look_again(&mut self) {
        let next = if self.asking { self.deadline } else { self.deadline.min(Instant::now() + self.patience.crowded) };
        self.timer.as_mut().reset(next);
    }

    fn poll_overdue<T>(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<T>> {
        loop {
            ready!(self.timer.as_mut().poll(cx));
            let crowded = !self.asking && self.slots.available_permits() == 0;
            if crowded || Instant::now() >= self.deadline {
                return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
            }
            self.look_again();
        }
    }
}

impl AsyncRead for Connection {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let Poll::Ready(read) = Pin::new(&mut self.stream).poll_read(cx, buf) else {
            return self.poll_overdue(cx);
        };
        // Only the first byte starts the clock: else one byte now and then would hold the connection for ever.
        if !std::mem::replace(&mut self.asking, true) {
            let patience = self.patience.request;
            self.wait_at_most(patience);
        }
        Poll::Ready(read)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let Poll::Ready(written) = Pin::new(&mut self.stream).poll_write(cx, buf) else {
            return self.poll_overdue(cx);
        };
        self.asking = false;
        let patience = self.patience.idle;
        self.wait_at_most(patience);
        Poll::Ready(written)
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

    const SOON: Duration = Duration::from_millis(20);
    const LATE: Duration = Duration::from_mins(1);

    async fn limited(connections: usize, patience: Patience) -> (LimitedListener, SocketAddr) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        (LimitedListener::new(listener, connections, patience), address)
    }

    /// Reads what comes until the connection ends itself.
    async fn put_out(connection: &mut Connection) -> io::ErrorKind {
        let end = async {
            loop {
                if let Err(error) = connection.read_u8().await {
                    break error.kind();
                }
            }
        };
        timeout(Duration::from_secs(10), end).await.expect("it does not wait for ever")
    }

    #[tokio::test]
    async fn a_silent_client_is_put_out() {
        let (mut listener, address) =
            limited(1, Patience { idle: LATE, first: SOON, request: LATE, crowded: LATE }).await;
        let _client = TcpStream::connect(address).await.unwrap();
        let (mut connection, _) = listener.accept().await;
        assert_eq!(put_out(&mut connection).await, io::ErrorKind::TimedOut);
    }

    #[tokio::test]
    async fn a_client_that_drips_its_request_is_put_out() {
        let (mut listener, address) =
            limited(1, Patience { idle: LATE, first: LATE, request: SOON, crowded: LATE }).await;
        let mut client = TcpStream::connect(address).await.unwrap();
        let (mut connection, _) = listener.accept().await;
        let dripping = async {
            let mut drops = tokio::time::interval(SOON / 4);
            while client.write_all(b"x").await.is_ok() {
                drops.tick().await;
            }
        };
        tokio::select! {
            end = put_out(&mut connection) => assert_eq!(end, io::ErrorKind::TimedOut),
            () = dripping => panic!("the connection is still there"),
        }
    }

    #[tokio::test]
    async fn after_an_answer_the_client_has_time_again() {
        let (mut listener, address) =
            limited(1, Patience { idle: LATE, first: LATE, request: SOON, crowded: LATE }).await;
        let mut client = TcpStream::connect(address).await.unwrap();
        let (mut connection, _) = listener.accept().await;
        client.write_all(b"?").await.unwrap();
        connection.read_u8().await.unwrap();
        connection.write_all(b"!").await.unwrap();
        timeout(SOON * 5, connection.read_u8()).await.expect_err("it waits for the next request");
    }

    #[tokio::test]
    async fn a_client_that_takes_no_answer_is_put_out() {
        let (mut listener, address) =
            limited(1, Patience { idle: SOON, first: LATE, request: LATE, crowded: LATE }).await;
        let _client = TcpStream::connect(address).await.unwrap();
        let (mut connection, _) = listener.accept().await;
        let more_than_any_buffer = vec![0; 64 * 1024 * 1024];
        let writing = timeout(Duration::from_secs(10), connection.write_all(&more_than_any_buffer));
        let error = writing.await.expect("it does not wait for ever").unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test]
    async fn an_idle_client_makes_room_when_another_waits() {
        let patience = Patience { idle: LATE, first: LATE, request: LATE, crowded: SOON };
        let (mut listener, address) = limited(2, patience).await;
        let mut asking = TcpStream::connect(address).await.unwrap();
        let (mut asked, _) = listener.accept().await;
        asking.write_all(b"?").await.unwrap();
        asked.read_u8().await.unwrap();
        let _idle = TcpStream::connect(address).await.unwrap();
        let (mut idle, _) = listener.accept().await;
        assert_eq!(put_out(&mut idle).await, io::ErrorKind::TimedOut);
        timeout(SOON * 5, asked.read_u8()).await.expect_err("who waits for an answer is not put out");
        drop(idle);
        let _probe = TcpStream::connect(address).await.unwrap();
        timeout(Duration::from_secs(10), listener.accept()).await.expect("the idle one's slot is free");
    }

    #[tokio::test]
    async fn an_idle_client_stays_while_there_is_room() {
        let patience = Patience { idle: LATE, first: LATE, request: LATE, crowded: SOON };
        let (mut listener, address) = limited(2, patience).await;
        let _client = TcpStream::connect(address).await.unwrap();
        let (mut connection, _) = listener.accept().await;
        timeout(SOON * 5, connection.read_u8()).await.expect_err("nobody waits for its slot");
    }

    #[tokio::test]
    async fn one_too_many_waits_until_another_has_gone() {
        let (mut listener, address) =
            limited(1, Patience { idle: LATE, first: LATE, request: LATE, crowded: LATE }).await;
        let _first = TcpStream::connect(address).await.unwrap();
        let (connection, _) = listener.accept().await;
        let _second = TcpStream::connect(address).await.unwrap();
        timeout(Duration::from_millis(50), listener.accept()).await.expect_err("the one slot is taken");
        drop(connection);
        timeout(Duration::from_secs(10), listener.accept()).await.expect("the slot is free again");
    }
}
