//! A call's way: permission, rate limit, confirmation, the game, the answer, the audit.

mod audit;

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use metrics::{counter, histogram};
use serenity::all::{CommandInteraction, ComponentInteraction, Interaction};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{Instrument as _, Span, error, field, info_span, warn};

use crate::config::Settings;
use crate::config::settings::Level;
use crate::game::GameBoard;
use crate::health::{Component, HealthRegistry, worst_part};
use crate::rcon::RconClient;
use crate::store::Store;
use crate::telemetry::labels::SLASH_OUTCOMES;
use crate::telemetry::metrics::{ErrorType, SLASH_COMMANDS, SLASH_LATENCY, count_error};
use crate::telemetry::traces;

use super::super::inbound::Directory;
use super::super::inbound::clean::{Names, mentioned};
use super::super::interactions::{Interactions, Message};
use super::super::rest::Rest;
use super::actions::PLAYERS_READ;
use super::call::{Called, Options, Origin};
use super::confirm::{Press, Waiting};
use super::desk::{Desk, Failure, Order, Server};
use super::rate::{Kind, Rates, Ticket};
use super::view::{Tone, buttons, private};
use super::{COMMANDS, Scope, SlashCommand, registration, suggest, texts};

/// How long the game may take before the answer is deferred: Discord waits 3 s, the way included.
const PATIENCE: Duration = Duration::from_millis(1500);
/// How long names are looked up for a text that players read.
const NAMES_TIMEOUT: Duration = Duration::from_secs(2);
/// Calls under way at once, those that wait for a button included.
const MOST_JOBS: usize = 1000;
/// How long calls may take to end when the program stops: more than a command to a frozen game may take then, and less
/// than the 2 s of the intake stage.
const STOP_PATIENCE: Duration = Duration::from_millis(1700);

/// A call that is allowed, with all it needs to be done.
pub(super) struct Job {
    pub(super) origin: Origin,
    command: &'static dyn SlashCommand,
    options: Options,
    /// The index of the server it is about.
    server: Option<usize>,
    ticket: Ticket,
}

impl Job {
    /// The command as typed.
    fn typed(&self) -> String {
        format!("{}{}", super::typed(self.command), self.options)
    }
}

/// The slash commands, at work.
pub struct Commands {
    service: Arc<Service>,
}

struct Service {
    interactions: Interactions,
    directory: tokio::sync::Mutex<Directory>,
    desk: Desk,
    guilds: Vec<u64>,
    /// How long the audit keeps an entry.
    keep_audit: Duration,
    rates: Mutex<Rates>,
    waiting: Mutex<Waiting>,
}

impl Commands {
    /// Commands for `settings`, which ask the games by `rcon`, know by `board` what is told of those that cannot be asked,
    /// and keep what they must in `store`.
    ///
    /// # Errors
    /// When the token or `discord.api_base` cannot be used at all.
    pub fn new(
        settings: &Settings,
        rcon: &[RconClient],
        board: GameBoard,
        store: Store,
        health: HealthRegistry,
    ) -> anyhow::Result<Self> {
        for command in COMMANDS {
            for outcome in SLASH_OUTCOMES {
                counter!(SLASH_COMMANDS, "command" => command.name(), "outcome" => outcome).increment(0);
            }
            drop(histogram!(SLASH_LATENCY, "command" => command.name()));
        }
        let (queries, actions) = (settings.commands.queries, settings.commands.actions);
        let service = Service {
            directory: tokio::sync::Mutex::new(Directory::new(Arc::new(Rest::new(&settings.discord)?))),
            interactions: Interactions::new(&settings.discord)?,
            desk: Desk::new(settings, rcon, board, store, health),
            guilds: settings.discord.guild_ids.clone(),
            keep_audit: settings.database.keep_audit,
            rates: Mutex::new(Rates::new(queries, actions)),
            waiting: Mutex::default(),
        };
        Ok(Self { service: Arc::new(service) })
    }

    /// Registers the commands, then answers what comes by `events` until `cancel`; calls that are under way then get
    /// [`STOP_PATIENCE`] to end.
    ///
    /// # Errors
    /// Never: what fails is answered, logged and counted.
    pub async fn run(self, mut events: mpsc::Receiver<Interaction>, cancel: CancellationToken) -> anyhow::Result<()> {
        let mut jobs = JoinSet::new();
        let (service, stop) = (Arc::clone(&self.service), cancel.clone());
        jobs.spawn(async move { service.register(&stop).await });
        let (service, stop) = (Arc::clone(&self.service), cancel.clone());
        jobs.spawn(async move { service.keep_tidy(&stop).await });
        loop {
            tokio::select! {
                () = cancel.cancelled() => break,
                Some(event) = events.recv() => self.start(event, &mut jobs, &cancel),
                Some(ended) = jobs.join_next() => {
                    if ended.is_err_and(|end| end.is_panic()) {
                        count_error(Component::Discord.as_str(), ErrorType::Panic);
                        error!("A slash command panicked; the log has the place");
                    }
                }
                else => cancel.cancelled().await,
            }
        }
        if timeout(STOP_PATIENCE, async { while jobs.join_next().await.is_some() {} }).await.is_err() {
            warn!("Slash commands that are under way are given up");
        }
        Ok(())
    }

