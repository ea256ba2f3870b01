//! The catalogue of built-in events: where each goes, whether it is relayed, and how it reads.

use crate::domain::{EventKind, Lane, Route};

/// Whether a kind is relayed where the operator says nothing about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Relayed {
    /// It is.
    Yes,
    /// It is not, unless `enabled = true`.
    No,
    /// It is where the server has no engine log, which would say the same better.
    WithoutEngineLog,
    /// It is not, and cannot be.
    Never,
}

/// One kind's defaults.
#[derive(Debug, Clone, Copy)]
pub struct BuiltIn {
    /// Which of a server's channels it goes to.
    pub route: Route,
    /// With which urgency.
    pub lane: Lane,
    /// Whether it is relayed.
    pub relayed: Relayed,
    /// Stands before the bare text where the wording of a line is not known.
    pub icon: &'static str,
    /// The template of the message.
    pub content: &'static str,
    /// The template of the line in a text file.
    pub plain: &'static str,
    /// The kind's own placeholders, besides [`COMMON`].
    pub placeholders: &'static [&'static str],
}

/// Placeholders every template may have: the server's name, the time of day, the line's text behind its envelope.
pub const COMMON: [&str; 3] = ["server", "time", "text"];

impl BuiltIn {
    const fn new(
        route: Route,
        icon: &'static str,
        content: &'static str,
        placeholders: &'static [&'static str],
    ) -> Self {
        Self { route, lane: Lane::Chat, relayed: Relayed::Yes, icon, content, plain: "{text}", placeholders }
    }

    const fn alert(icon: &'static str, content: &'static str, placeholders: &'static [&'static str]) -> Self {
        Self { lane: Lane::Alert, ..Self::new(Route::Alerts, icon, content, placeholders) }
    }

    const fn plain(self, plain: &'static str) -> Self {
        Self { plain, ..self }
    }

    const fn relayed(self, relayed: Relayed) -> Self {
        Self { relayed, ..self }
    }

    /// The defaults of `kind`.
    #[must_use]
    pub const fn of(kind: EventKind) -> Self {
        match kind {
            EventKind::Join => Self::new(Route::Joins, "🟢", "🟢 **{player}** joined the game", &["player"]),
            EventKind::Leave => {
                Self::new(Route::Joins, "🔴", "🔴 **{player}** left the game{reason}", &["player", "reason"])
            }
            EventKind::Chat => Self::new(Route::Chat, "💬", "**{player}**: {message}", &["player", "message"]),
            EventKind::Shout => Self::new(Route::Chat, "📣", "📣 **{player}**: {message}", &["player", "message"]),
            EventKind::ServerChat => Self::new(Route::Chat, "🖥️", "🖥️ **Server**: {message}", &["message"]),
            EventKind::RelayEcho => Self::new(Route::Chat, "🖥️", "{message}", &["message"]).relayed(Relayed::Never),
            EventKind::Command => Self::new(
                Route::Admin,
                "⌨️",
                "⌨️ **{player}** ran a Lua command: {message}{more}",
                &["player", "message", "more"],
            ),
            EventKind::Warning => Self::new(Route::Admin, "⚠️", "⚠️ {message}", &["message"]),
            EventKind::Kick => removal("👢", "👢 **{player}** was kicked by {actor}: {reason}"),
            EventKind::Ban => removal("🔨", "🔨 **{player}** was banned by {actor}: {reason}"),
            EventKind::Unban => {
                Self::new(Route::Admin, "🕊️", "🕊️ **{player}** was unbanned by {actor}", &["player", "actor"])
            }
            EventKind::Promote => admin_rights("⭐", "⭐ **{player}** {action} by {actor}"),
            EventKind::Demote => admin_rights("🔻", "🔻 **{player}** {action} by {actor}"),
            EventKind::Color => {
                Self::new(Route::Admin, "🎨", "🎨 **{player}**'s color is now {color}", &["player", "color"])
                    .relayed(Relayed::No)
            }
            EventKind::ConsoleText | EventKind::Unmatched => Self::new(Route::Admin, "📝", "📝 {text}", &[]),
            EventKind::UnknownTag => Self::new(Route::Admin, "📝", "📝 \\[{tag}\\] {message}", &["tag", "message"])
                .plain("[{tag}] {message}"),
            EventKind::ServerOnline
            | EventKind::ServerOffline
            | EventKind::Starting
            | EventKind::Ready
            | EventKind::SaveStarted
            | EventKind::SaveFinished
            | EventKind::Stopping
            | EventKind::Stopped => life(kind),
            EventKind::Death
            | EventKind::ResearchStarted
            | EventKind::ResearchFinished
            | EventKind::RocketLaunched
            | EventKind::Evolution => of_mods(kind),
            EventKind::JoinRefused => {
                Self::new(Route::Admin, "🚫", "🚫 **{player}** could not join: {reason}", &["player", "reason"])
                    .plain("{player} could not join: {reason}")
            }
            EventKind::ServerCrashed
            | EventKind::SaveFailed
            | EventKind::Desync
            | EventKind::ScriptCrash
            | EventKind::Crash
            | EventKind::StartError
            | EventKind::HostFailed
            | EventKind::LogGap => trouble(kind),
            EventKind::EngineOther
            | EventKind::ModOther
            | EventKind::RunFailed
            | EventKind::RunKilled
            | EventKind::ErrorContinued => Self::new(Route::Server, "⚙️", "{text}", &[]).relayed(Relayed::Never),
        }
    }
}

