//! Every span of the program in one table: name, kind, attributes. docs/traces.md is held to it by a test.

/// What OpenTelemetry calls the kind of a span.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A step within the program.
    Internal,
    /// Somebody asks the program.
    Server,
    /// The program asks somebody.
    Client,
    /// Something arrives.
    Consumer,
}

impl Kind {
    /// As in the documentation.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Internal => "internal",
            Self::Server => "server",
            Self::Client => "client",
            Self::Consumer => "consumer",
        }
    }
}

/// A row of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SpanRow {
    /// Its name.
    pub name: &'static str,
    /// Its kind.
    pub kind: Kind,
    /// The attributes it may have. A name that ends in `*` stands for all that begin so.
    pub attributes: &'static [&'static str],
}

macro_rules! spans {
    ($($konst:ident: $kind:ident, $name:literal [$($attribute:literal),* $(,)?], $help:literal;)+) => {
        $(
            #[doc = $help]
            pub const $konst: SpanRow =
                SpanRow { name: $name, kind: Kind::$kind, attributes: &[$($attribute),*] };
        )+

        /// All spans, each with what it is.
        pub const SPANS: &[(SpanRow, &str)] = &[$(($konst, $help)),+];
    };
}

spans! {
    LOG_READ: Internal, "log.read" [
        "server", "source", "log.file.path", "log.file.name", "file.inode", "file.modified", "offset.start",
        "offset.end", "lines", "bytes", "waited.channel_seconds",
    ], "Lines of one log, read in one go and handed on.";
    EVENT_PARSE: Internal, "event.parse" [
        "server", "source", "lines", "events", "notices", "written.first", "written.last", "text",
    ], "These lines become events, and notices for Discord.";
    OUTBOX_COMMIT: Internal, "outbox.commit" [
        "server", "source", "rows", "attempts", "commit_seconds", "offset.end", "error.type",
    ], "The notices and the log's checkpoint are stored, in one transaction.";
    DISCORD_SEND: Client, "discord.send" [
        "channel", "lane", "rows", "attempt", "outcome", "file", "edits", "waited.total_seconds",
        "waited.rate_limit_seconds", "waited.outage_seconds", "waited.refused_seconds", "waited.earlier_run_seconds",
        "messaging.system", "messaging.operation.name", "messaging.operation.type", "messaging.destination.name",
        "messaging.batch.message_count", "messaging.message.id", "http.request.method", "url.template",
        "http.response.status_code", "http.request.resend_count", "server.address", "server.port", "error.type",
        "text",
    ], "One attempt to send a message; linked to the commits of its rows.";
    DISCORD_MESSAGE: Consumer, "discord.message" [
        "channel", "games", "lines", "edit", "seconds_since_written", "messaging.system", "messaging.operation.name",
        "messaging.operation.type", "messaging.destination.name", "messaging.message.id", "text",
    ], "Somebody wrote in Discord what games shall hear; it is cleaned and stored.";
    CHAT_WAIT: Internal, "chat.wait" [
        "server", "lines", "outcome", "waited.game_seconds", "waited.total_seconds", "error.type",
    ], "That chat waits for its game, from when it was written to when it is first sent or given up.";
    RCON_COMMAND: Client, "rcon.command" [
        "server", "verb", "priority", "server.address", "server.port",
        "waited.queue_seconds", "error.type", "command",
    ], "A command to a game and its answer, its turn in the queue included.";
    SLASH_COMMAND: Server, "slash_command" [
        "command", "outcome", "error.type",
    ], "A slash command, from its arrival to the reply.";
    HEALTH_LIVENESS: Internal, "health_liveness_check" [
        "uptime_seconds",
    ], "A probe of `/healthz`.";
    HEALTH_READINESS: Internal, "health_readiness_check" [
        "is_ready", "component.*",
    ], "A probe of `/ready`.";
}

impl SpanRow {
    /// Whether the table knows the attribute.
    #[must_use]
    pub fn has(&self, attribute: &str) -> bool {
        let is = |known: &str| {
            known.strip_suffix('*').map_or(attribute == known, |beginning| attribute.starts_with(beginning))
        };
        self.attributes.iter().any(|known| is(known))
    }
}
