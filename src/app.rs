//! The composition root: the only file that knows every room. Settings become wired tasks on the supervisor.

mod page;

use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use futures_util::Stream;
use jiff::Timestamp;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tracing::{error, info, warn};

use crate::config::settings::{PatternSettings, ServerPrefix, ServerSettings};
use crate::config::summary::Summary;
use crate::config::{Loaded, Settings};
use crate::delivery::DeliveryWorker;
use crate::discord::access::{AccessChecker, AccessMonitor, AccessTimes};
use crate::discord::status::{self, ChannelTopics, StatusMessages};
use crate::discord::{Commands, DiscordSink, Dispatches, GatewayEvent, Inbound, inbound, run_gateway};
use crate::domain::{Clock, EventKind, LineBatch, ServerTag, SystemClock};
use crate::events::{EventRules, Pipeline};
use crate::game::{
    BoardSeries, FileSource, GameBoard, GameLink, HistoryUpkeep, Keeper, PrometheusFiles, Sampler,
    end_alerts_of_removed,
};
use crate::health::{Component, HealthRegistry, Lifecycle};
use crate::http::{self, HttpState};
use crate::rcon::{self, RconClient, RconTarget, RconTimes};
use crate::store::{Retention, Store};
use crate::supervisor::{ExitReason, Signal, Stage, Supervisor, TaskSpec, signals};
use crate::tail::{self, TailConfig, Wakes};
use crate::telemetry::metrics::{CONFIG_RELOAD_SUCCESS, CONFIG_RELOAD_TIMESTAMP};
use crate::telemetry::{MetricsExporter, ServerSeries, Traces, logging};

/// Batches between the tails and the pipeline; each is at most about 256 KiB. When they are all taken, the tails
/// wait and the files are the buffer.
const BATCHES_IN_FLIGHT: usize = 32;

/// Samples between a sampler and its keeper: one is the rule, as the next is taken half a minute later.
const SAMPLES_IN_FLIGHT: usize = 16;

/// How long the last spans may take to leave, behind everything else.
const FLUSHING: Duration = Duration::from_millis(500);

/// How long the database may take to close. The stages before take up to 9 s, and service managers kill after 10 s.
const CLOSING: Duration = Duration::from_millis(500);

/// Runs the relay until a signal stops it. Failures are logged; the exit code tells.
pub async fn run(loaded: Loaded) -> ExitCode {
    let traces = match observe(&loaded.settings) {
        Ok(traces) => traces,
        Err(failure) => {
            eprintln!("factorio-isr: {failure:#}");
            return ExitCode::FAILURE;
        }
    };
    let settings = loaded.settings.clone();
    // Looks at files, which may lie on a dead network mount: nobody waits for it.
    tokio::task::spawn_blocking(move || Summary::of(&loaded).warnings().iter().for_each(|warning| warn!("{warning}")));
    let code = match start(&settings).await {
        Ok((relay, signals)) => relay.run(signals).await,
        Err(failure) => {
            error!("Cannot start: {failure:#}");
            ExitCode::FAILURE
        }
    };
    flush(traces).await;
    logging::tell_repeats();
    code
}

/// Sets up the log and, where they are wanted, the traces.
pub(crate) fn observe(settings: &Settings) -> anyhow::Result<Option<Traces>> {
    let traces = settings.traces.enabled.then(|| Traces::start(&settings.traces)).transpose()?;
    logging::init(&settings.log, traces.as_ref())?;
    Ok(traces)
}

/// Sends the last spans.
pub(crate) async fn flush(traces: Option<Traces>) {
    if let Some(traces) = traces {
        traces.flush(FLUSHING).await;
    }
}

async fn start(settings: &Settings) -> anyhow::Result<(Relay, impl Stream<Item = Signal>)> {
    let signals = signals::listen().context("Cannot listen for signals")?;
    Ok((Relay::assemble(settings).await?, signals))
}

/// The relay with all its tasks started.
pub struct Relay {
    supervisor: Supervisor,
    store: Store,
    address: SocketAddr,
}

