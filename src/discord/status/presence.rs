//! The bot's own status: how many players there are on how many servers.

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::words::{State, players};
use super::{Views, watch_all};
use crate::game::{GameBoard, GameView};

/// What stands below the bot's name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Presence {
    /// As `7 players on 3/3 servers`.
    pub text: String,
    /// Whether no server is up.
    pub idle: bool,
}

/// Of all games; `None` while no game has been asked.
#[must_use]
pub fn presence<'a>(views: impl IntoIterator<Item = &'a GameView>) -> Option<Presence> {
    // A server without RCON counts as up when a mod's file or its log tells who is there, and not at all when nobody knows.
    let counts = |view: &&GameView| State::of(view) != State::LogOnly || view.players.is_some();
    let views: Vec<&GameView> = views.into_iter().filter(counts).collect();
    if views.iter().all(|view| State::of(view) == State::Unknown) {
        return None;
    }
    let up: Vec<_> = views.iter().filter(|view| State::of(view).is_fresh()).map(|view| players(view)).collect();
    let servers = format!("{}/{} servers", up.len(), views.len());
    let known: Vec<usize> = up.iter().copied().flatten().collect();
    let text = if known.is_empty() {
        format!("{servers} up")
    } else {
        let (count, more) = (known.iter().sum::<usize>(), if known.len() < up.len() { "+" } else { "" });
        let noun = if count == 1 && more.is_empty() { "player" } else { "players" };
        format!("{count}{more} {noun} on {servers}")
    };
    Some(Presence { text, idle: up.is_empty() })
}

/// Tells `wanted` what the bot's status should be, until `cancel`.
///
/// # Errors
/// Never.
pub async fn keep_presence(
    board: GameBoard,
    wanted: watch::Sender<Option<Presence>>,
    cancel: CancellationToken,
) -> anyhow::Result<()> {
    let mut views: Views = watch_all(&board);
    loop {
        let all: Vec<GameView> = views.iter_mut().map(|view| view.borrow_and_update().clone()).collect();
        let now = presence(&all);
        wanted.send_if_modified(|shown| {
            let changed = *shown != now;
            *shown = now;
            changed
        });
        if cancel.run_until_cancelled(super::any_change(&mut views)).await.is_none() {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::game::{GameLink, OnlinePlayer};

    fn with(link: GameLink, players: Option<usize>) -> GameView {
        let one = |n| OnlinePlayer { name: format!("p{n}"), since: None };
        GameView { link, players: players.map(|count| (0..count).map(one).collect()), ..GameView::default() }
    }

    fn up(players: usize) -> GameView {
        with(GameLink::Up, Some(players))
    }

    fn down() -> GameView {
        with(GameLink::Down("refused".into()), Some(9))
    }

    fn text(views: &[GameView]) -> String {
        presence(views).unwrap().text
    }

    #[test]
    fn players_are_added_up() {
        assert_eq!(text(&[up(4), up(3), up(0)]), "7 players on 3/3 servers");
        assert_eq!(text(&[up(1)]), "1 player on 1/1 servers");
        assert_eq!(text(&[up(0)]), "0 players on 1/1 servers");
    }

    #[test]
    fn a_server_that_is_down_has_no_players() {
        assert_eq!(text(&[up(4), down()]), "4 players on 1/2 servers");
        let none = presence(&[down(), down()]).unwrap();
        assert_eq!((none.text.as_str(), none.idle), ("0/2 servers up", true));
    }

    #[test]
    fn unknown_players_are_not_counted_as_none() {
        assert_eq!(text(&[with(GameLink::Up, None), up(2)]), "2+ players on 2/2 servers");
        assert_eq!(text(&[with(GameLink::Up, None)]), "1/1 servers up");
    }

    #[test]
    fn before_the_first_answer_nothing_is_said() {
        assert_eq!(presence(&[with(GameLink::Unknown, None)]), None);
        assert_eq!(presence(&[with(GameLink::None, None)]), None);
        assert_eq!(text(&[with(GameLink::Unknown, None), up(2)]), "2 players on 1/2 servers");
        assert_eq!(text(&[with(GameLink::None, None), up(2)]), "2 players on 1/1 servers");
    }
}
