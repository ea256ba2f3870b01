//! Keeps a session alive: asks for the address, connects, resumes or identifies, and waits between attempts.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use rustls::ClientConfig;
use secrecy::ExposeSecret;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, warn};

use crate::config::settings::DiscordSettings;
use crate::discord::dispatch::Dispatches;
use crate::discord::error_class::TOKEN_REFUSED;
use crate::discord::rest::Rest;
use crate::health::ComponentHandle;
use crate::telemetry::metrics::ErrorType;

use super::GatewayTimings;
use super::connection::{Connection, Context, ShownPresence};
use super::disconnect::{Disconnect, NextStep, Refusal};
use super::preflight::{PreflightError, ask_gateway, safe_url};
use super::report::{Greeting, Report};
use super::schedule::{Attempt, Reached, Schedule};
use super::session::Session;
use super::tls;

const INTENTS_REFUSED: &str =
    "Discord refuses the bot's intents: switch them on in the developer portal, on the page Bot";
const INTENTS_UNKNOWN: &str = "Discord does not know the bot's intents: a newer version of this program may help";
const CONTENT_REFUSED: &str = "chat from Discord does not reach the games; switch Message Content on in the developer \
                               portal, on the page Bot, and restart";

/// The state that outlives connections.
pub(super) struct Supervisor {
    settings: DiscordSettings,
    rest: Rest,
    dispatches: Dispatches,
    timings: GatewayTimings,
    schedule: Schedule,
    session: Option<Session>,
    presence: ShownPresence,
    /// Loaded for the first `wss://` address.
    tls: Option<Arc<ClientConfig>>,
    report: Report,
}

/// A connection or an attempt that ended.
struct Ended {
    end: Disconnect,
    attempt: Attempt,
}

impl Supervisor {
    /// # Errors
    /// When the token or `api_base` cannot be used at all.
    pub(super) fn new(
        settings: DiscordSettings,
        dispatches: Dispatches,
        health: ComponentHandle,
        timings: GatewayTimings,
    ) -> anyhow::Result<Self> {
        Ok(Self {
            rest: Rest::new(&settings).context("cannot connect to the gateway")?,
            settings,
            dispatches,
            schedule: Schedule::new(timings.clone()),
            session: None,
            presence: ShownPresence::default(),
            tls: None,
            report: Report::new(health, &timings),
            timings,
        })
    }

    /// Runs until `cancel`.
    pub(super) async fn run(mut self, cancel: &CancellationToken) {
        loop {
            let next_attempt = self.schedule.next_attempt(self.session.is_none()).unwrap_or_else(Instant::now);
            let waited = self.report.watch(cancel.run_until_cancelled(sleep_until(next_attempt)));
            if waited.await.is_none() {
                return;
            }
            let Some(ended) = self.attempt(cancel).await else { return };
            self.settle(&ended);
        }
    }

    /// One attempt, and the connection that follows from it. `None` when cancelled.
    async fn attempt(&mut self, cancel: &CancellationToken) -> Option<Ended> {
        let resuming = self.session.is_some();
        self.schedule.attempt_started(Instant::now());
        Report::attempt_started();
        let Self { report, rest, session, schedule, tls, timings, dispatches, settings, presence, .. } = self;
        let token = settings.token.expose_secret().trim();
        let mut context = Context { token, dispatches, timings, session, presence };
        let connect = Box::pin(connect(&mut context, rest, schedule, tls));
        let (mut connection, greeting) = match report.watch(cancel.run_until_cancelled(connect)).await? {
            Ok(connected) => connected,
            Err((end, reached)) => return Some(Ended { end, attempt: Attempt { reached, resuming } }),
        };
        schedule.up();
        report.up(greeting);
        let up_since = Instant::now();
        let Some(end) = cancel.run_until_cancelled(connection.run(&mut context, report)).await else {
            connection.close_for_good().await;
            return None;
        };
        let up = up_since.elapsed();
        debug!(reason = %end, up_seconds = up.as_secs_f64(), "Gateway connection ended");
        context.presence.connection_ended();
        connection.close(&end).await;
        Some(Ended { end, attempt: Attempt { reached: Reached::Up(up), resuming } })
    }

    /// Decides what follows, and reports it.
    fn settle(&mut self, ended: &Ended) {
        let Ended { end, attempt } = ended;
        let next = self.next_step(end);
        let now = Instant::now();
        self.schedule.ended(end, next, *attempt, now);
        match next {
            NextStep::Resume if self.schedule.session_is_lost() => self.session = None,
            NextStep::Resume => self.check_resume_url(end),
            NextStep::Identify | NextStep::Refused(_) => self.session = None,
        }
        let next_attempt = self.schedule.next_attempt(self.session.is_none());
        let wait = next_attempt.map_or(Duration::ZERO, |at| at.saturating_duration_since(now));
        if let NextStep::Refused(refusal) = next {
            self.report.refused(&refusal_text(refusal, end), error_type(end), wait);
            return;
        }
        // A gateway that answers every RESUME with op 7 is a failure.
        let is_routine = end.is_routine() && matches!(attempt.reached, Reached::Up(_));
        self.report.down(&end.to_string(), (!is_routine).then(|| error_type(end)), wait);
    }

