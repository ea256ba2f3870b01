//! The operator's wish to stop, as a stream, so that tests can wish too.

use std::future;
use std::time::Duration;

use futures_util::stream::{self, Stream, StreamExt as _};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio::time::Instant;

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

/// Signals closer together than this are one wish: wrappers signal the process and then its group.
const ONE_WISH: Duration = Duration::from_millis(250);

/// The signals of the process, from now on.
///
/// SIGHUP is ignored: a terminal that is closed must not end the relay, and there is nothing to reload.
///
/// # Errors
/// When the system refuses the handlers.
pub fn listen() -> std::io::Result<impl Stream<Item = Signal> + Send> {
    let handled = [
        (Some(Signal::Interrupt), SignalKind::interrupt()),
        (Some(Signal::Terminate), SignalKind::terminate()),
        (None, SignalKind::hangup()),
    ];
    let streams = handled.into_iter().map(|(name, kind)| {
        let mut arrivals = signal(kind)?;
        Ok(stream::poll_fn(move |context| arrivals.poll_recv(context).map(|got| got.map(|()| name))))
    });
    let streams: Vec<_> = streams.collect::<std::io::Result<_>>()?;
    let stops = stream::select_all(streams).filter_map(|signal| {
        if signal.is_none() {
            tracing::info!("SIGHUP ignored; restart the relay to read the configuration again");
        }
        future::ready(signal)
    });
    Ok(wishes(stops, ONE_WISH))
}

/// Leaves out what follows another signal within `one_wish`.
fn wishes(signals: impl Stream<Item = Signal> + Send, one_wish: Duration) -> impl Stream<Item = Signal> + Send {
    let mut last: Option<Instant> = None;
    signals.filter(move |_| {
        let again = last.is_some_and(|last| last.elapsed() < one_wish);
        last = Some(Instant::now());
        future::ready(!again)
    })
}

/// The signals that somebody inside the process sends.
pub fn from_channel(mut receiver: mpsc::Receiver<Signal>) -> impl Stream<Item = Signal> + Send {
    stream::poll_fn(move |context| receiver.poll_recv(context))
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use nix::sys::signal::{self, raise};

    use super::*;

    #[tokio::test]
    async fn signals_of_the_system_are_heard_and_sighup_is_ignored() {
        let mut signals = pin!(listen().unwrap());
        raise(signal::Signal::SIGHUP).unwrap();
        raise(signal::Signal::SIGTERM).unwrap();
        assert_eq!(signals.next().await, Some(Signal::Terminate));
    }

    #[tokio::test]
    async fn a_wrapper_that_signals_process_and_group_wishes_once() {
        let twice = || stream::iter([Signal::Terminate, Signal::Terminate]);
        assert_eq!(wishes(twice(), ONE_WISH).count().await, 1);
        assert_eq!(wishes(twice(), Duration::ZERO).count().await, 2);
    }
}