impl Relay {
    /// Opens the database, binds the port and starts every task.
    ///
    /// # Errors
    /// When the port is taken, the database cannot be opened, or a rule of the events is wrong.
    pub async fn assemble(settings: &Settings) -> anyhow::Result<Self> {
        let rules = EventRules::new(&settings.events)?.with_mentions(settings.mentions.clone());
        let rules = match settings.relay.server_prefix {
            ServerPrefix::Auto => rules.with_server_prefix(&settings.servers),
            ServerPrefix::Never => rules,
        };
        let rules = Arc::new(rules);
        let metrics = MetricsExporter::install()?;
        let listener = bind(settings).await?;
        let address = listener.local_addr().context("The bound port has no address")?;
        let lifecycle = Lifecycle::new();
        let mut parts = Parts {
            settings,
            store: Store::open(&settings.database.path).await?,
            health: HealthRegistry::new(),
            supervisor: Supervisor::new(lifecycle.clone()),
        };
        metrics.preregister(&series(settings));
        let files = parts.start_prometheus_files(&metrics);
        let board = GameBoard::new(settings.servers.iter().map(|server| server.tag.clone()));
        parts.start_http(listener, &metrics, &lifecycle, &board);
        parts.start_relay(rules, &board, &files).await?;
        lifecycle.mark_live();
        lifecycle.mark_initialised();
        ::metrics::gauge!(CONFIG_RELOAD_SUCCESS).set(1.0);
        ::metrics::gauge!(CONFIG_RELOAD_TIMESTAMP).set(Timestamp::now().as_millisecond() as f64 / 1000.0);
        info!(servers = settings.servers.len(), "Listening on http://{address}");
        Ok(Self { supervisor: parts.supervisor, store: parts.store, address })
    }

    /// Where the endpoints are.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Runs until a signal or a fatal fall, then stops in order and closes the database.
    pub async fn run(self, signals: impl Stream<Item = Signal>) -> ExitCode {
        let reason = self.supervisor.run(signals).await;
        if matches!(reason, ExitReason::Stopped(_)) {
            info!("The relay {reason}");
        } else {
            error!("The relay ended badly: {reason}");
        }
        if !matches!(reason, ExitReason::Aborted(_)) {
            // What is committed is safe without it.
            if timeout(CLOSING, self.store.close()).await.is_err() {
                warn!("The database was not closed in time; the next start tidies it up");
            }
        }
        ExitCode::from(reason.exit_code())
    }
}

async fn bind(settings: &Settings) -> anyhow::Result<TcpListener> {
    let address = SocketAddr::new(settings.http.host, settings.http.port);
    TcpListener::bind(address).await.with_context(|| {
        format!("Cannot listen on {address} (http.host, http.port): is another program using this port?")
    })
}

fn series(settings: &Settings) -> Vec<ServerSeries> {
    let of = |server: &ServerSettings| ServerSeries {
        tag: server.tag.clone(),
        logs: server.logs().map(|(source, _)| source).collect(),
        rcon: server.rcon.is_some(),
        lua: server.rcon.as_ref().is_some_and(|rcon| rcon.allow_lua),
        prometheus_file: server.prometheus_file.is_some(),
        alerts: server.alerts.rules.keys().copied().collect(),
        events: pattern_events(settings, &server.tag),
    };
    settings.servers.iter().map(of).collect()
}

fn pattern_events(settings: &Settings, server: &ServerTag) -> Vec<Arc<str>> {
    let applies = |pattern: &&PatternSettings| pattern.servers.is_empty() || pattern.servers.contains(server);
    settings.events.patterns.iter().filter(applies).map(|pattern| Arc::clone(&pattern.event)).collect()
}

/// What the tasks share.
struct Parts<'a> {
    settings: &'a Settings,
    store: Store,
    health: HealthRegistry,
    supervisor: Supervisor,
}