    /// Continues without the privileged intents when Discord refuses them: slash commands need none.
    fn next_step(&mut self, end: &Disconnect) -> NextStep {
        let next = end.next_step();
        if next != NextStep::Refused(Refusal::PrivilegedIntents) {
            return next;
        }
        let Some(less) = self.dispatches.without_privileged() else { return next };
        error!("The Message Content intent is missing: {CONTENT_REFUSED}");
        self.dispatches = less;
        self.report.limit(format!("the Message Content intent is missing: {CONTENT_REFUSED}"));
        NextStep::Identify
    }

    /// An address for RESUME that cannot be used is replaced by the general one.
    fn check_resume_url(&mut self, end: &Disconnect) {
        if let (Disconnect::BadUrl(reason), Some(session)) = (end, &mut self.session)
            && session.resume_url.take().is_some()
        {
            warn!(reason, "Failed to use the gateway's address for RESUME; using the general one");
        }
    }
}

/// Connects and waits for READY or RESUMED; an error comes with how far the attempt got.
async fn connect(
    context: &mut Context<'_>,
    rest: &Rest,
    schedule: &mut Schedule,
    tls: &mut Option<Arc<ClientConfig>>,
) -> Result<(Connection, Greeting), (Disconnect, Reached)> {
    let not_connected = |end| (end, Reached::Nothing);
    let address = address(context.session.as_ref(), rest, schedule).await.map_err(not_connected)?;
    let config = if address.starts_with("wss:") { Some(load_tls(tls).await.map_err(not_connected)?) } else { None };
    let mut connection = Connection::open(&address, config, context).await.map_err(not_connected)?;
    if context.session.is_none() {
        schedule.identified(Instant::now());
    }
    match connection.greet(context).await {
        Ok(greeting) => Ok((connection, greeting)),
        Err(end) => {
            connection.close(&end).await;
            Err((end, Reached::Hello))
        }
    }
}

/// The session's own address for RESUME, or the general one.
///
/// The gateway can work while the REST API does not: a session whose general address is unavailable goes on trying its
/// own one.
async fn address(session: Option<&Session>, rest: &Rest, schedule: &mut Schedule) -> Result<String, Disconnect> {
    let resume_url = session.and_then(|session| session.resume_url.as_ref());
    if let Some(resume_url) = resume_url
        && !schedule.must_ask(true, Instant::now())
    {
        return checked_resume_url(rest, resume_url);
    }
    match (ask_gateway(rest, session.is_none()).await, resume_url) {
        (Err(PreflightError::Failed { reason, retry_after, .. }), Some(resume_url)) => {
            warn!(reason, "Failed to get the gateway's general address; using the one for RESUME");
            schedule.asking_failed(retry_after, Instant::now());
            checked_resume_url(rest, resume_url)
        }
        (answer, _) => answer.map_err(Disconnect::Preflight),
    }
}

fn checked_resume_url(rest: &Rest, url: &str) -> Result<String, Disconnect> {
    let not_safe = |_| Disconnect::BadUrl("it is not a wss:// address".to_owned());
    safe_url(rest.base(), url.to_owned()).map_err(not_safe)
}

/// Reads the certificates once, off the runtime's threads.
async fn load_tls(loaded: &mut Option<Arc<ClientConfig>>) -> Result<Arc<ClientConfig>, Disconnect> {
    if let Some(config) = loaded {
        return Ok(Arc::clone(config));
    }
    let config = tokio::task::spawn_blocking(tls::client_config)
        .await
        .map_err(|error| Disconnect::Tls(error.to_string()))?
        .map_err(|error| Disconnect::Tls(format!("{error:#}")))?;
    Ok(Arc::clone(loaded.insert(config)))
}

fn refusal_text(refusal: Refusal, end: &Disconnect) -> String {
    match refusal {
        Refusal::Token => TOKEN_REFUSED.to_owned(),
        Refusal::PrivilegedIntents => INTENTS_REFUSED.to_owned(),
        Refusal::UnknownIntents => INTENTS_UNKNOWN.to_owned(),
        Refusal::Client => format!("{end}: a newer version of this program may help"),
    }
}

fn error_type(end: &Disconnect) -> ErrorType {
    match end {
        Disconnect::Preflight(PreflightError::Failed { kind, .. }) => *kind,
        Disconnect::Preflight(PreflightError::TokenRefused) | Disconnect::Closed { code: 4004 | 4014 } => {
            ErrorType::Auth
        }
        Disconnect::Closed { code: 4010..=4013 } => ErrorType::Other,
        Disconnect::UpgradeRefused { status: 429, .. } => ErrorType::RateLimited,
        Disconnect::UpgradeRefused { status: 500.., .. } => ErrorType::ServerError,
        _ => ErrorType::Network,
    }
}