    fn start(&self, event: Interaction, jobs: &mut JoinSet<()>, cancel: &CancellationToken) {
        if jobs.len() >= MOST_JOBS {
            warn!("A slash command is dropped: too many are under way");
            return;
        }
        let (service, cancel) = (Arc::clone(&self.service), cancel.clone());
        jobs.spawn(async move {
            match event {
                Interaction::Command(call) => service.call(&call, &cancel).await,
                Interaction::Autocomplete(call) => service.typing(&call).await,
                Interaction::Component(press) => service.press(&press).await,
                _ => {}
            }
        });
    }
}

impl Service {
    /// Once the gateway is connected: a call before then would be heard by nobody.
    async fn register(&self, cancel: &CancellationToken) {
        let mut states = self.desk.health.subscribe();
        let connected =
            states.wait_for(|states| worst_part(states, Component::Discord).is_some_and(|part| part.state.works()));
        if !matches!(cancel.run_until_cancelled(connected).await, Some(Ok(_))) {
            return;
        }
        registration::register(self.interactions.rest(), &self.desk.store, &self.guilds, cancel).await;
    }

    fn count(command: &dyn SlashCommand, outcome: &'static str) {
        counter!(SLASH_COMMANDS, "command" => command.name(), "outcome" => outcome).increment(1);
        let span = Span::current();
        span.record("outcome", outcome);
        if matches!(outcome, "failed" | "unknown") {
            traces::failed(&span, outcome, &outcome);
        }
    }

    async fn call(&self, call: &CommandInteraction, cancel: &CancellationToken) {
        let Some(origin) = Origin::of_call(call).filter(|origin| self.guilds.contains(&origin.guild)) else {
            return self.turn_away(call).await;
        };
        let key = origin.key.clone();
        let Some(called) = Called::of(call) else {
            return self.interactions.answer(&key, &private(texts::unknown_command())).await;
        };
        let span =
            info_span!("slash_command", otel.kind = "server", command = called.command.name(), outcome = field::Empty);
        let work = async {
            match self.admit(origin, called).await {
                Err(text) => self.interactions.answer(&key, &private(text)).await,
                Ok(job) if job.command.is_dangerous(&job.options) => self.ask_back(job, cancel).await,
                Ok(job) => self.answer(&job).await,
            }
        };
        work.instrument(span).await;
    }

    /// Somebody who calls from where nothing is set up, or from a private chat.
    async fn turn_away(&self, call: &CommandInteraction) {
        let key = super::super::interactions::Key {
            id: call.id.get(),
            application: call.application_id.get(),
            token: call.token.clone(),
        };
        self.interactions.answer(&key, &private(texts::not_here())).await;
    }

    /// Checks all that can be checked without the game; a refusal costs nothing.
    async fn admit(&self, origin: Origin, called: Called) -> Result<Job, String> {
        let Called { command, options, .. } = called;
        let server = match self.server_of(&origin, command, &options).await {
            Ok(server) => server,
            Err(failure) => return Err(self.refuse(&origin, (command, &options), None, &failure).await),
        };
        let refused = self.check(&origin, command, &options, server);
        if let Err(failure) = refused {
            return Err(self.refuse(&origin, (command, &options), server, &failure).await);
        }
        // Who lets everybody kick does not make kicking a question.
        let level = self.desk.level(command).max(command.level_of(&options));
        let taken = self.rates().take(origin.caller.id, Kind::of(level), Instant::now());
        let ticket = match taken {
            Ok(ticket) => ticket,
            Err(wait) => {
                return Err(self.refuse(&origin, (command, &options), server, &Failure::TooOften(wait)).await);
            }
        };
        if command.scope() != Scope::Program {
            self.remember(&origin, &options, server).await;
        }
        let index = server.and_then(|server| self.desk.servers.iter().position(|other| other.tag == server.tag));
        Ok(Job { origin, command, options, server: index, ticket })
    }

    async fn server_of(
        &self,
        origin: &Origin,
        command: &dyn SlashCommand,
        options: &Options,
    ) -> Result<Option<&Server>, Failure> {
        let named = options.text("server");
        if command.scope() == Scope::Program {
            return named.map(|tag| self.desk.named(tag)).transpose();
        }
        self.desk.resolve(origin, named).await.map(Some)
    }

