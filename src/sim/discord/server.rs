//! The listening socket, whose connections can be broken from inside, as no HTTP answer can.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll, ready};

use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use super::hub::Hub;

/// Accepts connections that end when `all` is cancelled.
pub(super) struct CuttableListener {
    pub(super) listener: TcpListener,
    pub(super) all: CancellationToken,
    pub(super) hub: Arc<Hub>,
}

impl Listener for CuttableListener {
    type Io = CuttableStream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (CuttableStream, SocketAddr) {
        let (stream, address) = Listener::accept(&mut self.listener).await;
        // An answer in several small writes would otherwise wait for the client's delayed ACK.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "Cannot switch off Nagle's algorithm");
        }
        (CuttableStream::new(stream, self.all.child_token(), Arc::clone(&self.hub)), address)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

/// The start of a request for the gateway.
const GATEWAY_REQUEST: &[u8] = b"GET /gateway";

/// How far a stream is with its first request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum FirstRequest {
    /// Its first bytes have not arrived.
    Awaited,
    /// It may be read.
    Admitted,
    /// It is never read.
    Stalled,
}

/// A TCP stream that fails every read and write once it is cut, and that its [`Peer`] can make misbehave.
pub(super) struct CuttableStream {
    stream: TcpStream,
    peer: Peer,
    cut: Pin<Box<WaitForCancellationFutureOwned>>,
    first_request: FirstRequest,
    hub: Arc<Hub>,
}

impl CuttableStream {
    fn new(stream: TcpStream, token: CancellationToken, hub: Arc<Hub>) -> Self {
        let cut = Box::pin(token.clone().cancelled_owned());
        let peer = Peer { token, mode: Arc::default() };
        Self { stream, peer, cut, first_request: FirstRequest::Awaited, hub }
    }

    /// Registers the waker, so that a cut wakes the connection's task.
    fn poll_cut(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        if self.peer.token.is_cancelled() || self.cut.as_mut().poll(context).is_ready() {
            return Err(io::ErrorKind::ConnectionReset.into());
        }
        Ok(())
    }

    /// Looks at the first request without reading it, and leaves it unread if the gateway stalls on TCP.
    fn poll_first_request(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.first_request == FirstRequest::Awaited {
            let mut bytes = [0; GATEWAY_REQUEST.len()];
            let mut start = ReadBuf::new(&mut bytes);
            ready!(self.stream.poll_peek(context, &mut start))?;
            let stalls = start.filled() == GATEWAY_REQUEST && self.hub.stalls_gateway();
            self.first_request = if stalls { FirstRequest::Stalled } else { FirstRequest::Admitted };
        }
        if self.first_request == FirstRequest::Stalled { Poll::Pending } else { Poll::Ready(Ok(())) }
    }

    /// Reads and drops everything, and so learns when the client goes away.
    fn poll_discard(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut bytes = [0; 1024];
        loop {
            let mut dropped = ReadBuf::new(&mut bytes);
            ready!(Pin::new(&mut self.stream).poll_read(context, &mut dropped))?;
            if dropped.filled().is_empty() {
                return Poll::Ready(Ok(()));
            }
        }
    }
}

impl AsyncRead for CuttableStream {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.poll_cut(context)?;
        ready!(self.poll_first_request(context))?;
        if self.peer.mode() == Mode::Silent {
            return self.poll_discard(context);
        }
        Pin::new(&mut self.stream).poll_read(context, buf)
    }
}

impl AsyncWrite for CuttableStream {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_cut(context)?;
        match self.peer.mode() {
            Mode::Silent => Poll::Ready(Ok(bytes.len())),
            Mode::Garbled => {
                // Reserved bits and an empty payload: complete, and wrong.
                let garbage: Vec<u8> = [0xFF, 0].into_iter().cycle().take(bytes.len()).collect();
                Pin::new(&mut self.stream).poll_write(context, &garbage)
            }
            Mode::Normal | Mode::ResetAtEnd => Pin::new(&mut self.stream).poll_write(context, bytes),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_cut(context)?;
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

impl Drop for CuttableStream {
    fn drop(&mut self) {
        if self.peer.mode() == Mode::ResetAtEnd
            && let Err(error) = self.stream.set_zero_linger()
        {
            tracing::warn!(%error, "Failed to reset a connection; closing it in order");
        }
    }
}

/// What a connection does with bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Normal,
    /// Nothing is sent, and what arrives is dropped.
    Silent,
    /// What is sent is no WebSocket frame.
    Garbled,
    /// The end of the connection is a TCP reset.
    ResetAtEnd,
}

impl Mode {
    const ALL: [Self; 4] = [Self::Normal, Self::Silent, Self::Garbled, Self::ResetAtEnd];
}

/// The connection a request came on.
#[derive(Debug, Clone, Default)]
pub(super) struct Peer {
    token: CancellationToken,
    /// An index into [`Mode::ALL`].
    mode: Arc<AtomicU8>,
}

impl Peer {
    /// Ends the connection: no answer after this is sent.
    pub(super) fn cut(&self) {
        self.token.cancel();
    }

    /// Leaves the connection open and sends and processes nothing any more.
    pub(super) fn silence(&self) {
        self.set(Mode::Silent);
    }

    /// Makes everything sent from now on bytes that are not a WebSocket frame.
    pub(super) fn garble(&self) {
        self.set(Mode::Garbled);
    }

    /// Makes the end of the connection a TCP reset.
    pub(super) fn reset_at_end(&self) {
        self.set(Mode::ResetAtEnd);
    }

    fn set(&self, mode: Mode) {
        self.mode.store(mode as u8, Ordering::Relaxed);
    }

    fn mode(&self) -> Mode {
        Mode::ALL[usize::from(self.mode.load(Ordering::Relaxed))]
    }
}

impl Connected<IncomingStream<'_, CuttableListener>> for Peer {
    fn connect_info(stream: IncomingStream<'_, CuttableListener>) -> Self {
        stream.io().peer.clone()
    }
}
