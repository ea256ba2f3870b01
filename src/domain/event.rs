//! The kinds of events and where they go by default.

use std::fmt;

use super::keyed::keyed_enum;

/// A key of `servers.TAG.channels`. A route without a channel of its own falls back to `default`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Route {
    /// Where everything goes that has no channel of its own.
    Default,
    /// What players say.
    Chat,
    /// Joins and leaves.
    Joins,
    /// Moderation and commands.
    Admin,
    /// What an operator must know: crashes, desyncs, failed saves, gaps.
    Alerts,
    /// Server starts, stops and saves.
    Server,
    /// Deaths, research, rockets, where a mod prints them.
    Game,
    /// What people did by slash commands. Unlike the others, nothing is said without a channel of its own.
    Audit,
}

impl Route {
    /// All routes.
    pub const ALL: [Self; 8] =
        [Self::Default, Self::Chat, Self::Joins, Self::Admin, Self::Alerts, Self::Server, Self::Game, Self::Audit];

    /// The key in the configuration.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::Chat => "chat",
            Self::Joins => "joins",
            Self::Admin => "admin",
            Self::Alerts => "alerts",
            Self::Server => "server",
            Self::Game => "game",
            Self::Audit => "audit",
        }
    }
}

keyed_enum! {
    /// The built-in kinds of events. A kind's key names it in `[events.KEY]`, in metrics and in logs.
    EventKind {
        /// A player joined.
        Join = "join",
        /// A player left.
        Leave = "leave",
        /// A player said something.
        Chat = "chat",
        /// A player said something to all forces.
        Shout = "shout",
        /// The server itself said something (console or RCON), and it was not us.
        ServerChat = "server_chat",
        /// Our own words, come back through the log. Never relayed.
        RelayEcho = "relay_echo",
        /// A Lua command was run.
        Command = "command",
        /// The game warns, as of lost achievements.
        Warning = "warning",
        /// A player was kicked.
        Kick = "kick",
        /// A player was banned.
        Ban = "ban",
        /// A ban was lifted.
        Unban = "unban",
        /// A player became an admin.
        Promote = "promote",
        /// A player is no longer an admin.
        Demote = "demote",
        /// A player changed the colour of the name.
        Color = "color",
        /// A dated line without a tag, as the error of a command.
        ConsoleText = "console_text",
        /// A dated line with a tag this version does not know.
        UnknownTag = "unknown_tag",
        /// A line of no known shape that follows no other.
        Unmatched = "unmatched",
        /// The console log was opened: the server started.
        ServerOnline = "server_online",
        /// The console log was closed: the server stopped in order.
        ServerOffline = "server_offline",
        /// The console log was opened though it had not been closed: the run before ended by a crash or a kill.
        ServerCrashed = "server_crashed",
        /// A run ended before the game could be joined, or without `Goodbye` after a script error. Counted by alerts,
        /// never relayed.
        RunFailed = "run_failed",
        /// The engine log of a run has no `Goodbye`: the run crashed or was killed. Counted by alerts, never relayed.
        RunKilled = "run_killed",
        /// The engine begins to load.
        Starting = "starting",
        /// The game can be joined.
        Ready = "ready",
        /// An autosave began or a save was asked for.
        SaveStarted = "save_started",
        /// A save is done.
        SaveFinished = "save_finished",
        /// A save failed.
        SaveFailed = "save_failed",
        /// Somebody was refused (not the normal steps of a handshake).
        JoinRefused = "join_refused",
        /// A player's game went out of step.
        Desync = "desync",
        /// A mod or a script ended the game or raised an error.
        ScriptCrash = "script_crash",
        /// The engine crashed.
        Crash = "crash",
        /// The engine wrote an error before the game could be joined.
        StartError = "start_error",
        /// Lines of an error that were read after its first ones. Added to the message of its alert, never relayed.
        ErrorContinued = "error_continued",
        /// The server could not start hosting.
        HostFailed = "host_failed",
        /// A stop was asked for.
        Stopping = "stopping",
        /// The engine said good-bye.
        Stopped = "stopped",
        /// A player died, where a mod tells.
        Death = "death",
        /// A technology is being researched, where a mod tells.
        ResearchStarted = "research_started",
        /// A technology is done, where a mod tells.
        ResearchFinished = "research_finished",
        /// A rocket was launched, where a mod tells.
        RocketLaunched = "rocket_launched",
        /// The enemies have evolved, where a mod tells.
        Evolution = "evolution",
        /// An engine line of no interest. Never relayed.
        EngineOther = "engine_other",
        /// A mod's line of no interest. Never relayed.
        ModOther = "mod_other",
        /// Bytes of a log were destroyed before anyone could read them.
        LogGap = "log_gap",
    }
}

impl fmt::Display for EventKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_found_by_its_key() {
        for kind in EventKind::ALL {
            assert_eq!(EventKind::from_key(kind.as_str()), Some(*kind));
        }
        assert_eq!(EventKind::from_key("joined"), None);
    }
}
