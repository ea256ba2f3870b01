//! Every metric of the program in one table: name, kind, help, labels, buckets.
//!
//! To add a metric, add a row and use its constant: `metrics::counter!(LINES_READ, "server" => tag)`.
//! Label values are closed enums, server tags and event keys of the configuration: never line text or player names.

/// What a metric counts like.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kind {
    /// Only grows.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts values into these buckets.
    Histogram(&'static [f64]),
}

impl Kind {
    /// Its name in the text format.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram(_) => "histogram",
        }
    }
}

/// A row of the table.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Metric {
    /// Its full name.
    pub name: &'static str,
    /// Counter, gauge or histogram.
    pub kind: Kind,
    /// The labels, in order.
    pub labels: &'static [&'static str],
    /// What it means: becomes `# HELP`.
    pub help: &'static str,
}

macro_rules! metrics {
    ($($konst:ident: $kind:expr, $name:literal [$($label:literal),*], $help:literal;)+) => {
        $(#[doc = $help] pub const $konst: &str = $name;)+

        /// All metrics of the program's own.
        pub const METRICS: &[Metric] = &[
            $(Metric { name: $name, kind: $kind, labels: &[$($label),*], help: $help }),+
        ];
    };
}

/// Buckets in seconds, for what takes milliseconds to minutes.
pub(super) const SECONDS: &[f64] = &[0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0];

metrics! {
    UPTIME: Kind::Gauge, "factorio_isr_uptime_seconds" [], "Seconds since the program started.";
    COMPONENT_STATUS: Kind::Gauge, "factorio_isr_component_status" ["component"], "1 while the component does its work, else 0.";
    ERRORS: Kind::Counter, "factorio_isr_errors_total" ["component", "error_type"], "Failures by component and kind.";
    EVENTS_PROCESSED: Kind::Counter, "factorio_isr_events_processed_total" ["server", "event_type"], "Events read from the logs.";
    DISCORD_LATENCY: Kind::Histogram(&[0.01, 0.05, 0.1, 0.5, 1.0, 2.0, 5.0]), "factorio_isr_discord_api_latency_seconds" [], "Seconds a request to the Discord API took.";
    RCON_LATENCY: Kind::Histogram(&[0.01, 0.1, 0.5, 1.0, 5.0, 10.0]), "factorio_isr_rcon_command_latency_seconds" ["server"], "Seconds an RCON command took.";
    RCON_COMMANDS: Kind::Counter, "factorio_isr_rcon_commands_total" ["server", "outcome"], "RCON commands by how they ended for those who asked; answered is the good one.";
    RCON_CONNECTED: Kind::Gauge, "factorio_isr_rcon_connected" ["server"], "1 while the game's RCON connection stands and is logged in, else 0.";
    RCON_RECONNECTS: Kind::Counter, "factorio_isr_rcon_reconnects_total" ["server"], "RCON connections that broke and are made anew.";
    RCON_QUEUE_DEPTH: Kind::Gauge, "factorio_isr_rcon_queue_depth" ["server"], "RCON commands that wait for their turn.";
    INBOUND_CHATS: Kind::Counter, "factorio_isr_inbound_chats_total" ["server", "outcome"], "Chat for a game by outcome: said, doubt (sent, and perhaps not heard), expired.";
    INBOUND_WAITING: Kind::Gauge, "factorio_isr_inbound_waiting" ["server"], "Chat that waits for a game.";
    INBOUND_LATENCY: Kind::Histogram(SECONDS), "factorio_isr_inbound_latency_seconds" [], "Seconds from the writing of chat to its being said in a game.";
    GAME_SERIES_CUT: Kind::Counter, "factorio_isr_game_series_cut_total" ["server", "family"], "Series of games that scrapes went without, by metric: more than the cap allows.";
    BUILD_INFO: Kind::Gauge, "factorio_isr_build_info" ["version"], "1, with the version as a label.";

    LINES_READ: Kind::Counter, "factorio_isr_lines_read_total" ["server", "source"], "Lines read from the logs.";
    BYTES_READ: Kind::Counter, "factorio_isr_bytes_read_total" ["server", "source"], "Bytes read from the logs.";
    OVERSIZE_LINES: Kind::Counter, "factorio_isr_oversize_lines_total" ["server", "source"], "Lines longer than 64 KiB, whose rest was skipped.";
    LOG_GAPS: Kind::Counter, "factorio_isr_log_gaps_total" ["server", "source"], "Times bytes of a log were destroyed before anyone could read them.";
    LOG_ROTATIONS: Kind::Counter, "factorio_isr_log_rotations_total" ["server", "source"], "Times a log was rotated, truncated or recreated.";
    TAIL_LAG_BYTES: Kind::Gauge, "factorio_isr_tail_lag_bytes" ["server", "source"], "Bytes of the log that are not read yet.";
    TAIL_LAG_SECONDS: Kind::Gauge, "factorio_isr_tail_lag_seconds" ["server", "source"], "Seconds since the log was last read to its end.";

    LINES_UNMATCHED: Kind::Counter, "factorio_isr_lines_unmatched_total" ["server", "source"], "Lines of no known shape that belong to no line before them.";
    LAST_EVENT: Kind::Gauge, "factorio_isr_last_event_timestamp_seconds" ["server"], "Unix time of the newest line with a time in the server's logs, by the logs' own clock; 0 before the first one ever.";

    COMMIT_LATENCY: Kind::Histogram(SECONDS), "factorio_isr_commit_latency_seconds" [], "Seconds a commit of lines and checkpoint took.";
    STORE_FILE_BYTES: Kind::Gauge, "factorio_isr_store_file_bytes" [], "Bytes of the database's file.";
    STORE_WAL_BYTES: Kind::Gauge, "factorio_isr_store_wal_bytes" [], "Bytes of the database's write-ahead log, 0 while there is none.";
    OUTBOX_DEPTH: Kind::Gauge, "factorio_isr_outbox_depth" ["lane"], "Notices that are not delivered yet.";
    OUTBOX_OLDEST: Kind::Gauge, "factorio_isr_outbox_oldest_age_seconds" [], "Seconds the oldest undelivered notice has waited; 0 when there is none.";
    DEAD_LETTERS: Kind::Gauge, "factorio_isr_dead_letters" [], "Notices that Discord refuses for good.";
    PARKED_CHANNELS: Kind::Gauge, "factorio_isr_parked_channels" [], "Channels that rest because Discord refuses them.";

    DELIVERIES: Kind::Counter, "factorio_isr_deliveries_total" ["outcome"], "Attempts to send a message, by outcome: delivered, retry, parked (the channel is refused), rejected (the notice is, for good).";
    DISCORD_REQUESTS: Kind::Counter, "factorio_isr_discord_requests_total" ["route", "status"], "Requests to the Discord API by what they ask for and how they were answered; error is no answer at all.";
    RATE_LIMITED: Kind::Counter, "factorio_isr_discord_rate_limited_total" ["scope"], "429 answers by scope: user, global, shared, unknown.";
    RETRIES: Kind::Counter, "factorio_isr_delivery_retries_total" [], "Messages tried again.";
    ROWS_PER_MESSAGE: Kind::Histogram(&[1.0, 2.0, 5.0, 10.0, 50.0, 100.0, 1000.0, 10000.0]), "factorio_isr_rows_per_message" [], "Notices folded into one message.";
    RELAY_LATENCY: Kind::Histogram(SECONDS), "factorio_isr_relay_latency_seconds" [], "Seconds from the reading of a line to its delivery, once for each notice, however many share a message.";
    GATEWAY_CONNECTED: Kind::Gauge, "factorio_isr_gateway_connected" [], "1 while the gateway session is up: READY or RESUMED arrived on this connection; else 0.";
    GATEWAY_CONNECTION_ATTEMPTS: Kind::Counter, "factorio_isr_gateway_connection_attempts_total" [], "Attempts to connect to the gateway, the first one included.";
    GATEWAY_HEARTBEAT: Kind::Gauge, "factorio_isr_gateway_heartbeat_latency_seconds" [], "Seconds Discord took to answer the gateway's last heartbeat; 0 while it is not connected or not measured yet.";
    GATEWAY_RECONNECTS: Kind::Counter, "factorio_isr_gateway_reconnects_total" [], "New or resumed gateway sessions after the first.";
    GATEWAY_EVENTS_DROPPED: Kind::Counter, "factorio_isr_gateway_events_dropped_total" ["kind"], "Events of Discord dropped because too many waited.";
    GATEWAY_EVENTS_UNDECODABLE: Kind::Counter, "factorio_isr_gateway_events_undecodable_total" ["kind"], "Events of Discord skipped because they could not be decoded; the log has the reason.";
    STATUS_UPDATES: Kind::Counter, "factorio_isr_status_updates_total" ["what", "outcome"], "Requests that change a status message, a channel's topic or the bot's own status, by outcome: done, gone, retry, refused.";
    SLASH_COMMANDS: Kind::Counter, "factorio_isr_slash_commands_total" ["command", "outcome"], "Slash commands by how they ended.";
    SLASH_LATENCY: Kind::Histogram(SECONDS), "factorio_isr_slash_command_seconds" ["command"], "Seconds a slash command took to be done, the game included.";

    PROMETHEUS_FILE_AGE: Kind::Gauge, "factorio_isr_prometheus_file_age_seconds" ["server"], "Seconds since a mod last rewrote the server's file of metrics, or since the start where it never did.";
    PROMETHEUS_FILE_DROPPED: Kind::Counter, "factorio_isr_prometheus_file_dropped_total" ["server", "reason"], "What of the file of metrics is not shown, counted at each reading, by reason: invalid, cap, collision.";

    TRACE_SPANS: Kind::Counter, "factorio_isr_trace_spans_total" ["outcome"], "Spans for the collector by what became of them: exported, failed, dropped.";
    LOG_SUPPRESSED: Kind::Counter, "factorio_isr_log_messages_suppressed_total" ["level"], "Warnings and errors that were not logged one by one because they repeat, by level: warn, error.";
    ALERTS_FIRING: Kind::Gauge, "factorio_isr_alerts_firing" ["server", "alert"], "Alerts that fire now.";
    ALERTS: Kind::Counter, "factorio_isr_alerts_total" ["server", "alert", "change"], "Changes of alerts: fired, grown, reminded, recovered, passed.";

    STATUS_PAGE_VIEWERS: Kind::Gauge, "factorio_isr_status_page_viewers" [], "Browsers that watch the status page now.";

    READY: Kind::Gauge, "factorio_isr_ready" [], "1 while /ready answers 200, else 0.";
    TASK_RUNNING: Kind::Gauge, "factorio_isr_task_running" ["task"], "1 while the task runs, 0 while it rests after a fall or has ended.";
    TASK_RESTARTS: Kind::Counter, "factorio_isr_task_restarts_total" ["task"], "Times the supervisor started a task again.";
    CONFIG_RELOAD_SUCCESS: Kind::Gauge, "factorio_isr_config_last_reload_successful" [], "1 when the configuration was last read without error.";
    CONFIG_RELOAD_TIMESTAMP: Kind::Gauge, "factorio_isr_config_last_reload_success_timestamp_seconds" [], "Unix time of the last successful reading of the configuration.";

    TOKIO_WORKERS: Kind::Gauge, "factorio_isr_tokio_workers" [], "Worker threads of the program's own tokio runtime.";
    TOKIO_TASKS: Kind::Gauge, "factorio_isr_tokio_alive_tasks" [], "Tasks of the runtime that have not ended.";
    TOKIO_QUEUE: Kind::Gauge, "factorio_isr_tokio_global_queue_depth" [], "Tasks that wait in the runtime's global queue.";
    TOKIO_BUSY: Kind::Counter, "factorio_isr_tokio_busy_seconds_total" [], "Seconds the runtime's worker threads were busy, all together.";
}

/// Kinds of failures: the closed set of `error_type` values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorType {
    /// A file could not be read or watched.
    Io,
    /// The database said no.
    Database,
    /// The database's disk is full.
    DiskFull,
    /// A network failure or a timeout.
    Network,
    /// Too many requests, or too many commands waiting.
    RateLimited,
    /// Discord answered 5xx.
    ServerError,
    /// Discord refused the token, or a game the RCON password.
    Auth,
    /// Discord refused the channel.
    Channel,
    /// Discord refused the content, or an answer makes no sense.
    Payload,
    /// A task ended by an error, or without a word.
    TaskFailed,
    /// A task panicked.
    Panic,
    /// Something else.
    Other,
}

impl ErrorType {
    /// All kinds.
    pub const ALL: [Self; 12] = [
        Self::Io,
        Self::Database,
        Self::DiskFull,
        Self::Network,
        Self::RateLimited,
        Self::ServerError,
        Self::Auth,
        Self::Channel,
        Self::Payload,
        Self::TaskFailed,
        Self::Panic,
        Self::Other,
    ];

    /// The label value.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Io => "io",
            Self::Database => "database",
            Self::DiskFull => "disk_full",
            Self::Network => "network",
            Self::RateLimited => "rate_limited",
            Self::ServerError => "server_error",
            Self::Auth => "auth",
            Self::Channel => "channel",
            Self::Payload => "payload",
            Self::TaskFailed => "task_failed",
            Self::Panic => "panic",
            Self::Other => "other",
        }
    }
}

/// Counts a failure.
pub fn count_error(component: &'static str, error_type: ErrorType) {
    ::metrics::counter!(ERRORS, "component" => component, "error_type" => error_type.as_str()).increment(1);
}
