//! The built-in alerts.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::EventKind;
use super::keyed::keyed_enum;

keyed_enum! {
    /// The built-in alerts, in the order in which they are judged. A kind's key names its table `[alerts.KEY]`, and it in
    /// metrics and commands.
    #[derive(Serialize, Deserialize)]
    #[serde(rename_all = "snake_case")]
    AlertKind {
        /// The game runs slower than it aims at.
        LowUps = "low_ups",
        /// The game cannot be asked over RCON.
        RconDown = "rcon_down",
        /// People play, and the log tells nothing of it.
        LogSilent = "log_silent",
        /// A save failed, or none was made for too long.
        Autosave = "autosave",
        /// A run ended, or loads for too long, after an engine error and before the game could be joined.
        StartFailed = "start_failed",
        /// The server crashed again and again. Judged before `Crash`, which is quiet meanwhile.
        CrashLoop = "crash_loop",
        /// The server crashed.
        Crash = "crash",
        /// A player's game went out of step.
        Desync = "desync",
        /// A mod or a script raised an error.
        ScriptError = "script_error",
        /// The enemies evolved by a step.
        Evolution = "evolution",
        /// A player of the watch-list joined.
        Watchlist = "watchlist",
        /// Somebody was refused again and again.
        JoinRefused = "join_refused",
        /// What is to be said in Discord waits for too long.
        Backlog = "backlog",
    }
}

impl AlertKind {
    /// The alert that says what the event's own notice would say: of the two, only the alert is posted.
    #[must_use]
    pub fn instead_of(event: EventKind) -> Option<Self> {
        match event {
            EventKind::Crash | EventKind::ServerCrashed => Some(Self::Crash),
            EventKind::StartError => Some(Self::StartFailed),
            EventKind::ScriptCrash => Some(Self::ScriptError),
            EventKind::Desync => Some(Self::Desync),
            EventKind::SaveFailed => Some(Self::Autosave),
            _ => None,
        }
    }
}

impl fmt::Display for AlertKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_one_name_everywhere() {
        for kind in AlertKind::ALL {
            assert_eq!(AlertKind::from_key(kind.as_str()), Some(*kind));
            assert_eq!(serde_json::to_string(kind).unwrap(), format!("\"{kind}\""));
        }
        assert_eq!(AlertKind::from_key("ups"), None);
    }
}
