//! Faults that a test switches on: what the API answers instead, and how often.

use std::time::Duration;

use super::errors::ApiError;
use super::rate_limit::Scope;
use super::route::Route;

/// What goes wrong.
#[derive(Debug, Clone, PartialEq)]
pub enum FaultKind {
    /// This error is the answer; the request is not carried out.
    Answer(ApiError),
    /// An error page of the proxy in front: this status, HTML instead of JSON. With 429, its address ban.
    Page(u16),
    /// 429 with JSON and headers as Discord sends them.
    RateLimited {
        /// How long to wait.
        retry_after: Duration,
        /// Whose limit.
        scope: Scope,
        /// How the header says it.
        header: RetryAfter,
    },
    /// No answer, ever; the connection stays open. `processed` if the request is carried out all the same.
    Hang {
        /// Whether the message exists afterwards.
        processed: bool,
    },
    /// The connection ends instead of an answer. `processed` if the request is carried out all the same.
    Cut {
        /// Whether the message exists afterwards.
        processed: bool,
    },
    /// The right answer, this much later.
    Slow(Duration),
}

/// How a 429 says when to come back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RetryAfter {
    /// Whole seconds, rounded up, as Discord does.
    Seconds,
    /// A date, as HTTP also allows.
    HttpDate,
    /// Not in the header, only in the body.
    Absent,
}

impl FaultKind {
    /// A 5xx in Discord's JSON.
    #[must_use]
    pub fn server_error(status: u16) -> Self {
        Self::Answer(ApiError::server(status))
    }

    /// A 429 with a header in seconds.
    #[must_use]
    pub const fn rate_limited(retry_after: Duration, scope: Scope) -> Self {
        Self::RateLimited { retry_after, scope, header: RetryAfter::Seconds }
    }
}

/// A fault, where it strikes and how often.
#[derive(Debug, Clone, PartialEq)]
pub struct Fault {
    kind: FaultKind,
    everywhere: bool,
    channel: Option<u64>,
    text: Option<String>,
    left: Option<u32>,
}

impl Fault {
    /// Strikes every creation of a message, until cleared.
    #[must_use]
    pub const fn new(kind: FaultKind) -> Self {
        Self { kind, everywhere: false, channel: None, text: None, left: None }
    }

    /// Strikes every REST route, but for the address of the gateway: a client that cannot learn it may fall back to
    /// the real one.
    #[must_use]
    pub const fn everywhere(mut self) -> Self {
        self.everywhere = true;
        self
    }

    /// Only requests about this channel.
    #[must_use]
    pub const fn channel(mut self, channel: u64) -> Self {
        self.channel = Some(channel);
        self
    }

    /// Only messages whose content contains this.
    #[must_use]
    pub fn containing(mut self, text: impl Into<String>) -> Self {
        self.text = Some(text.into());
        self
    }

    /// Strikes so many times, then is over.
    #[must_use]
    pub const fn times(mut self, times: u32) -> Self {
        self.left = Some(times);
        self
    }

    fn strikes(&self, route: &Route, content: &str) -> bool {
        (route.creates_message() || (self.everywhere && !route.is_gateway_address()))
            && self.channel.is_none_or(|channel| route.channel() == Some(channel))
            && self.text.as_ref().is_none_or(|text| content.contains(text))
            && self.left != Some(0)
    }
}

/// How likely each fault is, 0 to 1 each, at most 1 together; the rest goes well.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct ChaosRates {
    /// 500, 502 or 503, in JSON or as a page.
    pub server_error: f64,
    /// 429 with scope `user`, up to `longest`.
    pub rate_limited: f64,
    /// No answer, not carried out.
    pub hang: f64,
    /// No answer, but carried out.
    pub hang_processed: f64,
    /// Connection cut, not carried out.
    pub cut: f64,
    /// Connection cut, but carried out.
    pub cut_processed: f64,
    /// Late by up to `longest`.
    pub slow: f64,
    /// The longest wait that a 429 asks for and that a slow answer takes.
    pub longest: Duration,
}

/// Random faults on message creations; the same seed and the same order of requests give the same faults.
#[derive(Debug, Clone)]
pub struct Chaos {
    random: fastrand::Rng,
    rates: ChaosRates,
}

impl Chaos {
    /// Faults at these rates.
    #[must_use]
    pub fn new(seed: u64, rates: ChaosRates) -> Self {
        Self { random: fastrand::Rng::with_seed(seed), rates }
    }

    fn draw(&mut self) -> Option<FaultKind> {
        let rates = self.rates;
        let mut point = self.random.f64();
        let mut falls_in = |rate: f64| {
            point -= rate;
            point < 0.0
        };
        if falls_in(rates.server_error) {
            let status = [500, 502, 503][self.random.usize(..3)];
            return Some(if self.random.bool() { FaultKind::server_error(status) } else { FaultKind::Page(status) });
        }
        if falls_in(rates.rate_limited) {
            return Some(FaultKind::rate_limited(self.wait(), Scope::User));
        }
        let silent = [
            (rates.hang, FaultKind::Hang { processed: false }),
            (rates.hang_processed, FaultKind::Hang { processed: true }),
            (rates.cut, FaultKind::Cut { processed: false }),
            (rates.cut_processed, FaultKind::Cut { processed: true }),
        ];
        if let Some((_, kind)) = silent.into_iter().find(|(rate, _)| falls_in(*rate)) {
            return Some(kind);
        }
        falls_in(rates.slow).then(|| FaultKind::Slow(self.wait()))
    }

    fn wait(&mut self) -> Duration {
        self.rates.longest.mul_f64(self.random.f64())
    }
}

/// The faults that are switched on.
#[derive(Debug, Default)]
pub(super) struct Faults {
    faults: Vec<Fault>,
    chaos: Option<Chaos>,
}

impl Faults {
    pub(super) fn add(&mut self, fault: Fault) {
        self.faults.push(fault);
    }

    pub(super) fn set_chaos(&mut self, chaos: Option<Chaos>) {
        self.chaos = chaos;
    }

    pub(super) fn clear(&mut self) {
        self.faults.clear();
        self.chaos = None;
    }

    /// The fault that strikes this request, if any: the first set that fits, then chance.
    pub(super) fn strike(&mut self, route: &Route, content: &str) -> Option<FaultKind> {
        if let Some(at) = self.faults.iter().position(|fault| fault.strikes(route, content)) {
            let fault = &mut self.faults[at];
            fault.left = fault.left.map(|left| left - 1);
            let kind = fault.kind.clone();
            self.faults.retain(|fault| fault.left != Some(0));
            return Some(kind);
        }
        self.chaos.as_mut().filter(|_| route.creates_message())?.draw()
    }
}
