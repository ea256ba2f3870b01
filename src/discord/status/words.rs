//! How a game is, in few words: for the status message, a channel's topic and the bot's own status. Pure.

use std::time::Duration;

use crate::domain::StatusPart;
use crate::game::{GameLink, GameView, Ups};

/// What is not known, in a topic.
const UNKNOWN: &str = "?";

/// How a game is, at a glance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// It answers, and its time goes on.
    Online,
    /// It answers, and its time stands still.
    Paused,
    /// It is connected and does not answer.
    Silent,
    /// It cannot be reached.
    Offline,
    /// It cannot be asked: only its log tells.
    LogOnly,
    /// It was not asked yet.
    Unknown,
}

impl State {
    /// Of a game. One that cannot be asked is online while a mod's file tells that it is.
    pub(super) fn of(view: &GameView) -> Self {
        match &view.link {
            _ if view.files_tell => Self::Online,
            GameLink::Up if view.paused == Some(true) => Self::Paused,
            GameLink::Up => Self::Online,
            GameLink::Silent(_) => Self::Silent,
            GameLink::Down(_) => Self::Offline,
            GameLink::None => Self::LogOnly,
            GameLink::Unknown => Self::Unknown,
        }
    }

    /// What people read.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Online => "Online",
            Self::Paused => "Paused",
            Self::Silent => "Not answering",
            Self::Offline => "Offline",
            Self::LogOnly => "Without RCON",
            Self::Unknown => "Not asked yet",
        }
    }

    /// A circle of its colour.
    pub(super) fn sign(self) -> &'static str {
        match self {
            Self::Online => "🟢",
            Self::Paused => "🔵",
            Self::Silent => "🟡",
            Self::Offline => "🔴",
            Self::LogOnly | Self::Unknown => "⚪",
        }
    }

    /// Of an embed's edge, as 0xRRGGBB.
    pub(super) fn colour(self) -> u32 {
        match self {
            Self::Online => 0x002e_a043,
            Self::Paused => 0x003b_82f6,
            Self::Silent => 0x00e3_a008,
            Self::Offline => 0x00da_373c,
            Self::LogOnly | Self::Unknown => 0x0080_848e,
        }
    }

    /// Whether what changes by the second is from now: players and UPS of a game that is away are history.
    pub(super) fn is_fresh(self) -> bool {
        matches!(self, Self::Online | Self::Paused | Self::LogOnly)
    }
}

/// How many are in the game now, where that is known.
pub(super) fn players(view: &GameView) -> Option<usize> {
    view.headcount().filter(|_| State::of(view).is_fresh())
}

/// `59 of 60`, in whole updates a second: what is measured by the game's clock is no finer.
pub(super) fn ups(ups: &Ups) -> String {
    format!("{:.0} of {:.0}", ups.shown(), ups.target)
}

/// The age of a map, coarse, so that it does not change all the time: `12 min`, `3 h 20 min`, `1 d 11 h`.
pub(super) fn age(age: Duration) -> String {
    let minutes = age.as_secs() / 60;
    let (days, hours) = (minutes / 1440, minutes / 60 % 24);
    match (days, hours) {
        (0, 0) => format!("{minutes} min"),
        (0, hours) => format!("{hours} h {} min", minutes % 60 / 10 * 10),
        (days, hours) => format!("{days} d {hours} h"),
    }
}

/// `94.9 %`
pub(super) fn percent(factor: f64) -> String {
    format!("{:.1} %", factor * 100.0)
}

/// What stands for a placeholder of a channel's topic or name. No words of players.
pub(super) fn part(part: StatusPart, server: &str, view: &GameView) -> String {
    let highest = view.evolution.iter().map(|surface| surface.factor).max_by(f64::total_cmp);
    let known = match part {
        StatusPart::Server => Some(server.to_owned()),
        StatusPart::State => Some(State::of(view).word().to_owned()),
        StatusPart::Players => players(view).map(|count| count.to_string()),
        StatusPart::Ups => view.ups.filter(|_| State::of(view).is_fresh()).map(|ups| format!("{:.0}", ups.shown())),
        StatusPart::Version => view.version.clone(),
        StatusPart::Age => view.age.map(age),
        StatusPart::Evolution => highest.map(percent),
    };
    known.unwrap_or_else(|| UNKNOWN.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::game::OnlinePlayer;

    #[test]
    fn players_of_a_game_that_is_away_are_not_known() {
        let players_in = |link: GameLink| {
            let bob = OnlinePlayer { name: "Bob".into(), since: None };
            players(&GameView { link, players: Some(vec![bob]), ..GameView::default() })
        };
        assert_eq!(players_in(GameLink::Up), Some(1));
        assert_eq!(players_in(GameLink::None), Some(1));
        assert_eq!(players_in(GameLink::Silent("saves".into())), None);
        assert_eq!(players_in(GameLink::Down("refused".into())), None);
    }

    #[test]
    fn a_game_of_which_a_file_tells_is_online_with_all_that_it_counts() {
        for link in [GameLink::None, GameLink::Silent("saves".into()), GameLink::Down("refused".into())] {
            let bob = OnlinePlayer { name: "Bob".into(), since: None };
            let view = GameView { link, files_tell: true, players: Some(vec![bob]), unnamed: 2, ..GameView::default() };
            assert_eq!((State::of(&view), players(&view)), (State::Online, Some(3)));
        }
    }

    #[test]
    fn an_age_is_told_by_its_two_largest_units() {
        let of = |seconds| age(Duration::from_secs(seconds));
        assert_eq!([of(59), of(3599), of(3600), of(12_599)], ["0 min", "59 min", "1 h 0 min", "3 h 20 min"]);
        assert_eq!([of(86_399), of(86_400), of(126_086)], ["23 h 50 min", "1 d 0 h", "1 d 11 h"]);
    }

    #[test]
    fn what_is_not_known_is_no_number() {
        let view = GameView::default();
        let shown = |which| part(which, "Production", &view);
        assert_eq!(shown(StatusPart::Server), "Production");
        assert_eq!(shown(StatusPart::State), "Not asked yet");
        for which in [StatusPart::Players, StatusPart::Ups, StatusPart::Version, StatusPart::Age, StatusPart::Evolution]
        {
            assert_eq!(shown(which), "?");
        }
    }
}
