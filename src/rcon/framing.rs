//! Guards the frames between the socket and the protocol's crate, which trusts what it reads.
//!
//! The crate panics on a length below 10, waits for 2 GiB where one is promised, fails on text that is not UTF-8 and
//! does not look at ids. So whole frames are read and checked here, and only then handed on. On the way out, the id 0
//! (the game streams its console to the client that uses it) and an empty command (never answered) are refused.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::error::Garbage;

/// The longest answer that is taken: the game sends megabytes in one packet.
pub(super) const MAX_FRAME: usize = 16 * 1024 * 1024;
/// Id, type and the two zeros behind the body.
const MIN_FRAME: usize = 10;
const CHUNK: usize = 64 * 1024;

const TYPE_ANSWER: i32 = 0;
const TYPE_COMMAND: i32 = 2;
const TYPE_LOGIN: i32 = 3;
/// Also the type of a command, the other way.
const TYPE_LOGIN_ANSWER: i32 = 2;
const REFUSED_LOGIN: i32 = -1;

/// What was sent last and is not answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct InFlight {
    id: i32,
    login: bool,
}

/// A connection whose frames are checked before anybody relies on them.
#[derive(Debug)]
pub(super) struct Guarded<T> {
    io: T,
    in_flight: Option<InFlight>,
    /// Bytes of the frame being sent that are still to come.
    unsent: usize,
    received: Vec<u8>,
    checked: Vec<u8>,
    handed_on: usize,
}

impl<T> Guarded<T> {
    /// Guards `io`, on which nothing has been said yet.
    pub(super) fn new(io: T) -> Self {
        Self { io, in_flight: None, unsent: 0, received: Vec::new(), checked: Vec::new(), handed_on: 0 }
    }

    /// Moves the first whole frame of what was received to what may be handed on. `false` = it is not whole yet.
    fn check_frame(&mut self) -> Result<bool, Garbage> {
        let Some(length) = self.received.first_chunk::<4>().map(|bytes| i32::from_le_bytes(*bytes)) else {
            return Ok(false);
        };
        let size = usize::try_from(length).map_err(|_| Garbage::Length(length))?;
        if !(MIN_FRAME..=MAX_FRAME).contains(&size) {
            return Err(Garbage::Length(length));
        }
        if self.received.len() < 4 + size {
            return Ok(false);
        }
        let frame: Vec<u8> = self.received.drain(..4 + size).skip(4).collect();
        self.accept(&frame)?;
        Ok(true)
    }

    fn accept(&mut self, frame: &[u8]) -> Result<(), Garbage> {
        let (id, kind) = (int(frame, 0), int(frame, 4));
        let body = frame[8..].strip_suffix(&[0, 0]).ok_or(Garbage::Unterminated)?;
        self.check_addressed(id, kind)?;
        let body = String::from_utf8_lossy(body);
        let length = i32::try_from(body.len() + MIN_FRAME).map_err(|_| Garbage::Length(i32::MAX))?;
        self.checked.clear();
        self.handed_on = 0;
        for number in [length, id, kind] {
            self.checked.extend_from_slice(&number.to_le_bytes());
        }
        self.checked.extend_from_slice(body.as_bytes());
        self.checked.extend_from_slice(&[0, 0]);
        Ok(())
    }

    /// Whether the frame answers what is in flight. Other servers send an empty answer before that to the login.
    fn check_addressed(&mut self, id: i32, kind: i32) -> Result<(), Garbage> {
        let Some(asked) = self.in_flight else { return Err(Garbage::Unasked) };
        let mine = id == asked.id || (asked.login && kind == TYPE_LOGIN_ANSWER && id == REFUSED_LOGIN);
        if !mine {
            return Err(Garbage::Id { expected: asked.id, got: id });
        }
        match (asked.login, kind) {
            (true, TYPE_ANSWER) => Ok(()),
            (true, TYPE_LOGIN_ANSWER) | (false, TYPE_ANSWER) => {
                self.in_flight = None;
                Ok(())
            }
            _ => Err(Garbage::Type(kind)),
        }
    }

    /// Takes note of a frame that is about to be sent.
    fn note_sent(&mut self, frame: &[u8]) -> io::Result<()> {
        let refuse = |why| Err(io::Error::new(io::ErrorKind::InvalidInput, why));
        if frame.len() < 4 + MIN_FRAME {
            return refuse("the frame is not sent whole");
        }
        let (size, id, kind) = (frame.len() - 4, int(frame, 4), int(frame, 8));
        if usize::try_from(int(frame, 0)) != Ok(size) {
            return refuse("the frame is not sent whole");
        }
        if id <= 0 {
            return refuse("the id is special to the game");
        }
        if kind == TYPE_COMMAND && size == MIN_FRAME {
            return refuse("the game never answers an empty command");
        }
        if !self.received.is_empty() {
            return Err(Garbage::Unasked.into());
        }
        self.in_flight = Some(InFlight { id, login: kind == TYPE_LOGIN });
        self.unsent = frame.len();
        Ok(())
    }
}

/// The number at `at`; 0 where the frame is too short, which callers have ruled out.
fn int(frame: &[u8], at: usize) -> i32 {
    frame.get(at..).and_then(|rest| rest.first_chunk::<4>()).map_or(0, |bytes| i32::from_le_bytes(*bytes))
}

impl<T: AsyncRead + Unpin> AsyncRead for Guarded<T> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        while this.handed_on == this.checked.len() {
            if this.check_frame()? {
                continue;
            }
            let before = this.received.len();
            this.received.resize(before + CHUNK, 0);
            let mut chunk = ReadBuf::new(&mut this.received[before..]);
            let polled = Pin::new(&mut this.io).poll_read(cx, &mut chunk);
            let read = chunk.filled().len();
            this.received.truncate(before + read);
            ready!(polled)?;
            if read == 0 {
                return Poll::Ready(Ok(()));
            }
        }
        let rest = &this.checked[this.handed_on..];
        let taken = rest.len().min(buf.remaining());
        buf.put_slice(&rest[..taken]);
        this.handed_on += taken;
        Poll::Ready(Ok(()))
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Guarded<T> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if this.unsent == 0 && !buf.is_empty() {
            this.note_sent(buf)?;
        }
        let written = ready!(Pin::new(&mut this.io).poll_write(cx, buf))?;
        this.unsent = this.unsent.saturating_sub(written);
        Poll::Ready(Ok(written))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_shutdown(cx)
    }
}

#[cfg(test)]
#[path = "framing_tests.rs"]
mod tests;