impl Parts<'_> {
    fn start_http(
        &mut self,
        listener: TcpListener,
        metrics: &MetricsExporter,
        lifecycle: &Lifecycle,
        board: &GameBoard,
    ) {
        let page = page::status_page(self.settings, lifecycle, &self.health, metrics, board);
        let state = HttpState {
            lifecycle: lifecycle.clone(),
            health: self.health.clone(),
            metrics: self.settings.metrics.enabled.then(|| metrics.clone()),
            games: vec![Arc::new(BoardSeries::new(board.clone(), self.settings.game.clone()))],
            page: page.clone(),
        };
        let looks = TaskSpec::restart("status-page", Stage::Http);
        self.supervisor.spawn(looks, None, move |cancel| page.clone().run(cancel));
        self.supervisor.spawn_once("http", Stage::Http, None, move |cancel| http::serve(listener, state, cancel));
    }

    /// The files in which mods write the games' metrics, shown at every scrape.
    fn start_prometheus_files(&mut self, metrics: &MetricsExporter) -> PrometheusFiles {
        let files = PrometheusFiles::default();
        for server in &self.settings.servers {
            let Some(settings) = &server.prometheus_file else { continue };
            let file = files.file(server.tag.clone(), settings.clone());
            let spec = TaskSpec::restart(format!("prometheus-file {}", server.tag), Stage::Intake);
            self.supervisor.spawn(spec, None, move |cancel| file.clone().run(cancel));
        }
        let shown = files.clone();
        metrics.extend(Arc::new(move |own| shown.shown_with(own)));
        files
    }

    /// From the far end to the near one, so that nothing is read before it can be stored, and sent.
    async fn start_relay(
        &mut self,
        rules: Arc<EventRules>,
        board: &GameBoard,
        files: &PrometheusFiles,
    ) -> anyhow::Result<()> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        self.start_delivery(Arc::clone(&clock))?;
        let games = self.start_rcon();
        self.start_games(&games, board, files, &rules).await?;
        self.start_history(Arc::clone(&clock));
        self.start_store_size();
        let mut dispatches = self.start_conversation(games, board, Arc::clone(&clock))?;
        self.start_status(board, &mut dispatches)?;
        self.start_gateway(dispatches);
        self.start_access_monitor()?;
        let batches = self.start_pipeline(&rules, clock).await?;
        self.start_tails(&batches);
        Ok(())
    }

    fn start_delivery(&mut self, clock: Arc<dyn Clock>) -> anyhow::Result<()> {
        let sink = Arc::new(DiscordSink::new(&self.settings.discord)?);
        let relay = self.settings.relay.clone();
        let (store, registry) = (self.store.clone(), self.health.clone());
        let health = self.health.component(Component::Delivery);
        let spec = TaskSpec::restart("delivery", Stage::Delivery);
        self.supervisor.spawn(spec, Some(health), move |cancel| {
            let worker =
                DeliveryWorker::new(store.clone(), sink.clone(), relay.clone(), Arc::clone(&clock), registry.clone());
            worker.run(cancel)
        });
        Ok(())
    }

    fn start_gateway(&mut self, dispatches: Dispatches) {
        let discord = self.settings.discord.clone();
        let health = self.health.component(Component::Discord);
        let spec = TaskSpec::restart("gateway", Stage::Intake);
        self.supervisor.spawn(spec, Some(health.clone()), move |cancel| {
            run_gateway(discord.clone(), dispatches.clone(), health.clone(), cancel)
        });
    }

    /// Finds guilds and channels that cannot be used as configured, beside everything else.
    fn start_access_monitor(&mut self) -> anyhow::Result<()> {
        let checker = AccessChecker::new(self.settings)?;
        let monitor = AccessMonitor::new(checker, self.health.clone(), AccessTimes::new(self.settings));
        let spec = TaskSpec::restart("discord-access", Stage::Intake);
        self.supervisor.spawn(spec, None, move |cancel| monitor.clone().run(cancel));
        Ok(())
    }

    /// A connection to each game that has RCON.
    fn start_rcon(&mut self) -> Vec<RconClient> {
        let mut games = Vec::new();
        for server in &self.settings.servers {
            let Some(settings) = &server.rcon else { continue };
            let target = RconTarget::of(&server.tag, settings);
            let (client, actor) = rcon::connect(target, RconTimes::default(), &self.health);
            let health = self.health.server_part(Component::Rcon, &server.tag, "rcon");
            let spec = TaskSpec::restart(format!("rcon {}", server.tag), Stage::Intake);
            self.supervisor.spawn(spec, Some(health), move |cancel| actor.clone().run(cancel));
            games.push(client);
        }
        games
    }

    /// How the games are: a keeper for each server, and a sampler where the game can be asked.
    async fn start_games(
        &mut self,
        games: &[RconClient],
        board: &GameBoard,
        files: &PrometheusFiles,
        rules: &EventRules,
    ) -> anyhow::Result<()> {
        end_alerts_of_removed(&self.store, &self.settings.servers).await?;
        for server in &self.settings.servers {
            let Some(handle) = board.handle(&server.tag) else { continue };
            // Before the first line is read, so that none is passed over.
            self.store.begin_alerts(&server.tag).await?;
            let unasked = handle.clone();
            let (sender, taken) = mpsc::channel(SAMPLES_IN_FLIGHT);
            let game = games.iter().find(|rcon| *rcon.server() == server.tag);
            let leaves = rules.channel_of(EventKind::Leave, server);
            let prefix = leaves.and_then(|channel| rules.prefix_name(channel, server));
            let keeper =
                Keeper::new(server.tag.clone(), self.store.clone(), handle, taken).with_missed_leaves(leaves, prefix);
            let keeper = match game {
                Some(rcon) => keeper.with_link(rcon.link()),
                None => keeper,
            };
            let keeper = self.with_file(keeper, server, files);
            let spec = TaskSpec::restart(format!("game {}", server.tag), Stage::Pipeline);
            let settings = Arc::new(server.clone());
            self.supervisor.spawn(spec, None, move |cancel| keeper.clone().run(Arc::clone(&settings), cancel));
            let Some(rcon) = game else {
                unasked.update(|view| view.link = GameLink::None);
                continue;
            };
            let Some(view) = board.watch(&server.tag) else { continue };
            let sampler = Sampler::new(rcon.clone(), sender, self.settings.game.of(&server.tag).clone(), view);
            let spec = TaskSpec::restart(format!("sampler {}", server.tag), Stage::Intake);
            self.supervisor.spawn(spec, None, move |cancel| sampler.clone().run(cancel));
        }
        Ok(())
    }

    /// The keeper of a game of which a mod's file tells, too.
    fn with_file(&self, keeper: Keeper, server: &ServerSettings, files: &PrometheusFiles) -> Keeper {
        let Some((file, updates)) = server.prometheus_file.as_ref().zip(files.updates(&server.tag)) else {
            return keeper;
        };
        let sampling = self.settings.game.of(&server.tag);
        keeper.with_file(FileSource::new(file.max_age, sampling.ups_window), updates, sampling.interval)
    }

    /// What Discord shows of the games without being asked.
    fn start_status(&mut self, board: &GameBoard, dispatches: &mut Dispatches) -> anyhow::Result<()> {
        let (settings, health) = (self.settings, self.health.clone());
        // Also where no server has one: those of before are deleted.
        let messages = StatusMessages::new(settings, self.store.clone(), board.clone(), health.clone())?;
        let spec = TaskSpec::restart("status", Stage::Intake);
        self.supervisor.spawn(spec, None, move |cancel| messages.clone().run(cancel));
        if !settings.status.topics.is_empty() {
            let topics = ChannelTopics::new(settings, self.store.clone(), board.clone(), health)?;
            let spec = TaskSpec::restart("topics", Stage::Intake);
            self.supervisor.spawn(spec, None, move |cancel| topics.clone().run(cancel));
        }
        if settings.status.presence {
            let (wanted, board) = (dispatches.presence(), board.clone());
            let spec = TaskSpec::restart("presence", Stage::Intake);
            self.supervisor
                .spawn(spec, None, move |cancel| status::keep_presence(board.clone(), wanted.clone(), cancel));
        }
        Ok(())
    }

    /// Rolls samples up and lets go of what is old.
    fn start_history(&mut self, clock: Arc<dyn Clock>) {
        let history = &self.settings.history;
        let (raw, five_minutes, happenings) = (history.raw, history.five_minutes, history.happenings);
        let upkeep = HistoryUpkeep::new(self.store.clone(), Retention { raw, five_minutes, happenings }, clock);
        let spec = TaskSpec::restart("history", Stage::Pipeline);
        self.supervisor.spawn(spec, None, move |cancel| upkeep.clone().run(cancel));
    }

    /// Shows how large the database is.
    fn start_store_size(&mut self) {
        let store = self.store.clone();
        let spec = TaskSpec::restart("store-size", Stage::Pipeline);
        self.supervisor.spawn(spec, None, move |cancel| store.clone().show_size(cancel));
    }

    /// What people in Discord may do: slash commands always, chat into the games where a game can be reached. Only the
    /// latter needs the privileged intent.
    fn start_conversation(
        &mut self,
        games: Vec<RconClient>,
        board: &GameBoard,
        clock: Arc<dyn Clock>,
    ) -> anyhow::Result<Dispatches> {
        let mut dispatches = Dispatches::default();
        let (store, health) = (self.store.clone(), self.health.clone());
        let commands = Commands::new(self.settings, &games, board.clone(), store.clone(), health.clone())?;
        let interactions = dispatches.interactions();
        self.supervisor.spawn_once("commands", Stage::Intake, None, move |cancel| commands.run(interactions, cancel));
        if games.is_empty() {
            return Ok(dispatches);
        }
        let events = self.heard_messages(&mut dispatches);
        let what = (self.settings.chat.clone(), &self.settings.discord);
        let inbound = Inbound::new(what, store, games, events, (clock, health))?;
        let spec = TaskSpec::restart("inbound", Stage::Intake);
        self.supervisor.spawn(spec, None, move |cancel| inbound.clone().run(cancel));
        Ok(dispatches)
    }

    /// Chat between games needs no Discord: only where a channel feeds a game is the privileged intent asked for.
    fn heard_messages(&self, dispatches: &mut Dispatches) -> mpsc::Receiver<GatewayEvent> {
        if self.settings.chat.feeds.is_empty() {
            return mpsc::channel(1).1;
        }
        dispatches.messages(Inbound::INTENTS)
    }

    async fn start_pipeline(
        &mut self,
        rules: &Arc<EventRules>,
        clock: Arc<dyn Clock>,
    ) -> anyhow::Result<mpsc::Sender<LineBatch>> {
        let (sender, receiver) = mpsc::channel(BATCHES_IN_FLIGHT);
        let health = self.health.component(Component::Pipeline);
        let servers = &self.settings.servers;
        let mut pipeline = Pipeline::new(self.store.clone(), servers, rules, clock, health.clone()).await?;
        pipeline = pipeline.with_registry(&self.health);
        let chat = self.settings.chat.clone();
        if !chat.games.is_empty() {
            pipeline = pipeline.with_fan_out(Arc::new(move |said| inbound::format::for_other_games(said, &chat)));
        }
        self.supervisor
            .spawn_once("pipeline", Stage::Pipeline, Some(health), move |cancel| pipeline.run(receiver, cancel));
        Ok(sender)
    }

    fn start_tails(&mut self, batches: &mpsc::Sender<LineBatch>) {
        let wakes = Wakes::new();
        for server in &self.settings.servers {
            for (source, path) in server.logs() {
                let config = TailConfig {
                    server: server.tag.clone(),
                    source,
                    path: path.to_owned(),
                    start_at: server.start_at,
                    poll_interval: self.settings.relay.poll_interval,
                };
                self.start_tail(config, wakes.clone(), batches.clone());
            }
        }
    }

    fn start_tail(&mut self, config: TailConfig, wakes: Wakes, batches: mpsc::Sender<LineBatch>) {
        let health = self.health.server_part(Component::LogTailer, &config.server, config.source.as_str());
        let name = format!("tail {}/{}", config.server, config.source.as_str());
        let store = self.store.clone();
        let reported = health.clone();
        self.supervisor.spawn(TaskSpec::restart(name, Stage::Intake), Some(reported), move |cancel| {
            let (config, wakes, batches, health) = (config.clone(), wakes.clone(), batches.clone(), health.clone());
            let store = store.clone();
            async move {
                let stored = store.checkpoint(&config.server, config.source).await?;
                let from = stored.map(|stored| stored.position).unwrap_or_default();
                tail::follow(config, from, &wakes, batches, health, cancel).await
            }
        });
    }
}
