//! What Discord shows of the games without being asked: a status message for each server, the topic of a channel, and
//! the bot's own status.

mod api;
mod embed;
mod messages;
mod presence;
mod recovery;
mod render;
mod topics;
mod turn;
mod words;

use futures_util::future::select_all;
use tokio::sync::watch;

use crate::game::{GameBoard, GameView};

pub use embed::{Embed, Field, Footer};
pub use messages::{StatusMessages, StatusTimes};
pub use presence::{Presence, keep_presence, presence};
pub use render::render;
pub use topics::ChannelTopics;

type Views = Vec<watch::Receiver<GameView>>;

/// All games of the board, in its order.
fn watch_all(board: &GameBoard) -> Views {
    board.servers().filter_map(|server| board.watch(server)).collect()
}

/// Waits until a game is not as it was last seen; for ever where there is none.
async fn any_change<'a>(views: impl IntoIterator<Item = &'a mut watch::Receiver<GameView>>) {
    let changes = views.into_iter().map(|view| {
        Box::pin(async move {
            if view.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        })
    });
    let changes: Vec<_> = changes.collect();
    if changes.is_empty() {
        std::future::pending::<()>().await;
    }
    select_all(changes).await;
}
