//! What the status page may know of the settings and the games.

use std::sync::Arc;

use crate::config::Settings;
use crate::domain::ServerTag;
use crate::game::alerts::texts::title;
use crate::game::{FiringAlert, GameBoard, GameLink, GameView};
use crate::health::{HealthRegistry, Lifecycle};
use crate::http::{GameAnswers, GameFacts, Games, PageSources, ShownAlert, ShownServer, StatusPage};
use crate::telemetry::{MetricsExporter, RecentErrors};

/// The page of this relay.
pub(super) fn status_page(
    settings: &Settings,
    lifecycle: &Lifecycle,
    health: &HealthRegistry,
    metrics: &MetricsExporter,
    board: &GameBoard,
) -> StatusPage {
    let servers = settings.servers.iter();
    StatusPage::new(PageSources {
        lifecycle: lifecycle.clone(),
        health: health.clone(),
        servers: servers.map(|server| ShownServer { tag: server.tag.clone(), name: server.name.clone() }).collect(),
        games: Arc::new(Board { board: board.clone(), names: settings.http.show_players }),
        pulse: metrics.pulse().clone(),
        errors: RecentErrors::of_the_process(),
        metrics: settings.metrics.enabled,
    })
}

/// The games' board, without what the page may not tell.
#[derive(Debug)]
struct Board {
    board: GameBoard,
    names: bool,
}

impl Games for Board {
    fn facts(&self, server: &ServerTag) -> Option<GameFacts> {
        Some(facts(&self.board.view(server)?, self.names))
    }
}

fn facts(view: &GameView, names: bool) -> GameFacts {
    let players = view.players.as_deref();
    GameFacts {
        link: match view.link {
            GameLink::Unknown => GameAnswers::NotYet,
            GameLink::None => GameAnswers::Never,
            GameLink::Up => GameAnswers::Yes,
            GameLink::Silent(_) => GameAnswers::NotNow,
            GameLink::Down(_) => GameAnswers::No,
        },
        players: view.headcount(),
        names: players.filter(|_| names).unwrap_or_default().iter().map(|player| player.name.clone()).collect(),
        ups: view.ups.map(|ups| (ups.shown(), ups.target)),
        paused: view.paused == Some(true),
        version: view.version.clone(),
        source: view.source.map(crate::game::SampleSource::as_str),
        by_files: view.files_tell,
        sampled_at: view.sampled_at,
        alerts: view.alerts.iter().map(shown_alert).collect(),
    }
}

/// Without the subjects, which may be players.
fn shown_alert(alert: &FiringAlert) -> ShownAlert {
    ShownAlert { title: title(alert.kind), since: alert.since, subjects: alert.subjects }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::game::OnlinePlayer;

    #[test]
    fn names_are_told_only_where_they_may_be() {
        let bob = OnlinePlayer { name: "Bob".to_owned(), since: Some(Timestamp::UNIX_EPOCH) };
        let view = GameView { link: GameLink::Up, players: Some(vec![bob]), ..GameView::default() };
        let (kept, told) = (facts(&view, false), facts(&view, true));
        assert_eq!((kept.players, kept.names.is_empty()), (Some(1), true));
        assert_eq!((told.players, told.names), (Some(1), vec!["Bob".to_owned()]));
        assert!(!format!("{kept:?}").contains("Bob"));
    }
}