    fn check(
        &self,
        origin: &Origin,
        command: &dyn SlashCommand,
        options: &Options,
        server: Option<&Server>,
    ) -> Result<(), Failure> {
        let level = self.desk.level_with(command, options);
        if !self.desk.permits(&origin.caller, level, server) {
            return Err(Failure::Forbidden(texts::denied(&super::typed(command), level)));
        }
        if let Some(server) = server.filter(|_| command.scope() == Scope::Game) {
            if server.rcon.is_none() && !self.desk.works_without_rcon(command, server) {
                return Err(Failure::NoRcon(server.name.clone()));
            }
            if command.needs_lua(options) && !server.allow_lua {
                return Err(Failure::NeedsLua);
            }
        }
        let names = Names::default();
        let order =
            Order { desk: &self.desk, server, options, guild: origin.guild, caller: &origin.caller, names: &names };
        command.check(&order)
    }

    /// Counts and audits a call that is not done; the text for its caller. Such a call costs nothing, so of one member
    /// only as many are audited as questions are allowed: nobody floods the audit and its channel.
    async fn refuse(
        &self,
        origin: &Origin,
        (command, options): (&'static dyn SlashCommand, &Options),
        server: Option<&Server>,
        failure: &Failure,
    ) -> String {
        Self::count(command, failure.outcome());
        if self.is_worth_a_note(origin, (command, options)) {
            self.audit(origin, (command, options), server, (failure.outcome(), &failure.text())).await;
        }
        failure.text()
    }

    fn is_audited(&self, (command, options): (&dyn SlashCommand, &Options)) -> bool {
        self.desk.level(command).max(command.level_of(options)) > Level::Everyone
    }

    /// Whether everybody sees the answer, and is to know who gave the command.
    fn names_caller(&self, job: &Job) -> bool {
        let (command, options) = (job.command, &job.options);
        self.is_audited((command, options)) && !command.is_private() && !command.is_dangerous(options)
    }

    fn is_worth_a_note(&self, origin: &Origin, called: (&dyn SlashCommand, &Options)) -> bool {
        self.is_audited(called) && self.rates().take(origin.caller.id, Kind::Refusal, Instant::now()).is_ok()
    }

    /// A server that is named is meant from then on. To look at one in the list of all does not choose it.
    async fn remember(&self, origin: &Origin, options: &Options, server: Option<&Server>) {
        let Some(server) = server.filter(|_| options.text("server").is_some()) else { return };
        if let Err(error) = self.desk.store.prefer_server(origin.guild, origin.caller.id, &server.tag).await {
            warn!(%error, "The server a member chose cannot be stored");
        }
    }

    fn rates(&self) -> std::sync::MutexGuard<'_, Rates> {
        self.rates.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn waiting(&self) -> std::sync::MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn server(&self, job: &Job) -> Option<&Server> {
        job.server.and_then(|index| self.desk.servers.get(index))
    }

    /// Does the job; says so at once where the game is quick, else later.
    async fn answer(&self, job: &Job) {
        let asks_game = job.command.scope() == Scope::Game;
        let slow = asks_game && self.server(job).is_some_and(Server::is_connecting);
        let patience = if slow { Duration::ZERO } else { PATIENCE };
        let mut work = pin!(self.work(job));
        match timeout(patience, &mut work).await {
            Ok(message) => self.interactions.answer(&job.origin.key, &message).await,
            Err(_) => self.answer_later(job, work).await,
        }
    }

    /// Whether it is a failure, for the caller alone, is not known yet, unless the whole command is.
    async fn answer_later(&self, job: &Job, work: impl Future<Output = Message>) {
        let (key, private) = (&job.origin.key, job.command.is_private());
        let ((), message) = tokio::join!(self.interactions.defer(key, private), work);
        if private {
            self.interactions.edit(key, &message).await;
        } else {
            self.interactions.settle(key, &message).await;
        }
    }

    async fn work(&self, job: &Job) -> Message {
        let (begun, server) = (Instant::now(), self.server(job));
        let (desk, options, origin) = (&self.desk, &job.options, &job.origin);
        let names = self.names_for_players(origin.guild, options).await;
        let order = Order { desk, server, options, guild: origin.guild, caller: &origin.caller, names: &names };
        let result = job.command.run(&order).await;
        let mut noted = true;
        histogram!(SLASH_LATENCY, "command" => job.command.name()).record(begun.elapsed().as_secs_f64());
        let (outcome, answer, message) = match result {
            Ok(shown) => {
                let outcome = if shown.tone == Tone::Fine { "done" } else { "refused" };
                let shown = if self.names_caller(job) { shown.by(&origin.caller.name) } else { shown };
                let message = shown.message(server.map_or("", |server| &server.name));
                let private = message.private || job.command.is_private();
                (outcome, shown.plain(), Message { private, ..message })
            }
            Err(failure) => {
                if !failure.may_have_run() {
                    self.rates().refund(&job.ticket);
                    noted = self.is_worth_a_note(origin, (job.command, &job.options));
                }
                (failure.outcome(), failure.text(), private(failure.text()))
            }
        };
        Self::count(job.command, outcome);
        if noted {
            self.audit(origin, (job.command, &job.options), server, (outcome, &answer)).await;
        }
        message
    }

    /// What the ids are called that stand in texts for players. Discord is asked; where it takes long, they stay
    /// unknown.
    async fn names_for_players(&self, guild: u64, options: &Options) -> Names {
        let texts: Vec<&str> = PLAYERS_READ.iter().filter_map(|name| options.text(name)).collect();
        let ids = mentioned(&texts.join("\n"));
        if ids.is_empty() {
            return Names::default();
        }
        let lookup = async { self.directory.lock().await.names(Some(guild), &ids, BTreeMap::new()).await };
        timeout(NAMES_TIMEOUT, lookup).await.unwrap_or_default()
    }

    async fn ask_back(&self, job: Job, cancel: &CancellationToken) {
        let (key, within) = (job.origin.key.clone(), self.desk.settings.confirm_within);
        let place = self.server(&job).map_or("", |server| &server.name);
        let question = texts::confirm(&job.typed(), place, within);
        let added = self.waiting().add(job);
        let id = match added {
            Ok(id) => id,
            Err(job) => {
                let text = self.give_up(&job, &Failure::TooOften(within)).await;
                return self.interactions.answer(&key, &private(text)).await;
            }
        };
        let message = Message { components: buttons(&id), ..private(question) };
        self.interactions.answer(&key, &message).await;
        // A program that stops forgets its questions: nobody can confirm them any more.
        let _stopped = cancel.run_until_cancelled(sleep(within)).await;
        let expired = self.waiting().take(&id);
        if let Some(job) = expired {
            let text = self.give_up(&job, &Failure::Expired).await;
            self.interactions.edit(&key, &private(text)).await;
        }
    }

    /// A call that was counted and is not done after all; the text for its caller.
    async fn give_up(&self, job: &Job, failure: &Failure) -> String {
        self.rates().refund(&job.ticket);
        self.refuse(&job.origin, (job.command, &job.options), self.server(job), failure).await
    }

    async fn press(&self, press: &ComponentInteraction) {
        let Some(origin) = Origin::of_press(press) else { return };
        let Some(button) = Press::of(&press.data.custom_id) else { return };
        let caller = self.waiting().caller(button.id());
        match caller {
            None => return self.interactions.update(&origin.key, &private(texts::expired())).await,
            Some((id, name)) if id != origin.caller.id => {
                return self.interactions.answer(&origin.key, &private(texts::not_your_button(&name))).await;
            }
            Some(_) => {}
        }
        let taken = self.waiting().take(button.id());
        match (taken, button) {
            (None, _) => self.interactions.update(&origin.key, &private(texts::expired())).await,
            (Some(job), Press::Cancel(_)) => {
                let text = self.give_up(&job, &Failure::Cancelled).await;
                self.interactions.update(&origin.key, &private(text)).await;
            }
            (Some(job), Press::Confirm(_)) => self.confirmed(Job { origin, ..job }).await,
        }
    }

    /// The caller's roles may have changed since the question.
    async fn confirmed(&self, job: Job) {
        let server = self.server(&job);
        if let Err(failure) = self.check(&job.origin, job.command, &job.options, server) {
            let text = self.give_up(&job, &failure).await;
            return self.interactions.update(&job.origin.key, &private(text)).await;
        }
        self.interactions.update(&job.origin.key, &private(texts::confirming())).await;
        let message = self.work(&job).await;
        self.interactions.edit(&job.origin.key, &message).await;
    }

    async fn typing(&self, call: &CommandInteraction) {
        let Some(origin) = Origin::of_call(call).filter(|origin| self.guilds.contains(&origin.guild)) else { return };
        let Some(Called { command, options, focused: Some((option, typed)) }) = Called::of(call) else { return };
        let names = self.names(&origin, command, &options, (&option, &typed)).await;
        self.interactions.suggest(&origin.key, &names).await;
    }

    /// Nothing is suggested to those who may not use the command.
    async fn names(
        &self,
        origin: &Origin,
        command: &dyn SlashCommand,
        options: &Options,
        (option, typed): (&str, &str),
    ) -> Vec<String> {
        let Some(source) = suggest::source(command, option) else { return Vec::new() };
        let server = self.server_of(origin, command, options).await.ok().flatten();
        if !self.desk.permits(&origin.caller, self.desk.level_with(command, options), server) {
            return Vec::new();
        }
        suggest::suggest(&self.desk, server, source, options, typed).await
    }
}