const fn removal(icon: &'static str, content: &'static str) -> BuiltIn {
    BuiltIn::new(Route::Admin, icon, content, &["player", "actor", "reason"])
}

const fn admin_rights(icon: &'static str, content: &'static str) -> BuiltIn {
    BuiltIn::new(Route::Admin, icon, content, &["player", "actor", "action"])
}

const fn server(icon: &'static str, content: &'static str, placeholders: &'static [&'static str]) -> BuiltIn {
    BuiltIn::new(Route::Server, icon, content, placeholders)
}

/// How a server's run goes.
const fn life(kind: EventKind) -> BuiltIn {
    match kind {
        EventKind::ServerOnline => server("✅", "✅ The server is online", &[])
            .plain("The server is online")
            .relayed(Relayed::WithoutEngineLog),
        EventKind::ServerOffline => server("🛑", "🛑 The server is offline", &[])
            .plain("The server is offline")
            .relayed(Relayed::WithoutEngineLog),
        EventKind::Starting => {
            server("⏳", "⏳ Factorio {version} is starting", &["version"]).plain("Factorio {version} is starting")
        }
        EventKind::Ready => server("✅", "✅ The server is ready", &[]).plain("The server is ready"),
        EventKind::SaveStarted => {
            server("💾", "💾 Saving {save}", &["save"]).plain("Saving {save}").relayed(Relayed::No)
        }
        EventKind::SaveFinished => server("💾", "💾 Saving finished", &[]).relayed(Relayed::No),
        EventKind::Stopping => server("🛑", "🛑 The server is stopping ({reason})", &["reason"])
            .plain("The server is stopping ({reason})")
            .relayed(Relayed::No),
        _ => server("🛑", "🛑 The server has stopped", &[]).plain("The server has stopped"),
    }
}

/// What the game itself never tells: mods do.
const fn of_mods(kind: EventKind) -> BuiltIn {
    match kind {
        EventKind::Death => game("💀", "💀 **{player}** was killed by {cause}", &["player", "cause"])
            .plain("{player} was killed by {cause}"),
        EventKind::ResearchStarted => {
            game("🧪", "🧪 Research begun: **{technology}**{level}", &["technology", "level"])
                .plain("Research begun: {technology}{level}")
        }
        EventKind::ResearchFinished => {
            game("🔬", "🔬 Research done: **{technology}**{level}", &["technology", "level"])
                .plain("Research done: {technology}{level}")
        }
        EventKind::RocketLaunched => game("🚀", "🚀 A rocket was launched{total}{more}", &["number", "total", "more"])
            .plain("A rocket was launched{total}{more}"),
        _ => game("🐛", "🐛 Evolution{surface}: {factor}", &["factor", "surface"])
            .plain("Evolution{surface}: {factor}")
            .relayed(Relayed::No),
    }
}

const fn game(icon: &'static str, content: &'static str, placeholders: &'static [&'static str]) -> BuiltIn {
    BuiltIn::new(Route::Game, icon, content, placeholders)
}

/// What an operator must know.
const fn trouble(kind: EventKind) -> BuiltIn {
    match kind {
        EventKind::ServerCrashed => BuiltIn::alert("💥", "💥 The last run did not end in order: {reason}", &["reason"])
            .plain("The last run did not end in order: {reason}"),
        EventKind::SaveFailed => {
            BuiltIn::alert("🚨", "🚨 **Saving failed**: {message}", &["message"]).plain("Saving failed: {message}")
        }
        EventKind::Desync => BuiltIn::alert("🚨", "🚨 **Desync**: the game of {who} is out of step", &["who", "peer"])
            .plain("Desync: the game of {who} is out of step"),
        EventKind::ScriptCrash => {
            BuiltIn::alert("🚨", "🚨 **Script error**: {message}", &["message"]).plain("Script error: {message}")
        }
        EventKind::Crash => BuiltIn::alert("💥", "💥 **The server crashed**: {message}", &["message"])
            .plain("The server crashed: {message}"),
        EventKind::StartError => BuiltIn::alert("🚨", "🚨 **The server cannot start**: {message}", &["message"])
            .plain("The server cannot start: {message}"),
        EventKind::HostFailed => BuiltIn::alert("🚨", "🚨 **The server cannot run the game**: {message}", &["message"])
            .plain("The server cannot run the game: {message}"),
        _ => BuiltIn::alert(
            "⚠️",
            "⚠️ Part of the {log} log {loss}: {reason}{bytes}",
            &["log", "reason", "bytes", "loss"],
        )
        .plain("Part of the {log} log {loss}: {reason}{bytes}"),
    }
}
