//! The operator's wish to stop, as a stream, so that tests can wish too.

use futures_util::stream::{self, Stream};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

/// A wish to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// SIGINT, as by Ctrl-C.
    Interrupt,
    /// SIGTERM, as by systemd or Docker.
    Terminate,
}

impl Signal {
    /// The signal's name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Interrupt => "SIGINT",
            Self::Terminate => "SIGTERM",
        }
    }
}

/// The signals of the process, from now on.
///
/// # Errors
/// When the system refuses the handlers.
pub fn listen() -> std::io::Result<impl Stream<Item = Signal> + Send> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    Ok(stream::select(
        stream::poll_fn(move |context| interrupt.poll_recv(context).map(|got| got.map(|()| Signal::Interrupt))),
        stream::poll_fn(move |context| terminate.poll_recv(context).map(|got| got.map(|()| Signal::Terminate))),
    ))
}

/// The signals that somebody inside the process sends.
pub fn from_channel(mut receiver: mpsc::Receiver<Signal>) -> impl Stream<Item = Signal> + Send {
    stream::poll_fn(move |context| receiver.poll_recv(context))
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use futures_util::StreamExt;
    use nix::sys::signal::{self, raise};

    use super::*;

    #[tokio::test]
    async fn signals_of_the_system_are_heard() {
        let mut signals = pin!(listen().unwrap());
        raise(signal::Signal::SIGTERM).unwrap();
        assert_eq!(signals.next().await, Some(Signal::Terminate));
        raise(signal::Signal::SIGINT).unwrap();
        assert_eq!(signals.next().await, Some(Signal::Interrupt));
    }
}
